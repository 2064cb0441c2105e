"""Containers with an ipvlan beside a bridged interface, and the hosts on both networks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.bundle import Bundle, Runtime
from tests.vm.lan import (
    BRIDGED4,
    BRIDGED6,
    INNER4,
    INNER6,
    NODE4,
    NODE6,
    OUTER4,
    OUTER6,
    SIBLING4,
    SIBLING6,
    lan,
    pings,
)
from tests.vm.peers import (
    Capitals,
    Running,
    Sniffer,
    captured,
    host_counters,
    is_tolerated,
    join_network,
    talk,
    without_link,
)

L3S = (
    'interface "net1": ipvlan mode l3s is not supported: packets from the master never reach a '
    "packet socket on the slave; use ipvlan l2 or l3, macvlan, veth, or host networking"
)

Make = Callable[..., Bundle]

# Servers on port 7000, which echoes, and 7001, which ends the container: "ready" when both listen.
SERVE = (
    "nc -ll -p 7000 -e cat & nc -l -p 7001 -e true < /dev/null & last=$!; "
    "until [ $(cat /proc/net/tcp /proc/net/tcp6 | grep -c ':1B5[89] ') = 2 ]; do sleep 0.2; done; "
    "echo ready; wait $last"
)


@pytest.fixture
def make_container(make_bundle: Make, busybox_rootfs: Path) -> Callable[[str, str], Bundle]:
    """Return a function that makes a bundle with a script and the path of its network."""

    def make(script: str, path: str) -> Bundle:
        bundle = make_bundle(busybox_rootfs, ["/bin/sh", "-c", script])
        join_network(bundle.config, path)
        bundle.write()
        return bundle

    return make


def ping(address: str, seconds: int = 20) -> str:
    """Return a command of the shell that says whether an address answers."""
    return f"ping -c 1 -W {seconds} {address} > /dev/null && echo ping {address}; "


def say(address: str, port: int) -> str:
    return f"echo to {address} | nc {address} {port}; "


@pytest.mark.parametrize("mode", ["l2", "l2 private", "l2 vepa", "l3"])
def test_a_container_on_an_ipvlan_and_a_bridge(
    runtime: Runtime, make_container: Make, tmp_path: Path, mode: str
) -> None:
    capture = tmp_path / "box.pcapng"
    with (
        lan(mode, bridge=True) as net,
        Capitals(net.outer) as outer,
        Capitals(net.node) as node,
        Sniffer(net.outer, "wire") as wire,
        Sniffer(net.node, "port") as bridge,
    ):
        before, counters = net.inner.snapshot(), host_counters(net.inner)
        script = "".join(map(ping, (OUTER4, OUTER6, NODE4, NODE6)))
        script += "".join(say(address, outer.port) for address in (OUTER4, OUTER6))
        script += "".join(say(address, node.port) for address in (NODE4, NODE6))
        bundle = make_container(script + SERVE, net.inner.path)
        with Running(runtime, bundle, f"--pcap-log={capture}") as box:
            box.wait_for("ready")
            assert box.lines == [
                *(f"ping {address}" for address in (OUTER4, OUTER6, NODE4, NODE6)),
                *(f"TO {address}".upper() for address in (OUTER4, OUTER6, NODE4, NODE6)),
                "ready",
            ]
            for namespace, addresses in (
                (net.outer, (INNER4, INNER6)),
                (net.node, (BRIDGED4, BRIDGED6)),
            ):
                for address in addresses:
                    assert pings(namespace, address, 20), address
                    assert talk(namespace, address, 7000, b"hello") == b"hello"
            heard = wire.frames() + bridge.frames()
            assert host_counters(net.inner) == counters
            talk(net.outer, INNER4, 7001, b"")
            box.wait()
        assert (outer.peers, node.peers) == ([INNER4, INNER6], [BRIDGED4, BRIDGED6])
        assert net.inner.snapshot() == before
        # Every frame is the container's own, but those that the host may still send.
        own = {without_link(frame) for frame in captured(capture.read_bytes())}
        others = [frame for frame in heard if without_link(frame) not in own]
        assert [frame.hex() for frame in others if not is_tolerated(frame)] == []
        assert sum(without_link(frame) in own for frame in heard) > 30


@pytest.mark.parametrize("mode", ["l2", "l3"])
def test_without_its_addresses_an_ipvlan_gets_nothing(
    runtime: Runtime, make_container: Make, mode: str
) -> None:
    """To take the addresses off, as is right for a veth, is the end of an ipvlan."""
    with lan(mode) as net:
        bundle = make_container(SERVE, net.inner.path)
        with Running(runtime, bundle) as box:
            box.wait_for("ready")
            for address, length in ((INNER4, "24"), (INNER6, "64 nodad")):
                assert pings(net.outer, address, 20)
                net.inner.ip(f"addr del {address}/{length.split()[0]} dev net1")
                assert not pings(net.outer, address)
                net.inner.ip(f"addr add {address}/{length} dev net1")
                assert pings(net.outer, address, 20)
            talk(net.outer, INNER4, 7001, b"")
            box.wait()


@pytest.mark.parametrize("mode", ["l2", "l3"])
def test_two_slaves_of_one_master_and_much_data(
    runtime: Runtime, make_container: Make, tmp_path: Path, mode: str
) -> None:
    """More than one segment goes at once, both ways, and each slave hears what is for it."""
    size = 60_000
    capture = tmp_path / "box.pcapng"
    with lan(mode) as net, Capitals(net.outer) as outer:
        net.add_slave(net.inner, mode, name="net2")
        net.configure(net.inner, SIBLING4, SIBLING6, "net2")
        net.settle()
        before = net.inner.snapshot()
        script = (
            f"yes 0123456789abcdef | head -c {size} > /tmp/in; tr a-f A-F < /tmp/in > /tmp/out; "
        )
        for address in (OUTER4, OUTER6):
            script += f"nc {address} {outer.port} < /tmp/in | cmp - /tmp/out && echo same; "
        bundle = make_container(script + SERVE, net.inner.path)
        with Running(runtime, bundle, f"--pcap-log={capture}") as box:
            box.wait_for("ready")
            assert box.lines == ["same", "same", "ready"]
            text = bytes(range(256)) * (size // 256)
            for address in (INNER4, INNER6):
                assert talk(net.outer, address, 7000, text) == text
            for address in (SIBLING4, SIBLING6):
                assert pings(net.outer, address, 20), address
            talk(net.outer, SIBLING4, 7001, b"")
            box.wait()
        assert max(map(len, captured(capture.read_bytes()))) > 10 * 1500
        assert net.inner.snapshot() == before


@pytest.mark.parametrize("mode", ["l2", "l2 private", "l3"])
def test_a_container_and_its_sibling(runtime: Runtime, make_container: Make, mode: str) -> None:
    """Two slaves of one master, with the same hardware address; the other one is the host's."""
    with lan(mode) as net:
        net.add_slave(net.sibling, mode)
        net.configure(net.sibling, SIBLING4, SIBLING6)
        net.settle()
        reached = not mode.endswith("private")
        with Capitals(net.sibling) as sibling:
            script = "".join(
                ping(address, 20 if reached else 2) for address in (SIBLING4, SIBLING6)
            )
            if reached:
                script += "".join(say(address, sibling.port) for address in (SIBLING4, SIBLING6))
            bundle = make_container(script + SERVE, net.inner.path)
            with Running(runtime, bundle) as box:
                box.wait_for("ready")
                for address in (INNER4, INNER6):
                    assert pings(net.sibling, address, 20 if reached else 2) is reached
                if reached:
                    assert talk(net.sibling, INNER6, 7000, b"hello") == b"hello"
                talk(net.outer, INNER4, 7001, b"")
                box.wait()
        assert box.lines == [
            *(f"ping {address}" for address in (SIBLING4, SIBLING6) if reached),
            *(f"TO {address}".upper() for address in (SIBLING4, SIBLING6) if reached),
            "ready",
        ]


def test_a_host_that_keeps_its_addresses_answers_too(
    runtime: Runtime, make_container: Make
) -> None:
    """With --keep-host-addresses both stacks hear everything: the host's one resets connections."""
    with lan("l2") as net:
        before, counters = net.inner.snapshot(), host_counters(net.inner)
        rules = net.inner.ip("rule"), net.inner.ip("-6 rule"), net.inner.ip("addr")
        bundle = make_container(ping(OUTER4) + ping(OUTER6) + SERVE, net.inner.path)
        with Running(runtime, bundle, "--keep-host-addresses=net1") as box:
            box.wait_for("ready")
            assert box.lines[:2] == [f"ping {OUTER4}", f"ping {OUTER6}"]
            assert (net.inner.ip("rule"), net.inner.ip("-6 rule"), net.inner.ip("addr")) == rules
            with pytest.raises(ConnectionError):
                talk(net.outer, INNER4, 7000, b"hello")
            assert host_counters(net.inner)["Tcp:OutRsts"] > counters["Tcp:OutRsts"]
            runtime("kill", bundle.id, "KILL", timeout=60).check()
            box.wait(137)
        assert net.inner.snapshot() == before


def test_mode_l3s_is_refused(runtime: Runtime, make_container: Make) -> None:
    with lan("l3s", bridge=True) as net:
        before = net.inner.snapshot()
        bundle = make_container("echo started", net.inner.path)
        done = runtime("run", "--bundle", str(bundle.path), bundle.id)
        assert done.status != 0
        assert done.out == ""
        assert L3S in done.err
        assert net.inner.snapshot() == before
