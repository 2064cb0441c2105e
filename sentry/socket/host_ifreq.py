"""Requests of ioctl(2) about interfaces, answered by the host's stack (netdevice(7))."""

from struct import Struct
from typing import Final

from sentry.abi import ioctl as abi
from sentry.abi.errno import EINVAL, ENOTTY, EOPNOTSUPP, EPERM
from sentry.errors import SysError
from sentry.mm.user import write_u32
from sentry.platform.hostsocket import CALLS, IFREQ_SIZE
from sentry.socket.host_network import HostNetwork
from sentry.socket.host_options import CHANGING_REQUESTS, INTERFACE_REQUESTS
from sentry.vfs.caller import Caller

_IFCONF: Final = Struct("<i4xQ")


def ioctl(network: HostNetwork, caller: Caller, request: int, argument: int) -> int:
    """Do a request; SysError(ENOTTY) if it is none of these, EPERM if it would change something."""
    if request == abi.SIOCGIFCONF:
        return _configurations(network, caller, argument)
    if request in INTERFACE_REQUESTS:
        raw = caller.memory.read(argument, IFREQ_SIZE)
        caller.memory.write(argument, CALLS.ioctl(network.query_fd(), request, raw))
        return 0
    if request in CHANGING_REQUESTS:
        raise SysError(EPERM)
    raise SysError(EOPNOTSUPP if request == abi.SIOCETHTOOL else ENOTTY)


def _configurations(network: HostNetwork, caller: Caller, argument: int) -> int:
    """SIOCGIFCONF: name and address of every interface with an IPv4 address."""
    room, at = _IFCONF.unpack(caller.memory.read(argument, _IFCONF.size))
    found = CALLS.list_interfaces(network.query_fd())
    if not at:
        write_u32(caller.memory, argument, len(found))
        return 0
    if room < 0:
        raise SysError(EINVAL)
    whole = min(room // IFREQ_SIZE * IFREQ_SIZE, len(found))
    caller.memory.write(at, found[:whole])
    write_u32(caller.memory, argument, whole)
    return 0
