"""Rules are listed as they were given, and wrong ones are refused."""

import subprocess


def run(command: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60
    )
    print(f"$ {command}\n{done.returncode}\n{done.stdout}{done.stderr}", end="", flush=True)


IPT = "iptables-legacy "

for arguments in (
    "-S",
    "-P FORWARD DROP",
    "-N mine",
    "-A INPUT -p tcp --dport 4000 -j DROP",
    "-A INPUT ! -s 10.0.0.0/8 -d 192.168.1.1 -i eth+ -p udp --sport 1:100 ! --dport 53 -j mine",
    "-A mine -m comment --comment 'a word' -j RETURN",
    "-A mine -p icmp --icmp-type echo-request -m limit --limit 3/minute --limit-burst 7 -j ACCEPT",
    "-A mine -p tcp -m multiport --dports 80,443,8000:8080 -j REJECT",
    "-A mine -p tcp --tcp-flags SYN,ACK SYN -j REJECT --reject-with tcp-reset",
    "-A OUTPUT -m addrtype ! --dst-type LOCAL -m mark --mark 0x1/0xff -j ACCEPT",
    "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A INPUT -m conntrack --ctstate NEW --ctorigdst 10.1.0.0/16 --ctorigdstport 5:9 -j ACCEPT",
    "-A INPUT -m state --state INVALID -j DROP",
    "-A mine -m ttl --ttl-lt 5 -j DROP",
    "-A mine -m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 1.1.1.1-1.1.1.2 -j DROP",
    "-A mine -m statistic --mode nth --every 3 --packet 1 -j ACCEPT",
    "-A mine -m statistic --mode random --probability 0.5 -j ACCEPT",
    "-A mine -m length --length 100:200 -m pkttype --pkt-type multicast -j DROP",
    "-A mine -m dscp --dscp-class AF11 -j ACCEPT",
    "-A INPUT -m mac --mac-source 02:00:00:00:00:01 -j DROP",
    "-A OUTPUT -m mac --mac-source 02:00:00:00:00:01 -j DROP",
    "-A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
    "-A FORWARD -p tcp --syn -j TCPMSS --set-mss 1000",
    "-A FORWARD -p tcp -j TCPMSS --set-mss 1000",
    "-A INPUT -p tcp --syn -j TCPMSS --clamp-mss-to-pmtu",
    "-A FORWARD -g mine",
    "-I INPUT 1 -i lo -j ACCEPT",
    "-S",
    "-L -n",
    "-L INPUT -n --line-numbers",
    "-D INPUT 1",
    "-C INPUT -p tcp --dport 4000 -j DROP",
    "-C INPUT -p tcp --dport 4001 -j DROP",
    "-X mine",
    "-A INPUT -j nowhere",
    "-E mine yours",
    "-S yours",
    "-F",
    "-X",
    "-S",
    "-t nat -N DOCKER",
    "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
    "-t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
    "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    "-t nat -A DOCKER -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8080",
    "-t nat -A DOCKER -i docker0 -j RETURN",
    "-t nat -A OUTPUT -p udp --dport 53 -j REDIRECT --to-ports 5353",
    "-t nat -A POSTROUTING -p udp -j SNAT --to-source 10.0.0.1-10.0.0.9:1000-2000 --persistent",
    "-t nat -S",
    "-t nat -L -n",
    "-t nat -A INPUT -j MASQUERADE",
    "-A INPUT -j MASQUERADE",
    "-t nat -A PREROUTING -j REJECT",
    "-t mangle -A PREROUTING -p tcp -j MARK --set-xmark 0x10/0xf0",
    "-t mangle -S",
    "-t raw -A OUTPUT -p udp -j CT --notrack",
    "-t raw -S",
    "-t raw -A PREROUTING -m owner --help-me",
    "-t nothing -S",
):
    run(IPT + arguments)
run("iptables-legacy-save | sed '/^#/d; s/\\[[0-9:]*\\]//' > /tmp/saved; sort /tmp/saved")
run("iptables-legacy -t nat -F; iptables-legacy -t nat -X; iptables-legacy -t nat -S")
run("iptables-legacy-restore < /tmp/saved; iptables-legacy -t nat -S")
run(
    "printf '*filter\\n:INPUT DROP [5:6]\\n[7:8] -A INPUT -j ACCEPT\\nCOMMIT\\n' | iptables-legacy-restore -c"
)
run("iptables-legacy -S -v | head -4; iptables-legacy -Z; iptables-legacy -S INPUT -v")
run("setpriv --reuid 1000 --clear-groups --bounding-set -all iptables-legacy -S")
