"""IP packets around TCP segments, and ICMP errors about them: for scripts and whole stacks."""

import struct

from netstack.wire.checksum import checksum, finish, pseudo_header
from tests.packets.stack import LOCAL, REMOTE

ICMP = {
    4: {
        "MESSAGE_TOO_LONG": (3, 4),
        "HOST_UNREACHABLE": (3, 1),
        "PORT_UNREACHABLE": (3, 3),
        "NETWORK_UNREACHABLE": (3, 0),
    },
    6: {
        "MESSAGE_TOO_LONG": (2, 0),
        "HOST_UNREACHABLE": (1, 3),
        "PORT_UNREACHABLE": (1, 4),
        "NETWORK_UNREACHABLE": (1, 0),
    },
}
PROTOCOL_ICMP = {4: 1, 6: 58}


def ip_packet(version: int, protocol: int, tos: int, body: bytes) -> bytes:
    """Return a packet from the peer to us."""
    source, destination = REMOTE[version], LOCAL[version]
    if version == 6:
        head = struct.pack(">IHBB", 6 << 28 | tos << 20, len(body), protocol, 64)
        return head + source + destination + body
    head = struct.pack(">BBHHHBBH", 0x45, tos, 20 + len(body), 0, 0x4000, 64, protocol, 0)
    head += source + destination
    return head[:10] + finish(checksum(head)).to_bytes(2, "big") + head[12:] + body


def tcp_packet(version: int, tos: int, header: bytes, payload: bytes) -> bytes:
    """Return a segment of the peer's, with its checksum."""
    body = header[:16] + bytes(2) + header[18:] + payload
    total = checksum(body, pseudo_header(REMOTE[version], LOCAL[version], 6, len(body)))
    return ip_packet(version, 6, tos, body[:16] + finish(total).to_bytes(2, "big") + body[18:])


def icmp_packet(version: int, name: str, mtu: int, quoted: bytes) -> bytes:
    """Return an error about a segment of ours; `quoted` is how its TCP header begins."""
    kind, code = ICMP[version][name]
    if version == 6:
        inner = struct.pack(">IHBB", 6 << 28, 20, 6, 64) + LOCAL[6] + REMOTE[6] + quoted + bytes(12)
    else:
        inner = struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0x4000, 64, 6, 0)
        inner += LOCAL[4] + REMOTE[4]
        inner = inner[:10] + finish(checksum(inner)).to_bytes(2, "big") + inner[12:] + quoted
    body = struct.pack(">BBHI", kind, code, 0, mtu) + inner
    initial = 0
    if version == 6:
        initial = pseudo_header(REMOTE[6], LOCAL[6], PROTOCOL_ICMP[6], len(body))
    total = finish(checksum(body, initial))
    body = body[:2] + total.to_bytes(2, "big") + body[4:]
    return ip_packet(version, PROTOCOL_ICMP[version], 0, body)


def transport_of(packet: bytes) -> tuple[int, int, int] | None:
    """Return offset of the TCP header, type of service and TTL of a packet; None: not TCP."""
    if packet[0] >> 4 == 4 and packet[9] == 6:
        return (packet[0] & 15) * 4, packet[1], packet[8]
    if packet[0] >> 4 == 6 and packet[6] == 6:
        return 40, (packet[0] & 15) << 4 | packet[1] >> 4, packet[7]
    return None
