"""The stack: interfaces, routes, and who gets which packet.

A stack knows no version of IP by itself: `Stack` takes what is registered, and
`netstack/build.py` registers all there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from netstack.counters import Counters
from netstack.environment import Environment, Timer
from netstack.errors import (
    ADDRESS_NOT_AVAILABLE,
    EXISTS,
    FAMILY,
    INVALID,
    NETWORK_DOWN,
    NO_SUCH_DEVICE,
    NetError,
)
from netstack.interface import IFF_RUNNING, IFF_UP, Interface, InterfaceAddress
from netstack.link.base import Link
from netstack.link.loopback import DeliveryQueue
from netstack.multicast import forget_interface
from netstack.network import FrameHandler, NetworkProtocol
from netstack.packet import OutPacket
from netstack.ports import PortTable
from netstack.route import LOCAL, Route, RouteEntry, Rule
from netstack.settings import Settings
from netstack.transport import Transport

if TYPE_CHECKING:
    from netstack.neighbour import Neighbour
    from netstack.packet_socket import PacketEndpoint
    from netstack.ping import PingTable
    from netstack.raw import RawEndpoint

# Routes kept for endpoints that are not connected, and paths with a known MTU.
MAX_CACHED_ROUTES: Final = 1024
MAX_PATH_MTUS: Final = 1024

RouteKey = tuple[bytes, bytes, int, int]


@mypyc_attr(allow_interpreted_subclasses=True)
class ChangeListener:
    """Who wants to know of changes of the configuration (rtnetlink(7) notifications)."""

    def on_link(self, interface: Interface, removed: bool) -> None:
        """Called after an interface was made or changed, or removed."""

    def on_address(self, interface: Interface, address: InterfaceAddress, removed: bool) -> None:
        """Called after an address was added or removed."""

    def on_route(self, entry: RouteEntry, removed: bool) -> None:
        """Called after a route was added or removed."""

    def on_neighbour(self, neighbour: Neighbour, removed: bool) -> None:
        """Called after a neighbour's state or hardware address changed, or it was removed."""

    def on_rule(self, version: int, rule: Rule, removed: bool) -> None:
        """Called after a rule of a version of IP was added or removed."""


class Stack:
    """A network namespace's worth of networking."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.settings = Settings()
        self.counters = Counters()
        self.overruns = 0  # datagrams that found their reader's buffer full
        self.interfaces: dict[int, Interface] = {}
        self.loopback: Interface | None = None
        self.networks: dict[int, NetworkProtocol] = {}  # by version: 4, 6
        self.handlers: dict[int, FrameHandler] = {}  # by ethertype
        self.transports: dict[int, Transport] = {}
        self.ports: dict[int, PortTable] = {}  # by protocol
        self.taps: list[PacketEndpoint] = []
        self.raw: dict[tuple[int, int], list[RawEndpoint]] = {}  # by version and protocol
        self.observers: list[ChangeListener] = []
        # Another number than a route's: something changed since that route was found.
        self.generation = 1
        self._routes: dict[RouteKey, Route] = {}
        self._path_mtus: dict[bytes, tuple[int, int]] = {}  # MTU, and when it is forgotten
        self._path_timer = PathMtuTimer(self)
        self.deliveries = DeliveryQueue(environment)
        self.pings: dict[int, PingTable] = {}  # by version

    # What is registered.

    def register_network(self, network: NetworkProtocol) -> None:
        """Give frames of an ethertype to a version of IP."""
        self.networks[network.version] = network
        self.handlers[network.ethertype] = network

    def register_handler(self, ethertype: int, handler: FrameHandler) -> None:
        """Give frames of an ethertype to `handler` (ARP)."""
        self.handlers[ethertype] = handler

    def register_transport(self, protocol: int, transport: Transport) -> None:
        """Give packets of an IP protocol to `transport`."""
        self.transports[protocol] = transport

    def network_of(self, address: bytes) -> NetworkProtocol:
        """Return the version of IP of an address; NetError(FAMILY) if there is none."""
        network = self.networks.get(4 if len(address) == 4 else 6)
        if network is None:
            raise NetError(FAMILY)
        return network

    def port_table(self, protocol: int) -> PortTable:
        """Return the ports of a transport protocol."""
        table = self.ports.get(protocol)
        if table is None:
            table = PortTable(self.environment, self.settings)
            self.ports[protocol] = table
        return table

    def raw_endpoints(self, version: int, protocol: int) -> list[RawEndpoint]:
        """Return the raw endpoints for a protocol; not to be changed."""
        return self.raw.get((version, protocol), [])

    # Interfaces.

    def add_interface(self, name: str, link: Link, index: int = 0) -> Interface:
        """Return a new interface, down and without addresses; index 0: the next free one.

        NetError(EXISTS) if the index or the name is taken.
        """
        if not index:
            index = max(self.interfaces, default=0) + 1
        if index in self.interfaces or self.find_interface(name) is not None:
            raise NetError(EXISTS)
        interface = Interface(self, index, name, link)
        self.interfaces[index] = interface
        if link.is_loopback and self.loopback is None:
            self.loopback = interface
        self.changed()
        self._tell_link(interface, False)
        return interface

    def remove_interface(self, interface: Interface) -> None:
        """Remove an interface with all that belongs to it."""
        self.set_down(interface)
        for address in list(interface.addresses):
            self.remove_address(interface, address)
        forget_interface(interface)
        for network in self.networks.values():
            network.routing.remove_interface(interface)
            network.neighbours.flush(interface)
        self.interfaces.pop(interface.index, None)
        if self.loopback is interface:
            self.loopback = None
        self.changed()
        self._tell_link(interface, True)

    def find_interface(self, name: str) -> Interface | None:
        """Return the interface of a name."""
        for interface in self.interfaces.values():
            if interface.name == name:
                return interface
        return None

    def set_up(self, interface: Interface) -> None:
        """Bring an interface up: its addresses become reachable, its routes are entered."""
        if interface.flags & IFF_UP:
            return
        interface.flags |= IFF_UP | IFF_RUNNING
        self.changed()
        for network in self.networks.values():
            network.on_interface_up(interface)
        for address in list(interface.addresses):
            self.network_of(address.host).on_address_added(interface, address)
        self.changed()
        self._tell_link(interface, False)

    def set_down(self, interface: Interface) -> None:
        """Take an interface down: routes through it and what was learnt are gone."""
        if not interface.flags & IFF_UP:
            return
        for network in self.networks.values():
            network.on_interface_down(interface)
            for entry in network.routing.remove_interface(interface):
                self._tell_route(entry, True)
            network.neighbours.flush(interface)
        interface.flags &= ~(IFF_UP | IFF_RUNNING)
        self.changed()
        self._tell_link(interface, False)

    def set_mtu(self, interface: Interface, mtu: int) -> None:
        """Change the MTU; NetError(INVALID) outside 68 (RFC 791) .. the link's."""
        if not 68 <= mtu <= max(interface.link.mtu, 1500):
            raise NetError(INVALID)
        interface.mtu = mtu
        self.changed()
        self._tell_link(interface, False)

    def set_flags(self, interface: Interface, flags: int) -> None:
        """Change flags other than IFF_UP (IFF_PROMISC, IFF_ALLMULTI, ...)."""
        keep = IFF_UP | IFF_RUNNING
        interface.flags = (interface.flags & keep) | (flags & ~keep)
        self._tell_link(interface, False)

    # Addresses.

    def add_address(self, interface: Interface, address: InterfaceAddress) -> None:
        """Add an address; NetError(EXISTS) if the interface has it."""
        if not 0 <= address.prefix_length <= len(address.host) * 8:
            raise NetError(INVALID)
        for other in interface.addresses:
            if other.host == address.host and other.prefix_length == address.prefix_length:
                raise NetError(EXISTS)
        network = self.network_of(address.host)
        interface.addresses.append(address)
        if interface.flags & IFF_UP:
            network.on_address_added(interface, address)
        self.changed()
        for observer in self.observers:
            observer.on_address(interface, address, False)

    def remove_address(self, interface: Interface, address: InterfaceAddress) -> None:
        """Remove an address; NetError(ADDRESS_NOT_AVAILABLE) if the interface has it not."""
        if address not in interface.addresses:
            raise NetError(ADDRESS_NOT_AVAILABLE)
        interface.addresses.remove(address)
        self.network_of(address.host).on_address_removed(interface, address)
        self.changed()
        for observer in self.observers:
            observer.on_address(interface, address, True)

    def is_local_address(self, host: bytes) -> bool:
        """Return whether an address is one of this host's."""
        network = self.networks.get(4 if len(host) == 4 else 6)
        return network is not None and network.routing.local_kind(host) == LOCAL

    def find_address_interface(self, host: bytes) -> Interface | None:
        """Return the interface that has an address."""
        for interface in self.interfaces.values():
            for address in interface.addresses:
                if address.host == host:
                    return interface
        return None

    # Routes.

    def add_route(self, entry: RouteEntry, *, append: bool = False) -> None:
        """Enter a route; NetError(EXISTS, NETWORK_DOWN)."""
        if entry.interface is not None and not entry.interface.flags & IFF_UP:
            raise NetError(NETWORK_DOWN)
        self.network_of(entry.prefix).routing.add(entry, append=append)
        self.changed()
        self._tell_route(entry, False)

    def remove_route(self, entry: RouteEntry) -> None:
        """Remove a route; NetError(NOT_FOUND)."""
        self.network_of(entry.prefix).routing.remove(entry)
        self.changed()
        self._tell_route(entry, True)

    def changed(self) -> None:
        """Make all routes that were found stale."""
        self.generation += 1
        self._routes.clear()

    def is_stale(self, route: Route) -> bool:
        """Return whether a route must be found again."""
        return route.generation != self.generation

    def find_route(
        self, destination: bytes, source: bytes = b"", interface_index: int = 0, mark: int = 0
    ) -> Route:
        """Return the way to `destination`; NetError(NETWORK_UNREACHABLE, ...) if there is none.

        An empty `source` is chosen (RFC 6724); `interface_index` is SO_BINDTODEVICE's.
        """
        key = (destination, source, interface_index, mark)
        route = self._routes.get(key)
        if route is not None:
            return route
        if interface_index and interface_index not in self.interfaces:
            raise NetError(NO_SUCH_DEVICE)
        network = self.network_of(destination)
        route = network.find_route(destination, source, interface_index, mark)
        route.generation = self.generation
        if len(self._routes) >= MAX_CACHED_ROUTES:
            self._routes.clear()
        self._routes[key] = route
        return route

    def path_mtu(self, destination: bytes) -> int:
        """Return what was learnt of the path to a destination; 0: nothing."""
        known = self._path_mtus.get(destination)
        return known[0] if known is not None else 0

    def note_path_mtu(self, destination: bytes, mtu: int) -> None:
        """A router said that larger packets do not pass (RFC 1191, RFC 8201).

        The caller has checked that the message is about a packet of ours, and the lower bound.
        """
        self._path_mtus.pop(destination, None)
        while len(self._path_mtus) >= MAX_PATH_MTUS:
            del self._path_mtus[next(iter(self._path_mtus))]
        until = self.environment.now_ns() + self.settings.mtu_expires_ns
        self._path_mtus[destination] = (mtu, until)
        if not self._path_timer.deadline_ns:
            self.environment.arm(self._path_timer, until)
        self.changed()

    def expire_path_mtus(self) -> None:
        """Forget what was learnt too long ago; larger packets are tried again."""
        now = self.environment.now_ns()
        for destination in list(self._path_mtus):
            until = self._path_mtus[destination][1]
            if until > now:
                self.environment.arm(self._path_timer, until)
                break
            del self._path_mtus[destination]
        self.changed()

    # Sending.

    def send(self, route: Route, packet: OutPacket) -> bool:
        """Send a packet; False if the interface has no room for it now (TCP waits, others drop).

        NetError(MESSAGE_TOO_LONG) if it is larger than the path MTU and may not be fragmented.
        """
        return self.networks[route.version].send(route, packet)

    def when_room(self, interface: Interface, listener: RoomListener) -> None:
        """Call `listener.on_room` once, when the interface takes packets again."""
        interface.when_room(listener)

    def flush(self) -> None:
        """Deliver what waits in the loopback device, and what that causes, up to a limit.

        Whoever calls into the stack may call this afterwards instead of waiting for the timer.
        """
        self.deliveries.flush()

    # Observers.

    def _tell_link(self, interface: Interface, removed: bool) -> None:
        for observer in self.observers:
            observer.on_link(interface, removed)

    def tell_route(self, entry: RouteEntry, *, removed: bool) -> None:
        """Tell observers of a route that a version of IP entered or removed by itself."""
        self._tell_route(entry, removed)

    def tell_neighbour(self, neighbour: Neighbour, removed: bool) -> None:
        """Tell observers of a neighbour that changed."""
        for observer in self.observers:
            observer.on_neighbour(neighbour, removed)

    def _tell_route(self, entry: RouteEntry, removed: bool) -> None:
        for observer in self.observers:
            observer.on_route(entry, removed)


@mypyc_attr(allow_interpreted_subclasses=True)
class RoomListener:
    """Who waits for room at an interface."""

    def on_room(self) -> None:
        """Called once."""
        raise NotImplementedError


class PathMtuTimer(Timer):
    """Forgets path MTUs."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack

    def fire(self) -> None:
        self.stack.expire_path_mtus()
