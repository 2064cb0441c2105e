"""ICMP echo endpoints without privileges: "ping sockets" (icmp(7), net.ipv4.ping_group_range).

What is sent is an echo request whose identifier is the endpoint's port; what
is received are the replies.
"""

from __future__ import annotations

from typing import Final

from netstack.datagram import Datagram, DatagramEndpoint, SendOptions
from netstack.endpoint import Address
from netstack.errors import ADDRESS_IN_USE, INVALID, MESSAGE_TOO_LONG, NetError
from netstack.packet import InPacket, OutPacket
from netstack.stack import Stack
from netstack.transport import IcmpError
from netstack.wire.checksum import checksum, finish, replace

ICMP: Final = 1
ICMP6: Final = 58
ECHO: Final = 8
ECHO6: Final = 128
HEADER_LENGTH: Final = 8


class PingEndpoint(DatagramEndpoint):
    """A ping socket's endpoint."""

    def __init__(self, table: PingTable) -> None:
        super().__init__(table.stack, table.version)
        self.only_v6 = True
        self.table = table
        self.identifier = 0  # 0: not bound yet

    def local_address(self) -> Address:
        """Return the local address; the port is the identifier."""
        return Address(self.local_host, self.identifier)

    def bind(self, address: Address) -> None:
        """bind(2): ADDRESS_IN_USE when the identifier is taken."""
        if self.identifier:
            raise NetError(INVALID)
        self.check_bindable(address)
        self.table.bind(self, address.port)
        self.local_host = address.host if any(address.host) else b""
        self.is_host_bound = bool(self.local_host)

    def connect(self, address: Address) -> None:
        """connect(2)."""
        target = self.normal_target(address)
        route = self.find_route(target, None)
        if not self.identifier:
            self.table.bind(self, 0)
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

    def send(
        self, payload: bytes, address: Address | None = None, options: SendOptions | None = None
    ) -> int | None:
        """Send an echo request, given with its header; None: would block."""
        self.check_can_send()
        if len(payload) > 65535:
            raise NetError(MESSAGE_TOO_LONG)
        request = ECHO if self.version == 4 else ECHO6
        if len(payload) < HEADER_LENGTH or payload[0] != request or payload[1] != 0:
            raise NetError(INVALID)
        target = self.target_of(address)
        if not self.identifier:
            self.table.bind(self, 0)
        route = self.route_to(target, options)
        message = replace(replace(payload, 2, 0), 4, self.identifier)
        if self.version == 4:
            message = replace(message, 2, finish(checksum(message)))
        packet = OutPacket(
            ICMP if self.version == 4 else ICMP6, message[:HEADER_LENGTH], message[HEADER_LENGTH:]
        )
        if self.version == 6:
            packet.checksum_offset = 2
        self.prepare(packet, route, options)
        if not self.dispatch(route, packet):
            return None
        icmp = self.stack.counters.icmp4 if self.version == 4 else self.stack.counters.icmp6
        icmp.count_out(request)
        return len(payload)

    def close(self) -> None:
        if not self.is_closed:
            self.table.unbind(self)
            self.release()


class PingTable:
    """The ping endpoints of one version of IP, by identifier."""

    def __init__(self, stack: Stack, version: int) -> None:
        self.stack = stack
        self.version = version
        self.by_identifier: dict[int, PingEndpoint] = {}
        stack.pings[version] = self

    def new_endpoint(self) -> PingEndpoint:
        """Return a new endpoint; the socket layer has checked ping_group_range."""
        return PingEndpoint(self)

    def bind(self, endpoint: PingEndpoint, identifier: int) -> None:
        """Give an endpoint an identifier; 0: any."""
        if not identifier:
            start = int.from_bytes(self.stack.environment.random_bytes(2), "big")
            for step in range(65536):
                candidate = (start + step) & 0xFFFF
                if candidate and candidate not in self.by_identifier:
                    identifier = candidate
                    break
        if not identifier or identifier in self.by_identifier:
            raise NetError(ADDRESS_IN_USE)
        endpoint.identifier = identifier
        self.by_identifier[identifier] = endpoint

    def unbind(self, endpoint: PingEndpoint) -> None:
        """Take an endpoint's identifier away."""
        if self.by_identifier.get(endpoint.identifier) is endpoint:
            del self.by_identifier[endpoint.identifier]
        endpoint.identifier = 0

    def on_reply(self, packet: InPacket) -> None:
        """Give an echo reply, whose checksum is good, to whoever asked."""
        data, at = packet.data, packet.transport
        endpoint = self.by_identifier.get((data[at + 4] << 8) | data[at + 5])
        if endpoint is None:
            return
        if endpoint.local_host and endpoint.local_host != packet.destination:
            return
        if endpoint.interface_index not in {0, packet.interface.index}:
            return
        scope = packet.interface.index if packet.source[:1] == b"\xfe" else 0
        source = Address(packet.source, 0, scope)
        end = endpoint.kept_end(packet, at, packet.end)
        if end > at:
            endpoint.enqueue(Datagram(data[at:end], source, packet))

    def on_icmp_error(self, error: IcmpError) -> None:
        """Take an error about an echo request."""
        quoted = error.quoted
        request = ECHO if self.version == 4 else ECHO6
        if len(quoted) < HEADER_LENGTH or quoted[0] != request:
            return
        endpoint = self.by_identifier.get((quoted[4] << 8) | quoted[5])
        if endpoint is not None:
            endpoint.take_icmp_error(error, Address(error.destination, 0), quoted)
