"""What rules do to packets on the loopback device."""

import errno
import os
import socket
import subprocess

LOCAL = "127.0.0.1"
OTHER = "10.9.8.7"


def ipt(arguments: str) -> None:
    subprocess.run(["iptables-legacy", "-w", *arguments.split()], check=True, timeout=60)


def clear() -> None:
    for table in ("filter", "nat", "mangle", "raw"):
        ipt(f"-t {table} -F")
        ipt(f"-t {table} -X")


def counters(chain: str, table: str = "filter") -> None:
    done = subprocess.run(
        ["iptables-legacy", "-t", table, "-n", "-v", "-x", "-L", chain],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    print(done.stdout, end="", flush=True)


def name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error))


def server(kind: int, port: int, host: str = "0.0.0.0") -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.settimeout(3)
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


def tcp(label: str, listener: socket.socket | None, host: str, port: int) -> None:
    """Connect, say something both ways, and tell what was seen."""
    with socket.socket() as client:
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
                client.getpeername(),
                peer[0],
                accepted.getsockname(),
                flush=True,
            )


def udp(label: str, receiver: socket.socket, host: str, port: int, own: str = "") -> None:
    """Send a datagram, and answer it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        if own:
            client.bind((own, 0))
        client.settimeout(1)
        try:
            client.sendto(b"question", (host, port))
            receiver.settimeout(1)
            data, peer = receiver.recvfrom(100)
            receiver.sendto(b"answer", peer)
            print(label, data, peer[0], client.recvfrom(100), flush=True)
        except TimeoutError:
            print(label, "timed out", flush=True)
        except OSError as error:
            print(label, name(error), flush=True)


subprocess.run(["ip", "addr", "add", f"{OTHER}/24", "dev", "lo"], check=True)
web = server(socket.SOCK_STREAM, 4000)
answers = server(socket.SOCK_DGRAM, 4000)

# DROP and counters.
ipt("-A INPUT -p udp --dport 4000 -m mark ! --mark 0x7 -j DROP")
ipt("-A INPUT -p tcp --dport 4001 -j DROP")
udp("dropped", answers, LOCAL, 4000)
tcp("dropped", None, LOCAL, 4001)
tcp("passes", web, LOCAL, 4000)
ipt("-t mangle -A OUTPUT -p udp -j MARK --set-mark 7")
udp("marked", answers, LOCAL, 4000)
clear()
for address in (LOCAL, "127.0.0.2"):
    ipt(f"-A INPUT -s {LOCAL} -d {address} -p udp -j ACCEPT")
udp("counted", answers, LOCAL, 4000)
udp("counted", answers, "127.0.0.2", 4000, LOCAL)
counters("INPUT")
clear()

# What the sender learns.
ipt("-A OUTPUT -p udp --dport 4000 -j DROP")
udp("not sent", answers, LOCAL, 4000)
clear()
for how in (
    "icmp-port-unreachable",
    "icmp-host-prohibited",
    "icmp-net-unreachable",
    "icmp-admin-prohibited",
    "icmp-proto-unreachable",
):
    ipt(f"-A INPUT -p udp --dport 4000 -j REJECT --reject-with {how}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((LOCAL, 4000))
        client.send(b"question")
        client.settimeout(1)
        try:
            print(how, client.recv(10))
        except OSError as error:
            print(how, name(error), flush=True)
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

# Chains.
ipt("-N one")
ipt("-N two")
ipt("-A INPUT -p udp -j one")
ipt("-A INPUT -p udp --dport 4000 -j DROP")
ipt("-A one -p udp -g two")
ipt("-A one -p udp -j ACCEPT")
ipt("-A two -p udp --sport 1:1 -j ACCEPT")
udp("goto returns to the caller's caller", answers, LOCAL, 4000)
ipt("-I two -p udp -m multiport --dports 1,3999:4001 -j ACCEPT")
ipt("-I INPUT -p udp --sport 4000 -j ACCEPT")
udp("accepted", answers, LOCAL, 4000)
counters("one")
counters("two")
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

# Translation.
ipt("-t nat -A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 4000")
ipt("-t nat -A OUTPUT -p udp --dport 53 -j REDIRECT --to-ports 4000")
tcp("redirected", web, LOCAL, 80)
tcp("redirected from elsewhere", web, OTHER, 80)
tcp("redirected from nowhere", web, "10.9.8.99", 80)
udp("redirected", answers, OTHER, 53)
clear()
ipt(f"-t nat -A OUTPUT -d 10.9.8.50 -p tcp -j DNAT --to-destination {OTHER}:4000")
ipt(f"-t nat -A OUTPUT -d 10.9.8.50 -p udp -j DNAT --to-destination {OTHER}:4000")
tcp("elsewhere", web, "10.9.8.50", 1234)
udp("elsewhere", answers, "10.9.8.50", 1234)
clear()
ipt("-t nat -A POSTROUTING -p tcp --dport 4000 -j SNAT --to-source 127.0.0.77")
ipt("-t nat -A POSTROUTING -p udp --dport 4000 -j SNAT --to-source 127.0.0.77:999")
tcp("from elsewhere", web, LOCAL, 4000)
udp("from elsewhere", answers, LOCAL, 4000)
clear()
ipt("-t nat -A POSTROUTING -p udp --dport 4000 -j MASQUERADE --to-ports 700-709")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.sendto(b"a", (LOCAL, 4000))
    print("masqueraded", 700 <= answers.recvfrom(10)[1][1] <= 709)
clear()

# In fragments.
subprocess.run(["ip", "link", "set", "lo", "mtu", "1400"], check=True)
ipt("-t nat -A OUTPUT -d 127.0.0.9 -p udp --dport 53 -j DNAT --to-destination 127.0.0.1:4000")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(1)
    client.sendto(bytes(5000), ("127.0.0.9", 53))
    data, peer = answers.recvfrom(10000)
    answers.sendto(bytes(4000), peer)
    data, peer = client.recvfrom(10000)
    print("fragments", len(data), peer)
clear()

# Errors about translated packets.
ipt("-t nat -A OUTPUT -p udp --dport 53 -j REDIRECT --to-ports 4999")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.connect((OTHER, 53))
    client.send(b"question")
    client.settimeout(1)
    try:
        print("nobody there", client.recv(10))
    except OSError as error:
        print("nobody there", name(error))
clear()
print(sorted(open("/proc/net/ip_tables_names").read().split()))
os._exit(0)
