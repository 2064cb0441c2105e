"""devpts (Documentation/filesystems/devpts.rst): /dev/pts, /dev/ptmx and /dev/tty.

Every mount is an instance of its own, with its own numbers and its own `ptmx`.
"""

from typing import Final

from sentry.abi.capability import CAP_SYS_ADMIN
from sentry.abi.errno import EBUSY, EINVAL, EIO, ENODEV, ENOSPC, ENXIO, EPERM
from sentry.abi.stat import S_IFCHR, S_IFDIR, S_IFMT
from sentry.errors import SysError
from sentry.fs.tty.file import TtyFile
from sentry.fs.tty.pty import MasterEnd, MasterFile
from sentry.fs.tty.terminal import Tty, rounded_now_ns
from sentry.kernel.kernel import Kernel
from sentry.platform import hosttime
from sentry.vfs.creds import Credentials
from sentry.vfs.directory import DirectoryFile
from sentry.vfs.file import File
from sentry.vfs.inode import AttributeChange, Attributes, DirectoryEntry, Inode
from sentry.vfs.mount import MNT_NODEV, Filesystem, Mount, VfsPath
from sentry.vfs.namespace import NUMBERS
from sentry.vfs.special import REGISTRY, Opener

DEVPTS_MAGIC: Final = 0x1CD1
# Terminals of one instance: kernel.pty.max without what is kept for the first (kernel.pty.reserve).
PTY_MAX: Final = 4096 - 1024
TTY_DEVICE: Final = 5 << 8  # /dev/tty
PTMX_DEVICE: Final = 5 << 8 | 2
_ROOT_INO: Final = 1
_PTMX_INO: Final = 2
_FIRST_INO: Final = 3


class DevptsOptions:
    """Options of the mount (mount(8))."""

    def __init__(self) -> None:
        self.uid = -1  # of new terminals; -1: the opener's
        self.gid = -1
        self.mode = 0o600
        self.ptmx_mode = 0
        self.max = PTY_MAX

    def parse(self, option: str) -> None:
        """Take one option; ValueError for a bad number, unknown ones mean nothing here."""
        name, _, value = option.partition("=")
        if name == "uid":
            self.uid = int(value)
        elif name == "gid":
            self.gid = int(value)
        elif name == "mode":
            self.mode = int(value, 8) & 0o777
        elif name == "ptmxmode":
            self.ptmx_mode = int(value, 8) & 0o777
        elif name == "max":
            self.max = min(int(value), PTY_MAX)

    def shown(self) -> bytes:
        """Return them as /proc/mounts does."""
        text = f"mode={self.mode:03o},ptmxmode={self.ptmx_mode:03o}"
        if self.gid >= 0:
            text = f"gid={self.gid}," + text
        if self.uid >= 0:
            text = f"uid={self.uid}," + text
        return text.encode()


class NodeInode(Inode):
    """Attributes of something in a devpts."""

    def __init__(self, device: int, number: int, mode: int) -> None:
        self._device = device
        self._number = number
        self._mode = mode
        self.uid = 0
        self.gid = 0
        self.rdev = 0
        self.atime_ns = self.mtime_ns = self.ctime_ns = hosttime.realtime_ns()

    def key(self) -> tuple[int, int]:
        return self._device, self._number

    def mode(self) -> int:
        return self._mode

    def permissions(self) -> tuple[int, int, int]:
        return self._mode, self.uid, self.gid

    def attributes(self) -> Attributes:
        found = Attributes()
        found.dev = self._device
        found.ino = self._number
        found.mode = self._mode
        found.nlink = 2 if self._mode & S_IFMT == S_IFDIR else 1
        found.uid, found.gid, found.rdev = self.uid, self.gid, self.rdev
        found.blksize = 1024
        found.atime_ns, found.mtime_ns, found.ctime_ns = self.atime_ns, self.mtime_ns, self.ctime_ns
        return found

    def set_attributes(self, change: AttributeChange) -> None:
        if change.size >= 0:
            raise SysError(EINVAL)
        if change.mode >= 0:
            self._mode = self._mode & S_IFMT | change.mode & 0o7777
        if change.uid >= 0:
            self.uid = change.uid
        if change.gid >= 0:
            self.gid = change.gid
        if change.atime_ns >= 0:
            self.atime_ns = change.atime_ns
        if change.mtime_ns >= 0:
            self.mtime_ns = change.mtime_ns
        self.ctime_ns = hosttime.realtime_ns()


class SlaveInode(NodeInode):
    """/dev/pts/N."""

    def __init__(self, filesystem: "DevptsFilesystem", tty: Tty, uid: int, gid: int) -> None:
        mode = S_IFCHR | filesystem.choices.mode
        super().__init__(filesystem.device, _FIRST_INO + tty.index, mode)
        self._filesystem = filesystem
        self._tty = tty
        self.name = b"%d" % tty.index
        self.rdev = tty.device
        self.uid = uid
        self.gid = gid

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        tty = self._tty
        if path.mount.flags & MNT_NODEV:
            raise SysError(EPERM)
        if tty.is_gone or tty.is_locked:
            raise SysError(EIO)
        if tty.is_exclusive and not creds.has_capability(CAP_SYS_ADMIN):
            raise SysError(EBUSY)
        return TtyFile(tty, flags, self)

    def note_read(self) -> None:
        """Note the time of input, not too exactly."""
        self.atime_ns = rounded_now_ns()

    def note_write(self) -> None:
        """Note the time of output, not too exactly."""
        self.mtime_ns = rounded_now_ns()

    def remove(self) -> None:
        """Forget the name: the other end is gone."""
        self._filesystem.remove(self._tty)


class PtmxInode(NodeInode):
    """/dev/pts/ptmx."""

    def __init__(self, filesystem: "DevptsFilesystem") -> None:
        mode = S_IFCHR | filesystem.choices.ptmx_mode
        super().__init__(filesystem.device, _PTMX_INO, mode)
        self._filesystem = filesystem
        self.rdev = PTMX_DEVICE

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        return self._filesystem.open_master(self, path.mount, flags, creds)


class RootInode(NodeInode):
    """/dev/pts."""

    def __init__(self, filesystem: "DevptsFilesystem") -> None:
        super().__init__(filesystem.device, _ROOT_INO, S_IFDIR | 0o755)
        self._filesystem = filesystem

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        return DirectoryFile(self, path, flags)

    def lookup(self, name: bytes) -> Inode | None:
        return self._filesystem.find(name)

    def entries(self) -> list[DirectoryEntry]:
        found = [DirectoryEntry(b"ptmx", _PTMX_INO, S_IFCHR)]
        for index in self._filesystem.indices():
            found.append(DirectoryEntry(b"%d" % index, _FIRST_INO + index, S_IFCHR))
        return found


class DevptsFilesystem(Filesystem):
    """One instance."""

    def __init__(self, kernel: Kernel, choices: DevptsOptions) -> None:
        super().__init__(b"devpts", NUMBERS.new_device())
        self.is_exclusive = False  # terminals come and go
        self.choices = choices
        self.options = choices.shown()
        self._kernel = kernel
        self._root = RootInode(self)
        self._ptmx = PtmxInode(self)
        self._slaves: dict[int, SlaveInode] = {}

    def root(self) -> Inode:
        return self._root

    def statfs(self) -> tuple[int, int, int, int, int, int, int]:
        return DEVPTS_MAGIC, 4096, 0, 0, 0, 0, 0

    def indices(self) -> list[int]:
        """Return the numbers of the terminals, lowest first."""
        return sorted(self._slaves)

    def find(self, name: bytes) -> Inode | None:
        """Return what a name refers to."""
        if name == b"ptmx":
            return self._ptmx
        if not name.isdigit() or len(name) > 7 or (len(name) > 1 and name[:1] == b"0"):
            return None
        return self._slaves.get(int(name))

    def new_tty(self, creds_uid: int, creds_gid: int) -> Tty:
        """Return a new terminal with the lowest free number; its `end` is the caller's to set."""
        if len(self._slaves) >= self.choices.max:
            raise SysError(ENOSPC)
        index = 0
        while index in self._slaves:
            index += 1
        tty = Tty(self._kernel, index)
        uid = self.choices.uid if self.choices.uid >= 0 else creds_uid
        gid = self.choices.gid if self.choices.gid >= 0 else creds_gid
        inode = SlaveInode(self, tty, uid, gid)
        tty.inode = inode
        self._slaves[index] = inode
        return tty

    def remove(self, tty: Tty) -> None:
        """Forget a terminal, whose number may be used again."""
        self._slaves.pop(tty.index, None)

    def open_master(self, inode: Inode, mount: Mount, flags: int, creds: Credentials) -> File:
        """Make a pseudo-terminal, locked as unlockpt(3) expects; return its master."""
        tty = self.new_tty(creds.fsuid, creds.fsgid)
        end = MasterEnd(tty)
        tty.end = end
        tty.is_locked = True
        return MasterFile(tty, end, mount, flags, inode)


class PtmxOpener(Opener):
    """/dev/ptmx as a device node: stands for the `pts/ptmx` beside it."""

    def open(self, inode: Inode, place: VfsPath, flags: int, creds: Credentials) -> File:
        parent = place.dentry.parent
        if parent is not None:
            for child, mount in place.mount.children.items():
                filesystem = mount.filesystem
                if (
                    child.parent is parent
                    and child.name == b"pts"
                    and isinstance(filesystem, DevptsFilesystem)
                ):
                    return filesystem.open_master(inode, mount, flags, creds)
        raise SysError(ENODEV)


class ControllingOpener(Opener):
    """/dev/tty: the controlling terminal of who opens it (tty(4))."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def open(self, inode: Inode, place: VfsPath, flags: int, creds: Credentials) -> File:
        task = self._kernel.current
        terminal = None if task is None else task.group.terminal
        if not isinstance(terminal, Tty):
            raise SysError(ENXIO)
        return TtyFile(terminal, flags, inode)


def register_terminals(kernel: Kernel) -> None:
    """Make /dev/tty and /dev/ptmx known, whatever file system has a node of theirs."""
    REGISTRY.devices[(S_IFCHR, TTY_DEVICE)] = ControllingOpener(kernel)
    REGISTRY.devices[(S_IFCHR, PTMX_DEVICE)] = PtmxOpener()
