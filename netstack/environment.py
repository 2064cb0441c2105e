"""What the stack asks of its owner: time, timers, randomness.

Everything in the stack runs in the owner's one thread.  The owner calls in
(frames, socket operations, timers that are due), the stack calls out through
this class, its links and its listeners, and nothing else.
"""

from abc import ABC, abstractmethod

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Timer(ABC):
    """Something to be done at a time; armed at most once."""

    def __init__(self) -> None:
        self.deadline_ns = 0  # 0: not armed; kept by the environment
        self.handle: object = None  # the environment's own

    @abstractmethod
    def fire(self) -> None:
        """Called once, at or after the deadline; `deadline_ns` is 0 by then."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Environment(ABC):
    """The owner's clock, timers and source of randomness."""

    @abstractmethod
    def now_ns(self) -> int:
        """Return the monotonic time in nanoseconds; it may stand still within one event."""

    @abstractmethod
    def realtime_ns(self) -> int:
        """Return the time since 1970 in nanoseconds (for SO_TIMESTAMP and captures)."""

    @abstractmethod
    def arm(self, timer: Timer, deadline_ns: int) -> None:
        """Have `timer` fire at `deadline_ns`, whatever was set before; sets `timer.deadline_ns`."""

    @abstractmethod
    def disarm(self, timer: Timer) -> None:
        """Make sure that `timer` does not fire; harmless when it is not armed."""

    @abstractmethod
    def random_bytes(self, count: int) -> bytes:
        """Return bytes from a cryptographic source."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Listener:
    """Who wants to know that an endpoint's readiness changed."""

    def on_events(self, events: int) -> None:
        """Called with the EVENT_ bits (netstack/endpoint.py) that have become true."""
