"""The same few things on the build that is not compiled, and through `do`."""

import os
import re
import subprocess
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


@pytest.mark.guest
def test_do_leaves_nothing_on_the_host(runtime: Runtime, tmp_path: Path) -> None:
    """Everything can be removed, renamed and made inside, as root of the host's files."""
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/f").write_text("before")
    (tmp_path / "d/f").chmod(0o644)
    script = """
        rm -r d/e && mv d/f d/g && rm -rf /opt && mkdir /new-directory && echo x > /etc/new-file
        chmod 600 d/g && ln d/g h && ls d && cat h && test ! -e /opt && stat -c %a d/g
    """
    before = sorted(os.listdir("/")), sorted(os.listdir("/etc"))
    argv = [*runtime.command, "do", "--", "/bin/sh", "-c", script]
    outcome = run(argv, env={}, cwd=str(tmp_path)).check()
    assert outcome.out == "g\nbefore600\n"
    assert sorted(os.listdir(tmp_path / "d")) == ["e", "f"]
    assert (tmp_path / "d/f").stat().st_mode & 0o777 == 0o644
    assert (sorted(os.listdir("/")), sorted(os.listdir("/etc"))) == before


@pytest.mark.guest
def test_do_shows_of_the_hosts_mounts_only_that_of_its_directory(
    runtime: Runtime, tmp_path: Path
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / name], check=True)
    try:
        (tmp_path / "here/seen").touch()
        (tmp_path / "there/unseen").touch()
        script = "ls -A . ../there; echo x > made; ls; cat /proc/1/comm; ls /dev/pts"
        argv = [*runtime.command, "do", "--", "/bin/sh", "-c", script]
        outcome = run(argv, env={}, cwd=str(tmp_path / "here"))
        assert os.listdir(tmp_path / "here") == ["seen"]
    finally:
        for name in ("here", "there"):
            subprocess.run(["umount", tmp_path / name], check=True)
    assert outcome.check().out == ".:\nseen\n\n../there:\nmade\nseen\nsh\nptmx\n"


@pytest.mark.guest
def test_do_ends_with_its_command_line_even_if_that_is_killed(
    runtime: Runtime, tmp_path: Path
) -> None:
    """The output is closed once nobody of the sandbox is left; the state is for `delete`."""
    state = tmp_path / "state"
    argv = [*Runtime(state, runtime.command[:1]).command, "do", "--", "/bin/sh", "-c"]
    with subprocess.Popen(
        [*argv, "echo begun; sleep 60"], stdout=subprocess.PIPE, env={}, cwd="/"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.kill()
        assert process.communicate(timeout=10)[0] == b""
    (name,) = os.listdir(state)
    assert Runtime(state, runtime.command[:1])("delete", "--force", name).status == 0
    assert os.listdir(state) == []


@pytest.mark.guest
def test_do_readonly_takes_no_writes(runtime: Runtime, tmp_path: Path) -> None:
    script = "echo x > file || touch /tmp/x || echo refused"
    argv = [*runtime.command, "do", "--readonly", "--", "/bin/sh", "-c", script]
    outcome = run(argv, env={}, cwd=str(tmp_path)).check()
    assert outcome.out == "refused\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.guest
def test_a_log_of_the_calls_changes_nothing(
    runtime: Runtime, debian_rootfs: Path, tmp_path: Path
) -> None:
    traced = Runtime(runtime.state)
    traced.command = [*runtime.command, f"--debug-log={tmp_path}/", "--strace"]
    code = "import threading; threading.Thread(target=print, args=(5,)).start()"
    outcome = sandboxed(traced, debian_rootfs, ["/usr/bin/python3", "-c", code]).check()
    assert outcome.out == "5\n"
    text = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "execve(" in text or "openat(" in text
