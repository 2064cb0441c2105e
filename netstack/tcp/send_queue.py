"""What was written and not acknowledged: chunks of the stream, found by sequence number."""

from bisect import bisect_right
from typing import Final

# Writes smaller than this are put together, so that many tiny ones cost no
# object each.
SMALL: Final = 2048


class SendQueue:
    """The stream from `start` (acknowledged up to here) to `end` (written up to here)."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.end = start
        self._chunks: list[bytes] = []
        self._starts: list[int] = []  # sequence number of each chunk's first byte
        self._head = 0  # index of the first chunk that is needed

    def size(self) -> int:
        """Return the number of bytes kept."""
        return self.end - self.start

    def append(self, data: bytes) -> None:
        """Add what was written; large data is kept as it is."""
        size = len(data)
        if size < SMALL and len(self._chunks) > self._head:
            tail = self._chunks[-1]
            if len(tail) + size <= SMALL:
                self._chunks[-1] = tail + data
                self.end += size
                return
        self._chunks.append(data)
        self._starts.append(self.end)
        self.end += size

    def read(self, position: int, size: int) -> bytes:
        """Return `size` bytes from sequence number `position`; they must be there."""
        if size <= 0:
            return b""
        index = bisect_right(self._starts, position, self._head) - 1
        chunk = self._chunks[index]
        offset = position - self._starts[index]
        if offset == 0 and size == len(chunk):
            return chunk  # compiled, a slice of the whole would be a copy
        if offset + size <= len(chunk):
            return chunk[offset : offset + size]
        parts = [chunk[offset:]]
        missing = size - (len(chunk) - offset)
        while missing > 0:
            index += 1
            chunk = self._chunks[index]
            parts.append(chunk if len(chunk) <= missing else chunk[:missing])
            missing -= len(chunk)
        return b"".join(parts)

    def acknowledge(self, position: int) -> None:
        """Forget what lies before sequence number `position`."""
        if position <= self.start:
            return
        self.start = min(position, self.end)
        if self.start == self.end:
            self._chunks.clear()
            self._starts.clear()
            self._head = 0
            return
        head = self._head
        while head + 1 < len(self._starts) and self._starts[head + 1] <= self.start:
            self._chunks[head] = b""
            head += 1
        if head > 64 and head * 2 > len(self._starts):
            del self._chunks[:head]
            del self._starts[:head]
            head = 0
        self._head = head

    def clear(self) -> None:
        """Forget everything."""
        self.acknowledge(self.end)
