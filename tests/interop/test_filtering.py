"""A container between two Linux hosts: it forwards, filters and translates, as Linux does there."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.harness.machine import Machine, SandboxMachine
from tests.harness.netns import Namespace, namespaces
from tests.interop.conftest import KERNELS, machines, wait_for_port

pytestmark = [pytest.mark.root, pytest.mark.guest]

INNER, OUTER = "10.31.0.2", "10.32.0.2"
GATE_INSIDE, GATE_OUTSIDE = "10.31.0.1", "10.32.0.1"
INNER6, OUTER6, GATE_OUTSIDE6 = "fd31::2", "fd32::2", "fd32::1"
SIZE = 4_000_000

# Says who asked, takes a line, and sends SIZE bytes.
SERVER = f"""
import socket, socketserver
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        host = self.client_address[0].removeprefix("::ffff:")
        line = self.request.makefile("rb").readline()
        self.request.sendall(host.encode() + b" " + line + bytes({SIZE}))
class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = daemon_threads = True
Server(("::", 80), Handler).serve_forever()
"""
CLIENT = """
import socket, sys
def ask(host, port):
    try:
        with socket.create_connection((host, port), timeout=4) as sock:
            sock.sendall(b"question\\n")
            got = b""
            while data := sock.recv(1 << 20):
                got += data
            head, _, rest = got.partition(b"\\n")
            return f"{head.decode()} {len(rest)} {rest.count(0)}"
    except OSError as error:
        return type(error).__name__
for word in sys.argv[1:]:
    host, _, port = word.rpartition("/")
    print(word, ask(host, int(port)), flush=True)
"""
RULES = {
    "nft": """nft -f - <<'END'
table inet gate {
    chain pre { type nat hook prerouting priority dstnat
        meta nfproto ipv4 iifname "out0" tcp dport 8080 dnat ip to 10.31.0.2:80
        meta nfproto ipv6 iifname "out0" tcp dport 8080 dnat ip6 to [fd31::2]:80
    }
    chain post { type nat hook postrouting priority srcnat; oifname "out0" masquerade; }
    chain forward { type filter hook forward priority filter; policy drop
        ct state established,related counter accept
        ct status dnat accept
        iifname "in0" tcp dport 81 reject with tcp reset
        iifname "in0" tcp dport 82 drop
        iifname "in0" ct state new counter accept
    }
}
END""",
    "iptables": """set -e
for ipt in iptables-nft ip6tables-nft; do
    to=10.31.0.2:80; [ $ipt = iptables-nft ] || to=[fd31::2]:80
    $ipt -t nat -A PREROUTING -i out0 -p tcp --dport 8080 -j DNAT --to-destination $to
    $ipt -t nat -A POSTROUTING -o out0 -j MASQUERADE
    $ipt -P FORWARD DROP
    $ipt -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    $ipt -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT
    $ipt -A FORWARD -i in0 -p tcp --dport 81 -j REJECT --reject-with tcp-reset
    $ipt -A FORWARD -i in0 -p tcp --dport 82 -j DROP
    $ipt -A FORWARD -i in0 -m conntrack --ctstate NEW -j ACCEPT
done""",
}


class Net:
    """The machine that is tested, and a host on each side of it."""

    def __init__(self, inner: Machine, gate: Machine, outer: Machine) -> None:
        self.inner = inner
        self.gate = gate
        self.outer = outer


def wire(gate: Namespace, host: Namespace, name: str, number: int) -> None:
    """Put a host behind an interface of the gate."""
    gate.ip(f"link add {name} type veth peer name eth0x")
    gate.ip(f"link set eth0x netns {host.name}")
    host.ip("link set eth0x name eth0")
    for end, device, last in ((gate, name, 1), (host, "eth0", 2)):
        end.ip(f"link set {device} up")
        end.ip(f"addr add 10.{number}.0.{last}/24 dev {device}")
        end.ip(f"-6 addr add fd{number}::{last}/64 dev {device} nodad")
    host.ip(f"route add default via 10.{number}.0.1")
    host.ip(f"-6 route add default via fd{number}::1")


@pytest.fixture(params=KERNELS)
def net(request: pytest.FixtureRequest, runtime: Runtime, network_rootfs: Path) -> Iterator[Net]:
    with ExitStack() as stack:
        inner, middle, outer = stack.enter_context(namespaces(3))
        wire(middle, inner, "in0", 31)
        wire(middle, outer, "out0", 32)
        make = stack.enter_context(machines())
        near = make("native", runtime, network_rootfs, inner)
        far = make("native", runtime, network_rootfs, outer)
        gate = make(request.param, runtime, network_rootfs, middle)
        if isinstance(gate, SandboxMachine):
            for names in gate.bundle.config["process"]["capabilities"].values():
                names += ["CAP_NET_ADMIN", "CAP_NET_RAW"]
            gate.bundle.config["linux"]["sysctl"] = {
                "net.ipv4.ip_forward": "1",
                "net.ipv6.conf.all.forwarding": "1",
            }
            gate.bundle.write()
        else:
            middle.sysctl("ipv4/ip_forward", "1")
            middle.sysctl("ipv6/conf/all/forwarding", "1")
        for machine in (near, far):
            (machine.root / "server.py").write_text(SERVER)
            (machine.root / "client.py").write_text(CLIENT)
        for machine in (near, gate, far):
            machine.switch_on()
        for machine, address in ((near, INNER), (far, OUTER)):
            machine.start("python3 /server.py")
            wait_for_port(machine, address, 80, machine)
        yield Net(near, gate, far)


def ask(machine: Machine, *words: str) -> list[str]:
    done = machine.run(f"python3 /client.py {' '.join(words)}").check()
    return [line.split(" ", 1)[1] for line in done.out.splitlines()]


@pytest.mark.parametrize("tool", RULES)
def test_gate_between_two_networks(net: Net, tool: str) -> None:
    # Without rules it is a router.
    assert ask(net.outer, f"{INNER}/80") == [f"{OUTER} question {SIZE} {SIZE}"]
    net.gate.run(RULES[tool]).check()
    # Who goes out has the gate's address.
    assert ask(net.inner, f"{OUTER}/80", f"{OUTER6}/80") == [
        f"{GATE_OUTSIDE} question {SIZE} {SIZE}",
        f"{GATE_OUTSIDE6} question {SIZE} {SIZE}",
    ]
    assert ask(net.inner, f"{OUTER}/81", f"{OUTER}/82", f"{OUTER6}/81") == [
        "ConnectionRefusedError",
        "TimeoutError",
        "ConnectionRefusedError",
    ]
    # Who comes in comes by what is published, as who he is.
    assert ask(net.outer, f"{GATE_OUTSIDE}/8080", f"{GATE_OUTSIDE6}/8080", f"{INNER}/80") == [
        f"{OUTER} question {SIZE} {SIZE}",
        f"{OUTER6} question {SIZE} {SIZE}",
        "TimeoutError",
    ]
    listed = net.gate.run("conntrack -L -p tcp --src-nat 2>/dev/null").check().out
    assert f"src={INNER} dst={OUTER}" in listed
    assert f"src={OUTER} dst={GATE_OUTSIDE}" in listed
    net.gate.run("nft flush ruleset").check()
    assert ask(net.outer, f"{INNER}/80") == [f"{OUTER} question {SIZE} {SIZE}"]
