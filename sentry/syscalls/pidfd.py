"""pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2), process_madvise(2)."""

from typing import Final

from sentry.abi.capability import CAP_SYS_NICE
from sentry.abi.errno import EBADF, EINVAL, EPERM, ESRCH
from sentry.abi.mman import MADV_COLD, MADV_COLLAPSE, MADV_PAGEOUT, MADV_WILLNEED
from sentry.abi.signal import SI_USER
from sentry.abi.types import NULL, Fd, Int, Pid, Size, Uint, UserPtr
from sentry.errors import SysError
from sentry.fs.pidfd import PidFile, open_pidfd
from sentry.kernel.access import may_access
from sentry.kernel.signal import user_info
from sentry.kernel.task import Task
from sentry.mm.user import read_iovec
from sentry.syscalls.signal import check_number, kill_groups, own_info
from sentry.vfs.file import O_NONBLOCK

PAGE: Final = 4096
HINTS: Final = (MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT, MADV_COLLAPSE)


def sys_pidfd_open(task: Task, pid: Pid, flags: Uint) -> int:
    """pidfd_open(2); PIDFD_NONBLOCK is the only flag."""
    if flags & ~O_NONBLOCK or pid <= 0:
        raise SysError(EINVAL)
    group = task.group.pids.groups.get(pid)
    if group is None:
        raise SysError(EINVAL if pid in task.group.pids.tasks else ESRCH)
    return task.fds.install(open_pidfd(group, flags), cloexec=True)


def sys_pidfd_getfd(task: Task, fd: Fd, target: Int, flags: Uint) -> int:
    """pidfd_getfd(2)."""
    if flags:
        raise SysError(EINVAL)
    other = _task_of(task, fd)
    if not may_access(task.creds, other, own=other.group is task.group):
        raise SysError(EPERM)
    return task.fds.install(other.fds.get_raw(target), cloexec=True)


def _task_of(task: Task, fd: Fd) -> Task:
    """Return a living task of the process of a pidfd; SysError(EBADF, ESRCH)."""
    file = task.file(fd)
    if not isinstance(file, PidFile):
        raise SysError(EBADF)
    if not file.group.tasks:
        raise SysError(ESRCH)
    return file.group.tasks[0]


def sys_process_madvise(
    task: Task, fd: Fd, segments: UserPtr, count: Size, advice: Int, flags: Uint
) -> int:
    """process_madvise(2): what may be said of others are hints, and nobody has to take a hint."""
    if flags:
        raise SysError(EINVAL)
    parts = read_iovec(task.memory, segments, count)
    other = _task_of(task, fd)
    if advice not in HINTS:
        raise SysError(EINVAL)
    if not may_access(task.creds, other, own=other.group is task.group):
        raise SysError(EPERM)
    if other is not task and not task.creds.has_capability(CAP_SYS_NICE):
        raise SysError(EPERM)
    if any(address % PAGE for address, _ in parts):
        raise SysError(EINVAL)
    return sum(size for _, size in parts)


def sys_pidfd_send_signal(task: Task, fd: Fd, number: Int, info: UserPtr, flags: Uint) -> int:
    """pidfd_send_signal(2), to a process."""
    if flags:
        raise SysError(EINVAL)
    file = task.file(fd)
    if not isinstance(file, PidFile):
        raise SysError(EBADF)
    check_number(number)
    group = file.group
    if group.pids is not task.group.pids:
        raise SysError(EINVAL)  # access_pidfd_pidns, kernel/signal.c
    if group.pids.groups.get(group.pid) is not group:
        raise SysError(ESRCH)
    if info == NULL:
        made = user_info(number, SI_USER, task.group.pid, task.creds.uid)
    else:
        made = own_info(task, group, number, info)
        if made.raw[:4] != task.memory.read(info, 4):
            raise SysError(EINVAL)
    return kill_groups(task, [group], number, made)
