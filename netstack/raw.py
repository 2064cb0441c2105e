"""Raw endpoints (raw(7), ipv6(7); RFC 1122, 3.4): packets of one protocol, as they come."""

from __future__ import annotations

from typing import Final

from netstack.datagram import Datagram, DatagramEndpoint, SendOptions
from netstack.endpoint import Address
from netstack.errors import INVALID, MESSAGE_TOO_LONG, NetError
from netstack.packet import InPacket, OutPacket
from netstack.route import MULTICAST
from netstack.stack import Stack
from netstack.transport import IcmpError

PROTOCOL_RAW: Final = 255  # IPPROTO_RAW: only to send, with headers of one's own
ICMP: Final = 1
ICMP6: Final = 58


class RawEndpoint(DatagramEndpoint):
    """Takes a copy of every packet of one protocol.

    With version 4 it receives packets with their IP header, with version 6
    what follows the headers.  The socket layer asks for CAP_NET_RAW.
    """

    def __init__(self, stack: Stack, version: int, protocol: int) -> None:
        super().__init__(stack, version)
        self.only_v6 = True  # a raw IPv6 endpoint takes no IPv4
        self.protocol = protocol
        self.has_header = protocol == PROTOCOL_RAW and version == 4  # IP_HDRINCL
        self.icmp_filter = 0  # ICMP_FILTER: bit n drops type n
        self.icmp6_filter = 0  # ICMPV6_FILTER: bit n drops type n
        # IPV6_CHECKSUM: offset of the checksum in what is sent and received; -1: none.
        self.checksum_offset = 2 if protocol == ICMP6 and version == 6 else -1
        stack.raw.setdefault((version, protocol), []).append(self)

    # Addresses.

    def bind(self, address: Address) -> None:
        """bind(2): only packets to an address."""
        self.check_bindable(address)
        self.local_host = address.host if any(address.host) else b""
        self.is_host_bound = bool(self.local_host)

    def connect(self, address: Address) -> None:
        """connect(2): only packets from an address, which is where packets go."""
        target = self.normal_target(address)
        route = self.find_route(target, None)
        if not self.local_host:
            self.local_host = route.source
        self.remote = target
        self._route = route

    def disconnect(self) -> None:
        """connect(2) to AF_UNSPEC."""
        self.remote = None
        self._route = None
        if not self.is_host_bound:
            self.local_host = b""

    # In.

    def on_packet(self, packet: InPacket) -> None:
        """Called with every packet of the protocol for this host."""
        if not self._matches(packet) or self._is_filtered(packet):
            return
        start = packet.network if self.version == 4 else packet.transport
        end = self.kept_end(packet, start, packet.end)
        if end <= start and packet.end > start:
            return
        payload = packet.data[start:end]
        self.enqueue(Datagram(payload, Address(packet.source, 0, self._scope(packet)), packet))

    def _scope(self, packet: InPacket) -> int:
        source = packet.source
        is_link_local = len(source) == 16 and source[0] == 0xFE and source[1] & 0xC0 == 0x80
        return packet.interface.index if is_link_local else 0

    def _matches(self, packet: InPacket) -> bool:
        if self.local_host and self.local_host != packet.destination:
            return False
        if self.remote is not None and self.remote.host != packet.source:
            return False
        if self.interface_index and self.interface_index != packet.interface.index:
            return False
        network = self.stack.networks.get(self.version)
        if network is None or not network.is_multicast(packet.destination):
            return True
        return self.wants_group(packet)

    def _is_filtered(self, packet: InPacket) -> bool:
        if self.protocol not in {ICMP, ICMP6} or packet.end <= packet.transport:
            return False
        kind = packet.data[packet.transport]
        if self.version == 4:
            return self.protocol == ICMP and kind < 32 and self.icmp_filter >> kind & 1 == 1
        return self.protocol == ICMP6 and self.icmp6_filter >> kind & 1 == 1

    def on_icmp_error(self, error: IcmpError) -> None:
        """Called with every ICMP error about a packet of the protocol."""
        if self.local_host and self.local_host != error.source:
            return
        if self.remote is not None and self.remote.host != error.destination:
            return
        self.take_icmp_error(error, Address(error.destination, 0), error.quoted)

    # Out.

    def send(
        self, payload: bytes, address: Address | None = None, options: SendOptions | None = None
    ) -> int | None:
        """Send a packet; return its size, or None: would block."""
        if self.has_header:
            # Others send on, whatever is pending: Linux looks at it where it allocates for them.
            self.check_can_send()
        target = self.target_of(address)
        if len(payload) > 65535:
            raise NetError(MESSAGE_TOO_LONG)
        route = self.route_to(target, options)
        network = self.stack.networks[route.version]
        if self.has_header:
            if not network.send_raw(route, payload):
                self._has_room = False
                self.stack.when_room(route.interface, self._waiter)
                return None
            return len(payload)
        packet = OutPacket(self.protocol, payload, b"")
        if self.version == 6 and self.checksum_offset >= 0:
            if self.checksum_offset + 2 > len(payload):
                raise NetError(INVALID)
            packet = self._with_checksum(payload)
        self.prepare(packet, route, options)
        if route.kind == MULTICAST and packet.ttl == 0:
            packet.ttl = 1
        try:
            return len(payload) if self.dispatch(route, packet) else None
        except NetError as error:
            if error.code == MESSAGE_TOO_LONG:
                self.queue_local_error(error.code, target, route.mtu, payload)
            raise

    def _with_checksum(self, payload: bytes) -> OutPacket:
        """Return a packet whose checksum the network layer computes."""
        at = self.checksum_offset
        cut = at + 2  # even: the rest is summed as words of its own
        header = payload[:at] + b"\0\0"
        packet = OutPacket(self.protocol, header, payload[cut:])
        packet.checksum_offset = at
        return packet

    def close(self) -> None:
        if not self.is_closed:
            key = (self.version, self.protocol)
            self.stack.raw[key].remove(self)
            if not self.stack.raw[key]:
                del self.stack.raw[key]
            self.release()
