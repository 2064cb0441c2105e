"""CUBIC (RFC 9438) with HyStart++ (RFC 9406), the default."""

from typing import Final

from netstack.tcp.congestion import INFINITE, CongestionControl
from netstack.tcp.states import MS

C: Final = 0.4  # segments/second^3, RFC 9438, 5
BETA: Final = 0.7  # 4.6
ALPHA: Final = 3.0 * (1.0 - BETA) / (1.0 + BETA)  # 4.3

# RFC 9406, 4.3.
MIN_RTT_THRESH: Final = 4 * MS
MAX_RTT_THRESH: Final = 16 * MS
MIN_RTT_DIVISOR: Final = 8
N_RTT_SAMPLE: Final = 8
CSS_GROWTH_DIVISOR: Final = 4
CSS_ROUNDS: Final = 5
_NO_RTT: Final = 1 << 60


class HyStart:
    """When slow start should end before packets are lost: rising round-trip times."""

    def __init__(self) -> None:
        self.round_end = -1  # sequence number that ends the round; -1: no round yet
        self.samples = 0
        self.last_round_min = _NO_RTT
        self.round_min = _NO_RTT
        self.is_conservative = False  # Conservative Slow Start
        self.css_baseline = _NO_RTT
        self.css_rounds = 0
        self.is_done = False

    def restart(self) -> None:
        """Begin anew, as slow start does after an idle time."""
        self.round_end = -1
        self.samples = 0
        self.last_round_min = self.round_min = self.css_baseline = _NO_RTT
        self.is_conservative = self.is_done = False
        self.css_rounds = 0

    def on_sample(self, rtt: int, una: int, nxt: int) -> None:
        """Take a round-trip time; sets `is_done` when slow start shall end."""
        if self.round_end < 0 or una > self.round_end:
            self._next_round(nxt)
        self.round_min = min(self.round_min, rtt)
        self.samples += 1
        if self.samples < N_RTT_SAMPLE:
            return
        if self.is_conservative:
            if self.round_min < self.css_baseline:
                # The delay was a passing one: back to slow start.
                self.is_conservative = False
                self.css_baseline = _NO_RTT
            return
        if self.last_round_min == _NO_RTT:
            return
        threshold = self.last_round_min // MIN_RTT_DIVISOR
        threshold = max(MIN_RTT_THRESH, min(threshold, MAX_RTT_THRESH))
        if self.round_min >= self.last_round_min + threshold:
            self.is_conservative = True
            self.css_baseline = self.round_min
            self.css_rounds = 0

    def _next_round(self, nxt: int) -> None:
        """Begin the round that ends when `nxt` is acknowledged."""
        if self.is_conservative:
            self.css_rounds += 1
            if self.css_rounds >= CSS_ROUNDS:
                self.is_done = True
        self.round_end = nxt
        self.last_round_min = self.round_min
        self.round_min = _NO_RTT
        self.samples = 0


class Cubic(CongestionControl):
    """The window as a cubic function of the time since the last congestion event."""

    name = "cubic"

    def __init__(self, mss: int, window: int) -> None:
        super().__init__(mss, window)
        self.hystart = HyStart()
        self.delay_detections = 0
        self.w_max = 0.0  # segments
        self._epoch_start = 0  # 0: no epoch
        self._k = 0.0  # seconds
        self._w_est = 0.0  # segments: what Reno would have
        self._target_credit = 0.0
        self._prior_w_max = 0.0

    def on_sample(self, rtt: int, now: int, una: int, nxt: int) -> None:
        if self.cwnd >= self.ssthresh or self.ssthresh != INFINITE:
            return  # HyStart++ is for the initial slow start (RFC 9406, 4.3)
        self.hystart.on_sample(rtt, una, nxt)
        if self.hystart.is_done:
            self.ssthresh = self.cwnd
            self.delay_detections += 1

    def slow_start(self, acked: int) -> int:
        if self.hystart.is_conservative and self.ssthresh == INFINITE:
            self.cwnd += acked // CSS_GROWTH_DIVISOR
            return 0
        return super().slow_start(acked)

    def avoid_congestion(self, acked: int, now: int, rtt: int) -> None:
        mss = self.mss
        segments = self.cwnd / mss
        if self._epoch_start == 0:
            self._begin_epoch(segments, now)
        elapsed = (now - self._epoch_start) / 1e9
        target = self._window_at(elapsed + rtt / 1e9)
        target = max(segments, min(target, 1.5 * segments))  # 4.4
        acked_segments = acked / mss
        # The Reno-friendly region, 4.3: from the old maximum on as fast as Reno.
        alpha = 1.0 if self._w_est >= self._prior_segments() else ALPHA
        self._w_est += alpha * acked_segments / segments
        if self._window_at(elapsed) < self._w_est:
            grown = max(0.0, self._w_est - segments)
        else:
            grown = (target - segments) / segments * acked_segments
        self._target_credit += grown * mss
        whole = int(self._target_credit)
        if whole > 0:
            # Linux never grows by more than one segment for two acknowledged.
            whole = min(whole, max(acked // 2, 1))
            self.cwnd += whole
            self._target_credit = min(self._target_credit - whole, float(mss))

    def _prior_segments(self) -> float:
        """Return the window before the last congestion event, in segments."""
        return self.prior_cwnd / self.mss

    def _begin_epoch(self, segments: float, now: int) -> None:
        """Start counting the time of congestion avoidance (4.2)."""
        self._epoch_start = now
        self._w_est = segments
        self._target_credit = 0.0
        if self.w_max <= segments:
            # Slow start ended without a loss: the plateau is here (4.10).
            self.w_max = segments
            self._k = 0.0
        else:
            self._k = ((self.w_max - segments) / C) ** (1.0 / 3.0)

    def _window_at(self, seconds: float) -> float:
        """Return W_cubic(t), in segments."""
        offset = seconds - self._k
        return C * offset * offset * offset + self.w_max

    def reduced(self, in_flight: int) -> int:
        return max(int(self.cwnd * BETA), 2 * self.mss)

    def reduce(self, in_flight: int) -> None:
        self._prior_w_max = self.w_max
        segments = self.cwnd / self.mss
        # Fast convergence, 4.7.
        self.w_max = segments * (1.0 + BETA) / 2.0 if segments < self.w_max else segments
        self._epoch_start = 0
        super().reduce(in_flight)

    def on_timeout(self) -> None:
        super().on_timeout()
        self._epoch_start = 0

    def undo(self) -> None:
        super().undo()
        self.w_max = max(self.w_max, self._prior_w_max)
        self._epoch_start = 0

    def after_idle(self) -> None:
        # Idle time is no time of the epoch (4.2).
        self._epoch_start = 0
        self.hystart.round_end = -1


ALGORITHMS: Final = ("cubic", "reno")


def make_congestion_control(name: str, mss: int, window: int) -> CongestionControl | None:
    """Return a new window ruled by the algorithm of that name; None if there is none."""
    if name == "cubic":
        return Cubic(mss, window)
    if name == "reno":
        return CongestionControl(mss, window)
    return None
