"""The same for IPv6: two TUN devices, and this program at both."""

import fcntl
import os
import select
import socket
import struct
import subprocess

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
FIN, SYN, RST, ACK = 1, 2, 4, 16
CLIENT, SERVER = "fd01::2", "fd02::2"
INNER, OUTER = "fd01::1", "fd02::1"


def ipt(arguments: str) -> None:
    subprocess.run(["ip6tables-legacy", "-w", *arguments.split()], check=True, timeout=60)


def clear() -> None:
    for table in ("filter", "nat", "mangle", "raw"):
        ipt(f"-t {table} -F")
    for tun in (inside, outside):
        received(tun, 0)


def checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def device(name: str, address: str) -> int:
    tun = os.open("/dev/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "addr", "add", f"{address}/64", "dev", name, "nodad"], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return tun


def packet(source: str, destination: str, protocol: int, body: bytes, bad: int = 0) -> bytes:
    hosts = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(
        socket.AF_INET6, destination
    )
    at = {17: 6, 6: 16, 58: 2}[protocol]
    pseudo = hosts + struct.pack("!II", len(body), protocol)
    made = checksum(pseudo + body) ^ bad
    body = body[:at] + struct.pack("!H", made) + body[at + 2 :]
    return struct.pack("!IHBB", 0x60000000, len(body), protocol, 64) + hosts + body


def udp(source: str, port: int, destination: str, to: int, data: bytes = b"question") -> bytes:
    head = struct.pack("!4H", port, to, 8 + len(data), 0)
    return packet(source, destination, 17, head + data)


def tcp(
    source: str, port: int, destination: str, to: int, flags: int, seq: int = 100, ack: int = 0
) -> bytes:
    head = struct.pack("!HHIIBBHHH", port, to, seq, ack, 0x50, flags, 1000, 0, 0)
    return packet(source, destination, 6, head)


def icmp(source: str, destination: str, kind: int, code: int, rest: bytes, bad: int = 0) -> bytes:
    return packet(source, destination, 58, struct.pack("!BBH", kind, code, 0) + rest, bad)


def describe(data: bytes, *, quoted: bool = False) -> str:
    """Tell what a packet is, and whether its checksum is right."""
    source = socket.inet_ntop(socket.AF_INET6, data[8:24])
    destination = socket.inet_ntop(socket.AF_INET6, data[24:40])
    protocol, body = data[6], data[40:]
    pseudo = data[8:40] + struct.pack("!II", len(body), protocol)
    whole = len(body) == int.from_bytes(data[4:6], "big")
    good = quoted and not whole or checksum(pseudo + body) == 0
    text = f"{source}>{destination} hops {data[7]}"
    if protocol == 58:
        text += f" icmp {body[0]}/{body[1]}"
        if body[0] < 128:
            text += f" [{describe(body[8:], quoted=True)}]"
        else:
            text += f" {body[4:].hex()}"
    else:
        text += f" {protocol} {struct.unpack('!HH', body[:4])}"
        if protocol == 6:
            text += f" {body[13]:02x} {body[4:12].hex()}"
    return text + ("" if good else " BAD CHECKSUM")


def received(tun: int, wait: float = 0.3) -> list[bytes]:
    """Return the packets that came out of a device, but for what the kernel says on its own."""
    got = []
    while select.select([tun], [], [], wait)[0]:
        data = os.read(tun, 65536)
        if data[0] >> 4 == 6 and data[24] != 0xFF:
            got.append(data)
    return got


def send(label: str, tun: int, data: bytes) -> list[bytes]:
    """Have a device receive a packet, and tell what comes out of both; return it."""
    os.write(tun, data)
    inner, outer = received(inside, 0.15), received(outside, 0.15)
    print(
        label,
        "inside",
        [describe(p) for p in inner],
        "outside",
        [describe(p) for p in outer],
        flush=True,
    )
    return inner + outer


os.mknod("/dev/tun", 0o600 | 0o020000, os.makedev(10, 200))
inside, outside = device("in0", INNER), device("out0", OUTER)
with open("/proc/sys/net/ipv6/conf/all/forwarding", "w") as file:
    file.write("1")
if os.path.exists("/proc/sys/net/ipv6/icmp/ratelimit"):
    with open("/proc/sys/net/ipv6/icmp/ratelimit", "w") as file:
        file.write("0")

send("plain", inside, udp(CLIENT, 5, SERVER, 9))
ipt("-A FORWARD -p udp --dport 9 -i in0 -o out0 -j DROP")
send("dropped", inside, udp(CLIENT, 5, SERVER, 9))
send("passes", inside, udp(CLIENT, 5, SERVER, 10))
clear()
ipt("-A FORWARD -p udp -j REJECT --reject-with icmp6-adm-prohibited")
ipt("-A FORWARD -p tcp -j REJECT --reject-with tcp-reset")
send("rejected", inside, udp(CLIENT, 5, SERVER, 9))
send("reset", inside, tcp(CLIENT, 5, SERVER, 9, SYN))
send("reset", inside, tcp(CLIENT, 5, SERVER, 9, ACK, 100, 300))
send("no answer", inside, tcp(CLIENT, 5, SERVER, 9, RST))
clear()

# States.
ipt("-A FORWARD -i out0 -m conntrack --ctstate NEW,INVALID -j DROP")
ipt("-A FORWARD -m conntrack --ctstate INVALID -j DROP")
send("unasked", outside, udp(SERVER, 9, CLIENT, 6))
send("asked", inside, udp(CLIENT, 6, SERVER, 9))
send("answered", outside, udp(SERVER, 9, CLIENT, 6))
send("syn", inside, tcp(CLIENT, 80, SERVER, 9, SYN))
send("syn ack", outside, tcp(SERVER, 9, CLIENT, 80, SYN | ACK, 500, 101))
send("ack", inside, tcp(CLIENT, 80, SERVER, 9, ACK, 101, 501))
send("syn fin", inside, tcp(CLIENT, 81, SERVER, 9, SYN | FIN))
send("only syn ack", inside, tcp(CLIENT, 82, SERVER, 9, SYN | ACK))
send("in the middle", inside, tcp(CLIENT, 83, SERVER, 9, ACK, 1, 1))
send("bad echo", inside, icmp(CLIENT, SERVER, 128, 0, b"\0\7\0\1data", bad=1))
send("answer to nothing", inside, icmp(CLIENT, SERVER, 129, 0, b"\0\7\0\1data"))
question = udp(CLIENT, 6, SERVER, 9)
send("error", outside, icmp(SERVER, CLIENT, 1, 4, bytes(4) + question[:48]))
other = udp(CLIENT, 66, SERVER, 9)
send("error about nothing", outside, icmp(SERVER, CLIENT, 1, 4, bytes(4) + other[:48]))
clear()

# Sources.
ipt("-t nat -A POSTROUTING -o out0 -j MASQUERADE")
[out] = send("masqueraded", inside, udp(CLIENT, 7, SERVER, 9))
send("answer", outside, udp(SERVER, 9, OUTER, 7, b"answer"))
send("error", outside, icmp("fd02::99", OUTER, 3, 0, bytes(4) + out[:48]))
send("ping", inside, icmp(CLIENT, SERVER, 128, 0, b"\0\x09\0\1data"))
send("pong", outside, icmp(SERVER, OUTER, 129, 0, b"\0\x09\0\1data"))
[out] = send("syn", inside, tcp(CLIENT, 90, SERVER, 9, SYN))
send("syn ack", outside, tcp(SERVER, 9, OUTER, 90, SYN | ACK, 500, 101))
os.write(inside, udp("fd01::3", 7, SERVER, 9))
[out] = received(outside)
port = int.from_bytes(out[40:42], "big")
print("the second one", socket.inet_ntop(socket.AF_INET6, out[8:24]), port != 7, port < 512)
os.write(outside, udp(SERVER, 9, OUTER, port))
print([describe(p) for p in received(inside)])
clear()
ipt("-t nat -A POSTROUTING -o out0 -p udp -j SNAT --to-source [fd02::50]:4000")
send("fixed", inside, udp(CLIENT, 8, SERVER, 9))
send("taken", inside, udp("fd01::4", 8, SERVER, 9))
clear()

# Destinations.
ipt(f"-t nat -A PREROUTING -i in0 -p tcp --dport 80 -j DNAT --to-destination [{SERVER}]:8080")
ipt(
    f"-t nat -A PREROUTING -i in0 -p udp -d {INNER} -m multiport --dports 5000:5009 "
    f"-j DNAT --to-destination [{SERVER}]:6000-6009/5000"
)
ipt("-t nat -A PREROUTING -i in0 -p udp --dport 53 -j REDIRECT --to-ports 5353")
send("to a server", inside, tcp(CLIENT, 91, INNER, 80, SYN))
send("back", outside, tcp(SERVER, 8080, CLIENT, 91, SYN | ACK, 500, 101))
send("refused", outside, tcp(SERVER, 8080, CLIENT, 91, RST | ACK, 501, 101))
send("shifted", inside, udp(CLIENT, 11, INNER, 5004))
answers = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
answers.bind(("::", 5353))
answers.settimeout(2)
send("here", inside, udp(CLIENT, 12, SERVER, 53))
data, peer = answers.recvfrom(100)
answers.sendto(b"answer", peer)
print(data, peer[:2], [describe(p) for p in received(inside)])
answers.close()
send("nobody here", inside, udp(CLIENT, 13, SERVER, 53))
clear()

# Marks lead elsewhere, counters count.
ipt("-t mangle -A PREROUTING -i in0 -p udp --dport 9 -j MARK --set-mark 3")
ipt("-A FORWARD -m mark --mark 3")
send("marked", inside, udp(CLIENT, 5, SERVER, 9))
send("not marked", inside, udp(CLIENT, 5, SERVER, 10))
subprocess.run(["ip6tables-legacy", "-nvxL", "FORWARD"], check=True)
