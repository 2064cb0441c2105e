"""Confines a process as the sandbox is, then lets it try one thing.

`python -m tests.confinement.prisoner ATTEMPT [report]` prints what the attempt
returned and how the process ended, as "RESULT|STATUS" (STATUS as in wait(2)).
"""

import ctypes
import os
import struct
import sys
import threading
from types import TracebackType

from runsc.boot import confine
from runsc.boot.descriptors import Descriptors
from runsc.sandbox import hostcalls
from sentry import log

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
AT_FDCWD = -100
SOCK_FLAGS = 0o2004000  # SOCK_NONBLOCK, SOCK_CLOEXEC


class Cell:
    """What the prisoner was left with."""

    def __init__(self) -> None:
        self.proc_fd = -1
        self.root_fd = -1
        self.fd_dir = -1
        self.code_address = 0
        self.thread_pipe = (-1, -1)
        self.answer_pipe = (-1, -1)


CELL = Cell()


def syscall(number: int, *arguments: object) -> str:
    """Return the result, or the error's name."""
    result = LIBC.syscall(ctypes.c_long(number), *arguments)
    return str(result) if result >= 0 else os.strerror(ctypes.get_errno())


def nothing() -> str:
    return "alive"


def execve() -> str:
    return syscall(59, b"/bin/true", None, None)


def socket() -> str:
    return syscall(41, 1, 1, 0)


def internet_socket(family: int, kind: int, protocol: int) -> int:
    """Return the descriptor of a socket, made as the sentry makes them."""
    number = ctypes.c_long(41)
    made: int = LIBC.syscall(number, family, kind | SOCK_FLAGS, protocol)
    return made


def internet_sockets() -> str:
    """All that a guest may have, one after the other."""
    kinds = ((2, 1, 6), (2, 2, 17), (10, 1, 6), (10, 2, 17), (16, 3, 0))
    return f"{all(internet_socket(*kind) >= 0 for kind in kinds)}"


def raw_socket() -> str:
    return str(internet_socket(2, 3, 1) >= 0)


def blocking_socket() -> str:
    return syscall(41, 2, 1, 6)


def mptcp_socket() -> str:
    return str(internet_socket(2, 1, 262))


def packet_socket() -> str:
    return str(internet_socket(17, 3, 0x300))


def diag_socket() -> str:
    return str(internet_socket(16, 3, 4))


def vsock_socket() -> str:
    return str(internet_socket(40, 1, 0))


def attach_filter() -> str:
    return syscall(54, internet_socket(2, 2, 17), 1, 26, bytes(16), 16)


def waiting_send() -> str:
    return syscall(46, internet_socket(2, 2, 17), bytes(56), 0x4000)


def fast_open() -> str:
    return syscall(46, internet_socket(2, 1, 6), bytes(56), 0x20004040)


def add_route() -> str:
    return syscall(16, internet_socket(2, 2, 17), ctypes.c_long(0x890B), bytes(120))


def set_interface_flags() -> str:
    return syscall(16, internet_socket(2, 2, 17), ctypes.c_long(0x8914), b"lo".ljust(40, b"\0"))


def change_of_the_network() -> str:
    """A request that brings `lo` down passes the filter, but not the host's kernel."""
    netlink = internet_socket(16, 3, 0)
    body = struct.pack("<BxHiII", 0, 0, 1, 0, 1)
    request = struct.pack("<IHHII", 16 + len(body), 16, 5, 1, 0) + body
    part = ctypes.create_string_buffer(request, len(request))
    vector = struct.pack("<QQ", ctypes.addressof(part), len(request))
    vectors = ctypes.create_string_buffer(vector, len(vector))
    header = struct.pack("<QIxxxxQQQQi4x", 0, 0, ctypes.addressof(vectors), 1, 0, 0, 0)
    assert int(syscall(46, netlink, header, 0x4040)) == len(request)
    answer = os.read(netlink, 4096)
    return os.strerror(-struct.unpack_from("<i", answer, 16)[0])


def open_path() -> str:
    return syscall(2, b"/etc/passwd", 0)


def openat_fdcwd() -> str:
    return syscall(257, ctypes.c_long(AT_FDCWD), b"/etc/passwd", 0)


def openat_fdcwd_32() -> str:
    return syscall(257, ctypes.c_long(0xFFFFFF9C), b"/etc/passwd", 0)


def openat_absolute() -> str:
    """The descriptor is ignored for an absolute path: the empty root has to do."""
    return syscall(257, CELL.proc_fd, b"/etc/passwd", 0)


def list_root() -> str:
    return f"{os.listdir(CELL.root_fd)}"


def mmap_exec() -> str:
    return syscall(9, None, ctypes.c_long(4096), 7, 0x22, ctypes.c_long(-1), None)


def mprotect_exec() -> str:
    page = LIBC.syscall(9, None, ctypes.c_long(4096), 3, 0x22, ctypes.c_long(-1), None)
    return syscall(10, ctypes.c_long(page), ctypes.c_long(4096), 5)


def ptrace_attach() -> str:
    return syscall(101, ctypes.c_long(16), 2, None, None)


def ptrace_traceme() -> str:
    return syscall(101, ctypes.c_long(0), 0, None, None)


def fork() -> str:
    return syscall(57)


def clone_thread() -> str:
    return syscall(56, ctypes.c_long(0x10F00), None, None, None, None)


def write_own_memory() -> str:
    return syscall(257, CELL.proc_fd, b"self/mem", os.O_RDWR)


def write_proc() -> str:
    return syscall(257, CELL.proc_fd, b"self/oom_score_adj", os.O_WRONLY)


def read_sysrq() -> str:
    return syscall(257, CELL.proc_fd, b"sysrq-trigger", os.O_RDONLY)


def write_root() -> str:
    return syscall(257, CELL.root_fd, b"new", os.O_CREAT | os.O_WRONLY, 0o600)


def tiocsti() -> str:
    return syscall(16, 0, ctypes.c_long(0x5412), b"x")


def tiocsti_high_bits() -> str:
    return syscall(16, 0, ctypes.c_long(0x1_0000_5412), b"x")


def setuid() -> str:
    return syscall(105, 0)


def gain_capabilities() -> str:
    hostcalls.capset(1 << 21, 1 << 21, 0)
    return "gained"


def int80() -> str:
    """A page with `int 0x80` in it was made before the walls."""
    ctypes.CFUNCTYPE(ctypes.c_int)(CELL.code_address)()
    return "returned"


def status() -> str:
    with os.fdopen(os.open("self/status", os.O_RDONLY, dir_fd=CELL.proc_fd)) as file:
        lines = file.read().splitlines()
    names = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
    return " ".join(line.replace("\t", "") for line in lines if line.split(":")[0] in names)


def descriptors() -> str:
    return f"{sorted(int(fd) for fd in os.listdir(CELL.fd_dir))}"


def threads_are_filtered() -> str:
    os.write(CELL.thread_pipe[1], b"x")
    os.read(CELL.answer_pipe[0], 1)
    return "the thread went on"


def describe_exception() -> str:
    """A bug is described without looking for source files, which would be the end."""
    try:
        raise ValueError("a bug")
    except ValueError:
        return log.describe_exception().splitlines()[-1]


class Careless:
    """Raises where nobody can catch it: the interpreter itself prints the traceback."""

    def __del__(self) -> None:
        raise ValueError("a bug in a finaliser")


def unraisable() -> str:
    careless = Careless()
    del careless
    return "alive"


def uncaught() -> str:
    sys.excepthook(*_error())
    return "alive"


def _error() -> tuple[type[BaseException], BaseException, TracebackType | None]:
    try:
        raise ValueError("a bug that nobody caught")
    except ValueError as error:
        return type(error), error, error.__traceback__


def late_import() -> str:
    import wave

    return wave.__name__


def prepare_code() -> None:
    """Make a page with `mov eax, 11; int 0x80; ret`: execve of the 32-bit table."""
    code = b"\xb8\x0b\x00\x00\x00\xcd\x80\xc3"
    LIBC.mmap.restype = ctypes.c_void_p
    CELL.code_address = LIBC.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))
    ctypes.memmove(CELL.code_address, code, len(code))


def thread_body() -> None:
    os.read(CELL.thread_pipe[0], 1)
    syscall(41, 1, 1, 0)
    os.write(CELL.answer_pipe[1], b"x")


def confine_self(attempt: str, report_fd: int, result_fd: int) -> None:
    """Put up all walls around this process, which is pid 1."""
    declared = Descriptors()
    for fd in (0, 1, 2):
        declared.declare(fd, "standard")
    declared.declare(report_fd, "report")
    declared.declare(result_fd, "result")
    declared.close_others()
    uses_host_network = "host-network" in sys.argv
    allows_raw = "raw" in sys.argv
    host_filter = confine.prepare_filter(
        report_fd=report_fd, uses_host_network=uses_host_network, allows_raw=allows_raw
    )
    CELL.proc_fd = confine.enter_empty_world("prisoner")
    declared.declare(CELL.proc_fd, "proc")
    confine.drop_privileges(
        confine.kept_capabilities(uses_host_network=uses_host_network, allows_raw=allows_raw)
    )
    if attempt == "threads_are_filtered":
        CELL.thread_pipe = os.pipe()
        CELL.answer_pipe = os.pipe()
        threading.Thread(target=thread_body, daemon=True).start()
    CELL.root_fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    CELL.fd_dir = os.open("self/fd", os.O_RDONLY | os.O_DIRECTORY, dir_fd=CELL.proc_fd)
    declared.adopt(CELL.proc_fd, "test")
    if attempt == "stranger":
        os.open("/", os.O_RDONLY)
    confine.seal(declared, CELL.proc_fd, host_filter)


def main() -> None:
    attempt = sys.argv[1]
    report_fd = os.dup(2) if "report" in sys.argv else -1
    read_end, write_end = os.pipe()
    function = globals().get(attempt, nothing)
    prepare_code()
    hostcalls.unshare(hostcalls.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        try:
            confine_self(attempt, report_fd, write_end)
            answer = function()
        except Exception as error:  # noqa: BLE001  whatever it is, it is the answer
            answer = f"{type(error).__name__}: {error}"
        os.write(write_end, answer.encode())
        os._exit(0)
    os.close(write_end)
    answer = os.read(read_end, 4096).decode()
    print(f"{answer}|{os.waitpid(pid, 0)[1]}")


if __name__ == "__main__":
    main()
