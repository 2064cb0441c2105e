"""What strangers and peers can make grow stays within bounds, and others do not suffer."""

import struct
import time
import tracemalloc

from netstack.endpoint import Address
from netstack.tcp.connection import Connection
from netstack.tcp.endpoint import TcpEndpoint
from netstack.wire.tcp import ACK, SYN, build, parse, sack_option, syn_options
from tests.packets.notation import stream
from tests.packets.stack import REMOTE, TcpStack
from tests.unit.netstack.harness import VirtualEnvironment

LISTEN_PORT = 8080
PEER_ISN = 1000
WINDOW = 65535


class Server:
    """A listening stack, and peers that are no more than the segments they send."""

    def __init__(self, backlog: int, gso_max: int = 0) -> None:
        self.environment = VirtualEnvironment()
        self.stack = TcpStack(self.environment, gso_max=gso_max)
        self.listening = TcpEndpoint(self.stack.tcp, 4)
        self.listening.bind(Address(b"", LISTEN_PORT))
        self.listening.listen(backlog)

    def send(self, source: bytes, port: int, seq: int, ack: int, flags: int, **more: bytes) -> None:
        options = more.get("options", b"")
        header = build(port, LISTEN_PORT, seq, ack, flags, WINDOW, 0, options)
        self.stack.deliver(header, more.get("payload", b""), source=source)

    def syn(self, source: bytes, port: int, *, with_options: bool = True) -> int:
        """Send a SYN; return the number in the answer."""
        options = syn_options(1460, 7, True, False, 0, 0) if with_options else b""
        self.send(source, port, PEER_ISN, 0, SYN, options=options)
        header = self.stack.sent[-1][2].header
        self.stack.sent.clear()
        return struct.unpack_from(">I", header, 4)[0]

    def connect(self, source: bytes, port: int) -> tuple[TcpEndpoint, int]:
        """Complete a handshake; return our end, and our first sequence number."""
        iss = self.syn(source, port)
        self.send(source, port, PEER_ISN + 1, iss + 1, ACK)
        made = self.listening.accept()
        assert made is not None
        return made, iss


def stranger(number: int) -> bytes:
    return b"\x0b" + number.to_bytes(3, "big")


def test_a_syn_flood_takes_no_more_than_the_backlog() -> None:
    server = Server(64)
    known, iss = server.connect(REMOTE[4], 4000)
    tracemalloc.start()
    for number in range(2000):
        server.syn(stranger(number), 5000)
    before = tracemalloc.get_traced_memory()[0]
    for number in range(2000, 6000):
        server.syn(stranger(number), 5000)
        if number % 1000 == 0:
            # Who is connected goes on.
            at = PEER_ISN + 1 + (number // 1000 - 2) * 10
            server.send(REMOTE[4], 4000, at, iss + 1, ACK, payload=stream(0, 10))
            assert known.read(100) == stream(0, 10)
            server.stack.sent.clear()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(server.stack.tcp.flows) == 64 + 1
    assert grown < 64_000
    assert server.stack.tcp.counters.SyncookiesSent == 6000 - 64
    # And who means it gets in.
    made, _ = server.connect(REMOTE[4], 4001)
    assert made.state() == 1


def test_half_open_connections_vanish() -> None:
    server = Server(64)
    for number in range(100):
        server.syn(stranger(number), 5000)
    server.environment.advance(70_000_000_000)
    assert len(server.stack.tcp.flows) == 0
    assert server.environment.armed() == 0


def test_connections_cost_the_same_however_many_there_are() -> None:
    server = Server(64)
    kept = []
    took = []
    tracemalloc.start()
    sizes = [tracemalloc.get_traced_memory()[0]]
    for part in range(4):
        begun = time.process_time()
        for number in range(part * 500, part * 500 + 500):
            kept.append(server.connect(stranger(number), 6000))
        took.append(time.process_time() - begun)
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len(server.stack.tcp.flows) == 2000
    assert (sizes[4] - sizes[1]) / 1500 < 16_000
    assert took[3] < 4 * took[0] + 0.2
    # They go as they came.
    for endpoint, _ in kept:
        endpoint.options.linger_enabled = True
        endpoint.close()
    assert len(server.stack.tcp.flows) == 0


def connection_of(endpoint: TcpEndpoint) -> Connection:
    assert endpoint.connection is not None
    return endpoint.connection


def test_single_bytes_out_of_order_take_no_more_than_the_buffer() -> None:
    server = Server(5)
    endpoint, iss = server.connect(REMOTE[4], 4000)
    connection = connection_of(endpoint)
    for number in range(20_000):
        # Each in a hole of its own.
        at = PEER_ISN + 3 + 2 * number
        server.send(REMOTE[4], 4000, at, iss + 1, ACK, payload=b"x")
        if number % 500 == 0:
            server.stack.sent.clear()
    limit = endpoint.options.receive_buffer
    assert connection.reassembly.charged <= limit
    assert len(connection.reassembly.runs) <= limit // 256
    assert server.stack.tcp.counters.TCPOFODrop > 10_000
    # What was kept counts once the holes are filled; what was dropped comes again.
    server.stack.sent.clear()
    data = b"x" * 1000
    for at in range(0, 50_000, 1000):
        server.send(REMOTE[4], 4000, PEER_ISN + 1 + at, iss + 1, ACK, payload=data)
    got = 0
    while (part := endpoint.read(65536)) is not None:
        got += len(part)
    assert got == 50_000
    assert connection.reassembly.charged == 0


def test_blocks_of_any_kind_do_not_make_the_scoreboard_grow() -> None:
    server = Server(5, gso_max=65536)
    endpoint, iss = server.connect(REMOTE[4], 4000)
    connection = connection_of(endpoint)
    connection.congestion.cwnd = 10_000_000
    connection.snd_wnd = 10_000_000
    endpoint.set_send_buffer(2_000_000)
    endpoint.set_nodelay(True)
    for _ in range(30):
        endpoint.write(bytes(60_000))
    flight = connection.snd_nxt - connection.snd_una
    assert flight == 1_800_000
    segments = flight // connection.mss + 30
    random = server.environment.random
    begun = time.process_time()
    for number in range(3000):
        blocks = []
        for _ in range(4):
            left = random.randrange(flight)
            blocks.append((iss + 1 + left, iss + 1 + left + random.randrange(1, 5000)))
        options = sack_option(blocks)
        server.send(REMOTE[4], 4000, PEER_ISN + 1, iss + 1, ACK, options=options)
        if number % 100 == 0:
            assert len(connection.scoreboard.items) <= segments
            server.stack.sent.clear()
    board = connection.scoreboard
    assert len(board.items) <= segments
    assert 0 <= board.sacked_bytes <= flight
    assert time.process_time() - begun < 20
    server.send(REMOTE[4], 4000, PEER_ISN + 1, iss + 1 + flight, ACK)
    assert connection.scoreboard.is_empty()
    assert endpoint.unacknowledged() == 0


def test_a_closed_window_does_not_make_the_queue_grow() -> None:
    server = Server(5)
    endpoint, iss = server.connect(REMOTE[4], 4000)
    connection = connection_of(endpoint)
    at = PEER_ISN + 1
    for _ in range(3000):
        server.send(REMOTE[4], 4000, at, iss + 1, ACK, payload=bytes(1000))
        at = max(at, parse_ack(server) or at)
        server.stack.sent.clear()
    assert endpoint.unread() <= endpoint.options.receive_buffer
    assert connection.receive_window() < 1000


def parse_ack(server: Server) -> int:
    """Return what we acknowledged last; 0 if nothing was sent."""
    if not server.stack.sent:
        return 0
    header = server.stack.sent[-1][2].header
    segment = parse(header, 0, len(header))
    assert segment is not None
    return segment.ack
