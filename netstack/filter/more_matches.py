"""Conditions and targets of rules that are seldom asked for (iptables-extensions(8))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.environment import Environment
from netstack.filter.passage import TCP, Passage, adjust
from netstack.filter.table import CONTINUE, DROP, Match, Target
from netstack.packet import TO_HOST
from netstack.wire.checksum import replace

if TYPE_CHECKING:
    from netstack.network import NetworkProtocol

# Comparisons of a hop count (enum of linux/netfilter_ipv4/ipt_ttl.h).
EQUAL: Final = 0
NOT_EQUAL: Final = 1
LESS: Final = 2

LINK_HEADER: Final = 14
SYN: Final = 0x02
OPTION_MSS: Final = 2
MIN_HEADERS: Final = {4: 40, 6: 60}  # of IP and TCP


class HopsMatch(Match):
    """The TTL or hop limit: ttl, hl."""

    def __init__(self, mode: int, hops: int) -> None:
        self.mode = mode
        self.hops = hops

    def matches(self, passage: Passage) -> bool:
        hops = passage.data[passage.network + (7 if passage.version == 6 else 8)]
        if self.mode == EQUAL:
            return hops == self.hops
        if self.mode == NOT_EQUAL:
            return hops != self.hops
        return hops < self.hops if self.mode == LESS else hops > self.hops


class RandomMatch(Match):
    """Some packets, by chance: statistic --mode random; `probability` is of 2^31."""

    def __init__(self, environment: Environment, probability: int, *, inverted: bool) -> None:
        self.environment = environment
        self.probability = probability
        self.inverted = inverted

    def matches(self, passage: Passage) -> bool:
        drawn = int.from_bytes(self.environment.random_bytes(4), "big") & 0x7FFF_FFFF
        return (drawn < self.probability) != self.inverted


class NthMatch(Match):
    """One packet of several: statistic --mode nth."""

    def __init__(self, every: int, count: int, *, inverted: bool) -> None:
        self.every = every
        self.count = count
        self.inverted = inverted

    def matches(self, passage: Passage) -> bool:
        self.count = 0 if self.count == self.every else (self.count + 1) & 0xFFFF_FFFF
        return (self.count == 0) != self.inverted


class LengthMatch(Match):
    """The length of the packet: length."""

    def __init__(self, low: int, high: int, *, inverted: bool) -> None:
        self.low = low
        self.high = high
        self.inverted = inverted

    def matches(self, passage: Passage) -> bool:
        return (self.low <= passage.size() <= self.high) != self.inverted


class KindMatch(Match):
    """Who the frame was for: pkttype."""

    def __init__(self, kind: int, *, inverted: bool) -> None:
        self.kind = kind
        self.inverted = inverted

    def matches(self, passage: Passage) -> bool:
        kind = passage.arrived.kind if passage.arrived is not None else TO_HOST
        return (kind == self.kind) != self.inverted


class HostRangeMatch(Match):
    """Ranges of addresses: iprange."""

    def __init__(self) -> None:
        self.sources: tuple[bytes, bytes] | None = None
        self.not_sources = False
        self.destinations: tuple[bytes, bytes] | None = None
        self.not_destinations = False

    def matches(self, passage: Passage) -> bool:
        if self.sources is not None:
            low, high = self.sources
            if (low <= passage.source <= high) == self.not_sources:
                return False
        if self.destinations is not None:
            low, high = self.destinations
            return (low <= passage.destination <= high) != self.not_destinations
        return True


class DscpMatch(Match):
    """The differentiated services code point: dscp."""

    def __init__(self, dscp: int, *, inverted: bool) -> None:
        self.dscp = dscp
        self.inverted = inverted

    def matches(self, passage: Passage) -> bool:
        data, at = passage.data, passage.network
        tos = data[at + 1]
        if passage.version == 6:
            tos = (data[at] & 0x0F) << 4 | data[at + 1] >> 4
        return (tos >> 2 == self.dscp) != self.inverted


class MacMatch(Match):
    """The sender on the link: mac."""

    def __init__(self, address: bytes, *, inverted: bool) -> None:
        self.address = address
        self.inverted = inverted

    def matches(self, passage: Passage) -> bool:
        at = passage.network - LINK_HEADER
        if at < 0 or passage.input is None or not passage.input.link.has_header:
            return False
        return (passage.data[at + 6 : at + 12] == self.address) != self.inverted


class MssTarget(Target):
    """Lowers the largest segment that a SYN allows: TCPMSS; 0: as the ways of the packet allow."""

    def __init__(self, network: NetworkProtocol, mss: int) -> None:
        self.network = network
        self.mss = mss

    def run(self, passage: Passage, hook: int) -> int:
        if passage.offset:
            return CONTINUE
        if passage.protocol != TCP or not passage.has_transport(20):
            return DROP
        mss = self.mss or self._allowed(passage)
        if mss <= 0:
            return DROP
        data, at = passage.data, passage.transport
        end = min(at + (data[at + 12] >> 4) * 4, passage.end)
        place = at + 20
        while place < end - 3 and data[place]:
            if data[place] == OPTION_MSS and data[place + 1] == 4:
                old = (data[place + 2] << 8) | data[place + 3]
                if old > mss:
                    self._write(passage, place + 2, old, mss)
                break
            place += max(data[place + 1], 1) if data[place] > 1 else 1
        return CONTINUE

    def _allowed(self, passage: Passage) -> int:
        """Return what fits both the way there and the way back."""
        mtu = passage.output.mtu if passage.output is not None else 0
        back = self.network.routing.lookup(passage.source)
        if back is not None and back.interface is not None:
            mtu = min(mtu, back.interface.mtu)
        return mtu - MIN_HEADERS[passage.version]

    def _write(self, passage: Passage, at: int, old: int, mss: int) -> None:
        data = replace(passage.data, at, mss)
        if (at - passage.transport) & 1:  # the value is in two words of the sum
            old, mss = swapped(old), swapped(mss)
        if not passage.is_partial:
            data = adjust(data, passage.transport + 16, old, mss)
        passage.data = data


def swapped(number: int) -> int:
    """Return 16 bits with their bytes in the other order."""
    return (number & 0xFF) << 8 | number >> 8
