"""Copy-up: contents, attributes and extended attributes of a file of a lower layer."""

from typing import Final

from sentry.abi.errno import EINVAL, EIO, ENXIO, EOPNOTSUPP
from sentry.abi.fcntl import O_RDONLY, O_WRONLY, SEEK_DATA, SEEK_HOLE
from sentry.abi.stat import S_IFLNK, S_IFMT
from sentry.errors import SysError
from sentry.mm.io import KernelSink, KernelSource
from sentry.vfs.creds import Credentials
from sentry.vfs.file import File
from sentry.vfs.inode import AttributeChange, Attributes, Inode
from sentry.vfs.mount import Dentry, Filesystem, Mount, VfsPath

PIECE: Final = 1 << 20  # bytes copied at once


class NowhereFilesystem(Filesystem):
    """What a file is in that is opened without a name."""

    def __init__(self, inode: Inode) -> None:
        super().__init__(b"none", 0)
        self._inode = inode

    def root(self) -> Inode:
        return self._inode


def open_layer(inode: Inode, flags: int) -> File:
    """Return a regular file of a layer, open and acquired; the caller has checked access."""
    filesystem = NowhereFilesystem(inode)
    dentry = Dentry(None, b"", inode)
    place = VfsPath(Mount(0, filesystem, dentry, 0), dentry)
    return inode.open(place, flags, Credentials()).acquire()


def copy_contents(lower: Inode, upper: Inode, size: int) -> None:
    """Copy the first `size` bytes; holes stay holes."""
    if size == 0:
        return
    source = open_layer(lower, O_RDONLY)
    try:
        target = open_layer(upper, O_WRONLY)
        try:
            _copy_data(source, target, size)
        finally:
            target.drop()
    finally:
        source.drop()
    if upper.attributes().size != size:
        change = AttributeChange()
        change.size = size
        upper.set_attributes(change)


def _copy_data(source: File, target: File, size: int) -> None:
    at = 0
    while at < size:
        start = _seek(source, at, SEEK_DATA)
        if start < 0 or start >= size:
            return
        end = _seek(source, start, SEEK_HOLE)
        end = size if end < 0 else min(end, size)
        if end <= start:
            return
        _copy_range(source, target, start, end)
        at = end


def _seek(file: File, offset: int, whence: int) -> int:
    """Return where data or a hole begins, -1 if there is none; all is data where nobody knows."""
    try:
        return file.seek(offset, whence)
    except SysError as error:
        if error.errno == ENXIO:
            return -1
        if error.errno in (EINVAL, EOPNOTSUPP):
            return offset if whence == SEEK_DATA else -1
        raise


def _copy_range(source: File, target: File, start: int, end: int) -> None:
    while start < end:
        sink = KernelSink(min(PIECE, end - start))
        count = source.try_pread(sink, start)
        if not count:
            return  # somebody made the file shorter
        pending = KernelSource(bytes(sink.data))
        while pending.size:
            done = target.try_pwrite(pending, start)
            if not done:
                raise SysError(EIO)
            start += done


def copy_attributes(lower: Inode, upper: Inode, found: Attributes, prefix: bytes) -> None:
    """Give a new upper object the extended attributes, mode and times of the lower one.

    It has its owner already.  Attributes with the overlay's own prefix are not handed on.
    """
    for name in lower.listxattr():
        if not name.startswith(prefix):
            upper.setxattr(name, lower.getxattr(name), 0)
    if found.mode & S_IFMT != S_IFLNK and upper.mode() & 0o7777 != found.mode & 0o7777:
        change = AttributeChange()
        change.mode = found.mode & 0o7777
        upper.set_attributes(change)
    set_times(upper, found.atime_ns, found.mtime_ns)


def set_times(inode: Inode, atime_ns: int, mtime_ns: int) -> None:
    """Set both times of an object of the upper layer."""
    change = AttributeChange()
    change.atime_ns, change.mtime_ns = max(atime_ns, 0), max(mtime_ns, 0)
    inode.set_attributes(change)
