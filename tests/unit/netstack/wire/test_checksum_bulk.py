"""The checksum of large data, which C computes, against the definition."""

from hypothesis import example, given
from hypothesis import strategies as st

from netstack.wire.checksum import BULK, checksum


def by_definition(data: bytes, initial: int) -> int:
    """RFC 1071, 1: the one's complement sum of 16-bit words, an odd byte padded with zero."""
    total = initial
    padded = data + bytes(len(data) & 1)
    for at in range(0, len(padded), 2):
        total += int.from_bytes(padded[at : at + 2], "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total % 65535


@given(st.binary(max_size=4 * BULK), st.integers(0, 65535))
@example(b"\xff" * BULK, 65535)
@example(bytes(BULK), 0)
@example(b"\xff" * (BULK + 31), 0)
def test_small_and_large_data_are_summed_alike(data: bytes, initial: int) -> None:
    assert checksum(data, initial) == by_definition(data, initial)


def test_pieces_of_even_size_add_up() -> None:
    data = bytes(range(256)) * 256
    for cut in (2, 62, 64, 66, 40_000):
        assert checksum(data[cut:], checksum(data[:cut])) == by_definition(data, 0)
