"""Pipes and FIFOs (pipe(7), fifo(7)).

A pipe is a queue of bytes with open files at its ends, which share one wait
queue: POLLIN is for readers, POLLOUT for writers.  Writes of at most PIPE_BUF
bytes are atomic.  Space is counted in bytes, where Linux counts pages.
"""

from collections import deque
from struct import Struct
from typing import Final

from sentry.abi.errno import EBUSY, EINVAL, ENOTTY, ENXIO, EPERM, EPIPE
from sentry.abi.fcntl import O_ACCMODE, O_DIRECT, O_NONBLOCK, O_RDONLY, O_WRONLY
from sentry.abi.limits import PIPE_BUF, PIPE_DEFAULT_SIZE, PIPE_MAX_SIZE
from sentry.errors import SysError
from sentry.fs.anon import PIPEFS_DEVICE, AnonInode
from sentry.mm.io import Sink, Source
from sentry.vfs.caller import Caller
from sentry.vfs.creds import Credentials
from sentry.vfs.file import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    File,
)
from sentry.vfs.inode import Inode
from sentry.vfs.mount import VfsPath
from sentry.vfs.special import REGISTRY, Opener
from sentry.waitqueue import WaitQueue

FIONREAD: Final = 0x541B
S_IFIFO: Final = 0o010000
CAP_SYS_RESOURCE: Final = 24
READABLE: Final = POLLIN | POLLRDNORM
WRITABLE: Final = POLLOUT | POLLWRNORM
_STATUS_FLAGS: Final = O_ACCMODE | O_NONBLOCK | O_DIRECT | 0o2000 | 0o20000
_INT: Final = Struct("<i")


class Pipe:
    """A queue of bytes and how many files are open at each end."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        # Sizes of the packets in `buffer`, if one was written in packet mode (O_DIRECT).
        self.packets: deque[int] = deque()
        self.capacity = PIPE_DEFAULT_SIZE
        self.queue = WaitQueue()
        self.readers = 0
        self.writers = 0
        # How often each end was ever opened: what open(2) of a FIFO waits for.
        self.reader_opens = 0
        self.writer_opens = 0

    def room(self) -> int:
        """Return how many bytes can be written now."""
        return self.capacity - len(self.buffer)

    def consume(self, size: int) -> None:
        """Forget the first bytes and tell writers once a page is free, as Linux does."""
        buffer = self.buffer
        if size == len(buffer):
            buffer.clear()
            self.packets.clear()
        else:
            del buffer[:size]
            while self.packets and size:
                first = self.packets[0]
                if first > size:
                    self.packets[0] = first - size
                    break
                size -= first
                self.packets.popleft()
        if self.queue.entries and self.capacity - len(buffer) >= PIPE_BUF:
            self.queue.notify(WRITABLE)

    def append(self, data: bytes) -> None:
        """Add bytes, for which the caller has found room, and tell readers."""
        self.buffer += data
        if self.packets:
            self.packets.append(len(data))
        if self.queue.entries:
            self.queue.notify(READABLE)

    def set_capacity(self, size: int, creds: Credentials) -> int:
        """Do fcntl(F_SETPIPE_SZ): round up to a power of two of pages; return the capacity."""
        if size < 0 or size > 1 << 31:
            raise SysError(EINVAL)
        capacity = PIPE_BUF
        while capacity < size:
            capacity *= 2
        if (
            capacity > self.capacity
            and capacity > PIPE_MAX_SIZE
            and not creds.has_capability(CAP_SYS_RESOURCE)
        ):
            raise SysError(EPERM)
        if capacity < len(self.buffer):
            raise SysError(EBUSY)
        # Not even CAP_SYS_RESOURCE lets a guest keep arbitrary memory of ours.
        self.capacity = min(capacity, max(PIPE_MAX_SIZE, self.capacity))
        if self.capacity - len(self.buffer) >= PIPE_BUF:
            self.queue.notify(WRITABLE)
        return self.capacity


class PipeInode(AnonInode):
    """The inode of a pipe(2); opening it again, through /proc, gives another end."""

    def __init__(self, pipe: Pipe, uid: int, gid: int) -> None:
        super().__init__(PIPEFS_DEVICE, S_IFIFO | 0o600, uid, gid)
        self._pipe = pipe

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        return _open_end(self._pipe, self, flags)


class PipeFile(File):
    """An end of a pipe, or both ends of a FIFO (O_RDWR)."""

    def __init__(self, pipe: Pipe, flags: int, inode: Inode) -> None:
        super().__init__(flags & _STATUS_FLAGS, inode)
        self.pipe = pipe
        self.queue = pipe.queue
        self.writes_all = True
        access = flags & O_ACCMODE
        self._reads = access != O_WRONLY
        self._writes = access != O_RDONLY
        if self._reads:
            pipe.readers += 1
            pipe.reader_opens += 1
        if self._writes:
            pipe.writers += 1
            pipe.writer_opens += 1
        # An end of a FIFO that waits in open(2) goes on when the other was opened since.
        self._other_opens = pipe.writer_opens if self._reads else pipe.reader_opens

    def is_opened(self) -> bool:
        pipe = self.pipe
        if self._reads and self._writes:
            return True
        if self._reads:
            return pipe.writers > 0 or pipe.writer_opens != self._other_opens
        return pipe.readers > 0 or pipe.reader_opens != self._other_opens

    def try_read(self, sink: Sink) -> int | None:
        room = sink.room
        if room == 0:
            return 0  # Even an empty pipe does not make this wait.
        pipe = self.pipe
        buffer = pipe.buffer
        size = len(buffer)
        if size == 0:
            return None if pipe.writers else 0
        if pipe.packets:
            packet = pipe.packets[0]
            done = sink.put(bytes(buffer[:packet]))
            pipe.consume(packet)  # What did not fit is lost, pipe(2).
            return done
        done = sink.put(bytes(buffer) if size <= room else bytes(buffer[:room]))
        pipe.consume(done)
        return done

    def try_write(self, source: Source) -> int | None:
        size = source.size
        if size == 0:
            return 0
        pipe = self.pipe
        if pipe.readers == 0:
            raise SysError(EPIPE)
        room = pipe.capacity - len(pipe.buffer)
        if size > room and (size <= PIPE_BUF or room <= 0):
            return None
        if self.flags & O_DIRECT:
            return self._write_packet(source, room)
        data = source.take(room)
        pipe.append(data)
        return len(data)

    def _write_packet(self, source: Source, room: int) -> int | None:
        """Write one packet; a longer write becomes several (pipe(2), O_DIRECT)."""
        pipe = self.pipe
        if room < min(source.size, PIPE_BUF):
            return None
        data = source.take(PIPE_BUF)
        if pipe.buffer and not pipe.packets:
            pipe.packets.append(len(pipe.buffer))
        if not pipe.packets:
            pipe.packets.append(len(data))
            pipe.buffer += data
            pipe.queue.notify(READABLE)
        else:
            pipe.append(data)
        return len(data)

    def readiness(self) -> int:
        pipe = self.pipe
        ready = 0
        if self._reads:
            if pipe.buffer:
                ready = READABLE
            if not pipe.writers and pipe.writer_opens != self._hangup_mark():
                ready |= POLLHUP
        if self._writes:
            if pipe.capacity - len(pipe.buffer) >= PIPE_BUF:
                ready |= WRITABLE
            if not pipe.readers:
                ready |= POLLERR
        return ready

    def _hangup_mark(self) -> int:
        """Return the count of writers' opens at which nobody has hung up yet.

        A FIFO whose reader opened first shows no POLLHUP until a writer came and went.
        """
        return -1 if isinstance(self.inode, PipeInode) else self._other_opens

    def release(self) -> None:
        pipe = self.pipe
        if self._reads:
            pipe.readers -= 1
            if pipe.readers == 0:
                pipe.queue.notify(POLLERR | WRITABLE)
        if self._writes:
            pipe.writers -= 1
            if pipe.writers == 0:
                pipe.queue.notify(POLLHUP | READABLE)
        if pipe.readers == 0 and pipe.writers == 0:
            pipe.buffer.clear()
            pipe.packets.clear()
            FIFOS.forget(pipe)

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        if request == FIONREAD:
            caller.memory.write(argument, _INT.pack(len(self.pipe.buffer)))
            return 0
        raise SysError(ENOTTY)

    def describe(self) -> bytes:
        inode = self.inode
        return b"pipe:[%d]" % (inode.number if isinstance(inode, PipeInode) else 0)


class FifoTable:
    """The named FIFOs that are open, by the identity of their inode."""

    def __init__(self) -> None:
        self._pipes: dict[tuple[int, int], Pipe] = {}

    def find(self, key: tuple[int, int]) -> Pipe:
        """Return the pipe of a FIFO, a new one if nobody has it open."""
        pipe = self._pipes.get(key)
        if pipe is None:
            pipe = Pipe()
            self._pipes[key] = pipe
        return pipe

    def forget(self, pipe: Pipe) -> None:
        """Called when both ends of `pipe` are closed."""
        for key, value in list(self._pipes.items()):
            if value is pipe:
                del self._pipes[key]


FIFOS: Final = FifoTable()


def make_pipe(flags: int, creds: Credentials) -> tuple[PipeFile, PipeFile]:
    """Return the read end and the write end of a new pipe; `flags` as for pipe2(2)."""
    pipe = Pipe()
    inode = PipeInode(pipe, creds.fsuid, creds.fsgid)
    status = flags & (O_NONBLOCK | O_DIRECT)
    return PipeFile(pipe, O_RDONLY | status, inode), PipeFile(pipe, O_WRONLY | status, inode)


def open_fifo(key: tuple[int, int], inode: Inode, flags: int) -> PipeFile:
    """Open a FIFO; `key` is its identity (device and inode number).

    SysError(ENXIO) for O_WRONLY with O_NONBLOCK and no reader.  The caller
    waits on `queue` while `is_opened()` is False, unless O_NONBLOCK is set.
    """
    return _open_end(FIFOS.find(key), inode, flags)


def _open_end(pipe: Pipe, inode: Inode, flags: int) -> PipeFile:
    """Open another end of a pipe that has a name (fifo(7))."""
    access = flags & O_ACCMODE
    if access == O_ACCMODE:
        raise SysError(EINVAL)
    if access == O_WRONLY and flags & O_NONBLOCK and pipe.readers == 0:
        if pipe.writers == 0:
            FIFOS.forget(pipe)
        raise SysError(ENXIO)
    file = PipeFile(pipe, flags, inode)
    # Those who wait in open(2) for this end; readers and writers only look again.
    if access != O_RDONLY:
        pipe.queue.notify(READABLE)
    if access != O_WRONLY:
        pipe.queue.notify(WRITABLE)
    return file


class FifoOpener(Opener):
    """Opens named FIFOs, whatever file system their name is in."""

    def open(self, inode: Inode, place: VfsPath, flags: int, creds: Credentials) -> File:
        found = inode.attributes()
        return open_fifo((found.dev, found.ino), inode, flags)


REGISTRY.fifo = FifoOpener()
