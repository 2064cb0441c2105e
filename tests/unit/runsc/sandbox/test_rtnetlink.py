"""The rtnetlink client: against pyroute2 and `ip -j`, and against noise."""

import contextlib
import socket
import warnings
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runsc.sandbox import rtnetlink
from runsc.sandbox.rtnetlink import AF_INET, AF_INET6, Netlink, NetlinkFormatError
from tests.harness.netns import Namespace, namespaces


@pytest.fixture
def pair() -> Iterator[list[Namespace]]:
    """Two namespaces with a veth between: e0 and e1."""
    with namespaces(2) as made:
        inner, outer = made
        inner.ip(f"link add e0 type veth peer name e1 netns {outer.name}")
        inner.ip("link set e0 mtu 1400 up")
        outer.ip("link set e1 up")
        yield made


@contextlib.contextmanager
def netlink_of(namespace: Namespace) -> Iterator[Netlink]:
    with namespace.entered():
        netlink = Netlink()
        try:
            yield netlink
        finally:
            netlink.close()


def text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


@pytest.mark.root
def test_links_are_those_of_ip(pair: list[Namespace]) -> None:
    inner = pair[0]
    inner.ip("link add br0 type bridge")
    inner.ip("link add mv0 link e0 type macvlan mode private")
    with netlink_of(inner) as netlink:
        links = {link.name: link for link in netlink.links()}
    expected = inner.ip_json("-d link")
    assert set(links) == {entry["ifname"] for entry in expected}
    for entry in expected:
        link = links[entry["ifname"]]
        assert link.index == entry["ifindex"]
        assert link.mtu == entry["mtu"]
        assert link.mac.hex(":") == entry["address"]
        assert bool(link.flags & rtnetlink.IFF_UP) == ("UP" in entry["flags"])
        assert link.kind == entry.get("linkinfo", {}).get("info_kind", "")
        assert link.gso_max_size == entry["gso_max_size"]
    assert links["mv0"].mode == 1  # MACVLAN_MODE_PRIVATE
    assert not links["mv0"].is_ipvlan


@pytest.mark.root
def test_a_link_without_ipv6(pair: list[Namespace]) -> None:
    inner = pair[0]
    inner.sysctl("ipv6/conf/e0/disable_ipv6", "1")
    inner.sysctl("ipv4/conf/e0/arp_ignore", "2")
    inner.sysctl("ipv6/conf/e0/accept_ra", "2")
    with netlink_of(inner) as netlink:
        link = next(link for link in netlink.links() if link.name == "e0")
    assert not link.has_ipv6
    assert link.arp_ignore == 2
    assert link.accept_ra == 2


@pytest.mark.root
def test_addresses_are_those_of_ip(pair: list[Namespace]) -> None:
    inner = pair[0]
    inner.ip("addr add 10.9.0.2/24 brd + dev e0 label e0:one")
    inner.ip("addr add 10.9.0.3/24 dev e0")  # secondary
    inner.ip("addr add 10.8.0.1 peer 10.8.0.2/32 dev e0")
    inner.ip("-6 addr add fd09::2/64 dev e0 nodad valid_lft 1000 preferred_lft 500")
    inner.settle()
    with netlink_of(inner) as netlink:
        addresses = netlink.addresses()
    expected = [
        (entry["ifname"], info) for entry in inner.ip_json("addr") for info in entry["addr_info"]
    ]
    found = {(a.prefix_length, text(a.host)): a for a in addresses}
    assert len(found) == len(expected) == len(addresses)
    for _, info in expected:
        address = found[info["prefixlen"], info["local"]]
        assert address.broadcast == (
            socket.inet_aton(info["broadcast"]) if "broadcast" in info else b""
        )
        assert (text(address.peer) if address.peer else None) == info.get("address")
        assert bool(address.flags & rtnetlink.IFA_F_SECONDARY) == info.get("secondary", False)
        # ip rounds nothing, but time passes between the two.
        assert abs(address.valid_s - info["valid_life_time"]) <= 2
        assert abs(address.preferred_s - info["preferred_life_time"]) <= 2


def make_routes(inner: Namespace) -> None:
    inner.ip("addr add 10.9.0.2/24 dev e0")
    inner.ip("-6 addr add fd09::2/64 dev e0 nodad")
    inner.ip("route add default via 10.9.0.1 metric 50 mtu 1300")
    inner.ip("route add default dev e0 scope link metric 60")
    inner.ip("route add 10.1.0.0/16 via 10.9.0.9 src 10.9.0.2 table 77")
    inner.ip("route add blackhole 10.2.0.0/16")
    inner.ip("route add 10.3.0.0/16 nexthop via 10.9.0.7 weight 1 nexthop via 10.9.0.8 weight 2")
    inner.ip("-6 route add default via fd09::1 metric 70")
    inner.ip("-6 route add unreachable fd10::/16")


@pytest.mark.root
@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_routes_are_those_of_pyroute2(pair: list[Namespace], family: int) -> None:
    inner = pair[0]
    make_routes(inner)
    with netlink_of(inner) as netlink:
        found = sorted(
            (r.table, text(r.prefix), r.prefix_length, r.metric, r.kind, r.scope, r.protocol,
             r.index if not r.hops else 0, text(r.gateway) if r.gateway and not r.hops else None,
             r.mtu, len(r.hops))
            for r in netlink.routes(family)
        )  # fmt: skip
    assert found == sorted(pyroute2_routes(inner, family))
    if family == AF_INET:
        assert [row[-1] for row in found].count(2) == 1


def pyroute2_routes(namespace: Namespace, family: int) -> list[tuple[object, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyroute2 import IPRoute
    rows = []
    any_address = "0.0.0.0" if family == AF_INET else "::"
    with namespace.entered(), IPRoute() as oracle:
        for route in oracle.get_routes(family=family):
            metrics = route.get_attr("RTA_METRICS")
            rows.append(
                (
                    route.get_attr("RTA_TABLE"),
                    route.get_attr("RTA_DST") or any_address,
                    route["dst_len"],
                    route.get_attr("RTA_PRIORITY") or 0,
                    route["type"],
                    route["scope"],
                    route["proto"],
                    route.get_attr("RTA_OIF") or 0,
                    route.get_attr("RTA_GATEWAY"),
                    (metrics.get_attr("RTAX_MTU") if metrics else None) or 0,
                    len(route.get_attr("RTA_MULTIPATH") or []),
                )
            )
    return rows


@pytest.mark.root
def test_rules_and_neighbours(pair: list[Namespace]) -> None:
    inner = pair[0]
    inner.ip("rule add priority 5 iif e0 blackhole")
    inner.ip("neigh add 10.9.0.7 lladdr 02:00:00:00:00:07 dev e0 nud permanent")
    with netlink_of(inner) as netlink:
        rules = [(r.priority, r.table, r.action, r.interface) for r in netlink.rules(AF_INET)]
        neighbours = [n for n in netlink.neighbours() if n.family == AF_INET]
    assert rules == [
        (0, 255, 1, ""),
        (5, 0, rtnetlink.FR_ACT_BLACKHOLE, "e0"),
        (32766, 254, 1, ""),
        (32767, 253, 1, ""),
    ]
    assert [(text(n.address), n.mac.hex(), n.state) for n in neighbours] == [
        ("10.9.0.7", "020000000007", rtnetlink.NUD_PERMANENT)
    ]


@pytest.mark.root
def test_a_refusal_names_the_request(pair: list[Namespace]) -> None:
    payload = rtnetlink.rule_request(AF_INET, 7, interface="e0")
    with netlink_of(pair[0]) as netlink, pytest.raises(FileNotFoundError) as raised:
        netlink.request(rtnetlink.RTM_DELRULE, payload)
    assert raised.value.filename == "RTM_DELRULE"


@pytest.mark.root
def test_the_settings_that_links_take(pair: list[Namespace]) -> None:
    with netlink_of(pair[0]) as netlink:
        index = next(link.index for link in netlink.links() if link.name == "e0")
        requests = (
            rtnetlink.arp_ignore_request(index, 8),
            rtnetlink.address_generation_request(index, rtnetlink.IN6_ADDR_GEN_MODE_NONE),
        )
        for request in requests:
            netlink.request(rtnetlink.RTM_SETLINK, request)
        link = next(link for link in netlink.links() if link.name == "e0")
    assert link.arp_ignore == 8
    assert link.address_generation == rtnetlink.IN6_ADDR_GEN_MODE_NONE
    assert pair[0].ip_json("-d link show e0")[0]["inet6_addr_gen_mode"] == "none"


def ipvlan_link(mode: int, flags: int) -> bytes:
    """Return an RTM_NEWLINK of an ipvlan, as linux/if_link.h lays it out."""
    data = rtnetlink.attribute(1, mode.to_bytes(2, "little"))
    data += rtnetlink.attribute(2, flags.to_bytes(2, "little"))
    info = rtnetlink.attribute(rtnetlink.IFLA_INFO_KIND, b"ipvlan\0")
    info += rtnetlink.attribute(rtnetlink.IFLA_INFO_DATA, data)
    head = bytes.fromhex("0000 0100 05000000 41000000 00000000".replace(" ", ""))
    return (
        head
        + rtnetlink.attribute(rtnetlink.IFLA_IFNAME, b"ipv0\0")
        + rtnetlink.attribute(rtnetlink.IFLA_ADDRESS, b"\2\0\0\0\0\1")
        + rtnetlink.attribute(rtnetlink.IFLA_LINKINFO, info)
    )


@pytest.mark.parametrize(("mode", "flags"), [(0, 0), (1, 1), (2, 2)])
def test_the_mode_of_an_ipvlan(mode: int, flags: int) -> None:
    link = rtnetlink.Link(ipvlan_link(mode, flags))
    assert (link.kind, link.index, link.name) == ("ipvlan", 5, "ipv0")
    assert (link.is_ipvlan, link.mode, link.mode_flags) == (True, mode, flags)
    assert not link.has_ipv6


PARSERS: list[Callable[[bytes], object]] = [
    rtnetlink.parse_messages,
    rtnetlink.parse_attributes,
    rtnetlink.Link,
    rtnetlink.Address,
    rtnetlink.Route,
    rtnetlink.Neighbour,
    rtnetlink.Rule,
]
SEEDS = [
    ipvlan_link(0, 0),
    rtnetlink.rule_request(AF_INET6, 0, table=255, interface="eth0", protocol=2),
    rtnetlink.arp_ignore_request(2, 8),
    b"\x0a\x40\x80\0\2\0\0\0"
    + rtnetlink.attribute(1, bytes(16))
    + rtnetlink.attribute(6, b"1" * 16),
    b"\2\x10\0\0\xfe\3\0\1\0\0\0\0"
    + rtnetlink.attribute(9, b"\x10\0\0\0\2\0\0\0" + rtnetlink.attribute(5, b"\n\0\0\1"))
    + rtnetlink.attribute(8, rtnetlink.attribute(2, b"\0\5\0\0")),
]


@given(st.sampled_from(SEEDS), st.data())
@settings(max_examples=300, deadline=None)
def test_a_changed_message_is_read_or_refused(seed: bytes, data: st.DataObject) -> None:
    message = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 6))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)))
    for parse in PARSERS:
        with contextlib.suppress(NetlinkFormatError):
            parse(bytes(message[:cut]))


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_noise_is_read_or_refused(noise: bytes) -> None:
    for parse in PARSERS:
        with contextlib.suppress(NetlinkFormatError):
            parse(noise)
