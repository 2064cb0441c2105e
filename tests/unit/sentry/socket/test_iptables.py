"""The parser of tables of rules, with what no user space would send."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.filter.hooks import PacketFilter
from netstack.filter.passage import LOCAL_IN, Passage
from netstack.ip.ipv4 import Ipv4
from netstack.wire import ipv4
from sentry.abi.errno import EINVAL, ELOOP
from sentry.errors import SysError
from sentry.socket.iptables import entry_head, new_table
from sentry.socket.iptables_blob import STANDARD, make_table
from sentry.socket.iptables_extensions import MATCHES, TARGETS, RuleHead
from sentry.socket.iptables_families import IPV4
from tests.unit.netstack.harness import Pair

FILTER = new_table(IPV4, "filter")
HOOKS = (0, 0, 152, 304, 0)
RULES4 = Pair().left.stack.networks[4]
assert isinstance(RULES4, Ipv4)
RULES = PacketFilter(RULES4.stack, RULES4)


def load(blob: bytes, count: int) -> None:
    """Make a table, and have a packet pass it: whatever is accepted can be run."""
    table, _ = make_table(IPV4, RULES, "filter", blob, count, HOOKS, HOOKS)
    packet = ipv4.build(bytes(4), bytes(4), 6, 20, 64) + bytes(20)
    assert table.run(Passage(packet, 0, 0), LOCAL_IN) in {0, 1}


def test_first_table_is_accepted() -> None:
    load(FILTER.blob, 4)


@given(st.binary(max_size=600), st.integers(0, 8))
@settings(max_examples=200, deadline=None)
def test_any_bytes(blob: bytes, count: int) -> None:
    with contextlib.suppress(SysError):
        load(blob, count)


@given(st.lists(st.tuples(st.integers(0, len(FILTER.blob) - 1), st.integers(0, 255)), max_size=6))
@settings(max_examples=400, deadline=None)
def test_broken_tables(changes: list[tuple[int, int]]) -> None:
    blob = bytearray(FILTER.blob)
    for place, value in changes:
        blob[place] = value
    with contextlib.suppress(SysError):
        load(bytes(blob), 4)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_extension(data: st.DataObject) -> None:
    """What a maker accepts, runs on any packet."""
    head = RuleHead(data.draw(st.sampled_from([0, 1, 6, 17])), is_inverted=False)
    key = data.draw(st.sampled_from(sorted(MATCHES)))
    raw = data.draw(st.binary(min_size=MATCHES[key].size, max_size=MATCHES[key].size))
    body = data.draw(st.binary(max_size=40))
    packet = ipv4.build(bytes(4), bytes(4), head.protocol, len(body), 64) + body
    with contextlib.suppress(SysError):
        assert MATCHES[key].make(RULES, head, raw).matches(Passage(packet, 0, 0)) in {True, False}
    target = data.draw(st.sampled_from(sorted(TARGETS)))
    raw = data.draw(st.binary(min_size=TARGETS[target].size, max_size=TARGETS[target].size))
    with contextlib.suppress(SysError):
        assert TARGETS[target].make(RULES, head, raw) is not None


def standard(verdict: int) -> bytes:
    head = STANDARD.to_bytes(2, "little") + bytes(30)
    return entry_head(IPV4, STANDARD) + head + verdict.to_bytes(4, "little", signed=True) + bytes(4)


@pytest.mark.parametrize(
    ("verdict", "error"),
    [(0, EINVAL), (152, ELOOP), (8, ELOOP), (-3, EINVAL), (-(1 << 31), EINVAL)],
)
def test_bad_verdicts(verdict: int, error: int) -> None:
    """The second rule of three, where nothing but itself is at 152."""
    blob = standard(-5) + standard(verdict) + FILTER.blob[304:]
    blob = b"\1" + blob[1:]  # the first has a condition, so that it leads on
    with pytest.raises(SysError) as caught:
        make_table(IPV4, RULES, "filter", blob, 4, (0, 0, 0, 0, 0), (304,) * 5)
    assert caught.value.errno == error
