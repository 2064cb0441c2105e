"""Containers on Docker's bridges: the network stack of ours against the host's, and itself."""

import socket

import pytest

from runsc.sandbox.network import Entered
from tests.docker.conftest import wait_until

SERVER = "while :; do echo hello from $HOSTNAME | nc -l -p 7000; done"
ASK = "for i in 1 2 3 4 5 6 7 8 9; do nc {0} 7000 </dev/null && break; sleep 0.2; done"


def serve(docker, runtime, *flags):
    """Start a server; return its name and its address."""
    name = docker.name()
    words = ["run", "-d", "--runtime", runtime, "--name", name, "--hostname", name, *flags]
    docker.ok(*words, "busybox", "sh", "-c", SERVER)
    field = "range .NetworkSettings.Networks}}{{.IPAddress}}{{end"
    return name, docker.inspect(name, field)


def ask(docker, runtime, address, *flags):
    words = ["run", "--rm", "--runtime", runtime, *flags]
    return docker.ok(*words, "busybox", "sh", "-c", ASK.format(address))


@pytest.mark.parametrize(
    ("server", "client"),
    [
        ("runsc-net", "runc"),
        ("runc", "runsc-net"),
        ("runsc-net", "runsc-net"),
        ("runsc-host", "runc"),
        ("runsc-net", "runsc-host"),
    ],
)
def test_containers_of_one_bridge_talk(docker, server, client):
    name, address = serve(docker, server)
    assert ask(docker, client, address) == f"hello from {name}\n"


def test_a_network_of_the_users_own(docker):
    docker.ok("network", "create", "--subnet", "10.77.0.0/24", "own")
    try:
        flags = ["--network", "own", "--ip", "10.77.0.9"]
        name, address = serve(docker, "runsc-net", *flags)
        assert address == "10.77.0.9"
        assert ask(docker, "runsc-net", address, "--network", "own") == f"hello from {name}\n"
        docker.ok("rm", "-f", name)
    finally:
        docker.ok("network", "rm", "own")


def test_a_container_that_starts_again_has_its_network_again(docker):
    name, address = serve(docker, "runsc-net")
    assert ask(docker, "runc", address) == f"hello from {name}\n"
    docker.ok("restart", "-t", "0", name)
    wait_until(lambda: docker.inspect(name, ".State.Running") == "true")
    address = docker.inspect(name, ".NetworkSettings.IPAddress")
    assert ask(docker, "runc", address) == f"hello from {name}\n"


def test_interfaces_and_routes_are_those_of_runc(docker):
    script = "ip -4 addr | grep 'eth0$' | grep -o 'inet [0-9./]*'; ip route | sed 's/ *$//'"
    seen = [
        docker.ok("run", "--rm", "--runtime", runtime, "busybox", "sh", "-c", script)
        for runtime in ("runsc-net", "runc")
    ]
    assert seen[0] == seen[1]
    assert "default via" in seen[0]


def test_containers_ping_each_other(docker):
    _, address = serve(docker, "runsc-raw")
    words = ["run", "--rm", "--runtime", "runsc-raw", "busybox", "ping", "-c", "2", address]
    assert "2 packets received" in docker.ok(*words)


def test_a_published_port_is_reached_from_the_host(docker, daemon):
    name, _ = serve(docker, "runsc-net", "-p", "127.0.0.1:7900:7000")
    with Entered(f"/proc/{daemon.pid()}/ns/net"):
        peer = socket.create_connection(("127.0.0.1", 7900), timeout=10)
    with peer, peer.makefile("rb") as answer:
        assert answer.read() == f"hello from {name}\n".encode()


def test_without_a_network_there_is_lo(docker):
    script = "ip -4 addr | sed 's/ *$//'; ip route"
    seen = [
        docker.ok("run", "--rm", "--network=none", "--runtime", name, "busybox", "sh", "-c", script)
        for name in ("runsc-net", "runc")
    ]
    assert [line for line in seen[0].splitlines() if "inet" in line] == [
        line for line in seen[1].splitlines() if "inet" in line
    ]
    assert "eth0" not in seen[0]


def test_names_of_a_network_are_resolved_on_the_hosts_stack(docker):
    """Docker's resolver listens in the namespace of the container, at 127.0.0.11."""
    docker.ok("network", "create", "own")
    try:
        name, _ = serve(docker, "runc", "--network", "own")
        assert ask(docker, "runsc-host", name, "--network", "own") == f"hello from {name}\n"
        docker.ok("rm", "-f", name)
    finally:
        docker.ok("network", "rm", "own")


def test_the_hosts_network(docker):
    """`--network host`: two containers share the loopback device, and see the bridge."""
    name = docker.name()
    words = ["run", "-d", "--runtime", "runc", "--name", name, "--network", "host"]
    docker.ok(*words, "busybox", "sh", "-c", SERVER.replace("$HOSTNAME", "the host"))
    answer = ask(docker, "runsc-host", "127.0.0.1", "--network", "host")
    assert answer == "hello from the host\n"
    seen = [
        docker.ok("run", "--rm", "--runtime", runtime, "--network", "host", *words)
        for words in (["busybox", "ip", "addr"], ["busybox", "ip", "route"])
        for runtime in ("runsc-host", "runc")
    ]
    assert "docker0" in seen[0]
    assert (seen[0], seen[2]) == (seen[1], seen[3])
