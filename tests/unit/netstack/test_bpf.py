"""Classic BPF: what the verifier refuses, and what programs do, instruction by instruction."""

import pytest

from netstack.bpf import INSTRUCTION, BpfProgram
from netstack.errors import NetError
from netstack.packet import InPacket
from tests.unit.netstack.test_icmp4 import capture

DATA = bytes(range(64))


def program(*rows):
    return BpfProgram(b"".join(INSTRUCTION.pack(*row) for row in rows))


def packet():
    made = InPacket(capture().interface, DATA)
    made.network = 14
    made.transport = 34
    return made


def result(*rows, start=0, end=64):
    """What a program returns in A."""
    return program(*rows, (0x16, 0, 0, 0)).run(DATA, start, end, packet(), 0x800)


@pytest.mark.parametrize(
    "rows",
    [
        [(0x00, 0, 0, 1)],  # no end
        [(0x05, 0, 0, 1), (0x06, 0, 0, 0)],  # beyond the end
        [(0x15, 0, 1, 1), (0x06, 0, 0, 0)],
        [(0x34, 0, 0, 0), (0x06, 0, 0, 0)],  # division by zero
        [(0x94, 0, 0, 0), (0x06, 0, 0, 0)],
        [(0x64, 0, 0, 32), (0x06, 0, 0, 0)],  # shift
        [(0x02, 0, 0, 16), (0x06, 0, 0, 0)],  # memory
        [(0x60, 0, 0, 3), (0x06, 0, 0, 0)],  # not set
        [(0x15, 1, 0, 0), (0x02, 0, 0, 3), (0x60, 0, 0, 3), (0x06, 0, 0, 0)],  # on one way only
        [(0x0E, 0, 0, 0)],  # RET X
        [(0x20, 0, 0, 0xFFFFF002), (0x06, 0, 0, 0)],  # an ancillary value between two
        [(0x99, 0, 0, 0), (0x06, 0, 0, 0)],
    ],
)
def test_refused(rows):
    with pytest.raises(NetError):
        program(*rows)


def test_sizes_are_bounded():
    for code in (b"", b"x" * 7, INSTRUCTION.pack(6, 0, 0, 0) * 4097):
        with pytest.raises(NetError):
            BpfProgram(code)
    BpfProgram(INSTRUCTION.pack(6, 0, 0, 0) * 4096)


def test_loads_are_big_endian_and_bounded():
    assert result((0x20, 0, 0, 1)) == 0x01020304
    assert result((0x28, 0, 0, 62)) == 0x3E3F
    assert result((0x30, 0, 0, 63)) == 63
    assert result((0x30, 0, 0, 64)) == 0
    assert result((0x28, 0, 0, 63)) == 0
    assert result((0x30, 0, 0, 2), start=10) == 12
    assert result((0x30, 0, 0, 2), start=10, end=12) == 0
    assert result((0x01, 0, 0, 5), (0x48, 0, 0, 1)) == 0x0607
    assert result((0x01, 0, 0, 0xFFFFFFFF), (0x50, 0, 0, 1)) == 0  # X + k wraps to the first byte
    assert result((0x01, 0, 0, 0xFFFFFFFF), (0x50, 0, 0, 4)) == 3
    assert result((0x80, 0, 0, 0), start=4) == 60
    assert result((0xB1, 0, 0, 7), (0x87, 0, 0, 0)) == 28


def test_places_before_the_start_and_what_the_kernel_knows():
    assert result((0x30, 0, 0, -0x100000 & 0xFFFFFFFF), start=34) == 14
    assert result((0x30, 0, 0, -0x200000 + 3 & 0xFFFFFFFF), start=34) == 3
    assert result((0x20, 0, 0, -0x1000 & 0xFFFFFFFF)) == 0x800
    assert result((0x20, 0, 0, -0x1000 + 8 & 0xFFFFFFFF)) == packet().interface.index
    xor = (0x20, 0, 0, -0x1000 + 40 & 0xFFFFFFFF)
    assert result((0x00, 0, 0, 6), (0x01, 0, 0, 3), xor) == 5


def test_arithmetic_is_of_32_bits():
    assert result((0x00, 0, 0, 0xFFFFFFFF), (0x04, 0, 0, 2)) == 1
    assert result((0x00, 0, 0, 1), (0x14, 0, 0, 2)) == 0xFFFFFFFF
    assert result((0x00, 0, 0, 0x10000), (0x24, 0, 0, 0x10001)) == 0x10000
    assert result((0x00, 0, 0, 7), (0x34, 0, 0, 2)) == 3
    assert result((0x00, 0, 0, 7), (0x94, 0, 0, 4)) == 3
    assert result((0x00, 0, 0, 7), (0x84, 0, 0, 0)) == 0xFFFFFFF9
    assert result((0x00, 0, 0, 7), (0x64, 0, 0, 31)) == 0x80000000
    assert result((0x00, 0, 0, 12), (0xA4, 0, 0, 10)) == 6
    assert result((0x00, 0, 0, 9), (0x3C, 0, 0, 0)) == 0  # by X, which is zero: no packet


def test_jumps_and_memory():
    rows = [(0x30, 0, 0, 9), (0x25, 0, 2, 8), (0x02, 0, 0, 1), (0x05, 0, 0, 1)]
    rows += [(0x06, 0, 0, 99), (0x00, 0, 0, 0)]
    assert result(*rows) == 0
    assert result((0x00, 0, 0, 5), (0x02, 0, 0, 15), (0x00, 0, 0, 0), (0x60, 0, 0, 15)) == 5
    assert result((0x00, 0, 0, 6), (0x45, 1, 0, 2), (0x06, 0, 0, 1)) == 6
    assert result((0x00, 0, 0, 6), (0x45, 1, 0, 8), (0x06, 0, 0, 1)) == 1
    assert result((0x00, 0, 0, 6), (0x35, 1, 0, 6), (0x06, 0, 0, 1)) == 6
