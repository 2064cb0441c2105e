"""Names on networks of the user's own: Docker's resolver, and servers outside behind it."""

import os
import re
import struct
import subprocess
import time
from pathlib import Path

import pytest

from runsc.sandbox.network import Entered
from tests.docker.conftest import wait_until
from tests.docker.dns_server import TXT, A, DnsServer, record
from tests.harness.netns import namespaces

OUTSIDE = "10.53.0.1"
LONG = [b"%03d" % number * 60 for number in range(60)]
RECORDS = {
    ("outside.test", A): [record(A, bytes((10, 1, 2, 3)))],
    ("long.test", TXT): [record(TXT, bytes((len(text),)) + text) for text in LONG],
}


@pytest.fixture
def network(docker):
    """A network of the user's own."""
    docker.ok("network", "create", "--subnet", "10.78.0.0/24", "names")
    yield "names"
    if docker.names:
        docker("rm", "-f", *docker.names)
        docker.names.clear()
    docker.ok("network", "rm", "names")


@pytest.fixture
def outside(daemon):
    """A DNS server in a namespace behind the one of the daemon."""
    with namespaces(1) as (far,):
        where = ["nsenter", "-t", str(daemon.pid()), "--net"]
        far.ip(f"link add wire type veth peer name far netns {daemon.pid()}")
        far.ip(f"addr add {OUTSIDE}/24 dev wire")
        far.ip("link set wire up")
        far.ip("route add default via 10.53.0.2")
        for command in ("addr add 10.53.0.2/24 dev far", "link set far up"):
            subprocess.run([*where, "ip", *command.split()], check=True, timeout=10)
        with Entered(far.path):
            server = DnsServer(OUTSIDE, RECORDS)
        with server:
            yield server


def detach(docker, runtime, *flags):
    name = docker.name()
    docker.ok("run", "-d", "--runtime", runtime, "--name", name, *flags, "busybox", "sleep", "100")
    return name


def addresses(text):
    """Return the addresses that nslookup of busybox found: the first is the server's."""
    return re.findall(r"^Address: *([0-9.]+)$", text, re.MULTILINE)


def look_up(docker, name, wanted):
    return addresses(docker.ok("exec", name, "nslookup", "-type=a", wanted))


def resolvers():
    """Return the pids of all relays."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text() == "runsc-resolver\n":
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_containers_find_each_other_by_name(docker, network):
    flags = ["--network", network]
    ours, theirs = detach(docker, "runsc-raw", *flags), detach(docker, "runc", *flags)
    third = detach(docker, "runsc-raw", *flags, "--network-alias", "service")
    for asks, asked in ((ours, theirs), (theirs, ours), (ours, third), (third, ours)):
        field = f'(index .NetworkSettings.Networks "{network}").IPAddress'
        assert look_up(docker, asks, asked) == [docker.inspect(asked, field)]
    assert look_up(docker, ours, "service") == look_up(docker, ours, third)
    assert "1 packets received" in docker.ok("exec", ours, "ping", "-c", "1", third)


def test_a_name_that_nobody_knows_is_told_at_once(docker, network, outside):
    name = detach(docker, "runsc-net", "--network", network, "--dns", OUTSIDE)
    done = docker("exec", name, "nslookup", "-type=a", "nowhere.test")
    assert done.status == 1
    assert "NXDOMAIN" in done.out


def test_the_next_server_is_asked_when_one_refuses(docker, network, outside):
    flags = ["--network", network, "--dns", "10.78.0.1"]  # nobody listens at the gateway
    name = detach(docker, "runsc-net", *flags)
    started = time.monotonic()
    done = docker("exec", name, "nslookup", "-type=a", "outside.test")
    assert (done.status, "SERVFAIL" in done.out) == (1, True)
    assert time.monotonic() - started < 4  # what Docker's resolver gives a server
    name = detach(docker, "runsc-net", *flags, "--dns", OUTSIDE)
    assert look_up(docker, name, "outside.test") == ["10.1.2.3"]


def test_names_of_servers_outside_are_found(docker, network, outside):
    name = detach(docker, "runsc-net", "--network", network, "--dns", OUTSIDE)
    assert look_up(docker, name, "outside.test") == ["10.1.2.3"]
    protocol, peer, asked = outside.asked[-1]
    assert (protocol, asked) == ("udp", "outside.test")
    # It is the container that asks, by its own stack.
    assert peer.startswith("10.78.0.")


def test_long_answers_come_by_tcp(docker, network, outside):
    name = detach(docker, "runsc-net", "--network", network, "--dns", OUTSIDE)
    question = b"\4long\4test\0" + struct.pack("!HH", TXT, 1)
    query = b"\x12\x34" + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + question
    message = len(query).to_bytes(2, "big") + query
    octal = "".join(f"\\{byte:03o}" for byte in message)
    script = f"(printf '{octal}'; sleep 2) | nc 127.0.0.11 53 | od -An -v -tx1"
    got = bytes.fromhex(docker.ok("exec", name, "sh", "-c", script))
    assert int.from_bytes(got[:2], "big") == len(got) - 2 > 10_000
    assert got[2:4] == b"\x12\x34"
    assert got.count(LONG[-1]) == 1
    assert ("tcp", "long.test") in [(protocol, asked) for protocol, _, asked in outside.asked]


def test_the_guest_may_use_port_53_itself(docker, network):
    name = detach(docker, "runsc-net", "--network", network)
    script = (
        "(echo mine | nc -l -p 53 &) ; sleep 0.3; nc 127.0.0.1 53 </dev/null; "
        f"nslookup -type=a {name} | tail -2"
    )
    got = docker.ok("exec", name, "sh", "-c", script)
    assert got.startswith("mine\n")
    assert addresses(got)


def test_the_relay_is_confined_and_ends_with_its_container(docker, network, daemon):
    before = set(resolvers())
    name = detach(docker, "runsc-net", "--network", network)
    (relay,) = set(resolvers()) - before
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{relay}/status").read_text().splitlines()
    )
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["NSpid"].split()[0] == str(relay)
    assert status["PPid"] == str(docker.pid(name))
    groups = Path(f"/proc/{relay}/cgroup").read_text()
    assert docker.inspect(name, ".Id") in groups
    kept = {os.readlink(path) for path in Path(f"/proc/{relay}/fd").iterdir()}
    assert all(link == "/dev/null" or link.startswith("socket:") for link in kept)
    docker.ok("restart", "-t", "0", name)
    wait_until(lambda: not Path(f"/proc/{relay}").exists())
    assert look_up(docker, name, name)
    docker.ok("rm", "-f", name)
    docker.names.remove(name)
    wait_until(lambda: set(resolvers()) == before)


def test_on_the_default_bridge_there_is_no_relay(docker):
    before = set(resolvers())
    detach(docker, "runsc-net")
    assert set(resolvers()) == before


def test_a_container_outlives_its_relay(docker, network):
    before = set(resolvers())
    name = detach(docker, "runsc-net", "--network", network)
    (relay,) = set(resolvers()) - before
    os.kill(relay, 9)
    wait_until(lambda: docker("exec", name, "nslookup", "-type=a", name).status != 0)
    assert docker.ok("exec", name, "echo", "alive") == "alive\n"
