"""Sequence numbers: 32 bits on the wire, counted on without end inside (RFC 9293, 3.4).

The stack keeps sequence numbers as plain growing integers, so that `<` is
"before" and subtraction is distance.  `unwrap` finds the integer that a number
of the wire stands for, `& MASK` goes back.
"""

from typing import Final

MASK: Final = 0xFFFFFFFF
HALF: Final = 0x80000000


def unwrap(wire: int, near: int) -> int:
    """Return the integer nearest to `near` whose low 32 bits are `wire`."""
    return near + ((wire - near + HALF) & MASK) - HALF


def difference(a: int, b: int) -> int:
    """Return a - b for 32-bit numbers that wrap around: negative when `a` is before `b`."""
    return ((a - b + HALF) & MASK) - HALF
