"""A stack that takes frames made of any bytes: what a fuzzer drives, and seeds for it.

An input is a row of steps: a byte of flags, two of length, and a frame.  The
flags say whether checksums are put right first, so that what lies behind
them is reached, and whether time passes.
"""

import struct
from collections.abc import Iterator

from netstack.build import add_ipv4, add_ipv6, add_loopback
from netstack.endpoint import Address
from netstack.errors import NetError
from netstack.interface import InterfaceAddress
from netstack.stack import Stack
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.protocol import TcpProtocol
from netstack.udp import UdpTransport
from netstack.wire.checksum import checksum, finish, pseudo_header
from netstack.wire.tcp import ACK, FIN, RST, SYN, URG, build, sack_option, syn_options
from tests.packets.headers import ip_packet, tcp_packet
from tests.packets.stack import LOCAL, REMOTE
from tests.unit.netstack.harness import SECOND, CaptureLink, VirtualEnvironment

OUR_LINK = b"\x02\x00\x00\x00\x00\x01"
PEER_LINK = b"\x02\x00\x00\x00\x00\x02"
LISTEN_PORT = 8080
UDP_PORT = 5353
FIX_CHECKSUMS = 1
PASS_TIME = 2
PASS_MUCH_TIME = 4
MOST_STEPS = 40
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2}


class World:
    """A stack with one interface, listeners and a connection; deterministic."""

    def __init__(self) -> None:
        self.environment = VirtualEnvironment()
        self.stack = Stack(self.environment)
        networks = {4: add_ipv4(self.stack), 6: add_ipv6(self.stack)}
        self.tcp = TcpProtocol(self.stack)
        self.udp = UdpTransport(self.stack)
        add_loopback(self.stack)
        self.link = CaptureLink(1500, OUR_LINK)
        self.nic = self.stack.add_interface("eth0", self.link)
        networks[6].state_of(self.nic).config.router_solicitations = 0
        self.stack.set_up(self.nic)
        for version, length in ((4, 24), (6, 64)):
            self.stack.add_address(self.nic, InterfaceAddress(LOCAL[version], length))
            networks[version].neighbours.add_permanent(self.nic, REMOTE[version], PEER_LINK)
        self.environment.advance(5 * SECOND)
        self.listening = TcpEndpoint(self.tcp, 6)
        self.listening.bind(Address(b"", LISTEN_PORT))
        self.listening.listen(4)
        self.accepted: list[TcpEndpoint] = []
        self.datagrams = [self.udp.new_endpoint(version) for version in (4, 6)]
        for endpoint, version in zip(self.datagrams, (4, 6), strict=True):
            endpoint.bind(Address(LOCAL[version], UDP_PORT))
        self.link.take()

    def step(self, flags: int, frame: bytes) -> None:
        """Take one frame, and do what a busy user would."""
        if flags & FIX_CHECKSUMS:
            frame = with_checksums(frame)
        self.nic.receive(frame)
        if flags & PASS_TIME:
            self.environment.advance(SECOND // 10)
        if flags & PASS_MUCH_TIME:
            self.environment.advance(3 * SECOND)
        made = self.listening.accept()
        if made is not None:
            self.accepted.append(made)
        for endpoint in self.accepted:
            try:
                data = endpoint.read(4096)
                endpoint.write(data or b"x")
            except NetError:
                continue  # closed, reset: the peer's right
        for datagram in self.datagrams:
            datagram.receive()
        self.link.take()


def run(data: bytes) -> None:
    """Run one input, and check that what is left is bounded."""
    world = World()
    for flags, frame in steps(data):
        world.step(flags, frame)
    world.environment.advance(200 * SECOND)
    assert len(world.tcp.flows) <= MOST_STEPS
    world.listening.close()
    for endpoint in world.accepted:
        endpoint.options.linger_enabled = True
        endpoint.close()
    world.environment.advance(200 * SECOND)
    assert not world.tcp.flows


def steps(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the flags and frames of an input."""
    at = count = 0
    while at + 3 <= len(data) and count < MOST_STEPS:
        flags, length = struct.unpack_from(">BH", data, at)
        at += 3
        yield flags, data[at : at + min(length, 1600)]
        at += length
        count += 1


def with_checksums(frame: bytes) -> bytes:
    """Return a frame whose IP and transport checksums are right, as far as it has any."""
    kind = frame[12:14]
    if kind == b"\x08\x00" and len(frame) >= 34:
        size = (frame[14] & 15) * 4
        head = frame[14 : 14 + size]
        if size < 20 or len(head) < size:
            return frame
        head = head[:10] + bytes(2) + head[12:]
        head = head[:10] + finish(checksum(head)).to_bytes(2, "big") + head[12:]
        total = min(int.from_bytes(head[2:4], "big"), len(frame) - 14)
        body = transport(head[9], head[12:16], head[16:20], frame[14 + size : 14 + total])
        return frame[:14] + head + body + frame[14 + total :]
    if kind == b"\x86\xdd" and len(frame) >= 54:
        head = frame[14:54]
        end = min(54 + int.from_bytes(head[4:6], "big"), len(frame))
        body = transport(head[6], head[8:24], head[24:40], frame[54:end])
        return frame[:54] + body + frame[end:]
    return frame


def transport(protocol: int, source: bytes, destination: bytes, body: bytes) -> bytes:
    """Return a transport header and its payload with the right checksum."""
    at = CHECKSUM_AT.get(protocol)
    if at is None or len(body) < at + 2:
        return body
    body = body[:at] + bytes(2) + body[at + 2 :]
    initial = 0
    if protocol != ICMP:
        initial = pseudo_header(source, destination, protocol, len(body))
    return body[:at] + finish(checksum(body, initial)).to_bytes(2, "big") + body[at + 2 :]


# Seeds.


def ethernet(packet: bytes) -> bytes:
    """Return a frame from the peer to us."""
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return OUR_LINK + PEER_LINK + kind + packet


def pack(*frames: bytes, flags: int = FIX_CHECKSUMS) -> bytes:
    """Return an input of these frames."""
    return b"".join(struct.pack(">BH", flags, len(frame)) + frame for frame in frames)


def segment(version: int, seq: int, ack: int, flags: int, options: bytes, data: bytes) -> bytes:
    """Return a frame with a segment for the listener."""
    urgent = 3 if flags & URG else 0
    header = build(4000, LISTEN_PORT, seq, ack, flags, 60000, urgent, options)
    return ethernet(tcp_packet(version, 0, header, data))


def our_number(version: int) -> int:
    """Return what the stack answers the first SYN with: it is the same in every world."""
    world = World()
    world.nic.receive(segment(version, 100, 0, SYN, syn_options(1460, 7, True, True, 1, 0), b""))
    frame = world.link.frames[-1]
    return int.from_bytes(frame[38:42] if version == 4 else frame[58:62], "big")


def tcp_seeds(version: int) -> dict[str, bytes]:
    """Return conversations with the listener."""
    iss = our_number(version)
    options = syn_options(1460, 7, True, True, 1, 0)
    syn = segment(version, 100, 0, SYN, options, b"")
    last = segment(version, 101, iss + 1, ACK, b"", b"")
    data = segment(version, 101, iss + 1, ACK, b"", b"hello")
    ahead = segment(version, 206, iss + 1, ACK | URG, b"", b"world")
    blocks = sack_option([(iss + 1, iss + 2), (iss + 3, iss + 9)])
    sack = segment(version, 106, iss + 1, ACK, blocks, b"")
    return {
        "close": pack(syn, last, data, segment(version, 106, iss + 1, FIN | ACK, b"", b"")),
        "holes": pack(syn, last, ahead, sack, data, flags=FIX_CHECKSUMS | PASS_TIME),
        "reset": pack(syn, data, segment(version, 106, 0, RST, b"", b"")),
        "silence": pack(syn, last, data, flags=FIX_CHECKSUMS | PASS_MUCH_TIME),
        "cookie": pack(*(syn[:34] + bytes((n, n)) + syn[36:] for n in range(8)), last),
    }


def seeds() -> dict[str, bytes]:
    """Return inputs by name, of every protocol."""
    found = {f"tcp{v}-{name}": data for v in (4, 6) for name, data in tcp_seeds(v).items()}
    datagram = struct.pack(">HHHH", 4000, UDP_PORT, 13, 0) + b"query"
    for version in (4, 6):
        found[f"udp{version}"] = pack(ethernet(ip_packet(version, UDP, 0, datagram)))
    echo = struct.pack(">BBHHH", 8, 0, 0, 1, 1) + bytes(32)
    found["echo4"] = pack(ethernet(ip_packet(4, ICMP, 0, echo)))
    found["echo6"] = pack(ethernet(ip_packet(6, ICMP6, 0, b"\x80" + echo[1:])))
    arp = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + PEER_LINK + REMOTE[4] + bytes(6) + LOCAL[4]
    found["arp"] = pack(b"\xff" * 6 + PEER_LINK + b"\x08\x06" + arp)
    solicit = struct.pack(">BBHI", 135, 0, 0, 0) + LOCAL[6] + b"\x01\x01" + PEER_LINK
    packet = ip_packet(6, ICMP6, 0, solicit)
    found["solicit"] = pack(ethernet(packet[:7] + b"\xff" + packet[8:]))
    first = bytearray(ip_packet(4, UDP, 0, datagram + bytes(3)))
    first[6:8] = b"\x20\x00"
    second = bytearray(ip_packet(4, UDP, 0, bytes(16)))
    second[6:8] = b"\x00\x02"
    found["fragments4"] = pack(ethernet(bytes(first)), ethernet(bytes(second)))
    piece = struct.pack(">BBHI", UDP, 0, 1, 77) + datagram + bytes(3)
    rest = struct.pack(">BBHI", UDP, 0, 16, 77) + bytes(16)
    found["fragments6"] = pack(*(ethernet(ip_packet(6, 44, 0, part)) for part in (piece, rest)))
    quoted = ip_packet(4, TCP, 0, build(LISTEN_PORT, 4000, 1, 1, ACK, 0, 0, b""))
    quoted = quoted[:12] + LOCAL[4] + REMOTE[4] + quoted[20:]
    error = struct.pack(">BBHI", 3, 4, 0, 600) + quoted
    found["too-big4"] = pack(ethernet(ip_packet(4, ICMP, 0, error)))
    return found
