"""Resource limits of a thread group (getrlimit(2))."""

from sentry.abi.resource import (
    RLIM_INFINITY,
    RLIM_NLIMITS,
    RLIMIT_CORE,
    RLIMIT_MEMLOCK,
    RLIMIT_MSGQUEUE,
    RLIMIT_NICE,
    RLIMIT_NOFILE,
    RLIMIT_NPROC,
    RLIMIT_RTPRIO,
    RLIMIT_SIGPENDING,
    RLIMIT_STACK,
)


class Limits:
    """Soft and hard limits by RLIMIT_ number."""

    def __init__(self) -> None:
        self.soft = [RLIM_INFINITY] * RLIM_NLIMITS
        self.hard = [RLIM_INFINITY] * RLIM_NLIMITS
        # The defaults of include/asm-generic/resource.h, linux/resource.h.
        self._default(RLIMIT_STACK, 8 << 20, RLIM_INFINITY)
        self._default(RLIMIT_CORE, 0, RLIM_INFINITY)
        self._default(RLIMIT_NPROC, 32768, 32768)
        self._default(RLIMIT_NOFILE, 1024, 4096)
        self._default(RLIMIT_MEMLOCK, 8 << 20, 8 << 20)
        self._default(RLIMIT_SIGPENDING, 32768, 32768)
        self._default(RLIMIT_MSGQUEUE, 819200, 819200)
        self._default(RLIMIT_NICE, 0, 0)
        self._default(RLIMIT_RTPRIO, 0, 0)

    def _default(self, number: int, soft: int, hard: int) -> None:
        self.soft[number] = soft
        self.hard[number] = hard

    def copy(self) -> "Limits":
        """Return a copy for a child."""
        new = Limits()
        new.soft = list(self.soft)
        new.hard = list(self.hard)
        return new
