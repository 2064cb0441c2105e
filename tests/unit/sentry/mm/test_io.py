"""Sources give back what was taken and not used."""

import random

import pytest

from sentry.mm.io import BufferSource, KernelSource, Source, VectorSource
from sentry.platform.interface import GuestMemory

DATA = bytes(range(1, 101))


class FlatMemory(GuestMemory):
    """100 bytes at address 1000."""

    def read(self, address: int, size: int) -> bytes:
        return self.read_upto(address, size)

    def read_upto(self, address: int, size: int) -> bytes:
        assert address >= 1000
        assert address + size <= 1000 + len(DATA)
        return DATA[address - 1000 : address - 1000 + size]

    def write(self, address: int, data: bytes) -> None:
        raise NotImplementedError

    def write_upto(self, address: int, data: bytes) -> int:
        raise NotImplementedError

    def read_cstring(self, address: int, limit: int) -> bytes:
        raise NotImplementedError

    def read_from_host(self, host_fd: int, address: int, size: int, offset: int) -> int:
        raise NotImplementedError

    def write_to_host(self, host_fd: int, address: int, size: int, offset: int) -> int:
        raise NotImplementedError

    def host_maps(self) -> bytes:
        raise NotImplementedError


def sources() -> list[Source]:
    """Sources of DATA: the vector has empty pieces and such of many sizes."""
    memory = FlatMemory()
    pieces = [(1000, 0), (1000, 7), (1007, 1), (1008, 0), (1008, 50), (1058, 42), (1100, 0)]
    return [
        BufferSource(memory, 1000, len(DATA)),
        VectorSource(memory, pieces),
        KernelSource(DATA),
    ]


@pytest.mark.parametrize("index", range(3))
def test_what_is_put_back_comes_again(index: int) -> None:
    chosen = random.Random(index)
    for _ in range(200):
        source = sources()[index]
        got = b""
        while source.size:
            taken = source.take(chosen.randint(1, 70))
            kept = chosen.randint(0, len(taken))
            source.put_back(taken[kept:])
            got += taken[:kept]
            assert source.size == len(DATA) - len(got)
        assert got == DATA
