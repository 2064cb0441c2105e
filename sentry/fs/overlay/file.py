"""Open regular files of an overlay: the open file of the layer, another one after a copy-up."""

from typing import Final

from sentry.abi.fcntl import O_ACCMODE, O_CREAT, O_EXCL, O_RDONLY, O_TRUNC, SEEK_CUR, SEEK_SET
from sentry.fs.overlay.copying import open_layer
from sentry.fs.overlay.node import Node
from sentry.mm.io import Sink, Source
from sentry.vfs.caller import Caller
from sentry.vfs.file import File
from sentry.vfs.inode import AttributeChange, Attributes, Inode
from sentry.vfs.mount import VfsPath

_ONLY_ONCE: Final = O_CREAT | O_EXCL | O_TRUNC


class OverlayFile(File):
    """A regular file; opened for reading it may be that of a lower layer.

    What is read after a copy-up is the copy; only mappings that were made
    before show the lower file (as on Linux, overlayfs.rst, "Non-standard behavior").
    """

    def __init__(self, inode: Inode, node: Node, place: VfsPath, flags: int) -> None:
        super().__init__(flags & ~_ONLY_ONCE, inode)
        self.path = place
        self.node = node
        self.real = open_layer(node.top(), flags)
        node.files.append(self)

    def reopen(self, upper: Inode) -> None:
        """Go on with the copy that was just made."""
        old = self.real
        self.real = open_layer(upper, self.flags & ~_ONLY_ONCE & ~O_ACCMODE | O_RDONLY)
        self.real.seek(old.seek(0, SEEK_CUR), SEEK_SET)
        old.drop()

    def release(self) -> None:
        self.node.files.remove(self)
        self.real.drop()

    def is_pollable(self) -> bool:
        return False

    def try_read(self, sink: Sink) -> int | None:
        return self.real.try_read(sink)

    def try_write(self, source: Source) -> int | None:
        return self.real.try_write(source)

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        return self.real.try_pread(sink, offset)

    def try_pwrite(self, source: Source, offset: int) -> int | None:
        return self.real.try_pwrite(source, offset)

    def seek(self, offset: int, whence: int) -> int:
        return self.real.seek(offset, whence)

    def host_fd(self) -> int:
        return self.real.host_fd()

    def mmap_host_fd(self, prot: int, flags: int) -> int:
        return self.real.mmap_host_fd(prot, flags)

    def attributes(self) -> Attributes:
        return self.node.adjust(self.real.attributes())

    def set_attributes(self, change: AttributeChange) -> None:
        self.node.copied_up()
        self.real.set_attributes(change)

    def sync(self, *, data_only: bool) -> None:
        self.real.sync(data_only=data_only)

    def allocate(self, mode: int, offset: int, length: int) -> None:
        self.real.allocate(mode, offset, length)

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        return self.real.ioctl(caller, request, argument)

    def set_status_flags(self, flags: int) -> None:
        self.real.set_status_flags(flags)
        self.flags = flags
