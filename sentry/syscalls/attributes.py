"""chmod(2), chown(2), utimensat(2), truncate(2) and their kind."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EACCES, EINVAL, EISDIR, EOPNOTSUPP
from sentry.abi.fcntl import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW
from sentry.abi.stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISGID, S_ISUID
from sentry.abi.types import NULL, Fd, Int, Mode, Off, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel.fault_signals import check_file_size
from sentry.kernel.lookup import Target, target_at
from sentry.kernel.running import refuse_if_running
from sentry.kernel.task import Task
from sentry.vfs.inode import KEEP_TIME, AttributeChange
from sentry.vfs.notify import WATCHES
from sentry.vfs.permission import (
    MAY_WRITE,
    check,
    check_chown,
    check_owner,
    drop_set_ids,
    is_owner,
    keeps_setgid,
    may,
)

UTIME_NOW: Final = 0x3FFF_FFFF
UTIME_OMIT: Final = 0x3FFF_FFFE
NO_ID: Final = 0xFFFF_FFFF
S_IXGRP: Final = 0o010
SECOND: Final = 1_000_000_000
OLDEST_NS: Final = (1 << 31) * SECOND  # before the epoch, as ext4 has it
NEWEST_NS: Final = ((1 << 34) - (1 << 31) - 1) * SECOND
_PAIRS: Final = Struct("<4q")


def _apply(target: Target, change: AttributeChange) -> int:
    """Change the attributes through the open file where there is one, else by name."""
    if target.file is not None:
        target.file.set_attributes(change)
    else:
        target.inode().set_attributes(change)
    if WATCHES.is_active:
        WATCHES.changed(target.place, change)
    return 0


def _of_fd(task: Task, fd: int) -> Target:
    file = task.fds.get(fd)
    return Target(file.path, file)


# Mode.


def _chmod(task: Task, target: Target, mode: int) -> int:
    inode = target.inode()
    target.check_writable()
    check_owner(task.creds, inode)
    change = AttributeChange()
    change.mode = mode & 0o7777
    old_mode, _, gid = inode.permissions()
    if change.mode & S_ISGID and old_mode & S_IFMT != S_IFDIR:
        if not keeps_setgid(task.creds, gid):
            change.mode &= ~S_ISGID
    return _apply(target, change)


def sys_chmod(task: Task, pathname: UserPtr, mode: Mode) -> int:
    """chmod(2)."""
    return _chmod(task, target_at(task, AT_FDCWD, pathname, 0, follow=True), mode)


def sys_fchmod(task: Task, fd: Fd, mode: Mode) -> int:
    """fchmod(2)."""
    return _chmod(task, _of_fd(task, fd), mode)


def sys_fchmodat(task: Task, dirfd: Fd, pathname: UserPtr, mode: Mode) -> int:
    """fchmodat(2) as the kernel has it, without flags."""
    return _chmod(task, target_at(task, dirfd, pathname, 0, follow=True), mode)


def sys_fchmodat2(task: Task, dirfd: Fd, pathname: UserPtr, mode: Mode, flags: Uint) -> int:
    """fchmodat2(2): as fchmodat(3) is meant; links have no mode of their own."""
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise SysError(EINVAL)
    target = target_at(task, dirfd, pathname, flags, follow=not flags & AT_SYMLINK_NOFOLLOW)
    if target.inode().mode() & S_IFMT == S_IFLNK:
        raise SysError(EOPNOTSUPP)
    return _chmod(task, target, mode)


# Owner.


def _chown(task: Task, target: Target, uid: int, gid: int) -> int:
    inode = target.inode()
    target.check_writable()
    wanted_uid = -1 if uid == NO_ID else uid
    wanted_gid = -1 if gid == NO_ID else gid
    check_chown(task.creds, inode, wanted_uid, wanted_gid)
    change = AttributeChange()
    change.uid, change.gid = wanted_uid, wanted_gid
    mode = inode.mode()
    if mode & S_IFMT == S_IFREG and mode & (S_ISUID | S_ISGID):
        # A program of another owner must not run with the rights of the new one.
        kept = mode & 0o7777 & ~S_ISUID
        if mode & S_IXGRP:
            kept &= ~S_ISGID
        change.mode = kept
    return _apply(target, change)


def sys_chown(task: Task, pathname: UserPtr, uid: Uint, gid: Uint) -> int:
    """chown(2)."""
    return _chown(task, target_at(task, AT_FDCWD, pathname, 0, follow=True), uid, gid)


def sys_lchown(task: Task, pathname: UserPtr, uid: Uint, gid: Uint) -> int:
    """lchown(2)."""
    return _chown(task, target_at(task, AT_FDCWD, pathname, 0, follow=False), uid, gid)


def sys_fchown(task: Task, fd: Fd, uid: Uint, gid: Uint) -> int:
    """fchown(2)."""
    return _chown(task, _of_fd(task, fd), uid, gid)


def sys_fchownat(task: Task, dirfd: Fd, pathname: UserPtr, uid: Uint, gid: Uint, flags: Int) -> int:
    """fchownat(2)."""
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise SysError(EINVAL)
    follow = not flags & AT_SYMLINK_NOFOLLOW
    return _chown(task, target_at(task, dirfd, pathname, flags, follow=follow), uid, gid)


# Times.


def _set_times(task: Task, target: Target, atime_ns: int, mtime_ns: int, *, now: bool) -> int:
    """Set times (KEEP_TIME: not); `now`: both are the present, which writers may set."""
    inode = target.inode()
    target.check_writable()
    if now:
        if not is_owner(task.creds, inode.permissions()[1]) and not may(
            task.creds, inode, MAY_WRITE
        ):
            raise SysError(EACCES)
    elif atime_ns != KEEP_TIME or mtime_ns != KEEP_TIME:
        check_owner(task.creds, inode)
    change = AttributeChange()
    change.atime_ns, change.mtime_ns = atime_ns, mtime_ns
    if atime_ns == KEEP_TIME and mtime_ns == KEEP_TIME:
        return 0
    return _apply(target, change)


def _chosen(seconds: int, nanoseconds: int, now_ns: int) -> int:
    """Return the time that a struct timespec of utimensat(2) asks for, KEEP_TIME for none."""
    if nanoseconds == UTIME_NOW:
        return now_ns
    if nanoseconds == UTIME_OMIT:
        return KEEP_TIME
    if not 0 <= nanoseconds < SECOND:
        raise SysError(EINVAL)
    return _time(seconds * SECOND + nanoseconds)


def _time(wanted_ns: int) -> int:
    """Return what a file system stores for a time: the nearest that it can (inode(7))."""
    return max(-OLDEST_NS, min(wanted_ns, NEWEST_NS))


def sys_utimensat(task: Task, dirfd: Fd, pathname: UserPtr, times: UserPtr, flags: Int) -> int:
    """utimensat(2); without a path the descriptor itself, as futimens(3) does."""
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise SysError(EINVAL)
    now_ns = task.kernel.clock.realtime_ns()
    atime_ns = mtime_ns = now_ns
    is_now = True
    if times != NULL:
        fields = _PAIRS.unpack(task.memory.read(times, _PAIRS.size))
        is_now = fields[1] == UTIME_NOW and fields[3] == UTIME_NOW
        atime_ns = _chosen(fields[0], fields[1], now_ns)
        mtime_ns = _chosen(fields[2], fields[3], now_ns)
    if pathname == NULL and dirfd != AT_FDCWD:
        target = _of_fd(task, dirfd)
    else:
        follow = not flags & AT_SYMLINK_NOFOLLOW
        target = target_at(task, dirfd, pathname, flags, follow=follow)
    return _set_times(task, target, atime_ns, mtime_ns, now=is_now)


def sys_utimes(task: Task, pathname: UserPtr, times: UserPtr) -> int:
    """utimes(2)."""
    return _utimes(task, AT_FDCWD, pathname, times)


def sys_futimesat(task: Task, dirfd: Fd, pathname: UserPtr, times: UserPtr) -> int:
    """futimesat(2)."""
    return _utimes(task, dirfd, pathname, times)


def _utimes(task: Task, dirfd: int, pathname: int, times: int) -> int:
    now_ns = task.kernel.clock.realtime_ns()
    target = target_at(task, dirfd, pathname, 0, follow=True)
    if times == NULL:
        return _set_times(task, target, now_ns, now_ns, now=True)
    fields = _PAIRS.unpack(task.memory.read(times, _PAIRS.size))
    if not (0 <= fields[1] < 1_000_000 and 0 <= fields[3] < 1_000_000):
        raise SysError(EINVAL)
    atime_ns = fields[0] * SECOND + fields[1] * 1000
    mtime_ns = fields[2] * SECOND + fields[3] * 1000
    return _set_times(task, target, _time(atime_ns), _time(mtime_ns), now=False)


def sys_utime(task: Task, pathname: UserPtr, times: UserPtr) -> int:
    """utime(2)."""
    target = target_at(task, AT_FDCWD, pathname, 0, follow=True)
    now_ns = task.kernel.clock.realtime_ns()
    if times == NULL:
        return _set_times(task, target, now_ns, now_ns, now=True)
    raw = task.memory.read(times, 16)
    atime = int.from_bytes(raw[:8], "little", signed=True)
    mtime = int.from_bytes(raw[8:], "little", signed=True)
    return _set_times(task, target, _time(atime * SECOND), _time(mtime * SECOND), now=False)


# Size.


def sys_truncate(task: Task, pathname: UserPtr, length: Off) -> int:
    """truncate(2)."""
    if length < 0:
        raise SysError(EINVAL)
    target = target_at(task, AT_FDCWD, pathname, 0, follow=True)
    inode = target.inode()
    kind = inode.mode() & S_IFMT
    if kind == S_IFDIR:
        raise SysError(EISDIR)
    if kind != S_IFREG:
        raise SysError(EINVAL)
    target.check_writable()
    check(task.creds, inode, MAY_WRITE)
    if length > inode.attributes().size:
        check_file_size(task, length)
    refuse_if_running(task, inode)
    drop_set_ids(task.creds, inode)
    change = AttributeChange()
    change.size = length
    return _apply(target, change)
