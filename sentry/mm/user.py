"""Typed reads and writes of guest memory: numbers, timespecs, iovecs, strings."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EFAULT, EINVAL
from sentry.errors import SysError
from sentry.mm.io import Segment
from sentry.platform.interface import GuestMemory

_U32: Final = Struct("<I")
_I32: Final = Struct("<i")
_U64: Final = Struct("<Q")
_PAIR: Final = Struct("<qq")
IOV_MAX: Final = 1024  # UIO_MAXIOV, linux/uio.h
MAX_RW_COUNT: Final = 0x7FFF_F000  # the most that one read or write moves, read(2)
TASK_SIZE: Final = 0x7FFF_FFFF_F000  # the end of user addresses, x86-64
VSYSCALL_START: Final = 0xFFFF_FFFF_FF60_0000


def read_u32(memory: GuestMemory, address: int) -> int:
    """Return the unsigned 32-bit number at `address`."""
    value: int = _U32.unpack(memory.read(address, 4))[0]
    return value


def read_i32(memory: GuestMemory, address: int) -> int:
    """Return the signed 32-bit number at `address`."""
    value: int = _I32.unpack(memory.read(address, 4))[0]
    return value


def read_u64(memory: GuestMemory, address: int) -> int:
    """Return the unsigned 64-bit number at `address`."""
    value: int = _U64.unpack(memory.read(address, 8))[0]
    return value


def write_u32(memory: GuestMemory, address: int, value: int) -> None:
    """Write a 32-bit number; the upper bits of `value` are dropped."""
    memory.write(address, _U32.pack(value & 0xFFFF_FFFF))


def write_u64(memory: GuestMemory, address: int, value: int) -> None:
    """Write a 64-bit number; the upper bits of `value` are dropped."""
    memory.write(address, _U64.pack(value & 0xFFFF_FFFF_FFFF_FFFF))


def read_timespec_ns(memory: GuestMemory, address: int) -> int:
    """Return a struct timespec as nanoseconds; SysError(EINVAL) if it is not normal."""
    seconds, nanoseconds = _PAIR.unpack(memory.read(address, 16))
    if seconds < 0 or not 0 <= nanoseconds < 1_000_000_000:
        raise SysError(EINVAL)
    total: int = min(seconds, 1 << 33) * 1_000_000_000 + nanoseconds
    return total


def write_timespec_ns(memory: GuestMemory, address: int, ns: int) -> None:
    """Write nanoseconds as a struct timespec."""
    memory.write(address, _PAIR.pack(ns // 1_000_000_000, ns % 1_000_000_000))


def read_iovec(memory: GuestMemory, address: int, count: int) -> list[Segment]:
    """Copy an array of struct iovec in; clamps the total as Linux does.

    SysError(EINVAL) for too many entries or a negative size, SysError(EFAULT)
    for segments outside the user's addresses.
    """
    if count < 0 or count > IOV_MAX:
        raise SysError(EINVAL)
    if count == 0:
        return []
    raw = memory.read(address, 16 * count)
    segments: list[Segment] = []
    left = MAX_RW_COUNT
    for index in range(count):
        base: int = _U64.unpack_from(raw, 16 * index)[0]
        size: int = _U64.unpack_from(raw, 16 * index + 8)[0]
        if size >> 63:
            raise SysError(EINVAL)
        if size and base + size > TASK_SIZE:
            raise SysError(EFAULT)
        size = min(size, left)
        left -= size
        segments.append((base, size))
    return segments


def clamp_count(size: int) -> int:
    """Return what of `size` one read(2) or write(2) may move."""
    return size if size < MAX_RW_COUNT else MAX_RW_COUNT
