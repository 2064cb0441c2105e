"""Signal numbers by name, as callers spell them; `signal` itself is dear to import."""

from runsc.errors import RunscError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from types import FrameType
else:
    import _signal

SIGKILL = int(_signal.SIGKILL)
SIGTERM = int(_signal.SIGTERM)
SIGCHLD = int(_signal.SIGCHLD)
SIGWINCH = int(_signal.SIGWINCH)
# What a foreground command passes on to the container; the rest stops, faults or is its own.
FORWARDED = tuple(
    int(number)
    for number in (
        _signal.SIGHUP,
        _signal.SIGINT,
        _signal.SIGQUIT,
        _signal.SIGTERM,
        _signal.SIGUSR1,
        _signal.SIGUSR2,
        _signal.SIGCONT,
        _signal.SIGWINCH,
    )
)

_FIRST_REALTIME = 34
_LAST = 64


def parse_signal(text: str) -> int:
    """Return the number of `15`, `TERM`, `SIGTERM` or `sigterm`; raise RunscError."""
    if text.isascii() and text.isdigit():
        number = int(text)
        if number <= _LAST:
            return number
        raise RunscError(f"unknown signal {text!r}")
    name = text.upper()
    if not name.startswith("SIG"):
        name = f"SIG{name}"
    number = getattr(_signal, name, 0)
    if not name.startswith("SIG_") and isinstance(number, int) and number:
        return number
    for base, sign in (("SIGRTMIN+", 1), ("SIGRTMAX-", -1)):
        offset = name[len(base) :]
        if name.startswith(base) and offset.isascii() and offset.isdigit():
            start = _FIRST_REALTIME if sign > 0 else _LAST
            number = start + sign * int(offset)
            if _FIRST_REALTIME <= number <= _LAST:
                return number
    raise RunscError(f"unknown signal {text!r}")


def reset() -> None:
    """Give every signal its default action and unblock all, for a process of ours to start with."""
    for number in range(1, _signal.NSIG):
        if number not in (_signal.SIGKILL, _signal.SIGSTOP, 32, 33):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def handle(number: int, handler: "Callable[[int, FrameType | None], None]") -> None:
    """Call `handler` on a signal from now on."""
    _signal.signal(number, handler)


def ignore(_number: int, _frame: "FrameType | None") -> None:
    """Handle a signal whose number the wake-up pipe carries."""


def wake_by(host_fd: int) -> None:
    """Have every handled signal write a byte to `host_fd` (-1: none), so that poll returns."""
    _signal.set_wakeup_fd(host_fd)


def send(pid_fd: int, number: int) -> None:
    """Send a signal to the process of a pidfd (pidfd_send_signal(2))."""
    _signal.pidfd_send_signal(pid_fd, number)
