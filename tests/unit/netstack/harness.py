"""A virtual clock, links that keep what is sent, and two stacks on one wire."""

import heapq
import random

from netstack.build import new_stack
from netstack.environment import Environment, Listener, Timer
from netstack.interface import Interface, InterfaceAddress
from netstack.link.base import Link
from netstack.packet import OutFrame
from netstack.ping import PingEndpoint
from netstack.wire import checksum as sums

SECOND = 1_000_000_000


class VirtualEnvironment(Environment):
    """Time stands still until a test moves it; randomness is the same every time."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 1000 * SECOND
        self.started = self.now
        self.random = random.Random(seed)
        self.heap: list[tuple[int, int, Timer]] = []
        self.count = 0

    def now_ns(self) -> int:
        return self.now

    def realtime_ns(self) -> int:
        return 1_700_000_000 * SECOND + self.now

    def arm(self, timer: Timer, deadline_ns: int) -> None:
        timer.deadline_ns = deadline_ns
        self.count += 1
        timer.handle = self.count
        heapq.heappush(self.heap, (deadline_ns, self.count, timer))

    def disarm(self, timer: Timer) -> None:
        timer.deadline_ns = 0
        timer.handle = None

    def random_bytes(self, count: int) -> bytes:
        return self.random.randbytes(count)

    def advance(self, delta_ns: int) -> None:
        """Move the clock, firing what becomes due, in order."""
        end = self.now + delta_ns
        while self.heap and self.heap[0][0] <= end:
            deadline, number, timer = heapq.heappop(self.heap)
            if timer.handle != number or timer.deadline_ns != deadline:
                continue  # disarmed, or armed for another time
            self.now = max(self.now, deadline)
            timer.deadline_ns = 0
            timer.handle = None
            timer.fire()
        self.now = end

    def armed(self) -> int:
        """Return how many timers are armed."""
        return sum(1 for _, number, timer in self.heap if timer.handle == number)


class CaptureLink(Link):
    """Keeps what is sent, as whole frames; has room until a test says otherwise."""

    def __init__(self, mtu: int = 1500, address: bytes = b"\x02\x00\x00\x00\x00\x01") -> None:
        super().__init__(mtu, address)
        self.frames: list[bytes] = []
        self.sent: list[OutFrame] = []
        self.has_room = True

    def send(self, frame: OutFrame) -> bool:
        if not self.has_room:
            return False
        self.sent.append(frame)
        self.frames.append(frame_bytes(frame))
        return True

    def take(self) -> list[bytes]:
        """Return and forget the frames sent so far."""
        frames, self.frames = self.frames, []
        self.sent.clear()
        return frames


class WireLink(Link):
    """One end of a wire: a frame arrives at the other end one nanosecond later, or is lost."""

    def __init__(self, environment: VirtualEnvironment, mtu: int, address: bytes) -> None:
        super().__init__(mtu, address)
        self.environment = environment
        self.peer: WireLink | None = None
        self.frames: list[bytes] = []  # all that this end sent
        self.lose = 0  # how many of the next frames get lost
        self.delay_ns = 1

    def send(self, frame: OutFrame) -> bool:
        data = frame_bytes(frame)
        self.frames.append(data)
        if self.lose:
            self.lose -= 1
        elif self.peer is not None:
            arrival = Arrival(self.peer, data)
            self.environment.arm(arrival, self.environment.now_ns() + self.delay_ns)
        return True


class Arrival(Timer):
    """A frame on its way."""

    def __init__(self, link: WireLink, data: bytes) -> None:
        super().__init__()
        self.link = link
        self.data = data

    def fire(self) -> None:
        if self.link.interface is not None:
            self.link.interface.receive(self.data)


def wire(environment: VirtualEnvironment, mtu: int = 1500) -> tuple[WireLink, WireLink]:
    """Return the two ends of a wire."""
    left = WireLink(environment, mtu, b"\x02\x00\x00\x00\x00\x0a")
    right = WireLink(environment, mtu, b"\x02\x00\x00\x00\x00\x0b")
    left.peer, right.peer = right, left
    return left, right


def frame_bytes(frame: OutFrame) -> bytes:
    """Return a frame as it would be on the wire: with the checksum that was left to the link."""
    data = frame.header + frame.payload
    if frame.checksum_start and not frame.gso_size:
        total = sums.checksum(data[frame.checksum_start :])
        at = frame.checksum_start + frame.checksum_offset
        data = sums.replace(data, at, sums.finish(total) or 0xFFFF)
    return data


class RecordingListener(Listener):
    """Keeps the events it was told."""

    def __init__(self) -> None:
        self.events: list[int] = []

    def on_events(self, events: int) -> None:
        self.events.append(events)


def deliver(interface: Interface, *frames: bytes) -> None:
    """Have an interface receive frames."""
    for frame in frames:
        interface.receive(frame)


class Host:
    """A stack with one interface."""

    def __init__(
        self, environment: VirtualEnvironment, link: Link, host: bytes = b"", length: int = 24
    ) -> None:
        self.environment = environment
        self.stack, self.udp = new_stack(environment, ipv6=False)
        self.link = link
        self.interface = self.stack.add_interface("eth0", link)
        self.stack.set_up(self.interface)
        if host:
            self.stack.add_address(self.interface, InterfaceAddress(host, length))

    def ping(self) -> PingEndpoint:
        return self.stack.pings[4].new_endpoint()

    def receive(self, *frames: bytes) -> None:
        deliver(self.interface, *frames)


def ip(text: str) -> bytes:
    """Return an IPv4 address."""
    return bytes(int(part) for part in text.split("."))


class Pair:
    """Two hosts on one wire: 10.0.0.1 and 10.0.0.2."""

    def __init__(self, mtu: int = 1500) -> None:
        self.environment = VirtualEnvironment()
        left, right = wire(self.environment, mtu)
        self.left = Host(self.environment, left, ip("10.0.0.1"))
        self.right = Host(self.environment, right, ip("10.0.0.2"))
        self.wire_left, self.wire_right = left, right
        self.run()
        left.frames.clear()
        right.frames.clear()

    def run(self, delta_ns: int = SECOND // 100) -> None:
        self.environment.advance(delta_ns)
