"""Flags of eventfd2(2)."""

from typing import Final

EFD_SEMAPHORE: Final = 0o1
EFD_NONBLOCK: Final = 0o4000
EFD_CLOEXEC: Final = 0o2000000
