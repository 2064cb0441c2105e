"""Resource limits of a thread group (getrlimit(2))."""

from typing import Final

RLIM_INFINITY: Final = (1 << 64) - 1
RLIMIT_CPU: Final = 0
RLIMIT_FSIZE: Final = 1
RLIMIT_DATA: Final = 2
RLIMIT_STACK: Final = 3
RLIMIT_CORE: Final = 4
RLIMIT_RSS: Final = 5
RLIMIT_NPROC: Final = 6
RLIMIT_NOFILE: Final = 7
RLIMIT_MEMLOCK: Final = 8
RLIMIT_AS: Final = 9
RLIMIT_LOCKS: Final = 10
RLIMIT_SIGPENDING: Final = 11
RLIMIT_MSGQUEUE: Final = 12
RLIMIT_NICE: Final = 13
RLIMIT_RTPRIO: Final = 14
RLIMIT_RTTIME: Final = 15
RLIM_NLIMITS: Final = 16


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
