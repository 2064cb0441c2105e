"""Congestion control: how the window grows and shrinks (RFC 5681).

Loss recovery (recovery.py) decides when; an algorithm decides how much.  All
sizes are bytes.
"""

from typing import Final

from mypy_extensions import mypyc_attr

INFINITE: Final = 0x7FFFFFFF


@mypyc_attr(allow_interpreted_subclasses=True)
class CongestionControl:
    """The window of one connection, and the algorithm: slow start and Reno's increase."""

    name = "reno"

    def __init__(self, mss: int, window: int) -> None:
        self.mss = mss
        self.cwnd = window
        self.ssthresh = INFINITE
        self._credit = 0  # acknowledged bytes that have not yet widened the window
        # For undoing a reduction that proves wrong.
        self.prior_cwnd = 0
        self.prior_ssthresh = 0

    def is_slow_start(self) -> bool:
        """Return whether the window grows with every acknowledgment."""
        return self.cwnd < self.ssthresh

    def on_ack(self, acked: int, now: int, rtt: int) -> None:
        """Grow after `acked` bytes were delivered while the window was the limit.

        `rtt` is the smoothed round-trip time.
        """
        if self.cwnd < self.ssthresh:
            acked = self.slow_start(acked)
            if acked <= 0:
                return
        self.avoid_congestion(acked, now, rtt)

    def slow_start(self, acked: int) -> int:
        """Grow by what was acknowledged, up to ssthresh; return what is left over."""
        room = self.ssthresh - self.cwnd
        grown = min(acked, room)
        self.cwnd += grown
        return acked - grown

    def avoid_congestion(self, acked: int, now: int, rtt: int) -> None:
        """Grow by one segment in a round trip (RFC 5681, 3.1, with RFC 3465's byte counting)."""
        self._credit += acked
        if self._credit >= self.cwnd:
            steps = self._credit // self.cwnd
            self._credit -= steps * self.cwnd
            self.cwnd += steps * self.mss

    def on_sample(self, rtt: int, now: int, una: int, nxt: int) -> None:
        """Take a round-trip time; the sequence numbers tell where rounds end."""

    def reduced(self, in_flight: int) -> int:
        """Return the ssthresh that a congestion event leads to."""
        return max(self.cwnd // 2, 2 * self.mss)

    def reduce(self, in_flight: int) -> None:
        """Note a congestion event: keeps what `undo` needs and sets ssthresh, not the window."""
        self.prior_cwnd = self.cwnd
        self.prior_ssthresh = self.ssthresh
        self.ssthresh = self.reduced(in_flight)
        self._credit = 0

    def on_timeout(self) -> None:
        """Called after `reduce` when the reason is a retransmission timeout."""
        self.cwnd = self.mss

    def undo(self) -> None:
        """Take the last reduction back (RFC 3522, RFC 4015)."""
        self.cwnd = max(self.cwnd, self.prior_cwnd)
        self.ssthresh = max(self.ssthresh, self.prior_ssthresh)

    def after_idle(self) -> None:
        """Called when sending starts again after an idle time."""

    def set_mss(self, mss: int) -> None:
        """Take a new segment size; the window keeps its number of bytes, at least one segment."""
        self.mss = mss
        self.cwnd = max(self.cwnd, mss)
