"""tmpfs (tmpfs(5)): directories in the sentry, contents in host memory files.

Regular files are memfds, so that they can be mapped; their memory counts in
the sandbox's control group.  Everything else is a few fields.
"""

from typing import Final

from sentry.abi.errno import (
    EACCES,
    EEXIST,
    EINVAL,
    EISDIR,
    ENODATA,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTEMPTY,
)
from sentry.abi.fcntl import O_ACCMODE, O_APPEND, O_RDONLY, O_RDWR, O_WRONLY
from sentry.abi.mman import MAP_PRIVATE, MAP_TYPE, PROT_WRITE
from sentry.abi.stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from sentry.errors import SysError
from sentry.mm.io import Sink, Source
from sentry.platform import hostfiles, hosttime
from sentry.vfs.creds import Credentials
from sentry.vfs.directory import DirectoryFile
from sentry.vfs.file import File
from sentry.vfs.inode import KEEP_TIME, AttributeChange, Attributes, DirectoryEntry, Inode
from sentry.vfs.mount import Filesystem, VfsPath
from sentry.vfs.namespace import NUMBERS
from sentry.vfs.special import REGISTRY

TMPFS_MAGIC: Final = 0x01021994
PAGE: Final = 4096
DEFAULT_LIMIT: Final = 1 << 30  # bytes, where no size= is given
MAX_FILE_SIZE: Final = (1 << 63) - 1
MAX_INODES: Final = 200_000
XATTR_MAX: Final = 65536  # bytes of names and values of one inode
RENAME_EXCHANGE: Final = 2
XATTR_CREATE: Final = 1
XATTR_REPLACE: Final = 2


class TmpFilesystem(Filesystem):
    """One instance of tmpfs."""

    def __init__(
        self,
        type_name: bytes = b"tmpfs",
        *,
        mode: int = 0o1777,
        uid: int = 0,
        gid: int = 0,
        size_limit: int = 0,
    ) -> None:
        super().__init__(type_name, NUMBERS.new_device())
        self.size_limit = size_limit or DEFAULT_LIMIT
        if size_limit:
            self.options = b"size=%dk" % (size_limit // 1024)
        self.used = 0  # bytes of regular files, in whole pages
        self.inodes = 0
        self._last_number = 0
        self._root = TmpInode(self, S_IFDIR | mode, uid, gid)
        self._root.nlink = 2

    def root(self) -> Inode:
        return self._root

    def close(self) -> None:
        order = [self._root]
        for directory in order:
            for child in directory.children.values():
                if child.mode() & S_IFMT == S_IFDIR:
                    order.append(child)
                else:
                    child.nlink = 0
                    child.forget_if_unused()

    def new_number(self) -> int:
        """Return an inode number; SysError(ENOSPC) when there are too many inodes."""
        if self.inodes >= MAX_INODES:
            raise SysError(ENOSPC)
        self.inodes += 1
        self._last_number += 1
        return self._last_number

    def charge(self, size: int) -> None:
        """Account for `size` more (or less) bytes; SysError(ENOSPC) over the limit."""
        if size > 0 and self.used + size > self.size_limit:
            raise SysError(ENOSPC)
        self.used += size

    def statfs(self) -> tuple[int, int, int, int, int, int, int]:
        total = self.size_limit // PAGE
        free = max(self.size_limit - self.used, 0) // PAGE
        return TMPFS_MAGIC, PAGE, total, free, free, MAX_INODES, MAX_INODES - self.inodes


class TmpInode(Inode):
    """Anything in a tmpfs; the type is in `mode`."""

    def __init__(self, filesystem: TmpFilesystem, mode: int, uid: int, gid: int) -> None:
        self.filesystem = filesystem
        self.number = filesystem.new_number()
        self._mode = mode
        self.uid = uid
        self.gid = gid
        self.nlink = 1
        self.is_linkable = False  # made by O_TMPFILE, to be named later
        self.rdev = 0
        self.target = b""  # of a symbolic link
        self.children: dict[bytes, TmpInode] = {}
        self.memory_fd = -1  # of a regular file; -1: empty and never opened
        self.reading_fd = -1  # the same, opened for reading only: what readers may map shared
        self.charged = 0
        self.is_mapped = False  # somebody may write it through a mapping
        self.opens = 0
        self.xattrs: dict[bytes, bytes] = {}
        now_ns = hosttime.realtime_ns()
        self.atime_ns = self.mtime_ns = self.ctime_ns = now_ns

    # Attributes.

    def key(self) -> tuple[int, int]:
        return self.filesystem.device, self.number

    def mode(self) -> int:
        return self._mode

    def permissions(self) -> tuple[int, int, int]:
        return self._mode, self.uid, self.gid

    def attributes(self) -> Attributes:
        found = Attributes()
        found.dev = self.filesystem.device
        found.ino = self.number
        found.mode = self._mode
        found.nlink = self.nlink
        found.uid, found.gid, found.rdev = self.uid, self.gid, self.rdev
        found.atime_ns, found.mtime_ns, found.ctime_ns = self.atime_ns, self.mtime_ns, self.ctime_ns
        kind = self._mode & S_IFMT
        if kind == S_IFREG and self.memory_fd >= 0:
            status = hostfiles.stat_fd(self.memory_fd)
            found.size, found.blocks = status.st_size, status.st_blocks
        elif kind == S_IFLNK:
            found.size = len(self.target)
        elif kind == S_IFDIR:
            found.size = 20 * (len(self.children) + 2)
        return found

    def set_attributes(self, change: AttributeChange) -> None:
        if change.size >= 0:
            self.resize(change.size)
        if change.mode >= 0:
            self._mode = self._mode & S_IFMT | change.mode & 0o7777
        if change.uid >= 0:
            self.uid = change.uid
        if change.gid >= 0:
            self.gid = change.gid
        if change.atime_ns != KEEP_TIME:
            self.atime_ns = change.atime_ns
        if change.mtime_ns != KEEP_TIME:
            self.mtime_ns = change.mtime_ns
        self.ctime_ns = hosttime.realtime_ns()

    def touch(self) -> None:
        """Note that the contents changed now."""
        self.mtime_ns = self.ctime_ns = hosttime.realtime_ns()

    # Contents of regular files.

    def contents(self) -> int:
        """Return the host descriptor of the contents."""
        if self.memory_fd < 0:
            self.memory_fd = hostfiles.make_memory_file("tmpfs")
        return self.memory_fd

    def contents_to_read(self) -> int:
        """Return a host descriptor of the contents that cannot be used to change them."""
        if self.reading_fd < 0:
            self.reading_fd = hostfiles.PROC.reopen(self.contents(), O_RDONLY)
        return self.reading_fd

    def contents_to_map(self) -> int:
        """Return the descriptor for a mapping that writes; all of the file counts from now on."""
        size = hostfiles.stat_fd(self.contents()).st_size
        try:
            self.reserve(size)
        except SysError:
            raise SysError(ENOMEM) from None
        self.is_mapped = True
        return self.memory_fd

    def reserve(self, end: int) -> None:
        """Account for a file that reaches to `end`; SysError(ENOSPC) if there is no room."""
        needed = (end + PAGE - 1) & -PAGE
        if needed > self.charged:
            self.filesystem.charge(needed - self.charged)
            self.charged = needed

    def resize(self, size: int) -> None:
        """Do truncate(2)."""
        if self._mode & S_IFMT == S_IFDIR:
            raise SysError(EISDIR)
        if self._mode & S_IFMT != S_IFREG:
            raise SysError(EINVAL)
        if self.is_mapped:
            self.reserve(size)
        hostfiles.truncate(self.contents(), size)
        kept = (size + PAGE - 1) & -PAGE
        if kept < self.charged:
            self.filesystem.charge(kept - self.charged)
            self.charged = kept
        self.touch()

    def forget_if_unused(self) -> None:
        """Give the memory back when there is no name and no open file any more."""
        if self.nlink > 0 or self.opens > 0:
            return
        if self.memory_fd >= 0:
            hostfiles.close(self.memory_fd)
            self.memory_fd = -1
        if self.reading_fd >= 0:
            hostfiles.close(self.reading_fd)
            self.reading_fd = -1
        self.filesystem.charge(-self.charged)
        self.charged = 0
        self.filesystem.inodes -= 1

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        kind = self._mode & S_IFMT
        if kind == S_IFDIR:
            return DirectoryFile(self, path, flags)
        if kind == S_IFREG:
            return TmpFile(self, flags)
        return REGISTRY.open(self, path, flags, creds)

    def readlink(self) -> bytes:
        if self._mode & S_IFMT != S_IFLNK:
            raise SysError(EINVAL)
        return self.target

    # Directories.

    def lookup(self, name: bytes) -> Inode | None:
        return self.children.get(name)

    def entries(self) -> list[DirectoryEntry]:
        return [
            DirectoryEntry(name, child.number, child.mode() & S_IFMT)
            for name, child in self.children.items()
        ]

    def _add(self, name: bytes, child: "TmpInode") -> Inode:
        if name in self.children:
            raise SysError(EEXIST)
        self.children[name] = child
        self.touch()
        return child

    def create(self, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        return self._add(name, TmpInode(self.filesystem, S_IFREG | mode, uid, gid))

    def create_unnamed(self, mode: int, uid: int, gid: int, *, linkable: bool) -> Inode:
        child = TmpInode(self.filesystem, S_IFREG | mode, uid, gid)
        child.nlink = 0
        child.is_linkable = linkable
        return child

    def mkdir(self, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        child = TmpInode(self.filesystem, S_IFDIR | mode, uid, gid)
        child.nlink = 2
        self.nlink += 1
        return self._add(name, child)

    def mknod(self, name: bytes, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        child = TmpInode(self.filesystem, mode, uid, gid)
        child.rdev = rdev
        return self._add(name, child)

    def symlink(self, name: bytes, target: bytes, uid: int, gid: int) -> Inode:
        child = TmpInode(self.filesystem, S_IFLNK | 0o777, uid, gid)
        child.target = target
        return self._add(name, child)

    def link(self, name: bytes, inode: Inode) -> None:
        assert isinstance(inode, TmpInode)
        if inode.nlink == 0 and not inode.is_linkable:
            raise SysError(ENOENT)
        inode.nlink += 1
        inode.ctime_ns = hosttime.realtime_ns()
        self._add(name, inode)

    def unlink(self, name: bytes, inode: Inode) -> None:
        child = self.children.pop(name)
        child.nlink -= 1
        child.ctime_ns = hosttime.realtime_ns()
        child.forget_if_unused()
        self.touch()

    def rmdir(self, name: bytes, inode: Inode) -> None:
        child = self.children[name]
        if child.children:
            raise SysError(ENOTEMPTY)
        del self.children[name]
        child.nlink = 0
        child.forget_if_unused()
        self.nlink -= 1
        self.touch()

    def rename(self, name: bytes, new_parent: Inode, new_name: bytes, flags: int) -> None:
        assert isinstance(new_parent, TmpInode)
        if flags & RENAME_EXCHANGE:
            self._exchange(name, new_parent, new_name)
            return
        child = self.children[name]
        replaced = new_parent.children.get(new_name)
        is_directory = child.mode() & S_IFMT == S_IFDIR
        if replaced is not None:
            if is_directory:
                new_parent.rmdir(new_name, replaced)
            else:
                new_parent.unlink(new_name, replaced)
        del self.children[name]
        new_parent.children[new_name] = child
        if is_directory:
            self.nlink -= 1
            new_parent.nlink += 1
        child.ctime_ns = hosttime.realtime_ns()
        self.touch()
        new_parent.touch()

    def _exchange(self, name: bytes, other: "TmpInode", other_name: bytes) -> None:
        one, two = self.children[name], other.children[other_name]
        self.children[name], other.children[other_name] = two, one
        moved = (two.mode() & S_IFMT == S_IFDIR) - (one.mode() & S_IFMT == S_IFDIR)
        self.nlink += moved
        other.nlink -= moved
        one.ctime_ns = two.ctime_ns = hosttime.realtime_ns()
        self.touch()
        other.touch()

    # Extended attributes.

    def getxattr(self, name: bytes) -> bytes:
        value = self.xattrs.get(name)
        if value is None:
            raise SysError(ENODATA)
        return value

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        if flags & XATTR_CREATE and name in self.xattrs:
            raise SysError(EEXIST)
        if flags & XATTR_REPLACE and name not in self.xattrs:
            raise SysError(ENODATA)
        total = sum(len(key) + len(held) for key, held in self.xattrs.items())
        if total + len(name) + len(value) > XATTR_MAX:
            raise SysError(ENOSPC)
        self.xattrs[name] = value

    def listxattr(self) -> list[bytes]:
        return list(self.xattrs)

    def removexattr(self, name: bytes) -> None:
        if name not in self.xattrs:
            raise SysError(ENODATA)
        del self.xattrs[name]


class TmpFile(File):
    """An open regular file; the offset is kept here, the contents are the inode's."""

    def __init__(self, inode: TmpInode, flags: int) -> None:
        super().__init__(flags, inode)
        self._tmp = inode
        inode.contents()
        inode.opens += 1
        self._offset = 0

    def release(self) -> None:
        self._tmp.opens -= 1
        self._tmp.forget_if_unused()

    def is_pollable(self) -> bool:
        return False

    def _size(self) -> int:
        return hostfiles.stat_fd(self._tmp.contents()).st_size

    def try_read(self, sink: Sink) -> int | None:
        done = sink.fill_from_host(self._tmp.contents(), self._offset)
        self._offset += done
        return done

    def try_write(self, source: Source) -> int | None:
        if self.flags & O_APPEND:
            self._offset = self._size()
        done = self._write_at(source, self._offset)
        self._offset += done
        return done

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        return sink.fill_from_host(self._tmp.contents(), offset)

    def try_pwrite(self, source: Source, offset: int) -> int | None:
        # With O_APPEND Linux appends here too, pwrite(2), "BUGS".
        return self._write_at(source, self._size() if self.flags & O_APPEND else offset)

    def _write_at(self, source: Source, offset: int) -> int:
        self._tmp.reserve(offset + source.size)
        done = source.drain_to_host(self._tmp.contents(), offset)
        self._tmp.touch()
        return done

    def seek(self, offset: int, whence: int) -> int:
        if whence == 1:
            offset += self._offset
        elif whence == 2:
            offset += self._size()
        elif whence != 0:
            offset = hostfiles.seek(self._tmp.contents(), offset, whence)
        if not 0 <= offset <= MAX_FILE_SIZE:
            raise SysError(EINVAL)
        self._offset = offset
        return offset

    def host_fd(self) -> int:
        return self._tmp.contents()

    def mmap_host_fd(self, prot: int, flags: int) -> int:
        access = self.flags & O_ACCMODE
        if access == O_WRONLY:
            raise SysError(EACCES)
        if flags & MAP_TYPE == MAP_PRIVATE:
            return self._tmp.contents()
        if access == O_RDWR:
            return self._tmp.contents_to_map()
        if prot & PROT_WRITE:
            raise SysError(EACCES)
        # mprotect(2) later must not make it writable.
        return self._tmp.contents_to_read()

    def sync(self, *, data_only: bool) -> None:
        return

    def allocate(self, mode: int, offset: int, length: int) -> None:
        self._tmp.reserve(offset + length)
        hostfiles.allocate(self._tmp.contents(), mode, offset, length)
