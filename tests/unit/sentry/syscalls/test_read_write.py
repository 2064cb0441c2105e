"""Tests of read, write and pipes."""

import pytest

from sentry.abi.errno import EAGAIN, EFAULT, EPIPE, ERESTARTSYS
from sentry.abi.fcntl import O_DIRECT, O_NONBLOCK
from sentry.abi.types import Fd, Int, Long, Size, UserPtr
from sentry.syscalls.pipe import sys_pipe2
from sentry.syscalls.read_write import sys_read, sys_readv, sys_write, sys_writev
from tests.fake_task import BASE, FakeTask, Running, call

BUFFER = UserPtr(BASE + 0x1000)


@pytest.fixture
def task() -> FakeTask:
    return FakeTask()


def make_pipe(task: FakeTask, flags: int = 0) -> tuple[Fd, Fd]:
    assert call(task, lambda: sys_pipe2(task, UserPtr(BASE), Int(flags))) == 0
    raw = task.memory.read(BASE, 8)
    return Fd(int.from_bytes(raw[:4], "little")), Fd(int.from_bytes(raw[4:], "little"))


def test_read_of_an_empty_pipe_sleeps_until_a_write(task: FakeTask) -> None:
    reader, writer = make_pipe(task)
    other = FakeTask(task.kernel, 2)
    other.fds = task.fds
    reading = Running(task, lambda: sys_read(task, reader, BUFFER, Size(10)))
    assert reading.is_blocked
    other.memory.write(BUFFER, b"hello")
    assert call(other, lambda: sys_write(other, writer, BUFFER, Size(5))) == 5
    assert reading.resume() == 5
    assert task.memory.read(BUFFER, 5) == b"hello"


def test_big_write_goes_on_over_sleeps(task: FakeTask) -> None:
    reader, writer = make_pipe(task)
    other = FakeTask(task.kernel, 2)
    other.fds = task.fds
    data = bytes(range(256)) * 800
    task.memory.write(BUFFER, data)
    writing = Running(task, lambda: sys_write(task, writer, BUFFER, Size(len(data))))
    assert writing.is_blocked
    got = b""
    while len(got) < len(data):
        done = call(other, lambda: sys_read(other, reader, BUFFER, Size(100_000)))
        got += other.memory.read(BUFFER, done)
        if not writing.is_blocked:
            if writing.result != len(data):
                writing.resume()
    assert got == data
    assert writing.result == len(data)


def test_signal_ends_a_big_write_with_its_count(task: FakeTask) -> None:
    _, writer = make_pipe(task)
    writing = Running(task, lambda: sys_write(task, writer, BUFFER, Size(100_000)))
    assert writing.is_blocked
    task.has_signal = True
    task.wake(0)
    assert writing.resume() == 65536


def test_signal_ends_an_empty_read(task: FakeTask) -> None:
    reader, _ = make_pipe(task)
    reading = Running(task, lambda: sys_read(task, reader, BUFFER, Size(1)))
    task.has_signal = True
    task.wake(0)
    assert reading.resume() == -ERESTARTSYS


def test_end_of_file_and_broken_pipe() -> None:
    task = FakeTask(pid=2)
    reader, writer = make_pipe(task)
    task.fds.close(writer, task)
    assert call(task, lambda: sys_read(task, reader, BUFFER, Size(1))) == 0
    reader, writer = make_pipe(task)
    task.fds.close(reader, task)
    assert call(task, lambda: sys_write(task, writer, BUFFER, Size(1))) == -EPIPE
    assert task.group.is_exiting  # SIGPIPE's default action


def test_small_writes_are_atomic(task: FakeTask) -> None:
    reader, writer = make_pipe(task, O_NONBLOCK)
    assert call(task, lambda: sys_write(task, writer, BUFFER, Size(65536 - 10))) == 65526
    assert call(task, lambda: sys_write(task, writer, BUFFER, Size(11))) == -EAGAIN
    assert call(task, lambda: sys_write(task, writer, BUFFER, Size(5000))) == 10
    assert call(task, lambda: sys_write(task, writer, BUFFER, Size(5000))) == -EAGAIN
    assert call(task, lambda: sys_read(task, reader, BUFFER, Size(100_000))) == 65536
    assert call(task, lambda: sys_read(task, reader, BUFFER, Size(1))) == -EAGAIN


def test_packets(task: FakeTask) -> None:
    reader, writer = make_pipe(task, O_DIRECT)
    task.memory.write(BUFFER, b"abcdef")
    assert call(task, lambda: sys_write(task, writer, BUFFER, Size(6))) == 6
    assert call(task, lambda: sys_write(task, writer, BUFFER, Size(3))) == 3
    assert call(task, lambda: sys_read(task, reader, BUFFER, Size(2))) == 2
    assert call(task, lambda: sys_read(task, reader, BUFFER, Size(100))) == 3
    assert task.memory.read(BUFFER, 3) == b"abc"


def test_vectors(task: FakeTask) -> None:
    reader, writer = make_pipe(task)
    task.memory.write(BUFFER, b"hello world")
    iov = b"".join(n.to_bytes(8, "little") for n in (BUFFER, 6, BUFFER + 6, 5, BUFFER + 100, 0))
    task.memory.write(BASE + 0x100, iov)
    vec = UserPtr(BASE + 0x100)
    assert call(task, lambda: sys_writev(task, writer, vec, Long(3))) == 11
    task.memory.write(BUFFER, bytes(11))
    assert call(task, lambda: sys_readv(task, reader, vec, Long(3))) == 11
    assert task.memory.read(BUFFER, 11) == b"hello world"


def test_bad_buffer_loses_nothing(task: FakeTask) -> None:
    reader, writer = make_pipe(task)
    assert call(task, lambda: sys_write(task, writer, BUFFER, Size(4))) == 4
    assert call(task, lambda: sys_read(task, reader, UserPtr(8), Size(4))) == -EFAULT
    assert call(task, lambda: sys_read(task, reader, BUFFER, Size(4))) == 4
