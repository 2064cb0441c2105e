"""The master of a pseudo-terminal (pty(7)): what a terminal emulator or sshd has open."""

from typing import Final

from sentry.abi.errno import EINVAL, EIO
from sentry.abi.fcntl import O_CLOEXEC
from sentry.abi.ioctl import (
    FIONREAD,
    TCFLSH,
    TCIFLUSH,
    TCIOFLUSH,
    TCOFLUSH,
    TIOCGPKT,
    TIOCGPTLCK,
    TIOCGPTN,
    TIOCGPTPEER,
    TIOCPKT,
    TIOCPKT_DATA,
    TIOCSIG,
    TIOCSPTLCK,
)
from sentry.abi.signal import SIGINT, SIGQUIT, SIGTSTP
from sentry.errors import SysError
from sentry.fs.tty.ioctl import tty_ioctl
from sentry.fs.tty.terminal import EVERYTHING, READABLE, WRITABLE, OtherEnd, Tty
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.mm.user import read_u32, write_u32
from sentry.vfs.caller import Caller
from sentry.vfs.file import (
    O_ACCMODE,
    O_NONBLOCK,
    POLLHUP,
    POLLIN,
    POLLPRI,
    POLLRDNORM,
    File,
)
from sentry.vfs.inode import Inode
from sentry.vfs.mount import Dentry, Mount, VfsPath

OUTPUT_LIMIT: Final = 16384  # bytes written to the terminal and not read from the master
READ_MAX: Final = 4095  # what one read gives at most; a flush does not reach these


class MasterEnd(OtherEnd):
    """The buffer between a terminal and its master."""

    def __init__(self, tty: Tty) -> None:
        self._tty = tty
        self.output = bytearray()
        self.file: MasterFile | None = None
        self.is_packet = False  # TIOCPKT
        self.status = 0  # TIOCPKT_ bits that the next read in packet mode tells
        self.is_slave_closed = False

    def room(self) -> int:
        return OUTPUT_LIMIT - len(self.output)

    def send(self, data: bytes) -> None:
        self.output += data
        self._notify(READABLE)

    def drop(self) -> None:
        if len(self.output) > READ_MAX:
            del self.output[READ_MAX:]
            self._tty.queue.notify(WRITABLE)

    def input_wanted(self) -> None:
        self._notify(WRITABLE)

    def note_status(self, status: int, cleared: int) -> None:
        if self.is_packet:
            self.status = self.status & ~cleared | status
            self._notify(READABLE | POLLPRI)

    def closed(self) -> None:
        self.is_slave_closed = True
        self._notify(EVERYTHING)

    def reopened(self) -> None:
        self.is_slave_closed = False

    def _notify(self, events: int) -> None:
        file = self.file
        if file is not None:
            file.queue.notify(events)


class MasterFile(File):
    """An open master; there is one to each terminal."""

    def __init__(self, tty: Tty, end: MasterEnd, mount: Mount, flags: int, inode: Inode) -> None:
        super().__init__(flags, inode)
        self.tty = tty
        self.end = end
        self.mount = mount  # of the devpts, for TIOCGPTPEER
        self.writes_all = True
        end.file = self

    def try_read(self, sink: Sink) -> int | None:
        if sink.room == 0:
            return 0
        end = self.end
        if end.is_packet and end.status:
            status = end.status
            end.status = 0
            return sink.put(bytes((status,)))
        output = end.output
        if not output:
            if end.is_slave_closed:
                raise SysError(EIO)
            return None
        room = min(sink.room, READ_MAX)
        if end.is_packet:
            piece = bytes(output[: room - 1])
            done = sink.put(bytes((TIOCPKT_DATA,)) + piece)
            del output[: max(done - 1, 0)]
        else:
            done = sink.put(bytes(output[:room]))
            del output[:done]
        self.tty.drain()
        return done

    def try_write(self, source: Source) -> int | None:
        if source.size == 0:
            return 0
        room = self.tty.typing_room()
        if room <= 0:
            return None
        data = source.take(room)
        self.tty.type(data)
        return len(data)

    def readiness(self) -> int:
        end = self.end
        ready = 0
        if end.output:
            ready |= POLLIN | POLLRDNORM
        if end.is_packet and end.status:
            ready |= POLLIN | POLLRDNORM | POLLPRI
        if end.is_slave_closed:
            ready |= POLLHUP
        if self.tty.typing_room() > 0:
            ready |= WRITABLE
        return ready

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        assert isinstance(caller, Task)
        tty, end, memory = self.tty, self.end, caller.memory
        if request == TIOCGPTN:
            write_u32(memory, argument, tty.index)
        elif request == TIOCSPTLCK:
            tty.is_locked = bool(read_u32(memory, argument))
        elif request == TIOCGPTLCK:
            write_u32(memory, argument, int(tty.is_locked))
        elif request == TIOCPKT:
            is_packet = bool(read_u32(memory, argument))
            if is_packet and not end.is_packet:
                end.status = 0
            end.is_packet = is_packet
        elif request == TIOCGPKT:
            write_u32(memory, argument, int(end.is_packet))
        elif request == TIOCSIG:
            if argument not in (SIGINT, SIGQUIT, SIGTSTP):
                raise SysError(EINVAL)
            tty.interrupt(argument)
        elif request == TIOCGPTPEER:
            return self._open_peer(caller, argument & 0xFFFF_FFFF)
        elif request == FIONREAD:
            write_u32(memory, argument, min(len(end.output), READ_MAX))
        elif request == TCFLSH:
            self._flush(argument)
        else:
            return tty_ioctl(tty, caller, request, argument, is_master=True)
        return 0

    def _flush(self, what: int) -> None:
        """Do tcflush(3): a master's input is the terminal's output."""
        if what not in (TCIFLUSH, TCOFLUSH, TCIOFLUSH):
            raise SysError(EINVAL)
        if what != TCOFLUSH:
            self.end.output.clear()
            self.tty.drain()
        if what != TCIFLUSH:
            self.tty.pending.clear()

    def _open_peer(self, task: Task, flags: int) -> int:
        """Do TIOCGPTPEER: open the terminal without a name, which another mount may hide."""
        inode = self.tty.inode
        if inode is None:
            raise SysError(EIO)
        place = VfsPath(self.mount, Dentry(self.mount.root, inode.name, inode))
        file = inode.open(place, flags & (O_ACCMODE | O_NONBLOCK), task.creds)
        file.path = place
        file.opened(task, flags)
        return task.fds.install(file, cloexec=bool(flags & O_CLOEXEC))

    def release(self) -> None:
        tty = self.tty
        self.end.file = None
        self.end.output.clear()
        tty.is_gone = True
        if tty.inode is not None:
            tty.inode.remove()
        tty.hang_up()

    def describe(self) -> bytes:
        return b"/dev/ptmx"
