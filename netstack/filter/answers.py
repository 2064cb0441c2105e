"""What the sender of a rejected packet is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.filter.passage import TCP, Passage
from netstack.packet import CHECKSUM_GOOD, InPacket, OutPacket
from netstack.wire import ipv6
from netstack.wire import tcp as wire_tcp
from netstack.wire.checksum import checksum, pseudo_header

if TYPE_CHECKING:
    from netstack.interface import Interface

TCP_CHECKSUM: Final = 16


def reset_for(passage: Passage) -> OutPacket | None:
    """Return the RST that answers a TCP segment (RFC 9293, 3.10.7.1); None if nothing does."""
    if passage.protocol != TCP or not passage.has_transport(20):
        return None
    data, at = passage.data, passage.transport
    flags = data[at + 13]
    if flags & wire_tcp.RST or not has_good_sum(passage):
        return None
    ack = int.from_bytes(data[at + 8 : at + 12], "big")
    if flags & wire_tcp.ACK:
        seq, ack, answer = ack, 0, wire_tcp.RST
    else:
        begin = int.from_bytes(data[at + 4 : at + 8], "big")
        length = passage.size() - (at - passage.network) - (data[at + 12] >> 4) * 4
        length += (flags & wire_tcp.SYN != 0) + (flags & wire_tcp.FIN != 0)
        seq, ack, answer = 0, begin + length, wire_tcp.RST | wire_tcp.ACK
    header = wire_tcp.build(passage.word(2), passage.word(0), seq, ack, answer, 0, 0, b"")
    out = OutPacket(TCP, header, b"")
    out.checksum_offset = TCP_CHECKSUM
    out.dont_fragment = True
    return out


def has_good_sum(passage: Passage) -> bool:
    """Return whether a segment's checksum is right, or was verified, or is our own."""
    arrived = passage.arrived
    if arrived is None or arrived.checksum == CHECKSUM_GOOD:
        return True
    size = passage.end - passage.transport
    total = pseudo_header(passage.source, passage.destination, passage.protocol, size)
    return not checksum(passage.data[passage.transport : passage.end], total)


def as_packet(passage: Passage, interface: Interface) -> InPacket:
    """Return a packet of ours as one that came in, for an answer."""
    data, network = passage.data, passage.network
    about = InPacket(interface, data)
    about.version = passage.version
    about.network = network
    about.transport = passage.transport
    about.end = passage.end
    about.protocol = passage.protocol
    about.source = passage.source
    about.destination = passage.destination
    if passage.version == 6:
        about.tos = ipv6.traffic_class(data, network)
        about.ttl = data[network + 7]
    else:
        about.tos = data[network + 1]
        about.ttl = data[network + 8]
    return about
