"""Fixtures: hostile programs, in a container and natively."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.pods import first, make, shared
from tests.harness.tree import Overlay

__all__ = ["first", "make", "shared"]
GUESTS = Path(__file__).parent / "guests"


@pytest.fixture
def attacker(busybox_rootfs: Path, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that puts a static program of `guests` into a root's /bin.

    Returns that root, which is removed after the test.
    """
    if shutil.which("gcc") is None:
        pytest.skip("no compiler")
    with Overlay(busybox_rootfs) as root:

        def build(name: str) -> Path:
            command = ["gcc", "-O1", "-w", "-static", "-pthread", "-o", str(root / "bin" / name)]
            source = GUESTS / f"{name}.c"
            if '".globl first' in source.read_text():
                command.append("-Wl,-e,first")
            subprocess.run([*command, str(source)], check=True, timeout=60)
            return root

        yield build
