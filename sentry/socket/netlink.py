"""Netlink sockets (netlink(7)): requests to the kernel, answers, and news of changes.

A request is answered within the call that sends it: the answers wait in the
socket's queue.  What protocols say is in the `Responder` of each.
"""

from collections import deque
from struct import Struct
from typing import Final

from mypy_extensions import mypyc_attr

from netstack.packet import InPacket
from sentry.abi import rtnetlink as abi_route
from sentry.abi import socket as abi
from sentry.abi.capability import CAP_NET_ADMIN
from sentry.abi.errno import (
    EADDRINUSE,
    EBUSY,
    ECONNREFUSED,
    EFAULT,
    EINVAL,
    EMSGSIZE,
    ENOBUFS,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EPERM,
    EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
)
from sentry.abi.ioctl import SIOCINQ
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.mm.user import write_u32
from sentry.socket import ifreq
from sentry.socket.base import FAMILIES, Family, Message, Socket
from sentry.socket.host_netlink import new_host_netlink
from sentry.socket.host_network import HostNetwork
from sentry.socket.inet_family import namespace_of
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.netlink_wire import (
    NLMSGHDR_SIZE,
    NetlinkMessage,
    message,
    parse_messages,
    u32,
)
from sentry.socket.option_values import read_number
from sentry.vfs.caller import Caller
from sentry.vfs.creds import Credentials
from sentry.vfs.file import POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM

NLMSG_MIN_TYPE: Final = 16
GOOD_SIZE: Final = 3776  # what a datagram of a dump has at most (NLMSG_GOODSIZE)
GROUPS_MAX: Final = 64
MESSAGE_OVERHEAD: Final = 512
_INT: Final = Struct("<i")
FLAG_OPTIONS: Final = (
    abi_route.NETLINK_PKTINFO,
    abi_route.NETLINK_BROADCAST_ERROR,
    abi_route.NETLINK_NO_ENOBUFS,
    abi_route.NETLINK_CAP_ACK,
    abi_route.NETLINK_EXT_ACK,
    abi_route.NETLINK_GET_STRICT_CHK,
)


class Request(NetlinkMessage):
    """A request with who made it."""

    def __init__(self, found: NetlinkMessage, creds: Credentials, *, is_strict: bool) -> None:
        super().__init__(found.kind, found.flags, found.sequence, found.payload, found.whole)
        self.creds = creds
        self.is_strict = is_strict  # NETLINK_GET_STRICT_CHK: filters of dumps count

    def is_dump(self) -> bool:
        """Return whether everything is asked for."""
        return self.flags & abi.NLM_F_DUMP == abi.NLM_F_DUMP


class Answer:
    """One message of an answer."""

    def __init__(self, kind: int, payload: bytes) -> None:
        self.kind = kind
        self.payload = payload


class Acknowledgement:
    """What becomes of one request of several that were made together."""

    def __init__(self, request: Request, error: int, offset: int = 0) -> None:
        self.request = request
        self.error = error  # 0: it was done
        self.offset = offset  # of the attribute that is wrong; 0: none


class LocatedError(SysError):
    """An error with the offset in the request of the attribute that is wrong."""

    def __init__(self, errno: int, offset: int) -> None:
        super().__init__(errno)
        self.offset = offset


@mypyc_attr(allow_interpreted_subclasses=True)
class Responder:
    """The kernel's side of one netlink protocol."""

    may_listen = True  # anybody may join groups

    def answer(self, namespace: NetworkNamespace, request: Request) -> list[Answer]:
        """Return the answer; SysError is sent as an error.  Dumps may be empty."""
        raise SysError(EOPNOTSUPP)

    def answer_all(
        self, namespace: NetworkNamespace, requests: list[Request]
    ) -> list[Acknowledgement] | None:
        """Take the requests of a datagram together; None: each is answered on its own."""
        return None


RESPONDERS: Final[dict[int, Responder]] = {}
"""The protocols there are, by number."""


class NetlinkSocket(Socket):
    """A socket of AF_NETLINK."""

    def __init__(self, task: Task, namespace: NetworkNamespace, kind: int, protocol: int) -> None:
        super().__init__(task, abi.AF_NETLINK, kind, protocol, 0)
        self.namespace = namespace
        self.port = 0  # nl_pid; 0: not bound
        self.groups = 0  # bit n-1 is group n
        self.peer = (0, 0)  # nl_pid and nl_groups of connect(2)
        self.flags_set: set[int] = set()
        self.is_overrun = False
        self._messages: deque[tuple[bytes, int, bool]] = deque()  # with group; end of a dump
        self._queued = 0
        self._is_dumping = False
        namespace.watchers.append(self)

    # Names.

    def bind(self, task: Task, address: bytes) -> None:
        if len(address) < abi.SOCKADDR_NL_SIZE or abi.family_of(address) != abi.AF_NETLINK:
            raise SysError(EINVAL)
        port, groups = abi.unpack_sockaddr_nl(address)
        if groups:
            self._check_may_listen(task)
        if self.port and port != self.port:
            raise SysError(EINVAL)
        if not self.port:
            self._take_port(task, port)
        self.groups = self.groups & ~0xFFFF_FFFF | groups

    def _check_may_listen(self, task: Task) -> None:
        if not RESPONDERS[self.protocol].may_listen:
            if not task.creds.has_capability(CAP_NET_ADMIN):
                raise SysError(EPERM)

    def _take_port(self, task: Task, port: int) -> None:
        """Take a port; 0: the process's pid if it is free (netlink_autobind)."""
        taken = {
            other.port
            for other in self.namespace.watchers
            if isinstance(other, NetlinkSocket) and other.protocol == self.protocol
        }
        if port:
            if port in taken:
                raise SysError(EADDRINUSE)
        else:
            port = task.group.pid
            candidate = -4097
            while port in taken:
                port = candidate & 0xFFFF_FFFF
                candidate -= 1
        self.port = port

    def try_connect(self, task: Task, address: bytes) -> int | None:
        if len(address) >= 2 and abi.family_of(address) == abi.AF_UNSPEC:
            self.peer = (0, 0)
            return 0
        if len(address) < abi.SOCKADDR_NL_SIZE or abi.family_of(address) != abi.AF_NETLINK:
            raise SysError(EINVAL)
        port, groups = abi.unpack_sockaddr_nl(address)
        if (port or groups) and not task.creds.has_capability(CAP_NET_ADMIN):
            raise SysError(EPERM)
        if not self.port:
            self._take_port(task, 0)
        self.peer = (port, groups)
        return 0

    def name(self) -> bytes:
        return abi.pack_sockaddr_nl(self.port, self.groups & 0xFFFF_FFFF)

    def peer_name(self) -> bytes:
        return abi.pack_sockaddr_nl(self.peer[0], self.peer[1])

    def shutdown(self, how: int) -> None:
        raise SysError(EOPNOTSUPP)

    def release(self) -> None:
        if self in self.namespace.watchers:
            self.namespace.watchers.remove(self)

    # Requests.

    def try_send(
        self, task: Task, source: Source, message: Message, address: bytes, flags: int
    ) -> int | None:
        if flags & abi.MSG_OOB:
            raise SysError(EOPNOTSUPP)
        port, groups = self.peer
        if address:
            if len(address) < abi.SOCKADDR_NL_SIZE or abi.family_of(address) != abi.AF_NETLINK:
                raise SysError(EINVAL)
            port, groups = abi.unpack_sockaddr_nl(address)
        if (port or groups) and not task.creds.has_capability(CAP_NET_ADMIN):
            raise SysError(EPERM)
        if not self.port:
            self._take_port(task, 0)
        data = self._copy(source)
        if port or groups:
            if port:
                raise SysError(ECONNREFUSED)  # no process listens to others
            return len(data)
        is_strict = abi_route.NETLINK_GET_STRICT_CHK in self.flags_set
        requests = [
            Request(found, task.creds, is_strict=is_strict) for found in parse_messages(data)
        ]
        if requests:
            self._handle_all(requests)
        return len(data)

    def try_write(self, source: Source) -> int | None:
        task = self.namespace.kernel.current
        if task is None:
            raise SysError(EINVAL)
        return self.try_send(task, source, Message(b""), b"", 0)

    def _copy(self, source: Source) -> bytes:
        size = source.size
        if size > self.send_buffer - 32:
            raise SysError(EMSGSIZE)
        data = source.take(size)
        if len(data) < size:
            raise SysError(EFAULT)
        return data

    def _handle_all(self, requests: list[Request]) -> None:
        together = RESPONDERS[self.protocol].answer_all(self.namespace, requests)
        if together is not None:
            for one in together:
                self._acknowledge(one.request, one.error, one.offset)
            return
        for request in requests:
            self._handle(request)

    def _handle(self, request: Request) -> None:
        """Answer one request (netlink_rcv_skb): acknowledge it if it wants that, or failed."""
        error = offset = 0
        if request.flags & abi.NLM_F_REQUEST and request.kind >= NLMSG_MIN_TYPE:
            try:
                if request.is_dump() and self._is_dumping:
                    raise SysError(EBUSY)
                answers = RESPONDERS[self.protocol].answer(self.namespace, request)
                if request.is_dump():
                    self._queue_dump(request, answers)
                    return
                for answer in answers:
                    self._queue_one(self._pack(request, answer, 0), 0)
            except SysError as failure:
                error = failure.errno
                offset = failure.offset if isinstance(failure, LocatedError) else 0
        if error or request.flags & abi.NLM_F_ACK:
            self._acknowledge(request, error, offset)

    def _pack(self, request: Request, answer: Answer, flags: int) -> bytes:
        return message(answer.kind, flags, request.sequence, self.port, answer.payload)

    def _queue_dump(self, request: Request, answers: list[Answer]) -> None:
        """Queue a whole dump: several messages in a datagram, the end in one of its own."""
        self._is_dumping = True
        datagram = b""
        for answer in answers:
            packed = self._pack(request, answer, abi.NLM_F_MULTI)
            if datagram and len(datagram) + len(packed) > GOOD_SIZE:
                self._append(datagram, 0, is_last=False)
                datagram = b""
            datagram += packed
        if datagram:
            self._append(datagram, 0, is_last=False)
        done = message(abi.NLMSG_DONE, abi.NLM_F_MULTI, request.sequence, self.port, _INT.pack(0))
        self._append(done, 0, is_last=True)

    def _acknowledge(self, request: Request, error: int, offset: int) -> None:
        """Send NLMSG_ERROR: the error, 0 for success, and the request it is about."""
        is_capped = not error or abi_route.NETLINK_CAP_ACK in self.flags_set
        quoted = request.whole[:NLMSGHDR_SIZE] if is_capped else request.whole
        flags = abi_route.NLM_F_CAPPED if is_capped else 0
        payload = _INT.pack(-error) + quoted + bytes(-len(quoted) % 4)
        if offset and abi_route.NETLINK_EXT_ACK in self.flags_set:
            flags |= abi_route.NLM_F_ACK_TLVS
            payload += u32(abi_route.NLMSGERR_ATTR_OFFS, offset)
        packed = message(abi.NLMSG_ERROR, flags, request.sequence, self.port, payload)
        self._queue_one(packed, 0)

    # What is to be read.

    def hear(self, group: int, datagram: bytes) -> None:
        """Take news for a multicast group, if the socket has joined it."""
        if self.groups >> (group - 1) & 1:
            self._queue_one(datagram, group)

    def _queue_one(self, datagram: bytes, group: int) -> None:
        if self._queued + len(datagram) + MESSAGE_OVERHEAD > self.receive_buffer:
            if abi_route.NETLINK_NO_ENOBUFS not in self.flags_set:
                self.is_overrun = True
                self.queue.notify(POLLERR)
            return
        self._append(datagram, group, is_last=False)

    def _append(self, datagram: bytes, group: int, *, is_last: bool) -> None:
        program = self.filter.program
        if program is not None:
            interface = next(iter(self.namespace.stack.interfaces.values()))
            packet = InPacket(interface, datagram)
            keep = program.run(datagram, 0, len(datagram), packet, 0)
            if keep == 0:
                if is_last:
                    self._is_dumping = False
                return
            datagram = datagram[:keep]
        self._messages.append((datagram, group, is_last))
        self._queued += len(datagram) + MESSAGE_OVERHEAD
        self.queue.notify(POLLIN | POLLRDNORM)

    def try_read(self, sink: Sink) -> int | None:
        return self.try_receive(sink, Message(b""), 0)

    def try_receive(self, sink: Sink, message: Message, flags: int) -> int | None:
        if flags & abi.MSG_OOB:
            raise SysError(EOPNOTSUPP)
        if self.is_overrun:
            self.is_overrun = False
            raise SysError(ENOBUFS)
        if not self._messages:
            return None
        datagram, group, is_last = self._messages[0]
        size = len(datagram)
        done = sink.put(datagram) if sink.room else 0
        if done < size:
            message.flags |= abi.MSG_TRUNC
        message.ucred = (0, 0, 0, 0)
        bits = 1 << (group - 1) if 0 < group <= 32 else 0
        message.address = abi.pack_sockaddr_nl(0, bits)
        if abi_route.NETLINK_PKTINFO in self.flags_set:
            info = _INT.pack(group)
            message.control.append((abi.SOL_NETLINK, abi_route.NETLINK_PKTINFO, info))
        if not flags & abi.MSG_PEEK:
            self._messages.popleft()
            self._queued -= size + MESSAGE_OVERHEAD
            if is_last:
                self._is_dumping = False
        return size if flags & abi.MSG_TRUNC else done

    def take_error(self) -> int:
        if self.is_overrun:
            self.is_overrun = False
            return ENOBUFS
        return super().take_error()

    def readiness(self) -> int:
        ready = POLLOUT | POLLWRNORM
        if self._messages:
            ready |= POLLIN | POLLRDNORM
        return ready | POLLERR if self.is_overrun else ready

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        if request == SIOCINQ:
            size = len(self._messages[0][0]) if self._messages else 0
            write_u32(caller.memory, argument, size)
            return 0
        return ifreq.ioctl(self.namespace, caller, request, argument)

    # Options.

    def get_option(self, task: Task, level: int, option: int) -> bytes:
        if level == abi.SOL_SOCKET:
            return super().get_option(task, level, option)
        if level != abi.SOL_NETLINK:
            raise SysError(ENOPROTOOPT)
        if option == abi_route.NETLINK_LIST_MEMBERSHIPS:
            return self.groups.to_bytes(GROUPS_MAX // 8, "little")
        if option not in FLAG_OPTIONS:
            raise SysError(ENOPROTOOPT)
        return _INT.pack(int(option in self.flags_set))

    def set_option(self, task: Task, level: int, option: int, value: bytes) -> None:
        if level == abi.SOL_SOCKET:
            super().set_option(task, level, option, value)
            return
        if level != abi.SOL_NETLINK:
            raise SysError(ENOPROTOOPT)
        number = read_number(level, value)
        if option in (abi_route.NETLINK_ADD_MEMBERSHIP, abi_route.NETLINK_DROP_MEMBERSHIP):
            self._check_may_listen(task)
            if not 1 <= number <= GROUPS_MAX:
                raise SysError(EINVAL)
            if not self.port:
                self._take_port(task, 0)
            bit = 1 << (number - 1)
            is_added = option == abi_route.NETLINK_ADD_MEMBERSHIP
            self.groups = self.groups | bit if is_added else self.groups & ~bit
        elif option not in FLAG_OPTIONS:
            raise SysError(ENOPROTOOPT)
        elif number:
            self.flags_set.add(option)
        else:
            self.flags_set.discard(option)


def publish(
    namespace: NetworkNamespace, protocol: int, group: int, kind: int, payload: bytes
) -> None:
    """Tell all who have joined a group."""
    datagram = b""
    for watcher in namespace.watchers:
        if isinstance(watcher, NetlinkSocket) and watcher.protocol == protocol:
            datagram = datagram or message(kind, 0, 0, 0, payload)
            watcher.hear(group, datagram)


class NetlinkFamily(Family):
    """AF_NETLINK."""

    def create(self, task: Task, kind: int, protocol: int, flags: int) -> Socket:
        if kind not in (abi.SOCK_RAW, abi.SOCK_DGRAM):
            raise SysError(ESOCKTNOSUPPORT)
        network = task.kernel.network
        if isinstance(network, HostNetwork):
            return new_host_netlink(task, network, kind, protocol, flags)
        namespace = namespace_of(task)
        if protocol not in RESPONDERS:
            raise SysError(EPROTONOSUPPORT)
        made = NetlinkSocket(task, namespace, kind, protocol)
        made.flags |= flags
        return made


class Uevents(Responder):
    """NETLINK_KOBJECT_UEVENT: nothing ever happens to devices here."""


FAMILIES[abi.AF_NETLINK] = NetlinkFamily()
RESPONDERS[abi.NETLINK_KOBJECT_UEVENT] = Uevents()
