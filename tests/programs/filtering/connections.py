"""conntrack(8): connections are listed, counted and deleted."""

from tunnels import (
    ACK,
    CLIENT,
    CLIENT6,
    OUTER,
    SERVER,
    SERVER6,
    SYN,
    inside,
    outside,
    ping,
    run,
    send,
    tcp,
    udp,
)

# Numbers that time and chance make.
CLEAN = "sed -E 's/^(\\S+ +[0-9]+) [0-9]+/\\1/; s/use=[0-9]+//; s/ +/ /g' | sort"


def listing(arguments: str = "") -> None:
    run(f"conntrack -L {arguments} 2>/dev/null | {CLEAN}")


run(
    "nft -f -",
    """
table inet t {
    chain f { type filter hook forward priority 0; ct state new udp dport 9 ct mark set 5; }
    chain post { type nat hook postrouting priority srcnat; ip protocol udp oifname "out0" masquerade; }
}
""",
)
send("udp", inside, udp(CLIENT, 7, SERVER, 9))
send("answer", outside, udp(SERVER, 9, OUTER, 7))
send("unanswered", inside, udp(CLIENT, 8, SERVER, 10))
send("syn", inside, tcp(CLIENT, 80, SERVER, 9, SYN))
send("syn ack", outside, tcp(SERVER, 9, CLIENT, 80, SYN | ACK, 101))
send("ack", inside, tcp(CLIENT, 80, SERVER, 9, ACK, 101))
send("only a syn", inside, tcp(CLIENT, 81, SERVER, 9, SYN))
send("ping", inside, ping(CLIENT, SERVER, 8))
send("six", inside, udp(CLIENT6, 7, SERVER6, 9))
send("six", inside, ping(CLIENT6, SERVER6, 128))
listing()
listing("-f ipv6")
listing("-p tcp")
listing("-m 5")
listing("-s 10.1.1.2 -p udp")
listing("-n")
run("conntrack -L -o extended 2>&1 >/dev/null | sed 's/conntrack v[0-9.]*//'")
run("sed -E 's/^(\\S+ +[0-9]+ \\S+ +[0-9]+) [0-9]+/\\1/' /proc/net/nf_conntrack | sort")
run("conntrack -C")
run("conntrack -G -p udp -s 10.1.1.2 -d 10.2.2.2 --sport 7 --dport 9 2>/dev/null | " + CLEAN)
run("conntrack -G -p udp -s 10.1.1.2 -d 10.2.2.2 --sport 7 --dport 99 2>&1 | tail -1")
run("conntrack -D -p udp -s 10.1.1.2 --dport 10 2>/dev/null | " + CLEAN)
run("conntrack -D -p udp -s 10.1.1.99 2>&1 | tail -1")
listing()
run("conntrack -F 2>&1 | tail -1; conntrack -C; conntrack -L 2>&1 | tail -1")
send("after all was forgotten", outside, tcp(SERVER, 9, CLIENT, 80, ACK, 101))
listing()
run("setpriv --reuid 1000 --clear-groups --bounding-set -all conntrack -L 2>&1 | tail -1")
