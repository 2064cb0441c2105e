"""The line discipline N_TTY: from what is typed to what is read (termios(3)).

Bytes go in by `receive`, lines come out by `read`; echoes, signals and flow
control are told to the owner.  Nothing here waits or knows of tasks.
"""

from collections import deque
from typing import Final

from mypy_extensions import mypyc_attr, trait

from sentry.abi.ioctl import (
    ECHO,
    ECHOCTL,
    ECHOE,
    ECHOK,
    ECHOKE,
    ECHONL,
    ECHOPRT,
    EXTPROC,
    ICANON,
    ICRNL,
    IEXTEN,
    IGNCR,
    INLCR,
    ISIG,
    ISTRIP,
    IUCLC,
    IXANY,
    IXON,
    NOFLSH,
    PARMRK,
    VEOF,
    VEOL,
    VEOL2,
    VERASE,
    VINTR,
    VKILL,
    VLNEXT,
    VQUIT,
    VREPRINT,
    VSTART,
    VSTOP,
    VSUSP,
    VWERASE,
    Termios,
)
from sentry.abi.signal import SIGINT, SIGQUIT, SIGTSTP
from sentry.fs.tty.output import (
    ERASE_TAB,
    MARK_COLUMN,
    MOVE_BACK,
    SHOWN,
    OutputSide,
    is_continuation,
    is_control,
    is_lower,
    is_upper,
)

BUFFER_SIZE: Final = 4096  # N_TTY_BUF_SIZE: also the longest line with its end
DISABLED: Final = 0  # a special character with this value is none (_POSIX_VDISABLE)

_NEWLINE: Final = 0x0A
_RETURN: Final = 0x0D
_TAB: Final = 0x09
_BACKSPACE: Final = 0x08
_ALL_ONES: Final = 0xFF


@mypyc_attr(allow_interpreted_subclasses=True)
@trait
class LineOwner:
    """Whom a line discipline works for: the terminal."""

    def can_emit(self) -> bool:
        """Return whether there is room for echoes on the way to the screen."""
        raise NotImplementedError

    def emit(self, data: bytes) -> None:
        """Called with echoes to put on the screen."""
        raise NotImplementedError

    def interrupt(self, number: int) -> None:
        """Called to send a signal to the foreground process group."""
        raise NotImplementedError

    def drop_output(self) -> None:
        """Called when output that is not on the screen yet is to be forgotten."""
        raise NotImplementedError

    def input_dropped(self) -> None:
        """Called after all input that was not read yet was forgotten."""
        raise NotImplementedError

    def flow_changed(self, *, is_stopped: bool) -> None:
        """Called after output was stopped or started by a character."""
        raise NotImplementedError


class Line:
    """A complete line in the buffer."""

    def __init__(self, size: int, *, is_eof: bool) -> None:
        self.size = size  # with the character that ends it
        self.is_eof = is_eof  # that character is EOF, which nobody reads


class LineDiscipline:
    """One terminal's input buffer and settings."""

    def __init__(self, owner: LineOwner, termios: Termios) -> None:
        self._owner = owner
        self.termios = termios
        self.output = OutputSide()
        self.buffer = bytearray()
        self._lines: deque[Line] = deque()
        self._complete = 0  # bytes at the start of the buffer that `_lines` count
        self._is_next_literal = False  # after LNEXT
        self._is_erasing = False  # between the \ and / of ECHOPRT
        self.is_stopped = False  # by STOP, until START
        self._special = bytearray(256)
        self._is_plain = False
        self._note_special()

    # Settings.

    def is_canonical(self) -> bool:
        """Return whether reads give lines."""
        return self.termios.lflag & (ICANON | EXTPROC) == ICANON

    def set_termios(self, new: Termios) -> None:
        """Change the settings; what is in the buffer becomes a line, or ceases to be one."""
        old = self.termios
        self.termios = new
        if (old.lflag ^ new.lflag) & (ICANON | EXTPROC):
            self._lines.clear()
            self._complete = 0
            if new.lflag & ICANON and self.buffer:
                self._lines.append(Line(len(self.buffer), is_eof=False))
                self._complete = len(self.buffer)
            self._is_erasing = False
            self._is_next_literal = False
        self._note_special()
        if old.iflag & IXON and not new.iflag & IXON:
            self.start()

    def _note_special(self) -> None:
        """Note which bytes are more than themselves with the present settings."""
        termios = self.termios
        iflag, lflag, chars = termios.iflag, termios.lflag, termios.control_chars
        special = bytearray(256)
        found: list[int] = []
        if iflag & (IGNCR | ICRNL):
            found.append(_RETURN)
        if iflag & INLCR:
            found.append(_NEWLINE)
        if lflag & ICANON:
            found += [_NEWLINE, chars[VERASE], chars[VKILL], chars[VEOF], chars[VEOL]]
            if lflag & IEXTEN:
                found += [chars[VWERASE], chars[VLNEXT], chars[VEOL2]]
                if lflag & ECHO:
                    found.append(chars[VREPRINT])
        if iflag & IXON:
            found += [chars[VSTART], chars[VSTOP]]
        if lflag & ISIG:
            found += [chars[VINTR], chars[VQUIT], chars[VSUSP]]
        for char in found:
            special[char] = 1
        special[DISABLED] = 0
        self._special = special
        self._is_plain = not (
            found or iflag & (ISTRIP | IUCLC | PARMRK | IXANY) or lflag & (ECHO | ICANON)
        )

    # Input.

    def receive(self, data: bytes) -> int:
        """Take what was typed; return how many bytes there was room for."""
        if self._is_plain and not self._is_next_literal:
            taken = min(len(data), BUFFER_SIZE - 1 - len(self.buffer))
            self.buffer += data[:taken]
            return max(taken, 0)
        taken = 0
        for char in data:
            if not self._make_room():
                break
            self._take(char)
            taken += 1
        self.flush_echoes()
        return taken

    def _make_room(self) -> bool:
        """Return whether one more byte can be taken; a line too long loses its last ones."""
        room = BUFFER_SIZE - len(self.buffer)
        if self.termios.iflag & PARMRK:
            room = (room + 2) // 3
        if room > 1:
            return True
        if not self.termios.lflag & ICANON or self._lines:
            return False
        if room <= 0:
            del self.buffer[-1:]
        return True

    def _take(self, char: int) -> None:
        termios = self.termios
        if termios.iflag & ISTRIP:
            char &= 0x7F
        if termios.iflag & IUCLC and termios.lflag & IEXTEN and is_upper(char):
            char += 0x20
        if self._is_next_literal:
            self._is_next_literal = False
            self._add_typed(char)
        elif termios.lflag & EXTPROC:
            self.buffer.append(char)
        elif self._special[char]:
            self._take_special(char)
        else:
            self._add_typed(char)

    def _add_typed(self, char: int) -> None:
        """Take a character that means itself."""
        self._restart_by_any()
        if self.termios.lflag & ECHO:
            self._end_erasing()
            self._echo_typed(char)
        self._append(char)

    def _append(self, char: int) -> None:
        if char == _ALL_ONES and self.termios.iflag & PARMRK:
            self.buffer.append(char)
        self.buffer.append(char)

    def _restart_by_any(self) -> None:
        if self.is_stopped and self.termios.iflag & (IXON | IXANY) == IXON | IXANY:
            self.start()

    def _take_special(self, char: int) -> None:
        termios = self.termios
        chars = termios.control_chars
        if termios.iflag & IXON:
            if char == chars[VSTART]:
                self.start()
                return
            if char == chars[VSTOP]:
                self.stop()
                return
        if termios.lflag & ISIG:
            number = _signal_of(char, chars)
            if number:
                self._interrupt(number, char)
                return
        self._restart_by_any()
        if char == _RETURN:
            if termios.iflag & IGNCR:
                return
            if termios.iflag & ICRNL:
                char = _NEWLINE
        elif char == _NEWLINE and termios.iflag & INLCR:
            char = _RETURN
        if termios.lflag & ICANON and self._edit(char):
            return
        if termios.lflag & ECHO:
            self._end_erasing()
            if char == _NEWLINE:
                self._echo_raw(char)
            else:
                self._echo_typed(char)
        self._append(char)

    def _interrupt(self, number: int, char: int) -> None:
        """Do INTR, QUIT or SUSP: the signal, then the flush unless NOFLSH."""
        self._owner.interrupt(number)
        if not self.termios.lflag & NOFLSH:
            self.output.echoes.clear()
            self._owner.drop_output()
            self.drop_input()
        if self.termios.iflag & IXON:
            self.start()
        if self.termios.lflag & ECHO:
            self._echo_shown(char)

    def _edit(self, char: int) -> bool:
        """Do what a character does to the line being typed; False if it is just one of it."""
        lflag, chars = self.termios.lflag, self.termios.control_chars
        is_extended = bool(lflag & IEXTEN)
        if char == _NEWLINE:
            if lflag & (ECHO | ECHONL):
                self._echo_raw(char)
            self._end_line(char, is_eof=False)
            return True
        if char == DISABLED:
            return False
        if char in (chars[VERASE], chars[VKILL]) or is_extended and char == chars[VWERASE]:
            self._erase(char)
            return True
        if is_extended and char == chars[VLNEXT]:
            self._is_next_literal = True
            if lflag & ECHO:
                self._end_erasing()
                if lflag & ECHOCTL:
                    self._echo_raw(ord("^"))
                    self._echo_raw(_BACKSPACE)
            return True
        if is_extended and char == chars[VREPRINT] and lflag & ECHO:
            self._reprint(char)
            return True
        if char == chars[VEOF]:
            self._end_line(DISABLED, is_eof=True)
            return True
        if char == chars[VEOL] or is_extended and char == chars[VEOL2]:
            if lflag & ECHO:
                self._echo_typed(char)
            if char == _ALL_ONES and self.termios.iflag & PARMRK:
                self.buffer.append(char)
            self._end_line(char, is_eof=False)
            return True
        return False

    def _end_line(self, char: int, *, is_eof: bool) -> None:
        self.buffer.append(char)
        self._lines.append(Line(len(self.buffer) - self._complete, is_eof=is_eof))
        self._complete = len(self.buffer)

    def _reprint(self, char: int) -> None:
        self._end_erasing()
        self._echo_shown(char)
        self._echo_raw(_NEWLINE)
        for typed in bytes(self.buffer[self._complete :]):
            self._echo_shown(typed)

    # Erasing.

    def _erase(self, char: int) -> None:
        """Do ERASE, WERASE or KILL on the line being typed."""
        buffer, lflag, chars = self.buffer, self.termios.lflag, self.termios.control_chars
        if len(buffer) == self._complete:
            return
        is_one = char == chars[VERASE]
        is_word = not is_one and char != chars[VKILL]
        if (
            not is_one
            and not is_word
            and lflag & (ECHO | ECHOK | ECHOKE | ECHOE) != (ECHO | ECHOK | ECHOKE | ECHOE)
        ):
            del buffer[self._complete :]
            if lflag & ECHO:
                self._end_erasing()
                self._echo_shown(chars[VKILL])
                if lflag & ECHOK:
                    self._echo_raw(_NEWLINE)
            return
        was_in_word = False
        while len(buffer) > self._complete:
            start = self._last_character()
            if start < 0:
                break
            first = buffer[start]
            if is_word:
                if _is_word(first):
                    was_in_word = True
                elif was_in_word:
                    break
            erased = bytes(buffer[start:])
            del buffer[start:]
            if lflag & ECHO:
                self._echo_erasure(erased, is_one=is_one)
            if is_one:
                break
        if len(buffer) == self._complete and lflag & ECHO:
            self._end_erasing()

    def _last_character(self) -> int:
        """Return where the last character begins; -1 if it is only a part of one."""
        at = len(self.buffer) - 1
        while at > self._complete and is_continuation(self.buffer[at], self.termios):
            at -= 1
        return -1 if is_continuation(self.buffer[at], self.termios) else at

    def _echo_erasure(self, erased: bytes, *, is_one: bool) -> None:
        lflag = self.termios.lflag
        first = erased[0]
        if lflag & ECHOPRT:
            if not self._is_erasing:
                self._echo_raw(ord("\\"))
                self._is_erasing = True
            self._echo_shown(first)
            for char in erased[1:]:
                self._echo_raw(char)
                self.output.echoes.append(MOVE_BACK)
        elif is_one and not lflag & ECHOE:
            self._echo_shown(self.termios.control_chars[VERASE])
        elif first == _TAB:
            self.output.echoes.append(ERASE_TAB + self._columns_before_tab())
        else:
            if is_control(first) and lflag & ECHOCTL:
                self._echo_wipe()
            if not is_control(first) or lflag & ECHOCTL:
                self._echo_wipe()

    def _columns_before_tab(self) -> int:
        """Return 2 * the columns since the line's start or the last tab + whether it is a tab."""
        columns = 0
        for char in reversed(bytes(self.buffer[self._complete :])):
            if char == _TAB:
                return columns * 2 + 1
            if is_control(char):
                if self.termios.lflag & ECHOCTL:
                    columns += 2
            elif not is_continuation(char, self.termios):
                columns += 1
        return columns * 2

    # Echoes.

    def _echo_raw(self, char: int) -> None:
        self.output.echoes.append(char)

    def _echo_shown(self, char: int) -> None:
        self.output.echoes.append(SHOWN + char)

    def _echo_typed(self, char: int) -> None:
        """Echo a character of the line, and note where that begins."""
        if len(self.buffer) == self._complete:
            self.output.echoes.append(MARK_COLUMN)
        self._echo_shown(char)

    def _echo_wipe(self) -> None:
        for char in b"\b \b":
            self.output.echoes.append(char)

    def _end_erasing(self) -> None:
        if self._is_erasing:
            self._echo_raw(ord("/"))
            self._is_erasing = False

    def flush_echoes(self) -> None:
        """Put the echoes on the screen, unless output is stopped."""
        if self.output.echoes and not self.is_stopped and self._owner.can_emit():
            self._owner.emit(self.output.take_echoes(self.termios))

    # Flow control.

    def start(self) -> None:
        """Let output go on."""
        if self.is_stopped:
            self.is_stopped = False
            self._owner.flow_changed(is_stopped=False)
        self.flush_echoes()

    def stop(self) -> None:
        """Hold output back."""
        if not self.is_stopped:
            self.is_stopped = True
            self._owner.flow_changed(is_stopped=True)

    # Reading.

    def is_readable(self, least: int = 1) -> bool:
        """Return whether there is a line, or in raw mode `least` bytes."""
        if self.is_canonical():
            return bool(self._lines)
        return len(self.buffer) >= least

    def waiting(self) -> int:
        """Return how many bytes FIONREAD tells: of complete lines, without EOF characters."""
        if not self.is_canonical():
            return len(self.buffer)
        count = self._complete
        for line in self._lines:
            if line.is_eof:
                count -= 1
        return count

    def read(self, limit: int) -> bytes:
        """Return at most `limit` bytes of the first line, or of everything in raw mode."""
        buffer = self.buffer
        if not self.is_canonical():
            data = bytes(buffer[:limit])
            del buffer[:limit]
            return data
        if not self._lines:
            return b""
        line = self._lines[0]
        size = min(limit, line.size)
        data = bytes(buffer[:size])
        if size == line.size and line.is_eof:
            data = data[:-1]
        elif size == line.size - 1 and line.is_eof:
            size += 1  # the EOF right after a read of just that size is not a line of its own
        del buffer[:size]
        self._complete -= size
        line.size -= size
        if line.size == 0:
            self._lines.popleft()
        return data

    def drop_input(self) -> None:
        """Forget what was typed and not read (TCIFLUSH)."""
        self.buffer.clear()
        self._lines.clear()
        self._complete = 0
        self._is_erasing = False
        self._owner.input_dropped()


def _signal_of(char: int, chars: bytes) -> int:
    """Return the signal of a character of ISIG, 0 for others."""
    if char == chars[VINTR]:
        return SIGINT
    if char == chars[VQUIT]:
        return SIGQUIT
    if char == chars[VSUSP]:
        return SIGTSTP
    return 0


def _is_word(char: int) -> bool:
    """Return whether a byte is a letter, a digit or an underscore."""
    return is_upper(char) or is_lower(char) or 0x30 <= char <= 0x39 or char == 0x5F
