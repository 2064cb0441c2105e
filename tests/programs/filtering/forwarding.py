"""What rules do to packets that come in and go on: two TUN devices, and this program at both."""

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


def ipt(arguments: str) -> None:
    subprocess.run(["iptables-legacy", "-w", *arguments.split()], check=True, timeout=60)


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
    subprocess.run(["ip", "addr", "add", f"{address}/24", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return tun


def packet(source: str, destination: str, protocol: int, body: bytes, ttl: int = 64) -> bytes:
    hosts = socket.inet_aton(source) + socket.inet_aton(destination)
    if protocol != 1:
        at = 6 if protocol == 17 else 16
        pseudo = hosts + struct.pack("!HH", protocol, len(body))
        body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, ttl, protocol, 0) + hosts
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def udp(source: str, port: int, destination: str, to: int, data: bytes = b"question") -> bytes:
    head = struct.pack("!4H", port, to, 8 + len(data), 0)
    return packet(source, destination, 17, head + data)


def tcp(
    source: str, port: int, destination: str, to: int, flags: int, seq: int = 100, ack: int = 0
) -> bytes:
    head = struct.pack("!HHIIBBHHH", port, to, seq, ack, 0x50, flags, 1000, 0, 0)
    return packet(source, destination, 6, head)


def icmp(source: str, destination: str, kind: int, code: int, rest: bytes, bad: int = 0) -> bytes:
    body = struct.pack("!BBH", kind, code, 0) + rest
    return packet(
        source, destination, 1, body[:2] + struct.pack("!H", checksum(body) ^ bad) + body[4:]
    )


def describe(data: bytes, *, quoted: bool = False) -> str:
    """Tell what a packet is, and whether its checksums are right."""
    source, destination = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    protocol, body = data[9], data[20:]
    good = checksum(data[:20]) == 0
    text = f"{source}>{destination} ttl {data[8]}"
    if protocol == 1:
        good &= quoted or checksum(body) == 0
        text += f" icmp {body[0]}/{body[1]}"
        if body[0] in (3, 11):
            text += f" [{describe(body[8:], quoted=True)}]"
        else:
            text += f" {body[4:].hex()}"
    else:
        pseudo = data[12:20] + struct.pack("!HH", protocol, len(body))
        whole = len(data) == int.from_bytes(data[2:4], "big")
        good &= not whole or checksum(pseudo + body) == 0
        text += f" {protocol} {struct.unpack('!HH', body[:4])}"
        if protocol == 6:
            text += f" {body[13]:02x} {body[4:12].hex()}"
    return text + ("" if good else " BAD CHECKSUM")


def received(tun: int, wait: float = 0.3) -> list[bytes]:
    """Return the IPv4 packets that came out of a device."""
    got = []
    while select.select([tun], [], [], wait)[0]:
        data = os.read(tun, 65536)
        if data[0] >> 4 == 4 and data[9] != 2:
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
for setting, value in (
    ("ip_forward", "1"),
    ("icmp_ratelimit", "0"),
    ("icmp_msgs_per_sec", "10000"),
):
    try:
        with open(f"/proc/sys/net/ipv4/{setting}", "w") as file:
            file.write(value)
    except OSError:
        if setting == "ip_forward":
            raise

send("plain", inside, udp(CLIENT, 5, SERVER, 9))
ipt("-A FORWARD -p udp --dport 9 -i in0 -o out0 -j DROP")
send("dropped", inside, udp(CLIENT, 5, SERVER, 9))
send("passes", inside, udp(CLIENT, 5, SERVER, 10))
clear()
ipt("-A FORWARD -p udp -j REJECT --reject-with icmp-admin-prohibited")
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
send("bad echo", inside, icmp(CLIENT, SERVER, 8, 0, b"\0\7\0\1data", bad=1))
send("answer to nothing", inside, icmp(CLIENT, SERVER, 0, 0, b"\0\7\0\1data"))
question = udp(CLIENT, 6, SERVER, 9)
send("error", outside, icmp(SERVER, CLIENT, 3, 3, bytes(4) + question[:28]))
other = udp(CLIENT, 66, SERVER, 9)
send("error about nothing", outside, icmp(SERVER, CLIENT, 3, 3, bytes(4) + other[:28]))
clear()

# Sources.
ipt("-t nat -A POSTROUTING -o out0 -j MASQUERADE")
[out] = send("masqueraded", inside, udp(CLIENT, 7, SERVER, 9))
send("answer", outside, udp(SERVER, 9, OUTER, 7, b"answer"))
send("error", outside, icmp("10.2.2.99", OUTER, 11, 0, bytes(4) + out[:28]))
send("ping", inside, icmp(CLIENT, SERVER, 8, 0, b"\0\x09\0\1data"))
send("pong", outside, icmp(SERVER, OUTER, 0, 0, b"\0\x09\0\1data"))
[out] = send("syn", inside, tcp(CLIENT, 90, SERVER, 9, SYN))
send("syn ack", outside, tcp(SERVER, 9, OUTER, 90, SYN | ACK, 500, 101))
os.write(inside, udp("10.1.1.3", 7, SERVER, 9))
[out] = received(outside)
port = int.from_bytes(out[20:22], "big")
print("the second one", socket.inet_ntoa(out[12:16]), port != 7, port < 512)
os.write(outside, udp(SERVER, 9, OUTER, port))
print([describe(p) for p in received(inside)])
clear()
ipt("-t nat -A POSTROUTING -o out0 -p udp -j SNAT --to-source 10.2.2.50:4000")
send("fixed", inside, udp(CLIENT, 8, SERVER, 9))
send("taken", inside, udp("10.1.1.4", 8, SERVER, 9))
clear()

# Destinations.
ipt(f"-t nat -A PREROUTING -i in0 -p tcp --dport 80 -j DNAT --to-destination {SERVER}:8080")
ipt(
    f"-t nat -A PREROUTING -i in0 -p udp -d {INNER} -m multiport --dports 5000:5009 "
    f"-j DNAT --to-destination {SERVER}:6000-6009/5000"
)
ipt("-t nat -A PREROUTING -i in0 -p udp --dport 53 -j REDIRECT --to-ports 5353")
send("to a server", inside, tcp(CLIENT, 91, INNER, 80, SYN))
send("back", outside, tcp(SERVER, 8080, CLIENT, 91, SYN | ACK, 500, 101))
send("refused", outside, tcp(SERVER, 8080, CLIENT, 91, RST | ACK, 501, 101))
send("shifted", inside, udp(CLIENT, 11, INNER, 5004))
answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
answers.bind(("0.0.0.0", 5353))
answers.settimeout(2)
send("here", inside, udp(CLIENT, 12, SERVER, 53))
data, peer = answers.recvfrom(100)
answers.sendto(b"answer", peer)
print(data, peer, [describe(p) for p in received(inside)])
answers.close()
send("nobody here", inside, udp(CLIENT, 13, SERVER, 53))
clear()

# Marks lead elsewhere, counters count.
ipt("-t mangle -A PREROUTING -i in0 -p udp --dport 9 -j MARK --set-mark 3")
ipt("-A FORWARD -m mark --mark 3")
send("marked", inside, udp(CLIENT, 5, SERVER, 9))
send("not marked", inside, udp(CLIENT, 5, SERVER, 10))
subprocess.run(["iptables-legacy", "-nvxL", "FORWARD"], check=True)
