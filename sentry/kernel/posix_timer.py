"""Timers of timer_create(2): each sends a signal, and counts the periods it could not."""

from typing import Final

from sentry.abi.signal import pack_siginfo_timer
from sentry.kernel.cpu_timer import cpu_now_ns, next_look_ns
from sentry.kernel.kernel import Kernel
from sentry.kernel.signal import send_to_group, send_to_task, timer_info
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.kernel.timer import Timer

CPU_CLOCKS: Final = (2, 3)  # CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID
DELAYTIMER_MAX: Final = 0x7FFF_FFFF  # limits.h


class PosixTimer(Timer):
    """One timer of a process."""

    def __init__(
        self, kernel: Kernel, group: ThreadGroup, timer_id: int, clock: int, number: int
    ) -> None:
        super().__init__()
        self._kernel = kernel
        self._group = group
        self.timer_id = timer_id
        self.clock = clock
        self.number = number  # the signal; 0: none (SIGEV_NONE)
        self.thread: Task | None = None  # who gets it: SIGEV_THREAD_ID
        self.interval_ns = 0
        self.due_ns = 0  # of the period that runs
        self._overrun = 0  # of the last signal sent
        self._delivered = 0  # of the one before it
        self.value = 0
        self._info = timer_info(number or 1, timer_id, 0, 0)

    def set_value(self, value: int) -> None:
        """Set si_value of its signals."""
        self.value = value
        self._info = timer_info(self.number or 1, self.timer_id, 0, value)

    def now_ns(self) -> int:
        """Return the time that its periods are measured in: CLOCK_MONOTONIC or processor time."""
        if self.clock in CPU_CLOCKS:
            return cpu_now_ns(self._kernel, self._group)
        return self._kernel.clock.monotonic_ns()

    def _arm(self, now_ns: int) -> None:
        when_ns = self.due_ns
        if self.clock in CPU_CLOCKS:
            when_ns = next_look_ns(self._kernel, self._group, self.due_ns - now_ns)
        self._kernel.timers.arm(self, when_ns)

    def fire(self) -> None:
        now_ns = self.now_ns()
        if now_ns < self.due_ns:
            self._arm(now_ns)
            return
        periods = 1
        if self.interval_ns:
            periods += (now_ns - self.due_ns) // self.interval_ns
            self.due_ns += periods * self.interval_ns
            self._arm(now_ns)
        if not self.number:
            return
        if self._info.is_pending:
            # One signal stands for all periods until it is delivered.
            self._overrun = min(self._overrun + periods, DELAYTIMER_MAX)
            self._info.raw = self._packed()
            return
        self._delivered = self._overrun
        self._overrun = periods - 1
        self._info.raw = self._packed()
        if self.thread is not None:
            send_to_task(self.thread, self._info)
        else:
            send_to_group(self._group, self._info)

    def _packed(self) -> bytes:
        return pack_siginfo_timer(self.number, self.timer_id, self._overrun, self.value)

    def overrun(self) -> int:
        """Return the periods missed before the last signal that was delivered."""
        return self._delivered if self._info.is_pending else self._overrun

    def set_time(self, due_ns: int, interval_ns: int) -> None:
        """Arm it for a time of `now_ns` (0: disarm)."""
        self.interval_ns = interval_ns
        self._overrun = self._delivered = 0
        self.due_ns = due_ns
        if due_ns:
            self._arm(self.now_ns())
        else:
            self._kernel.timers.disarm(self)

    def left_ns(self) -> int:
        """Return the time until it is due, 0 if it is not armed."""
        if self.deadline_ns == 0:
            return 0
        return max(self.due_ns - self.now_ns(), 1)
