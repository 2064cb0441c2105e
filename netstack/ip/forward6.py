"""Forwarding of IPv6 packets (RFC 8200; ip6_forward() of Linux), when forwarding is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.errors import NetError
from netstack.ip.forward4 import transport_length
from netstack.ip.icmp6 import LIMITED_KIND
from netstack.neighbour import NUD_VALID
from netstack.packet import CHECKSUM_GOOD, ETHERTYPE_IPV6, TO_HOST, InPacket, OutFrame
from netstack.route import BLACKHOLE, PROHIBIT, UNICAST, UNREACHABLE, Route
from netstack.wire import icmp6, ndp
from netstack.wire.address6 import UNSPECIFIED, is_link_local
from netstack.wire.checksum import checksum, finish, pseudo_header, replace
from netstack.wire.ipv6 import HEADER_SIZE, ICMPV6, MINIMUM_MTU, find_upper

if TYPE_CHECKING:
    from netstack.ip.ipv6 import Ipv6

TCP: Final = 6
UDP: Final = 17
# Where transports have their checksums.
CHECKSUM_OFFSETS: Final = {TCP: 16, UDP: 6, ICMPV6: 2}
# RFC 4861, 4.6.3: a redirect stays within the minimum MTU, with all options.
MAX_REDIRECTED: Final = MINIMUM_MTU - HEADER_SIZE - 40 - 8 - 8


class Forwarder6:
    """Sends packets on that are for others."""

    def __init__(self, ip: Ipv6) -> None:
        self.ip = ip
        self.stack = ip.stack

    def forward(self, packet: InPacket) -> None:
        """Send a packet on, or tell its sender why not."""
        counters = self.ip.counters
        interface = packet.interface
        if (
            not self.stack.settings.ipv6_forwarding
            or not interface.forwarding
            or interface.link.is_loopback
            or packet.kind != TO_HOST
            or packet.source == UNSPECIFIED
            or is_link_local(packet.destination)
        ):
            counters.InAddrErrors += 1
            return
        if packet.ttl <= 1:
            counters.InHdrErrors += 1
            self.ip.icmp.send_error(packet, icmp6.TIME_EXCEEDED, icmp6.HOP_LIMIT_EXCEEDED)
            return
        route = self._find_route(packet)
        if route is None:
            return
        if is_link_local(packet.source) and route.interface is not interface:
            self._refuse(packet, icmp6.BEYOND_SCOPE)
            return
        packet.protocol, packet.transport = find_upper(packet.data, packet.network, packet.end)
        if self._is_too_big(packet, route):
            counters.FragFails += 1
            self.ip.icmp.send_error(packet, icmp6.PACKET_TOO_BIG, 0, route.mtu)
            return
        if route.interface is interface:
            self._redirect(packet, route)
        rules = self.ip.filter
        if rules is not None:
            # Rules, and who is told of a rejected packet, see it as it will leave.
            at = packet.network + 7
            packet.data = packet.data[:at] + bytes((packet.ttl - 1,)) + packet.data[at + 1 :]
            if not rules.forward(packet, route.interface):
                return
        counters.ForwDatagrams += 1
        if not self._send(packet, route):
            counters.OutDiscards += 1

    def _find_route(self, packet: InPacket) -> Route | None:
        """Return the way to the destination; None after having told the sender."""
        entry = self.ip.routing.lookup(
            packet.destination,
            packet.source,
            mark=packet.mark,
            input_index=packet.interface.index,
        )
        kind = entry.kind if entry is not None else UNREACHABLE
        if entry is not None and kind == UNICAST:
            try:
                return self.ip.route_through(entry, packet.destination, packet.source)
            except NetError:
                kind = BLACKHOLE
        self.ip.counters.InNoRoutes += 1
        if kind == UNREACHABLE:
            self._refuse(packet, icmp6.NO_ROUTE)
        elif kind == PROHIBIT:
            self._refuse(packet, icmp6.PROHIBITED)
        return None

    def _refuse(self, packet: InPacket, code: int) -> None:
        self.ip.icmp.send_error(packet, icmp6.DESTINATION_UNREACHABLE, code)

    def _is_too_big(self, packet: InPacket, route: Route) -> bool:
        size = packet.end - packet.network
        if packet.gso_size:
            # It stands for segments of this size.
            headers = packet.transport - packet.network + transport_length(packet)
            size = packet.gso_size + headers
        return size > route.mtu

    def _redirect(self, packet: InPacket, route: Route) -> None:
        """Tell a neighbour the better first hop, as the packet goes back to its link (8.2)."""
        interface = packet.interface
        back = self.ip.routing.lookup(packet.source)
        if back is None or back.interface is not interface or back.gateway:
            return  # not a neighbour's
        own = self.ip.state_of(interface).link_local()
        target = route.next_hop
        if not own or not (is_link_local(target) or target == packet.destination):
            return  # routers are known by their link-local addresses: the host would not believe
        if not self.ip.icmp.limiter.allow(packet.source, LIMITED_KIND, False):
            return
        neighbour = self.ip.neighbours.find(interface, target)
        options = b""
        if neighbour is not None and neighbour.state & NUD_VALID:
            kind = ndp.OPTION_TARGET_LINK_ADDRESS
            options = ndp.link_address_option(kind, neighbour.link_address)
        quoted = packet.data[packet.network : packet.end][:MAX_REDIRECTED]
        options += ndp.redirected_option(quoted)
        message = ndp.build_redirect(target, packet.destination, options)
        self.ip.icmp.send_on_link(interface, own, packet.source, message)

    def _send(self, packet: InPacket, route: Route) -> bool:
        """Send a packet with one hop less; False if it is lost."""
        data = packet.data
        network = packet.network
        before = data[network : packet.transport]
        header = before[:7] + bytes((packet.ttl - 1,)) + before[8:]
        body = data[packet.transport : packet.end]
        frame = OutFrame(ETHERTYPE_IPV6, header, body)
        frame.is_ipv6 = True
        offset = CHECKSUM_OFFSETS.get(packet.protocol, -1)
        if packet.checksum == CHECKSUM_GOOD and offset >= 0 and len(body) >= offset + 2:
            frame.payload = with_checksum(packet, body, offset)
        if packet.gso_size:
            link = route.interface.link
            size = packet.end - network
            length = transport_length(packet)
            if not link.sends_checksums or size > link.gso_max or offset < 0 or len(body) < length:
                return False
            # Links look at the transport header, which they repeat.
            frame.header, frame.payload = header + frame.payload[:length], frame.payload[length:]
            frame.gso_size = packet.gso_size
            frame.checksum_start = len(header)
            frame.checksum_offset = offset
        try:
            return self.ip.transmit(route, frame)
        except NetError:
            return False


def with_checksum(packet: InPacket, body: bytes, offset: int) -> bytes:
    """Return a transport packet with its checksum, which its sender may not have computed.

    What stands for several segments gets the sum of the pseudo-header only, as links want it.
    """
    if packet.transport != packet.network + HEADER_SIZE:
        return body  # behind extension headers (of a fragment) no link leaves it undone
    total = pseudo_header(packet.source, packet.destination, packet.protocol, len(body))
    if packet.gso_size:
        return replace(body, offset, total)
    return replace(body, offset, finish(checksum(replace(body, offset, 0), total)) or 0xFFFF)
