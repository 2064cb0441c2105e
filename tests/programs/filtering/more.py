"""Matches and targets that are seldom asked for, and what they do to packets."""

import struct
import subprocess

from tunnels import (
    CLIENT,
    CLIENT6,
    SERVER,
    SERVER6,
    SYN,
    inside,
    outside,
    packet,
    received,
    run,
    send,
    udp,
)


def ipt(arguments: str, tools: str = "iptables-legacy ip6tables-legacy") -> None:
    for tool in tools.split():
        subprocess.run([tool, *arguments.split()], check=True)


def clear() -> None:
    run("for t in iptables-legacy ip6tables-legacy; do $t -nvxL FORWARD | tail -n +3; $t -F; done")
    run("for t in iptables-legacy ip6tables-legacy; do $t -t mangle -F; done")


def syn(source: str, destination: str, options: bytes) -> bytes:
    size = (20 + len(options)) // 4 << 4
    head = struct.pack("!HHIIBBHHH", 5, 9, 100, 0, size, SYN, 1000, 0, 0)
    return packet(source, destination, 6, head + options)


ipt("-A FORWARD -p udp -m statistic --mode nth --every 3 --packet 1 -j DROP")
for source, destination in ((CLIENT, SERVER), (CLIENT6, SERVER6)):
    send("every third", inside, *(udp(source, port, destination, 9) for port in range(1, 8)))
clear()
ipt("-A FORWARD -m length --length 0:60 -j DROP")
ipt("-A FORWARD -p udp -m statistic --mode random --probability 1.0 -m pkttype --pkt-type unicast")
ipt("-A FORWARD -m ttl --ttl-lt 64 -m ttl --ttl-gt 62 -m dscp ! --dscp 5", "iptables-legacy")
ipt("-A FORWARD -m ttl --ttl-eq 64 -j DROP", "iptables-legacy")
ipt("-A FORWARD -m hl --hl-eq 63", "ip6tables-legacy")
ipt("-A FORWARD -m hl --hl-lt 63 -j DROP", "ip6tables-legacy")
ipt("-A FORWARD -m mac --mac-source 02:00:00:00:00:01 -j DROP")
ipt(
    f"-A FORWARD -m iprange --src-range {CLIENT}-10.1.1.9 --dst-range {SERVER}-{SERVER}",
    "iptables-legacy",
)
ipt(f"-A FORWARD -m iprange ! --src-range {CLIENT6}-fd01::9 -j DROP", "ip6tables-legacy")
for source, destination in ((CLIENT, SERVER), (CLIENT6, SERVER6)):
    send("short", inside, udp(source, 1, destination, 9, b""))
    send("long", inside, udp(source, 1, destination, 9, bytes(60)))
clear()

# The largest segment: as it is told, and as the ways allow.
MSS, TIMESTAMP = b"\2\4\5\xb4", b"\1\1\x08\x0a" + bytes(8)
for rule in ("--set-mss 1000", "--set-mss 1461", "--clamp-mss-to-pmtu"):
    ipt(f"-t mangle -A FORWARD -p tcp --syn -j TCPMSS {rule}")
    if "clamp" in rule:
        run("ip link set out0 mtu 1400")
    for source, destination in ((CLIENT, SERVER), (CLIENT6, SERVER6)):
        for options in (MSS, b"\1\1" + MSS + b"\1\1", TIMESTAMP + MSS, MSS[:2] + b"\0\1"):
            for got in send("syn", inside, syn(source, destination, options)):
                print(got[-len(options) :].hex())
    clear()
print(received(outside))
