"""The hooks of IP: where packets meet rules, in the order of Linux's priorities.

At each hook there are steps in ascending priority: tables of iptables, chains of nf_tables,
connection tracking, translation.  A connection is confirmed when its first packet has passed
everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from netstack.errors import PERMISSION, NetError
from netstack.filter import answers
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
from netstack.filter.table import ACCEPT, DROP, Table
from netstack.packet import InPacket
from netstack.route import Route
from netstack.wire.address6 import is_link_local

if TYPE_CHECKING:
    from netstack.interface import Interface
    from netstack.network import NetworkProtocol
    from netstack.stack import Stack

# Which hooks a table of iptables is for, and its place among others (enum nf_ip_hook_priorities).
TABLE_HOOKS: Final[dict[str, tuple[int, ...]]] = {
    "filter": (LOCAL_IN, FORWARD, LOCAL_OUT),
    "nat": (PRE_ROUTING, LOCAL_IN, LOCAL_OUT, POST_ROUTING),
    "mangle": (PRE_ROUTING, LOCAL_IN, FORWARD, LOCAL_OUT, POST_ROUTING),
    "raw": (PRE_ROUTING, LOCAL_OUT),
}
RAW: Final = -300
TRACKING: Final = -200
MANGLE: Final = -150
NAT_DESTINATION: Final = -100
FILTER: Final = 0
NAT_SOURCE: Final = 100
TABLE_PRIORITIES: Final = {"raw": RAW, "mangle": MANGLE, "filter": FILTER}
UNCHANGED: Final = Range()  # a connection that no rule translates keeps its addresses if it can


def nat_priority(hook: int) -> int:
    """Return where translation has its place at a hook."""
    return NAT_DESTINATION if changes_destination(hook) else NAT_SOURCE


@mypyc_attr(allow_interpreted_subclasses=True)
class Step:
    """What packets meet at one place of a hook."""

    needs_tracking = False

    def __init__(self, priority: int, *, reroutes: bool = False) -> None:
        self.priority = priority
        self.reroutes = reroutes  # what it makes of our own packets decides which way they take

    def run(self, passage: Passage, hook: int) -> int:
        """Return ACCEPT or DROP."""
        raise NotImplementedError


class TableStep(Step):
    """A table of iptables."""

    def __init__(self, table: Table, priority: int, *, reroutes: bool) -> None:
        super().__init__(priority, reroutes=reroutes)
        self.table = table

    def run(self, passage: Passage, hook: int) -> int:
        return self.table.run(passage, hook)


class TrackStep(Step):
    """Connection tracking."""

    def __init__(self, connections: ConnectionTable) -> None:
        super().__init__(TRACKING)
        self.connections = connections

    def run(self, passage: Passage, hook: int) -> int:
        self.connections.track(passage)
        return ACCEPT


class NatStep(Step):
    """Address translation at one hook: who decides on it, and rewriting."""

    def __init__(self, translator: Translator, hook: int, sources: list[Step]) -> None:
        super().__init__(nat_priority(hook), reroutes=True)
        self.translator = translator
        self.sources = sources

    def run(self, passage: Passage, hook: int) -> int:
        connection = passage.connection
        if connection is None:
            return ACCEPT
        destination = changes_destination(hook)
        if passage.state == NEW and not is_done(connection, destination=destination):
            for source in self.sources:
                if source.run(passage, hook) != ACCEPT:
                    return DROP
                if is_done(connection, destination=destination):
                    break
            else:
                if not self.translator.set_up(connection, UNCHANGED, destination=destination):
                    return DROP
        self.translator.rewrite(passage, hook)
        return ACCEPT


class PacketFilter:
    """The rules of one version of IP; `NetworkProtocol.filter` while there are any."""

    def __init__(
        self, stack: Stack, network: NetworkProtocol, sibling: PacketFilter | None = None
    ) -> None:
        self.stack = stack
        self.network = network
        self.sibling = sibling  # of the other version: connections are in one table
        if sibling is None:
            self.connections = ConnectionTable(stack.environment)
            self.translator = Translator(stack.environment, self.connections)
        else:
            self.connections = sibling.connections
            self.translator = sibling.translator
            sibling.sibling = self
        self.tables: dict[str, Table] = {}
        self.tracks = False
        self.drops = [0] * HOOKS  # packets, by hook
        self.steps: list[list[Step]] = [[] for _ in range(HOOKS)]  # as packets meet them
        # What was registered; translation's apart from the rest.
        self._filters: list[list[Step]] = [[] for _ in range(HOOKS)]
        self._nats: list[list[Step]] = [[] for _ in range(HOOKS)]
        # The connection of the packet that is answered just now, and the answer's direction.
        self.answering: Connection | None = None
        self.answers_reply = False

    # Rules come and go.

    def set_table(self, table: Table) -> None:
        """Use a table of iptables from now on, in place of the one of its name."""
        old = self.tables.get(table.name)
        self.tables[table.name] = table
        for hook in TABLE_HOOKS[table.name]:
            if old is not None:
                for step in self._filters[hook] + self._nats[hook]:
                    if isinstance(step, TableStep) and step.table is old:
                        step.table = table
            elif table.name == "nat":
                made = TableStep(table, nat_priority(hook), reroutes=False)
                self.register(made, hook, is_nat=True)
            else:
                priority = TABLE_PRIORITIES[table.name]
                made = TableStep(table, priority, reroutes=table.name == "mangle")
                self.register(made, hook)
        self.rebuild()

    def register(self, step: Step, hook: int, *, is_nat: bool = False) -> None:
        """Add a step to a hook, before those of the same priority (nf_hook_entries_grow)."""
        steps = self._nats[hook] if is_nat else self._filters[hook]
        at = 0
        while at < len(steps) and steps[at].priority < step.priority:
            at += 1
        steps.insert(at, step)

    def unregister(self, step: Step, hook: int, *, is_nat: bool = False) -> None:
        """Remove a step."""
        (self._nats[hook] if is_nat else self._filters[hook]).remove(step)

    def rebuild(self) -> None:
        """Let packets meet what is registered now, and nothing at all if that is nothing."""
        self.tracks = any(table.needs_tracking for table in self.tables.values()) or any(
            step.needs_tracking for steps in self._filters + self._nats for step in steps
        )
        translates = any(self._nats)
        for hook in range(HOOKS):
            steps = list(self._filters[hook])
            if self.tracks and hook in {PRE_ROUTING, LOCAL_OUT}:
                insert(steps, TrackStep(self.connections))
            if translates and hook != FORWARD:
                insert(steps, NatStep(self.translator, hook, list(self._nats[hook])))
            self.steps[hook] = steps
        self.network.filter = self if any(self._filters) or translates else None
        if not self.tracks and (self.sibling is None or not self.sibling.tracks):
            self.connections.clear()

    # Packets in.

    def prerouting(self, packet: InPacket) -> InPacket | None:
        """Take a packet that came in; return it as it goes on, or None: dropped, or a fragment."""
        if self.tracks:
            whole = self.network.defragmented(packet)
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
        if not self._run(passage, PRE_ROUTING):
            return None
        take_over(packet, passage)
        return packet

    def local_in(self, packet: InPacket) -> bool:
        """Return whether a packet for this host may be delivered."""
        passage = self._passage_of(packet)
        passage.output = None
        if not self._run(passage, LOCAL_IN) or not self._confirm(passage, LOCAL_IN):
            return False
        take_over(packet, passage)
        return True

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
        if not self._run(passage, FORWARD):
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
        if self.answering is not None:
            passage.connection = self.answering
            passage.is_reply = self.answers_reply
            passage.state = RELATED
        mark = passage.mark
        destination = passage.destination
        for step in self.steps[LOCAL_OUT]:
            if step.run(passage, LOCAL_OUT) != ACCEPT:
                self.drops[LOCAL_OUT] += 1
                raise NetError(PERMISSION)
            if step.reroutes and (passage.destination != destination or passage.mark != mark):
                mark, destination = passage.mark, passage.destination
                is_scoped = passage.version == 6 and is_link_local(destination)
                index = route.interface.index if is_scoped else 0
                route = self.stack.find_route(destination, passage.source, index, mark)
                passage.output = route.interface
        if not self._leave(passage):
            raise NetError(PERMISSION)
        return route

    def _leave(self, passage: Passage) -> bool:
        return self._run(passage, POST_ROUTING) and self._confirm(passage, POST_ROUTING)

    # The parts.

    def _run(self, passage: Passage, hook: int) -> bool:
        for step in self.steps[hook]:
            if step.run(passage, hook) != ACCEPT:
                self.drops[hook] += 1
                return False
        return True

    def _confirm(self, passage: Passage, hook: int) -> bool:
        if self.connections.confirm(passage):
            return True
        self.drops[hook] += 1
        return False

    # Answers of REJECT.

    def send_unreachable(self, passage: Passage, code: int) -> None:
        """Tell the sender of a packet that its destination cannot be reached."""
        about = passage.arrived
        if about is None:
            if passage.output is None:
                return
            about = answers.as_packet(passage, passage.output)
        self._answer_for(passage)
        self.network.send_rejection(about, code)
        self.answering = None

    def send_reset(self, passage: Passage) -> None:
        """Answer a TCP segment with a RST (RFC 9293, 3.10.7.1)."""
        out = answers.reset_for(passage)
        if out is None:
            return
        self._answer_for(passage)
        arrived = passage.arrived
        index = 0
        if passage.version == 6 and is_link_local(passage.source) and arrived is not None:
            index = arrived.interface.index
        try:
            route = self.stack.find_route(passage.source, passage.destination, index)
            self.network.send(route, out)
        except NetError:
            self.network.count_discard()  # no way back to the sender
        self.answering = None

    def _answer_for(self, passage: Passage) -> None:
        self.answering = passage.connection
        self.answers_reply = not passage.is_reply


def insert(steps: list[Step], step: Step) -> None:
    """Put a step in its place, behind others of the same priority."""
    at = 0
    while at < len(steps) and steps[at].priority <= step.priority:
        at += 1
    steps.insert(at, step)


def returned(sent: Passage, packet: InPacket) -> Passage:
    """Return the passage of a packet that this host sent to itself: what is known stays known."""
    made = Passage(packet.data, packet.network, 0)
    made.mark = sent.mark
    made.connection = sent.connection
    made.state = sent.state
    made.is_reply = sent.is_reply
    return made


def take_over(packet: InPacket, passage: Passage) -> None:
    """Give a packet what rules made of it."""
    if packet.data is not passage.data:
        packet.data = passage.data
        packet.source = passage.source
        packet.destination = passage.destination
    packet.mark = passage.mark
