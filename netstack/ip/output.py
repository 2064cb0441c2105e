"""What both versions of IP do to a packet on its way out."""

from netstack.packet import OutPacket
from netstack.route import Route
from netstack.wire.checksum import checksum, finish, pseudo_header, replace


def leaves_checksum(route: Route, packet: OutPacket) -> bool:
    """Return whether the link makes the transport checksum."""
    link = route.interface.link
    return link.sends_checksums and (packet.gso_size > 0 or not link.finishes_checksums)


def transport_header(
    packet: OutPacket, source: bytes, destination: bytes, *, by_link: bool
) -> bytes:
    """Return the transport header with its checksum filled in.

    `by_link`: only with the sum of the pseudo-header, as the link finishes it
    (struct virtio_net_hdr, VIRTIO_NET_HDR_F_NEEDS_CSUM).
    """
    header = packet.header
    at = packet.checksum_offset
    if at < 0:
        return header
    length = len(header) + len(packet.payload)
    total = pseudo_header(source, destination, packet.protocol, length)
    if by_link:
        return replace(header, at, total)
    total = checksum(header, total)  # headers have an even length
    # A UDP checksum of zero means "none"; 65535 is the same number (RFC 768).
    return replace(header, at, finish(checksum(bytes(packet.payload), total)) or 0xFFFF)
