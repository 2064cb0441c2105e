"""Entries of getdents64(2) and getdents(2)."""

from struct import Struct
from typing import Final

DT_UNKNOWN: Final = 0
DT_FIFO: Final = 1
DT_CHR: Final = 2
DT_DIR: Final = 4
DT_BLK: Final = 6
DT_REG: Final = 8
DT_LNK: Final = 10
DT_SOCK: Final = 12
DT_WHT: Final = 14

_DIRENT64: Final = Struct("<QqHB")  # d_ino, d_off, d_reclen, d_type
_DIRENT: Final = Struct("<QQH")  # d_ino, d_off, d_reclen


def dirent64_size(name: bytes) -> int:
    """Return the size of the struct linux_dirent64 for `name`."""
    return (19 + len(name) + 1 + 7) & ~7


def pack_dirent64(ino: int, next_offset: int, kind: int, name: bytes) -> bytes:
    """Return a struct linux_dirent64, padded to a multiple of 8."""
    size = dirent64_size(name)
    return (_DIRENT64.pack(ino, next_offset, size, kind) + name).ljust(size, b"\0")


def pack_dirent(ino: int, next_offset: int, kind: int, name: bytes) -> bytes:
    """Return the older struct linux_dirent, whose last byte is the type (getdents(2))."""
    size = (18 + len(name) + 2 + 7) & ~7
    head = (_DIRENT.pack(ino, next_offset & 0xFFFF_FFFF_FFFF_FFFF, size) + name).ljust(
        size - 1, b"\0"
    )
    return head + bytes((kind,))
