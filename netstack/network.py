"""What the stack asks of a version of IP; `ip/ipv4.py` and `ip/ipv6.py` answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

from netstack.errors import (
    ACCESS,
    ADDRESS_NOT_AVAILABLE,
    HOST_UNREACHABLE,
    INVALID,
    NETWORK_UNREACHABLE,
    NO_SUCH_DEVICE,
    NetError,
)
from netstack.neighbour import Neighbour, NeighbourTable, Resolver
from netstack.packet import InPacket, OutFrame, OutPacket
from netstack.route import (
    BLACKHOLE,
    LOCAL,
    PROHIBIT,
    UNREACHABLE,
    Route,
    RouteEntry,
    Routing,
)
from netstack.transport import IcmpError

if TYPE_CHECKING:
    from netstack.filter.hooks import PacketFilter
    from netstack.interface import Interface, InterfaceAddress
    from netstack.multicast import Group
    from netstack.stack import Stack


@mypyc_attr(allow_interpreted_subclasses=True)
class FrameHandler(ABC):
    """Who takes the frames of an ethertype."""

    @abstractmethod
    def on_frame(self, packet: InPacket) -> None:
        """Take a frame; `packet.network` is the offset behind the link header.  Never raises."""


@mypyc_attr(allow_interpreted_subclasses=True)
class NetworkProtocol(FrameHandler):
    """A version of IP.  Registered with `Stack.register_network`."""

    def __init__(self, stack: Stack, version: int, ethertype: int, resolver: Resolver) -> None:
        self.stack = stack
        self.version = version
        self.ethertype = ethertype
        self.routing = Routing()
        self.neighbours = NeighbourTable(stack, ethertype, resolver)
        self.filter: PacketFilter | None = None  # None: there are no rules

    # Packets.

    @abstractmethod
    def send(self, route: Route, packet: OutPacket) -> bool:
        """Send a packet, in fragments if need be; as `Stack.send`."""

    def takes_joined(self) -> bool:
        """Return whether several datagrams may come in one packet with `gso_size`."""
        return self.filter is None  # rules are about single ones

    @abstractmethod
    def send_unreachable(self, packet: InPacket) -> None:
        """Answer a packet whose port nobody has: ICMP port unreachable, rate-limited."""

    @abstractmethod
    def send_raw(self, route: Route, packet: bytes) -> bool:
        """Send a packet with the network header that it has (IP_HDRINCL, raw(7))."""

    # What rules ask for.

    def defragmented(self, packet: InPacket) -> InPacket | None:
        """Return the whole packet; None while fragments of it are missing."""
        return packet

    def send_rejection(self, packet: InPacket, code: int) -> None:
        """Answer a packet that a rule rejects: ICMP "destination unreachable" with a code."""

    def count_discard(self) -> None:
        """Count a packet that could not be sent."""

    def address_type(self, address: bytes) -> int:
        """Return what the local table says of an address, RTN_ of rtnetlink(7)."""
        return 0

    # Addresses.

    @abstractmethod
    def select_source(self, interface: Interface, destination: bytes) -> bytes:
        """Return the best own address for a destination behind an interface; empty: none."""

    @abstractmethod
    def is_multicast(self, address: bytes) -> bool:
        """Return whether an address is that of a group."""

    def find_special(self, destination: bytes, source: bytes, interface_index: int) -> Route | None:
        """Return a route that needs no table: to groups, broadcast and link-local addresses."""
        return None

    # What happens to interfaces.

    def on_interface_up(self, interface: Interface) -> None:
        """Called after an interface came up."""

    def on_interface_down(self, interface: Interface) -> None:
        """Called before an interface goes down."""

    def on_address_added(self, interface: Interface, address: InterfaceAddress) -> None:
        """Called after an address was added (or its interface came up with it): enter routes."""

    def on_address_removed(self, interface: Interface, address: InterfaceAddress) -> None:
        """Called after an address was removed (or its interface went down): remove routes."""

    def on_group_changed(self, group: Group) -> None:
        """Called when this host's membership of a group changed: report it (IGMP, MLD)."""

    # The common part of sending.

    @abstractmethod
    def make_neighbour(self, route: Route) -> Neighbour:
        """Return the next hop of a route; NetError(NO_BUFFERS) if the table is full."""

    def transmit(self, route: Route, frame: OutFrame) -> bool:
        """Send a frame without link header to a route's next hop; False: no room."""
        neighbour = route.neighbour
        if neighbour is None or neighbour.is_dead:
            try:
                neighbour = self.make_neighbour(route)
            except NetError:
                return True  # lost, and counted by the table: it is full
            route.neighbour = neighbour
        return neighbour.send(frame)

    def emit(self, route: Route, frame: OutFrame, packet: OutPacket | None) -> bool:
        """Send a finished frame."""
        return self.transmit(route, frame)

    def find_route(
        self, destination: bytes, source: bytes, interface_index: int, mark: int
    ) -> Route:
        """Return the way to a destination; see `Stack.find_route`."""
        special = self.find_special(destination, source, interface_index)
        if special is not None:
            return special
        if interface_index and interface_index not in self.stack.interfaces:
            raise NetError(NO_SUCH_DEVICE)
        entry = self.routing.lookup(destination, source, interface_index, mark)
        if entry is None:
            raise NetError(NETWORK_UNREACHABLE)
        return self.route_through(entry, destination, source)

    def route_through(self, entry: RouteEntry, destination: bytes, source: bytes) -> Route:
        """Return the route that an entry of a table stands for; NetError if it forbids."""
        check_kind(entry)
        interface = entry.interface
        if entry.kind == LOCAL:
            interface = self.stack.loopback or interface
        if interface is None:
            raise NetError(NETWORK_UNREACHABLE)
        if not source:
            source = entry.source
        if not source:
            source = self.select_source(interface, entry.gateway or destination)
        if not source:
            raise NetError(ADDRESS_NOT_AVAILABLE)
        route = Route(interface, source, destination, entry.gateway or destination)
        route.kind = entry.kind
        route.entry = entry
        route.mtu = entry.mtu or interface.mtu
        known = self.stack.path_mtu(destination)
        if known:
            route.mtu = min(route.mtu, known)
        return route

    # ICMP errors.

    def report_error(self, error: IcmpError) -> None:
        """Give an ICMP error to those who may have sent the packet."""
        for raw in self.stack.raw_endpoints(self.version, error.protocol):
            raw.on_icmp_error(error)
        transport = self.stack.transports.get(error.protocol)
        if transport is not None:
            transport.on_icmp_error(error)


def check_kind(entry: RouteEntry) -> None:
    """Raise the error of routes that lead nowhere (ip-route(8))."""
    if entry.kind == BLACKHOLE:
        raise NetError(INVALID)
    if entry.kind == UNREACHABLE:
        raise NetError(HOST_UNREACHABLE)
    if entry.kind == PROHIBIT:
        raise NetError(ACCESS)
