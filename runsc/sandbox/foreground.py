"""Staying in front of a container or an exec: signals, the terminal, the exit status."""

import fcntl
import posix
import select

from runsc.sandbox import signals
from runsc.sandbox.console import Console, Relay, on_window_change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class SignalPipe:
    """Signals that arrive, as numbers to read and as a descriptor to poll."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self.read_fd, self.write_fd = posix.pipe2(posix.O_CLOEXEC | posix.O_NONBLOCK)
        signals.wake_by(self.write_fd)
        for number in numbers:
            signals.handle(number, signals.ignore)

    def take(self) -> list[int]:
        """Return the signals that came since the last call."""
        try:
            return list(posix.read(self.read_fd, 64))
        except BlockingIOError:
            return []


def catch_signals(console: Console | None) -> SignalPipe:
    """Have signals wait for `attend`, from before the child's program may run.

    Processes that are forked later catch them as well, until they execute something.
    """
    forwarded = signals.FORWARDED
    if console is not None:
        forwarded = tuple(number for number in forwarded if number != signals.SIGWINCH)
    return SignalPipe(forwarded)


def attend(
    host_pid: int,
    console: Console | None,
    arrived: SignalPipe,
    forward: "Callable[[int], None]",
) -> None:
    """Forward signals to, and copy the terminal of, a child until it ends."""
    pid_fd = posix.pidfd_open(host_pid)
    poller = select.poll()
    poller.register(pid_fd, select.POLLIN)
    poller.register(arrived.read_fd, select.POLLIN)
    relay: Relay | None = None
    if console is not None:
        relay = Relay(console.master_fd)
        on_window_change(relay)
        relay.register(poller)
        relay.start()
    try:
        _attend(poller, pid_fd, arrived, relay, forward)
        if console is not None and relay is not None:
            _drain(console.master_fd, relay)
    finally:
        if relay is not None:
            relay.stop()
        posix.close(pid_fd)


def _attend(
    poller: select.poll,
    pid_fd: int,
    arrived: SignalPipe,
    relay: Relay | None,
    forward: "Callable[[int], None]",
) -> None:
    while True:
        for ready_fd, _ in poller.poll():
            if ready_fd == pid_fd:
                return
            if ready_fd == arrived.read_fd:
                for number in arrived.take():
                    forward(number)
            elif relay is not None:
                relay.copy(ready_fd, poller)


def _drain(master_fd: int, relay: Relay) -> None:
    poller = select.poll()
    poller.register(master_fd, select.POLLIN)
    while poller.poll(0) and relay.copy_output():
        continue


def is_open(host_fd: int) -> bool:
    """Say whether a descriptor is open."""
    try:
        fcntl.fcntl(host_fd, fcntl.F_GETFD)
    except OSError:
        return False
    return True
