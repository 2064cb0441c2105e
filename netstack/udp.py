"""UDP (RFC 768; RFC 1122, 4.1; RFC 8200, 8.1; udp(7)) over both versions of IP."""

from __future__ import annotations

from typing import Final

from netstack.counters import UdpCounters
from netstack.datagram import Datagram, DatagramEndpoint, SendOptions
from netstack.endpoint import Address
from netstack.errors import INVALID, MESSAGE_TOO_LONG, NetError
from netstack.packet import CHECKSUM_GOOD, InPacket, OutPacket
from netstack.ports import ANY_IPV4, ANY_IPV6, Binding
from netstack.stack import Stack
from netstack.transport import IcmpError, Transport
from netstack.udp_burst import Burst, burst_limit
from netstack.wire import udp
from netstack.wire.checksum import checksum, pseudo_header

PROTOCOL: Final = 17
MAX_SEGMENTS: Final = 128  # of one send (UDP_MAX_SEGMENTS, linux/udp.h)

FlowKey = tuple[bytes, int, bytes, int]


class UdpEndpoint(DatagramEndpoint):
    """A UDP endpoint.  Made by `UdpTransport.new_endpoint`."""

    def __init__(self, transport: UdpTransport, version: int) -> None:
        super().__init__(transport.stack, version)
        self.transport = transport
        self.reuse_address = False
        self.reuse_port = False
        self.is_port_bound = False  # by bind, not by connect or send
        self.binding: Binding | None = None
        self.flow: FlowKey | None = None  # its place in the table of connected endpoints
        self.no_checksum = False  # SO_NO_CHECK
        self.corked = False  # UDP_CORK
        self.segment_size = 0  # UDP_SEGMENT
        self.joins_segments = False  # UDP_GRO
        self._burst: Burst | None = None
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._pending_target: Address | None = None
        self._pending_options: SendOptions | None = None

    def local_address(self) -> Address:
        """Return the local address (getsockname(2)); port 0: not bound."""
        port = self.binding.port if self.binding is not None else 0
        return Address(self.local_host, port)

    def bind(self, address: Address) -> None:
        """bind(2): ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, INVALID when bound already."""
        if self.binding is not None:
            raise NetError(INVALID)
        self.check_bindable(address)
        host = address.host if any(address.host) else b""
        # 0.0.0.0 on a dual-stack endpoint: only IPv4.
        versions = ANY_IPV4 if len(address.host) == 4 else 0
        self.local_host = host
        try:
            self.transport.bind(self, address.port, versions)
        except NetError:
            self.local_host = b""
            raise
        self.is_host_bound = bool(host)
        self.is_port_bound = address.port != 0

    def bound_to(self) -> Binding | None:
        return self.binding

    def set_interface(self, interface_index: int) -> None:
        """SO_BINDTODEVICE, also of an endpoint that is bound already; 0: any."""
        self.interface_index = interface_index
        self._route = None
        if self.binding is not None:
            self.binding.interface_index = interface_index

    def connect(self, address: Address) -> None:
        """connect(2): sets the peer; what others send is no longer received."""
        target = self.normal_target(address)
        # As in Linux the address of an earlier connect stays; a failure changes nothing.
        route = self.find_route(target, None)
        binding = self.binding
        if binding is None:
            binding = self.transport.bind(self, 0, 0)
        self.transport.unlink_flow(self)
        if not self.local_host:
            self.local_host = route.source
            binding.host = route.source
        self.remote = target
        self._route = route
        self.transport.link_flow(self)

    def disconnect(self) -> None:
        """connect(2) to AF_UNSPEC: forgets the peer, and what was not bound explicitly."""
        self.transport.unlink_flow(self)
        self.remote = None
        self._route = None
        if not self.is_host_bound:
            self.local_host = b""
            if self.binding is not None:
                self.binding.host = b""
        if not self.is_port_bound:
            self.transport.unbind(self)

    # Sending.

    def send(
        self,
        payload: bytes,
        address: Address | None = None,
        options: SendOptions | None = None,
        *,
        may_wait: bool = False,
    ) -> int | None:
        """Send a datagram; return its size, or None: would block.

        `may_wait`: there will be more, and `end_burst` is called soon in any case, before
        anything else is done with the endpoint.

        NetError: what is pending, MESSAGE_TOO_LONG, NOT_CONNECTED, ACCESS (broadcast without
        SO_BROADCAST), NETWORK_UNREACHABLE and other errors of `Stack.find_route`.
        """
        if self.binding is None:
            self.transport.bind(self, 0, 0)  # whatever comes of it, as inet_autobind
        self.check_can_send()
        if may_wait and options is None and not (self._pending or self.corked):
            target = self.target_of(address)
            if self._joins_burst(payload, target):
                return len(payload)
        if self._burst is not None and not self.end_burst():
            return None
        if self._pending or self.corked or (options is not None and options.more):
            return self._cork(payload, address, options)
        target = self.target_of(address)
        if len(payload) > udp.MAX_PAYLOAD:
            raise NetError(MESSAGE_TOO_LONG)
        return self._send_segments(payload, target, options)

    def _joins_burst(self, payload: bytes, target: Address) -> bool:
        """Keep a datagram for one packet with others, if that can be."""
        burst = self._burst
        if burst is not None and not burst.takes(payload, target):
            if not self.end_burst():
                return False
            burst = None
        if burst is None:
            if self.segment_size or self.no_checksum or self.ipv4_options or not target.port:
                return False
            if self.stack.taps:
                return False  # they see what is on the wire
            route = self.route_to(target, None)
            limit = burst_limit(route, len(payload))
            if not limit or not self.stack.networks[route.version].takes_joined():
                return False
            burst = Burst(target, len(payload), limit)
            self._burst = burst
        burst.add(payload)
        if burst.is_full:
            self.end_burst()
        return True

    def burst_size(self) -> int:
        """Return how many datagrams wait for more of their kind."""
        return 0 if self._burst is None else len(self._burst.payloads)

    def end_burst(self) -> bool:
        """Send the datagrams that wait; False: no room, and they go when there is some."""
        burst = self._burst
        if burst is None:
            return True
        try:
            done = self._send_burst(burst)
        except NetError as error:
            # They were sent as far as the user knows: the next operation tells.
            self._burst = None
            self.set_error(error.code)
            return True
        if not done:
            return False
        self._burst = None
        return True

    def _send_burst(self, burst: Burst) -> bool:
        binding = self.binding
        if binding is None or self.is_closed:
            return True
        if len(burst.payloads) == 1:
            return self._send_now(burst.payloads[0], burst.target, None) is not None
        route = self.route_to(burst.target, None)
        header = udp.build(binding.port, burst.target.port, burst.total)
        packet = OutPacket(PROTOCOL, header, b"".join(burst.payloads))
        packet.checksum_offset = udp.CHECKSUM_OFFSET
        packet.gso_size = burst.size
        self.prepare(packet, route, None)
        if not self.dispatch(route, packet):
            return False
        self.transport.counters_of(route.version).OutDatagrams += len(burst.payloads)
        return True

    def on_room(self) -> None:
        self._has_room = True
        if self.end_burst():
            super().on_room()

    def _send_segments(
        self, payload: bytes, target: Address, options: SendOptions | None
    ) -> int | None:
        """Send datagrams of UDP_SEGMENT bytes and one with the rest; without it, one."""
        size = self.segment_size
        if options is not None and options.segment_size:
            size = options.segment_size
        if not size or len(payload) <= size:
            return self._send_now(payload, target, options)
        if len(payload) > size * MAX_SEGMENTS or self.no_checksum:
            raise NetError(INVALID)
        route = self.route_to(target, options)
        headers = 28 if route.version == 4 else 48
        if headers + size > route.mtu:
            raise NetError(MESSAGE_TOO_LONG)
        for start in range(0, len(payload), size):
            if self._send_now(payload[start : start + size], target, options) is None:
                # A part of it is on its way: the rest is lost, as it may be on any path.
                return None if start == 0 else len(payload)
        return len(payload)

    def receive(self, *, peek: bool = False) -> Datagram | None:
        datagram = super().receive(peek=peek)
        if datagram is None or peek or not self.joins_segments:
            return datagram
        return self._join_segments(datagram)

    def _join_segments(self, first: Datagram) -> Datagram:
        """Put what follows from the same sender, of the same size, behind a datagram (UDP_GRO)."""
        size = len(first.payload)
        parts = [first.payload]
        total = size
        while self._queue and len(parts) < MAX_SEGMENTS and size:
            following = self._queue[0]
            length = len(following.payload)
            if (
                not 0 < length <= size
                or total + length > udp.MAX_PAYLOAD
                or following.source != first.source
                or following.destination != first.destination
                or (following.ttl, following.tos) != (first.ttl, first.tos)
            ):
                break
            self._queue.popleft()
            self._queued_bytes -= following.cost()
            parts.append(following.payload)
            total += length
            if length < size:
                break
        if len(parts) > 1:
            first.payload = b"".join(parts)
            first.segment_size = size
        return first

    def _send_now(self, payload: bytes, target: Address, options: SendOptions | None) -> int | None:
        if target.port == 0:
            raise NetError(INVALID)
        route = self.route_to(target, options)
        binding = self.binding
        assert binding is not None
        header = udp.build(binding.port, target.port, len(payload))
        packet = OutPacket(PROTOCOL, header, payload)
        if not self.no_checksum:
            packet.checksum_offset = udp.CHECKSUM_OFFSET
        self.prepare(packet, route, options)
        counters = self.transport.counters_of(route.version)
        try:
            if not self.dispatch(route, packet):
                return None
        except NetError as error:
            if error.code == MESSAGE_TOO_LONG:
                self.queue_local_error(error.code, target, route.mtu, payload)
            raise
        counters.OutDatagrams += 1
        return len(payload)

    def _cork(
        self, payload: bytes, address: Address | None, options: SendOptions | None
    ) -> int | None:
        """Add to the datagram that waits (UDP_CORK, MSG_MORE: udp(7)), and send it if complete."""
        if not self._pending:
            self._pending_target = self.target_of(address)
            self._pending_options = options
        if self._pending_size + len(payload) > udp.MAX_PAYLOAD:
            raise NetError(MESSAGE_TOO_LONG)
        self._pending.append(payload)
        self._pending_size += len(payload)
        if not (self.corked or (options is not None and options.more)):
            if not self.push():
                self._pending.pop()
                self._pending_size -= len(payload)
                return None
        return len(payload)

    def push(self) -> bool:
        """Send the datagram that waits; False: no room.  Called when UDP_CORK is cleared."""
        target = self._pending_target
        if not self._pending or target is None:
            return True
        if self._send_segments(b"".join(self._pending), target, self._pending_options) is None:
            return False
        self._pending = []
        self._pending_size = 0
        self._pending_target = None
        return True

    def close(self) -> None:
        if not self.is_closed:
            self.end_burst()
            self.transport.unlink_flow(self)
            self.transport.unbind(self)
            self.release()


NO_ENDPOINTS: Final[list[UdpEndpoint]] = []


class UdpTransport(Transport):
    """All UDP endpoints of a stack, and who gets which datagram."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.ports = stack.port_table(PROTOCOL)
        self.by_port: dict[int, list[UdpEndpoint]] = {}
        self.flows: dict[FlowKey, list[UdpEndpoint]] = {}
        self._secret = int.from_bytes(stack.environment.random_bytes(8), "big")
        stack.register_transport(PROTOCOL, self)

    def new_endpoint(self, version: int) -> UdpEndpoint:
        """Return a new endpoint of a socket of AF_INET (4) or AF_INET6 (6)."""
        return UdpEndpoint(self, version)

    def counters_of(self, version: int) -> UdpCounters:
        """Return the counters of a version of IP."""
        return self.stack.counters.udp4 if version == 4 else self.stack.counters.udp6

    # Tables.

    def bind(self, endpoint: UdpEndpoint, port: int, versions: int) -> Binding:
        """Give an endpoint a port; 0: any."""
        binding = Binding(endpoint.local_host, port, versions or endpoint.versions())
        binding.interface_index = endpoint.interface_index
        binding.reuse_address = endpoint.reuse_address
        binding.reuse_port = endpoint.reuse_port
        binding.user = endpoint.user
        binding.group = endpoint.reuse_group
        self.ports.bind(binding)
        endpoint.binding = binding
        if binding.group is not None:
            binding.group.add(endpoint)
        self.by_port.setdefault(binding.port, []).append(endpoint)
        return binding

    def bind_beside(self, endpoint: UdpEndpoint, address: Address) -> None:
        """Have an endpoint take what is sent to an address, beside the table of ports.

        Others may bind the same as if it were free, and on all addresses they do
        not get what is for this one.
        """
        endpoint.local_host = address.host
        endpoint.is_host_bound = endpoint.is_port_bound = True
        endpoint.binding = Binding(address.host, address.port, endpoint.versions())
        self.by_port.setdefault(address.port, []).append(endpoint)

    def unbind(self, endpoint: UdpEndpoint) -> None:
        """Take an endpoint's port away."""
        binding = endpoint.binding
        if binding is None:
            return
        endpoint.binding = None
        if binding.group is not None:
            binding.group.remove(endpoint)
        self.ports.release(binding)
        entries = self.by_port[binding.port]
        entries.remove(endpoint)
        if not entries:
            del self.by_port[binding.port]

    def link_flow(self, endpoint: UdpEndpoint) -> None:
        """Enter a connected endpoint."""
        binding, remote = endpoint.binding, endpoint.remote
        if binding is not None and remote is not None:
            endpoint.flow = (endpoint.local_host, binding.port, remote.host, remote.port)
            self.flows.setdefault(endpoint.flow, []).append(endpoint)

    def unlink_flow(self, endpoint: UdpEndpoint) -> None:
        """Remove a connected endpoint."""
        flow = endpoint.flow
        if flow is not None:
            endpoint.flow = None
            entries = self.flows[flow]
            entries.remove(endpoint)
            if not entries:
                del self.flows[flow]

    # In.

    def on_packet(self, packet: InPacket) -> bool:
        data, at = packet.data, packet.transport
        counters = self.counters_of(packet.version)
        if packet.end - at < udp.HEADER_LENGTH:
            counters.InErrors += 1
            return True
        length = (data[at + 4] << 8) | data[at + 5]
        if length < udp.HEADER_LENGTH or length > packet.end - at:
            counters.InErrors += 1
            return True
        end = at + length
        if not self._checksum_is_good(packet, at, end):
            counters.InCsumErrors += 1
            counters.InErrors += 1
            return True
        source_port = (data[at] << 8) | data[at + 1]
        port = (data[at + 2] << 8) | data[at + 3]
        first = packet.destination[0]
        is_group = first == 0xFF if packet.version == 6 else 224 <= first < 240
        if is_group or packet.is_broadcast:
            self._to_many(packet, source_port, port, end, is_group)
            return True
        endpoint = self._find(packet, source_port, port)
        if endpoint is None:
            counters.NoPorts += 1
            return False
        self._give(endpoint, packet, source_port, end, False)
        return True

    def _checksum_is_good(self, packet: InPacket, at: int, end: int) -> bool:
        data = packet.data
        if packet.checksum == CHECKSUM_GOOD:
            return True
        if data[at + 6] == 0 and data[at + 7] == 0:
            return packet.version == 4  # RFC 8200, 8.1: IPv6 needs one
        total = pseudo_header(packet.source, packet.destination, PROTOCOL, end - at)
        return checksum(data[at:end], total) == 0

    def _give(
        self,
        endpoint: UdpEndpoint,
        packet: InPacket,
        source_port: int,
        end: int,
        is_group: bool,
    ) -> None:
        at = packet.transport
        if endpoint.filter is not None:
            kept = endpoint.kept_end(packet, at, end)
            if kept <= at:
                endpoint.dropped += 1
                return
            end = max(kept, at + udp.HEADER_LENGTH)
        payload = packet.data[at + udp.HEADER_LENGTH : end]
        scope = 0
        if packet.version == 6 and packet.source[0] == 0xFE and packet.source[1] & 0xC0 == 0x80:
            scope = packet.interface.index
        datagram = Datagram(payload, Address(packet.source, source_port, scope), packet)
        if is_group:
            network = self.stack.networks[packet.version]
            datagram.is_multicast = True
            datagram.local = network.select_source(packet.interface, packet.source)
        counters = self.counters_of(packet.version)
        if endpoint.enqueue(datagram):
            counters.InDatagrams += 1
        else:
            counters.RcvbufErrors += 1
            counters.InErrors += 1

    def _find(self, packet: InPacket, source_port: int, port: int) -> UdpEndpoint | None:
        """Return the endpoint that fits best: connected, on the address, on the interface."""
        flow = (packet.destination, port, packet.source, source_port)
        for endpoint in reversed(self.flows.get(flow, NO_ENDPOINTS)):
            if endpoint.interface_index in {0, packet.interface.index}:
                return endpoint
        best: list[UdpEndpoint] = []
        best_score = -1
        for endpoint in self.by_port.get(port, ()):
            score = self._score(endpoint, packet, source_port)
            if score > best_score:
                best_score = score
                best = [endpoint]
            elif score == best_score and score >= 0:
                best.append(endpoint)
        if not best:
            return None
        if len(best) == 1 or not best[-1].reuse_port:
            return best[-1]  # the one that was bound last (SO_REUSEADDR)
        binding = best[-1].binding
        if binding is not None and binding.group is not None:
            chosen = binding.group.chosen(packet, packet.transport + udp.HEADER_LENGTH)
            if isinstance(chosen, UdpEndpoint):
                return chosen
        group = [endpoint for endpoint in best if endpoint.reuse_port]
        return group[hash((self._secret, flow)) % len(group)]

    def _score(self, endpoint: UdpEndpoint, packet: InPacket, source_port: int) -> int:
        """Return how well an endpoint on the port fits a unicast packet; -1: not at all."""
        binding = endpoint.binding
        wanted = ANY_IPV4 if packet.version == 4 else ANY_IPV6
        if binding is None or not binding.versions & wanted:
            return -1
        score = 0
        if endpoint.local_host:
            if endpoint.local_host != packet.destination:
                return -1
            score += 4
        if endpoint.remote is not None:
            remote = endpoint.remote
            if remote.host != packet.source or remote.port != source_port:
                return -1
            score += 4
        if endpoint.interface_index:
            if endpoint.interface_index != packet.interface.index:
                return -1
            score += 4
        if endpoint.version == packet.version:
            score += 1
        return score

    def _to_many(
        self, packet: InPacket, source_port: int, port: int, end: int, is_group: bool
    ) -> None:
        """Give a datagram to a group or to everybody to all who want it."""
        taken = False
        for endpoint in list(self.by_port.get(port, ())):
            if self._score(endpoint, packet, source_port) < 0:
                continue
            if is_group and not endpoint.wants_group(packet):
                continue
            taken = True
            self._give(endpoint, packet, source_port, end, True)
        if not taken:
            self.counters_of(packet.version).IgnoredMulti += 1

    def on_icmp_error(self, error: IcmpError) -> None:
        quoted = error.quoted
        if len(quoted) < udp.HEADER_LENGTH:
            return
        port = (quoted[0] << 8) | quoted[1]
        remote = Address(error.destination, (quoted[2] << 8) | quoted[3])
        for endpoint in self.flows.get((error.source, port, remote.host, remote.port), ()):
            endpoint.take_icmp_error(error, remote, quoted[8:])
            return
        for endpoint in self.by_port.get(port, ()):
            if endpoint.remote is None and endpoint.local_host in {b"", error.source}:
                endpoint.take_icmp_error(error, remote, quoted[8:])
                return
