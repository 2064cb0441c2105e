"""Unix domain sockets: streams, datagrams, sequenced packets (unix(7)).

Each socket has the queue of what it can receive.  A connected stream or
sequenced-packet socket knows its peer; `peer` None after `is_connected` says
that the peer was closed.  A sender is limited by what waits at the receiver.
"""

from collections import deque
from struct import Struct
from typing import Final

from sentry.abi import socket as abi
from sentry.abi.errno import (
    EADDRINUSE,
    ECONNREFUSED,
    ECONNRESET,
    EFAULT,
    EINVAL,
    EISCONN,
    EMSGSIZE,
    ENODATA,
    ENOTCONN,
    EOPNOTSUPP,
    EPERM,
    EPIPE,
    EPROTONOSUPPORT,
    EPROTOTYPE,
    ESOCKTNOSUPPORT,
)
from sentry.abi.ioctl import FIONREAD, SIOCATMARK
from sentry.errors import SysError
from sentry.kernel.async_io import tell_urgent
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.mm.user import write_u32
from sentry.socket import host_ifreq, ifreq, unix_names
from sentry.socket.base import FAMILIES, Family, Message, Socket, pack_ucred_for
from sentry.socket.host_network import HostNetwork
from sentry.socket.in_flight import IN_FLIGHT
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.option_values import read_number
from sentry.socket.unix_names import NAMES
from sentry.socket.unix_queue import Inbox
from sentry.vfs.caller import Caller
from sentry.vfs.file import (
    O_NONBLOCK,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLPRI,
    POLLRDHUP,
    POLLRDNORM,
    POLLWRNORM,
)
from sentry.waitqueue import WaitQueue

READABLE: Final = POLLIN | POLLRDNORM
WRITABLE: Final = POLLOUT | POLLWRNORM
EVERYTHING: Final = READABLE | WRITABLE | POLLHUP | POLLRDHUP | POLLERR
SIOCINQ: Final = FIONREAD
SIOCOUTQ: Final = 0x5411
CHUNK: Final = 65536  # the most one message of a stream carries
QUEUE_MAX: Final = 512  # net.unix.max_dgram_qlen
_INT: Final = Struct("<i")
KINDS: Final = (abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_SEQPACKET)


class UnixSocket(Socket):
    """A socket of AF_UNIX."""

    def __init__(self, task: Task, kind: int, flags: int) -> None:
        super().__init__(task, abi.AF_UNIX, kind, 0, flags)
        self.is_stream = kind == abi.SOCK_STREAM
        self.writes_all = self.is_stream
        self.bound_name = b""
        self.inode_key: tuple[int, int] | None = None
        self.peer: UnixSocket | None = None
        self.is_connected = False
        self.is_closed = False
        self.no_receive = False  # shut down for reading
        self.no_send = False
        self.inbox = Inbox()
        self.space_queue = WaitQueue()  # those who wait for room here
        self.backlog = -1  # listening from 0 on
        self.pending: deque[UnixSocket] = deque()  # connections not accepted yet
        self._waits_for: UnixSocket | None = None  # whose room the last try lacked
        self.kernel = task.kernel
        self.ucred = ucred_of(task)
        self.groups = task.creds.groups
        self.peer_groups: tuple[int, ...] = ()
        self.peer_ucred: tuple[int, int, int, int] = (0, -1, -1, 0)

    # Names and connections.

    def bind(self, task: Task, address: bytes) -> None:
        name = unix_names.name_of(address)
        if self.bound_name:
            raise SysError(EINVAL)
        if not name:
            name = NAMES.automatic()
        if name[0] == 0:
            if name in NAMES.abstract:
                raise SysError(EADDRINUSE)
            NAMES.abstract[name] = self
        else:
            self.inode_key = unix_names.make_path(task, name)
            NAMES.bound[self.inode_key] = self
        self.bound_name = name

    def listen(self, task: Task, backlog: int) -> None:
        if self.kind == abi.SOCK_DGRAM:
            raise SysError(EOPNOTSUPP)
        if not self.bound_name or self.is_connected:
            raise SysError(EINVAL)
        self.backlog = min(backlog if backlog >= 0 else abi.SOMAXCONN, abi.SOMAXCONN)
        self.ucred = ucred_of(task)
        self.groups = task.creds.groups
        self.space_queue.notify(WRITABLE)

    def is_listening(self) -> bool:
        return self.backlog >= 0

    def try_connect(self, task: Task, address: bytes) -> int | None:
        if self.kind == abi.SOCK_DGRAM:
            self._connect_datagram(task, address)
            return 0
        name = unix_names.name_of(address)
        if not name:
            raise SysError(EINVAL)
        if self.is_listening():
            raise SysError(EINVAL)
        if self.is_connected:
            raise SysError(EISCONN)
        target = unix_names.find(task, name)
        if target.kind != self.kind:
            raise SysError(EPROTOTYPE)
        if not target.is_listening() or target.no_receive:
            raise SysError(ECONNREFUSED)
        if len(target.pending) > target.backlog:
            self._waits_for = target
            return None
        other = UnixSocket(task, self.kind, 0)
        other.acquire()  # by the listener's queue
        other.bound_name = target.bound_name
        self.ucred = ucred_of(task)
        _join(self, other)
        self.groups = task.creds.groups
        self.peer_ucred = target.ucred
        self.peer_groups = target.groups
        other.peer_ucred = self.ucred
        other.peer_groups = self.groups
        if target.options.get(abi.SO_PASSCRED):
            other.options[abi.SO_PASSCRED] = 1
        target.pending.append(other)
        target.queue.notify(READABLE)
        self.queue.notify(WRITABLE)
        return 0

    def _connect_datagram(self, task: Task, address: bytes) -> None:
        if len(address) >= 2 and abi.family_of(address) == abi.AF_UNSPEC:
            self.peer = None
            self.is_connected = False
            return
        name = unix_names.name_of(address)
        if not name:
            raise SysError(EINVAL)
        target = unix_names.find(task, name)
        if target.kind != self.kind:
            raise SysError(EPROTOTYPE)
        self.peer = target
        self.is_connected = True

    def send_queue(self) -> WaitQueue:
        target = self._waits_for
        return self.queue if target is None else target.space_queue

    def try_accept(self, task: Task, flags: int) -> Socket | None:
        if self.kind == abi.SOCK_DGRAM:
            raise SysError(EOPNOTSUPP)
        if not self.is_listening():
            raise SysError(EINVAL)
        if not self.pending:
            if self.no_receive:
                raise SysError(EINVAL)
            return None
        found = self.pending.popleft()
        found.flags |= flags
        self.space_queue.notify(WRITABLE)
        return found

    def name(self) -> bytes:
        return abi.pack_sockaddr_un(self.bound_name)

    def peer_name(self) -> bytes:
        if not self.is_connected:
            raise SysError(ENOTCONN)
        return abi.pack_sockaddr_un(self.peer.bound_name if self.peer is not None else b"")

    # Sending.

    def try_write(self, source: Source) -> int | None:
        message = Message(b"")
        task = self.kernel.current  # who writes, not who made the socket
        message.ucred = self.ucred if task is None else ucred_of(task)
        return self._send(source, message, self._connected_peer())

    def try_send(
        self, task: Task, source: Source, message: Message, address: bytes, flags: int
    ) -> int | None:
        if flags & abi.MSG_OOB:
            return self._send_urgent(source, message, address)
        if not address or self.kind == abi.SOCK_SEQPACKET:
            return self._send(source, message, self._connected_peer())
        if self.kind != abi.SOCK_DGRAM:
            raise SysError(EISCONN if self.is_connected else EOPNOTSUPP)
        name = unix_names.name_of(address)
        if not name:
            raise SysError(EINVAL)
        target = unix_names.find(task, name)
        if target.kind != self.kind:
            raise SysError(EPROTOTYPE)
        if target.peer is not None and target.peer is not self:
            raise SysError(EPERM)  # It takes only what its own peer sends.
        return self._send(source, message, target)

    def _connected_peer(self) -> "UnixSocket":
        if self.no_send:
            raise SysError(EPIPE)
        peer = self.peer
        if peer is None:
            raise SysError(EPIPE if self.is_connected and self.kind != abi.SOCK_DGRAM else ENOTCONN)
        return peer

    def _send_urgent(self, source: Source, message: Message, address: bytes) -> int | None:
        """Send with MSG_OOB: the last byte is urgent, what comes before it goes first."""
        if not self.is_stream or source.size == 0:
            raise SysError(EOPNOTSUPP)
        if address:
            raise SysError(EISCONN if self.is_connected else EOPNOTSUPP)
        peer = self._connected_peer()
        if source.size > 1:
            return self._send(source, message, peer, source.size - 1)
        done = self._send(source, message, peer, 1)
        if done:
            peer.inbox.urgent = message
            tell_urgent(self.kernel, peer)
            peer.queue.notify(POLLPRI)
        return done

    def _send(
        self, source: Source, message: Message, peer: "UnixSocket", limit: int = CHUNK
    ) -> int | None:
        if self.no_send:
            raise SysError(EPIPE)
        if peer.is_closed:
            if self.kind != abi.SOCK_DGRAM:
                raise SysError(EPIPE)
            if self.peer is peer:
                self.peer = None
                self.is_connected = False
            raise SysError(ECONNREFUSED)
        if peer.no_receive:
            raise SysError(EPIPE)
        size = source.size
        inbox = peer.inbox
        room = self.send_buffer - inbox.size
        if self.is_stream:
            if size == 0:
                return self._send_nothing(message)
            if room <= 0:
                self._waits_for = None
                return None
            size = min(size, room, limit)
        elif size > self.send_buffer:
            raise SysError(EMSGSIZE)
        elif inbox.messages and (size > room or len(inbox.messages) >= QUEUE_MAX):
            self._waits_for = peer if self.kind == abi.SOCK_DGRAM else None
            return None
        data = source.take(size)
        if len(data) < size and not self.is_stream:
            raise SysError(EFAULT)
        program = peer.filter.program
        if program is not None and not self.is_stream:
            keep = program.run(data, 0, size, None, 0)
            if keep == 0:
                self._send_nothing(message)  # nobody is told (unix_dgram_sendmsg)
                return size
            data = data[:keep]
        message.data = data
        message.address = abi.pack_sockaddr_un(self.bound_name) if self.bound_name else b""
        inbox.append(message)
        if peer.queue.entries:
            peer.queue.notify(READABLE)
        return size

    def _send_nothing(self, message: Message) -> int:
        """Drop the descriptors of a message that does not arrive."""
        if message.rights:
            IN_FLIGHT.drop(message.rights)
            message.rights = []
        return 0

    # Receiving.

    def try_read(self, sink: Sink) -> int | None:
        if self.is_stream:
            if sink.room == 0:
                return 0
            if self.inbox.size and self._waits_for_more(sink.room):
                return None
        message = Message(b"")
        done = self.try_receive(sink, message, 0)
        if message.rights:
            IN_FLIGHT.drop(message.rights)  # read(2) loses them, unix(7)
        return done

    def _waits_for_more(self, room: int) -> bool:
        """Return whether read(2) waits for SO_RCVLOWAT, and more can come."""
        low = min(self.receive_low_water(), room)
        may_come = self.peer is not None and not self.no_receive and not self.error
        return self.inbox.size < low and may_come and not self.flags & O_NONBLOCK

    def try_receive(self, sink: Sink, message: Message, flags: int) -> int | None:
        inbox = self.inbox
        peek = bool(flags & abi.MSG_PEEK)
        if flags & abi.MSG_OOB:
            return self._receive_urgent(sink, message, peek=peek)
        if not inbox.messages:
            return self._receive_nothing()
        try:
            if self.is_stream:
                by_sender = self.passes_credentials()
                done = inbox.read_stream(sink, message, peek=peek, by_sender=by_sender)
            else:
                is_record = self.kind == abi.SOCK_SEQPACKET
                done = inbox.read_packet(sink, message, flags, is_record=is_record)
        finally:
            if not peek:
                self._tell_of_room()
        return self._receive_nothing() if done < 0 else done

    def _receive_urgent(self, sink: Sink, message: Message, *, peek: bool) -> int:
        if not self.is_stream:
            raise SysError(EOPNOTSUPP)
        if not self.is_connected:
            raise SysError(EINVAL)
        return self.inbox.read_urgent(sink, message, peek=peek)

    def _receive_nothing(self) -> int | None:
        if self.error:
            raise SysError(self.take_error())
        if self.no_receive:
            return 0
        if self.kind == abi.SOCK_DGRAM:
            return None
        if not self.is_connected:
            raise SysError(EINVAL if self.is_stream else ENOTCONN)
        return 0 if self.peer is None else None

    def _tell_of_room(self) -> None:
        """Tell senders that there is room again."""
        if self.space_queue.entries:
            self.space_queue.notify(WRITABLE)
        peer = self.peer
        if peer is not None and peer.queue.entries:
            peer.queue.notify(WRITABLE)

    # State.

    def readiness(self) -> int:
        if self.is_listening():
            return READABLE if self.pending else 0
        ready = 0
        if self.inbox.messages or self.no_receive:
            ready = READABLE
        if self.inbox.urgent is not None:
            ready |= POLLPRI
        if self.error:
            ready |= POLLERR
        if self.kind == abi.SOCK_DGRAM:
            target = self.peer
            if target is None or len(target.inbox.messages) < QUEUE_MAX:
                ready |= WRITABLE
            return ready | (POLLRDHUP if self.no_receive else 0)
        if self.no_receive:
            ready |= POLLRDHUP
        peer = self.peer
        if peer is None:
            ready |= POLLHUP
            if self.is_connected:
                ready |= READABLE | POLLRDHUP
            return ready | WRITABLE
        if self.no_receive and self.no_send:
            ready |= POLLHUP
        # As Linux: writable while three quarters of the buffer are free, or after a shutdown.
        if peer.inbox.size * 4 <= self.send_buffer * 3 or self.no_send:
            ready |= WRITABLE
        return ready

    def shutdown(self, how: int) -> None:
        if not 0 <= how <= abi.SHUT_RDWR:
            raise SysError(EINVAL)
        peer = self.peer if self.kind != abi.SOCK_DGRAM else None
        if how in (abi.SHUT_RD, abi.SHUT_RDWR):
            self.no_receive = True
            if peer is not None:
                peer.no_send = True
        if how in (abi.SHUT_WR, abi.SHUT_RDWR):
            self.no_send = True
            if peer is not None:
                peer.no_receive = True
        self.queue.notify(EVERYTHING)
        self.space_queue.notify(WRITABLE)
        if peer is not None:
            peer.queue.notify(EVERYTHING)

    def release(self) -> None:
        self.is_closed = True
        if self.bound_name and self._owns_name():
            NAMES.forget(self)
        peer = self.peer
        self.peer = None
        is_unread = self.inbox.drop_all()
        if peer is not None and self.kind != abi.SOCK_DGRAM:
            peer.peer = None
            if is_unread:
                peer.error = ECONNRESET
            peer.queue.notify(EVERYTHING)
        while self.pending:
            waiting = self.pending.popleft()
            if waiting.peer is not None:
                waiting.peer.error = ECONNRESET
            waiting.drop()
        self.backlog = -1
        self.space_queue.notify(WRITABLE)

    def _owns_name(self) -> bool:
        """Return whether the name is this socket's, not its listener's."""
        if self.bound_name[0] == 0:
            return NAMES.abstract.get(self.bound_name) is self
        return self.inode_key is not None

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        if request == SIOCINQ:
            if self.is_listening():
                raise SysError(EINVAL)
            inbox = self.inbox
            write_u32(caller.memory, argument, inbox.size if self.is_stream else inbox.next_size())
            return 0
        if request == SIOCATMARK:
            if not self.is_stream:
                raise SysError(EOPNOTSUPP)
            write_u32(caller.memory, argument, int(self.inbox.is_at_mark()))
            return 0
        if request == SIOCOUTQ:
            size = self.peer.inbox.size if self.peer is not None else 0
            write_u32(caller.memory, argument, size)
            return 0
        # Any socket will do to ask about interfaces: if_nametoindex(3) takes one of these.
        network = caller.kernel.network if isinstance(caller, Task) else None
        if isinstance(network, NetworkNamespace):
            return ifreq.ioctl(network, caller, request, argument)
        if isinstance(network, HostNetwork):
            return host_ifreq.ioctl(network, caller, request, argument)
        return super().ioctl(caller, request, argument)

    def get_option(self, task: Task, level: int, option: int) -> bytes:
        if level == abi.SOL_SOCKET and option == abi.SO_PEERCRED:
            return pack_ucred_for(task, self.peer_ucred)
        if level == abi.SOL_SOCKET and option == abi.SO_PEERGROUPS:
            if self.peer_ucred[1] == -1:
                raise SysError(ENODATA)
            return b"".join(gid.to_bytes(4, "little") for gid in self.peer_groups)
        if level == abi.SOL_SOCKET and option == abi.SO_PEEK_OFF:
            return _INT.pack(self.inbox.peek_offset)
        return super().get_option(task, level, option)

    def set_option(self, task: Task, level: int, option: int, value: bytes) -> None:
        if level == abi.SOL_SOCKET and option == abi.SO_PEEK_OFF:
            self.inbox.peek_offset = read_number(level, value)
            return
        super().set_option(task, level, option, value)
        if level == abi.SOL_SOCKET and option == abi.SO_OOBINLINE:
            self.inbox.is_inline = bool(self.options[option])

    def is_at_mark(self) -> bool:
        return self.inbox.is_at_mark()


def _join(first: UnixSocket, second: UnixSocket) -> None:
    first.peer = second
    second.peer = first
    first.is_connected = True
    second.is_connected = True
    first.peer_ucred = second.ucred
    second.peer_ucred = first.ucred
    first.peer_groups = second.groups
    second.peer_groups = first.groups


def ucred_of(task: Task) -> tuple[int, int, int, int]:
    """Return who `task` is, as Message.ucred has it: with its effective uid and gid."""
    return task.group.pid, task.creds.euid, task.creds.egid, task.group.pids.number


class UnixFamily(Family):
    """AF_UNIX."""

    def create(self, task: Task, kind: int, protocol: int, flags: int) -> Socket:
        return _make(task, kind, protocol, flags)

    def create_pair(
        self, task: Task, kind: int, protocol: int, flags: int
    ) -> tuple[Socket, Socket]:
        first = _make(task, kind, protocol, flags)
        second = _make(task, kind, protocol, flags)
        _join(first, second)
        return first, second


def _make(task: Task, kind: int, protocol: int, flags: int) -> UnixSocket:
    if protocol not in (0, abi.AF_UNIX):
        raise SysError(EPROTONOSUPPORT)
    if kind == abi.SOCK_RAW:
        kind = abi.SOCK_DGRAM  # As Linux (unix_create, net/unix/af_unix.c).
    if kind not in KINDS:
        raise SysError(ESOCKTNOSUPPORT)
    return UnixSocket(task, kind, flags)


FAMILIES[abi.AF_UNIX] = UnixFamily()
