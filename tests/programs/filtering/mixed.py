"""Rules of iptables and of nf_tables at once: each has its place by its priority."""

from tunnels import CLIENT, SERVER, inside, run, send, udp

run("iptables-legacy -t raw -A PREROUTING -p udp -j MARK --set-mark 1")
run("iptables-legacy -t mangle -A PREROUTING -m mark --mark 2 -j MARK --set-mark 3")
run("iptables-legacy -t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination 10.2.2.3:5353")
run("iptables-legacy -A FORWARD -p udp --dport 9 -j DROP")
run("iptables-legacy -A FORWARD -p udp --dport 10")
RULES = """
table ip t {
    chain early { type filter hook prerouting priority -299
        meta mark 1 counter meta mark set 2
    }
    chain late { type filter hook prerouting priority -149
        meta mark 3 counter
        meta mark != 3 counter
    }
    chain later { type filter hook prerouting priority -99
        udp dport 5353 counter
        udp dport 53 counter
    }
    chain pre { type nat hook prerouting priority -101
        udp dport 54 dnat to 10.2.2.4
        udp dport 53 udp sport 1 dnat to 10.2.2.5
    }
    chain before { type filter hook forward priority -1; udp dport 9 counter; }
    chain after { type filter hook forward priority 1
        udp dport 9 counter
        udp dport 10 counter drop
    }
}
"""
run("nft -f -", RULES)
send("dropped by iptables", inside, udp(CLIENT, 5, SERVER, 9))
send("dropped by nft", inside, udp(CLIENT, 5, SERVER, 10))
send("translated by iptables", inside, udp(CLIENT, 5, SERVER, 53))
send("translated by nft", inside, udp(CLIENT, 5, SERVER, 54))
send("translated by nft first", inside, udp(CLIENT, 1, SERVER, 53))
run("nft list table ip t; iptables-legacy -nvxL FORWARD; iptables-legacy -t nat -nvxL PREROUTING")
run(
    "iptables-nft -S 2>&1; iptables-nft -A FORWARD -p udp --dport 11 -j DROP; iptables-nft-save | sed '/^#/d'"
)
run("nft flush ruleset; iptables-legacy -S FORWARD")
send("as before", inside, udp(CLIENT, 5, SERVER, 11))
send("still dropped by iptables", inside, udp(CLIENT, 5, SERVER, 9))
