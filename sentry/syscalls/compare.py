"""kcmp(2): whether two tasks share something."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EBADF, EINVAL, EPERM, ESRCH
from sentry.abi.types import Int, Pid, Ulong
from sentry.errors import SysError
from sentry.fs.epoll import EpollFile
from sentry.kernel.access import may_access
from sentry.kernel.task import Task
from sentry.platform.hostinfo import random_bytes
from sentry.vfs.file import File

KCMP_FILE: Final = 0
KCMP_VM: Final = 1
KCMP_FILES: Final = 2
KCMP_FS: Final = 3
KCMP_SIGHAND: Final = 4
KCMP_IO: Final = 5
KCMP_SYSVSEM: Final = 6
KCMP_EPOLL_TFD: Final = 7
U64: Final = (1 << 64) - 1
_SLOT: Final = Struct("<III")  # struct kcmp_epoll_slot

# The order of two objects must not tell where they lie.
_MASK: Final = int.from_bytes(random_bytes(8), "little")
_FACTOR: Final = int.from_bytes(random_bytes(8), "little") | 1


def sys_kcmp(
    task: Task, first: Pid, second: Pid, kind: Int, first_index: Ulong, second_index: Ulong
) -> int:
    """kcmp(2)."""
    one, other = _task_of(task, first), _task_of(task, second)
    for target in (one, other):
        if not may_access(task.creds, target, own=target.group is task.group):
            raise SysError(EPERM)
    if kind == KCMP_FILE:
        return _order(_file_of(one, first_index), _file_of(other, second_index))
    if kind == KCMP_VM:
        return _order(one.mm, other.mm)
    if kind == KCMP_FILES:
        return _order(one.fds, other.fds)
    if kind == KCMP_FS:
        return _order(one.fs, other.fs)
    if kind == KCMP_SIGHAND:
        return _order(one.group.handlers, other.group.handlers)
    if kind in (KCMP_IO, KCMP_SYSVSEM):
        return _order(one.group, other.group)
    if kind != KCMP_EPOLL_TFD:
        raise SysError(EINVAL)
    epoll_fd, target_fd, place = _SLOT.unpack(task.memory.read(second_index, _SLOT.size))
    mine = _file_of(one, first_index)
    epoll = _file_of(other, epoll_fd)
    if not isinstance(epoll, EpollFile):
        raise SysError(EINVAL)
    return _order(mine, epoll.target(target_fd, place))


def _task_of(task: Task, pid: int) -> Task:
    found = task.group.pids.tasks.get(pid)
    if found is None or found.is_dead():
        raise SysError(ESRCH)
    return found


def _file_of(target: Task, fd: int) -> File:
    """Return an open file of another task; SysError(EBADF)."""
    if fd > 0x7FFF_FFFF:
        raise SysError(EBADF)
    return target.fds.get_raw(fd)


def _order(one: object, other: object) -> int:
    """Return 0 for the same object, else 1 or 2 for the lower and the higher one."""
    if one is other:
        return 0
    return 1 if _number(one) < _number(other) else 2


def _number(thing: object) -> int:
    return (id(thing) ^ _MASK) * _FACTOR & U64
