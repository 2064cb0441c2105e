"""A host on a network, and a container's namespace with an ipvlan on that network.

    outer: wire ──veth── parent: node ··ipvlan·· net1: inner
                               bridge: node ──veth── eth0: inner

`outer` is a machine of the network, `node` the namespace of the container's host, `inner` the
container's, with a second interface on a bridge of the node, as the CNI plugins make it.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.netns import Namespace, namespaces

OUTER4, OUTER6 = "10.9.0.1", "fd09::1"
INNER4, INNER6 = "10.9.0.2", "fd09::2"
SIBLING4, SIBLING6 = "10.9.0.3", "fd09::3"
# Whose frames tests/harness/stimuli.py sends.
STRANGER4, STRANGER6, STRANGER_MAC = "10.9.0.5", "fd09::5", "02:00:00:00:00:aa"
NODE4, NODE6 = "10.88.0.1", "fd88::1"
BRIDGED4, BRIDGED6 = "10.88.0.2", "fd88::2"


class Lan:
    """The three namespaces."""

    def __init__(self, made: list[Namespace]) -> None:
        self.inner, self.node, self.outer, self.sibling = made
        self.mac = ""  # of the parent, and thus of each of its slaves

    def make_parent(self) -> None:
        """Connect the node and the outer host."""
        self.node.ip(f"link add parent type veth peer name wire netns {self.outer.name}")
        # The node itself says nothing on this network.
        self.node.ip("link set parent addrgenmode none up")
        self.mac = self.node.ip_json("link show parent")[0]["address"]
        self.outer.ip("link set wire up")
        self.outer.ip(f"addr add {OUTER4}/24 dev wire")
        self.outer.ip(f"-6 addr add {OUTER6}/64 dev wire nodad")

    def add_slave(
        self, namespace: Namespace, mode: str, kind: str = "ipvlan", name: str = "net1"
    ) -> None:
        """Add a slave, `mode` with its flag, without addresses."""
        self.node.ip(f"link add link parent name {name} type {kind} mode {mode}")
        self.node.ip(f"link set {name} netns {namespace.name}")

    def configure(
        self, namespace: Namespace, address4: str, address6: str, name: str = "net1"
    ) -> None:
        """Give a slave its addresses."""
        namespace.ip(f"link set {name} up")
        namespace.ip(f"addr add {address4}/24 brd + dev {name}")
        namespace.ip(f"-6 addr add {address6}/64 dev {name} nodad")

    def know_each_other(self) -> None:
        """In mode l3 nobody asks nor answers who has an address: say it beforehand."""
        wire = self.outer.ip_json("link show wire")[0]["address"]
        for address in (INNER4, SIBLING4, INNER6, SIBLING6):
            self.outer.ip(f"neigh add {address} lladdr {self.mac} dev wire nud permanent")
        known = {OUTER4: wire, OUTER6: wire, STRANGER4: STRANGER_MAC, STRANGER6: STRANGER_MAC}
        for address, mac in known.items():
            self.node.ip(f"neigh add {address} lladdr {mac} dev parent nud permanent")
        # The node routes what its slaves send.
        self.node.ip("route add 10.9.0.0/24 dev parent")
        self.node.ip("-6 route add fd09::/64 dev parent")

    def add_bridge(self) -> None:
        """Add the interface eth0 on a bridge of the node, with the default route."""
        self.node.ip("link add bridge type bridge forward_delay 0")
        self.node.ip(f"link add port type veth peer name eth0 netns {self.inner.name}")
        self.node.ip("link set port master bridge up")
        self.node.ip("link set bridge up")
        self.node.ip(f"addr add {NODE4}/16 dev bridge")
        self.node.ip(f"-6 addr add {NODE6}/64 dev bridge nodad")
        self.inner.ip("link set eth0 up")
        self.inner.ip(f"addr add {BRIDGED4}/16 brd + dev eth0")
        self.inner.ip(f"-6 addr add {BRIDGED6}/64 dev eth0 nodad")
        self.inner.ip(f"route add default via {NODE4}")
        self.inner.ip(f"-6 route add default via {NODE6}")

    def settle(self) -> None:
        """Wait for the end of duplicate address detection."""
        for namespace in (self.inner, self.node, self.outer, self.sibling):
            namespace.settle()


@contextmanager
def lan(mode: str, *, kind: str = "ipvlan", bridge: bool = False) -> Iterator[Lan]:
    """Make it all, with a slave in `inner`, and remove it."""
    with namespaces(4) as made:
        net = Lan(made)
        net.make_parent()
        net.add_slave(net.inner, mode, kind)
        net.configure(net.inner, INNER4, INNER6)
        if mode.startswith("l3"):
            net.know_each_other()
        if bridge:
            net.add_bridge()
        net.settle()
        yield net


def pings(namespace: Namespace, address: str, seconds: int = 3) -> bool:
    """Return whether an echo request from a namespace is answered in time."""
    argv = ["ip", "netns", "exec", namespace.name, "busybox", "ping"]
    argv += ["-c", "1", "-W", str(seconds), address]
    done = subprocess.run(argv, check=False, capture_output=True, timeout=seconds + 30)
    return done.returncode == 0
