"""Timers: things to do at a time of CLOCK_MONOTONIC."""

from heapq import heapify, heappop, heappush

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Timer:
    """Something with a time at which it is due; armed in at most one queue."""

    def __init__(self) -> None:
        self.deadline_ns = 0  # 0: not armed
        self.sequence = 0  # of the heap entry that counts; older ones are stale

    def fire(self) -> None:
        """Called once, at or after the deadline; it is disarmed by then."""
        raise NotImplementedError


class TimerQueue:
    """The armed timers, soonest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._sequence = 0
        self._stale = 0

    def arm(self, timer: Timer, deadline_ns: int) -> None:
        """Make `timer` fire at `deadline_ns`, whatever was set before."""
        if timer.deadline_ns:
            self._stale += 1
        self._sequence += 1
        timer.sequence = self._sequence
        timer.deadline_ns = max(deadline_ns, 1)
        heappush(self._heap, (timer.deadline_ns, self._sequence, timer))
        if self._stale > 64 and self._stale > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].sequence == entry[1]]
            heapify(self._heap)
            self._stale = 0

    def disarm(self, timer: Timer) -> None:
        """Make sure that `timer` does not fire."""
        if timer.deadline_ns:
            timer.deadline_ns = 0
            timer.sequence = 0
            self._stale += 1

    def next_deadline_ns(self) -> int:
        """Return when the next timer is due, 0 if none is armed."""
        heap = self._heap
        while heap and heap[0][2].sequence != heap[0][1]:
            heappop(heap)
            self._stale -= 1
        return heap[0][0] if heap else 0

    def run_due(self, now_ns: int) -> None:
        """Fire everything that is due at `now_ns`."""
        while True:
            deadline_ns = self.next_deadline_ns()
            if deadline_ns == 0 or deadline_ns > now_ns:
                return
            timer = heappop(self._heap)[2]
            timer.deadline_ns = 0
            timer.sequence = 0
            timer.fire()
