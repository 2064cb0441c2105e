"""Lines of the log of system calls."""

import struct

import pytest

from sentry import strace
from sentry.abi import errno, fcntl, signal, socket, stat, syscalls
from sentry.log import Log
from sentry.strace_sockets import ipv6
from sentry.strace_tables import ARGUMENTS
from tests.fake_task import BASE, SIZE, FakeMemory, FakeThread

AT_FDCWD = (1 << 64) - 100


class Lines(Log):
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)


class Memory(FakeMemory):
    """Guest memory that is filled from its start."""

    def __init__(self) -> None:
        super().__init__()
        self._next = BASE

    def put(self, data: bytes) -> int:
        """Place `data` somewhere and return its address."""
        address = self._next
        self._next += (len(data) + 15) & ~7
        self.write(address, data)
        return address


def stopped(memory: FakeMemory, number: int, *args: int) -> FakeThread:
    """Return a thread that is about to make a call."""
    thread = FakeThread(memory)
    thread.number = number
    thread.a0, thread.a1, thread.a2, thread.a3, thread.a4, thread.a5 = args + (0,) * (6 - len(args))
    return thread


@pytest.fixture
def memory() -> Memory:
    return Memory()


def line(memory: FakeMemory, number: int, args: tuple[int, ...], result: int = 0) -> str:
    """Return the line of a call without its time."""
    full = args + (0,) * (6 - len(args))
    text = strace.format_call(number, full, memory, result, 12_345)
    assert text.endswith(" (12 µs)")
    return text.removesuffix(" (12 µs)")


def test_openat(memory):
    path = memory.put(b"/etc/passwd\0")
    flags = fcntl.O_RDONLY | fcntl.O_CLOEXEC
    assert (
        line(memory, syscalls.SYS_openat, (AT_FDCWD, path, flags, 0o777), 3)
        == 'openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3'
    )


def test_openat_shows_the_mode_of_a_new_file(memory):
    path = memory.put(b"f\0")
    flags = fcntl.O_WRONLY | fcntl.O_CREAT
    assert (
        line(memory, syscalls.SYS_openat, (AT_FDCWD, path, flags, 0o644), -errno.EACCES)
        == 'openat(AT_FDCWD, "f", O_WRONLY|O_CREAT, 0644) = -1 EACCES (Permission denied)'
    )


def test_unreadable_pointer_is_shown_as_a_number(memory):
    assert (
        line(memory, syscalls.SYS_chdir, (0xDEAD000,), -errno.EFAULT)
        == "chdir(0xdead000) = -1 EFAULT (Bad address)"
    )


def test_strings_are_escaped_and_cut(memory):
    data = memory.put(b'\x1b[31m"\n\0\xff' + b"x" * 100)
    assert (
        line(memory, syscalls.SYS_write, (1, data, 108), 108)
        == 'write(1, "\\033[31m\\"\\n\\000\\377xxxxxxxxxxxxxxxxxxxxxxx"…, 108) = 108'
    )


def test_a_line_is_ascii_without_control_characters(memory):
    path = memory.put(bytes(range(1, 256)) + b"\0")
    text = line(memory, syscalls.SYS_unlink, (path,))
    assert all(32 <= ord(character) < 127 or character == "…" for character in text)


def test_read_shows_what_was_read(memory):
    where = memory.put(b"hello world")
    assert line(memory, syscalls.SYS_read, (0, where, 4096), 5) == 'read(0, "hello", 4096) = 5'


def test_failed_read_shows_the_address(memory):
    where = memory.put(b"hello")
    text = line(memory, syscalls.SYS_read, (0, where, 5), -errno.EAGAIN)
    assert text == f"read(0, {where:#x}, 5) = -1 EAGAIN (Resource temporarily unavailable)"


def test_stat(memory):
    path = memory.put(b"/x\0")
    file = stat.Stat()
    file.mode = stat.S_IFREG | 0o644
    file.size = 42
    where = memory.put(stat.pack_stat(file))
    assert (
        line(memory, syscalls.SYS_stat, (path, where))
        == 'stat("/x", {st_mode=S_IFREG|0644, st_size=42, …}) = 0'
    )


def test_mmap(memory):
    args = (0, 8192, 3, 0x22, 0xFFFFFFFF, 0)
    assert (
        line(memory, syscalls.SYS_mmap, args, 0x7F0000000000)
        == "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0x0)"
        " = 0x7f0000000000"
    )


def test_connect(memory):
    where = memory.put(socket.pack_sockaddr_in(bytes((127, 0, 0, 1)), 80))
    assert (
        line(memory, syscalls.SYS_connect, (3, where, 16), -errno.ECONNREFUSED)
        == 'connect(3, {sa_family=AF_INET, sin_port=80, sin_addr="127.0.0.1"}, 16)'
        " = -1 ECONNREFUSED (Connection refused)"
    )


def test_connect_to_an_abstract_name(memory):
    where = memory.put(socket.pack_sockaddr_un(b"\0name"))
    assert (
        line(memory, syscalls.SYS_connect, (3, where, 7))
        == 'connect(3, {sa_family=AF_UNIX, sun_path=@"name"}, 7) = 0'
    )


def test_sendmsg_with_rights(memory):
    base = memory.put(b"hi")
    vector = memory.put(struct.pack("<QQ", base, 2))
    data = socket.pack_cmsg(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("<ii", 4, 5))
    control = memory.put(data)
    header = struct.pack("<QI4xQQQQI4x", 0, 0, vector, 1, control, len(data), 0)
    text = line(memory, syscalls.SYS_sendmsg, (3, memory.put(header), 0x4000), 2)
    assert 'msg_iov=[{iov_base="hi", iov_len=2}]' in text
    assert "msg_control=[{SCM_RIGHTS, [4, 5]}]" in text
    assert text.endswith(", MSG_NOSIGNAL) = 2")


def test_rt_sigaction(memory):
    action = memory.put(
        signal.pack_sigaction(0x401000, signal.SA_RESTART, 0, signal.sigmask(signal.SIGINT))
    )
    assert (
        line(memory, syscalls.SYS_rt_sigaction, (signal.SIGTERM, action, 0, 8))
        == "rt_sigaction(SIGTERM, {sa_handler=0x401000, sa_mask=[INT], sa_flags=SA_RESTART},"
        " NULL, 8) = 0"
    )


def test_wait4(memory):
    where = memory.put(struct.pack("<i", 3 << 8))
    assert (
        line(memory, syscalls.SYS_wait4, ((1 << 64) - 1, where, 0, 0), 7)
        == "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 7"
    )


def test_poll_shows_events_and_results(memory):
    where = memory.put(struct.pack("<ihh", 3, 1, 1))
    assert (
        line(memory, syscalls.SYS_poll, (where, 1, 0xFFFFFFFF), 1)
        == "poll([{fd=3, events=POLLIN, revents=POLLIN}], 1, -1) = 1"
    )
    assert line(memory, syscalls.SYS_poll, (where, 1, 5), 0).endswith(" = 0 (Timeout)")


def test_futex(memory):
    where = memory.put(b"\0\0\0\0")
    assert line(memory, syscalls.SYS_futex, (where, 129, 1, 0, 0, 0), 1).startswith(
        f"futex({where:#x}, FUTEX_WAKE|FUTEX_PRIVATE_FLAG, 1, "
    )


def test_execve_hides_the_environment(memory):
    path = memory.put(b"/bin/ls\0")
    first = memory.put(b"ls\0")
    second = memory.put(b"-l\0")
    argv = memory.put(struct.pack("<QQQ", first, second, 0))
    secret = memory.put(b"TOKEN=hunter2\0")
    envp = memory.put(struct.pack("<QQ", secret, 0))
    text = line(memory, syscalls.SYS_execve, (path, argv, envp), -errno.ENOENT)
    assert text.startswith(f'execve("/bin/ls", ["ls", "-l"], {envp:#x} /* 1 vars */) = -1 ENOENT')
    assert "hunter2" not in text


def test_fcntl_getfl(memory):
    assert (
        line(memory, syscalls.SYS_fcntl, (3, fcntl.F_GETFL, 0), 0o4002)
        == "fcntl(3, F_GETFL, 0x0) = 0x802 (flags O_RDWR|O_NONBLOCK)"
    )


def test_unknown_call(memory):
    assert line(memory, 9999, (1,), -errno.ENOSYS) == (
        "syscall_9999(0x1, 0x0, 0x0, 0x0, 0x0, 0x0) = -1 ENOSYS (Function not implemented)"
    )


@pytest.mark.parametrize("number", sorted(syscalls.NAMES))
def test_no_arguments_can_break_it(memory, number):
    garbage = memory.put(b"\xff" * 512)
    zeros = memory.put(b"\0" * 512)
    highest = (1 << 64) - 1
    for value in (0, 1, garbage, zeros, highest, BASE + SIZE - 8):
        for result in (0, 1, 4096, highest >> 1, -1, -errno.ERESTARTSYS):
            assert strace.format_call(number, (value,) * 6, memory, result, 0)


def test_no_call_has_more_than_six_arguments():
    assert max(len(kinds) for kinds in ARGUMENTS.values()) == 6


def test_what_goes_in_is_read_when_the_call_begins(memory):
    log = Lines()
    trace = strace.Strace(log, frozenset())
    path = memory.put(b"/a\0")
    trace.begin(7, b"c\nat", stopped(memory, syscalls.SYS_chdir, path), 1_000)
    memory.write(path, b"/b\0")
    trace.end(7, 0, 4_000)
    assert log.lines == ['[   7] c?at: chdir("/a") = 0 (3 µs)']


def test_restarted_call_ends_again(memory):
    log = Lines()
    trace = strace.Strace(log, frozenset())
    trace.begin(7, b"cat", stopped(memory, syscalls.SYS_read, 0, 0, 1), 0)
    trace.end(7, -errno.ERESTARTSYS, 0)
    trace.end(7, 0, 0)
    trace.end(7, 0, 0)
    assert [text.partition(" = ")[2] for text in log.lines] == [
        "? ERESTARTSYS (To be restarted if SA_RESTART is set) (0 µs)",
        "0 (0 µs)",
    ]


def test_only_named_calls_are_logged(memory):
    log = Lines()
    trace = strace.Strace(log, strace.parse_names("getpid, exit"))
    for number in (syscalls.SYS_getpid, syscalls.SYS_getuid):
        trace.begin(1, b"x", stopped(memory, number), 0)
        trace.end(1, 0, 0)
    trace.begin(1, b"x", stopped(memory, syscalls.SYS_exit, 3), 0)
    trace.end(1, -(1 << 34), 0)
    assert log.lines == ["[   1] x: getpid() = 0 (0 µs)", "[   1] x: exit(3) = ?"]


def test_names_that_are_no_calls_are_refused():
    with pytest.raises(ValueError, match="no such system call: opne"):
        strace.parse_names("read,opne")


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (bytes(16), "::"),
        (bytes(15) + b"\1", "::1"),
        (bytes.fromhex("20010db8000000000001000000000001"), "2001:db8::1:0:0:1"),
        (bytes.fromhex("20010db8000100020003000400050006"), "2001:db8:1:2:3:4:5:6"),
    ],
)
def test_ipv6(host, text):
    assert ipv6(host) == text
