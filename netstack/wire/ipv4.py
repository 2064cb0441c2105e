"""IPv4 headers (RFC 791, 3.1)."""

import struct
from typing import Final

from netstack.wire.checksum import checksum, finish, replace

HEADER_LENGTH: Final = 20
MAX_LENGTH: Final = 65535
MAX_OPTIONS: Final = 40

DF: Final = 0x4000
MF: Final = 0x2000
OFFSET_MASK: Final = 0x1FFF

# Protocol numbers (IANA).
ICMP: Final = 1
IGMP: Final = 2
TCP: Final = 6
UDP: Final = 17
RAW: Final = 255

# Options (RFC 791; RFC 2113).
OPTION_END: Final = 0
OPTION_NOOP: Final = 1
OPTION_LSRR: Final = 131
OPTION_SSRR: Final = 137
ROUTER_ALERT: Final = b"\x94\x04\x00\x00"

_HEADER: Final = struct.Struct("!BBHHHBBH4s4s")

ANY: Final = b"\x00\x00\x00\x00"
BROADCAST: Final = b"\xff\xff\xff\xff"
LOOPBACK: Final = b"\x7f\x00\x00\x01"
ALL_HOSTS: Final = b"\xe0\x00\x00\x01"


def build(
    source: bytes,
    destination: bytes,
    protocol: int,
    payload_length: int,
    ttl: int,
    tos: int = 0,
    identification: int = 0,
    fragment: int = 0,
    options: bytes = b"",
) -> bytes:
    """Return a header with its checksum; `fragment` has flags and offset as on the wire.

    The length of `options` must be a multiple of four.
    """
    words = 5 + len(options) // 4
    total = words * 4 + payload_length
    first = 0x40 | words
    bare = _HEADER.pack(
        first, tos, total, identification, fragment, ttl, protocol, 0, source, destination
    )
    if options:
        bare += options
    return replace(bare, 10, finish(checksum(bare)))


def is_multicast(address: bytes) -> bool:
    """Return whether an address is of class D."""
    return address[0] & 0xF0 == 0xE0


def copied_options(options: bytes) -> bytes:
    """Return the options that go into every fragment (RFC 791, 3.1: the copied flag)."""
    kept = b""
    position = 0
    while position < len(options):
        kind = options[position]
        if kind == OPTION_END:
            break
        length = 1 if kind == OPTION_NOOP else options[position + 1]
        if kind & 0x80:
            kept += options[position : position + length]
        position += length
    return kept + bytes(-len(kept) % 4)


def check_options(options: bytes) -> int:
    """Return -1 if all options are well formed, else the offset of the bad one."""
    position = 0
    while position < len(options):
        kind = options[position]
        if kind == OPTION_END:
            return -1
        if kind == OPTION_NOOP:
            position += 1
            continue
        if position + 1 >= len(options):
            return position
        length = options[position + 1]
        if length < 2 or position + length > len(options):
            return position
        position += length
    return -1


def has_source_route(options: bytes) -> bool:
    """Return whether well-formed options ask for a route of the sender's choice."""
    position = 0
    while position < len(options):
        kind = options[position]
        if kind == OPTION_END:
            return False
        if kind in {OPTION_LSRR, OPTION_SSRR}:
            return True
        position += 1 if kind == OPTION_NOOP else options[position + 1]
    return False
