"""Round-trip times and the retransmission timeout (RFC 6298, with Linux's bounds)."""

from collections import deque
from typing import Final

from netstack.tcp.settings import RTO_INITIAL, TCP_RTO_MAX, TCP_RTO_MIN
from netstack.tcp.states import SECOND

# How long a minimum counts (net.ipv4.tcp_min_rtt_wlen).
MIN_RTT_WINDOW: Final = 300 * SECOND
_MIN_RTT_SAMPLES: Final = 8


class RttEstimator:
    """What is known of the time to the peer and back, in nanoseconds."""

    def __init__(self) -> None:
        self.srtt = 0  # 0: nothing was measured yet
        self.rttvar = 0
        self.rto = RTO_INITIAL
        self.latest = 0
        self.backoff = 0  # how many times the timeout was doubled
        # Candidates for the windowed minimum: (when, rtt), both rising.
        self._minima: deque[tuple[int, int]] = deque()

    def sample(self, rtt: int, now: int) -> None:
        """Take a measurement of a segment that was sent once (Karn)."""
        rtt = max(rtt, 1)
        self.latest = rtt
        if self.srtt == 0:
            self.srtt = rtt
            self.rttvar = rtt // 2
        else:
            self.rttvar += (abs(self.srtt - rtt) - self.rttvar) // 4
            self.srtt += (rtt - self.srtt) // 8
        self.backoff = 0
        self.rto = min(self.srtt + max(4 * self.rttvar, TCP_RTO_MIN), TCP_RTO_MAX)
        self._note_minimum(rtt, now)

    def _note_minimum(self, rtt: int, now: int) -> None:
        """Keep the smallest of the last MIN_RTT_WINDOW."""
        minima = self._minima
        while minima and minima[-1][1] >= rtt:
            minima.pop()
        while minima and minima[0][0] < now - MIN_RTT_WINDOW:
            minima.popleft()
        if len(minima) < _MIN_RTT_SAMPLES:
            minima.append((now, rtt))

    def minimum(self) -> int:
        """Return the smallest recent round-trip time; 0 if there is none."""
        return self._minima[0][1] if self._minima else 0

    def timeout(self) -> int:
        """Return the timeout with its back-off."""
        if self.backoff == 0:
            return self.rto
        return min(self.rto << min(self.backoff, 16), TCP_RTO_MAX)
