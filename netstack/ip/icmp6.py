"""ICMPv6 (RFC 4443): answers to echo requests, errors sent, errors received."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.errors import (
    ACCESS,
    CONNECTION_REFUSED,
    HOST_UNREACHABLE,
    MESSAGE_TOO_LONG,
    NETWORK_UNREACHABLE,
    PROTOCOL,
    NetError,
)
from netstack.ip.ratelimit import ErrorLimiter
from netstack.packet import CHECKSUM_GOOD, TO_HOST, InPacket, OutPacket
from netstack.route import Route
from netstack.transport import IcmpError, Transport
from netstack.wire import icmp6
from netstack.wire.address6 import UNSPECIFIED, is_multicast
from netstack.wire.checksum import checksum, pseudo_header
from netstack.wire.ipv6 import (
    FRAGMENT,
    HEADER_SIZE,
    ICMPV6,
    MINIMUM_MTU,
    PROBLEM_OPTION,
    find_upper,
)

if TYPE_CHECKING:
    from netstack.interface import Interface
    from netstack.ip.ipv6 import Ipv6

CHECKSUM_OFFSET: Final = 2
# Section 2.4 (c): an error quotes as much as fits into the minimum MTU.
MAX_QUOTED: Final = MINIMUM_MTU - HEADER_SIZE - icmp6.ERROR_HEADER_SIZE

# net.ipv6.icmp.ratemask: all types but "packet too big".  A kind that `ErrorLimiter` limits,
# whatever the mask for ICMPv4 says.
LIMITED_KIND: Final = 255

# tab_unreach of net/ipv6/icmp.c: error by code, and whether it ends a connection.
UNREACHABLE_ERRORS: Final = (
    (NETWORK_UNREACHABLE, False),
    (ACCESS, True),
    (HOST_UNREACHABLE, False),
    (HOST_UNREACHABLE, False),
    (CONNECTION_REFUSED, True),
    (ACCESS, True),
    (ACCESS, True),
)


class Icmp6(Transport):
    """The ICMPv6 of a stack."""

    def __init__(self, ip: Ipv6) -> None:
        self.ip = ip
        self.stack = ip.stack
        self.counters = ip.stack.counters.icmp6
        self.limiter = ErrorLimiter(ip.stack.environment, ip.stack.settings, self.counters)
        self.echo_ignore_all = False  # net.ipv6.icmp.echo_ignore_all
        self.echo_ignore_multicast = False

    # In.

    def on_packet(self, packet: InPacket) -> bool:
        self._take(packet)
        return True

    def _take(self, packet: InPacket) -> None:
        counters = self.counters
        counters.InMsgs += 1
        data = packet.data
        start = packet.transport
        size = packet.end - start
        if size < icmp6.ERROR_HEADER_SIZE:
            counters.InErrors += 1
            return
        message = data[start : packet.end]
        if packet.checksum != CHECKSUM_GOOD and not self._is_sum_right(packet, message):
            counters.InCsumErrors += 1
            counters.InErrors += 1
            return
        kind = message[0]
        counters.count_in(kind)
        if kind == icmp6.ECHO_REQUEST:
            self._answer_echo(packet, message)
        elif kind == icmp6.ECHO_REPLY:
            self._give_echo_reply(packet)
        elif icmp6.is_error(kind):
            self._on_error(packet, message)
        elif icmp6.ROUTER_SOLICITATION <= kind <= icmp6.REDIRECT:
            # RFC 4861, 7.1.1 and the like: nobody from beyond the link could send this.
            if packet.ttl == 255:
                self.ip.ndp.on_message(packet, message)
        elif kind in (icmp6.MLD_QUERY, icmp6.MLD_REPORT, icmp6.MLD_DONE, icmp6.MLD2_REPORT):
            self.ip.mld.on_message(packet, message)

    def _is_sum_right(self, packet: InPacket, message: bytes) -> bool:
        total = pseudo_header(packet.source, packet.destination, ICMPV6, len(message))
        return checksum(message, total) == 0

    def _answer_echo(self, packet: InPacket, message: bytes) -> None:
        """Section 4.2."""
        to_group = is_multicast(packet.destination)
        if self.echo_ignore_all or to_group and self.echo_ignore_multicast:
            return
        if packet.source == UNSPECIFIED or is_multicast(packet.source):
            return
        reply = bytes((icmp6.ECHO_REPLY, 0, 0, 0)) + message[4:8]
        source = b"" if to_group else packet.destination
        self.send_message(packet.interface, source, packet.source, reply, message[8:])

    def _give_echo_reply(self, packet: InPacket) -> None:
        """Give a reply to the ping endpoint that asked; raw endpoints have it already."""
        pings = self.stack.pings.get(6)
        if pings is not None:
            pings.on_reply(packet)

    def _on_error(self, packet: InPacket, message: bytes) -> None:
        """Section 2.4 (d): give an error to the protocol whose packet is quoted."""
        quoted = message[icmp6.ERROR_HEADER_SIZE :]
        if len(quoted) < HEADER_SIZE or quoted[0] >> 4 != 6:
            self.counters.InErrors += 1
            return
        source = quoted[8:24]
        destination = quoted[24:40]
        if not self.stack.is_local_address(source):
            return  # not about a packet of ours
        protocol, transport = find_upper(quoted, 0, len(quoted))
        if protocol == FRAGMENT:
            return
        code, is_hard = error_of(message[0], message[1])
        error = IcmpError(code, source, destination, protocol, quoted[transport:])
        error.is_hard = is_hard
        error.offender = packet.source
        error.icmp_type = message[0]
        error.icmp_code = message[1]
        if message[0] == icmp6.PACKET_TOO_BIG:
            self.ip.counters.InTooBigErrors += 1
            error.mtu = icmp6.word_of(message, 0)
            if error.mtu < MINIMUM_MTU:
                return  # no router says so, and it is to be discarded (RFC 8201, section 4)
        elif message[0] == icmp6.PARAMETER_PROBLEM:
            error.pointer = icmp6.word_of(message, 0)
        self.ip.report_error(error)

    def on_icmp_error(self, error: IcmpError) -> None:
        pings = self.stack.pings.get(6)
        if pings is not None:
            pings.on_icmp_error(error)

    # Out.

    def send_message(
        self,
        interface: Interface,
        source: bytes,
        destination: bytes,
        header: bytes,
        payload: bytes = b"",
        *,
        ttl: int = 0,
    ) -> bool:
        """Send a message whose checksum is zero; an empty source is chosen; False if it is lost.

        The message leaves through `interface` if the destination means something
        only there, and otherwise where the routes lead.
        """
        packet = OutPacket(ICMPV6, header, payload)
        packet.checksum_offset = CHECKSUM_OFFSET
        packet.ttl = ttl
        try:
            index = self.ip.scope_index(interface, destination)
            route = self.stack.find_route(destination, source, index)
            sent = self.ip.send(route, packet)
        except NetError:
            sent = False
        self._count_out(header[0], sent=sent)
        return sent

    def send_on_link(
        self,
        interface: Interface,
        source: bytes,
        destination: bytes,
        message: bytes,
        *,
        ttl: int = 255,
        hop_by_hop: bytes = b"",
    ) -> bool:
        """Send a message to this very link, whatever the routes say (NDP, MLD)."""
        packet = OutPacket(ICMPV6, message, b"")
        packet.checksum_offset = CHECKSUM_OFFSET
        packet.ttl = ttl
        packet.multicast_loop = False
        route = Route(interface, source, destination, destination)
        route.mtu = self.ip.state_of(interface).link_mtu()
        try:
            sent = self.ip.send(route, packet, hop_by_hop)
        except NetError:
            sent = False
        self._count_out(message[0], sent=sent)
        return sent

    def _count_out(self, kind: int, *, sent: bool) -> None:
        if sent:
            self.counters.count_out(kind)
        else:
            self.counters.OutErrors += 1

    def send_error(self, packet: InPacket, kind: int, code: int, word: int = 0) -> None:
        """Answer a received packet with an error, where section 2.4 (e) allows it."""
        to_group = packet.kind != TO_HOST or is_multicast(packet.destination)
        if to_group and kind != icmp6.PACKET_TOO_BIG:
            if kind != icmp6.PARAMETER_PROBLEM or code != PROBLEM_OPTION:
                return
        quoted = packet.data[packet.network : packet.end]
        own = packet.destination if self.stack.is_local_address(packet.destination) else b""
        self.send_error_about(packet.interface, quoted, own, kind, code, word)

    def send_error_about(
        self, interface: Interface, quoted: bytes, own: bytes, kind: int, code: int, word: int = 0
    ) -> None:
        """Tell the source of a packet; `own` is our address that it was for, or empty."""
        source = quoted[8:24]
        if source == UNSPECIFIED or is_multicast(source):
            return
        if not may_answer(quoted) or not self._is_within_limit(interface, source, kind):
            return
        message = icmp6.build_error(kind, code, word, quoted[:MAX_QUOTED])
        self.send_message(interface, own, source, message)

    def _is_within_limit(self, interface: Interface, peer: bytes, kind: int) -> bool:
        # Paths with a smaller MTU need every "packet too big".
        if kind == icmp6.PACKET_TOO_BIG:
            return True
        return self.limiter.allow(peer, LIMITED_KIND, interface.link.is_loopback)

    def report_unresolved(self, interface: Interface, data: bytes) -> None:
        """A packet (from its IPv6 header on) was given up: its next hop did not answer."""
        if len(data) < HEADER_SIZE:
            return
        source = data[8:24]
        if not self.stack.is_local_address(source):
            self.send_error_about(
                interface,
                data,
                b"",
                icmp6.DESTINATION_UNREACHABLE,
                icmp6.ADDRESS_UNREACHABLE,
            )
            return
        protocol, transport = find_upper(data, 0, len(data))
        if protocol == FRAGMENT:
            return
        error = IcmpError(HOST_UNREACHABLE, source, data[24:40], protocol, data[transport:])
        error.offender = source
        error.icmp_type = icmp6.DESTINATION_UNREACHABLE
        error.icmp_code = icmp6.ADDRESS_UNREACHABLE
        self.ip.report_error(error)


def error_of(kind: int, code: int) -> tuple[int, bool]:
    """Return the NetError code of a received error, and whether it ends a connection."""
    if kind == icmp6.DESTINATION_UNREACHABLE and code < len(UNREACHABLE_ERRORS):
        return UNREACHABLE_ERRORS[code]
    if kind == icmp6.PACKET_TOO_BIG:
        return MESSAGE_TOO_LONG, False
    if kind == icmp6.TIME_EXCEEDED:
        return HOST_UNREACHABLE, False
    return PROTOCOL, kind == icmp6.PARAMETER_PROBLEM


def may_answer(quoted: bytes) -> bool:
    """Return whether a packet is no ICMPv6 error or redirect, and no later fragment (2.4 (e))."""
    protocol, transport = find_upper(quoted, 0, len(quoted))
    if protocol == FRAGMENT:
        return False
    if protocol != ICMPV6:
        return True
    if transport >= len(quoted):
        return False  # without its type: it could be an error
    kind = quoted[transport]
    return not icmp6.is_error(kind) and kind != icmp6.REDIRECT
