"""What rules do with packets, besides verdicts (iptables-extensions(8))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.filter.nat import Range, changes_destination, is_done
from netstack.filter.passage import PRE_ROUTING, UNTRACKED, Passage
from netstack.filter.table import ACCEPT, CONTINUE, DROP, Target
from netstack.wire import address6, icmp4, icmp6, ipv4

if TYPE_CHECKING:
    from netstack.filter.hooks import PacketFilter

TCP_RESET: Final = -1  # of RejectTarget.code: no ICMP message


class MarkTarget(Target):
    """Sets bits of the packet's mark: MARK."""

    def __init__(self, mark: int, mask: int) -> None:
        self.mark = mark
        self.mask = mask

    def run(self, passage: Passage, hook: int) -> int:
        passage.mark = (passage.mark & ~self.mask & 0xFFFFFFFF) ^ self.mark
        return CONTINUE


# What CONNMARK does (enum of linux/netfilter/xt_connmark.h).
SET_MARK: Final = 0
SAVE_MARK: Final = 1
RESTORE_MARK: Final = 2


class ConnmarkTarget(Target):
    """Sets the mark of a connection, or copies it from or to the packet's: CONNMARK."""

    needs_tracking = True

    def __init__(self, mode: int, mark: int, mask: int, packet_mask: int) -> None:
        self.mode = mode
        self.mark = mark
        self.mask = mask
        self.packet_mask = packet_mask
        self.shift = 0  # bits to the left; negative: to the right

    def run(self, passage: Passage, hook: int) -> int:
        connection = passage.connection
        if connection is None:
            return CONTINUE
        if self.mode == SET_MARK:
            connection.mark = self._shifted(connection.mark & ~self.mask ^ self.mark)
        elif self.mode == SAVE_MARK:
            taken = self._shifted(passage.mark & self.packet_mask)
            connection.mark = (connection.mark & ~self.mask & 0xFFFFFFFF) ^ taken
        else:
            taken = self._shifted(connection.mark & self.mask)
            passage.mark = (passage.mark & ~self.packet_mask & 0xFFFFFFFF) ^ taken
        return CONTINUE

    def _shifted(self, mark: int) -> int:
        mark &= 0xFFFFFFFF
        return mark >> -self.shift if self.shift < 0 else mark << self.shift & 0xFFFFFFFF


class LogTarget(Target):
    """Says that a packet came by: LOG.  There is nobody here who reads that, so it is counted."""

    def run(self, passage: Passage, hook: int) -> int:
        return CONTINUE


class NotrackTarget(Target):
    """Keeps a packet out of connection tracking: CT --notrack, NOTRACK."""

    needs_tracking = True

    def run(self, passage: Passage, hook: int) -> int:
        if passage.connection is None:
            passage.state = UNTRACKED
        return CONTINUE


class TrackTarget(Target):
    """CT without anything to be done: the packet is tracked as it would be."""

    needs_tracking = True

    def run(self, passage: Passage, hook: int) -> int:
        return CONTINUE


class RejectTarget(Target):
    """Drops a packet and tells its sender: REJECT."""

    def __init__(self, rules: PacketFilter, code: int) -> None:
        self.rules = rules
        self.code = code  # of ICMP "destination unreachable", or TCP_RESET

    def run(self, passage: Passage, hook: int) -> int:
        if self.code == TCP_RESET:
            self.rules.send_reset(passage)
        else:
            self.rules.send_unreachable(passage, self.code)
        return DROP


class NatTarget(Target):
    """Changes the source or, before routing, the destination of a connection: SNAT, DNAT."""

    needs_tracking = True

    def __init__(self, rules: PacketFilter, wanted: Range) -> None:
        self.rules = rules
        self.wanted = wanted

    def run(self, passage: Passage, hook: int) -> int:
        return self.run_range(passage, hook, self.wanted)

    def run_range(self, passage: Passage, hook: int, wanted: Range) -> int:
        """Return a verdict, having used a range."""
        return self.set_up(passage, hook, wanted)

    def set_up(self, passage: Passage, hook: int, wanted: Range) -> int:
        """Give the connection an address and port of a range."""
        connection = passage.connection
        if connection is None:
            return DROP
        destination = changes_destination(hook)
        if is_done(connection, destination=destination):
            return ACCEPT
        translator = self.rules.translator
        return ACCEPT if translator.set_up(connection, wanted, destination=destination) else DROP


class RedirectTarget(NatTarget):
    """Sends packets to this host: REDIRECT."""

    def run_range(self, passage: Passage, hook: int, wanted: Range) -> int:
        host = address6.LOOPBACK if passage.version == 6 else ipv4.LOOPBACK
        if hook == PRE_ROUTING:
            host = first_address(passage)
            if not host:
                return DROP
        return self.set_up(passage, hook, at_host(wanted, host))


class MasqueradeTarget(NatTarget):
    """Gives packets the address of the interface that they leave by: MASQUERADE."""

    def run_range(self, passage: Passage, hook: int, wanted: Range) -> int:
        if passage.source == ipv4.ANY:
            return ACCEPT  # DHCP asks like this
        output = passage.output
        host = self.rules.network.select_source(output, passage.destination) if output else b""
        if not host:
            return DROP
        return self.set_up(passage, hook, at_host(wanted, host))


def first_address(passage: Passage) -> bytes:
    """Return the first address of the interface that a packet came by; empty: none."""
    if passage.input is not None:
        for address in passage.input.addresses:
            if len(address.host) == len(passage.source):
                return address.host
    return b""


def at_host(ports: Range, host: bytes) -> Range:
    """Return a range of one address with the ports of another range."""
    made = Range()
    made.low = made.high = host
    made.has_ports = ports.has_ports
    made.low_port = ports.low_port
    made.high_port = ports.high_port
    made.is_random = ports.is_random
    return made


# Codes of ICMP "destination unreachable" that REJECT knows (RFC 792, RFC 1122, RFC 1812).
NET_PROHIBITED: Final = 9
HOST_PROHIBITED: Final = 10
REJECT_CODES6: Final = (
    icmp6.NO_ROUTE,
    icmp6.PROHIBITED,
    icmp6.ADDRESS_UNREACHABLE,
    icmp6.PORT_UNREACHABLE,
    icmp6.POLICY_FAIL,
    icmp6.REJECT_ROUTE,
)
REJECT_CODES: Final = (
    icmp4.NET_UNREACHABLE,
    icmp4.HOST_UNREACHABLE,
    icmp4.PROTOCOL_UNREACHABLE,
    icmp4.PORT_UNREACHABLE,
    NET_PROHIBITED,
    HOST_PROHIBITED,
    icmp4.PACKET_FILTERED,
)
