"""Forwarding of IPv4 packets (RFC 1812, 5.2 and 5.3), when net.ipv4.ip_forward is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.errors import ACCESS, INVALID, MESSAGE_TOO_LONG, NetError
from netstack.packet import CHECKSUM_GOOD, ETHERTYPE_IPV4, InPacket, OutFrame
from netstack.route import LOCAL, Route
from netstack.wire import icmp4, ipv4
from netstack.wire.checksum import checksum, finish, pseudo_header, replace

if TYPE_CHECKING:
    from netstack.ip.ipv4 import Ipv4
    from netstack.stack import Stack


# Where transports have their checksums.
CHECKSUM_OFFSETS: Final = {ipv4.TCP: 16, ipv4.UDP: 6}


class Forwarder4:
    """Sends packets on that are for others."""

    def __init__(self, stack: Stack, network: Ipv4) -> None:
        self.stack = stack
        self.network = network

    def forward(self, packet: InPacket) -> None:
        """Send a packet on, or tell its sender why not."""
        counters = self.network.counters
        icmp = self.network.icmp
        if not packet.interface.forwarding or not 0 < packet.destination[0] < 224:
            counters.InAddrErrors += 1
            return
        if packet.ttl <= 1:
            counters.InHdrErrors += 1
            icmp.send_error(packet, icmp4.TIME_EXCEEDED, icmp4.TTL_EXCEEDED, 0)
            return
        route = self._route(packet)
        if route is None:
            return
        if route.kind == LOCAL:
            self.network.deliver_local(packet)
            return
        size = packet.end - packet.network
        if packet.gso_size:
            # It stands for segments of this size.
            size = packet.gso_size + packet.transport - packet.network + transport_length(packet)
        field = (packet.data[packet.network + 6] << 8) | packet.data[packet.network + 7]
        if size > route.mtu and field & ipv4.DF:
            counters.FragFails += 1
            icmp.send_error(
                packet, icmp4.DEST_UNREACH, icmp4.FRAGMENTATION_NEEDED, min(route.mtu, 0xFFFF)
            )
            return
        rules = self.network.filter
        if rules is not None:
            # Rules, and who is told of a rejected packet, see it as it will leave.
            at, body_at = packet.network, packet.transport
            header = with_ttl(packet.data[at:body_at], packet.ttl - 1)
            packet.data = packet.data[:at] + header + packet.data[body_at:]
            if not rules.forward(packet, route.interface):
                return
        counters.ForwDatagrams += 1
        self._send(packet, route)

    def _route(self, packet: InPacket) -> Route | None:
        """Return the way to the destination; None after having told the sender."""
        icmp = self.network.icmp
        try:
            # The packet's source takes part in the choice of a table, not of our address.
            entry = self.network.routing.lookup(
                packet.destination,
                packet.source,
                mark=packet.mark,
                input_index=packet.interface.index,
            )
            if entry is None:
                self.network.counters.InNoRoutes += 1
                icmp.send_error(packet, icmp4.DEST_UNREACH, icmp4.NET_UNREACHABLE, 0)
                return None
            route = self.network.route_through(entry, packet.destination, packet.source)
        except NetError as error:
            if error.code == ACCESS:
                icmp.send_error(packet, icmp4.DEST_UNREACH, icmp4.PACKET_FILTERED, 0)
            elif error.code != INVALID:  # a black hole says nothing
                icmp.send_error(packet, icmp4.DEST_UNREACH, icmp4.HOST_UNREACHABLE, 0)
            return None
        return route

    def _send(self, packet: InPacket, route: Route) -> None:
        at, body_at = packet.network, packet.transport
        header = with_ttl(packet.data[at:body_at], packet.ttl - 1)
        body = packet.data[body_at : packet.end]
        if packet.checksum == CHECKSUM_GOOD and packet.protocol in CHECKSUM_OFFSETS:
            if packet.gso_size and not self._takes_segments(packet, route):
                self.network.counters.OutDiscards += 1
                return
            body = self._with_checksum(packet, body)
        try:
            if packet.gso_size:
                # Links look at the transport header, which they repeat.
                size = transport_length(packet)
                frame = OutFrame(ETHERTYPE_IPV4, header + body[:size], body[size:])
                frame.gso_size = packet.gso_size
                frame.checksum_start = len(header)
                frame.checksum_offset = CHECKSUM_OFFSETS[packet.protocol]
                sent = self.network.transmit(route, frame)
            elif len(header) + len(body) > route.mtu:
                sent = self.network.send_fragments(route, header, body, None, route.mtu)
            else:
                frame = OutFrame(ETHERTYPE_IPV4, header, body)
                sent = self.network.transmit(route, frame)
        except NetError as error:
            sent = False
            if error.code == MESSAGE_TOO_LONG:
                self.network.counters.FragFails += 1
        if not sent:
            self.network.counters.OutDiscards += 1

    def _takes_segments(self, packet: InPacket, route: Route) -> bool:
        """Return whether the link out cuts a packet into the segments that it stands for."""
        link = route.interface.link
        if packet.end - packet.transport < transport_length(packet):
            return False
        return link.sends_checksums and packet.end - packet.network <= link.gso_max

    def _with_checksum(self, packet: InPacket, body: bytes) -> bytes:
        """Return the transport packet with its checksum, which its sender may not have computed.

        What stands for several segments gets the sum of the pseudo-header only, as links want it.
        """
        data, at = packet.data, packet.network
        field = (data[at + 6] << 8) | data[at + 7]
        offset = CHECKSUM_OFFSETS[packet.protocol]
        has_none = packet.protocol == ipv4.UDP and body[offset : offset + 2] == b"\0\0"
        if field & (ipv4.MF | ipv4.OFFSET_MASK) or len(body) < offset + 2 or has_none:
            return body
        total = pseudo_header(packet.source, packet.destination, packet.protocol, len(body))
        if packet.gso_size:
            return replace(body, offset, total)
        total = checksum(replace(body, offset, 0), total)
        return replace(body, offset, finish(total) or 0xFFFF)


def transport_length(packet: InPacket) -> int:
    """Return the length of the transport header of a packet that stands for several segments."""
    if packet.protocol != ipv4.TCP:
        return 8
    at = packet.transport + 12
    return max((packet.data[at] >> 4) * 4, 20) if at < packet.end else 20


def with_ttl(header: bytes, ttl: int) -> bytes:
    """Return an IP header with another TTL."""
    header = replace(header[:8] + bytes((ttl,)) + header[9:], 10, 0)
    return replace(header, 10, finish(checksum(header)))
