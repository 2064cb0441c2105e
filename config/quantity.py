"""Numbers of bytes and of bytes a second, as flags have them: plain, without units."""

# What tc(8) calls them: rates in bits are decimal, and of sizes k is 1024.
_RATES = {
    "bit": (1, 8),
    "kbit": (10**3, 8),
    "mbit": (10**6, 8),
    "gbit": (10**9, 8),
    "tbit": (10**12, 8),
    "kibit": (1 << 10, 8),
    "mibit": (1 << 20, 8),
    "gibit": (1 << 30, 8),
    "bps": (1, 1),
    "kbps": (10**3, 1),
    "mbps": (10**6, 1),
    "gbps": (10**9, 1),
}
_SIZES = {
    "b": 1,
    "k": 1 << 10,
    "kb": 1 << 10,
    "kib": 1 << 10,
    "m": 1 << 20,
    "mb": 1 << 20,
    "mib": 1 << 20,
    "g": 1 << 30,
    "gb": 1 << 30,
    "gib": 1 << 30,
}

RATE = "bytes per second"
SIZE = "bytes"
_MAX_DIGITS = 25


class QuantityError(ValueError):
    """A text that is no such number; the message says what to write instead, if that is known."""


def parse_count(text: str) -> int | None:
    """Return the number that Go's strconv.ParseUint reads with base 0, or None.

    Decimal, 0x, 0o, 0b; a leading 0 is octal.
    """
    digits = text.lower()
    if not digits.isascii() or not digits.isalnum() or len(digits) > _MAX_DIGITS:
        return None
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        digits = "0o" + digits[1:]
    try:
        return int(digits, 0)
    except ValueError:
        return None


def parse_quantity(text: str, unit: str, maximum: int) -> int:
    """Return a number of `unit` up to `maximum`; QuantityError."""
    number = parse_count(text)
    if number is None:
        hint = ""
        meant = _with_unit(text.strip().lower(), unit)
        if meant is not None:
            hint = f"; {text.strip()} would be {meant}"
        raise QuantityError(f"{text!r} is no whole number of {unit}{hint}")
    if number > maximum:
        raise QuantityError(f"{text} {unit} are more than the largest, {maximum}")
    return number


def _with_unit(text: str, unit: str) -> int | None:
    """Return what a number with a unit of tc(8) stands for, or None."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz/")
    number = parse_count(digits.strip())
    if number is None or not digits:
        return None
    suffix = text[len(digits) :]
    if unit == SIZE:
        factor = _SIZES.get(suffix)
        return None if factor is None else number * factor
    found = _RATES.get(suffix)
    return None if found is None else number * found[0] // found[1]
