"""Changes by rtnetlink(7): links, addresses, routes, neighbours, rules (with CAP_NET_ADMIN)."""

from struct import Struct
from typing import Final

from netstack.interface import IFF_ALLMULTI, IFF_PROMISC, IFF_UP, Interface, InterfaceAddress
from netstack.neighbour import NUD_PERMANENT
from netstack.network import NetworkProtocol
from netstack.route import (
    BLACKHOLE,
    PROHIBIT,
    UNICAST,
    UNREACHABLE,
    RouteEntry,
    Rule,
    masked,
)
from sentry.abi import rtnetlink as abi
from sentry.abi.errno import (
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EBUSY,
    EEXIST,
    EINVAL,
    ENOBUFS,
    ENODEV,
    ENOENT,
    EOPNOTSUPP,
)
from sentry.abi.socket import AF_INET, AF_INET6
from sentry.errors import SysError
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.netlink import Request
from sentry.socket.netlink_wire import number, parse_attributes, text
from sentry.socket.route_entries import delete_route, insert_route
from sentry.socket.route_messages import (
    IFADDR_SIZE,
    IFINFO_SIZE,
    NDMSG_SIZE,
    RTMSG_SIZE,
    action_of,
    ipv6_scope,
)

_IFINFO: Final = Struct("<BxHiII")
_IFADDR: Final = Struct("<4BI")
_RTMSG: Final = Struct("<8BI")
_NDMSG: Final = Struct("<BxxxiHBB")
MAX_ADDRESSES: Final = 4096  # of one interface
MAX_RULES: Final = 4096
ADDRESS_SIZES: Final = {AF_INET: 4, AF_INET6: 16}
REFUSALS: Final = (BLACKHOLE, UNREACHABLE, PROHIBIT)  # FR_ACT_ has the numbers of RTN_
IFNAMSIZ: Final = 16


def change(namespace: NetworkNamespace, request: Request) -> None:
    """Do a request that changes something; SysError or NetError."""
    kind = request.kind
    if kind in (abi.RTM_NEWLINK, abi.RTM_SETLINK):
        _set_link(namespace, request)
    elif kind in (abi.RTM_NEWADDR, abi.RTM_DELADDR):
        _change_address(namespace, request)
    elif kind in (abi.RTM_NEWROUTE, abi.RTM_DELROUTE):
        _change_route(namespace, request)
    elif kind in (abi.RTM_NEWNEIGH, abi.RTM_DELNEIGH):
        _change_neighbour(namespace, request)
    elif kind in (abi.RTM_NEWRULE, abi.RTM_DELRULE):
        _change_rule(namespace, request)
    else:
        raise SysError(EOPNOTSUPP)


def _network(namespace: NetworkNamespace, family: int) -> NetworkProtocol:
    network = namespace.stack.networks.get({AF_INET: 4, AF_INET6: 6}.get(family, 0))
    if network is None:
        raise SysError(EAFNOSUPPORT)
    return network


def _address_of(attributes: dict[int, bytes], kind: int, family: int) -> bytes:
    """Return an address attribute; empty if it is not there, SysError(EINVAL) of another size."""
    found = attributes.get(kind)
    if found is None:
        return b""
    if len(found) != ADDRESS_SIZES.get(family, 0):
        raise SysError(EINVAL)
    return found


# Links.


def _set_link(namespace: NetworkNamespace, request: Request) -> None:
    payload = request.payload
    if len(payload) < IFINFO_SIZE:
        raise SysError(EINVAL)
    _, _, index, flags, mask = _IFINFO.unpack_from(payload)
    attributes = parse_attributes(payload, IFINFO_SIZE)
    name = text(attributes, abi.IFLA_IFNAME)
    stack = namespace.stack
    interface = stack.interfaces.get(index) if index else stack.find_interface(name)
    if interface is None:
        # Interfaces of other kinds cannot be made.
        raise SysError(EOPNOTSUPP if request.flags & abi.NLM_F_CREATE else ENODEV)
    if request.flags & abi.NLM_F_EXCL:
        raise SysError(EEXIST)
    if index and name and name != interface.name:
        _rename(namespace, interface, name)
    if abi.IFLA_MTU in attributes:
        stack.set_mtu(interface, number(attributes, abi.IFLA_MTU))
    if abi.IFLA_TXQLEN in attributes:
        interface.tx_queue_length = number(attributes, abi.IFLA_TXQLEN)
    # A mask of zero is that of old programs: all flags count (rtnl_dev_get_flags).
    _set_flags(namespace, interface, flags, mask or (0xFFFF_FFFF if flags else 0))


def _rename(namespace: NetworkNamespace, interface: Interface, name: str) -> None:
    if interface.is_up():
        raise SysError(EBUSY)
    if not name or len(name) >= IFNAMSIZ or "/" in name or name in (".", ".."):
        raise SysError(EINVAL)
    if any(character.isspace() or not character.isprintable() for character in name):
        raise SysError(EINVAL)
    if namespace.stack.find_interface(name) is not None:
        raise SysError(EEXIST)
    for observer in namespace.stack.observers:
        observer.on_link(interface, True)
    interface.name = name
    for observer in namespace.stack.observers:
        observer.on_link(interface, False)


def _set_flags(namespace: NetworkNamespace, interface: Interface, flags: int, mask: int) -> None:
    stack = namespace.stack
    changeable = mask & (IFF_PROMISC | IFF_ALLMULTI)
    if changeable:
        stack.set_flags(interface, interface.flags & ~changeable | flags & changeable)
    if mask & IFF_UP:
        if flags & IFF_UP:
            stack.set_up(interface)
        else:
            stack.set_down(interface)


# Addresses.


def _change_address(namespace: NetworkNamespace, request: Request) -> None:
    payload = request.payload
    if len(payload) < IFADDR_SIZE:
        raise SysError(EINVAL)
    family, length, flags, scope, index = _IFADDR.unpack_from(payload)
    attributes = parse_attributes(payload, IFADDR_SIZE)
    _network(namespace, family)
    if length > 8 * ADDRESS_SIZES[family]:
        raise SysError(EINVAL)
    interface = namespace.stack.interfaces.get(index)
    if interface is None:
        raise SysError(ENODEV)
    local = _address_of(attributes, abi.IFA_LOCAL, family)
    peer = _address_of(attributes, abi.IFA_ADDRESS, family)
    host = local or peer
    if not host:
        raise SysError(EINVAL)
    old = find_address(interface, host, length)
    if request.kind == abi.RTM_DELADDR:
        if old is None:
            raise SysError(EADDRNOTAVAIL)
        namespace.stack.remove_address(interface, old)
        return
    if len(interface.addresses) >= MAX_ADDRESSES:
        raise SysError(ENOBUFS)
    if old is not None:
        if request.flags & abi.NLM_F_EXCL or not request.flags & abi.NLM_F_REPLACE:
            raise SysError(EEXIST)
        namespace.stack.remove_address(interface, old)
    made = InterfaceAddress(host, length)
    made.peer = peer if peer != host else b""
    made.broadcast = _address_of(attributes, abi.IFA_BROADCAST, family)
    made.label = text(attributes, abi.IFA_LABEL).encode() or interface.name.encode()
    made.scope = scope if family == AF_INET else ipv6_scope(host)
    made.flags = number(attributes, abi.IFA_FLAGS, flags)
    _set_lifetimes(namespace, made, attributes)
    namespace.stack.add_address(interface, made)


def _set_lifetimes(
    namespace: NetworkNamespace, made: InterfaceAddress, attributes: dict[int, bytes]
) -> None:
    cache = attributes.get(abi.IFA_CACHEINFO)
    if cache is None:
        return
    if len(cache) < 16:
        raise SysError(EINVAL)
    preferred, valid = int.from_bytes(cache[:4], "little"), int.from_bytes(cache[4:8], "little")
    if not valid or preferred > valid:
        raise SysError(EINVAL)
    now_ns = namespace.environment.now_ns()
    if preferred != 0xFFFF_FFFF:
        made.preferred_until_ns = now_ns + preferred * 1_000_000_000
    if valid != 0xFFFF_FFFF:
        made.valid_until_ns = now_ns + valid * 1_000_000_000


def find_address(interface: Interface, host: bytes, length: int) -> InterfaceAddress | None:
    """Return the address of an interface."""
    for item in interface.addresses:
        if item.host == host and item.prefix_length == length:
            return item
    return None


# Routes.


def _change_route(namespace: NetworkNamespace, request: Request) -> None:
    payload = request.payload
    if len(payload) < RTMSG_SIZE:
        raise SysError(EINVAL)
    entry = _parse_route(namespace, payload)
    if request.kind == abi.RTM_DELROUTE:
        delete_route(namespace, entry, payload[7])
    else:
        insert_route(namespace, entry, request.flags)


def _parse_route(namespace: NetworkNamespace, payload: bytes) -> RouteEntry:
    family, length, _, _, table, protocol, scope, kind, _ = _RTMSG.unpack_from(payload)
    attributes = parse_attributes(payload, RTMSG_SIZE)
    size = ADDRESS_SIZES.get(family, 0)
    if not size:
        raise SysError(EAFNOSUPPORT)
    if length > 8 * size:
        raise SysError(EINVAL)
    destination = _address_of(attributes, abi.RTA_DST, family) or bytes(size)
    if masked(destination, length) != destination:
        if family == AF_INET:
            raise SysError(EINVAL)
        destination = masked(destination, length)
    index = number(attributes, abi.RTA_OIF)
    interface = namespace.stack.interfaces.get(index)
    if index and interface is None:
        raise SysError(ENODEV)
    gateway = _address_of(attributes, abi.RTA_GATEWAY, family)
    entry = RouteEntry(destination, length, interface, gateway)
    entry.kind = kind or UNICAST
    entry.table = number(attributes, abi.RTA_TABLE, table) or 254
    entry.protocol = protocol
    entry.scope = scope
    entry.metric = number(attributes, abi.RTA_PRIORITY, 1024 if family == AF_INET6 else 0)
    entry.source = _address_of(attributes, abi.RTA_PREFSRC, family)
    if entry.source and not namespace.stack.is_local_address(entry.source):
        raise SysError(EINVAL)
    metrics = attributes.get(abi.RTA_METRICS)
    if metrics is not None:
        entry.mtu = number(parse_attributes(metrics, 0), abi.RTAX_MTU)
    return entry


# Neighbours and rules.


def _change_neighbour(namespace: NetworkNamespace, request: Request) -> None:
    payload = request.payload
    if len(payload) < NDMSG_SIZE:
        raise SysError(EINVAL)
    family, index, state, _, _ = _NDMSG.unpack_from(payload)
    attributes = parse_attributes(payload, NDMSG_SIZE)
    network = _network(namespace, family)
    interface = namespace.stack.interfaces.get(index)
    if interface is None:
        raise SysError(ENODEV)
    host = _address_of(attributes, abi.NDA_DST, family)
    if not host:
        raise SysError(EINVAL)
    found = network.neighbours.find(interface, host)
    if request.kind == abi.RTM_DELNEIGH:
        if found is None:
            raise SysError(ENOENT)
        found.invalidate()
        network.neighbours.remove(found)
        return
    if found is None and not request.flags & abi.NLM_F_CREATE:
        raise SysError(ENOENT)
    if found is not None and request.flags & abi.NLM_F_EXCL:
        raise SysError(EEXIST)
    link_address = attributes.get(abi.NDA_LLADDR, b"")
    if len(link_address) != len(interface.link.address):
        raise SysError(EINVAL)
    if state & NUD_PERMANENT:
        network.neighbours.add_permanent(interface, host, link_address)
    else:
        network.neighbours.lookup(interface, host).set_link_address(link_address, state or 0x04)


def _change_rule(namespace: NetworkNamespace, request: Request) -> None:
    payload = request.payload
    if len(payload) < RTMSG_SIZE:
        raise SysError(EINVAL)
    family, destination_length, source_length, _, table, _, _, action, _ = _RTMSG.unpack_from(
        payload
    )
    attributes = parse_attributes(payload, RTMSG_SIZE)
    routing = _network(namespace, family).routing
    if max(destination_length, source_length) > 8 * ADDRESS_SIZES[family]:
        raise SysError(EINVAL)
    item = Rule(number(attributes, abi.FRA_PRIORITY), number(attributes, abi.FRA_TABLE, table))
    item.destination = _address_of(attributes, abi.FRA_DST, family)
    item.destination_length = destination_length
    item.source = _address_of(attributes, abi.FRA_SRC, family)
    item.source_length = source_length
    if (destination_length and not item.destination) or (source_length and not item.source):
        raise SysError(EINVAL)
    item.mark = number(attributes, abi.FRA_FWMARK)
    item.input_name = text(attributes, abi.FRA_IIFNAME)
    item.input_index = _index_of(namespace, item.input_name)
    item.output_name = text(attributes, abi.FRA_OIFNAME)
    item.interface_index = _index_of(namespace, item.output_name)
    if action in REFUSALS:
        item.refusal = RouteEntry(b"", 0, None, b"")
        item.refusal.kind = action
    item.mark_mask = number(attributes, abi.FRA_FWMASK, 0xFFFF_FFFF if item.mark else 0)
    if request.kind == abi.RTM_DELRULE:
        for rule in routing.rules:
            if _is_meant(rule, item, attributes):
                routing.rules.remove(rule)
                _tell_rule(namespace, family, rule, is_removed=True)
                return
        raise SysError(ENOENT)
    if action not in REFUSALS and (action != abi.FR_ACT_TO_TBL or not item.table):
        raise SysError(EINVAL)
    if len(routing.rules) >= MAX_RULES:
        raise SysError(ENOBUFS)
    if abi.FRA_PRIORITY not in attributes:
        # In front of the rule behind the first (fib_default_rule_pref).
        item.priority = max(routing.rules[1].priority - 1, 0) if len(routing.rules) > 1 else 0
    routing.add_rule(item)
    _tell_rule(namespace, family, item, is_removed=False)


def _tell_rule(namespace: NetworkNamespace, family: int, item: Rule, *, is_removed: bool) -> None:
    """Have routes found anew, and tell who listens."""
    namespace.stack.changed()
    for observer in namespace.stack.observers:
        observer.on_rule(4 if family == AF_INET else 6, item, is_removed)


def _index_of(namespace: NetworkNamespace, name: str) -> int:
    """Return the index of an interface; 0 without a name, -1 if there is no such interface."""
    found = namespace.stack.find_interface(name) if name else None
    return found.index if found is not None else -int(bool(name))


def _is_meant(rule: Rule, wanted: Rule, attributes: dict[int, bytes]) -> bool:
    """Return whether a deletion means this rule."""
    return (
        (abi.FRA_PRIORITY not in attributes or rule.priority == wanted.priority)
        and (not wanted.table or rule.table == wanted.table)
        and (not wanted.source_length or rule.source_length == wanted.source_length)
        and (not wanted.source or rule.source == wanted.source)
        and (not wanted.destination_length or rule.destination_length == wanted.destination_length)
        and (not wanted.destination or rule.destination == wanted.destination)
        and (not wanted.mark or rule.mark == wanted.mark)
        and (not wanted.input_name or rule.input_name == wanted.input_name)
        and (not wanted.output_name or rule.output_name == wanted.output_name)
        and (wanted.refusal is None or action_of(rule) == wanted.refusal.kind)
    )
