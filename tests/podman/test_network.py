"""Containers on Podman's bridges, which plugins of CNI make."""

import pytest

from tests.harness.bundle import RUNSC
from tests.harness.outcome import run

SERVER = "while :; do echo hello from $HOSTNAME | nc -l -p 7000; done"
ASK = "for i in 1 2 3 4 5 6 7 8 9; do nc {0} 7000 </dev/null && break; sleep 0.2; done"


def serve(podman, *flags, runtime):
    return podman.detach("--hostname", "server", *flags, "--", "sh", "-c", SERVER, runtime=runtime)


RUNTIMES = [("", "runc"), ("runc", ""), ("", "")]


def named(runtime):
    return runtime or str(RUNSC)


@pytest.mark.parametrize(("server", "client"), RUNTIMES)
def test_containers_of_one_bridge_talk(podman, server, client):
    name = serve(podman, runtime=named(server))
    script = ASK.format(podman.address(name))
    got = podman.run("--", "sh", "-c", script, runtime=named(client))
    assert got == "hello from server\n"


def test_a_network_of_the_users_own(podman):
    podman.ok("network", "create", "--subnet", "10.79.0.0/24", "own")
    try:
        name = serve(podman, "--network", "own", "--ip", "10.79.0.9", runtime=named(""))
        assert podman.address(name) == "10.79.0.9"
        got = podman.run("--network", "own", "--", "sh", "-c", ASK.format("10.79.0.9"))
        assert got == "hello from server\n"
    finally:
        podman.ok("network", "rm", "-f", "-t", "0", "own")


def test_a_published_port_is_reached_from_the_host(podman, world):
    serve(podman, "-p", "7900:7000", runtime=named(""))
    script = ASK.format("10.88.0.1").replace("7000", "7900")
    assert run(world.inside("busybox", "sh", "-c", script)).check().out == "hello from server\n"


def test_interfaces_and_routes_are_those_of_runc(podman):
    script = "ip -4 addr | grep 'eth0$' | cut -d/ -f2-; ip route | sed 's/src.*//; s/ *$//'"
    seen = [podman.run("--", "sh", "-c", script, runtime=named(name)) for name in ("", "runc")]
    assert seen[0] == seen[1]
    assert "default via" in seen[0]


def test_without_a_network_there_is_lo_alone(podman):
    script = "cut -d: -f1 /proc/net/dev | tail -n +3 | xargs"
    assert podman.run("--network", "none", "--", "sh", "-c", script) == "lo\n"


def test_a_container_that_starts_again_has_its_network_again(podman):
    name = serve(podman, runtime=named(""))
    podman.ok("restart", "-t", "0", name)
    script = ASK.format(podman.address(name))
    assert podman.run("--", "sh", "-c", script) == "hello from server\n"
