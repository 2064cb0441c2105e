"""What this host sends, past the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netstack.errors import MESSAGE_TOO_LONG, NetError
from netstack.filter.hooks import PacketFilter
from netstack.filter.passage import ICMP, ICMPV6, TCP, Passage, upper_layer
from netstack.ip.output import transport_header
from netstack.link.segments import segments
from netstack.packet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, OutFrame, OutPacket
from netstack.route import Route
from netstack.wire import ipv6

if TYPE_CHECKING:
    from netstack.ip.ipv4 import Ipv4
    from netstack.ip.ipv6 import Ipv6
    from netstack.network import NetworkProtocol


def send4(
    network: Ipv4, rules: PacketFilter, route: Route, head: bytes, packet: OutPacket, limit: int
) -> bool:
    """Send a packet with the IP header `head`; as `Ipv4.send`.

    `limit` is the MTU unless rules lead the packet elsewhere.  NetError(PERMISSION) if a rule
    drops it.
    """
    # Rules read and rewrite checksums: only segments to be cut are left to the link.
    by_link = packet.gso_size != 0
    header = transport_header(packet, route.source, route.destination, by_link=by_link)
    passage, rest = outgoing(head + header, bytes(packet.payload), len(head))
    passage.is_partial = by_link
    passage.mark = packet.mark
    passage.user = packet.user
    passage.group = packet.group
    before = route
    route = rules.local_out(passage, route)
    mtu = limit if route is before else route.mtu
    if by_link:
        return _send_segments(network, route, passage, rest, packet)
    if passage.size() > mtu:
        if packet.dont_fragment:
            network.counters.FragFails += 1
            raise NetError(MESSAGE_TOO_LONG)
        at = passage.transport
        data = passage.data
        packet.passage = passage
        return network.send_fragments(route, data[:at], data[at:] + rest, packet, mtu)
    return network.emit(route, _frame(passage, rest), packet)


def send_raw4(
    network: Ipv4, rules: PacketFilter, route: Route, header: bytes, payload: bytes
) -> bool:
    """Send a packet whose IP header its sender made."""
    passage, rest = outgoing(header, payload, len(header))
    route = rules.local_out(passage, route)
    if passage.size() > route.mtu:
        raise NetError(MESSAGE_TOO_LONG)
    return network.emit(route, _frame(passage, rest), None)


def send6(
    network: Ipv6, rules: PacketFilter, route: Route, header: bytes, packet: OutPacket, at: int
) -> bool:
    """Send a packet with all headers, of which the transport's is at `at`; as `Ipv6.send`."""
    passage, rest = outgoing(header, bytes(packet.payload), at)
    passage.is_partial = packet.gso_size != 0
    passage.mark = packet.mark
    passage.user = packet.user
    passage.group = packet.group
    packet.passage = passage
    before = route
    route = rules.local_out(passage, route)
    if packet.gso_size:
        network.counters.OutOctets += passage.size()
        return _send_segments(network, route, passage, rest, packet)
    if route.destination[0] == 0xFF:
        network.loop_to_members(route, passage.data + rest, packet)
        if packet.stays_here:
            return True
    if passage.size() > route.mtu:
        if packet.dont_fragment or (route is before and at != ipv6.HEADER_SIZE):
            network.counters.FragFails += 1
            raise NetError(MESSAGE_TOO_LONG)
        return network.send_fragments(route, passage.data, rest, packet)
    network.counters.OutOctets += passage.size()
    return network.transmit(route, _frame(passage, rest))


def send_raw6(
    network: Ipv6, rules: PacketFilter, route: Route, header: bytes, payload: bytes
) -> bool:
    """Send a packet whose IP header its sender made."""
    passage, rest = outgoing(header, payload, len(header))
    route = rules.local_out(passage, route)
    if passage.size() > route.mtu:
        raise NetError(MESSAGE_TOO_LONG)
    return network.transmit(route, _frame(passage, rest))


def outgoing(header: bytes, payload: bytes, transport: int) -> tuple[Passage, bytes]:
    """Return the passage of a packet of ours, and that part of it which is not in it.

    `header` has the IP headers, of `transport` bytes, and perhaps the transport header.
    """
    protocol = upper_layer(header, 0, len(header))[0]
    needed = transport + (20 if protocol == TCP else 8)
    if payload and (len(header) < needed or protocol in {ICMP, ICMPV6}):
        header += payload
        payload = b""
    return Passage(header, 0, len(payload)), payload


def _frame(passage: Passage, rest: bytes) -> OutFrame:
    is_ipv6 = passage.version == 6
    frame = OutFrame(ETHERTYPE_IPV6 if is_ipv6 else ETHERTYPE_IPV4, passage.data, rest)
    frame.is_ipv6 = is_ipv6
    frame.passage = passage
    return frame


def _send_segments(
    network: NetworkProtocol, route: Route, passage: Passage, rest: bytes, packet: OutPacket
) -> bool:
    frame = _frame(passage, rest)
    frame.checksum_start = passage.transport
    frame.checksum_offset = packet.checksum_offset
    frame.gso_size = packet.gso_size
    link = route.interface.link
    if link.sends_checksums and frame.size() <= link.gso_max:
        return network.emit(route, frame, packet)
    # It was made for another link than the one that the rules have led it to.
    for number, segment in enumerate(segments(frame, 0)):
        segment.passage = passage
        if not network.emit(route, segment, packet):
            return number != 0  # what is lost later, TCP sends again
    return True
