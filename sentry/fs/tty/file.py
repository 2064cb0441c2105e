"""Open terminals: /dev/pts/N, /dev/tty and a container's console (tty(4), termios(3))."""

from typing import Final

from sentry.abi.errno import EINVAL, EIO, ENOTTY
from sentry.abi.fcntl import O_NOCTTY
from sentry.abi.ioctl import (
    FIONREAD,
    TCFLSH,
    TCIFLUSH,
    TCIOFLUSH,
    TCOFLUSH,
    TIOCSPGRP,
    TOSTOP,
    VMIN,
    VTIME,
)
from sentry.abi.signal import SIGTTIN, SIGTTOU
from sentry.errors import SysError
from sentry.fs.tty.ioctl import check_change, tty_ioctl
from sentry.fs.tty.terminal import EVERYTHING, READABLE, WRITABLE, Tty
from sentry.kernel import jobs
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.mm.user import write_u32
from sentry.vfs.caller import Caller
from sentry.vfs.file import O_NONBLOCK, File
from sentry.vfs.inode import Inode

WRITE_CHUNK: Final = 4096
_TENTH_NS: Final = 100_000_000  # the unit of VTIME


class TtyFile(File):
    """An open terminal: /dev/pts/N, /dev/tty, or the console."""

    def __init__(self, tty: Tty, flags: int, inode: Inode) -> None:
        super().__init__(flags, inode)
        self.tty = tty
        self.queue = tty.queue
        self.writes_all = True
        self._hangups = tty.hangups
        tty.opens += 1
        if tty.opens == 1:
            tty.end.reopened()

    def is_hung_up(self) -> bool:
        """Return whether the terminal was hung up since this was opened."""
        return self._hangups != self.tty.hangups

    def opened(self, caller: Caller, flags: int) -> None:
        """Make it the controlling terminal of a session leader that has none (open(2))."""
        tty = self.tty
        if flags & O_NOCTTY or not self.can_read() or not isinstance(caller, Task):
            return
        group = caller.group
        is_leader = group.session().sid == group.pid
        if is_leader and group.terminal is None and tty.session is None:
            jobs.set_terminal(group, tty)

    # Data.

    def try_read(self, sink: Sink) -> int | None:
        tty = self.tty
        if self.is_hung_up():
            return self._read_dead()
        tty.check_access(SIGTTIN)
        if sink.room == 0:
            return 0
        line = tty.line
        if not line.is_readable():
            tty.pump()
        if line.is_canonical():
            if not line.is_readable():
                return None
        elif not self._has_enough(sink.room):
            return None
        done = sink.put(line.read(sink.room))
        tty.pump()
        if tty.inode is not None:
            tty.inode.note_read()
        return done

    def _read_dead(self) -> int:
        """Return the end of a terminal that was hung up; who waited for input gets EIO."""
        task = self.tty.kernel.current
        if self.tty.is_gone and task is not None and not task.call.is_first_run:
            raise SysError(EIO)
        return 0

    def _has_enough(self, room: int) -> bool:
        """Return whether a raw read is over, by VMIN, VTIME, a signal or O_NONBLOCK (termios(3)).

        The call's record keeps the deadline, and how much was there when it was set.
        """
        chars = self.tty.line.termios.control_chars
        least, tenths = chars[VMIN], chars[VTIME]
        have = len(self.tty.line.buffer)
        if have >= min(max(least, 1), room):
            return True
        if least == 0 and tenths == 0:
            return True  # polling: nothing is as good as an end of file
        task = self.tty.kernel.current
        if task is None or self.flags & O_NONBLOCK:
            return have > 0
        if have and task.has_signal:
            return True
        if tenths == 0 or (least and not have):
            return False
        call = task.call
        now_ns = task.kernel.clock.monotonic_ns()
        if call.deadline_ns == 0 or have > call.done:
            call.deadline_ns = now_ns + tenths * _TENTH_NS
            call.done = have
        return now_ns >= call.deadline_ns

    def try_write(self, source: Source) -> int | None:
        tty = self.tty
        if self.is_hung_up():
            raise SysError(EIO)
        if tty.line.termios.lflag & TOSTOP:
            tty.check_access(SIGTTOU)
        if source.size == 0:
            return 0
        if tty.is_stopped_by_ioctl:
            return None
        tty.line.flush_echoes()
        room = tty.end.room()
        if tty.line.is_stopped or room <= 0:
            return None
        data = source.take(min(WRITE_CHUNK, room))
        tty.end.send(tty.line.output.process(data, tty.line.termios))
        if tty.inode is not None:
            tty.inode.note_write()
        return len(data)

    def readiness(self) -> int:
        if self.is_hung_up():
            return EVERYTHING
        tty = self.tty
        chars = tty.line.termios.control_chars
        least = chars[VMIN] if chars[VTIME] == 0 and chars[VMIN] else 1
        ready = 0
        if not tty.line.is_readable(least):
            tty.pump()
        if tty.line.is_readable(least):
            ready |= READABLE
        if tty.can_emit():
            ready |= WRITABLE
        return ready

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        assert isinstance(caller, Task)
        if self.is_hung_up():
            raise SysError(ENOTTY if request == TIOCSPGRP else EIO)
        tty = self.tty
        if request == FIONREAD:
            write_u32(caller.memory, argument, tty.line.waiting())
            return 0
        if request == TCFLSH:
            check_change(tty, caller, is_master=False)
            if argument not in (TCIFLUSH, TCOFLUSH, TCIOFLUSH):
                raise SysError(EINVAL)
            if argument != TCOFLUSH:
                tty.flush_input()
            if argument != TCIFLUSH:
                tty.drop_output()
            return 0
        return tty_ioctl(tty, caller, request, argument, is_master=False)

    # Life.

    def release(self) -> None:
        tty = self.tty
        tty.opens -= 1
        if tty.opens == 0:
            tty.is_exclusive = False
            tty.end.closed()

    def describe(self) -> bytes:
        return b"/dev/pts/%d" % self.tty.index
