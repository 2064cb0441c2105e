"""rtnetlink(7) of the host's stack, for --network=host: requests that read, and no others."""

from collections import deque
from struct import Struct
from typing import Final

from sentry.abi import socket as abi
from sentry.abi.errno import (
    ECONNREFUSED,
    EFAULT,
    EINVAL,
    EMSGSIZE,
    EOPNOTSUPP,
    EPERM,
    EPROTONOSUPPORT,
)
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.platform.hostsocket import CALLS
from sentry.socket.base import Message, Socket
from sentry.socket.host_network import HostNetwork
from sentry.socket.host_options import NETLINK_READS
from sentry.socket.host_socket import HostSocket
from sentry.socket.netlink_wire import NetlinkMessage, message, parse_messages
from sentry.vfs.file import POLLIN, POLLRDNORM

REQUEST_MAX: Final = 32768
REFUSALS_MAX: Final = 64
NLMSG_MIN_TYPE: Final = 16
_INT: Final = Struct("<i")


class HostNetlinkSocket(HostSocket):
    """A socket of NETLINK_ROUTE that can read."""

    def __init__(self, task: Task, network: HostNetwork, kind: int, host_fd: int) -> None:
        super().__init__(task, network, abi.AF_NETLINK, kind, abi.NETLINK_ROUTE, host_fd)
        self._refusals: deque[bytes] = deque()  # answers of our own, which come first

    def check_address(self, address: bytes) -> None:
        if len(address) < abi.SOCKADDR_NL_SIZE or abi.family_of(address) != abi.AF_NETLINK:
            raise SysError(EINVAL)

    def bind(self, task: Task, address: bytes) -> None:
        self.check_address(address)
        CALLS.bind(self.host_fd_number, address)

    def listen(self, task: Task, backlog: int) -> None:
        raise SysError(EOPNOTSUPP)

    def is_listening(self) -> bool:
        return False

    def try_connect(self, task: Task, address: bytes) -> int | None:
        self._check_kernel(address)
        CALLS.connect(self.host_fd_number, address)
        return 0

    def try_accept(self, task: Task, flags: int) -> Socket | None:
        raise SysError(EOPNOTSUPP)

    def shutdown(self, how: int) -> None:
        raise SysError(EOPNOTSUPP)

    def _check_kernel(self, address: bytes) -> None:
        """Raise SysError(EPERM) for an address that is not the kernel's."""
        self.check_address(address)
        port, groups = abi.unpack_sockaddr_nl(address)
        if port or groups:
            raise SysError(EPERM)

    # Requests.

    def try_send(
        self, task: Task, source: Source, message: Message, address: bytes, flags: int
    ) -> int | None:
        if flags & abi.MSG_OOB:
            raise SysError(EOPNOTSUPP)
        if address:
            self._check_kernel(address)
        return self.try_write(source)

    def try_write(self, source: Source) -> int | None:
        size = source.size
        if size > REQUEST_MAX:
            raise SysError(EMSGSIZE)
        data = source.take(size)
        if len(data) < size:
            raise SysError(EFAULT)
        passed = b""
        for found in parse_messages(data):
            if found.kind in NETLINK_READS or found.kind < NLMSG_MIN_TYPE:
                passed += found.whole + bytes(-len(found.whole) % 4)
            else:
                self._refuse(found)
        if passed:
            kernel = abi.pack_sockaddr_nl(0, 0)
            if CALLS.send(self.host_fd_number, passed, kernel, b"", 0) < 0:
                raise SysError(ECONNREFUSED)  # the kernel's own queue never waits
        return size

    def _refuse(self, found: NetlinkMessage) -> None:
        """Answer as the kernel does whom it does not let make changes (rtnetlink_rcv_msg)."""
        if not found.flags & abi.NLM_F_REQUEST:
            return
        if len(self._refusals) >= REFUSALS_MAX:
            self._refusals.popleft()
        quoted = _INT.pack(-EPERM) + found.whole + bytes(-len(found.whole) % 4)
        port, _ = abi.unpack_sockaddr_nl(self.name())
        packed = message(abi.NLMSG_ERROR, 0, found.sequence, port, quoted)
        self._refusals.append(packed)
        self.queue.notify(POLLIN | POLLRDNORM)

    # Answers.

    def try_receive(self, sink: Sink, message: Message, flags: int) -> int | None:
        if not self._refusals:
            return super().try_receive(sink, message, flags)
        datagram = self._refusals[0]
        done = sink.put(datagram) if sink.room else 0
        if done < len(datagram):
            message.flags |= abi.MSG_TRUNC
        message.address = abi.pack_sockaddr_nl(0, 0)
        if not flags & abi.MSG_PEEK:
            self._refusals.popleft()
        return len(datagram) if flags & abi.MSG_TRUNC else done

    def readiness(self) -> int:
        ready = super().readiness()
        return ready | POLLIN | POLLRDNORM if self._refusals else ready


def new_host_netlink(
    task: Task, network: HostNetwork, kind: int, protocol: int, flags: int
) -> HostNetlinkSocket:
    """Return a new socket of AF_NETLINK on the host's stack."""
    if protocol != abi.NETLINK_ROUTE:
        raise SysError(EPROTONOSUPPORT)
    network.check_room()
    host_fd = CALLS.socket(abi.AF_NETLINK, kind, protocol)
    made = HostNetlinkSocket(task, network, kind, host_fd)
    made.flags |= flags
    return made
