"""Overlays as file systems: a writable layer over others that are only read."""

from typing import Final

from sentry.abi.errno import EINVAL
from sentry.abi.mount import OVERLAYFS_SUPER_MAGIC
from sentry.errors import SysError
from sentry.fs.overlay.copying import copy_attributes
from sentry.fs.overlay.inode import OverlayInode
from sentry.fs.overlay.node import Node
from sentry.fs.overlay.tree import OverlayTree, is_directory
from sentry.fs.tmpfs import TmpFilesystem
from sentry.vfs.inode import Inode
from sentry.vfs.mount import Filesystem
from sentry.vfs.namespace import NUMBERS

TRUSTED: Final = b"trusted.overlay."
USER: Final = b"user.overlay."


class Layer:
    """A directory of some file system."""

    def __init__(self, filesystem: Filesystem, directory: Inode) -> None:
        self.filesystem = filesystem
        self.directory = directory


class OverlayFilesystem(Filesystem):
    """A merged tree; without `upper` it is read-only.

    `lowers` are topmost first.  `work` is an empty directory of the file
    system of `upper`.  `prefix` is what the overlay's own extended attributes
    begin with; an upper layer of host files takes USER only.
    """

    def __init__(
        self, lowers: list[Layer], upper: Layer | None, work: Inode | None, prefix: bytes = TRUSTED
    ) -> None:
        super().__init__(b"overlay", NUMBERS.new_device())
        for layer in lowers:
            if not is_directory(layer.directory):
                raise SysError(EINVAL)
        if upper is not None and (work is None or not is_directory(upper.directory)):
            raise SysError(EINVAL)
        self._layers = list(lowers) if upper is None else [upper, *lowers]
        # Names are looked up once, whatever the layers are: what happens when somebody
        # else changes a layer is undefined (overlayfs.rst), but safe.
        self.is_read_only = upper is None
        self.tree = OverlayTree(self.device, work, prefix)
        top = None if upper is None else upper.directory
        below = [layer.directory for layer in lowers]
        self._root = OverlayInode(Node(self.tree, None, b"", top, below))

    def root(self) -> Inode:
        return self._root

    def sync(self) -> None:
        if not self.is_read_only:
            self._layers[0].filesystem.sync()

    def close(self) -> None:
        for layer in self._layers:
            layer.filesystem.close()

    def statfs(self) -> tuple[int, int, int, int, int, int, int]:
        _, size, blocks, free, available, files, files_free = self._layers[0].filesystem.statfs()
        return OVERLAYFS_SUPER_MAGIC, size, blocks, free, available, files, files_free


class MemoryLayers:
    """Upper layers in memory: what is written to several overlays, under one limit.

    At most `size_limit` bytes of contents; the number of objects is tmpfs's limit.
    """

    def __init__(self, size_limit: int) -> None:
        self._memory = TmpFilesystem(mode=0o755, size_limit=size_limit)
        self._count = 0

    def over(self, lower: Filesystem) -> OverlayFilesystem:
        """Return the directory tree `lower` with everything in it writable."""
        self._count += 1
        top = lower.root()
        found = top.attributes()
        root = self._memory.root()
        mode = found.mode & 0o7777
        upper = root.mkdir(b"upper%d" % self._count, mode, found.uid, found.gid)
        work = root.mkdir(b"work%d" % self._count, 0o700, 0, 0)
        copy_attributes(top, upper, found, TRUSTED)
        return OverlayFilesystem([Layer(lower, top)], Layer(self._memory, upper), work)
