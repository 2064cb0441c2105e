"""Host directory trees as file systems of the guest."""

from sentry.abi.mount import V9FS_MAGIC
from sentry.abi.stat import S_IFDIR, S_IFMT
from sentry.fs.host.inode import POOL, HostInode, HostTree
from sentry.platform import hostfiles
from sentry.vfs.inode import Inode
from sentry.vfs.mount import Filesystem


class HostFilesystem(Filesystem):
    """One host directory (or file) and what is below it.

    With `is_exclusive` nobody else changes the tree, so names once looked up
    are the truth; else (a bind mount) every lookup asks the host.  `root_fd`
    is a descriptor of the directory or file, opened with O_PATH; it stays
    the file system's.
    """

    def __init__(self, root_fd: int, *, is_exclusive: bool, is_read_only: bool = False) -> None:
        found = hostfiles.stat_fd(root_fd)
        self.tree = HostTree(found.st_dev, is_exclusive=is_exclusive)
        super().__init__(b"9p", self.tree.device)
        hostfiles.UMASK.clear()
        self.root_fd = root_fd
        self.is_exclusive = is_exclusive
        self.is_read_only = is_read_only
        self.options = b"trans=fd,cache=mmap" if is_exclusive else b"trans=fd"
        self._root = HostInode(self.tree, None, b"", found)
        if found.st_mode & S_IFMT == S_IFDIR:
            self._root.pin(root_fd)
        else:
            self._root.single_fd = root_fd

    def root(self) -> Inode:
        return self._root

    def close(self) -> None:
        POOL.forget_tree(self.tree)
        self._root.give_up()

    def statfs(self) -> tuple[int, int, int, int, int, int, int]:
        size, blocks, free, available, files, files_free = hostfiles.file_system_size(self.root_fd)
        return V9FS_MAGIC, size, blocks, free, available, files, files_free
