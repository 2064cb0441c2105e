"""ICMPv6 messages (RFC 4443): types, codes, and the fixed parts of each."""

from struct import Struct
from typing import Final

HEADER_SIZE: Final = 4
ERROR_HEADER_SIZE: Final = 8
ECHO_HEADER_SIZE: Final = 8

# IANA "ICMPv6 Parameters".
DESTINATION_UNREACHABLE: Final = 1
PACKET_TOO_BIG: Final = 2
TIME_EXCEEDED: Final = 3
PARAMETER_PROBLEM: Final = 4
ECHO_REQUEST: Final = 128
ECHO_REPLY: Final = 129
MLD_QUERY: Final = 130
MLD_REPORT: Final = 131
MLD_DONE: Final = 132
ROUTER_SOLICITATION: Final = 133
ROUTER_ADVERTISEMENT: Final = 134
NEIGHBOUR_SOLICITATION: Final = 135
NEIGHBOUR_ADVERTISEMENT: Final = 136
REDIRECT: Final = 137
MLD2_REPORT: Final = 143

# Codes of DESTINATION_UNREACHABLE, section 3.1.
NO_ROUTE: Final = 0
PROHIBITED: Final = 1
BEYOND_SCOPE: Final = 2
ADDRESS_UNREACHABLE: Final = 3
PORT_UNREACHABLE: Final = 4
POLICY_FAIL: Final = 5
REJECT_ROUTE: Final = 6

# Codes of TIME_EXCEEDED, section 3.3.
HOP_LIMIT_EXCEEDED: Final = 0
REASSEMBLY_TIME_EXCEEDED: Final = 1

FIXED_PART: Final = Struct(">BBHI")


def is_error(kind: int) -> bool:
    """Return whether a message type reports an error, section 2.1."""
    return kind < 128


def build_error(kind: int, code: int, word: int, quoted: bytes) -> bytes:
    """Return an error message without its checksum.

    `word` is the MTU, the pointer or zero; `quoted` as much of the offending
    packet as fits into the minimum MTU.
    """
    return FIXED_PART.pack(kind, code, 0, word) + quoted


def build_echo_header(kind: int, identifier: int, sequence: int) -> bytes:
    """Return the header of an echo message without its checksum, section 4."""
    return FIXED_PART.pack(kind, 0, 0, identifier << 16 | sequence)


def word_of(data: bytes, offset: int) -> int:
    """Return the second 32 bits of the message at `offset`: MTU, pointer, or echo's numbers."""
    return int.from_bytes(data[offset + 4 : offset + 8], "big")


def with_checksum(message: bytes, checksum: int) -> bytes:
    """Return a message with its checksum filled in."""
    return message[:2] + checksum.to_bytes(2, "big") + message[4:]
