"""The TCP header and its options, by literal bytes; sequence numbers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.wire.seq import MASK, difference, unwrap
from netstack.wire.tcp import (
    ACK,
    PSH,
    SYN,
    Segment,
    build,
    build_with_timestamps,
    parse,
    sack_option,
    syn_options,
    timestamps_option,
)

# A SYN as Linux sends it.
LINUX_SYN = bytes.fromhex(
    "a3b2 0050 1a2b3c4d 00000000 a002 faf0 0000 0000020405b4 0402080a 00112233 00000000 01030307"
)
# An acknowledgment with timestamps.
LINUX_ACK = bytes.fromhex(
    "a3b2 0050 1a2b3c4e 99887766 8010 01f6 0000 0000 0101080a 00112240 aabbccdd"
)
# A duplicate acknowledgment with two SACK blocks.
LINUX_SACK = bytes.fromhex(
    "a3b2 0050 1a2b3c4e 99887766 d010 01f6 0000 0000"
    "0101080a 00112240 aabbccdd 01010512 99888000 99889000 9988a000 9988b000"
)


def parsed(data: bytes) -> Segment:
    segment = parse(data, 0, len(data))
    assert segment is not None
    return segment


def test_parse_syn() -> None:
    segment = parsed(LINUX_SYN)
    assert (segment.seq, segment.ack, segment.flags) == (0x1A2B3C4D, 0, SYN)
    assert (segment.window, segment.urgent) == (64240, 0)
    assert (segment.mss, segment.window_scale, segment.sack_permitted) == (1460, 7, True)
    assert (segment.has_timestamps, segment.ts_value, segment.ts_echo) == (True, 0x112233, 0)
    assert segment.size() == 1


def test_parse_ack() -> None:
    segment = parsed(LINUX_ACK + b"data")
    assert (segment.seq, segment.ack, segment.flags) == (0x1A2B3C4E, 0x99887766, ACK)
    assert (segment.ts_value, segment.ts_echo) == (0x112240, 0xAABBCCDD)
    assert (segment.start, segment.end, segment.size()) == (32, 36, 4)
    assert segment.sack is None


def test_parse_sack() -> None:
    segment = parsed(LINUX_SACK)
    assert segment.sack == [(0x99888000, 0x99889000), (0x9988A000, 0x9988B000)]
    assert segment.ts_echo == 0xAABBCCDD


def test_parse_behind_other_bytes() -> None:
    data = b"\xee" * 34 + LINUX_ACK + b"xyz" + b"\xff" * 5
    segment = parse(data, 34, len(data) - 5)
    assert segment is not None
    assert data[segment.start : segment.end] == b"xyz"


def test_build_syn() -> None:
    options = syn_options(1460, 7, True, True, 0x112233, 0)
    assert build(0xA3B2, 80, 0x1A2B3C4D, 0, SYN, 64240, 0, options) == LINUX_SYN


def test_build_ack() -> None:
    made = build_with_timestamps(
        0xA3B2, 80, 0x1A2B3C4E, 0x99887766, ACK, 0x1F6, 0, 0x112240, 0xAABBCCDD
    )
    assert made == LINUX_ACK
    options = timestamps_option(0x112240, 0xAABBCCDD)
    assert build(0xA3B2, 80, 0x1A2B3C4E, 0x99887766, ACK, 0x1F6, 0, options) == LINUX_ACK


def test_build_sack() -> None:
    blocks = [(0x99888000, 0x99889000), (0x9988A000, 0x9988B000)]
    options = timestamps_option(0x112240, 0xAABBCCDD) + sack_option(blocks)
    assert build(0xA3B2, 80, 0x1A2B3C4E, 0x99887766, ACK, 0x1F6, 0, options) == LINUX_SACK


def test_syn_options_in_part() -> None:
    assert syn_options(536, -1, False, False, 0, 0).hex() == "02040218"
    assert syn_options(536, -1, True, False, 0, 0).hex() == "0204021801010402"
    assert syn_options(536, 3, False, False, 0, 0).hex() == "0204021801030303"
    assert syn_options(536, -1, False, True, 1, 2).hex() == "020402180101080a0000000100000002"


def test_malformed_headers() -> None:
    good = build(1, 2, 3, 4, ACK, 5, 0, b"")
    assert parse(good, 0, 20) is not None
    assert parse(good, 0, 19) is None
    assert parse(b"", 0, 0) is None
    too_small = good[:12] + b"\x40" + good[13:]
    assert parse(too_small, 0, 20) is None
    too_large = good[:12] + b"\x60" + good[13:]
    assert parse(too_large, 0, 20) is None


def with_options(options: str, flags: int = SYN) -> Segment:
    data = bytes.fromhex(options)
    data += bytes(-len(data) % 4)
    return parsed(build(1, 2, 3, 4, flags, 5, 0, data))


def test_malformed_options() -> None:
    assert with_options("0204").mss == 0  # cut off
    assert with_options("0200").mss == 0
    assert with_options("0201").mss == 0
    assert with_options("0203 05").mss == 0  # wrong length
    assert with_options("020405b4 03").window_scale == -1
    assert with_options("020405b4 0303 ff").window_scale == 14  # RFC 7323, 2.3
    assert with_options("00 020405b4").mss == 0  # behind the end
    assert with_options("fe04aabb 020405b4").mss == 1460  # unknown ones are passed over
    assert with_options("0809 00000001 000000").has_timestamps is False
    assert with_options("050a 00000001 00000002").sack == [(1, 2)]
    assert with_options("0509 00000001 000000").sack is None
    assert with_options("0502").sack is None


def test_options_of_syn_count_there_only() -> None:
    segment = with_options("020405b4 0402 030307", ACK)
    assert (segment.mss, segment.sack_permitted, segment.window_scale) == (0, False, -1)


def test_unwrapped_numbers_are_cut() -> None:
    made = parsed(build(1, 2, (5 << 32) + 7, (9 << 32) + 8, ACK | PSH, 5, 0, b""))
    assert (made.seq, made.ack) == (7, 8)


@given(st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_bytes(data: bytes) -> None:
    segment = parse(data, 0, len(data))
    if segment is not None:
        assert 20 <= segment.start <= segment.end == len(data)


@given(st.binary(max_size=40), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_any_options(options: bytes, flags: int) -> None:
    options = options[: len(options) // 4 * 4]
    segment = parsed(build(1, 2, 3, 4, flags, 5, 0, options))
    assert segment.window_scale <= 14


@given(st.integers(0, 1 << 40), st.integers(-(1 << 31), (1 << 31) - 1))
@settings(max_examples=200, deadline=None)
def test_unwrap(near: int, distance: int) -> None:
    assert unwrap((near + distance) & MASK, near) == near + distance
    assert difference((near + distance) & MASK, near & MASK) == distance


def test_difference_wraps() -> None:
    assert difference(1, 0xFFFFFFFF) == 2
    assert difference(0xFFFFFFFF, 1) == -2
