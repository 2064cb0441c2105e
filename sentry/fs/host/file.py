"""Open host files: the host descriptor's own offset is the file offset."""

from typing import TYPE_CHECKING

from sentry.abi.errno import EACCES
from sentry.abi.fcntl import (
    O_ACCMODE,
    O_APPEND,
    O_RDWR,
    O_WRONLY,
)
from sentry.abi.mman import MAP_SHARED, MAP_SHARED_VALIDATE, MAP_TYPE, PROT_WRITE
from sentry.errors import SysError
from sentry.mm.io import Sink, Source
from sentry.platform import hostfiles
from sentry.vfs.file import File
from sentry.vfs.inode import AttributeChange, Attributes

if TYPE_CHECKING:
    from sentry.fs.host.inode import HostInode


class HostFile(File):
    """A regular host file, with a host descriptor of its own."""

    def __init__(self, inode: "HostInode", host_fd: int, flags: int) -> None:
        super().__init__(flags, inode)
        self._host_inode = inode
        self._host_fd = host_fd
        inode.opened.append(host_fd)

    def release(self) -> None:
        self._host_inode.opened.remove(self._host_fd)
        hostfiles.close(self._host_fd)
        self._host_fd = -1

    def is_pollable(self) -> bool:
        return False

    def try_read(self, sink: Sink) -> int | None:
        return sink.fill_from_host(self._host_fd, -1)

    def try_write(self, source: Source) -> int | None:
        return source.drain_to_host(self._host_fd, -1)

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        return sink.fill_from_host(self._host_fd, offset)

    def try_pwrite(self, source: Source, offset: int) -> int | None:
        return source.drain_to_host(self._host_fd, offset)

    def seek(self, offset: int, whence: int) -> int:
        return hostfiles.seek(self._host_fd, offset, whence)

    def host_fd(self) -> int:
        return self._host_fd

    def mmap_host_fd(self, prot: int, flags: int) -> int:
        access = self.flags & O_ACCMODE
        if access == O_WRONLY:
            raise SysError(EACCES)
        if flags & MAP_TYPE in (MAP_SHARED, MAP_SHARED_VALIDATE):
            if prot & PROT_WRITE and access != O_RDWR:
                raise SysError(EACCES)
        return self._host_fd

    def attributes(self) -> Attributes:
        return self._host_inode.from_host(hostfiles.stat_fd(self._host_fd))

    def stat_image(self) -> bytes:
        return self._host_inode.image_from_host(hostfiles.stat_image_of(self._host_fd))

    def set_attributes(self, change: AttributeChange) -> None:
        self._host_inode.change_by_fd(self._host_fd, change)

    def sync(self, *, data_only: bool) -> None:
        hostfiles.sync(self._host_fd, data_only=data_only)

    def allocate(self, mode: int, offset: int, length: int) -> None:
        hostfiles.allocate(self._host_fd, mode, offset, length)

    def set_status_flags(self, flags: int) -> None:
        if (flags ^ self.flags) & O_APPEND:
            now = hostfiles.status_flags(self._host_fd)
            hostfiles.set_status_flags(self._host_fd, now & ~O_APPEND | flags & O_APPEND)
        self.flags = flags
