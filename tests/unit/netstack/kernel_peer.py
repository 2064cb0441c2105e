"""Our stack and the host's kernel on one TAP device, in a network namespace of its own.

Run below `unshare --net`; prints what each side saw, one fact a line.
"""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

from netstack.datagram import PMTUDISC_DO
from netstack.endpoint import Address
from netstack.errors import NetError
from netstack.link.base import Link
from netstack.raw import RawEndpoint
from netstack.route import RouteEntry
from netstack.wire import icmp4
from tests.unit.netstack.harness import SECOND, Host, VirtualEnvironment, frame_bytes, ip

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x2, 0x1000
KERNEL, OURS = "10.77.0.1", "10.77.0.2"


class TapLink(Link):
    """Writes frames to a TAP device."""

    def __init__(self, fd):
        super().__init__(1500, b"\x02\x77\x00\x00\x00\x02")
        self.fd = fd

    def send(self, frame):
        os.write(self.fd, frame_bytes(frame))
        return True


def open_tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name, IFF_TAP | IFF_NO_PI))
    return fd


class World:
    def __init__(self):
        self.fd = open_tap(b"tap0")
        for command in (
            "ip link set lo up",
            f"ip addr add {KERNEL}/24 dev tap0",
            "ip link set tap0 up",
        ):
            subprocess.run(command.split(), check=True)
        self.environment = VirtualEnvironment()
        self.host = Host(self.environment, TapLink(self.fd), ip(OURS))
        self.run()

    def run(self, seconds=0.05):
        """Carry frames until none has come for a while."""
        while select.select([self.fd], [], [], seconds)[0]:
            self.host.receive(os.read(self.fd, 65536))
            self.environment.advance(SECOND // 1000)
        self.environment.advance(SECOND // 1000)


def kernel_udp(host=KERNEL, port=0):
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.bind((host, port))
    endpoint.setblocking(False)
    return endpoint


def echo(world):
    client = kernel_udp()
    server = world.host.udp.new_endpoint(4)
    server.bind(Address(b"", 7))
    for size in (0, 1, 1472, 1473, 9000, 65507):
        payload = bytes(n & 0xFF for n in range(size))
        client.sendto(payload, (OURS, 7))
        world.run()
        got = server.receive()
        server.send(got.payload, got.source)
        world.run()
        data, source = client.recvfrom(65536)
        print("udp", size, data == payload, got.payload == payload, source == (OURS, 7))
    client.close()


def refusals(world):
    client = kernel_udp()
    client.connect((OURS, 9))
    client.send(b"x")
    world.run()
    try:
        client.recv(1)
    except ConnectionRefusedError:
        print("kernel was refused")
    client.close()
    ours = world.host.udp.new_endpoint(4)
    ours.connect(Address(ip(KERNEL), 9))
    ours.send(b"x")
    world.run()
    try:
        ours.receive()
    except NetError as error:
        print("we were refused", error.code)


def pings(world):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.settimeout(1)
    message = icmp4.build(8, 0, 0x12340001, b"to us")
    raw.sendto(message, (OURS, 0))
    world.run()
    answer = raw.recv(2000)[20:]
    print("kernel's ping", answer == icmp4.build(0, 0, 0x12340001, b"to us"))
    raw.close()
    ping = world.host.ping()
    ping.send(icmp4.build(8, 0, 1, b"to them"), Address(ip(KERNEL), 0))
    world.run()
    print("our ping", ping.receive().payload[8:])
    stamps = RawEndpoint(world.host.stack, 4, 1)
    stamps.send(icmp4.build(13, 0, 1, bytes(12)), Address(ip(KERNEL), 0))
    world.run()
    print("kernel's timestamp", stamps.receive().payload[20])


def groups(world):
    member = struct.pack("4s4s", ip("239.7.7.7"), ip(KERNEL))
    theirs = kernel_udp("", 5007)
    theirs.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    theirs.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, ip(KERNEL))
    theirs.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    ours = world.host.udp.new_endpoint(4)
    ours.bind(Address(b"", 5007))
    ours.join_group(ip("239.7.7.7"), world.host.interface.index)
    ours.multicast_interface = world.host.interface.index
    ours.multicast_loop = False
    ours.send(b"from us", Address(ip("239.7.7.7"), 5007))
    theirs.sendto(b"from them", ("239.7.7.7", 5007))
    world.run()
    print("group", theirs.recv(100), ours.receive().payload)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    theirs.sendto(b"to all", ("10.77.0.255", 5007))
    world.run()
    print("broadcast", ours.receive().payload)
    theirs.close()


def path_mtu(world):
    """The kernel says that packets to a host behind it must be smaller."""
    behind = open_tap(b"tap1")
    for command in (
        "ip link set tap1 mtu 1200 up",
        "ip addr add 10.78.0.1/24 dev tap1",
        "sysctl -qw net.ipv4.ip_forward=1",
    ):
        subprocess.run(command.split(), check=True)
    world.host.stack.add_route(RouteEntry(ip("10.78.0.0"), 24, world.host.interface, ip(KERNEL)))
    ours = world.host.udp.new_endpoint(4)
    ours.path_mtu_discovery = PMTUDISC_DO
    ours.connect(Address(ip("10.78.0.9"), 9))
    ours.send(bytes(1400))
    world.run()
    try:
        ours.receive()
    except NetError as error:
        print("too long", error.code, ours.path_mtu())
    os.close(behind)


def main():
    world = World()
    for part in (echo, refusals, pings, groups, path_mtu):
        part(world)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
