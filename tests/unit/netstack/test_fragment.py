"""Reassembly: any order, duplicates, overlap, limits, time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.ip.fragment import DROPPED, WAITING, Reassembler, ReassemblyOwner
from netstack.packet import InPacket
from tests.unit.netstack.harness import SECOND, CaptureLink, Host, VirtualEnvironment

KEY = (b"\x0a\0\0\1", b"\x0a\0\0\2", 17, 1, 0)


class Owner(ReassemblyOwner):
    def __init__(self):
        self.late = []

    def on_timeout(self, partial):
        self.late.append(partial)


class Bench:
    def __init__(self, limit=1 << 20):
        self.environment = VirtualEnvironment()
        self.interface = Host(self.environment, CaptureLink()).interface
        self.owner = Owner()
        self.reassembler = Reassembler(self.environment, self.owner, limit, 30 * SECOND)

    def add(self, offset, more, piece, key=KEY):
        packet = InPacket(self.interface, bytes(20) + piece)
        return self.reassembler.add(key, offset, more, piece, packet)


def test_fragments_in_order_make_the_packet():
    bench = Bench()
    assert bench.add(0, True, b"12345678") is None
    done = bench.add(8, False, b"9")
    assert done.payload() == b"123456789"
    assert done.first is not None
    assert bench.reassembler.cost == 0


@given(st.permutations(range(6)), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_any_order_with_a_duplicate(order, twice):
    bench = Bench()
    pieces = [bytes((n,)) * 8 for n in range(5)] + [b"end"]
    done = []
    for n in order:
        for _ in range(2 if n == twice and n != order[-1] else 1):
            found = bench.add(n * 8, n < 5, pieces[n])
            if found is not None:
                done.append(found.payload())
    assert done == [b"".join(pieces)]
    assert bench.reassembler.partials == {}


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6), st.booleans()), max_size=30))
@settings(max_examples=100, deadline=None)
def test_whatever_comes_a_complete_packet_has_no_gap_and_costs_are_returned(fragments):
    bench = Bench()
    for start, units, more in fragments:
        done = bench.add(start * 8, more, bytes(units * 8))
        if done is not None:
            assert len(done.payload()) == done.total
    assert bench.reassembler.cost == sum(p.cost for p in bench.reassembler.partials.values())
    bench.environment.advance(31 * SECOND)
    assert bench.reassembler.cost == 0
    assert bench.reassembler.partials == {}


def test_overlap_drops_the_whole_packet():
    bench = Bench()
    bench.add(0, True, bytes(16))
    assert bench.add(8, True, bytes(16)) is None
    assert bench.reassembler.last_result == DROPPED
    assert bench.reassembler.partials == {}


def test_ends_that_disagree_drop_the_packet():
    for offset, more, size in ((32, True, 8), (16, False, 8), (40, False, 4)):
        bench = Bench()
        bench.add(24, False, bytes(8))
        bench.add(offset, more, bytes(size))
        assert bench.reassembler.last_result == DROPPED


def test_memory_is_bounded_and_the_oldest_goes_first():
    bench = Bench(limit=8000)
    for ident in range(100):
        bench.add(0, True, bytes(1000), (*KEY[:3], ident, 0))
        assert bench.reassembler.cost <= 8000
    assert bench.reassembler.last_result == WAITING
    assert [key[3] for key in bench.reassembler.partials] == [95, 96, 97, 98, 99]
    assert bench.reassembler.evicted == 95


def test_time_runs_from_the_first_fragment():
    bench = Bench()
    bench.add(0, True, bytes(8))
    bench.environment.advance(20 * SECOND)
    bench.add(16, True, bytes(8))
    bench.add(0, True, bytes(8), (*KEY[:3], 2, 0))
    bench.environment.advance(11 * SECOND)
    assert [partial.key for partial in bench.owner.late] == [KEY]
    bench.environment.advance(20 * SECOND)
    assert len(bench.owner.late) == 2
    assert bench.environment.armed() == 0
