"""Segments made at random do no harm, in any state: no exception, bounded memory."""

import random
import struct

import pytest

from netstack.endpoint import SHUT_WRITE, Address
from netstack.errors import CONNECTION_REFUSED, HOST_UNREACHABLE, MESSAGE_TOO_LONG, NetError
from netstack.packet import CHECKSUM_UNKNOWN, InPacket
from netstack.tcp import states
from netstack.tcp.endpoint import TcpEndpoint
from netstack.transport import IcmpError
from netstack.wire.tcp import build
from tests.packets.stack import LOCAL, REMOTE, TcpStack, ports_of
from tests.unit.netstack.harness import VirtualEnvironment

MS = 1_000_000
INTERESTING = (0, 1, 2, 100, 1459, 1460, 1461, 65535, 65536, 1 << 31, (1 << 32) - 1)


class Attack:
    """A connection brought into a state, and somebody who guesses well."""

    def __init__(self, state: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.environment = VirtualEnvironment(seed)
        self.stack = TcpStack(self.environment, gso_max=65536 if seed % 2 else 0)
        self.endpoint = TcpEndpoint(self.stack.tcp, 4)
        self.port = 0
        self.reach(state)

    def reach(self, state: int) -> None:
        if state == states.LISTEN:
            self.endpoint.bind(Address(b"", 8080))
            self.endpoint.listen(3)
            self.port = 8080
            return
        self.endpoint.connect(Address(REMOTE[4], 80))
        header = self.stack.sent[-1][2].header
        self.port = ports_of(header)[0]
        iss = struct.unpack_from(">I", header, 4)[0]
        if state == states.SYN_SENT:
            return
        if state == states.SYN_RECEIVED:
            self.segment(0x02, 0, 0)
            return
        options = bytes.fromhex("020405b40402080a000000010000000001030307")
        echo = struct.unpack_from(">I", header, 28)[0]
        options = options[:12] + struct.pack(">I", echo) + options[16:]
        self.segment(0x12, 0, iss + 1, options=options)
        assert self.endpoint.state() == states.ESTABLISHED
        if state in (states.CLOSE_WAIT, states.LAST_ACK):
            self.segment(0x11, 1, iss + 1)
        if state in (states.FIN_WAIT1, states.FIN_WAIT2, states.CLOSING, states.TIME_WAIT):
            self.endpoint.shutdown(SHUT_WRITE)
        if state == states.LAST_ACK:
            self.endpoint.shutdown(SHUT_WRITE)
        if state in (states.FIN_WAIT2, states.TIME_WAIT):
            self.segment(0x10, 1, iss + 2)
        if state == states.CLOSING:
            self.segment(0x11, 1, iss + 1)
        if state == states.TIME_WAIT:
            self.segment(0x11, 1, iss + 2)
        expected = states.CLOSED if state == states.TIME_WAIT else state
        assert self.endpoint.state() == expected

    def segment(
        self, flags: int, seq: int, ack: int, payload: bytes = b"", options: bytes = b""
    ) -> None:
        header = build(80, self.port, seq, ack, flags, 65535, 0, options)
        self.stack.deliver(header, payload)

    def numbers(self) -> list[int]:
        connection = self.endpoint.connection
        if connection is None:
            return list(INTERESTING)
        near = [connection.rcv_nxt, connection.snd_una, connection.snd_nxt, connection.iss]
        near += [connection.rcv_nxt + connection.rcv_wnd, connection.ts_recent]
        return [*near, self.random.choice(near) + self.random.randrange(-3000, 3000)]

    def number(self) -> int:
        pick = self.random
        if pick.random() < 0.1:
            return pick.choice(INTERESTING)
        base = pick.choice(self.numbers())
        return base + pick.choice((0, 0, 1, -1, 10, -10, 1460, 2920, pick.randrange(70000)))

    def options(self) -> bytes:
        pick = self.random
        kind = pick.randrange(6)
        if kind == 0:
            return b""
        if kind == 1:
            return pick.randbytes(4 * pick.randrange(11))
        blocks = b"".join(
            struct.pack(">II", self.number() & 0xFFFFFFFF, self.number() & 0xFFFFFFFF)
            for _ in range(pick.randrange(1, 5))
        )
        sack = bytes((1, 1, 5, 2 + len(blocks))) + blocks
        connection = self.endpoint.connection
        now = connection.ts_now(self.environment.now) if connection is not None else 0
        value = (connection.ts_recent if connection else 0) + pick.randrange(-2, 1000)
        stamps = struct.pack(">IIi", 0x0101080A, value & 0xFFFFFFFF, 0)[:8] + struct.pack(">I", now)
        return {2: sack, 3: stamps, 4: stamps + sack[:28], 5: stamps}[kind]

    def strike(self) -> None:
        pick = self.random
        flags = pick.choice((0x10, 0x10, 0x18, 0x11, 0x02, 0x12, 0x04, 0x14, 0x30, 0xD0))
        if pick.random() < 0.1:
            flags = pick.randrange(256)
        options = self.options()
        options = options[: len(options) // 4 * 4][:40]
        header = build(
            80 if pick.random() < 0.9 else pick.randrange(65536),
            self.port,
            self.number(),
            self.number(),
            flags,
            pick.choice((0, 1, 500, 65535)),
            pick.randrange(65536),
            options,
        )
        if pick.random() < 0.05:
            header = pick.randbytes(len(header))
        payload = pick.randbytes(pick.choice((0, 0, 0, 1, 10, 1460, 9000)))
        self.stack.deliver(header, payload, tos=pick.randrange(4))

    def live(self) -> None:
        """The user does something, or time passes, or ICMP says something."""
        pick = self.random
        what = pick.randrange(12)
        try:
            if what == 0:
                self.endpoint.write(b"w" * pick.randrange(20000))
            elif what == 1:
                self.endpoint.read(pick.randrange(1, 20000))
            elif what == 2:
                self.environment.advance(pick.randrange(300) * MS)
            elif what == 3:
                self.icmp()
            elif what == 4:
                self.endpoint.readiness()
                self.endpoint.info()
            elif what == 5:
                accepted = self.endpoint.accept()
                if accepted is not None:
                    accepted.write(b"x" * 100)
            elif what == 6:
                self.endpoint.read_urgent()
            elif what == 7:
                self.stack.has_room = False
            elif what == 8:
                self.stack.make_room()
            elif what == 9 and pick.random() < 0.1:
                self.endpoint.shutdown(pick.randrange(1, 4))
            elif what == 10:
                self.endpoint.write_urgent(b"u")
        except NetError:
            pass  # the connection may be over: that is no failure

    def icmp(self) -> None:
        quoted = struct.pack(">HHI", self.port, 80, self.number() & 0xFFFFFFFF)
        code = self.random.choice((MESSAGE_TOO_LONG, HOST_UNREACHABLE, CONNECTION_REFUSED))
        error = IcmpError(code, LOCAL[4], REMOTE[4], 6, quoted[: self.random.randrange(9)])
        error.mtu = self.random.choice((0, 68, 576, 1000, 1500, 65535))
        if len(error.quoted) == 8 or self.random.random() < 0.5:
            self.stack.tcp.on_icmp_error(error)

    def check(self) -> None:
        self.stack.sent.clear()
        protocol = self.stack.tcp
        # One connection, and what a listener with a backlog of 3 may hold.
        assert len(protocol.flows) <= 12
        connection = self.endpoint.connection
        if connection is None:
            return
        assert connection.receive_queue.size <= 400_000
        assert connection.reassembly.charged <= connection.options.receive_buffer + 70_000
        board = connection.scoreboard
        # A loss probe makes two copies of a segment.
        assert 0 <= connection.in_flight() <= 2 * (connection.send_queue.size() + 1)
        sizes = [(sent.end - sent.start, sent) for sent in board.items]
        assert board.sacked_bytes == sum(size for size, sent in sizes if sent.sacked)
        assert board.lost_bytes == sum(size for size, sent in sizes if sent.lost)
        assert board.resent_bytes == sum(size for size, sent in sizes if sent.resent)
        if sizes and connection.state != states.CLOSED:
            assert board.items[0].start == connection.snd_una
            assert board.items[-1].end == connection.snd_nxt
        assert connection.congestion.cwnd >= connection.mss


STATES = [
    states.LISTEN,
    states.SYN_SENT,
    states.SYN_RECEIVED,
    states.ESTABLISHED,
    states.FIN_WAIT1,
    states.FIN_WAIT2,
    states.CLOSE_WAIT,
    states.CLOSING,
    states.LAST_ACK,
    states.TIME_WAIT,
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: states.NAMES[state])
def test_random_segments(state: int) -> None:
    for seed in range(20):
        attack = Attack(state, seed)
        for step in range(60):
            attack.strike()
            if step % 3 == 0:
                attack.live()
            attack.check()
        attack.stack.make_room()
        attack.environment.advance(3_000_000 * MS)
        attack.stack.sent.clear()
        attack.endpoint.close()
        attack.environment.advance(3_000_000 * MS)
        assert list(attack.stack.tcp.flows.values()) == []


def test_packets_of_noise() -> None:
    source = random.Random(5)
    stack = TcpStack(VirtualEnvironment())
    for _ in range(2000):
        data = source.randbytes(source.randrange(80))
        packet = InPacket(stack.nic, data)
        packet.version = 4
        packet.source, packet.destination = REMOTE[4], LOCAL[4]
        packet.checksum = CHECKSUM_UNKNOWN
        assert stack.tcp.on_packet(packet)
    assert stack.tcp.flows == {}
    assert stack.tcp.counters.InErrs > 1900


def test_syn_flood_is_bounded() -> None:
    attack = Attack(states.LISTEN, 1)
    for number in range(3000):
        header = build(number + 1, 8080, number * 7919, 0, 0x02, 1000, 0, b"\x02\x04\x05\xb4")
        attack.stack.deliver(header)
        attack.stack.sent.clear()
    assert len(attack.stack.tcp.flows) <= 3
    assert attack.stack.tcp.counters.SyncookiesSent >= 2990


def test_tiny_pieces_out_of_order_are_bounded() -> None:
    attack = Attack(states.ESTABLISHED, 2)
    connection = attack.endpoint.connection
    assert connection is not None
    for at in range(2, 60_000, 2):
        attack.segment(0x10, 1 + at, connection.snd_nxt, b"x")
        attack.stack.sent.clear()
    assert len(connection.reassembly.runs) <= connection.options.receive_buffer // 256
    assert attack.stack.tcp.counters.TCPOFODrop > 0


def test_odd_sack_blocks_do_not_split_what_was_sent() -> None:
    attack = Attack(states.ESTABLISHED, 5)  # its link takes packets of 64 KiB
    connection = attack.endpoint.connection
    assert connection is not None
    connection.has_sack = True
    attack.endpoint.write(bytes(14_480))
    una = connection.snd_una
    for at in range(1, 14_000, 3):
        edges = struct.pack(">II", (una + at) & 0xFFFFFFFF, (una + at + 1) & 0xFFFFFFFF)
        attack.segment(0x10, 1, una, options=b"\x01\x01\x05\x0a" + edges)
        attack.stack.sent.clear()
    assert len(connection.scoreboard.items) <= 12
    assert connection.scoreboard.sacked_bytes == 0


def test_tiny_pieces_in_order_are_joined() -> None:
    attack = Attack(states.ESTABLISHED, 3)
    connection = attack.endpoint.connection
    assert connection is not None
    for at in range(30_000):
        attack.segment(0x10, 1 + at, connection.snd_nxt, b"x")
        attack.stack.sent.clear()
    assert connection.receive_queue.size == 30_000
    assert len(connection.receive_queue._chunks) < 60
    for at in range(30_000, 70_000):
        attack.segment(0x10, 1 + at, connection.snd_nxt, b"x")
        attack.stack.sent.clear()
    # The window ends where it was promised to, however small the steps are.
    assert connection.receive_queue.size == 64_240
