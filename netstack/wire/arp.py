"""ARP packets for IPv4 over Ethernet (RFC 826)."""

from typing import Final

LENGTH: Final = 28
REQUEST: Final = 1
REPLY: Final = 2

# Hardware type 1, protocol IPv4, lengths 6 and 4.
_FIXED: Final = b"\x00\x01\x08\x00\x06\x04"


class ArpPacket:
    """The fields of a packet."""

    def __init__(
        self,
        operation: int,
        sender_link: bytes,
        sender: bytes,
        target_link: bytes,
        target: bytes,
    ) -> None:
        self.operation = operation
        self.sender_link = sender_link
        self.sender = sender
        self.target_link = target_link
        self.target = target


def parse(data: bytes, offset: int) -> ArpPacket | None:
    """Return the packet at `offset`; None if it is short or of other kinds of addresses."""
    if len(data) < offset + LENGTH or data[offset : offset + 6] != _FIXED:
        return None
    at = offset + 8
    return ArpPacket(
        (data[offset + 6] << 8) | data[offset + 7],
        data[at : at + 6],
        data[at + 6 : at + 10],
        data[at + 10 : at + 16],
        data[at + 16 : at + 20],
    )


def build(
    operation: int, sender_link: bytes, sender: bytes, target_link: bytes, target: bytes
) -> bytes:
    """Return a packet without its Ethernet header."""
    head = _FIXED + operation.to_bytes(2, "big")
    return head + sender_link + sender + target_link + target
