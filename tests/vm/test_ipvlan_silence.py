"""What the host's stack says on an ipvlan taken from it, where nobody else answers."""

import os
import re
import socket
from collections.abc import Iterator

import pytest

from runsc.errors import RunscError
from runsc.sandbox import network, takeover
from tests.harness.netns import Namespace
from tests.harness.ruleless import Ruleless
from tests.harness.stimuli import answers_of
from tests.vm.lan import INNER4, Lan, lan

VNET_HEADER = 10


@pytest.fixture(params=["ipvlan l2", "ipvlan l2 private", "ipvlan l3", "ipvtap l2"])
def net(request: pytest.FixtureRequest) -> Iterator[Lan]:
    kind, _, mode = request.param.partition(" ")
    with lan(mode, kind=kind) as made:
        yield made


class Taken:
    """Interfaces that were taken, with packet sockets that nobody reads."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.host_fds: list[int] = []
        self.records: list[takeover.Record] = []

    def __enter__(self) -> "Taken":
        with network.Entered(self.namespace.path) as entered:
            _, self.host_fds = network.take(entered, [], self.records.append)
        return self

    def __exit__(self, *_: object) -> None:
        for host_fd in self.host_fds:
            os.close(host_fd)
        network.give_back(self.namespace.path, self.records[0])


def snapshot(namespace: Namespace) -> list[str]:
    """Return what is to be restored, without the state of links, which a flap changes."""
    return [re.sub(r" state \w+", "", line) for line in namespace.snapshot()]


def flap(net: Lan) -> None:
    """Have the master's link go, and come again."""
    net.outer.ip("link set wire down")
    net.outer.ip("link set wire up")
    net.settle()


def test_the_host_is_silent(net: Lan) -> None:
    mac = bytes.fromhex(net.mac.replace(":", ""))
    before = snapshot(net.inner)
    # The stimuli are good ones.
    assert answers_of(net.outer, "wire", mac) >= {"icmp4", "rst4", "icmp6", "rst6"}
    with Taken(net.inner):
        assert snapshot(net.inner) != before
        assert answers_of(net.outer, "wire", mac) == set()
        flap(net)
        assert answers_of(net.outer, "wire", mac) == set()
    assert snapshot(net.inner) == before
    assert answers_of(net.outer, "wire", mac) >= {"icmp4", "rst4", "icmp6", "rst6"}


@pytest.mark.parametrize("mode", ["l2", "l3"])
def test_the_host_is_silent_without_its_routes(mode: str) -> None:
    """Where the kernel has no rules: what is for us is delivered all the same."""
    with lan(mode) as net:
        mac = bytes.fromhex(net.mac.replace(":", ""))
        net.inner.sysctl("ipv4/ip_forward", "1")
        net.inner.ip(f"route add default dev net1 src {INNER4}")
        before = snapshot(net.inner)
        with net.inner.entered():
            netlink = Ruleless()
            links = [link for link in netlink.links() if link.name == "net1"]
            record = takeover.make_record(netlink, links)
            takeover.silence(netlink, record)
            wire = socket.socket(fileno=network.open_packet_socket(links[0]))
        with wire:
            assert answers_of(net.outer, "wire", mac) == set()
            heard = drain(wire)
        assert {b"\x08\x00", b"\x86\xdd"} <= {frame[12:14] for frame in heard}
        assert any(frame[23] == socket.IPPROTO_TCP for frame in heard if frame[12] == 8)
        assert any(frame[20] == socket.IPPROTO_TCP for frame in heard if frame[12] == 0x86)
        with net.inner.entered():
            takeover.undo(netlink, record)
            netlink.close()
        assert snapshot(net.inner) == before
        assert answers_of(net.outer, "wire", mac) >= {"icmp4", "rst4", "icmp6", "rst6"}


def drain(wire: socket.socket) -> list[bytes]:
    """Return the frames that a packet socket has, without their struct virtio_net_hdr."""
    found = []
    while True:
        try:
            found.append(wire.recv(65536)[VNET_HEADER:])
        except BlockingIOError:
            return found


def test_a_slave_without_address_is_refused() -> None:
    with lan("l2") as net:
        net.inner.ip("addr flush dev net1")
        refused = pytest.raises(RunscError, match="ipvlan slave has no address")
        with refused, network.Entered(net.inner.path) as entered:
            network.take(entered, [], lambda _: None)
