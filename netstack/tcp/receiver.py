"""Which listener gets a packet, and whether a socket's filter lets a segment in."""

from netstack.packet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, FrameFilter, InPacket
from netstack.ports import ANY_BOTH, ANY_IPV4, ANY_IPV6
from netstack.tcp.listener import TcpListener
from netstack.wire.tcp import Segment


def passes(program: FrameFilter | None, segment: Segment, packet: InPacket) -> bool:
    """Return whether a socket's filter lets a segment pass; it may cut off some of the data.

    The filter sees the segment from the TCP header on, and leaves that whole
    (tcp_filter, net/ipv4/tcp_ipv4.c).
    """
    if program is None:
        return True
    at = packet.transport
    ethertype = ETHERTYPE_IPV4 if packet.version == 4 else ETHERTYPE_IPV6
    keep = program.run(packet.data, at, packet.end, packet, ethertype)
    if keep == 0:
        return False
    segment.end = max(segment.start, min(segment.end, at + keep))
    return True


def score(listener: TcpListener, packet: InPacket) -> int:
    """Return how well a listener fits a packet (compute_score); -1: not at all."""
    binding = listener.binding
    points = 0
    if binding.host:
        if binding.host != packet.destination:
            return -1
        points += 4
    elif packet.version == 4:
        if not binding.versions & ANY_IPV4:
            return -1
        points += 2 if binding.versions != ANY_BOTH else 0
    elif not binding.versions & ANY_IPV6:
        return -1
    if listener.options.interface_index:
        if listener.options.interface_index != packet.interface.index:
            return -1
        points += 8
    return points
