"""Tables of rules, connection tracking and translation, on stacks with a virtual clock."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.endpoint import Address
from netstack.errors import PERMISSION, NetError
from netstack.filter import conntrack, tcp_states
from netstack.filter.conntrack import Connection, inverted, tuple_at
from netstack.filter.hooks import TABLE_HOOKS, PacketFilter
from netstack.filter.matches import HeaderMatch, LimitMatch, OwnerMatch, PortMatch, StateMatch
from netstack.filter.nat import Range
from netstack.filter.passage import (
    ESTABLISHED,
    FORWARD,
    INVALID,
    LOCAL_IN,
    LOCAL_OUT,
    NEW,
    POST_ROUTING,
    PRE_ROUTING,
    RELATED,
    Passage,
)
from netstack.filter.table import ACCEPT, DROP, JUMP, RETURN, Match, Rule, Table, Target, Verdict
from netstack.filter.targets import (
    TCP_RESET,
    MasqueradeTarget,
    NatTarget,
    NotrackTarget,
    RedirectTarget,
    RejectTarget,
)
from netstack.interface import InterfaceAddress
from netstack.ip.ipv4 import Ipv4
from netstack.route import RouteEntry
from netstack.stack import Stack
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.protocol import TcpProtocol
from netstack.udp import UdpEndpoint
from netstack.wire import ipv4
from netstack.wire.checksum import checksum, finish, pseudo_header, replace
from netstack.wire.icmp4 import build as build_icmp
from netstack.wire.tcp import PROTOCOL_TCP
from tests.unit.netstack.harness import SECOND, Host, Pair, VirtualEnvironment, ip, wire


def rules_of(stack: Stack) -> PacketFilter:
    network = stack.networks[4]
    assert isinstance(network, Ipv4)
    return network.filter or PacketFilter(stack, network)


def table_of(name: str, rules: dict[int, list[tuple[list[Match], Target]]]) -> Table:
    """Return a table with some rules for hooks, and the policy ACCEPT."""
    made: list[Rule] = []
    entries, ends = [-1] * 5, [-1] * 5
    for hook in TABLE_HOOKS[name]:
        entries[hook] = len(made)
        made += [Rule(matches, target) for matches, target in rules.get(hook, [])]
        ends[hook] = len(made)
        made.append(Rule([], Verdict(ACCEPT)))
    made.append(Rule([], Verdict(DROP)))
    return Table(name, made, entries, ends)


def protocol(number: int) -> HeaderMatch:
    made = HeaderMatch()
    made.protocol = number
    return made


def to_port(port: int) -> list[Match]:
    return [protocol(17), PortMatch((0, 65535), (port, port))]


def udp_at(host: Host, address: str, port: int) -> UdpEndpoint:
    made = host.udp.new_endpoint(4)
    made.bind(Address(ip(address), port))
    return made


def at(host: str, port: int = -1) -> Range:
    made = Range()
    if host:
        made.low = made.high = ip(host)
    if port >= 0:
        made.has_ports = True
        made.low_port = made.high_port = port
    return made


def test_dropped_packet_is_counted_and_others_pass() -> None:
    pair = Pair()
    rules = rules_of(pair.right.stack)
    table = table_of("filter", {LOCAL_IN: [(to_port(9), Verdict(DROP))]})
    rules.set_table(table)
    nine, ten = udp_at(pair.right, "10.0.0.2", 9), udp_at(pair.right, "10.0.0.2", 10)
    client = udp_at(pair.left, "10.0.0.1", 5)
    client.send(b"abc", Address(ip("10.0.0.2"), 9))
    client.send(b"abc", Address(ip("10.0.0.2"), 10))
    pair.run()
    assert nine.receive() is None
    assert ten.receive() is not None
    assert [(rule.packets, rule.bytes) for rule in table.rules] == [
        (1, 31),
        (1, 31),
        (0, 0),
        (0, 0),
        (0, 0),
    ]
    assert rules.drops[LOCAL_IN] == 1


def test_what_may_not_be_sent_is_an_error_to_the_sender() -> None:
    pair = Pair()
    rules_of(pair.left.stack).set_table(table_of("filter", {LOCAL_OUT: [([], Verdict(DROP))]}))
    client = udp_at(pair.left, "10.0.0.1", 5)
    with pytest.raises(NetError) as caught:
        client.send(b"abc", Address(ip("10.0.0.2"), 9))
    assert caught.value.code == PERMISSION


def test_chains_return_to_their_callers() -> None:
    passage = Passage(ipv4.build(ip("1.0.0.1"), ip("1.0.0.2"), 17, 0, 1), 0, 0)
    rules = [
        Rule([], Verdict(JUMP, 3)),  # 0: the hook begins
        Rule([], Verdict(DROP)),  # 1: where the jump returns to
        Rule([], Verdict(ACCEPT)),  # 2: the policy
        Rule([], Verdict(JUMP, 5, is_goto=True)),  # 3: a chain
        Rule([], Verdict(ACCEPT)),  # 4: never
        Rule([], Verdict(RETURN)),  # 5: another one
    ]
    table = Table("filter", rules, [-1, 0, -1, -1, -1], [-1, 2, -1, -1, -1])
    assert table.run(passage, LOCAL_IN) == DROP
    assert [rule.packets for rule in rules] == [1, 1, 0, 1, 0, 1]
    rules[0] = Rule([], Verdict(RETURN))  # from the hook's own chain: its policy
    assert table.run(passage, LOCAL_IN) == ACCEPT


def test_calls_that_multiply_end() -> None:
    """Chain n calls chain n+1 twice: 2^40 rules would be met."""
    depth = 40
    rules = []
    for level in range(depth):
        target = (level + 1) * 3 if level + 1 < depth else depth * 3
        rules += [Rule([], Verdict(JUMP, target)), Rule([], Verdict(JUMP, target))]
        rules.append(Rule([], Verdict(RETURN)))
    rules.append(Rule([], Verdict(RETURN)))
    table = Table("filter", rules, [-1, 0, -1, -1, -1], [-1, 2, -1, -1, -1])
    passage = Passage(ipv4.build(ip("1.0.0.1"), ip("1.0.0.2"), 17, 0, 1), 0, 0)
    assert table.run(passage, LOCAL_IN) == DROP
    assert table.overruns == 1


def test_limit_lets_a_burst_pass_and_then_a_rate() -> None:
    pair = Pair()
    match = LimitMatch(pair.environment, SECOND // 2, 3)
    passage = Passage(ipv4.build(ip("1.0.0.1"), ip("1.0.0.2"), 17, 0, 1), 0, 0)
    assert [match.matches(passage) for _ in range(5)] == [True] * 3 + [False] * 2
    pair.environment.advance(SECOND)
    assert [match.matches(passage) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("user", "inverted", "expected"),
    [(5, False, True), (6, False, False), (6, True, True), (-1, False, False), (-1, True, True)],
)
def test_owner(user: int, inverted: bool, expected: bool) -> None:
    match = OwnerMatch()
    match.users, match.not_users = (5, 5), inverted
    passage = Passage(ipv4.build(ip("1.0.0.1"), ip("1.0.0.2"), 17, 0, 1), 0, 0)
    passage.user = user
    assert match.matches(passage) is expected


def test_socket_owner_reaches_the_rules() -> None:
    pair = Pair()
    match = OwnerMatch()
    match.users = (1000, 1000)
    rules_of(pair.left.stack).set_table(table_of("filter", {LOCAL_OUT: [([match], Verdict(DROP))]}))
    client = udp_at(pair.left, "10.0.0.1", 5)
    assert client.send(b"abc", Address(ip("10.0.0.2"), 9)) == 3
    client.user = 1000
    with pytest.raises(NetError):
        client.send(b"abc", Address(ip("10.0.0.2"), 9))


# Connections.


def stateful(stack: Stack) -> None:
    """Only let in what answers."""
    mask = 1 << ESTABLISHED | 1 << RELATED
    rules: list[tuple[list[Match], Target]] = [
        ([StateMatch(mask)], Verdict(ACCEPT)),
        ([], Verdict(DROP)),
    ]
    rules_of(stack).set_table(table_of("filter", {LOCAL_IN: rules}))


def test_answers_are_let_in_and_questions_not() -> None:
    pair = Pair()
    stateful(pair.left.stack)
    server, client = udp_at(pair.right, "10.0.0.2", 9), udp_at(pair.left, "10.0.0.1", 5)
    server.send(b"out of the blue", Address(ip("10.0.0.1"), 5))
    pair.run()
    assert client.receive() is None
    client.send(b"question", Address(ip("10.0.0.2"), 9))
    pair.run()
    server.send(b"answer", Address(ip("10.0.0.1"), 5))
    pair.run()
    received = client.receive()
    assert received is not None
    assert received.payload == b"answer"
    pair.run(200 * SECOND)  # it is forgotten
    server.send(b"late", Address(ip("10.0.0.1"), 5))
    pair.run()
    assert client.receive() is None


def test_errors_about_a_connection_are_related() -> None:
    pair = Pair()
    stateful(pair.left.stack)
    client = pair.left.udp.new_endpoint(4)
    client.connect(Address(ip("10.0.0.2"), 9))
    client.send(b"question")
    pair.run()
    with pytest.raises(NetError):
        client.receive()


def test_table_of_connections_is_bounded() -> None:
    pair = Pair()
    stateful(pair.left.stack)
    rules_of(pair.left.stack).connections.limit = 8
    client = udp_at(pair.left, "10.0.0.1", 5)
    for port in range(20):
        client.send(b"question", Address(ip("10.0.0.2"), 100 + port))
    table = rules_of(pair.left.stack).connections
    assert len(table.order) <= 8
    assert len(table.connections) <= 16
    pair.run(300 * SECOND)
    assert not table.connections
    assert not table.deadline_ns


def test_notrack() -> None:
    pair = Pair()
    rules = rules_of(pair.left.stack)
    rules.set_table(table_of("raw", {LOCAL_OUT: [([], NotrackTarget())]}))
    udp_at(pair.left, "10.0.0.1", 5).send(b"x", Address(ip("10.0.0.2"), 9))
    assert not rules.connections.connections


FIN, SYN, RST, ACK = 1, 2, 4, 16


@pytest.mark.parametrize(
    ("segments", "state"),
    [
        ([(SYN, 0)], tcp_states.SYN_SENT),
        ([(SYN, 0), (SYN | ACK, 1)], tcp_states.SYN_RECEIVED),
        ([(SYN, 0), (SYN | ACK, 1), (ACK, 0)], tcp_states.ESTABLISHED),
        ([(ACK, 0)], tcp_states.ESTABLISHED),
        ([(ACK, 0), (FIN | ACK, 1), (ACK, 0)], tcp_states.CLOSE_WAIT),
        ([(ACK, 0), (FIN | ACK, 1), (FIN | ACK, 0)], tcp_states.LAST_ACK),
        ([(ACK, 0), (FIN | ACK, 1), (FIN | ACK, 0), (ACK, 1)], tcp_states.TIME_WAIT),
        ([(SYN, 0), (RST | ACK, 1)], tcp_states.CLOSED),
    ],
)
def test_tcp_states(segments: list[tuple[int, int]], state: int) -> None:
    tracked = tcp_states.TcpState()
    assert all(tracked.take(flags, is_reply=bool(reply)) for flags, reply in segments)
    assert tracked.state == state


@pytest.mark.parametrize("flags", [0, FIN, RST, SYN | ACK, SYN | FIN, FIN | ACK])
def test_no_connection_begins_like_this(flags: int) -> None:
    assert not tcp_states.TcpState().take(flags, is_reply=False)


# Translation.


class Router:
    """left (10.0.0.1) and right (10.1.0.1) with a router between them, which is 10.x.0.254."""

    def __init__(self) -> None:
        self.pair = Pair()  # for its clock
        environment = self.pair.environment
        one, two = wire(environment)
        three, four = wire(environment)
        self.left = Host(environment, one, ip("10.0.0.1"))
        self.right = Host(environment, four, ip("10.1.0.1"))
        self.router = Host(environment, two, ip("10.0.0.254"))
        self.outer = self.router.stack.add_interface("eth1", three)
        self.router.stack.set_up(self.outer)
        self.router.stack.add_address(self.outer, InterfaceAddress(ip("10.1.0.254"), 24))
        self.router.stack.settings.ip_forward = True
        default = RouteEntry(ip("0.0.0.0"), 0, self.left.interface, ip("10.0.0.254"))
        self.left.stack.add_route(default)

    def run(self) -> None:
        self.pair.run()


def test_masquerade_both_ways_and_its_errors() -> None:
    world = Router()
    rules = rules_of(world.router.stack)
    target = MasqueradeTarget(rules, Range())
    rules.set_table(table_of("nat", {POST_ROUTING: [([], target)]}))
    server = udp_at(world.right, "10.1.0.1", 9)
    client = world.left.udp.new_endpoint(4)
    client.connect(Address(ip("10.1.0.1"), 9))
    client.send(b"question")
    world.run()
    received = server.receive()
    assert received is not None
    assert received.source.host == ip("10.1.0.254")
    server.send(b"answer", received.source)
    world.run()
    answer = client.receive()
    assert answer is not None
    assert answer.payload == b"answer"
    server.close()
    client.send(b"question")  # right answers with an ICMP error, which the router translates
    world.run()
    with pytest.raises(NetError):
        client.receive()


def test_two_with_the_same_port_are_told_apart() -> None:
    world = Router()
    rules = rules_of(world.router.stack)
    rules.set_table(table_of("nat", {POST_ROUTING: [([], MasqueradeTarget(rules, Range()))]}))
    world.left.stack.add_address(world.left.interface, InterfaceAddress(ip("10.0.0.2"), 24))
    server = udp_at(world.right, "10.1.0.1", 9)
    peers = []
    for host in ("10.0.0.1", "10.0.0.2"):
        client = udp_at(world.left, host, 7000)
        client.send(b"x", Address(ip("10.1.0.1"), 9))
        world.run()
        received = server.receive()
        assert received is not None
        server.send(host.encode(), received.source)
        world.run()
        answer = client.receive()
        assert answer is not None
        assert answer.payload == host.encode()
        peers.append(received.source.port)
    assert peers[0] == 7000
    assert peers[1] != 7000
    assert peers[1] >= 1024


def test_tcp_through_destination_translation() -> None:
    world = Router()
    rules = rules_of(world.router.stack)
    nat = NatTarget(rules, at("10.1.0.1", 80))
    rules.set_table(table_of("nat", {PRE_ROUTING: [([protocol(6)], nat)]}))
    default = RouteEntry(ip("0.0.0.0"), 0, world.right.interface, ip("10.1.0.254"))
    world.right.stack.add_route(default)
    protocols = []
    for host in (world.left, world.right):
        protocols.append(TcpProtocol(host.stack))
        host.stack.register_transport(PROTOCOL_TCP, protocols[-1])
    listener = TcpEndpoint(protocols[1], 4)
    listener.bind(Address(ip("10.1.0.1"), 80))
    listener.listen(5)
    client = TcpEndpoint(protocols[0], 4)
    client.connect(Address(ip("10.0.0.254"), 8080))
    for _ in range(5):
        world.run()
    accepted = listener.accept()
    assert accepted is not None
    client.write(b"hello")
    world.run()
    assert accepted.read(100) == b"hello"


def test_reject_with_reset_and_forwarded() -> None:
    world = Router()
    rules = rules_of(world.router.stack)
    reject = RejectTarget(rules, TCP_RESET)
    rules.set_table(table_of("filter", {FORWARD: [([protocol(6)], reject)]}))
    tcp = TcpProtocol(world.left.stack)
    world.left.stack.register_transport(PROTOCOL_TCP, tcp)
    client = TcpEndpoint(tcp, 4)
    client.connect(Address(ip("10.1.0.1"), 80))
    for _ in range(3):
        world.run()
    assert client.take_error()


def test_redirect_of_what_comes_in() -> None:
    pair = Pair()
    rules = rules_of(pair.right.stack)
    target = RedirectTarget(rules, at("", 9))
    rules.set_table(table_of("nat", {PRE_ROUTING: [(to_port(53), target)]}))
    server, client = udp_at(pair.right, "10.0.0.2", 9), udp_at(pair.left, "10.0.0.1", 5)
    client.send(b"question", Address(ip("10.0.0.2"), 53))
    pair.run()
    assert server.receive() is not None
    server.send(b"answer", Address(ip("10.0.0.1"), 5))
    pair.run()
    answer = client.receive()
    assert answer is not None
    assert answer.source.port == 53


def test_fragments_are_tracked_whole() -> None:
    pair = Pair()
    rules = rules_of(pair.right.stack)
    target = RedirectTarget(rules, at("", 9))
    rules.set_table(table_of("nat", {PRE_ROUTING: [(to_port(53), target)]}))
    server, client = udp_at(pair.right, "10.0.0.2", 9), udp_at(pair.left, "10.0.0.1", 5)
    client.send(bytes(4000), Address(ip("10.0.0.2"), 53))
    pair.run()
    received = server.receive()
    assert received is not None
    assert received.payload == bytes(4000)


# Bytes.


def udp_packet(payload: bytes) -> bytes:
    source, destination = ip("10.0.0.1"), ip("10.0.0.2")
    body = b"\x00\x05\x00\x09" + (8 + len(payload)).to_bytes(2, "big") + b"\0\0" + payload
    total = checksum(body, pseudo_header(source, destination, 17, len(body)))
    body = replace(body, 6, finish(total) or 0xFFFF)
    return ipv4.build(source, destination, 17, len(body), 64) + body


@given(st.binary(max_size=60), st.integers(0, 2**32 - 1), st.integers(0, 65535))
@settings(max_examples=300, deadline=None)
def test_rewritten_packets_have_right_checksums(payload: bytes, host: int, port: int) -> None:
    error = ipv4.build(ip("10.0.0.2"), ip("10.0.0.1"), 1, 36 + len(payload), 64)
    error += build_icmp(3, 3, 0, udp_packet(payload))
    passage = Passage(udp_packet(payload), 0, 0)
    passage.set_source(host.to_bytes(4, "big"), port)
    data = passage.data
    assert not checksum(data[:20])
    assert not checksum(data[20:], pseudo_header(data[12:16], data[16:20], 17, len(data) - 20))
    assert tuple_at(data, 0, len(data)) == (host.to_bytes(4, "big"), ip("10.0.0.2"), 17, port, 9)
    passage = Passage(error, 0, 0)
    passage.set_quoted(is_source=True, host=host.to_bytes(4, "big"), port=port)
    assert not checksum(passage.data[20:])
    inner = passage.data[28:]
    assert not checksum(inner[:20])
    assert not checksum(inner[20:], pseudo_header(inner[12:16], inner[16:20], 17, len(inner) - 20))


@given(st.binary(min_size=20, max_size=80), st.integers(0, 2**32 - 1), st.integers(0, 65535))
@settings(max_examples=300, deadline=None)
def test_nothing_that_arrives_raises(data: bytes, host: int, port: int) -> None:
    packet = b"\x45" + data[1:]
    address = host.to_bytes(4, "big")
    table = conntrack.ConnectionTable(VirtualEnvironment())
    tracked = Passage(packet, 0, 0)
    table.track(tracked)
    assert tracked.state in {INVALID, NEW}
    passage = Passage(packet, 0, 0)
    passage.set_destination(address, port)
    assert passage.data[16:20] == address
    assert len(passage.data) == len(packet)
    if passage.is_icmp_error() and tuple_at(packet, 28, len(packet)) is not None:
        passage.set_quoted(is_source=False, host=address, port=port)
        assert passage.data[44:48] == address
        assert len(passage.data) == len(packet)


def test_inverting_twice_is_nothing() -> None:
    ping = (ip("1.0.0.1"), ip("1.0.0.2"), 1, 7, 8 << 8)
    assert inverted(ping) == (ip("1.0.0.2"), ip("1.0.0.1"), 1, 7, 0)
    assert inverted(inverted(ping)) == ping
    assert Connection(Pair().environment, ping).reply == inverted(ping)


@pytest.mark.parametrize(
    ("name", "mask", "expected"),
    [
        (b"eth0", 5, True),
        (b"eth1", 5, False),
        (b"eth", 3, True),
        (b"eth", 4, False),
        (b"", 0, True),
    ],
)
def test_interface_names(name: bytes, mask: int, expected: bool) -> None:
    match = HeaderMatch()
    match.input_name = int.from_bytes(name.ljust(16, b"\0"), "big")
    match.input_mask = int.from_bytes((b"\xff" * mask).ljust(16, b"\0"), "big")
    passage = Passage(ipv4.build(ip("1.0.0.1"), ip("1.0.0.2"), 17, 0, 1), 0, 0)
    passage.input = Pair().left.interface
    assert match.matches(passage) is expected
    match.not_input = True
    assert match.matches(passage) is not expected
