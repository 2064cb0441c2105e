"""Connection tracking: which packets belong together (conntrack as iptables-extensions(8) has it).

A connection is known by two tuples: that of its first packet, and that of the answers.  Address
translation changes the second before the connection is *confirmed*, that is, before its first
packet has passed all rules; until then nobody finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.environment import Environment, Timer
from netstack.filter import tcp_states as tcp
from netstack.filter.passage import (
    ESTABLISHED,
    ICMP,
    ICMPV6,
    NEW,
    RELATED,
    TCP,
    UDP,
    UNTRACKED,
    Passage,
    upper_layer,
)
from netstack.packet import CHECKSUM_GOOD
from netstack.wire import icmp4, icmp6, ipv4, ipv6
from netstack.wire.checksum import checksum, pseudo_header

if TYPE_CHECKING:
    from netstack.packet import InPacket

Tuple = tuple[bytes, bytes, int, int, int]
"""Source, destination, protocol, source port, destination port.

For ICMP the ports are the identification, and type and code.  IPv6 has its own protocol of that
kind, so tuples of the two versions differ.
"""

SECOND: Final = 1_000_000_000
MAX_CONNECTIONS: Final = 16384
SWEEP_NS: Final = 30 * SECOND
# How many of the oldest are looked at for one to give up when the table is full.
EARLY_DROP: Final = 32

# nf_conntrack_*_timeout, seconds.
UDP_TIMEOUT: Final = 30
UDP_STREAM_TIMEOUT: Final = 120
# Datagrams both ways are a stream from then on, in seconds after the first of them.
STREAM_AFTER: Final = 2
# Of a connection of TCP that began before anybody looked, until there is an answer.
TCP_UNACKNOWLEDGED_TIMEOUT: Final = 300
ICMP_TIMEOUT: Final = 30
GENERIC_TIMEOUT: Final = 600

# Requests and answers of ICMP.
ANSWERS: Final = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}
ANSWERS6: Final = {icmp6.ECHO_REQUEST: icmp6.ECHO_REPLY, icmp6.ECHO_REPLY: icmp6.ECHO_REQUEST}
REQUESTS: Final = (8, 13, 15, 17)
REQUESTS6: Final = (icmp6.ECHO_REQUEST,)
# What hosts of one link say to each other is no connection (nf_conntrack_icmpv6_init).
UNTRACKED6: Final = (130, 131, 132, 133, 134, 135, 136, 137, 143)

# enum ip_conntrack_status, linux/netfilter/nf_conntrack_common.h.
SEEN_REPLY: Final = 1 << 1
ASSURED: Final = 1 << 2
CONFIRMED: Final = 1 << 3
SRC_NAT: Final = 1 << 4
DST_NAT: Final = 1 << 5
SRC_NAT_DONE: Final = 1 << 7
DST_NAT_DONE: Final = 1 << 8


class Connection:
    """Packets both ways between two."""

    def __init__(self, environment: Environment, original: Tuple) -> None:
        self.environment = environment
        self.original = original
        self.reply = inverted(original)
        self.expires_ns = 0
        self.tcp = tcp.TcpState()
        self.stream_ns = environment.now_ns() + STREAM_AFTER * SECOND
        self.mark = 0
        self.ident = 0  # which of all connections
        self.has_reply = False
        self.is_assured = False  # not the first to go when the table is full
        self.is_confirmed = False
        self.is_dead = False
        # Address translation: what was changed, and what was decided for good.
        self.is_source_changed = False
        self.is_destination_changed = False
        self.is_source_done = False
        self.is_destination_done = False

    def status_bits(self) -> int:
        """Return IPS_ bits."""
        return (
            (SEEN_REPLY if self.has_reply else 0)
            | (ASSURED if self.is_assured else 0)
            | (CONFIRMED if self.is_confirmed else 0)
            | (SRC_NAT if self.is_source_changed else 0)
            | (DST_NAT if self.is_destination_changed else 0)
            | (SRC_NAT_DONE if self.is_source_done else 0)
            | (DST_NAT_DONE if self.is_destination_done else 0)
        )

    def seconds_left(self) -> int:
        """Return for how long the connection is remembered without another packet."""
        return max(self.expires_ns - self.environment.now_ns(), 0) // SECOND


def inverted(item: Tuple) -> Tuple:
    """Return the tuple of answers."""
    source, destination, protocol, source_port, destination_port = item
    if protocol in {ICMP, ICMPV6}:
        answers = ANSWERS if protocol == ICMP else ANSWERS6
        kind = answers.get(destination_port >> 8, destination_port >> 8)
        return destination, source, protocol, source_port, kind << 8 | destination_port & 0xFF
    return destination, source, protocol, destination_port, source_port


def tuple_at(data: bytes, network: int, end: int) -> Tuple | None:
    """Return the tuple of the packet at `network`; None if it is cut off or a later fragment."""
    if end - network < ipv4.HEADER_LENGTH:
        return None
    version = data[network] >> 4
    if version == 6 and end - network >= ipv6.HEADER_SIZE:
        source = data[network + 8 : network + 24]
        destination = data[network + 24 : network + 40]
    elif version == 4 and data[network] & 0x0F >= 5:
        source = data[network + 12 : network + 16]
        destination = data[network + 16 : network + 20]
    else:
        return None
    protocol, transport, offset = upper_layer(data, network, end)
    if offset:
        return None
    if protocol in {TCP, UDP}:
        if end - transport < 8:
            return None
        ports = int.from_bytes(data[transport : transport + 4], "big")
        return source, destination, protocol, ports >> 16, ports & 0xFFFF
    if protocol == (ICMP if version == 4 else ICMPV6):
        if end - transport < 8:
            return None
        ident = (data[transport + 4] << 8) | data[transport + 5]
        kind = (data[transport] << 8) | data[transport + 1]
        return source, destination, protocol, ident, kind
    return source, destination, protocol, 0, 0


class ConnectionTable(Timer):
    """The connections of one stack."""

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.environment = environment
        self.connections: dict[Tuple, Connection] = {}  # by both tuples
        self.order: dict[Connection, None] = {}  # oldest first
        self.limit = MAX_CONNECTIONS
        self.drops = 0  # packets for which there was no room
        self._last_ident = 0

    def find(self, item: Tuple) -> Connection | None:
        """Return the connection that a packet belongs to."""
        found = self.connections.get(item)
        if found is not None and found.expires_ns <= self.environment.now_ns():
            self.remove(found)
            return None
        return found

    def track(self, passage: Passage) -> None:
        """Set a packet's connection and state; a packet that fits nowhere is INVALID."""
        if passage.state == UNTRACKED or passage.connection is not None:
            return
        if passage.is_icmp_error():
            self._track_error(passage)
            return
        item = tuple_at(passage.data, passage.network, passage.end)
        if item is None or not _is_sound(passage):
            return
        if item[2] == ICMPV6 and item[4] >> 8 in UNTRACKED6:
            passage.state = UNTRACKED
            return
        connection = self.find(item)
        is_reply = connection is not None and item != connection.original
        if connection is None:
            connection = Connection(self.environment, item)
        if not self._advance(connection, passage, is_reply=is_reply):
            return
        passage.connection = connection
        passage.is_reply = is_reply
        if is_reply:
            connection.has_reply = True
        passage.state = ESTABLISHED if connection.has_reply else NEW

    def _track_error(self, passage: Passage) -> None:
        if not _is_sound(passage):
            return
        quoted = tuple_at(passage.data, passage.transport + 8, passage.end)
        if quoted is None:
            return
        answers = inverted(quoted)
        connection = self.find(answers)
        if connection is not None:
            passage.connection = connection
            passage.state = RELATED
            passage.is_reply = answers != connection.original

    def _advance(self, connection: Connection, passage: Passage, *, is_reply: bool) -> bool:
        """Note a packet of a connection; False if it cannot be one of it."""
        protocol = passage.protocol
        if protocol == TCP:
            if not passage.has_transport(20):
                return False
            flags = passage.data[passage.transport + 13]
            if not connection.tcp.take(flags, is_reply=is_reply):
                return False
            seconds = connection.tcp.timeout()
            if connection.tcp.state == tcp.ESTABLISHED:
                if connection.has_reply:
                    connection.is_assured = True
                else:
                    seconds = TCP_UNACKNOWLEDGED_TIMEOUT
        elif protocol == UDP:
            seconds = UDP_TIMEOUT
            if connection.has_reply and self.environment.now_ns() > connection.stream_ns:
                seconds = UDP_STREAM_TIMEOUT
                connection.is_assured = True
        elif protocol in {ICMP, ICMPV6}:
            requests = REQUESTS if protocol == ICMP else REQUESTS6
            if not connection.is_confirmed and connection.original[4] >> 8 not in requests:
                return False
            seconds = ICMP_TIMEOUT
        else:
            seconds = GENERIC_TIMEOUT
        connection.expires_ns = self.environment.now_ns() + seconds * SECOND
        return True

    def is_taken(self, item: Tuple) -> bool:
        """Return whether answers with a tuple belong to a connection already."""
        return self.find(item) is not None

    def confirm(self, passage: Passage) -> bool:
        """A packet has passed all rules: remember its connection.  False: drop the packet."""
        connection = passage.connection
        if connection is None or connection.is_confirmed or passage.is_reply:
            return True
        if self.is_taken(connection.original) or self.is_taken(connection.reply):
            return False  # another packet of the same was faster
        if len(self.order) >= self.limit and not self._make_room():
            self.drops += 1
            return False
        connection.is_confirmed = True
        self._last_ident = self._last_ident % 0xFFFF_FFFF + 1
        connection.ident = self._last_ident
        self.connections[connection.original] = connection
        self.connections[connection.reply] = connection
        self.order[connection] = None
        if not self.deadline_ns:
            self.environment.arm(self, self.environment.now_ns() + SWEEP_NS)
        return True

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        if connection.is_dead:
            return
        connection.is_dead = True
        for item in (connection.original, connection.reply):
            if self.connections.get(item) is connection:
                del self.connections[item]
        self.order.pop(connection, None)

    def clear(self) -> None:
        """Forget all."""
        for connection in list(self.order):
            self.remove(connection)
        self.environment.disarm(self)

    def _make_room(self) -> bool:
        now = self.environment.now_ns()
        victim: Connection | None = None
        for seen, connection in enumerate(self.order):
            if connection.expires_ns <= now or not connection.is_assured:
                victim = connection
                break
            if seen >= EARLY_DROP:
                break
        if victim is None:
            return False
        self.remove(victim)
        return True

    def fire(self) -> None:
        """Forget what has expired."""
        now = self.environment.now_ns()
        for connection in [one for one in self.order if one.expires_ns <= now]:
            self.remove(connection)
        if self.order:
            self.environment.arm(self, now + SWEEP_NS)


def _is_sound(passage: Passage) -> bool:
    """Return whether the checksum of an ICMP message that came from outside is right."""
    arrived: InPacket | None = passage.arrived
    if passage.protocol not in {ICMP, ICMPV6} or arrived is None:
        return True
    size = passage.end - passage.transport
    if size < icmp4.HEADER_LENGTH:
        return False
    total = 0
    if passage.version == 6:
        if arrived.checksum == CHECKSUM_GOOD:
            return True
        total = pseudo_header(passage.source, passage.destination, ICMPV6, size)
    return not checksum(passage.data[passage.transport : passage.end], total)
