"""ARP (RFC 826, RFC 5227): resolves IPv4 addresses on links that need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netstack.errors import HOST_UNREACHABLE
from netstack.interface import Interface
from netstack.neighbour import Neighbour, Resolver
from netstack.network import FrameHandler
from netstack.packet import ETHERTYPE_ARP, TO_HOST, InPacket, OutFrame
from netstack.route import LOCAL
from netstack.transport import IcmpError
from netstack.wire import arp, icmp4
from netstack.wire.ipv4 import ANY

if TYPE_CHECKING:
    from netstack.ip.ipv4 import Ipv4
    from netstack.stack import Stack


class Arp(Resolver):
    """Asks for hardware addresses, and answers."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.ipv4: Ipv4 | None = None  # set by Ipv4 itself

    def solicit(self, neighbour: Neighbour, unicast: bool) -> None:
        interface = neighbour.interface
        if not interface.link.resolves:
            return
        sender = self._sender(neighbour)
        link = interface.link
        packet = arp.build(arp.REQUEST, link.address, sender, bytes(6), neighbour.address)
        to = neighbour.link_address if unicast and neighbour.link_address else link.broadcast
        self._send(interface, to, packet)

    def _sender(self, neighbour: Neighbour) -> bytes:
        """Return the address to ask from: one of the neighbour's own network if there is one."""
        if self.ipv4 is None:
            return ANY
        if neighbour.queue:
            source = neighbour.queue[0].header[12:16]
            if len(source) == 4 and self.stack.is_local_address(source):
                return source
        return self.ipv4.select_source(neighbour.interface, neighbour.address) or ANY

    def _send(self, interface: Interface, to: bytes, packet: bytes) -> None:
        header = interface.link_header(to, ETHERTYPE_ARP)
        interface.send_frame(OutFrame(ETHERTYPE_ARP, header + packet, b""))

    def announce(self, interface: Interface, address: bytes) -> None:
        """Tell the link of a new address (gratuitous ARP: RFC 5227, 3)."""
        link = interface.link
        if link.resolves:
            packet = arp.build(arp.REQUEST, link.address, address, bytes(6), address)
            self._send(interface, link.broadcast, packet)

    def on_unresolved(self, neighbour: Neighbour, frames: list[OutFrame]) -> None:
        """Report the host unreachable, to us or to whom we forward for (RFC 1812, 5.3.4)."""
        if self.ipv4 is None:
            return
        for frame in frames:
            packet = frame.header + frame.payload
            source = packet[12:16]
            if self.stack.is_local_address(source):
                if len(packet) < (packet[0] & 0x0F) * 4 + 8:
                    continue  # too short to tell whose it is
                error = IcmpError(
                    HOST_UNREACHABLE,
                    source,
                    packet[16:20],
                    packet[9],
                    packet[(packet[0] & 0x0F) * 4 :],
                )
                error.offender = source
                error.icmp_type = icmp4.DEST_UNREACH
                error.icmp_code = icmp4.HOST_UNREACHABLE
                self.ipv4.report_error(error)
            else:
                self.ipv4.send_error_about(
                    neighbour.interface, packet, icmp4.DEST_UNREACH, icmp4.HOST_UNREACHABLE
                )

    def on_packet(self, packet: InPacket) -> None:
        """Take an ARP packet, in the order of RFC 826."""
        interface = packet.interface
        message = arp.parse(packet.data, packet.network)
        if message is None or not interface.link.resolves or self.ipv4 is None:
            interface.counters.rx_dropped += message is None
            return
        # Our own hardware address says nothing: all slaves of an ipvlan's master have the same.
        if message.sender_link[0] & 1 or self.stack.is_local_address(message.sender):
            return  # nobody's; or our own, come back
        neighbours = self.ipv4.neighbours
        kind = self.ipv4.routing.local_kind(message.target)
        if message.operation == arp.REPLY:
            neighbours.on_confirmation(
                interface,
                message.sender,
                message.sender_link,
                solicited=packet.kind == TO_HOST,
                override=True,
            )
            return
        if message.operation != arp.REQUEST:
            return
        is_for_us = kind == LOCAL and message.target[0] != 127
        usable = message.sender != ANY and self.ipv4.is_unicast(message.sender)
        if usable:
            neighbours.on_hint(interface, message.sender, message.sender_link, create=is_for_us)
        if is_for_us:
            self._reply(interface, message)

    def _reply(self, interface: Interface, message: arp.ArpPacket) -> None:
        answer = arp.build(
            arp.REPLY,
            interface.link.address,
            message.target,
            message.sender_link,
            message.sender,
        )
        self._send(interface, message.sender_link, answer)


class ArpFrames(FrameHandler):
    """Gives frames to ARP."""

    def __init__(self, resolver: Arp) -> None:
        self.resolver = resolver

    def on_frame(self, packet: InPacket) -> None:
        self.resolver.on_packet(packet)
