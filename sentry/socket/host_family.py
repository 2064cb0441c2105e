"""socket(2) with --network=host: which sockets of the host a guest may have."""

from sentry.abi import socket as abi
from sentry.abi.capability import CAP_NET_RAW
from sentry.abi.errno import EACCES, EINVAL, EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.platform.hostsocket import CALLS
from sentry.socket.host_network import HostNetwork
from sentry.socket.host_socket import HostSocket

RAW_PROTOCOL_MAX = 255


def new_host_socket(
    task: Task, network: HostNetwork, family: int, kind: int, protocol: int, flags: int
) -> HostSocket:
    """Return a new socket of AF_INET or AF_INET6 on the host's stack."""
    if kind not in (abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_RAW):
        raise SysError(ESOCKTNOSUPPORT)
    if not 0 <= protocol <= abi.IPPROTO_MPTCP:
        raise SysError(EINVAL)
    if kind == abi.SOCK_RAW:
        _check_raw(task, network, protocol)
    else:
        protocol = _checked_protocol(task, network, family, kind, protocol)
    network.check_room()
    host_fd = CALLS.socket(family, kind, protocol)
    made = HostSocket(task, network, family, kind, protocol, host_fd)
    made.flags |= flags
    return made


def _check_raw(task: Task, network: HostNetwork, protocol: int) -> None:
    if protocol == 0:
        raise SysError(EPROTONOSUPPORT)
    if not network.allows_raw or not task.creds.has_capability(CAP_NET_RAW):
        raise SysError(EPERM)
    if protocol > RAW_PROTOCOL_MAX:
        raise SysError(EINVAL)


def _checked_protocol(
    task: Task, network: HostNetwork, family: int, kind: int, protocol: int
) -> int:
    """Return the protocol of a stream or datagram socket; SysError if it does not pass."""
    if kind == abi.SOCK_STREAM:
        if protocol not in (0, abi.IPPROTO_TCP):
            raise SysError(EPROTONOSUPPORT)
        return abi.IPPROTO_TCP
    icmp = abi.IPPROTO_ICMP if family == abi.AF_INET else abi.IPPROTO_ICMPV6
    if protocol == icmp:
        if not network.may_ping(task.creds):
            raise SysError(EACCES)
        return protocol
    if protocol not in (0, abi.IPPROTO_UDP):
        raise SysError(EPROTONOSUPPORT)
    return abi.IPPROTO_UDP
