"""What is collected of a network namespace, and which interfaces are refused."""

import os
import socket
import struct
from collections.abc import Iterator

import pytest

from config.network import NetworkSettings
from runsc.errors import RunscError
from runsc.sandbox import network, rtnetlink
from runsc.sandbox.rtnetlink import Link, Netlink
from tests.harness.netns import Namespace, namespaces


@pytest.fixture
def inner() -> Iterator[Namespace]:
    with namespaces(2) as (inner, outer):
        inner.ip(f"link add eth0 type veth peer name wire0 netns {outer.name}")
        inner.ip(f"link add eth1 type veth peer name wire1 netns {outer.name}")
        for name in ("wire0", "wire1"):
            outer.ip(f"link set {name} up")
        yield inner


def collect(namespace: Namespace, *kept: str) -> network.Collected:
    with namespace.entered():
        netlink = Netlink()
        try:
            return network.collect(netlink, list(kept))
        finally:
            netlink.close()


def names(settings: NetworkSettings) -> list[str]:
    return [interface.name for interface in settings.interfaces]


@pytest.mark.root
def test_interfaces_that_are_down_or_have_no_address_stay_outside(inner: Namespace) -> None:
    inner.ip("link set eth0 up")
    inner.ip("-6 addr flush dev eth0")
    inner.ip("addr add 10.9.1.2/24 dev eth1")
    assert names(collect(inner).settings) == []
    inner.ip("link set eth1 up")
    assert names(collect(inner).settings) == ["eth1"]


@pytest.mark.root
def test_kept_interfaces_are_collected_but_not_taken(inner: Namespace) -> None:
    for number in (0, 1):
        inner.ip(f"link set eth{number} up")
        inner.ip(f"addr add 10.9.{number}.2/24 dev eth{number}")
    found = collect(inner, "eth1", "eth9")
    assert names(found.settings) == ["eth0", "eth1"]
    assert [link.name for link in found.taken] == ["eth0"]


@pytest.mark.root
def test_routes_are_those_that_the_container_can_use(inner: Namespace) -> None:
    inner.ip("link set eth0 up")
    inner.ip("addr add 10.9.0.2/24 dev eth0")
    # eth1 has no address of its own: the container does not get it.
    inner.ip("link set eth1 up")
    inner.ip("-6 addr flush dev eth1")
    inner.ip("route add 10.1.0.0/16 dev eth1")
    inner.ip("route add 10.2.0.0/16 via 10.9.0.1 table 7")
    inner.ip("route add 10.3.0.0/16 via 10.9.0.1 tos 4")
    inner.ip("route add 10.4.0.0/16 nexthop dev eth1 nexthop via 10.9.0.3 dev eth0")
    inner.ip("route add prohibit 10.5.0.0/16")
    index = inner.ip_json("link show eth0")[0]["ifindex"]
    found = {
        (r.prefix, r.prefix_length, r.index, r.gateway, r.kind)
        for r in collect(inner).settings.routes
        if "." in r.prefix
    }
    assert found == {
        ("10.9.0.0", 24, index, "", 1),
        ("10.4.0.0", 16, index, "10.9.0.3", 1),
        ("10.5.0.0", 16, 0, "", 8),
    }


@pytest.mark.root
def test_more_addresses_of_the_loopback_device(inner: Namespace) -> None:
    inner.ip("addr add 10.99.0.1/32 dev lo")
    inner.ip("-6 addr add fd99::1/128 dev lo")
    found = [(a.host, a.prefix_length) for a in collect(inner).settings.loopback]
    assert found == [("10.99.0.1", 32), ("fd99::1", 128)]


@pytest.mark.root
def test_offloads_are_those_of_the_interface(inner: Namespace) -> None:
    for number in (0, 1):
        inner.ip(f"link set eth{number} up")
        inner.ip(f"addr add 10.9.{number}.2/24 dev eth{number}")
    with inner.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        set_gso(query, "eth1", 0)
    assert [i.segments for i in collect(inner).settings.interfaces] == [True, False]


def set_gso(query: socket.socket, name: str, value: int) -> None:
    """Do what `ethtool -K NAME gso off` does: ETHTOOL_SGSO by SIOCETHTOOL."""
    import ctypes
    import fcntl

    data = ctypes.create_string_buffer(struct.pack("=II", 0x24, value), 8)
    request = struct.pack("16sP16x", name.encode(), ctypes.addressof(data))
    fcntl.ioctl(query.fileno(), 0x8946, request)


@pytest.mark.root
def test_a_packet_socket_is_ready_for_use(inner: Namespace) -> None:
    inner.ip("link set eth0 up")
    with inner.entered():
        netlink = Netlink()
        link = next(link for link in netlink.links() if link.name == "eth0")
        netlink.close()
        host_fd = network.open_packet_socket(link)
    assert os.get_blocking(host_fd) is False
    with socket.socket(fileno=host_fd) as made:
        assert made.getsockname()[1] == 3  # ETH_P_ALL
        assert os.get_inheritable(host_fd) is False
        for option in (8, 15, 23):  # PACKET_AUXDATA, _VNET_HDR, _IGNORE_OUTGOING
            assert made.getsockopt(263, option) == 1
        # The kernel counts twice what is asked for (socket(7)).
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 8 << 20
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 8 << 20
        assert inner.ip_json("-d link show eth0")[0]["allmulti"] == 1
    assert inner.ip_json("-d link show eth0")[0]["allmulti"] == 0


class Ipvlan(Netlink):
    """A namespace with one ipvlan."""

    def __init__(self, mode: int, *, has_address: bool) -> None:
        head = bytes(4) + (7).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(4)
        self.link = Link(
            head
            + rtnetlink.attribute(rtnetlink.IFLA_IFNAME, b"ipv0\0")
            + rtnetlink.attribute(rtnetlink.IFLA_ADDRESS, bytes.fromhex("020000000001"))
        )
        self.link.kind = "ipvlan"
        self.link.mode = mode
        self.link.hardware_type = rtnetlink.ARPHRD_ETHER
        if mode != rtnetlink.IPVLAN_L2:
            self.link.flags |= rtnetlink.IFF_NOARP
        self.has_address = has_address

    def links(self) -> list[Link]:
        return [self.link]

    def addresses(self) -> list[rtnetlink.Address]:
        payload = b"\2\x18\0\0\7\0\0\0" + rtnetlink.attribute(rtnetlink.IFA_LOCAL, b"\x0a\x09\0\2")
        return [rtnetlink.Address(payload)] if self.has_address else []

    def dump(self, kind: int, family: int = 0) -> list[bytes]:
        return []


@pytest.mark.parametrize("mode", [rtnetlink.IPVLAN_L2, rtnetlink.IPVLAN_L3])
def test_an_ipvlan(mode: int) -> None:
    [found] = network.collect(Ipvlan(mode, has_address=True), []).settings.interfaces
    is_l3 = mode == rtnetlink.IPVLAN_L3
    assert found.sends_to_itself == is_l3
    assert found.resolves == (not is_l3)
    assert found.autoconf is False
    assert found.address_generation == rtnetlink.IN6_ADDR_GEN_MODE_NONE


def test_an_ipvlan_in_mode_l3s_is_refused() -> None:
    with pytest.raises(RunscError) as raised:
        network.collect(Ipvlan(rtnetlink.IPVLAN_L3S, has_address=True), [])
    assert str(raised.value) == (
        'interface "ipv0": ipvlan mode l3s is not supported: packets from the master never reach '
        "a packet socket on the slave; use ipvlan l2 or l3, macvlan, veth, or host networking"
    )


def test_an_ipvlan_without_an_address_is_refused() -> None:
    with pytest.raises(RunscError) as raised:
        network.collect(Ipvlan(rtnetlink.IPVLAN_L2, has_address=False), [])
    assert str(raised.value) == (
        'interface "ipv0": ipvlan slave has no address; '
        "ipvlan delivers only to configured addresses"
    )


def test_a_namespace_that_is_gone_needs_no_undoing() -> None:
    record = network.takeover.Record()
    record.interfaces.append(network.takeover.TakenInterface(7, "eth0"))
    network.give_back("/var/run/netns/no-such-namespace", record)
