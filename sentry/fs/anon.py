"""Inodes without a name: those of pipes, sockets, event descriptors and their kind."""

from typing import Final

from sentry.platform import hosttime
from sentry.vfs.inode import KEEP_TIME, AttributeChange, Attributes, Inode

# Device numbers (st_dev) of the file systems that are never mounted.
SOCKFS_DEVICE: Final = 8
PIPEFS_DEVICE: Final = 12
ANON_DEVICE: Final = 13
MEMFD_DEVICE: Final = 1


class InodeNumbers:
    """Hands out inode numbers for objects without a file system."""

    def __init__(self) -> None:
        self._last = 1000

    def next(self) -> int:
        """Return a number that was not used before."""
        self._last += 1
        return self._last


NUMBERS: Final = InodeNumbers()


class AnonInode(Inode):
    """Attributes of an object that lives only in the kernel."""

    def __init__(self, device: int, mode: int, uid: int, gid: int) -> None:
        self.device = device
        self.number = NUMBERS.next()
        self._mode = mode
        self._uid = uid
        self._gid = gid
        now_ns = hosttime.realtime_ns()
        self._atime_ns = now_ns
        self._mtime_ns = now_ns
        self._ctime_ns = now_ns

    def mode(self) -> int:
        return self._mode

    def attributes(self) -> Attributes:
        found = Attributes()
        found.dev = self.device
        found.ino = self.number
        found.mode = self._mode
        found.uid = self._uid
        found.gid = self._gid
        found.atime_ns = self._atime_ns
        found.mtime_ns = self._mtime_ns
        found.ctime_ns = self._ctime_ns
        return found

    def set_attributes(self, change: AttributeChange) -> None:
        if change.mode >= 0:
            self._mode = self._mode & ~0o7777 | change.mode & 0o7777
        if change.uid >= 0:
            self._uid = change.uid
        if change.gid >= 0:
            self._gid = change.gid
        if change.atime_ns != KEEP_TIME:
            self._atime_ns = change.atime_ns
        if change.mtime_ns != KEEP_TIME:
            self._mtime_ns = change.mtime_ns
        self._ctime_ns = hosttime.realtime_ns()


def anon_inode() -> AnonInode:
    """Return an inode as anon_inode files have it: no type, read and write for root."""
    return AnonInode(ANON_DEVICE, 0o600, 0, 0)
