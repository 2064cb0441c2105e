"""What a process confined as the sandbox is can still do to the host: nothing."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
pytestmark = pytest.mark.root

KILLED = (
    "execve",
    "socket",
    "open_path",
    "openat_fdcwd",
    "openat_fdcwd_32",
    "mmap_exec",
    "mprotect_exec",
    "ptrace_attach",
    "ptrace_traceme",
    "fork",
    "clone_thread",
    "tiocsti",
    "tiocsti_high_bits",
    "setuid",
    "gain_capabilities",
    "int80",
    "threads_are_filtered",
)
# With --network=host, where sockets of the internet are allowed.
KILLED_ON_HOST_NETWORK = (
    *KILLED,
    "raw_socket",
    "blocking_socket",
    "mptcp_socket",
    "packet_socket",
    "diag_socket",
    "vsock_socket",
    "attach_filter",
    "waiting_send",
    "fast_open",
    "add_route",
    "set_interface_flags",
)


def attempt(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.confinement.prisoner", *words],
        cwd=TREE,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def outcome(*words: str) -> tuple[str, int]:
    answer, _, status = attempt(*words).stdout.strip().rpartition("|")
    return answer, int(status)


def test_a_confined_process_lives() -> None:
    assert outcome("nothing") == ("alive", 0)


@pytest.mark.parametrize("name", KILLED)
def test_the_attempt_is_the_end(name: str) -> None:
    answer, status = outcome(name)
    assert answer == ""
    assert status & 0x7F == signal.SIGSYS


@pytest.mark.parametrize("name", KILLED_ON_HOST_NETWORK)
def test_the_attempt_is_the_end_on_the_host_network(name: str) -> None:
    answer, status = outcome(name, "host-network")
    assert answer == ""
    assert status & 0x7F == signal.SIGSYS


def test_sockets_of_the_host_network() -> None:
    assert outcome("internet_sockets", "host-network") == ("True", 0)
    assert outcome("raw_socket", "host-network", "raw") == ("True", 0)
    assert outcome("packet_socket", "host-network", "raw")[1] & 0x7F == signal.SIGSYS


def test_the_host_network_cannot_be_changed() -> None:
    error = "Operation not permitted"
    assert outcome("change_of_the_network", "host-network", "raw") == (error, 0)


def test_a_refused_call_is_named_in_the_debug_log() -> None:
    done = attempt("execve", "report")
    assert "refused call 0059" in done.stderr
    assert done.stdout.strip() == f"|{2 << 8}"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("openat_absolute", "No such file or directory"),
        ("read_sysrq", "No such file or directory"),
        ("write_own_memory", "Read-only file system"),
        ("write_proc", "Read-only file system"),
        ("write_root", "Read-only file system"),
    ],
)
def test_the_walls_behind_the_filter(name: str, error: str) -> None:
    assert outcome(name) == (error, 0)


def test_a_bug_can_be_described() -> None:
    assert outcome("describe_exception") == ("ValueError: a bug", 0)


@pytest.mark.parametrize("name", ["unraisable", "uncaught"])
def test_a_traceback_that_the_interpreter_prints_is_not_the_end(name: str) -> None:
    """Its own way of printing looks for the source file, by absolute path."""
    assert outcome(name) == ("alive", 0)
    assert "ValueError: a bug" in attempt(name).stderr


def test_a_late_import_is_an_error() -> None:
    answer, status = outcome("late_import")
    assert answer.startswith("ImportError: wave: nothing is imported")
    assert status == 0


def test_the_root_is_empty() -> None:
    assert outcome("list_root") == ("[]", 0)


def test_privileges() -> None:
    lines = dict(item.split(":") for item in outcome("status")[0].split())
    kept = f"{0x1F:016x}"
    none = f"{0:016x}"
    assert lines == {
        "CapInh": none,
        "CapPrm": kept,
        "CapEff": kept,
        "CapBnd": none,
        "CapAmb": none,
        "NoNewPrivs": "1",
        "Seccomp": "2",
    }


def test_foreign_descriptors_are_closed() -> None:
    # 0-2, the result, procfs, the root, the listing and the copy of it that listdir makes.
    assert len(outcome("descriptors")[0].split(",")) == 8


def test_a_descriptor_that_nobody_declared_is_refused() -> None:
    assert "descriptors that nobody declared: " in outcome("stranger")[0]
