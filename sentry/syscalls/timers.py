"""Interval timers: alarm(2), setitimer(2)."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EINVAL
from sentry.abi.types import NULL, Int, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel.kernel import Kernel
from sentry.kernel.signal import kernel_info, send_to_group
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.kernel.timer import Timer

ITIMER_REAL: Final = 0
SIGALRM: Final = 14
MICRO: Final = 1000
SECOND: Final = 1_000_000_000
_ITIMERVAL: Final = Struct("<4q")  # interval, value: seconds and microseconds each


class RealTimer(Timer):
    """ITIMER_REAL of a process: SIGALRM when due, again after each interval."""

    def __init__(self, kernel: Kernel, group: ThreadGroup) -> None:
        super().__init__()
        self._kernel = kernel
        self._group = group

    def fire(self) -> None:
        interval_ns = self._group.real_interval_ns
        if interval_ns:
            now_ns = self._kernel.clock.monotonic_ns()
            self._kernel.timers.arm(self, now_ns + interval_ns)
        send_to_group(self._group, kernel_info(SIGALRM))


def _left_ns(task: Task) -> int:
    timer = task.group.real_timer
    if timer is None or timer.deadline_ns == 0:
        return 0
    return max(timer.deadline_ns - task.kernel.clock.monotonic_ns(), 1)


def _set(task: Task, value_ns: int, interval_ns: int) -> None:
    group = task.group
    if group.real_timer is None:
        group.real_timer = RealTimer(task.kernel, group)
    group.real_interval_ns = interval_ns
    if value_ns:
        deadline_ns = task.kernel.clock.monotonic_ns() + value_ns
        task.kernel.timers.arm(group.real_timer, deadline_ns)
    else:
        task.kernel.timers.disarm(group.real_timer)


def sys_alarm(task: Task, seconds: Uint) -> int:
    """alarm(2)."""
    left = -(-_left_ns(task) // SECOND)
    _set(task, seconds * SECOND, 0)
    return left


def sys_getitimer(task: Task, which: Int, out: UserPtr) -> int:
    """getitimer(2) of ITIMER_REAL; the others measure processor time and are EINVAL."""
    if which != ITIMER_REAL:
        raise SysError(EINVAL)
    task.memory.write(out, _packed(task))
    return 0


def _packed(task: Task) -> bytes:
    left, interval = _left_ns(task), task.group.real_interval_ns
    return _ITIMERVAL.pack(
        interval // SECOND,
        interval % SECOND // MICRO,
        left // SECOND,
        left % SECOND // MICRO,
    )


def sys_setitimer(task: Task, which: Int, new: UserPtr, old: UserPtr) -> int:
    """setitimer(2) of ITIMER_REAL; the others measure processor time and are EINVAL."""
    if which != ITIMER_REAL:
        raise SysError(EINVAL)
    fields = (0, 0, 0, 0)
    if new != NULL:
        raw = task.memory.read(new, _ITIMERVAL.size)
        interval_s, interval_us, value_s, value_us = _ITIMERVAL.unpack(raw)
        if not (0 <= interval_us < 1_000_000 and 0 <= value_us < 1_000_000):
            raise SysError(EINVAL)
        if interval_s < 0 or value_s < 0:
            raise SysError(EINVAL)
        fields = (interval_s, interval_us, value_s, value_us)
    before = _packed(task)
    _set(
        task,
        min(fields[2], 1 << 33) * SECOND + fields[3] * MICRO,
        min(fields[0], 1 << 33) * SECOND + fields[1] * MICRO,
    )
    if old != NULL:
        task.memory.write(old, before)
    return 0
