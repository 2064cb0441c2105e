"""Queues, round-trip times, congestion control and cookies by themselves."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.tcp import cookies
from netstack.tcp.congestion import INFINITE, CongestionControl
from netstack.tcp.cubic import ALPHA, BETA, Cubic, make_congestion_control
from netstack.tcp.listener import defer_count_to_seconds, defer_seconds_to_count
from netstack.tcp.receive_queue import CHUNK_COST, Reassembly, ReceiveQueue
from netstack.tcp.rtt import RttEstimator
from netstack.tcp.scoreboard import Scoreboard
from netstack.tcp.send_queue import SendQueue
from netstack.tcp.states import MS, SECOND
from tests.packets.stack import TcpStack
from tests.unit.netstack.harness import VirtualEnvironment


def fill(queue: SendQueue, data: bytes) -> int:
    """Write as much of `data` as the queue has space for at once; return how much."""
    space = queue.space(len(data))
    space[:] = data[: len(space)]
    queue.fill(len(space))
    return len(space)


@given(st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_send_queue(seed: int) -> None:
    pick = random.Random(seed)
    start = pick.randrange(1 << 33)
    queue = SendQueue(start)
    data = b""
    base = start
    for _ in range(60):
        if pick.random() < 0.5:
            piece = pick.randbytes(pick.choice((0, 1, 10, 3000, 70_000)))
            if piece and pick.random() < 0.5:
                piece = piece[: fill(queue, piece)]
            else:
                queue.append(piece)
            data += piece
        elif data:
            acked = pick.randrange(len(data) + 1)
            queue.acknowledge(base + acked)
            data = data[acked:]
            base += acked
        assert (queue.start, queue.end, queue.size()) == (base, base + len(data), len(data))
        at = pick.randrange(len(data) + 1)
        size = pick.randrange(len(data) - at + 1)
        assert queue.read(base + at, size) == data[at : at + size]


def test_send_queue_keeps_large_writes_as_they_are() -> None:
    queue = SendQueue(5)
    data = bytes(65536)
    queue.append(data)
    assert queue.read(5, 65536) is data


def test_send_queue_reads_across_large_writes_without_copying() -> None:
    queue = SendQueue(0)
    first = queue.space(100_000)
    queue.fill(len(first))
    second = queue.space(100_000)
    queue.fill(len(second))
    across = queue.read(50_000, 100_000)
    assert isinstance(across, memoryview)
    second[0] = 7
    assert across[50_000] == 7


def test_send_queue_takes_new_memory_once_all_is_acknowledged() -> None:
    queue = SendQueue(0)
    space = queue.space(40_000)
    space[:] = b"x" * 40_000
    queue.fill(40_000)
    sent = queue.read(0, 40_000)
    queue.acknowledge(40_000)
    queue.space(40_000)[:] = b"y" * 40_000
    queue.fill(40_000)
    assert bytes(sent) == b"x" * 40_000
    assert bytes(queue.read(40_000, 10)) == b"y" * 10


def test_send_queue_joins_small_writes() -> None:
    queue = SendQueue(0)
    for _ in range(5000):
        queue.append(b"x")
    assert len(queue._chunks) < 5


@given(st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_receive_queue(seed: int) -> None:
    pick = random.Random(seed)
    queue = ReceiveQueue()
    data = b""
    for _ in range(60):
        if pick.random() < 0.5:
            piece = pick.randbytes(pick.choice((1, 10, 3000, 20_000)))
            skip = pick.choice((0, 0, 1, 66))
            queue.append(bytes(skip) + piece, skip)
            data += piece
        else:
            limit = pick.choice((1, 5, 1000, 5000, 100_000))
            skip = pick.choice((0, 0, 1, 3000))
            assert queue.peek(limit, skip) == data[skip : skip + limit]
            if pick.random() < 0.5:
                assert queue.read(limit) == data[:limit]
            else:
                assert b"".join(queue.read_pieces(limit)) == data[:limit]
            kept = pick.randrange(min(limit, len(data)) + 1)
            if pick.random() < 0.3 and kept:
                queue.give_back(data[min(limit, len(data)) - kept : limit])
                limit -= kept + max(limit - len(data), 0)
            data = data[limit:]
        assert queue.size == len(data)


def test_large_pieces_are_not_copied() -> None:
    queue = ReceiveQueue()
    packet = bytes(66) + bytes(5000)
    queue.append(packet, 66)
    queue.append(b"small")
    first, second, third = [*queue.read_pieces(4000), *queue.read_pieces(2000)]
    assert isinstance(first, memoryview)
    assert first.obj is packet
    assert [len(first), len(second), bytes(third)] == [4000, 1000, b"small"]
    assert queue.size == 0


@given(st.integers(0, 1_000_000))
@settings(max_examples=200, deadline=None)
def test_reassembly(seed: int) -> None:
    pick = random.Random(seed)
    size = pick.randrange(2, 300)
    stream = pick.randbytes(size)
    pieces = Reassembly()
    have: set[int] = set()
    for _ in range(pick.randrange(1, 15)):
        start = pick.randrange(1, size)
        end = pick.randrange(start + 1, size + 1)
        assert pieces.add(start, stream[start:end], 1 << 30)
        have |= set(range(start, end))
        held: set[int] = set()
        for run in pieces.runs:
            assert b"".join(run.chunks) == stream[run.start : run.end]
            held |= set(range(run.start, run.end))
        assert held == have
        edges = [(run.start, run.end) for run in pieces.runs]
        assert edges == sorted(edges)
        assert all(left[1] < right[0] for left, right in itertools.pairwise(edges))
        assert set(pieces.blocks) <= set(edges)
        assert pieces.blocks[0][0] <= start < pieces.blocks[0][1]
    start = pick.randrange(1, size)
    end = pick.randrange(start + 1, size + 1)
    part = pieces.known_part(start, end)
    known = [n for n in range(start, end) if n in have]
    assert (part is None) == (not known)
    if part is not None:
        assert part[0] == known[0]
        assert part[1] == end or part[1] not in have
    position = pick.randrange(size)
    expected = position
    while expected in have:
        expected += 1
    reachable = pieces.runs[0].start <= position
    taken = b"".join(pieces.take(position))
    if reachable and position in have:
        assert taken == stream[position:expected]
    charged = sum(len(chunk) + CHUNK_COST for run in pieces.runs for chunk in run.chunks)
    assert pieces.charged == charged


def test_reassembly_is_bounded() -> None:
    pieces = Reassembly()
    assert pieces.add(10, bytes(100), 1000)
    assert not pieces.add(1000, bytes(700), 1000)
    assert [(run.start, run.end) for run in pieces.runs] == [(10, 110)]


def test_rto_follows_rfc_6298() -> None:
    rtt = RttEstimator()
    assert rtt.timeout() == SECOND
    rtt.sample(400 * MS, 0)
    assert (rtt.srtt, rtt.rttvar, rtt.rto) == (400 * MS, 200 * MS, 1200 * MS)
    rtt.sample(400 * MS, 0)
    assert (rtt.srtt, rtt.rttvar, rtt.rto) == (400 * MS, 150 * MS, 1000 * MS)
    rtt.backoff = 3
    assert rtt.timeout() == 8000 * MS
    rtt.backoff = 30
    assert rtt.timeout() == 120 * SECOND
    for _ in range(100):
        rtt.sample(10 * MS, 0)
    assert rtt.timeout() < 215 * MS


def test_minimum_is_windowed() -> None:
    rtt = RttEstimator()
    rtt.sample(10 * MS, 0)
    rtt.sample(50 * MS, 100 * SECOND)
    assert rtt.minimum() == 10 * MS
    rtt.sample(60 * MS, 350 * SECOND)
    assert rtt.minimum() == 50 * MS


def test_reno() -> None:
    reno = CongestionControl(1000, 10_000)
    reno.on_ack(10_000, 0, 0)
    assert reno.cwnd == 20_000
    reno.reduce(20_000)
    assert reno.ssthresh == 10_000
    reno.cwnd = reno.ssthresh
    for _ in range(10):
        reno.on_ack(1000, 0, 0)
    assert reno.cwnd == 11_000
    reno.undo()
    assert (reno.cwnd, reno.ssthresh) == (20_000, INFINITE)


def test_cubic_reduces_by_beta_and_comes_back() -> None:
    cubic = Cubic(1000, 100_000)
    cubic.reduce(100_000)
    cubic.cwnd = cubic.ssthresh
    assert cubic.ssthresh == 70_000
    # K = cbrt(W_max * (1 - beta) / C) = cbrt(100 * 0.3 / 0.4) = 4.2 s
    now, rtt = SECOND, 100 * MS
    at_k = 0
    for step in range(80):
        for _ in range(10):
            cubic.on_ack(cubic.cwnd // 10, now + step * rtt, rtt)
        if step == 42:
            at_k = cubic.cwnd
    assert 97_000 <= at_k <= 103_000
    assert cubic.cwnd > 112_000  # convex behind the plateau


def test_cubic_is_reno_friendly_on_short_paths() -> None:
    cubic = Cubic(1000, 20_000)
    cubic.reduce(20_000)
    cubic.cwnd = cubic.ssthresh
    start = cubic.cwnd
    for step in range(20):
        for _ in range(10):
            cubic.on_ack(cubic.cwnd // 10, SECOND + step * MS, MS)
    grown = (cubic.cwnd - start) / 1000
    assert ALPHA * 20 * 0.8 <= grown <= 25


def test_cubic_fast_convergence() -> None:
    cubic = Cubic(1000, 100_000)
    cubic.reduce(100_000)
    cubic.cwnd = 80_000
    cubic.reduce(80_000)
    assert cubic.w_max == pytest.approx(80 * (1 + BETA) / 2)


def test_hystart_leaves_slow_start_when_the_delay_rises() -> None:
    cubic = Cubic(1000, 10_000)
    una, nxt = 0, 10_000
    for round_number in range(12):
        for _ in range(10):
            cubic.on_sample((20 + 8 * round_number) * MS, 0, una, nxt)
        una, nxt = nxt + 1, nxt + 10_000
    assert cubic.ssthresh == cubic.cwnd
    assert cubic.delay_detections == 1


def test_hystart_is_quiet_when_it_does_not() -> None:
    cubic = Cubic(1000, 10_000)
    una, nxt = 0, 10_000
    for _ in range(12):
        for _ in range(10):
            cubic.on_sample(20 * MS, 0, una, nxt)
        una, nxt = nxt + 1, nxt + 10_000
    assert cubic.ssthresh == INFINITE


def test_congestion_control_by_name() -> None:
    for name in ("cubic", "reno"):
        made = make_congestion_control(name, 1000, 5000)
        assert made is not None
        assert (made.name, made.cwnd) == (name, 5000)
    assert make_congestion_control("bbr", 1000, 5000) is None


def test_cookies() -> None:
    flow = bytes(range(12))
    secret = bytes(range(32))
    cookie = cookies.make_cookie(secret, flow, 77, 1460, 1000 * SECOND)
    assert cookies.check_cookie(secret, flow, 77, cookie, 1000 * SECOND) == 1460
    assert cookies.check_cookie(secret, flow, 77, cookie, 1063 * SECOND) == 1460
    assert cookies.check_cookie(secret, flow, 77, cookie, 1200 * SECOND) == 0
    assert cookies.check_cookie(secret, flow, 78, cookie, 1000 * SECOND) == 0
    assert cookies.check_cookie(secret, flow + b"x", 77, cookie, 1000 * SECOND) == 0
    assert cookies.check_cookie(bytes(32), flow, 77, cookie, 1000 * SECOND) == 0
    for mss, kept in ((100, 536), (1299, 536), (1400, 1300), (9000, 1460)):
        made = cookies.make_cookie(secret, flow, 1, mss, 0)
        assert cookies.check_cookie(secret, flow, 1, made, 0) == kept
    flow = bytes(range(36))  # IPv6
    for mss, kept in ((100, 1220), (1400, 1220), (1440, 1440), (9000, 8940)):
        made = cookies.make_cookie(secret, flow, 1, mss, 0)
        assert cookies.check_cookie(secret, flow, 1, made, 0) == kept


def test_cookie_options() -> None:
    for value in (0, 63, 64, 1 << 31, (1 << 32) - 1):
        for scale in (-1, 0, 7, 14):
            made = cookies.encode_options(value, scale, True, False)
            assert 0 <= (value - made) & 0xFFFFFFFF < 128
            assert cookies.decode_scale(made) == scale
            assert cookies.decode_sack(made)
            assert not cookies.decode_ecn(made)


def test_defer_accept_seconds() -> None:
    assert [defer_seconds_to_count(n) for n in (0, 1, 2, 3, 5, 10)] == [0, 1, 2, 2, 3, 4]
    assert [defer_count_to_seconds(n) for n in (0, 1, 2, 3, 4)] == [0, 1, 3, 7, 15]


@given(st.integers(0, 1_000_000))
@settings(max_examples=150, deadline=None)
def test_scoreboard(seed: int) -> None:
    pick = random.Random(seed)
    board = Scoreboard()
    una, nxt = 1000, 1000
    for now in range(60):
        what = pick.randrange(6)
        if what <= 1:
            size = pick.choice((1, 100, 500))
            board.add(nxt, nxt + size, now)
            nxt += size
        elif what == 2 and nxt > una:
            una = pick.randrange(una, nxt + 1)
            board.remove_front(una)
        elif what == 3 and nxt > una:
            start = pick.randrange(una, nxt)
            board.mark_sacked(start, pick.randrange(start, nxt) + 1, 100)
        elif what == 4 and board.items:
            sent = pick.choice(board.items)
            if not sent.sacked:
                board.mark_lost(sent)
        elif what == 5:
            lost = board.next_lost()
            if lost is not None:
                assert lost in board.items
                board.on_resent(lost, now)
        check_board(board, una, nxt)


def check_board(board: Scoreboard, una: int, nxt: int) -> None:
    at = una
    for sent in board.items:
        assert sent.start == at < sent.end
        at = sent.end
    assert at == nxt
    sizes = [(sent.end - sent.start, sent) for sent in board.items]
    assert board.sacked_bytes == sum(size for size, sent in sizes if sent.sacked)
    assert board.lost_bytes == sum(size for size, sent in sizes if sent.lost)
    assert board.resent_bytes == sum(size for size, sent in sizes if sent.resent)
    listed = []
    sent = board.oldest
    while sent is not None:
        assert sent.newer is None or sent.newer.older is sent
        listed.append(sent)
        sent = sent.newer
    watched = [s for s in board.items if not s.sacked and (s.resent or not s.lost)]
    assert sorted(listed, key=lambda s: s.start) == watched
    assert [s.sent_ns for s in listed] == sorted(s.sent_ns for s in listed)
    waiting = [s for s in board.items if s.lost and not s.resent]
    assert board.next_lost() is (waiting[0] if waiting else None)


def test_hystart_forgets_a_passing_delay() -> None:
    cubic = Cubic(1000, 10_000)
    una, nxt = 0, 10_000
    for rtt in (20, 20, 40, 20, 20, 20, 20, 20, 20, 20):
        for _ in range(10):
            cubic.on_sample(rtt * MS, 0, una, nxt)
        una, nxt = nxt + 1, nxt + 10_000
        if rtt == 40:
            assert cubic.hystart.is_conservative
            before = cubic.cwnd
            cubic.on_ack(4000, 0, rtt * MS)
            assert cubic.cwnd == before + 1000  # a quarter, RFC 9406, 4.3
    assert not cubic.hystart.is_conservative
    assert cubic.ssthresh == INFINITE


def test_initial_sequence_numbers() -> None:
    """RFC 6528: a clock of 64 ns, from a secret place for each four numbers."""
    first, second = TcpStack(VirtualEnvironment(1)).tcp, TcpStack(VirtualEnvironment(2)).tcp
    keys = [bytes((number,)) * 12 for number in range(100)]
    now = 5 * SECOND
    chosen = {first.choose_isn(key, now) for key in keys}
    assert len(chosen) == 100
    assert len({number >> 24 for number in chosen}) > 60
    assert not chosen & {second.choose_isn(key, now) for key in keys}
    for key in keys[:10]:
        later = first.choose_isn(key, now + 64_000)
        assert (later - first.choose_isn(key, now)) & 0xFFFFFFFF == 1000
    # Timestamps start elsewhere for each pair of hosts, whatever the ports.
    one = first.choose_ts_offset(keys[0])
    assert first.choose_ts_offset(keys[0][:8] + b"abcd") == one
    assert first.choose_ts_offset(keys[1]) != one


def test_scoreboard_joins_ranges() -> None:
    board = Scoreboard()
    for start in range(0, 500, 100):
        board.add(start, start + 100, start)
    board.mark_lost(board.items[0])
    board.mark_lost(board.items[2])
    before = board.in_flight()
    board.absorb_next(0)  # one that is not lost
    assert board.in_flight() == before - 100
    board.absorb_next(0)  # one that is
    assert [(sent.start, sent.end) for sent in board.items] == [(0, 300), (300, 400), (400, 500)]
    assert board.lost_bytes == 300
    assert board.next_lost() is board.items[0]
    board.on_resent(board.items[0], 600)
    assert board.next_lost() is None
    assert board.in_flight() == 500
    assert [sent.end for sent in board.remove_front(300)] == [300]
    assert board.lost_bytes == board.resent_bytes == 0
    assert board.oldest is board.items[0]
    assert board.newest is board.items[1]
