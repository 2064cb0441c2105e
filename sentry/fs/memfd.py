"""Files in memory (memfd_create(2)): a host memfd with an offset and flags of our own.

Contents, size, times and seals are the host's, so that a mapping of it in a
guest is the file, and the host refuses what a seal forbids.
"""

from typing import Final

from sentry.abi.errno import EACCES, EINVAL, ENODEV, EPERM
from sentry.abi.fcntl import O_ACCMODE, O_RDONLY, O_RDWR, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET
from sentry.errors import SysError
from sentry.fs.anon import MEMFD_DEVICE, NUMBERS
from sentry.mm.io import Sink, Source
from sentry.platform import hostfiles, hostmemory
from sentry.vfs.creds import Credentials
from sentry.vfs.file import O_LARGEFILE, File
from sentry.vfs.inode import S_IFREG, AttributeChange, Attributes, Inode
from sentry.vfs.mount import VfsPath

O_APPEND: Final = 0o2000
O_TRUNC: Final = 0o1000
_STATUS_FLAGS: Final = 0o1 | 0o2 | 0o2000 | 0o4000 | 0o40000 | 0o1000000 | 0o100000
_OFFSET_MAX: Final = (1 << 63) - 1


class MemoryInode(Inode):
    """The contents of a memfd; lives as long as somebody has it open or mapped."""

    def __init__(self, name: bytes, flags: int, creds: Credentials) -> None:
        self.name = name
        self.host = hostfiles.OwnedFd(hostmemory.make_memory_file(name, flags))
        self._read_only = hostfiles.OwnedFd(-1)
        self._number = NUMBERS.next()
        self._uid = creds.fsuid
        self._gid = creds.fsgid

    def read_only_fd(self) -> int:
        """Return a descriptor of the contents from which no mapping can be made writable."""
        if self._read_only.fd < 0:
            self._read_only.fd = hostfiles.PROC.reopen(self.host.fd, O_RDONLY)
        return self._read_only.fd

    def attributes(self) -> Attributes:
        status = hostfiles.stat_fd(self.host.fd)
        found = Attributes()
        found.dev = MEMFD_DEVICE
        found.ino = self._number
        found.mode = status.st_mode
        found.nlink = 0
        found.uid = self._uid
        found.gid = self._gid
        found.size = status.st_size
        found.blocks = status.st_blocks
        found.atime_ns = status.st_atime_ns
        found.mtime_ns = status.st_mtime_ns
        found.ctime_ns = status.st_ctime_ns
        return found

    def mode(self) -> int:
        return hostfiles.stat_fd(self.host.fd).st_mode | S_IFREG

    def set_attributes(self, change: AttributeChange) -> None:
        if change.size >= 0:
            hostfiles.truncate(self.host.fd, change.size)
        if change.mode >= 0:
            hostfiles.change_mode(self.host.fd, change.mode & 0o7777)
        if change.uid >= 0:
            self._uid = change.uid
        if change.gid >= 0:
            self._gid = change.gid

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        if flags & O_TRUNC:
            hostfiles.truncate(self.host.fd, 0)
        return MemoryFile(self, flags)


class MemoryFile(File):
    """An open memfd."""

    def __init__(self, inode: MemoryInode, flags: int) -> None:
        super().__init__(flags & _STATUS_FLAGS, inode)
        self.memory = inode
        self._offset = 0

    def try_read(self, sink: Sink) -> int | None:
        done = sink.fill_from_host(self.memory.host.fd, self._offset) if sink.room else 0
        self._offset += done
        return done

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        return sink.fill_from_host(self.memory.host.fd, offset) if sink.room else 0

    def try_write(self, source: Source) -> int | None:
        if source.size == 0:
            return 0
        if self.flags & O_APPEND:
            self._offset = hostfiles.stat_fd(self.memory.host.fd).st_size
        done = source.drain_to_host(self.memory.host.fd, self._offset)
        self._offset += done
        return done

    def try_pwrite(self, source: Source, offset: int) -> int | None:
        if source.size == 0:
            return 0
        if self.flags & O_APPEND:
            # As Linux, whatever POSIX says: pwrite(2), BUGS.
            offset = hostfiles.stat_fd(self.memory.host.fd).st_size
        return source.drain_to_host(self.memory.host.fd, offset)

    def seek(self, offset: int, whence: int) -> int:
        if whence == SEEK_SET:
            at = offset
        elif whence == SEEK_CUR:
            at = self._offset + offset
        elif whence == SEEK_END:
            at = hostfiles.stat_fd(self.memory.host.fd).st_size + offset
        else:
            at = hostfiles.seek(self.memory.host.fd, offset, whence)
        if not 0 <= at <= _OFFSET_MAX:
            raise SysError(EINVAL)
        self._offset = at
        return at

    def shown_flags(self) -> int:
        return self.flags | O_LARGEFILE

    def is_pollable(self) -> bool:
        return False

    def host_fd(self) -> int:
        return self.memory.host.fd

    def mmap_host_fd(self, prot: int, flags: int) -> int:
        access = self.flags & O_ACCMODE
        if access == O_WRONLY:
            raise SysError(EACCES)
        if flags & 0xF in (1, 3) and prot & 2 and access != O_RDWR:
            raise SysError(EACCES)
        if self.memory.host.fd < 0:
            raise SysError(ENODEV)
        # mprotect(2) later must not make a file writable that was opened for reading.
        return self.memory.host.fd if access == O_RDWR else self.memory.read_only_fd()

    def sync(self, *, data_only: bool) -> None:
        """There is nothing behind it."""

    def allocate(self, mode: int, offset: int, length: int) -> None:
        hostfiles.allocate(self.memory.host.fd, mode, offset, length)

    def describe(self) -> bytes:
        return b"/memfd:%s (deleted)" % self.memory.name

    def seals(self) -> int:
        """Do fcntl(F_GET_SEALS)."""
        return hostmemory.seals(self.memory.host.fd)

    def add_seals(self, seals: int) -> None:
        """Do fcntl(F_ADD_SEALS)."""
        if not self.can_write():
            raise SysError(EPERM)
        hostmemory.add_seals(self.memory.host.fd, seals)
