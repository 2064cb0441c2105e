"""Ethernet II headers (IEEE 802.3; RFC 894, RFC 2464): destination, source, ethertype."""

from typing import Final

HEADER_LENGTH: Final = 14
BROADCAST: Final = b"\xff" * 6


def header(destination: bytes, source: bytes, ethertype: int) -> bytes:
    """Return a header."""
    return destination + source + ethertype.to_bytes(2, "big")


def ethertype(frame: bytes) -> int:
    """Return the type field of a frame of at least 14 bytes."""
    return (frame[12] << 8) | frame[13]


def multicast4(group: bytes) -> bytes:
    """Return the hardware address of an IPv4 group (RFC 1112, 6.4)."""
    return b"\x01\x00\x5e" + bytes((group[1] & 0x7F,)) + group[2:4]
