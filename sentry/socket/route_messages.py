"""Messages of rtnetlink(7) about what there is: links, addresses, routes, neighbours, rules."""

from struct import Struct
from typing import Final

from netstack.interface import Interface, InterfaceAddress
from netstack.link.qdisc import Qdisc
from netstack.neighbour import NUD_VALID, Neighbour
from netstack.route import LOCAL, Route, RouteEntry, Rule
from sentry.abi import rtnetlink as abi
from sentry.abi.socket import AF_INET, AF_INET6
from sentry.socket.interface_numbers import hardware_type, linux_flags, oper_state
from sentry.socket.netlink_wire import attribute, string, u8, u32

_IFINFO: Final = Struct("<BxHiII")
_IFADDR: Final = Struct("<4BI")
_RTMSG: Final = Struct("<8BI")
_NDMSG: Final = Struct("<BxxxiHBB")
_RULE: Final = Struct("<8BI")
_TCMSG: Final = Struct("<BxxxiIII")
_STATS64: Final = Struct("<25Q")
_FOUR: Final = Struct("<4I")
_ROUTE_CACHE: Final = Struct("<IIiIIIII")
FOREVER: Final = 0xFFFF_FFFF
RT_TABLE_COMPAT: Final = 252
FIB_RULE_IIF_DETACHED: Final = 0x8
FIB_RULE_OIF_DETACHED: Final = 0x10
RTA_UID: Final = 25
IFINFO_SIZE: Final = 16
IFADDR_SIZE: Final = 8
RTMSG_SIZE: Final = 12
NDMSG_SIZE: Final = 12


def family_number(address: bytes) -> int:
    """Return the address family of an address."""
    return AF_INET if len(address) == 4 else AF_INET6


def link(interface: Interface) -> bytes:
    """Return ifinfomsg and attributes of an interface."""
    device = interface.link
    address = device.address or b""
    broadcast = bytes(6) if device.is_loopback else device.broadcast
    head = _IFINFO.pack(0, hardware_type(interface), interface.index, linux_flags(interface), 0)
    parts = [
        head,
        string(abi.IFLA_IFNAME, interface.name),
        u32(abi.IFLA_TXQLEN, interface.tx_queue_length),
        u8(abi.IFLA_OPERSTATE, oper_state(interface)),
        u8(abi.IFLA_LINKMODE, 0),
        u32(abi.IFLA_MTU, interface.mtu),
        u32(abi.IFLA_MIN_MTU, 0 if device.is_loopback else 68),
        u32(abi.IFLA_MAX_MTU, 0 if device.is_loopback else max(device.mtu, 65535)),
        u32(abi.IFLA_GROUP, 0),
        u32(abi.IFLA_PROMISCUITY, int(bool(interface.flags & 0x100))),
        u32(abi.IFLA_NUM_TX_QUEUES, 1),
        u32(abi.IFLA_GSO_MAX_SEGS, 65535),
        u32(abi.IFLA_GSO_MAX_SIZE, 65536),
        u32(abi.IFLA_NUM_RX_QUEUES, 1),
        u8(abi.IFLA_CARRIER, int(interface.is_up())),
        string(abi.IFLA_QDISC, queue_name(interface)),
    ]
    if address:
        parts.append(attribute(abi.IFLA_ADDRESS, address))
        parts.append(attribute(abi.IFLA_BROADCAST, broadcast))
    parts.append(attribute(abi.IFLA_STATS64, statistics(interface)))
    return b"".join(parts)


def queue_name(interface: Interface) -> str:
    """Return the name of the queueing discipline."""
    if isinstance(interface.out, Qdisc):
        return interface.out.kind
    return "noqueue" if interface.is_up() or interface.link.is_loopback else "noop"


def statistics(interface: Interface) -> bytes:
    """Return a struct rtnl_link_stats64."""
    c = interface.counters
    known = (
        c.rx_packets,
        c.tx_packets,
        c.rx_bytes,
        c.tx_bytes,
        c.rx_errors,
        c.tx_errors,
        c.rx_dropped,
        c.tx_dropped,
        c.multicast,
        c.collisions,
    )
    return _STATS64.pack(*known, *(0,) * 13, c.rx_nohandler, 0)


def address(interface: Interface, item: InterfaceAddress, now_ns: int) -> bytes:
    """Return ifaddrmsg and attributes of an address."""
    host = item.host
    flags = item.flags | (0 if item.valid_until_ns else abi.IFA_F_PERMANENT)
    flags &= ~0x02  # IFA_F_NODAD: how it was added, not what it is
    scope = item.scope
    if len(host) == 16:
        scope = ipv6_scope(host)
    head = _IFADDR.pack(
        family_number(host), item.prefix_length, flags & 0xFF, scope, interface.index
    )
    parts = [head]
    if len(host) == 4:
        parts.append(attribute(abi.IFA_ADDRESS, item.peer or host))
        parts.append(attribute(abi.IFA_LOCAL, host))
        if item.broadcast:
            parts.append(attribute(abi.IFA_BROADCAST, item.broadcast))
        label = item.label.decode("ascii", "replace") or interface.name
        parts.append(string(abi.IFA_LABEL, label))
    else:
        if item.peer:
            parts.append(attribute(abi.IFA_LOCAL, host))
        parts.append(attribute(abi.IFA_ADDRESS, item.peer or host))
    preferred = _seconds_until(item.preferred_until_ns, now_ns)
    valid = _seconds_until(item.valid_until_ns, now_ns)
    parts.append(attribute(abi.IFA_CACHEINFO, _FOUR.pack(preferred, valid, 0, 0)))
    parts.append(u32(abi.IFA_FLAGS, flags))
    return b"".join(parts)


def _seconds_until(deadline_ns: int, now_ns: int) -> int:
    return max(deadline_ns - now_ns, 0) // 1_000_000_000 if deadline_ns else FOREVER


def ipv6_scope(host: bytes) -> int:
    """Return the RT_SCOPE_ of an IPv6 address."""
    if host == bytes(15) + b"\x01":
        return 254
    if host[0] == 0xFE and host[1] & 0xC0 == 0x80:
        return 253
    if host[0] == 0xFE and host[1] & 0xC0 == 0xC0:
        return 200
    return 0


def route(entry: RouteEntry, now_ns: int) -> bytes:
    """Return rtmsg and attributes of a route of a table."""
    family = family_number(entry.prefix)
    table = entry.table if entry.table < 256 else RT_TABLE_COMPAT
    head = _RTMSG.pack(
        family,
        entry.prefix_length,
        0,
        0,
        table,
        entry.protocol,
        entry.scope if family == AF_INET else 0,
        entry.kind,
        0,
    )
    parts = [head, u32(abi.RTA_TABLE, entry.table)]
    if entry.prefix_length:
        parts.append(attribute(abi.RTA_DST, entry.prefix))
    if entry.metric or family == AF_INET6:
        parts.append(u32(abi.RTA_PRIORITY, entry.metric))
    if entry.mtu:
        parts.append(attribute(abi.RTA_METRICS, u32(abi.RTAX_MTU, entry.mtu)))
    if entry.source and family == AF_INET:
        parts.append(attribute(abi.RTA_PREFSRC, entry.source))
    if entry.gateway:
        parts.append(attribute(abi.RTA_GATEWAY, entry.gateway))
    if entry.interface is not None:
        parts.append(u32(abi.RTA_OIF, entry.interface.index))
    if family == AF_INET6:
        left = _seconds_until(entry.expires_ns, now_ns) if entry.expires_ns else 0
        parts.append(attribute(abi.RTA_CACHEINFO, _ROUTE_CACHE.pack(0, 0, left, 0, 0, 0, 0, 0)))
        parts.append(u8(abi.RTA_PREF, 0))
    return b"".join(parts)


def found_route(found: Route, destination: bytes, source: bytes, table: int) -> bytes:
    """Return rtmsg and attributes of the answer to `ip route get`."""
    family = family_number(destination)
    size = len(destination) * 8
    scope = 0
    kind = found.kind
    protocol = 0 if family == AF_INET else (found.entry.protocol if found.entry else 0)
    flags = abi.RTM_F_CLONED if family == AF_INET else 0
    if kind == LOCAL and family == AF_INET:
        flags |= 0x80000000  # RTCF_LOCAL
    source_size = size if source or family == AF_INET6 else 0
    head = _RTMSG.pack(family, size, source_size, 0, min(table, 255), protocol, scope, kind, flags)
    parts = [
        head,
        u32(abi.RTA_TABLE, table),
        attribute(abi.RTA_DST, destination),
        u32(abi.RTA_OIF, found.interface.index),
        attribute(abi.RTA_PREFSRC, found.source),
    ]
    if source_size:
        parts.append(attribute(abi.RTA_SRC, source or bytes(16)))
    if family == AF_INET:
        parts.append(u32(RTA_UID, 0))
    if found.next_hop and found.next_hop != destination:
        parts.append(attribute(abi.RTA_GATEWAY, found.next_hop))
    if family == AF_INET6:
        metric = found.entry.metric if found.entry is not None else 0
        parts.append(u32(abi.RTA_PRIORITY, metric))
        parts.append(u8(abi.RTA_PREF, 0))
    cache = _ROUTE_CACHE.pack(0, 0, 0, 0, 0, 0, 0, 0)
    parts.append(attribute(abi.RTA_CACHEINFO, cache))
    return b"".join(parts)


def neighbour(item: Neighbour) -> bytes:
    """Return ndmsg and attributes of a neighbour."""
    head = _NDMSG.pack(family_number(item.address), item.interface.index, item.state & 0xFFFF, 0, 1)
    parts = [head, attribute(abi.NDA_DST, item.address)]
    if item.link_address and item.state & NUD_VALID:
        parts.append(attribute(abi.NDA_LLADDR, item.link_address))
    parts.append(attribute(abi.NDA_CACHEINFO, _FOUR.pack(0, 0, 0, 0)))
    parts.append(u32(abi.NDA_PROBES, 0))
    return b"".join(parts)


def action_of(item: Rule) -> int:
    """Return the FR_ACT_ number of what a rule does."""
    return abi.FR_ACT_TO_TBL if item.refusal is None else item.refusal.kind


def rule(item: Rule, family: int) -> bytes:
    """Return fib_rule_hdr and attributes of a rule."""
    table = item.table if item.table < 256 else RT_TABLE_COMPAT
    head = _RULE.pack(
        family,
        item.destination_length,
        item.source_length,
        0,
        table,
        0,
        0,
        action_of(item),
        (FIB_RULE_IIF_DETACHED if item.input_index < 0 else 0)
        | (FIB_RULE_OIF_DETACHED if item.interface_index < 0 else 0),
    )
    parts = [head, u32(abi.FRA_TABLE, item.table)]
    if item.input_name:
        parts.append(string(abi.FRA_IIFNAME, item.input_name))
    if item.output_name:
        parts.append(string(abi.FRA_OIFNAME, item.output_name))
    if item.priority:
        parts.append(u32(abi.FRA_PRIORITY, item.priority))
    if item.mark or item.mark_mask:
        parts.append(u32(abi.FRA_FWMARK, item.mark))
        parts.append(u32(abi.FRA_FWMASK, item.mark_mask))
    if item.destination_length:
        parts.append(attribute(abi.FRA_DST, item.destination))
    if item.source_length:
        parts.append(attribute(abi.FRA_SRC, item.source))
    return b"".join(parts)


def queue(interface: Interface) -> bytes:
    """Return tcmsg and attributes of an interface's queueing discipline."""
    head = _TCMSG.pack(0, interface.index, 0, 0xFFFF_FFFF, 2)
    return head + string(abi.TCA_KIND, queue_name(interface))
