"""Tests of epoll and of the event descriptors."""

from struct import pack, unpack

import pytest

from sentry.abi.errno import EAGAIN, EEXIST, EINTR, EINVAL, ELOOP
from sentry.abi.poll import EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLLET, EPOLLIN, EPOLLONESHOT
from sentry.abi.types import Fd, Int, Size, Uint, UserPtr
from sentry.kernel.signal import send_to_task, user_info
from sentry.mm.io import KernelSink, KernelSource
from sentry.syscalls.epoll import sys_epoll_create1, sys_epoll_ctl, sys_epoll_wait
from sentry.syscalls.event_fds import (
    sys_eventfd2,
    sys_memfd_create,
    sys_signalfd4,
    sys_timerfd_create,
    sys_timerfd_gettime,
    sys_timerfd_settime,
)
from sentry.syscalls.read_write import sys_read, sys_write
from tests.fake_task import BASE, FakeTask, Running, call
from tests.unit.sentry.syscalls.test_read_write import BUFFER, make_pipe

EVENTS = UserPtr(BASE + 0x4000)
NULL = UserPtr(0)


@pytest.fixture
def task() -> FakeTask:
    return FakeTask()


def new_epoll(task: FakeTask) -> Fd:
    return Fd(call(task, lambda: sys_epoll_create1(task, Int(0))))


def control(task: FakeTask, epfd: Fd, operation: int, fd: Fd, events: int) -> int:
    task.memory.write(BASE + 0x5000, pack("<IQ", events, fd))
    pointer = UserPtr(BASE + 0x5000)
    return call(task, lambda: sys_epoll_ctl(task, epfd, Int(operation), fd, pointer))


def ready(task: FakeTask, epfd: Fd) -> list[tuple[int, int]]:
    count = call(task, lambda: sys_epoll_wait(task, epfd, EVENTS, Int(8), Int(0)))
    raw = task.memory.read(EVENTS, 12 * count)
    found = []
    for index in range(count):
        events, data = unpack("<IQ", raw[index * 12 : index * 12 + 12])
        found.append((data, events))
    return found


def put(task: FakeTask, fd: Fd, data: bytes) -> None:
    task.fds.get(fd).try_write(KernelSource(data))


def test_levels_edges_and_one_shot(task: FakeTask) -> None:
    epfd = new_epoll(task)
    reader, writer = make_pipe(task)
    assert control(task, epfd, EPOLL_CTL_ADD, reader, EPOLLIN) == 0
    assert control(task, epfd, EPOLL_CTL_ADD, reader, EPOLLIN) == -EEXIST
    assert ready(task, epfd) == []
    put(task, writer, b"x")
    assert ready(task, epfd) == [(reader, EPOLLIN)]
    assert ready(task, epfd) == [(reader, EPOLLIN)]
    control(task, epfd, EPOLL_CTL_MOD, reader, EPOLLIN | EPOLLET)
    assert ready(task, epfd) == [(reader, EPOLLIN)]
    assert ready(task, epfd) == []
    put(task, writer, b"y")
    assert ready(task, epfd) == [(reader, EPOLLIN)]
    control(task, epfd, EPOLL_CTL_MOD, reader, EPOLLIN | EPOLLONESHOT)
    assert ready(task, epfd) == [(reader, EPOLLIN)]
    put(task, writer, b"z")
    assert ready(task, epfd) == []
    control(task, epfd, EPOLL_CTL_MOD, reader, EPOLLIN)
    assert ready(task, epfd) == [(reader, EPOLLIN)]
    task.fds.close(reader, task)
    assert ready(task, epfd) == []


def test_wait_sleeps_and_is_woken_through_a_nested_instance(task: FakeTask) -> None:
    outer, inner = new_epoll(task), new_epoll(task)
    reader, writer = make_pipe(task)
    control(task, inner, EPOLL_CTL_ADD, reader, EPOLLIN)
    assert control(task, outer, EPOLL_CTL_ADD, inner, EPOLLIN) == 0
    assert control(task, inner, EPOLL_CTL_ADD, outer, EPOLLIN) == -ELOOP
    assert control(task, inner, EPOLL_CTL_ADD, inner, EPOLLIN) == -EINVAL
    waiting = Running(task, lambda: sys_epoll_wait(task, outer, EVENTS, Int(8), Int(-1)))
    assert waiting.is_blocked
    put(task, writer, b"x")
    assert waiting.resume() == 1
    empty = new_epoll(task)
    waiting = Running(task, lambda: sys_epoll_wait(task, empty, EVENTS, Int(8), Int(5)))
    task.advance(5_000_000)
    assert waiting.resume() == 0


def test_signal_ends_epoll_wait(task: FakeTask) -> None:
    epfd = new_epoll(task)
    waiting = Running(task, lambda: sys_epoll_wait(task, epfd, EVENTS, Int(8), Int(-1)))
    task.has_signal = True
    task.wake(0)
    assert waiting.resume() == -EINTR


def test_eventfd(task: FakeTask) -> None:
    fd = Fd(call(task, lambda: sys_eventfd2(task, Uint(3), Int(1 | 0o4000))))
    for _ in range(3):
        assert call(task, lambda: sys_read(task, fd, BUFFER, Size(8))) == 8
        assert task.memory.read(BUFFER, 8) == pack("<Q", 1)
    assert call(task, lambda: sys_read(task, fd, BUFFER, Size(8))) == -EAGAIN
    task.memory.write(BUFFER, pack("<Q", (1 << 64) - 2))
    assert call(task, lambda: sys_write(task, fd, BUFFER, Size(16))) == 8
    task.memory.write(BUFFER, pack("<Q", 1))
    assert call(task, lambda: sys_write(task, fd, BUFFER, Size(8))) == -EAGAIN
    assert call(task, lambda: sys_write(task, fd, BUFFER, Size(7))) == -EINVAL


def test_timerfd_counts_what_was_missed(task: FakeTask) -> None:
    fd = Fd(call(task, lambda: sys_timerfd_create(task, Int(1), Int(0o4000))))
    task.memory.write(BUFFER, pack("<4q", 0, 1000, 0, 5000))
    assert call(task, lambda: sys_timerfd_settime(task, fd, Int(0), BUFFER, NULL)) == 0
    assert call(task, lambda: sys_read(task, fd, BUFFER, Size(8))) == -EAGAIN
    task.advance(5000)
    task.advance(2500)
    assert call(task, lambda: sys_read(task, fd, BUFFER, Size(8))) == 8
    assert task.memory.read(BUFFER, 8) == pack("<Q", 3)
    assert call(task, lambda: sys_timerfd_gettime(task, fd, BUFFER)) == 0
    assert unpack("<4q", task.memory.read(BUFFER, 32)) == (0, 1000, 0, 500)


def test_signalfd(task: FakeTask) -> None:
    task.signal_mask = 1 << 9
    task.memory.write(BUFFER, pack("<Q", 1 << 9))
    fd = Fd(call(task, lambda: sys_signalfd4(task, Fd(-1), BUFFER, Size(8), Int(0))))
    reading = Running(task, lambda: sys_read(task, fd, BUFFER, Size(300)))
    assert reading.is_blocked
    send_to_task(task, user_info(10, 0, 77, 5))
    assert reading.resume() == 128
    assert unpack("<IiiII", task.memory.read(BUFFER, 20)) == (10, 0, 0, 77, 5)


def test_memfd(task: FakeTask) -> None:
    task.memory.write(BUFFER, b"name\0")
    fd = Fd(call(task, lambda: sys_memfd_create(task, BUFFER, Uint(0))))
    file = task.fds.get(fd)
    assert file.try_write(KernelSource(b"hello")) == 5
    sink = KernelSink(10)
    assert file.try_pread(sink, 1) == 4
    assert sink.data == b"ello"
    assert file.attributes().size == 5
    assert file.describe() == b"/memfd:name (deleted)"
