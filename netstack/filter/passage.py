"""A packet on its way past the rules, and how its addresses are rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.wire import ipv4
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

# Where transports have their checksums.
CHECKSUM_OFFSETS: Final = {ipv4.TCP: 16, ipv4.UDP: 6}

NO_ID: Final = -1  # of a user or group: no socket sends the packet


class Passage:
    """An IPv4 packet as rules see it.

    `data` begins with what lies before `network`, where the IP header is.  What follows the
    transport header may be elsewhere (`rest` bytes more) unless the packet is ICMP.
    """

    def __init__(self, data: bytes, network: int, rest: int) -> None:
        self.data = data
        self.network = network
        self.transport = network + (data[network] & 0x0F) * 4
        self.end = len(data)
        self.rest = rest
        self.protocol = data[network + 9]
        self.source = data[network + 12 : network + 16]
        self.destination = data[network + 16 : network + 20]
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

    def fragment_offset(self) -> int:
        """Return where this fragment begins, in units of eight bytes."""
        at = self.network + 6
        return ((self.data[at] << 8) | self.data[at + 1]) & ipv4.OFFSET_MASK

    def has_transport(self, size: int) -> bool:
        """Return whether the first `size` bytes of the transport header are there."""
        return self.end - self.transport >= size and not self.fragment_offset()

    def word(self, offset: int) -> int:
        """Return 16 bits of the transport header."""
        at = self.transport + offset
        return (self.data[at] << 8) | self.data[at + 1]

    def is_icmp_error(self) -> bool:
        """Return whether this is an ICMP message about another packet."""
        return (
            self.protocol == ipv4.ICMP
            and self.has_transport(8)
            and self.data[self.transport] in (3, 4, 5, 11, 12)
        )

    def set_source(self, host: bytes, port: int) -> None:
        """Rewrite the source address, and the port (or ICMP identification) if there is one."""
        self._set(12, host, 0, port)
        self.source = host

    def set_destination(self, host: bytes, port: int) -> None:
        """Rewrite the destination."""
        self._set(16, host, 2, port)
        self.destination = host

    def _set(self, address_at: int, host: bytes, port_at: int, port: int) -> None:
        self.data = rewrite(
            self.data, self.network, self.end, address_at, host, port_at, port, self.is_partial
        )

    def set_quoted(self, *, is_source: bool, host: bytes, port: int) -> None:
        """Rewrite an address of the packet that an ICMP error is about."""
        inner = self.transport + 8
        before = self.data
        data = rewrite(
            before,
            inner,
            self.end,
            12 if is_source else 16,
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
    old = int.from_bytes(data[at : at + 4], "big")
    new = int.from_bytes(host, "big")
    if old != new:
        data = data[:at] + host + data[at + 4 :]
        data = adjust(data, network + 10, old, new)
    if data[network + 6] & 0x1F or data[network + 7]:
        return data
    transport = network + (data[network] & 0x0F) * 4
    protocol = data[network + 9]
    if protocol == ipv4.ICMP:
        return _rewrite_ping(data, transport, end, port)
    offset = CHECKSUM_OFFSETS.get(protocol, -1)
    if offset < 0 or end - transport < 4:
        return data
    at = transport + port_at
    old_port = (data[at] << 8) | data[at + 1]
    if old_port != port:
        data = replace(data, at, port)
    at = transport + offset
    if at + 2 > end or (protocol == ipv4.UDP and data[at : at + 2] == b"\0\0"):
        return data  # cut off, or without a checksum (RFC 768)
    if is_partial:
        total = (data[at] << 8) | data[at + 1]
        return replace(data, at, (total - old + new) % 65535)
    data = adjust(data, at, old + old_port, new + port)
    if protocol == ipv4.UDP and data[at : at + 2] == b"\0\0":
        data = replace(data, at, 0xFFFF)
    return data


def _rewrite_ping(data: bytes, transport: int, end: int, ident: int) -> bytes:
    if end - transport < 8 or data[transport] not in (0, 8, 13, 14, 15, 16, 17, 18):
        return data
    old = (data[transport + 4] << 8) | data[transport + 5]
    if old == ident:
        return data
    return adjust(replace(data, transport + 4, ident), transport + 2, old, ident)
