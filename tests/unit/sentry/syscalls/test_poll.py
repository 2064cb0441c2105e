"""Tests of poll, ppoll and select."""

from struct import pack, unpack

import pytest

from sentry.abi.errno import EBADF, EFAULT, EINVAL, ERESTART_RESTARTBLOCK, ERESTARTNOHAND
from sentry.abi.types import Fd, Int, Size, Uint, UserPtr
from sentry.mm.io import KernelSource
from sentry.syscalls.poll import sys_poll, sys_ppoll, sys_pselect6, sys_select
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


def test_select_tells_sets_and_time_left_together(task: FakeTask) -> None:
    reader, writer = make_pipe(task)
    reads, writes, limit = (UserPtr(BASE + at) for at in (0x3000, 0x3100, 0x3200))
    none = UserPtr(0)
    count = Int(writer + 1)
    task.memory.write(reads, pack("<Q", 1 << reader))
    task.memory.write(writes, pack("<Q", 0))
    task.memory.write(limit, pack("<qq", 1, 1_500_000))
    waiting = Running(task, lambda: sys_select(task, count, reads, writes, none, limit))
    assert waiting.is_blocked
    task.advance(1_000_000_000)
    task.fds.get(Fd(writer)).try_write(KernelSource(b"x"))
    assert waiting.resume() == 1
    assert unpack("<Q", task.memory.read(reads, 8))[0] == 1 << reader
    assert unpack("<qq", task.memory.read(limit, 16)) == (1, 500_000)
    assert task.fds.get(reader).references == 1


def test_select_forgets_the_time_that_cannot_be_written(task: FakeTask) -> None:
    _, writer = make_pipe(task)
    writes, limit, none = UserPtr(BASE + 0x3000), UserPtr(BASE + 0x3100), UserPtr(0)
    count = Int(writer + 1)
    task.memory.write(writes, pack("<Q", 1 << writer))
    task.memory.write(limit, pack("<qq", 1, 0))
    task.memory.read_only = (limit, limit + 16)
    assert call(task, lambda: sys_pselect6(task, count, none, writes, none, limit, none)) == 1
    assert unpack("<Q", task.memory.read(writes, 8))[0] == 1 << writer
    assert unpack("<qq", task.memory.read(limit, 16)) == (1, 0)
    task.memory.read_only = (writes, writes + 8)
    assert call(task, lambda: sys_pselect6(task, count, none, writes, none, limit, none)) == -EFAULT


def test_what_select_refuses_first(task: FakeTask) -> None:
    _, writer = make_pipe(task)
    limit, mask, none, bad = UserPtr(BASE + 0x3100), UserPtr(BASE + 0x3200), UserPtr(0), UserPtr(8)
    count = Int(writer + 1)
    task.memory.write(mask, pack("<QQ", mask, 5))

    def selected(sets: UserPtr, time: UserPtr, mask_argument: UserPtr, count: Int = count) -> int:
        return call(task, lambda: sys_pselect6(task, count, sets, none, none, time, mask_argument))

    task.memory.write(limit, pack("<qq", 1, -1))
    assert selected(bad, limit, none) == -EINVAL
    assert selected(bad, bad, mask) == -EFAULT
    task.memory.write(limit, pack("<qq", 1, 0))
    assert selected(bad, limit, mask) == -EINVAL
    assert selected(bad, limit, none) == -EFAULT
    assert selected(bad, limit, none, Int(-1)) == -EINVAL
    assert task.saved_mask < 0
