"""Connections over netlink, for conntrack(8): NFNL_SUBSYS_CTNETLINK."""

from typing import Final

from netstack.filter.conntrack import Connection, ConnectionTable, Tuple
from netstack.filter.passage import ICMP, ICMPV6, TCP, UDP
from sentry.abi import nf_tables as abi
from sentry.abi.errno import EINVAL, ENOENT, EOPNOTSUPP
from sentry.errors import SysError
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.netlink import Request
from sentry.socket.netlink_wire import attribute, parse_attributes, u8
from sentry.socket.nftables.attributes import Attributes, be, be16, be32, be_or, nested

NESTED: Final = 1 << 15  # NLA_F_NESTED
HEADER: Final = 4  # struct nfgenmsg

# enum cntl_msg_types, linux/netfilter/nfnetlink_conntrack.h.
CT_NEW: Final = 0
CT_GET: Final = 1
CT_DELETE: Final = 2
CT_GET_STATS: Final = 5

# enum ctattr_type and below.
CTA_TUPLE_ORIG: Final = 1
CTA_TUPLE_REPLY: Final = 2
CTA_STATUS: Final = 3
CTA_PROTOINFO: Final = 4
CTA_TIMEOUT: Final = 7
CTA_MARK: Final = 8
CTA_USE: Final = 11
CTA_ID: Final = 12
CTA_MARK_MASK: Final = 21
CTA_TUPLE_IP: Final = 1
CTA_TUPLE_PROTO: Final = 2
CTA_IP_V4_SRC: Final = 1
CTA_IP_V4_DST: Final = 2
CTA_IP_V6_SRC: Final = 3
CTA_IP_V6_DST: Final = 4
CTA_PROTO_NUM: Final = 1
CTA_PROTO_SRC_PORT: Final = 2
CTA_PROTO_DST_PORT: Final = 3
CTA_PROTO_ICMP_ID: Final = 4
CTA_PROTO_ICMPV6_ID: Final = 7
CTA_PROTOINFO_TCP: Final = 1
CTA_PROTOINFO_TCP_STATE: Final = 1
CTA_STATS_GLOBAL_ENTRIES: Final = 1
CTA_STATS_GLOBAL_MAX_ENTRIES: Final = 2


class Found:
    """One message of an answer."""

    def __init__(self, kind: int, family: int, data: bytes) -> None:
        self.kind = kind
        self.family = family
        self.data = data


def answer(namespace: NetworkNamespace, request: Request, kind: int) -> list[Found]:
    """Return what a request is answered."""
    table = namespace.nftables.filters[4].connections
    attributes = parse_attributes(request.payload, HEADER)
    family = request.payload[0]
    if kind == CT_GET:
        if request.is_dump():
            return [show(one) for one in chosen(table, family, attributes)]
        return [show(find(table, attributes))]
    if kind == CT_DELETE:
        _delete(table, family, attributes)
        return []
    if kind == CT_GET_STATS:
        numbers = be32(CTA_STATS_GLOBAL_ENTRIES, len(table.order))
        numbers += be32(CTA_STATS_GLOBAL_MAX_ENTRIES, table.limit)
        return [Found(kind, 0, numbers)]
    raise SysError(EOPNOTSUPP)


def chosen(table: ConnectionTable, family: int, attributes: Attributes) -> list[Connection]:
    """Return the connections of a family, and of a mark if there is one in the request."""
    now_ns = table.environment.now_ns()
    mark = be_or(attributes, CTA_MARK, 4, 0)
    mask = be_or(attributes, CTA_MARK_MASK, 4, 0xFFFF_FFFF if CTA_MARK in attributes else 0)
    return [
        one
        for one in table.order
        if one.expires_ns > now_ns
        and family in {0, family_of(one)}
        and one.mark & mask == mark & mask
    ]


def family_of(connection: Connection) -> int:
    """Return the family of a connection's addresses."""
    return abi.NFPROTO_IPV6 if len(connection.original[0]) == 16 else abi.NFPROTO_IPV4


def _delete(table: ConnectionTable, family: int, attributes: Attributes) -> None:
    if CTA_TUPLE_ORIG in attributes or CTA_TUPLE_REPLY in attributes:
        found = find(table, attributes)
        if CTA_ID in attributes and be(attributes, CTA_ID, 4) != found.ident:
            raise SysError(ENOENT)
        table.remove(found)
        return
    for connection in chosen(table, family, attributes):
        table.remove(connection)


def find(table: ConnectionTable, attributes: Attributes) -> Connection:
    """Return the connection of a tuple; SysError(ENOENT)."""
    kind = CTA_TUPLE_ORIG if CTA_TUPLE_ORIG in attributes else CTA_TUPLE_REPLY
    found = table.find(parse_tuple(nested(attributes, kind)))
    if found is None:
        raise SysError(ENOENT)
    return found


def parse_tuple(attributes: Attributes) -> Tuple:
    """Return a tuple from its attributes."""
    hosts = nested(attributes, CTA_TUPLE_IP)
    kinds = (CTA_IP_V6_SRC, CTA_IP_V6_DST) if CTA_IP_V6_SRC in hosts else (1, 2)
    source, destination = hosts.get(kinds[0], b""), hosts.get(kinds[1], b"")
    if len(source) != len(destination) or len(source) not in {4, 16}:
        raise SysError(EINVAL)
    part = nested(attributes, CTA_TUPLE_PROTO)
    protocol = be(part, CTA_PROTO_NUM, 1)
    if protocol in {TCP, UDP}:
        ports = be(part, CTA_PROTO_SRC_PORT, 2), be(part, CTA_PROTO_DST_PORT, 2)
        return source, destination, protocol, ports[0], ports[1]
    if protocol in {ICMP, ICMPV6}:
        first = CTA_PROTO_ICMP_ID if protocol == ICMP else CTA_PROTO_ICMPV6_ID
        kind = be(part, first + 1, 1) << 8 | be(part, first + 2, 1)
        return source, destination, protocol, be(part, first, 2), kind
    return source, destination, protocol, 0, 0


def show(connection: Connection) -> Found:
    """Return a connection's message (ctnetlink_fill_info)."""
    made = show_tuple(CTA_TUPLE_ORIG, connection.original)
    made += show_tuple(CTA_TUPLE_REPLY, connection.reply)
    made += be32(CTA_STATUS, connection.status_bits())
    made += be32(CTA_TIMEOUT, connection.seconds_left())
    if connection.original[2] == TCP:
        state = u8(CTA_PROTOINFO_TCP_STATE, connection.tcp.state)
        inner = attribute(CTA_PROTOINFO_TCP | NESTED, state)
        made += attribute(CTA_PROTOINFO | NESTED, inner)
    made += be32(CTA_MARK, connection.mark)
    made += be32(CTA_ID, connection.ident)
    made += be32(CTA_USE, 1)
    return Found(CT_NEW, family_of(connection), made)


def show_tuple(kind: int, item: Tuple) -> bytes:
    """Return a tuple's attribute."""
    source, destination, protocol, first, second = item
    at = CTA_IP_V6_SRC if len(source) == 16 else CTA_IP_V4_SRC
    hosts = attribute(at, source) + attribute(at + 1, destination)
    part = u8(CTA_PROTO_NUM, protocol)
    if protocol in {TCP, UDP}:
        part += be16(CTA_PROTO_SRC_PORT, first) + be16(CTA_PROTO_DST_PORT, second)
    elif protocol in {ICMP, ICMPV6}:
        begin = CTA_PROTO_ICMP_ID if protocol == ICMP else CTA_PROTO_ICMPV6_ID
        part += be16(begin, first) + u8(begin + 1, second >> 8) + u8(begin + 2, second & 0xFF)
    inner = attribute(CTA_TUPLE_IP | NESTED, hosts) + attribute(CTA_TUPLE_PROTO | NESTED, part)
    return attribute(kind | NESTED, inner)
