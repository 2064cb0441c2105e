"""The loopback device: what is sent comes back (RFC 1122, 3.2.1.3 (g))."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from netstack.environment import Environment, Timer
from netstack.link.base import Link
from netstack.packet import OutFrame

if TYPE_CHECKING:
    from netstack.filter.passage import Passage
    from netstack.interface import Interface

MTU: Final = 65536  # as Linux's lo
MAX_QUEUED: Final = 1000  # frames; net.core.netdev_max_backlog
ROUNDS: Final = 64  # of answers to answers that one `flush` delivers


class Delivery:
    """A frame on its way back into the stack."""

    def __init__(self, interface: Interface, data: bytes, gso_size: int, ethertype: int) -> None:
        self.interface = interface
        self.data = data
        self.gso_size = gso_size
        self.ethertype = ethertype  # of a frame without link header; 0: a whole frame
        self.passage: Passage | None = None  # of a packet that rules have seen on its way out


class DeliveryQueue(Timer):
    """What the stack sent to itself.

    Frames are delivered from here, never from within `send`: a transport that
    answered from within its peer's call to send would find that peer in the
    middle of its work.  The queue is emptied by a timer that is due at once,
    or by `flush`, which the owner may call after an operation.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.environment = environment
        self.queue: deque[Delivery] = deque()
        self.refused: list[Interface] = []  # told when there is room again
        self._flushing = False

    def push(
        self,
        interface: Interface,
        data: bytes,
        gso_size: int,
        ethertype: int,
        passage: Passage | None = None,
    ) -> bool:
        """Queue a frame; False if there is no room."""
        if len(self.queue) >= MAX_QUEUED:
            if interface not in self.refused:
                self.refused.append(interface)
            return False
        item = Delivery(interface, data, gso_size, ethertype)
        item.passage = passage
        self.queue.append(item)
        if not self.deadline_ns:
            self.environment.arm(self, self.environment.now_ns() + 1)
        return True

    def deliver(self) -> int:
        """Deliver what is queued now, not what that causes to be sent; return how many frames."""
        count = len(self.queue)
        for _ in range(count):
            item = self.queue.popleft()
            if item.ethertype:
                item.interface.receive_looped(item.data, item.ethertype)
            else:
                item.interface.receive(
                    item.data,
                    checksum_good=True,
                    gso_size=item.gso_size,
                    passage=item.passage,
                )
        refused = self.refused
        if refused:
            self.refused = []
            for interface in refused:
                interface.on_room()
        return count

    def flush(self) -> None:
        """Deliver what is queued and what that causes, up to a limit."""
        if self._flushing or not (self.queue or self.refused or self.deadline_ns):
            return
        self._flushing = True
        try:
            for _ in range(ROUNDS):
                if not self.deliver():
                    self.environment.disarm(self)
                    break
        finally:
            self._flushing = False

    def fire(self) -> None:
        if not self._flushing:
            self.deliver()
        if self.queue and not self.deadline_ns:
            self.environment.arm(self, self.environment.now_ns() + 1)


class Loopback(Link):
    """Linux's lo: frames have an Ethernet header of zeros."""

    def __init__(self) -> None:
        super().__init__(MTU, bytes(6))
        self.resolves = False
        self.is_loopback = True
        self.sends_checksums = True
        self.gso_max = 65536

    def send(self, frame: OutFrame) -> bool:
        interface = self.interface
        if interface is None:
            return True  # lost: it was removed
        data = frame.header + frame.payload
        return interface.stack.deliveries.push(interface, data, frame.gso_size, 0, frame.passage)
