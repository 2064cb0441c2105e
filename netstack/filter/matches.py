"""Conditions of rules (iptables(8), iptables-extensions(8))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.environment import Environment
from netstack.filter.passage import NO_ID, UNTRACKED, Passage
from netstack.filter.table import Match
from netstack.interface import Interface

if TYPE_CHECKING:
    from netstack.filter.conntrack import Connection
    from netstack.network import NetworkProtocol

NAME_SIZE: Final = 16  # of an interface's name: IFNAMSIZ
# Protocols whose headers begin with ports.
WITH_PORTS: Final = (6, 17, 33, 132, 136)


class HeaderMatch(Match):
    """Addresses, protocol and interfaces: what every rule has."""

    def __init__(self) -> None:
        self.source = 0
        self.source_mask = 0
        self.not_source = False
        self.destination = 0
        self.destination_mask = 0
        self.not_destination = False
        self.protocol = 0  # 0: any
        self.not_protocol = False
        # Names of interfaces, 16 bytes, as numbers; bits of the mask count.
        self.input_name = 0
        self.input_mask = 0
        self.not_input = False
        self.output_name = 0
        self.output_mask = 0
        self.not_output = False
        self.later_fragments = False  # only those
        self.not_fragments = False

    def matches(self, passage: Passage) -> bool:
        if self.source_mask or self.not_source:
            same = int.from_bytes(passage.source, "big") & self.source_mask == self.source
            if same == self.not_source:
                return False
        if self.destination_mask or self.not_destination:
            address = int.from_bytes(passage.destination, "big")
            if (address & self.destination_mask == self.destination) == self.not_destination:
                return False
        if self.protocol and (passage.protocol == self.protocol) == self.not_protocol:
            return False
        if self.input_mask or self.not_input:
            is_it = is_named(passage.input, self.input_name, self.input_mask)
            if is_it == self.not_input:
                return False
        if self.output_mask or self.not_output:
            is_it = is_named(passage.output, self.output_name, self.output_mask)
            if is_it == self.not_output:
                return False
        if self.later_fragments or self.not_fragments:
            return (passage.offset != 0) != self.not_fragments
        return True


def is_named(interface: Interface | None, name: int, mask: int) -> bool:
    """Return whether an interface has a name as far as the mask goes; no interface has none."""
    own = 0
    if interface is not None:
        own = int.from_bytes(interface.name.encode()[:NAME_SIZE].ljust(NAME_SIZE, b"\0"), "big")
    return (own ^ name) & mask == 0


class PortMatch(Match):
    """Source and destination ports of TCP or UDP: `tcp`, `udp`."""

    def __init__(self, source: tuple[int, int], destination: tuple[int, int]) -> None:
        self.source = source
        self.destination = destination
        self.not_source = False
        self.not_destination = False

    def matches(self, passage: Passage) -> bool:
        if not passage.has_transport(8):
            return False
        low, high = self.source
        if (low <= passage.word(0) <= high) == self.not_source:
            return False
        low, high = self.destination
        return (low <= passage.word(2) <= high) != self.not_destination


class TcpMatch(PortMatch):
    """The same with flags and an option."""

    def __init__(self, source: tuple[int, int], destination: tuple[int, int]) -> None:
        super().__init__(source, destination)
        self.flags_mask = 0
        self.flags = 0
        self.not_flags = False
        self.option = 0
        self.not_option = False

    def matches(self, passage: Passage) -> bool:
        if not super().matches(passage) or not passage.has_transport(20):
            return False
        flags = passage.data[passage.transport + 13]
        if (flags & self.flags_mask == self.flags) == self.not_flags:
            return False
        if self.option:
            return has_tcp_option(passage, self.option) != self.not_option
        return True


def has_tcp_option(passage: Passage, wanted: int) -> bool:
    """Return whether a TCP header has an option."""
    data, at = passage.data, passage.transport
    end = min(at + (data[at + 12] >> 4) * 4, passage.end)
    at += 20
    while at < end:
        kind = data[at]
        if kind == wanted:
            return True
        if kind < 2:
            at += 1
        else:
            at += max(data[at + 1], 1) if at + 1 < end else 1
    return False


class IcmpMatch(Match):
    """Type and code of an ICMP message; type 255 is any."""

    def __init__(self, kind: int, low: int, high: int, *, inverted: bool) -> None:
        self.kind = kind
        self.low = low
        self.high = high
        self.inverted = inverted

    def matches(self, passage: Passage) -> bool:
        if not passage.has_transport(4):
            return False
        kind, code = passage.data[passage.transport], passage.data[passage.transport + 1]
        same = self.kind == 0xFF or (kind == self.kind and self.low <= code <= self.high)
        return same != self.inverted


class Icmp6Match(IcmpMatch):
    """The same of ICMPv6, where 255 is a type like others."""

    def matches(self, passage: Passage) -> bool:
        if not passage.has_transport(4):
            return False
        kind, code = passage.data[passage.transport], passage.data[passage.transport + 1]
        same = kind == self.kind and self.low <= code <= self.high
        return same != self.inverted


class MultiportMatch(Match):
    """Several ports and ranges of them."""

    def __init__(
        self, ranges: list[tuple[int, int]], *, source: bool, destination: bool, inverted: bool
    ) -> None:
        self.ranges = ranges
        self.source = source
        self.destination = destination
        self.inverted = inverted

    def matches(self, passage: Passage) -> bool:
        if passage.protocol not in WITH_PORTS or not passage.has_transport(4):
            return False
        source, destination = passage.word(0), passage.word(2)
        found = False
        for low, high in self.ranges:
            if (self.source and low <= source <= high) or (
                self.destination and low <= destination <= high
            ):
                found = True
                break
        return found != self.inverted


class OwnerMatch(Match):
    """Who made the socket that sends the packet: ranges of users and groups."""

    def __init__(self) -> None:
        self.users: tuple[int, int] | None = None
        self.not_users = False
        self.groups: tuple[int, int] | None = None
        self.not_groups = False
        self.has_socket = False  # any socket at all
        self.not_socket = False

    def matches(self, passage: Passage) -> bool:
        if passage.user == NO_ID:
            # Without a socket only "not this one" holds, if all that is asked is negated.
            return not (
                (self.users is not None and not self.not_users)
                or (self.groups is not None and not self.not_groups)
                or (self.has_socket and not self.not_socket)
            )
        if self.has_socket and self.not_socket:
            return False
        if self.users is not None:
            low, high = self.users
            if (low <= passage.user <= high) == self.not_users:
                return False
        if self.groups is not None:
            low, high = self.groups
            return (low <= passage.group <= high) != self.not_groups
        return True


class MarkMatch(Match):
    """The mark of a packet (SO_MARK, the target MARK)."""

    def __init__(self, mark: int, mask: int, *, inverted: bool) -> None:
        self.mark = mark
        self.mask = mask
        self.inverted = inverted

    def matches(self, passage: Passage) -> bool:
        return (passage.mark & self.mask == self.mark) != self.inverted


class ConnmarkMatch(Match):
    """The mark of a packet's connection."""

    needs_tracking = True

    def __init__(self, mark: int, mask: int, *, inverted: bool) -> None:
        self.mark = mark
        self.mask = mask
        self.inverted = inverted

    def matches(self, passage: Passage) -> bool:
        connection = passage.connection
        if connection is None:
            return False
        return (connection.mark & self.mask == self.mark) != self.inverted


class CommentMatch(Match):
    """Something for who reads the rules."""

    def matches(self, passage: Passage) -> bool:
        return True


class LimitMatch(Match):
    """So many packets in a time, after a burst: a bucket of nanoseconds."""

    def __init__(self, environment: Environment, cost_ns: int, burst: int) -> None:
        self.environment = environment
        self.cost_ns = cost_ns
        self.capacity_ns = cost_ns * burst
        self.credit_ns = self.capacity_ns
        self.filled_ns = environment.now_ns()

    def matches(self, passage: Passage) -> bool:
        now = self.environment.now_ns()
        self.credit_ns = min(self.credit_ns + now - self.filled_ns, self.capacity_ns)
        self.filled_ns = now
        if self.credit_ns < self.cost_ns:
            return False
        self.credit_ns -= self.cost_ns
        return True


class AddressTypeMatch(Match):
    """What the routing tables say an address is; masks of 1 << RTN_ (rtnetlink(7))."""

    def __init__(self, network: NetworkProtocol, source: int, destination: int) -> None:
        self.network = network
        self.source = source
        self.destination = destination
        self.not_source = False
        self.not_destination = False
        self.only_input = False  # only addresses of the packet's own interface are local
        self.only_output = False

    def matches(self, passage: Passage) -> bool:
        if self.source and self._is(passage, passage.source, self.source) == self.not_source:
            return False
        if self.destination:
            return self._is(passage, passage.destination, self.destination) != self.not_destination
        return True

    def _is(self, passage: Passage, address: bytes, mask: int) -> bool:
        kind = self.network.address_type(address)
        if kind == 2 and (self.only_input or self.only_output):
            interface = passage.input if self.only_input else passage.output
            if interface is not None and not any(
                own.host == address for own in interface.addresses
            ):
                kind = 1
        return mask >> kind & 1 == 1


class StateMatch(Match):
    """The state of the packet's connection; a mask of 1 << state."""

    needs_tracking = True

    def __init__(self, mask: int) -> None:
        self.mask = mask

    def matches(self, passage: Passage) -> bool:
        return self.mask >> passage.state & 1 == 1


class Prefix:
    """An address under a mask, perhaps negated."""

    def __init__(self, address: int, mask: int, *, inverted: bool) -> None:
        self.address = address
        self.mask = mask
        self.inverted = inverted

    def has(self, host: bytes) -> bool:
        """Return whether an address is meant."""
        return (int.from_bytes(host, "big") & self.mask == self.address) != self.inverted


class PortRange:
    """A range of ports, perhaps negated."""

    def __init__(self, low: int, high: int, *, inverted: bool) -> None:
        self.low = low
        self.high = high
        self.inverted = inverted

    def has(self, port: int) -> bool:
        """Return whether a port is meant."""
        return (self.low <= port <= self.high) != self.inverted


# Bits of ConntrackMatch.states beyond those of states.
IS_SNAT: Final = 1 << (UNTRACKED + 1)
IS_DNAT: Final = 1 << (UNTRACKED + 2)


class ConntrackMatch(Match):
    """Everything that is known of a packet's connection."""

    needs_tracking = True

    def __init__(self) -> None:
        self.states = 0  # 0: any
        self.not_states = False
        self.status_mask = 0
        self.not_status = False
        self.direction = -1  # 0: original, 1: reply
        self.protocol = -1
        self.not_protocol = False
        self.expires: tuple[int, int] | None = None  # seconds
        self.not_expires = False
        # By place in the two tuples: original source and destination, reply's.
        self.prefixes: list[Prefix | None] = [None, None, None, None]
        self.ports: list[PortRange | None] = [None, None, None, None]

    def matches(self, passage: Passage) -> bool:
        connection = passage.connection
        if self.states:
            bits = 1 << passage.state
            if connection is not None:
                bits |= IS_SNAT if connection.is_source_changed else 0
                bits |= IS_DNAT if connection.is_destination_changed else 0
            if (self.states & bits != 0) == self.not_states:
                return False
        if connection is None:
            return self.states != 0
        if self.direction >= 0 and passage.is_reply != (self.direction == 1):
            return False
        return self._matches_tuples(connection) and self._matches_life(connection)

    def _matches_tuples(self, connection: Connection) -> bool:
        original, reply = connection.original, connection.reply
        if self.protocol >= 0 and (original[2] == self.protocol) == self.not_protocol:
            return False
        hosts = (original[0], original[1], reply[0], reply[1])
        numbers = (original[3], original[4], reply[3], reply[4])
        for place in range(4):
            prefix = self.prefixes[place]
            if prefix is not None and not prefix.has(hosts[place]):
                return False
            ports = self.ports[place]
            if ports is not None and not ports.has(numbers[place]):
                return False
        return True

    def _matches_life(self, connection: Connection) -> bool:
        if self.status_mask:
            if (connection.status_bits() & self.status_mask != 0) == self.not_status:
                return False
        if self.expires is not None:
            low, high = self.expires
            return (low <= connection.seconds_left() <= high) != self.not_expires
        return True
