"""stat(2), statx(2), access(2), statfs(2) and their kind."""

from typing import Final

from sentry.abi.errno import EFAULT, EINVAL, EROFS
from sentry.abi.fcntl import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_NO_AUTOMOUNT,
    AT_STATX_SYNC_TYPE,
    AT_SYMLINK_NOFOLLOW,
)
from sentry.abi.stat import S_IFDIR, S_IFLNK, S_IFREG, StatFs, pack_statfs, pack_statx
from sentry.abi.types import Fd, Int, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel.lookup import read_path, target_at, walker_at
from sentry.kernel.task import Task
from sentry.vfs.creds import Credentials
from sentry.vfs.mount import Mount, VfsPath
from sentry.vfs.path import Walker
from sentry.vfs.permission import MAY_WRITE, check

STATX_RESERVED: Final = 0x8000_0000
R_OK_W_OK_X_OK: Final = 7


def _stat_path(task: Task, path: int, buffer: int, *, follow: bool) -> int:
    """The hot path of stat(2): no dirfd, no flags."""
    walker = Walker(task.fs, task.creds, None)
    walker.walk(read_path(task, path), follow=follow)
    task.memory.write(buffer, walker.inode().stat_image())
    return 0


def sys_stat(task: Task, pathname: UserPtr, statbuf: UserPtr) -> int:
    """stat(2)."""
    return _stat_path(task, pathname, statbuf, follow=True)


def sys_lstat(task: Task, pathname: UserPtr, statbuf: UserPtr) -> int:
    """lstat(2)."""
    return _stat_path(task, pathname, statbuf, follow=False)


def sys_fstat(task: Task, fd: Fd, statbuf: UserPtr) -> int:
    """fstat(2)."""
    task.memory.write(statbuf, task.fds.get_raw(fd).stat_image())
    return 0


def sys_newfstatat(task: Task, dirfd: Fd, pathname: UserPtr, statbuf: UserPtr, flags: Int) -> int:
    """fstatat(2)."""
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH):
        raise SysError(EINVAL)
    if dirfd == AT_FDCWD and not flags & AT_EMPTY_PATH:
        return _stat_path(task, pathname, statbuf, follow=not flags & AT_SYMLINK_NOFOLLOW)
    follow = not flags & AT_SYMLINK_NOFOLLOW
    target = target_at(task, dirfd, pathname, flags, follow=follow)
    file = target.file
    image = target.inode().stat_image() if file is None else file.stat_image()
    task.memory.write(statbuf, image)
    return 0


def sys_statx(
    task: Task, dirfd: Fd, pathname: UserPtr, flags: Int, mask: Uint, statxbuf: UserPtr
) -> int:
    """statx(2)."""
    known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE
    if flags & ~known or flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE or mask & STATX_RESERVED:
        raise SysError(EINVAL)
    follow = not flags & AT_SYMLINK_NOFOLLOW
    target = target_at(task, dirfd, pathname, flags, follow=follow)
    file = target.file
    attributes = target.inode().attributes() if file is None else file.attributes()
    place = target.place
    if place is not None:
        attributes.mount_id = place.mount.mount_id
    task.memory.write(statxbuf, pack_statx(attributes))
    return 0


def sys_access(task: Task, pathname: UserPtr, mode: Int) -> int:
    """access(2)."""
    return _access(task, AT_FDCWD, pathname, mode, 0)


def sys_faccessat(task: Task, dirfd: Fd, pathname: UserPtr, mode: Int) -> int:
    """faccessat(2) as the kernel has it, without flags."""
    return _access(task, dirfd, pathname, mode, 0)


def sys_faccessat2(task: Task, dirfd: Fd, pathname: UserPtr, mode: Int, flags: Int) -> int:
    """faccessat2(2)."""
    if flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise SysError(EINVAL)
    return _access(task, dirfd, pathname, mode, flags)


def _access(task: Task, dirfd: int, pathname: int, mode: int, flags: int) -> int:
    if mode & ~R_OK_W_OK_X_OK:
        raise SysError(EINVAL)
    creds = task.creds if flags & AT_EACCESS else _real(task.creds)
    if flags & AT_EMPTY_PATH:
        target = target_at(task, dirfd, pathname, flags, follow=not flags & AT_SYMLINK_NOFOLLOW)
        inode, place = target.inode(), target.place
    else:
        path = read_path(task, pathname)
        walker = walker_at(task, dirfd, path)
        walker.creds = creds
        walker.walk(path, follow=not flags & AT_SYMLINK_NOFOLLOW)
        inode, place = walker.inode(), walker.place()
    if mode & MAY_WRITE and place is not None and place.mount.is_read_only():
        if place.dentry.kind in (S_IFREG, S_IFDIR, S_IFLNK):
            raise SysError(EROFS)
    if mode:
        check(creds, inode, mode)
    return 0


def _real(creds: Credentials) -> Credentials:
    """Return the credentials with the real ids in charge, as access(2) checks."""
    if creds.fsuid == creds.uid and creds.fsgid == creds.gid:
        if (creds.uid == 0) == (creds.effective == creds.permitted):
            return creds
    real = creds.copy()
    real.fsuid = creds.uid
    real.fsgid = creds.gid
    real.effective = creds.permitted if creds.uid == 0 else 0
    return real


def sys_statfs(task: Task, pathname: UserPtr, buffer: UserPtr) -> int:
    """statfs(2)."""
    walker = Walker(task.fs, task.creds, None)
    walker.walk(read_path(task, pathname), follow=True)
    return _statfs(task, walker.mount, buffer)


def sys_fstatfs(task: Task, fd: Fd, buffer: UserPtr) -> int:
    """fstatfs(2)."""
    place: VfsPath | None = task.fds.get_raw(fd).path
    if place is None:
        statfs = StatFs(0x09041934)  # ANON_INODE_FS_MAGIC
        task.memory.write(buffer, pack_statfs(statfs))
        return 0
    return _statfs(task, place.mount, buffer)


def _statfs(task: Task, mount: Mount, buffer: int) -> int:
    if buffer == 0:
        raise SysError(EFAULT)
    kind, size, blocks, free, available, files, files_free = mount.filesystem.statfs()
    statfs = StatFs(kind)
    statfs.block_size = statfs.fragment_size = size
    statfs.blocks, statfs.blocks_free, statfs.blocks_available = blocks, free, available
    statfs.files, statfs.files_free = files, files_free
    statfs.fsid_low = mount.filesystem.device
    statfs.flags = mount.flags & 0xF | (1 if mount.is_read_only() else 0)
    task.memory.write(buffer, pack_statfs(statfs))
    return 0
