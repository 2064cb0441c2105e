"""Extended attributes (xattr(7)) of the `user` kind; the others are refused."""

from typing import Final

from sentry.abi.errno import E2BIG, EINVAL, ENODATA, EOPNOTSUPP, EPERM, ERANGE
from sentry.abi.fcntl import AT_FDCWD
from sentry.abi.inotify import IN_ATTRIB
from sentry.abi.stat import S_IFDIR, S_IFMT, S_IFREG
from sentry.abi.types import Fd, Int, Size, UserPtr
from sentry.errors import SysError
from sentry.kernel.lookup import Target, target_at
from sentry.kernel.task import Task
from sentry.vfs.notify import WATCHES
from sentry.vfs.permission import MAY_READ, MAY_WRITE, check

XATTR_CREATE: Final = 1
XATTR_REPLACE: Final = 2
NAME_MAX: Final = 255
VALUE_MAX: Final = 65536
CAP_SYS_ADMIN: Final = 21


def _path(task: Task, address: int, *, follow: bool) -> Target:
    return target_at(task, AT_FDCWD, address, 0, follow=follow)


def _fd(task: Task, fd: int) -> Target:
    file = task.fds.get(fd)
    return Target(file.path, file)


def _name(task: Task, address: int) -> bytes:
    """Copy a name in; SysError(ERANGE) if it is empty or too long."""
    name = task.memory.read_cstring(address, NAME_MAX + 1)
    if not name:
        raise SysError(ERANGE)
    return name


def _get(task: Task, target: Target, name: int, value: int, size: int) -> int:
    text = _name(task, name)
    if not text.startswith(b"user."):
        raise SysError(ENODATA if text.startswith((b"security.", b"trusted.")) else EOPNOTSUPP)
    check(task.creds, target.inode(), MAY_READ)
    found = target.inode().getxattr(text)
    return _give(task, found, value, size)


def _give(task: Task, data: bytes, address: int, size: int) -> int:
    if size == 0:
        return len(data)
    if len(data) > size:
        raise SysError(ERANGE)
    task.memory.write(address, data)
    return len(data)


def _set(task: Task, target: Target, name: int, value: int, size: int, flags: int) -> int:
    text = _name(task, name)
    if size > VALUE_MAX:
        raise SysError(E2BIG)
    if flags & ~(XATTR_CREATE | XATTR_REPLACE):
        raise SysError(EINVAL)
    data = task.memory.read(value, size)
    _check_change(task, target, text)
    target.inode().setxattr(text, data, flags)
    _tell(target)
    return 0


def _check_change(task: Task, target: Target, name: bytes) -> None:
    """Only `user` names reach the file system: the others mean something to the host."""
    target.check_writable()
    if not name.startswith(b"user."):
        privileged = name.startswith((b"security.", b"trusted."))
        if privileged and not task.creds.has_capability(CAP_SYS_ADMIN):
            raise SysError(EPERM)
        raise SysError(EOPNOTSUPP)
    if target.inode().mode() & S_IFMT not in (S_IFREG, S_IFDIR):
        raise SysError(EPERM)
    check(task.creds, target.inode(), MAY_WRITE)


def _list(task: Task, target: Target, value: int, size: int) -> int:
    names = [name for name in target.inode().listxattr() if name.startswith(b"user.")]
    return _give(task, b"".join([name + b"\0" for name in names]), value, size)


def _remove(task: Task, target: Target, name: int) -> int:
    text = _name(task, name)
    _check_change(task, target, text)
    target.inode().removexattr(text)
    _tell(target)
    return 0


def _tell(target: Target) -> None:
    """Tell who watches the file that its attributes have changed."""
    if WATCHES.is_active and target.place is not None:
        WATCHES.tell_dentry(target.place.dentry, IN_ATTRIB)


def sys_getxattr(task: Task, path: UserPtr, name: UserPtr, value: UserPtr, size: Size) -> int:
    """getxattr(2)."""
    return _get(task, _path(task, path, follow=True), name, value, size)


def sys_lgetxattr(task: Task, path: UserPtr, name: UserPtr, value: UserPtr, size: Size) -> int:
    """lgetxattr(2)."""
    return _get(task, _path(task, path, follow=False), name, value, size)


def sys_fgetxattr(task: Task, fd: Fd, name: UserPtr, value: UserPtr, size: Size) -> int:
    """fgetxattr(2)."""
    return _get(task, _fd(task, fd), name, value, size)


def sys_setxattr(
    task: Task, path: UserPtr, name: UserPtr, value: UserPtr, size: Size, flags: Int
) -> int:
    """setxattr(2)."""
    return _set(task, _path(task, path, follow=True), name, value, size, flags)


def sys_lsetxattr(
    task: Task, path: UserPtr, name: UserPtr, value: UserPtr, size: Size, flags: Int
) -> int:
    """lsetxattr(2)."""
    return _set(task, _path(task, path, follow=False), name, value, size, flags)


def sys_fsetxattr(task: Task, fd: Fd, name: UserPtr, value: UserPtr, size: Size, flags: Int) -> int:
    """fsetxattr(2)."""
    return _set(task, _fd(task, fd), name, value, size, flags)


def sys_listxattr(task: Task, path: UserPtr, value: UserPtr, size: Size) -> int:
    """listxattr(2)."""
    return _list(task, _path(task, path, follow=True), value, size)


def sys_llistxattr(task: Task, path: UserPtr, value: UserPtr, size: Size) -> int:
    """llistxattr(2)."""
    return _list(task, _path(task, path, follow=False), value, size)


def sys_flistxattr(task: Task, fd: Fd, value: UserPtr, size: Size) -> int:
    """flistxattr(2)."""
    return _list(task, _fd(task, fd), value, size)


def sys_removexattr(task: Task, path: UserPtr, name: UserPtr) -> int:
    """removexattr(2)."""
    return _remove(task, _path(task, path, follow=True), name)


def sys_lremovexattr(task: Task, path: UserPtr, name: UserPtr) -> int:
    """lremovexattr(2)."""
    return _remove(task, _path(task, path, follow=False), name)


def sys_fremovexattr(task: Task, fd: Fd, name: UserPtr) -> int:
    """fremovexattr(2)."""
    return _remove(task, _fd(task, fd), name)
