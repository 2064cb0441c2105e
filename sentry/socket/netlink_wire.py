"""Netlink messages and their attributes (netlink(7), RFC 3549, 2.2): parsing and building.

What is parsed comes from the guest: lengths are checked, and what is malformed
is SysError(EINVAL), never anything else.
"""

from struct import Struct
from typing import Final

from sentry.abi.errno import EINVAL
from sentry.errors import SysError

NLMSGHDR_SIZE: Final = 16
RTATTR_SIZE: Final = 4
NLA_TYPE_MASK: Final = 0x3FFF
_HEADER: Final = Struct("<IHHII")
_ATTRIBUTE: Final = Struct("<HH")
_U32: Final = Struct("<I")


class NetlinkMessage:
    """One request."""

    def __init__(self, kind: int, flags: int, sequence: int, payload: bytes, whole: bytes) -> None:
        self.kind = kind
        self.flags = flags
        self.sequence = sequence
        self.payload = payload
        self.whole = whole  # with its header: errors quote it


def align(size: int) -> int:
    """Return `size` rounded up to NLMSG_ALIGNTO."""
    return (size + 3) & ~3


def parse_messages(data: bytes) -> list[NetlinkMessage]:
    """Return the messages of a datagram, up to the first that is malformed (netlink_rcv_skb)."""
    found = []
    offset = 0
    while offset + NLMSGHDR_SIZE <= len(data):
        size, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if size < NLMSGHDR_SIZE or offset + size > len(data):
            break
        whole = data[offset : offset + size]
        found.append(NetlinkMessage(kind, flags, sequence, whole[NLMSGHDR_SIZE:], whole))
        offset += align(size)
    return found


def parse_attributes(data: bytes, offset: int) -> dict[int, bytes]:
    """Return the attributes by type; of several with one type the last."""
    found: dict[int, bytes] = {}
    while offset + RTATTR_SIZE <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if size < RTATTR_SIZE or offset + size > len(data):
            raise SysError(EINVAL)
        found[kind & NLA_TYPE_MASK] = data[offset + RTATTR_SIZE : offset + size]
        offset += align(size)
    return found


def number(attributes: dict[int, bytes], kind: int, default: int = 0) -> int:
    """Return a 32-bit attribute; SysError(EINVAL) if it is shorter."""
    data = attributes.get(kind)
    if data is None:
        return default
    if len(data) < 4:
        raise SysError(EINVAL)
    value: int = _U32.unpack_from(data)[0]
    return value


def text(attributes: dict[int, bytes], kind: int) -> str:
    """Return a string attribute, which may have a NUL at its end; empty if it is not there."""
    return attributes.get(kind, b"").split(b"\0")[0].decode("ascii", "replace")


def attribute(kind: int, data: bytes) -> bytes:
    """Return an attribute with its padding."""
    return _ATTRIBUTE.pack(RTATTR_SIZE + len(data), kind) + data + bytes(-len(data) % 4)


def u32(kind: int, value: int) -> bytes:
    """Return a 32-bit attribute."""
    return attribute(kind, _U32.pack(value & 0xFFFF_FFFF))


def u8(kind: int, value: int) -> bytes:
    """Return an 8-bit attribute."""
    return attribute(kind, bytes((value & 0xFF,)))


def string(kind: int, value: str) -> bytes:
    """Return a string attribute, with a NUL."""
    return attribute(kind, value.encode() + b"\0")


def message(kind: int, flags: int, sequence: int, port: int, payload: bytes) -> bytes:
    """Return a message with its header and padding."""
    size = NLMSGHDR_SIZE + len(payload)
    header = _HEADER.pack(size, kind, flags, sequence, port)
    return header + payload + bytes(-len(payload) % 4)
