"""Sockets of AF_INET and AF_INET6 on the host's own stack (--network=host).

The host's socket does the work and its errors are the guest's; this class
passes what the tables of `host_options.py` let through.  The host's descriptor
never blocks: what would is None here, and the host's epoll, edge-triggered,
tells the wait queue when to try again.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from sentry.abi import socket as abi
from sentry.abi.capability import CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_NET_RAW
from sentry.abi.errno import (
    EACCES,
    EAGAIN,
    EALREADY,
    EFAULT,
    EINPROGRESS,
    EINVAL,
    EMSGSIZE,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EPERM,
)
from sentry.abi.ioctl import SIOCATMARK, SIOCINQ
from sentry.abi.poll import EPOLLET
from sentry.errors import SysError
from sentry.fs.anon import AnonInode
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.mm.user import write_u32
from sentry.platform import hostfiles
from sentry.platform.hostsocket import BUFFER_SIZE, CALLS
from sentry.platform.interface import HostWatcher
from sentry.socket import host_ifreq
from sentry.socket.base import Message, Socket
from sentry.socket.host_network import HostNetwork
from sentry.socket.host_options import (
    GET,
    INT,
    NUMBER_REQUESTS,
    OPTIONS,
    RECEIVABLE,
    RECEIVE_FLAGS,
    REFUSED,
    SEND_FLAGS,
    SENDABLE,
    SET,
)
from sentry.vfs.caller import Caller
from sentry.vfs.file import (
    O_NONBLOCK,
    POLLIN,
    POLLOUT,
    POLLPRI,
    POLLRDBAND,
    POLLRDHUP,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
)

READ_EVENTS: Final = POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND | POLLRDHUP
WRITE_EVENTS: Final = POLLOUT | POLLWRNORM | POLLWRBAND
ALL_EVENTS: Final = READ_EVENTS | WRITE_EVENTS
CHUNK: Final = BUFFER_SIZE  # the most that is copied from the guest at once
MESSAGE_MAX: Final = 65535
FREE_PRIORITY_MAX: Final = 6
SENDABLE_LEVELS: Final = (abi.SOL_IP, abi.SOL_IPV6, abi.SOL_UDP)
# Options that are the sentry's own affair: it is here that calls wait.
OWN_OPTIONS: Final = (abi.SO_RCVTIMEO, abi.SO_SNDTIMEO, abi.SO_LINGER)


class SocketWatcher(HostWatcher):
    """Tells a socket's wait queue what the host's epoll reports."""

    def __init__(self, sock: "HostSocket") -> None:
        self._sock = sock

    def on_host_ready(self, events: int) -> None:
        self._sock.queue.notify(events)


@mypyc_attr(allow_interpreted_subclasses=True)
class HostSocket(Socket):
    """A socket of the host; `host_fd` becomes its own."""

    def __init__(
        self, task: Task, network: HostNetwork, family: int, kind: int, protocol: int, host_fd: int
    ) -> None:
        super().__init__(task, family, kind, protocol, 0)
        self.network = network
        self.host_fd_number = host_fd
        self.is_stream = kind == abi.SOCK_STREAM
        self.writes_all = self.is_stream
        # As /proc/net/tcp has it, by which ss(8) and netstat(8) find the owner.
        self.number = hostfiles.stat_fd(host_fd).st_ino
        if isinstance(self.inode, AnonInode):
            self.inode.number = self.number
        self._is_watched = False
        network.sockets += 1

    def watch(self) -> None:
        """Be told by the host's epoll from now on; also of what is there already."""
        if not self._is_watched:
            self._is_watched = True
            watcher = SocketWatcher(self)
            self.network.platform.watch(self.host_fd_number, ALL_EVENTS | EPOLLET, watcher)

    def release(self) -> None:
        if self._is_watched:
            self.network.platform.unwatch(self.host_fd_number)
        hostfiles.close(self.host_fd_number)
        self.network.sockets -= 1

    # Names and connections.

    def check_address(self, address: bytes) -> None:
        """Raise SysError for an address that the host is not to see; of the internet it may all."""

    def bind(self, task: Task, address: bytes) -> None:
        self.check_address(address)
        # Whatever the family is that the guest says: the port is where both have it.
        port = int.from_bytes(address[2:4], "big")
        if 0 < port < self.network.first_free_port() and self.kind != abi.SOCK_RAW:
            # The sandbox has the capability on the host whatever the guest has.
            if not task.creds.has_capability(CAP_NET_BIND_SERVICE):
                raise SysError(EACCES)
        CALLS.bind(self.host_fd_number, address)

    def listen(self, task: Task, backlog: int) -> None:
        CALLS.listen(self.host_fd_number, backlog)

    def is_listening(self) -> bool:
        value = CALLS.get_option(self.host_fd_number, abi.SOL_SOCKET, abi.SO_ACCEPTCONN, 4)
        return any(value)

    def try_connect(self, task: Task, address: bytes) -> int | None:
        try:
            CALLS.connect(self.host_fd_number, address)
        except SysError as error:
            if self.flags & O_NONBLOCK or error.errno not in (EINPROGRESS, EALREADY):
                raise
            self.watch()
            return None  # the same call later tells what has become of it
        return 0

    def try_accept(self, task: Task, flags: int) -> Socket | None:
        self.network.check_room()
        host_fd = CALLS.accept(self.host_fd_number)
        if host_fd < 0:
            self.watch()
            return None
        made = HostSocket(task, self.network, self.family, self.kind, self.protocol, host_fd)
        made.flags |= flags
        made.send_timeout_ns = self.send_timeout_ns
        made.receive_timeout_ns = self.receive_timeout_ns
        made.linger = self.linger
        made.acquire()
        return made

    def name(self) -> bytes:
        return CALLS.name(self.host_fd_number, of_peer=False)

    def peer_name(self) -> bytes:
        return CALLS.name(self.host_fd_number, of_peer=True)

    def shutdown(self, how: int) -> None:
        if not 0 <= how <= abi.SHUT_RDWR:
            raise SysError(EINVAL)
        CALLS.shutdown(self.host_fd_number, how)

    # Sending.

    def try_write(self, source: Source) -> int | None:
        return self.send(source, b"", b"", 0)

    def try_send(
        self, task: Task, source: Source, message: Message, address: bytes, flags: int
    ) -> int | None:
        if flags & abi.MSG_FASTOPEN:
            raise SysError(EOPNOTSUPP)
        control = sendable_control(message)
        return self.send(source, address, control, flags & SEND_FLAGS)

    def send(self, source: Source, address: bytes, control: bytes, flags: int) -> int | None:
        """Send a message, or of a stream as much as there is room for."""
        size = source.size
        if self.is_stream:
            if size > CHUNK:
                # The urgent byte, say, is the last one, which is yet to come.
                flags &= ~abi.MSG_OOB
                size = CHUNK
        elif size > MESSAGE_MAX:
            raise SysError(EMSGSIZE)
        data = source.take(size)
        if len(data) < size and not (self.is_stream and data):
            raise SysError(EFAULT)
        done = CALLS.send(self.host_fd_number, data, address, control, flags)
        if done < 0:
            source.put_back(data)
            self.watch()
            return None
        if done < len(data):
            source.put_back(data[done:])
        return done

    # Receiving.

    def try_read(self, sink: Sink) -> int | None:
        if not self.is_stream:
            return self.try_receive(sink, Message(b""), 0)
        if sink.room == 0:
            return 0
        try:
            return sink.fill_from_host(self.host_fd_number, -1)
        except SysError as error:
            if error.errno != EAGAIN:
                raise
        self.watch()
        return None

    def try_receive(self, sink: Sink, message: Message, flags: int) -> int | None:
        passed = flags & RECEIVE_FLAGS
        room = sink.room
        if not self.is_stream:
            passed |= abi.MSG_TRUNC  # to know how long it was
        found = CALLS.receive(self.host_fd_number, room, passed)
        if found is None:
            if flags & (abi.MSG_ERRQUEUE | abi.MSG_OOB):
                raise SysError(EAGAIN)  # neither ever waits
            self.watch()
            return None
        message.address = found.address
        message.flags |= found.flags & ~abi.MSG_CMSG_CLOEXEC
        message.control += receivable_control(found.control)
        if self.is_stream and flags & abi.MSG_TRUNC and not flags & abi.MSG_OOB:
            return found.size  # discarded by the host: there is no data (tcp(7))
        done = sink.put(found.data) if found.data else 0
        if self.is_stream:
            return done
        if done < found.size:
            message.flags |= abi.MSG_TRUNC
        return found.size if flags & abi.MSG_TRUNC else done

    # State.

    def readiness(self) -> int:
        self.watch()
        return hostfiles.ready_now(self.host_fd_number, ALL_EVENTS)

    def take_error(self) -> int:
        value = CALLS.get_option(self.host_fd_number, abi.SOL_SOCKET, abi.SO_ERROR, 4)
        return int.from_bytes(value, "little")

    def is_at_mark(self) -> bool:
        if self.kind != abi.SOCK_STREAM:
            return False
        return any(CALLS.ioctl(self.host_fd_number, SIOCATMARK, bytes(4)))

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        if request == SIOCINQ or request in NUMBER_REQUESTS:
            value = CALLS.ioctl(self.host_fd_number, request, bytes(4))
            write_u32(caller.memory, argument, int.from_bytes(value, "little"))
            return 0
        return host_ifreq.ioctl(self.network, caller, request, argument)

    # Options.

    def get_option(self, task: Task, level: int, option: int) -> bytes:
        if level == abi.SOL_SOCKET and option in OWN_OPTIONS:
            return super().get_option(task, level, option)
        row = OPTIONS.get((level, option))
        if row is None or not row.directions & GET:
            raise SysError(ENOPROTOOPT)
        return CALLS.get_option(self.host_fd_number, level, option, row.size)

    def set_option(self, task: Task, level: int, option: int, value: bytes) -> None:
        if level == abi.SOL_SOCKET and option in OWN_OPTIONS:
            super().set_option(task, level, option, value)
            if option == abi.SO_LINGER:
                self._apply_linger()
            return
        if level == abi.SOL_SOCKET and option != abi.SO_BINDTODEVICE and len(value) < INT:
            raise SysError(EINVAL)  # which Linux looks at first (sk_setsockopt)
        if (level, option) in REFUSED:
            raise SysError(EPERM)
        if (level, option) == (abi.SOL_SOCKET, abi.SO_PRIORITY):
            check_priority(task, value)
        row = OPTIONS.get((level, option))
        if row is None or not row.directions & SET:
            raise SysError(ENOPROTOOPT)
        CALLS.set_option(self.host_fd_number, level, option, value[: row.size])

    def _apply_linger(self) -> None:
        """Have close(2) abort the connection, if it is to; but never wait, as the host would."""
        on_off, seconds = self.linger
        aborts = on_off != 0 and seconds == 0
        packed = abi.pack_linger(int(aborts), 0)
        CALLS.set_option(self.host_fd_number, abi.SOL_SOCKET, abi.SO_LINGER, packed)


def check_priority(task: Task, value: bytes) -> None:
    """Raise SysError(EPERM) for a priority that the guest has no capability for (socket(7)).

    The sandbox may have it: CAP_NET_RAW is enough for the host.
    """
    if not 0 <= int.from_bytes(value[:INT], "little", signed=True) <= FREE_PRIORITY_MAX:
        creds = task.creds
        if not creds.has_capability(CAP_NET_ADMIN) and not creds.has_capability(CAP_NET_RAW):
            raise SysError(EPERM)


def sendable_control(message: Message) -> bytes:
    """Return the control messages of a sendmsg(2) for the host; SysError(EINVAL) for others."""
    packed = b""
    for level, kind, data in message.control:
        if level not in SENDABLE_LEVELS:
            continue  # as Linux takes no notice
        if len(data) not in SENDABLE.get((level, kind), ()):
            raise SysError(EINVAL)
        one = abi.pack_cmsg(level, kind, data)
        packed += one.ljust(abi.cmsg_align(len(one)), b"\0")
    return packed


def receivable_control(raw: bytes) -> list[tuple[int, int, bytes]]:
    """Return those of the host's control messages that pass: level, type and data."""
    found: list[tuple[int, int, bytes]] = []
    offset = 0
    while offset + abi.CMSGHDR_SIZE <= len(raw):
        size, level, kind = abi.unpack_cmsghdr(raw, offset)
        if size < abi.CMSGHDR_SIZE:
            break
        if (level, kind) in RECEIVABLE:
            found.append((level, kind, raw[offset + abi.CMSGHDR_SIZE : offset + size]))
        offset += abi.cmsg_align(size)
    return found
