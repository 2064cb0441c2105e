"""Dentries, mounts and paths: the tree of names that a task sees."""

from typing import Final

from mypy_extensions import mypyc_attr

from sentry.vfs.inode import S_IFMT, Inode

MNT_READONLY: Final = 0x01
MNT_NOSUID: Final = 0x02
MNT_NODEV: Final = 0x04
MNT_NOEXEC: Final = 0x08
MNT_NOATIME: Final = 0x10
MNT_NODIRATIME: Final = 0x20
MNT_RELATIME: Final = 0x40


@mypyc_attr(allow_interpreted_subclasses=True)
class Filesystem:
    """A mounted file system instance (a superblock)."""

    def __init__(self, type_name: bytes, device: int) -> None:
        self.type_name = type_name  # as /proc/mounts shows it
        self.device = device  # st_dev of its files, of the sentry's own numbering
        self.options = b""  # file system options for /proc/mounts, comma separated
        # Whether names change only through the sentry, so that dentries are the truth.
        self.is_exclusive = True
        self.is_read_only = False  # the file system itself, whatever the mount says
        self.root_dentry: Dentry | None = None

    def dentry(self) -> "Dentry":
        """Return the dentry of the root, the same for every mount of it."""
        root = self.root_dentry
        if root is None:
            root = Dentry(None, b"", self.root())
            self.root_dentry = root
        return root

    def root(self) -> Inode:
        """Return the inode of the root."""
        raise NotImplementedError

    def sync(self) -> None:
        """Do syncfs(2)."""

    def close(self) -> None:
        """Give up what the host has lent: it is mounted nowhere any more.

        Open files go on working, names in it are gone.
        """

    def statfs(self) -> tuple[int, int, int, int, int, int, int]:
        """Return f_type, f_bsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree (statfs(2))."""
        raise NotImplementedError


class Dentry:
    """A name in a directory; `inode` None says that it does not exist."""

    def __init__(self, parent: "Dentry | None", name: bytes, inode: Inode | None) -> None:
        self.parent = parent  # None for the root of a file system
        self.name = name
        self.inode = inode
        self.kind = 0 if inode is None else inode.mode() & S_IFMT  # the type never changes
        self.children: dict[bytes, Dentry] = {}
        self.mounts = 0  # how many mounts are on it, in any namespace
        self.is_unlinked = False
        # Forgotten by the cache while somebody may hold it: its `children` are not to be used.
        self.is_pruned = False
        # Mount points that exist in the sentry only: the file system does not know them.
        self.synthetic: dict[bytes, Dentry] = {}

    def was_pruned(self) -> bool:
        """Return `is_pruned`, asked anew after the cache was pruned."""
        return self.is_pruned

    def fill(self, inode: Inode) -> None:
        """Make a name that did not exist refer to `inode`."""
        self.inode = inode
        self.kind = inode.mode() & S_IFMT
        parent = self.parent
        if parent is not None and not parent.is_pruned:
            parent.children[self.name] = self

    def remove(self) -> None:
        """Forget the name after it was unlinked; who holds the dentry sees it as deleted."""
        self.is_unlinked = True
        parent = self.parent
        if parent is not None and parent.children.get(self.name) is self:
            del parent.children[self.name]


class Mount:
    """One attachment of a file system (or of a part of one) in the tree."""

    def __init__(self, mount_id: int, filesystem: Filesystem, root: Dentry, flags: int) -> None:
        self.mount_id = mount_id
        self.filesystem = filesystem
        self.root = root
        self.flags = flags  # MNT_
        self.source = b"none"  # as /proc/mounts shows it
        self.parent: Mount | None = None
        self.mountpoint: Dentry | None = None  # in the parent
        self.children: dict[Dentry, Mount] = {}  # by the dentry of this mount that they are on

    def is_read_only(self) -> bool:
        """Return whether writes through this mount are EROFS."""
        return bool(self.flags & MNT_READONLY) or self.filesystem.is_read_only


class VfsPath:
    """A place in the tree: a mount and a dentry in it (struct path of Linux)."""

    def __init__(self, mount: Mount, dentry: Dentry) -> None:
        self.mount = mount
        self.dentry = dentry

    def is_same(self, other: "VfsPath") -> bool:
        """Return whether both are the same place."""
        return self.mount is other.mount and self.dentry is other.dentry


class FsContext:
    """Root, working directory and umask of a task; shared with CLONE_FS."""

    def __init__(self, root: VfsPath, cwd: VfsPath) -> None:
        self.root = root
        self.cwd = cwd
        self.umask = 0o022
        self.users = 1

    def copy(self) -> "FsContext":
        """Return a context of its own for a task without CLONE_FS."""
        new = FsContext(self.root, self.cwd)
        new.umask = self.umask
        return new
