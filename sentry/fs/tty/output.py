"""What a terminal does to output: OPOST and its flags (termios(3)), and how input is echoed.

The column of the cursor is followed, as far as characters tell, for tabs and
for erasing them.
"""

from collections import deque
from typing import Final

from sentry.abi.ioctl import (
    ECHOCTL,
    IUTF8,
    OCRNL,
    OLCUC,
    ONLCR,
    ONLRET,
    ONOCR,
    OPOST,
    TABDLY,
    XTABS,
    Termios,
)

ECHO_LIMIT: Final = 4096  # echoes that wait while output is stopped; the oldest are lost
# Entries of the echo queue above the bytes that are written as they are.
SHOWN: Final = 0x100  # + byte: a control character is shown as ^X with ECHOCTL
MOVE_BACK: Final = 0x200  # the last byte took no column
MARK_COLUMN: Final = 0x201  # the line that is typed begins here
ERASE_TAB: Final = 0x400  # + 2 * columns before the tab + whether another tab is before them

_NEWLINE: Final = 0x0A
_RETURN: Final = 0x0D
_TAB: Final = 0x09
_BACKSPACE: Final = 0x08
_DELETE: Final = 0x7F
_CARET: Final = 0x5E


def is_control(char: int) -> bool:
    """Return whether a byte is a control character of ASCII."""
    return char < 0x20 or char == _DELETE


def is_upper(char: int) -> bool:
    """Return whether a byte is a capital letter, of Latin-1 as everywhere in Linux."""
    return 0x41 <= char <= 0x5A or 0xC0 <= char <= 0xDE and char != 0xD7


def is_lower(char: int) -> bool:
    """Return whether a byte is a small letter, of Latin-1."""
    return 0x61 <= char <= 0x7A or char >= 0xDF and char != 0xF7


def is_continuation(char: int, termios: Termios) -> bool:
    """Return whether a byte continues a character of UTF-8, where the terminal knows of it."""
    return bool(termios.iflag & IUTF8) and char & 0xC0 == 0x80


class OutputSide:
    """The way of bytes to the screen."""

    def __init__(self) -> None:
        self.column = 0
        self.line_column = 0  # where the line that is being typed begins
        self.echoes: deque[int] = deque(maxlen=ECHO_LIMIT)

    def process(self, data: bytes, termios: Termios) -> bytes:
        """Return what becomes of written bytes."""
        flags = termios.oflag
        if not flags & OPOST:
            return data
        if flags & ~TABDLY == OPOST | ONLCR and flags & TABDLY != XTABS:
            self._follow(data, termios)
            return data.replace(b"\n", b"\r\n")
        out = bytearray()
        for char in data:
            self._put(char, termios, out)
        return bytes(out)

    def _follow(self, data: bytes, termios: Termios) -> None:
        """Follow the column through bytes of which only newlines are changed."""
        start = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if start:
            self.column = self.line_column = 0
        for char in data[start:]:
            if char == _TAB:
                self.column += 8 - (self.column & 7)
            elif char == _BACKSPACE:
                self.column = max(self.column - 1, 0)
            elif not is_control(char) and not is_continuation(char, termios):
                self.column += 1

    def _put(self, char: int, termios: Termios, out: bytearray) -> None:
        """Add what one byte becomes."""
        flags = termios.oflag
        if char == _NEWLINE:
            if flags & ONLRET:
                self.column = 0
            if flags & ONLCR:
                self.column = self.line_column = 0
                out.append(_RETURN)
            else:
                self.line_column = self.column
        elif char == _RETURN:
            if flags & ONOCR and self.column == 0:
                return
            if flags & OCRNL:
                char = _NEWLINE
            if not flags & OCRNL or flags & ONLRET:
                self.column = self.line_column = 0
        elif char == _TAB:
            spaces = 8 - (self.column & 7)
            self.column += spaces
            if flags & TABDLY == XTABS:
                out += b"        "[:spaces]
                return
        elif char == _BACKSPACE:
            self.column = max(self.column - 1, 0)
        elif not is_control(char):
            if flags & OLCUC and is_lower(char):
                char -= 0x20
            if not is_continuation(char, termios):
                self.column += 1
        out.append(char)

    # Echoes.

    def take_echoes(self, termios: Termios) -> bytes:
        """Return what the queued echoes look like, and forget them."""
        out = bytearray()
        echoes = self.echoes
        while echoes:
            self._echo(echoes.popleft(), termios, out)
        return bytes(out)

    def _echo(self, entry: int, termios: Termios, out: bytearray) -> None:
        if entry >= ERASE_TAB:
            self._erase_tab(entry - ERASE_TAB, out)
        elif entry == MARK_COLUMN:
            self.line_column = self.column
        elif entry == MOVE_BACK:
            self.column = max(self.column - 1, 0)
        elif (
            entry >= SHOWN
            and termios.lflag & ECHOCTL
            and is_control(entry - SHOWN)
            and entry - SHOWN != _TAB
        ):
            out.append(_CARET)
            out.append((entry - SHOWN) ^ 0x40)
            self.column += 2
        elif termios.oflag & OPOST:
            self._put(entry & 0xFF, termios, out)
        else:
            out.append(entry & 0xFF)

    def _erase_tab(self, packed: int, out: bytearray) -> None:
        """Go back over a tab: to where it was typed, which the columns before it tell."""
        columns = packed >> 1
        if not packed & 1:
            columns += self.line_column
        for _ in range(8 - (columns & 7)):
            out.append(_BACKSPACE)
            self.column = max(self.column - 1, 0)
