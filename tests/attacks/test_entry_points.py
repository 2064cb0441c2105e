"""Every way into the kernel ends in the sentry, or in an error."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.bundle import Runtime, sandboxed
from tests.harness.native import native
from tests.programs.compare import assert_same

Attacker = Callable[[str], Path]
pytestmark = pytest.mark.guest
ENOSYS = "-38"


def test_numbers_of_no_table(runtime: Runtime, attacker: Attacker) -> None:
    """x32, negative, enormous: as on a host without x32, which has ENOSYS for all of them."""
    assert_same(runtime, attacker("numbers"), "numbers")


def test_entries_of_the_32_bit_table(runtime: Runtime, attacker: Attacker, tmp_path: Path) -> None:
    """`int 0x80` and its kin never reach a handler of the 64-bit table: ENOSYS is our answer."""
    done = sandboxed(runtime, attacker("legacy_entries"), ["/bin/legacy_entries", "/tmp"]).check()
    answers = dict(line.rsplit(": ", 1) for line in done.out.splitlines())
    calls = {name: value for name, value in answers.items() if re.match("int|creat|compat", name)}
    assert len(calls) > 20
    assert set(calls.values()) == {ENOSYS}
    assert answers["made"] == "0"
    for name in ("sysenter", "syscall in compat mode", "sysenter in compat mode", "kernel segment"):
        assert answers[name] in ("signal 11", "signal 4"), name


def test_the_vsyscall_page(runtime: Runtime, attacker: Attacker) -> None:
    assert_same(runtime, attacker("vsyscall"), "vsyscall")


def test_forged_signal_frames(runtime: Runtime, attacker: Attacker) -> None:
    root = attacker("forged_frames")
    expected = native(root, ["/bin/forged_frames"]).check().out.splitlines()
    actual = sandboxed(runtime, root, ["/bin/forged_frames"]).check().out.splitlines()
    assert actual == expected
