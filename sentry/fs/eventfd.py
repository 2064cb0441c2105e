"""Event counters (eventfd(2))."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EFAULT, EINVAL
from sentry.errors import SysError
from sentry.fs.anon import anon_inode
from sentry.mm.io import Sink, Source
from sentry.vfs.file import O_RDWR, POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, File

_U64: Final = Struct("<Q")
COUNT_MAX: Final = (1 << 64) - 1


class EventFile(File):
    """A 64-bit counter that read(2) takes and write(2) adds to."""

    def __init__(self, count: int, flags: int, *, is_semaphore: bool) -> None:
        super().__init__(O_RDWR | flags, anon_inode())
        self._count = count
        self._is_semaphore = is_semaphore

    def try_read(self, sink: Sink) -> int | None:
        if sink.room < 8:
            raise SysError(EINVAL)
        if self._count == 0:
            return None
        value = 1 if self._is_semaphore else self._count
        if sink.put(_U64.pack(value)) < 8:
            raise SysError(EFAULT)
        self._count -= value
        self.queue.notify(POLLOUT | POLLWRNORM)
        return 8

    def try_write(self, source: Source) -> int | None:
        if source.size < 8:
            raise SysError(EINVAL)
        data = source.take(8)
        if len(data) < 8:
            raise SysError(EFAULT)
        value: int = _U64.unpack(data)[0]
        if value == COUNT_MAX:
            raise SysError(EINVAL)
        if self._count + value >= COUNT_MAX:
            return None
        self._count += value
        if self._count:
            self.queue.notify(POLLIN | POLLRDNORM)
        return 8

    def signal(self, value: int) -> None:
        """Add from inside the kernel; an overflow is shown as POLLERR."""
        self._count = min(self._count + value, COUNT_MAX)
        self.queue.notify(POLLIN | POLLRDNORM)

    def readiness(self) -> int:
        ready = POLLIN | POLLRDNORM if self._count else 0
        if self._count < COUNT_MAX - 1:
            ready |= POLLOUT | POLLWRNORM
        elif self._count == COUNT_MAX:
            ready |= POLLERR
        return ready

    def describe(self) -> bytes:
        return b"anon_inode:[eventfd]"

    def fdinfo(self) -> bytes:
        return b"eventfd-count: %16x\n" % self._count
