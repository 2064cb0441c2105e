"""What rules do to IPv6 packets on the loopback device."""

import errno
import os
import socket
import subprocess

LOCAL = "::1"
OTHER = "fd00:9::7"


def ipt(arguments: str) -> None:
    subprocess.run(["ip6tables-legacy", "-w", *arguments.split()], check=True, timeout=60)


def clear() -> None:
    for table in ("filter", "nat", "mangle", "raw"):
        ipt(f"-t {table} -F")
        ipt(f"-t {table} -X")


def counters(chain: str, table: str = "filter") -> None:
    done = subprocess.run(
        ["ip6tables-legacy", "-t", table, "-n", "-v", "-x", "-L", chain],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    print(done.stdout, end="", flush=True)


def name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error))


def server(kind: int, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("::", port))
    made.settimeout(3)
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


def tcp(label: str, listener: socket.socket | None, host: str, port: int) -> None:
    """Connect, say something both ways, and tell what was seen."""
    with socket.socket(socket.AF_INET6) as client:
        client.settimeout(3 if listener else 2)
        try:
            client.connect((host, port))
        except TimeoutError:
            print(label, "timed out", flush=True)
            return
        except OSError as error:
            print(label, name(error), flush=True)
            return
        if listener is None:
            print(label, "connected")
            return
        accepted, peer = listener.accept()
        with accepted:
            accepted.sendall(b"x" * 200_000)
            got = 0
            while got < 200_000:
                got += len(client.recv(65536))
            client.sendall(b"question")
            print(
                label,
                got,
                accepted.recv(100),
                client.getpeername()[:2],
                peer[0],
                accepted.getsockname()[:2],
                flush=True,
            )


def udp(label: str, receiver: socket.socket, host: str, port: int) -> None:
    """Send a datagram, and answer it."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        try:
            client.sendto(b"question", (host, port))
            receiver.settimeout(1)
            data, peer = receiver.recvfrom(100)
            receiver.sendto(b"answer", peer)
            print(label, data, peer[0], client.recvfrom(100)[0], flush=True)
        except TimeoutError:
            print(label, "timed out", flush=True)
        except OSError as error:
            print(label, name(error), flush=True)


def asked(label: str, port: int) -> None:
    """Tell what becomes of a datagram that a rule rejects."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.connect((LOCAL, port))
        client.send(b"question")
        client.settimeout(1)
        try:
            print(label, client.recv(10))
        except OSError as error:
            print(label, name(error), flush=True)


subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "addr", "add", f"{OTHER}/64", "dev", "lo", "nodad"], check=True)
if os.path.exists("/proc/sys/net/ipv6/icmp/ratelimit"):
    with open("/proc/sys/net/ipv6/icmp/ratelimit", "w") as file:
        file.write("0")
web = server(socket.SOCK_STREAM, 4000)
answers = server(socket.SOCK_DGRAM, 4000)

# DROP, marks and counters.
ipt("-A INPUT -p udp --dport 4000 -m mark ! --mark 0x7 -j DROP")
ipt("-A INPUT -p tcp --dport 4001 -j DROP")
udp("dropped", answers, LOCAL, 4000)
tcp("dropped", None, LOCAL, 4001)
tcp("passes", web, LOCAL, 4000)
ipt("-t mangle -A OUTPUT -p udp -j MARK --set-mark 7")
udp("marked", answers, LOCAL, 4000)
clear()
ipt(f"-A INPUT -s {OTHER} -d {OTHER} -p udp -j ACCEPT")
ipt(f"-A OUTPUT -s {LOCAL} -d {LOCAL} -p udp -j ACCEPT")
udp("counted", answers, LOCAL, 4000)
udp("counted", answers, OTHER, 4000)
counters("INPUT")
counters("OUTPUT")
clear()

# What the sender learns.
ipt("-A OUTPUT -p udp --dport 4000 -j DROP")
udp("not sent", answers, LOCAL, 4000)
clear()
for how in (
    "icmp6-port-unreachable",
    "icmp6-adm-prohibited",
    "icmp6-no-route",
    "icmp6-addr-unreachable",
    "icmp6-policy-fail",
):
    ipt(f"-A INPUT -p udp --dport 4000 -j REJECT --reject-with {how}")
    asked(how, 4000)
    clear()
ipt("-A INPUT -p tcp --dport 4000 -j REJECT --reject-with tcp-reset")
tcp("reset", None, LOCAL, 4000)
clear()
ipt("-A OUTPUT -p tcp --dport 4000 -j REJECT --reject-with tcp-reset")
tcp("reset on its way out", None, LOCAL, 4000)
clear()
ipt("-A OUTPUT -p tcp --dport 4000 -j REJECT")
tcp("refused", None, LOCAL, 4000)
clear()

# Connections.
ipt("-P INPUT DROP")
ipt("-A INPUT -p tcp --dport 4000 -m conntrack --ctstate NEW -j ACCEPT")
ipt("-A INPUT -p udp --dport 4000 -m state --state NEW -j ACCEPT")
ipt("-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
tcp("tracked", web, LOCAL, 4000)
udp("tracked", answers, LOCAL, 4000)
tcp("not let in", None, LOCAL, 4001)
ipt("-t raw -A OUTPUT -p udp --dport 4000 -j CT --notrack")
udp("not tracked", answers, LOCAL, 4000)
ipt("-P INPUT ACCEPT")
clear()
ipt("-t mangle -A OUTPUT -p udp --dport 4000 -j CONNMARK --set-mark 9")
ipt("-A INPUT -m connmark --mark 9")
udp("connection marked", answers, LOCAL, 4000)
counters("INPUT")
clear()
ipt("-A INPUT -p icmpv6 --icmpv6-type echo-request -j DROP")
print("ping", subprocess.run(["ping", "-q", "-c1", "-W1", LOCAL], capture_output=True).returncode)
ipt("-F")
print("ping", subprocess.run(["ping", "-q", "-c1", "-W1", LOCAL], capture_output=True).returncode)

# Translation.
ipt("-t nat -A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 4000")
ipt("-t nat -A OUTPUT -p udp --dport 53 -j REDIRECT --to-ports 4000")
tcp("redirected", web, LOCAL, 80)
tcp("redirected from elsewhere", web, OTHER, 80)
udp("redirected", answers, OTHER, 53)
clear()
ipt(f"-t nat -A OUTPUT -d fd00:9::50 -p tcp -j DNAT --to-destination [{OTHER}]:4000")
ipt(f"-t nat -A OUTPUT -d fd00:9::50 -p udp -j DNAT --to-destination [{OTHER}]:4000")
tcp("elsewhere", web, "fd00:9::50", 1234)
udp("elsewhere", answers, "fd00:9::50", 1234)
clear()
ipt(f"-t nat -A POSTROUTING -p udp --dport 4000 -j SNAT --to-source [{OTHER}]:999")
udp("from elsewhere", answers, LOCAL, 4000)
clear()

# In fragments, and errors about translated packets.
subprocess.run(["ip", "link", "set", "lo", "mtu", "1400"], check=True)
ipt("-t nat -A OUTPUT -d fd00:9::9 -p udp --dport 53 -j DNAT --to-destination [::1]:4000")
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
    client.settimeout(1)
    client.sendto(bytes(5000), ("fd00:9::9", 53))
    data, peer = answers.recvfrom(10000)
    answers.sendto(bytes(4000), peer)
    data, peer = client.recvfrom(10000)
    print("fragments", len(data), peer[:2])
clear()
ipt("-A INPUT -p udp --dport 4000 -j ACCEPT")
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
    client.sendto(bytes(5000), (LOCAL, 4000))
    print("fragments that nobody tracks", len(answers.recvfrom(10000)[0]))
clear()
ipt("-t nat -A OUTPUT -p udp --dport 53 -j REDIRECT --to-ports 4999")
asked("nobody there", 53)
clear()
print(sorted(open("/proc/net/ip6_tables_names").read().split()))
os._exit(0)
