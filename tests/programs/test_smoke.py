"""The same few things on the build that is not compiled, and through `do`."""

import os
import re
from pathlib import Path

import pytest

from tests.harness.bundle import ROOT, Runtime, sandboxed
from tests.harness.native import native
from tests.harness.outcome import run
from tests.programs import test_shell, test_tools

SMOKE = {name: test_shell.SCRIPTS[name] for name in ("pipeline", "traps", "background_jobs")}
SMOKE |= {"compile_and_run": test_tools.GCC["compile_and_run"]}
SMOKE |= {"python": "python3 -c 'print(sum(range(10)))'"}


@pytest.mark.guest
@pytest.mark.parametrize("name", SMOKE)
def test_interpreted_build(interpreted_runtime: Runtime, debian_rootfs: Path, name: str) -> None:
    argv = ["/bin/sh", "-c", SMOKE[name]]
    expected = native(debian_rootfs, argv)
    actual = sandboxed(interpreted_runtime, debian_rootfs, argv)
    assert (actual.status, actual.out) == (0, expected.out), actual.describe()


def test_compiled_build_is_what_runs() -> None:
    """`make test` builds first; a stale build would test something else."""
    manifest = ROOT / "build/compiled/manifest"
    if not manifest.exists():
        pytest.skip("not compiled: `make dev` was used last")
    for line in manifest.read_text().splitlines():
        time, _, name = line.partition(" ")
        assert os.stat(ROOT / name).st_mtime_ns == int(time), f"{name} was changed since"


@pytest.mark.guest
def test_do_runs_from_any_directory(runtime: Runtime, tmp_path: Path) -> None:
    argv = [*runtime.command, "do", "--", "uname", "-a"]
    outcome = run(argv, env={}, cwd=str(tmp_path)).check()
    assert re.match(r"Linux \S+ ", outcome.out)
    assert os.uname().release not in outcome.out, "that is the host's kernel"


@pytest.mark.guest
def test_strace_shows_calls_and_changes_nothing(runtime: Runtime, tmp_path: Path) -> None:
    flags = [f"--debug-log={tmp_path}/", "--strace"]
    script = "/bin/true && cat /etc/hostname > /dev/null && (exit 7)"
    outcome = run([*runtime.command, *flags, "do", "--", "/bin/sh", "-c", script], env={}, cwd="/")
    assert outcome.status == 7, outcome.describe()
    log = "".join(path.read_text() for path in tmp_path.iterdir())
    assert re.search(r'openat\(AT_FDCWD, "/etc/hostname", O_RDONLY\) = 3 \(\d+ µs\)', log)
    assert re.search(r"execve\(\"/bin/cat\"|execve\(\"/usr/bin/cat\"", log)


@pytest.mark.guest
def test_do_cannot_write_to_the_host(runtime: Runtime, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("before")
    script = f"echo after > {target}; cat {target}"
    outcome = run([*runtime.command, "do", "--", "/bin/sh", "-c", script], env={}, cwd="/")
    assert outcome.out == "after\n", outcome.describe()
    assert target.read_text() == "before"
