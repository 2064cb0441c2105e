"""open(2) and its kind, creat(2), close(2)."""

from struct import Struct
from typing import Final

from sentry.abi.errno import (
    E2BIG,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    ENOENT,
    ENOTDIR,
    ENXIO,
    EPERM,
    EROFS,
)
from sentry.abi.fcntl import (
    AT_FDCWD,
    O_ACCMODE,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_NOATIME,
    O_NOCTTY,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
    RESOLVE_IN_ROOT,
)
from sentry.abi.stat import S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK
from sentry.abi.types import Fd, Int, Mode, Size, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel.blocking import wait
from sentry.kernel.call import CallData
from sentry.kernel.lookup import read_path, walker_at
from sentry.kernel.running import refuse_if_running
from sentry.kernel.task import Task
from sentry.vfs.file import POLLERR, POLLHUP, POLLIN, POLLOUT, WRITERS, File
from sentry.vfs.inode import AttributeChange, Inode
from sentry.vfs.mount import Dentry, VfsPath
from sentry.vfs.notify import WATCHES
from sentry.vfs.path import Walker
from sentry.vfs.permission import (
    MAY_EXEC,
    MAY_READ,
    MAY_WRITE,
    check,
    drop_set_ids,
    is_owner,
    new_owner,
)

_OPEN_HOW: Final = Struct("<QQQ")
RESOLVE_KNOWN: Final = 0x3F
# What stays in F_GETFL.
STATUS_FLAGS: Final = ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)


class ClosedFile(CallData):
    """A file that is closed, and of which close(2) waits for the end."""

    def __init__(self, file: File) -> None:
        self.file = file


class OpeningFile(CallData):
    """A FIFO of which open(2) waits for the other end (fifo(7))."""

    def __init__(self, file: File) -> None:
        self.file = file
        file.acquire()

    def release(self) -> None:
        self.file.drop()


class PathFile(File):
    """A place in the tree, opened with O_PATH: it can only be referred to."""


def sys_open(task: Task, pathname: UserPtr, flags: Int, mode: Mode) -> int:
    """open(2)."""
    return _open_at(task, AT_FDCWD, read_path(task, pathname), flags, mode, 0)


def sys_openat(task: Task, dirfd: Fd, pathname: UserPtr, flags: Int, mode: Mode) -> int:
    """openat(2)."""
    return _open_at(task, dirfd, read_path(task, pathname), flags, mode, 0)


def sys_creat(task: Task, pathname: UserPtr, mode: Mode) -> int:
    """creat(2)."""
    flags = O_CREAT | O_WRONLY | O_TRUNC
    return _open_at(task, AT_FDCWD, read_path(task, pathname), flags, mode, 0)


def sys_openat2(task: Task, dirfd: Fd, pathname: UserPtr, how: UserPtr, size: Size) -> int:
    """openat2(2)."""
    if size < _OPEN_HOW.size:
        raise SysError(EINVAL)
    if size > 4096:
        raise SysError(E2BIG)
    raw = task.memory.read(how, size)
    if any(raw[_OPEN_HOW.size :]):
        raise SysError(E2BIG)
    fields = _OPEN_HOW.unpack_from(raw)
    flags: int = fields[0]
    mode: int = fields[1]
    resolve: int = fields[2]
    creates = flags & O_CREAT or flags & O_TMPFILE == O_TMPFILE
    if flags >> 31 or resolve & ~RESOLVE_KNOWN or mode & ~0o7777 or (mode and not creates):
        raise SysError(EINVAL)
    return _open_at(task, dirfd, read_path(task, pathname), flags, mode, resolve)


def sys_close(task: Task, fd: Fd) -> int:
    """close(2): with SO_LINGER it waits for the peer to have everything (socket(7))."""
    call = task.call
    kept = call.data
    if isinstance(kept, ClosedFile):
        file = kept.file
    else:
        file = task.fds.close(fd, task)
        if file.linger_ns == 0 or file.references or not file.is_lingering():
            return 0
        call.data = ClosedFile(file)
        call.deadline_ns = task.kernel.clock.monotonic_ns() + file.linger_ns
    is_over = task.kernel.clock.monotonic_ns() >= call.deadline_ns
    if is_over or task.has_signal or not file.is_lingering():
        return 0
    return wait(task, file.queue, POLLOUT | POLLHUP | POLLERR, call.deadline_ns)


def sys_close_range(task: Task, first: Uint, last: Uint, flags: Uint) -> int:
    """close_range(2)."""
    if flags & ~6 or first > last:
        raise SysError(EINVAL)
    if flags & 2 and task.fds.users > 1:  # CLOSE_RANGE_UNSHARE
        shared = task.fds
        task.fds = shared.copy()
        shared.users -= 1
    if flags & 4:  # CLOSE_RANGE_CLOEXEC
        for fd in task.fds.open_fds():
            if first <= fd <= last:
                task.fds.set_cloexec(fd, cloexec=True)
        return 0
    task.fds.close_range(first, last, task)
    return 0


def _open_at(task: Task, dirfd: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    if flags & O_PATH:
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    kept = task.call.data
    if isinstance(kept, OpeningFile):
        file = kept.file
    else:
        walker = walker_at(task, dirfd, path, scoped=bool(resolve & RESOLVE_IN_ROOT))
        walker.resolve = resolve
        file = open_file(task, walker, path, flags, mode)
    if not flags & O_NONBLOCK and not file.is_opened():
        if kept is None:
            task.call.data = OpeningFile(file)
        return wait(task, file.queue, POLLIN | POLLOUT)
    fd = task.fds.install(file, cloexec=bool(flags & O_CLOEXEC))
    if flags & O_ACCMODE != O_RDONLY:
        WRITERS.begin(file)
    return fd


def open_file(task: Task, walker: Walker, path: bytes, flags: int, mode: int) -> File:
    """Return the open file for a path; the checks of open(2) in the order of Linux."""
    if flags & O_TMPFILE == O_TMPFILE:
        return _open_unnamed(task, walker, path, flags, mode)
    follow = not flags & O_NOFOLLOW and not (flags & O_CREAT and flags & O_EXCL)
    if flags & O_CREAT:
        if flags & O_DIRECTORY:
            raise SysError(EINVAL)
        if path.endswith(b"/"):
            walker.walk_parent(path)
            raise SysError(EISDIR)
        walker.walk_open(path, follow=follow)
        inode = walker.dentry.inode
        if inode is None:
            return _create(task, walker, flags, mode)
        if flags & O_EXCL:
            raise SysError(EEXIST)
    else:
        walker.walk(path, follow=follow)
    return open_place(task, walker.place(), flags)


def open_place(task: Task, place: VfsPath, flags: int) -> File:
    """Return an open file for what exists at `place`."""
    inode = place.dentry.inode
    if inode is None:
        raise SysError(ENOENT)
    kind = place.dentry.kind
    if flags & O_DIRECTORY and kind != S_IFDIR:
        raise SysError(ENOTDIR)
    if flags & O_PATH:
        return _finish(PathFile(flags & STATUS_FLAGS, inode), place)
    if kind == S_IFLNK:
        raise SysError(ELOOP)
    if kind == S_IFDIR and (flags & O_ACCMODE != O_RDONLY or flags & O_CREAT):
        raise SysError(EISDIR)
    if kind == S_IFDIR and flags & O_TRUNC:
        check(task.creds, inode, MAY_READ)
        raise SysError(EISDIR)
    if kind == S_IFSOCK:
        raise SysError(ENXIO)
    wants_write = flags & O_ACCMODE != O_RDONLY or flags & O_TRUNC
    want = 0
    if flags & O_ACCMODE != O_WRONLY:
        want |= MAY_READ
    if wants_write:
        want |= MAY_WRITE
        if place.mount.is_read_only() and kind in (S_IFREG, S_IFDIR):
            raise SysError(EROFS)
    check(task.creds, inode, want)
    if wants_write:
        refuse_if_running(task, inode)
    if flags & O_NOATIME and not is_owner(task.creds, inode.permissions()[1]):
        raise SysError(EPERM)
    if flags & O_TRUNC and kind == S_IFREG:
        inode.before_truncation()
    file = _finish(inode.open(place, flags & STATUS_FLAGS, task.creds), place)
    if kind == S_IFCHR:
        file.opened(task, flags)
    if flags & O_TRUNC and kind == S_IFREG:
        drop_set_ids(task.creds, inode)
        change = AttributeChange()
        change.size = 0
        inode.set_attributes(change)
        if WATCHES.is_active:
            WATCHES.changed(place, change)
    return file


def _finish(file: File, place: VfsPath) -> File:
    # What /proc/PID/fd leads to without a name stays without one.
    if file.path is None and place.dentry.parent is None and place.dentry is not place.mount.root:
        return file
    if file.path is None:
        file.path = place
    if WATCHES.is_active:
        WATCHES.opened(file)
    return file


def _create(task: Task, walker: Walker, flags: int, mode: int) -> File:
    """Make the regular file that the walk did not find, and open it."""
    if walker.is_dir_wanted:
        raise SysError(EISDIR)
    place = walker.place()
    dentry = place.dentry
    parent = parent_of(place)
    if place.mount.is_read_only():
        raise SysError(EROFS)
    check(task.creds, parent, MAY_WRITE | MAY_EXEC)
    wanted = S_IFREG | mode & 0o7777 & ~task.fs.umask
    full, uid, gid = new_owner(task.creds, parent, wanted)
    inode = parent.create(dentry.name, full & 0o7777, uid, gid)
    dentry.fill(inode)
    if WATCHES.is_active:
        WATCHES.created(parent, dentry)
    # The mode counts for later opens only: a file made read-only can be written now.
    return _finish(inode.open(place, flags & STATUS_FLAGS, task.creds), place)


def parent_of(place: VfsPath) -> Inode:
    """Return the directory of a place; SysError(ENOENT) if that was removed."""
    above = place.dentry.parent
    if above is None or above.inode is None or above.is_unlinked:
        raise SysError(ENOENT)
    return above.inode


def _open_unnamed(task: Task, walker: Walker, path: bytes, flags: int, mode: int) -> File:
    """O_TMPFILE: a file without a name in the file system of a directory.

    linkat(2) may give it one, unless O_EXCL says never.
    """
    if flags & O_ACCMODE not in (O_WRONLY, O_RDWR):
        raise SysError(EINVAL)
    walker.walk(path, follow=True)
    directory = walker.inode()
    if directory.mode() & S_IFMT != S_IFDIR:
        raise SysError(ENOTDIR)
    if walker.mount.is_read_only():
        raise SysError(EROFS)
    check(task.creds, directory, MAY_WRITE | MAY_EXEC)
    wanted = S_IFREG | mode & 0o7777 & ~task.fs.umask
    full, uid, gid = new_owner(task.creds, directory, wanted)
    inode = directory.create_unnamed(full & 0o7777, uid, gid, linkable=not flags & O_EXCL)
    dentry = Dentry(walker.dentry, b"#%d" % inode.key()[1], inode)
    dentry.is_unlinked = True
    place = VfsPath(walker.mount, dentry)
    return _finish(inode.open(place, flags & STATUS_FLAGS & ~O_DIRECTORY, task.creds), place)
