"""Addresses enter the routes that the host's kernel enters for them."""

import subprocess

import pytest

from netstack.interface import InterfaceAddress
from netstack.route import BROADCAST, LOCAL
from tests.unit.netstack.harness import CaptureLink, Host, VirtualEnvironment, ip

CASES = (
    ("10.0.0.1/24",),
    ("10.0.0.1/24", "10.0.0.2/24"),
    ("10.0.0.1/24", "10.0.0.2/16"),
    ("10.0.0.1/30", "172.16.3.4/12", "192.168.1.1/31", "192.168.1.9/32"),
    ("10.0.0.1/24", "-10.0.0.1/24"),
    ("10.0.0.1/24", "10.0.1.1/24", "-10.0.0.1/24"),
    ("10.0.0.1/25", "10.0.0.2/25", "-10.0.0.2/25"),
)
KINDS = {LOCAL: "local", BROADCAST: "broadcast"}


def kernel_routes(addresses, promote=False):
    commands = ["ip link set lo up", "ip tuntap add eth0 mode tap", "ip link set eth0 up"]
    commands.append(f"sysctl -qw net.ipv4.conf.all.promote_secondaries={int(promote)}")
    for address in addresses:
        verb = "del" if address.startswith("-") else "add"
        commands.append(f"ip addr {verb} {address.lstrip('-')} dev eth0")
    commands.append("ip -4 route show table all")
    shown = subprocess.run(
        ["unshare", "--net", "sh", "-ec", "\n".join(commands)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    routes = set()
    for line in shown.splitlines():
        words = line.split()
        kind = words.pop(0) if words[0] in KINDS.values() else "unicast"
        routes.add((kind, words[0], words[words.index("dev") + 1], words[words.index("src") + 1]))
    return routes


@pytest.mark.root
@pytest.mark.parametrize("promote", [False, True])
def test_secondaries(promote):
    addresses = ("10.0.0.1/25", "10.0.0.2/25", "10.0.0.3/25", "-10.0.0.1/25")
    assert our_routes(addresses, promote) == kernel_routes(addresses, promote)


def dotted(address):
    return ".".join(str(byte) for byte in address)


def our_routes(addresses, promote=False):
    host = Host(VirtualEnvironment(), CaptureLink())
    host.stack.settings.promote_secondaries = promote
    for text in addresses:
        name, length = text.lstrip("-").split("/")
        if text.startswith("-"):
            (found,) = [a for a in host.interface.addresses if dotted(a.host) == name]
            host.stack.remove_address(host.interface, found)
        else:
            host.stack.add_address(host.interface, InterfaceAddress(ip(name), int(length)))
    routes = set()
    for table in host.stack.networks[4].routing.tables.values():
        for entry in table.entries():
            length = "" if entry.prefix_length == 32 else f"/{entry.prefix_length}"
            kind = KINDS.get(entry.kind, "unicast")
            name = dotted(entry.prefix) + length
            routes.add((kind, name, entry.interface.name, dotted(entry.source)))
    return routes


@pytest.mark.root
@pytest.mark.parametrize("addresses", CASES)
def test_routes(addresses):
    assert our_routes(addresses) == kernel_routes(addresses)
