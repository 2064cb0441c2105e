"""Timers of processor time: ITIMER_VIRTUAL, ITIMER_PROF, RLIMIT_CPU (setitimer(2), getrlimit(2)).

The host has no event for the processor time of another process, so such a
timer looks again when its process could have used up what is left.
"""

from typing import Final

from sentry.abi.resource import RLIM_INFINITY, RLIMIT_CPU
from sentry.abi.signal import SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU
from sentry.kernel.kernel import Kernel
from sentry.kernel.signal import kernel_info, send_to_group
from sentry.kernel.thread_group import ThreadGroup
from sentry.kernel.timer import Timer

ITIMER_VIRTUAL: Final = 1
ITIMER_PROF: Final = 2
CPU_LIMIT: Final = 3  # beside the numbers of setitimer(2)
SECOND: Final = 1_000_000_000
# How exactly Linux itself tells, with a timer tick at 250 Hz.
PRECISION_NS: Final = 4_000_000
_SIGNALS: Final = {ITIMER_VIRTUAL: SIGVTALRM, ITIMER_PROF: SIGPROF}


def cpu_now_ns(kernel: Kernel, group: ThreadGroup, *, user_only: bool = False) -> int:
    """Return the processor time that a process has used."""
    user_ns, system_ns = kernel.cpu_times(group)
    return user_ns if user_only else user_ns + system_ns


def next_look_ns(kernel: Kernel, group: ThreadGroup, left_ns: int) -> int:
    """Return when, on CLOCK_MONOTONIC, a process may have used `left_ns` more."""
    runners = max(1, min(len(group.tasks), kernel.cpus))
    return kernel.clock.monotonic_ns() + max(left_ns // runners, PRECISION_NS)


class CpuTimer(Timer):
    """Sends a signal to a process that has used up its time, then after each interval."""

    def __init__(self, kernel: Kernel, group: ThreadGroup, kind: int) -> None:
        super().__init__()
        self._kernel = kernel
        self._group = group
        self._kind = kind
        self._due_ns = 0  # of processor time
        self.interval_ns = 0

    def _now_ns(self) -> int:
        return cpu_now_ns(self._kernel, self._group, user_only=self._kind == ITIMER_VIRTUAL)

    def set_time(self, value_ns: int, interval_ns: int) -> None:
        """Arm it for so much more time (0: disarm)."""
        self.interval_ns = interval_ns
        if value_ns:
            self._due_ns = self._now_ns() + value_ns
            self._arm(value_ns)
        else:
            self._kernel.timers.disarm(self)

    def left_ns(self) -> int:
        """Return how much more time it waits for; 0 if it is not armed."""
        return max(self._due_ns - self._now_ns(), 1) if self.deadline_ns else 0

    def _arm(self, left_ns: int) -> None:
        when_ns = next_look_ns(self._kernel, self._group, left_ns)
        self._kernel.timers.arm(self, when_ns)

    def fire(self) -> None:
        now_ns = self._now_ns()
        if now_ns < self._due_ns:
            self._arm(self._due_ns - now_ns)
            return
        if self.interval_ns:
            self._due_ns = now_ns + self.interval_ns
            self._arm(self.interval_ns)
        self.expire(now_ns)

    def expire(self, now_ns: int) -> None:
        """Called when the time is used up."""
        send_to_group(self._group, kernel_info(_SIGNALS[self._kind]))


class CpuLimitTimer(CpuTimer):
    """RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one."""

    def expire(self, now_ns: int) -> None:
        if now_ns >= self._group.limits.hard[RLIMIT_CPU] * SECOND:
            send_to_group(self._group, kernel_info(SIGKILL), force=True)
        else:
            send_to_group(self._group, kernel_info(SIGXCPU))


def watch_cpu_limit(kernel: Kernel, group: ThreadGroup) -> None:
    """Have RLIMIT_CPU noticed; called for every new process and after a change."""
    soft = group.limits.soft[RLIMIT_CPU]
    timer = group.cpu_timers.get(CPU_LIMIT)
    if soft == RLIM_INFINITY:
        if timer is not None:
            kernel.timers.disarm(timer)
        return
    if timer is None:
        timer = group.cpu_timers[CPU_LIMIT] = CpuLimitTimer(kernel, group, CPU_LIMIT)
    assert isinstance(timer, CpuTimer)
    left_ns = min(soft, 1 << 33) * SECOND - cpu_now_ns(kernel, group)
    timer.set_time(max(left_ns, 1), SECOND)


def interval_timer(kernel: Kernel, group: ThreadGroup, kind: int) -> CpuTimer:
    """Return ITIMER_VIRTUAL or ITIMER_PROF of a process."""
    timer = group.cpu_timers.get(kind)
    if timer is None:
        timer = group.cpu_timers[kind] = CpuTimer(kernel, group, kind)
    assert isinstance(timer, CpuTimer)
    return timer
