"""IGMP (RFC 2236, RFC 3376): tells routers which groups this host belongs to.

Version 3 is spoken until an older query is heard, and then that version for a
while (RFC 3376, 7.2.1).  224.0.0.1 is never reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.environment import Timer
from netstack.errors import NetError
from netstack.interface import Interface
from netstack.multicast import NO_SOURCES, Group
from netstack.packet import InPacket, OutPacket
from netstack.route import MULTICAST, Route
from netstack.transport import IcmpError, Transport
from netstack.wire import igmp, ipv4
from netstack.wire.checksum import checksum

if TYPE_CHECKING:
    from netstack.ip.ipv4 import Ipv4
    from netstack.stack import Stack

SECOND_NS: Final = 1_000_000_000
ROBUSTNESS: Final = 2  # RFC 3376, 8.1
UNSOLICITED_V3_NS: Final = SECOND_NS  # 8.11
UNSOLICITED_V2_NS: Final = 10 * SECOND_NS  # RFC 2236, 8.10
OLD_QUERIER_NS: Final = 400 * SECOND_NS  # robustness * query interval + response time, rounded up
# Sources that one record has room for; more are dropped and the list is cut (RFC 3376, 4.2.16).
MAX_SOURCES: Final = 300


class Reporter(Timer):
    """What is to be said about one group on one interface."""

    def __init__(self, owner: Igmp, group: Group) -> None:
        super().__init__()
        self.owner = owner
        self.group = group
        self.was_exclude = False
        self.old_sources: frozenset[bytes] = NO_SOURCES
        self.change: list[bytes] = []  # records of the last change, to be repeated
        self.repeats = 0
        self.answers = False  # a query waits for its answer
        self.is_last = False  # version 2: nobody reported after us

    def fire(self) -> None:
        self.owner.on_reporter(self)


class Igmp(Transport):
    """IGMP of one stack."""

    def __init__(self, stack: Stack, network: Ipv4) -> None:
        self.stack = stack
        self.network = network
        self.old_queriers: dict[int, tuple[int, int]] = {}  # interface: version, until

    def version_on(self, interface: Interface) -> int:
        """Return the version to speak."""
        old = self.old_queriers.get(interface.index)
        if old is None:
            return 3
        if old[1] <= self.stack.environment.now_ns():
            del self.old_queriers[interface.index]
            return 3
        return old[0]

    # What this host does.

    def on_interface_up(self, interface: Interface) -> None:
        """Report all groups anew: the link may be another one."""
        for group in list(interface.groups.values()):
            if len(group.address) == 4:
                group.reporter = None
                self.on_group_changed(group)

    def on_interface_down(self, interface: Interface) -> None:
        """Say nothing more."""
        self.old_queriers.pop(interface.index, None)
        for group in interface.groups.values():
            reporter = group.reporter
            if isinstance(reporter, Reporter):
                self.stack.environment.disarm(reporter)

    def on_group_changed(self, group: Group) -> None:
        """The merged filter of a group is another one: say so."""
        interface = group.interface
        if group.address == ipv4.ALL_HOSTS or interface.link.is_loopback or not interface.is_up():
            return
        reporter = group.reporter
        if not isinstance(reporter, Reporter):
            reporter = Reporter(self, group)
            group.reporter = reporter
        reporter.change = change_records(group, reporter.was_exclude, reporter.old_sources)
        was_member = reporter.was_exclude or bool(reporter.old_sources)
        reporter.was_exclude = group.is_exclude
        reporter.old_sources = group.sources
        version = self.version_on(interface)
        if version == 3:
            reporter.repeats = ROBUSTNESS - 1
            self._send_records(interface, reporter.change)
            self._arm(reporter, UNSOLICITED_V3_NS)
        elif is_member(group) and not was_member:
            reporter.repeats = ROBUSTNESS - 1
            self._send_old(reporter, version)
            self._arm(reporter, UNSOLICITED_V2_NS)
        elif not is_member(group):
            self.stack.environment.disarm(reporter)
            if version == 2 and reporter.is_last:
                self._send(interface, igmp.ALL_ROUTERS, igmp.build(igmp.LEAVE, group.address))

    def on_reporter(self, reporter: Reporter) -> None:
        """It is time to repeat a change, or to answer a query."""
        group = reporter.group
        version = self.version_on(group.interface)
        if reporter.answers:
            reporter.answers = False
            if is_member(group):
                if version == 3:
                    self._send_records(group.interface, [state_record(group)])
                else:
                    self._send_old(reporter, version)
        if reporter.repeats > 0:
            reporter.repeats -= 1
            if version == 3:
                self._send_records(group.interface, reporter.change)
            elif is_member(group):
                self._send_old(reporter, version)
        if reporter.repeats > 0:
            self._arm(reporter, UNSOLICITED_V3_NS)

    def _arm(self, reporter: Reporter, most_ns: int) -> None:
        """Have the reporter speak at a random time, the sooner one if it waits already."""
        environment = self.stack.environment
        fraction = int.from_bytes(environment.random_bytes(4), "big")
        when = environment.now_ns() + 1 + most_ns * fraction // (1 << 32)
        if not reporter.deadline_ns or when < reporter.deadline_ns:
            environment.arm(reporter, when)

    def _send_records(self, interface: Interface, records: list[bytes]) -> None:
        if records:
            self._send(interface, igmp.V3_ROUTERS, igmp.report(records))

    def _send_old(self, reporter: Reporter, version: int) -> None:
        kind = igmp.V2_REPORT if version == 2 else igmp.V1_REPORT
        group = reporter.group
        reporter.is_last = True
        self._send(group.interface, group.address, igmp.build(kind, group.address))

    def _send(self, interface: Interface, destination: bytes, message: bytes) -> None:
        source = self.network.select_source(interface, destination) or ipv4.ANY
        route = Route(interface, source, destination, destination)
        route.kind = MULTICAST
        route.mtu = interface.mtu
        packet = OutPacket(ipv4.IGMP, message, b"")
        packet.ttl = 1
        packet.tos = 0xC0
        packet.ipv4_options = ipv4.ROUTER_ALERT
        packet.multicast_loop = False
        try:
            self.network.send(route, packet)
        except NetError:
            self.network.counters.OutDiscards += 1  # a change is repeated, a query comes again

    # What was heard.

    def on_packet(self, packet: InPacket) -> bool:
        data, at = packet.data, packet.transport
        if packet.end - at < 8 or checksum(data[at : packet.end]):
            return True
        kind = data[at]
        if kind == igmp.QUERY:
            self._on_query(packet)
        elif kind in {igmp.V1_REPORT, igmp.V2_REPORT} and not packet.is_looped:
            group = packet.interface.groups.get(data[at + 4 : at + 8])
            if group is not None and isinstance(group.reporter, Reporter):
                # Somebody else answered (RFC 2236, 3).
                if self.version_on(packet.interface) < 3:
                    self.stack.environment.disarm(group.reporter)
                    group.reporter.answers = False
                    group.reporter.is_last = False
        return True

    def _on_query(self, packet: InPacket) -> None:
        data, at = packet.data, packet.transport
        length = packet.end - at
        interface = packet.interface
        code = data[at + 1]
        if length == 8:
            version = 2 if code else 1
            until = self.stack.environment.now_ns() + OLD_QUERIER_NS
            self.old_queriers[interface.index] = (version, until)
            tenths = code or 100
        elif length >= 12:
            tenths = igmp.decode_time(code) or 1
        else:
            return
        wanted = data[at + 4 : at + 8]
        for group in interface.groups.values():
            if len(group.address) != 4 or (wanted != ipv4.ANY and wanted != group.address):
                continue
            reporter = group.reporter
            if isinstance(reporter, Reporter):
                reporter.answers = True
                self._arm(reporter, tenths * SECOND_NS // 10)

    def on_icmp_error(self, error: IcmpError) -> None:
        """Nothing to be done: reports are repeated anyway."""


def is_member(group: Group) -> bool:
    """Return whether anything sent to the group is wanted."""
    return group.is_exclude or bool(group.sources)


def state_record(group: Group) -> bytes:
    """Return the record that answers a query."""
    kind = igmp.MODE_IS_EXCLUDE if group.is_exclude else igmp.MODE_IS_INCLUDE
    return igmp.record(kind, group.address, sorted(group.sources)[:MAX_SOURCES])


def change_records(group: Group, was_exclude: bool, old_sources: frozenset[bytes]) -> list[bytes]:
    """Return the records that tell of a change (RFC 3376, 5.1)."""
    if group.is_exclude != was_exclude:
        kind = igmp.CHANGE_TO_EXCLUDE if group.is_exclude else igmp.CHANGE_TO_INCLUDE
        return [igmp.record(kind, group.address, sorted(group.sources)[:MAX_SOURCES])]
    gained = sorted(group.sources - old_sources)[:MAX_SOURCES]
    lost = sorted(old_sources - group.sources)[:MAX_SOURCES]
    if group.is_exclude:
        gained, lost = lost, gained
    records = []
    if gained:
        records.append(igmp.record(igmp.ALLOW_NEW_SOURCES, group.address, gained))
    if lost:
        records.append(igmp.record(igmp.BLOCK_OLD_SOURCES, group.address, lost))
    return records
