"""Sockets as the system calls see them; each address family derives from `Socket`."""

from struct import Struct
from typing import Final

from mypy_extensions import mypyc_attr

from netstack.bpf import BpfProgram
from sentry.abi import socket as abi
from sentry.abi.errno import (
    EAFNOSUPPORT,
    EDOM,
    EINVAL,
    ENOPROTOOPT,
    ENOTCONN,
    EOPNOTSUPP,
    EPERM,
)
from sentry.errors import SysError
from sentry.fs.anon import SOCKFS_DEVICE, AnonInode
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.socket.socket_filter import FILTER_OPTIONS, GROUP_OPTIONS, FilterSlot
from sentry.vfs.file import O_RDWR, POLLIN, File
from sentry.waitqueue import WaitQueue

S_IFSOCK: Final = 0o140000
DEFAULT_BUFFER: Final = 212992  # net.core.wmem_default and rmem_default
BUFFER_MAX: Final = 212992  # net.core.wmem_max and rmem_max
BUFFER_MIN: Final = 4608
CAP_NET_ADMIN: Final = 12
_INT: Final = Struct("<i")
_TIMEVAL: Final = Struct("<qq")
# Options that are only remembered.
_KEPT: Final = (
    abi.SO_DEBUG,
    abi.SO_REUSEADDR,
    abi.SO_DONTROUTE,
    abi.SO_BROADCAST,
    abi.SO_KEEPALIVE,
    abi.SO_OOBINLINE,
    abi.SO_PRIORITY,
    abi.SO_REUSEPORT,
    abi.SO_PASSCRED,
    abi.SO_TIMESTAMP,
    abi.SO_TIMESTAMPNS,
    abi.SO_PASSSEC,
    abi.SO_NO_CHECK,
    abi.SO_RCVLOWAT,
)


NO_UCRED: Final = (0, 65534, 65534, 0)


def pack_ucred_for(task: Task, ucred: tuple[int, int, int, int]) -> bytes:
    """Return a struct ucred as `task` sees it: the pid is 0 if its own namespace has no such."""
    pid, uid, gid, namespace = ucred
    if namespace != task.group.pids.number:
        pid = 0
    return abi.pack_ucred(pid, uid & 0xFFFF_FFFF, gid & 0xFFFF_FFFF)


class Message:
    """Bytes in flight with what comes along: descriptors, credentials, the sender's address."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.rights: list[File] = []
        # pid, uid, gid, and the number of the namespace that the pid is of.
        self.ucred: tuple[int, int, int, int] = NO_UCRED
        self.address = b""  # the whole struct sockaddr of the sender
        self.flags = 0  # MSG_TRUNC, MSG_EOR, as recvmsg(2) reports
        self.was_peeked = False  # by a reader with SO_PEEK_OFF
        self.is_spent = False  # its urgent byte was read: it only marks the place
        # Other control messages: level, type and data.
        self.control: list[tuple[int, int, bytes]] = []


@mypyc_attr(allow_interpreted_subclasses=True)
class Socket(File):
    """A socket.  As with all files, operations never sleep: None is "would block"."""

    def __init__(self, task: Task, family: int, kind: int, protocol: int, flags: int) -> None:
        creds = task.creds
        inode = AnonInode(SOCKFS_DEVICE, S_IFSOCK | 0o777, creds.fsuid, creds.fsgid)
        super().__init__(O_RDWR | flags, inode)
        self.number = inode.number
        self.family = family
        self.kind = kind
        self.protocol = protocol
        self.send_buffer = DEFAULT_BUFFER
        self.receive_buffer = DEFAULT_BUFFER
        self.send_timeout_ns = 0  # 0: none
        self.receive_timeout_ns = 0
        self.error = 0  # SO_ERROR
        self.linger = (0, 0)
        self.options: dict[int, int] = {}
        self.filter = FilterSlot()

    def bind(self, task: Task, address: bytes) -> None:
        """Do bind(2); `address` is the struct sockaddr as the guest gave it."""
        raise SysError(EOPNOTSUPP)

    def listen(self, task: Task, backlog: int) -> None:
        """Do listen(2)."""
        raise SysError(EOPNOTSUPP)

    def try_connect(self, task: Task, address: bytes) -> int | None:
        """Do connect(2); None waits on `send_queue`."""
        raise SysError(EOPNOTSUPP)

    def try_accept(self, task: Task, flags: int) -> "Socket | None":
        """Return the next connection."""
        raise SysError(EOPNOTSUPP)

    def try_send(
        self, task: Task, source: Source, message: Message, address: bytes, flags: int
    ) -> int | None:
        """Send bytes of `source` with what `message` has; `address` may be empty."""
        raise SysError(EOPNOTSUPP)

    def try_receive(self, sink: Sink, message: Message, flags: int) -> int | None:
        """Receive into `sink`; what came along goes into `message`."""
        raise SysError(EOPNOTSUPP)

    def receive_low_water(self) -> int:
        """Return how many bytes a stream waits for, once it has to wait (SO_RCVLOWAT)."""
        return self.options.get(abi.SO_RCVLOWAT, 1)

    def is_at_mark(self) -> bool:
        """Return whether urgent data is what comes next: no read goes on beyond it."""
        return False

    def send_queue(self) -> WaitQueue:
        """Return where a send or connect that would block waits (POLLOUT)."""
        return self.queue

    def shutdown(self, how: int) -> None:
        """Do shutdown(2)."""
        raise SysError(ENOTCONN)

    def name(self) -> bytes:
        """Return the own address (getsockname(2))."""
        raise SysError(EOPNOTSUPP)

    def peer_name(self) -> bytes:
        """Return the other end's address; SysError(ENOTCONN) without one."""
        raise SysError(ENOTCONN)

    def attach_filter(self, program: BpfProgram | None) -> None:
        """Note that there is another filter of what is received, or none; families use it."""

    def is_listening(self) -> bool:
        """Return whether listen(2) was called."""
        return False

    def take_error(self) -> int:
        """Return and forget the pending error."""
        error = self.error
        self.error = 0
        return error

    def passes_credentials(self) -> bool:
        """Return whether SO_PASSCRED is set."""
        return bool(self.options.get(abi.SO_PASSCRED, 0))

    def describe(self) -> bytes:
        return b"socket:[%d]" % self.number

    def get_option(self, task: Task, level: int, option: int) -> bytes:
        """Return the value of an option (getsockopt(2)); families know more."""
        if level != abi.SOL_SOCKET:
            raise SysError(EOPNOTSUPP)
        if option in (abi.SO_RCVTIMEO, abi.SO_SNDTIMEO):
            ns = self.receive_timeout_ns if option == abi.SO_RCVTIMEO else self.send_timeout_ns
            return _TIMEVAL.pack(ns // 1_000_000_000, ns // 1000 % 1_000_000)
        if option == abi.SO_LINGER:
            return abi.pack_linger(self.linger[0], self.linger[1])
        if option == abi.SO_TYPE:
            value = self.kind
        elif option == abi.SO_DOMAIN:
            value = self.family
        elif option == abi.SO_PROTOCOL:
            value = self.protocol
        elif option == abi.SO_ERROR:
            value = self.take_error()
        elif option == abi.SO_ACCEPTCONN:
            value = 1 if self.is_listening() else 0
        elif option == abi.SO_SNDBUF:
            value = self.send_buffer
        elif option == abi.SO_RCVBUF:
            value = self.receive_buffer
        elif option == abi.SO_LOCK_FILTER:
            value = int(self.filter.is_locked)
        elif option in _KEPT:
            value = self.options.get(option, 1 if option == abi.SO_RCVLOWAT else 0)
        else:
            raise SysError(ENOPROTOOPT)
        return _INT.pack(value)

    def option_limit(self, task: Task, level: int, option: int) -> int:
        """Return how many bytes setsockopt(2) takes for an option, if that is much; else 0."""
        return 0

    def asks_with_value(self, level: int, option: int) -> bool:
        """Return whether what getsockopt(2) finds in its buffer is a part of the question."""
        return False

    def get_option_for(self, task: Task, level: int, option: int, value: bytes) -> bytes:
        """Return the value of such an option."""
        raise SysError(ENOPROTOOPT)

    def set_option(self, task: Task, level: int, option: int, value: bytes) -> None:
        """Set an option (setsockopt(2)); families know more."""
        if level != abi.SOL_SOCKET:
            raise SysError(EOPNOTSUPP)
        if option in (abi.SO_RCVTIMEO, abi.SO_SNDTIMEO):
            self._set_timeout(option, value)
            return
        if len(value) < 4:
            raise SysError(EINVAL)
        number: int = _INT.unpack_from(value, 0)[0]
        if option == abi.SO_LINGER:
            if len(value) < abi.LINGER_SIZE:
                raise SysError(EINVAL)
            self.linger = abi.unpack_linger(value)
        elif option == abi.SO_REUSEPORT and number:
            raise SysError(EOPNOTSUPP)  # of sockets of the internet only
        elif option in (abi.SO_SNDBUF, abi.SO_SNDBUFFORCE):
            # Linux doubles what is asked for (socket(7)).
            self.send_buffer = max(BUFFER_MIN, 2 * min(max(number, 0), BUFFER_MAX))
        elif option in (abi.SO_RCVBUF, abi.SO_RCVBUFFORCE):
            self.receive_buffer = max(2304, 2 * min(max(number, 0), BUFFER_MAX))
        elif option in FILTER_OPTIONS:
            self.filter.set_option(task, option, value)
            self.attach_filter(self.filter.program)
        elif option in GROUP_OPTIONS:
            raise SysError(EINVAL)  # of sockets of the internet only
        elif option == abi.SO_LOCK_FILTER:
            self.filter.set_locked(number != 0)
        elif option == abi.SO_PRIORITY and not 0 <= number <= 6:
            if not task.creds.has_capability(CAP_NET_ADMIN):
                raise SysError(EPERM)
            self.options[option] = number
        elif option in _KEPT:
            self.options[option] = (
                number if option in (abi.SO_PRIORITY, abi.SO_RCVLOWAT) else int(number != 0)
            )
        else:
            raise SysError(ENOPROTOOPT)

    def time_limit_ns(self, events: int) -> int:
        return self.receive_timeout_ns if events & POLLIN else self.send_timeout_ns

    def _set_timeout(self, option: int, value: bytes) -> None:
        if len(value) < 16:
            raise SysError(EINVAL)
        seconds, microseconds = _TIMEVAL.unpack_from(value, 0)
        if not 0 <= microseconds < 1_000_000:
            raise SysError(EDOM)
        ns = max(0, min(seconds, 1 << 33)) * 1_000_000_000 + microseconds * 1000
        if seconds < 0:
            ns = 1  # As Linux: a negative time is over at once.
        if option == abi.SO_RCVTIMEO:
            self.receive_timeout_ns = ns
        else:
            self.send_timeout_ns = ns


@mypyc_attr(allow_interpreted_subclasses=True)
class Family:
    """Makes the sockets of one address family."""

    def create(self, task: Task, kind: int, protocol: int, flags: int) -> Socket:
        """Return a new socket."""
        raise SysError(EAFNOSUPPORT)

    def create_pair(
        self, task: Task, kind: int, protocol: int, flags: int
    ) -> tuple[Socket, Socket]:
        """Return two connected sockets (socketpair(2))."""
        raise SysError(EOPNOTSUPP)


FAMILIES: Final[dict[int, Family]] = {}
"""The address families there are; each module adds its own when it is imported."""


def family_of(number: int) -> Family:
    """Return the family; SysError(EAFNOSUPPORT) if there is none."""
    family = FAMILIES.get(number)
    if family is None:
        raise SysError(EAFNOSUPPORT)
    return family
