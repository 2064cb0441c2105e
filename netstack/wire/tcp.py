"""The TCP header and its options (RFC 9293, 3.1; RFC 7323; RFC 2018)."""

import struct
from typing import Final

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
PSH: Final = 0x08
ACK: Final = 0x10
URG: Final = 0x20
ECE: Final = 0x40
CWR: Final = 0x80

HEADER_SIZE: Final = 20
CHECKSUM_OFFSET: Final = 16
MAX_OPTIONS: Final = 40
PROTOCOL_TCP: Final = 6

# Option kinds (IANA "TCP Parameters").
OPTION_END: Final = 0
OPTION_NOP: Final = 1
OPTION_MSS: Final = 2
OPTION_WINDOW_SCALE: Final = 3
OPTION_SACK_PERMITTED: Final = 4
OPTION_SACK: Final = 5
OPTION_TIMESTAMPS: Final = 8
OPTION_FASTOPEN: Final = 34  # RFC 7413, 4.1.1

COOKIE_MIN: Final = 4  # bytes of a Fast Open cookie
COOKIE_MAX: Final = 16
MAX_WINDOW_SCALE: Final = 14  # RFC 7323, 2.3
TIMESTAMPS_SIZE: Final = 12  # with the two NOPs before it

_FIXED: Final = struct.Struct(">HHIIHHHH")
_FIXED_TIMESTAMPS: Final = struct.Struct(">HHIIHHHHIII")
_TIMESTAMPS: Final = struct.Struct(">II")
_BLOCK: Final = struct.Struct(">II")
_PADDED_TIMESTAMPS: Final = 0x0101080A  # NOP NOP kind length, RFC 7323, appendix A
_PADDED_TIMESTAMPS_BYTES: Final = b"\x01\x01\x08\x0a"


class Segment:
    """A received segment: the header's fields, and where its payload is."""

    def __init__(
        self, sequence: int, acknowledgment: int, flags: int, window: int, urgent: int
    ) -> None:
        self.seq = sequence  # of the wire; connections replace it by the unwrapped one
        self.ack = acknowledgment
        self.flags = flags
        self.window = window  # not scaled
        self.urgent = urgent
        self.start = 0  # of the payload in the packet
        self.end = 0
        # Options; what is absent is None, -1 or 0.
        self.has_timestamps = False
        self.ts_value = 0
        self.ts_echo = 0
        self.mss = 0
        self.window_scale = -1
        self.sack_permitted = False
        self.cookie: bytes | None = None  # of Fast Open; empty asks for one
        self.sack: list[tuple[int, int]] | None = None  # numbers of the wire

    def size(self) -> int:
        """Return how many sequence numbers the segment takes."""
        return self.end - self.start + (self.flags & 1) + ((self.flags >> 1) & 1)


def parse(data: bytes, offset: int, end: int) -> Segment | None:
    """Return the segment at data[offset:end]; None if it is malformed.

    Malformed options end the parsing of options only, as in Linux: the segment
    counts with those that came before.
    """
    if end - offset < HEADER_SIZE:
        return None
    _, _, seq, ack, bits, window, _, urgent = _FIXED.unpack_from(data, offset)
    payload = offset + (bits >> 12) * 4
    if payload < offset + HEADER_SIZE or payload > end:
        return None
    segment = Segment(seq, ack, bits & 0xFF, window, urgent)
    segment.start = payload
    segment.end = end
    if payload != offset + HEADER_SIZE:
        at = offset + HEADER_SIZE
        if payload - at == TIMESTAMPS_SIZE and data[at : at + 4] == _PADDED_TIMESTAMPS_BYTES:
            segment.has_timestamps = True
            segment.ts_value, segment.ts_echo = _TIMESTAMPS.unpack_from(data, at + 4)
        else:
            _parse_options(segment, data, at, payload)
    return segment


def _parse_options(segment: Segment, data: bytes, at: int, end: int) -> None:
    """Read the options in data[at:end]."""
    while at < end:
        kind = data[at]
        if kind == OPTION_END:
            return
        if kind == OPTION_NOP:
            at += 1
            continue
        if at + 1 >= end:
            return
        length = data[at + 1]
        if length < 2 or at + length > end:
            return
        _take_option(segment, kind, data, at + 2, length)
        at += length


def _take_option(segment: Segment, kind: int, data: bytes, at: int, length: int) -> None:
    """Keep one option; `at` is behind its kind and length."""
    if kind == OPTION_TIMESTAMPS:
        if length == 10:
            segment.has_timestamps = True
            segment.ts_value, segment.ts_echo = _TIMESTAMPS.unpack_from(data, at)
    elif kind == OPTION_SACK:
        if length >= 10 and (length - 2) % 8 == 0:
            segment.sack = [
                (left, right) for left, right in _BLOCK.iter_unpack(data[at : at + length - 2])
            ]
    elif not segment.flags & SYN:
        return  # the others count in SYN segments only
    elif kind == OPTION_MSS:
        if length == 4:
            segment.mss = data[at] << 8 | data[at + 1]
    elif kind == OPTION_WINDOW_SCALE:
        if length == 3:
            segment.window_scale = min(data[at], MAX_WINDOW_SCALE)
    elif kind == OPTION_SACK_PERMITTED:
        if length == 2:
            segment.sack_permitted = True
    elif kind == OPTION_FASTOPEN:
        size = length - 2
        if size % 2 == 0 and (size == 0 or COOKIE_MIN <= size <= COOKIE_MAX):
            segment.cookie = data[at : at + size]


def build(
    source_port: int,
    destination_port: int,
    seq: int,
    ack: int,
    flags: int,
    window: int,
    urgent: int,
    options: bytes,
) -> bytes:
    """Return a header with checksum 0; `options` is padded to words already.

    `seq` and `ack` may be unwrapped.
    """
    bits = (5 + (len(options) >> 2)) << 12 | flags
    fixed = _FIXED.pack(
        source_port,
        destination_port,
        seq & 0xFFFFFFFF,
        ack & 0xFFFFFFFF,
        bits,
        window,
        0,
        urgent,
    )
    return fixed + options if options else fixed


def build_with_timestamps(
    source_port: int,
    destination_port: int,
    seq: int,
    ack: int,
    flags: int,
    window: int,
    urgent: int,
    ts_value: int,
    ts_echo: int,
) -> bytes:
    """Return a header whose only option is timestamps: nearly all that are sent."""
    return _FIXED_TIMESTAMPS.pack(
        source_port,
        destination_port,
        seq & 0xFFFFFFFF,
        ack & 0xFFFFFFFF,
        0x8000 | flags,
        window,
        0,
        urgent,
        _PADDED_TIMESTAMPS,
        ts_value,
        ts_echo,
    )


def syn_options(
    mss: int,
    window_scale: int,
    sack_permitted: bool,
    has_timestamps: bool,
    ts_value: int,
    ts_echo: int,
) -> bytes:
    """Return the options of a SYN segment, laid out as Linux does; `window_scale` -1: none."""
    options = struct.pack(">BBH", OPTION_MSS, 4, mss)
    if has_timestamps:
        pad = b"\x04\x02" if sack_permitted else b"\x01\x01"
        options += pad + struct.pack(">BBII", OPTION_TIMESTAMPS, 10, ts_value, ts_echo)
    elif sack_permitted:
        options += b"\x01\x01\x04\x02"
    if window_scale >= 0:
        options += bytes((OPTION_NOP, OPTION_WINDOW_SCALE, 3, window_scale))
    return options


def fastopen_option(cookie: bytes) -> bytes:
    """Return the option with its padding."""
    option = bytes((OPTION_FASTOPEN, 2 + len(cookie))) + cookie
    return option + bytes((OPTION_NOP,)) * (-len(option) % 4)


def timestamps_option(ts_value: int, ts_echo: int) -> bytes:
    """Return the option with its padding (RFC 7323, appendix A)."""
    return struct.pack(">III", _PADDED_TIMESTAMPS, ts_value, ts_echo)


def sack_option(blocks: list[tuple[int, int]]) -> bytes:
    """Return a SACK option with its padding; blocks may be unwrapped."""
    parts = [bytes((OPTION_NOP, OPTION_NOP, OPTION_SACK, 2 + 8 * len(blocks)))]
    for left, right in blocks:
        parts.append(_BLOCK.pack(left & 0xFFFFFFFF, right & 0xFFFFFFFF))
    return b"".join(parts)
