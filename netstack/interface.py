"""Network interfaces: addresses, flags, counters, and the way in and out (RFC 1122, 3.3.4)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from netstack.counters import InterfaceCounters
from netstack.link.base import Link
from netstack.packet import (
    CHECKSUM_GOOD,
    OUTGOING,
    TO_BROADCAST,
    TO_MULTICAST,
    TO_OTHER_HOST,
    InPacket,
    OutFrame,
)

if TYPE_CHECKING:
    from netstack.filter.passage import Passage
    from netstack.multicast import Group
    from netstack.stack import RoomListener, Stack

# Flags of netdevice(7).
IFF_UP: Final = 0x1
IFF_BROADCAST: Final = 0x2
IFF_LOOPBACK: Final = 0x8
IFF_POINTOPOINT: Final = 0x10
IFF_RUNNING: Final = 0x40
IFF_NOARP: Final = 0x80
IFF_PROMISC: Final = 0x100
IFF_ALLMULTI: Final = 0x200
IFF_MULTICAST: Final = 0x1000

# ifa_flags, rtnetlink(7).
IFA_F_SECONDARY: Final = 0x01

ETHERNET_HEADER: Final = 14


class InterfaceAddress:
    """An address of an interface."""

    def __init__(self, host: bytes, prefix_length: int) -> None:
        self.host = host
        self.prefix_length = prefix_length
        self.peer = b""  # point-to-point
        self.broadcast = b""
        self.label = b""
        self.scope = 0  # ifa_scope, rtnetlink(7)
        self.flags = 0  # IFA_F_
        # IPv6 (RFC 4862); 0 is for ever.
        self.preferred_until_ns = 0
        self.valid_until_ns = 0
        self.is_tentative = False


class Interface:
    """An interface of a stack.  Up, down and addresses go through the stack."""

    def __init__(self, stack: Stack, index: int, name: str, link: Link) -> None:
        self.stack = stack
        self.index = index
        self.name = name
        self.link = link
        self.out = link  # what frames are given to: the link, or the queueing discipline above it
        self.mtu = link.mtu
        self.flags = initial_flags(link)
        self.addresses: list[InterfaceAddress] = []
        self.groups: dict[bytes, Group] = {}  # multicast groups of both families
        self.counters = InterfaceCounters()
        self.forwarding = True  # net.ipv4.conf.NAME.forwarding, when the stack forwards at all
        self.tx_queue_length = 1000
        # Neighbour times from router advertisements (RFC 4861, 6.3.2); 0: the stack's.
        self.reachable_time_ns = 0
        self.retrans_time_ns = 0
        self._waiting: deque[RoomListener] = deque()
        self._modes: dict[int, int] = {}  # users of IFF_PROMISC and IFF_ALLMULTI
        link.interface = self

    def is_up(self) -> bool:
        """Return whether the interface may be used."""
        return self.flags & IFF_UP != 0

    def set_queue(self, queue: Link) -> None:
        """Put a queueing discipline between this interface and its link.

        The queue sends to `self.link`, and calls `room_available` when it takes
        frames again after it had refused one; its own `on_room` is called when
        the link has room.
        """
        queue.interface = self
        self.out = queue

    def link_header(self, destination: bytes, ethertype: int) -> bytes:
        """Return the link header of frames to a hardware address; empty if there is none."""
        if not self.link.has_header:
            return b""
        return destination + self.link.address + ethertype.to_bytes(2, "big")

    def add_mode(self, flag: int) -> None:
        """One user more of IFF_PROMISC or IFF_ALLMULTI."""
        self._modes[flag] = self._modes.get(flag, 0) + 1
        self.flags |= flag

    def drop_mode(self, flag: int) -> None:
        """One user less."""
        self._modes[flag] -= 1
        if not self._modes[flag]:
            self.flags &= ~flag

    # In.

    def receive(
        self,
        data: bytes,
        *,
        checksum_good: bool = False,
        gso_size: int = 0,
        time_ns: int = 0,
        passage: Passage | None = None,
    ) -> None:
        """Take a frame from the link.

        `checksum_good`: the transport checksum was verified, or is unfinished
        because the frame never left the machine.  `gso_size`: the frame stands
        for several segments of that size.  `passage`: what rules know of what this host
        sent to itself.
        """
        counters = self.counters
        if not self.flags & IFF_UP:
            counters.rx_dropped += 1
            return
        counters.rx_packets += 1
        counters.rx_bytes += len(data)
        packet = InPacket(self, data)
        packet.gso_size = gso_size
        packet.time_ns = time_ns
        packet.passage = passage
        if checksum_good:
            packet.checksum = CHECKSUM_GOOD
        ethertype = self._parse_link_header(packet)
        if not ethertype:
            counters.rx_errors += 1
            return
        taps = self.stack.taps
        if taps:
            if not packet.time_ns:
                packet.time_ns = self.stack.environment.realtime_ns()
            for tap in taps:
                tap.on_frame(packet, ethertype)
        if packet.kind == TO_OTHER_HOST:
            return
        handler = self.stack.handlers.get(ethertype)
        if handler is None:
            counters.rx_nohandler += 1
            return
        handler.on_frame(packet)

    def receive_looped(self, data: bytes, ethertype: int) -> None:
        """Take a copy of a multicast or broadcast packet of our own, without link header."""
        handler = self.stack.handlers.get(ethertype)
        if handler is None or not self.flags & IFF_UP:
            return
        packet = InPacket(self, data)
        packet.kind = TO_MULTICAST
        packet.checksum = CHECKSUM_GOOD
        packet.is_looped = True
        handler.on_frame(packet)

    def _parse_link_header(self, packet: InPacket) -> int:
        """Set the packet's kind and network offset; return the ethertype, 0 for a bad frame."""
        data = packet.data
        if not self.link.has_header:
            if not data:
                return 0
            return {4: 0x0800, 6: 0x86DD}.get(data[0] >> 4, 0)
        if len(data) < ETHERNET_HEADER:
            return 0
        packet.network = ETHERNET_HEADER
        if data[0] & 1:
            packet.kind = TO_BROADCAST if data[:6] == self.link.broadcast else TO_MULTICAST
            self.counters.multicast += 1
        elif data[:6] != self.link.address:
            packet.kind = TO_OTHER_HOST
        return (data[12] << 8) | data[13]

    # Out.

    def send_frame(self, frame: OutFrame) -> bool:
        """Send a frame through the queueing discipline; False if there is no room."""
        counters = self.counters
        if not self.flags & IFF_UP:
            counters.tx_dropped += 1
            return True  # lost, as a frame on the wire would be: nobody shall wait for it
        if not self.out.send(frame):
            return False
        counters.tx_packets += 1
        counters.tx_bytes += len(frame.header) + len(frame.payload)
        taps = self.stack.taps
        if taps:
            self._tap(frame)
        return True

    def _tap(self, frame: OutFrame) -> None:
        packet = InPacket(self, frame.header + frame.payload)
        packet.kind = OUTGOING
        packet.time_ns = self.stack.environment.realtime_ns()
        packet.network = ETHERNET_HEADER if self.link.has_header else 0
        packet.gso_size = frame.gso_size
        if frame.checksum_start:
            packet.checksum = CHECKSUM_GOOD
        for tap in self.stack.taps:
            tap.on_frame(packet, frame.ethertype)

    def on_room(self) -> None:
        """Called by the link when it takes frames again."""
        if self.out is self.link:
            self.room_available()
        else:
            self.out.on_room()

    def room_available(self) -> None:
        """Frames are taken again: wake those who wait, once each, in order."""
        waiting = self._waiting
        for _ in range(len(waiting)):
            if not waiting:
                break
            waiting.popleft().on_room()

    def when_room(self, listener: RoomListener) -> None:
        """Have `listener.on_room` called once when frames are taken again."""
        if listener not in self._waiting:
            self._waiting.append(listener)

    def forget_waiting(self, listener: RoomListener) -> None:
        """Undo `when_room`; harmless if it was not asked for."""
        if listener in self._waiting:
            self._waiting.remove(listener)


def initial_flags(link: Link) -> int:
    """Return the flags of a new interface, which is down."""
    if link.is_loopback:
        return IFF_LOOPBACK
    if not link.address:
        return IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST
    flags = IFF_BROADCAST | IFF_MULTICAST
    return flags if link.resolves else flags | IFF_NOARP
