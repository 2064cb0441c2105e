"""How one argument of a system call is written: numbers, strings, flags, buffers.

A *kind* turns an argument into text.  An *out* kind is asked after the call,
the others before it: the guest may change its memory meanwhile.  Everything
that comes from the guest is escaped, so that a line of the log stays one, and
cut, so that it stays short.
"""

from typing import Final

from sentry.abi import signal
from sentry.abi.fcntl import AT_FDCWD
from sentry.abi.types import s32, s64
from sentry.errors import SysError
from sentry.platform.interface import GuestMemory

MAX_DATA: Final = 32  # bytes shown of a buffer, as strace(1) does
MAX_PATH: Final = 256
MAX_ITEMS: Final = 16  # elements shown of an array

_ESCAPES: Final[dict[int, str]] = {
    9: "\\t",
    10: "\\n",
    11: "\\v",
    12: "\\f",
    13: "\\r",
    34: '\\"',
    92: "\\\\",
}


class Call:
    """One call of a guest: what a kind may look at."""

    def __init__(self, number: int, args: tuple[int, ...], memory: GuestMemory) -> None:
        self.number = number
        self.args = args
        self.memory = memory
        self.result = 0  # a negated errno if it failed; set when it has returned

    def is_failed(self) -> bool:
        """Return whether the call returned an error."""
        return self.result < 0


class Kind:
    """An argument shown as the bits of its register."""

    def __init__(self, *, out: bool = False) -> None:
        self.out = out

    def text(self, call: Call, value: int) -> str:
        """Return how `value` is shown."""
        return hex(value)


class Int(Kind):
    """C int."""

    def text(self, call: Call, value: int) -> str:
        return str(s32(value))


class Uint(Kind):
    """C unsigned int; -1 is shown so, as it means "no change" for ids."""

    def text(self, call: Call, value: int) -> str:
        low = value & 0xFFFF_FFFF
        return "-1" if low == 0xFFFF_FFFF else str(low)


class Long(Kind):
    """C long."""

    def text(self, call: Call, value: int) -> str:
        return str(s64(value))


class Size(Kind):
    """size_t."""

    def text(self, call: Call, value: int) -> str:
        return str(value)


class Octal(Kind):
    """Permission bits."""

    def text(self, call: Call, value: int) -> str:
        return octal(value & 0xFFFF)


class Pointer(Kind):
    """An address whose target is not shown."""

    def text(self, call: Call, value: int) -> str:
        return pointer(value)


class DirFd(Kind):
    """The directory of an *at call."""

    def text(self, call: Call, value: int) -> str:
        fd = s32(value)
        return "AT_FDCWD" if fd == AT_FDCWD else str(fd)


class Signal(Kind):
    """A signal number."""

    def text(self, call: Call, value: int) -> str:
        return signal.name(s32(value))


class Choice(Kind):
    """One of a table of values."""

    def __init__(self, names: dict[int, str]) -> None:
        super().__init__()
        self._names = names

    def text(self, call: Call, value: int) -> str:
        return choice(self._names, value & 0xFFFF_FFFF)


class Flags(Kind):
    """A set of bits; with `whole` all 64 of them count."""

    def __init__(self, names: dict[int, str], *, whole: bool = False) -> None:
        super().__init__()
        self._names = names
        self._mask = 0xFFFF_FFFF_FFFF_FFFF if whole else 0xFFFF_FFFF

    def text(self, call: Call, value: int) -> str:
        return flags(self._names, value & self._mask)


class ChoiceAndFlags(Kind):
    """A number in the bits of `mask`, and flags in the others."""

    def __init__(self, mask: int, names: dict[int, str], bits: dict[int, str]) -> None:
        super().__init__()
        self._mask = mask
        self._names = names
        self._bits = bits

    def text(self, call: Call, value: int) -> str:
        low = value & 0xFFFF_FFFF
        return choice_and_flags(self._mask, self._names, self._bits, low)


class CString(Kind):
    """A string of the guest that ends with a NUL: a path or a name."""

    def text(self, call: Call, value: int) -> str:
        return cstring(call.memory, value, MAX_PATH)


class OutString(Kind):
    """A string that the call wrote, NUL included in its result (getcwd(2))."""

    def __init__(self) -> None:
        super().__init__(out=True)

    def text(self, call: Call, value: int) -> str:
        return pointer(value) if call.is_failed() else cstring(call.memory, value, MAX_PATH)


class InData(Kind):
    """Bytes for the call, as many as another argument says."""

    def __init__(self, size_index: int) -> None:
        super().__init__()
        self._size_index = size_index

    def text(self, call: Call, value: int) -> str:
        return buffer(call.memory, value, call.args[self._size_index])


class OutData(Kind):
    """Bytes from the call, as many as its result says."""

    def __init__(self) -> None:
        super().__init__(out=True)

    def text(self, call: Call, value: int) -> str:
        return pointer(value) if call.is_failed() else buffer(call.memory, value, call.result)


class Strings(Kind):
    """A vector of strings (the arguments of execve(2))."""

    def text(self, call: Call, value: int) -> str:
        if value == 0:
            return "NULL"
        parts: list[str] = []
        for index in range(MAX_ITEMS):
            item = word(call.memory, value + 8 * index)
            if item == 0:
                return "[" + ", ".join(parts) + "]"
            if item < 0:
                return pointer(value)
            parts.append(cstring(call.memory, item, MAX_DATA))
        return "[" + ", ".join(parts) + ", …]"


class StringCount(Kind):
    """A vector of strings of which only the number is shown: the environment may hold secrets."""

    def text(self, call: Call, value: int) -> str:
        if value == 0:
            return "NULL"
        for index in range(1000):
            item = word(call.memory, value + 8 * index)
            if item == 0:
                return f"{pointer(value)} /* {index} vars */"
            if item < 0:
                break
        return pointer(value)


def octal(value: int) -> str:
    """Return a number as C writes it in octal."""
    return f"0{value:o}" if value else "0"


def pointer(value: int) -> str:
    """Return an address."""
    return hex(value) if value else "NULL"


def quote(data: bytes, *, is_cut: bool = False) -> str:
    """Return bytes as a C string in ASCII without control characters."""
    parts: list[str] = []
    for byte in data:
        if byte in _ESCAPES:
            parts.append(_ESCAPES[byte])
        elif 32 <= byte < 127:
            parts.append(chr(byte))
        else:
            parts.append(f"\\{byte:03o}")
    return '"' + "".join(parts) + ('"…' if is_cut else '"')


def buffer(memory: GuestMemory, address: int, size: int) -> str:
    """Return the first of `size` bytes of the guest, or the address if they cannot be read."""
    if address == 0:
        return "NULL"
    if size <= 0:
        return '""'
    try:
        data = memory.read_upto(address, min(size, MAX_DATA))
    except SysError:
        return pointer(address)
    return quote(data, is_cut=size > len(data))


def cstring(memory: GuestMemory, address: int, limit: int) -> str:
    """Return a string of the guest that ends with a NUL, or the address."""
    if address == 0:
        return "NULL"
    try:
        data = memory.read_upto(address, limit + 1)
    except SysError:
        return pointer(address)
    end = data.find(b"\0")
    if end >= 0:
        return quote(data[:end])
    return quote(data[:limit], is_cut=True)


def read(memory: GuestMemory, address: int, size: int) -> bytes:
    """Return `size` bytes of the guest, or none if it has them not."""
    if address == 0:
        return b""
    try:
        return memory.read(address, size)
    except SysError:
        return b""


def word(memory: GuestMemory, address: int) -> int:
    """Return the 64-bit number at `address`, or -1 if it cannot be read."""
    data = read(memory, address, 8)
    return int.from_bytes(data, "little") if data else -1


def u32_at(data: bytes, offset: int) -> int:
    """Return the unsigned 32-bit number at `offset`."""
    return int.from_bytes(data[offset : offset + 4], "little")


def s32_at(data: bytes, offset: int) -> int:
    """Return the signed 32-bit number at `offset`."""
    return s32(u32_at(data, offset))


def u64_at(data: bytes, offset: int) -> int:
    """Return the unsigned 64-bit number at `offset`."""
    return int.from_bytes(data[offset : offset + 8], "little")


def s64_at(data: bytes, offset: int) -> int:
    """Return the signed 64-bit number at `offset`."""
    return s64(u64_at(data, offset))


def choice(names: dict[int, str], value: int) -> str:
    """Return the name of a value, or the value."""
    return names[value] if value in names else hex(value)


def flags(names: dict[int, str], value: int) -> str:
    """Return the names of the bits of a value; the table has sets before their parts."""
    if value == 0:
        return names.get(0, "0")
    parts: list[str] = []
    for bits, name in names.items():
        if bits and value & bits == bits:
            parts.append(name)
            value &= ~bits
    if value:
        parts.append(hex(value))
    return "|".join(parts)


def choice_and_flags(mask: int, names: dict[int, str], bits: dict[int, str], value: int) -> str:
    """Return a number of the bits in `mask` and flags of the others."""
    rest = value & ~mask
    if rest == 0:
        return choice(names, value & mask)
    if value & mask == 0 and 0 not in names:
        return flags(bits, rest)
    return choice(names, value & mask) + "|" + flags(bits, rest)


def sigset(mask: int) -> str:
    """Return a set of signals: [INT TERM], or ~[KILL] for one that is nearly full."""
    inverted = mask.bit_count() > 32
    shown = ~mask & 0xFFFF_FFFF_FFFF_FFFF if inverted else mask
    numbers = [number for number in range(1, 65) if shown >> (number - 1) & 1]
    names = [signal.name(number).removeprefix("SIG") for number in numbers]
    return ("~[" if inverted else "[") + " ".join(names) + "]"
