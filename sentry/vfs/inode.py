"""Inodes: what a file system stores, apart from names and open files."""

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from sentry.abi.errno import EACCES, EINVAL, ENOSYS, ENOTDIR, EOPNOTSUPP, EPERM
from sentry.abi.stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, Stat, pack_stat
from sentry.errors import SysError
from sentry.vfs.creds import Credentials

if TYPE_CHECKING:
    from sentry.vfs.file import File
    from sentry.vfs.mount import VfsPath

KEEP_TIME: Final = -(1 << 63)

# The modules of file systems take these from here.
__all__ = [
    "KEEP_TIME",
    "S_IFDIR",
    "S_IFLNK",
    "S_IFMT",
    "S_IFREG",
    "AttributeChange",
    "Attributes",
    "DirectoryEntry",
    "Inode",
]


class Attributes(Stat):
    """What stat(2) tells of an inode; times are nanoseconds since the epoch."""


class AttributeChange:
    """What chmod(2), chown(2), utimensat(2) and truncate(2) ask for.

    -1 leaves alone, and of times, which may be before the epoch, KEEP_TIME.
    """

    def __init__(self) -> None:
        self.mode = -1  # permission bits only
        self.uid = -1
        self.gid = -1
        self.size = -1
        self.atime_ns = KEEP_TIME
        self.mtime_ns = KEEP_TIME


class DirectoryEntry:
    """One name of a directory as getdents64(2) shows it."""

    def __init__(self, name: bytes, ino: int, kind: int) -> None:
        self.name = name
        self.ino = ino
        self.kind = kind  # S_IF


@mypyc_attr(allow_interpreted_subclasses=True)
class Inode:
    """One object of a file system.

    The defaults are Linux's answers for an object that cannot do a thing.
    Permission checks are the callers' (sentry/vfs/permission.py, path.py);
    an inode only does.  Names are bytes without a slash.
    """

    def attributes(self) -> Attributes:
        """Return the attributes as they are now."""
        raise SysError(ENOSYS)

    def stat_image(self) -> bytes:
        """Return the attributes as a struct stat."""
        return pack_stat(self.attributes())

    def mode(self) -> int:
        """Return the mode with the type bits (cheaper than all attributes)."""
        return self.attributes().mode

    def permissions(self) -> tuple[int, int, int]:
        """Return mode, owner and group, which is what permission checks need."""
        attributes = self.attributes()
        return attributes.mode, attributes.uid, attributes.gid

    def key(self) -> tuple[int, int]:
        """Return what is the same for every name of the object: st_dev and st_ino."""
        attributes = self.attributes()
        return attributes.dev, attributes.ino

    def is_same(self, other: "Inode") -> bool:
        """Return whether a fresh lookup that gave `other` found the same object again."""
        return self is other

    def set_attributes(self, change: AttributeChange) -> None:
        """Change attributes; the caller has checked permissions."""
        raise SysError(EPERM)

    def before_truncation(self) -> None:
        """Called before an open for writing that will cut the file to nothing (O_TRUNC)."""

    def open(self, path: "VfsPath", flags: int, creds: Credentials) -> "File":
        """Return an open file description for this object (not O_PATH)."""
        raise SysError(EACCES)

    def readlink(self) -> bytes:
        """Return the target of a symbolic link."""
        raise SysError(EINVAL)

    def follow(self, creds: Credentials) -> "VfsPath | None":
        """Return where a magic link leads; None for all others, which have a text."""
        return None

    # Directories.

    def entries(self) -> "list[DirectoryEntry]":
        """Return the entries now, without `.` and `..` (for overlays)."""
        raise SysError(ENOTDIR)

    def lookup(self, name: bytes) -> "Inode | None":
        """Return the child, None if there is none."""
        raise SysError(ENOTDIR)

    def create(self, name: bytes, mode: int, uid: int, gid: int) -> "Inode":
        """Make a regular file; `mode` has the umask applied already."""
        raise SysError(EPERM)

    def create_unnamed(self, mode: int, uid: int, gid: int, *, linkable: bool) -> "Inode":
        """Make a regular file without a name (O_TMPFILE); `linkable`: `link` may give it one."""
        raise SysError(EOPNOTSUPP)

    def mkdir(self, name: bytes, mode: int, uid: int, gid: int) -> "Inode":
        """Make a directory."""
        raise SysError(EPERM)

    def mknod(self, name: bytes, mode: int, rdev: int, uid: int, gid: int) -> "Inode":
        """Make a FIFO, socket or device node; `mode` has the type."""
        raise SysError(EPERM)

    def symlink(self, name: bytes, target: bytes, uid: int, gid: int) -> "Inode":
        """Make a symbolic link."""
        raise SysError(EPERM)

    def link(self, name: bytes, inode: "Inode") -> None:
        """Make another name for `inode`, which is of the same file system."""
        raise SysError(EPERM)

    def unlink(self, name: bytes, inode: "Inode") -> None:
        """Remove a name that is not a directory."""
        raise SysError(EPERM)

    def rmdir(self, name: bytes, inode: "Inode") -> None:
        """Remove an empty directory."""
        raise SysError(EPERM)

    def rename(self, name: bytes, new_parent: "Inode", new_name: bytes, flags: int) -> None:
        """Move a child (renameat2(2) flags); SysError(ENOTEMPTY) over a directory in use."""
        raise SysError(EPERM)

    def moved(self, parent: "Inode", name: bytes) -> None:
        """Called after this object was renamed to `name` in `parent`."""

    def replaced(self) -> None:
        """Called after another object was renamed over this one's name."""

    # Extended attributes.

    def getxattr(self, name: bytes) -> bytes:
        """Return the value; SysError(ENODATA) if there is none."""
        raise SysError(EOPNOTSUPP)

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        """Set the value."""
        raise SysError(EOPNOTSUPP)

    def listxattr(self) -> list[bytes]:
        """Return the names."""
        raise SysError(EOPNOTSUPP)

    def removexattr(self, name: bytes) -> None:
        """Remove the value."""
        raise SysError(EOPNOTSUPP)
