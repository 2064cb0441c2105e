"""Tests of poll, ppoll and select."""

from struct import pack, unpack

import pytest

from sentry.abi.errno import EBADF, ERESTART_RESTARTBLOCK, ERESTARTNOHAND
from sentry.abi.types import Fd, Int, Size, Uint, UserPtr
from sentry.mm.io import KernelSource
from sentry.syscalls.poll import sys_poll, sys_ppoll, sys_select
from sentry.syscalls.read_write import sys_write
from tests.fake_task import BASE, FakeTask, Running, call
from tests.unit.sentry.syscalls.test_read_write import BUFFER, make_pipe

FDS = UserPtr(BASE + 0x2000)


@pytest.fixture
def task() -> FakeTask:
    return FakeTask()


def test_poll_sleeps_until_ready(task: FakeTask) -> None:
    reader, writer = make_pipe(task)
    task.memory.write(FDS, pack("<ihhihhihh", reader, 1, 9, 99, 1, 0, -1, 1, 5))
    assert call(task, lambda: sys_poll(task, FDS, Uint(3), Int(-1))) == 1
    assert unpack("<ihhihhihh", task.memory.read(FDS, 24)) == (reader, 1, 0, 99, 1, 32, -1, 1, 0)
    polling = Running(task, lambda: sys_poll(task, FDS, Uint(1), Int(-1)))
    assert polling.is_blocked
    other = FakeTask(task.kernel, 2)
    other.fds = task.fds
    assert call(other, lambda: sys_write(other, writer, BUFFER, Size(5))) == 5
    assert polling.resume() == 1
    assert unpack("<ihh", task.memory.read(FDS, 8)) == (reader, 1, 1)
    assert task.fds.get(reader).references == 1


def test_poll_gives_up(task: FakeTask) -> None:
    reader, _ = make_pipe(task)
    task.memory.write(FDS, pack("<ihh", reader, 1, 9))
    assert call(task, lambda: sys_poll(task, FDS, Uint(1), Int(0))) == 0
    polling = Running(task, lambda: sys_poll(task, FDS, Uint(1), Int(10)))
    assert polling.is_blocked
    task.advance(9_999_999)
    assert polling.is_blocked
    task.advance(1)
    assert polling.resume() == 0
    polling = Running(task, lambda: sys_poll(task, FDS, Uint(1), Int(10)))
    task.has_signal = True
    task.wake(0)
    assert polling.resume() == -ERESTART_RESTARTBLOCK


def test_ppoll_sets_its_mask_and_writes_the_time_left(task: FakeTask) -> None:
    reader, _ = make_pipe(task)
    mask, limit = UserPtr(BASE + 0x3000), UserPtr(BASE + 0x3100)
    task.memory.write(FDS, pack("<ihh", reader, 1, 9))
    task.memory.write(mask, pack("<Q", 0b1000))
    task.memory.write(limit, pack("<qq", 2, 5))
    polling = Running(task, lambda: sys_ppoll(task, FDS, Uint(1), limit, mask, Size(8)))
    assert polling.is_blocked
    assert task.signal_mask == 0b1000
    task.advance(1_000_000_000)
    task.has_signal = True
    task.wake(0)
    assert polling.resume() == -ERESTARTNOHAND
    assert unpack("<qq", task.memory.read(limit, 16)) == (1, 5)
    assert task.saved_mask == 0


def test_select(task: FakeTask) -> None:
    reader, writer = make_pipe(task)
    reads, writes = UserPtr(BASE + 0x3000), UserPtr(BASE + 0x3100)
    none = UserPtr(0)
    task.memory.write(reads, pack("<Q", 1 << reader))
    task.memory.write(writes, pack("<Q", 1 << writer | 1 << reader))
    count = Int(writer + 1)
    assert call(task, lambda: sys_select(task, count, reads, writes, none, none)) == 1
    assert task.memory.read(reads, 8) == bytes(8)
    assert unpack("<Q", task.memory.read(writes, 8))[0] == 1 << writer
    task.memory.write(reads, pack("<Q", 1 << 40))
    assert call(task, lambda: sys_select(task, Int(41), reads, none, none, none)) == -EBADF
    task.memory.write(reads, pack("<Q", 1 << reader))
    waiting = Running(task, lambda: sys_select(task, count, reads, none, none, none))
    assert waiting.is_blocked
    task.fds.get(Fd(writer)).try_write(KernelSource(b"x"))
    assert waiting.resume() == 1
    assert unpack("<Q", task.memory.read(reads, 8))[0] == 1 << reader
