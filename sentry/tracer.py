"""Who is told of every system call: `sentry/strace.py`, which is loaded only where it is wanted."""

from mypy_extensions import mypyc_attr

from sentry.platform.interface import GuestThread


@mypyc_attr(allow_interpreted_subclasses=True)
class CallTracer:
    """Is told when calls begin and end."""

    def begin(self, tid: int, comm: bytes, thread: GuestThread, now_ns: int) -> None:
        """Note that a task makes the call its thread is stopped at."""
        raise NotImplementedError

    def end(self, tid: int, result: int, now_ns: int) -> None:
        """Note that the call of a task ended; `result` below every errno: without one.

        After an ERESTART code the same call may run again and end once more.
        """
        raise NotImplementedError
