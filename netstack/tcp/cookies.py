"""SYN cookies: a SYN-ACK that needs no memory (RFC 4987, 3.6).

The initial sequence number carries 6 bits of time, 2 of the peer's MSS and 24
of a keyed hash; our timestamp's low bits carry what the other options said.
"""

from hashlib import blake2s
from typing import Final

from netstack.tcp.states import SECOND

PERIOD: Final = 64 * SECOND
MAX_AGE: Final = 2  # periods
MSS_TABLE_4: Final = (536, 1300, 1440, 1460)
MSS_TABLE_6: Final = (1220, 1420, 1440, 8940)  # MTUs of 1280, 1480, 1500, 9000
FLOW_SIZE_4: Final = 12  # of the demultiplexer's key

TS_BITS: Final = 6
_TS_MASK: Final = (1 << TS_BITS) - 1
_NO_SCALE: Final = 15


def _hash(secret: bytes, flow: bytes, irs: int, count: int, index: int) -> int:
    """Return 24 bits over all that a cookie stands for."""
    text = flow + (irs & 0xFFFFFFFF).to_bytes(4, "big") + count.to_bytes(8, "big") + bytes((index,))
    return int.from_bytes(blake2s(text, key=secret, digest_size=3).digest(), "big")


def mss_table(flow: bytes) -> tuple[int, int, int, int]:
    """Return the segment sizes that a cookie can stand for, by the version of the addresses."""
    return MSS_TABLE_4 if len(flow) == FLOW_SIZE_4 else MSS_TABLE_6


def make_cookie(secret: bytes, flow: bytes, irs: int, mss: int, now: int) -> int:
    """Return the initial sequence number for a SYN-ACK."""
    index = 0
    table = mss_table(flow)
    for candidate in range(1, len(table)):
        if table[candidate] <= mss:
            index = candidate
    count = now // PERIOD
    return (count & 63) << 26 | index << 24 | _hash(secret, flow, irs, count, index)


def check_cookie(secret: bytes, flow: bytes, irs: int, cookie: int, now: int) -> int:
    """Return the peer's MSS; 0 if the cookie is not ours or too old."""
    cookie &= 0xFFFFFFFF
    count = now // PERIOD
    age = (count - (cookie >> 26)) & 63
    index = cookie >> 24 & 3
    if age >= MAX_AGE or age > count:
        return 0
    if cookie & 0xFFFFFF != _hash(secret, flow, irs, count - age, index):
        return 0
    return mss_table(flow)[index]


def encode_options(ts_value: int, scale: int, has_sack: bool, has_ecn: bool) -> int:
    """Return `ts_value` or a little less, with the options in its low bits; scale -1: none."""
    bits = _NO_SCALE if scale < 0 else scale
    bits |= has_sack << 4 | has_ecn << 5
    value = (ts_value & ~_TS_MASK) | bits
    if value > ts_value:
        value -= 1 << TS_BITS
    return value & 0xFFFFFFFF


def decode_scale(ts_echo: int) -> int:
    """Return the window scale; -1: none."""
    scale = ts_echo & 15
    return -1 if scale == _NO_SCALE else scale


def decode_sack(ts_echo: int) -> bool:
    """Return whether SACK was permitted."""
    return bool(ts_echo & 16)


def decode_ecn(ts_echo: int) -> bool:
    """Return whether ECN was agreed on."""
    return bool(ts_echo & 32)
