"""What the host's stack says on an ipvlan taken from it, where nobody else answers."""

import os
import re
from collections.abc import Iterator

import pytest

from runsc.errors import RunscError
from runsc.sandbox import network, takeover
from tests.harness.netns import Namespace
from tests.harness.stimuli import answers_of
from tests.vm.lan import Lan, lan

L3S = (
    'interface "net1": ipvlan mode l3s is not supported: packets from the master never reach a '
    "packet socket on the slave; use ipvlan l2 or l3, macvlan, veth, or host networking"
)


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


def test_mode_l3s_is_refused() -> None:
    with lan("l3s") as net:
        before = snapshot(net.inner)
        with pytest.raises(RunscError) as raised, network.Entered(net.inner.path) as entered:
            network.take(entered, [], lambda _: None)
        assert str(raised.value) == L3S
        assert snapshot(net.inner) == before


def test_a_slave_without_address_is_refused() -> None:
    with lan("l2") as net:
        net.inner.ip("addr flush dev net1")
        refused = pytest.raises(RunscError, match="ipvlan slave has no address")
        with refused, network.Entered(net.inner.path) as entered:
            network.take(entered, [], lambda _: None)
