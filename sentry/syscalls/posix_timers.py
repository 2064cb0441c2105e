"""timer_create(2) and what belongs to it."""

from typing import Final

from sentry.abi.errno import EAGAIN, EINVAL, EOPNOTSUPP
from sentry.abi.resource import RLIMIT_SIGPENDING
from sentry.abi.signal import (
    NSIG,
    SIGALRM,
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD,
    SIGEV_THREAD_ID,
    SIGEVENT_SIZE,
    unpack_sigevent,
)
from sentry.abi.time import (
    CLOCK_BOOTTIME,
    CLOCK_BOOTTIME_ALARM,
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    CLOCK_REALTIME_ALARM,
    CLOCK_TAI,
    ITIMERSPEC_SIZE,
    TIMER_ABSTIME,
    pack_itimerspec,
    unpack_itimerspec,
)
from sentry.abi.types import NULL, Int, UserPtr
from sentry.errors import SysError
from sentry.kernel.cpu_timer import cpu_now_ns
from sentry.kernel.posix_timer import CPU_CLOCKS, PosixTimer
from sentry.kernel.task import Task
from sentry.mm.user import write_u32
from sentry.platform import hosttime

_REALTIME: Final = (CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_TAI)
_CLOCKS: Final = (*_REALTIME, *CPU_CLOCKS, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM)
# As the C library names the caller's own: CPUCLOCK_SCHED of pid 0 and of tid 0.
_OWN_CPU_CLOCKS: Final = {-6: CPU_CLOCKS[0], -2: CPU_CLOCKS[1]}
TIMER_ID_MAX: Final = 0x7FFF_FFFF


def sys_timer_create(task: Task, clock: Int, event: UserPtr, out: UserPtr) -> int:
    """timer_create(2); of processor clocks, the caller's own."""
    clock = Int(_OWN_CPU_CLOCKS.get(clock, clock))
    if clock < 0:
        raise SysError(EOPNOTSUPP)
    if clock not in _CLOCKS:
        raise SysError(EINVAL)
    group = task.group
    if len(group.posix_timers) >= group.limits.soft[RLIMIT_SIGPENDING]:
        raise SysError(EAGAIN)
    timer_id = group.next_timer_id
    value, number, notify, tid = timer_id, SIGALRM, SIGEV_SIGNAL, 0
    if event != NULL:
        value, number, notify, tid = unpack_sigevent(task.memory.read(event, SIGEVENT_SIZE))
    target: Task | None = None
    if notify & ~SIGEV_THREAD_ID not in (SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD):
        raise SysError(EINVAL)
    if notify & SIGEV_THREAD_ID:
        target = task.group.pids.tasks.get(tid)
        if target is None or target.group is not group:
            raise SysError(EINVAL)
    if notify & ~SIGEV_THREAD_ID == SIGEV_NONE:
        number = 0
    elif not 1 <= number <= NSIG:
        raise SysError(EINVAL)
    write_u32(task.memory, out, timer_id)
    timer = PosixTimer(task.kernel, group, timer_id, clock, number)
    timer.set_value(value)
    timer.thread = target
    group.next_timer_id = (timer_id + 1) & TIMER_ID_MAX
    group.posix_timers[timer_id] = timer
    return 0


def _timer(task: Task, timer_id: int) -> PosixTimer:
    timer = task.group.posix_timers.get(timer_id)
    if not isinstance(timer, PosixTimer):
        raise SysError(EINVAL)
    return timer


def sys_timer_settime(task: Task, timer_id: Int, flags: Int, new: UserPtr, old: UserPtr) -> int:
    """timer_settime(2)."""
    timer = _timer(task, timer_id)
    if new == NULL:
        raise SysError(EINVAL)
    interval_ns, value_ns = unpack_itimerspec(task.memory.read(new, ITIMERSPEC_SIZE))
    if interval_ns < 0 or value_ns < 0:
        raise SysError(EINVAL)
    before = pack_itimerspec(timer.interval_ns, timer.left_ns())
    due_ns = 0
    if value_ns:
        now_ns = timer.now_ns()
        due_ns = now_ns + value_ns
        if flags & TIMER_ABSTIME:
            due_ns = max(value_ns + now_ns - _now_of(task, timer.clock), 1)
    timer.set_time(due_ns, interval_ns)
    if old != NULL:
        task.memory.write(old, before)
    return 0


def _now_of(task: Task, clock: int) -> int:
    if clock in CPU_CLOCKS:
        return cpu_now_ns(task.kernel, task.group)
    if clock in _REALTIME:
        return task.kernel.clock.realtime_ns()
    if clock == CLOCK_MONOTONIC:
        return task.kernel.clock.monotonic_ns()
    return hosttime.boottime_ns()


def sys_timer_gettime(task: Task, timer_id: Int, out: UserPtr) -> int:
    """timer_gettime(2)."""
    timer = _timer(task, timer_id)
    task.memory.write(out, pack_itimerspec(timer.interval_ns, timer.left_ns()))
    return 0


def sys_timer_getoverrun(task: Task, timer_id: Int) -> int:
    """timer_getoverrun(2)."""
    return _timer(task, timer_id).overrun()


def sys_timer_delete(task: Task, timer_id: Int) -> int:
    """timer_delete(2)."""
    timer = _timer(task, timer_id)
    timer.set_time(0, 0)
    del task.group.posix_timers[timer_id]
    return 0
