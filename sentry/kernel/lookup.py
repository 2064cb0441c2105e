"""Paths in system calls: copied in once, walked from a descriptor or the working directory."""

from sentry.abi.errno import EBADF, EFAULT, ENOENT, ENOTDIR, EROFS
from sentry.abi.fcntl import AT_EMPTY_PATH, AT_FDCWD
from sentry.abi.limits import PATH_MAX
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.vfs.file import File
from sentry.vfs.inode import Inode
from sentry.vfs.mount import VfsPath
from sentry.vfs.path import Walker


def read_path(task: Task, address: int) -> bytes:
    """Copy a path in; SysError(ENAMETOOLONG) if it has PATH_MAX bytes or more."""
    return task.memory.read_cstring(address, PATH_MAX)


def walker_at(task: Task, dirfd: int, path: bytes, *, scoped: bool = False) -> Walker:
    """Return a walker for `path` relative to `dirfd`, which counts only for relative paths.

    Unless it is to be their root (`scoped`, RESOLVE_IN_ROOT).
    """
    base: VfsPath | None = None
    if dirfd != AT_FDCWD and (scoped or not path.startswith(b"/")):
        base = task.fds.get_raw(dirfd).path
        if base is None:
            raise SysError(ENOTDIR)
    return Walker(task.fs, task.creds, base)


def place_at(task: Task, dirfd: int, address: int, *, follow: bool) -> VfsPath:
    """Return the existing place that a path argument names."""
    path = read_path(task, address)
    walker = walker_at(task, dirfd, path)
    walker.walk(path, follow=follow)
    return walker.place()


def inode_of(place: VfsPath) -> Inode:
    """Return the inode of an existing place."""
    inode = place.dentry.inode
    if inode is None:
        raise SysError(ENOENT)
    return inode


class Target:
    """What a call with dirfd, path and AT_EMPTY_PATH is about: a place, or a file without one."""

    def __init__(self, place: VfsPath | None, file: File | None) -> None:
        self.place = place
        self.file = file

    def inode(self) -> Inode:
        """Return the inode; SysError(EBADF) for files that have none."""
        if self.file is not None:
            if self.file.inode is None:
                raise SysError(EBADF)
            return self.file.inode
        assert self.place is not None
        return inode_of(self.place)

    def check_writable(self) -> None:
        """SysError(EROFS) if it is on a read-only mount."""
        place = self.place
        if place is not None:
            from_mount = place.mount
            if from_mount.is_read_only():
                raise SysError(EROFS)


def target_at(task: Task, dirfd: int, address: int, flags: int, *, follow: bool) -> Target:
    """Return what the arguments name; with AT_EMPTY_PATH and an empty path the descriptor."""
    path = _path_or_empty(task, address, flags)
    if not path:
        if not flags & AT_EMPTY_PATH:
            raise SysError(ENOENT)
        if dirfd == AT_FDCWD:
            return Target(task.fs.cwd, None)
        file = task.fds.get_raw(dirfd)
        return Target(file.path, file)
    walker = walker_at(task, dirfd, path)
    walker.walk(path, follow=follow)
    return Target(walker.place(), None)


def _path_or_empty(task: Task, address: int, flags: int) -> bytes:
    """A NULL path counts as empty with AT_EMPTY_PATH (Linux 6.11)."""
    if address == 0 and flags & AT_EMPTY_PATH:
        return b""
    if address == 0:
        raise SysError(EFAULT)
    return read_path(task, address)
