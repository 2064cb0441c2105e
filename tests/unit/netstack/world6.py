"""Stacks with IPv6 on a wire, and helpers to look at what passes there."""

from netstack.build import add_ipv6, add_loopback
from netstack.interface import Interface
from netstack.stack import Stack
from netstack.udp import UdpTransport
from netstack.wire.checksum import checksum, pseudo_header
from netstack.wire.ipv6 import walk
from tests.unit.netstack.harness import SECOND, CaptureLink, VirtualEnvironment, wire

LEFT_LINK_LOCAL = bytes.fromhex("fe80000000000000000000fffe00000a")
RIGHT_LINK_LOCAL = bytes.fromhex("fe80000000000000000000fffe00000b")
PEER = bytes.fromhex("fe800000000000000000000000000001")
PEER_LINK = b"\x02\x00\x00\x00\x00\x99"


class Host:
    """A stack with one Ethernet interface and a loopback device."""

    def __init__(self, environment, link):
        self.environment = environment
        self.stack = Stack(environment)
        self.ip = add_ipv6(self.stack)
        self.udp = UdpTransport(self.stack)
        self.lo = add_loopback(self.stack)
        self.link = link
        self.eth: Interface = self.stack.add_interface("eth0", link)
        self.state = self.ip.state_of(self.eth)
        self.state.config.router_solicitations = 0  # nothing comes between a test's frames

    def up(self):
        self.stack.set_up(self.eth)

    def ping(self, destination, size=32, scope=0):
        """Send an echo request; return the endpoint that waits for the reply."""
        from netstack.endpoint import Address  # noqa: PLC0415

        endpoint = self.stack.pings[6].new_endpoint()
        endpoint.send(
            bytes((128, 0, 0, 0, 0, 0, 0, 1)) + bytes(size), Address(destination, 0, scope)
        )
        return endpoint

    def hosts(self):
        return {address.host for address in self.eth.addresses if not address.is_tentative}


def two_hosts(mtu=1500, *, settle=True):
    environment = VirtualEnvironment()
    left_link, right_link = wire(environment, mtu)
    left, right = Host(environment, left_link), Host(environment, right_link)
    left.up()
    right.up()
    if settle:
        environment.advance(5 * SECOND)
    return environment, left, right


def one_host(*, settle=True, up=True):
    environment = VirtualEnvironment()
    host = Host(environment, CaptureLink(1500, b"\x02\x00\x00\x00\x00\x0a"))
    if up:
        host.up()
    if settle:
        environment.advance(5 * SECOND)
        host.link.take()
    return environment, host


def ip_packet(source, destination, protocol, payload, hop_limit=64):
    return (
        bytes((0x60, 0, 0, 0))
        + len(payload).to_bytes(2, "big")
        + bytes((protocol, hop_limit))
        + source
        + destination
        + payload
    )


def icmp_frame(source, destination, message, hop_limit=255, hop_by_hop=b""):
    """Return an Ethernet frame with a message whose checksum is filled in."""
    total = pseudo_header(source, destination, 58, len(message))
    value = -checksum(message, total) % 65535
    message = message[:2] + value.to_bytes(2, "big") + message[4:]
    payload = bytes((58,)) + hop_by_hop + message if hop_by_hop else message
    packet = ip_packet(source, destination, 0 if hop_by_hop else 58, payload, hop_limit)
    return frame(packet, destination)


def frame(packet, destination=b"\0", own=b"\x02\x00\x00\x00\x00\x0a"):
    link = b"\x33\x33" + destination[12:] if destination[0] == 0xFF else own
    return link + PEER_LINK + b"\x86\xdd" + packet


class Seen:
    """An IPv6 packet in a frame."""

    def __init__(self, data):
        self.link_destination = data[:6]
        self.packet = data[14:]
        self.source = self.packet[8:24]
        self.destination = self.packet[24:40]
        self.hop_limit = self.packet[7]
        chain = walk(data, 14, len(data))
        self.protocol = chain.protocol
        self.router_alert = chain.router_alert
        self.message = data[chain.transport :]
        if self.protocol == 58:
            total = pseudo_header(self.source, self.destination, 58, len(self.message))
            assert checksum(self.message, total) == 0
        self.kind = self.message[0] if self.protocol == 58 else -1


def seen(frames):
    return [Seen(data) for data in frames if data[12:14] == b"\x86\xdd"]
