"""What users of an endpoint see: addresses, groups of listeners, both versions, the real stack."""

import itertools

import pytest

from netstack.endpoint import EVENT_IN, EVENT_OUT, Address
from netstack.errors import (
    ADDRESS_IN_USE,
    ADDRESS_NOT_AVAILABLE,
    FAMILY,
    INVALID,
    NOT_FOUND,
    NetError,
)
from netstack.tcp.connection import Connection, LateAcks
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.protocol import TcpProtocol
from netstack.tcp.receive import send_late_ack
from netstack.wire.tcp import SYN, build
from tests.packets.stack import LOCAL, REMOTE, TcpStack, ports_of
from tests.packets.wire import HOSTS, MS, Pair
from tests.unit.netstack.harness import CaptureLink, Host, RecordingListener, VirtualEnvironment, ip


def new_stack() -> TcpStack:
    return TcpStack(VirtualEnvironment())


def code(excinfo: pytest.ExceptionInfo[NetError]) -> int:
    return excinfo.value.code


def listener(stack: TcpStack, host: bytes = b"", version: int = 4, **flags: bool) -> TcpEndpoint:
    made = TcpEndpoint(stack.tcp, version)
    for name, value in flags.items():
        setattr(made.options, name, value)
    made.bind(Address(host, 8080))
    made.listen(100)
    return made


def shake(stack: TcpStack, port: int, version: int = 4) -> bool:
    """Do a handshake from outside; return whether anybody listened."""
    stack.sent.clear()
    stack.deliver(build(port, 8080, 5, 0, SYN, 1000, 0, b""), version=version)
    answer = stack.sent[-1][2].header
    if answer[13] & 4:
        return False
    iss = int.from_bytes(answer[4:8], "big")
    stack.deliver(build(port, 8080, 6, iss + 1, 0x10, 1000, 0, b""), version=version)
    return True


def test_bind_errors() -> None:
    stack = new_stack()
    first = TcpEndpoint(stack.tcp, 4)
    first.bind(Address(LOCAL[4], 8080))
    with pytest.raises(NetError) as again:
        first.bind(Address(b"", 9))
    assert code(again) == INVALID
    for host, expected in (
        (LOCAL[4], ADDRESS_IN_USE),
        (b"", ADDRESS_IN_USE),
        (REMOTE[4], ADDRESS_NOT_AVAILABLE),
        (LOCAL[6], FAMILY),
    ):
        with pytest.raises(NetError) as problem:
            TcpEndpoint(stack.tcp, 4).bind(Address(host, 8080))
        assert code(problem) == expected
    first.close()
    TcpEndpoint(stack.tcp, 4).bind(Address(b"", 8080))


def test_bind_chooses_a_port() -> None:
    stack = new_stack()
    endpoint = TcpEndpoint(stack.tcp, 4)
    endpoint.bind(Address(b"", 0))
    assert 32768 <= endpoint.local_address().port <= 60999


def test_addresses() -> None:
    pair = Pair()
    server = pair.connect()
    client = pair.client
    assert client.remote_address() == Address(HOSTS[1], 80)
    assert client.local_address().host == HOSTS[0]
    assert server.remote_address() == client.local_address()
    assert server.local_address() == Address(HOSTS[1], 80)
    assert TcpEndpoint(pair.left.tcp, 4).remote_address() is None


def test_listen_twice_changes_the_backlog() -> None:
    stack = new_stack()
    made = listener(stack)
    made.listen(0)
    made.listen(-1)
    assert made.info().sacked == stack.tcp.settings.somaxconn
    with pytest.raises(NetError):
        TcpEndpoint(stack.tcp, 4).accept()


def test_two_listeners_on_one_port() -> None:
    stack = new_stack()
    listener(stack, reuse_address=True)
    other = TcpEndpoint(stack.tcp, 4)
    other.options.reuse_address = True
    with pytest.raises(NetError) as problem:
        other.bind(Address(b"", 8080))
    assert code(problem) == ADDRESS_IN_USE


def test_reuse_port_spreads() -> None:
    stack = new_stack()
    group = [listener(stack, reuse_port=True) for _ in range(4)]
    for port in range(1000, 1100):
        assert shake(stack, port)
    counts = []
    for member in group:
        count = 0
        while member.accept() is not None:
            count += 1
        counts.append(count)
    assert sum(counts) == 100
    assert min(counts) > 10


def test_narrow_binding_wins() -> None:
    stack = new_stack()
    wide = listener(stack, reuse_port=True)
    narrow = listener(stack, LOCAL[4], reuse_port=True)
    assert shake(stack, 1000)
    assert wide.accept() is None
    assert narrow.accept() is not None


def test_dual_stack() -> None:
    stack = new_stack()
    both = listener(stack, version=6, reuse_address=True)
    assert shake(stack, 1000, 4)
    assert shake(stack, 1001, 6)
    first, second = both.accept(), both.accept()
    assert first is not None
    assert second is not None
    assert first.remote_address() == Address(REMOTE[4], 1000)
    assert second.remote_address() == Address(REMOTE[6], 1001)
    both.close()
    only = listener(stack, version=6, v6_only=True, reuse_address=True)
    assert not shake(stack, 1002, 4)
    assert shake(stack, 1003, 6)
    assert only.accept() is not None


def test_dual_stack_connects_with_ipv4() -> None:
    stack = new_stack()
    endpoint = TcpEndpoint(stack.tcp, 6)
    assert not endpoint.connect(Address(REMOTE[4], 80))
    assert endpoint.local_address().host == LOCAL[4]
    other = TcpEndpoint(stack.tcp, 6)
    other.options.v6_only = True
    with pytest.raises(NetError) as problem:
        other.connect(Address(REMOTE[4], 80))
    assert code(problem) == FAMILY


def test_ephemeral_ports_differ_and_return() -> None:
    stack = new_stack()
    made = [TcpEndpoint(stack.tcp, 4) for _ in range(50)]
    for endpoint in made:
        endpoint.connect(Address(REMOTE[4], 80))
    ports = {ports_of(packet.header)[0] for _, _, packet in stack.sent}
    assert len(ports) == 50
    for endpoint in made:
        endpoint.close()
    assert stack.tcp.ports.bindings == {}


def test_ephemeral_ports_run_out() -> None:
    stack = new_stack()
    stack.settings.ip_local_port_low, stack.settings.ip_local_port_high = 40000, 40001
    for _ in range(2):
        TcpEndpoint(stack.tcp, 4).connect(Address(REMOTE[4], 80))
    with pytest.raises(NetError) as problem:
        TcpEndpoint(stack.tcp, 4).connect(Address(REMOTE[4], 80))
    assert code(problem) == ADDRESS_NOT_AVAILABLE
    # To another place, the same ports may be used again.
    TcpEndpoint(stack.tcp, 4).connect(Address(REMOTE[4], 81))


def test_initial_numbers_are_not_guessable_by_counting() -> None:
    stack = new_stack()
    for port in range(20):
        TcpEndpoint(stack.tcp, 4).connect(Address(REMOTE[4], 80 + port))
    isns = {int.from_bytes(packet.header[4:8], "big") for _, _, packet in stack.sent}
    assert len(isns) == 20
    ordered = sorted(isns)
    assert max(b - a for a, b in itertools.pairwise(ordered)) > 1 << 24


def test_accepted_inherits_options() -> None:
    stack = new_stack()
    made = listener(stack, nodelay=True, keepalive=True)
    assert shake(stack, 1000)
    accepted = made.accept()
    assert accepted is not None
    assert accepted.options.nodelay
    assert accepted.options is not made.options
    assert accepted.connection is not None
    assert accepted.connection.keep_deadline > 0


def test_options() -> None:
    endpoint = TcpEndpoint(new_stack().tcp, 4)
    endpoint.set_linger2(500)
    assert endpoint.options.linger2 == 120_000 * MS
    endpoint.set_defer_accept(5)
    assert endpoint.defer_accept() == 7
    endpoint.set_receive_buffer(1)
    assert endpoint.options.receive_buffer == 2304
    endpoint.set_send_buffer(1)
    assert endpoint.options.send_buffer == 4608
    assert endpoint.mss() == 536
    assert endpoint.is_quickack()
    for bad in (87, 40000):
        with pytest.raises(NetError):
            endpoint.set_user_mss(bad)
    with pytest.raises(NetError) as problem:
        endpoint.set_congestion_control("bbr")
    assert code(problem) == NOT_FOUND


def test_events_reach_a_listener_set_later() -> None:
    pair = Pair()
    server = pair.connect()
    events = RecordingListener()
    server.listener = events
    pair.client.write(b"hello")
    pair.environment.advance(100 * MS)
    assert events.events == [EVENT_IN]
    assert server.readiness() == EVENT_IN | EVENT_OUT


def test_receive_buffer_follows_the_reader() -> None:
    pair = Pair(gso=65536)
    for path in pair.paths():
        path.delay = 20 * MS
    server = pair.connect()
    before = server.options.receive_buffer
    data = bytes(100_000)
    for _ in range(400):
        pair.client.write(data)
        pair.environment.advance(10 * MS)
        while server.read(1 << 20):
            pass
    assert server.options.receive_buffer > 4 * before
    assert pair.client.options.send_buffer > 1_000_000


def test_back_pressure_loses_nothing() -> None:
    pair = Pair()
    server = pair.connect()
    sent, got = bytes(range(256)) * 400, b""
    at = 0
    for turn in range(400):
        pair.left.has_room = turn % 3 == 0
        if pair.left.has_room:
            pair.left.make_room()
        at += pair.client.write(sent[at:]) or 0 if at < len(sent) else 0
        pair.environment.advance(7 * MS)
        got += server.read(1 << 20) or b""
    assert got == sent
    assert pair.left.tcp.counters.TCPTimeouts == 0


def test_over_the_loopback_of_a_real_stack() -> None:
    environment = VirtualEnvironment()
    host = Host(environment, CaptureLink(), ip("10.0.0.1"))
    protocol = TcpProtocol(host.stack)
    listening = TcpEndpoint(protocol, 4)
    listening.bind(Address(b"", 80))
    listening.listen(5)
    client = TcpEndpoint(protocol, 4)
    client.connect(Address(b"", 80))
    environment.advance(MS)
    server = listening.accept()
    assert server is not None
    assert client.connect(Address(b"", 80))
    data = bytes(n & 0xFF for n in range(1_000_000))
    at, got = 0, b""
    for _ in range(200):
        at += client.write(data[at:]) or 0
        environment.advance(MS)
        got += server.read(1 << 20) or b""
    assert got == data
    assert client.info().total_retrans == 0
    refused = TcpEndpoint(protocol, 4)
    refused.connect(Address(b"", 81))
    environment.advance(MS)
    with pytest.raises(NetError):
        refused.connect(Address(b"", 81))
    assert refused.connection is None


def test_over_ipv4_with_checksums() -> None:
    environment = VirtualEnvironment()
    host = Host(environment, CaptureLink(), ip("10.0.0.1"))
    protocol = TcpProtocol(host.stack)
    frame = bytes.fromhex("020000000001 0200000000aa 0800")
    # IP header and a SYN to a closed port, with both checksums right, then one bit off.
    head = bytes.fromhex("4500 0028 0001 0000 4006 66cd 0a000002 0a000001")
    good = bytes.fromhex("03e8 0050 00000001 00000000 5002 2000 77a7 0000")
    host.receive(frame + head + good)
    assert (protocol.counters.OutRsts, protocol.counters.InCsumErrors) == (1, 0)
    host.receive(frame + head + good[:-1] + b"\x01")
    host.receive(frame + head + good[:5] + b"\x07" + good[6:])
    assert (protocol.counters.OutRsts, protocol.counters.InCsumErrors) == (1, 2)


class Holder(LateAcks):
    """Holds acknowledgments back until a test lets them go."""

    def __init__(self, *, agrees: bool = True) -> None:
        self.held: list[Connection] = []
        self.agrees = agrees

    def hold(self, connection: Connection) -> bool:
        self.held.append(connection)
        return self.agrees


class Receiver:
    """An accepted connection past its first quick acknowledgments, and how it acknowledges."""

    def __init__(self, holder: Holder) -> None:
        self.stack = new_stack()
        self.stack.tcp.late_acks = holder
        listening = listener(self.stack)
        assert shake(self.stack, 5000)
        found = listening.accept()
        assert found is not None
        assert found.connection is not None
        self.endpoint = found
        self.connection = found.connection
        self.connection.quick_acks = 0
        self.iss = int.from_bytes(self.stack.sent[-1][2].header[4:8], "big")
        self.seq = 6
        self.stack.sent.clear()

    def take(self, count: int) -> None:
        for _ in range(count):
            header = build(5000, 8080, self.seq, self.iss + 1, 0x10, 1000, 0, b"")
            self.stack.deliver(header, b"d" * 536)
            self.seq += 536

    def acks(self) -> list[int]:
        """Return up to where it has acknowledged since it was asked last."""
        found = [int.from_bytes(packet.header[8:12], "big") - 6 for _, _, packet in self.stack.sent]
        self.stack.sent.clear()
        return found


def test_acknowledgments_wait_for_a_read_that_comes_soon() -> None:
    holder = Holder()
    receiver = Receiver(holder)
    receiver.take(4)
    assert receiver.acks() == []
    assert holder.held == [receiver.connection]
    assert receiver.endpoint.read(100_000) == b"d" * 4 * 536
    assert receiver.acks() == [4 * 536]
    send_late_ack(receiver.connection, 0)
    assert receiver.acks() == []


def test_late_acknowledgments_go_without_a_read() -> None:
    receiver = Receiver(Holder())
    receiver.take(3)
    send_late_ack(receiver.connection, receiver.stack.environment.now_ns())
    assert receiver.acks() == [3 * 536]
    # And what comes then may wait anew.
    receiver.take(2)
    assert receiver.acks() == []


def test_acknowledgments_do_not_wait_for_much_nor_where_nobody_looks_after_them() -> None:
    receiver = Receiver(Holder())
    window = receiver.connection.rcv_wnd
    receiver.take(window // 536 // 2)
    assert len(receiver.acks()) >= 1
    refused = Receiver(Holder(agrees=False))
    refused.take(4)
    assert refused.acks() == [2 * 536, 4 * 536]


def test_bursts_wait_for_full_packets() -> None:
    """Unless there is little and nothing in flight, and until the user says there is no more."""
    stack = TcpStack(VirtualEnvironment(), gso_max=65536)
    listening = listener(stack)
    assert shake(stack, 5000)
    endpoint = listening.accept()
    assert endpoint is not None
    assert endpoint.connection is not None
    endpoint.options.send_buffer = endpoint.connection.snd_wnd = 1 << 20
    endpoint.connection.congestion.cwnd = 1 << 20
    stack.sent.clear()
    for _ in range(3):
        space = endpoint.write_space(40_000)
        assert space is not None
        space[:] = b"w" * len(space)
        endpoint.wrote(len(space), may_wait=True)
    sizes = [len(packet.payload) for _, _, packet in stack.sent]
    assert sizes[0] == 40_000  # nothing was in flight
    assert sizes[1:] == [sizes[1]]
    assert 65_536 - 200 - 536 < sizes[1] < 65_536
    assert endpoint.has_burst()
    # Acknowledgments do not end it.
    iss = int.from_bytes(stack.sent[0][2].header[4:8], "big")
    acked = iss + sum(sizes)
    stack.deliver(build(5000, 8080, 6, acked, 0x10, 60_000, 0, b""))
    assert [len(packet.payload) for _, _, packet in stack.sent] == sizes
    endpoint.end_burst()
    assert not endpoint.has_burst()
    assert sum(len(packet.payload) for _, _, packet in stack.sent) == 120_000
    endpoint.set_nodelay(True)
    endpoint.write(b"now", may_wait=True)
    assert bytes(stack.sent[-1][2].payload) == b"now"
