"""Tests of splice, tee and vmsplice."""

from struct import pack

import pytest

from sentry.abi.errno import EAGAIN, EINVAL
from sentry.abi.types import Size, Uint, Ulong, UserPtr
from sentry.mm.io import KernelSink, KernelSource
from sentry.syscalls.splice import sys_splice, sys_tee, sys_vmsplice
from tests.fake_task import BASE, FakeTask, Running, call
from tests.unit.sentry.syscalls.test_read_write import BUFFER, make_pipe

NULL = UserPtr(0)


@pytest.fixture
def task() -> FakeTask:
    return FakeTask(pid=2)


def contents(task: FakeTask, fd: int) -> bytes:
    sink = KernelSink(1000)
    task.fds.get(fd).try_read(sink)
    return bytes(sink.data)


def test_tee_copies_and_splice_moves(task: FakeTask) -> None:
    first_in, first_out = make_pipe(task)
    second_in, second_out = make_pipe(task)
    task.fds.get(first_out).try_write(KernelSource(b"hello"))
    assert call(task, lambda: sys_tee(task, first_in, second_out, Size(3), Uint(0))) == 3
    assert contents(task, second_in) == b"hel"
    move = lambda: sys_splice(task, first_in, NULL, second_out, NULL, Size(99), Uint(0))  # noqa: E731
    assert call(task, move) == 5
    assert contents(task, second_in) == b"hello"
    assert Running(task, move).is_blocked


def test_splice_refuses(task: FakeTask) -> None:
    reader, writer = make_pipe(task)
    same = lambda: sys_splice(task, reader, NULL, writer, NULL, Size(9), Uint(0))  # noqa: E731
    assert call(task, same) == -EINVAL
    other, _ = make_pipe(task)
    task.fds.get(writer)
    assert call(task, lambda: sys_tee(task, other, writer, Size(9), Uint(2))) == -EAGAIN


def test_vmsplice(task: FakeTask) -> None:
    reader, writer = make_pipe(task)
    task.memory.write(BUFFER, b"abc")
    task.memory.write(BASE + 0x100, pack("<QQ", BUFFER, 3))
    iov = UserPtr(BASE + 0x100)
    assert call(task, lambda: sys_vmsplice(task, writer, iov, Ulong(1), Uint(0))) == 3
    assert contents(task, reader) == b"abc"
