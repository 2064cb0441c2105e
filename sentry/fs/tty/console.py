"""A container's console: a terminal of the guest's with a terminal of the host at its other end.

The guest has a line discipline, settings and job control of its own; the
host's side is in raw mode and carries nothing but bytes and the window size.
No request of the guest's reaches the host's terminal but TIOCSWINSZ, whose
structure is four numbers: the host's descriptor is never a file of the guest.
"""

from typing import Final

from sentry.abi.errno import EAGAIN
from sentry.abi.fcntl import O_NONBLOCK
from sentry.abi.ioctl import TIOCGWINSZ, TIOCSWINSZ, WINSIZE_SIZE
from sentry.errors import SysError
from sentry.fs.tty.terminal import OtherEnd, Tty
from sentry.platform import hostfiles
from sentry.platform.interface import HostWatcher, Platform
from sentry.vfs.file import POLLERR, POLLHUP, POLLIN, POLLOUT

OUTPUT_LIMIT: Final = 4096  # bytes that the host's terminal has no room for
READ_SIZE: Final = 4096


class EndWatcher(HostWatcher):
    """Passes on what becomes of the host's descriptor."""

    def __init__(self, end: "HostEnd") -> None:
        self._end = end

    def on_host_ready(self, events: int) -> None:
        self._end.on_ready(events)


class HostEnd(OtherEnd):
    """The host's side of a console; its descriptor becomes this object's own."""

    def __init__(self, platform: Platform, host_fd: int, tty: Tty, *, is_kept: bool) -> None:
        """`is_kept`: the terminal can be opened again after the last file of it was closed."""
        self._platform = platform
        self._host_fd = host_fd
        self._tty = tty
        self._is_kept = is_kept
        self._is_ending = False  # close the descriptor once the output is written
        self._output = bytearray()
        self._watched = 0
        self._watcher = EndWatcher(self)
        # The description is the sandbox's alone: the caller made the pair for it.
        hostfiles.set_status_flags(host_fd, hostfiles.status_flags(host_fd) | O_NONBLOCK)
        tty.window = self._host_window()
        self._watch()

    def is_open(self) -> bool:
        """Return whether the host's side is still there."""
        return self._host_fd >= 0

    def _watch(self) -> None:
        wanted = 0
        if self.is_open():
            if self._tty.typing_room() > 0 and not self._is_ending:
                wanted |= POLLIN
            if self._output:
                wanted |= POLLOUT
        if wanted == self._watched:
            return
        self._watched = wanted
        if wanted:
            self._platform.watch(self._host_fd, wanted, self._watcher)
        elif self.is_open():
            self._platform.unwatch(self._host_fd)

    def on_ready(self, events: int) -> None:
        """Called when the host's terminal has input, room for output, or was hung up."""
        if events & POLLIN and self._watched & POLLIN:
            self._read()
        elif events & (POLLHUP | POLLERR):
            self._hang_up()
        if events & POLLOUT and self.is_open():
            self.flush()
            self._tty.drain()
        self._watch()

    def _read(self) -> None:
        size = min(READ_SIZE, self._tty.typing_room())
        try:
            data = hostfiles.read_some_from_host(self._host_fd, size, -1)
        except SysError as error:
            if error.errno != EAGAIN:
                self._hang_up()
            return
        if data:
            self._tty.type(data)
        else:
            self._hang_up()

    def flush(self) -> bool:
        """Write what output there is; return whether all of it is written."""
        output = self._output
        while output and self.is_open():
            try:
                done = hostfiles.write_all_to_host(self._host_fd, bytes(output), -1)
            except SysError as error:
                if error.errno == EAGAIN:
                    return False
                self._hang_up()
                break
            del output[:done]
        if self._is_ending:
            self._close()
        return True

    def flush_within(self, timeout_ms: int) -> None:
        """Write what output there is, waiting for the reader of the host at most so long."""
        if not self.flush() and hostfiles.wait_ready(self._host_fd, POLLOUT, timeout_ms):
            self.flush()

    def _hang_up(self) -> None:
        """The host's master is closed: nobody is there any more."""
        self._output.clear()
        self._close()
        self._tty.hang_up()

    def _close(self) -> None:
        if not self.is_open():
            return
        if self._watched:
            self._watched = 0
            self._platform.unwatch(self._host_fd)
        hostfiles.close(self._host_fd)
        self._host_fd = -1
        self._tty.is_gone = True
        if self._tty.inode is not None:
            self._tty.inode.remove()

    # The terminal's other end.

    def room(self) -> int:
        return OUTPUT_LIMIT - len(self._output) if self.is_open() else OUTPUT_LIMIT

    def send(self, data: bytes) -> None:
        if self.is_open():
            self._output += data
            self.flush()
            self._watch()

    def drop(self) -> None:
        self._output.clear()
        self._watch()

    def input_wanted(self) -> None:
        self._watch()

    def closed(self) -> None:
        if not self._is_kept:
            self._is_ending = True
            self.flush()
            self._watch()

    def give_up(self) -> None:
        """Close the host's descriptor once the output is written; nobody opens it again."""
        self._is_kept = False
        self.closed()

    def reopened(self) -> None:
        self._is_ending = False

    def resized(self, window: bytes) -> None:
        if self.is_open():
            hostfiles.terminal_ioctl(self._host_fd, TIOCSWINSZ, window)

    def refresh(self) -> None:
        if self.is_open():
            self._tty.set_window(self._host_window())

    def _host_window(self) -> bytes:
        return hostfiles.terminal_ioctl(self._host_fd, TIOCGWINSZ, bytes(WINSIZE_SIZE))
