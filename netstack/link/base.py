"""Links: what an interface sends frames through (RFC 1122, chapter 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

from netstack.packet import OutFrame

if TYPE_CHECKING:
    from netstack.interface import Interface


@mypyc_attr(allow_interpreted_subclasses=True)
class Link(ABC):
    """A device.  The owner feeds received frames to `interface.receive`."""

    def __init__(self, mtu: int, address: bytes) -> None:
        self.interface: Interface | None = None  # set by the interface that uses it
        self.mtu = mtu  # largest network packet, without the link header
        self.address = address  # hardware address, 6 bytes, or empty
        self.broadcast = b"\xff" * 6 if address else b""
        self.has_header = bool(address)  # frames have an Ethernet header
        self.resolves = bool(address)  # next hops are found by ARP and ND (no IFF_NOARP)
        self.is_loopback = False
        self.sends_checksums = False  # takes frames with `checksum_start`
        self.finishes_checksums = False  # of single frames, itself: better not to leave them to it
        self.gso_max = 0  # largest frame it takes with `gso_size`; 0: none
        self.joins_datagrams = False  # takes frames of several UDP datagrams, too

    @abstractmethod
    def send(self, frame: OutFrame) -> bool:
        """Send a frame; False if there is no room now: the frame is not taken.

        The link calls `interface.on_room()` when there is room again.
        """

    def on_room(self) -> None:
        """Called on a queueing discipline (`Interface.set_queue`) when its link has room again."""
