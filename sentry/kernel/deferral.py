"""Output that waits for a moment, so that much goes out at once.

A thread that makes one call after another to send is about to make the next one:
what it sends may wait for that.  It goes out as soon as anybody makes another call,
unless that only asks who is ready, and as soon as a call has to sleep.  Other output
waits for whatever a guest is about to do.  Both go out when they have waited for
WAIT_NS and something happens, when no guest runs, or when the platform finds that
guests compute: in some two milliseconds at the latest.
"""

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from sentry.abi.syscalls import (
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_epoll_wait,
    SYS_poll,
    SYS_ppoll,
    SYS_pselect6,
    SYS_select,
)
from sentry.platform.interface import Platform

if TYPE_CHECKING:
    from sentry.kernel.task import Task

WAIT_NS: Final = 250_000


@mypyc_attr(allow_interpreted_subclasses=True)
class HeldOutput:
    """What somebody has not sent yet."""

    def push(self) -> None:
        """Send it, as far as there is room."""
        raise NotImplementedError


class Deferral:
    """Who has output that waits, and whether the calls go on that it waits for."""

    def __init__(self, platform: Platform) -> None:
        self.is_repeated = False  # the call that is being made is like the one before
        self.waits = False  # something does
        self._platform = platform
        self._task: Task | None = None
        self._number = -1
        self._fd = -1
        self._for_calls: HeldOutput | None = None  # waits for the next call of its kind
        self._for_calls_ns = 0  # since when
        self._other: HeldOutput | None = None
        self._other_ns = 0

    def on_call(self, task: "Task", number: int, fd: int) -> None:
        """Note that a task begins a call; what waits for one of another kind goes out."""
        if number == self._number and fd == self._fd and task is self._task:
            self.is_repeated = True
            return
        if asks_who_is_ready(number):
            return
        self.is_repeated = False
        self._task = task
        self._number = number
        self._fd = fd
        if self._for_calls is not None:
            self._push_for_calls()

    def on_sleep(self) -> None:
        """Note that a call has to sleep: the next one may not come soon."""
        if self._for_calls is not None:
            self._push_for_calls()

    def may_hold(self) -> bool:
        """Return whether what the present call sends may wait for the next."""
        return self.is_repeated and self._platform.may_defer()

    def hold(self, output: HeldOutput, since_ns: int) -> None:
        """Have `output` pushed soon, of which something waits since then.

        What another one has held is pushed.
        """
        held = self._for_calls
        if held is not output:
            if held is not None:
                self._push_for_calls()
            if not self._begin():
                output.push()
                return
            self._for_calls = output
        self._for_calls_ns = since_ns

    def hold_other(self, output: HeldOutput, now_ns: int, *, is_new: bool) -> bool:
        """Have `output` pushed soon, whatever calls are made; False: it must not wait.

        There is one such output only; `is_new`: all that waited of it is gone.
        """
        if self._other is None:
            if not self._begin():
                return False
            self._other = output
            is_new = True
        if is_new:
            self._other_ns = now_ns
        return True

    def is_late(self, now_ns: int) -> bool:
        """Return whether something has waited long enough."""
        return self.waits and (
            (self._for_calls is not None and now_ns - self._for_calls_ns > WAIT_NS)
            or (self._other is not None and now_ns - self._other_ns > WAIT_NS)
        )

    def push(self) -> None:
        """Push all that waits."""
        self._push_for_calls()
        other = self._other
        if other is not None:
            self._other = None
            self._end()
            other.push()

    def _push_for_calls(self) -> None:
        held = self._for_calls
        if held is not None:
            self._for_calls = None
            self._end()
            held.push()

    def _begin(self) -> bool:
        if not self.waits:
            self.waits = self._platform.note_deferred(waits=True)
        return self.waits

    def _end(self) -> None:
        if self._for_calls is None and self._other is None:
            self.waits = False
            self._platform.note_deferred(waits=False)


def asks_who_is_ready(number: int) -> bool:
    """Return whether a call is what who sends much makes now and then, to find out about room."""
    if number > SYS_select:
        return (
            number == SYS_pselect6
            or number == SYS_ppoll
            or number == SYS_epoll_wait
            or number == SYS_epoll_pwait
            or number == SYS_epoll_pwait2
        )
    return number == SYS_select or number == SYS_poll
