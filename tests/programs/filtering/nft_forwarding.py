"""What rules of nf_tables do to packets that come in, go on and go out."""

import socket
import subprocess

from tunnels import (
    ACK,
    CLIENT,
    CLIENT6,
    INNER,
    OUTER,
    OUTER6,
    SERVER,
    SERVER6,
    SYN,
    describe,
    inside,
    outside,
    ping,
    received,
    run,
    send,
    tcp,
    udp,
)


def rules(text: str) -> None:
    done = subprocess.run(["nft", "-f", "-"], input="flush ruleset\n" + text, text=True)
    assert done.returncode == 0


# Sets, maps, ranges, both versions of IP in one chain.
rules("""
table inet t {
    set hosts { type ipv4_addr; flags interval; elements = { 10.2.2.2-10.2.2.9, 10.3.0.0/16 } }
    set six { type ipv6_addr; elements = { fd02::2 } }
    set pairs { type ipv4_addr . inet_service; elements = { 10.2.2.2 . 9, 10.2.2.2 . 10 } }
    set ranges { type ipv4_addr . inet_service; flags interval; elements = { 10.2.2.0/24 . 20-30 } }
    map what { type inet_service : verdict; elements = { 40 : drop, 41 : accept, 42 : jump sub } }
    map marks { type inet_service : mark; flags interval; elements = { 50-59 : 5, 60 : 6 } }
    chain sub { counter; return; }
    chain forward { type filter hook forward priority 0
        ip daddr . udp dport @pairs counter drop
        ip daddr . udp dport @ranges counter drop
        udp dport vmap @what
        ip daddr != @hosts counter
        ip6 daddr @six udp dport 9 counter drop
        meta mark set udp dport map @marks
        meta mark 5 counter
        meta mark 6 counter drop
        iifname "in0" oifname "out*" counter
        tcp dport { 80, 8000-8010 } counter drop
        tcp flags syn / syn,ack counter
        udp dport != 1-100 counter
    }
}
""")
for port in (9, 11, 20, 30, 31, 40, 41, 42, 50, 59, 60, 101):
    send(f"udp {port}", inside, udp(CLIENT, 5, SERVER, port))
for port in (80, 8000, 8011):
    send(f"tcp {port}", inside, tcp(CLIENT, 5, SERVER, port, SYN))
send("six", inside, udp(CLIENT6, 5, SERVER6, 9))
send("six", inside, udp(CLIENT6, 5, SERVER6, 10))
run("nft list table inet t")

# Answers.
rules("""
table inet t {
    chain forward { type filter hook forward priority 0
        udp dport 1 reject
        udp dport 2 reject with icmpx type admin-prohibited
        ip protocol udp udp dport 3 reject with icmp type host-unreachable
        ip6 nexthdr udp udp dport 3 reject with icmpv6 type addr-unreachable
        tcp dport 4 reject with tcp reset
        icmp type echo-request reject with icmpx type no-route
    }
    chain input { type filter hook input priority 0; udp dport 7 reject; }
}
""")
for client, server in ((CLIENT, SERVER), (CLIENT6, SERVER6)):
    for port in (1, 2, 3):
        send(f"rejected {port}", inside, udp(client, 5, server, port))
    send("reset", inside, tcp(client, 5, server, 4, SYN))
    send("reset", inside, tcp(client, 5, server, 4, ACK, 300))
send("ping", inside, ping(CLIENT, SERVER, 8))
send("here", inside, udp(CLIENT, 5, INNER, 7))

# Limits, quotas, counters that numbers choose.
rules("""
table ip t {
    counter every { }
    quota some { 100 bytes }
    limit few { rate 1/hour burst 2 packets }
    chain forward { type filter hook forward priority 0
        counter name every
        udp dport 6 quota name "some" counter accept
        udp dport 7 limit name "few" counter accept
        udp dport 6-7 counter drop
        udp dport 1 limit rate 1/hour burst 3 packets counter accept
        udp dport 1 counter drop
        udp dport 2 limit rate over 36 bytes/hour burst 72 bytes counter drop
        udp dport 3 quota over 100 bytes counter drop
        udp dport 4 numgen inc mod 3 0 counter drop
        udp dport 5 quota 100 bytes counter accept
        udp dport 5 drop
    }
}
""")
for port in (1, 2, 3, 4, 5, 6, 7):
    send(f"five to {port}", inside, *(udp(CLIENT, 5, SERVER, port) for _ in range(5)))
run("nft list table ip t")
run("nft reset counters; nft reset quotas; nft list counters; nft list quotas")

# Sets that packets change.
rules("""
table inet t {
    set seen { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
    set six { type ipv6_addr; flags dynamic,timeout; timeout 1h; }
    set limited { type ipv4_addr . inet_service; flags dynamic; size 4; }
    set counted { type ipv4_addr; flags dynamic; counter; }
    map origin { type inet_service : ipv4_addr; flags dynamic; }
    chain forward { type filter hook forward priority 0
        udp dport 1 add @seen { ip saddr timeout 5h } counter
        udp dport 1 add @six { ip6 saddr } counter
        udp dport 2 update @seen { ip saddr } counter
        udp dport 3 delete @seen { ip saddr } counter
        udp dport 10-20 add @limited { ip saddr . udp dport counter } counter
        udp dport 21 add @seen { ip saddr limit rate over 1/hour burst 2 packets } counter drop
        udp dport 30 add @origin { udp dport : ip saddr } counter
        udp dport 40 add @counted { ip saddr } counter
        ip saddr @seen udp dport 50 counter drop
        ip saddr @counted udp dport 60
    }
}
""")
CLEAN = "sed -E 's/expires [0-9a-z]*//'"
for port in (1, 2, 10, 11, 11, 12, 13, 14, 30, 40, 50):
    send(f"from {port}", inside, udp(CLIENT, 5, SERVER, port))
send("six", inside, udp(CLIENT6, 5, SERVER6, 1))
run(f"nft list table inet t | {CLEAN}")
send("forgotten", inside, *(udp(CLIENT, 5, SERVER, port) for port in (3, 3, 50)))
send("limited", inside, *(udp(CLIENT, 5, SERVER, 21) for _ in range(4)))
run("nft flush set inet t limited")
send("room again", inside, udp(CLIENT, 5, SERVER, 14))
run(f"nft list table inet t | {CLEAN}")

# States.
rules("""
table inet t {
    chain pre { type filter hook prerouting priority raw; udp dport 66 notrack; }
    chain forward { type filter hook forward priority 0; policy drop
        ct state vmap { established : accept, related : accept, invalid : drop, untracked : accept }
        iifname "in0" ct state new ct mark set 7 accept
    }
    chain post { type filter hook postrouting priority 0
        ct mark 7 ct direction reply counter
        ct mark 7 ct direction original counter
        ct status assured counter
        ct original ip saddr 10.1.1.2 meta l4proto udp ct reply proto-src 9 counter
        ct l3proto ipv6 ct protocol udp counter
    }
}
""")
for client, server in ((CLIENT, SERVER), (CLIENT6, SERVER6)):
    send("unasked", outside, udp(server, 9, client, 6))
    send("asked", inside, udp(client, 6, server, 9))
    send("answered", outside, udp(server, 9, client, 6))
    send("asked again", inside, udp(client, 6, server, 9))
    send("untracked", outside, udp(server, 9, client, 66))
    send("syn", inside, tcp(client, 80, server, 9, SYN))
    send("syn ack", outside, tcp(server, 9, client, 80, SYN | ACK, 101))
    send("only ack", outside, tcp(server, 9, client, 81, ACK, 101))
run("nft list table inet t")

# Translation.
rules("""
table ip t {
    chain pre { type nat hook prerouting priority dstnat
        iifname "in0" tcp dport 80 dnat to 10.2.2.2:8080
        iifname "in0" udp dport 81 dnat to udp dport map { 81 : 10.2.2.7 }
        iifname "in0" udp dport 53 redirect to :5353
    }
    chain post { type nat hook postrouting priority srcnat
        oifname "out0" udp dport 9 masquerade
        oifname "out0" udp dport 10 snat to 10.2.2.50:4000
        oifname "out0" udp dport 11 masquerade to :4100
    }
}
table ip6 t {
    chain pre { type nat hook prerouting priority dstnat; tcp dport 80 dnat to [fd02::2]:8080; }
    chain post { type nat hook postrouting priority srcnat; udp dport 9 masquerade; }
}
""")
send("to a server", inside, tcp(CLIENT, 91, INNER, 80, SYN))
send("back", outside, tcp(SERVER, 8080, CLIENT, 91, SYN | ACK, 101))
send("by a map", inside, udp(CLIENT, 92, INNER, 81))
send("masqueraded", inside, udp(CLIENT, 7, SERVER, 9))
send("answer", outside, udp(SERVER, 9, OUTER, 7))
send("fixed", inside, udp(CLIENT, 8, SERVER, 10))
send("port", inside, udp(CLIENT, 8, SERVER, 11))
send("six to a server", inside, tcp(CLIENT6, 91, "fd01::1", 80, SYN))
send("six back", outside, tcp(SERVER6, 8080, CLIENT6, 91, SYN | ACK, 101))
send("six masqueraded", inside, udp(CLIENT6, 7, SERVER6, 9))
send("six answer", outside, udp(SERVER6, 9, OUTER6, 7))
answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
answers.bind(("0.0.0.0", 5353))
answers.settimeout(2)
send("here", inside, udp(CLIENT, 12, SERVER, 53))
data, peer = answers.recvfrom(100)
answers.sendto(b"answer", peer)
print(data, peer, [describe(p) for p in received(inside)])

# Where packets of our own go, and where those of others would.
rules("""
table ip t {
    chain out { type route hook output priority mangle; udp dport 77 meta mark set 5; }
    chain in { type filter hook prerouting priority 0
        fib daddr type local udp dport 70 counter drop
        fib saddr . iif oif missing counter drop
        fib saddr oifname "in0" counter
    }
    chain counted { type filter hook output priority 10; policy accept; counter; }
}
""")
run("ip route add default dev in0 table 5; ip rule add fwmark 5 table 5")
for port in (77, 78):
    answers.sendto(b"question", (SERVER, port))
    print(port, [describe(p) for p in received(inside)], [describe(p) for p in received(outside)])
send("local", inside, udp(CLIENT, 5, INNER, 70))
send("the wrong way in", inside, udp("10.2.2.9", 5, SERVER, 1))
send("the right way in", inside, udp(CLIENT, 5, SERVER, 1))
run("nft list table ip t")
run(
    "nft add chain ip t loop; nft add rule ip t loop accept; nft delete table ip t; nft list ruleset"
)
