"""Order at hooks, IPv6 packets as rules see them, and any packets past any rules."""

from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.build import new_stack
from netstack.filter.conntrack import ConnectionTable, inverted, tuple_at
from netstack.filter.hooks import PacketFilter, Step
from netstack.filter.more_matches import MssTarget, NthMatch
from netstack.filter.passage import (
    ESTABLISHED,
    LOCAL_IN,
    NEW,
    RELATED,
    UNTRACKED,
    Passage,
    upper_layer,
)
from netstack.filter.table import ACCEPT, DROP
from netstack.wire import icmp6, ipv4, ipv6
from netstack.wire.checksum import checksum, finish, pseudo_header, replace
from tests.unit.netstack.harness import VirtualEnvironment, ip

HERE, THERE = bytes.fromhex("fd" + "00" * 14 + "01"), bytes.fromhex("fd" + "00" * 14 + "02")
OTHER = bytes.fromhex("fd77" + "00" * 13 + "09")
OFFSETS = {6: 16, 17: 6, 58: 2}


class Noted(Step):
    """Notes that it was met."""

    def __init__(self, name: str, priority: int, met: list[str], verdict: int = ACCEPT) -> None:
        super().__init__(priority)
        self.name = name
        self.met = met
        self.verdict = verdict

    def run(self, passage: Passage, hook: int) -> int:
        self.met.append(self.name)
        return self.verdict


def packet6(protocol: int, body: bytes, source: bytes = HERE, to: bytes = THERE) -> bytes:
    """Return a packet with its checksum."""
    at = OFFSETS[protocol]
    body = replace(body, at, 0)
    total = pseudo_header(source, to, protocol, len(body))
    body = replace(body, at, finish(checksum(body, total)))
    return ipv6.build_header(source, to, protocol, 64, len(body), 0, 0) + body


def is_right(data: bytes) -> bool:
    protocol, at, _ = upper_layer(data, 0, len(data))
    total = pseudo_header(data[8:24], data[24:40], protocol, len(data) - at)
    return checksum(data[at:], total) == 0


def udp(port: int = 5, to: int = 9) -> bytes:
    return pack(">4H", port, to, 12, 0) + b"data"


def test_steps_are_met_by_priority_and_the_newest_first() -> None:
    stack, _ = new_stack(VirtualEnvironment())
    rules = PacketFilter(stack, stack.networks[4])
    met: list[str] = []
    for name, priority in (("a", 0), ("b", -5), ("c", 7), ("d", 0), ("e", 7)):
        rules.register(Noted(name, priority, met), LOCAL_IN)
    last = Noted("f", 5, met, DROP)
    rules.register(last, LOCAL_IN)
    rules.rebuild()
    packet = Passage(ipv4.build(ip("1.0.0.1"), ip("1.0.0.2"), 17, 0, 1), 0, 0)
    assert [step.run(packet, LOCAL_IN) for step in rules.steps[LOCAL_IN]].count(DROP) == 1
    assert met == ["b", "d", "a", "f", "e", "c"]
    assert stack.networks[4].filter is rules
    assert stack.networks[6].filter is None
    rules.unregister(last, LOCAL_IN)
    rules.rebuild()
    assert last not in rules.steps[LOCAL_IN]


def test_both_versions_share_their_connections() -> None:
    stack, _ = new_stack(VirtualEnvironment())
    four = PacketFilter(stack, stack.networks[4])
    six = PacketFilter(stack, stack.networks[6], four)
    assert six.connections is four.connections
    step = Noted("", 0, [])
    step.needs_tracking = True
    six.register(step, LOCAL_IN)
    six.rebuild()
    passage = Passage(packet6(17, udp()), 0, 0)
    six.connections.track(passage)
    assert six.connections.confirm(passage)
    four.rebuild()  # which tracks nothing itself
    assert len(four.connections.order) == 1
    six.unregister(step, LOCAL_IN)
    six.rebuild()
    assert not four.connections.order


def test_connections_of_ipv6() -> None:
    table = ConnectionTable(VirtualEnvironment())
    asked = Passage(packet6(17, udp(5, 9)), 0, 0)
    table.track(asked)
    assert (asked.state, table.confirm(asked)) == (NEW, True)
    answer = Passage(packet6(17, udp(9, 5), THERE, HERE), 0, 0)
    table.track(answer)
    assert (answer.state, answer.is_reply, answer.connection) == (
        ESTABLISHED,
        True,
        asked.connection,
    )
    error = Passage(packet6(58, icmp6.build_error(1, 4, 0, asked.data), THERE, HERE), 0, 0)
    table.track(error)
    assert (error.state, error.connection) == (RELATED, asked.connection)
    ping = Passage(packet6(58, bytes((128, 0, 0, 0, 0, 7, 0, 1))), 0, 0)
    table.track(ping)
    assert ping.connection is not None
    assert ping.connection.reply == (THERE, HERE, 58, 7, 129 << 8)
    for kind in (*range(130, 138), 143):
        neighbour = Passage(packet6(58, bytes((kind, 0)) + bytes(22)), 0, 0)
        table.track(neighbour)
        assert neighbour.state == UNTRACKED


def test_extension_headers_are_passed_over() -> None:
    plain = packet6(17, udp())
    options = bytes((17, 0, 1, 4, 0, 0, 0, 0))
    data = ipv6.build_header(HERE, THERE, 0, 64, 20, 0, 0) + options + plain[40:]
    assert upper_layer(data, 0, len(data)) == (17, 48, 0)
    item = tuple_at(data, 0, len(data))
    assert item == (HERE, THERE, 17, 5, 9)
    assert inverted(inverted(item)) == item
    later = ipv6.build_fragment_header(17, 8, 7, 0)
    data = ipv6.build_header(HERE, THERE, 44, 64, 20, 0, 0) + later + plain[40:]
    assert upper_layer(data, 0, len(data)) == (17, 48, 8)
    assert tuple_at(data, 0, len(data)) is None
    assert not Passage(data, 0, 0).has_transport(8)


@given(
    body=st.binary(min_size=20, max_size=60),
    protocol=st.sampled_from((6, 17, 58)),
    port=st.integers(0, 65535),
)
def test_rewritten_packets_of_ipv6_keep_right_checksums(
    body: bytes, protocol: int, port: int
) -> None:
    if protocol == 17 and finish(checksum(body)) == 0:
        return
    data = packet6(protocol, body)
    passage = Passage(data, 0, 0)
    passage.set_source(OTHER, port)
    assert is_right(passage.data) or protocol == 17 and data[46:48] == b"\0\0"
    passage.set_destination(HERE, port)
    assert passage.data[8:40] == OTHER + HERE
    assert is_right(passage.data) or protocol == 17 and data[46:48] == b"\0\0"
    assert len(passage.data) == len(data)


def test_quoted_packets_of_ipv6_are_rewritten() -> None:
    quoted = packet6(17, udp(5, 9))
    passage = Passage(packet6(58, icmp6.build_error(1, 4, 0, quoted), THERE, HERE), 0, 0)
    assert passage.is_icmp_error()
    passage.set_quoted(is_source=True, host=OTHER, port=77)
    inner = passage.data[48:]
    assert inner[8:24] == OTHER
    assert inner[40:42] == (77).to_bytes(2, "big")
    assert is_right(passage.data)
    assert is_right(inner)


def test_segment_size_at_an_odd_place_keeps_the_checksum_right() -> None:
    stack, _ = new_stack(VirtualEnvironment())
    for options in (b"\1\2\4\x05\xb4\1\1\1", b"\2\4\x05\xb4", b"\1\1\2\4\x05\xb4\1\1"):
        head = pack(">HHIIBBHHH", 5, 9, 1, 0, (20 + len(options)) // 4 << 4, 2, 100, 0, 0)
        passage = Passage(packet6(6, head + options), 0, 0)
        assert MssTarget(stack.networks[6], 1001).run(passage, LOCAL_IN) < 0
        assert options.replace(b"\x05\xb4", b"\x03\xe9") == passage.data[60:]
        assert is_right(passage.data)


def test_every_third_packet() -> None:
    match = NthMatch(2, 0, inverted=False)
    passage = Passage(packet6(17, udp()), 0, 0)
    assert [match.matches(passage) for _ in range(6)] == [False, False, True] * 2


@settings(max_examples=300)
@given(body=st.binary(max_size=100), first=st.integers(0, 255), fragment=st.integers(0, 65535))
def test_any_packet_has_a_tuple_or_none(body: bytes, first: int, fragment: int) -> None:
    table = ConnectionTable(VirtualEnvironment())
    six = ipv6.build_header(HERE, THERE, first, 64, len(body), 0, 0) + body
    head = ipv4.build(ip("1.0.0.1"), ip("1.0.0.2"), first, len(body), 9)
    four = head[:6] + fragment.to_bytes(2, "big") + head[8:] + body
    for data in (six, four):
        passage = Passage(data, 0, 0)
        assert passage.transport <= len(data)
        table.track(passage)
        table.confirm(passage)
        if passage.connection is not None:
            size = len(passage.source)
            passage.set_source(bytes(size), 5)
            passage.set_destination(bytes(size), 6)
            assert len(passage.data) == len(data)
