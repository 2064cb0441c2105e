"""Host descriptors as files of the guest: the standard streams that the caller gave.

The host's open file description is shared with the caller, so O_NONBLOCK must
not be set on it.  Where an operation could wait, poll(2) is asked first; what
it promises is all that is moved.  A terminal of the host's is bytes and nothing
else: who wants the guest to have one asks for it (sentry/fs/tty/console.py).
"""

from typing import Final

from sentry.abi.errno import EINVAL, ENODEV, ENOTTY
from sentry.abi.ioctl import FIONREAD
from sentry.abi.stat import S_IFCHR, S_IFDIR, S_IFMT, S_IFREG
from sentry.errors import SysError
from sentry.fs.anon import ANON_DEVICE, AnonInode
from sentry.mm.io import Sink, Source
from sentry.platform import hostfiles
from sentry.platform.interface import HostWatcher, Platform
from sentry.vfs.caller import Caller
from sentry.vfs.file import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, File

PIPE_BUF: Final = 4096  # what a pipe takes at once when poll(2) says POLLOUT, pipe(7)


class StreamWatcher(HostWatcher):
    """Passes readiness of the host's descriptor on to who waits for the file."""

    def __init__(self, stream: "HostStream") -> None:
        self._stream = stream

    def on_host_ready(self, events: int) -> None:
        self._stream.on_ready(events)


class HostStream(File):
    """A pipe, socket, terminal or file of the host."""

    def __init__(self, platform: Platform, host_fd: int, flags: int) -> None:
        status = hostfiles.stat_fd(host_fd)
        super().__init__(
            flags, AnonInode(ANON_DEVICE, status.st_mode, status.st_uid, status.st_gid)
        )
        self._platform = platform
        self._host_fd = host_fd
        self._kind = status.st_mode & S_IFMT
        self._never_waits = self._kind in (S_IFREG, S_IFDIR)
        self._number = status.st_ino
        self._watcher = StreamWatcher(self)
        self._watched = 0

    # Readiness.

    def _ready(self, events: int) -> int:
        """Return which of `events` hold; the others will be told to `queue` when they do."""
        if self._never_waits:
            return events
        found = hostfiles.ready_now(self._host_fd, events)
        if not found & events:
            self._watch(events)
        return found

    def _watch(self, events: int) -> None:
        wanted = self._watched | events
        if wanted != self._watched:
            self._watched = wanted
            self._platform.watch(self._host_fd, wanted, self._watcher)

    def on_ready(self, events: int) -> None:
        """Called when the host has something: wake who waits, stop watching."""
        self._watched = 0
        self._platform.unwatch(self._host_fd)
        if events & POLLIN:
            events |= POLLRDNORM
        if events & POLLOUT:
            events |= POLLWRNORM
        self.queue.notify(events)

    def readiness(self) -> int:
        wanted = 0
        if self.can_read():
            wanted |= POLLIN
        if self.can_write():
            wanted |= POLLOUT
        if self._never_waits:
            return wanted | POLLRDNORM | POLLWRNORM
        found = hostfiles.ready_now(self._host_fd, wanted)
        missing = wanted & ~found
        if missing and not found & (POLLHUP | POLLERR):
            self._watch(missing)
        if found & POLLIN:
            found |= POLLRDNORM
        if found & POLLOUT:
            found |= POLLWRNORM
        return found

    def is_pollable(self) -> bool:
        return not self._never_waits

    # Data.

    def try_read(self, sink: Sink) -> int | None:
        if sink.room and not self._ready(POLLIN) & (POLLIN | POLLHUP | POLLERR):
            return None
        return sink.fill_from_host(self._host_fd, -1)

    def try_write(self, source: Source) -> int | None:
        if self._never_waits or self._kind == S_IFCHR:
            return source.drain_to_host(self._host_fd, -1)
        if not self._ready(POLLOUT) & (POLLOUT | POLLERR | POLLHUP):
            return None
        return hostfiles.write_all_to_host(self._host_fd, source.take(PIPE_BUF), -1)

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        if not self._never_waits:
            return super().try_pread(sink, offset)
        return sink.fill_from_host(self._host_fd, offset)

    def try_pwrite(self, source: Source, offset: int) -> int | None:
        if not self._never_waits:
            return super().try_pwrite(source, offset)
        return source.drain_to_host(self._host_fd, offset)

    def seek(self, offset: int, whence: int) -> int:
        return hostfiles.seek(self._host_fd, offset, whence)

    def host_fd(self) -> int:
        return self._host_fd if self._never_waits else -1

    def mmap_host_fd(self, prot: int, flags: int) -> int:
        if self._kind != S_IFREG:
            raise SysError(ENODEV)
        return self._host_fd

    def sync(self, *, data_only: bool) -> None:
        if self._kind != S_IFREG:
            raise SysError(EINVAL)
        hostfiles.sync(self._host_fd, data_only=data_only)

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        if request != FIONREAD:
            raise SysError(ENOTTY)
        done = hostfiles.terminal_ioctl(self._host_fd, FIONREAD, bytes(4))
        caller.memory.write(argument, done)
        return 0

    # Life.

    def release(self) -> None:
        if self._watched:
            self._platform.unwatch(self._host_fd)
            self._watched = 0
        hostfiles.close(self._host_fd)

    def describe(self) -> bytes:
        return b"host:[%d]" % self._number


def host_stream(platform: Platform, host_fd: int) -> HostStream:
    """Return the file for a host descriptor, which becomes its own."""
    return HostStream(platform, host_fd, hostfiles.status_flags(host_fd))
