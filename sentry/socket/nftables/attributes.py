"""Attributes of nf_tables: numbers in network order, registers, data and verdicts.

Everything read here comes from the guest: what is missing or too short is SysError(EINVAL).
"""

from typing import Final

from netstack.filter.nft_chain import REGISTERS
from sentry.abi import nf_tables as abi
from sentry.abi.errno import EINVAL, ENAMETOOLONG, ENODATA, ERANGE
from sentry.errors import SysError
from sentry.socket.netlink_wire import RTATTR_SIZE, align, attribute, parse_attributes

Attributes = dict[int, bytes]

MAX_NAME: Final = 255
MAX_USER_DATA: Final = 256
NLA_TYPE_MASK: Final = 0x3FFF


class BadAttributeError(SysError):
    """An error with the attribute of the message that it is about, which user space is told."""

    def __init__(self, errno: int, kind: int, inner: int = -1) -> None:
        super().__init__(errno)
        self.kind = kind
        self.inner = inner  # where in it the one is that is meant; negative: all of it


def be(attributes: Attributes, kind: int, size: int) -> int:
    """Return a number of `size` bytes."""
    data = attributes.get(kind)
    if data is None or len(data) < size:
        raise SysError(EINVAL)
    return int.from_bytes(data[:size], "big")


def be_or(attributes: Attributes, kind: int, size: int, default: int) -> int:
    """Return a number, or `default` if it is not there."""
    return be(attributes, kind, size) if kind in attributes else default


def name(attributes: Attributes, kind: int) -> str:
    """Return a name; empty if it is not there."""
    data = attributes.get(kind, b"").split(b"\0")[0]
    if len(data) > MAX_NAME:
        raise SysError(ENAMETOOLONG)
    return data.decode("latin-1")


def user_data(attributes: Attributes, kind: int) -> bytes:
    """Return what user space wants to be kept."""
    data = attributes.get(kind, b"")
    if len(data) > MAX_USER_DATA:
        raise SysError(EINVAL)
    return data


def nested(attributes: Attributes, kind: int) -> Attributes:
    """Return the attributes in an attribute."""
    data = attributes.get(kind)
    if data is None:
        raise SysError(EINVAL)
    return parse_attributes(data, 0)


def listed(data: bytes, limit: int) -> list[tuple[int, bytes]]:
    """Return a row of attributes, which may be of one type; SysError(EINVAL) beyond `limit`."""
    return [(kind, inner) for kind, inner, _ in listed_at(data, limit)]


def listed_at(data: bytes, limit: int) -> list[tuple[int, bytes, int]]:
    """Return the same with the offset of each."""
    found: list[tuple[int, bytes, int]] = []
    at = 0
    while at + RTATTR_SIZE <= len(data):
        size = int.from_bytes(data[at : at + 2], "little")
        kind = int.from_bytes(data[at + 2 : at + 4], "little") & NLA_TYPE_MASK
        if size < RTATTR_SIZE or at + size > len(data) or len(found) >= limit:
            raise SysError(EINVAL)
        found.append((kind, data[at + RTATTR_SIZE : at + size], at))
        at += align(size)
    return found


# Making them.


def be16(kind: int, value: int) -> bytes:
    """Return an attribute of 16 bits."""
    return attribute(kind, value.to_bytes(2, "big"))


def be32(kind: int, value: int) -> bytes:
    """Return an attribute of 32 bits."""
    return attribute(kind, (value & 0xFFFF_FFFF).to_bytes(4, "big"))


def be64(kind: int, value: int) -> bytes:
    """Return an attribute of 64 bits."""
    return attribute(kind, (value & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "big"))


def text(kind: int, value: str) -> bytes:
    """Return a name's attribute."""
    return attribute(kind, value.encode("latin-1") + b"\0")


def value_data(kind: int, data: bytes) -> bytes:
    """Return an attribute with a value (nft_data_dump)."""
    return attribute(kind, attribute(abi.NFTA_DATA_VALUE, data))


def verdict_data(kind: int, code: int, chain: str) -> bytes:
    """Return an attribute with a verdict."""
    inner = be32(abi.NFTA_VERDICT_CODE, code)
    if code in {abi.NFT_JUMP, abi.NFT_GOTO}:
        inner += text(abi.NFTA_VERDICT_CHAIN, chain)
    return attribute(kind, attribute(abi.NFTA_DATA_VERDICT, inner))


def value_of(attributes: Attributes, kind: int) -> bytes:
    """Return the value in a data attribute; SysError(EINVAL) if it is empty or too long."""
    data = nested(attributes, kind).get(abi.NFTA_DATA_VALUE)
    if not data or len(data) > abi.NFT_DATA_VALUE_MAXLEN:
        raise SysError(EINVAL)
    return data


# Registers.


class Registers:
    """Which registers the expressions of a rule have loaded so far."""

    def __init__(self) -> None:
        self.loaded = 0  # a mask of words

    def source(self, attributes: Attributes, kind: int, size: int) -> int:
        """Return where the `size` bytes are that an expression reads."""
        at = place_of(be(attributes, kind, 4), size)
        mask = words(at, size)
        if self.loaded & mask != mask:
            raise SysError(ENODATA)
        return at

    def destination(self, attributes: Attributes, kind: int, size: int) -> int:
        """Return where the `size` bytes go that an expression writes."""
        at = place_of(be(attributes, kind, 4), size)
        self.loaded |= words(at, size)
        return at


def place_of(number: int, size: int) -> int:
    """Return the offset of a register; SysError(ERANGE) if there is none, or not of that size."""
    if abi.NFT_REG_1 <= number <= abi.NFT_REG_4:
        at = (number - abi.NFT_REG_1) * 16
    elif abi.NFT_REG32_00 <= number <= abi.NFT_REG32_15:
        at = (number - abi.NFT_REG32_00) * 4
    elif number == abi.NFT_REG_VERDICT:
        raise SysError(EINVAL)
    else:
        raise SysError(ERANGE)
    if size <= 0:
        raise SysError(EINVAL)
    if at + size > REGISTERS:
        raise SysError(ERANGE)
    return at


def words(at: int, size: int) -> int:
    """Return a mask of the words of some bytes."""
    return (1 << (at + size + 3) // 4) - (1 << at // 4)


def register(kind: int, at: int) -> bytes:
    """Return a register's attribute (nft_dump_register)."""
    number = at // 16 + abi.NFT_REG_1 if at % 16 == 0 else at // 4 + abi.NFT_REG32_00
    return be32(kind, number)
