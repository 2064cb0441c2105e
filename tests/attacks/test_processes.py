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


def test_a_fresh_program_has_no_register_of_another(runtime: Runtime, attacker: Attacker) -> None:
    """General, floating-point and vector registers are as Linux starts a program with."""
    assert_same(runtime, attacker("fresh"), "fresh")


def test_the_end_of_a_thread_wakes_who_waits(runtime: Runtime, attacker: Attacker) -> None:
    """futex(2) and CLONE_CHILD_CLEARTID have one owner; a leader may end first."""
    assert_same(runtime, attacker("waiting"), "waiting")
