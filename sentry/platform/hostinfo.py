"""What the host's processor and kernel offer that the guest may know."""

import os
from struct import Struct
from typing import Final

_ENTRY: Final = Struct("<QQ")


class HostInfo:
    """Values of the sentry's own auxiliary vector (getauxval(3)), read once before confinement."""

    def __init__(self) -> None:
        with open("/proc/self/auxv", "rb") as file:
            raw = file.read()
        self._values: dict[int, int] = {}
        for position in range(0, len(raw) - 15, 16):
            kind, value = _ENTRY.unpack_from(raw, position)
            self._values[kind] = value

    def auxiliary_value(self, kind: int) -> int:
        """Return an entry of the auxiliary vector, 0 if there is none."""
        return self._values.get(kind, 0)


def random_bytes(size: int) -> bytes:
    """Return cryptographically random bytes (getrandom(2))."""
    return os.urandom(size)
