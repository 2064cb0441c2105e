"""IGMP messages: version 2 (RFC 2236) and 3 (RFC 3376, 4)."""

from typing import Final

from netstack.wire.checksum import checksum, finish, replace

QUERY: Final = 0x11
V1_REPORT: Final = 0x12
V2_REPORT: Final = 0x16
LEAVE: Final = 0x17
V3_REPORT: Final = 0x22

# Record types of a version 3 report (RFC 3376, 4.2.12).
MODE_IS_INCLUDE: Final = 1
MODE_IS_EXCLUDE: Final = 2
CHANGE_TO_INCLUDE: Final = 3
CHANGE_TO_EXCLUDE: Final = 4
ALLOW_NEW_SOURCES: Final = 5
BLOCK_OLD_SOURCES: Final = 6

ALL_ROUTERS: Final = b"\xe0\x00\x00\x02"
V3_ROUTERS: Final = b"\xe0\x00\x00\x16"


def build(kind: int, group: bytes) -> bytes:
    """Return a message of version 2."""
    message = bytes((kind, 0, 0, 0)) + group
    return replace(message, 2, finish(checksum(message)))


def record(kind: int, group: bytes, sources: list[bytes]) -> bytes:
    """Return one group record of a version 3 report."""
    return bytes((kind, 0)) + len(sources).to_bytes(2, "big") + group + b"".join(sources)


def report(records: list[bytes]) -> bytes:
    """Return a version 3 report."""
    message = bytes((V3_REPORT, 0, 0, 0, 0, 0)) + len(records).to_bytes(2, "big")
    message += b"".join(records)
    return replace(message, 2, finish(checksum(message)))


def decode_time(code: int) -> int:
    """Return a maximum response time in tenths of a second (RFC 3376, 4.1.1)."""
    if code < 128:
        return code
    return ((code & 0x0F) | 0x10) << (((code >> 4) & 7) + 3)
