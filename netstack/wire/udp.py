"""UDP headers (RFC 768)."""

import struct
from typing import Final

PROTOCOL: Final = 17
HEADER_LENGTH: Final = 8
CHECKSUM_OFFSET: Final = 6
MAX_PAYLOAD: Final = 65535 - HEADER_LENGTH

_HEADER: Final = struct.Struct("!HHHH")


def build(source_port: int, destination_port: int, payload_length: int) -> bytes:
    """Return a header with a checksum field of zero."""
    return _HEADER.pack(source_port, destination_port, HEADER_LENGTH + payload_length, 0)
