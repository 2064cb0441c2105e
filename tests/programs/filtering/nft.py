"""nft: rules are listed as they were given, changes are all or nothing, wrong ones are refused."""

import subprocess


def run(command: str, stdin: str = "") -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    print(f"$ {command}\n{done.returncode}\n{done.stdout}{done.stderr}", end="", flush=True)


def nft(arguments: str) -> None:
    run(f"nft '{arguments}'")


RULESET = """
table inet firewall {
    set trusted { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.1.5 } }
    set six { type ipv6_addr; flags interval; elements = { fd00::/8, fe80::1-fe80::9 } }
    set banned { type ipv4_addr; flags timeout; timeout 1h; }
    set counted { type ipv4_addr; elements = { 1.2.3.4 counter packets 1 bytes 2 } }
    set both { type ipv4_addr . inet_service; flags interval
        elements = { 1.2.3.4 . 80, 2.0.0.0/8 . 100-200 } }
    map ports { type inet_service : verdict; elements = { 80 : accept, 90 : drop, 91 : jump sub } }
    counter web { packets 3 bytes 4 }
    quota monthly { over 10 mbytes used 5 kbytes }
    limit slow { rate 3/second burst 7 packets }
    map marks { type ipv4_addr : mark; flags interval; elements = { 10.0.0.0/24 : 5 } }
    chain sub {
        tcp dport 22 accept
        log prefix "x " counter return
    }
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        ct state vmap { invalid : drop, new : continue }
        ct direction original ct mark 7 ct status dnat accept
        ct original ip saddr 1.2.3.4 ct original proto-dst 80 accept
        iifname "lo" accept
        iif "lo" accept
        ip saddr @trusted counter drop
        ip saddr != @banned ip daddr 1.2.3.4 accept
        ip6 saddr fe80::/10 accept
        ip6 daddr @six accept
        ip saddr . tcp dport @both accept
        ip saddr . tcp dport { 1.2.3.4 . 5 } accept
        tcp dport { 80, 443, 8000-8100 } limit rate 3/second accept
        tcp dport vmap @ports
        udp dport 1-100 udp sport != 5 drop
        meta mark set ip saddr map @marks
        meta mark set ct mark
        ct mark set meta mark and 0xff or 0x100
        meta mark set ip saddr map { 1.1.1.1 : 7 }
        ip protocol icmp icmp type { echo-request, echo-reply } accept
        icmpv6 type { nd-neighbor-solicit, nd-router-advert } accept
        ip protocol icmp reject with icmp type host-unreachable
        ip6 nexthdr udp reject with icmpv6 type no-route
        reject with icmpx type admin-prohibited
        tcp flags & (syn|ack) == syn reject with tcp reset
        tcp flags & (fin|syn|rst|ack) == syn accept
        meta skuid 1000 meta skgid != 5 accept
        meta length 100-200 meta l4proto udp meta nfproto ipv4 accept
        meta pkttype broadcast drop
        limit rate over 10 kbytes/second burst 5 kbytes drop
        limit rate 10/minute burst 7 packets log level info accept
        fib daddr type { local, broadcast } accept
        fib saddr . iif oif missing drop
        ip dscp af11 ip ttl < 5 ip length > 1000 accept
        numgen random mod 3 0 accept
        quota over 10 mbytes drop
        quota 1000 bytes used 10 bytes accept
        th dport 53 accept
        meta mark 0x10-0x20 drop
        ip saddr 10.0.0.1-10.0.0.9 accept comment "some hosts"
        tcp dport 80 counter name web quota name "monthly" limit name "slow" accept
        jump sub
        goto sub
    }
    chain output { type route hook output priority -150; meta mark set 5; }
    chain prerouting { type filter hook prerouting priority raw; udp dport 53 notrack; }
}
table ip nat {
    chain prerouting { type nat hook prerouting priority dstnat
        tcp dport 80 dnat to 10.0.0.2:8080
        udp dport 80 dnat to 10.0.0.2-10.0.0.9 persistent
        tcp dport 81 dnat to tcp dport map { 81 : 10.0.0.3 }
    }
    chain postrouting { type nat hook postrouting priority srcnat
        oifname "eth0" masquerade
        oifname "eth1" masquerade random
        ip saddr 10.0.0.0/8 meta l4proto tcp snat to 1.2.3.4-1.2.3.9:1000-2000
        meta l4proto udp masquerade to :1000-2000
    }
    chain output { type nat hook output priority -100; udp dport 53 redirect to :5353; }
}
table inet nat6 {
    chain prerouting { type nat hook prerouting priority dstnat
        tcp dport 80 dnat ip6 to [fd00::2]:8080
        tcp dport 81 dnat ip to 10.0.0.2
        udp dport 53 redirect
    }
}
table ip6 mangle { flags dormant; chain c { type filter hook forward priority mangle; drop; } }
"""

run("nft -f -", RULESET)
run("nft -a list ruleset | sed 's/expires [0-9a-z]*//'")
run("nft list ruleset > /tmp/saved; nft flush ruleset; nft list ruleset; nft -f /tmp/saved")
run("nft list ruleset | diff - /tmp/saved && echo the same")
run("nft -j list tables")
nft("list chain inet firewall sub")
nft("list map inet firewall ports")
nft("list sets")
nft("list counters")
nft("list flowtables")
nft("flush ruleset ip")
nft("list tables")
nft("delete table inet firewall")
nft("destroy table inet firewall")
nft("list ruleset inet")
nft("flush ruleset")

# One change after another.
for command in (
    "add table ip t",
    "add chain ip t a",
    "add chain ip t b",
    "add rule ip t a jump b",
    "add rule ip t b jump a",
    "add chain ip t c { type filter hook input priority 0; }",
    "add rule ip t c jump a",
    "add rule ip t b jump a",
    "delete chain ip t b",
    "delete chain ip t nothere",
    'add rule ip t c tcp dport 22 counter packets 7 bytes 8 accept comment "ssh"',
    "insert rule ip t c ip saddr 1.2.3.4 drop",
    "-a list table ip t",
    "add rule ip t c position 9 udp dport 1 accept",
    "insert rule ip t c position 9 udp dport 2 accept",
    "add rule ip t c index 1 udp dport 3 accept",
    "replace rule ip t c handle 9 tcp dport 23 accept",
    "-a list chain ip t c",
    "delete rule ip t c handle 9",
    "delete rule ip t c handle 99",
    "flush chain ip t c",
    "list table ip t",
    "create table ip t",
    "create chain ip t a",
    "add chain ip t c { policy drop; }",
    "add chain ip t c { type filter hook input priority 7; }",
    "add chain ip t a { policy drop; }",
    "list chain ip t c",
    "add set ip t s { type ipv4_addr; }",
    "add set ip t s { type inet_service; }",
    "add set ip t limited { type ipv4_addr; size 2; }",
    "add element ip t limited { 1.2.3.4, 5.6.7.8, 9.9.9.9 }",
    "add element ip t s { 1.2.3.4, 5.6.7.8 }",
    "add element ip t s { 1.2.3.4 }",
    "create element ip t s { 1.2.3.4 }",
    "delete element ip t s { 9.9.9.9 }",
    "delete element ip t s { 5.6.7.8 }",
    "get element ip t s { 1.2.3.4 }",
    "get element ip t s { 1.2.3.5 }",
    "list set ip t s",
    "add rule ip t c ip saddr @s drop",
    "delete set ip t s",
    "flush set ip t s",
    "add set ip t r { type ipv4_addr; flags interval; }",
    "add element ip t r { 10.0.0.0/8 }",
    "add element ip t r { 10.1.0.0/16 }",
    "add element ip t r { 9.0.0.0-11.0.0.0 }",
    "add element ip t r { 11.0.0.0/8 }",
    "delete element ip t r { 10.0.0.0/8 }",
    "list set ip t r",
    "add rule ip t c add @r { ip saddr }",
    "add rule ip t c add @limited { ip saddr }",
    "add rule ip t c add @s { ip saddr timeout 5s }",
    "add rule ip t c update @s { ip saddr counter }",
    "add set ip t dynamic { type ipv4_addr; flags dynamic,interval; }",
    "add set ip t dynamic { type ipv4_addr; flags dynamic; counter; }",
    "add rule ip t c add @dynamic { ip saddr }",
    "add rule ip t c add @dynamic { ip saddr limit rate 1/second }",
    "add element ip t dynamic { 1.2.3.4, 1.2.3.5 counter packets 5 bytes 6 }",
    "list table ip t",
    "flush chain ip t c",
    "delete set ip t dynamic",
    "add map ip t m { type ipv4_addr : verdict; }",
    "add element ip t m { 1.1.1.1 : jump a }",
    "add element ip t m { 1.1.1.1 : drop }",
    "delete chain ip t a",
    "delete element ip t m { 1.1.1.1 : jump a }",
    "rename chain ip t a aa",
    "rename chain ip t aa b",
    "list ruleset",
    "add rule ip t c masquerade",
    "add rule ip t c dnat to 1.2.3.4",
    "add rule ip t nothere accept",
    "add rule ip nothere c accept",
    "add rule ip t c jump nothere",
    "add rule ip t c ip saddr @nothere accept",
    "add chain ip t x { type nonsense hook input priority 0; }",
    "add chain ip t x { type nat hook forward priority 0; }",
    "add chain ip t x { type nat hook prerouting priority -300; }",
    "add chain ip t x { type route hook input priority 0; }",
    "add chain ip t x { type filter hook input priority 0; policy drop; } ; delete chain ip t x",
    "add table inet y; add chain inet y z; add rule inet nothere z accept",
    "list tables",
    "delete table ip nothere",
    "add counter ip t web",
    "add counter ip t web { packets 9 bytes 9; }",
    "create counter ip t web",
    "add quota ip t web { 10 mbytes }",
    "add rule ip t c counter name web",
    "add rule ip t c counter name nothere",
    "delete counter ip t web",
    "list counters",
    "list quotas table ip t",
    "reset counters",
    "delete quota ip t web",
    "delete counter ip t nothere",
    "flush chain ip t c",
    "delete counter ip t web",
    "-c add table ip checked",
    "list tables",
    "delete table ip t",
    "list ruleset",
):
    nft(command)
run("setpriv --reuid 1000 --clear-groups --bounding-set -all nft list ruleset")
