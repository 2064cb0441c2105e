"""Two TUN devices in a program that is at both of them: packets in, and what comes out."""

import fcntl
import os
import select
import socket
import struct
import subprocess

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
FIN, SYN, RST, ACK = 1, 2, 4, 16
CLIENT, SERVER = "10.1.1.2", "10.2.2.2"
INNER, OUTER = "10.1.1.1", "10.2.2.1"
CLIENT6, SERVER6 = "fd01::2", "fd02::2"
INNER6, OUTER6 = "fd01::1", "fd02::1"


def checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def raw(host: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def device(name: str, *addresses: str) -> int:
    tun = os.open("/dev/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    for address in addresses:
        options = ["nodad"] if ":" in address else []
        command = ["ip", "addr", "add", address, "dev", name, *options]
        subprocess.run(command, check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return tun


def packet(source: str, destination: str, protocol: int, body: bytes) -> bytes:
    hosts = raw(source) + raw(destination)
    at = {1: 2, 6: 16, 17: 6, 58: 2}[protocol]
    pseudo = b"" if protocol == 1 else hosts + struct.pack("!II", len(body), protocol)
    body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]
    if len(hosts) == 32:
        return struct.pack("!IHBB", 0x60000000, len(body), protocol, 64) + hosts + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, 64, protocol, 0) + hosts
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def udp(source: str, port: int, destination: str, to: int, data: bytes = b"question") -> bytes:
    return packet(source, destination, 17, struct.pack("!4H", port, to, 8 + len(data), 0) + data)


def tcp(source: str, port: int, destination: str, to: int, flags: int, ack: int = 0) -> bytes:
    head = struct.pack("!HHIIBBHHH", port, to, 100, ack, 0x50, flags, 1000, 0, 0)
    return packet(source, destination, 6, head)


def ping(source: str, destination: str, kind: int, ident: int = 7) -> bytes:
    protocol = 58 if ":" in source else 1
    body = struct.pack("!BBHHH", kind, 0, 0, ident, 1) + b"data"
    return packet(source, destination, protocol, body)


def describe(data: bytes, *, quoted: bool = False) -> str:
    """Tell what a packet is, and whether its checksums are right."""
    if data[0] >> 4 == 6:
        family, hosts, protocol, body, good = socket.AF_INET6, data[8:40], data[6], data[40:], True
        whole = len(body) == int.from_bytes(data[4:6], "big")
    else:
        family, hosts, protocol, body = socket.AF_INET, data[12:20], data[9], data[20:]
        good = checksum(data[:20]) == 0
        whole = len(data) == int.from_bytes(data[2:4], "big")
    half = len(hosts) // 2
    source, destination = (socket.inet_ntop(family, h) for h in (hosts[:half], hosts[half:]))
    pseudo = b"" if protocol == 1 else hosts + struct.pack("!II", len(body), protocol)
    good &= quoted and not whole or checksum(pseudo + body) == 0
    text = f"{source}>{destination}"
    if protocol in (1, 58):
        text += f" icmp {body[0]}/{body[1]}"
        is_error = body[0] in (3, 11) if protocol == 1 else body[0] < 128
        text += f" [{describe(body[8:], quoted=True)}]" if is_error else f" {body[4:].hex()}"
    else:
        text += f" {protocol} {struct.unpack('!HH', body[:4])}"
        text += f" {body[13]:02x} {body[4:12].hex()}" if protocol == 6 else ""
    return text + ("" if good else " BAD CHECKSUM")


def received(tun: int, wait: float = 0.06) -> list[bytes]:
    """Return the packets that came out of a device, but for what the kernel says on its own."""
    got = []
    while select.select([tun], [], [], wait)[0]:
        data = os.read(tun, 65536)
        if (data[0] >> 4 == 4 and data[9] != 2) or (data[0] >> 4 == 6 and data[24] != 0xFF):
            got.append(data)
    return got


def send(label: str, tun: int, *packets: bytes) -> list[bytes]:
    """Have a device receive packets, and tell what comes out of both; return it."""
    for data in packets:
        os.write(tun, data)
    inner, outer = received(inside), received(outside)
    shown = [[describe(p) for p in got] for got in (inner, outer)]
    print(label, "inside", shown[0], "outside", shown[1], flush=True)
    return inner + outer


def run(command: str, stdin: str = "") -> None:
    """Run a command, and tell what it says."""
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    print(f"$ {command}\n{done.returncode}\n{done.stdout}", end="", flush=True)


os.mknod("/dev/tun", 0o600 | 0o020000, os.makedev(10, 200))
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
inside = device("in0", f"{INNER}/24", f"{INNER6}/64")
outside = device("out0", f"{OUTER}/24", f"{OUTER6}/64")
for setting, value in (
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv4/icmp_ratelimit", "0"),
    ("ipv4/icmp_msgs_per_sec", "10000"),
    ("ipv6/icmp/ratelimit", "0"),
):
    if os.path.exists(f"/proc/sys/net/{setting}") and os.access(
        f"/proc/sys/net/{setting}", os.W_OK
    ):
        with open(f"/proc/sys/net/{setting}", "w") as file:
            file.write(value)
