"""The hooks of IPv4: where packets meet the tables, in Linux's order.

Raw rules come first, then connection tracking, mangle, translation of destinations, filter, and
translation of sources; a connection is confirmed when its first packet has passed everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.errors import PERMISSION, NetError
from netstack.filter.conntrack import Connection, ConnectionTable
from netstack.filter.nat import Range, Translator, changes_destination, is_done
from netstack.filter.passage import (
    FORWARD,
    HOOKS,
    LOCAL_IN,
    LOCAL_OUT,
    NEW,
    POST_ROUTING,
    PRE_ROUTING,
    RELATED,
    Passage,
)
from netstack.filter.table import ACCEPT, NO_RULE, Table
from netstack.packet import CHECKSUM_GOOD, InPacket, OutPacket
from netstack.route import Route
from netstack.wire import icmp4, ipv4
from netstack.wire import tcp as wire_tcp
from netstack.wire.checksum import checksum, pseudo_header

if TYPE_CHECKING:
    from netstack.interface import Interface
    from netstack.ip.ipv4 import Ipv4
    from netstack.stack import Stack

# Which hooks a table is for.
TABLE_HOOKS: Final[dict[str, tuple[int, ...]]] = {
    "filter": (LOCAL_IN, FORWARD, LOCAL_OUT),
    "nat": (PRE_ROUTING, LOCAL_IN, LOCAL_OUT, POST_ROUTING),
    "mangle": (PRE_ROUTING, LOCAL_IN, FORWARD, LOCAL_OUT, POST_ROUTING),
    "raw": (PRE_ROUTING, LOCAL_OUT),
}
UNCHANGED: Final = Range()  # a connection that no rule translates keeps its addresses if it can
TCP_CHECKSUM: Final = 16


class Filter4:
    """The rules of one stack; `Ipv4.filter` while there are any."""

    def __init__(self, stack: Stack, network: Ipv4) -> None:
        self.stack = stack
        self.network = network
        self.tables: dict[str, Table] = {}
        self.connections = ConnectionTable(stack.environment)
        self.translator = Translator(stack.environment, self.connections)
        self.tracks = False
        self.drops = [0] * HOOKS  # packets, by hook
        # The connection of the packet that is answered just now, and the answer's direction.
        self._answering: Connection | None = None
        self._answers_reply = False

    def set_table(self, table: Table) -> None:
        """Use a table from now on, in place of the one of its name."""
        self.tables[table.name] = table
        self.tracks = any(one.needs_tracking for one in self.tables.values())
        if not self.tracks:
            self.connections.clear()
        self.network.filter = self

    # Packets in.

    def prerouting(self, packet: InPacket) -> InPacket | None:
        """Take a packet that came in; return it as it goes on, or None: dropped, or a fragment."""
        if self.tracks and packet.is_fragment():
            whole = self.network.reassemble(packet)
            if whole is None:
                return None
            packet = whole
        passage = packet.passage
        if passage is None:
            passage = Passage(packet.data, packet.network, 0)
        else:
            passage = returned(passage, packet)  # by the loopback device
        passage.end = packet.end
        passage.arrived = packet
        passage.input = packet.interface
        packet.passage = passage
        if not (
            self._run("raw", passage, PRE_ROUTING)
            and self._track(passage)
            and self._run("mangle", passage, PRE_ROUTING)
            and self._translate(passage, PRE_ROUTING)
        ):
            self.drops[PRE_ROUTING] += 1
            return None
        take_over(packet, passage)
        return packet

    def local_in(self, packet: InPacket) -> bool:
        """Return whether a whole packet for this host may be delivered."""
        passage = self._passage_of(packet)
        passage.output = None
        if (
            self._run("mangle", passage, LOCAL_IN)
            and self._run("filter", passage, LOCAL_IN)
            and self._translate(passage, LOCAL_IN)
            and self.connections.confirm(passage)
        ):
            take_over(packet, passage)
            return True
        self.drops[LOCAL_IN] += 1
        return False

    def _passage_of(self, packet: InPacket) -> Passage:
        passage = packet.passage
        if passage is None or passage.arrived is not packet:
            # Put together from fragments, which nobody tracks; or the rules are new.
            made = Passage(packet.data, packet.network, 0)
            made.mark = passage.mark if passage is not None else 0
            made.end = packet.end
            made.arrived = packet
            made.input = packet.interface
            packet.passage = passage = made
        return passage

    def forward(self, packet: InPacket, output: Interface) -> bool:
        """Return whether a packet may be sent on by an interface."""
        passage = self._passage_of(packet)
        passage.data = packet.data
        passage.output = output
        if not self._run("mangle", passage, FORWARD) or not self._run("filter", passage, FORWARD):
            self.drops[FORWARD] += 1
            return False
        passage.input = None
        if not self._leave(passage):
            return False
        take_over(packet, passage)
        return True

    # Packets out.

    def local_out(self, passage: Passage, route: Route) -> Route:
        """Pass a packet of this host's; return the way it takes.  NetError(PERMISSION) if none."""
        passage.output = route.interface
        if self._answering is not None:
            passage.connection = self._answering
            passage.is_reply = self._answers_reply
            passage.state = RELATED
        mark = passage.mark
        destination = passage.destination
        if not (
            self._run("raw", passage, LOCAL_OUT)
            and self._track(passage)
            and self._run("mangle", passage, LOCAL_OUT)
            and self._translate(passage, LOCAL_OUT)
        ):
            self.drops[LOCAL_OUT] += 1
            raise NetError(PERMISSION)
        if passage.destination != destination or passage.mark != mark:
            route = self.stack.find_route(passage.destination, passage.source, 0, passage.mark)
            passage.output = route.interface
        if not self._run("filter", passage, LOCAL_OUT):
            self.drops[LOCAL_OUT] += 1
            raise NetError(PERMISSION)
        if not self._leave(passage):
            raise NetError(PERMISSION)
        return route

    def _leave(self, passage: Passage) -> bool:
        if (
            self._run("mangle", passage, POST_ROUTING)
            and self._translate(passage, POST_ROUTING)
            and self.connections.confirm(passage)
        ):
            return True
        self.drops[POST_ROUTING] += 1
        return False

    # The parts.

    def _run(self, name: str, passage: Passage, hook: int) -> bool:
        table = self.tables.get(name)
        return table is None or table.run(passage, hook) == ACCEPT

    def _track(self, passage: Passage) -> bool:
        if self.tracks:
            self.connections.track(passage)
        return True

    def _translate(self, passage: Passage, hook: int) -> bool:
        """Decide what becomes of a new connection's addresses, and rewrite the packet."""
        connection = passage.connection
        table = self.tables.get("nat")
        if connection is None or table is None:
            return True
        destination = changes_destination(hook)
        if passage.state == NEW and not is_done(connection, destination=destination):
            if table.entries[hook] != NO_RULE and table.run(passage, hook) != ACCEPT:
                return False
            if not is_done(connection, destination=destination):
                if not self.translator.set_up(connection, UNCHANGED, destination=destination):
                    return False
        self.translator.rewrite(passage, hook)
        return True

    # Answers of REJECT.

    def send_unreachable(self, passage: Passage, code: int) -> None:
        """Tell the sender of a packet that its destination cannot be reached."""
        about = passage.arrived
        if about is None:
            if passage.output is None:
                return
            about = as_packet(passage, passage.output)
        self._answer_for(passage)
        self.network.icmp.send_error(about, icmp4.DEST_UNREACH, code, 0)
        self._answering = None

    def send_reset(self, passage: Passage) -> None:
        """Answer a TCP segment with a RST (RFC 9293, 3.10.7.1)."""
        if passage.protocol != ipv4.TCP or not passage.has_transport(20):
            return
        data, at = passage.data, passage.transport
        flags = data[at + 13]
        if flags & wire_tcp.RST or not self._has_good_sum(passage):
            return
        ack = int.from_bytes(data[at + 8 : at + 12], "big")
        if flags & wire_tcp.ACK:
            seq, ack, answer = ack, 0, wire_tcp.RST
        else:
            begin = int.from_bytes(data[at + 4 : at + 8], "big")
            length = passage.size() - (at - passage.network) - (data[at + 12] >> 4) * 4
            length += (flags & wire_tcp.SYN != 0) + (flags & wire_tcp.FIN != 0)
            seq, ack, answer = 0, begin + length, wire_tcp.RST | wire_tcp.ACK
        header = wire_tcp.build(passage.word(2), passage.word(0), seq, ack, answer, 0, 0, b"")
        out = OutPacket(ipv4.TCP, header, b"")
        out.checksum_offset = TCP_CHECKSUM
        out.dont_fragment = True
        self._answer_for(passage)
        try:
            route = self.stack.find_route(passage.source, passage.destination)
            self.network.send(route, out)
        except NetError:
            self.network.counters.OutDiscards += 1  # no way back to the sender
        self._answering = None

    def _answer_for(self, passage: Passage) -> None:
        self._answering = passage.connection
        self._answers_reply = not passage.is_reply

    def _has_good_sum(self, passage: Passage) -> bool:
        """Return whether a segment's checksum is right, or was verified, or is our own."""
        arrived = passage.arrived
        if arrived is None or arrived.checksum == CHECKSUM_GOOD:
            return True
        size = passage.end - passage.transport
        total = pseudo_header(passage.source, passage.destination, passage.protocol, size)
        return not checksum(passage.data[passage.transport : passage.end], total)


def returned(sent: Passage, packet: InPacket) -> Passage:
    """Return the passage of a packet that this host sent to itself: what is known stays known."""
    made = Passage(packet.data, packet.network, 0)
    made.mark = sent.mark
    made.connection = sent.connection
    made.state = sent.state
    made.is_reply = sent.is_reply
    return made


def as_packet(passage: Passage, interface: Interface) -> InPacket:
    """Return a packet of ours as one that came in, for an answer."""
    about = InPacket(interface, passage.data)
    about.version = 4
    about.network = passage.network
    about.transport = passage.transport
    about.end = passage.end
    about.protocol = passage.protocol
    about.source = passage.source
    about.destination = passage.destination
    about.tos = passage.data[passage.network + 1]
    about.ttl = passage.data[passage.network + 8]
    return about


def take_over(packet: InPacket, passage: Passage) -> None:
    """Give a packet what rules made of it."""
    if packet.data is not passage.data:
        packet.data = passage.data
        packet.source = passage.source
        packet.destination = passage.destination
    packet.mark = passage.mark


def outgoing(header: bytes, payload: bytes, transport: int) -> tuple[Passage, bytes]:
    """Return the passage of a packet of ours, and that part of it which is not in it.

    `header` has the IP header, of `transport` bytes, and perhaps the transport header.
    """
    protocol = header[9]
    needed = transport + (20 if protocol == ipv4.TCP else 8)
    if payload and (len(header) < needed or protocol == ipv4.ICMP):
        header += payload
        payload = b""
    return Passage(header, 0, len(payload)), payload
