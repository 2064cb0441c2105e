"""The listener's half of Multicast Listener Discovery (RFC 3810; RFC 2710 beside old routers).

`netstack/multicast.py` says to which groups an interface belongs and from
which sources; this tells the routers of the link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.environment import Timer
from netstack.interface import Interface
from netstack.ip.config6 import SECOND_NS
from netstack.packet import InPacket
from netstack.wire import icmp6, mld
from netstack.wire.address6 import (
    ALL_MLD2_ROUTERS,
    ALL_NODES,
    ALL_ROUTERS,
    SCOPE_LINK,
    UNSPECIFIED,
    is_link_local,
)
from netstack.wire.ipv6 import HEADER_SIZE

if TYPE_CHECKING:
    from netstack.ip.ipv6 import Ipv6
    from netstack.multicast import Group

# RFC 3810, section 9.
DEFAULT_ROBUSTNESS: Final = 2
DEFAULT_INTERVAL_S: Final = 125
DEFAULT_RESPONSE_NS: Final = 10 * SECOND_NS
UNSOLICITED_INTERVAL_NS: Final = SECOND_NS  # 9.11
VERSION1_UNSOLICITED_INTERVAL_NS: Final = 10 * SECOND_NS  # RFC 2710, 7.10

NO_SOURCES: Final[frozenset[bytes]] = frozenset()
HOP_BY_HOP_SIZE: Final = 8
REPORT_HEADER_SIZE: Final = 8


class Reporter(Timer):
    """What is still to be said of one group on one interface."""

    def __init__(self, owner: Mld, interface: Interface, address: bytes) -> None:
        super().__init__()
        self.owner = owner
        self.interface = interface
        self.address = address
        # The filter that was last announced, or is being announced.
        self.is_exclude = False
        self.sources = NO_SOURCES
        # Changes: how often they are still to be sent (6.1).
        self.changes_left = 0
        self.mode_changed = False
        self.changed_sources: set[bytes] = set()
        # A query that is to be answered.
        self.is_queried = False
        self.queried_sources: set[bytes] = set()
        self.was_last_reporter = False  # version 1, RFC 2710, section 5

    def is_listening(self) -> bool:
        """Return whether anything is wanted from the group."""
        return self.is_exclude or bool(self.sources)

    def fire(self) -> None:
        self.owner.on_timer(self)


class QueryTimer(Timer):
    """Fires when the answer to a general query is due, or when an old querier has been silent."""

    def __init__(self, owner: Mld, interface: Interface, *, is_answer: bool) -> None:
        super().__init__()
        self.owner = owner
        self.interface = interface
        self.is_answer = is_answer

    def fire(self) -> None:
        if self.is_answer:
            self.owner.answer_general(self.interface)


class MldInterface:
    """The state of one interface."""

    def __init__(self, owner: Mld, interface: Interface) -> None:
        self.interface = interface
        self.reporters: dict[bytes, Reporter] = {}
        self.robustness = DEFAULT_ROBUSTNESS
        self.interval_s = DEFAULT_INTERVAL_S
        self.answer = QueryTimer(owner, interface, is_answer=True)
        self.old_querier = QueryTimer(owner, interface, is_answer=False)


class Mld:
    """MLD of a stack."""

    def __init__(self, ip: Ipv6) -> None:
        self.ip = ip
        self.environment = ip.stack.environment
        self.states: dict[int, MldInterface] = {}

    def state_of(self, interface: Interface) -> MldInterface:
        """Return MLD's state of an interface."""
        state = self.states.get(interface.index)
        if state is None or state.interface is not interface:
            state = MldInterface(self, interface)
            self.states[interface.index] = state
        return state

    def version(self, interface: Interface) -> int:
        """Return the version spoken on a link: 1 while a querier of version 1 is there (8.2.1)."""
        forced = self.ip.state_of(interface).config.force_mld_version
        if forced:
            return forced
        return 1 if self.state_of(interface).old_querier.deadline_ns else 2

    # What happens here.

    def on_group_changed(self, group: Group) -> None:
        """Announce the new filter of a group, section 6.1."""
        interface = group.interface
        if not is_reported(group.address) or not self._speaks_on(interface):
            return
        state = self.state_of(interface)
        reporter = state.reporters.get(group.address)
        if reporter is None:
            reporter = Reporter(self, interface, group.address)
            state.reporters[group.address] = reporter
        is_listening = bool(group.memberships)
        self._note_change(
            reporter,
            is_listening and group.is_exclude,
            group.sources if is_listening else NO_SOURCES,
        )
        if self.version(interface) == 1:
            self._change_version1(reporter)
        elif reporter.mode_changed or reporter.changed_sources:
            reporter.changes_left = state.robustness
            self._send_change(reporter)

    def _speaks_on(self, interface: Interface) -> bool:
        return interface.is_up() and not interface.link.is_loopback

    def _note_change(self, reporter: Reporter, is_exclude: bool, sources: frozenset[bytes]) -> None:
        if is_exclude != reporter.is_exclude:
            reporter.mode_changed = True
            reporter.changed_sources.clear()
        elif not reporter.mode_changed:
            reporter.changed_sources |= sources ^ reporter.sources
        reporter.is_exclude = is_exclude
        reporter.sources = sources

    def on_link_local(self, interface: Interface) -> None:
        """The first proper source address is there: what was said before counts for nothing."""
        if not self._speaks_on(interface) or self.version(interface) == 1:
            return
        for reporter in list(self.state_of(interface).reporters.values()):
            if reporter.is_listening():
                reporter.mode_changed = reporter.is_exclude
                reporter.changed_sources = set() if reporter.is_exclude else set(reporter.sources)
                reporter.changes_left = 1
                self._send_change(reporter)

    def on_interface_down(self, interface: Interface) -> None:
        """Forget all; memberships last, and are announced by `on_interface_up`."""
        state = self.states.pop(interface.index, None)
        if state is None:
            return
        self.environment.disarm(state.answer)
        self.environment.disarm(state.old_querier)
        for reporter in state.reporters.values():
            self.environment.disarm(reporter)

    def on_interface_up(self, interface: Interface) -> None:
        """Announce the groups that were joined before."""
        for group in list(interface.groups.values()):
            if len(group.address) == 16:
                self.on_group_changed(group)

    # What others say.

    def on_message(self, packet: InPacket, message: bytes) -> None:
        """Take a message; its checksum was right.  RFC 3810, 6.2: from this link only."""
        if packet.ttl != 1 or not is_link_local(packet.source):
            return
        interface = packet.interface
        if not self._speaks_on(interface):
            return
        if message[0] == icmp6.MLD_QUERY:
            query = mld.parse_query(message)
            if query is not None:
                self._on_query(interface, query)
        elif message[0] == icmp6.MLD_REPORT:
            self._on_other_report(interface, mld.parse_version1(message))

    def _on_query(self, interface: Interface, query: mld.Query) -> None:
        state = self.state_of(interface)
        now = self.environment.now_ns()
        delay = max(query.max_response_ms, 1) * 1_000_000
        if query.version == 1:
            # 9.12: the older version present timeout.
            silence = state.robustness * state.interval_s * SECOND_NS + DEFAULT_RESPONSE_NS
            self.environment.arm(state.old_querier, now + silence)
        else:
            state.robustness = query.robustness or DEFAULT_ROBUSTNESS
            state.interval_s = query.interval_s or DEFAULT_INTERVAL_S
        if self.version(interface) == 1:
            self._schedule_version1(state, query.group, delay)
        elif query.group == UNSPECIFIED:
            self._arm_sooner(state.answer, now + self._random_part(delay))
        else:
            self._schedule(state, query, now + self._random_part(delay))

    def _schedule(self, state: MldInterface, query: mld.Query, when: int) -> None:
        """Section 6.2, rules 3 to 5, for a query about one group."""
        reporter = state.reporters.get(query.group)
        if reporter is None or not reporter.is_listening():
            return
        if not query.sources:
            reporter.queried_sources.clear()
        elif not reporter.is_queried or reporter.queried_sources:
            room = mld.MAX_SOURCES - len(reporter.queried_sources)
            reporter.queried_sources.update(query.sources[:room])
        reporter.is_queried = True
        self._arm_sooner(reporter, when)

    def _random_part(self, limit: int) -> int:
        return limit * int.from_bytes(self.environment.random_bytes(4), "big") >> 32

    def _arm_sooner(self, timer: Timer, when: int) -> None:
        if not timer.deadline_ns or timer.deadline_ns > when:
            self.environment.arm(timer, when)

    # Version 2 reports.

    def on_timer(self, reporter: Reporter) -> None:
        """Send what is due of a group."""
        if self.version(reporter.interface) == 1:
            self._report_version1(reporter)
            return
        if reporter.is_queried:
            reporter.is_queried = False
            record = self._current_state(reporter)
            reporter.queried_sources.clear()
            if record is not None:
                self._send_records(reporter.interface, [record])
        if reporter.changes_left:
            self._send_change(reporter)

    def _current_state(self, reporter: Reporter) -> mld.Record | None:
        """Section 6.3: the filter, or what of it was asked for."""
        asked = reporter.queried_sources
        if asked:
            if reporter.is_exclude:
                wanted = asked - reporter.sources
            else:
                wanted = asked & reporter.sources
            if not wanted:
                return None
            return mld.Record(mld.MODE_IS_INCLUDE, reporter.address, sorted(wanted))
        if not reporter.is_listening():
            return None
        kind = mld.MODE_IS_EXCLUDE if reporter.is_exclude else mld.MODE_IS_INCLUDE
        return mld.Record(kind, reporter.address, sorted(reporter.sources))

    def answer_general(self, interface: Interface) -> None:
        """Report all groups."""
        if not self._speaks_on(interface):
            return
        records = []
        for reporter in self.state_of(interface).reporters.values():
            reporter.is_queried = False
            reporter.queried_sources.clear()
            record = self._current_state(reporter)
            if record is not None:
                records.append(record)
        self._send_records(interface, records)

    def _send_change(self, reporter: Reporter) -> None:
        """Send a state change report, and arm the timer for its repetition."""
        self._send_records(reporter.interface, self._changes(reporter))
        reporter.changes_left -= 1
        if reporter.changes_left > 0:
            delay = self._random_part(UNSOLICITED_INTERVAL_NS)
            self._arm_sooner(reporter, self.environment.now_ns() + delay)
            return
        reporter.mode_changed = False
        reporter.changed_sources.clear()
        self._drop_if_done(reporter)

    def _changes(self, reporter: Reporter) -> list[mld.Record]:
        if reporter.mode_changed:
            kind = mld.CHANGE_TO_EXCLUDE if reporter.is_exclude else mld.CHANGE_TO_INCLUDE
            return [mld.Record(kind, reporter.address, sorted(reporter.sources))]
        listed = reporter.changed_sources & reporter.sources
        others = reporter.changed_sources - reporter.sources
        allowed, blocked = (others, listed) if reporter.is_exclude else (listed, others)
        records = []
        if allowed:
            records.append(mld.Record(mld.ALLOW_NEW_SOURCES, reporter.address, sorted(allowed)))
        if blocked:
            records.append(mld.Record(mld.BLOCK_OLD_SOURCES, reporter.address, sorted(blocked)))
        return records

    def _drop_if_done(self, reporter: Reporter) -> None:
        if reporter.is_listening() or reporter.changes_left:
            return
        reporters = self.state_of(reporter.interface).reporters
        if reporters.get(reporter.address) is reporter:
            del reporters[reporter.address]
        self.environment.disarm(reporter)

    def _send_records(self, interface: Interface, records: list[mld.Record]) -> None:
        """Send records in as few reports as the MTU allows (5.2.15)."""
        mtu = self.ip.state_of(interface).link_mtu()
        limit = mtu - HEADER_SIZE - HOP_BY_HOP_SIZE - REPORT_HEADER_SIZE
        batch: list[mld.Record] = []
        size = 0
        for record in records:
            # Sources that do not fit into one report are left out: with EXCLUDE more is
            # received than wanted; Linux splits the others, which nobody here has so many of.
            record.sources = record.sources[: (limit - 20) // 16]
            if batch and size + mld.record_size(record) > limit:
                self._send(interface, ALL_MLD2_ROUTERS, mld.build_report(batch))
                batch = []
                size = 0
            batch.append(record)
            size += mld.record_size(record)
        if batch:
            self._send(interface, ALL_MLD2_ROUTERS, mld.build_report(batch))

    def _send(self, interface: Interface, destination: bytes, message: bytes) -> None:
        """Section 5.2.13 and RFC 3590: from :: as long as there is no address."""
        source = self.ip.state_of(interface).link_local() or UNSPECIFIED
        self.ip.icmp.send_on_link(
            interface, source, destination, message, ttl=1, hop_by_hop=mld.ROUTER_ALERT_HEADER
        )

    # Version 1, RFC 2710.

    def _change_version1(self, reporter: Reporter) -> None:
        was_changed = reporter.mode_changed or bool(reporter.changed_sources)
        reporter.mode_changed = False
        reporter.changed_sources.clear()
        if reporter.is_listening():
            if was_changed:
                self._report_version1(reporter)
                delay = self._random_part(VERSION1_UNSOLICITED_INTERVAL_NS)
                self._arm_sooner(reporter, self.environment.now_ns() + delay)
            return
        if reporter.was_last_reporter:
            done = mld.build_version1(icmp6.MLD_DONE, reporter.address)
            self._send(reporter.interface, ALL_ROUTERS, done)
        reporter.changes_left = 0
        self._drop_if_done(reporter)

    def _schedule_version1(self, state: MldInterface, group: bytes, delay: int) -> None:
        now = self.environment.now_ns()
        for reporter in state.reporters.values():
            if reporter.is_listening() and group in (UNSPECIFIED, reporter.address):
                self._arm_sooner(reporter, now + self._random_part(delay))

    def _report_version1(self, reporter: Reporter) -> None:
        reporter.is_queried = False
        reporter.changes_left = 0
        if not reporter.is_listening():
            self._drop_if_done(reporter)
            return
        reporter.was_last_reporter = True
        report = mld.build_version1(icmp6.MLD_REPORT, reporter.address)
        self._send(reporter.interface, reporter.address, report)

    def _on_other_report(self, interface: Interface, group: bytes) -> None:
        """Somebody else answered: one answer is enough, RFC 2710, section 4."""
        reporter = self.state_of(interface).reporters.get(group)
        if reporter is not None and self.version(interface) == 1:
            self.environment.disarm(reporter)
            reporter.was_last_reporter = False


def is_reported(group: bytes) -> bool:
    """Return whether routers are told of a group: not all-nodes, and not below link scope (6)."""
    return group != ALL_NODES and group[1] & 0x0F >= SCOPE_LINK
