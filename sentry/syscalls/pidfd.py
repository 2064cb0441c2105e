"""pidfd_open(2) and pidfd_send_signal(2)."""

from sentry.abi.errno import EBADF, EINVAL, ESRCH
from sentry.abi.signal import SI_USER
from sentry.abi.types import NULL, Fd, Int, Pid, Uint, UserPtr
from sentry.errors import SysError
from sentry.fs.pidfd import PidFile, open_pidfd
from sentry.kernel.signal import user_info
from sentry.kernel.task import Task
from sentry.syscalls.signal import check_number, kill_groups, own_info
from sentry.vfs.file import O_NONBLOCK


def sys_pidfd_open(task: Task, pid: Pid, flags: Uint) -> int:
    """pidfd_open(2); PIDFD_NONBLOCK is the only flag."""
    if flags & ~O_NONBLOCK or pid <= 0:
        raise SysError(EINVAL)
    group = task.group.pids.groups.get(pid)
    if group is None:
        raise SysError(EINVAL if pid in task.group.pids.tasks else ESRCH)
    return task.fds.install(open_pidfd(group, flags), cloexec=True)


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
