"""Our TCP and the host's kernel's on one TAP device, in a network namespace of its own.

Run below `unshare --net`; prints one fact a line.  Time is real here.
"""

import contextlib
import os
import select
import socket
import struct
import subprocess
import sys
import time

from netstack.endpoint import SHUT_WRITE, Address
from netstack.errors import CONNECTION_REFUSED, CONNECTION_RESET, NetError
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.protocol import TcpProtocol
from tests.unit.netstack.harness import Host, VirtualEnvironment, ip
from tests.unit.netstack.kernel_peer import KERNEL, OURS, TapLink, open_tap

SIZE = 3_000_000
MS = 1_000_000


class LossyTap(TapLink):
    """Loses every so many frames that carry data, in either direction."""

    def __init__(self, fd):
        super().__init__(fd)
        self.every = 0
        self.count = 0

    def loses(self, size):
        if not self.every or size < 200:
            return False
        self.count += 1
        return self.count % self.every == 0

    def send(self, frame):
        return self.loses(frame.size()) or super().send(frame)


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
        self.link = LossyTap(self.fd)
        self.host = Host(self.environment, self.link, ip(OURS))
        self.tcp = TcpProtocol(self.host.stack)
        self.begun = time.monotonic_ns() - self.environment.now

    def turn(self, timeout=0.001):
        """Carry what there is, and let time pass."""
        if select.select([self.fd], [], [], timeout)[0]:
            for _ in range(64):
                try:
                    frame = os.read(self.fd, 65536)
                except BlockingIOError:
                    break
                if not self.link.loses(len(frame)):
                    self.host.receive(frame)
        now = time.monotonic_ns() - self.begun
        self.environment.advance(max(now - self.environment.now, 0))

    def until(self, condition, seconds=15):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            got = condition()
            if got:
                return got
            self.turn()
        raise AssertionError(f"waited in vain: {condition}")


def pattern(size):
    return struct.pack(f">{size // 4}I", *range(size // 4))


def pump(world, ours, theirs, up, down):
    """Send `up` from us and `down` from the kernel, at the same time."""
    sent_up = sent_down = 0
    got_up, got_down = bytearray(), bytearray()
    end_up = end_down = False
    deadline = time.monotonic() + 40
    while not (end_up and end_down):
        assert time.monotonic() < deadline, (sent_up, sent_down, len(got_up), len(got_down))
        if sent_up < len(up):
            count = ours.write(up[sent_up : sent_up + 65536])
            sent_up += count or 0
            if sent_up == len(up):
                ours.shutdown(SHUT_WRITE)
        if sent_down < len(down):
            try:
                sent_down += theirs.send(down[sent_down : sent_down + 65536])
                if sent_down == len(down):
                    theirs.shutdown(socket.SHUT_WR)
            except BlockingIOError:
                pass
        try:
            data = theirs.recv(1 << 20)
            got_up += data
            end_up = end_up or not data
        except BlockingIOError:
            pass
        data = ours.read(1 << 20)
        if data is not None:
            got_down += data
            end_down = end_down or not data
        world.turn(0 if data else 0.0005)
    return bytes(got_up) == up, bytes(got_down) == down


def connect_out(world, server, port):
    ours = TcpEndpoint(world.tcp, 4)
    ours.connect(Address(ip(KERNEL), port))
    world.until(lambda: ours.state() == 1)
    theirs, _ = server.accept()
    theirs.setblocking(False)
    return ours, theirs


def bulk(world, name, every):
    world.link.every = every
    server = socket.create_server((KERNEL, 0))
    ours, theirs = connect_out(world, server, server.getsockname()[1])
    result = pump(world, ours, theirs, pattern(SIZE), pattern(SIZE))
    info = ours.info()
    # Without losses, too, a slow machine may see a probe.
    resent = ("resent", info.total_retrans > 0) if every else ()
    print(name, *result, "options", info.options, *resent)
    world.link.every = 0
    ours.close()
    theirs.close()
    server.close()
    world.until(lambda: world.tcp.counters.CurrEstab == 0)


def accept_in(world):
    listening = TcpEndpoint(world.tcp, 4)
    listening.bind(Address(b"", 8080))
    listening.listen(5)
    theirs = socket.socket()
    theirs.setblocking(False)
    theirs.connect_ex((OURS, 8080))
    ours = world.until(listening.accept)
    is_from = ours.remote_address().host == ip(KERNEL)
    result = pump(world, ours, theirs, pattern(SIZE), pattern(SIZE))
    print("accepted", *result, is_from)
    ours.close()
    theirs.close()
    listening.close()


def refusals(world):
    ours = TcpEndpoint(world.tcp, 4)
    ours.connect(Address(ip(KERNEL), 1))
    world.until(lambda: ours.state() == 7)
    print("refused us", ours.take_error() == CONNECTION_REFUSED)
    theirs = socket.socket()
    theirs.setblocking(False)
    theirs.connect_ex((OURS, 1))
    error = world.until(lambda: theirs.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    print("refused them", os.strerror(error))
    theirs.close()


def resets(world):
    server = socket.create_server((KERNEL, 0))
    ours, theirs = connect_out(world, server, server.getsockname()[1])
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    world.until(lambda: ours.state() == 7)
    try:
        ours.read(10)
    except NetError as error:
        print("reset us", error.code == CONNECTION_RESET)
    ours, theirs = connect_out(world, server, server.getsockname()[1])
    theirs.send(b"unread")
    world.until(ours.unread)
    ours.close()
    error = world.until(lambda: theirs.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    print("reset them", os.strerror(error))
    theirs.close()
    server.close()


def urgent(world):
    server = socket.create_server((KERNEL, 0))
    ours, theirs = connect_out(world, server, server.getsockname()[1])
    ours.write(b"abc")
    ours.write_urgent(b"U")
    ours.write(b"def")
    world.until(lambda: select.select([], [], [theirs], 0)[2])
    print("their urgent byte", theirs.recv(1, socket.MSG_OOB))
    theirs.send(b"xyz")
    theirs.send(b"V", socket.MSG_OOB)
    theirs.send(b"uvw")
    world.until(lambda: ours.readiness() & 2)
    print("our urgent byte", ours.read_urgent())
    world.until(lambda: ours.unread() == 3)
    before = ours.read(100)
    print("around it", before, ours.is_at_mark(), world.until(lambda: ours.read(100)))
    ours.close()
    theirs.close()
    server.close()


def zero_window(world):
    server = socket.create_server((KERNEL, 0))
    ours, theirs = connect_out(world, server, server.getsockname()[1])
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    data = pattern(400_000)
    sent = 0
    end = time.monotonic() + 1
    while time.monotonic() < end:
        sent += ours.write(data[sent:]) or 0
        world.turn()
    stalled = ours.unacknowledged() > 0
    got = bytearray()

    def drain():
        nonlocal sent
        sent += (ours.write(data[sent:]) or 0) if sent < len(data) else 0
        with contextlib.suppress(BlockingIOError):
            got.extend(theirs.recv(65536))
        return len(got) == len(data)

    world.until(drain, 30)
    print("closed window", stalled, bytes(got) == data)
    ours.close()
    theirs.close()
    server.close()


def slow_reader(world):
    server = socket.create_server((KERNEL, 0))
    ours, theirs = connect_out(world, server, server.getsockname()[1])
    data = pattern(1_000_000)
    sent = 0
    got = bytearray()

    def send():
        nonlocal sent
        with contextlib.suppress(BlockingIOError):
            sent += theirs.send(data[sent : sent + 65536])

    end = time.monotonic() + 0.7
    while time.monotonic() < end:
        send()
        world.turn()
    kept = ours.unread()

    def drain():
        if sent < len(data):
            send()
        got.extend(ours.read(3000) or b"")
        return len(got) == len(data)

    world.until(drain, 30)
    print("slow reader", 60_000 < kept <= 65_536, bytes(got) == data)
    ours.close()
    theirs.close()
    server.close()


def main():
    world = World()
    refusals(world)
    resets(world)
    urgent(world)
    bulk(world, "bulk", 0)
    bulk(world, "bulk with losses", 50)
    accept_in(world)
    zero_window(world)
    slow_reader(world)
    for name in ("tcp_sack", "tcp_timestamps", "tcp_window_scaling"):
        with open(f"/proc/sys/net/ipv4/{name}", "w") as setting:
            setting.write("0")
    bulk(world, "bare", 0)
    bulk(world, "bare with losses", 100)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
