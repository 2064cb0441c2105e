"""Confines a process as the sandbox is, then lets it try one thing.

`python -m tests.confinement.prisoner ATTEMPT [report]` prints what the attempt
returned and how the process ended, as "RESULT|STATUS" (STATUS as in wait(2)).
"""

import ctypes
import os
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
    host_filter = confine.prepare_filter(report_fd=report_fd)
    CELL.proc_fd = confine.enter_empty_world("prisoner")
    declared.declare(CELL.proc_fd, "proc")
    confine.drop_privileges()
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
