"""NETLINK_ROUTE (rtnetlink(7)): what is asked, and news of what changed."""

from struct import Struct
from typing import Final

from netstack.errors import NetError
from netstack.interface import Interface, InterfaceAddress
from netstack.neighbour import Neighbour
from netstack.route import LOCAL, MAIN_TABLE, Route, RouteEntry, Routing, Rule
from netstack.stack import ChangeListener
from sentry.abi import rtnetlink as abi
from sentry.abi import socket as abi_socket
from sentry.abi.capability import CAP_NET_ADMIN
from sentry.abi.errno import EINVAL, ENODEV, ENOENT, EOPNOTSUPP, EPERM
from sentry.errors import SysError
from sentry.socket import route_changes, route_messages
from sentry.socket.net_errors import as_sys_error
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.netlink import RESPONDERS, Answer, Request, Responder, publish
from sentry.socket.netlink_wire import number, parse_attributes, text

VERSIONS: Final = {abi_socket.AF_INET: 4, abi_socket.AF_INET6: 6}
RTM_F_LOOKUP_TABLE: Final = 0x1000
_INDEX: Final = Struct("<i")

RTM_MAX: Final = 123  # linux/rtnetlink.h


class RouteResponder(Responder):
    """The kernel's side of NETLINK_ROUTE."""

    def answer(self, namespace: NetworkNamespace, request: Request) -> list[Answer]:
        kind = request.kind
        if kind > RTM_MAX:
            raise SysError(EOPNOTSUPP)
        if kind & 3 != 2:  # not a GET (rtnetlink_rcv_msg)
            if not request.creds.has_capability(CAP_NET_ADMIN):
                raise SysError(EPERM)
            try:
                route_changes.change(namespace, request)
            except NetError as error:
                raise as_sys_error(error) from None
            finally:
                namespace.stack.flush()
            return []
        if not request.payload:
            raise SysError(EINVAL)
        if kind == abi.RTM_GETLINK:
            return _links(namespace, request)
        if kind == abi.RTM_GETADDR:
            return _addresses(namespace, request)
        if kind == abi.RTM_GETROUTE:
            if request.is_dump():
                return _routes(namespace, request)
            return [_route_to(namespace, request)]
        if kind == abi.RTM_GETNEIGH:
            return _neighbours(namespace, request)
        if request.is_dump() and kind == abi.RTM_GETRULE:
            return _rules(namespace, request)
        if request.is_dump() and kind == abi.RTM_GETQDISC:
            interfaces = namespace.stack.interfaces.values()
            return [Answer(abi.RTM_NEWQDISC, route_messages.queue(one)) for one in interfaces]
        raise SysError(EOPNOTSUPP)


def _links(namespace: NetworkNamespace, request: Request) -> list[Answer]:
    if request.is_dump():
        interfaces = namespace.stack.interfaces.values()
        return [Answer(abi.RTM_NEWLINK, route_messages.link(one)) for one in interfaces]
    if len(request.payload) < route_messages.IFINFO_SIZE:
        raise SysError(EINVAL)
    found = find_link(namespace, request.payload)
    if found is None:
        raise SysError(ENODEV)
    return [Answer(abi.RTM_NEWLINK, route_messages.link(found))]


def find_link(namespace: NetworkNamespace, payload: bytes) -> Interface | None:
    """Return the interface that an ifinfomsg means, by index or by name."""
    attributes = parse_attributes(payload, route_messages.IFINFO_SIZE)
    index: int = _INDEX.unpack_from(payload, 4)[0]
    if index:
        return namespace.stack.interfaces.get(index)
    name = text(attributes, abi.IFLA_IFNAME)
    if not name:
        raise SysError(EINVAL)
    return namespace.stack.find_interface(name)


def _addresses(namespace: NetworkNamespace, request: Request) -> list[Answer]:
    if not request.is_dump():
        raise SysError(EOPNOTSUPP)
    family = request.payload[0]
    index = 0
    if request.is_strict and len(request.payload) >= route_messages.IFADDR_SIZE:
        index = _INDEX.unpack_from(request.payload, 4)[0]
    now_ns = namespace.environment.now_ns()
    found = []
    for wanted in (abi_socket.AF_INET, abi_socket.AF_INET6):
        if family not in (0, wanted):
            continue
        for interface in namespace.stack.interfaces.values():
            if index not in (0, interface.index):
                continue
            for item in interface.addresses:
                if route_messages.family_number(item.host) == wanted:
                    payload = route_messages.address(interface, item, now_ns)
                    found.append(Answer(abi.RTM_NEWADDR, payload))
    return found


def routings(namespace: NetworkNamespace, family: int) -> list[tuple[int, Routing]]:
    """Return the routing of a family, or of all (0), with the number of each family."""
    found = []
    for number_, version in VERSIONS.items():
        network = namespace.stack.networks.get(version)
        if network is not None and family in (0, number_):
            found.append((number_, network.routing))
    return found


def _routes(namespace: NetworkNamespace, request: Request) -> list[Answer]:
    payload = request.payload
    wanted_table = 0
    if request.is_strict and len(payload) >= route_messages.RTMSG_SIZE:
        attributes = parse_attributes(payload, route_messages.RTMSG_SIZE)
        wanted_table = number(attributes, abi.RTA_TABLE, payload[4])
    now_ns = namespace.environment.now_ns()
    found = []
    for family, routing in routings(namespace, payload[0]):
        tables = sorted(routing.tables, reverse=True)
        if family == abi_socket.AF_INET6:
            # Linux shows the main table of IPv6 first.
            tables.sort(key=_main_first)
        for table in tables:
            if wanted_table in (0, table):
                for entry in sorted(routing.tables[table].entries(), key=_route_order):
                    answer = Answer(abi.RTM_NEWROUTE, route_messages.route(entry, now_ns))
                    found.append(answer)
    return found


def _route_order(entry: RouteEntry) -> tuple[int, bytes, int, int]:
    """Return the place of a route in Linux's listings: IPv6 has its default routes last."""
    is_last = len(entry.prefix) == 16 and entry.prefix_length == 0
    return int(is_last), entry.prefix, -entry.prefix_length, entry.metric


def _main_first(table: int) -> int:
    return 0 if table == 254 else 1


def _route_to(namespace: NetworkNamespace, request: Request) -> Answer:
    """Answer `ip route get`."""
    payload = request.payload
    if len(payload) < route_messages.RTMSG_SIZE:
        raise SysError(EINVAL)
    attributes = parse_attributes(payload, route_messages.RTMSG_SIZE)
    size = {abi_socket.AF_INET: 4, abi_socket.AF_INET6: 16}.get(payload[0], 0)
    destination = attributes.get(abi.RTA_DST, b"")
    if not size or len(destination) != size:
        raise SysError(EINVAL)
    source = attributes.get(abi.RTA_SRC, b"")
    if len(source) not in (0, size):
        raise SysError(EINVAL)
    flags = int.from_bytes(payload[8:12], "little")
    index = number(attributes, abi.RTA_OIF)
    try:
        found = namespace.stack.find_route(
            destination, source, index, number(attributes, abi.RTA_MARK)
        )
    except NetError as error:
        raise as_sys_error(error) from None
    table = _shown_table(namespace, found, flags)
    return Answer(abi.RTM_NEWROUTE, route_messages.found_route(found, destination, source, table))


def _shown_table(namespace: NetworkNamespace, found: Route, flags: int) -> int:
    """Return the table that `ip route get` is told of.

    IPv4 tells it only to who asks, and has local and main routes in one table
    as long as there are no rules but the first three (fib_unmerge).
    """
    if found.entry is None:
        return MAIN_TABLE
    if found.version == 4:
        rules = namespace.stack.networks[4].routing.rules
        if not flags & RTM_F_LOOKUP_TABLE or (found.kind == LOCAL and len(rules) <= 3):
            return MAIN_TABLE
    return found.entry.table


def _neighbours(namespace: NetworkNamespace, request: Request) -> list[Answer]:
    if len(request.payload) < 1:
        raise SysError(EINVAL)
    family = request.payload[0]
    found = []
    wanted: bytes | None = None
    index = 0
    if not request.is_dump():
        if len(request.payload) < route_messages.NDMSG_SIZE:
            raise SysError(EINVAL)
        attributes = parse_attributes(request.payload, route_messages.NDMSG_SIZE)
        wanted = attributes.get(abi.NDA_DST, b"")
        index = _INDEX.unpack_from(request.payload, 4)[0]
    for number_, version in VERSIONS.items():
        network = namespace.stack.networks.get(version)
        if network is None or family not in (0, number_):
            continue
        for item in network.neighbours.entries.values():
            if wanted is None or (item.address == wanted and item.interface.index == index):
                found.append(Answer(abi.RTM_NEWNEIGH, route_messages.neighbour(item)))
    if wanted is not None and not found:
        raise SysError(ENOENT)
    return found


def _rules(namespace: NetworkNamespace, request: Request) -> list[Answer]:
    found = []
    for family, routing in routings(namespace, request.payload[0]):
        for item in routing.rules:
            if family == abi_socket.AF_INET6 and item.table == 253:
                continue  # Linux has none for IPv6
            found.append(Answer(abi.RTM_NEWRULE, route_messages.rule(item, family)))
    return found


class Announcer(ChangeListener):
    """Tells the multicast groups of NETLINK_ROUTE what changed."""

    def __init__(self, namespace: NetworkNamespace) -> None:
        self._namespace = namespace

    def _publish(self, group: int, kind: int, payload: bytes) -> None:
        publish(self._namespace, abi_socket.NETLINK_ROUTE, group, kind, payload)

    def on_link(self, interface: Interface, removed: bool) -> None:  # noqa: FBT001  netstack's
        if self._namespace.watchers:
            kind = abi.RTM_DELLINK if removed else abi.RTM_NEWLINK
            self._publish(abi.RTNLGRP_LINK, kind, route_messages.link(interface))

    def on_address(
        self,
        interface: Interface,
        address: InterfaceAddress,
        removed: bool,  # noqa: FBT001  netstack's
    ) -> None:
        if not self._namespace.watchers:
            return
        kind = abi.RTM_DELADDR if removed else abi.RTM_NEWADDR
        is_v4 = len(address.host) == 4
        group = abi.RTNLGRP_IPV4_IFADDR if is_v4 else abi.RTNLGRP_IPV6_IFADDR
        now_ns = self._namespace.environment.now_ns()
        self._publish(group, kind, route_messages.address(interface, address, now_ns))

    def on_route(self, entry: RouteEntry, removed: bool) -> None:  # noqa: FBT001  netstack's
        if not self._namespace.watchers:
            return
        kind = abi.RTM_DELROUTE if removed else abi.RTM_NEWROUTE
        is_v4 = len(entry.prefix) == 4
        group = abi.RTNLGRP_IPV4_ROUTE if is_v4 else abi.RTNLGRP_IPV6_ROUTE
        now_ns = self._namespace.environment.now_ns()
        self._publish(group, kind, route_messages.route(entry, now_ns))

    def on_neighbour(self, neighbour: Neighbour, removed: bool) -> None:  # noqa: FBT001  netstack's
        if self._namespace.watchers:
            kind = abi.RTM_DELNEIGH if removed else abi.RTM_NEWNEIGH
            self._publish(abi.RTNLGRP_NEIGH, kind, route_messages.neighbour(neighbour))

    def on_rule(self, version: int, rule: Rule, removed: bool) -> None:  # noqa: FBT001  netstack's
        if not self._namespace.watchers:
            return
        kind = abi.RTM_DELRULE if removed else abi.RTM_NEWRULE
        family = abi_socket.AF_INET if version == 4 else abi_socket.AF_INET6
        group = abi.RTNLGRP_IPV4_RULE if version == 4 else abi.RTNLGRP_IPV6_RULE
        self._publish(group, kind, route_messages.rule(rule, family))


RESPONDERS[abi_socket.NETLINK_ROUTE] = RouteResponder()
