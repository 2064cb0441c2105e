"""`debug --net`: what a running sandbox says of its network."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.bundle import Bundle, Runtime, default_config
from tests.harness.netns import namespaces

pytestmark = [pytest.mark.guest, pytest.mark.root]

# A listener, a connection to it, and a datagram to nobody.
PROGRAM = """
import socket, time
server = socket.create_server(("127.0.0.1", 4000))
client = socket.create_connection(server.getsockname())
peer = server.accept()[0]
bound = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
bound.bind(("::1", 4001))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(3):
    sender.sendto(b"x", ("127.0.0.1", 9))
print("ready", flush=True)
time.sleep(100)
"""


@contextmanager
def running(
    runtime: Runtime, rootfs: Path, flags: list[str], path: str = "", key: str = ""
) -> Iterator[list[str]]:
    """Run PROGRAM; yield the lines of the report.  `path`: of the network namespace."""
    with_flags = Runtime(runtime.state, [*runtime.command, *flags])
    config = default_config(["python3", "-c", PROGRAM])
    for namespace in config["linux"]["namespaces"]:
        if namespace["type"] == "network" and path:
            namespace["path"] = path
    if key:
        config["annotations"] = {f"dev.gvisor.flag.{key}": "tbf"}
    with Bundle(with_flags, rootfs, config) as bundle:
        argv = [*with_flags.command, "run", "--bundle", str(bundle.path), bundle.id]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env={}, cwd="/") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield with_flags("debug", "--net", bundle.id).check().out.splitlines()
            with_flags("kill", bundle.id, "KILL")
            process.wait(timeout=20)


def found(lines: list[str], *words: str) -> list[str]:
    """Return the lines that have all of the words."""
    return [line for line in lines if all(word in line for word in words)]


def test_a_network_of_its_own(runtime: Runtime, debian_rootfs: Path) -> None:
    with namespaces(1) as (space,):
        space.ip("link add eth0 type veth peer name other")
        space.ip("link set other up")
        space.ip("link set eth0 up")
        space.ip("addr add 192.0.2.1/24 dev eth0")
        space.ip("route add default via 192.0.2.9")
        space.ip("neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev eth0 nud permanent")
        flags = ["--network=sandbox", "--qdisc=tbf"]
        flags += ["--qdisc-tbf-rate=1000000", "--qdisc-tbf-burst=131072"]
        with running(runtime, debian_rootfs, flags, space.path) as lines:
            text = "\n".join(lines)
            assert [line for line in lines if not line.startswith(" ")] == [
                "interfaces:",
                "routes:",
                "neighbours:",
                "sockets:",
                "dropped:",
                "counters:",
            ]
            assert found(lines, ": lo <UP,LOOPBACK"), text
            assert found(lines, ": eth0 <", "UP,BROADCAST", "mtu 1500", "address "), text
            assert found(lines, "192.0.2.1/24"), text
            assert found(lines, "queue: tbf, 1000000 bytes/s, burst 131072 bytes, "), text
            assert found(lines, "0.0.0.0/0 via 192.0.2.9 dev eth0"), text
            assert found(lines, "192.0.2.7 dev eth0 at 02:00:00:00:00:07 permanent"), text
            assert found(lines, "tcp listening 127.0.0.1:4000 *:0"), text
            assert len(found(lines, "tcp established 127.0.0.1:", ":4000")) == 2, text
            assert found(lines, "udp closed [::1]:4001"), text
            assert found(lines, "3 Udp.NoPorts: UDP to a port where nobody listens"), text
            assert found(lines, "  Udp.NoPorts 3"), text
            assert not found(lines, "only ceilings"), text


def test_ceilings_without_a_limit(runtime: Runtime, debian_rootfs: Path, tmp_path: Path) -> None:
    """--qdisc-tbf-rate without --qdisc=tbf limits nothing by itself, which is told."""
    ceilings = ["--qdisc-tbf-rate=5000000", "--qdisc-tbf-burst=131072"]
    flags = ["--network=sandbox", "--debug", f"--debug-log={tmp_path}/", *ceilings]
    note = "are only ceilings for annotations"
    with namespaces(1) as (space,):
        space.ip("link add eth0 type veth peer name other")
        space.ip("link set eth0 up")
        space.ip("addr add 192.0.2.1/24 dev eth0")
        with running(runtime, debian_rootfs, flags, space.path) as lines:
            assert note in lines[0]
            assert "5000000" in lines[0]
            assert found(lines, "queue: pfifo")
        logs = "".join(path.read_text() for path in tmp_path.iterdir())
        assert logs.count(note) == 1
        with running(runtime, debian_rootfs, flags, space.path, "qdisc") as lines:
            assert not found(lines, note)
            assert found(lines, "queue: tbf, 5000000 bytes/s")


def test_no_network_and_the_hosts(runtime: Runtime, debian_rootfs: Path) -> None:
    with running(runtime, debian_rootfs, ["--network=none"]) as lines:
        assert found(lines, ": lo <UP,LOOPBACK")
        assert not found(lines, ": eth0")
    with running(runtime, debian_rootfs, ["--network=host"]) as lines:
        assert "the host's own" in lines[0]
        assert found(lines, "tcp 127.0.0.1:4000 * inode ")
        assert found(lines, "datagram [::1]:4001")


def test_what_is_not_running(runtime: Runtime) -> None:
    assert "does not exist" in runtime("debug", "--net", "nobody").err
    assert "--net" in runtime("debug", "nobody").err
