"""Clocks and sleep: clock_gettime(2), nanosleep(2), times(2)."""

from struct import pack
from typing import Final

from sentry.abi.errno import EINVAL, EOPNOTSUPP, EPERM, ERESTART_RESTARTBLOCK, ERESTARTNOHAND
from sentry.abi.resource import pack_rusage
from sentry.abi.types import NULL, Int, UserPtr
from sentry.errors import SysError
from sentry.kernel.blocking import sleep
from sentry.kernel.task import Task
from sentry.mm.user import read_timespec_ns, write_timespec_ns, write_u64
from sentry.platform import hosttime

REALTIME_CLOCKS: Final = (0, 5, 11)  # REALTIME, REALTIME_COARSE, TAI
MONOTONIC_CLOCKS: Final = (1, 4, 6)  # MONOTONIC, RAW, COARSE
BOOTTIME_CLOCKS: Final = (7,)
PROCESS_CPU: Final = 2
THREAD_CPU: Final = 3
COARSE_CLOCKS: Final = (5, 6)
CLOCKS_WITHOUT_TIMERS: Final = (2, 3, 4, 5, 6)  # of processor time, MONOTONIC_RAW, coarse
TICK_NS: Final = 10_000_000
TIMEX_SIZE: Final = 208
TIME_ERROR: Final = 5
STA_UNSYNC: Final = 0x40
MAX_ERROR_US: Final = 16_000_000
TIMER_ABSTIME: Final = 1


def _now_ns(task: Task, clock: int) -> int:
    """Return the time of a clock; SysError(EINVAL) for one that there is not."""
    if clock in REALTIME_CLOCKS:
        return task.kernel.clock.realtime_ns()
    if clock in MONOTONIC_CLOCKS:
        return task.kernel.clock.monotonic_ns()
    if clock in BOOTTIME_CLOCKS:
        return hosttime.boottime_ns()
    if clock in (PROCESS_CPU, THREAD_CPU):
        return sum(task.kernel.cpu_times(task.group))
    if clock < 0:
        return _other_cpu_ns(task, clock)
    raise SysError(EINVAL)


def _other_cpu_ns(task: Task, clock: int) -> int:
    """Return the time of a clock of clock_getcpuclockid(3), which has a pid or tid in it."""
    number = ~(clock >> 3)
    if clock & 3 == 3:
        raise SysError(EINVAL)
    found = task if number == 0 else task.group.pids.tasks.get(number)
    if clock & 4:
        if found is None or found.group is not task.group:
            raise SysError(EINVAL)
        return sum(task.kernel.cpu_times(found.group))
    group = task.group if number == 0 else task.group.pids.groups.get(number)
    if group is None:
        raise SysError(EINVAL)
    return sum(task.kernel.cpu_times(group))


def sys_clock_gettime(task: Task, clock: Int, out: UserPtr) -> int:
    """clock_gettime(2), where the vDSO does not answer."""
    write_timespec_ns(task.memory, out, _now_ns(task, clock))
    return 0


def sys_clock_getres(task: Task, clock: Int, out: UserPtr) -> int:
    """clock_getres(2)."""
    _now_ns(task, clock)
    if out != NULL:
        write_timespec_ns(task.memory, out, 4_000_000 if clock in COARSE_CLOCKS else 1)
    return 0


def sys_clock_settime(task: Task, clock: Int, value: UserPtr) -> int:
    """clock_settime(2): the clocks are the host's."""
    _now_ns(task, clock)
    if clock != 0:
        raise SysError(EINVAL)  # only CLOCK_REALTIME can be set at all
    raise SysError(EPERM)


def sys_gettimeofday(task: Task, value: UserPtr, zone: UserPtr) -> int:
    """gettimeofday(2)."""
    now_ns = task.kernel.clock.realtime_ns()
    if value != NULL:
        task.memory.write(value, pack("<qq", now_ns // 1_000_000_000, now_ns // 1000 % 1_000_000))
    if zone != NULL:
        task.memory.write(zone, bytes(8))
    return 0


def sys_settimeofday(task: Task, value: UserPtr, zone: UserPtr) -> int:
    """settimeofday(2): the clock is the host's."""
    raise SysError(EPERM)


def sys_time(task: Task, out: UserPtr) -> int:
    """time(2)."""
    seconds = task.kernel.clock.realtime_ns() // 1_000_000_000
    if out != NULL:
        write_u64(task.memory, out, seconds)
    return seconds


def sys_nanosleep(task: Task, request: UserPtr, remaining: UserPtr) -> int:
    """nanosleep(2): on a signal, `remaining` gets the time that was left."""
    call = task.call
    now_ns = task.kernel.clock.monotonic_ns()
    if call.is_first_run:
        call.deadline_ns = now_ns + max(read_timespec_ns(task.memory, request), 1)
    return _sleep(task, now_ns, remaining)


def _sleep(task: Task, now_ns: int, remaining: int) -> int:
    left_ns = task.call.deadline_ns - now_ns
    if left_ns <= 0:
        return 0
    if not task.has_signal:
        return sleep(task, task.call.deadline_ns)
    if remaining != NULL:
        write_timespec_ns(task.memory, remaining, left_ns)
    raise SysError(ERESTART_RESTARTBLOCK)


def sys_clock_nanosleep(
    task: Task, clock: Int, flags: Int, request: UserPtr, remaining: UserPtr
) -> int:
    """clock_nanosleep(2)."""
    if clock in CLOCKS_WITHOUT_TIMERS or clock < 0:
        raise SysError(EOPNOTSUPP)  # nothing wakes at their times
    if flags & ~TIMER_ABSTIME:
        raise SysError(EINVAL)
    _now_ns(task, clock)
    call = task.call
    now_ns = task.kernel.clock.monotonic_ns()
    if call.is_first_run:
        wanted_ns = read_timespec_ns(task.memory, request)
        if flags & TIMER_ABSTIME:
            wanted_ns -= _now_ns(task, clock)
        call.deadline_ns = now_ns + max(wanted_ns, 0) or 1
        if wanted_ns <= 0:
            return 0
    if not flags & TIMER_ABSTIME:
        return _sleep(task, now_ns, remaining)
    if call.deadline_ns <= now_ns:
        return 0
    if task.has_signal:
        raise SysError(ERESTARTNOHAND)
    return sleep(task, call.deadline_ns)


def _adjust(task: Task, address: int) -> int:
    """Do adjtimex(2) of a clock that nobody keeps in time: it can only be looked at."""
    raw = bytearray(task.memory.read(address, TIMEX_SIZE))
    if int.from_bytes(raw[:4], "little"):
        raise SysError(EPERM)
    now_ns = task.kernel.clock.realtime_ns()
    # modes, offset, freq, maxerror, esterror, status, constant, precision, tolerance, time, tick.
    head = (0, 0, 0, MAX_ERROR_US, MAX_ERROR_US, STA_UNSYNC, 2, 1, 32_768_000)
    fields = (*head, now_ns // 1_000_000_000, now_ns // 1000 % 1_000_000, 10_000)
    raw[:] = pack("<i4xqqqqi4xqqqqqq", *fields).ljust(TIMEX_SIZE, b"\0")
    task.memory.write(address, bytes(raw))
    return TIME_ERROR


def sys_adjtimex(task: Task, state: UserPtr) -> int:
    """adjtimex(2): tells that the clock is not synchronised; changing it is not permitted."""
    return _adjust(task, state)


def sys_clock_adjtime(task: Task, clock: Int, state: UserPtr) -> int:
    """clock_adjtime(2)."""
    _now_ns(task, clock)
    if clock != 0:
        raise SysError(EOPNOTSUPP)
    return _adjust(task, state)


def sys_times(task: Task, out: UserPtr) -> int:
    """times(2)."""
    group = task.group
    user_ns, system_ns = task.kernel.cpu_times(group)
    if out != NULL:
        ticks = [user_ns, system_ns, group.children_user_ns, group.children_system_ns]
        task.memory.write(out, pack("<4q", *[value // TICK_NS for value in ticks]))
    return task.kernel.clock.monotonic_ns() // TICK_NS


def sys_getrusage(task: Task, who: Int, out: UserPtr) -> int:
    """getrusage(2)."""
    group = task.group
    if who in (0, 1):
        user_ns, system_ns = task.kernel.cpu_times(group)
    elif who == -1:
        user_ns, system_ns = group.children_user_ns, group.children_system_ns
    else:
        raise SysError(EINVAL)
    words = task.memory.host_statm().split()
    resident_kb = int(words[1]) * 4 if len(words) > 1 else 0
    task.memory.write(out, pack_rusage(user_ns, system_ns, max_rss_kb=resident_kb))
    return 0
