"""Terminals, whatever is at the other end (tty(4), pty(7)).

That is a pseudo-terminal's master, or for a container's console a terminal of the host.
"""

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from sentry.abi.errno import ERESTARTSYS
from sentry.abi.ioctl import (
    CREAD,
    CS8,
    CSIZE,
    EXTPROC,
    HUPCL,
    IXON,
    PARENB,
    TIOCPKT_DOSTOP,
    TIOCPKT_FLUSHREAD,
    TIOCPKT_FLUSHWRITE,
    TIOCPKT_IOCTL,
    TIOCPKT_NOSTOP,
    TIOCPKT_START,
    TIOCPKT_STOP,
    VSTART,
    VSTOP,
    WINSIZE_SIZE,
    Termios,
    default_termios,
)
from sentry.abi.signal import SIGWINCH
from sentry.errors import SysError
from sentry.fs.tty.ldisc import LineDiscipline, LineOwner
from sentry.kernel import jobs
from sentry.kernel.kernel import Kernel
from sentry.kernel.signal import kernel_info, send_to_process_group
from sentry.kernel.thread_group import Terminal
from sentry.platform import hosttime
from sentry.vfs.file import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
)
from sentry.waitqueue import WaitQueue

if TYPE_CHECKING:
    from sentry.fs.tty.devpts import SlaveInode

PTS_MAJOR: Final = 136  # UNIX98_PTY_SLAVE_MAJOR
PENDING_LIMIT: Final = 16384  # bytes typed that the line discipline had no room for
WRITE_CHUNK: Final = 4096
READABLE: Final = POLLIN | POLLRDNORM
WRITABLE: Final = POLLOUT | POLLWRNORM
EVERYTHING: Final = READABLE | WRITABLE | POLLHUP | POLLERR
_TENTH_NS: Final = 100_000_000  # the unit of VTIME
_TIME_STEP_S: Final = 8  # how exact atime and mtime of a terminal are: nobody learns each key


@mypyc_attr(allow_interpreted_subclasses=True)
class OtherEnd:
    """What is at the other end of a terminal."""

    def room(self) -> int:
        """Return how many bytes of output can be taken now."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        """Take output; it may be a little more than `room` told."""
        raise NotImplementedError

    def drop(self) -> None:
        """Forget output that is on its way."""

    def input_wanted(self) -> None:
        """Called when there is room for input again."""

    def note_status(self, status: int, cleared: int) -> None:
        """Called with TIOCPKT_ bits that hold now, and those that do not any more."""

    def closed(self) -> None:
        """Called when the last open file of the terminal was closed."""

    def reopened(self) -> None:
        """Called when the terminal was opened."""

    def resized(self, window: bytes) -> None:
        """Called after somebody in the sandbox set the window size (struct winsize)."""

    def refresh(self) -> None:
        """Called before the window size is told to somebody."""


def pty_termios() -> Termios:
    """Return what a fresh pseudo-terminal has; there is no modem to hang up (HUPCL)."""
    termios = default_termios()
    termios.cflag &= ~HUPCL
    return termios


class Tty(Terminal, LineOwner):
    """One terminal."""

    def __init__(self, kernel: Kernel, index: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.index = index
        self.device = PTS_MAJOR << 8 | index & 0xFF | (index & ~0xFF) << 12
        self.queue = WaitQueue()
        self.line = LineDiscipline(self, pty_termios())
        self.end = OtherEnd()
        self.inode: SlaveInode | None = None
        self.window = bytes(WINSIZE_SIZE)
        self.pending = bytearray()  # typed, but there was no room yet
        self.opens = 0
        self.hangups = 0  # a file opened before the last one is dead
        self.is_stopped_by_ioctl = False  # TCOOFF
        self.is_locked = False
        self.is_exclusive = False
        self.is_gone = False  # the other end was closed

    # From the other end.

    def type(self, data: bytes) -> None:
        """Take what was typed; the caller has looked at `typing_room`."""
        if self.pending:
            self.pending += data
        else:
            taken = self.line.receive(data)
            if taken < len(data):
                self.pending += data[taken:]
        if self.line.is_readable():
            self.queue.notify(READABLE)

    def typing_room(self) -> int:
        """Return how much more can be typed before it has to be read."""
        return PENDING_LIMIT - len(self.pending)

    def pump(self) -> None:
        """Go on with what was typed after something was read or forgotten."""
        pending = self.pending
        if not pending:
            return
        taken = self.line.receive(bytes(pending))
        del pending[:taken]
        if taken:
            if self.line.is_readable():
                self.queue.notify(READABLE)
            self.end.input_wanted()

    def drain(self) -> None:
        """Called when there is room for output again."""
        if self.can_emit():
            self.line.flush_echoes()
            self.queue.notify(WRITABLE)

    def can_emit(self) -> bool:
        """Return whether output is not stopped, and has somewhere to go."""
        return not self.line.is_stopped and not self.is_stopped_by_ioctl and self.end.room() > 0

    # From the line discipline.

    def emit(self, data: bytes) -> None:
        self.end.send(data)

    def interrupt(self, number: int) -> None:
        if self.foreground is not None:
            send_to_process_group(self.foreground, kernel_info(number))

    def drop_output(self) -> None:
        self.end.drop()
        self.end.note_status(TIOCPKT_FLUSHWRITE, 0)

    def input_dropped(self) -> None:
        self.end.note_status(TIOCPKT_FLUSHREAD, 0)

    def flow_changed(self, *, is_stopped: bool) -> None:
        if is_stopped:
            self.end.note_status(TIOCPKT_STOP, TIOCPKT_START)
        else:
            self.end.note_status(TIOCPKT_START, TIOCPKT_STOP)
            self.queue.notify(WRITABLE)

    # Settings.

    def set_termios(self, new: Termios) -> None:
        """Change the settings (tcsetattr(3)); a pseudo-terminal always has eight bits."""
        new.cflag = new.cflag & ~(CSIZE | PARENB) | CS8 | CREAD
        old = self.line.termios
        was_flow, is_flow = _has_usual_flow(old), _has_usual_flow(new)
        if was_flow != is_flow:
            both = TIOCPKT_DOSTOP | TIOCPKT_NOSTOP
            status = TIOCPKT_DOSTOP if is_flow else TIOCPKT_NOSTOP
            self.end.note_status(status, both & ~status)
        if (old.lflag | new.lflag) & EXTPROC:
            self.end.note_status(TIOCPKT_IOCTL, 0)
        self.line.set_termios(new)
        self.pump()
        self.queue.notify(READABLE | WRITABLE)

    def set_window(self, window: bytes) -> bool:
        """Take a window size; tell the foreground group if it is another (SIGWINCH)."""
        if window == self.window:
            return False
        self.window = window
        self.interrupt(SIGWINCH)
        return True

    def set_stopped(self, *, is_stopped: bool) -> None:
        """Do tcflow(3) with TCOOFF or TCOON, which START and STOP have no say in."""
        if self.is_stopped_by_ioctl != is_stopped:
            self.is_stopped_by_ioctl = is_stopped
            self.flow_changed(is_stopped=is_stopped)
            if not is_stopped:
                self.line.start()

    def flush_input(self) -> None:
        """Forget what was typed (TCIFLUSH)."""
        self.pending.clear()
        self.line.drop_input()
        self.end.input_wanted()

    # Life.

    def hang_up(self) -> None:
        """Make every open file dead, and tell the session (vhangup(2))."""
        session = self.session
        foreground = self.foreground
        self.session = None
        self.foreground = None
        self.hangups += 1
        self.pending.clear()
        self.line.drop_input()
        self.line.set_termios(pty_termios())
        self.line.is_stopped = self.is_stopped_by_ioctl = False
        if session is not None:
            jobs.hang_up_session(session, foreground)
        self.queue.notify(EVERYTHING)

    def check_access(self, signal: int) -> None:
        """Apply job control to the caller: SysError(ERESTARTSYS) sends it to its signal."""
        task = self.kernel.current
        if task is None or task.group.terminal is not self:
            return
        if not jobs.may_use_terminal(task.group, self, task, signal):
            raise SysError(ERESTARTSYS)


def _has_usual_flow(termios: Termios) -> bool:
    """Return whether ^S and ^Q stop and start output, which a remote end can do by itself."""
    chars = termios.control_chars
    return bool(termios.iflag & IXON) and chars[VSTOP] == 0x13 and chars[VSTART] == 0x11


def rounded_now_ns() -> int:
    """Return the time as the time stamps of terminals tell it, in nanoseconds."""
    seconds = hosttime.realtime_ns() // 1_000_000_000
    return seconds // _TIME_STEP_S * _TIME_STEP_S * 1_000_000_000
