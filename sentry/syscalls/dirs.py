"""Names: mkdir(2), unlink(2), rename(2), link(2), readlink(2), mknod(2), getdents64(2), ..."""

from typing import Final

from sentry.abi.dirent import pack_dirent
from sentry.abi.errno import (
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    ERANGE,
    EROFS,
    EXDEV,
)
from sentry.abi.fcntl import AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW
from sentry.abi.stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK
from sentry.abi.types import Fd, Int, Mode, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel.lookup import Target, place_at, read_path, target_at, walker_at
from sentry.kernel.task import Task
from sentry.mm.io import BufferSink, KernelSink
from sentry.vfs.inode import Inode
from sentry.vfs.mount import Dentry, VfsPath
from sentry.vfs.notify import WATCHES
from sentry.vfs.path import Walker, cwd_bytes, is_below
from sentry.vfs.permission import MAY_EXEC, MAY_WRITE, check, check_delete, new_owner

CAP_MKNOD: Final = 27
CAP_SYS_CHROOT: Final = 18
RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2
RENAME_WHITEOUT: Final = 4
_DIRENT64_NAME: Final = 19


def _parent(task: Task, dirfd: int, address: int) -> Walker:
    """Return a walker that stands in the directory of a path's last name."""
    path = read_path(task, address)
    walker = walker_at(task, dirfd, path)
    walker.walk_parent(path)
    return walker


def _new_name(task: Task, walker: Walker, *, is_directory: bool) -> tuple[Inode, Dentry]:
    """Return directory and dentry for a name that is to be made; the checks of mkdir(2)."""
    if walker.last in (b"", b".", b".."):
        raise SysError(EEXIST)
    dentry = walker.child(walker.last)
    if dentry.inode is not None:
        raise SysError(EEXIST)
    if walker.is_dir_wanted and not is_directory:
        raise SysError(ENOENT)
    parent = walker.inode()
    if walker.dentry.is_unlinked:
        raise SysError(ENOENT)
    if walker.mount.is_read_only():
        raise SysError(EROFS)
    check(task.creds, parent, MAY_WRITE | MAY_EXEC)
    return parent, dentry


def sys_mkdir(task: Task, pathname: UserPtr, mode: Mode) -> int:
    """mkdir(2)."""
    return _mkdir(task, AT_FDCWD, pathname, mode)


def sys_mkdirat(task: Task, dirfd: Fd, pathname: UserPtr, mode: Mode) -> int:
    """mkdirat(2)."""
    return _mkdir(task, dirfd, pathname, mode)


def _mkdir(task: Task, dirfd: int, pathname: int, mode: int) -> int:
    parent, dentry = _new_name(task, _parent(task, dirfd, pathname), is_directory=True)
    wanted = S_IFDIR | mode & 0o1777 & ~task.fs.umask
    full, uid, gid = new_owner(task.creds, parent, wanted)
    _fill(parent, dentry, parent.mkdir(dentry.name, full & 0o7777, uid, gid))
    return 0


def _fill(parent: Inode, dentry: Dentry, made: Inode) -> None:
    """Give a new name its inode, and tell who watches the directory."""
    dentry.fill(made)
    if WATCHES.is_active:
        WATCHES.created(parent, dentry)


def sys_mknod(task: Task, pathname: UserPtr, mode: Mode, device: Uint) -> int:
    """mknod(2)."""
    return _mknod(task, AT_FDCWD, pathname, mode, device)


def sys_mknodat(task: Task, dirfd: Fd, pathname: UserPtr, mode: Mode, device: Uint) -> int:
    """mknodat(2)."""
    return _mknod(task, dirfd, pathname, mode, device)


def _mknod(task: Task, dirfd: int, pathname: int, mode: int, device: int) -> int:
    kind = mode & S_IFMT or S_IFREG
    if kind == S_IFDIR:
        raise SysError(EPERM)
    if kind not in (S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK):
        raise SysError(EINVAL)
    parent, dentry = _new_name(task, _parent(task, dirfd, pathname), is_directory=False)
    is_device = kind == S_IFBLK or (kind == S_IFCHR and device != 0)  # 0:0 means a whiteout
    if is_device and not task.creds.has_capability(CAP_MKNOD):
        raise SysError(EPERM)
    wanted = kind | mode & 0o7777 & ~task.fs.umask
    full, uid, gid = new_owner(task.creds, parent, wanted)
    if kind == S_IFREG:
        made = parent.create(dentry.name, full & 0o7777, uid, gid)
    else:
        made = parent.mknod(dentry.name, full, device, uid, gid)
    _fill(parent, dentry, made)
    return 0


def sys_symlink(task: Task, target: UserPtr, linkpath: UserPtr) -> int:
    """symlink(2)."""
    return _symlink(task, target, AT_FDCWD, linkpath)


def sys_symlinkat(task: Task, target: UserPtr, dirfd: Fd, linkpath: UserPtr) -> int:
    """symlinkat(2)."""
    return _symlink(task, target, dirfd, linkpath)


def _symlink(task: Task, target: int, dirfd: int, linkpath: int) -> int:
    text = read_path(task, target)
    if not text:
        raise SysError(ENOENT)
    parent, dentry = _new_name(task, _parent(task, dirfd, linkpath), is_directory=False)
    _, uid, gid = new_owner(task.creds, parent, S_IFLNK)
    _fill(parent, dentry, parent.symlink(dentry.name, text, uid, gid))
    return 0


def sys_link(task: Task, oldpath: UserPtr, newpath: UserPtr) -> int:
    """link(2)."""
    return _link(task, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0)


def sys_linkat(
    task: Task, olddirfd: Fd, oldpath: UserPtr, newdirfd: Fd, newpath: UserPtr, flags: Int
) -> int:
    """linkat(2)."""
    if flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH):
        raise SysError(EINVAL)
    return _link(task, olddirfd, oldpath, newdirfd, newpath, flags)


def _link(task: Task, olddirfd: int, oldpath: int, newdirfd: int, newpath: int, flags: int) -> int:
    follow = bool(flags & AT_SYMLINK_FOLLOW)
    old: Target = target_at(task, olddirfd, oldpath, flags, follow=follow)
    inode = old.inode()
    walker = _parent(task, newdirfd, newpath)
    parent, dentry = _new_name(task, walker, is_directory=False)
    if old.place is None or old.place.mount is not walker.mount:
        raise SysError(EXDEV)
    if inode.mode() & S_IFMT == S_IFDIR:
        raise SysError(EPERM)
    parent.link(dentry.name, inode)
    # Found again by its own name: the inode object may know the old one only.
    walker.dentry.children.pop(dentry.name, None)
    if WATCHES.is_active:
        WATCHES.linked(parent, dentry.name, inode)
    return 0


def sys_unlink(task: Task, pathname: UserPtr) -> int:
    """unlink(2)."""
    return _unlink(task, AT_FDCWD, pathname)


def sys_unlinkat(task: Task, dirfd: Fd, pathname: UserPtr, flags: Int) -> int:
    """unlinkat(2)."""
    if flags & ~AT_REMOVEDIR:
        raise SysError(EINVAL)
    if flags & AT_REMOVEDIR:
        return _rmdir(task, dirfd, pathname)
    return _unlink(task, dirfd, pathname)


def sys_rmdir(task: Task, pathname: UserPtr) -> int:
    """rmdir(2)."""
    return _rmdir(task, AT_FDCWD, pathname)


def _existing(task: Task, walker: Walker) -> tuple[Inode, Dentry, Inode]:
    """Return directory, dentry and inode of a name that is to be removed."""
    dentry = walker.child(walker.last)
    inode = dentry.inode
    if inode is None:
        raise SysError(ENOENT)
    parent = walker.inode()
    if walker.mount.is_read_only():
        raise SysError(EROFS)
    check_delete(task.creds, parent, inode)
    if dentry.mounts:
        raise SysError(EBUSY)
    return parent, dentry, inode


def _unlink(task: Task, dirfd: int, pathname: int) -> int:
    walker = _parent(task, dirfd, pathname)
    if walker.last in (b"", b".", b".."):
        raise SysError(EISDIR)
    parent, dentry, inode = _existing(task, walker)
    if dentry.kind == S_IFDIR:
        raise SysError(EISDIR)
    if walker.is_dir_wanted:
        raise SysError(ENOTDIR)
    links = WATCHES.links_of(inode) if WATCHES.is_active else -1
    parent.unlink(dentry.name, inode)
    _removed(parent, dentry, links)
    return 0


def _removed(parent: Inode, dentry: Dentry, links: int) -> None:
    """Forget a name that was removed; `links` is what `WATCHES.links_of` had said."""
    dentry.remove()
    if WATCHES.is_active:
        WATCHES.unlinked(parent, dentry, links)


def _rmdir(task: Task, dirfd: int, pathname: int) -> int:
    walker = _parent(task, dirfd, pathname)
    if walker.last == b"":
        raise SysError(EBUSY)
    if walker.last == b".":
        raise SysError(EINVAL)
    if walker.last == b"..":
        raise SysError(ENOTEMPTY)
    parent, dentry, inode = _existing(task, walker)
    if dentry.kind != S_IFDIR:
        raise SysError(ENOTDIR)
    if dentry.synthetic:
        raise SysError(EBUSY)
    links = WATCHES.links_of(inode) if WATCHES.is_active else -1
    parent.rmdir(dentry.name, inode)
    _removed(parent, dentry, links)
    return 0


def sys_rename(task: Task, oldpath: UserPtr, newpath: UserPtr) -> int:
    """rename(2)."""
    return _rename(task, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0)


def sys_renameat(task: Task, olddirfd: Fd, oldpath: UserPtr, newdirfd: Fd, newpath: UserPtr) -> int:
    """renameat(2)."""
    return _rename(task, olddirfd, oldpath, newdirfd, newpath, 0)


def sys_renameat2(
    task: Task, olddirfd: Fd, oldpath: UserPtr, newdirfd: Fd, newpath: UserPtr, flags: Uint
) -> int:
    """renameat2(2); RENAME_WHITEOUT is refused, as by most file systems."""
    if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT):
        raise SysError(EINVAL)
    if flags & RENAME_EXCHANGE and flags & (RENAME_NOREPLACE | RENAME_WHITEOUT):
        raise SysError(EINVAL)
    if flags & RENAME_WHITEOUT:
        raise SysError(EINVAL)
    return _rename(task, olddirfd, oldpath, newdirfd, newpath, flags)


def _rename(
    task: Task, olddirfd: int, oldpath: int, newdirfd: int, newpath: int, flags: int
) -> int:
    source = _parent(task, olddirfd, oldpath)
    target = _parent(task, newdirfd, newpath)
    if source.mount is not target.mount:
        raise SysError(EXDEV)
    dots = (b"", b".", b"..")
    if source.last in dots or target.last in dots:
        raise SysError(EEXIST if flags & RENAME_NOREPLACE and target.last in dots else EBUSY)
    old = source.child(source.last)
    new = target.child(target.last)
    inode = old.inode
    if inode is None or (new.inode is None and flags & RENAME_EXCHANGE):
        raise SysError(ENOENT)
    if old.kind != S_IFDIR and (source.is_dir_wanted or target.is_dir_wanted):
        raise SysError(ENOTDIR)
    if old.kind == S_IFDIR and is_below(target.dentry, old):
        raise SysError(EINVAL)
    if new.kind == S_IFDIR and is_below(source.dentry, new):
        raise SysError(ENOTEMPTY)
    if new.inode is not None and flags & RENAME_NOREPLACE:
        raise SysError(EEXIST)
    if source.mount.is_read_only():
        raise SysError(EROFS)
    if new.inode is not None and (new.inode is inode or new.inode.key() == inode.key()):
        return 0  # two names of one file: nothing happens
    if flags & RENAME_EXCHANGE:
        _check_exchange(task, source, target, old, new)
        _exchange(source, target, old, new)
        return 0
    _check_rename(task, source, target, old, new)
    _move(source, target, old, new, flags)
    return 0


def _check_exchange(task: Task, source: Walker, target: Walker, old: Dentry, new: Dentry) -> None:
    """The permission checks of RENAME_EXCHANGE: as of a rename in both directions."""
    for walker, dentry in ((source, old), (target, new)):
        assert dentry.inode is not None
        check_delete(task.creds, walker.inode(), dentry.inode)
        if dentry.kind == S_IFDIR and source.dentry is not target.dentry:
            check(task.creds, dentry.inode, MAY_WRITE)
    if old.mounts or new.mounts:
        raise SysError(EBUSY)


def _exchange(source: Walker, target: Walker, old: Dentry, new: Dentry) -> None:
    """Let both inodes, then both dentries, change their places."""
    assert old.inode is not None
    assert new.inode is not None
    source.inode().rename(old.name, target.inode(), new.name, RENAME_EXCHANGE)
    for dentry in (old, new):
        parent = dentry.parent
        if parent is not None and parent.children.get(dentry.name) is dentry:
            del parent.children[dentry.name]
    old.parent, new.parent = target.dentry, source.dentry
    old.name, new.name = new.name, old.name
    old.inode.moved(target.inode(), old.name)
    new.inode.moved(source.inode(), new.name)
    old.fill(old.inode)
    new.fill(new.inode)
    if WATCHES.is_active:
        for dentry, other, origin, goal in ((old, new, source, target), (new, old, target, source)):
            WATCHES.moved(origin.inode(), other.name, goal.inode(), dentry)
            WATCHES.moved_self(dentry)


def _check_rename(task: Task, source: Walker, target: Walker, old: Dentry, new: Dentry) -> None:
    """The permission checks of rename(2), and those of the two kinds."""
    inode = old.inode
    assert inode is not None
    check_delete(task.creds, source.inode(), inode)
    if new.inode is not None:
        check_delete(task.creds, target.inode(), new.inode)
        if old.kind == S_IFDIR and new.kind != S_IFDIR:
            raise SysError(ENOTDIR)
        if old.kind != S_IFDIR and new.kind == S_IFDIR:
            raise SysError(EISDIR)
    else:
        if target.dentry.is_unlinked:
            raise SysError(ENOENT)
        check(task.creds, target.inode(), MAY_WRITE | MAY_EXEC)
    if old.kind == S_IFDIR and source.dentry is not target.dentry:
        check(task.creds, inode, MAY_WRITE)
    if old.mounts or new.mounts:
        raise SysError(EBUSY)


def _move(source: Walker, target: Walker, old: Dentry, new: Dentry, flags: int) -> None:
    """Move the inode, then the dentry with everything below it."""
    inode = old.inode
    assert inode is not None
    replaced = new.inode
    links = WATCHES.links_of(replaced) if WATCHES.is_active else -1
    old_name = old.name
    source.inode().rename(old.name, target.inode(), new.name, flags)
    if replaced is not None:
        replaced.replaced()
        new.remove()
    parent = source.dentry
    if parent.children.get(old.name) is old:
        del parent.children[old.name]
    old.parent = target.dentry
    old.name = new.name
    inode.moved(target.inode(), new.name)
    target.dentry.children.pop(new.name, None)
    old.fill(inode)
    if WATCHES.is_active:
        WATCHES.moved(source.inode(), old_name, target.inode(), old)
        if replaced is not None:
            WATCHES.replaced(replaced, links, is_directory=new.kind == S_IFDIR)
        WATCHES.moved_self(old)


def sys_readlink(task: Task, pathname: UserPtr, buffer: UserPtr, size: Int) -> int:
    """readlink(2)."""
    return _readlink(task, AT_FDCWD, pathname, buffer, size)


def sys_readlinkat(task: Task, dirfd: Fd, pathname: UserPtr, buffer: UserPtr, size: Int) -> int:
    """readlinkat(2)."""
    return _readlink(task, dirfd, pathname, buffer, size)


def _readlink(task: Task, dirfd: int, pathname: int, buffer: int, size: int) -> int:
    if size <= 0:
        raise SysError(EINVAL)
    target = target_at(task, dirfd, pathname, AT_EMPTY_PATH, follow=False)
    if target.file is not None and dirfd == AT_FDCWD:
        raise SysError(ENOENT)
    inode = target.inode()
    if inode.mode() & S_IFMT != S_IFLNK:
        raise SysError(ENOENT if target.file is not None else EINVAL)
    text = inode.readlink()[:size]
    task.memory.write(buffer, text)
    return len(text)


def sys_getdents64(task: Task, fd: Fd, buffer: UserPtr, count: Uint) -> int:
    """getdents64(2)."""
    file = task.fds.get(fd)
    done = file.try_getdents(BufferSink(task.memory, buffer, min(count, 1 << 20)))
    if WATCHES.is_active:
        WATCHES.accessed(file)
    return done


def sys_getdents(task: Task, fd: Fd, buffer: UserPtr, count: Uint) -> int:
    """getdents(2): the old record layout, made from the new one, which is never smaller."""
    file = task.fds.get(fd)
    sink = KernelSink(min(count, 1 << 20))
    file.try_getdents(sink)
    if WATCHES.is_active:
        WATCHES.accessed(file)
    data = bytes(sink.data)
    records: list[bytes] = []
    position = 0
    while position < len(data):
        ino = int.from_bytes(data[position : position + 8], "little")
        offset = int.from_bytes(data[position + 8 : position + 16], "little")
        length = int.from_bytes(data[position + 16 : position + 18], "little")
        name = data[position + _DIRENT64_NAME : position + length].split(b"\0", 1)[0]
        records.append(pack_dirent(ino, offset, data[position + 18], name))
        position += length
    packed = b"".join(records)
    task.memory.write(buffer, packed)
    return len(packed)


def sys_getcwd(task: Task, buffer: UserPtr, size: Uint) -> int:
    """getcwd(2): returns the size with the NUL, as the kernel does."""
    text = cwd_bytes(task.fs.cwd, task.fs.root) + b"\0"
    if len(text) > size:
        raise SysError(ERANGE)
    task.memory.write(buffer, text)
    return len(text)


def _enter(task: Task, place: VfsPath) -> VfsPath:
    """Return `place`; SysError unless it is a directory that may be searched."""
    if place.dentry.kind != S_IFDIR or place.dentry.inode is None:
        raise SysError(ENOTDIR)
    check(task.creds, place.dentry.inode, MAY_EXEC)
    return place


def sys_chdir(task: Task, pathname: UserPtr) -> int:
    """chdir(2)."""
    task.fs.cwd = _enter(task, place_at(task, AT_FDCWD, pathname, follow=True))
    return 0


def sys_fchdir(task: Task, fd: Fd) -> int:
    """fchdir(2)."""
    place = task.fds.get_raw(fd).path
    if place is None:
        raise SysError(ENOTDIR)
    task.fs.cwd = _enter(task, place)
    return 0


def sys_chroot(task: Task, pathname: UserPtr) -> int:
    """chroot(2)."""
    place = _enter(task, place_at(task, AT_FDCWD, pathname, follow=True))
    if not task.creds.has_capability(CAP_SYS_CHROOT):
        raise SysError(EPERM)
    task.fs.root = place
    return 0


def sys_umask(task: Task, mask: Int) -> int:
    """umask(2)."""
    old = task.fs.umask
    task.fs.umask = mask & 0o777
    return old
