"""Inodes for file systems whose contents the kernel makes up: proc, sysfs."""

from typing import Final

from mypy_extensions import mypyc_attr

from sentry.abi.errno import EACCES, EINVAL, ENOENT, EPERM
from sentry.errors import SysError
from sentry.mm.io import Sink, Source
from sentry.platform import hosttime
from sentry.vfs.creds import Credentials
from sentry.vfs.directory import DirectoryFile
from sentry.vfs.file import File
from sentry.vfs.inode import (
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    AttributeChange,
    Attributes,
    DirectoryEntry,
    Inode,
)
from sentry.vfs.mount import VfsPath

WRITE_MAX: Final = 65536  # the most that one write to such a file may have


class KernNumbers:
    """Device number and inode numbers of one file system."""

    def __init__(self, device: int) -> None:
        self.device = device
        self._last = 1

    def next(self) -> int:
        """Return an inode number that was not used before."""
        self._last += 1
        return self._last


@mypyc_attr(allow_interpreted_subclasses=True)
class KernInode(Inode):
    """An inode with fixed attributes."""

    def __init__(self, device: int, number: int, mode: int) -> None:
        self.device = device
        self.number = number
        self._mode = mode
        self.uid = 0
        self.gid = 0
        self._time_ns = hosttime.realtime_ns()

    def key(self) -> tuple[int, int]:
        return self.device, self.number

    def mode(self) -> int:
        return self._mode

    def attributes(self) -> Attributes:
        found = Attributes()
        found.dev = self.device
        found.ino = self.number
        found.mode = self._mode
        found.nlink = 2 if self._mode & S_IFMT == S_IFDIR else 1
        found.uid = self.uid
        found.gid = self.gid
        found.blksize = 1024
        found.atime_ns = found.mtime_ns = found.ctime_ns = self._time_ns
        return found

    def set_attributes(self, change: AttributeChange) -> None:
        # Opening with O_TRUNC and `>` redirections set a size; nothing else can be set.
        if change.mode >= 0 or change.uid >= 0 or change.gid >= 0:
            raise SysError(EPERM)


@mypyc_attr(allow_interpreted_subclasses=True)
class TextInode(KernInode):
    """A regular file whose contents are made when it is read."""

    def __init__(self, device: int, number: int, mode: int) -> None:
        super().__init__(device, number, mode | S_IFREG)

    def generate(self) -> bytes:
        """Return the whole contents, as of now."""
        raise SysError(EACCES)

    def store(self, data: bytes, creds: Credentials) -> None:
        """Take what was written in one write(2)."""
        raise SysError(EACCES)

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        file = TextFile(self, flags, creds)
        file.path = path
        return file


class TextFile(File):
    """A text that is made when reading starts at offset 0.

    Later reads go on in the same text, so that a reader with a small buffer
    sees one version of it (as seq_file of Linux does).
    """

    def __init__(self, inode: TextInode, flags: int, creds: Credentials) -> None:
        super().__init__(flags, inode)
        self._inode = inode
        self._creds = creds
        self._offset = 0
        self._text: bytes | None = None

    def _contents(self, offset: int) -> bytes:
        if self._text is None or offset == 0:
            self._text = self._inode.generate()
        return self._text

    def try_read(self, sink: Sink) -> int | None:
        done = sink.put(self._contents(self._offset)[self._offset :])
        self._offset += done
        return done

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        return sink.put(self._contents(offset)[offset:])

    def try_write(self, source: Source) -> int | None:
        size = source.size
        data = source.take(WRITE_MAX)
        if len(data) < size:
            raise SysError(EINVAL)
        self._inode.store(data, self._creds)
        self._text = None
        return size

    def try_pwrite(self, source: Source, offset: int) -> int | None:
        return self.try_write(source)

    def seek(self, offset: int, whence: int) -> int:
        if whence == 1:
            offset += self._offset
        elif whence != 0:
            raise SysError(EINVAL)
        if offset < 0:
            raise SysError(EINVAL)
        self._offset = offset
        return offset


@mypyc_attr(allow_interpreted_subclasses=True)
class KernDirectory(KernInode):
    """A directory whose entries a table or a subclass knows."""

    def __init__(self, device: int, number: int, mode: int = 0o555) -> None:
        super().__init__(device, number, mode | S_IFDIR)
        self._table: dict[bytes, Inode] = {}

    def add(self, name: bytes, inode: Inode) -> None:
        """Put a fixed entry into the directory."""
        self._table[name] = inode

    def lookup(self, name: bytes) -> Inode | None:
        return self._table.get(name)

    # A name that is not there is ENOENT to whoever would make it, as in procfs.

    def create(self, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        raise SysError(ENOENT)

    def mkdir(self, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        raise SysError(ENOENT)

    def mknod(self, name: bytes, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        raise SysError(ENOENT)

    def symlink(self, name: bytes, target: bytes, uid: int, gid: int) -> Inode:
        raise SysError(ENOENT)

    def link(self, name: bytes, inode: Inode) -> None:
        raise SysError(ENOENT)

    def entries(self) -> list[DirectoryEntry]:
        return [
            DirectoryEntry(name, inode.key()[1], inode.mode() & S_IFMT)
            for name, inode in self._table.items()
        ]

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        return DirectoryFile(self, path, flags)


@mypyc_attr(allow_interpreted_subclasses=True)
class LinkInode(KernInode):
    """A symbolic link whose target is made when it is read."""

    def __init__(self, device: int, number: int, target: bytes = b"") -> None:
        super().__init__(device, number, 0o777 | S_IFLNK)
        self._target = target

    def readlink(self) -> bytes:
        return self._target


class FixedText(TextInode):
    """A file whose contents never change."""

    def __init__(self, device: int, number: int, text: bytes, mode: int = 0o444) -> None:
        super().__init__(device, number, mode)
        self._text = text

    def generate(self) -> bytes:
        return self._text


class NumberFile(TextInode):
    """A number that can be read, and written within bounds (most of /proc/sys)."""

    def __init__(self, device: int, number: int, value: int, low: int, high: int) -> None:
        super().__init__(device, number, 0o644)
        self.value = value
        self._low = low
        self._high = high

    def generate(self) -> bytes:
        return b"%d\n" % self.value

    def store(self, data: bytes, creds: Credentials) -> None:
        text = data.strip()
        if not text.lstrip(b"-").isdigit() or len(text) > 20:
            raise SysError(EINVAL)
        value = int(text)
        if not self._low <= value <= self._high:
            raise SysError(EINVAL)
        self.value = value
