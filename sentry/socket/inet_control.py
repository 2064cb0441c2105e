"""Ancillary data of internet sockets (ip(7), ipv6(7), socket(7)): what goes along both ways."""

from struct import Struct
from typing import Final

from netstack.datagram import Datagram, QueuedError, SendOptions
from netstack.endpoint import Address
from sentry.abi import socket as abi
from sentry.abi.errno import EINVAL
from sentry.errors import SysError
from sentry.socket.base import Message
from sentry.socket.inet import InetSocket
from sentry.socket.net_address import MAPPED_PREFIX, as_ipv6, pack_address
from sentry.socket.net_errors import errno_of
from sentry.socket.option_table import (
    IPV6_2292HOPLIMIT,
    IPV6_2292PKTINFO,
    IPV6_ORIGDSTADDR,
    SO_TIMESTAMP_NEW,
    SO_TIMESTAMPNS_NEW,
    UDP_GRO,
    UDP_SEGMENT,
)

_INT: Final = Struct("<i")
_TWO_LONGS: Final = Struct("<qq")
_PKTINFO: Final = Struct("<i4s4s")  # struct in_pktinfo
_PKTINFO6: Final = Struct("<16si")  # struct in6_pktinfo
_EXTENDED_ERROR: Final = Struct("<IBBBBII")  # struct sock_extended_err
IPV6_FLOWINFO: Final = 11

Control = list[tuple[int, int, bytes]]
"""Level, type and data of control messages."""


def send_options(control: Control, is_ipv6: bool, is_udp: bool) -> SendOptions | None:
    """Return what the control messages of a sendmsg(2) ask for; SysError(EINVAL)."""
    if not control:
        return None
    options = SendOptions()
    for level, kind, data in control:
        if level == abi.SOL_IP:
            _read_ipv4(options, kind, data)
        elif level == abi.SOL_IPV6 and is_ipv6:
            _read_ipv6(options, kind, data)
        elif level == abi.SOL_UDP and is_udp:
            if kind != UDP_SEGMENT or len(data) != 2:
                raise SysError(EINVAL)
            options.segment_size = int.from_bytes(data, "little")
        elif level == abi.SOL_SOCKET:
            raise SysError(EINVAL)
    return options


def _read_ipv4(options: SendOptions, kind: int, data: bytes) -> None:
    """As ip_cmsg_send (net/ipv4/ip_sockglue.c)."""
    if kind == abi.IP_PKTINFO and len(data) == _PKTINFO.size:
        index, source, _ = _PKTINFO.unpack(data)
        options.interface_index = max(index, 0)
        options.source = source if any(source) else b""
    elif kind == abi.IP_TTL and len(data) == 4:
        ttl: int = _INT.unpack(data)[0]
        if not 1 <= ttl <= 255:
            raise SysError(EINVAL)
        options.ttl = ttl
    elif kind == abi.IP_TOS and len(data) in (1, 4):
        tos: int = data[0] if len(data) == 1 else _INT.unpack(data)[0]
        if not 0 <= tos <= 255:
            raise SysError(EINVAL)
        options.tos = tos
    else:
        raise SysError(EINVAL)


def _read_ipv6(options: SendOptions, kind: int, data: bytes) -> None:
    """As ip6_datagram_send_ctl (net/ipv6/datagram.c)."""
    if kind in (abi.IPV6_PKTINFO, IPV6_2292PKTINFO) and len(data) >= _PKTINFO6.size:
        source, index = _PKTINFO6.unpack_from(data)
        options.interface_index = max(index, 0)
        if source[:12] == MAPPED_PREFIX:
            source = source[12:]
        options.source = source if any(source) else b""
    elif kind in (abi.IPV6_HOPLIMIT, IPV6_2292HOPLIMIT) and len(data) == 4:
        limit: int = _INT.unpack(data)[0]
        if not -1 <= limit <= 255:
            raise SysError(EINVAL)
        options.ttl = limit
    elif kind == abi.IPV6_TCLASS and len(data) == 4:
        tclass: int = _INT.unpack(data)[0]
        if not -1 <= tclass <= 255:
            raise SysError(EINVAL)
        options.tos = tclass
    else:
        raise SysError(EINVAL)


def add_received(sock: InetSocket, datagram: Datagram, message: Message) -> None:
    """Add what the socket wants to know of a datagram, in Linux's order."""
    values = sock.values
    if not values:
        return
    control = message.control
    _add_time(sock, datagram.time_ns, control)
    if datagram.dropped and values.get((abi.SOL_SOCKET, abi.SO_RXQ_OVFL)):
        dropped = (datagram.dropped & 0xFFFF_FFFF).to_bytes(4, "little")
        control.append((abi.SOL_SOCKET, abi.SO_RXQ_OVFL, dropped))
    if sock.family == abi.AF_INET6:
        _add_ipv6(values, datagram, control)
    if datagram.version == 4:
        _add_ipv4(values, datagram, control, sock)
    if datagram.segment_size:
        control.append((abi.SOL_UDP, UDP_GRO, _INT.pack(datagram.segment_size)))


def _add_time(sock: InetSocket, time_ns: int, control: Control) -> None:
    values = sock.values
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    for option in (abi.SO_TIMESTAMPNS, SO_TIMESTAMPNS_NEW):
        if values.get((abi.SOL_SOCKET, option)):
            control.append((abi.SOL_SOCKET, option, _TWO_LONGS.pack(seconds, nanoseconds)))
    for option in (abi.SO_TIMESTAMP, SO_TIMESTAMP_NEW):
        if values.get((abi.SOL_SOCKET, option)):
            packed = _TWO_LONGS.pack(seconds, nanoseconds // 1000)
            control.append((abi.SOL_SOCKET, option, packed))


def _add_ipv4(
    values: dict[tuple[int, int], int], datagram: Datagram, control: Control, sock: InetSocket
) -> None:
    """As ip_cmsg_recv_offset (net/ipv4/ip_sockglue.c)."""
    if values.get((abi.SOL_IP, abi.IP_PKTINFO)):
        index = datagram.interface_index
        info = _PKTINFO.pack(index, datagram.local[:4], datagram.destination[:4])
        control.append((abi.SOL_IP, abi.IP_PKTINFO, info))
    if values.get((abi.SOL_IP, abi.IP_RECVTTL)):
        control.append((abi.SOL_IP, abi.IP_TTL, _INT.pack(datagram.ttl)))
    if values.get((abi.SOL_IP, abi.IP_RECVTOS)):
        control.append((abi.SOL_IP, abi.IP_TOS, bytes((datagram.tos,))))
    if values.get((abi.SOL_IP, abi.IP_RECVOPTS)) and datagram.options:
        control.append((abi.SOL_IP, abi.IP_RECVOPTS, datagram.options))
    if values.get((abi.SOL_IP, abi.IP_RECVORIGDSTADDR)):
        packed = abi.pack_sockaddr_in(datagram.destination, own_port(sock))
        control.append((abi.SOL_IP, abi.IP_RECVORIGDSTADDR, packed))


def _add_ipv6(values: dict[tuple[int, int], int], datagram: Datagram, control: Control) -> None:
    """As ip6_datagram_recv_common_ctl and its kind (net/ipv6/datagram.c)."""
    info = _PKTINFO6.pack(as_ipv6(datagram.destination), datagram.interface_index)
    if values.get((abi.SOL_IPV6, abi.IPV6_RECVPKTINFO)):
        control.append((abi.SOL_IPV6, abi.IPV6_PKTINFO, info))
    if datagram.version == 4:
        return
    if values.get((abi.SOL_IPV6, abi.IPV6_RECVHOPLIMIT)):
        control.append((abi.SOL_IPV6, abi.IPV6_HOPLIMIT, _INT.pack(datagram.ttl)))
    if values.get((abi.SOL_IPV6, abi.IPV6_RECVTCLASS)):
        control.append((abi.SOL_IPV6, abi.IPV6_TCLASS, _INT.pack(datagram.tos)))
    # The same by the numbers of RFC 2292.
    if values.get((abi.SOL_IPV6, IPV6_2292PKTINFO)):
        control.append((abi.SOL_IPV6, IPV6_2292PKTINFO, info))
    if values.get((abi.SOL_IPV6, IPV6_2292HOPLIMIT)):
        control.append((abi.SOL_IPV6, IPV6_2292HOPLIMIT, _INT.pack(datagram.ttl)))
    if values.get((abi.SOL_IPV6, IPV6_ORIGDSTADDR)):
        address = abi.pack_sockaddr_in6(datagram.destination, 0)
        control.append((abi.SOL_IPV6, IPV6_ORIGDSTADDR, address))


def own_port(sock: InetSocket) -> int:
    """Return the port that a socket is bound to."""
    return int.from_bytes(sock.name()[2:4], "big")


def add_error(sock: InetSocket, entry: QueuedError, message: Message) -> None:
    """Add an entry of the error queue (IP_RECVERR): struct sock_extended_err, the offender."""
    is_ipv6 = sock.family == abi.AF_INET6
    code = errno_of(entry.code)
    packed = _EXTENDED_ERROR.pack(
        code, entry.origin, entry.icmp_type, entry.icmp_code, 0, entry.info, 0
    )
    family = sock.family
    if entry.offender:
        packed += pack_address(family, Address(entry.offender, 0))
    else:
        size = abi.SOCKADDR_IN6_SIZE if is_ipv6 else abi.SOCKADDR_IN_SIZE
        packed += bytes(size)
    if is_ipv6:
        message.control.append((abi.SOL_IPV6, abi.IPV6_RECVERR, packed))
    else:
        message.control.append((abi.SOL_IP, abi.IP_RECVERR, packed))
