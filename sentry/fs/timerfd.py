"""Timers that are read from a descriptor (timerfd_create(2))."""

from struct import Struct
from typing import Final

from sentry.abi.errno import ECANCELED, EFAULT, EINVAL, ENOTTY
from sentry.abi.timerfd import TFD_IOC_SET_TICKS
from sentry.errors import SysError
from sentry.fs.anon import anon_inode
from sentry.kernel.kernel import Kernel
from sentry.kernel.timer import Timer
from sentry.mm.io import Sink
from sentry.platform import hosttime
from sentry.vfs.caller import Caller
from sentry.vfs.file import O_RDWR, POLLIN, POLLRDNORM, File

_U64: Final = Struct("<Q")
CLOCK_REALTIME: Final = 0
CLOCK_MONOTONIC: Final = 1
CLOCK_BOOTTIME: Final = 7
CLOCK_REALTIME_ALARM: Final = 8
CLOCK_BOOTTIME_ALARM: Final = 9


class ExpiryTimer(Timer):
    """Tells a timer file that it is due."""

    def __init__(self, file: "TimerFile") -> None:
        super().__init__()
        self._file = file

    def fire(self) -> None:
        self._file.on_due()


class TimerFile(File):
    """A timer; reading gives how often it expired since the last read.

    As in Linux a periodic timer that nobody reads fires once: the expirations
    since then are counted when somebody looks, so short periods cost nothing.
    """

    def __init__(self, kernel: Kernel, clock: int, flags: int) -> None:
        super().__init__(O_RDWR | flags, anon_inode())
        self._kernel = kernel
        self._clock = clock
        self._timer = ExpiryTimer(self)
        self._due_ns = 0  # CLOCK_MONOTONIC of the next (or the unread last) expiry; 0: disarmed
        self._interval_ns = 0
        self._ticks = 0
        self._is_due = False
        self._set_flags = 0

    def on_due(self) -> None:
        """Called when the time is reached."""
        self._is_due = True
        self._ticks += 1
        self.queue.notify(POLLIN | POLLRDNORM)

    def set(self, value_ns: int, interval_ns: int, *, absolute: bool) -> tuple[int, int]:
        """Arm (or with 0 disarm) the timer; return what it was: time left and interval."""
        old = self.get()
        self._kernel.timers.disarm(self._timer)
        self._ticks = 0
        self._is_due = False
        self._due_ns = 0
        self._interval_ns = interval_ns
        self._set_flags = 1 if absolute else 0
        if value_ns:
            now_ns = self._kernel.clock.monotonic_ns()
            base_ns = now_ns - self._clock_now_ns(now_ns) if absolute else now_ns
            self._due_ns = max(base_ns + value_ns, 1)
            self._kernel.timers.arm(self._timer, self._due_ns)
        return old

    def get(self) -> tuple[int, int]:
        """Return the time to the next expiry (0: disarmed) and the interval."""
        self._count_missed()
        if self._due_ns == 0 or self._is_due:
            return 0, self._interval_ns
        return max(self._due_ns - self._kernel.clock.monotonic_ns(), 1), self._interval_ns

    def try_read(self, sink: Sink) -> int | None:
        if sink.room < 8:
            raise SysError(EINVAL)
        self._count_missed()
        if self._ticks == 0:
            return None
        if sink.put(_U64.pack(self._ticks)) < 8:
            raise SysError(EFAULT)
        self._ticks = 0
        return 8

    def readiness(self) -> int:
        return POLLIN | POLLRDNORM if self._ticks else 0

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        if request != TFD_IOC_SET_TICKS:
            raise SysError(ENOTTY)
        ticks: int = _U64.unpack(caller.memory.read(argument, 8))[0]
        if ticks == 0:
            raise SysError(EINVAL)
        if self._due_ns == 0:
            raise SysError(ECANCELED)
        self._ticks = ticks
        self.queue.notify(POLLIN | POLLRDNORM)
        return 0

    def release(self) -> None:
        self._kernel.timers.disarm(self._timer)

    def describe(self) -> bytes:
        return b"anon_inode:[timerfd]"

    def fdinfo(self) -> bytes:
        left_ns, interval_ns = self.get()
        return (
            b"clockid: %d\nticks: %d\nsettime flags: 0%o\n"
            b"it_value: (%d, %d)\nit_interval: (%d, %d)\n"
            % (
                self._clock,
                self._ticks,
                self._set_flags,
                left_ns // 1_000_000_000,
                left_ns % 1_000_000_000,
                interval_ns // 1_000_000_000,
                interval_ns % 1_000_000_000,
            )
        )

    def _count_missed(self) -> None:
        """Count what a periodic timer missed since it fired, and arm it again."""
        if not self._is_due or not self._interval_ns:
            return
        missed = (self._kernel.clock.monotonic_ns() - self._due_ns) // self._interval_ns
        self._ticks += missed
        self._due_ns += (missed + 1) * self._interval_ns
        self._is_due = False
        self._kernel.timers.arm(self._timer, self._due_ns)

    def _clock_now_ns(self, monotonic_ns: int) -> int:
        """Return the time of this timer's clock."""
        if self._clock in (CLOCK_REALTIME, CLOCK_REALTIME_ALARM):
            return self._kernel.clock.realtime_ns()
        if self._clock in (CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM):
            return hosttime.boottime_ns()
        return monotonic_ns
