"""What UDP, raw and ping endpoints have in common: queues, options, memberships, routes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from netstack.endpoint import (
    EVENT_ERR,
    EVENT_HUP,
    EVENT_IN,
    EVENT_OUT,
    EVENT_RDHUP,
    SHUT_READ,
    SHUT_WRITE,
    Address,
    Endpoint,
)
from netstack.errors import (
    ACCESS,
    ADDRESS_NOT_AVAILABLE,
    BROKEN_PIPE,
    FAMILY,
    INVALID,
    NETWORK_UNREACHABLE,
    NO_BUFFERS,
    NO_SUCH_DEVICE,
    NOT_CONNECTED,
    NetError,
)
from netstack.interface import Interface
from netstack.multicast import MAX_GROUPS, Membership, MembershipList, change
from netstack.packet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, FrameFilter, InPacket, OutPacket
from netstack.ports import ANY_BOTH, ANY_IPV4, ANY_IPV6
from netstack.route import BROADCAST, MULTICAST, Route
from netstack.stack import RoomListener, Stack
from netstack.transport import IcmpError
from netstack.wire import ipv4 as wire4

if TYPE_CHECKING:
    from netstack.network import NetworkProtocol

# What a queued datagram costs beyond its bytes (as struct sk_buff does).
DATAGRAM_OVERHEAD: Final = 512
MAX_ERRORS: Final = 128  # entries of an error queue

# IP_MTU_DISCOVER, ip(7).
PMTUDISC_DONT: Final = 0
PMTUDISC_WANT: Final = 1
PMTUDISC_DO: Final = 2
PMTUDISC_PROBE: Final = 3
PMTUDISC_INTERFACE: Final = 4
PMTUDISC_OMIT: Final = 5

# ee_origin of struct sock_extended_err, ip(7).
ORIGIN_LOCAL: Final = 1
ORIGIN_ICMP: Final = 2
ORIGIN_ICMP6: Final = 3


class Datagram:
    """A received datagram with all that recvmsg(2) may tell of it."""

    def __init__(self, payload: bytes, source: Address, packet: InPacket) -> None:
        self.payload = payload
        self.source = source
        self.version = packet.version
        self.destination = packet.destination  # as in the header
        self.local = packet.destination  # ipi_spec_dst: the address to answer from
        self.interface_index = packet.interface.index
        self.ttl = packet.ttl
        self.tos = packet.tos
        self.time_ns = packet.time_ns  # realtime
        self.options = packet.options
        self.is_multicast = False
        self.dropped = 0  # how many the endpoint had dropped when it came (SO_RXQ_OVFL)
        self.was_peeked = False  # by a reader with SO_PEEK_OFF
        self.segment_size = 0  # of each of several datagrams in one (UDP_GRO)

    def cost(self) -> int:
        """Return what the datagram takes of a receive buffer."""
        return len(self.payload) + DATAGRAM_OVERHEAD


class QueuedError:
    """An entry of the error queue: struct sock_extended_err and what goes with it (ip(7))."""

    def __init__(self, code: int, origin: int, destination: Address, payload: bytes) -> None:
        self.code = code  # NetError code
        self.origin = origin
        self.icmp_type = 0
        self.icmp_code = 0
        self.info = 0  # the MTU, or where the problem is
        self.offender = b""  # who sent the ICMP message
        self.destination = destination  # of the datagram that caused it
        self.payload = payload  # of that datagram, as far as it is known
        self.interface_index = 0


class SendOptions:
    """What one sendmsg(2) may say by ancillary data; the defaults leave it to the endpoint."""

    def __init__(self) -> None:
        self.source = b""  # ipi_spec_dst, ipi6_addr
        self.interface_index = 0  # ipi_ifindex
        self.ttl = -1  # or hop limit
        self.tos = -1  # or traffic class
        self.flow_label = 0
        self.segment_size = 0  # UDP_SEGMENT
        self.more = False  # MSG_MORE: wait for the rest


class RoomWaiter(RoomListener):
    """Tells an endpoint that its interface takes packets again."""

    def __init__(self, endpoint: DatagramEndpoint) -> None:
        self.endpoint = endpoint

    def on_room(self) -> None:
        self.endpoint.on_room()


class DatagramEndpoint(Endpoint):
    """An endpoint of single messages.  `version` is that of its socket: 4 or 6."""

    def __init__(self, stack: Stack, version: int) -> None:
        super().__init__()
        self.stack = stack
        self.version = version
        # Where it is.  Hosts of 4 bytes with version 6: IPv4 traffic of a dual-stack endpoint.
        self.local_host = b""
        self.remote: Address | None = None
        self.is_host_bound = False  # by bind, not by connect
        self.interface_index = 0  # SO_BINDTODEVICE
        self.mark = 0  # SO_MARK
        self.only_v6 = False  # IPV6_V6ONLY
        self.user = 0  # who made it, for SO_REUSEPORT and rules
        self.group = 0
        self.free_bind = False  # IP_FREEBIND
        # Options of what is sent.
        self.ttl = 0  # 0: the default
        self.tos = 0
        self.hop_limit = 0
        self.traffic_class = 0
        self.path_mtu_discovery = (
            PMTUDISC_DONT if stack.settings.ip_no_pmtu_disc else PMTUDISC_WANT
        )  # IP_MTU_DISCOVER
        self.broadcast = False  # SO_BROADCAST
        self.multicast_ttl = 1
        self.multicast_loop = True
        self.multicast_interface = 0
        self.multicast_source = b""  # the address of IP_MULTICAST_IF
        self.ipv4_options = b""  # IP_OPTIONS
        # Options of what is received.
        self.multicast_all = True  # IP_MULTICAST_ALL, IPV6_MULTICAST_ALL
        self.receive_errors = False  # IP_RECVERR, IPV6_RECVERR
        self.filter: FrameFilter | None = None  # SO_ATTACH_FILTER
        self.peek_offset = -1  # SO_PEEK_OFF; negative: always the front
        self.receive_limit = stack.settings.rmem_default  # SO_RCVBUF, in bytes with overhead
        self.memberships = MembershipList(stack)
        # State.
        self.is_closed = False
        self.dropped = 0  # SO_RXQ_OVFL
        self.shut = 0  # SHUT_READ | SHUT_WRITE
        self._queue: deque[Datagram] = deque()
        self._queued_bytes = 0
        self._errors: deque[QueuedError] = deque()
        self._route: Route | None = None
        self._has_room = True
        self._waiter = RoomWaiter(self)

    # Readiness.

    def readiness(self) -> int:
        events = 0
        if self._queue or self.shut & SHUT_READ:
            events |= EVENT_IN
        if self._has_room:
            events |= EVENT_OUT
        if self.error or self._errors:
            events |= EVENT_ERR
        if self.shut & SHUT_READ:
            events |= EVENT_RDHUP
            if self.shut & SHUT_WRITE:
                events |= EVENT_HUP
        return events

    def on_room(self) -> None:
        """The interface takes packets again."""
        self._has_room = True
        self.listener.on_events(EVENT_OUT)

    def set_error(self, code: int) -> None:
        """Have the next operation fail."""
        self.error = code
        self.listener.on_events(EVENT_ERR | EVENT_IN | EVENT_OUT)

    def raise_pending(self) -> None:
        """Raise the pending error, if there is one."""
        code = self.take_error()
        if code:
            raise NetError(code)

    # Receiving.

    def receive(self, *, peek: bool = False) -> Datagram | None:
        """Return the next datagram, whole; None: would block.

        The caller cuts it to the size of its buffer (and may tell, MSG_TRUNC).
        `peek` leaves it in the queue.  NetError: the pending error.
        After shutdown(SHUT_READ), None stands for the end: see `shut`.
        """
        self.raise_pending()
        if not self._queue:
            return None
        if peek:
            return self._queue[0]
        datagram = self._queue.popleft()
        self._queued_bytes -= datagram.cost()
        if self.peek_offset > 0:
            self.peek_offset = max(self.peek_offset - len(datagram.payload), 0)
        return datagram

    def peek_further(self) -> tuple[Datagram, int] | None:
        """Return the datagram at SO_PEEK_OFF and how much of it comes before; None: none yet."""
        self.raise_pending()
        offset = self.peek_offset
        for datagram in self._queue:
            size = len(datagram.payload)
            if offset < size or (offset == 0 and not datagram.was_peeked):
                datagram.was_peeked = True
                return datagram, offset
            offset -= size
        return None

    def next_size(self) -> int:
        """Return the size of the next datagram, 0 if there is none (FIONREAD, udp(7))."""
        return len(self._queue[0].payload) if self._queue else 0

    def queued_bytes(self) -> int:
        """Return how much of the receive buffer is in use (SIOCINQ, rx_queue)."""
        return self._queued_bytes

    def receive_error(self) -> QueuedError | None:
        """Return the next entry of the error queue (MSG_ERRQUEUE); None: it is empty."""
        if not self._errors:
            return None
        entry = self._errors.popleft()
        # ip(7): the next one becomes the pending error.
        self.error = self._errors[0].code if self._errors else 0
        return entry

    def enqueue(self, datagram: Datagram) -> bool:
        """Take a datagram that came in; False if the buffer is full."""
        cost = datagram.cost()
        if self._queued_bytes + cost > self.receive_limit and (
            self._queue or cost > self.receive_limit + DATAGRAM_OVERHEAD
        ):
            self.dropped += 1
            self.stack.overruns += 1
            return False
        datagram.dropped = self.dropped
        if not datagram.time_ns:
            datagram.time_ns = self.stack.environment.realtime_ns()
        self._queue.append(datagram)
        self._queued_bytes += cost
        self.listener.on_events(EVENT_IN)
        return True

    def kept_end(self, packet: InPacket, start: int, end: int) -> int:
        """Return where what the filter keeps of a packet ends; `start`: it drops the packet.

        The filter's offset 0 is at `start`.
        """
        if self.filter is None:
            return end
        ethertype = ETHERTYPE_IPV4 if packet.version == 4 else ETHERTYPE_IPV6
        keep = self.filter.run(packet.data, start, end, packet, ethertype)
        return min(end, start + keep)

    def forget_errors(self) -> None:
        """IP_RECVERR was switched off: what waits is gone."""
        self._errors.clear()

    def wants_group(self, packet: InPacket) -> bool:
        """Return whether a packet to a group is for this endpoint."""
        take_all = self.multicast_all
        return self.memberships.accepts(
            packet.interface, packet.destination, packet.source, take_all
        )

    # Errors.

    def take_icmp_error(self, error: IcmpError, destination: Address, payload: bytes) -> None:
        """Take an error about a datagram of this endpoint's (udp(7), ip(7))."""
        is_hard = error.is_hard
        if error.mtu:
            self.stack.note_path_mtu(error.destination, error.mtu)
            is_hard = self.path_mtu_discovery != PMTUDISC_DONT
            if not is_hard:
                return
        if self.receive_errors:
            origin = ORIGIN_ICMP if len(error.source) == 4 else ORIGIN_ICMP6
            entry = QueuedError(error.code, origin, destination, payload)
            entry.icmp_type = error.icmp_type
            entry.icmp_code = error.icmp_code
            entry.info = error.mtu or error.pointer
            entry.offender = error.offender
            self._queue_error(entry)
        elif self.remote is None or not is_hard:
            return
        self.set_error(error.code)

    def queue_local_error(self, code: int, destination: Address, info: int, data: bytes) -> None:
        """Note an error of sending itself, if the endpoint asked for errors (IP_RECVERR)."""
        if self.receive_errors:
            entry = QueuedError(code, ORIGIN_LOCAL, destination, data)
            entry.info = info
            self._queue_error(entry)

    def _queue_error(self, entry: QueuedError) -> None:
        if len(self._errors) < MAX_ERRORS:
            self._errors.append(entry)

    # Addresses.

    def versions(self) -> int:
        """Return which versions of IP the endpoint takes: ANY_IPV4, ANY_IPV6 or ANY_BOTH."""
        if self.local_host:
            return ANY_IPV4 if len(self.local_host) == 4 else ANY_IPV6
        if self.version == 4:
            return ANY_IPV4
        return ANY_IPV6 if self.only_v6 else ANY_BOTH

    def check_family(self, host: bytes) -> None:
        """NetError if an address cannot be used with this endpoint."""
        length = len(host)
        if length not in {0, 4, 16} or (length == 16 and self.version == 4):
            raise NetError(FAMILY)
        if length == 4 and self.version == 6 and self.only_v6:
            raise NetError(FAMILY)

    def check_bindable(self, address: Address) -> None:
        """NetError(ADDRESS_NOT_AVAILABLE) if an address is neither ours nor a group's."""
        host = address.host
        self.check_family(host)
        if not any(host):
            return
        if len(host) == 16 and host[0] == 0xFE and host[1] & 0xC0 == 0x80:
            if not (address.scope or self.interface_index):
                raise NetError(INVALID)  # ipv6(7): link-local needs sin6_scope_id
            if address.scope:
                self.interface_index = address.scope
        network = self.stack.network_of(host)
        if network.is_multicast(host) or host == wire4.BROADCAST:
            return
        if self.stack.is_local_address(host) or network.routing.local_kind(host) == BROADCAST:
            return
        if not (self.free_bind or self.stack.settings.ip_nonlocal_bind):
            raise NetError(ADDRESS_NOT_AVAILABLE)

    def normal_target(self, address: Address) -> Address:
        """Return where datagrams to an address go: the unspecified address is this host."""
        self.check_family(address.host)
        if any(address.host):
            return address
        if len(address.host) == 4 or self.version == 4:
            return Address(wire4.LOOPBACK, address.port)
        return Address(bytes(15) + b"\x01", address.port, address.scope)

    def source_for_route(self) -> bytes:
        """Return the address to send from, if it is fixed."""
        host = self.local_host
        if not host or not any(host):
            return b""
        if self.stack.network_of(host).is_multicast(host) or host == wire4.BROADCAST:
            return b""  # udp(7): bound to a group only to receive
        return host

    def find_route(self, target: Address, options: SendOptions | None) -> Route:
        """Return the way to a target, minding SO_BINDTODEVICE and the multicast options."""
        source = self.source_for_route()
        index = self.interface_index or target.scope
        if options is not None:
            if options.source:
                self._check_source(options.source)
                source = options.source
            index = self.interface_index or options.interface_index or index
        network = self.stack.network_of(target.host)
        if network.is_multicast(target.host):
            index = index or self.multicast_interface
            if not source and len(target.host) == 4:
                source = self.multicast_source
        if len(source) != len(target.host):
            source = b""
        route = self.stack.find_route(target.host, source, index, self.mark)
        if route.kind == BROADCAST and not self.broadcast:
            raise NetError(ACCESS)
        return route

    def _check_source(self, host: bytes) -> None:
        """Refuse a source that is not ours, as Linux does, with another error for each version."""
        if not (self.free_bind or self.stack.is_local_address(host)):
            raise NetError(NETWORK_UNREACHABLE if len(host) == 4 else INVALID)

    def route_to(self, target: Address, options: SendOptions | None) -> Route:
        """Return the way to a target; for the connected one it is kept."""
        if options is not None or target is not self.remote:
            return self.find_route(target, options)
        route = self._route
        if route is None or self.stack.is_stale(route):
            route = self.find_route(target, None)
            self._route = route
        return route

    def target_of(self, address: Address | None) -> Address:
        """Return where a datagram goes: NetError(NOT_CONNECTED) if nobody said."""
        if address is not None:
            return self.normal_target(address)
        if self.remote is None:
            raise NetError(NOT_CONNECTED)
        return self.remote

    def set_ipv4_options(self, options: bytes) -> None:
        """IP_OPTIONS; NetError(INVALID) if they are too long, malformed, or a source route."""
        if (
            len(options) > wire4.MAX_OPTIONS
            or wire4.check_options(options) >= 0
            or wire4.has_source_route(options)
        ):
            raise NetError(INVALID)
        self.ipv4_options = options + bytes(-len(options) % 4)

    def path_mtu(self) -> int:
        """Return the MTU of the path to the peer (IP_MTU, IPV6_MTU); NetError(NOT_CONNECTED)."""
        if self.remote is None:
            raise NetError(NOT_CONNECTED)
        return self.route_to(self.remote, None).mtu

    # Sending.

    def prepare(self, packet: OutPacket, route: Route, options: SendOptions | None) -> None:
        """Set a packet's fields from the options of the endpoint and of the call."""
        is_v4 = route.version == 4
        ttl = self.ttl if is_v4 else self.hop_limit
        if route.kind == MULTICAST or (not is_v4 and route.destination[0] == 0xFF):
            ttl = self.multicast_ttl
            packet.stays_here = ttl == 0
            ttl = ttl or 1
            packet.multicast_loop = self.multicast_loop
        packet.tos = self.tos if is_v4 else self.traffic_class
        packet.mark = self.mark
        packet.user = self.user
        packet.group = self.group
        if options is not None:
            if options.ttl >= 0:
                ttl = options.ttl
            if options.tos >= 0:
                packet.tos = options.tos
            packet.flow_label = options.flow_label
        packet.ttl = ttl
        if is_v4:
            packet.ipv4_options = self.ipv4_options
        mode = self.path_mtu_discovery
        packet.dont_fragment = mode in {PMTUDISC_DO, PMTUDISC_PROBE}
        packet.discovers_mtu = mode == PMTUDISC_WANT
        packet.ignores_path_mtu = mode >= PMTUDISC_PROBE

    def dispatch(self, route: Route, packet: OutPacket) -> bool:
        """Send a packet; False: no room, and the listener will be told (EVENT_OUT)."""
        if not self.stack.send(route, packet):
            self._has_room = False
            self.stack.when_room(route.interface, self._waiter)
            return False
        return True

    def check_can_send(self) -> None:
        """NetError: the pending error, or BROKEN_PIPE after shutdown(SHUT_WRITE)."""
        self.raise_pending()
        if self.shut & SHUT_WRITE:
            raise NetError(BROKEN_PIPE)

    # Groups.  Addresses have 4 or 16 bytes; interface index 0: the one a route leads through.

    def join_group(self, group: bytes, interface_index: int = 0) -> None:
        """IP_ADD_MEMBERSHIP: INVALID, NO_SUCH_DEVICE, ADDRESS_IN_USE, NO_BUFFERS."""
        interface = self.group_interface(group, interface_index)
        self.memberships.join(interface, group, self._group_limit(group))

    def leave_group(self, group: bytes, interface_index: int = 0) -> None:
        """IP_DROP_MEMBERSHIP, IPV6_LEAVE_GROUP: ADDRESS_NOT_AVAILABLE when not joined."""
        self.memberships.leave(self.group_interface(group, interface_index), group)

    def join_source(self, group: bytes, source: bytes, interface_index: int = 0) -> None:
        """IP_ADD_SOURCE_MEMBERSHIP, MCAST_JOIN_SOURCE_GROUP."""
        interface = self.group_interface(group, interface_index)
        item = self.memberships.find(interface, group)
        if item is None:
            limit = self._group_limit(group)
            sources = frozenset((source,))
            self.memberships.join(interface, group, limit, is_exclude=False, sources=sources)
            return
        if item.is_exclude:
            raise NetError(INVALID)
        if source in item.sources:
            raise NetError(ADDRESS_NOT_AVAILABLE)
        self._set_sources(item, item.sources | {source})

    def leave_source(self, group: bytes, source: bytes, interface_index: int = 0) -> None:
        """IP_DROP_SOURCE_MEMBERSHIP; the last source ends the membership."""
        interface = self.group_interface(group, interface_index)
        item = self._membership(interface, group)
        if item.is_exclude:
            raise NetError(INVALID)
        if source not in item.sources:
            raise NetError(ADDRESS_NOT_AVAILABLE)
        if len(item.sources) == 1:
            self.memberships.leave(interface, group)
        else:
            change(item, False, item.sources - {source})

    def block_source(self, group: bytes, source: bytes, interface_index: int = 0) -> None:
        """IP_BLOCK_SOURCE: of a group joined for all sources."""
        item = self._membership(self.group_interface(group, interface_index), group)
        if not item.is_exclude:
            raise NetError(INVALID)
        if source in item.sources:
            raise NetError(ADDRESS_NOT_AVAILABLE)
        self._set_sources(item, item.sources | {source})

    def unblock_source(self, group: bytes, source: bytes, interface_index: int = 0) -> None:
        """IP_UNBLOCK_SOURCE."""
        item = self._membership(self.group_interface(group, interface_index), group)
        if not item.is_exclude:
            raise NetError(INVALID)
        if source not in item.sources:
            raise NetError(ADDRESS_NOT_AVAILABLE)
        change(item, True, item.sources - {source})

    def _group_limit(self, group: bytes) -> int:
        return self.stack.settings.igmp_max_memberships if len(group) == 4 else MAX_GROUPS

    def _set_sources(self, item: Membership, sources: frozenset[bytes]) -> None:
        if len(sources) > self.stack.settings.igmp_max_msf:
            raise NetError(NO_BUFFERS)
        change(item, item.is_exclude, sources)

    def _membership(self, interface: Interface, group: bytes) -> Membership:
        item = self.memberships.find(interface, group)
        if item is None:
            raise NetError(ADDRESS_NOT_AVAILABLE)
        return item

    def group_interface(self, group: bytes, interface_index: int) -> Interface:
        """Return the interface that a membership is of."""
        self.check_family(group)
        network: NetworkProtocol = self.stack.network_of(group)
        if not network.is_multicast(group):
            raise NetError(INVALID)
        if interface_index:
            interface = self.stack.interfaces.get(interface_index)
        else:
            try:
                interface = self.stack.find_route(group).interface
            except NetError:
                interface = None
        if interface is None:
            raise NetError(NO_SUCH_DEVICE)
        return interface

    # The end.

    def shutdown(self, how: int) -> None:
        """shutdown(2): SHUT_READ | SHUT_WRITE; NetError(NOT_CONNECTED) unless connected."""
        if self.remote is None:
            raise NetError(NOT_CONNECTED)
        self.shut |= how
        self.listener.on_events(self.readiness())

    def release(self) -> None:
        """Give up what the stack holds for the endpoint."""
        self.is_closed = True
        self.memberships.clear()
        self._queue.clear()
        self._queued_bytes = 0
        self._errors.clear()
        if not self._has_room:
            for interface in self.stack.interfaces.values():
                interface.forget_waiting(self._waiter)
