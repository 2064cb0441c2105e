"""A small client of rtnetlink(7): links, addresses, routes, rules and neighbours.

It speaks with the network namespace that the process was in when it was made.
Records keep the message that they came in (`payload`), which the kernel takes
back as a request: what was deleted can be put back with all its attributes.
"""

import _socket
import posix
from struct import Struct

from runsc.errors import RunscError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

AF_INET: "Final" = 2
AF_INET6: "Final" = 10

# Message types, linux/rtnetlink.h.
RTM_NEWLINK: "Final" = 16
RTM_GETLINK: "Final" = 18
RTM_SETLINK: "Final" = 19
RTM_NEWADDR: "Final" = 20
RTM_DELADDR: "Final" = 21
RTM_GETADDR: "Final" = 22
RTM_NEWROUTE: "Final" = 24
RTM_DELROUTE: "Final" = 25
RTM_GETROUTE: "Final" = 26
RTM_NEWNEIGH: "Final" = 28
RTM_DELNEIGH: "Final" = 29
RTM_GETNEIGH: "Final" = 30
RTM_NEWRULE: "Final" = 32
RTM_DELRULE: "Final" = 33
RTM_GETRULE: "Final" = 34

NAMES: "Final" = {
    RTM_GETLINK: "RTM_GETLINK",
    RTM_SETLINK: "RTM_SETLINK",
    RTM_NEWADDR: "RTM_NEWADDR",
    RTM_DELADDR: "RTM_DELADDR",
    RTM_GETADDR: "RTM_GETADDR",
    RTM_NEWROUTE: "RTM_NEWROUTE",
    RTM_DELROUTE: "RTM_DELROUTE",
    RTM_GETROUTE: "RTM_GETROUTE",
    RTM_NEWNEIGH: "RTM_NEWNEIGH",
    RTM_DELNEIGH: "RTM_DELNEIGH",
    RTM_GETNEIGH: "RTM_GETNEIGH",
    RTM_NEWRULE: "RTM_NEWRULE",
    RTM_DELRULE: "RTM_DELRULE",
    RTM_GETRULE: "RTM_GETRULE",
}

# Flags of requests, netlink(7).
NLM_F_REQUEST: "Final" = 0x1
NLM_F_ACK: "Final" = 0x4
NLM_F_DUMP_INTR: "Final" = 0x10
NLM_F_REPLACE: "Final" = 0x100
NLM_F_EXCL: "Final" = 0x200
NLM_F_CREATE: "Final" = 0x400
NLM_F_APPEND: "Final" = 0x800
NLM_F_DUMP: "Final" = 0x300

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

_NLMSGHDR = Struct("=IHHII")  # length, type, flags, sequence, port
_NLATTR = Struct("=HH")  # length, type
_IFINFOMSG = Struct("=BxHiII")  # family, type, index, flags, change
_IFADDRMSG = Struct("=BBBBi")  # family, prefix length, flags, scope, index
_RTMSG = Struct("=BBBBBBBBI")  # family, dst, src, tos, table, protocol, scope, type, flags
_NDMSG = Struct("=B3xiHBB")  # family, index, state, flags, type
_RULE = Struct("=BBBBB2xBI")  # family, dst, src, tos, table, action, flags
_CACHEINFO = Struct("=II")  # struct ifa_cacheinfo: preferred, valid; its stamps are not used
_U16 = Struct("=H")
_U32 = Struct("=I")
_ERROR = Struct("=i")
_PORT_RANGE = Struct("=HH")  # struct fib_rule_port_range: first, last
_RTNEXTHOP = Struct("=HBBi")  # length, flags, hops, index

_LOCALHOST = bytes((127, 0, 0, 1))
_RECEIVE_SIZE = 1 << 17
_DUMP_TRIES = 10
_WAIT_S = 10.0

# linux/if.h, linux/if_arp.h
IFF_UP: "Final" = 0x1
IFF_LOOPBACK: "Final" = 0x8
IFF_NOARP: "Final" = 0x80
ARPHRD_ETHER: "Final" = 1

# linux/if_link.h
IFLA_ADDRESS: "Final" = 1
IFLA_IFNAME: "Final" = 3
IFLA_MTU: "Final" = 4
IFLA_LINKINFO: "Final" = 18
IFLA_AF_SPEC: "Final" = 26
IFLA_GSO_MAX_SIZE: "Final" = 41
IFLA_INFO_KIND: "Final" = 1
IFLA_INFO_DATA: "Final" = 2
IFLA_INET_CONF: "Final" = 1
IFLA_INET6_CONF: "Final" = 2
IFLA_INET6_ADDR_GEN_MODE: "Final" = 8
IN6_ADDR_GEN_MODE_NONE: "Final" = 1
_IPV4_DEVCONF_ARP_IGNORE = 19  # linux/ip.h; counted from 1
# linux/ipv6.h; counted from 0
_DEVCONF_ACCEPT_RA = 3
_DEVCONF_AUTOCONF = 5
_DEVCONF_DISABLE_IPV6 = 26
IPVLAN_L2: "Final" = 0
IPVLAN_L3: "Final" = 1
IPVLAN_L3S: "Final" = 2

# linux/if_addr.h
IFA_ADDRESS: "Final" = 1
IFA_LOCAL: "Final" = 2
IFA_LABEL: "Final" = 3
IFA_BROADCAST: "Final" = 4
IFA_CACHEINFO: "Final" = 6
IFA_FLAGS: "Final" = 8
IFA_F_SECONDARY: "Final" = 0x01
IFA_F_DADFAILED: "Final" = 0x08
IFA_F_TENTATIVE: "Final" = 0x40
FOREVER: "Final" = 0xFFFF_FFFF

# linux/rtnetlink.h
RTA_DST: "Final" = 1
RTA_OIF: "Final" = 4
RTA_GATEWAY: "Final" = 5
RTA_PRIORITY: "Final" = 6
RTA_PREFSRC: "Final" = 7
RTA_METRICS: "Final" = 8
RTA_MULTIPATH: "Final" = 9
RTA_CACHEINFO: "Final" = 12
RTA_TABLE: "Final" = 15
RTA_VIA: "Final" = 18
RTA_NH_ID: "Final" = 30
RTAX_MTU: "Final" = 2
RTM_F_CLONED: "Final" = 0x200
RTNH_F_ONLINK: "Final" = 0x4
RT_TABLE_MAIN: "Final" = 254
RT_TABLE_LOCAL: "Final" = 255
RTPROT_KERNEL: "Final" = 2
RTPROT_STATIC: "Final" = 4
RT_SCOPE_HOST: "Final" = 254
RTN_LOCAL: "Final" = 2
RTN_MULTICAST: "Final" = 5

# linux/neighbour.h
NDA_DST: "Final" = 1
NDA_LLADDR: "Final" = 2
NUD_NOARP: "Final" = 0x40
NUD_PERMANENT: "Final" = 0x80

# linux/fib_rules.h
FRA_IIFNAME: "Final" = 3
FRA_PRIORITY: "Final" = 6
FRA_TABLE: "Final" = 15
FRA_PROTOCOL: "Final" = 21
FRA_IP_PROTO: "Final" = 22
FRA_DPORT_RANGE: "Final" = 24
FR_ACT_TO_TBL: "Final" = 1
FR_ACT_BLACKHOLE: "Final" = 6


class NetlinkFormatError(RunscError):
    """The kernel sent what is no netlink message."""

    def __init__(self, what: str) -> None:
        super().__init__(f"netlink: {what}")


class Message:
    """One netlink message."""

    def __init__(self, kind: int, flags: int, sequence: int, payload: bytes) -> None:
        self.kind = kind
        self.flags = flags
        self.sequence = sequence
        self.payload = payload


def parse_messages(data: bytes) -> list[Message]:
    """Return the messages of a datagram; NetlinkFormatError if one is cut off."""
    found: list[Message] = []
    offset = 0
    while len(data) - offset >= _NLMSGHDR.size:
        length, kind, flags, sequence, _ = _NLMSGHDR.unpack_from(data, offset)
        if not _NLMSGHDR.size <= length <= len(data) - offset:
            raise NetlinkFormatError("a message is cut off")
        payload = data[offset + _NLMSGHDR.size : offset + length]
        found.append(Message(kind, flags, sequence, payload))
        offset += (length + 3) & ~3
    return found


def parse_attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Return the attributes from `offset` on; NetlinkFormatError if one is cut off."""
    found: dict[int, bytes] = {}
    while len(data) - offset >= _NLATTR.size:
        length, kind = _NLATTR.unpack_from(data, offset)
        if not _NLATTR.size <= length <= len(data) - offset:
            raise NetlinkFormatError("an attribute is cut off")
        found[kind & _TYPE_MASK] = data[offset + _NLATTR.size : offset + length]
        offset += (length + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute, padded."""
    return _NLATTR.pack(_NLATTR.size + len(value), kind) + value + bytes(-len(value) & 3)


def pack_attributes(attributes: dict[int, bytes]) -> bytes:
    """Return attributes one after the other, by their types."""
    return b"".join(attribute(kind, attributes[kind]) for kind in sorted(attributes))


def u32(value: int) -> bytes:
    """Return the four bytes of a number."""
    return _U32.pack(value)


def _number(attributes: dict[int, bytes], kind: int, default: int = 0) -> int:
    """Return an attribute of 1, 2 or 4 bytes as an unsigned number."""
    value = attributes.get(kind)
    if value is None:
        return default
    if len(value) not in (1, 2, 4):
        raise NetlinkFormatError(f"attribute {kind} has {len(value)} bytes")
    return int.from_bytes(value, "little" if _U16.pack(1)[0] else "big")


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _address_size(family: int) -> int:
    return 4 if family == AF_INET else 16


def _checked(value: bytes, family: int) -> bytes:
    """Return an address that may be absent; NetlinkFormatError if its size is wrong."""
    if len(value) not in (0, _address_size(family)):
        raise NetlinkFormatError(f"an address of {len(value)} bytes")
    return value


def _head(struct: Struct, payload: bytes) -> tuple[int, ...]:
    if len(payload) < struct.size:
        raise NetlinkFormatError("a message is too short")
    found: tuple[int, ...] = struct.unpack_from(payload)
    return found


class Link:
    """An interface."""

    def __init__(self, payload: bytes) -> None:
        _, self.hardware_type, self.index, self.flags, _ = _head(_IFINFOMSG, payload)
        attributes = parse_attributes(payload, _IFINFOMSG.size)
        self.name = _text(attributes.get(IFLA_IFNAME, b""))
        self.mac = attributes.get(IFLA_ADDRESS, b"")
        self.mtu = _number(attributes, IFLA_MTU)
        self.gso_max_size = _number(attributes, IFLA_GSO_MAX_SIZE)
        info = parse_attributes(attributes.get(IFLA_LINKINFO, b""))
        self.kind = _text(info.get(IFLA_INFO_KIND, b""))
        self.mode = 0  # of an ipvlan or macvlan (IFLA_IPVLAN_MODE, IFLA_MACVLAN_MODE)
        self.mode_flags = 0  # of an ipvlan (IPVLAN_F_PRIVATE, IPVLAN_F_VEPA)
        if self.kind in ("ipvlan", "ipvtap", "macvlan", "macvtap"):
            data = parse_attributes(info.get(IFLA_INFO_DATA, b""))
            self.mode = _number(data, 1)
            if self.is_ipvlan:
                self.mode_flags = _number(data, 2)
        families = parse_attributes(attributes.get(IFLA_AF_SPEC, b""))
        inet = parse_attributes(families.get(AF_INET, b""))
        inet6 = parse_attributes(families.get(AF_INET6, b""))
        self.arp_ignore = _at(inet.get(IFLA_INET_CONF, b""), _IPV4_DEVCONF_ARP_IGNORE - 1)
        conf6 = inet6.get(IFLA_INET6_CONF, b"")
        # Without IPv6 in the kernel there is no such attribute.
        self.has_ipv6 = bool(conf6) and not _at(conf6, _DEVCONF_DISABLE_IPV6)
        self.accept_ra = _at(conf6, _DEVCONF_ACCEPT_RA)
        self.autoconf = _at(conf6, _DEVCONF_AUTOCONF) != 0
        self.address_generation = _number(inet6, IFLA_INET6_ADDR_GEN_MODE)

    @property
    def is_ipvlan(self) -> bool:
        """Whether the kernel demultiplexes by the slave's addresses."""
        return self.kind in ("ipvlan", "ipvtap")


def _at(numbers: bytes, index: int) -> int:
    """Return a number of an array of 32-bit numbers, 0 beyond its end."""
    if len(numbers) < 4 * index + 4:
        return 0
    return int(_U32.unpack_from(numbers, 4 * index)[0])


class Address:
    """An address of an interface."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        family, self.prefix_length, flags, self.scope, self.index = _head(_IFADDRMSG, payload)
        self.family = family
        attributes = parse_attributes(payload, _IFADDRMSG.size)
        remote = _checked(attributes.get(IFA_ADDRESS, b""), family)
        # Point-to-point: IFA_ADDRESS is the other end.
        self.host = _checked(attributes.get(IFA_LOCAL, remote), family)
        self.peer = remote if remote != self.host else b""
        self.broadcast = _checked(attributes.get(IFA_BROADCAST, b""), family)
        self.label = _text(attributes.get(IFA_LABEL, b""))
        self.flags = _number(attributes, IFA_FLAGS, flags)
        times = attributes.get(IFA_CACHEINFO, b"")
        self.preferred_s, self.valid_s = FOREVER, FOREVER
        if len(times) >= _CACHEINFO.size:
            self.preferred_s, self.valid_s = _CACHEINFO.unpack_from(times)

    def with_lifetimes(self, preferred_s: int, valid_s: int) -> bytes:
        """Return the message with other lifetimes."""
        attributes = parse_attributes(self.payload, _IFADDRMSG.size)
        attributes[IFA_CACHEINFO] = _CACHEINFO.pack(preferred_s, valid_s) + bytes(8)
        return self.payload[: _IFADDRMSG.size] + pack_attributes(attributes)

    def with_flags(self, flags: int, preferred_s: int, valid_s: int) -> bytes:
        """Return the message with other flags and lifetimes."""
        changed = self.with_lifetimes(preferred_s, valid_s)
        attributes = parse_attributes(changed, _IFADDRMSG.size)
        attributes[IFA_FLAGS] = u32(flags)
        head = _IFADDRMSG.pack(
            self.family, self.prefix_length, flags & 0xFF, self.scope, self.index
        )
        return head + pack_attributes(attributes)


class Route:
    """A route."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        head = _head(_RTMSG, payload)
        self.family, self.prefix_length, self.source_length, self.tos, table = head[:5]
        self.protocol, self.scope, self.kind, self.flags = head[5:]
        attributes = parse_attributes(payload, _RTMSG.size)
        self.table = _number(attributes, RTA_TABLE, table)
        prefix = _checked(attributes.get(RTA_DST, b""), self.family)
        self.prefix = prefix or bytes(_address_size(self.family))
        self.index = _number(attributes, RTA_OIF)
        self.gateway = _gateway(attributes, self.family)
        self.metric = _number(attributes, RTA_PRIORITY)
        self.source = _checked(attributes.get(RTA_PREFSRC, b""), self.family)
        metrics = parse_attributes(attributes.get(RTA_METRICS, b""))
        self.mtu = _number(metrics, RTAX_MTU)
        self.hops = _next_hops(attributes.get(RTA_MULTIPATH, b""), self.family)
        if self.hops and not self.index:
            self.index, self.gateway = self.hops[0]

    def request(self, *, without: int = RTA_CACHEINFO) -> bytes:
        """Return the message that makes this route again: without what only dumps have.

        `without` is one attribute more to leave out.
        """
        attributes = parse_attributes(self.payload, _RTMSG.size)
        attributes.pop(RTA_CACHEINFO, None)
        attributes.pop(without, None)
        if RTA_NH_ID in attributes:
            for kind in (RTA_OIF, RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH):
                attributes.pop(kind, None)
        head = self.payload[: _RTMSG.size - 4] + u32(self.flags & RTNH_F_ONLINK)
        return head + pack_attributes(attributes)


def _gateway(attributes: dict[int, bytes], family: int) -> bytes:
    """Return the gateway, if it is of the route's own family (RTA_VIA has others, RFC 5549)."""
    return _checked(attributes.get(RTA_GATEWAY, b""), family)


def _next_hops(data: bytes, family: int) -> list[tuple[int, bytes]]:
    """Return index and gateway of each next hop of RTA_MULTIPATH."""
    found: list[tuple[int, bytes]] = []
    offset = 0
    while len(data) - offset >= _RTNEXTHOP.size:
        length, _, _, index = _RTNEXTHOP.unpack_from(data, offset)
        if not _RTNEXTHOP.size <= length <= len(data) - offset:
            raise NetlinkFormatError("a next hop is cut off")
        inner = parse_attributes(data[offset + _RTNEXTHOP.size : offset + length])
        found.append((index, _gateway(inner, family)))
        offset += (length + 3) & ~3
    return found


class Neighbour:
    """An entry of the neighbour cache."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.family, self.index, self.state, self.flags, _ = _head(_NDMSG, payload)
        attributes = parse_attributes(payload, _NDMSG.size)
        self.address = attributes.get(NDA_DST, b"")
        self.mac = attributes.get(NDA_LLADDR, b"")

    def request(self) -> bytes:
        """Return the message that makes this entry again: without what only dumps have."""
        attributes = parse_attributes(self.payload, _NDMSG.size)
        kept = {k: value for k, value in attributes.items() if k in (NDA_DST, NDA_LLADDR)}
        return self.payload[: _NDMSG.size] + pack_attributes(kept)


class Rule:
    """A rule of policy routing (ip-rule(8))."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.family, _, _, _, table, self.action, _ = _head(_RULE, payload)
        attributes = parse_attributes(payload, _RULE.size)
        self.table = _number(attributes, FRA_TABLE, table)
        self.priority = _number(attributes, FRA_PRIORITY)
        self.interface = _text(attributes.get(FRA_IIFNAME, b""))


def rule_request(
    family: int,
    priority: int,
    *,
    table: int = 0,
    interface: str = "",
    protocol: int = 0,
    transport: int = 0,
    port: int = 0,
) -> bytes:
    """Return a rule: a look-up in `table`, or without one a blackhole (fib_rules.h).

    `protocol` is who made it (RTPROT_); `transport` and `port` narrow it to packets to a port.
    """
    action = FR_ACT_TO_TBL if table else FR_ACT_BLACKHOLE
    attributes = {FRA_PRIORITY: u32(priority)}
    if table:
        attributes[FRA_TABLE] = u32(table)
    if interface:
        attributes[FRA_IIFNAME] = interface.encode("utf-8", "surrogateescape") + b"\0"
    if protocol:
        attributes[FRA_PROTOCOL] = bytes((protocol,))
    if transport:
        attributes[FRA_IP_PROTO] = bytes((transport,))
    if port:
        attributes[FRA_DPORT_RANGE] = _PORT_RANGE.pack(port, port)
    short = table if table < 256 else 0  # the attribute has all of it
    return _RULE.pack(family, 0, 0, 0, short, action, 0) + pack_attributes(attributes)


def local_route_request(family: int, table: int, loopback: int) -> bytes:
    """Return a route by which every address is one of this machine's own.

    IPv4 takes the destination for the source unless it is told another.
    """
    attributes = {RTA_OIF: u32(loopback), RTA_TABLE: u32(table)}
    if family == AF_INET:
        attributes[RTA_PREFSRC] = _LOCALHOST
    head = _RTMSG.pack(family, 0, 0, 0, 0, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL, 0)
    return head + pack_attributes(attributes)


def _link_request(index: int, family: int, inner: bytes) -> bytes:
    head = _IFINFOMSG.pack(0, 0, index, 0, 0)
    return head + attribute(IFLA_AF_SPEC, attribute(family, inner))


def arp_ignore_request(index: int, value: int) -> bytes:
    """Return the body of an RTM_SETLINK that sets net.ipv4.conf.X.arp_ignore."""
    inner = attribute(IFLA_INET_CONF, attribute(_IPV4_DEVCONF_ARP_IGNORE, u32(value)))
    return _link_request(index, AF_INET, inner)


def address_generation_request(index: int, mode: int) -> bytes:
    """Return the body of an RTM_SETLINK that says how link-local addresses are made."""
    return _link_request(index, AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, bytes((mode,))))


class Netlink:
    """A connection to rtnetlink; OSError with the request's name where the kernel refuses."""

    def __init__(self) -> None:
        kind = _socket.SOCK_RAW | _socket.SOCK_CLOEXEC
        self._socket = _socket.socket(_socket.AF_NETLINK, kind, 0)
        self._socket.settimeout(_WAIT_S)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _send(self, kind: int, flags: int, payload: bytes) -> None:
        self._sequence += 1
        head = _NLMSGHDR.pack(
            _NLMSGHDR.size + len(payload), kind, flags | NLM_F_REQUEST, self._sequence, 0
        )
        self._socket.send(head + payload)

    def _receive(self) -> list[Message]:
        """Return the messages of one datagram of the kernel that answer the last request."""
        data, _, _, sender = self._socket.recvmsg(_RECEIVE_SIZE)
        if sender[0] != 0:
            return []  # not the kernel's
        return [m for m in parse_messages(data) if m.sequence == self._sequence]

    def request(self, kind: int, payload: bytes, flags: int = 0) -> None:
        """Make a change; OSError(errno, text, name of the request) if it is refused."""
        self._send(kind, flags | NLM_F_ACK, payload)
        while True:
            for message in self._receive():
                if message.kind == _NLMSG_ERROR:
                    _raise_error(message.payload, kind)
                    return

    def dump(self, kind: int, family: int = 0) -> list[bytes]:
        """Return the payloads of all objects of a kind."""
        # `struct ifinfomsg` is as good a request as any: the family comes first in all of them.
        for _ in range(_DUMP_TRIES):
            self._send(kind, NLM_F_DUMP, _IFINFOMSG.pack(family, 0, 0, 0, 0))
            found = self._collect(kind)
            if found is not None:
                return found
        raise RunscError(f"{NAMES[kind]}: the network changes all the time")

    def _collect(self, kind: int) -> list[bytes] | None:
        """Return the answers to a dump, None if something changed meanwhile."""
        found: list[bytes] = []
        is_whole = True
        while True:
            for message in self._receive():
                if message.flags & NLM_F_DUMP_INTR:
                    is_whole = False
                if message.kind == _NLMSG_ERROR:
                    _raise_error(message.payload, kind)
                if message.kind == _NLMSG_DONE:
                    return found if is_whole else None
                found.append(message.payload)

    def links(self) -> list[Link]:
        """Return all interfaces."""
        return [Link(payload) for payload in self.dump(RTM_GETLINK)]

    def addresses(self) -> list[Address]:
        """Return the addresses of all interfaces, IPv4 and IPv6."""
        return [Address(p) for p in self.dump(RTM_GETADDR) if _family(p) in (AF_INET, AF_INET6)]

    def routes(self, family: int) -> list[Route]:
        """Return the routes of all tables."""
        # A kernel without a family answers for all that it has.
        found = [Route(p) for p in self.dump(RTM_GETROUTE, family) if _family(p) == family]
        return [route for route in found if not route.flags & RTM_F_CLONED]

    def rules(self, family: int) -> list[Rule]:
        """Return the rules of policy routing."""
        return [Rule(p) for p in self.dump(RTM_GETRULE, family) if _family(p) == family]

    def neighbours(self) -> list[Neighbour]:
        """Return the neighbour caches, IPv4 and IPv6."""
        found = self.dump(RTM_GETNEIGH)
        return [Neighbour(p) for p in found if _family(p) in (AF_INET, AF_INET6)]


def _family(payload: bytes) -> int:
    """Return the address family of any object: the first byte."""
    return payload[0] if payload else 0


def _raise_error(payload: bytes, kind: int) -> None:
    """Raise OSError for an NLMSG_ERROR that is no acknowledgement."""
    if len(payload) < _ERROR.size:
        raise NetlinkFormatError("an error message is too short")
    (number,) = _ERROR.unpack_from(payload)
    if number:
        raise OSError(-number, posix.strerror(-number), NAMES[kind])
