"""The Internet checksum (RFC 1071).

Sums are kept modulo 65535, which is the same as one's complement addition: a
number modulo 65535 is the sum of its 16-bit digits, with the carries folded.
"""


def checksum(data: bytes, initial: int = 0) -> int:
    """Return the sum of `data` as big-endian 16-bit words, plus `initial`, modulo 65535.

    An odd last byte counts as the high half of a word.  Only the last piece of
    what is summed may be odd.
    """
    total = int.from_bytes(data, "big")
    if len(data) & 1:
        total <<= 8
    return (total + initial) % 65535


def finish(total: int) -> int:
    """Return what goes into the checksum field for a sum: its complement."""
    return -total % 65535


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> int:
    """Return the sum of the pseudo-header (RFC 768; RFC 8200, 8.1: the same sum for IPv6)."""
    addresses = int.from_bytes(source, "big") + int.from_bytes(destination, "big")
    return (addresses + protocol + length) % 65535


def replace(header: bytes, offset: int, value: int) -> bytes:
    """Return `header` with the 16-bit field at `offset` set to `value`."""
    return header[:offset] + value.to_bytes(2, "big") + header[offset + 2 :]
