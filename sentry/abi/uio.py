"""struct iovec of readv(2)."""

from struct import Struct
from typing import Final

IOVEC_SIZE: Final = 16
_IOVEC: Final = Struct("<QQ")


def unpack_iovecs(data: bytes) -> list[tuple[int, int]]:
    """Return the address and length of each struct iovec in `data`, unchecked."""
    vectors: list[tuple[int, int]] = []
    for base, size in _IOVEC.iter_unpack(data):
        vectors.append((base, size))
    return vectors
