"""Network interfaces: addresses, flags, counters, and the way in and out (RFC 1122, 3.3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.link.base import Link
from netstack.packet import OutFrame

if TYPE_CHECKING:
    from netstack.stack import Stack

# Flags of netdevice(7).
IFF_UP: Final = 0x1
IFF_BROADCAST: Final = 0x2
IFF_LOOPBACK: Final = 0x8
IFF_POINTOPOINT: Final = 0x10
IFF_RUNNING: Final = 0x40
IFF_NOARP: Final = 0x80
IFF_PROMISC: Final = 0x100
IFF_ALLMULTI: Final = 0x200
IFF_MULTICAST: Final = 0x1000


class InterfaceAddress:
    """An address of an interface."""

    def __init__(self, host: bytes, prefix_length: int) -> None:
        self.host = host
        self.prefix_length = prefix_length
        self.peer = b""  # point-to-point
        self.broadcast = b""
        self.label = b""
        self.scope = 0  # ifa_scope, rtnetlink(7)
        self.flags = 0  # IFA_F_
        # IPv6 (RFC 4862); 0 is for ever.
        self.preferred_until_ns = 0
        self.valid_until_ns = 0
        self.is_tentative = False


class Interface:
    """An interface of a stack."""

    def __init__(self, stack: Stack, index: int, name: str, link: Link) -> None:
        self.stack = stack
        self.index = index
        self.name = name
        self.link = link
        self.mtu = link.mtu
        self.flags = 0
        self.addresses: list[InterfaceAddress] = []
        link.interface = self

    def receive(
        self, data: bytes, *, checksum_good: bool = False, gso_size: int = 0, time_ns: int = 0
    ) -> None:
        """Take a frame from the link.

        `checksum_good`: the transport checksum was verified, or is unfinished
        because the frame never left the machine.  `gso_size`: the frame stands
        for several segments of that size.
        """
        raise NotImplementedError

    def send_frame(self, frame: OutFrame) -> bool:
        """Send a frame through the queueing discipline; False if there is no room."""
        raise NotImplementedError

    def on_room(self) -> None:
        """Called by the link when it takes frames again."""
        raise NotImplementedError
