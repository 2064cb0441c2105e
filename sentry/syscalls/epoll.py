"""epoll_create(2), epoll_ctl(2), epoll_wait(2) and their kind."""

from typing import Final

from sentry.abi.errno import EFAULT, EINTR, EINVAL
from sentry.abi.poll import (
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLL_EVENT_SIZE,
    pack_epoll_event,
    unpack_epoll_event,
)
from sentry.abi.types import NULL, Fd, Int, Size, UserPtr
from sentry.errors import SysError
from sentry.fs.epoll import EpollFile
from sentry.kernel.blocking import BLOCKED, wait
from sentry.kernel.signal_wait import begin_with_mask, end_with_mask
from sentry.kernel.task import Task
from sentry.mm.user import read_timespec_ns
from sentry.vfs.file import POLLIN

MAX_EVENTS: Final = 0x7FFF_FFFF // EPOLL_EVENT_SIZE
_FOREVER: Final = -1


def sys_epoll_create(task: Task, size: Int) -> int:
    """epoll_create(2): the size only has to be positive."""
    if size <= 0:
        raise SysError(EINVAL)
    return task.fds.install(EpollFile(), cloexec=False)


def sys_epoll_create1(task: Task, flags: Int) -> int:
    """epoll_create1(2)."""
    if flags & ~EPOLL_CLOEXEC:
        raise SysError(EINVAL)
    return task.fds.install(EpollFile(), cloexec=bool(flags & EPOLL_CLOEXEC))


def sys_epoll_ctl(task: Task, epfd: Fd, operation: Int, fd: Fd, event: UserPtr) -> int:
    """epoll_ctl(2)."""
    events = 0
    data = 0
    if operation != EPOLL_CTL_DEL:
        events, data = unpack_epoll_event(task.memory.read(event, EPOLL_EVENT_SIZE))
    epoll = _epoll(task, epfd)
    file = task.fds.get(fd)
    if operation == EPOLL_CTL_ADD:
        epoll.add(fd, file, events, data)
    elif operation == EPOLL_CTL_MOD:
        epoll.modify(fd, file, events, data)
    elif operation == EPOLL_CTL_DEL:
        epoll.delete(fd, file)
    else:
        raise SysError(EINVAL)
    return 0


def sys_epoll_wait(task: Task, epfd: Fd, events: UserPtr, limit: Int, timeout_ms: Int) -> int:
    """epoll_wait(2): a negative timeout waits for ever."""
    return _wait(task, epfd, events, limit, _ms_to_ns(timeout_ms))


def sys_epoll_pwait(
    task: Task,
    epfd: Fd,
    events: UserPtr,
    limit: Int,
    timeout_ms: Int,
    mask: UserPtr,
    mask_size: Size,
) -> int:
    """epoll_pwait(2)."""
    return _pwait(task, epfd, events, limit, _ms_to_ns(timeout_ms), mask, mask_size)


def sys_epoll_pwait2(
    task: Task,
    epfd: Fd,
    events: UserPtr,
    limit: Int,
    timeout: UserPtr,
    mask: UserPtr,
    mask_size: Size,
) -> int:
    """epoll_pwait2(2)."""
    timeout_ns = _FOREVER
    if timeout != NULL and task.call.is_first_run:
        timeout_ns = read_timespec_ns(task.memory, timeout)
    return _pwait(task, epfd, events, limit, timeout_ns, mask, mask_size)


def _pwait(
    task: Task, epfd: Fd, events: int, limit: int, timeout_ns: int, mask: int, mask_size: int
) -> int:
    begin_with_mask(task, mask, mask_size)
    try:
        result = _wait(task, epfd, events, limit, timeout_ns)
    except SysError as error:
        end_with_mask(task, interrupted=error.errno == EINTR)
        raise
    if result != BLOCKED:
        end_with_mask(task, interrupted=False)
    return result


def _wait(task: Task, epfd: Fd, events: int, limit: int, timeout_ns: int) -> int:
    """Report what is ready; `timeout_ns` counts in the first run only."""
    if not 0 < limit <= MAX_EVENTS:
        raise SysError(EINVAL)
    epoll = _epoll(task, epfd)
    found = epoll.collect(limit)
    if found:
        packed = b"".join([pack_epoll_event(bits, item.data) for item, bits in found])
        try:
            task.memory.write(events, packed)
        except SysError:
            epoll.give_back(found)
            raise SysError(EFAULT) from None
        return len(found)
    call = task.call
    if call.is_first_run:
        if timeout_ns == 0:
            return 0
        if timeout_ns > 0:
            call.deadline_ns = task.kernel.clock.monotonic_ns() + timeout_ns
    elif call.deadline_ns and task.kernel.clock.monotonic_ns() >= call.deadline_ns:
        return 0
    if task.has_signal:
        raise SysError(EINTR)
    if epfd not in call.files:
        call.hold(epfd, epoll)
    return wait(task, epoll.queue, POLLIN, call.deadline_ns)


def _epoll(task: Task, epfd: Fd) -> EpollFile:
    """Return the epoll instance; SysError(EINVAL) if the descriptor is something else."""
    file = task.file(epfd)
    if not isinstance(file, EpollFile):
        raise SysError(EINVAL)
    return file


def _ms_to_ns(timeout_ms: int) -> int:
    return timeout_ms * 1_000_000 if timeout_ms >= 0 else _FOREVER
