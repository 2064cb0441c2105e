"""Terminals of the host: a new pair for the container, and the caller's own.

The master goes to whoever listens on `--console-socket`, or `run` and `exec`
in the foreground copy between it and their own terminal.
"""

import _socket
import fcntl
import posix
import select
import termios

from runsc.errors import RunscError, describe
from runsc.sandbox import signals
from runsc.sandbox.client import pack_descriptors

_COPY_BYTES = 65536


class Console:
    """A new pseudo terminal."""

    def __init__(self, width: int, height: int) -> None:
        self.master_fd, self.slave_fd = posix.openpty()
        posix.set_inheritable(self.master_fd, False)
        posix.set_inheritable(self.slave_fd, False)
        # The guest's terminal has a line discipline of its own: what is typed must reach it
        # as it is, and what it writes the caller.
        set_raw(self.slave_fd)
        if width and height:
            set_size(self.master_fd, height, width)

    def send(self, path: str) -> None:
        """Send the master to the listener of `--console-socket`; raise RunscError."""
        client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            client.connect(path)
            rights = pack_descriptors([self.master_fd])
            client.sendmsg([b"/dev/ptmx"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        except OSError as error:
            reason = describe(OSError(error.errno, error.strerror))
            raise RunscError(f"console socket {path}: {reason}") from None
        finally:
            client.close()

    def close_master(self) -> None:
        """Close our descriptor of the master."""
        if self.master_fd >= 0:
            posix.close(self.master_fd)
            self.master_fd = -1

    def close_slave(self) -> None:
        """Close our descriptor of the slave, so that the master sees the end."""
        if self.slave_fd >= 0:
            posix.close(self.slave_fd)
            self.slave_fd = -1


def set_size(terminal_fd: int, rows: int, columns: int) -> None:
    """Set the window size of a terminal (TIOCSWINSZ, ioctl_tty(2))."""
    termios.tcsetwinsize(terminal_fd, (rows, columns))


def set_raw(terminal_fd: int) -> "list[int | list[bytes | int]]":
    """Put a terminal into raw mode (cfmakeraw(3), field by field); return its settings before."""
    settings = termios.tcgetattr(terminal_fd)
    raw = list(settings)
    raw[0] &= ~(
        termios.IGNBRK
        | termios.BRKINT
        | termios.PARMRK
        | termios.ISTRIP
        | termios.INLCR
        | termios.IGNCR
        | termios.ICRNL
        | termios.IXON
    )
    raw[1] &= ~termios.OPOST
    raw[2] = (raw[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
    raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    termios.tcsetattr(terminal_fd, termios.TCSANOW, raw)
    return settings


def take_as_controlling(slave_fd: int) -> None:
    """Make the slave the controlling terminal of the calling session leader."""
    fcntl.ioctl(slave_fd, termios.TIOCSCTTY, 0)


class Relay:
    """Copies between the caller's terminal and the container's, for the foreground."""

    def __init__(self, master_fd: int) -> None:
        self._master_fd = master_fd
        # Never to wait with output unread: the container may wait for that before it reads.
        posix.set_blocking(master_fd, False)
        self._typed = b""  # read from the caller and not written yet
        self._saved: list[int | list[bytes | int]] | None = None
        self._input_open = True
        self.copy_size()

    def start(self) -> None:
        """Put the caller's terminal into raw mode."""
        if not posix.isatty(0):
            return
        self._saved = set_raw(0)

    def stop(self) -> None:
        """Give the caller its terminal back as it was."""
        if self._saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)
            self._saved = None

    def copy_size(self) -> None:
        """Give the container's terminal the size of the caller's."""
        if posix.isatty(0):
            rows, columns = termios.tcgetwinsize(0)
            set_size(self._master_fd, rows, columns)

    def register(self, poller: "select.poll") -> None:
        """Watch both sides."""
        poller.register(self._master_fd, select.POLLIN)
        poller.register(0, select.POLLIN)

    def copy(self, ready_fd: int, poller: "select.poll") -> None:
        """Copy what can be read from one side to the other."""
        if ready_fd == self._master_fd:
            if not self.copy_output():
                poller.unregister(self._master_fd)
                self._end_input(poller)
                return
        elif ready_fd == 0 and self._input_open:
            self._typed += posix.read(0, _COPY_BYTES)
            if not self._typed:
                self._end_input(poller)
        self._copy_input(poller)

    def _copy_input(self, poller: "select.poll") -> None:
        """Write what was typed as far as there is room; read more only when all is written."""
        had = self._typed
        try:
            while self._typed:
                self._typed = self._typed[posix.write(self._master_fd, self._typed) :]
        except BlockingIOError:
            poller.modify(self._master_fd, select.POLLIN | select.POLLOUT)
            if self._input_open:
                poller.modify(0, 0)
            return
        if had:
            poller.modify(self._master_fd, select.POLLIN)
            if self._input_open:
                poller.modify(0, select.POLLIN)

    def _end_input(self, poller: "select.poll") -> None:
        if self._input_open:
            self._input_open = False
            poller.unregister(0)

    def copy_output(self) -> bool:
        """Copy one piece of output; return False at its end."""
        try:
            data = posix.read(self._master_fd, _COPY_BYTES)
        except BlockingIOError:
            return True  # it was ready for input only
        except OSError:
            return False  # EIO: every slave is closed
        if data:
            _write_all(1, data)
        return bool(data)


def _write_all(host_fd: int, data: bytes) -> None:
    while data:
        data = data[posix.write(host_fd, data) :]


def on_window_change(relay: Relay) -> None:
    """Follow the size of the caller's terminal from now on."""
    signals.handle(signals.SIGWINCH, lambda _number, _frame: relay.copy_size())
