"""Fixtures: a platform of the test's own, and guests built from C."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sentry.platform.ptrace.platform import PtracePlatform
from sentry.platform.ptrace.thread import PtraceThread
from tests.unit.sentry.platform import guest


@pytest.fixture
def proc_fd() -> Iterator[int]:
    """Return a directory descriptor of the host's procfs."""
    fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    yield fd
    os.close(fd)


@pytest.fixture
def platform(proc_fd: int) -> Iterator[PtracePlatform]:
    """Return a platform that is closed after the test."""
    made = PtracePlatform(proc_fd)
    yield made
    made.close()


@pytest.fixture
def start(platform: PtracePlatform, tmp_path: Path) -> Callable[..., PtraceThread]:
    """Return a function that builds a guest from C and loads it."""

    def load(source: str, *args: bytes) -> PtraceThread:
        return guest.load(platform, guest.build(source, tmp_path), *args)

    return load
