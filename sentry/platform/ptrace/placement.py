"""Placement: which processors the sentry's thread and the guest's threads run on.

A stop whose two sides share a processor costs a fifth of one that wakes another
processor.  So the sentry stays on one processor, its *home*, and guest threads
join it there (*near*).  A thread that computes for long without a stop, or one
of several that want to run and stop seldom, is let go to all processors
(*far*), and comes back when its stops become frequent.  The home is given up
when others contend for it, or when the sandbox is idle; then the host's
scheduler chooses, and where the sentry wakes up is the next home.

Nothing is decided at a stop.  A timer, the *tick*, runs while guest threads
do, and looks at what they did since the last one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sentry.platform._ptrace import lib

if TYPE_CHECKING:
    from sentry.platform.ptrace.thread import PtraceThread, ThreadTable

FAR: Final = -1  # where a thread is: a processor's number, or this
UNPLACED: Final = -2
NO_HOME: Final = -1

SHORTEST_TICK_NS: Final = 4_000_000
LONGEST_TICK_NS: Final = 32_000_000
FEW_STOPS: Final = 4
# A stop across processors is dearer by about this; the shorter runs between stops, the less a
# second processor helps.
FAR_STOP_NS: Final = 50_000
# The home is contended if the sentry waited for it for more than a quarter of the time.
CONTENDED_FRACTION: Final = 4


class Placement:
    """The policy; asked at each resume, and at each tick."""

    def __init__(self, table: ThreadTable, own_schedstat_fd: int) -> None:
        """`own_schedstat_fd`: /proc/PID/task/TID/schedstat of the kernel's thread (proc(5))."""
        self._table = table
        self._schedstat_fd = own_schedstat_fd
        self.home = NO_HOME
        self.is_enabled = lib.pt_cpu_count() > 1
        self.is_ticking = not self.is_enabled  # the tick is set, or never will be
        self._tick_ns = SHORTEST_TICK_NS
        self._stops_seen = 0
        self._delay_seen = 0

    def before_resume(self, thread: PtraceThread) -> None:
        """Put a thread where it belongs, if it is not there already."""
        if not self.is_enabled:
            return
        if self.home == NO_HOME:
            self._settle()
        if not self.is_ticking:
            self._set_tick(SHORTEST_TICK_NS)
        if thread.cpu != self.home and (thread.cpu != FAR or self._is_back(thread)):
            self._move(thread, self.home)

    def bring(self, host_tid: int, cpu: int) -> int:
        """Put a stopped thread that is not the guest's yet at home; return where it is then."""
        if not self.is_enabled or self.home == NO_HOME or cpu == self.home:
            return cpu
        lib.pt_place(host_tid, self.home)
        return self.home

    def _is_back(self, thread: PtraceThread) -> bool:
        """Return whether a far thread, which is the only one that runs, stops often again."""
        return self._table.running == 0 and thread.stops - thread.stops_seen > FEW_STOPS

    def close(self) -> None:
        """Let the calling thread run anywhere again."""
        if self.home != NO_HOME:
            self._leave_home()

    def _settle(self) -> None:
        self.home = lib.pt_current_cpu()
        if lib.pt_place(0, self.home) < 0:
            # Taken from the sandbox since (cpuset(7)): leave all to the host.
            self.is_enabled = False
            self.is_ticking = True

    def _leave_home(self) -> None:
        self.home = NO_HOME
        lib.pt_place(0, FAR)

    def _move(self, thread: PtraceThread, cpu: int) -> None:
        # Of a thread that was killed meanwhile it does not matter.
        lib.pt_place(thread.host_tid, cpu)
        thread.cpu = cpu

    def _set_tick(self, delay_ns: int) -> None:
        self.is_ticking = True
        self._tick_ns = delay_ns
        lib.pt_set_tick(delay_ns)

    def on_tick(self) -> None:
        """Look at what happened since the last tick."""
        self.is_ticking = False
        table = self._table
        stops = table.stops - self._stops_seen
        self._stops_seen = table.stops
        if table.running == 0 and stops == 0:
            if self.home != NO_HOME:
                self._leave_home()
            return  # the next resume sets it again
        changed = self._sort_threads(stops)
        if self._is_contended() and self.home != NO_HOME:
            self._leave_home()
            changed = True
        self._set_tick(SHORTEST_TICK_NS if changed else min(2 * self._tick_ns, LONGEST_TICK_NS))

    def _sort_threads(self, stops: int) -> bool:
        """Send away and bring back; return whether any thread was."""
        changed = False
        running = self._table.running
        is_seldom = stops * FAR_STOP_NS * 8 < self._tick_ns
        for thread in self._table.by_tid.values():
            own = thread.stops - thread.stops_seen
            thread.stops_seen = thread.stops
            if thread.cpu == FAR:
                if own * FAR_STOP_NS * 4 > self._tick_ns:
                    self._move(thread, self.home if self.home != NO_HOME else UNPLACED)
                    changed = True
            elif thread.is_running() and (own == 0 or (is_seldom and running > 1)):
                self._move(thread, FAR)
                changed = True
        return changed

    def _is_contended(self) -> bool:
        """Return whether the sentry waited long to run since the last call."""
        try:
            text = os.pread(self._schedstat_fd, 64, 0)
        except OSError:
            return False  # a host without scheduler statistics
        fields = text.split()
        if len(fields) < 2:
            return False
        delay = int(fields[1])
        waited = delay - self._delay_seen
        self._delay_seen = delay
        return waited * CONTENDED_FRACTION > self._tick_ns
