"""Clients and servers of Debian between a container and Linux: the same output as between Linuxes.

Three machines: the one that is tested, its peer, and one behind the peer, which routes, over a
link with a smaller MTU.  The same servers run on all (services.py).  Every script runs on the
tested machine against the others, and on the others against it; and the same with a machine on
Linux in its place, whose output is what is expected.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.harness.lossy import (
    LEFT4,
    LEFT6,
    RIGHT4,
    RIGHT6,
    LossyLink,
    can_compile,
    link,
    lossy_link,
)
from tests.harness.machine import Machine, SandboxMachine
from tests.harness.netns import Namespace, namespaces
from tests.harness.outcome import Outcome
from tests.interop import services
from tests.interop.conftest import KERNELS, machines, wait_for_port

pytestmark = [pytest.mark.root, pytest.mark.guest]

FAR4, FAR6 = "10.10.0.2", "fd10::2"
FAR_MTU = 1300


def connect_far(near: Namespace, right: Namespace, far: Namespace) -> None:
    """Put a third machine behind the peer."""
    near.ip("link add far type veth peer name eth0x")
    near.ip(f"link set eth0x netns {far.name}")
    far.ip("link set eth0x name eth0")
    for end, name, number in ((near, "far", 1), (far, "eth0", 2)):
        end.ip(f"link set {name} mtu {FAR_MTU} up")
        end.ip(f"addr add 10.10.0.{number}/24 dev {name}")
        end.ip(f"-6 addr add fd10::{number}/64 dev {name} nodad")
    for end, gateway4, gateway6 in ((far, "10.10.0.1", "fd10::1"), (right, LEFT4, LEFT6)):
        end.ip(f"route add default via {gateway4}")
        end.ip(f"-6 route add default via {gateway6}")
    near.sysctl("ipv4/ip_forward", "1")
    near.sysctl("ipv6/conf/all/forwarding", "1")
    # Every answer at once: traceroute asks many times.
    for end in (near, right, far):
        end.sysctl("ipv4/icmp_ratelimit", "0")
        end.sysctl("ipv6/icmp/ratelimit", "0")


class Trio:
    """The machines of one kernel."""

    def __init__(self, peer: Machine, box: Machine, far: Machine) -> None:
        self.peer = peer
        self.box = box
        self.far = far

    def ways(self) -> dict[str, tuple[Machine, str, str]]:
        """Return who runs a script, and against what addresses."""
        return {
            "to the peer": (self.box, LEFT4, LEFT6),
            "from the peer": (self.peer, RIGHT4, RIGHT6),
            "to afar": (self.box, FAR4, FAR6),
            "from afar": (self.far, RIGHT4, RIGHT6),
            "to itself": (self.box, "127.0.0.1", "::1"),
        }

    def run(self, script: str, way: str) -> Outcome:
        machine, ip4, ip6 = self.ways()[way]
        variables = f"A={ip4} A6={ip6} URL6='[{ip6}]' PORT={8001 + list(self.ways()).index(way)}"
        return machine.run(f"{variables}\ncd $(mktemp -d)\n{script}", timeout=100)


def make_trio(
    stack: ExitStack, runtime: Runtime, tree: Path, kernel: str, bad: LossyLink | None = None
) -> Trio:
    left, right = (bad.left, bad.right) if bad else stack.enter_context(link())
    (behind,) = stack.enter_context(namespaces(1))
    connect_far(left, right, behind)
    make = stack.enter_context(machines())
    peer = make("native", runtime, tree, left)
    far = make("native", runtime, tree, behind)
    box = make(kernel, runtime, tree, right)
    peer.switch_on()
    peer.run("ssh-keygen -q -t ed25519 -N '' -f /root/key").check()
    key = [(peer.root / "root" / name).read_bytes() for name in ("key", "key.pub")]
    for machine in (peer, box, far):
        services.write(machine, *key)
    if isinstance(box, SandboxMachine):
        # As in the namespaces of the others; it holds for ICMPv6 as well.
        box.bundle.config["linux"]["sysctl"] = {"net.ipv4.icmp_ratelimit": "0"}
        box.bundle.write()
    box.switch_on()
    far.switch_on()
    for machine in (peer, box, far):
        machine.start(services.START)
    for machine, address in ((box, RIGHT4), (peer, LEFT4), (far, FAR4)):
        for port in services.PORTS.values():
            wait_for_port(peer, address, port, machine)
    return Trio(peer, box, far)


@pytest.fixture(scope="module")
def trios(runtime: Runtime, network_rootfs: Path) -> Iterator[dict[str, Trio]]:
    with ExitStack() as stack:
        yield {k: make_trio(stack, runtime, network_rootfs, k) for k in KERNELS}


@pytest.fixture(scope="module")
def bad_trios(runtime: Runtime, network_rootfs: Path) -> Iterator[dict[str, Trio]]:
    """Return machines with a bad link between the tested one and the others."""
    with ExitStack() as stack:
        links = {k: stack.enter_context(lossy_link(1)) for k in KERNELS}
        made = {k: make_trio(stack, runtime, network_rootfs, k, links[k]) for k in KERNELS}
        for bad in links.values():
            bad.set(loss=0.02, delay=10, reorder=0.05, hold=5, duplicate=0.01)
        yield made


# What the time or chance decides is taken out of the output by the script.
NO_TIMES = "sed -E 's/time[= ][0-9.]+ ?ms//; /^rtt/d; s/ +[0-9.]+ ms//g'"
IPERF = (
    "import json, sys; d = json.load(sys.stdin); e = d['end']; "
    "sent = e.get('sum_sent', e.get('sum', {})); got = e.get('sum_received', sent); "
    "print(d.get('error'), sent['bytes'] >= got['bytes'] > 0)"
)

SCRIPTS = {
    "curl": """
        for host in $A "$URL6"; do
            curl -sS http://$host/page | sha256sum
            curl -sS -I http://$host/small | grep -v -e Date -e Last -e ETag
            curl -sS -w '%{http_code} %{num_connects}\\n' http://$host/small http://$host/none \\
                http://$host/small | grep -v title
            curl -sS -r 1000-1007,900000-900007 http://$host/page | grep -c 0000
            curl -sS http://$host:81/ 2>&1 | grep -o 'Failed to connect'
            for i in 1 2 3 4; do curl -sS http://$host/page | sha256sum & done; wait
        done
        """,
    "redis": """
        for host in $A $A6; do
            redis-cli -h $host set key$PORT "value for $host"
            redis-cli -h $host get key$PORT
            yes "incr counter$PORT" | head -n 500 | redis-cli -h $host | tail -n 1
            redis-cli -h $host del counter$PORT
            yes "rpush list$PORT 0123456789012345678901234567890123456789" | head -n 2000 |
                redis-cli -h $host --pipe | tail -n 1
            redis-cli -h $host lrange list$PORT 0 -1 | sha256sum
            redis-cli -h $host del list$PORT
            redis-benchmark -h $host -n 300 -c 20 -q -t set,lpush 2>&1 | grep -c 'per second'
            timeout 1 redis-cli -h $host subscribe $PORT > news & sleep 0.4
            redis-cli -h $host publish $PORT hello
            wait
            cat news
        done
        """,
    "dns": """
        for host in $A $A6; do
            dig @$host host.test A +short
            dig @$host host.test AAAA +short +tcp
            dig @$host long.test TXT +noall +comments +answer | grep -v ' id: '
            dig @$host none.test A +noall +comments | grep -o 'status: [A-Z]*'
            dig @$host -p 54 host.test +tries=1 +time=1 +short 2>&1 | grep -o refused
            nslookup -type=mx test $host
            nslookup host.test $host
        done
        """,
    "ssh": """
        ssh $A 'cat; echo in the end >&2; exit 7' < /srv/www/small; echo $?
        ssh $A6 'cat; cat /srv/www/page' < /srv/www/page | sha256sum
        ssh -tt $A6 'test -t 0 && stty size && echo $TERM' 2>&1
        scp -q $A:/srv/www/page copy && sha256sum < copy
        ssh -fN -o ExitOnForwardFailure=yes -L $PORT:localhost:80 -S $PWD/master -M $A
        curl -sS http://localhost:$PORT/small
        ssh -S $PWD/master -O exit $A 2>&1
        """,
    "socat": """
        for host in TCP4:$A TCP6:$URL6; do
            head -c 800000 /srv/www/page | socat -t 20 - $host:1000 | sha256sum
            head -c 800000 /srv/www/page | socat -t 20 - $host:1001
            echo x | socat -t 1 - $host:999 2>&1 | grep -o 'Connection refused'
        done
        for host in UDP4:$A UDP6:$URL6; do
            echo datagram | socat -t 1.5 - $host:1002 > small-$host &
            head -c 6000 /srv/www/page | socat -b 6000 -t 1.5 - $host:1002 > large-$host &
        done
        wait
        cat small-*
        sha256sum large-* | cut -c-64
        """,
    # The first one learns the path's MTU, if nobody has yet.
    "ping": f"""
        for host in $A $A6; do
            ping -n -c 1 -s 9000 $host > /dev/null || true
            ping -n -c 3 -i 0.2 $host | {NO_TIMES}
            ping -n -c 2 -i 0.2 -s 9000 $host | {NO_TIMES}
            ping -n -c 2 -i 0.2 -s 1000 -p a55a -Q 0x20 $host | {NO_TIMES}
        done
        """,
    "traceroute": f"""
        for host in $A $A6; do
            traceroute -n -w 3,1000,1000 -q 2 $host | {NO_TIMES}
            traceroute -n -w 3,1000,1000 -q 2 -I $host | {NO_TIMES}
            traceroute -n -w 3,1000,1000 -q 2 -T -p 80 $host | {NO_TIMES}
            traceroute -n -w 3,1000,1000 -q 2 -U -p 9 $host | {NO_TIMES}
        done
        """,
    "iperf3": f"""
        check() {{ iperf3 -J "$@" > iperf; python3 -c "{IPERF}" < iperf; }}
        for host in $A $A6; do
            check -c $host -n 20M
            check -c $host -n 20M -R -C reno
            check -c $host -n 5M -P 4 -M 500
            check -c $host -n 500K -u -b 20M
            check -c $host -n 500K -u -b 20M -l 5000 -R
        done
        """,
}
# To where a script goes, if not everywhere.
SOME_WAYS = {
    "iperf3": ["to the peer", "from the peer"],
    "redis": ["to the peer", "from the peer", "to itself"],
    # How large datagrams to afar fare depends on what is known of the path at the time.
    "socat": ["to the peer", "from the peer", "to itself"],
    "ssh": ["to the peer", "from the peer", "to itself"],
}


# The same programs over a bad link; nothing here depends on a datagram that nobody sends again.
BAD_SCRIPTS = {
    "curl": """
        for host in $A "$URL6"; do
            curl -sS http://$host/small http://$host/none | grep -v title
            curl -sS -r 0-199999 http://$host/page | sha256sum
        done
        """,
    "redis": """
        redis-cli -h $A6 set key$PORT value
        yes "incr counter$PORT" | head -n 20 | redis-cli -h $A | tail -n 1
        yes "rpush list$PORT 01234567890123456789" | head -n 2000 | redis-cli -h $A --pipe |
            tail -n 1
        redis-cli -h $A6 lrange list$PORT 0 -1 | sha256sum
        redis-cli -h $A del list$PORT counter$PORT
        """,
    "dns": """
        dig @$A host.test A +short +tries=9 +timeout=1
        # By TCP: dig tells of each connection that it gives up, and a SYN is lost now and then.
        dig @$A6 long.test TXT +tcp +noall +answer +timeout=20
        """,
    "ssh": """
        head -c 200000 /srv/www/page | ssh $A6 cat | sha256sum
        ssh $A exit 7; echo $?
        """,
    "socat": "head -c 200000 /srv/www/page | socat -t 30 - TCP6:$URL6:1000 | sha256sum",
    "ping": "ping -n -c 60 -i 0.05 $A | sed -nE 's/.*, (4[5-9]|5.|60) received.*/most came back/p'",
    "iperf3": SCRIPTS["iperf3"].split("for host", maxsplit=1)[0]
    + "check -c $A -n 500K; check -c $A6 -n 500K -R",
}


def run_all(
    trios: dict[str, Trio], scripts: dict[str, str], ways: list[str]
) -> dict[tuple[str, str, str], Outcome]:
    """Run scripts everywhere at once; return what they did by kernel, name and way."""
    with ThreadPoolExecutor(len(trios) * len(scripts) * len(ways)) as pool:
        runs = {
            (kernel, name, way): pool.submit(trio.run, script, way)
            for way in ways
            for name, script in scripts.items()
            for kernel, trio in trios.items()
        }
        return {key: run.result() for key, run in runs.items()}


def compare(found: dict[tuple[str, str, str], Outcome]) -> None:
    """Expect that all went with the sandbox as it did natively."""
    for (kernel, name, way), native in found.items():
        if kernel != "native":
            continue
        ours = found["sandbox", name, way]
        assert len(native.out) > 10, f"{name}, {way}: {native.describe()}"
        both = f"natively:\n{native.describe()}\nwith the sandbox:\n{ours.describe()}"
        same = (ours.status, ours.out, ours.err) == (native.status, native.out, native.err)
        assert same, f"{name}, {way}; {both}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_programs(trios: dict[str, Trio], name: str) -> None:
    ways = SOME_WAYS.get(name, list(trios["native"].ways()))
    compare(run_all(trios, {name: SCRIPTS[name]}, ways))


@pytest.mark.skipif(not can_compile(), reason="no compiler")
def test_programs_over_a_bad_link(bad_trios: dict[str, Trio]) -> None:
    compare(run_all(bad_trios, BAD_SCRIPTS, ["to the peer", "from the peer"]))
