"""IPv4 (RFC 791, RFC 1122, 3.2): packets in, packets out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.errors import (
    INVALID,
    MESSAGE_TOO_LONG,
    NETWORK_UNREACHABLE,
    NO_SUCH_DEVICE,
    NetError,
)
from netstack.filter import output
from netstack.interface import IFF_UP, Interface, InterfaceAddress
from netstack.ip import addresses4
from netstack.ip.arp import Arp
from netstack.ip.forward4 import Forwarder4
from netstack.ip.fragment import DROPPED, PartialPacket, Reassembler, ReassemblyOwner, ecn_of
from netstack.ip.icmp4 import Icmp4
from netstack.ip.igmp import Igmp
from netstack.ip.output import leaves_checksum, transport_header
from netstack.multicast import Group
from netstack.neighbour import Neighbour
from netstack.network import NetworkProtocol, check_kind
from netstack.packet import (
    ETHERTYPE_IPV4,
    TO_HOST,
    TO_OTHER_HOST,
    InPacket,
    OutFrame,
    OutPacket,
)
from netstack.route import BROADCAST, LOCAL, MULTICAST, UNICAST, Route
from netstack.wire import icmp4
from netstack.wire import ipv4 as wire
from netstack.wire.checksum import checksum, finish, replace
from netstack.wire.ethernet import multicast4

if TYPE_CHECKING:
    from netstack.stack import Stack

# Counters of identifications; two flows may share one.
ID_BUCKETS: Final = 2048
MAX_KINDS: Final = 1024

# What the local table says, cached: OTHER is "not for this host".
OTHER: Final = 0


class Ipv4(NetworkProtocol):
    """IPv4 of one stack."""

    def __init__(self, stack: Stack, arp: Arp) -> None:
        super().__init__(stack, 4, ETHERTYPE_IPV4, arp)
        arp.ipv4 = self
        self.arp = arp
        self.counters = stack.counters.ip4
        self.icmp = Icmp4(stack, self)
        self.igmp = Igmp(stack, self)
        self.forwarder = Forwarder4(stack, self)
        settings = stack.settings
        self.reassembler = Reassembler(
            stack.environment,
            Fragments4(self),
            settings.ipfrag_high_thresh,
            settings.ipfrag_time_ns,
        )
        self._identifications = [
            int.from_bytes(stack.environment.random_bytes(2), "big") for _ in range(ID_BUCKETS)
        ]
        self._id_secret = stack.environment.random_bytes(8)
        self._kinds: dict[bytes, int] = {}
        self._kinds_generation = 0

    # Addresses.

    def is_multicast(self, address: bytes) -> bool:
        return wire.is_multicast(address)

    def is_unicast(self, address: bytes) -> bool:
        """Return whether an address may be a host's: not a group, broadcast, or 0.0.0.0/8."""
        return 0 < address[0] < 224 and self.kind_of(address) != BROADCAST

    def kind_of(self, address: bytes) -> int:
        """Return LOCAL, BROADCAST, MULTICAST or OTHER."""
        if self._kinds_generation != self.stack.generation or len(self._kinds) > MAX_KINDS:
            self._kinds.clear()
            self._kinds_generation = self.stack.generation
        kind = self._kinds.get(address, -1)
        if kind < 0:
            if wire.is_multicast(address):
                kind = MULTICAST
            elif address == wire.BROADCAST:
                kind = BROADCAST
            else:
                kind = self.routing.local_kind(address)
            self._kinds[address] = kind
        return kind

    def address_type(self, address: bytes) -> int:
        return BROADCAST if address[0] == 0 else self.kind_of(address) or UNICAST

    def select_source(self, interface: Interface, destination: bytes) -> bytes:
        return addresses4.select_source(self.stack, interface, destination)

    def on_interface_up(self, interface: Interface) -> None:
        self.igmp.on_interface_up(interface)

    def on_interface_down(self, interface: Interface) -> None:
        self.igmp.on_interface_down(interface)

    def on_address_added(self, interface: Interface, address: InterfaceAddress) -> None:
        addresses4.enter_routes(self.stack, interface, address)
        self.arp.announce(interface, address.host)

    def on_address_removed(self, interface: Interface, address: InterfaceAddress) -> None:
        addresses4.remove_routes(self.stack, interface, address)

    def on_group_changed(self, group: Group) -> None:
        self.igmp.on_group_changed(group)

    # Routes.

    def find_special(self, destination: bytes, source: bytes, interface_index: int) -> Route | None:
        """Groups and broadcast go through the interface that was given, or the source's own."""
        is_group = wire.is_multicast(destination)
        if not is_group and destination != wire.BROADCAST:
            return None
        interface: Interface | None = None
        if interface_index:
            interface = self.stack.interfaces.get(interface_index)
            if interface is None:
                raise NetError(NO_SUCH_DEVICE)
            if not interface.flags & IFF_UP:
                raise NetError(NETWORK_UNREACHABLE)
        elif source:
            interface = self.stack.find_address_interface(source)
        if interface is None:
            entry = self.routing.lookup(destination)  # groups have routes as hosts have
            if entry is None:
                raise NetError(NETWORK_UNREACHABLE)
            check_kind(entry)
            interface = entry.interface
            if interface is None:
                raise NetError(NETWORK_UNREACHABLE)
        source = source or self.select_source(interface, destination)
        if not source:
            source = wire.ANY  # DHCP asks like this
        route = Route(interface, source, destination, destination)
        route.kind = MULTICAST if is_group else BROADCAST
        route.mtu = interface.mtu
        return route

    def find_route(
        self, destination: bytes, source: bytes, interface_index: int, mark: int
    ) -> Route:
        if destination == wire.ANY:  # RFC 1122, 3.2.1.3 (a): this host
            destination = source or wire.LOOPBACK
        return super().find_route(destination, source, interface_index, mark)

    def make_neighbour(self, route: Route) -> Neighbour:
        interface = route.interface
        link = interface.link
        hop = route.next_hop
        if link.is_loopback:
            return self.neighbours.fixed(interface, hop, link.address)
        if not link.resolves:
            return self.neighbours.fixed(interface, hop, link.broadcast)
        if wire.is_multicast(hop):
            return self.neighbours.fixed(interface, hop, multicast4(hop))
        if route.kind == BROADCAST:
            return self.neighbours.fixed(interface, hop, link.broadcast)
        return self.neighbours.lookup(interface, hop)

    # Out.

    def send(self, route: Route, packet: OutPacket) -> bool:
        options = packet.ipv4_options
        transport_length = len(packet.header) + len(packet.payload)
        total = wire.HEADER_LENGTH + len(options) + transport_length
        if total > wire.MAX_LENGTH and not packet.gso_size:
            raise NetError(MESSAGE_TOO_LONG)
        self.counters.OutRequests += 1
        mtu = route.interface.mtu if packet.ignores_path_mtu else route.mtu
        must_split = total > mtu and not packet.gso_size
        if must_split and packet.dont_fragment:
            self.counters.FragFails += 1
            raise NetError(MESSAGE_TOO_LONG)
        by_link = packet.checksum_offset >= 0 and not must_split and leaves_checksum(route, packet)
        ident = 0
        if not packet.dont_fragment:
            size = packet.gso_size
            count = (len(packet.payload) + size - 1) // size if size else 1
            ident = self.next_identification(route, packet.protocol, count)
        ttl = packet.ttl or (1 if route.kind == MULTICAST else self.stack.settings.ip_default_ttl)
        fragment = wire.DF if packet.dont_fragment or packet.discovers_mtu and not must_split else 0
        length = transport_length if total <= wire.MAX_LENGTH else 0
        head = self._header(route, packet, length, ttl, ident, fragment)
        if self.filter is not None:
            return output.send4(self, self.filter, route, head, packet, mtu)
        header = transport_header(packet, route.source, route.destination, by_link=by_link)
        if must_split:
            return self.send_fragments(route, head, header + packet.payload, packet, mtu)
        frame = OutFrame(ETHERTYPE_IPV4, head + header, packet.payload)
        if by_link:
            frame.checksum_start = len(head)
            frame.checksum_offset = packet.checksum_offset
            frame.gso_size = packet.gso_size
            frame.is_udp = packet.protocol == wire.UDP
        return self.emit(route, frame, packet)

    def _header(
        self, route: Route, packet: OutPacket, length: int, ttl: int, ident: int, fragment: int
    ) -> bytes:
        """Return the header of a packet; the last one of a route may do once more."""
        protocol = packet.protocol
        options = packet.ipv4_options
        if ident or options:
            return wire.build(
                route.source,
                route.destination,
                protocol,
                length,
                ttl,
                packet.tos,
                ident,
                fragment,
                options,
            )
        key = length << 40 | ttl << 32 | packet.tos << 24 | fragment << 8 | protocol
        if key != route.head_key:
            route.head = wire.build(
                route.source, route.destination, protocol, length, ttl, packet.tos, 0, fragment
            )
            route.head_key = key
        return route.head

    def next_identification(self, route: Route, protocol: int, count: int = 1) -> int:
        """Return the first of `count` identifications not used lately by the flow (RFC 6864, 4.1).

        They follow each other.
        """
        key = (self._id_secret, route.source, route.destination, protocol)
        bucket = hash(key) % ID_BUCKETS
        ident = (self._identifications[bucket] + 1) & 0xFFFF
        self._identifications[bucket] = (ident + count - 1) & 0xFFFF
        return ident

    def emit(self, route: Route, frame: OutFrame, packet: OutPacket | None) -> bool:
        """Send a finished frame; members of the group on this host get a copy."""
        counters = self.counters
        counters.OutOctets += frame.size()
        if route.kind not in {MULTICAST, BROADCAST}:
            return self.transmit(route, frame)
        loops = True
        if route.kind == MULTICAST:
            counters.OutMcastPkts += 1
            counters.OutMcastOctets += frame.size()
            member = route.destination in route.interface.groups
            loops = member and (packet is None or packet.multicast_loop)
        else:
            counters.OutBcastPkts += 1
            counters.OutBcastOctets += frame.size()
        if route.interface.link.is_loopback:
            loops = False  # it comes back anyway
        if loops:
            data = frame.header + frame.payload
            self.stack.deliveries.push(route.interface, data, 0, ETHERTYPE_IPV4)
        if packet is not None and packet.stays_here:
            return True
        return self.transmit(route, frame)

    def send_fragments(
        self, route: Route, head: bytes, body: bytes, packet: OutPacket | None, mtu: int
    ) -> bool:
        """Send a packet in pieces that fit the path (RFC 791, 3.2; also one that we forward).

        `head` has the identification; its flags and offset say where `body` lies in the whole.
        """
        options = head[wire.HEADER_LENGTH :]
        later = wire.copied_options(options) if options else b""
        field = (head[6] << 8) | head[7]
        base = (field & wire.OFFSET_MASK) * 8
        position = 0
        while position < len(body):
            kept = options if position == 0 else later
            room = (mtu - wire.HEADER_LENGTH - len(kept)) & ~7
            if room <= 0:
                self.counters.FragFails += 1
                raise NetError(MESSAGE_TOO_LONG)
            piece = body[position : position + room]
            more = position + len(piece) < len(body) or field & wire.MF
            fragment = ((base + position) // 8) | (wire.MF if more else 0)
            header = wire.build(
                head[12:16],
                head[16:20],
                head[9],
                len(piece),
                head[8],
                head[1],
                (head[4] << 8) | head[5],
                fragment,
                kept,
            )
            frame = OutFrame(ETHERTYPE_IPV4, header, piece)
            if packet is not None:
                frame.passage = packet.passage
            if not self.emit(route, frame, packet):
                if position == 0:
                    return False
                # The rest is worthless without this one.
                self.counters.FragFails += 1
                return True
            self.counters.FragCreates += 1
            position += len(piece)
        self.counters.FragOKs += 1
        return True

    def send_raw(self, route: Route, packet: bytes) -> bool:
        """Send with the caller's header; what is zero in it is filled in (raw(7), IP_HDRINCL)."""
        length = (packet[0] & 0x0F) * 4 if packet else 0
        if length < wire.HEADER_LENGTH or length > len(packet) or len(packet) > wire.MAX_LENGTH:
            raise NetError(INVALID)
        if len(packet) > route.mtu:
            raise NetError(MESSAGE_TOO_LONG)
        header = replace(packet[:length], 2, len(packet))
        if header[12:16] == wire.ANY:
            header = header[:12] + route.source + header[16:]
        if header[4:6] == b"\0\0":
            header = replace(header, 4, self.next_identification(route, packet[9]))
        header = replace(header, 10, 0)
        header = replace(header, 10, finish(checksum(header)))
        self.counters.OutRequests += 1
        if self.filter is not None:
            return output.send_raw4(self, self.filter, route, header, packet[length:])
        return self.emit(route, OutFrame(ETHERTYPE_IPV4, header, packet[length:]), None)

    # In.

    def on_frame(self, packet: InPacket) -> None:
        counters = self.counters
        counters.InReceives += 1
        if packet.kind == TO_OTHER_HOST:
            return
        if not self._parse(packet):
            return
        counters.InOctets += packet.end - packet.network
        if self.filter is not None:
            passed = self.filter.prerouting(packet)
            if passed is None:
                return
            packet = passed
        kind = self.kind_of(packet.destination)
        if self._is_martian(packet, kind):
            self.stack.counters.martians += 1
            counters.InAddrErrors += 1
            return
        if kind == LOCAL:
            if packet.kind != TO_HOST and not packet.is_looped:
                return  # RFC 1122, 3.3.6: unicast in a link-layer broadcast
            self._deliver(packet)
        elif kind == MULTICAST:
            self._take_group(packet)
        elif kind == BROADCAST:
            packet.is_broadcast = True
            counters.InBcastPkts += 1
            counters.InBcastOctets += packet.end - packet.network
            self._deliver(packet)
        elif self.stack.settings.ip_forward and packet.kind == TO_HOST:
            self.forwarder.forward(packet)
        else:
            counters.InAddrErrors += 1

    def _parse(self, packet: InPacket) -> bool:
        """Set the packet's fields from its header; count and return False if it is bad."""
        data, at = packet.data, packet.network
        counters = self.counters
        if len(data) - at < wire.HEADER_LENGTH:
            counters.InTruncatedPkts += 1
            return False
        length = (data[at] & 0x0F) * 4
        total = (data[at + 2] << 8) | data[at + 3]
        if packet.gso_size and not total:
            total = len(data) - at
        if data[at] >> 4 != 4 or length < wire.HEADER_LENGTH:
            counters.InHdrErrors += 1
            return False
        if len(data) - at < total or len(data) - at < length:
            counters.InTruncatedPkts += 1
            return False
        if total < length:
            counters.InHdrErrors += 1
            return False
        if checksum(data[at : at + length]):
            counters.InCsumErrors += 1
            counters.InHdrErrors += 1
            return False
        packet.version = 4
        packet.transport = at + length
        packet.end = at + total
        packet.protocol = data[at + 9]
        packet.ttl = data[at + 8]
        packet.tos = data[at + 1]
        packet.source = data[at + 12 : at + 16]
        packet.destination = data[at + 16 : at + 20]
        if length > wire.HEADER_LENGTH:
            return self._parse_options(packet, data[at + wire.HEADER_LENGTH : at + length])
        return True

    def _parse_options(self, packet: InPacket, options: bytes) -> bool:
        bad = wire.check_options(options)
        if bad >= 0:
            self.counters.InHdrErrors += 1
            self.icmp.send_parameter_problem(packet, wire.HEADER_LENGTH + bad)
            return False
        if wire.has_source_route(options):
            # net.ipv4.conf.all.accept_source_route is off (RFC 7126, 4.3 and 4.4).
            self.counters.InHdrErrors += 1
            return False
        packet.options = options
        return True

    def _is_martian(self, packet: InPacket, kind: int) -> bool:
        """Return whether the addresses cannot be (RFC 1812, 5.3.7; RFC 1122, 3.2.1.3)."""
        source, destination = packet.source, packet.destination
        if source[0] >= 224:
            return True
        if packet.is_looped:
            return False
        if source[0] == 0:
            # "This host" may ask everybody (DHCP), and report memberships (RFC 3376, 4.2.13).
            return source != wire.ANY or kind not in {BROADCAST, MULTICAST}
        if packet.interface.link.is_loopback:
            return destination[0] == 0 or destination[0] >= 240 and kind != BROADCAST
        if source[0] == 127 or destination[0] == 127:
            return True
        if destination[0] == 0 or (destination[0] >= 240 and kind != BROADCAST):
            return True
        return self.kind_of(source) != OTHER or not self._passes_reverse_path(packet)

    def _passes_reverse_path(self, packet: InPacket) -> bool:
        """Return whether answers would go (through the same interface): rp_filter, RFC 3704."""
        mode = self.stack.settings.rp_filter
        if not mode:
            return True
        entry = self.routing.lookup(packet.source)
        if entry is None:
            return False
        return mode == 2 or entry.interface is packet.interface

    def _take_group(self, packet: InPacket) -> None:
        counters = self.counters
        size = packet.end - packet.network
        counters.InMcastPkts += 1
        counters.InMcastOctets += size
        group = packet.interface.groups.get(packet.destination)
        if packet.destination == wire.ALL_HOSTS or (
            group is not None and (packet.protocol == wire.IGMP or group.accepts(packet.source))
        ):
            self._deliver(packet)

    def _deliver(self, packet: InPacket) -> None:
        """Give a packet for this host to whom it is for, whole."""
        if packet.is_fragment():
            whole = self.reassemble(packet)
            if whole is None:
                return
            packet = whole
        self.deliver_local(packet)

    def defragmented(self, packet: InPacket) -> InPacket | None:
        return self.reassemble(packet) if packet.is_fragment() else packet

    def send_rejection(self, packet: InPacket, code: int) -> None:
        self.icmp.send_error(packet, icmp4.DEST_UNREACH, code, 0)

    def count_discard(self) -> None:
        self.counters.OutDiscards += 1

    def deliver_local(self, packet: InPacket) -> None:
        """Give a whole packet to whom it is for, if the rules let it in."""
        if self.filter is None or self.filter.local_in(packet):
            self.deliver_whole(packet)

    def reassemble(self, packet: InPacket) -> InPacket | None:
        """Keep a fragment; return the whole packet if it was the last that was missing."""
        counters = self.counters
        at = packet.network
        fragment = ((packet.data[at + 6] << 8) | packet.data[at + 7]) & (wire.MF | wire.OFFSET_MASK)
        counters.ReasmReqds += 1
        offset = (fragment & wire.OFFSET_MASK) * 8
        more = fragment & wire.MF != 0
        piece = packet.data[packet.transport : packet.end]
        if not piece or (more and len(piece) & 7) or offset + len(piece) > wire.MAX_LENGTH - 20:
            counters.ReasmFails += 1
            return None
        ident = (packet.data[at + 4] << 8) | packet.data[at + 5]
        key = (packet.source, packet.destination, packet.protocol, ident, 0)
        if len(packet.data) > packet.end:  # keep no padding
            packet.data = packet.data[: packet.end]
        partial = self.reassembler.add(key, offset, more, piece, packet)
        if partial is None:
            if self.reassembler.last_result == DROPPED:
                counters.ReasmFails += 1
            return None
        whole = self._join(partial)
        if whole is None:
            counters.ReasmFails += 1
        else:
            counters.ReasmOKs += 1
        return whole

    def _join(self, partial: PartialPacket) -> InPacket | None:
        """Return the packet made of fragments."""
        first = partial.first
        tos = ecn_of(partial.tos_seen)
        if first is None or tos < 0:
            return None
        head = first.data[: first.transport]
        total = partial.total + first.transport - first.network
        if total > wire.MAX_LENGTH:
            return None
        at = first.network
        head = replace(replace(head, at + 2, total), at + 6, 0)
        head = head[: at + 1] + bytes(((first.tos & ~3) | tos,)) + head[at + 2 :]
        ip_header = replace(head[at:], 10, 0)
        head = head[:at] + replace(ip_header, 10, finish(checksum(ip_header)))
        whole = InPacket(first.interface, head + partial.payload())
        whole.kind = first.kind
        whole.time_ns = first.time_ns
        whole.version = 4
        whole.network = at
        whole.transport = first.transport
        whole.protocol = first.protocol
        whole.source = first.source
        whole.destination = first.destination
        whole.ttl = first.ttl
        whole.tos = (first.tos & ~3) | tos
        whole.is_broadcast = first.is_broadcast
        whole.is_looped = first.is_looped
        whole.options = first.options
        whole.mark = first.mark
        whole.passage = first.passage
        return whole

    def deliver_whole(self, packet: InPacket) -> None:
        """Give a whole packet to raw endpoints and to its transport."""
        protocol = packet.protocol
        raw = self.stack.raw_endpoints(4, protocol)
        for endpoint in list(raw):
            endpoint.on_packet(packet)
        transport = self.stack.transports.get(protocol)
        if transport is None:
            if not raw:
                self.counters.InUnknownProtos += 1
                self.icmp.send_protocol_unreachable(packet)
            else:
                self.counters.InDelivers += 1
            return
        self.counters.InDelivers += 1
        if not transport.on_packet(packet):
            self.send_unreachable(packet)

    # ICMP.

    def send_unreachable(self, packet: InPacket) -> None:
        self.icmp.send_port_unreachable(packet)

    def send_error_about(self, interface: Interface, data: bytes, kind: int, code: int) -> None:
        """Answer a packet that was forwarded, given from its IP header on, with an ICMP error."""
        packet = InPacket(interface, data)
        if self._parse(packet):
            self.icmp.send_error(packet, kind, code, 0)


class Fragments4(ReassemblyOwner):
    """Answers packets that were never completed (RFC 792, time exceeded, code 1)."""

    def __init__(self, ipv4: Ipv4) -> None:
        self.ipv4 = ipv4

    def on_timeout(self, partial: PartialPacket) -> None:
        self.ipv4.counters.ReasmTimeout += 1
        self.ipv4.counters.ReasmFails += 1
        if partial.first is not None:
            self.ipv4.icmp.send_reassembly_exceeded(partial.first)
