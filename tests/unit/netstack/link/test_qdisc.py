"""Queueing disciplines: rates over virtual time, limits, back-pressure."""

from netstack.environment import Environment, Timer
from netstack.interface import IFF_UP, Interface
from netstack.link.base import Link
from netstack.link.qdisc import Fifo, NoQueue, TokenBucket, tbf_error, wire_size
from netstack.packet import ETHERTYPE_IPV6, OutFrame
from netstack.stack import RoomListener, Stack

SECOND = 1_000_000_000


class Clock(Environment):
    def __init__(self):
        self.now = 5 * SECOND
        self.timers = []

    def now_ns(self):
        return self.now

    def realtime_ns(self):
        return self.now

    def arm(self, timer: Timer, deadline_ns):
        timer.deadline_ns = deadline_ns
        if timer not in self.timers:
            self.timers.append(timer)

    def disarm(self, timer: Timer):
        timer.deadline_ns = 0
        if timer in self.timers:
            self.timers.remove(timer)

    def random_bytes(self, count):
        return bytes(count)

    def run_until(self, until):
        while self.timers:
            timer = min(self.timers, key=lambda one: one.deadline_ns)
            if timer.deadline_ns > until:
                break
            self.now = max(self.now, timer.deadline_ns)
            self.disarm(timer)
            timer.fire()
        self.now = until


class Wire(Link):
    def __init__(self, clock, gso_max=0):
        super().__init__(1500, b"\x02\0\0\0\0\1")
        self.clock = clock
        self.gso_max = gso_max
        self.is_open = True
        self.frames = []

    def send(self, frame):
        if not self.is_open:
            return False
        self.frames.append((self.clock.now, frame))
        return True

    def bytes_until(self, until):
        return sum(wire_size(frame) for when, frame in self.frames if when <= until)


class Waiter(RoomListener):
    def __init__(self):
        self.calls = 0

    def on_room(self):
        self.calls += 1


def frame_of(size, gso_size=0, header=54):
    frame = OutFrame(ETHERTYPE_IPV6, bytes(header), bytes(size - header))
    frame.gso_size = gso_size
    return frame


def setup(make, gso_max=0):
    clock = Clock()
    wire = Wire(clock, gso_max)
    interface = Interface(Stack(clock), 2, "eth0", wire)
    interface.flags |= IFF_UP
    queue = make(wire, clock)
    interface.set_queue(queue)
    return clock, wire, interface, queue


def test_the_wire_size_counts_the_headers_of_every_segment():
    assert wire_size(frame_of(1514)) == 1514
    assert wire_size(frame_of(54 + 3000, gso_size=1500)) == 2 * 54 + 3000
    assert wire_size(frame_of(54 + 3001, gso_size=1500)) == 3 * 54 + 3001


def test_without_a_queue_a_full_link_refuses():
    _clock, wire, interface, queue = setup(lambda wire, _: NoQueue(wire))
    wire.is_open = False
    waiter = Waiter()
    assert not interface.send_frame(frame_of(100))
    interface.when_room(waiter)
    wire.is_open = True
    interface.on_room()
    assert waiter.calls == 1
    assert interface.send_frame(frame_of(100))
    assert (queue.sent_packets, queue.sent_bytes, queue.dropped) == (1, 100, 1)


def test_fifo_keeps_the_order_and_refuses_beyond_its_limit():
    _clock, wire, interface, queue = setup(lambda wire, _: Fifo(wire, limit_packets=10))
    wire.is_open = False
    frames = [frame_of(100 + number) for number in range(12)]
    assert [interface.send_frame(frame) for frame in frames] == [True] * 10 + [False] * 2
    assert (queue.backlog_packets(), queue.backlog_bytes()) == (10, 1045)
    waiter = Waiter()
    interface.when_room(waiter)
    wire.is_open = True
    interface.on_room()
    assert [frame for _, frame in wire.frames] == frames[:10]
    assert waiter.calls == 1
    assert (queue.backlog_packets(), queue.backlog_bytes(), queue.dropped) == (0, 0, 2)


def test_fifo_is_limited_in_bytes_too():
    _clock, wire, interface, _queue = setup(lambda wire, _: Fifo(wire, limit_bytes=100_000))
    wire.is_open = False
    taken = 0
    while interface.send_frame(frame_of(60_054, gso_size=1440)):
        taken += 1
    assert taken == 2


def test_the_bucket_starts_full_and_then_keeps_the_rate():
    clock, wire, interface, queue = setup(
        lambda wire, clock: TokenBucket(wire, clock, 125_000, 10_000)
    )
    began = clock.now
    for _ in range(200):
        assert interface.send_frame(frame_of(1000))
    assert wire.bytes_until(began) == 10_000
    clock.run_until(began + SECOND)
    assert wire.bytes_until(clock.now) == 10_000 + 125_000
    clock.run_until(began + 10 * SECOND)
    assert wire.bytes_until(clock.now) == 200_000
    assert queue.overlimits > 0
    # Idle: the bucket fills up again, and no further.
    assert queue.tokens() == 10_000


def test_no_rounding_adds_up():
    clock, wire, interface, _queue = setup(
        lambda wire, clock: TokenBucket(
            wire, clock, 999_983, 1514, limit_packets=100_000, limit_bytes=1 << 30
        )
    )
    began = clock.now
    for _ in range(2100):
        interface.send_frame(frame_of(1511))
    clock.run_until(began + 3 * SECOND)
    sent = wire.bytes_until(clock.now)
    assert 3 * 999_983 - 1511 <= sent <= 3 * 999_983 + 1514


def test_a_segmented_frame_counts_as_on_the_wire():
    clock, wire, interface, _queue = setup(
        lambda wire, clock: TokenBucket(wire, clock, 1_000_000, 70_000), gso_max=65536
    )
    began = clock.now
    big = 54 + 40 * 1446
    for _ in range(20):
        assert interface.send_frame(frame_of(big, gso_size=1446))
    clock.run_until(began + SECOND)
    assert 1_000_000 <= wire.bytes_until(clock.now) <= 1_070_000


def test_a_segmented_frame_larger_than_the_bucket_leaves_a_debt():
    clock, wire, interface, queue = setup(
        lambda wire, clock: TokenBucket(wire, clock, 100_000, 3000), gso_max=65536
    )
    assert interface.send_frame(frame_of(54 + 5400, gso_size=100))
    assert len(wire.frames) == 1
    assert queue.tokens() == 3000 - 5400 - 54 * 54
    assert interface.send_frame(frame_of(1000))
    clock.run_until(clock.now + 40_000_000)
    assert len(wire.frames) == 1
    clock.run_until(clock.now + SECOND)
    assert len(wire.frames) == 2


def test_a_frame_that_never_fits_is_lost():
    _clock, wire, interface, queue = setup(lambda wire, clock: TokenBucket(wire, clock, 1000, 500))
    assert interface.send_frame(frame_of(501))
    assert (wire.frames, queue.dropped, queue.backlog_packets()) == ([], 1, 0)


def test_back_pressure_refuses_and_calls_when_half_is_gone():
    clock, wire, interface, queue = setup(
        lambda wire, clock: TokenBucket(wire, clock, 100_000, 1000, limit_packets=10)
    )
    sent = 0
    while interface.send_frame(frame_of(1000)):
        sent += 1
    assert sent == 11
    waiter = Waiter()
    interface.when_room(waiter)
    clock.run_until(clock.now + 50_000_000)
    assert (waiter.calls, queue.backlog_packets()) == (0, 5)
    clock.run_until(clock.now + 10_000_000)
    assert (waiter.calls, queue.backlog_packets()) == (1, 4)
    assert len(wire.frames) == 7


def test_a_full_link_keeps_the_tokens():
    clock, wire, interface, queue = setup(lambda wire, clock: TokenBucket(wire, clock, 1000, 5000))
    wire.is_open = False
    interface.send_frame(frame_of(1000))
    assert queue.tokens() == 5000
    assert clock.timers == []
    wire.is_open = True
    interface.on_room()
    assert (queue.tokens(), len(wire.frames)) == (4000, 1)


def test_close_disarms_the_timer():
    clock, _wire, interface, queue = setup(lambda wire, clock: TokenBucket(wire, clock, 1000, 1000))
    interface.send_frame(frame_of(1000))
    interface.send_frame(frame_of(1000))
    assert len(clock.timers) == 1
    queue.close()
    assert (clock.timers, queue.backlog_packets()) == ([], 0)


def test_the_numbers_of_a_bucket_are_checked():
    assert tbf_error(125_000, 1514, 1514) == ""
    assert "rate" in tbf_error(0, 66_000, 1514)
    assert "burst" in tbf_error(125_000, 0, 1514)
    assert "burst" in tbf_error(125_000, 1 << 32, 1514)
    assert tbf_error(125_000, 1513, 1514) == (
        "a burst of 1513 bytes holds no frame of 1514 bytes (MTU and header): "
        "make it 1514 or more, or the MTU smaller"
    )
    assert "too high" in tbf_error(2000 * SECOND, 1514, 1514)


def test_segments_of_a_large_frame_fit_twice_into_the_burst():
    """What TCP makes of `gso_max`: its headers, all options and the link header less."""
    for burst in (1514, 3028, 6055, 6056, 10_000, 40_000, 90_000, 200_000):
        _clock, wire, _interface, queue = setup(
            lambda wire, clock, burst=burst: TokenBucket(wire, clock, 10**6, burst), gso_max=65536
        )
        assert queue.gso_max == wire.gso_max <= 65536
        count = (wire.gso_max - 40 - 40 - 14) // 1448
        assert count == min(max(burst // 2 // 1514, 1), 45)
