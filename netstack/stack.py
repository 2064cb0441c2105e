"""The stack: interfaces, routes, and who gets which packet."""

from netstack.environment import Environment
from netstack.interface import Interface
from netstack.link.base import Link
from netstack.packet import OutPacket
from netstack.route import Route
from netstack.transport import Transport


class Stack:
    """A network namespace's worth of networking."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.interfaces: dict[int, Interface] = {}
        self.transports: dict[int, Transport] = {}

    def add_interface(self, name: str, link: Link, index: int = 0) -> Interface:
        """Return a new interface, down and without addresses; index 0: the next free one."""
        raise NotImplementedError

    def register_transport(self, protocol: int, transport: Transport) -> None:
        """Give packets of an IP protocol to `transport`."""
        self.transports[protocol] = transport

    def find_route(
        self, destination: bytes, source: bytes = b"", interface_index: int = 0, mark: int = 0
    ) -> Route:
        """Return the way to `destination`; NetError(NETWORK_UNREACHABLE, ...) if there is none.

        An empty `source` is chosen (RFC 6724); `interface_index` is SO_BINDTODEVICE's.
        """
        raise NotImplementedError

    def is_local_address(self, host: bytes) -> bool:
        """Return whether an address is one of this host's."""
        raise NotImplementedError

    def send(self, route: Route, packet: OutPacket) -> bool:
        """Send a packet; False if the interface has no room for it now (TCP waits, others drop).

        NetError(MESSAGE_TOO_LONG) if it is larger than the path MTU and may not be fragmented.
        """
        raise NotImplementedError

    def when_room(self, interface: Interface, listener: "RoomListener") -> None:
        """Call `listener.on_room` once, when the interface takes packets again."""
        raise NotImplementedError


class RoomListener:
    """Who waits for room at an interface."""

    def on_room(self) -> None:
        """Called once."""
        raise NotImplementedError
