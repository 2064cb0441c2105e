"""How FIFOs, sockets and device nodes are opened, whatever file system their name is in.

No file system opens such an object itself: it gives name and attributes, and
the layers above register here what opening means.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from sentry.abi.errno import EACCES, ENXIO
from sentry.abi.stat import S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT
from sentry.errors import SysError
from sentry.vfs.creds import Credentials
from sentry.vfs.file import File
from sentry.vfs.inode import Inode
from sentry.vfs.mount import MNT_NODEV, VfsPath


@mypyc_attr(allow_interpreted_subclasses=True)
class Opener:
    """Opens objects of one kind, or one device."""

    def open(self, inode: Inode, place: VfsPath, flags: int, creds: Credentials) -> File:
        """Return an open file for `inode`; its `path` is set by the caller."""
        raise SysError(ENXIO)


class Registry:
    """The openers by kind and device number."""

    def __init__(self) -> None:
        self.fifo: Opener | None = None
        self.devices: dict[tuple[int, int], Opener] = {}  # by S_IF type and st_rdev

    def open(self, inode: Inode, place: VfsPath, flags: int, creds: Credentials) -> File:
        """Open a FIFO or device; SysError(ENXIO) for sockets and for what nobody registered."""
        kind = inode.mode() & S_IFMT
        opener: Opener | None = None
        if kind == S_IFIFO:
            opener = self.fifo
        elif kind in (S_IFCHR, S_IFBLK):
            if place.mount.flags & MNT_NODEV:
                raise SysError(EACCES)
            opener = self.devices.get((kind, inode.attributes().rdev))
        if opener is None:
            raise SysError(ENXIO)
        return opener.open(inode, place, flags, creds)


REGISTRY: Final = Registry()
