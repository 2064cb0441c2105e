"""ICMP messages (RFC 792)."""

from typing import Final

from netstack.wire.checksum import checksum, finish, replace

HEADER_LENGTH: Final = 8

ECHO_REPLY: Final = 0
DEST_UNREACH: Final = 3
SOURCE_QUENCH: Final = 4
REDIRECT: Final = 5
ECHO: Final = 8
TIME_EXCEEDED: Final = 11
PARAMETER_PROBLEM: Final = 12
TIMESTAMP: Final = 13
TIMESTAMP_REPLY: Final = 14

NET_UNREACHABLE: Final = 0
HOST_UNREACHABLE: Final = 1
PROTOCOL_UNREACHABLE: Final = 2
PORT_UNREACHABLE: Final = 3
FRAGMENTATION_NEEDED: Final = 4
PACKET_FILTERED: Final = 13

TTL_EXCEEDED: Final = 0
REASSEMBLY_EXCEEDED: Final = 1

ERRORS: Final = frozenset((3, 4, 5, 11, 12))


def build(kind: int, code: int, rest: int, data: bytes) -> bytes:
    """Return a message with its checksum; `rest` is the second word of the header."""
    message = bytes((kind, code, 0, 0)) + rest.to_bytes(4, "big") + data
    return replace(message, 2, finish(checksum(message)))
