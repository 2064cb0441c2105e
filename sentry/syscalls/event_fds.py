"""eventfd(2), signalfd(2), timerfd_create(2) and memfd_create(2)."""

from typing import Final

from sentry.abi.errno import EINVAL, ENAMETOOLONG, EPERM
from sentry.abi.eventfd import EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE
from sentry.abi.fcntl import O_CLOEXEC, O_NONBLOCK, O_RDWR
from sentry.abi.signalfd import SFD_CLOEXEC, SFD_NONBLOCK
from sentry.abi.time import (
    CLOCK_BOOTTIME,
    CLOCK_BOOTTIME_ALARM,
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    CLOCK_REALTIME_ALARM,
    ITIMERSPEC_SIZE,
    pack_itimerspec,
    unpack_itimerspec,
)
from sentry.abi.timerfd import (
    TFD_CLOEXEC,
    TFD_NONBLOCK,
    TFD_TIMER_ABSTIME,
    TFD_TIMER_CANCEL_ON_SET,
)
from sentry.abi.types import NULL, Fd, Int, Size, Uint, UserPtr
from sentry.errors import SysError
from sentry.fs.eventfd import EventFile
from sentry.fs.memfd import MemoryFile, MemoryInode
from sentry.fs.signalfd import SignalFile
from sentry.fs.timerfd import TimerFile
from sentry.kernel.task import Task
from sentry.mm.user import read_u64

SIGSET_SIZE: Final = 8
CAP_WAKE_ALARM: Final = 35
MFD_CLOEXEC: Final = 1
MFD_ALLOW_SEALING: Final = 2
MFD_NOEXEC_SEAL: Final = 8
MFD_EXEC: Final = 16
MEMFD_NAME_MAX: Final = 249  # NAME_MAX less "memfd:", memfd_create(2)
_TIMER_CLOCKS: Final = (
    CLOCK_REALTIME,
    CLOCK_MONOTONIC,
    CLOCK_BOOTTIME,
    CLOCK_REALTIME_ALARM,
    CLOCK_BOOTTIME_ALARM,
)


def sys_eventfd(task: Task, count: Uint) -> int:
    """eventfd(2)."""
    return sys_eventfd2(task, count, Int(0))


def sys_eventfd2(task: Task, count: Uint, flags: Int) -> int:
    """eventfd2(2)."""
    if flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK):
        raise SysError(EINVAL)
    file = EventFile(count, flags & O_NONBLOCK, is_semaphore=bool(flags & EFD_SEMAPHORE))
    return task.fds.install(file, cloexec=bool(flags & O_CLOEXEC))


def sys_signalfd(task: Task, fd: Fd, mask: UserPtr, size: Size) -> int:
    """signalfd(2)."""
    return sys_signalfd4(task, fd, mask, size, Int(0))


def sys_signalfd4(task: Task, fd: Fd, mask: UserPtr, size: Size, flags: Int) -> int:
    """signalfd4(2): descriptor -1 makes a new one, else its mask is replaced."""
    if flags & ~(SFD_CLOEXEC | SFD_NONBLOCK) or size != SIGSET_SIZE:
        raise SysError(EINVAL)
    wanted = read_u64(task.memory, mask)
    if fd == -1:
        file = SignalFile(task, wanted, flags & O_NONBLOCK)
        return task.fds.install(file, cloexec=bool(flags & O_CLOEXEC))
    found = task.fds.get(fd)
    if not isinstance(found, SignalFile):
        raise SysError(EINVAL)
    found.set_mask(wanted)
    return fd


def sys_timerfd_create(task: Task, clock: Int, flags: Int) -> int:
    """timerfd_create(2)."""
    if flags & ~(TFD_CLOEXEC | TFD_NONBLOCK) or clock not in _TIMER_CLOCKS:
        raise SysError(EINVAL)
    if clock in (CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM) and not task.creds.has_capability(
        CAP_WAKE_ALARM
    ):
        raise SysError(EPERM)
    file = TimerFile(task.kernel, clock, flags & O_NONBLOCK)
    return task.fds.install(file, cloexec=bool(flags & O_CLOEXEC))


def sys_timerfd_settime(task: Task, fd: Fd, flags: Int, new: UserPtr, old: UserPtr) -> int:
    """timerfd_settime(2); TFD_TIMER_CANCEL_ON_SET never cancels: nobody sets the clock."""
    if flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET):
        raise SysError(EINVAL)
    interval_ns, value_ns = unpack_itimerspec(task.memory.read(new, ITIMERSPEC_SIZE))
    if interval_ns < 0 or value_ns < 0:
        raise SysError(EINVAL)
    file = _timer(task, fd)
    left_ns, old_interval_ns = file.set(
        value_ns, interval_ns, absolute=bool(flags & TFD_TIMER_ABSTIME)
    )
    if old != NULL:
        task.memory.write(old, pack_itimerspec(old_interval_ns, left_ns))
    return 0


def sys_timerfd_gettime(task: Task, fd: Fd, current: UserPtr) -> int:
    """timerfd_gettime(2)."""
    left_ns, interval_ns = _timer(task, fd).get()
    task.memory.write(current, pack_itimerspec(interval_ns, left_ns))
    return 0


def sys_memfd_create(task: Task, name: UserPtr, flags: Uint) -> int:
    """memfd_create(2); there are no huge pages."""
    known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC
    if flags & ~known or flags & MFD_EXEC and flags & MFD_NOEXEC_SEAL:
        raise SysError(EINVAL)
    try:
        text = task.memory.read_cstring(name, MEMFD_NAME_MAX + 1)
    except SysError as error:
        raise SysError(EINVAL if error.errno == ENAMETOOLONG else error.errno) from None
    inode = MemoryInode(text, flags & ~MFD_CLOEXEC, task.creds)
    return task.fds.install(MemoryFile(inode, O_RDWR), cloexec=bool(flags & MFD_CLOEXEC))


def _timer(task: Task, fd: Fd) -> TimerFile:
    file = task.fds.get(fd)
    if not isinstance(file, TimerFile):
        raise SysError(EINVAL)
    return file
