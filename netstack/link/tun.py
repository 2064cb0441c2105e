"""TUN and TAP devices: the end that a program holds (Documentation/networking/tuntap.rst).

What the stack sends is read by the program, what the program writes is received.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from netstack.endpoint import EVENT_IN, EVENT_OUT, NO_LISTENER
from netstack.environment import Listener
from netstack.errors import INVALID, NETWORK_DOWN, NetError
from netstack.interface import IFF_UP
from netstack.link.base import Link
from netstack.packet import OutFrame

# linux/if_tun.h
IFF_TUN: Final = 0x0001
IFF_TAP: Final = 0x0002
IFF_NO_PI: Final = 0x1000

QUEUE_LIMIT: Final = 500  # TUN_READQ_SIZE
DEFAULT_MTU: Final = 1500
MAX_FRAME: Final = 65535 + 14
PI_SIZE: Final = 4  # struct tun_pi: flags, protocol
TUN_PKT_STRIP: Final = 0x0001  # the reader's buffer was too small
ETHERNET_HEADER_SIZE: Final = 14


class TunLink(Link):
    """A device and its queue; `flags` are IFF_TUN or IFF_TAP, and IFF_NO_PI."""

    def __init__(self, flags: int, address: bytes = b"", mtu: int = DEFAULT_MTU) -> None:
        self.is_tap = bool(flags & IFF_TAP)
        super().__init__(mtu, address if self.is_tap else b"")
        self.flags = flags
        self.listener: Listener = NO_LISTENER
        self._queue: deque[OutFrame] = deque()
        self._was_refused = False

    # The stack's side.

    def send(self, frame: OutFrame) -> bool:
        if len(self._queue) >= QUEUE_LIMIT:
            self._was_refused = True
            return False
        self._queue.append(frame)
        if len(self._queue) == 1:
            self.listener.on_events(EVENT_IN)
        return True

    # The program's side.

    def readiness(self) -> int:
        """Return the EVENT_ bits that hold now."""
        return EVENT_OUT | EVENT_IN if self._queue else EVENT_OUT

    def try_read(self, size: int) -> bytes | None:
        """Return one frame, cut to `size` bytes with what stands before it; None: none waits."""
        if not self._queue:
            return None
        frame = self._queue.popleft()
        if self._was_refused and len(self._queue) <= QUEUE_LIMIT // 2:
            self._was_refused = False
            if self.interface is not None:
                self.interface.on_room()
        data = frame.header + frame.payload
        if self.flags & IFF_NO_PI:
            return data[:size]
        # tun_put_user(): EINVAL if not even the information fits.
        if size < PI_SIZE:
            raise NetError(INVALID)
        is_cut = len(data) + PI_SIZE > size
        flags = TUN_PKT_STRIP if is_cut else 0
        information = flags.to_bytes(2, "little") + frame.ethertype.to_bytes(2, "big")
        return (information + data)[:size]

    def write(self, data: bytes) -> int:
        """Receive one frame; return the bytes taken: all.

        NetError(INVALID) for what is no frame, NetError(NETWORK_DOWN) (EIO) if
        the interface is down, as tun_get_user() in drivers/net/tun.c.
        """
        interface = self.interface
        if interface is None or not interface.flags & IFF_UP:
            raise NetError(NETWORK_DOWN)
        start = 0 if self.flags & IFF_NO_PI else PI_SIZE
        size = len(data) - start
        if size < (ETHERNET_HEADER_SIZE if self.is_tap else 1) or size > MAX_FRAME:
            raise NetError(INVALID)
        frame = data[start:]
        # Without Ethernet headers the version in the packet is all that says what it is,
        # with packet information or without: they must agree.
        if not self.is_tap and frame[0] >> 4 not in (4, 6):
            raise NetError(INVALID)
        interface.receive(frame)
        return len(data)

    def close(self) -> None:
        """Drop what waits."""
        self._queue.clear()
