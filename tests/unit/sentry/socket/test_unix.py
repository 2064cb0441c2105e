"""Tests of unix sockets."""

from struct import pack, unpack

import pytest

from sentry.abi.errno import (
    EADDRINUSE,
    EAFNOSUPPORT,
    EAGAIN,
    ECONNREFUSED,
    EMSGSIZE,
    ENOTCONN,
    ENOTSOCK,
    EPIPE,
)
from sentry.abi.types import Fd, Int, Size, UserPtr
from sentry.mm.io import KernelSink, KernelSource
from sentry.socket.in_flight import IN_FLIGHT
from sentry.syscalls.read_write import sys_read, sys_write
from sentry.syscalls.socket import (
    sys_accept4,
    sys_bind,
    sys_connect,
    sys_getpeername,
    sys_getsockname,
    sys_getsockopt,
    sys_listen,
    sys_recvfrom,
    sys_recvmsg,
    sys_sendmsg,
    sys_sendto,
    sys_setsockopt,
    sys_shutdown,
    sys_socket,
    sys_socketpair,
)
from tests.fake_task import BASE, FakeTask, Running, call
from tests.unit.sentry.syscalls.test_read_write import BUFFER, make_pipe

NULL = UserPtr(0)
AT = UserPtr(BASE + 0x100)
SIZE_AT = UserPtr(BASE + 0x300)


@pytest.fixture
def task() -> FakeTask:
    return FakeTask(pid=2)


def pair(task: FakeTask, kind: int) -> tuple[Fd, Fd]:
    assert call(task, lambda: sys_socketpair(task, Int(1), Int(kind), Int(0), AT)) == 0
    first, second = unpack("<ii", task.memory.read(AT, 8))
    return Fd(first), Fd(second)


def send(task: FakeTask, fd: Fd, data: bytes, flags: int = 0) -> int:
    task.memory.write(BUFFER, data)
    size = Size(len(data))
    return call(task, lambda: sys_sendto(task, fd, BUFFER, size, Int(flags), NULL, Int(0)))


def receive(task: FakeTask, fd: Fd, size: int, flags: int = 0) -> bytes | int:
    done = call(task, lambda: sys_recvfrom(task, fd, BUFFER, Size(size), Int(flags), NULL, NULL))
    return done if done < 0 else task.memory.read(BUFFER, done)


def test_streams_join_and_split(task: FakeTask) -> None:
    first, second = pair(task, 1)
    assert send(task, first, b"hello ") == 6
    assert send(task, first, b"world") == 5
    assert receive(task, second, 3, 2) == b"hel"  # MSG_PEEK
    assert receive(task, second, 100) == b"hello world"
    assert receive(task, second, 1, 0x40) == -EAGAIN
    task.fds.close(first, task)
    assert receive(task, second, 1) == b""
    assert send(task, second, b"x", 0x4000) == -EPIPE
    assert not task.group.is_exiting
    assert send(task, second, b"x") == -EPIPE
    assert task.group.is_exiting


def test_packets_keep_their_borders(task: FakeTask) -> None:
    for kind in (2, 5):
        first, second = pair(task, kind)
        assert send(task, first, b"one") == 3
        assert send(task, first, b"two") == 3
        assert receive(task, second, 2) == b"on"
        assert receive(task, second, 10) == b"two"
        assert send(task, first, bytes(300_000)) == -EMSGSIZE


def test_big_stream_write_sleeps(task: FakeTask) -> None:
    first, second = pair(task, 1)
    other = FakeTask(task.kernel, 3)
    other.fds = task.fds
    writing = Running(task, lambda: sys_write(task, first, BUFFER, Size(500_000)))
    assert writing.is_blocked
    total = 0
    while total < 500_000:
        total += call(other, lambda: sys_read(other, second, BUFFER, Size(200_000)))
        if not writing.is_blocked and writing.result != 500_000:
            writing.resume()
    assert writing.result == 500_000


def address(task: FakeTask, name: bytes) -> tuple[UserPtr, Int]:
    task.memory.write(AT, b"\x01\x00" + name)
    return AT, Int(2 + len(name))


def test_connect_and_accept(task: FakeTask) -> None:
    server = Fd(call(task, lambda: sys_socket(task, Int(1), Int(1), Int(0))))
    client = Fd(call(task, lambda: sys_socket(task, Int(1), Int(1), Int(0))))
    at, size = address(task, b"\0name")
    assert call(task, lambda: sys_connect(task, client, at, size)) == -ECONNREFUSED
    assert call(task, lambda: sys_bind(task, server, at, size)) == 0
    assert call(task, lambda: sys_bind(task, client, at, size)) == -EADDRINUSE
    assert call(task, lambda: sys_listen(task, server, Int(5))) == 0
    accepting = Running(task, lambda: sys_accept4(task, server, NULL, NULL, Int(0)))
    assert accepting.is_blocked
    other = FakeTask(task.kernel, 3)
    other.fds = task.fds
    other_at, size = address(other, b"\0name")
    assert call(other, lambda: sys_connect(other, client, other_at, size)) == 0
    end = Fd(accepting.resume())
    assert end > client
    assert send(task, client, b"hi") == 2
    assert receive(task, end, 10) == b"hi"
    task.memory.write(SIZE_AT, pack("<i", 100))
    assert call(task, lambda: sys_getpeername(task, client, AT, SIZE_AT)) == 0
    assert unpack("<i", task.memory.read(SIZE_AT, 4)) == (7,)
    assert task.memory.read(AT, 7) == b"\x01\x00\0name"
    task.memory.write(SIZE_AT, pack("<i", 12))
    assert call(task, lambda: sys_getsockopt(task, end, Int(1), Int(17), AT, SIZE_AT)) == 0
    assert unpack("<iII", task.memory.read(AT, 12)) == (3, 0, 0)
    task.fds.close(server, task)
    at, size = address(task, b"\0name")
    again = Fd(call(task, lambda: sys_socket(task, Int(1), Int(1), Int(0))))
    assert call(task, lambda: sys_bind(task, again, at, size)) == 0
    assert call(task, lambda: sys_getsockname(task, again, AT, SIZE_AT)) == 0


def message(task: FakeTask, data: bytes, control: bytes) -> UserPtr:
    task.memory.write(BUFFER, data)
    task.memory.write(BASE + 0x2000, pack("<QQ", BUFFER, len(data)))
    task.memory.write(BASE + 0x2100, control)
    header = pack("<QIIQQQQII", 0, 0, 0, BASE + 0x2000, 1, BASE + 0x2100, len(control), 0, 0)
    task.memory.write(BASE + 0x2200, header)
    return UserPtr(BASE + 0x2200)


def test_descriptors_travel(task: FakeTask) -> None:
    first, second = pair(task, 1)
    reader, writer = make_pipe(task)
    pipe_end = task.fds.get(reader)
    at = message(task, b"x", pack("<Qiii", 20, 1, 1, reader))
    assert call(task, lambda: sys_sendmsg(task, first, at, Int(0))) == 1
    task.fds.close(reader, task)
    assert pipe_end.references == 1
    at = message(task, bytes(10), bytes(64))
    assert call(task, lambda: sys_recvmsg(task, second, at, Int(0))) == 1
    size, level, kind, fd = unpack("<Qiii", task.memory.read(BASE + 0x2100, 20))
    assert (size, level, kind) == (20, 1, 1)
    assert task.fds.get(fd) is pipe_end
    assert pipe_end.references == 1
    assert task.fds.get(writer).try_write(KernelSource(b"via")) == 3
    assert pipe_end.try_read(KernelSink(10)) == 3
    assert IN_FLIGHT.count == 0


def test_descriptors_that_nobody_receives_are_closed(task: FakeTask) -> None:
    first, second = pair(task, 1)
    reader, _ = make_pipe(task)
    pipe_end = task.fds.get(reader)
    at = message(task, b"x", pack("<Qiii", 20, 1, 1, reader))
    assert call(task, lambda: sys_sendmsg(task, first, at, Int(0))) == 1
    task.fds.close(reader, task)
    task.fds.close(second, task)
    assert pipe_end.references == 0
    assert IN_FLIGHT.count == 0


def test_credentials(task: FakeTask) -> None:
    first, second = pair(task, 1)
    task.memory.write(AT, pack("<i", 1))
    assert call(task, lambda: sys_setsockopt(task, second, Int(1), Int(16), AT, Int(4))) == 0
    assert send(task, first, b"x") == 1
    at = message(task, bytes(10), bytes(64))
    assert call(task, lambda: sys_recvmsg(task, second, at, Int(0))) == 1
    assert unpack("<QiiiII", task.memory.read(BASE + 0x2100, 28)) == (28, 1, 2, 2, 0, 0)


def test_shutdown_and_errors(task: FakeTask) -> None:
    first, second = pair(task, 1)
    assert call(task, lambda: sys_shutdown(task, first, Int(1))) == 0
    assert receive(task, second, 5) == b""
    assert send(task, second, b"x") == 1
    assert receive(task, first, 5) == b"x"
    reader, _ = make_pipe(task)
    assert receive(task, reader, 5) == -ENOTSOCK
    assert call(task, lambda: sys_socket(task, Int(2), Int(1), Int(0))) == -EAFNOSUPPORT
    lonely = Fd(call(task, lambda: sys_socket(task, Int(1), Int(1), Int(0))))
    assert send(task, lonely, b"x") == -ENOTCONN


def test_receive_timeout(task: FakeTask) -> None:
    first, _ = pair(task, 1)
    task.memory.write(AT, pack("<qq", 0, 1000))
    assert call(task, lambda: sys_setsockopt(task, first, Int(1), Int(20), AT, Int(16))) == 0
    waiting = Running(task, lambda: sys_recvfrom(task, first, BUFFER, Size(1), Int(0), NULL, NULL))
    task.advance(1_000_000)
    assert waiting.resume() == -EAGAIN
