"""IPv6 (RFC 8200): packets in, packets out, fragments, forwarding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.errors import INVALID, MESSAGE_TOO_LONG, NETWORK_UNREACHABLE, NetError
from netstack.filter import output
from netstack.interface import IFF_MULTICAST, IFF_NOARP, Interface, InterfaceAddress
from netstack.ip.addrconf import AddressConfiguration
from netstack.ip.config6 import Ipv6Interface
from netstack.ip.forward6 import Forwarder6
from netstack.ip.fragment import DROPPED, PartialPacket, Reassembler, ReassemblyOwner
from netstack.ip.icmp6 import Icmp6
from netstack.ip.mld import Mld
from netstack.ip.ndp import Ndp
from netstack.ip.output import leaves_checksum, transport_header
from netstack.ip.select6 import select_source
from netstack.multicast import Group
from netstack.neighbour import Neighbour
from netstack.network import NetworkProtocol
from netstack.packet import ETHERTYPE_IPV6, InPacket, OutFrame, OutPacket
from netstack.route import (
    LOCAL,
    MULTICAST,
    UNREACHABLE,
    Route,
    RouteEntry,
)
from netstack.wire import icmp6, udp
from netstack.wire.address6 import (
    ALL_NODES,
    ALL_NODES_OF_INTERFACE,
    LOOPBACK,
    UNSPECIFIED,
    is_link_local,
    is_mapped,
    is_multicast,
    multicast_link_address,
    needs_scope,
)
from netstack.wire.checksum import replace
from netstack.wire.ipv6 import (
    EXTENSION_HEADERS,
    FRAGMENT,
    FRAGMENT_HEADER_SIZE,
    HEADER_SIZE,
    HOP_BY_HOP,
    ICMPV6,
    MAX_PAYLOAD,
    MINIMUM_MTU,
    NO_NEXT_HEADER,
    PROBLEM_NEXT_HEADER,
    HeaderChain,
    build_fragment_header,
    build_header,
    is_well_formed,
    payload_length,
    traffic_class,
    unfragmentable_length,
    walk,
)

if TYPE_CHECKING:
    from netstack.stack import Stack

EVERYBODY: Final = (ALL_NODES, ALL_NODES_OF_INTERFACE)
MLD_KINDS: Final = (icmp6.MLD_QUERY, icmp6.MLD_REPORT, icmp6.MLD_DONE, icmp6.MLD2_REPORT)

FRAGMENT_TIMEOUT_NS: Final = 60_000_000_000  # RFC 8200, 4.5; net.ipv6.ip6frag_time


class Ipv6(NetworkProtocol):
    """The IPv6 of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.ndp = Ndp(self, stack)
        super().__init__(stack, 6, ETHERTYPE_IPV6, self.ndp)
        self.counters = stack.counters.ip6
        self.states: dict[int, Ipv6Interface] = {}  # by interface index
        self.icmp = Icmp6(self)
        self.addrconf = AddressConfiguration(self)
        self.mld = Mld(self)
        self.forwarder = Forwarder6(self)
        self.reassembler = Reassembler(
            stack.environment,
            FragmentOwner(self),
            stack.settings.ipfrag_high_thresh,
            FRAGMENT_TIMEOUT_NS,
        )

    def state_of(self, interface: Interface) -> Ipv6Interface:
        """Return what IPv6 knows of an interface."""
        state = self.states.get(interface.index)
        if state is None or state.interface is not interface:
            state = Ipv6Interface(interface)
            self.states[interface.index] = state
        return state

    # In.

    def on_frame(self, packet: InPacket) -> None:
        counters = self.counters
        counters.InReceives += 1
        data = packet.data
        network = packet.network
        if not is_well_formed(data, network, packet.end):
            if packet.end - network >= HEADER_SIZE and data[network] >> 4 == 6:
                counters.InTruncatedPkts += 1
            else:
                counters.InHdrErrors += 1
            return
        packet.end = network + HEADER_SIZE + payload_length(data, network)
        counters.InOctets += packet.end - network
        packet.version = 6
        packet.source = data[network + 8 : network + 24]
        packet.destination = data[network + 24 : network + 40]
        packet.ttl = data[network + 7]
        packet.tos = traffic_class(data, network)
        if not self.state_of(packet.interface).is_enabled:
            counters.InDiscards += 1
        elif is_martian(packet):
            counters.InAddrErrors += 1
        elif self.filter is None:
            self._take(packet)
        else:
            passed = self.filter.prerouting(packet)
            if passed is not None:
                self._take(passed)

    def _take(self, packet: InPacket) -> None:
        """Decide where a packet goes."""
        if packet.destination[0] == 0xFF:
            self._take_multicast(packet)
        elif self._is_ours(packet):
            self.deliver_local(packet)
        else:
            self.forwarder.forward(packet)

    def deliver_local(self, packet: InPacket) -> None:
        """Give a packet, or a fragment, to whom it is for, if the rules let it in."""
        if self.filter is None or self.filter.local_in(packet):
            self._deliver(packet)

    def _is_ours(self, packet: InPacket) -> bool:
        """Return whether a packet is for this host; link-local addresses belong to one link."""
        destination = packet.destination
        if not self.stack.is_local_address(destination):
            return False
        if not is_link_local(destination):
            return True
        interface = packet.interface
        if interface.link.is_loopback:
            # Sent to ourselves: what counts as its link is where the address is.
            owner = self.stack.find_address_interface(destination)
            if owner is not None:
                packet.interface = owner
            return owner is not None
        return self.state_of(interface).find(destination) is not None

    def _take_multicast(self, packet: InPacket) -> None:
        self.counters.InMcastPkts += 1
        self.counters.InMcastOctets += packet.end - packet.network
        destination = packet.destination
        if destination in packet.interface.groups or destination in (
            ALL_NODES,
            ALL_NODES_OF_INTERFACE,
        ):
            self.deliver_local(packet)

    def _is_filtered(self, packet: InPacket, protocol: int) -> bool:
        """Return whether all members of a group shut out the source; queries pass (RFC 3810, 6)."""
        group = packet.interface.groups.get(packet.destination)
        if group is None or group.accepts(packet.source):
            return False
        kind = packet.data[packet.transport] if packet.transport < packet.end else 0
        return protocol != ICMPV6 or kind not in MLD_KINDS

    def _deliver(self, packet: InPacket) -> None:
        """Give a packet, or the whole of which it is the last fragment, to its protocol."""
        data = packet.data
        network = packet.network
        if data[network + 6] not in EXTENSION_HEADERS:
            packet.transport = network + HEADER_SIZE
            packet.protocol = data[network + 6]
            self._give(packet, network + 6)
            return
        chain = walk(data, network, packet.end)
        if chain.is_malformed:
            self._answer_malformed(packet, chain)
            return
        packet.transport = chain.transport
        packet.protocol = chain.protocol
        if chain.protocol != FRAGMENT:
            self._give(packet, chain.next_header_at)
            return
        whole = self._reassemble(packet, chain)
        if whole is not None:
            self._deliver(whole)

    def _give(self, packet: InPacket, named_at: int) -> None:
        """Give a packet to its protocol, which the byte at `named_at` names."""
        protocol = packet.protocol
        if protocol == NO_NEXT_HEADER:
            return
        if packet.destination[0] == 0xFF and self._is_filtered(packet, protocol):
            return
        raws = self.stack.raw_endpoints(6, protocol)
        for raw in raws:
            raw.on_packet(packet)
        transport = self.stack.transports.get(protocol)
        if transport is not None:
            self.counters.InDelivers += 1
            if not transport.on_packet(packet):
                self.send_unreachable(packet)
        elif raws:
            self.counters.InDelivers += 1
        else:
            self.counters.InUnknownProtos += 1
            self._send_problem(packet, PROBLEM_NEXT_HEADER, named_at)

    def _answer_malformed(self, packet: InPacket, chain: HeaderChain) -> None:
        self.counters.InHdrErrors += 1
        if chain.problem >= 0:
            self._send_problem(packet, chain.problem, chain.problem_at)

    def _send_problem(self, packet: InPacket, code: int, at: int) -> None:
        self.icmp.send_error(packet, icmp6.PARAMETER_PROBLEM, code, at - packet.network)

    def send_unreachable(self, packet: InPacket) -> None:
        self.icmp.send_error(packet, icmp6.DESTINATION_UNREACHABLE, icmp6.PORT_UNREACHABLE)

    # What rules ask for.

    def defragmented(self, packet: InPacket) -> InPacket | None:
        if packet.data[packet.network + 6] not in EXTENSION_HEADERS:
            return packet
        chain = walk(packet.data, packet.network, packet.end)
        if chain.is_malformed or chain.protocol != FRAGMENT:
            return packet
        packet.transport = chain.transport
        return self._reassemble(packet, chain)

    def send_rejection(self, packet: InPacket, code: int) -> None:
        self.icmp.send_error(packet, icmp6.DESTINATION_UNREACHABLE, code)

    def count_discard(self) -> None:
        self.counters.OutDiscards += 1

    def address_type(self, address: bytes) -> int:
        if is_multicast(address):
            return MULTICAST
        if self.stack.is_local_address(address):
            return LOCAL
        entry = self.routing.lookup(address)
        return entry.kind if entry is not None else UNREACHABLE

    # Fragments.

    def _reassemble(self, packet: InPacket, chain: HeaderChain) -> InPacket | None:
        """Take a fragment; return the packet when it is complete (section 4.5)."""
        counters = self.counters
        counters.ReasmReqds += 1
        scoped = needs_scope(packet.destination) or is_link_local(packet.source)
        index = packet.interface.index if scoped else 0
        # The protocol is no part of the key: only the first fragment's counts.
        key = (packet.source, packet.destination, 0, chain.identification, index)
        piece = packet.data[packet.transport + FRAGMENT_HEADER_SIZE : packet.end]
        if not piece:
            counters.ReasmFails += 1
            return None
        partial = self.reassembler.add(
            key, chain.fragment_offset, chain.has_more_fragments, piece, packet
        )
        if partial is None:
            if self.reassembler.last_result == DROPPED:
                counters.ReasmFails += 1
            return None
        first = partial.first
        if first is None:
            counters.ReasmFails += 1
            return None
        whole = self._join(first, partial)
        if whole is None:
            counters.ReasmFails += 1
        else:
            counters.ReasmOKs += 1
        return whole

    def _join(self, first: InPacket, partial: PartialPacket) -> InPacket | None:
        """Return the packet that the fragments make, with the headers of the first."""
        data = first.data
        chain = walk(data, first.network, first.end)
        before = data[first.network : chain.transport]
        payload = partial.payload()
        size = len(before) - HEADER_SIZE + len(payload)
        if size > MAX_PAYLOAD:
            return None
        at = chain.next_header_at - first.network
        protocol = data[chain.transport]
        headers = bytearray(before)
        headers[at] = protocol
        headers[4:6] = size.to_bytes(2, "big")
        whole = InPacket(first.interface, bytes(headers) + payload)
        whole.kind = first.kind
        whole.time_ns = first.time_ns
        whole.version = 6
        whole.source = first.source
        whole.destination = first.destination
        whole.ttl = first.ttl
        whole.tos = first.tos
        whole.is_looped = first.is_looped
        whole.mark = first.mark
        whole.passage = first.passage
        return whole

    def on_reassembly_timeout(self, partial: PartialPacket) -> None:
        """Answer if the first fragment had come (section 4.5)."""
        self.counters.ReasmTimeout += 1
        self.counters.ReasmFails += 1
        if partial.first is not None:
            self.icmp.send_error(partial.first, icmp6.TIME_EXCEEDED, icmp6.REASSEMBLY_TIME_EXCEEDED)

    # Out.

    def send(self, route: Route, packet: OutPacket, hop_by_hop: bytes = b"") -> bool:
        """Send a packet; `hop_by_hop` is a whole such header but for its first byte."""
        self.counters.OutRequests += 1
        destination = route.destination
        interface = route.interface
        size = len(packet.header) + len(packet.payload)
        if size + len(hop_by_hop) > MAX_PAYLOAD:
            raise NetError(MESSAGE_TOO_LONG)
        total = size + HEADER_SIZE + (len(hop_by_hop) + 1 if hop_by_hop else 0)
        ttl = packet.ttl or (1 if destination[0] == 0xFF else self.hop_limit(interface))
        if self.filter is not None:
            # Rules read and rewrite checksums: only segments to be cut are left to the link.
            by_link = packet.gso_size != 0
            header = self._headers(route, packet, ttl, hop_by_hop, by_link=by_link)
            at = len(header) - len(packet.header)
            return output.send6(self, self.filter, route, header, packet, at)
        if destination[0] == 0xFF:
            self._send_to_group(route, packet, total, ttl)
            if packet.stays_here:
                return True
        is_large = total > route.mtu
        if is_large and packet.gso_size and total <= interface.link.gso_max:
            is_large = False
        if is_large:
            if packet.dont_fragment or packet.gso_size or hop_by_hop:
                self.counters.FragFails += 1
                raise NetError(MESSAGE_TOO_LONG)
            header = self._headers(route, packet, ttl, b"", by_link=False)
            return self.send_fragments(route, header, bytes(packet.payload), packet)
        by_link = packet.checksum_offset >= 0 and leaves_checksum(route, packet)
        header = self._headers(route, packet, ttl, hop_by_hop, by_link=by_link)
        frame = OutFrame(ETHERTYPE_IPV6, header, packet.payload)
        frame.is_ipv6 = True
        frame.gso_size = packet.gso_size
        frame.is_udp = packet.protocol == udp.PROTOCOL
        if by_link:
            frame.checksum_start = len(header) - len(packet.header)
            frame.checksum_offset = packet.checksum_offset
        self.counters.OutOctets += total
        return self.transmit(route, frame)

    def _headers(
        self, route: Route, packet: OutPacket, ttl: int, hop_by_hop: bytes, *, by_link: bool
    ) -> bytes:
        """Return the IPv6 and transport headers of a packet that is sent in one piece."""
        upper = transport_header(packet, route.source, route.destination, by_link=by_link)
        protocol = packet.protocol
        if hop_by_hop:
            upper = bytes((protocol,)) + hop_by_hop + upper
            protocol = HOP_BY_HOP
        length = len(upper) + len(packet.payload)
        ip = build_header(
            route.source,
            route.destination,
            protocol,
            ttl,
            length,
            packet.tos,
            packet.flow_label,
        )
        return ip + upper

    def _send_to_group(self, route: Route, packet: OutPacket, total: int, ttl: int) -> None:
        """Count a packet to a group, and give members on this host their copy."""
        self._count_to_group(total)
        if self._loops(route, packet):
            header = self._headers(route, packet, ttl, b"", by_link=False)
            self.stack.deliveries.push(route.interface, header + packet.payload, 0, ETHERTYPE_IPV6)

    def loop_to_members(self, route: Route, data: bytes, packet: OutPacket) -> None:
        """The same for a finished packet."""
        self._count_to_group(len(data))
        if self._loops(route, packet):
            self.stack.deliveries.push(route.interface, data, 0, ETHERTYPE_IPV6, packet.passage)

    def _count_to_group(self, size: int) -> None:
        self.counters.OutMcastPkts += 1
        self.counters.OutMcastOctets += size

    def _loops(self, route: Route, packet: OutPacket) -> bool:
        """Return whether members on this host are to get a copy from here."""
        interface = route.interface
        if not packet.multicast_loop or interface.link.is_loopback:
            return False
        return route.destination in interface.groups or route.destination == ALL_NODES

    def hop_limit(self, interface: Interface) -> int:
        """Return the default hop limit: what a router said, or the setting."""
        return self.state_of(interface).hop_limit or self.stack.settings.ipv6_hop_limit

    def send_fragments(
        self, route: Route, header: bytes, payload: bytes, packet: OutPacket | None
    ) -> bool:
        """Send a packet in pieces, section 4.5; False if there was no room for the first one.

        `header` has everything up to the payload, checksums included.
        """
        data = header + payload
        at = unfragmentable_length(data, 0, len(data))
        head, named_at = data[:at], 6 if at == HEADER_SIZE else HEADER_SIZE
        protocol = head[named_at]
        head = head[:named_at] + bytes((FRAGMENT,)) + head[named_at + 1 :]
        data = data[at:]
        room = (route.mtu - at - FRAGMENT_HEADER_SIZE) & ~7
        identification = int.from_bytes(self.stack.environment.random_bytes(4), "big")
        for offset in range(0, len(data), room):
            piece = data[offset : offset + room]
            more = 1 if offset + room < len(data) else 0
            length = at - HEADER_SIZE + FRAGMENT_HEADER_SIZE + len(piece)
            frame = OutFrame(
                ETHERTYPE_IPV6,
                replace(head, 4, length)
                + build_fragment_header(protocol, offset, identification, more),
                piece,
            )
            frame.is_ipv6 = True
            if packet is not None:
                frame.passage = packet.passage
            if not self.transmit(route, frame):
                self.counters.FragFails += 1
                return offset > 0
            self.counters.FragCreates += 1
        self.counters.FragOKs += 1
        return True

    def send_raw(self, route: Route, packet: bytes) -> bool:
        """IPV6_HDRINCL: the packet goes out as it is (rawv6_send_hdrinc)."""
        if len(packet) > route.mtu:
            raise NetError(MESSAGE_TOO_LONG)
        if len(packet) < HEADER_SIZE:
            raise NetError(INVALID)
        self.counters.OutRequests += 1
        at = unfragmentable_length(packet, 0, len(packet))
        if self.filter is not None:
            return output.send_raw6(self, self.filter, route, packet[:at], packet[at:])
        frame = OutFrame(ETHERTYPE_IPV6, packet[:at], packet[at:])
        frame.is_ipv6 = True
        return self.transmit(route, frame)

    # Routes and addresses.

    def select_source(self, interface: Interface, destination: bytes) -> bytes:
        return select_source(list(self.stack.interfaces.values()), interface, destination)

    def is_multicast(self, address: bytes) -> bool:
        return is_multicast(address)

    def scope_index(self, interface: Interface, destination: bytes) -> int:
        """Return the interface index that an answer to `destination` must use, or 0."""
        if not needs_scope(destination) and not is_multicast(destination):
            return 0
        return interface.index

    def find_special(self, destination: bytes, source: bytes, interface_index: int) -> Route | None:
        """Return the route to a group: through the interface given, the source's, or the first."""
        if destination[0] != 0xFF:
            return None
        interface = self._multicast_interface(source, interface_index)
        if not interface.flags & IFF_MULTICAST:
            # Nobody enters routes to groups for such an interface (addrconf_dev_config).
            if self.routing.lookup(destination, source, interface_index) is None:
                raise NetError(NETWORK_UNREACHABLE)
        if not source:
            source = self.select_source(interface, destination) or UNSPECIFIED
        route = Route(interface, source, destination, destination)
        route.kind = MULTICAST
        route.mtu = self.state_of(interface).link_mtu()
        return route

    def _multicast_interface(self, source: bytes, interface_index: int) -> Interface:
        if interface_index:
            given = self.stack.interfaces.get(interface_index)
            if given is not None and given.is_up():
                return given
            raise NetError(NETWORK_UNREACHABLE)
        for interface in self.stack.interfaces.values():
            if not interface.is_up() or not interface.flags & IFF_MULTICAST:
                continue
            if not source or self.state_of(interface).find(source) is not None:
                return interface
        raise NetError(NETWORK_UNREACHABLE)

    def route_through(self, entry: RouteEntry, destination: bytes, source: bytes) -> Route:
        if not source and not entry.source and entry.interface is not None:
            # By the destination, not by the router: its scope and prefix are what counts.
            outgoing = self.stack.loopback if entry.kind == LOCAL else None
            source = self.select_source(outgoing or entry.interface, destination)
            if entry.kind == LOCAL:
                source = destination
        route = super().route_through(entry, destination, source)
        if entry.kind != LOCAL:
            route.mtu = min(route.mtu, self.state_of(route.interface).link_mtu())
        return route

    def make_neighbour(self, route: Route) -> Neighbour:
        interface = route.interface
        next_hop = route.next_hop
        if next_hop[0] == 0xFF and interface.link.has_header:
            return self.neighbours.fixed(interface, next_hop, multicast_link_address(next_hop))
        if not interface.link.resolves or interface.flags & IFF_NOARP:
            return self.neighbours.fixed(interface, next_hop, interface.link.address)
        return self.neighbours.lookup(interface, next_hop)

    # What happens to interfaces.

    def on_interface_up(self, interface: Interface) -> None:
        if interface.mtu >= MINIMUM_MTU:
            self.addrconf.on_interface_up(interface)
            self.mld.on_interface_up(interface)

    def on_interface_down(self, interface: Interface) -> None:
        self.addrconf.on_interface_down(interface)
        self.mld.on_interface_down(interface)

    def on_address_added(self, interface: Interface, address: InterfaceAddress) -> None:
        self.addrconf.on_address_added(interface, address)

    def on_address_removed(self, interface: Interface, address: InterfaceAddress) -> None:
        self.addrconf.on_address_removed(interface, address)

    def on_group_changed(self, group: Group) -> None:
        self.mld.on_group_changed(group)


class FragmentOwner(ReassemblyOwner):
    """Tells IPv6 of packets that were never completed."""

    def __init__(self, ip: Ipv6) -> None:
        self.ip = ip

    def on_timeout(self, partial: PartialPacket) -> None:
        self.ip.on_reassembly_timeout(partial)


def is_martian(packet: InPacket) -> bool:
    """Return whether a packet's addresses cannot be on its link, ip6_rcv_core() of Linux."""
    source = packet.source
    destination = packet.destination
    if source[0] == 0xFF or is_mapped(source):
        return True
    if packet.interface.link.is_loopback:
        return False
    if source == LOOPBACK or destination == LOOPBACK or destination == UNSPECIFIED:
        return True
    # RFC 4291, 2.7: scope 0 is reserved, 1 does not leave the host.
    return destination[0] == 0xFF and destination[1] & 0x0F < 2 and not packet.is_looped
