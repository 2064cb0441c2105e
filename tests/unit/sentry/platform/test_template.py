"""The template and its copies: whose children they are, and what they could do if they could."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sentry.platform.interface import STOP_SYSCALL, MemoryLayout
from sentry.platform.ptrace.platform import PtracePlatform
from sentry.platform.ptrace.template import parse_maps
from sentry.platform.ptrace.thread import PtraceThread
from tests.unit.sentry.platform import guest

KCMP_FILES, KCMP_FS = 2, 3
LIBC = ctypes.CDLL(None, use_errno=True)
ROOT = Path(__file__).resolve().parents[4]


def status_of(pid: int) -> dict[str, str]:
    """Return the lines of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@pytest.fixture
def stubs(platform: PtracePlatform, start: Callable[..., PtraceThread]) -> dict[str, int]:
    """Return a stub of each kind by what it is."""
    thread = start("void guest_main(ul *stack) { sys(39, 0, 0, 0); leave(0); }")
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    forked = thread.clone(share_memory=False, same_group=False)
    shares = thread.clone(share_memory=True, same_group=False)
    inner = thread.clone(share_memory=True, same_group=True)
    platform.template.fill_pool()
    return {
        "template": platform.template.pid,
        "pool": next(iter(platform.template.pool)),
        "program": thread.host_tid,
        "fork": forked.host_tid,
        "vfork": shares.host_tid,
        "thread": inner.host_tid,
    }


def test_stubs_have_no_privileges(stubs: dict[str, int]) -> None:
    for kind, tid in stubs.items():
        status = status_of(tid)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[name], 16) == 0, (kind, name)
        assert status["NoNewPrivs"] == "1", kind
        assert status["Seccomp"] == "2", kind
        assert int(status["TracerPid"]) == os.getpid(), kind


def test_one_filter_is_on_a_stub(stubs: dict[str, int]) -> None:
    """A filter of the sandbox would be the strictest verdict, and kill before any stop."""
    mine = int(status_of(os.getpid()).get("Seccomp_filters", "0"))
    for kind, tid in stubs.items():
        assert int(status_of(tid).get("Seccomp_filters", "1")) == mine + 1, kind


def test_stubs_have_no_signal_settings_of_ours(stubs: dict[str, int]) -> None:
    for kind, tid in stubs.items():
        status = status_of(tid)
        for name in ("SigBlk", "SigIgn", "SigCgt"):
            assert int(status[name], 16) == 0, (kind, name)


def test_every_stub_is_a_child_of_the_sandbox(stubs: dict[str, int]) -> None:
    """CLONE_PARENT: no stub gets SIGCHLD for another, and zombies are the sandbox's to reap."""
    for kind, tid in stubs.items():
        assert int(status_of(tid)["PPid"]) == os.getpid(), kind


def test_stubs_share_our_descriptors(stubs: dict[str, int]) -> None:
    """So a descriptor can be mapped by number; the guest never gets to use one (no call passes)."""
    LIBC.syscall.restype = ctypes.c_long
    for kind, tid in stubs.items():
        order = LIBC.syscall(312, os.getpid(), tid, KCMP_FILES, 0, 0)
        assert order == 0, (kind, os.strerror(ctypes.get_errno()))


def test_stubs_have_sessions_without_a_terminal(stubs: dict[str, int]) -> None:
    for kind, tid in stubs.items():
        fields = Path(f"/proc/{tid}/stat").read_text().rpartition(")")[2].split()
        session, terminal = int(fields[3]), int(fields[4])
        assert session != os.getsid(0), kind
        assert terminal == 0, kind


def test_nothing_of_ours_is_mapped(stubs: dict[str, int], platform: PtracePlatform) -> None:
    template = platform.template
    for kind, tid in stubs.items():
        for mapping in parse_maps(Path(f"/proc/{tid}/maps").read_bytes()):
            name = mapping.name
            is_reserved = template.reserved_start <= mapping.start < template.reserved_end
            if kind in ("template", "pool"):
                is_stub = mapping.start in (0x10000, 0x11000)
                known = is_reserved or is_stub or name.startswith(("[vdso]", "[vvar"))
            else:
                known = is_reserved or not name or name.startswith("[") or name.endswith("/guest")
            assert known, (kind, hex(mapping.start), name)


def test_our_environment_and_arguments_are_gone(stubs: dict[str, int]) -> None:
    own = Path("/proc/self/environ").read_bytes()
    for kind, tid in stubs.items():
        for name in ("environ", "cmdline"):
            try:
                found = Path(f"/proc/{tid}/{name}").read_bytes()
            except OSError:
                continue  # the address is not mapped: EIO
            assert not found or found not in own, (kind, name)


def test_a_stub_is_dumpable_and_the_filter_the_last_step() -> None:
    """PTRACE_SEIZE of a process that is not dumpable needs CAP_SYS_PTRACE: ours drops it before."""
    script = """
import ctypes, os
from sentry.platform._ptrace import ffi
from sentry.platform.interface import MemoryLayout
from sentry.platform.ptrace.platform import PtracePlatform
libc = ctypes.CDLL(None)
proc = os.open("/proc", os.O_RDONLY)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
assert libc.prctl(3, 0, 0, 0, 0) == 0, "PR_GET_DUMPABLE"
platform = PtracePlatform(proc)
platform.load([], MemoryLayout())
assert libc.prctl(3, 0, 0, 0, 0) == 0, "the sandbox itself stays as it was"
platform.close()
print("loaded")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "loaded\n", done.stderr


def test_stubs_die_with_their_tracer(proc_fd: int) -> None:
    script = """
import os, sys, time
from sentry.platform.interface import MemoryLayout
from sentry.platform.ptrace.platform import PtracePlatform
platform = PtracePlatform(os.open("/proc", os.O_RDONLY))
thread = platform.load([], MemoryLayout())
print(platform.template.pid, thread.host_tid, flush=True)
time.sleep(60)
"""
    sandbox = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert sandbox.stdout is not None
    pids = [int(pid) for pid in sandbox.stdout.readline().split()]
    assert len(pids) == 2
    sandbox.kill()
    sandbox.wait()
    sandbox.stdout.close()
    assert guest.wait_until_gone(pids, 1.0) == []


def test_a_template_that_was_killed_is_noticed(platform: PtracePlatform) -> None:
    thread = platform.load([], MemoryLayout())
    os.kill(platform.template.pid, 9)
    with pytest.raises(RuntimeError, match="template"):
        guest.next_stop(platform)
    os.kill(thread.host_tid, 9)


def test_closing_waits_for_nobody_who_is_gone(proc_fd: int) -> None:
    """With another child of ours about, whose end would be waited for as well."""
    platform = PtracePlatform(proc_fd)
    with subprocess.Popen(["sleep", "1000"]) as other:
        os.kill(platform.template.pid, 9)
        with pytest.raises(RuntimeError, match="template"):
            guest.next_stop(platform)
        platform.close()
        assert other.poll() is None
        other.kill()
