"""Runs a script natively and in the sandbox, and compares everything that can be seen of it."""

import difflib
from pathlib import Path

from tests.harness.bundle import Runtime, sandboxed
from tests.harness.native import native
from tests.harness.outcome import Outcome


def assert_same(
    runtime: Runtime,
    rootfs: Path,
    script: str,
    stdin: bytes = b"",
    shell: str = "/bin/sh",
    timeout: float = 90.0,
) -> Outcome:
    """Run `script` in both worlds; the native run must succeed, or the test itself is wrong."""
    argv = [shell, "-c", script]
    expected = native(rootfs, argv, stdin, timeout=timeout)
    assert expected.status == 0, f"natively:\n{expected.describe()}"
    actual = sandboxed(runtime, rootfs, argv, stdin, timeout=timeout)
    problems = []
    if actual.status != expected.status:
        problems.append(f"exit status {actual.status}, natively {expected.status}")
    problems += difference("stdout", expected.out, actual.out)
    problems += difference("stderr", expected.err, actual.err)
    assert not problems, "\n".join(problems)
    return actual


def difference(name: str, expected: str, actual: str) -> list[str]:
    """Return the first lines of a diff, or nothing."""
    if expected == actual:
        return []
    lines = difflib.unified_diff(
        expected.splitlines(), actual.splitlines(), f"{name} natively", f"{name} sandboxed", n=1
    )
    return list(lines)[:60]
