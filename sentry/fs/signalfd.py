"""Descriptors that signals are read from (signalfd(2))."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EFAULT, EINVAL
from sentry.abi.signalfd import SIGNALFD_SIGINFO_SIZE
from sentry.errors import SysError
from sentry.fs.anon import anon_inode
from sentry.kernel.signal import UNBLOCKABLE, SignalInfo
from sentry.kernel.task import Task
from sentry.mm.io import Sink
from sentry.vfs.file import O_RDWR, POLLIN, POLLRDNORM, File

# si_signo, si_errno, si_code and the union of siginfo_t as the words that members lie in.
_INFO: Final = Struct("<iii4xIIiIqq")
_ADDRESS: Final = Struct("<Q")
_VALUE: Final = Struct("<Q")
# struct signalfd_siginfo: signo errno code pid uid fd tid band overrun trapno status int ptr
# utime stime addr
_RECORD: Final = Struct("<IiiIIiIIIIiiQQQQ48x")
SI_QUEUE: Final = -1
SI_TIMER: Final = -2
SI_POLL: Final = -5
SIGCHLD: Final = 17
SIGPOLL: Final = 29
FAULTS: Final = (4, 5, 7, 8, 11)  # SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV


class SignalFile(File):
    """Gives the pending signals of a mask instead of their handlers.

    Linux takes them from whoever reads.  Reading does not know its caller, so
    the file keeps the task that made it or that last had to wait for it.
    """

    def __init__(self, task: Task, mask: int, flags: int) -> None:
        super().__init__(O_RDWR | flags, anon_inode())
        self.mask = mask & ~UNBLOCKABLE
        self._task = task
        self.queue = task.group.handlers.queue

    def bind(self, task: Task) -> bool:
        """Take signals of `task` from now on; return whether that is another than before."""
        if self._task is task:
            return False
        self._task = task
        self.queue = task.group.handlers.queue
        return True

    def set_mask(self, mask: int) -> None:
        """Change which signals it gives."""
        self.mask = mask & ~UNBLOCKABLE
        self.queue.notify(POLLIN)

    def try_read(self, sink: Sink) -> int | None:
        if sink.room < SIGNALFD_SIGINFO_SIZE:
            raise SysError(EINVAL)
        done = 0
        while sink.room >= SIGNALFD_SIGINFO_SIZE:
            info = self._task.pending.take(self.mask)
            if info is None:
                info = self._task.group.pending.take(self.mask)
            if info is None:
                break
            if sink.put(pack_signal(info)) < SIGNALFD_SIGINFO_SIZE:
                raise SysError(EFAULT)
            done += SIGNALFD_SIGINFO_SIZE
        return done or None

    def readiness(self) -> int:
        pending = self._task.pending.mask | self._task.group.pending.mask
        return POLLIN | POLLRDNORM if pending & self.mask else 0

    def describe(self) -> bytes:
        return b"anon_inode:[signalfd]"

    def fdinfo(self) -> bytes:
        return b"sigmask:\t%016x\n" % self.mask


def pack_signal(info: SignalInfo) -> bytes:
    """Return a struct signalfd_siginfo for a siginfo_t (signalfd_copyinfo, fs/signalfd.c)."""
    raw = info.raw.ljust(128, b"\0")
    number, errno, code, pid, uid, word, _, utime, stime = _INFO.unpack_from(raw, 0)
    value: int = _VALUE.unpack_from(raw, 24)[0]
    fd = tid = band = overrun = status = number_value = pointer = address = user = system = 0
    if code == SI_TIMER:
        tid, overrun, pid, uid = pid, uid, 0, 0
        number_value, pointer = word, value
    elif code == SI_QUEUE:
        number_value, pointer = word, value
    elif code > 0 and number == SIGCHLD:
        status, user, system = word, utime, stime
    elif code > 0 and number == SIGPOLL:
        band, fd, pid, uid = pid, word, 0, 0
    elif code > 0 and number in FAULTS:
        address, pid, uid = _ADDRESS.unpack_from(raw, 16)[0], 0, 0
    elif code < 0 and code != -6:  # of another process's own making
        number_value, pointer = word, value
    return _RECORD.pack(
        info.number,
        errno,
        code,
        pid,
        uid,
        fd,
        tid,
        band,
        overrun,
        0,
        status,
        number_value,
        pointer,
        user & 0xFFFF_FFFF_FFFF_FFFF,
        system & 0xFFFF_FFFF_FFFF_FFFF,
        address,
    )
