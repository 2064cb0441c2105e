"""Processes of a guest are the sandbox's: born watched, and named by its own numbers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.programs.compare import assert_same

Attacker = Callable[[str], Path]
pytestmark = pytest.mark.guest


def test_no_process_runs_unwatched(runtime: Runtime, attacker: Attacker) -> None:
    """CLONE_UNTRACED, vfork, execve from any thread, signals at any moment."""
    assert_same(runtime, attacker("untraced"), "untraced")


def test_numbers_reach_no_process_of_the_host(runtime: Runtime, attacker: Attacker) -> None:
    """ptrace, process_vm_writev, kill, prlimit and their kin on 400 numbers."""
    assert_same(runtime, attacker("other_processes"), "other_processes")
