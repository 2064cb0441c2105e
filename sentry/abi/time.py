"""Clocks of clock_gettime(2), flags of timers, and the time structs."""

from struct import Struct
from typing import Final

# Clocks
CLOCK_REALTIME: Final = 0
CLOCK_MONOTONIC: Final = 1
CLOCK_PROCESS_CPUTIME_ID: Final = 2
CLOCK_THREAD_CPUTIME_ID: Final = 3
CLOCK_MONOTONIC_RAW: Final = 4
CLOCK_REALTIME_COARSE: Final = 5
CLOCK_MONOTONIC_COARSE: Final = 6
CLOCK_BOOTTIME: Final = 7
CLOCK_REALTIME_ALARM: Final = 8
CLOCK_BOOTTIME_ALARM: Final = 9
CLOCK_TAI: Final = 11

TIMER_ABSTIME: Final = 1

# setitimer(2)
ITIMER_REAL: Final = 0
ITIMER_VIRTUAL: Final = 1
ITIMER_PROF: Final = 2

# utimensat(2)
UTIME_NOW: Final = 0x3FFF_FFFF
UTIME_OMIT: Final = 0x3FFF_FFFE

# Kinds of CPU clocks in negative clock ids (linux/posix-timers.h)
CPUCLOCK_PROF: Final = 0
CPUCLOCK_VIRT: Final = 1
CPUCLOCK_SCHED: Final = 2
CPUCLOCK_PERTHREAD_MASK: Final = 4
CPUCLOCK_CLOCK_MASK: Final = 3

# Ticks of times(2) and /proc in a second
USER_HZ: Final = 100

NSEC_PER_SEC: Final = 1_000_000_000
NSEC_PER_USEC: Final = 1000
TICK_NS: Final = 10_000_000


TIMESPEC_SIZE: Final = 16
TIMEVAL_SIZE: Final = 16
ITIMERSPEC_SIZE: Final = 32
ITIMERVAL_SIZE: Final = 32
_PAIR: Final = Struct("<qq")


def pack_timespec(time_ns: int) -> bytes:
    """Return a struct timespec."""
    return _PAIR.pack(time_ns // 1_000_000_000, time_ns % 1_000_000_000)


def pack_timeval(time_ns: int) -> bytes:
    """Return a struct timeval; parts of a microsecond are dropped."""
    return _PAIR.pack(time_ns // 1_000_000_000, time_ns % 1_000_000_000 // 1000)


def timespec_ns(data: bytes, offset: int = 0) -> int:
    """Return the nanoseconds of a struct timespec, or -1 if it is not valid.

    Valid is a time that is not negative with less than a second in tv_nsec.
    """
    seconds, nanoseconds = _PAIR.unpack_from(data, offset)
    if seconds < 0 or not 0 <= nanoseconds < 1_000_000_000:
        return -1
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def timeval_ns(data: bytes, offset: int = 0) -> int:
    """Return the nanoseconds of a struct timeval, or -1 if it is not valid."""
    seconds, microseconds = _PAIR.unpack_from(data, offset)
    if seconds < 0 or not 0 <= microseconds < 1_000_000:
        return -1
    return int(seconds) * 1_000_000_000 + int(microseconds) * 1000


def pack_itimerspec(interval_ns: int, value_ns: int) -> bytes:
    """Return a struct itimerspec."""
    return pack_timespec(interval_ns) + pack_timespec(value_ns)


def unpack_itimerspec(data: bytes) -> tuple[int, int]:
    """Return interval and value in nanoseconds; -1 for one that is not valid."""
    return timespec_ns(data, 0), timespec_ns(data, 16)


def pack_itimerval(interval_ns: int, value_ns: int) -> bytes:
    """Return a struct itimerval; a value that is not 0 stays so (setitimer(2) rounds up)."""
    return pack_timeval(interval_ns + 999) + pack_timeval(value_ns + 999)


def unpack_itimerval(data: bytes) -> tuple[int, int]:
    """Return interval and value in nanoseconds; -1 for one that is not valid."""
    return timeval_ns(data, 0), timeval_ns(data, 16)
