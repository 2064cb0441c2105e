"""Neighbours: hardware addresses of next hops, and whether they answer (RFC 4861, 7.3).

Family-neutral: ARP and neighbour discovery are the `Resolver` of a table and
report what they hear to it.  States and their values are NUD_ of rtnetlink(7).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from netstack.environment import Timer
from netstack.errors import NO_BUFFERS, NetError
from netstack.packet import OutFrame

if TYPE_CHECKING:
    from netstack.interface import Interface
    from netstack.stack import Stack

NUD_NONE: Final = 0x00
NUD_INCOMPLETE: Final = 0x01
NUD_REACHABLE: Final = 0x02
NUD_STALE: Final = 0x04
NUD_DELAY: Final = 0x08
NUD_PROBE: Final = 0x10
NUD_FAILED: Final = 0x20
NUD_NOARP: Final = 0x40
NUD_PERMANENT: Final = 0x80

# The hardware address is known and may be used.
NUD_VALID: Final = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80
# No doubt about it.
NUD_CONNECTED: Final = 0x02 | 0x40 | 0x80
# Set by the administrator or by the kind of link: nothing heard changes it.
NUD_FIXED: Final = 0x40 | 0x80

# Frames that wait for one address, besides the limit in bytes.
MAX_QUEUED: Final = 101
# What a queued frame costs beyond its bytes.
FRAME_OVERHEAD: Final = 256


@mypyc_attr(allow_interpreted_subclasses=True)
class Resolver(ABC):
    """How addresses of one family are resolved: ARP, or neighbour discovery."""

    @abstractmethod
    def solicit(self, neighbour: Neighbour, unicast: bool) -> None:
        """Ask for the hardware address: everybody, or only the one that had it last."""

    @abstractmethod
    def on_unresolved(self, neighbour: Neighbour, frames: list[OutFrame]) -> None:
        """Nobody answered: tell the senders of the frames that waited."""


class Neighbour(Timer):
    """One next hop."""

    def __init__(
        self, table: NeighbourTable, interface: Interface, address: bytes, state: int
    ) -> None:
        super().__init__()
        self.table = table
        self.interface = interface
        self.address = address
        self.link_address = b""
        self.link_header = b""  # what comes before the network header when the state is valid
        self.state = state
        self.is_router = False
        self.is_dead = False  # no longer in its table: look it up again
        self.updated_ns = 0
        self.confirmed_ns = 0
        self.probes = 0
        self.queue: deque[OutFrame] = deque()
        self.queued_bytes = 0

    def send(self, frame: OutFrame) -> bool:
        """Send a frame without link header, now or when the address is known.

        False if the interface has no room.
        """
        state = self.state
        if not state & NUD_CONNECTED:
            if not state & NUD_VALID:
                self._queue(frame)
                return True
            if state == NUD_STALE:
                self._enter_delay()
        return self._transmit(frame)

    def confirm(self) -> None:
        """An upper layer made progress through this neighbour (RFC 4861, 7.3.1)."""
        if self.state & NUD_VALID and not self.state & NUD_FIXED:
            self._enter_reachable()

    def _transmit(self, frame: OutFrame) -> bool:
        header = self.link_header
        if header:
            frame.header = header + frame.header
            if frame.checksum_start:
                frame.checksum_start += len(header)
        return self.interface.send_frame(frame)

    def _queue(self, frame: OutFrame) -> None:
        limit = self.table.stack.settings.unres_qlen_bytes
        self.queue.append(frame)
        self.queued_bytes += frame.size() + FRAME_OVERHEAD
        while len(self.queue) > 1 and (self.queued_bytes > limit or len(self.queue) > MAX_QUEUED):
            oldest = self.queue.popleft()
            self.queued_bytes -= oldest.size() + FRAME_OVERHEAD
            self.table.unresolved_discards += 1
        if self.state != NUD_INCOMPLETE:
            self._enter_incomplete()

    def take_queue(self) -> list[OutFrame]:
        """Return and forget the frames that wait."""
        frames = list(self.queue)
        self.queue.clear()
        self.queued_bytes = 0
        return frames

    # States.

    def set_link_address(self, link_address: bytes, state: int) -> None:
        """Note the hardware address; what waited for it is sent."""
        is_news = link_address != self.link_address
        if link_address != self.link_address or not self.link_header:
            self.link_address = link_address
            self.link_header = self.interface.link_header(link_address, self.table.ethertype)
        if state == NUD_REACHABLE:
            if not self._enter_reachable() and is_news:
                self._tell()
        else:
            self.table.stack.environment.disarm(self)
            is_news = is_news or state != self.state
            self.state = state
            self.updated_ns = self.table.stack.environment.now_ns()
            if is_news:
                self._tell()
        for frame in self.take_queue():
            self.send(frame)

    def invalidate(self) -> None:
        """Forget the hardware address: the administrator removes it (NUD_FAILED)."""
        self.table.stack.environment.disarm(self)
        self.state = NUD_FAILED
        self._tell()

    def _tell(self) -> None:
        self.table.stack.tell_neighbour(self, False)

    def _enter_reachable(self) -> bool:
        """Enter the state; return whether it is a new one, of which observers know then."""
        environment = self.table.stack.environment
        now = environment.now_ns()
        self.confirmed_ns = now
        if self.state != NUD_REACHABLE:
            self.state = NUD_REACHABLE
            self.updated_ns = now
            environment.arm(self, now + self.table.reachable_time_ns(self.interface))
            self._tell()
            return True
        return False

    def _enter_delay(self) -> None:
        self.state = NUD_DELAY
        self._arm(self.table.stack.settings.delay_first_probe_time_ns)

    def _enter_incomplete(self) -> None:
        self.state = NUD_INCOMPLETE
        self.link_address = b""
        self.link_header = b""
        self.probes = 1
        self._arm(self.table.retrans_time_ns(self.interface))
        self.table.resolver.solicit(self, False)

    def _arm(self, delay_ns: int) -> None:
        environment = self.table.stack.environment
        environment.arm(self, environment.now_ns() + delay_ns)

    def fire(self) -> None:
        state = self.state
        if state == NUD_REACHABLE:
            self._end_reachable()
        elif state == NUD_DELAY:
            self.state = NUD_PROBE
            self.probes = 0
            self._probe()
            self._tell()
        elif state == NUD_PROBE:
            self._probe()
        elif state == NUD_INCOMPLETE:
            self._ask_again()

    def _end_reachable(self) -> None:
        environment = self.table.stack.environment
        until = self.confirmed_ns + self.table.reachable_time_ns(self.interface)
        if until > environment.now_ns():
            environment.arm(self, until)
        else:
            self.state = NUD_STALE
            self.updated_ns = environment.now_ns()
            self._tell()

    def _probe(self) -> None:
        if self.probes >= self.table.stack.settings.ucast_solicit:
            self._fail()
            return
        self.probes += 1
        self._arm(self.table.retrans_time_ns(self.interface))
        self.table.resolver.solicit(self, True)

    def _ask_again(self) -> None:
        if self.probes >= self.table.stack.settings.mcast_solicit:
            self._fail()
            return
        self.probes += 1
        self._arm(self.table.retrans_time_ns(self.interface))
        self.table.resolver.solicit(self, False)

    def _fail(self) -> None:
        self.state = NUD_FAILED
        self.updated_ns = self.table.stack.environment.now_ns()
        self.table.resolution_failures += 1
        self._tell()
        self.table.resolver.on_unresolved(self, self.take_queue())


class NeighbourTable:
    """The neighbours of one address family."""

    def __init__(self, stack: Stack, ethertype: int, resolver: Resolver) -> None:
        self.stack = stack
        self.ethertype = ethertype
        self.resolver = resolver
        self.entries: dict[tuple[int, bytes], Neighbour] = {}
        self.unresolved_discards = 0
        self.resolution_failures = 0
        self.overflows = 0
        # RFC 4861, 6.3.4: drawn anew now and then, between half and one and a half of the base.
        self._reachable_ns = 0
        self._reachable_base_ns = 0
        self._reachable_until_ns = 0

    def lookup(self, interface: Interface, address: bytes) -> Neighbour:
        """Return the neighbour, made if need be; NetError(NO_BUFFERS) if the table is full."""
        found = self.entries.get((interface.index, address))
        if found is not None:
            return found
        return self._add(interface, address, NUD_NONE)

    def find(self, interface: Interface, address: bytes) -> Neighbour | None:
        """Return the neighbour if there is one."""
        return self.entries.get((interface.index, address))

    def fixed(self, interface: Interface, address: bytes, link_address: bytes) -> Neighbour:
        """Return a neighbour outside the table whose hardware address follows from its address.

        For multicast, broadcast, and links without addresses.
        """
        neighbour = Neighbour(self, interface, address, NUD_NOARP)
        neighbour.link_address = link_address
        neighbour.link_header = interface.link_header(link_address, self.ethertype)
        return neighbour

    # What the resolver heard.

    def on_confirmation(
        self,
        interface: Interface,
        address: bytes,
        link_address: bytes,
        *,
        solicited: bool,
        override: bool,
        is_router: bool = False,
    ) -> None:
        """An answer (ARP reply, neighbour advertisement), by the rules of RFC 4861, 7.2.5.

        Answers about addresses that nobody asked for are dropped.
        """
        neighbour = self.entries.get((interface.index, address))
        if neighbour is None or neighbour.state & NUD_FIXED:
            return
        if not neighbour.state & NUD_VALID:
            if link_address:
                neighbour.is_router = is_router
                neighbour.set_link_address(link_address, NUD_REACHABLE if solicited else NUD_STALE)
            return
        differs = bool(link_address) and link_address != neighbour.link_address
        if differs and not override:
            if neighbour.state == NUD_REACHABLE:
                neighbour.set_link_address(neighbour.link_address, NUD_STALE)
            return
        neighbour.is_router = is_router
        if solicited:
            neighbour.set_link_address(link_address or neighbour.link_address, NUD_REACHABLE)
        elif differs:
            neighbour.set_link_address(link_address, NUD_STALE)

    def on_hint(
        self, interface: Interface, address: bytes, link_address: bytes, *, create: bool = True
    ) -> None:
        """A message of the neighbour's own told its hardware address (RFC 4861, 7.2.3)."""
        neighbour = self.entries.get((interface.index, address))
        if neighbour is None:
            if not create:
                return
            try:
                neighbour = self._add(interface, address, NUD_NONE)
            except NetError:
                return  # counted as an overflow; a hint is not needed
        if neighbour.state & NUD_FIXED:
            return
        if not neighbour.state & NUD_VALID or neighbour.link_address != link_address:
            neighbour.set_link_address(link_address, NUD_STALE)

    # Administration.

    def add_permanent(self, interface: Interface, address: bytes, link_address: bytes) -> None:
        """Enter an address that nothing heard changes."""
        self.lookup(interface, address).set_link_address(link_address, NUD_PERMANENT)

    def remove(self, neighbour: Neighbour) -> None:
        """Forget a neighbour; what waits for it is dropped."""
        if self.entries.get((neighbour.interface.index, neighbour.address)) is neighbour:
            del self.entries[(neighbour.interface.index, neighbour.address)]
        self.stack.environment.disarm(neighbour)
        neighbour.is_dead = True
        neighbour.take_queue()
        self.stack.tell_neighbour(neighbour, True)

    def flush(self, interface: Interface, *, permanent: bool = True) -> None:
        """Forget all neighbours of an interface."""
        for neighbour in list(self.entries.values()):
            if neighbour.interface is interface and (permanent or neighbour.state != NUD_PERMANENT):
                self.remove(neighbour)

    def reachable_time_ns(self, interface: Interface) -> int:
        """Return how long a confirmation is good for."""
        base = interface.reachable_time_ns or self.stack.settings.base_reachable_time_ns
        now = self.stack.environment.now_ns()
        if base != self._reachable_base_ns or now >= self._reachable_until_ns:
            fraction = int.from_bytes(self.stack.environment.random_bytes(4), "big")
            self._reachable_ns = base // 2 + base * fraction // (1 << 32)
            self._reachable_base_ns = base
            self._reachable_until_ns = now + 300 * 1_000_000_000
        return self._reachable_ns

    def retrans_time_ns(self, interface: Interface) -> int:
        """Return the time between two solicitations."""
        return interface.retrans_time_ns or self.stack.settings.retrans_time_ns

    def _add(self, interface: Interface, address: bytes, state: int) -> Neighbour:
        if len(self.entries) >= self.stack.settings.gc_thresh3 and not self._evict():
            self.overflows += 1
            raise NetError(NO_BUFFERS)
        neighbour = Neighbour(self, interface, address, state)
        neighbour.updated_ns = self.stack.environment.now_ns()
        self.entries[(interface.index, address)] = neighbour
        return neighbour

    def _evict(self) -> bool:
        """Drop the oldest of those that are worth least; False if all must stay.

        An entry that is being resolved or in use is not thrown out by others:
        a neighbour that floods us only throws out what it made.
        """
        for wanted in (NUD_FAILED, NUD_STALE):
            for neighbour in self.entries.values():  # oldest first
                if neighbour.state == wanted:
                    self.remove(neighbour)
                    return True
        for neighbour in self.entries.values():
            if neighbour.state in {NUD_NONE, NUD_INCOMPLETE}:
                self.remove(neighbour)
                return True
        return False
