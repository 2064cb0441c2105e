"""socket(2) for AF_INET, AF_INET6 and AF_PACKET: which kinds there are, and who may have them."""

from netstack.ping import PingEndpoint
from netstack.raw import RawEndpoint
from sentry.abi import socket as abi
from sentry.abi.capability import CAP_NET_RAW
from sentry.abi.errno import (
    EACCES,
    EAFNOSUPPORT,
    EINVAL,
    EPERM,
    EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
)
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.socket.base import FAMILIES, Family, Socket
from sentry.socket.host_family import new_host_socket
from sentry.socket.host_network import HostNetwork
from sentry.socket.inet_datagram import DatagramSocket
from sentry.socket.inet_stream import StreamSocket
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.packet import PacketSocket

PROTOCOL_MAX = 263  # IPPROTO_MAX, linux/in.h


def namespace_of(task: Task) -> NetworkNamespace:
    """Return the task's network namespace; SysError(EAFNOSUPPORT) if the kernel has none."""
    network = task.kernel.network
    if not isinstance(network, NetworkNamespace):
        raise SysError(EAFNOSUPPORT)
    return network


def may_use_raw(task: Task, namespace: NetworkNamespace) -> bool:
    """Return whether the task may see and make whole packets."""
    return namespace.allows_raw and task.creds.has_capability(CAP_NET_RAW)


class InetFamily(Family):
    """AF_INET or AF_INET6."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.version = 4 if number == abi.AF_INET else 6
        self.icmp = abi.IPPROTO_ICMP if number == abi.AF_INET else abi.IPPROTO_ICMPV6

    def create(self, task: Task, kind: int, protocol: int, flags: int) -> Socket:
        network = task.kernel.network
        if isinstance(network, HostNetwork):
            return new_host_socket(task, network, self.number, kind, protocol, flags)
        namespace = namespace_of(task)
        if not 0 <= protocol < PROTOCOL_MAX:
            raise SysError(EINVAL)
        if kind == abi.SOCK_STREAM:
            made: Socket = self._stream(task, namespace, protocol)
        elif kind == abi.SOCK_DGRAM:
            made = self._datagram(task, namespace, protocol)
        elif kind == abi.SOCK_RAW:
            made = self._raw(task, namespace, protocol)
        else:
            raise SysError(ESOCKTNOSUPPORT)
        made.flags |= flags
        return made

    def _stream(self, task: Task, namespace: NetworkNamespace, protocol: int) -> Socket:
        if protocol not in (0, abi.IPPROTO_TCP):
            raise SysError(EPROTONOSUPPORT)
        endpoint = namespace.new_tcp(self.version)
        return StreamSocket(task, namespace, self.number, endpoint)

    def _datagram(self, task: Task, namespace: NetworkNamespace, protocol: int) -> Socket:
        if protocol == self.icmp:
            if not namespace.may_ping(task.creds):
                raise SysError(EACCES)
            ping: PingEndpoint = namespace.stack.pings[self.version].new_endpoint()
            return DatagramSocket(task, namespace, self.number, abi.SOCK_DGRAM, protocol, ping)
        if protocol not in (0, abi.IPPROTO_UDP):
            raise SysError(EPROTONOSUPPORT)
        endpoint = namespace.udp.new_endpoint(self.version)
        return DatagramSocket(
            task, namespace, self.number, abi.SOCK_DGRAM, abi.IPPROTO_UDP, endpoint
        )

    def _raw(self, task: Task, namespace: NetworkNamespace, protocol: int) -> Socket:
        if protocol == 0:
            raise SysError(EPROTONOSUPPORT)
        if not may_use_raw(task, namespace):
            raise SysError(EPERM)
        if protocol > 255:
            raise SysError(EINVAL)
        endpoint = RawEndpoint(namespace.stack, self.version, protocol)
        sock = DatagramSocket(task, namespace, self.number, abi.SOCK_RAW, protocol, endpoint)
        if endpoint.has_header:
            sock.values[(abi.SOL_IP, abi.IP_HDRINCL)] = 1
        if endpoint.checksum_offset >= 0:
            sock.values[(abi.SOL_IPV6, abi.IPV6_CHECKSUM)] = endpoint.checksum_offset
        return sock


class PacketFamily(Family):
    """AF_PACKET (packet(7))."""

    def create(self, task: Task, kind: int, protocol: int, flags: int) -> Socket:
        if isinstance(task.kernel.network, HostNetwork):
            raise SysError(EPERM)  # whole frames of the host's interfaces are nobody's here
        namespace = namespace_of(task)
        if not may_use_raw(task, namespace):
            raise SysError(EPERM)
        if kind not in (abi.SOCK_RAW, abi.SOCK_DGRAM):
            raise SysError(ESOCKTNOSUPPORT)
        # The protocol is an ethertype in network byte order.
        ethertype = (protocol & 0xFF) << 8 | protocol >> 8 & 0xFF
        made = PacketSocket(task, namespace, kind, protocol, ethertype)
        made.flags |= flags
        return made


FAMILIES[abi.AF_INET] = InetFamily(abi.AF_INET)
FAMILIES[abi.AF_INET6] = InetFamily(abi.AF_INET6)
FAMILIES[abi.AF_PACKET] = PacketFamily()
