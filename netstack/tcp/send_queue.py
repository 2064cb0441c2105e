"""What was written and not acknowledged: chunks of the stream, found by sequence number."""

from bisect import bisect_right
from typing import Final

from mypy_extensions import mypyc_attr

from netstack.packet import Payload

# Writes smaller than this are put together, so that many tiny ones cost no
# object each.
SMALL: Final = 2048
# Large writes lie one behind the other in blocks: packets are views of these, wherever they begin.
BLOCK_MAX: Final = 1 << 19
BLOCK_WRITES: Final = 4  # a block has room for so many of the size of the first
LEAST_SPACE: Final = 1 << 14


@mypyc_attr(allow_interpreted_subclasses=True)
class BlockMaker:
    """Makes blocks; the owner of the stack may know better memory."""

    def make(self, size: int) -> memoryview:
        """Return writable memory, with any contents."""
        return memoryview(bytearray(size))


PLAIN_BLOCKS: Final = BlockMaker()


class SendQueue:
    """The stream from `start` (acknowledged up to here) to `end` (written up to here)."""

    def __init__(self, start: int, maker: BlockMaker = PLAIN_BLOCKS) -> None:
        self.start = start
        self.end = start
        self._maker = maker
        self._chunks: list[Payload] = []
        self._starts: list[int] = []  # sequence number of each chunk's first byte
        self._head = 0  # index of the first chunk that is needed
        # The block that is being filled, up to where, and where the last chunk begins if it is
        # the last part of that; -1: it is not.
        self._block: memoryview | None = None
        self._filled = 0
        self._growing = -1

    def size(self) -> int:
        """Return the number of bytes kept."""
        return self.end - self.start

    def append(self, data: bytes) -> None:
        """Add what was written; large data is kept as it is."""
        size = len(data)
        self._growing = -1
        if size < SMALL and len(self._chunks) > self._head:
            tail = self._chunks[-1]
            if isinstance(tail, bytes) and len(tail) + size <= SMALL:
                self._chunks[-1] = tail + data
                self.end += size
                return
        self._chunks.append(data)
        self._starts.append(self.end)
        self.end += size

    def space(self, limit: int) -> memoryview:
        """Return memory for at most `limit` of the next bytes, and for one at least."""
        block = self._block
        if block is None or len(block) - self._filled < min(limit, LEAST_SPACE):
            block = self._maker.make(min(max(BLOCK_WRITES * limit, LEAST_SPACE), BLOCK_MAX))
            self._block = block
            self._filled = 0
            self._growing = -1
        return block[self._filled : self._filled + limit]

    def fill(self, size: int) -> None:
        """Add the first `size` bytes of what `space` has just returned."""
        block = self._block
        assert block is not None
        filled = self._filled + size
        if self._growing >= 0:
            self._chunks[-1] = block[self._growing : filled]
        else:
            self._growing = self._filled
            self._chunks.append(block[self._growing : filled])
            self._starts.append(self.end)
        self._filled = filled
        self.end += size

    def read(self, position: int, size: int) -> Payload:
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
            self._block = None
            self._growing = -1
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
