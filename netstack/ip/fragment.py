"""Reassembly of fragments, for both versions of IP (RFC 791, 3.2; RFC 8200, 4.5; RFC 5722).

What waits is bounded by memory and time.  When memory is short the oldest
packet is given up, so that whoever sends fragments without end only loses
their own.  A packet with overlapping fragments is dropped whole; an exact
duplicate is ignored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from mypy_extensions import mypyc_attr

from netstack.environment import Environment, Timer
from netstack.packet import InPacket

# What a fragment costs beyond its bytes.
FRAGMENT_OVERHEAD: Final = 512
MAX_PAYLOAD: Final = 65535

# Results of `Reassembler.add`.
WAITING: Final = 0
COMPLETE: Final = 1
DROPPED: Final = 2

# (source, destination, protocol, identification, interface index or 0)
Key = tuple[bytes, bytes, int, int, int]


class PartialPacket:
    """The fragments of one packet that have come so far."""

    def __init__(self, key: Key, deadline_ns: int) -> None:
        self.key = key
        self.deadline_ns = deadline_ns
        self.pieces: list[tuple[int, bytes]] = []  # offset and bytes, ascending, no overlap
        self.first: InPacket | None = None  # the fragment at offset 0: its headers are used
        self.total = -1  # length of the payload; -1: the last fragment has not come
        self.received = 0
        self.cost = 0
        self.largest = 0  # size of the largest fragment with its header
        self.tos_seen = 0  # bit n: a fragment had ECN field n (RFC 3168, 5.3)

    def payload(self) -> bytes:
        """Return the payload of a complete packet."""
        return b"".join([piece for _, piece in self.pieces])

    def insert(self, offset: int, piece: bytes) -> int:
        """Enter a piece; COMPLETE or WAITING when it is new, DROPPED on overlap.

        -1: an exact duplicate, ignored.
        """
        end = offset + len(piece)
        position = len(self.pieces)  # most come in order: look from the end
        while position > 0 and self.pieces[position - 1][0] >= offset:
            position -= 1
        if position < len(self.pieces):
            following = self.pieces[position]
            if following[0] == offset and len(following[1]) == len(piece):
                return -1
            if following[0] < end:
                return DROPPED
        if position > 0:
            before = self.pieces[position - 1]
            if before[0] + len(before[1]) > offset:
                return DROPPED
        self.pieces.insert(position, (offset, piece))
        self.received += len(piece)
        return COMPLETE if self.received == self.total else WAITING


@mypyc_attr(allow_interpreted_subclasses=True)
class ReassemblyOwner(ABC):
    """Who wants to know of packets that were never completed."""

    @abstractmethod
    def on_timeout(self, partial: PartialPacket) -> None:
        """The time is over (answered by ICMP if `partial.first` is there)."""


class Reassembler(Timer):
    """All unfinished packets of one version of IP."""

    def __init__(
        self, environment: Environment, owner: ReassemblyOwner, limit: int, timeout_ns: int
    ) -> None:
        super().__init__()
        self.environment = environment
        self.owner = owner
        self.limit = limit  # bytes, with overhead
        self.timeout_ns = timeout_ns
        self.cost = 0
        self.evicted = 0
        self.last_result = WAITING
        self.partials: dict[Key, PartialPacket] = {}  # oldest first

    def add(
        self, key: Key, offset: int, more: bool, piece: bytes, packet: InPacket
    ) -> PartialPacket | None:
        """Take a fragment; return the packet when it is complete, with `first` set.

        None: it waits, or was dropped (`last_result` tells which: WAITING or DROPPED).  The caller
        has checked that the piece of a fragment with `more` is a multiple of 8
        bytes and that nothing ends beyond 65535.
        """
        partial = self.partials.get(key)
        if partial is None:
            partial = PartialPacket(key, self.environment.now_ns() + self.timeout_ns)
            self.partials[key] = partial
            if not self.deadline_ns:
                self.environment.arm(self, partial.deadline_ns)
        result = self._insert(partial, offset, more, piece, packet)
        self.last_result = result
        if result == WAITING:
            while self.cost > self.limit and self.partials:
                self._evict()
            return None
        self._forget(partial)
        return partial if result == COMPLETE else None

    def _insert(
        self, partial: PartialPacket, offset: int, more: bool, piece: bytes, packet: InPacket
    ) -> int:
        end = offset + len(piece)
        if not self._ends_agree(partial, end, more):
            return DROPPED
        if not more:
            partial.total = end
        result = partial.insert(offset, piece)
        if result == DROPPED:
            return DROPPED
        if result < 0:
            return WAITING
        cost = len(piece) + FRAGMENT_OVERHEAD
        partial.cost += cost
        self.cost += cost
        partial.tos_seen |= 1 << (packet.tos & 3)
        partial.largest = max(partial.largest, packet.end - packet.network)
        if offset == 0:
            partial.first = packet
        return result

    def _ends_agree(self, partial: PartialPacket, end: int, more: bool) -> bool:
        """Return whether a piece's end fits what is known of the packet's length."""
        if partial.total >= 0:
            return end <= partial.total if more else end == partial.total
        if more or not partial.pieces:
            return True
        last = partial.pieces[-1]
        return last[0] + len(last[1]) <= end

    def _forget(self, partial: PartialPacket) -> None:
        del self.partials[partial.key]
        self.cost -= partial.cost

    def _evict(self) -> None:
        for partial in self.partials.values():
            self._forget(partial)
            self.evicted += 1
            return

    def fire(self) -> None:
        """Give up what has waited too long."""
        now = self.environment.now_ns()
        late = []
        for partial in self.partials.values():
            if partial.deadline_ns > now:
                self.environment.arm(self, partial.deadline_ns)
                break
            late.append(partial)
        for partial in late:
            self._forget(partial)
        for partial in late:
            self.owner.on_timeout(partial)


def ecn_of(seen: int) -> int:
    """Return the ECN field of a packet from those of its fragments; -1: drop it (RFC 3168, 5.3)."""
    not_ect, ect = seen & 0b0001, seen & 0b0110
    if seen & 0b1000:
        return -1 if not_ect else 3
    if not_ect and ect:
        return 0
    if ect == 0b0110 or ect == 0b0100:
        return 2
    return 1 if ect else 0
