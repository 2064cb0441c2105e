"""Options about multicast groups (ip(7), ipv6(7); RFC 3678) and the interface for sending."""

from struct import Struct
from typing import Final

from netstack.datagram import DatagramEndpoint
from sentry.abi import socket as abi
from sentry.abi.errno import EADDRNOTAVAIL, EINVAL, ENODEV
from sentry.errors import SysError
from sentry.socket.net_address import parse_ipv4, parse_ipv6
from sentry.socket.option_values import read_number

_INT: Final = Struct("<i")
_MREQ6: Final = Struct("<16si")  # struct ipv6_mreq
IP_UNBLOCK_SOURCE: Final = 37
IP_BLOCK_SOURCE: Final = 38
IP_ADD_SOURCE_MEMBERSHIP: Final = 39
IP_DROP_SOURCE_MEMBERSHIP: Final = 40
MCAST_JOIN_GROUP: Final = 42
MCAST_BLOCK_SOURCE: Final = 43
MCAST_UNBLOCK_SOURCE: Final = 44
MCAST_LEAVE_GROUP: Final = 45
MCAST_JOIN_SOURCE_GROUP: Final = 46
MCAST_LEAVE_SOURCE_GROUP: Final = 47
IP_SOURCES: Final = {
    IP_ADD_SOURCE_MEMBERSHIP: MCAST_JOIN_SOURCE_GROUP,
    IP_DROP_SOURCE_MEMBERSHIP: MCAST_LEAVE_SOURCE_GROUP,
    IP_BLOCK_SOURCE: MCAST_BLOCK_SOURCE,
    IP_UNBLOCK_SOURCE: MCAST_UNBLOCK_SOURCE,
}
GROUP_SIZE: Final = 136  # struct group_req
GROUP_SOURCE_SIZE: Final = 264  # struct group_source_req


def get_option(endpoint: DatagramEndpoint, level: int, option: int) -> bytes | None:
    """Return the value of such an option; None: it is another."""
    if level == abi.SOL_IP and option == abi.IP_MULTICAST_IF:
        return endpoint.multicast_source or bytes(4)
    if level == abi.SOL_IPV6 and option == abi.IPV6_MULTICAST_IF:
        return _INT.pack(endpoint.multicast_interface)
    return None


def set_option(endpoint: DatagramEndpoint, level: int, option: int, value: bytes) -> bool:
    """Set such an option; False: it is another.  NetError and SysError."""
    if MCAST_JOIN_GROUP <= option <= MCAST_LEAVE_SOURCE_GROUP:
        _protocol_independent(endpoint, option, value)
    elif level == abi.SOL_IP and option in (abi.IP_ADD_MEMBERSHIP, abi.IP_DROP_MEMBERSHIP):
        group, index = _read_mreq(endpoint, value)
        if option == abi.IP_ADD_MEMBERSHIP:
            endpoint.join_group(group, index)
        else:
            endpoint.leave_group(group, index)
    elif level == abi.SOL_IP and option in IP_SOURCES:
        if len(value) < 12:
            raise SysError(EINVAL)
        index = _index_of(endpoint, value[4:8]) if any(value[4:8]) else 0
        _change_source(endpoint, IP_SOURCES[option], value[:4], value[8:12], index)
    elif level == abi.SOL_IP and option == abi.IP_MULTICAST_IF:
        _set_interface(endpoint, value)
    elif level == abi.SOL_IPV6 and option in (abi.IPV6_JOIN_GROUP, abi.IPV6_LEAVE_GROUP):
        if len(value) < _MREQ6.size:
            raise SysError(EINVAL)
        group, index = _MREQ6.unpack_from(value)
        if option == abi.IPV6_JOIN_GROUP:
            endpoint.join_group(group, index)
        else:
            endpoint.leave_group(group, index)
    elif level == abi.SOL_IPV6 and option == abi.IPV6_MULTICAST_IF:
        index = read_number(level, value)
        if index and index not in endpoint.stack.interfaces:
            raise SysError(ENODEV)
        endpoint.multicast_interface = index
    else:
        return False
    return True


def _read_mreq(endpoint: DatagramEndpoint, value: bytes) -> tuple[bytes, int]:
    """Return group and interface of a struct ip_mreq or ip_mreqn."""
    if len(value) < 8 or value[0] & 0xF0 != 0xE0:
        raise SysError(EINVAL)
    if len(value) >= 12:
        index: int = _INT.unpack_from(value, 8)[0]
        if index:
            return value[:4], index
    if any(value[4:8]):
        return value[:4], _index_of(endpoint, value[4:8])
    return value[:4], 0


def _index_of(endpoint: DatagramEndpoint, host: bytes) -> int:
    interface = endpoint.stack.find_address_interface(host)
    if interface is None:
        raise SysError(ENODEV)
    return interface.index


def _set_interface(endpoint: DatagramEndpoint, value: bytes) -> None:
    """IP_MULTICAST_IF: an address, a struct ip_mreq or a struct ip_mreqn."""
    if len(value) < 4:
        raise SysError(EINVAL)
    host = value[4:8] if len(value) >= 8 else value[:4]
    index: int = _INT.unpack_from(value, 8)[0] if len(value) >= 12 else 0
    if index:
        if index not in endpoint.stack.interfaces:
            raise SysError(EADDRNOTAVAIL)
    elif any(host):
        interface = endpoint.stack.find_address_interface(host)
        if interface is None:
            raise SysError(EADDRNOTAVAIL)
        index = interface.index
    endpoint.multicast_interface = index
    endpoint.multicast_source = host if any(host) else b""


def _protocol_independent(endpoint: DatagramEndpoint, option: int, value: bytes) -> None:
    """MCAST_ options of RFC 3678: an index and one or two struct sockaddr_storage."""
    is_group_only = option in (MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP)
    if len(value) < (GROUP_SIZE if is_group_only else GROUP_SOURCE_SIZE):
        raise SysError(EINVAL)
    index: int = _INT.unpack_from(value, 0)[0]
    group = _host(value[8:136])
    if option == MCAST_JOIN_GROUP:
        endpoint.join_group(group, index)
    elif option == MCAST_LEAVE_GROUP:
        endpoint.leave_group(group, index)
    else:
        _change_source(endpoint, option, group, _host(value[136:264]), index)


def _host(data: bytes) -> bytes:
    family = abi.family_of(data)
    if family == abi.AF_INET:
        return parse_ipv4(data).host
    if family == abi.AF_INET6:
        return parse_ipv6(data).host
    raise SysError(EADDRNOTAVAIL)


def _change_source(
    endpoint: DatagramEndpoint, option: int, group: bytes, source: bytes, index: int
) -> None:
    if option == MCAST_JOIN_SOURCE_GROUP:
        endpoint.join_source(group, source, index)
    elif option == MCAST_LEAVE_SOURCE_GROUP:
        endpoint.leave_source(group, source, index)
    elif option == MCAST_BLOCK_SOURCE:
        endpoint.block_source(group, source, index)
    else:
        endpoint.unblock_source(group, source, index)
