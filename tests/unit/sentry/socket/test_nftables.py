"""nf_tables over netlink: what tools send, byte by byte, and what nobody should."""

import random
from collections.abc import Callable
from pathlib import Path
from struct import pack, unpack_from

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.filter.nft_chain import MAX_DEPTH
from netstack.filter.passage import Passage
from netstack.filter.table import ACCEPT, DROP
from netstack.wire import ipv4, ipv6
from sentry.abi.errno import (
    EEXIST,
    EINVAL,
    EMFILE,
    EMLINK,
    ENOENT,
    EOPNOTSUPP,
    EPERM,
    ERESTART,
)
from sentry.mm.io import KernelSink, KernelSource
from sentry.socket.base import Message
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.net_setup import make_network
from sentry.socket.netlink import NetlinkSocket
from sentry.socket.netlink_wire import attribute, parse_messages
from sentry.socket.nftables import ruleset as bounds
from sentry.socket.nftables.changes import size_of_set
from sentry.socket.nftables.dumps import get_rules, show_chain, show_elements, show_set, show_table
from sentry.socket.nftables.objects import show_object
from sentry.socket.nftables.ruleset import Ruleset, SetElement
from tests.fake_task import FakeTask

REQUEST, ACK, EXCL, CREATE, APPEND = 1, 4, 0x200, 0x400, 0x800
DUMP = 0x300
NEWTABLE, GETTABLE, NEWCHAIN, GETCHAIN, DELCHAIN, NEWRULE, GETRULE = 0, 1, 3, 4, 5, 6, 7
GETGEN = 16
INET, IPV4 = 1, 2
# What nft 1.0.6 sends for a rule set with sets, maps, translation and most expressions.
BATCH = Path(__file__).with_name("nft_batch.bin").read_bytes()


class World:
    """A socket of NETLINK_NETFILTER."""

    def __init__(self, *, capable: bool = True) -> None:
        self.task = FakeTask(pid=2)
        make_network(self.task.kernel, allows_raw=True)
        network = self.task.kernel.network
        assert isinstance(network, NetworkNamespace)
        self.namespace = network
        self.ruleset: Ruleset = network.nftables
        self.task.creds.effective = 1 << 12 if capable else 0
        self.socket = NetlinkSocket(self.task, network, 3, 12)
        self.socket.send_buffer = self.socket.receive_buffer = 4 << 20

    def send(self, data: bytes) -> list[tuple[int, bytes]]:
        """Send a datagram; return the types and contents of the messages that come back."""
        sent = self.socket.try_send(self.task, KernelSource(data), Message(b""), b"", 0)
        assert sent == len(data)
        found: list[tuple[int, bytes]] = []
        while True:
            sink = KernelSink(1 << 20)
            if self.socket.try_receive(sink, Message(b""), 0) is None:
                return found
            found += [(one.kind, one.payload) for one in parse_messages(bytes(sink.data))]

    def batch(self, *messages: bytes) -> list[int]:
        """Send a batch; return the errors of those that asked, in order."""
        answers = self.send(BEGIN + b"".join(messages) + END)
        assert all(kind == 2 for kind, _ in answers)
        return [-unpack_from("<i", payload)[0] for _, payload in answers]


def message(kind: int, payload: bytes, flags: int = REQUEST | ACK) -> bytes:
    data = pack("<IHHII", 16 + len(payload), kind, flags, 7, 0) + payload
    return data + bytes(-len(data) % 4)


def nft(kind: int, family: int, attributes: bytes, flags: int = REQUEST | ACK | CREATE) -> bytes:
    return message(0xA00 | kind, bytes((family, 0, 0, 0)) + attributes, flags)


BEGIN = message(16, b"\0\0\0\x0a", REQUEST)
END = message(17, b"\0\0\0\x0a", REQUEST)


def name(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int, size: int = 4) -> bytes:
    return attribute(kind, (value & (1 << 8 * size) - 1).to_bytes(size, "big"))


def table(value: str) -> bytes:
    return nft(NEWTABLE, IPV4, name(1, value))


def chain(value: str, hook: int = -1, flags: int = REQUEST | ACK | CREATE) -> bytes:
    attributes = name(1, "t") + name(3, value)
    if hook >= 0:
        attributes += attribute(4, number(1, hook) + number(2, 0)) + name(7, "filter")
    return nft(NEWCHAIN, IPV4, attributes, flags)


def expression(kind: str, data: bytes) -> bytes:
    return attribute(1, name(1, kind) + attribute(2, data))


def verdict(code: int, target: str = "") -> bytes:
    inner = number(1, code) + (name(2, target) if target else b"")
    return expression("immediate", number(1, 0) + attribute(2, attribute(2, inner)))


def rule(where: str, *expressions: bytes, flags: int = REQUEST | ACK | CREATE | APPEND) -> bytes:
    attributes = name(1, "t") + name(2, where) + attribute(4, b"".join(expressions))
    return nft(NEWRULE, IPV4, attributes, flags)


def state_of(ruleset: Ruleset) -> list[bytes]:
    """Return all that user space can be shown, but for handles that were given in vain."""
    found = []
    for one in ruleset.tables.values():
        found.append(show_table(one).attributes)
        found += [show_chain(item).attributes for item in one.chains.values()]
        found += [show_object(item).attributes for item in one.objects.values()]
        for held in one.sets.values():
            found.append(show_set(held).attributes)
            rows = [row for row in held.code.elements.values() if isinstance(row, SetElement)]
            found += [row.attributes for row in show_elements(held, rows, 0)]
    return found + [row.attributes for row in get_rules(ruleset, 0, {}, dump=True)]


def check_numbers(ruleset: Ruleset) -> None:
    """What is counted for the bounds is what there is."""
    chains = [one for item in ruleset.tables.values() for one in item.chains.values()]
    sets = [one for item in ruleset.tables.values() for one in item.sets.values()]
    rules = [one for item in chains for one in item.rules]
    assert ruleset.chains == len(chains)
    assert ruleset.rules == len(rules)
    objects = [one for item in ruleset.tables.values() for one in item.objects.values()]
    assert ruleset.sets == len(sets) + len(objects)
    assert ruleset.elements == sum(len(one.code.elements) for one in sets)
    parts = [part for one in rules for part in one.expressions]
    targets = [one.target for item in sets for one in item.code.elements.values()]
    for item in chains:
        own = [part for part in parts if part.chain is item]
        assert item.use == len(own) + len([one for one in targets if one is item])
        assert item.code.rules == [one.code for one in item.rules]
    for held in sets:
        assert held.use == len([part for part in parts if part.set is held])
    kept = sum(len(one.user_data) for one in (*ruleset.tables.values(), *chains))
    for item in objects:
        assert item.use == len([part for part in parts if part.object is item])
    sizes = [size_of_set(one) for one in sets] + [one.size() for one in objects]
    assert ruleset.bytes == kept + sum(sizes) + sum(one.size for one in rules)


def test_generation_is_told_as_linux_tells_it() -> None:
    answers = World().send(message(0xA10, bytes(4), REQUEST))
    assert answers == [
        (
            0xA0F,
            bytes.fromhex("00000001")
            + bytes.fromhex("0800010000000001")
            + bytes.fromhex("0800020000000000")
            + bytes.fromhex("0500030000000000"),
        )
    ]


def test_rule_of_iptables_byte_by_byte() -> None:
    """iptables-nft -A INPUT -p tcp --dport 22 -j REJECT, as it was sent and as it is shown."""
    world = World()
    sent = bytes.fromhex("20000000000a01040200000000000000020000000b00010066696c7465720000")
    sent = bytes.fromhex("20000000000a01040200000000000000020000000b00010066696c7465720000")
    sent += bytes.fromhex(
        "54000000030a0104030000000000000002000000"
        "0b00010066696c7465720000"
        "0a000300494e505554000000"
        "14000480"
        "0800010000000001"
        "0800020000000000"
        "0800050000000001"
        "0b00070066696c7465720000"
    )
    expressions = bytes.fromhex(
        "24000180" "090001006d65746100000000" "14000280" "0800020000000010" "0800010000000001"
        "2c000180" "08000100636d7000" "20000280" "0800010000000001" "0800020000000000"
        "0c000380" "0500010006000000"
        "34000180" "0c0001007061796c6f616400" "24000280" "0800010000000001" "0800020000000002"
        "0800030000000002" "0800040000000002"
        "2c000180" "08000100636d7000" "20000280" "0800010000000001" "0800020000000000"
        "0c000380" "0600010000160000"
        "2c000180" "0c000100636f756e74657200" "1c000280" "0c0001000000000000000000"
        "0c0002000000000000000000"
        "34000180" "0b0001007461726765740000" "24000280" "0b00010052454a4543540000"
        "0800020000000000" "0c0003000300000000000000"
    )  # fmt: skip
    attributes = (
        bytes.fromhex("0b00010066696c74657200000a000200494e505554000000")
        + pack("<HH", 4 + len(expressions), 0x8004)
        + expressions
        + bytes.fromhex("1400058008000100000000060800020000000000")
    )
    sent += nft(NEWRULE, IPV4, attributes, REQUEST | CREATE | APPEND)
    assert world.send(BEGIN + sent + END) == []
    [(kind, shown)] = world.send(
        nft(GETRULE, IPV4, name(1, "filter") + name(2, "INPUT") + number(3, 2, 8), REQUEST)
    )
    assert kind == 0xA06
    assert shown[:4] == bytes.fromhex("02000002")  # family, version, generation
    # The kernel marks no attribute as nested.
    plain = expressions.replace(b"\x80", b"\0")
    assert shown[4:] == (
        bytes.fromhex("0b00010066696c74657200000a000200494e505554000000")
        + bytes.fromhex("0c0003000000000000000002")
        + pack("<HH", 4 + len(expressions), 4)
        + plain
    )
    [(_, shown)] = world.send(nft(GETCHAIN, IPV4, name(1, "filter") + name(3, "INPUT"), REQUEST))
    assert shown[4:] == bytes.fromhex(
        "0b00010066696c7465720000" "0a000300494e505554000000" "0c0002000000000000000001"
        "14000400" "0800010000000001" "0800020000000000"
        "0800050000000001" "0b00070066696c7465720000" "08000a0000000001" "0800060000000001"
    )  # fmt: skip


def test_batch_is_all_or_nothing() -> None:
    world = World()
    assert world.batch(table("t"), chain("a"), chain("in", 1), rule("in", verdict(1))) == [0] * 4
    before = state_of(world.ruleset)
    errors = world.batch(
        rule("in", verdict(0)),
        rule("nowhere", verdict(0)),
        nft(DELCHAIN, IPV4, name(1, "t") + name(3, "a")),
        nft(NEWTABLE, IPV4, name(1, "t"), REQUEST | ACK | EXCL),
    )
    assert errors == [0, ENOENT, 0, EEXIST]
    assert state_of(world.ruleset) == before
    check_numbers(world.ruleset)
    assert world.ruleset.generation == 2


def test_batch_without_an_end_changes_nothing() -> None:
    world = World()
    assert world.send(BEGIN + table("t")) == [(2, pack("<i", 0) + table("t")[:16])]
    assert not world.ruleset.tables
    assert world.send(BEGIN + table("t") + BEGIN + END) == []
    assert not world.ruleset.tables


def test_batch_for_an_old_generation_is_refused() -> None:
    world = World()
    begin = message(16, b"\0\0\0\x0a" + number(1, 9), REQUEST)
    [(_, payload)] = world.send(begin + table("t") + END)
    assert unpack_from("<i", payload)[0] == -ERESTART
    begin = message(16, b"\0\0\0\x0a" + number(1, 1), REQUEST)
    world.send(begin + table("t") + END)
    assert world.ruleset.tables


def test_nobody_without_the_capability_asks_or_changes() -> None:
    world = World(capable=False)
    for data in (BEGIN + table("t") + END, nft(GETTABLE, 0, b"", REQUEST)):
        answers = world.send(data)
        assert {unpack_from("<i", payload)[0] for _, payload in answers} == {-EPERM}
    assert not world.ruleset.tables


def test_errors_say_where_they_are() -> None:
    world = World()
    world.socket.set_option(world.task, 270, 11, pack("<i", 1))  # NETLINK_EXT_ACK
    bad = rule("nowhere", verdict(0))
    answers = world.send(BEGIN + table("t") + bad + END)
    assert answers[1][1] == (pack("<i", -ENOENT) + bad + pack("<HHI", 8, 2, 20 + len(name(1, "t"))))


def test_circles_and_depth_are_refused_at_the_rule_that_makes_them() -> None:
    world = World()
    chains = [chain(f"c{place}") for place in range(MAX_DEPTH + 1)]
    assert set(world.batch(table("t"), chain("in", 1), *chains)) == {0}
    jump = 0xFFFF_FFFD
    before = state_of(world.ruleset)
    assert world.batch(
        rule("c1", verdict(jump, "c2")), rule("c2", verdict(jump, "c1")), rule("in", verdict(1))
    ) == [0, 0, 0]  # nothing leads there yet
    assert world.batch(rule("in", verdict(1)), rule("in", verdict(jump, "c1"))) == [0, EMLINK]
    world.batch(nft(8, IPV4, name(1, "t")))
    row = [rule(f"c{place}", verdict(jump, f"c{place + 1}")) for place in range(MAX_DEPTH)]
    assert set(world.batch(*row)) == {0}
    assert world.batch(rule("in", verdict(jump, "c0"))) == [EMLINK]
    assert world.batch(rule("in", verdict(jump, "c2"))) == [0]
    assert world.batch(rule("in", verdict(jump, "in"))) == [EOPNOTSUPP]
    world.batch(nft(8, IPV4, name(1, "t")))
    assert state_of(world.ruleset) == before
    check_numbers(world.ruleset)


def test_growth_is_bounded() -> None:
    world = World()
    world.batch(table("t"), chain("in", 1))
    world.ruleset.rules = bounds.MAX_RULES
    assert world.batch(rule("in", verdict(1))) == [EMFILE]
    world.ruleset.rules = 0
    world.ruleset.chains = bounds.MAX_CHAINS
    assert world.batch(chain("x")) == [EMFILE]
    world.ruleset.chains = 1
    world.ruleset.bytes = bounds.MAX_BYTES
    assert world.batch(rule("in", verdict(1))) == [EMFILE]
    world.ruleset.bytes = 0
    tables = [table(f"t{place}") for place in range(bounds.MAX_TABLES)]
    errors = world.batch(*tables)
    assert errors[-1] == EMFILE
    assert set(errors[:-1]) == {0}
    assert len(world.ruleset.tables) == 1


def test_chains_that_call_each_other_often_end() -> None:
    """Fifteen chains, each with thirty calls of the next: 30^15 rules."""
    world = World()
    world.batch(table("t"), chain("in", 1), *(chain(f"c{place}") for place in range(15)))
    for place in range(14):
        calls = [rule(f"c{place}", verdict(0xFFFF_FFFD, f"c{place + 1}")) for _ in range(30)]
        assert set(world.batch(*calls)) == {0}
    assert world.batch(rule("in", verdict(0xFFFF_FFFD, "c0"))) == [0]
    assert [step.run(passage(4), 1) for step in steps(world)] == [DROP]


def steps(world: World) -> list:
    return world.ruleset.filters[4].steps[1]


def passage(version: int, protocol: int = 17) -> Passage:
    body = bytes.fromhex("00050050000c0000") + bytes(24)
    if version == 6:
        return Passage(
            ipv6.build_header(bytes(15) + b"\1", bytes(15) + b"\2", protocol, 9, len(body), 0, 0)
            + body,
            0,
            0,
        )
    hosts = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
    return Passage(ipv4.build(*hosts, protocol, len(body), 9) + body, 0, 0)


def test_nothing_is_met_where_there_is_nothing() -> None:
    world = World()
    network = world.namespace.stack.networks[4]
    assert network.filter is None
    world.batch(table("t"), chain("a"))
    assert network.filter is None
    world.batch(chain("in", 1))
    assert network.filter is not None
    world.batch(nft(2, 0, b""))
    assert network.filter is None
    assert network.filter is world.namespace.stack.networks[6].filter


def test_the_whole_batch_of_nft_comes_and_goes() -> None:
    world = World()
    assert world.send(BATCH) == []
    check_numbers(world.ruleset)
    assert [len(item.chains) for item in world.ruleset.tables.values()] == [4]
    assert world.ruleset.filters[6].tracks
    world.batch(nft(2, 0, b""))
    check_numbers(world.ruleset)
    assert not world.ruleset.filters[6].tracks
    assert (world.ruleset.rules, world.ruleset.elements, world.ruleset.bytes) == (0, 0, 0)


def run_packets(world: World) -> None:
    """Whatever the rules are, packets get a verdict."""
    for version in (4, 6):
        rules = world.ruleset.filters[version]
        for protocol in (1, 6, 17, 58, 99):
            for hook in range(5):
                packet = passage(version, protocol)
                for step in rules.steps[hook]:
                    assert step.run(packet, hook) in {ACCEPT, DROP}


def fuzz(data: bytes) -> None:
    """Send a batch over rules that are there: it is done as a whole or not at all."""
    world = World()
    world.send(BATCH)
    before, generation = state_of(world.ruleset), world.ruleset.generation
    world.send(data)
    if world.ruleset.generation == generation:
        assert state_of(world.ruleset) == before
    check_numbers(world.ruleset)
    run_packets(world)
    world.send(nft(GETRULE, 0, b"", REQUEST | DUMP))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1 << 32), count=st.integers(1, 6))
def test_batches_with_wrong_bits(seed: int, count: int) -> None:
    generator = random.Random(seed)
    broken = bytearray(BATCH)
    for _ in range(count):
        broken[generator.randrange(len(broken))] ^= 1 << generator.randrange(8)
    fuzz(bytes(broken))


LEAVES = st.one_of(
    st.integers(0, 30).map(lambda value: value.to_bytes(4, "big")),
    st.sampled_from((b"t\0", b"in\0", b"sub\0", b"s\0", b"m\0", b"filter\0", b"nat\0", b"cmp\0")),
    st.sampled_from((b"lookup\0", b"payload\0", b"immediate\0", b"bitwise\0", b"ct\0", b"nat\0")),
    st.binary(max_size=20),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(st.tuples(st.integers(0, 12), inner), max_size=5).map(
        lambda rows: b"".join(attribute(kind, data) for kind, data in rows)
    ),
    max_leaves=12,
)


@settings(max_examples=250, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 33), st.integers(0, 0xFFF), TREES), min_size=1, max_size=4
    )
)
def test_hostile_batches(rows: list[tuple[int, int, bytes]]) -> None:
    named = name(1, "t")
    made = [nft(kind, INET, named + data, flags | REQUEST) for kind, flags, data in rows]
    fuzz(BEGIN + b"".join(made) + END)


@settings(max_examples=200, deadline=None)
@given(
    subsystem=st.sampled_from((1, 2, 10, 11)),
    kind=st.integers(0, 33),
    flags=st.integers(0, 0xFFF),
    family=st.sampled_from((0, 1, 2, 10, 99)),
    data=TREES,
)
def test_hostile_questions(subsystem: int, kind: int, flags: int, family: int, data: bytes) -> None:
    world = World()
    world.send(BATCH)
    payload = bytes((family, 0, 0, 0)) + data
    world.send(message(subsystem << 8 | kind, payload, flags | REQUEST))
    check_numbers(world.ruleset)


def test_connections_are_asked_for_by_tuple() -> None:
    world = World()
    table_of = world.ruleset.filters[4].connections
    packet = passage(4)
    table_of.track(packet)
    assert table_of.confirm(packet)
    hosts = attribute(1, bytes((10, 0, 0, 1))) + attribute(2, bytes((10, 0, 0, 2)))
    ports = attribute(1, b"\x11") + number(2, 5, 2) + number(3, 80, 2)
    item = attribute(0x8001, attribute(0x8001, hosts) + attribute(0x8002, ports))
    [(kind, shown)] = world.send(message(0x101, bytes((IPV4, 0, 0, 0)) + item, REQUEST))
    assert kind == 0x100
    assert shown[4 : 4 + 0x34] == bytes.fromhex(
        "34000180" "14000180" "080001000a000001" "080002000a000002"
        "1c000280" "0500010011000000" "0600020000050000" "0600030000500000"
    )  # fmt: skip
    wrong = item.replace(b"\0\x50", b"\0\x51")
    [(_, error)] = world.send(message(0x101, bytes((IPV4, 0, 0, 0)) + wrong, REQUEST))
    assert unpack_from("<i", error)[0] == -ENOENT
    [(_, error)] = world.send(message(0x102, bytes((IPV4, 0, 0, 0)) + item, REQUEST | ACK))
    assert unpack_from("<i", error)[0] == 0
    assert not table_of.order


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (lambda: expression("nonsense", b""), ENOENT),
        (lambda: expression("cmp", number(1, 1) + number(2, 0)), EINVAL),
        (lambda: expression("payload", number(1, 99) + number(2, 1) + number(3, 0)), EINVAL),
        (lambda: expression("meta", number(2, 23) + number(1, 1)), EOPNOTSUPP),
        (lambda: expression("masq", b""), EOPNOTSUPP),
        (lambda: verdict(77), EINVAL),
        (lambda: verdict(3), EOPNOTSUPP),
    ],
)
def test_expressions_that_there_are_none_of(made: Callable[[], bytes], error: int) -> None:
    world = World()
    world.batch(table("t"), chain("in", 1))
    assert world.batch(rule("in", made())) == [error]
    check_numbers(world.ruleset)
