"""Network address translation: which addresses a connection gets, and rewriting its packets."""

from __future__ import annotations

from typing import Final

from netstack.environment import Environment
from netstack.filter.conntrack import Connection, ConnectionTable, Tuple, inverted
from netstack.filter.passage import (
    ICMP,
    ICMPV6,
    LOCAL_OUT,
    PRE_ROUTING,
    RELATED,
    TCP,
    UDP,
    Passage,
)

# How many ports are tried before a connection is given up.
MAX_ATTEMPTS: Final = 128


class Range:
    """What addresses and ports may become."""

    def __init__(self) -> None:
        self.low = b""  # empty: addresses stay
        self.high = b""
        self.has_ports = False
        self.low_port = 0
        self.high_port = 0
        self.is_random = False
        self.is_persistent = False
        self.base_port = -1  # ports keep their distance from this one


def changes_destination(hook: int) -> bool:
    """Return whether it is destinations that a hook translates, else sources."""
    return hook in {PRE_ROUTING, LOCAL_OUT}


def is_done(connection: Connection, *, destination: bool) -> bool:
    """Return whether it is decided what becomes of the connection's addresses."""
    return connection.is_destination_done if destination else connection.is_source_done


class Translator:
    """Translates for one table of connections."""

    def __init__(self, environment: Environment, table: ConnectionTable) -> None:
        self.environment = environment
        self.table = table

    # The first packet of a connection.

    def set_up(self, connection: Connection, wanted: Range, *, destination: bool) -> bool:
        """Decide a connection's translation; False if there is no tuple left for it."""
        current = inverted(connection.reply)
        made = self._unique(current, wanted, destination=destination)
        if made is None:
            return False
        if made != current:
            connection.reply = inverted(made)
            if destination:
                connection.is_destination_changed = True
            else:
                connection.is_source_changed = True
        if destination:
            connection.is_destination_done = True
        else:
            connection.is_source_done = True
        return True

    def _unique(self, current: Tuple, wanted: Range, *, destination: bool) -> Tuple | None:
        host = current[1] if destination else current[0]
        if wanted.low:
            host = self._choose_host(current, wanted, host, destination=destination)
        item = with_host(current, host, destination=destination)
        protocol = item[2]
        is_icmp = protocol in {ICMP, ICMPV6}
        if (is_icmp and destination) or protocol not in {TCP, UDP, ICMP, ICMPV6}:
            return item if self._is_free(item) else None
        port = item[4] if destination else item[3]
        if wanted.has_ports and not is_icmp:
            if wanted.base_port >= 0:
                port = wanted.low_port + port - wanted.base_port & 0xFFFF
                return with_port(item, port, destination=destination)
            low, high = wanted.low_port, wanted.high_port
            if low <= port <= high and not wanted.is_random:
                if low == high or self._is_free(item):
                    return item
            if low == high:
                item = with_port(item, low, destination=destination)
                return item if self._is_free(item) or destination else None
        else:
            if not wanted.is_random and self._is_free(item):
                return item
            if destination:
                return None
            low, high = usual_ports(port, is_icmp=is_icmp)
        return self._search(item, low, high, destination=destination)

    def _search(self, item: Tuple, low: int, high: int, *, destination: bool) -> Tuple | None:
        count = high - low + 1
        start = int.from_bytes(self.environment.random_bytes(2), "big")
        for step in range(min(count, MAX_ATTEMPTS)):
            candidate = with_port(item, low + (start + step) % count, destination=destination)
            if self._is_free(candidate):
                return candidate
        return None

    def _is_free(self, item: Tuple) -> bool:
        return not self.table.is_taken(inverted(item))

    def _choose_host(
        self, current: Tuple, wanted: Range, host: bytes, *, destination: bool
    ) -> bytes:
        """Return one address of a range: the same for the same pair of hosts."""
        if wanted.low <= host <= wanted.high:
            return host
        low = int.from_bytes(wanted.low, "big")
        count = int.from_bytes(wanted.high, "big") - low + 1
        if count <= 1:
            return wanted.low
        key = int.from_bytes(current[0], "big")
        if not wanted.is_persistent:
            key = key * 31 + int.from_bytes(current[1], "big")
        place = low + key * 0x9E3779B1 % (1 << 32) * count // (1 << 32)
        return place.to_bytes(len(wanted.low), "big")

    # Every packet.

    def rewrite(self, passage: Passage, hook: int) -> None:
        """Give a packet the addresses that its connection has on the other side of the hook."""
        connection = passage.connection
        if connection is None:
            return
        destination = changes_destination(hook)
        if destination != passage.is_reply:
            changed = connection.is_destination_changed
        else:
            changed = connection.is_source_changed
        if not changed:
            return
        other = connection.original if passage.is_reply else connection.reply
        if passage.state == RELATED and passage.is_icmp_error():
            # The quoted packet went the other way.
            if destination:
                passage.set_quoted(is_source=True, host=other[0], port=other[3])
            else:
                passage.set_quoted(is_source=False, host=other[1], port=quoted_port(other))
        target = inverted(other)
        if destination:
            passage.set_destination(target[1], quoted_port(target))
        else:
            passage.set_source(target[0], target[3])


def quoted_port(item: Tuple) -> int:
    """Return what is to be in the place of the destination port (of ICMP the identification)."""
    return item[3] if item[2] in {ICMP, ICMPV6} else item[4]


def with_host(item: Tuple, host: bytes, *, destination: bool) -> Tuple:
    """Return a tuple with another address."""
    if destination:
        return item[0], host, item[2], item[3], item[4]
    return host, item[1], item[2], item[3], item[4]


def with_port(item: Tuple, port: int, *, destination: bool) -> Tuple:
    """Return a tuple with another port."""
    if destination:
        return item[0], item[1], item[2], item[3], port
    return item[0], item[1], item[2], port, item[4]


def usual_ports(port: int, *, is_icmp: bool) -> tuple[int, int]:
    """Return the range that a source port stays in when it must change (iptables-extensions(8))."""
    if is_icmp:
        return 0, 0xFFFF
    if port < 512:
        return 1, 511
    if port < 1024:
        return 600, 1023
    return 1024, 0xFFFF
