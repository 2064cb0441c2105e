"""Requests of ioctl(2) about routes and neighbours, as route(8) and arp(8) make them (arp(7))."""

from struct import Struct
from typing import Final

from netstack.errors import NetError
from netstack.interface import Interface
from netstack.neighbour import NUD_PERMANENT, NUD_REACHABLE, Neighbour
from netstack.route import (
    PROTOCOL_BOOT,
    SCOPE_HOST,
    SCOPE_LINK,
    SCOPE_UNIVERSE,
    UNICAST,
    UNREACHABLE,
    RouteEntry,
)
from sentry.abi.capability import CAP_NET_ADMIN
from sentry.abi.errno import EAFNOSUPPORT, EINVAL, ENODEV, ENOENT, ENXIO, EOPNOTSUPP, EPERM
from sentry.abi.rtnetlink import NLM_F_CREATE, NLM_F_EXCL
from sentry.abi.socket import AF_INET
from sentry.errors import SysError
from sentry.socket.interface_numbers import hardware_type
from sentry.socket.net_errors import as_sys_error
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.prefixes import mask_length
from sentry.socket.route_entries import delete_route, insert_route
from sentry.vfs.caller import Caller

SIOCADDRT: Final = 0x890B
SIOCDELRT: Final = 0x890C
SIOCDARP: Final = 0x8953
SIOCGARP: Final = 0x8954
SIOCSARP: Final = 0x8955
ROUTE_REQUESTS: Final = (SIOCADDRT, SIOCDELRT)
ARP_REQUESTS: Final = (SIOCDARP, SIOCGARP, SIOCSARP)

# struct rtentry: three struct sockaddr behind a pad, flags, metric, device, MTU.
_RTENTRY: Final = Struct("<8xH2x4s8xH2x4s8xH2x4s8xH22xh6xQQ16x")
RTF_GATEWAY: Final = 0x2
RTF_HOST: Final = 0x4
RTF_MTU: Final = 0x40
RTF_REJECT: Final = 0x200

# struct arpreq: protocol address, hardware address, flags, mask, device.
_ARPREQ: Final = Struct("<H2x4s8xH14si16x16s")
_HARDWARE: Final = Struct("<H14si")
HARDWARE_OFFSET: Final = 16
ATF_COMPLETE: Final = 0x2
ATF_PERMANENT: Final = 0x4
ATF_PUBLISHED: Final = 0x8
NUD_VALID: Final = 0xDE
IFNAMSIZ: Final = 16


def route_ioctl(namespace: NetworkNamespace, caller: Caller, request: int, argument: int) -> int:
    """Do one of ROUTE_REQUESTS."""
    if not caller.creds.has_capability(CAP_NET_ADMIN):
        raise SysError(EPERM)
    entry, kind = _parse_route(namespace, caller, caller.memory.read(argument, _RTENTRY.size))
    try:
        if request == SIOCADDRT:
            insert_route(namespace, entry, NLM_F_CREATE | NLM_F_EXCL)
        else:
            delete_route(namespace, entry, kind)
    except NetError as error:
        raise as_sys_error(error) from None
    finally:
        namespace.stack.flush()
    return 0


def _parse_route(namespace: NetworkNamespace, caller: Caller, raw: bytes) -> tuple[RouteEntry, int]:
    """Return the route and which kind a deletion means (rtentry_to_fib_config)."""
    (
        family,
        destination,
        gateway_family,
        gateway,
        mask_family,
        mask,
        flags,
        metric,
        device,
        mtu,
    ) = _RTENTRY.unpack(raw)
    if family != AF_INET:
        raise SysError(EAFNOSUPPORT)
    length = 32
    if not flags & RTF_HOST:
        if mask_family not in (0, AF_INET):
            raise SysError(EAFNOSUPPORT)
        length = mask_length(mask)
        bits = int.from_bytes(destination, "big")
        if bits & (1 << (32 - length)) - 1:
            raise SysError(EINVAL)
    entry = RouteEntry(destination, length, None, b"")
    entry.protocol = PROTOCOL_BOOT
    entry.metric = max(metric - 1, 0)
    entry.scope = SCOPE_LINK
    if flags & RTF_REJECT:
        entry.kind = UNREACHABLE
        entry.scope = SCOPE_HOST
        return entry, UNREACHABLE
    if device:
        entry.interface = _interface(namespace, caller.memory.read_cstring(device, IFNAMSIZ))
    if flags & RTF_GATEWAY:
        if gateway_family != AF_INET or not any(gateway):
            raise SysError(EINVAL)
        entry.gateway = gateway
        if not namespace.stack.network_of(gateway).routing.local_kind(gateway):
            entry.scope = SCOPE_UNIVERSE
    if flags & RTF_MTU:
        entry.mtu = max(0, min(mtu - 40, 0xFFFF))
    return entry, UNICAST if not flags & RTF_REJECT else UNREACHABLE


def _interface(namespace: NetworkNamespace, name: bytes) -> Interface:
    found = namespace.stack.find_interface(name.split(b":")[0].decode("ascii", "replace"))
    if found is None:
        raise SysError(ENODEV)
    return found


def arp_ioctl(namespace: NetworkNamespace, caller: Caller, request: int, argument: int) -> int:
    """Do one of ARP_REQUESTS (arp_ioctl, net/ipv4/arp.c)."""
    if request != SIOCGARP and not caller.creds.has_capability(CAP_NET_ADMIN):
        raise SysError(EPERM)
    raw = caller.memory.read(argument, _ARPREQ.size)
    family, host, hardware, link_address, flags, device = _ARPREQ.unpack(raw)
    if family != AF_INET:
        raise SysError(EAFNOSUPPORT)
    name = device.split(b"\0")[0]
    neighbours = namespace.stack.network_of(host).neighbours
    try:
        if name:
            interface = _interface(namespace, name)
        else:
            interface = namespace.stack.find_route(host).interface
    except NetError as error:
        raise as_sys_error(error) from None
    found = neighbours.find(interface, host)
    if request == SIOCSARP:
        if flags & ATF_PUBLISHED:
            raise SysError(EOPNOTSUPP)
        if hardware != hardware_type(interface) or not interface.link.address:
            raise SysError(EINVAL)
        state = NUD_PERMANENT if flags & ATF_PERMANENT else NUD_REACHABLE
        try:
            entry = neighbours.lookup(interface, host)
        except NetError as error:
            raise as_sys_error(error) from None
        entry.set_link_address(link_address[: len(interface.link.address)], state)
        namespace.stack.flush()
        return 0
    if flags & ATF_PUBLISHED and request == SIOCDARP:
        raise SysError(ENOENT)  # nothing is answered for others
    if found is None:
        raise SysError(ENXIO)
    if request == SIOCDARP:
        neighbours.remove(found)
        return 0
    answer = _HARDWARE.pack(hardware_type(interface), found.link_address[:14], _flags_of(found))
    caller.memory.write(argument + HARDWARE_OFFSET, answer)
    return 0


def _flags_of(item: Neighbour) -> int:
    if item.state & NUD_PERMANENT:
        return ATF_PERMANENT | ATF_COMPLETE
    return ATF_COMPLETE if item.state & NUD_VALID else 0
