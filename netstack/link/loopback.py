"""The loopback device: what is sent comes back (RFC 1122, 3.2.1.3 (g))."""

from collections import deque
from typing import Final

from netstack.environment import Timer
from netstack.link.base import Link
from netstack.packet import OutFrame

MTU: Final = 65536  # as Linux's lo
MAX_QUEUED: Final = 1000  # frames; net.core.netdev_max_backlog


class Loopback(Link):
    """Frames are delivered from a queue, never from within `send`.

    A transport that answered from within its peer's call to send would find
    that peer in the middle of its work.  The queue is emptied by a timer that
    is due at once, or by `Stack.flush`, which the owner calls after an operation.
    """

    def __init__(self) -> None:
        super().__init__(MTU, bytes(6))
        self.resolves = False
        self.is_loopback = True
        self.sends_checksums = True
        self.gso_max = 65536
        self.queue: deque[OutFrame] = deque()
        self.was_full = False
        self._timer = DeliveryTimer(self)

    def send(self, frame: OutFrame) -> bool:
        interface = self.interface
        if len(self.queue) >= MAX_QUEUED or interface is None:
            self.was_full = True
            return False
        self.queue.append(frame)
        if not self._timer.deadline_ns:
            environment = interface.stack.environment
            environment.arm(self._timer, environment.now_ns() + 1)
        return True

    def deliver(self) -> int:
        """Deliver what is queued now, not what that causes to be sent; return how many frames."""
        interface = self.interface
        if interface is None:
            return 0
        count = len(self.queue)
        for _ in range(count):
            if not self.queue:
                break  # the interface went down
            frame = self.queue.popleft()
            interface.receive(
                frame.header + frame.payload, checksum_good=True, gso_size=frame.gso_size
            )
        if self.was_full and count:
            self.was_full = False
            interface.on_room()
        return count


class DeliveryTimer(Timer):
    """Empties the queue of a loopback device."""

    def __init__(self, link: Loopback) -> None:
        super().__init__()
        self.link = link

    def fire(self) -> None:
        self.link.deliver()
        if self.link.queue and self.link.interface is not None and not self.deadline_ns:
            environment = self.link.interface.stack.environment
            environment.arm(self, environment.now_ns() + 1)
