"""Queueing disciplines: what stands between an interface and its link (tc(8)).

A discipline takes a frame or says that there is no room; a frame that it took
is not lost.  Who was refused and can wait (TCP) is called when there is room
again, who cannot (a datagram) drops: so a shaped interface slows TCP down by
back-pressure instead of loss.

A discipline is a link itself (`Interface.set_queue`): the interface sends through
it, and it sends through the link below.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import Final

from mypy_extensions import mypyc_attr

from netstack.environment import Environment, Timer
from netstack.link.base import Link
from netstack.packet import OutFrame

DEFAULT_LIMIT_PACKETS: Final = 1000
# As much as the packets of an Ethernet may weigh; a frame with `gso_size` is 45 of them.
DEFAULT_LIMIT_BYTES: Final = 1000 * 1514
NS_PER_S: Final = 1_000_000_000
MAX_BURST: Final = (1 << 32) - 1
ETHERNET_HEADER: Final = 14
TCP_HEADERS: Final = 52  # IPv4's and TCP's, with timestamps
MAX_TCP_OPTIONS: Final = 40


def wire_size(frame: OutFrame) -> int:
    """Return the bytes that a frame becomes on the wire: each segment has the headers again."""
    size = len(frame.header) + len(frame.payload)
    if frame.gso_size and len(frame.payload) > frame.gso_size:
        size += (len(frame.payload) - 1) // frame.gso_size * len(frame.header)
    return size


@mypyc_attr(allow_interpreted_subclasses=True)
class Qdisc(Link):
    """A queueing discipline above a link."""

    def __init__(self, below: Link) -> None:
        super().__init__(below.mtu, below.address)
        self.kind = "noqueue"  # as `tc qdisc` calls it
        self.below = below
        self.has_header = below.has_header
        self.resolves = below.resolves
        self.is_loopback = below.is_loopback
        self.sends_checksums = below.sends_checksums
        self.gso_max = below.gso_max
        # As `tc -s qdisc` shows them.
        self.sent_packets = 0
        self.sent_bytes = 0
        self.dropped = 0  # refused: their senders dropped them or came again
        self.overlimits = 0  # times that the rate held a frame back
        self.requeues = 0  # times that the link had no room
        self._has_refused = False

    @abstractmethod
    def drain(self) -> bool:
        """Send what may be sent now; return whether there is room for those who wait."""

    def on_room(self) -> None:
        if self.drain() and self._has_refused:
            self._has_refused = False
            if self.interface is not None:
                self.interface.room_available()

    def backlog_packets(self) -> int:
        """Return the number of frames that wait."""
        return 0

    def backlog_bytes(self) -> int:
        """Return the bytes that wait, as on the wire."""
        return 0

    def close(self) -> None:
        """Drop what waits, and never call anybody again."""

    def _give(self, frame: OutFrame) -> bool:
        """Give a frame to the link and count it."""
        size = wire_size(frame)  # of now: the link may take the frame apart
        if not self.below.send(frame):
            self.requeues += 1
            return False
        self.sent_packets += 1
        self.sent_bytes += size
        return True

    def _refuse(self) -> bool:
        """Count a frame for which there is no room; return False."""
        self.dropped += 1
        self._has_refused = True
        return False


class NoQueue(Qdisc):
    """No queue ("noqueue"): the link takes a frame now or not at all."""

    def send(self, frame: OutFrame) -> bool:
        return self._give(frame) or self._refuse()

    def drain(self) -> bool:
        return True


class Fifo(Qdisc):
    """First in, first out ("pfifo", tc-bfifo(8))."""

    def __init__(
        self,
        below: Link,
        limit_packets: int = DEFAULT_LIMIT_PACKETS,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
    ) -> None:
        super().__init__(below)
        self.kind = "pfifo"
        self.limit_packets = limit_packets
        self.limit_bytes = limit_bytes
        self._queue: deque[OutFrame] = deque()
        self._bytes = 0

    def send(self, frame: OutFrame) -> bool:
        if not self._queue and self._may_pass(frame):
            return True
        if not self._has_room(1):
            return self._refuse()
        self._queue.append(frame)
        self._bytes += wire_size(frame)
        self._wait()
        return True

    def drain(self) -> bool:
        while self._queue:
            frame = self._queue[0]
            if not self._may_pass(frame):
                self._wait()
                break
            self._queue.popleft()
            self._bytes -= wire_size(frame)
        # Whoever waits is worth waking when there is something to be done.
        return self._has_room(2)

    def backlog_packets(self) -> int:
        return len(self._queue)

    def backlog_bytes(self) -> int:
        return self._bytes

    def close(self) -> None:
        self._queue.clear()
        self._bytes = 0

    def _has_room(self, divisor: int) -> bool:
        """Return whether less than 1/`divisor` of the queue is taken."""
        return (
            len(self._queue) * divisor < self.limit_packets
            and self._bytes * divisor < self.limit_bytes
        )

    def _may_pass(self, frame: OutFrame) -> bool:
        """Send the frame that is next, if it may be sent now."""
        return self._give(frame)

    def _wait(self) -> None:
        """Called when the first frame of the queue could not be sent."""


class _Refill(Timer):
    """Fires when the bucket holds enough for the next frame."""

    def __init__(self, queue: Qdisc) -> None:
        super().__init__()
        self.queue = queue

    def fire(self) -> None:
        self.queue.on_room()


def tbf_error(rate: int, burst: int, frame_size: int) -> str:
    """Return what is wrong with the numbers of a token bucket, or nothing.

    `frame_size` is the largest frame on the wire, the MTU with the link header.
    """
    if rate <= 0:
        return "the rate must be positive"
    if not 0 < burst <= MAX_BURST:
        return f"the burst must be between 1 and {MAX_BURST} bytes"
    if burst < frame_size:
        return (
            f"a burst of {burst} bytes holds no frame of {frame_size} bytes (MTU and header): "
            f"make it {frame_size} or more, or the MTU smaller"
        )
    if burst * NS_PER_S < rate:
        return "the rate is too high for this burst"
    return ""


def gso_max_of(link: Link, burst: int) -> int:
    """Return the largest frame to be segmented that goes well with a bucket of `burst` bytes.

    Linux cuts up what does not fit before it is sent (tbf_segment()); here no such frames
    are made. Its segments, each with the headers again, fill half of the bucket: a frame that
    needs a full one would lose what flows in after that, until the timer has come round.
    """
    header_size = _header_size(link)
    count = max(burst // 2 // (link.mtu + header_size), 1)
    # Senders leave room for one header with all options.
    size = count * (link.mtu - TCP_HEADERS) + header_size + TCP_HEADERS + MAX_TCP_OPTIONS
    return min(link.gso_max, size)


def _header_size(link: Link) -> int:
    return ETHERNET_HEADER if link.has_header else 0


class TokenBucket(Fifo):
    """A rate in bytes a second, and a burst in bytes ("tbf", tc-tbf(8)).

    The bucket starts full.  A frame counts with the bytes of its segments on the
    wire, link headers included.  No frames are made whose segments are more than
    the burst (`gso_max_of`); should one come nevertheless, with very small segments,
    it goes out when the bucket is full and leaves a debt, where Linux would cut it up.
    `tbf_error` says which numbers make sense.
    """

    def __init__(
        self,
        below: Link,
        environment: Environment,
        rate: int,
        burst: int,
        limit_packets: int = DEFAULT_LIMIT_PACKETS,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
    ) -> None:
        super().__init__(below, limit_packets, limit_bytes)
        self.kind = "tbf"
        self.environment = environment
        self.rate = rate
        self.burst = burst
        if below.gso_max:
            # Senders ask the interface's link, which is the one below.
            below.gso_max = gso_max_of(below, burst)
            self.gso_max = below.gso_max
        # Tokens are counted in bytes / 10^9, so that no rounding adds up.
        self._full = burst * NS_PER_S
        self._tokens = self._full
        self._as_of_ns = environment.now_ns()
        self._timer = _Refill(self)

    def send(self, frame: OutFrame) -> bool:
        """Take a frame; one that the bucket can never hold is lost, as tbf_enqueue() has it."""
        if not frame.gso_size and frame.size() > self.burst:
            self.dropped += 1
            return True
        return super().send(frame)

    def close(self) -> None:
        super().close()
        self.environment.disarm(self._timer)

    def tokens(self) -> int:
        """Return the bytes in the bucket; less than 0: a debt."""
        self._refill()
        return self._tokens // NS_PER_S

    def _refill(self) -> None:
        now = self.environment.now_ns()
        self._tokens = min(self._full, self._tokens + (now - self._as_of_ns) * self.rate)
        self._as_of_ns = now

    def _price(self, frame: OutFrame) -> int:
        return wire_size(frame) * NS_PER_S

    def _may_pass(self, frame: OutFrame) -> bool:
        self._refill()
        price = self._price(frame)
        if self._tokens < min(price, self._full):
            self.overlimits += 1
            return False
        if not self._give(frame):
            return False
        self._tokens -= price
        return True

    def _wait(self) -> None:
        """Arm the timer, unless it is the link that had no room: that will call."""
        missing = min(self._price(self._queue[0]), self._full) - self._tokens
        if missing > 0 and not self._timer.deadline_ns:
            delay_ns = -(-missing // self.rate)
            self.environment.arm(self._timer, self._as_of_ns + delay_ns)
