"""Open file descriptions: what a descriptor refers to (open(2))."""

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from sentry.abi.errno import EBADF, EINVAL, ENODEV, ENOTDIR, ENOTTY, ESPIPE
from sentry.abi.stat import pack_stat
from sentry.errors import SysError
from sentry.mm.io import Sink, Source
from sentry.vfs.caller import Caller
from sentry.vfs.inode import S_IFMT, S_IFREG, AttributeChange, Attributes, Inode
from sentry.vfs.locks import RECORD_LOCKS, WHOLE_LOCKS
from sentry.waitqueue import Waiter, WaitQueue

if TYPE_CHECKING:
    from sentry.vfs.mount import VfsPath

POLLIN: Final = 0x001
POLLPRI: Final = 0x002
POLLOUT: Final = 0x004
POLLERR: Final = 0x008
POLLHUP: Final = 0x010
POLLNVAL: Final = 0x020
POLLRDNORM: Final = 0x040
POLLRDBAND: Final = 0x080
POLLWRNORM: Final = 0x100
POLLWRBAND: Final = 0x200
POLLRDHUP: Final = 0x2000

O_ACCMODE: Final = 3
O_WRONLY: Final = 1
O_RDWR: Final = 2
O_NONBLOCK: Final = 0o4000
O_PATH: Final = 0o10000000
O_LARGEFILE: Final = 0o100000


class FileObserver:
    """Somebody who knows a file without holding it (an epoll item)."""

    def on_file_released(self) -> None:
        """Called once, when nobody holds the file any more, before its `release`."""


@mypyc_attr(allow_interpreted_subclasses=True)
class FileWatcher:
    """Somebody who wants to hear of all files that nobody has open any more."""

    def closed(self, file: "File") -> None:
        """Called before the file's `release`."""


class Closing:
    """Where that somebody is found; None: nobody, which costs nothing."""

    def __init__(self) -> None:
        self.watcher: FileWatcher | None = None


CLOSING: Final = Closing()


class Writers:
    """How often regular files are open for writing: programs that are cannot be executed."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, int], int] = {}

    def begin(self, file: "File") -> None:
        """Count an open file, if it is one of these, until nobody has it any more."""
        inode = file.inode
        if inode is None or not file.can_write() or inode.mode() & S_IFMT != S_IFREG:
            return
        key = inode.key()
        file.written_key = key
        self._counts[key] = self._counts.get(key, 0) + 1

    def end(self, key: tuple[int, int]) -> None:
        """One open file less."""
        left = self._counts[key] - 1
        if left:
            self._counts[key] = left
        else:
            del self._counts[key]

    def has(self, inode: Inode) -> bool:
        """Return whether an inode is open for writing."""
        return bool(self._counts) and inode.key() in self._counts


WRITERS: Final = Writers()


class FileOwner:
    """Who gets SIGIO, or the signal of F_SETSIG, for a file with O_ASYNC (fcntl(2))."""

    def __init__(self) -> None:
        self.kind = 1  # F_OWNER_TID, F_OWNER_PID or F_OWNER_PGRP
        self.number = 0  # of that kind; 0: nobody
        self.pid_namespace = 0  # whose numbers these are
        self.signal = 0
        # The ids of who named the owner, whom the signal must be allowed to.
        self.uid = 0
        self.euid = 0
        self.notice: Waiter | None = None  # registered while O_ASYNC is set


@mypyc_attr(allow_interpreted_subclasses=True)
class File:
    """An open file description.

    Operations never sleep.  One that cannot proceed returns None, and the
    caller decides whether to wait on `queue` (sentry/kernel/blocking.py).
    It is counted: descriptor tables, messages in flight and calls that sleep
    hold it; `release` is called when nobody does.
    """

    def __init__(self, flags: int, inode: Inode | None = None) -> None:
        self.flags = flags  # access mode and status flags, as fcntl(F_GETFL) shows
        self.queue = WaitQueue()
        self.references = 0
        self.observers: list[FileObserver] | None = None
        # Whether a blocking write(2) goes on until all is written (pipes, stream
        # sockets, terminals); else what one `try_write` took is the result.
        self.writes_all = False
        # How long close(2) of the last descriptor waits as long as `is_lingering` (SO_LINGER).
        self.linger_ns = 0
        self.inode = inode
        self.written_key: tuple[int, int] | None = None  # counted by WRITERS
        self.path: VfsPath | None = None  # how it was opened; None for pipes, sockets, ...
        self.owner: FileOwner | None = None  # who gets SIGIO; None: nobody was ever named
        self.has_locks = False  # a lock was set through it: to be looked for when it is released

    # Life.

    def acquire(self) -> "File":
        """Count one more holder; return the file."""
        self.references += 1
        return self

    def drop(self) -> None:
        """Count one holder less, and release the file after the last."""
        self.references -= 1
        if self.references == 0:
            if self.observers is not None:
                for observer in list(self.observers):
                    observer.on_file_released()
            if self.has_locks and self.inode is not None:
                key = self.inode.key()
                RECORD_LOCKS.release(key, self)
                WHOLE_LOCKS.release(key, self)
            if self.written_key is not None:
                WRITERS.end(self.written_key)
            watcher = CLOSING.watcher
            if watcher is not None:
                watcher.closed(self)
            self.release()

    def release(self) -> None:
        """Called once, when nobody holds the file any more."""

    def is_lingering(self) -> bool:
        """Return whether something of a released file is still to be done (SO_LINGER)."""
        return False

    def flush(self, caller: Caller) -> None:
        """Called for each close(2) of a descriptor of it (POSIX locks go here)."""

    def is_opened(self) -> bool:
        """Return whether open(2) need not wait on `queue` any more (only FIFOs make it wait)."""
        return True

    def shown_flags(self) -> int:
        """Return what fcntl(F_GETFL) shows: O_LARGEFILE of all that was opened by a name."""
        if self.path is not None and not self.flags & O_PATH:
            return self.flags | O_LARGEFILE
        return self.flags

    def opened(self, caller: Caller, flags: int) -> None:
        """Called once open(2) has made it for `caller`, with the flags of the call (O_NOCTTY)."""

    # Data.

    def can_read(self) -> bool:
        """Return whether it was opened for reading."""
        return self.flags & O_ACCMODE != O_WRONLY and not self.flags & O_PATH

    def can_write(self) -> bool:
        """Return whether it was opened for writing."""
        return self.flags & O_ACCMODE != 0 and not self.flags & O_PATH

    def try_read(self, sink: Sink) -> int | None:
        """Read at the file offset; 0 at the end, None if nothing is ready."""
        raise SysError(EINVAL)

    def try_write(self, source: Source) -> int | None:
        """Write at the file offset; None if there is no room."""
        raise SysError(EINVAL)

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        """Read at `offset`; SysError(ESPIPE) where there is no offset."""
        raise SysError(ESPIPE)

    def try_pwrite(self, source: Source, offset: int) -> int | None:
        """Write at `offset`; SysError(ESPIPE) where there is no offset."""
        raise SysError(ESPIPE)

    def seek(self, offset: int, whence: int) -> int:
        """Move the file offset; return it (lseek(2))."""
        raise SysError(ESPIPE)

    def time_limit_ns(self, events: int) -> int:
        """Return how long a call may wait for `events` (SO_RCVTIMEO, SO_SNDTIMEO); 0: for ever."""
        return 0

    def readiness(self) -> int:
        """Return the poll(2) bits that hold now."""
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM

    def is_pollable(self) -> bool:
        """Return whether epoll_ctl(2) takes it (regular files and directories are EPERM)."""
        return True

    def host_fd(self) -> int:
        """Return the host descriptor that has its contents at the same offsets, or -1."""
        return -1

    def mmap_host_fd(self, prot: int, flags: int) -> int:
        """Return the host descriptor to map; SysError(ENODEV) if it cannot be mapped.

        `flags` and `prot` as in mmap(2); access has been checked by the caller.
        """
        raise SysError(ENODEV)

    def maps_as_anonymous(self) -> bool:
        """Return whether a mapping of it is fresh zeroed memory (/dev/zero)."""
        return False

    # Directories.

    def try_getdents(self, sink: Sink) -> int:
        """Put struct linux_dirent64 records; 0 at the end (getdents64(2)).

        SysError(EINVAL) if the sink has no room for the first.
        """
        raise SysError(ENOTDIR)

    # All else.

    def attributes(self) -> Attributes:
        """Return what fstat(2) shows."""
        if self.inode is None:
            raise SysError(EBADF)
        return self.inode.attributes()

    def stat_image(self) -> bytes:
        """Return what fstat(2) shows as a struct stat."""
        return pack_stat(self.attributes())

    def set_attributes(self, change: AttributeChange) -> None:
        """Do fchmod(2), fchown(2), ftruncate(2), futimens(3)."""
        if self.inode is None:
            raise SysError(EINVAL)
        self.inode.set_attributes(change)

    def sync(self, *, data_only: bool) -> None:
        """Do fsync(2) or fdatasync(2)."""
        raise SysError(EINVAL)

    def allocate(self, mode: int, offset: int, length: int) -> None:
        """Do fallocate(2)."""
        raise SysError(ENODEV)

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        """Do ioctl(2); FIONBIO, FIOCLEX and FIOASYNC are done by the caller already."""
        raise SysError(ENOTTY)

    def set_status_flags(self, flags: int) -> None:
        """Change O_APPEND, O_NONBLOCK, O_ASYNC, O_DIRECT, O_NOATIME as fcntl(F_SETFL) does."""
        self.flags = flags

    def describe(self) -> bytes:
        """Return what /proc/PID/fd/N reads as for files without a path: `pipe:[ino]`."""
        return b"anon_inode:[unknown]"

    def fdinfo(self) -> bytes:
        """Return lines for /proc/PID/fdinfo/N after pos, flags and mnt_id."""
        return b""
