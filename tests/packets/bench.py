"""How fast TCP is over a perfect wire: `python -m tests.packets.bench`.

No network layer and no timers take part; "segments" counts what either side sends.
"""

import time
from collections import deque

from netstack.endpoint import Address
from netstack.packet import CHECKSUM_GOOD, InPacket, OutPacket
from netstack.route import Route
from netstack.tcp.endpoint import TcpEndpoint
from tests.packets.stack import TcpStack
from tests.packets.wire import HOSTS
from tests.unit.netstack.harness import VirtualEnvironment


class PipeStack(TcpStack):
    """A host whose packets arrive at once, when the benchmark says so."""

    def __init__(self, environment: VirtualEnvironment, host: bytes, mtu: int, gso: int) -> None:
        super().__init__(environment, mtu, gso)
        self.host = host
        self.other = HOSTS[1] if host == HOSTS[0] else HOSTS[0]
        self.queue: deque[OutPacket] = deque()
        self.count = 0
        self.route: Route | None = None

    def find_route(
        self, destination: bytes, source: bytes = b"", interface_index: int = 0, mark: int = 0
    ) -> Route:
        route = Route(self.nic, self.host, destination, destination)
        route.mtu = self.nic.mtu
        route.generation = self.generation
        return route

    def send(self, route: Route, packet: OutPacket) -> bool:
        self.queue.append(packet)
        self.count += 1
        return True

    def take(self, packet: OutPacket) -> None:
        made = InPacket(self.nic, packet.header + packet.payload)
        made.version = 4
        made.source, made.destination = self.other, self.host
        made.checksum = CHECKSUM_GOOD
        made.gso_size = packet.gso_size
        self.tcp.on_packet(made)


class Bench:
    """Two hosts and a connection."""

    def __init__(self, mtu: int, gso: int) -> None:
        self.environment = VirtualEnvironment()
        self.left = PipeStack(self.environment, HOSTS[0], mtu, gso)
        self.right = PipeStack(self.environment, HOSTS[1], mtu, gso)
        listening = TcpEndpoint(self.right.tcp, 4)
        listening.bind(Address(b"", 80))
        listening.listen(5)
        self.listening = listening
        self.client, self.server = self.open()

    def open(self) -> tuple[TcpEndpoint, TcpEndpoint]:
        client = TcpEndpoint(self.left.tcp, 4)
        client.connect(Address(HOSTS[1], 80))
        self.carry()
        server = self.listening.accept()
        assert server is not None
        return client, server

    def carry(self) -> None:
        """Deliver until nothing is under way."""
        left, right = self.left, self.right
        while left.queue or right.queue:
            while left.queue:
                right.take(left.queue.popleft())
            while right.queue:
                left.take(right.queue.popleft())
            self.environment.now += 100_000

    def count(self) -> int:
        return self.left.count + self.right.count


def bulk(mtu: int, gso: int, size: int) -> None:
    bench = Bench(mtu, gso)
    data = bytes(65536)
    before = bench.count()
    begun = time.perf_counter()
    written = got = 0
    while got < size:
        while written < size:
            count = bench.client.write(data)
            if count is None:
                break
            written += count
        bench.carry()
        while True:
            part = bench.server.read(1 << 20)
            if not part:
                break
            got += len(part)
        bench.carry()
    taken = time.perf_counter() - begun
    segments = bench.count() - before
    print(
        f"bulk, MTU {mtu}, GSO {gso}: {got / taken / 1e6:.0f} MB/s, "
        f"{segments / taken / 1000:.0f} k segments/s, {taken / segments * 1e6:.1f} us each"
    )


def requests(rounds: int) -> None:
    bench = Bench(1500, 65536)
    bench.client.set_nodelay(True)
    before = bench.count()
    begun = time.perf_counter()
    for _ in range(rounds):
        bench.client.write(b"q" * 64)
        bench.carry()
        bench.server.read(1000)
        bench.server.write(b"a" * 64)
        bench.carry()
        bench.client.read(1000)
    taken = time.perf_counter() - begun
    segments = bench.count() - before
    print(
        f"request and response: {rounds / taken / 1000:.1f} k/s, "
        f"{segments / rounds:.2f} segments each, {taken / segments * 1e6:.1f} us a segment"
    )


def connections(rounds: int) -> None:
    bench = Bench(1500, 0)
    begun = time.perf_counter()
    for _ in range(rounds):
        client, server = bench.open()
        client.write(b"q")
        bench.carry()
        server.read(10)
        client.close()
        bench.carry()
        server.close()
        bench.carry()
    taken = time.perf_counter() - begun
    print(f"connections: {rounds / taken / 1000:.1f} k/s, {taken / rounds * 1e6:.0f} us each")


if __name__ == "__main__":
    bulk(65535, 65536, 1 << 30)
    bulk(1500, 65536, 1 << 29)
    bulk(1500, 0, 1 << 26)
    requests(20000)
    connections(5000)
