"""The line discipline alone: bytes in, bytes out.  tests/programs/python/terminals.py has more,
compared with the host's kernel."""

import pytest

from sentry.abi import ioctl as abi
from sentry.abi.ioctl import default_termios
from sentry.fs.tty.ldisc import BUFFER_SIZE, LineDiscipline, LineOwner
from sentry.fs.tty.output import ECHO_LIMIT


class Recorder(LineOwner):
    """Notes what the line discipline does to the outside."""

    def __init__(self):
        self.screen = b""
        self.signals = []
        self.flow = []
        self.has_room = True

    def can_emit(self):
        return self.has_room

    def emit(self, data):
        self.screen += data

    def interrupt(self, number):
        self.signals.append(number)

    def drop_output(self):
        self.signals.append("output dropped")

    def input_dropped(self):
        self.signals.append("input dropped")

    def flow_changed(self, *, is_stopped):
        self.flow.append(is_stopped)


def make(on=(), off=()):
    owner = Recorder()
    termios = default_termios()
    for name, flag in on:
        setattr(termios, name, getattr(termios, name) | flag)
    for name, flag in off:
        setattr(termios, name, getattr(termios, name) & ~flag)
    return LineDiscipline(owner, termios), owner


RAW = [("lflag", abi.ICANON | abi.ECHO | abi.ISIG), ("iflag", abi.ICRNL | abi.IXON)]


@pytest.mark.parametrize(
    ("typed", "screen", "read"),
    [
        (b"abc\r", b"abc\r\n", b"abc\n"),
        (b"abc\x7f\x7fd\n", b"abc\b \b\b \bd\r\n", b"ad\n"),
        (b"one two\x17\n", b"one two\b \b\b \b\b \b\r\n", b"one \n"),
        (b"a\x16\x03\n", b"a^\b^C\r\n", b"a\x03\n"),
        (b"a\x01\x12b\n", b"a^A^R\r\na^Ab\r\n", b"a\x01b\n"),
    ],
)
def test_editing(typed, screen, read):
    line, owner = make()
    assert line.receive(typed) == len(typed)
    assert (owner.screen, line.read(100)) == (screen, read)
    assert not line.is_readable()


def test_lines_are_read_one_by_one_and_eof_is_an_empty_one():
    line, _ = make()
    line.receive(b"one\ntwo\x04\x04three")
    assert line.waiting() == 7
    assert [line.read(2), line.read(9), line.read(3), line.read(9)] == [b"on", b"e\n", b"two", b""]
    assert not line.is_readable()


def test_a_line_has_at_most_4096_bytes():
    line, _ = make(off=[("lflag", abi.ECHO)])
    assert line.receive(b"x" * 10000) == 10000
    assert len(line.buffer) == BUFFER_SIZE
    line.receive(b"\n")
    read = line.read(10000)
    assert (len(read), read[-2:]) == (BUFFER_SIZE, b"x\n")


def test_what_there_is_no_room_for_is_not_taken():
    line, _ = make(off=RAW)
    assert line.receive(b"x" * 10000) == BUFFER_SIZE - 1
    assert line.receive(b"x") == 0
    line.read(10)
    assert line.receive(b"x" * 100) == 10
    canonical, _ = make()
    canonical.receive(b"line\n")
    assert canonical.receive(b"x" * 10000) == BUFFER_SIZE - 1 - len(b"line\n")


def test_signals_flush_unless_noflsh():
    line, owner = make()
    line.receive(b"abc\x03d\n")
    assert owner.signals == [2, "output dropped", "input dropped"]
    assert line.read(10) == b"d\n"
    line, owner = make(on=[("lflag", abi.NOFLSH)])
    line.receive(b"abc\x1ad\n")
    assert owner.signals == [20]
    assert line.read(10) == b"abcd\n"


def test_stop_holds_echoes_back_and_start_lets_them_go():
    line, owner = make()
    line.receive(b"\x13ab")
    assert (owner.screen, owner.flow) == (b"", [True])
    line.receive(b"\x11")
    assert (owner.screen, owner.flow) == (b"ab", [True, False])


def test_echoes_that_nobody_takes_are_bounded():
    line, owner = make(on=[("lflag", abi.ECHOE)])
    owner.has_room = False
    for _ in range(20):
        line.receive(b"\t" * 1000 + b"\x15")
    assert len(line.output.echoes) == ECHO_LIMIT
    owner.has_room = True
    line.flush_echoes()
    assert not line.output.echoes


def test_a_change_of_mode_keeps_what_was_typed():
    line, _ = make(off=RAW)
    line.receive(b"half")
    line.set_termios(default_termios())
    assert line.read(10) == b"half"
    line.receive(b"rest\x04")
    raw, _ = make(off=RAW)
    line.set_termios(raw.termios)
    assert line.read(10) == b"rest\0"


def test_tabs_and_columns_of_output():
    line, _ = make(on=[("oflag", abi.XTABS)])
    assert line.output.process(b"ab\tc\n\td", line.termios) == b"ab      c\r\n        d"
    line.receive(b"\t\x7f")
    assert line.output.column == 9
