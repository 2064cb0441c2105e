"""Two TCPs and a wire between them that loses, doubles, delays and reorders."""

import random
import struct
from collections.abc import Callable

from netstack.endpoint import Address
from netstack.environment import Timer
from netstack.packet import CHECKSUM_GOOD, InPacket, OutPacket
from netstack.route import Route
from netstack.tcp.endpoint import TcpEndpoint
from tests.packets.stack import TcpStack
from tests.unit.netstack.harness import VirtualEnvironment

HOSTS = (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
MS = 1_000_000


class Path:
    """What happens to packets in one direction."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.loss = 0.0
        self.duplicate = 0.0
        self.reorder = 0.0
        self.delay = 10 * MS
        self.jitter = 0
        self.rate = 0  # bytes a second; 0: any
        self.queue_limit = 1 << 30  # bytes waiting for the rate
        self.free_at = 0
        self.lost = 0
        self.passed = 0
        self.keep: Callable[[bytes, bytes], bool] | None = None

    def arrivals(self, size: int, now: int) -> list[int]:
        """Return when a packet arrives: not at all, once or twice."""
        if self.random.random() < self.loss:
            self.lost += 1
            return []
        at = now
        if self.rate:
            start = max(self.free_at, now)
            if (start - now) * self.rate // 1_000_000_000 > self.queue_limit:
                self.lost += 1
                return []
            at = self.free_at = start + size * 1_000_000_000 // self.rate
        at += self.delay
        if self.jitter:
            at += self.random.randrange(self.jitter)
        if self.random.random() < self.reorder:
            at += self.random.randrange(1, self.delay + 2 * MS)
        self.passed += 1
        if self.random.random() < self.duplicate:
            return [at, at + self.random.randrange(1, self.delay + MS)]
        return [at]


class Flight(Timer):
    """A packet on the wire."""

    def __init__(self, stack: "WireStack", packet: InPacket) -> None:
        super().__init__()
        self.stack = stack
        self.packet = packet

    def fire(self) -> None:
        assert self.stack.tcp.on_packet(self.packet)


class WireStack(TcpStack):
    """A host at one end of the wire."""

    def __init__(self, environment: VirtualEnvironment, host: bytes, mtu: int, gso: int) -> None:
        super().__init__(environment, mtu, gso)
        self.host = host
        self.local = {host}
        self.virtual = environment
        self.peer: WireStack | None = None
        self.path = Path()
        self.splits = True  # a packet of several segments is split on the wire

    def find_route(
        self, destination: bytes, source: bytes = b"", interface_index: int = 0, mark: int = 0
    ) -> Route:
        route = Route(self.nic, source or self.host, destination, destination)
        route.mtu = self.nic.mtu
        route.generation = self.generation
        return route

    def send(self, route: Route, packet: OutPacket) -> bool:
        if not self.has_room:
            return False
        size = packet.gso_size
        limit = route.mtu if not size else 65535
        assert len(packet.header) + len(packet.payload) + 20 <= limit
        if not size or not self.splits:
            self._send(packet.header, packet.payload, size, packet.tos)
            return True
        seq = struct.unpack_from(">I", packet.header, 4)[0]
        for at in range(0, len(packet.payload), size):
            header = bytearray(packet.header)
            struct.pack_into(">I", header, 4, (seq + at) & 0xFFFFFFFF)
            if at + size < len(packet.payload):
                header[13] &= ~9  # FIN and PSH belong to the last one
            self._send(bytes(header), packet.payload[at : at + size], 0, packet.tos)
        return True

    def _send(self, header: bytes, payload: bytes, gso_size: int, tos: int) -> None:
        assert self.peer is not None
        if self.path.keep is not None and not self.path.keep(header, payload):
            return
        now = self.virtual.now
        for at in self.path.arrivals(len(header) + len(payload) + 34, now):
            packet = InPacket(self.peer.nic, header + payload)
            packet.version = 4
            packet.source, packet.destination = self.host, self.peer.host
            packet.protocol = 6
            packet.checksum = CHECKSUM_GOOD
            packet.gso_size = gso_size
            packet.tos = tos
            self.virtual.arm(Flight(self.peer, packet), at)


class Pair:
    """Two hosts, and a connection between them."""

    def __init__(self, seed: int = 1, mtu: int = 1500, gso: int = 0) -> None:
        self.environment = VirtualEnvironment(seed)
        self.left = WireStack(self.environment, HOSTS[0], mtu, gso)
        self.right = WireStack(self.environment, HOSTS[1], mtu, gso)
        self.left.peer, self.right.peer = self.right, self.left
        self.left.path = Path(seed * 2)
        self.right.path = Path(seed * 2 + 1)
        self.listening = TcpEndpoint(self.right.tcp, 4)
        self.client = TcpEndpoint(self.left.tcp, 4)
        self.server: TcpEndpoint | None = None

    def paths(self) -> tuple[Path, Path]:
        return self.left.path, self.right.path

    def start(self) -> None:
        self.listening.bind(Address(b"", 80))
        self.listening.listen(5)
        self.client.connect(Address(HOSTS[1], 80))

    def connect(self) -> TcpEndpoint:
        """Connect, and return the server's end."""
        self.start()
        for _ in range(3000):
            self.environment.advance(10 * MS)
            self.server = self.server or self.listening.accept()
            if self.server is not None and self.client.state() == 1:
                return self.server
        raise AssertionError("no connection")


class Transfer:
    """One direction of a conversation: writes all of `data`, and collects what arrives."""

    def __init__(self, writer: TcpEndpoint, reader: TcpEndpoint, data: bytes) -> None:
        self.writer = writer
        self.reader = reader
        self.data = data
        self.at = 0
        self.got: list[bytes] = []
        self.is_done = False
        self.chunk = 100_000

    def step(self) -> None:
        """Write and read as much as goes."""
        while self.at < len(self.data):
            count = self.writer.write(self.data[self.at : self.at + self.chunk])
            if count is None:
                break
            self.at += count
            if self.at == len(self.data):
                self.writer.shutdown(2)
        while not self.is_done:
            data = self.reader.read(self.chunk)
            if data is None:
                break
            if not data:
                self.is_done = True
            self.got.append(data)

    def result(self) -> bytes:
        return b"".join(self.got)
