"""ICMP (RFC 792, RFC 1122, 3.2.2): answers requests, reports errors, and limits its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.errors import (
    CONNECTION_REFUSED,
    HOST_DOWN,
    HOST_UNREACHABLE,
    MESSAGE_TOO_LONG,
    NETWORK_UNREACHABLE,
    NO_NETWORK,
    NO_PROTOCOL,
    NOT_SUPPORTED,
    PROTOCOL,
    NetError,
)
from netstack.ip.ratelimit import ErrorLimiter
from netstack.packet import TO_HOST, InPacket, OutPacket
from netstack.transport import IcmpError, Transport
from netstack.wire import icmp4, ipv4
from netstack.wire.checksum import checksum

if TYPE_CHECKING:
    from netstack.ip.ipv4 import Ipv4
    from netstack.stack import Stack

# RFC 1812, 4.3.2.3: as much of the packet as fits, with the headers, into 576 bytes.
MAX_QUOTE: Final = 576 - 20 - 8

# What "destination unreachable" means to the sender, by code: error, and whether it is final
# (RFC 1122, 4.2.3.9; RFC 1812, 5.2.7.1).
UNREACHABLE_ERRORS: Final = (
    (NETWORK_UNREACHABLE, False),
    (HOST_UNREACHABLE, False),
    (NO_PROTOCOL, True),
    (CONNECTION_REFUSED, True),
    (MESSAGE_TOO_LONG, False),
    (NOT_SUPPORTED, False),
    (NETWORK_UNREACHABLE, True),
    (HOST_DOWN, True),
    (NO_NETWORK, True),
    (NETWORK_UNREACHABLE, True),
    (HOST_UNREACHABLE, True),
    (NETWORK_UNREACHABLE, False),
    (HOST_UNREACHABLE, False),
    (HOST_UNREACHABLE, True),
    (HOST_UNREACHABLE, True),
    (HOST_UNREACHABLE, True),
)

# RFC 1191, 7.1: for routers that do not say what would fit.
PLATEAUS: Final = (32000, 17914, 8166, 4352, 2002, 1492, 576, 296, 216, 128, 68)


class Icmp4(Transport):
    """ICMP of one stack."""

    def __init__(self, stack: Stack, network: Ipv4) -> None:
        self.stack = stack
        self.network = network
        self.counters = stack.counters.icmp4
        self.limiter = ErrorLimiter(stack.environment, stack.settings, self.counters)

    # In.

    def on_packet(self, packet: InPacket) -> bool:
        counters = self.counters
        counters.InMsgs += 1
        data, at = packet.data, packet.transport
        if packet.end - at < icmp4.HEADER_LENGTH:
            counters.InErrors += 1
            return True
        # Also of what was never out: the message is small, and nobody else computes it for us.
        if checksum(data[at : packet.end]):
            counters.InCsumErrors += 1
            counters.InErrors += 1
            return True
        kind = data[at]
        counters.count_in(kind)
        if kind == icmp4.ECHO:
            self._on_echo(packet)
        elif kind == icmp4.ECHO_REPLY:
            pings = self.stack.pings.get(4)
            if pings is not None:
                pings.on_reply(packet)
        elif kind == icmp4.TIMESTAMP:
            self._on_timestamp(packet)
        elif kind in icmp4.ERRORS:
            self._on_error(packet)
        return True

    def _on_echo(self, packet: InPacket) -> None:
        settings = self.stack.settings
        if settings.icmp_echo_ignore_all:
            return
        to_many = packet.is_broadcast or ipv4.is_multicast(packet.destination)
        if to_many and settings.icmp_echo_ignore_broadcasts:
            return
        self._reply(packet, icmp4.ECHO_REPLY, packet.data[packet.transport + 8 : packet.end])

    def _on_timestamp(self, packet: InPacket) -> None:
        data, at = packet.data, packet.transport
        if packet.is_broadcast or ipv4.is_multicast(packet.destination):
            return  # RFC 1122, 3.2.2.8: may be dropped
        if packet.end - at < 20:
            self.counters.InErrors += 1
            return
        # Milliseconds since midnight UT.
        now = self.stack.environment.realtime_ns() // 1_000_000 % 86_400_000
        stamp = now.to_bytes(4, "big")
        self._reply(packet, icmp4.TIMESTAMP_REPLY, data[at + 8 : at + 12] + stamp + stamp)

    def _reply(self, packet: InPacket, kind: int, body: bytes) -> None:
        at = packet.transport
        rest = int.from_bytes(packet.data[at + 4 : at + 8], "big")
        self._send(packet, icmp4.build(kind, 0, rest, body), packet.tos, kind)

    def _send(self, about: InPacket, message: bytes, tos: int, kind: int) -> None:
        """Answer the sender of a packet, from the address that it was sent to if that is ours."""
        source = about.destination if self.stack.is_local_address(about.destination) else b""
        if not source:
            source = self.network.select_source(about.interface, about.source)
        out = OutPacket(ipv4.ICMP, message[:8], message[8:])
        out.tos = tos
        try:
            route = self.stack.find_route(about.source, source)
            if not self.network.is_unicast(about.source):
                return
            sent = self.network.send(route, out)
        except NetError:
            sent = False  # there is nobody to tell
        if sent:
            self.counters.count_out(kind)
        else:
            self.counters.OutErrors += 1

    # Errors that came in.

    def _on_error(self, packet: InPacket) -> None:
        """Parse the quoted packet, and tell who sent it."""
        data, at = packet.data, packet.transport
        quoted = data[at + 8 : packet.end]
        header_length = (quoted[0] & 0x0F) * 4 if quoted else 0
        if len(quoted) < 20 or quoted[0] >> 4 != 4 or not 20 <= header_length <= len(quoted):
            self.counters.InErrors += 1
            return
        kind, code = data[at], data[at + 1]
        source = quoted[12:16]
        if not self.stack.is_local_address(source):
            return  # not about a packet of ours
        if quoted[6] & 0x1F or quoted[7]:
            return  # a later fragment has no transport header
        error = IcmpError(0, source, quoted[16:20], quoted[9], quoted[header_length:])
        error.offender = packet.source
        error.icmp_type = kind
        error.icmp_code = code
        if self._translate(error, quoted, int.from_bytes(data[at + 4 : at + 8], "big")):
            self.network.report_error(error)

    def _translate(self, error: IcmpError, quoted: bytes, rest: int) -> bool:
        """Set what the error means (icmp(7)); False if it means nothing to anybody."""
        kind, code = error.icmp_type, error.icmp_code
        if kind == icmp4.DEST_UNREACH:
            if code >= len(UNREACHABLE_ERRORS):
                return False
            error.code, error.is_hard = UNREACHABLE_ERRORS[code]
            if code == icmp4.FRAGMENTATION_NEEDED:
                return self._translate_mtu(error, quoted, rest & 0xFFFF)
            return True
        if kind == icmp4.TIME_EXCEEDED:
            error.code = HOST_UNREACHABLE
            return True
        if kind == icmp4.PARAMETER_PROBLEM:
            error.code = PROTOCOL
            error.is_hard = True
            error.pointer = rest >> 24
            return True
        # RFC 6633: source quench is ignored.  Redirects are for routers' neighbours: a host
        # behind one gateway has no use for them, and anybody on the link could send one.
        return False

    def _translate_mtu(self, error: IcmpError, quoted: bytes, mtu: int) -> bool:
        length = (quoted[2] << 8) | quoted[3]
        if not mtu:
            mtu = 68
            for plateau in PLATEAUS:
                if plateau < length:
                    mtu = plateau
                    break
        if mtu >= length >= 68:
            return False  # the packet would have passed: a forgery or a mistake
        error.mtu = max(mtu, self.stack.settings.min_pmtu)
        return True

    def on_icmp_error(self, error: IcmpError) -> None:
        """An error about an ICMP message of ours: of a ping endpoint's, if at all."""
        pings = self.stack.pings.get(4)
        if pings is not None:
            pings.on_icmp_error(error)

    # Errors that we send.

    def send_error(self, packet: InPacket, kind: int, code: int, rest: int) -> None:
        """Answer a packet with an error, unless RFC 1122, 3.2.2 or the limits forbid it."""
        if not self._may_complain(packet):
            return
        if not self.limiter.allow(packet.source, kind, packet.interface.link.is_loopback):
            return
        quote = packet.data[packet.network : min(packet.end, packet.network + MAX_QUOTE)]
        # RFC 1812, 4.3.2.5: precedence "internetwork control".
        tos = (packet.tos & 0x1E) | 0xC0
        self._send(packet, icmp4.build(kind, code, rest, quote), tos, kind)

    def _may_complain(self, packet: InPacket) -> bool:
        data, at = packet.data, packet.network
        if packet.kind != TO_HOST or packet.is_broadcast or packet.is_looped:
            return False
        if ipv4.is_multicast(packet.destination) or not self.network.is_unicast(packet.source):
            return False
        if data[at + 6] & 0x1F or data[at + 7]:
            return False
        if packet.protocol != ipv4.ICMP:
            return True
        # Not about an error; a message too short to tell counts as one.
        return packet.end > packet.transport and data[packet.transport] in {
            icmp4.ECHO_REPLY,
            icmp4.ECHO,
            icmp4.TIMESTAMP,
            icmp4.TIMESTAMP_REPLY,
        }

    def send_port_unreachable(self, packet: InPacket) -> None:
        """Nobody has the port."""
        self.send_error(packet, icmp4.DEST_UNREACH, icmp4.PORT_UNREACHABLE, 0)

    def send_protocol_unreachable(self, packet: InPacket) -> None:
        """Nobody knows the protocol."""
        self.send_error(packet, icmp4.DEST_UNREACH, icmp4.PROTOCOL_UNREACHABLE, 0)

    def send_reassembly_exceeded(self, packet: InPacket) -> None:
        """Fragments did not all come."""
        self.send_error(packet, icmp4.TIME_EXCEEDED, icmp4.REASSEMBLY_EXCEEDED, 0)

    def send_parameter_problem(self, packet: InPacket, pointer: int) -> None:
        """The byte at `pointer` of the header is wrong."""
        self.send_error(packet, icmp4.PARAMETER_PROBLEM, 0, pointer << 24)
