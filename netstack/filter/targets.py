"""What rules do with packets, besides verdicts (iptables-extensions(8))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.filter.nat import Range, changes_destination, is_done
from netstack.filter.passage import PRE_ROUTING, UNTRACKED, Passage
from netstack.filter.table import ACCEPT, CONTINUE, DROP, Target
from netstack.wire import icmp4, ipv4

if TYPE_CHECKING:
    from netstack.filter.filter4 import Filter4

TCP_RESET: Final = -1  # of RejectTarget.code: no ICMP message


class MarkTarget(Target):
    """Sets bits of the packet's mark: MARK."""

    def __init__(self, mark: int, mask: int) -> None:
        self.mark = mark
        self.mask = mask

    def run(self, passage: Passage, hook: int) -> int:
        passage.mark = (passage.mark & ~self.mask & 0xFFFFFFFF) ^ self.mark
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

    def __init__(self, filter4: Filter4, code: int) -> None:
        self.filter4 = filter4
        self.code = code  # of ICMP "destination unreachable", or TCP_RESET

    def run(self, passage: Passage, hook: int) -> int:
        if self.code == TCP_RESET:
            self.filter4.send_reset(passage)
        else:
            self.filter4.send_unreachable(passage, self.code)
        return DROP


class NatTarget(Target):
    """Changes the source or, before routing, the destination of a connection: SNAT, DNAT."""

    needs_tracking = True

    def __init__(self, filter4: Filter4, wanted: Range) -> None:
        self.filter4 = filter4
        self.wanted = wanted

    def run(self, passage: Passage, hook: int) -> int:
        return self.set_up(passage, hook, self.wanted)

    def set_up(self, passage: Passage, hook: int, wanted: Range) -> int:
        """Give the connection an address and port of a range."""
        connection = passage.connection
        if connection is None:
            return DROP
        destination = changes_destination(hook)
        if is_done(connection, destination=destination):
            return ACCEPT
        translator = self.filter4.translator
        return ACCEPT if translator.set_up(connection, wanted, destination=destination) else DROP


class RedirectTarget(NatTarget):
    """Sends packets to this host: REDIRECT."""

    def run(self, passage: Passage, hook: int) -> int:
        host = ipv4.LOOPBACK
        if hook == PRE_ROUTING:
            host = first_address(passage)
            if not host:
                return DROP
        return self.set_up(passage, hook, at_host(self.wanted, host))


class MasqueradeTarget(NatTarget):
    """Gives packets the address of the interface that they leave by: MASQUERADE."""

    def run(self, passage: Passage, hook: int) -> int:
        if passage.source == ipv4.ANY:
            return ACCEPT  # DHCP asks like this
        output = passage.output
        host = self.filter4.network.select_source(output, passage.destination) if output else b""
        if not host:
            return DROP
        return self.set_up(passage, hook, at_host(self.wanted, host))


def first_address(passage: Passage) -> bytes:
    """Return the first IPv4 address of the interface that a packet came by; empty: none."""
    if passage.input is not None:
        for address in passage.input.addresses:
            if len(address.host) == 4:
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
REJECT_CODES: Final = (
    icmp4.NET_UNREACHABLE,
    icmp4.HOST_UNREACHABLE,
    icmp4.PROTOCOL_UNREACHABLE,
    icmp4.PORT_UNREACHABLE,
    NET_PROHIBITED,
    HOST_PROHIBITED,
    icmp4.PACKET_FILTERED,
)
