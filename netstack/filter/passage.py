"""A packet on its way past the rules, and how its addresses are rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.wire import icmp4, icmp6, ipv4, ipv6
from netstack.wire.checksum import checksum, finish, replace

if TYPE_CHECKING:
    from netstack.filter.conntrack import Connection
    from netstack.interface import Interface
    from netstack.packet import InPacket

# Where packets pass (enum nf_inet_hooks, linux/netfilter.h).
PRE_ROUTING: Final = 0
LOCAL_IN: Final = 1
FORWARD: Final = 2
LOCAL_OUT: Final = 3
POST_ROUTING: Final = 4
HOOKS: Final = 5

# What connection tracking says of a packet.
INVALID: Final = 0
NEW: Final = 1
ESTABLISHED: Final = 2
RELATED: Final = 3
UNTRACKED: Final = 4

TCP: Final = 6
UDP: Final = 17
ICMP: Final = 1
ICMPV6: Final = 58
# Where transports have their checksums.
CHECKSUM_OFFSETS: Final = {TCP: 16, UDP: 6}
# What asks and answers of ICMP, with an identification.
PINGS: Final = (0, 8, 13, 14, 15, 16, 17, 18)
PINGS6: Final = (icmp6.ECHO_REQUEST, icmp6.ECHO_REPLY)

NO_ID: Final = -1  # of a user or group: no socket sends the packet


class Passage:
    """An IP packet as rules see it.

    `data` begins with what lies before `network`, where the IP header is.  What follows the
    transport header may be elsewhere (`rest` bytes more) unless the packet is ICMP.
    """

    def __init__(self, data: bytes, network: int, rest: int) -> None:
        self.data = data
        self.network = network
        self.end = len(data)
        self.rest = rest
        self.version = data[network] >> 4
        if self.version == 6:
            self.source = data[network + 8 : network + 24]
            self.destination = data[network + 24 : network + 40]
        else:
            self.source = data[network + 12 : network + 16]
            self.destination = data[network + 16 : network + 20]
        # Of the transport header; and where a fragment begins in the whole, in bytes.
        self.protocol, self.transport, self.offset = upper_layer(data, network, len(data))
        self.input: Interface | None = None
        self.output: Interface | None = None
        self.mark = 0
        self.user = NO_ID
        self.group = NO_ID
        # The checksum field has the sum of the pseudo-header only (left to the link).
        self.is_partial = False
        self.arrived: InPacket | None = None
        self.connection: Connection | None = None
        self.state = INVALID
        self.is_reply = False

    def size(self) -> int:
        """Return the packet's length in bytes, with the IP header."""
        return self.end - self.network + self.rest

    def has_transport(self, size: int) -> bool:
        """Return whether the first `size` bytes of the transport header are there."""
        return self.end - self.transport >= size and not self.offset

    def word(self, offset: int) -> int:
        """Return 16 bits of the transport header."""
        at = self.transport + offset
        return (self.data[at] << 8) | self.data[at + 1]

    def is_icmp_error(self) -> bool:
        """Return whether this is an ICMP message about another packet."""
        if not self.has_transport(8):
            return False
        if self.version == 6:
            return self.protocol == ICMPV6 and icmp6.is_error(self.data[self.transport])
        return self.protocol == ICMP and self.data[self.transport] in icmp4.ERRORS

    def set_source(self, host: bytes, port: int) -> None:
        """Rewrite the source address, and the port (or ICMP identification) if there is one."""
        self._set(8 if self.version == 6 else 12, host, 0, port)
        self.source = host

    def set_destination(self, host: bytes, port: int) -> None:
        """Rewrite the destination."""
        self._set(24 if self.version == 6 else 16, host, 2, port)
        self.destination = host

    def _set(self, address_at: int, host: bytes, port_at: int, port: int) -> None:
        self.data = rewrite(
            self.data, self.network, self.end, address_at, host, port_at, port, self.is_partial
        )

    def set_quoted(self, *, is_source: bool, host: bytes, port: int) -> None:
        """Rewrite an address of the packet that an ICMP error is about."""
        inner = self.transport + 8
        before = self.data
        source_at, destination_at = (8, 24) if self.version == 6 else (12, 16)
        data = rewrite(
            before,
            inner,
            self.end,
            source_at if is_source else destination_at,
            host,
            0 if is_source else 2,
            port,
            is_partial=False,
        )
        old = before[inner : self.end]
        new = data[inner : self.end]
        self.data = adjust(data, self.transport + 2, checksum(old), checksum(new))


def adjust(data: bytes, at: int, old: int, new: int) -> bytes:
    """Return `data` with the checksum at `at` updated: what it covers summed to `old`, now `new`.

    RFC 1624, 3, equation 3.
    """
    total = 65535 - ((data[at] << 8) | data[at + 1])
    return replace(data, at, finish(total - old + new))


def rewrite(
    data: bytes,
    network: int,
    end: int,
    address_at: int,
    host: bytes,
    port_at: int,
    port: int,
    is_partial: bool,  # noqa: FBT001  of a long row of the like
) -> bytes:
    """Return `data` with an address and a port of the packet at `network` replaced.

    Checksums are kept right, or as wrong as they were.  An ICMP query has its identification for
    a port, wherever it goes; what is not there (a quoted packet is cut off) is left alone.
    """
    at = network + address_at
    before = data[at : at + len(host)]
    old, new = int.from_bytes(before, "big"), int.from_bytes(host, "big")
    if old != new:
        data = data[:at] + host + data[at + len(host) :]
        if len(host) == 4:
            data = adjust(data, network + 10, old, new)
    protocol, transport, offset = upper_layer(data, network, end)
    if offset:
        return data
    if protocol in {ICMP, ICMPV6}:
        if protocol == ICMPV6 and old != new and end - transport >= 4:
            data = adjust(data, transport + 2, old, new)
        return _rewrite_ping(data, transport, end, port, PINGS if protocol == ICMP else PINGS6)
    checksum_at = CHECKSUM_OFFSETS.get(protocol, -1)
    if checksum_at < 0 or end - transport < 4:
        return data
    at = transport + port_at
    old_port = (data[at] << 8) | data[at + 1]
    if old_port != port:
        data = replace(data, at, port)
    at = transport + checksum_at
    if at + 2 > end or (protocol == UDP and data[at : at + 2] == b"\0\0"):
        return data  # cut off, or without a checksum (RFC 768)
    if is_partial:
        total = (data[at] << 8) | data[at + 1]
        return replace(data, at, (total - old + new) % 65535)
    data = adjust(data, at, old + old_port, new + port)
    if protocol == UDP and data[at : at + 2] == b"\0\0":
        data = replace(data, at, 0xFFFF)
    return data


def _rewrite_ping(
    data: bytes, transport: int, end: int, ident: int, kinds: tuple[int, ...]
) -> bytes:
    if end - transport < 8 or data[transport] not in kinds:
        return data
    old = (data[transport + 4] << 8) | data[transport + 5]
    if old == ident:
        return data
    return adjust(replace(data, transport + 4, ident), transport + 2, old, ident)


def upper_layer(data: bytes, network: int, end: int) -> tuple[int, int, int]:
    """Return the transport protocol, where its header begins, and the fragment's offset in bytes.

    Of a later fragment what follows is no header.  Nothing is checked but that reads stay inside;
    where a header is cut off the transport begins at the end.
    """
    if data[network] >> 4 != 6:
        field = (data[network + 6] << 8) | data[network + 7]
        at = network + (data[network] & 0x0F) * 4
        return data[network + 9], at, (field & ipv4.OFFSET_MASK) * 8
    protocol = data[network + 6]
    at = network + ipv6.HEADER_SIZE
    for _ in range(ipv6.MAX_EXTENSION_HEADERS):
        if protocol not in ipv6.EXTENSION_HEADERS:
            break
        if end - at < 8:
            return protocol, end, 0
        size = 8 + data[at + 1] * 8
        if protocol == ipv6.FRAGMENT:
            offset = ((data[at + 2] << 8) | data[at + 3]) & 0xFFF8
            size = ipv6.FRAGMENT_HEADER_SIZE
            if offset:
                return data[at], at + size, offset
        protocol = data[at]
        at += size
    return protocol, min(at, end), 0
