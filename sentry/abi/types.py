"""The C types of system call arguments, and how each is read from a register.

A handler names these in its signature; the dispatcher decodes accordingly.
`Int` is C `int`: the upper half of the register is ignored and bit 31 is the
sign.  `Uint` drops the upper half, `Long` is the whole register as signed.
"""

from typing import Final, NewType

Int = NewType("Int", int)  # s32
Uint = NewType("Uint", int)  # u32
Long = NewType("Long", int)  # s64
Ulong = NewType("Ulong", int)  # the register itself
Size = NewType("Size", int)  # size_t: the register itself
Off = NewType("Off", int)  # loff_t: s64
Fd = NewType("Fd", int)  # s32
Pid = NewType("Pid", int)  # s32
Mode = NewType("Mode", int)  # umode_t: u16
UserPtr = NewType("UserPtr", int)  # an address of the guest: the register itself

NULL: Final = UserPtr(0)


def s32(register: int) -> int:
    """Return the low 32 bits of `register` as a signed number."""
    low = register & 0xFFFF_FFFF
    return low - 0x1_0000_0000 if low & 0x8000_0000 else low


def u32(register: int) -> int:
    """Return the low 32 bits of `register`."""
    return register & 0xFFFF_FFFF


def s64(register: int) -> int:
    """Return the 64-bit `register` as a signed number."""
    return register - (1 << 64) if register & (1 << 63) else register


def u16(register: int) -> int:
    """Return the low 16 bits of `register` (umode_t)."""
    return register & 0xFFFF
