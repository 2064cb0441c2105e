"""What this host sends over IPv4, past the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netstack.errors import MESSAGE_TOO_LONG, NetError
from netstack.filter.filter4 import Filter4, outgoing
from netstack.filter.passage import Passage
from netstack.ip.output import transport_header
from netstack.link.segments import segments
from netstack.packet import ETHERTYPE_IPV4, OutFrame, OutPacket
from netstack.route import Route

if TYPE_CHECKING:
    from netstack.ip.ipv4 import Ipv4


def send(
    network: Ipv4, filter4: Filter4, route: Route, head: bytes, packet: OutPacket, limit: int
) -> bool:
    """Send a packet with the IP header `head`; as `Ipv4.send`.

    `limit` is the MTU unless rules lead the packet elsewhere.  NetError(PERMISSION) if a rule
    drops it.
    """
    # Rules read and rewrite checksums: only segments to be cut are left to the link.
    by_link = packet.gso_size != 0
    header = transport_header(packet, route.source, route.destination, by_link=by_link)
    passage, rest = outgoing(head + header, packet.payload, len(head))
    passage.is_partial = by_link
    passage.mark = packet.mark
    passage.user = packet.user
    passage.group = packet.group
    before = route
    route = filter4.local_out(passage, route)
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


def send_raw(network: Ipv4, filter4: Filter4, route: Route, header: bytes, payload: bytes) -> bool:
    """Send a packet whose IP header its sender made."""
    passage, rest = outgoing(header, payload, len(header))
    route = filter4.local_out(passage, route)
    if passage.size() > route.mtu:
        raise NetError(MESSAGE_TOO_LONG)
    return network.emit(route, _frame(passage, rest), None)


def _frame(passage: Passage, rest: bytes) -> OutFrame:
    frame = OutFrame(ETHERTYPE_IPV4, passage.data, rest)
    frame.passage = passage
    return frame


def _send_segments(
    network: Ipv4, route: Route, passage: Passage, rest: bytes, packet: OutPacket
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
