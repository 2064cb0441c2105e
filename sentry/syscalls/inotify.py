"""inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2)."""

from typing import Final

from sentry.abi import inotify as abi
from sentry.abi.errno import EINVAL, ENOTDIR
from sentry.abi.fcntl import AT_FDCWD, O_CLOEXEC
from sentry.abi.stat import S_IFDIR
from sentry.abi.types import Fd, Int, Uint, UserPtr
from sentry.errors import SysError
from sentry.fs.inotify import InotifyFile, Instance
from sentry.kernel.lookup import inode_of, place_at
from sentry.kernel.open_files import KernelOpenFiles
from sentry.kernel.task import Task
from sentry.vfs.notify import WATCHES
from sentry.vfs.permission import MAY_READ, check

_ASKED: Final = (
    abi.IN_ALL_EVENTS
    | abi.IN_UNMOUNT
    | abi.IN_Q_OVERFLOW
    | abi.IN_IGNORED
    | abi.IN_ONLYDIR
    | abi.IN_DONT_FOLLOW
    | abi.IN_EXCL_UNLINK
    | abi.IN_MASK_ADD
    | abi.IN_MASK_CREATE
    | abi.IN_ISDIR
    | abi.IN_ONESHOT
)


def sys_inotify_init(task: Task) -> int:
    """inotify_init(2)."""
    return sys_inotify_init1(task, Int(0))


def sys_inotify_init1(task: Task, flags: Int) -> int:
    """inotify_init1(2)."""
    if flags & ~(abi.IN_CLOEXEC | abi.IN_NONBLOCK):
        raise SysError(EINVAL)
    WATCHES.open_files = KernelOpenFiles(task.kernel)
    file = InotifyFile(task.creds.uid, flags & abi.IN_NONBLOCK)
    file.acquire()  # dropping it closes what could not be installed
    try:
        return task.fds.install(file, cloexec=bool(flags & O_CLOEXEC))
    finally:
        file.drop()


def sys_inotify_add_watch(task: Task, fd: Fd, pathname: UserPtr, mask: Uint) -> int:
    """inotify_add_watch(2)."""
    if mask & ~_ASKED or not mask & _ASKED:
        raise SysError(EINVAL)
    file = task.fds.get(fd)
    if mask & abi.IN_MASK_ADD and mask & abi.IN_MASK_CREATE:
        raise SysError(EINVAL)
    if not isinstance(file, InotifyFile):
        raise SysError(EINVAL)
    place = place_at(task, AT_FDCWD, pathname, follow=not mask & abi.IN_DONT_FOLLOW)
    if mask & abi.IN_ONLYDIR and place.dentry.kind != S_IFDIR:
        raise SysError(ENOTDIR)
    inode = inode_of(place)
    check(task.creds, inode, MAY_READ)
    return file.instance.add(inode, mask)


def sys_inotify_rm_watch(task: Task, fd: Fd, number: Int) -> int:
    """inotify_rm_watch(2)."""
    _instance(task, fd).remove(number)
    return 0


def _instance(task: Task, fd: Fd) -> Instance:
    file = task.fds.get(fd)
    if not isinstance(file, InotifyFile):
        raise SysError(EINVAL)
    return file.instance
