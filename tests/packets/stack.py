"""A stack without a network layer: what TCP sends is kept, what it receives is made up."""

import struct

from netstack.endpoint import Address
from netstack.interface import Interface
from netstack.packet import CHECKSUM_GOOD, InPacket, OutPacket
from netstack.route import Route
from netstack.stack import RoomListener, Stack
from netstack.tcp.protocol import TcpProtocol
from tests.unit.netstack.harness import CaptureLink, VirtualEnvironment

LOCAL = {4: bytes((10, 0, 0, 1)), 6: b"\xfd" + bytes(14) + b"\x01"}
REMOTE = {4: bytes((10, 0, 0, 2)), 6: b"\xfd" + bytes(14) + b"\x02"}


class TcpStack(Stack):
    """One interface, one address of each version, and TCP."""

    def __init__(self, environment: VirtualEnvironment, mtu: int = 1500, gso_max: int = 0) -> None:
        super().__init__(environment)
        self.link = CaptureLink(mtu)
        self.link.gso_max = gso_max
        self.nic = self.add_interface("eth0", self.link)
        self.sent: list[tuple[int, Route, OutPacket]] = []
        self.has_room = True
        self.waiting: list[RoomListener] = []
        self.mtus: dict[bytes, int] = {}
        self.unreachable = 0  # NetError code
        self.local = set(LOCAL.values())
        self.tcp = TcpProtocol(self)

    def find_route(
        self, destination: bytes, source: bytes = b"", interface_index: int = 0, mark: int = 0
    ) -> Route:
        version = 4 if len(destination) == 4 else 6
        route = Route(self.nic, source or LOCAL[version], destination, destination)
        route.mtu = self.mtus.get(destination, self.path_mtu(destination) or self.nic.mtu)
        route.generation = self.generation
        return route

    def is_local_address(self, host: bytes) -> bool:
        return host in self.local

    def send(self, route: Route, packet: OutPacket) -> bool:
        if not self.has_room:
            return False
        self.sent.append((self.environment.now_ns(), route, packet))
        return True

    def when_room(self, interface: Interface, listener: RoomListener) -> None:
        self.waiting.append(listener)

    def make_room(self) -> None:
        """Take packets again, and tell those who wait."""
        self.has_room = True
        waiting, self.waiting = self.waiting, []
        for listener in waiting:
            listener.on_room()

    def deliver(
        self,
        header: bytes,
        payload: bytes = b"",
        *,
        version: int = 4,
        source: bytes = b"",
        destination: bytes = b"",
        tos: int = 0,
        gso_size: int = 0,
    ) -> None:
        """Have TCP take a segment."""
        # Something before and behind it: offsets must be respected.
        packet = InPacket(self.nic, b"\xaa" * 20 + header + payload + b"\xbb" * 3)
        packet.version = version
        packet.transport = 20
        packet.end = 20 + len(header) + len(payload)
        packet.protocol = 6
        packet.source = source or REMOTE[version]
        packet.destination = destination or LOCAL[version]
        packet.checksum = CHECKSUM_GOOD
        packet.tos = tos
        packet.gso_size = gso_size
        assert self.tcp.on_packet(packet)


def remote(port: int, version: int = 4) -> Address:
    """Return the address of the peer."""
    return Address(REMOTE[version], port)


def ports_of(header: bytes) -> tuple[int, int]:
    """Return source and destination port of a TCP header."""
    source, destination = struct.unpack_from(">HH", header)
    return source, destination
