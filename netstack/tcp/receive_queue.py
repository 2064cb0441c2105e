"""What was received: the stream in order, and what lies behind a hole (RFC 9293, 3.10.7.4)."""

from bisect import bisect_right
from collections import deque
from operator import attrgetter
from typing import Final

# Pieces smaller than this are put together, so that a peer that sends single
# bytes cannot make each of them cost an object.
SMALL: Final = 2048

# What a chunk out of order is charged beside its bytes.
CHUNK_COST: Final = 256


class ReceiveQueue:
    """Bytes in order that nobody has read yet.

    Large data stays in the packet that it came in, until it is copied to its reader.
    """

    def __init__(self) -> None:
        self.size = 0
        self._chunks: deque[bytes] = deque()
        self._starts: deque[int] = deque()  # where the data of each chunk begins
        self._offset = 0  # what of the first chunk is none of its data, or read already

    def append(self, data: bytes, start: int = 0) -> None:
        """Add what comes next: `data` from `start` to its end."""
        size = len(data) - start
        self.size += size
        chunks = self._chunks
        if size < SMALL:
            if start:
                data = data[start:]
                start = 0
            if chunks and len(chunks[-1]) < SMALL:
                chunks[-1] = chunks[-1] + data
                return
        if not chunks:
            self._offset = start
        chunks.append(data)
        self._starts.append(start)

    def _drop_first(self) -> None:
        self._chunks.popleft()
        self._starts.popleft()
        self._offset = self._starts[0] if self._starts else 0

    def read(self, limit: int) -> bytes:
        """Take and return up to `limit` bytes."""
        chunks = self._chunks
        if not chunks or limit <= 0:
            return b""
        first = chunks[0]
        offset = self._offset
        have = len(first) - offset
        if have > limit:
            self._offset = offset + limit
            self.size -= limit
            return first[offset : offset + limit]
        self._drop_first()
        if offset:
            first = first[offset:]
        if have == limit or not chunks:
            self.size -= have
            return first
        return self._read_more(first, limit)

    def read_pieces(self, limit: int) -> list[bytes | memoryview]:
        """Take and return up to `limit` bytes; what is large is not copied."""
        pieces: list[bytes | memoryview] = []
        chunks = self._chunks
        while limit > 0 and chunks:
            first = chunks[0]
            offset = self._offset
            size = len(first) - offset
            if size > limit:
                size = limit
                self._offset = offset + size
            else:
                self._drop_first()
            self.size -= size
            limit -= size
            if size == len(first):
                pieces.append(first)
            elif size < SMALL:
                pieces.append(first[offset : offset + size])
            else:
                pieces.append(memoryview(first)[offset : offset + size])
        return pieces

    def _read_more(self, first: bytes, limit: int) -> bytes:
        """Return `first`, which is off the queue already, and what follows, up to `limit` bytes."""
        chunks = self._chunks
        parts = [first]
        missing = limit - len(first)
        while missing > 0 and chunks:
            chunk = chunks[0]
            offset = self._offset
            have = len(chunk) - offset
            if have > missing:
                parts.append(chunk[offset : offset + missing])
                self._offset = offset + missing
                missing = 0
            else:
                parts.append(chunk[offset:] if offset else chunk)
                missing -= have
                self._drop_first()
        self.size -= limit - missing
        return b"".join(parts)

    def give_back(self, data: bytes) -> None:
        """Put bytes that were read last back to the front."""
        self.size += len(data)
        if self._chunks:
            self._starts[0] = self._offset
        self._chunks.appendleft(data)
        self._starts.appendleft(0)
        self._offset = 0

    def peek(self, limit: int, skip: int = 0) -> bytes:
        """Return up to `limit` bytes behind the first `skip`, and leave them there."""
        parts: list[bytes] = []
        is_first = True
        for chunk, start in zip(self._chunks, self._starts, strict=True):
            if limit <= 0:
                break
            at = self._offset if is_first else start
            is_first = False
            if skip >= len(chunk) - at:
                skip -= len(chunk) - at
                continue
            part = chunk[at + skip : at + skip + limit]
            skip = 0
            parts.append(part)
            limit -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self._starts.clear()
        self._offset = 0
        self.size = 0


class Run:
    """Bytes out of order without a hole between them."""

    def __init__(self, start: int, data: bytes) -> None:
        self.start = start
        self.end = start + len(data)
        self.chunks = [data]

    def append(self, data: bytes) -> bool:
        """Add what comes next; return whether it became a chunk of its own."""
        self.end += len(data)
        last = self.chunks[-1]
        if len(last) + len(data) <= SMALL:
            self.chunks[-1] = last + data
            return False
        self.chunks.append(data)
        return True


_START: Final = attrgetter("start")


class Reassembly:
    """Runs behind the first hole, sorted and apart; and the SACK blocks to report."""

    def __init__(self) -> None:
        self.charged = 0  # bytes with the cost of each chunk
        self.runs: list[Run] = []
        # The run that grew last comes first (RFC 2018, 4); as many as fit into the options.
        self.blocks: list[tuple[int, int]] = []

    def is_empty(self) -> bool:
        """Return whether there is nothing."""
        return not self.runs

    def add(self, start: int, data: bytes, limit: int) -> bool:
        """Keep the parts of `data` that are new; False if that would charge more than `limit`."""
        if self.charged + len(data) + CHUNK_COST > limit:
            return False
        end = start + len(data)
        position = start
        runs = self.runs
        while position < end:
            at = bisect_right(runs, position, key=_START)
            if at and runs[at - 1].end > position:
                position = runs[at - 1].end
                continue
            gap_end = min(end, runs[at].start) if at < len(runs) else end
            self._insert(at, position, data[position - start : gap_end - start])
            position = gap_end
        self._note_block(start)
        return True

    def _insert(self, at: int, start: int, data: bytes) -> None:
        """Insert bytes that fit between the runs of index `at` - 1 and `at`."""
        runs = self.runs
        self.charged += len(data) + CHUNK_COST
        end = start + len(data)
        joins_next = at < len(runs) and runs[at].start == end
        if at and runs[at - 1].end == start:
            before = runs[at - 1]
            if not before.append(data):
                self.charged -= CHUNK_COST
            if joins_next:
                before.chunks.extend(runs[at].chunks)
                before.end = runs[at].end
                del runs[at]
        elif joins_next:
            runs[at].chunks.insert(0, data)
            runs[at].start = start
        else:
            runs.insert(at, Run(start, data))

    def _note_block(self, position: int) -> None:
        """Put the run that holds `position` first among the blocks."""
        run = self.runs[bisect_right(self.runs, position, key=_START) - 1]
        blocks = [(run.start, run.end)]
        for block in self.blocks:
            if (block[1] < run.start or block[0] > run.end) and len(blocks) < 4:
                blocks.append(block)
        self.blocks = blocks

    def known_part(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the first part of [start, end) that is here already; None if all is new."""
        runs = self.runs
        at = bisect_right(runs, start, key=_START)
        if at and runs[at - 1].end > start:
            return start, min(end, runs[at - 1].end)
        if at < len(runs) and runs[at].start < end:
            return runs[at].start, min(end, runs[at].end)
        return None

    def take(self, position: int) -> list[bytes]:
        """Take and return what follows sequence number `position` without a hole."""
        taken: list[bytes] = []
        runs = self.runs
        while runs and runs[0].start <= position:
            run = runs.pop(0)
            at = run.start
            for chunk in run.chunks:
                self.charged -= len(chunk) + CHUNK_COST
                if at + len(chunk) > position:
                    taken.append(chunk[position - at :] if at < position else chunk)
                at += len(chunk)
            position = max(position, run.end)
        self.blocks = [block for block in self.blocks if block[1] > position]
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self.runs.clear()
        self.blocks = []
        self.charged = 0
