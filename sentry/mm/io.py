"""Sinks and sources: where the bytes of a read go, where those of a write come from.

A file neither knows whether its bytes go to one buffer, to an iovec or into
the kernel, nor copies more than once.  SysError(EFAULT) is raised only when
not a single byte could be copied; else the count is short (read(2), writev(2)).
"""

from abc import ABC, abstractmethod

from sentry.errors import SysError
from sentry.platform.hostfiles import read_some_from_host, write_all_to_host
from sentry.platform.interface import GuestMemory

Segment = tuple[int, int]
"""A piece of guest memory: address and size in bytes."""


class Sink(ABC):
    """Takes the bytes of a read; `room` is how many it can still take."""

    def __init__(self, room: int) -> None:
        self.room = room

    @abstractmethod
    def put(self, data: bytes) -> int:
        """Take as much of `data` as there is room for; return how much."""

    def put_all(self, pieces: list[bytes | memoryview]) -> int:
        """Take pieces, which are no more than there is room for, as `put` takes them joined."""
        return self.put(b"".join(pieces))

    @abstractmethod
    def fill_from_host(self, host_fd: int, offset: int) -> int:
        """Read from a host descriptor at `offset` (-1: its own); return the count, 0 at the end."""


class Source(ABC):
    """Gives the bytes of a write; `size` is how many are left."""

    def __init__(self, size: int) -> None:
        self.size = size

    @abstractmethod
    def take(self, limit: int) -> bytes:
        """Return (and forget) at most `limit` of the bytes that are left."""

    def take_into(self, space: memoryview) -> int:
        """Copy (and forget) bytes that are left into `space`; return how many."""
        data = self.take(len(space))
        space[: len(data)] = data
        return len(data)

    @abstractmethod
    def put_back(self, data: bytes) -> None:
        """Have bytes again that `take` has just returned: all of them, or the last ones."""

    @abstractmethod
    def drain_to_host(self, host_fd: int, offset: int) -> int:
        """Write to a host descriptor at `offset` (-1: its own); return the count."""


class BufferSink(Sink):
    """One buffer in guest memory."""

    def __init__(self, memory: GuestMemory, address: int, room: int) -> None:
        super().__init__(room)
        self._memory = memory
        self._address = address

    def put(self, data: bytes) -> int:
        if len(data) > self.room:
            data = data[: self.room]
        if not data:
            return 0
        done = self._memory.write_upto(self._address, data)
        self._address += done
        self.room -= done
        return done

    def put_all(self, pieces: list[bytes | memoryview]) -> int:
        done = self._memory.write_pieces(self._address, pieces)
        self._address += done
        self.room -= done
        return done

    def fill_from_host(self, host_fd: int, offset: int) -> int:
        done = self._memory.read_from_host(host_fd, self._address, self.room, offset)
        self._address += done
        self.room -= done
        return done


class BufferSource(Source):
    """One buffer in guest memory."""

    def __init__(self, memory: GuestMemory, address: int, size: int) -> None:
        super().__init__(size)
        self._memory = memory
        self._address = address

    def take(self, limit: int) -> bytes:
        size = min(limit, self.size)
        if size == 0:
            return b""
        data = self._memory.read_upto(self._address, size)
        self._address += len(data)
        self.size -= len(data)
        return data

    def take_into(self, space: memoryview) -> int:
        if len(space) > self.size:
            space = space[: self.size]
        done = self._memory.read_into(self._address, space)
        self._address += done
        self.size -= done
        return done

    def put_back(self, data: bytes) -> None:
        self._address -= len(data)
        self.size += len(data)

    def drain_to_host(self, host_fd: int, offset: int) -> int:
        done = self._memory.write_to_host(host_fd, self._address, self.size, offset)
        self._address += done
        self.size -= done
        return done


class VectorSink(Sink):
    """Several buffers in guest memory, filled in order (readv(2))."""

    def __init__(self, memory: GuestMemory, segments: list[Segment]) -> None:
        total = 0
        for _, size in segments:
            total += size
        super().__init__(total)
        self._memory = memory
        self._segments = segments
        self._index = 0
        self._done = 0  # bytes of the current segment that are filled

    def _advance(self, count: int) -> None:
        self.room -= count
        self._done += count
        while self._index < len(self._segments) and self._done >= self._segments[self._index][1]:
            self._done -= self._segments[self._index][1]
            self._index += 1

    def put(self, data: bytes) -> int:
        done = 0
        limit = min(len(data), self.room)
        while done < limit:
            self._advance(0)
            address, size = self._segments[self._index]
            piece = data[done : done + min(size - self._done, limit - done)]
            try:
                count = self._memory.write_upto(address + self._done, piece)
            except SysError:
                if done == 0:
                    raise
                return done
            self._advance(count)
            done += count
            if count < len(piece):
                return done
        return done

    def fill_from_host(self, host_fd: int, offset: int) -> int:
        done = 0
        while self.room > 0:
            self._advance(0)
            address, size = self._segments[self._index]
            want = size - self._done
            at = offset if offset < 0 else offset + done
            try:
                count = self._memory.read_from_host(host_fd, address + self._done, want, at)
            except SysError:
                if done == 0:
                    raise
                return done
            self._advance(count)
            done += count
            if count < want:
                return done
        return done


class VectorSource(Source):
    """Several buffers in guest memory, taken in order (writev(2))."""

    def __init__(self, memory: GuestMemory, segments: list[Segment]) -> None:
        total = 0
        for _, size in segments:
            total += size
        super().__init__(total)
        self._memory = memory
        self._segments = segments
        self._index = 0
        self._done = 0

    def _advance(self, count: int) -> None:
        self.size -= count
        self._done += count
        while self._index < len(self._segments) and self._done >= self._segments[self._index][1]:
            self._done -= self._segments[self._index][1]
            self._index += 1

    def take(self, limit: int) -> bytes:
        parts: list[bytes] = []
        done = 0
        limit = min(limit, self.size)
        while done < limit:
            self._advance(0)
            address, size = self._segments[self._index]
            want = min(size - self._done, limit - done)
            try:
                data = self._memory.read_upto(address + self._done, want)
            except SysError:
                if done == 0:
                    raise
                break
            self._advance(len(data))
            parts.append(data)
            done += len(data)
            if len(data) < want:
                break
        return b"".join(parts)

    def take_into(self, space: memoryview) -> int:
        done = 0
        limit = min(len(space), self.size)
        while done < limit:
            self._advance(0)
            address, size = self._segments[self._index]
            want = min(size - self._done, limit - done)
            try:
                count = self._memory.read_into(address + self._done, space[done : done + want])
            except SysError:
                if done == 0:
                    raise
                break
            self._advance(count)
            done += count
            if count < want:
                break
        return done

    def put_back(self, data: bytes) -> None:
        self.size += len(data)
        left = len(data)
        while left > self._done:
            left -= self._done
            self._index -= 1
            self._done = self._segments[self._index][1]
        self._done -= left

    def drain_to_host(self, host_fd: int, offset: int) -> int:
        # One host call, so that a writev(2) to a shared file or pipe stays whole.
        data = self.take(self.size)
        if not data:
            return 0
        return write_all_to_host(host_fd, data, offset)


class KernelSink(Sink):
    """A buffer inside the kernel (sendfile(2), splice(2), tests)."""

    def __init__(self, room: int) -> None:
        super().__init__(room)
        self.data = bytearray()

    def put(self, data: bytes) -> int:
        piece = data[: self.room]
        self.data += piece
        self.room -= len(piece)
        return len(piece)

    def fill_from_host(self, host_fd: int, offset: int) -> int:
        data = read_some_from_host(host_fd, self.room, offset)
        self.data += data
        self.room -= len(data)
        return len(data)


class KernelSource(Source):
    """Bytes that the kernel has already."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self._data = data

    def take(self, limit: int) -> bytes:
        piece = self._data[:limit]
        self._data = self._data[limit:]
        self.size -= len(piece)
        return piece

    def put_back(self, data: bytes) -> None:
        self._data = data + self._data
        self.size += len(data)

    def drain_to_host(self, host_fd: int, offset: int) -> int:
        # `size` may have been lowered since (RLIMIT_FSIZE).
        done = write_all_to_host(host_fd, self._data[: self.size], offset)
        self._data = self._data[done:]
        self.size -= done
        return done


def gather(memory: GuestMemory, segments: list[Segment]) -> VectorSource | BufferSource:
    """Return the source for a guest iovec."""
    if len(segments) == 1:
        return BufferSource(memory, segments[0][0], segments[0][1])
    return VectorSource(memory, segments)


def scatter(memory: GuestMemory, segments: list[Segment]) -> VectorSink | BufferSink:
    """Return the sink for a guest iovec."""
    if len(segments) == 1:
        return BufferSink(memory, segments[0][0], segments[0][1])
    return VectorSink(memory, segments)
