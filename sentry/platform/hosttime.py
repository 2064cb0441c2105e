"""The host's clocks, which are also the guest's (the vDSO reads them)."""

import time


def monotonic_ns() -> int:
    """Return CLOCK_MONOTONIC in nanoseconds."""
    return time.monotonic_ns()


def realtime_ns() -> int:
    """Return CLOCK_REALTIME in nanoseconds."""
    return time.time_ns()


def boottime_ns() -> int:
    """Return CLOCK_BOOTTIME in nanoseconds."""
    return time.clock_gettime_ns(7)


def process_times_ns(host_pid: int) -> tuple[int, int]:
    """Return the user and system time of a host process, zeros if it is gone."""
    # The clock ids of clock_getcpuclockid(3): CPUCLOCK_VIRT is user time, CPUCLOCK_PROF both.
    try:
        user_ns = time.clock_gettime_ns(~host_pid << 3 | 1)
        both_ns = time.clock_gettime_ns(~host_pid << 3)
    except OSError:
        return 0, 0
    return user_ns, max(both_ns - user_ns, 0)
