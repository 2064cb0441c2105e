"""Talks to Linux's own IPv6 over a TAP device; run in a network namespace of its own.

Prints what was seen as JSON, one key for each question.
"""

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time

from netstack.build import new_stack
from netstack.endpoint import Address
from netstack.environment import Environment, Timer
from netstack.errors import NetError
from netstack.interface import InterfaceAddress
from netstack.link.base import Link
from netstack.route import RouteEntry

TUNSETIFF = 0x400454CA
OURS = "2001:db8::1"
LINUX = "2001:db8::2"
FAR = "2001:db8:2::1"


def packed(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, text)


class RealEnvironment(Environment):
    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def realtime_ns(self) -> int:
        return time.time_ns()

    def arm(self, timer: Timer, deadline_ns: int) -> None:
        timer.deadline_ns = deadline_ns
        if timer not in self.timers:
            self.timers.append(timer)

    def disarm(self, timer: Timer) -> None:
        timer.deadline_ns = 0
        if timer in self.timers:
            self.timers.remove(timer)

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def fire_due(self) -> None:
        for timer in list(self.timers):
            if timer.deadline_ns and timer.deadline_ns <= self.now_ns():
                self.disarm(timer)
                timer.fire()


class TapLink(Link):
    def __init__(self, fd: int) -> None:
        super().__init__(1500, b"\x02\x00\x00\x00\x00\x0a")
        self.fd = fd

    def send(self, frame) -> bool:
        os.write(self.fd, frame.header + frame.payload)
        return True


class World:
    def __init__(self) -> None:
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", b"t0", 0x1002))
        self.environment = RealEnvironment()
        self.stack, self.udp = new_stack(self.environment)
        self.eth = self.stack.add_interface("eth0", TapLink(self.fd))
        self.ip = self.stack.networks[6]

    def run(self, until, seconds: float = 5.0):
        """Run until `until()` returns something; return that."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            result = until()
            if result:
                return result
            if select.select([self.fd], [], [], 0.005)[0]:
                self.eth.receive(os.read(self.fd, 65536))
            self.environment.fire_due()
        return None


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=10)


def try_receive(sock):
    try:
        return sock.recvfrom(65536)
    except (BlockingIOError, ConnectionRefusedError):
        return None


def error_of(endpoint):
    try:
        endpoint.raise_pending()
    except NetError as error:
        return error.code
    return 0


def linux_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind((LINUX, 5000))
    sock.setblocking(False)
    return sock


def main() -> None:
    seen: dict[str, object] = {}
    world = World()
    ip("link", "set", "lo", "up")
    ip("link", "set", "t0", "up")
    ip("-6", "addr", "add", LINUX + "/64", "dev", "t0", "nodad")
    world.stack.set_up(world.eth)
    world.stack.add_address(world.eth, InterfaceAddress(packed(OURS), 64))
    settled = world.run(lambda: all(not one.is_tentative for one in world.eth.addresses), 10)
    seen["addresses"] = bool(settled)

    sock = linux_socket()
    endpoint = world.udp.new_endpoint(6)
    endpoint.receive_limit = 1 << 20
    endpoint.bind(Address(b"", 6000))
    for size in (10, 1452, 1453, 20000):
        payload = bytes(number % 253 for number in range(size))
        sock.sendto(payload, (OURS, 6000))
        got = world.run(endpoint.receive)
        seen[f"from linux {size}"] = got is not None and got.payload == payload
        endpoint.send(payload, Address(packed(LINUX), 5000))
        back = world.run(lambda: try_receive(sock))
        seen[f"to linux {size}"] = back is not None and back[0] == payload and back[1][0] == OURS

    ping = world.stack.pings[6].new_endpoint()
    ping.send(bytes((128, 0, 0, 0, 0, 0, 0, 1)) + bytes(3000), Address(packed(LINUX), 0))
    reply = world.run(ping.receive)
    seen["we ping"] = reply is not None and len(reply.payload) == 3008

    raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    raw.setblocking(False)
    raw.sendto(bytes((128, 0, 0, 0, 0x12, 0x34, 0, 1)) + bytes(3000), (OURS, 0))

    def echo_reply():
        got = try_receive(raw)
        return got is not None and got[0][0] == 129 and len(got[0]) == 3008

    seen["linux pings"] = bool(world.run(echo_reply))

    connected = world.udp.new_endpoint(6)
    connected.connect(Address(packed(LINUX), 9))
    connected.send(b"x")
    seen["refused by linux"] = world.run(lambda: error_of(connected))
    client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    client.connect((OURS, 9))
    client.setblocking(False)
    client.send(b"x")

    def refused():
        return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    seen["refused by us"] = world.run(refused)

    # Linux as a router, and a link with a smaller MTU behind it.
    with open("/proc/sys/net/ipv6/conf/all/forwarding", "w") as file:
        file.write("1")
    ip("link", "add", "d0", "type", "veth", "peer", "name", "d1")
    ip("link", "set", "d1", "up")
    ip("link", "set", "d0", "mtu", "1300", "up")
    ip("-6", "route", "add", "2001:db8:2::/64", "dev", "d0")
    world.stack.add_route(RouteEntry(bytes(16), 0, world.eth, packed(LINUX)))
    connected.disconnect()
    connected.connect(Address(packed(FAR), 9))
    connected.send(bytes(1400))
    world.run(lambda: world.stack.path_mtu(packed(FAR)))
    seen["path mtu"] = world.stack.path_mtu(packed(FAR))
    other = world.udp.new_endpoint(6)
    other.connect(Address(packed("2001:db8:3::1"), 9))
    other.receive_errors = True
    other.send(b"x")
    seen["no route"] = world.run(lambda: error_of(other))

    # Linux finds out that an address is taken.
    ip("-6", "addr", "add", OURS + "/64", "dev", "t0")

    def dad_failed():
        shown = subprocess.run(
            ["ip", "-6", "addr", "show", "dev", "t0"], capture_output=True, text=True, check=True
        )
        return "dadfailed" in shown.stdout

    seen["linux sees a duplicate"] = bool(world.run(dad_failed))

    # And so do we.
    ip("-6", "addr", "add", "2001:db8::3/64", "dev", "t0", "nodad")
    taken = InterfaceAddress(packed("2001:db8::3"), 64)
    world.stack.add_address(world.eth, taken)
    seen["we see a duplicate"] = bool(world.run(lambda: taken.flags & 0x08))

    seen["groups"] = [entry.hex() for entry in world.eth.groups]
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
