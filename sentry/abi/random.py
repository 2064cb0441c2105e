"""Flags of getrandom(2)."""

from typing import Final

GRND_NONBLOCK: Final = 1
GRND_RANDOM: Final = 2
GRND_INSECURE: Final = 4
