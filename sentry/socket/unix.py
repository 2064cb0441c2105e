"""Unix domain sockets: streams, datagrams, sequenced packets (unix(7)).

Each socket has the queue of what it can receive.  A connected stream or
sequenced-packet socket knows its peer; `peer` None after `is_connected` says
that the peer was closed.  A sender is limited by what waits at the receiver.
"""

from collections import deque
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
from sentry.abi.ioctl import FIONREAD
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.mm.user import write_u32
from sentry.socket import host_ifreq, ifreq, unix_names
from sentry.socket.base import FAMILIES, Family, Message, Socket
from sentry.socket.host_network import HostNetwork
from sentry.socket.in_flight import IN_FLIGHT
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.unix_names import NAMES
from sentry.vfs.caller import Caller
from sentry.vfs.file import (
    O_NONBLOCK,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
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
        self.messages: deque[Message] = deque()
        self.queued = 0  # bytes in `messages`
        self.space_queue = WaitQueue()  # those who wait for room here
        self.backlog = -1  # listening from 0 on
        self.pending: deque[UnixSocket] = deque()  # connections not accepted yet
        self._waits_for: UnixSocket | None = None  # whose room the last try lacked
        self.kernel = task.kernel
        self.ucred = ucred_of(task)
        self.groups = task.creds.groups
        self.peer_groups: tuple[int, ...] = ()
        self.peer_ucred: tuple[int, int, int] = (0, -1, -1)

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
            raise SysError(EOPNOTSUPP)
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

    def _send(self, source: Source, message: Message, peer: "UnixSocket") -> int | None:
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
        room = self.send_buffer - peer.queued
        if self.is_stream:
            if size == 0 and not message.rights:
                return 0
            if room <= 0:
                self._waits_for = None
                return None
            size = min(size, room, CHUNK)
        elif size > self.send_buffer:
            raise SysError(EMSGSIZE)
        elif peer.messages and (size > room or len(peer.messages) >= QUEUE_MAX):
            self._waits_for = peer if self.kind == abi.SOCK_DGRAM else None
            return None
        data = source.take(size)
        if len(data) < size and not self.is_stream:
            raise SysError(EFAULT)
        message.data = data
        message.address = abi.pack_sockaddr_un(self.bound_name) if self.bound_name else b""
        peer.messages.append(message)
        peer.queued += len(data)
        if peer.queue.entries:
            peer.queue.notify(READABLE)
        return len(data)

    # Receiving.

    def try_read(self, sink: Sink) -> int | None:
        if self.is_stream:
            if sink.room == 0:
                return 0
            if self.queued and self._waits_for_more(sink.room):
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
        return self.queued < low and may_come and not self.flags & O_NONBLOCK

    def try_receive(self, sink: Sink, message: Message, flags: int) -> int | None:
        if flags & abi.MSG_OOB:
            raise SysError(EOPNOTSUPP)
        if not self.messages:
            return self._receive_nothing()
        if self.is_stream:
            return self._receive_stream(sink, message, peek=bool(flags & abi.MSG_PEEK))
        return self._receive_packet(sink, message, flags)

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

    def _receive_packet(self, sink: Sink, message: Message, flags: int) -> int:
        first = self.messages[0]
        size = len(first.data)
        try:
            done = sink.put(first.data) if size else 0
        except SysError:
            self._lose_packet(flags)
            raise
        message.ucred = first.ucred
        message.address = first.address
        if done < size:
            message.flags |= abi.MSG_TRUNC
        if self.kind == abi.SOCK_SEQPACKET:
            message.flags |= abi.MSG_EOR if first.flags & abi.MSG_EOR else 0
        if flags & abi.MSG_PEEK:
            _share_rights(first, message)
        else:
            message.rights = first.rights
            self.messages.popleft()
            self._consumed(size)
        return size if flags & abi.MSG_TRUNC else done

    def _lose_packet(self, flags: int) -> None:
        """Drop a message for which the reader's memory was bad, as Linux does."""
        if not flags & abi.MSG_PEEK:
            lost = self.messages.popleft()
            self._consumed(len(lost.data))
            if lost.rights:
                IN_FLIGHT.drop(lost.rights)

    def _receive_stream(self, sink: Sink, message: Message, *, peek: bool) -> int:
        """Take bytes of several messages, up to one with descriptors or other credentials.

        Descriptors come with the bytes before them that are read in the same call (unix(7)).
        """
        done = 0
        index = 0
        while index < len(self.messages) and (sink.room or (done == 0 and index == 0)):
            first = self.messages[index]
            if done and self.passes_credentials() and first.ucred != message.ucred:
                break
            size = len(first.data)
            count = 0
            if size and sink.room:
                try:
                    count = sink.put(first.data)
                except SysError:
                    if done:
                        break
                    raise
            message.ucred = first.ucred
            message.address = first.address
            had_rights = bool(first.rights)
            if had_rights and peek:
                _share_rights(first, message)
            elif had_rights:
                message.rights = first.rights
                first.rights = []
            done += count
            if peek:
                index += 1
            elif count == size:
                self.messages.popleft()
            else:
                first.data = first.data[count:]
            if count < size or had_rights:
                break
        if not peek:
            self._consumed(done)
        return done

    def _consumed(self, size: int) -> None:
        """Tell senders that there is room again."""
        self.queued -= size
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
        if self.messages or self.no_receive:
            ready = READABLE
        if self.error:
            ready |= POLLERR
        if self.kind == abi.SOCK_DGRAM:
            target = self.peer
            if target is None or len(target.messages) < QUEUE_MAX:
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
        if peer.queued * 4 <= self.send_buffer * 3 or self.no_send:
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
        if peer is not None and self.kind != abi.SOCK_DGRAM:
            peer.peer = None
            if self.messages:
                peer.error = ECONNRESET
            peer.queue.notify(EVERYTHING)
        while self.pending:
            waiting = self.pending.popleft()
            if waiting.peer is not None:
                waiting.peer.error = ECONNRESET
            waiting.drop()
        self.backlog = -1
        messages = self.messages
        self.messages = deque()
        self.queued = 0
        for message in messages:
            if message.rights:
                IN_FLIGHT.drop(message.rights)
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
            first = len(self.messages[0].data) if self.messages else 0
            write_u32(caller.memory, argument, self.queued if self.is_stream else first)
            return 0
        if request == SIOCOUTQ:
            write_u32(caller.memory, argument, self.peer.queued if self.peer is not None else 0)
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
            pid, uid, gid = self.peer_ucred
            return abi.pack_ucred(pid, uid & 0xFFFF_FFFF, gid & 0xFFFF_FFFF)
        if level == abi.SOL_SOCKET and option == abi.SO_PEERGROUPS:
            if self.peer_ucred[1] == -1:
                raise SysError(ENODATA)
            return b"".join(gid.to_bytes(4, "little") for gid in self.peer_groups)
        return super().get_option(task, level, option)


def _join(first: UnixSocket, second: UnixSocket) -> None:
    first.peer = second
    second.peer = first
    first.is_connected = True
    second.is_connected = True
    first.peer_ucred = second.ucred
    second.peer_ucred = first.ucred
    first.peer_groups = second.groups
    second.peer_groups = first.groups


def _share_rights(first: Message, message: Message) -> None:
    """Give a reader that only peeks descriptors of its own."""
    message.rights = list(first.rights)
    IN_FLIGHT.count += len(first.rights)
    for file in first.rights:
        file.acquire()


def ucred_of(task: Task) -> tuple[int, int, int]:
    """Return who `task` is, as SO_PEERCRED shows it: pid, effective uid and gid."""
    return task.group.pid, task.creds.euid, task.creds.egid


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
