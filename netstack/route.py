"""Routes: tables, rules, and what a transport holds on to (RFC 1122, 3.3.1; ip-rule(8))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.errors import EXISTS, NOT_FOUND, NetError

if TYPE_CHECKING:
    from netstack.interface import Interface
    from netstack.neighbour import Neighbour

# rtm_type, rtnetlink(7).
UNICAST: Final = 1
LOCAL: Final = 2
BROADCAST: Final = 3
MULTICAST: Final = 5
BLACKHOLE: Final = 6
UNREACHABLE: Final = 7
PROHIBIT: Final = 8
THROW: Final = 9

DEFAULT_TABLE: Final = 253
MAIN_TABLE: Final = 254
LOCAL_TABLE: Final = 255

# rtm_scope.
SCOPE_UNIVERSE: Final = 0
SCOPE_SITE: Final = 200
SCOPE_LINK: Final = 253
SCOPE_HOST: Final = 254
SCOPE_NOWHERE: Final = 255

# rtm_protocol.
PROTOCOL_KERNEL: Final = 2
LOOPBACK_INDEX: Final = 1  # where what this host sends "came from" (flowi_iif)
PROTOCOL_BOOT: Final = 3


class RouteEntry:
    """One line of a routing table."""

    def __init__(
        self, prefix: bytes, prefix_length: int, interface: Interface | None, gateway: bytes
    ) -> None:
        self.prefix = prefix
        self.prefix_length = prefix_length
        self.interface = interface
        self.gateway = gateway  # empty: on link
        self.kind = UNICAST
        self.table = MAIN_TABLE
        self.metric = 0
        self.source = b""  # preferred source address
        self.mtu = 0  # 0: the interface's
        self.scope = 0  # rtm_scope
        self.protocol = PROTOCOL_BOOT  # rtm_protocol
        self.expires_ns = 0  # 0: never (RFC 4861, 6.3.4; RFC 4191)


class Route:
    """The way to one destination, as `Stack.find_route` found it; valid until `Stack.is_stale`.

    Kept by connected endpoints; the network layer keeps the next hop's
    neighbour entry in it, so that sending needs no look-up.  Several users
    share one object.
    """

    def __init__(
        self, interface: Interface, source: bytes, destination: bytes, next_hop: bytes
    ) -> None:
        self.interface = interface
        self.source = source
        self.destination = destination
        self.next_hop = next_hop  # the destination itself when it is on link
        self.version = 4 if len(destination) == 4 else 6
        self.kind = UNICAST
        self.mtu = 0  # of the path: the largest packet; lowered by path MTU discovery
        self.generation = 0  # of the routing table; another one means: find it again
        self.entry: RouteEntry | None = None  # None: the interface was given, not looked up
        self.neighbour: Neighbour | None = None  # the network layer's
        self.head = b""  # the last plain header, and what it says
        self.head_key = -1


class Rule:
    """Which table to look into (ip-rule(8))."""

    def __init__(self, priority: int, table: int) -> None:
        self.priority = priority
        self.table = table
        self.source = b""
        self.source_length = 0
        self.destination = b""
        self.destination_length = 0
        # Interfaces by name, as given, and by index: 0: any, -1: there was none of that name.
        self.output_name = ""
        self.interface_index = 0  # output interface (oif)
        self.input_name = ""
        self.input_index = 0  # of a packet on its way through; 1 for what this host sends
        self.refusal: RouteEntry | None = None  # blackhole, unreachable, prohibit: no table
        self.mark = 0
        self.mark_mask = 0  # 0: any mark

    def matches(
        self, destination: bytes, source: bytes, interface_index: int, mark: int, input_index: int
    ) -> bool:
        """Return whether the rule's table is to be asked."""
        return (
            mark & self.mark_mask == self.mark & self.mark_mask
            and (not self.interface_index or self.interface_index == interface_index)
            and (not self.input_index or self.input_index == input_index)
            and in_prefix(source, self.source, self.source_length)
            and in_prefix(destination, self.destination, self.destination_length)
        )


def masked(address: bytes, length: int) -> bytes:
    """Return the first `length` bits of an address, the rest zero."""
    bits = len(address) * 8
    value = int.from_bytes(address, "big") >> (bits - length) << (bits - length)
    return value.to_bytes(len(address), "big")


def in_prefix(address: bytes, prefix: bytes, length: int) -> bool:
    """Return whether an address belongs to a prefix; every address belongs to length 0."""
    if length == 0:
        return True
    return len(address) == len(prefix) and masked(address, length) == masked(prefix, length)


class RouteTable:
    """One table of one address family: by prefix length, then by prefix, then by metric."""

    def __init__(self) -> None:
        self.lengths: dict[int, dict[bytes, list[RouteEntry]]] = {}
        self.order: list[int] = []  # the lengths in use, longest first

    def add(self, entry: RouteEntry, *, append: bool = False) -> None:
        """Enter a route; NetError(EXISTS) if one with the same prefix and metric is there."""
        by_prefix = self.lengths.get(entry.prefix_length)
        if by_prefix is None:
            by_prefix = {}
            self.lengths[entry.prefix_length] = by_prefix
            self.order = sorted(self.lengths, reverse=True)
        entries = by_prefix.setdefault(entry.prefix, [])
        position = 0
        for other in entries:
            if other.metric > entry.metric:
                break
            if other.metric == entry.metric and not append:
                raise NetError(EXISTS)
            position += 1
        entries.insert(position, entry)

    def remove(self, entry: RouteEntry) -> None:
        """Remove a route; NetError(NOT_FOUND) if it is not there."""
        by_prefix = self.lengths.get(entry.prefix_length)
        entries = by_prefix.get(entry.prefix) if by_prefix is not None else None
        if by_prefix is None or entries is None or entry not in entries:
            raise NetError(NOT_FOUND)
        entries.remove(entry)
        if not entries:
            del by_prefix[entry.prefix]
        if not by_prefix:
            del self.lengths[entry.prefix_length]
            self.order = sorted(self.lengths, reverse=True)

    def lookup(self, destination: bytes, interface_index: int) -> RouteEntry | None:
        """Return the longest match, of the lowest metric, through an interface if one is given."""
        for length in self.order:
            entries = self.lengths[length].get(masked(destination, length))
            if entries is None:
                continue
            for entry in entries:
                if (
                    not interface_index
                    or entry.interface is None
                    or entry.interface.index == interface_index
                ):
                    return entry
        return None

    def entries(self) -> list[RouteEntry]:
        """Return all routes, longest prefixes first."""
        return [
            entry
            for length in self.order
            for entries in self.lengths[length].values()
            for entry in entries
        ]


class Routing:
    """All tables and rules of one address family."""

    def __init__(self) -> None:
        self.tables: dict[int, RouteTable] = {
            LOCAL_TABLE: RouteTable(),
            MAIN_TABLE: RouteTable(),
            DEFAULT_TABLE: RouteTable(),
        }
        self.rules: list[Rule] = [
            Rule(0, LOCAL_TABLE),
            Rule(32766, MAIN_TABLE),
            Rule(32767, DEFAULT_TABLE),
        ]

    def add_rule(self, rule: Rule) -> None:
        """Enter a rule behind those of the same priority."""
        position = 0
        while position < len(self.rules) and self.rules[position].priority <= rule.priority:
            position += 1
        self.rules.insert(position, rule)

    def add(self, entry: RouteEntry, *, append: bool = False) -> None:
        """Enter a route into its table."""
        table = self.tables.get(entry.table)
        if table is None:
            table = RouteTable()
            self.tables[entry.table] = table
        table.add(entry, append=append)

    def remove(self, entry: RouteEntry) -> None:
        """Remove a route from its table."""
        table = self.tables.get(entry.table)
        if table is None:
            raise NetError(NOT_FOUND)
        table.remove(entry)

    def lookup(
        self,
        destination: bytes,
        source: bytes = b"",
        interface_index: int = 0,
        mark: int = 0,
        input_index: int = LOOPBACK_INDEX,
    ) -> RouteEntry | None:
        """Return the route that the rules lead to.

        `input_index` is the interface that a packet to be forwarded came by.
        """
        for rule in self.rules:
            if not rule.matches(destination, source, interface_index, mark, input_index):
                continue
            if rule.refusal is not None:
                return rule.refusal
            table = self.tables.get(rule.table)
            entry = table.lookup(destination, interface_index) if table is not None else None
            if entry is not None and entry.kind != THROW:
                return entry
        return None

    def local_kind(self, address: bytes) -> int:
        """Return what the local table says of an address: LOCAL, BROADCAST, or 0."""
        entry = self.tables[LOCAL_TABLE].lookup(address, 0)
        return entry.kind if entry is not None else 0

    def remove_interface(self, interface: Interface) -> list[RouteEntry]:
        """Remove the routes through an interface, and return them."""
        removed = []
        for table in self.tables.values():
            for entry in table.entries():
                if entry.interface is interface:
                    table.remove(entry)
                    removed.append(entry)
        return removed
