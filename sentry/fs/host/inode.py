"""Inodes of host files, each reached by a name in its parent directory.

A directory has a descriptor of its own (O_PATH), which is opened from its
parent's by one name.  Nothing but names without slashes goes to the host, and
no symbolic link is ever followed there.  The descriptors are few: the pool
closes the oldest, and a directory that needs its own again walks down from
the nearest one that is open.
"""

from struct import Struct
from typing import Final

from sentry.abi.errno import EINVAL, ENODATA, ENOENT, EOPNOTSUPP, EPERM, ESTALE
from sentry.abi.fcntl import (
    O_ACCMODE,
    O_APPEND,
    O_CREAT,
    O_DSYNC,
    O_EXCL,
    O_NOATIME,
    O_RDONLY,
    O_RDWR,
    O_SYNC,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
)
from sentry.abi.stat import (
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_ISGID,
    S_ISUID,
)
from sentry.errors import SysError
from sentry.fs.host.file import HostFile
from sentry.platform import hostfiles
from sentry.platform.hostfiles import HostStat, OwnedFd
from sentry.vfs.creds import Credentials
from sentry.vfs.directory import DirectoryFile
from sentry.vfs.file import File
from sentry.vfs.inode import KEEP_TIME, AttributeChange, Attributes, DirectoryEntry, Inode
from sentry.vfs.mount import VfsPath
from sentry.vfs.namespace import NUMBERS
from sentry.vfs.special import REGISTRY

_HOST_OPEN_FLAGS: Final = O_ACCMODE | O_APPEND | O_TRUNC | O_DSYNC | O_SYNC | O_NOATIME
_USER_XATTR: Final = b"user."
# st_dev, st_mode, st_uid, st_gid of struct stat
_unpack_device_and_mode: Final = Struct("<Q16xIII").unpack_from


# By the host's st_dev: what is not one file system's own has the same number in all of them, so
# that a file is the same one wherever it is mounted: for locks, FIFOs, sockets, futexes.
SHARED_DEVICES: Final[dict[int, int]] = {}


class HostTree:
    """What the inodes of one host file system share."""

    def __init__(self, host_device: int, *, is_exclusive: bool) -> None:
        self.is_exclusive = is_exclusive
        self._devices: dict[int, int] = {} if is_exclusive else SHARED_DEVICES
        self._images: dict[int, bytes] = {}  # as `_devices`, as struct stat has the guest's
        self.device = self.device_of(host_device)  # of the root

    def device_of(self, host_device: int) -> int:
        """Return the guest's st_dev for a host st_dev: a tree may span host file systems."""
        device = self._devices.get(host_device)
        if device is None:
            device = NUMBERS.new_device()
            self._devices[host_device] = device
        return device

    def device_image(self, host_device: int) -> bytes:
        """Return the first field of the guest's struct stat for a host st_dev."""
        image = self._images.get(host_device)
        if image is None:
            image = self.device_of(host_device).to_bytes(8, "little")
            self._images[host_device] = image
        return image


class DirectoryPool:
    """Which directories have a descriptor open, oldest first."""

    def __init__(self) -> None:
        self._open: dict[HostInode, None] = {}
        self.limit = 0

    def add(self, directory: "HostInode") -> None:
        """Note that a directory has its descriptor; close the oldest if there are too many."""
        if self.limit == 0:
            self.limit = max(16, min(4096, hostfiles.descriptor_limit() // 4))
        while len(self._open) >= self.limit:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.drop_fd()
        self._open[directory] = None

    def remove(self, directory: "HostInode") -> None:
        """Forget a directory whose descriptor is no longer the pool's."""
        self._open.pop(directory, None)

    def forget_tree(self, tree: HostTree) -> None:
        """Close the descriptors of one host file system."""
        for directory in [one for one in self._open if one.is_of(tree)]:
            del self._open[directory]
            directory.drop_fd()


POOL: Final = DirectoryPool()


class HostInode(Inode):
    """One host file, known by a name; another name of it is another object of this class."""

    def __init__(
        self, tree: HostTree, parent: "HostInode | None", name: bytes, found: HostStat
    ) -> None:
        self._tree = tree
        self.parent = parent
        self.name = name
        self.single_fd = -1  # for the root of a tree that is one file
        self._host_device: int = found.st_dev
        self._ino: int = found.st_ino
        self._mode: int = found.st_mode
        self._uid: int = found.st_uid
        self._gid: int = found.st_gid
        self._fd = -1
        self._pinned: OwnedFd | None = None
        self.opened: list[int] = []  # descriptors of its open files: the way to it without a name
        self._unnamed: OwnedFd | None = None  # of O_TMPFILE: the only way to it
        self._target = b""
        self._is_gone = False

    # Descriptors.

    def dir_fd(self) -> int:
        """Return the descriptor of this directory."""
        if self._fd >= 0:
            return self._fd
        chain: list[HostInode] = []
        at: HostInode | None = self
        while at is not None and at._fd < 0:
            if at._is_gone:
                raise SysError(ENOENT)
            chain.append(at)
            at = at.parent
        assert at is not None
        host_fd = at._fd
        for directory in reversed(chain):
            host_fd = hostfiles.open_subdirectory(host_fd, directory.name)
            directory._fd = host_fd
            POOL.add(directory)
            if not self._tree.is_exclusive:
                directory._verify()
        return host_fd

    def _verify(self) -> None:
        """SysError(ESTALE) if somebody put another directory in the place of this one."""
        found = hostfiles.stat_fd(self._fd)
        if found.st_ino != self._ino or found.st_dev != self._host_device:
            POOL.remove(self)
            self.drop_fd()
            raise SysError(ESTALE)

    def drop_fd(self) -> None:
        """Close the descriptor; called by the pool."""
        if self._fd >= 0 and self._pinned is None:
            hostfiles.close(self._fd)
            self._fd = -1

    def pin(self, host_fd: int) -> None:
        """Keep a descriptor for as long as the inode lives."""
        self._pinned = OwnedFd(host_fd)
        self._fd = host_fd

    def is_of(self, tree: HostTree) -> bool:
        """Return whether the inode belongs to that host file system."""
        return self._tree is tree

    def give_up(self) -> None:
        """Close the way to the root of a file system, and with it to all that is below."""
        self._is_gone = True
        if self._pinned is not None:
            self._pinned.close()
            self._pinned = None
            self._fd = -1
        if self.single_fd >= 0:
            hostfiles.close(self.single_fd)
            self.single_fd = -1

    def _parent_fd(self) -> int:
        """Return the descriptor of the directory that has the name; ENOENT if it is gone."""
        parent = self.parent
        if parent is None or self._is_gone:
            raise SysError(ENOENT)
        return parent.dir_fd()

    def _temporary_fd(self, flags: int) -> int:
        """Open the file for one operation; the caller closes the descriptor."""
        kind = self._mode & S_IFMT
        if kind == S_IFDIR:
            return hostfiles.open_file(self.dir_fd(), b".", O_RDONLY)
        if kind != S_IFREG:
            raise SysError(EPERM)
        lasting_fd = self._lasting_fd()
        if lasting_fd >= 0:
            return hostfiles.PROC.reopen(lasting_fd, flags)
        return self._open_checked(flags)

    def _lasting_fd(self) -> int:
        """Return a descriptor of a file that has no name, or none any more; -1 for others."""
        if self.single_fd < 0 and self._is_gone and self.opened:
            return self.opened[0]
        return self.single_fd

    def _open_checked(self, flags: int) -> int:
        host_fd = hostfiles.open_file(self._parent_fd(), self.name, flags)
        if not self._tree.is_exclusive:
            found = hostfiles.stat_fd(host_fd)
            if found.st_mode & S_IFMT != S_IFREG:
                hostfiles.close(host_fd)
                raise SysError(ESTALE)
        return host_fd

    # Attributes.

    def _host_image(self) -> bytes:
        if self._pinned is not None:
            return hostfiles.stat_image_of(self._fd)
        lasting_fd = self._lasting_fd()
        if lasting_fd >= 0:
            return hostfiles.stat_image_of(lasting_fd)
        image = hostfiles.stat_image_at(self._parent_fd(), self.name)
        if image is None:
            raise SysError(ENOENT)
        return image

    def attributes(self) -> Attributes:
        return self.from_host(HostStat(self._host_image()))

    def stat_image(self) -> bytes:
        return self.image_from_host(self._host_image())

    def image_from_host(self, image: bytes) -> bytes:
        """As `from_host`, for the guest's struct stat: the host's with another st_dev."""
        device, self._mode, self._uid, self._gid = _unpack_device_and_mode(image)
        return self._tree.device_image(device) + image[8:]

    def from_host(self, found: HostStat) -> Attributes:
        """Return the guest's view of what the host tells; remember what checks need."""
        result = Attributes()
        device: int = found.st_dev
        result.dev = self._tree.device_of(device)
        result.ino = found.st_ino
        result.mode = self._mode = found.st_mode
        result.nlink = found.st_nlink
        result.uid = self._uid = found.st_uid
        result.gid = self._gid = found.st_gid
        result.rdev = found.st_rdev
        result.size = found.st_size
        result.blksize = found.st_blksize
        result.blocks = found.st_blocks
        result.atime_ns = found.st_atime_ns
        result.mtime_ns = found.st_mtime_ns
        result.ctime_ns = found.st_ctime_ns
        return result

    def mode(self) -> int:
        return self._mode

    def permissions(self) -> tuple[int, int, int]:
        # Of an exclusive tree nobody else changes them; else the last lookup was just now.
        return self._mode, self._uid, self._gid

    def key(self) -> tuple[int, int]:
        return self._tree.device_of(self._host_device), self._ino

    def is_same(self, other: Inode) -> bool:
        if not isinstance(other, HostInode):
            return False
        if other._ino != self._ino or other._host_device != self._host_device:
            return False
        if (other._mode ^ self._mode) & S_IFMT:
            return False
        self._mode, self._uid, self._gid = other._mode, other._uid, other._gid
        self._target = b""
        return True

    def set_attributes(self, change: AttributeChange) -> None:
        kind = self._mode & S_IFMT
        by_fd = change.size >= 0 or not self._tree.is_exclusive or self._is_gone
        if kind == S_IFREG and by_fd:
            flags = O_WRONLY if change.size >= 0 else O_RDONLY
            host_fd = self._temporary_fd(flags)
            try:
                self.change_by_fd(host_fd, change)
            finally:
                hostfiles.close(host_fd)
            return
        if kind == S_IFDIR:
            self._change_at(self.dir_fd(), b".", change)
        elif self.single_fd >= 0:
            raise SysError(EPERM)
        else:
            self._change_at(self._parent_fd(), self.name, change)

    def _change_at(self, dir_fd: int, name: bytes, change: AttributeChange) -> None:
        if change.uid >= 0 or change.gid >= 0:
            hostfiles.change_owner_at(dir_fd, name, change.uid, change.gid)
        if change.mode >= 0:
            if self._mode & S_IFMT == S_IFLNK:
                raise SysError(EOPNOTSUPP)
            hostfiles.change_mode_at(dir_fd, name, change.mode & 0o7777)
        if change.atime_ns != KEEP_TIME or change.mtime_ns != KEEP_TIME:
            found = hostfiles.stat_at(dir_fd, name)
            if found is None:
                raise SysError(ENOENT)
            atime_ns, mtime_ns = _times(found, change)
            hostfiles.change_times_at(dir_fd, name, atime_ns, mtime_ns)
        self._remember(change)

    def change_by_fd(self, host_fd: int, change: AttributeChange) -> None:
        """Change attributes through an open descriptor of the file."""
        if change.size >= 0:
            hostfiles.truncate(host_fd, change.size)
        if change.uid >= 0 or change.gid >= 0:
            hostfiles.change_owner(host_fd, change.uid, change.gid)
        if change.mode >= 0:
            hostfiles.change_mode(host_fd, change.mode & 0o7777)
        if change.atime_ns != KEEP_TIME or change.mtime_ns != KEEP_TIME:
            atime_ns, mtime_ns = _times(hostfiles.stat_fd(host_fd), change)
            hostfiles.change_times(host_fd, atime_ns, mtime_ns)
        self._remember(change)

    def _remember(self, change: AttributeChange) -> None:
        if change.uid >= 0:
            self._uid = change.uid
        if change.gid >= 0:
            self._gid = change.gid
        if change.mode >= 0:
            self._mode = self._mode & S_IFMT | change.mode & 0o7777
        elif (change.uid >= 0 or change.gid >= 0) and self._mode & S_IFMT != S_IFDIR:
            self._mode &= ~(S_ISUID | S_ISGID)

    # Opening.

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        kind = self._mode & S_IFMT
        if kind == S_IFDIR:
            return DirectoryFile(self, path, flags)
        if kind != S_IFREG:
            return REGISTRY.open(self, path, flags, creds)
        host_flags = flags & _HOST_OPEN_FLAGS
        lasting_fd = self._lasting_fd()
        if lasting_fd >= 0:
            host_fd = hostfiles.PROC.reopen(lasting_fd, host_flags)
        else:
            host_fd = self._open_checked(host_flags)
        return HostFile(self, host_fd, flags)

    def readlink(self) -> bytes:
        if self._mode & S_IFMT != S_IFLNK:
            raise SysError(EINVAL)
        target = self._target
        if not target:
            target = hostfiles.read_link(self._parent_fd(), self.name)
            self._target = target
        return target

    # Directories.

    def entries(self) -> list[DirectoryEntry]:
        return [
            DirectoryEntry(name, ino, kind)
            for name, ino, kind in hostfiles.list_directory(self.dir_fd())
        ]

    def lookup(self, name: bytes) -> Inode | None:
        found = hostfiles.stat_at(self.dir_fd(), name)
        return None if found is None else HostInode(self._tree, self, name, found)

    def _finish_new(self, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        """Give a new file its owner; return its inode."""
        dir_fd = self.dir_fd()
        found = hostfiles.stat_at(dir_fd, name)
        if found is None:
            raise SysError(ENOENT)
        if found.st_uid != uid or found.st_gid != gid:
            hostfiles.change_owner_at(dir_fd, name, uid, gid)
            if mode & (S_ISUID | S_ISGID) and mode & S_IFMT != S_IFLNK:
                hostfiles.change_mode_at(dir_fd, name, mode & 0o7777)
        inode = HostInode(self._tree, self, name, found)
        inode._uid = uid
        inode._gid = gid
        return inode

    def create(self, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        host_fd = hostfiles.open_file(self.dir_fd(), name, O_CREAT | O_EXCL | O_RDWR, mode & 0o7777)
        try:
            found = hostfiles.stat_fd(host_fd)
            if found.st_uid != uid or found.st_gid != gid:
                hostfiles.change_owner(host_fd, uid, gid)
                if mode & (S_ISUID | S_ISGID):
                    hostfiles.change_mode(host_fd, mode & 0o7777)
        finally:
            hostfiles.close(host_fd)
        inode = HostInode(self._tree, self, name, found)
        inode._uid = uid
        inode._gid = gid
        return inode

    def create_unnamed(self, mode: int, uid: int, gid: int, *, linkable: bool) -> Inode:
        flags = O_TMPFILE | O_RDWR | (0 if linkable else O_EXCL)
        owned = OwnedFd(hostfiles.open_file(self.dir_fd(), b".", flags, mode & 0o7777))
        found = hostfiles.stat_fd(owned.fd)
        if found.st_uid != uid or found.st_gid != gid:
            hostfiles.change_owner(owned.fd, uid, gid)
            if mode & (S_ISUID | S_ISGID):
                hostfiles.change_mode(owned.fd, mode & 0o7777)
        inode = HostInode(self._tree, None, b"", found)
        inode._uid = uid
        inode._gid = gid
        inode._unnamed = owned
        inode.single_fd = owned.fd
        return inode

    def mkdir(self, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        hostfiles.make_directory(self.dir_fd(), name, mode & 0o7777)
        return self._finish_new(name, mode, uid, gid)

    def mknod(self, name: bytes, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        # A device node on the host would work there for whoever finds it; but 0:0 is no
        # device, anybody may make it, and it is how overlayfs says that a name is gone.
        kind = mode & S_IFMT
        if kind == S_IFBLK or (kind == S_IFCHR and rdev != 0):
            raise SysError(EPERM)
        hostfiles.make_node(self.dir_fd(), name, mode, 0)
        return self._finish_new(name, mode, uid, gid)

    def symlink(self, name: bytes, target: bytes, uid: int, gid: int) -> Inode:
        hostfiles.make_symlink(self.dir_fd(), name, target)
        return self._finish_new(name, S_IFLNK | 0o777, uid, gid)

    def link(self, name: bytes, inode: Inode) -> None:
        if not isinstance(inode, HostInode):
            raise SysError(EPERM)
        if inode._unnamed is not None:
            hostfiles.PROC.link(inode._unnamed.fd, self.dir_fd(), name)
            return
        hostfiles.make_link(inode._parent_fd(), inode.name, self.dir_fd(), name)

    def unlink(self, name: bytes, inode: Inode) -> None:
        hostfiles.remove_name(self.dir_fd(), name)
        if isinstance(inode, HostInode):
            inode._is_gone = True

    def rmdir(self, name: bytes, inode: Inode) -> None:
        hostfiles.remove_directory(self.dir_fd(), name)
        if isinstance(inode, HostInode):
            inode._is_gone = True
            if inode._fd >= 0 and inode._pinned is None:
                POOL.remove(inode)
                inode.pin(inode._fd)

    def rename(self, name: bytes, new_parent: Inode, new_name: bytes, flags: int) -> None:
        if not isinstance(new_parent, HostInode):
            raise SysError(EINVAL)
        old_fd = self.dir_fd()
        new_fd = new_parent.dir_fd()
        if self._fd < 0:
            old_fd = self.dir_fd()
        hostfiles.rename(old_fd, name, new_fd, new_name, flags)

    def moved(self, parent: Inode, name: bytes) -> None:
        if isinstance(parent, HostInode):
            self.parent = parent
            self.name = name

    def replaced(self) -> None:
        self._is_gone = True

    # Extended attributes: the guest's own only; those of the host's kernel are not its to see.

    def getxattr(self, name: bytes) -> bytes:
        if not name.startswith(_USER_XATTR):
            raise SysError(ENODATA if name.startswith(b"security.") else EOPNOTSUPP)
        host_fd = self._xattr_fd()
        try:
            return hostfiles.get_xattr(host_fd, name)
        finally:
            hostfiles.close(host_fd)

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        if not name.startswith(_USER_XATTR):
            raise SysError(EOPNOTSUPP)
        host_fd = self._xattr_fd()
        try:
            hostfiles.set_xattr(host_fd, name, value, flags)
        finally:
            hostfiles.close(host_fd)

    def listxattr(self) -> list[bytes]:
        if self._mode & S_IFMT not in (S_IFREG, S_IFDIR):
            return []
        host_fd = self._xattr_fd()
        try:
            return [name for name in hostfiles.list_xattr(host_fd) if name.startswith(_USER_XATTR)]
        finally:
            hostfiles.close(host_fd)

    def removexattr(self, name: bytes) -> None:
        if not name.startswith(_USER_XATTR):
            raise SysError(EOPNOTSUPP)
        host_fd = self._xattr_fd()
        try:
            hostfiles.remove_xattr(host_fd, name)
        finally:
            hostfiles.close(host_fd)

    def _xattr_fd(self) -> int:
        return self._temporary_fd(O_RDONLY)


def _times(found: HostStat, change: AttributeChange) -> tuple[int, int]:
    """Return both times to set: utimensat(2) of the host always sets both."""
    atime_ns: int = found.st_atime_ns if change.atime_ns == KEEP_TIME else change.atime_ns
    mtime_ns: int = found.st_mtime_ns if change.mtime_ns == KEEP_TIME else change.mtime_ns
    return atime_ns, mtime_ns
