"""Interval timers: alarm(2), setitimer(2)."""

from typing import Final

from sentry.abi.errno import EINVAL
from sentry.abi.time import ITIMERVAL_SIZE, pack_itimerval, unpack_itimerval
from sentry.abi.types import NULL, Int, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel.cpu_timer import ITIMER_PROF, ITIMER_VIRTUAL, interval_timer
from sentry.kernel.kernel import Kernel
from sentry.kernel.signal import kernel_info, send_to_group
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.kernel.timer import Timer

ITIMER_REAL: Final = 0
SIGALRM: Final = 14
SECOND: Final = 1_000_000_000
LONGEST_NS: Final = (1 << 33) * SECOND


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
    """getitimer(2)."""
    _check_kind(which)
    task.memory.write(out, _packed(task, which))
    return 0


def _check_kind(which: int) -> None:
    if which not in (ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF):
        raise SysError(EINVAL)


def _packed(task: Task, which: int) -> bytes:
    if which == ITIMER_REAL:
        return pack_itimerval(task.group.real_interval_ns, _left_ns(task))
    timer = interval_timer(task.kernel, task.group, which)
    return pack_itimerval(timer.interval_ns, timer.left_ns())


def sys_setitimer(task: Task, which: Int, new: UserPtr, old: UserPtr) -> int:
    """setitimer(2)."""
    interval_ns = value_ns = 0
    if new != NULL:
        interval_ns, value_ns = unpack_itimerval(task.memory.read(new, ITIMERVAL_SIZE))
        if interval_ns < 0 or value_ns < 0:
            raise SysError(EINVAL)
    _check_kind(which)
    before = _packed(task, which)
    value_ns, interval_ns = min(value_ns, LONGEST_NS), min(interval_ns, LONGEST_NS)
    if which == ITIMER_REAL:
        _set(task, value_ns, interval_ns)
    else:
        interval_timer(task.kernel, task.group, which).set_time(value_ns, interval_ns)
    if old != NULL:
        task.memory.write(old, before)
    return 0
