"""Taking interfaces from the host's stack and giving them back, in namespaces of our own."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from config.decode import Fields
from config.jsontext import dumps, loads
from runsc.errors import RunscError
from runsc.sandbox import network, rtnetlink, takeover
from runsc.sandbox.rtnetlink import AF_INET, AF_INET6, Netlink, Rule
from tests.harness.netns import Namespace, namespaces
from tests.harness.ruleless import Ruleless
from tests.harness.stimuli import advertise_prefix, answers_of

Setup = Callable[[Namespace, Namespace], str]


def veth(inner: Namespace, outer: Namespace) -> str:
    inner.ip(f"link add eth0 type veth peer name wire netns {outer.name}")
    return "eth0"


def bridged(inner: Namespace, outer: Namespace) -> str:
    """A veth whose other end is a port of a bridge, as container engines have it."""
    inner.ip(f"link add eth0 type veth peer name port netns {outer.name}")
    outer.ip("link add wire type bridge forward_delay 0")
    outer.ip("link set port master wire up")
    return "eth0"


def macvlan(mode: str) -> Setup:
    def make(inner: Namespace, outer: Namespace) -> str:
        # The parent is the far end of a veth, so that its other end is outside.
        inner.ip(f"link add parent type veth peer name wire netns {outer.name}")
        inner.ip("link set parent up")
        inner.ip(f"link add eth0 link parent type macvlan mode {mode}")
        return "eth0"

    return make


SETUPS: dict[str, Setup] = {
    "veth": veth,
    "bridge": bridged,
    **{f"macvlan-{mode}": macvlan(mode) for mode in ("bridge", "private", "vepa", "passthru")},
}


@pytest.fixture(params=list(SETUPS))
def wired(request: pytest.FixtureRequest) -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces: `eth0` inside with addresses and routes, `wire` outside."""
    with namespaces(2) as (inner, outer):
        SETUPS[request.param](inner, outer)
        configure(inner, outer)
        yield inner, outer


@pytest.fixture
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    with namespaces(2) as (inner, outer):
        veth(inner, outer)
        configure(inner, outer)
        yield inner, outer


def configure(inner: Namespace, outer: Namespace) -> None:
    outer.ip("link set wire up")
    outer.ip("addr add 10.9.0.1/24 dev wire")
    outer.ip("-6 addr add fd09::1/64 dev wire nodad")
    if inner.ip_json("link show eth0")[0].get("link") == "parent":
        inner.ip("link set parent addrgenmode none")
        inner.ip("-6 addr flush dev parent")
    inner.ip("link set eth0 up")
    inner.ip("addr add 10.9.0.2/24 brd + dev eth0")
    inner.ip("addr add 10.9.0.22/24 dev eth0 label eth0:two")
    inner.ip("addr add 10.7.0.1 peer 10.7.0.2/32 dev eth0")
    inner.ip("-6 addr add fd09::2/64 dev eth0 nodad")
    inner.ip("-6 addr add fd08::2/64 dev eth0 nodad noprefixroute")
    inner.ip("route add default via 10.9.0.1 metric 50 mtu 1300")
    inner.ip("route add default dev eth0 scope link metric 60")
    inner.ip("route add 10.1.0.0/16 via 10.9.0.9 src 10.9.0.2 table 77")
    inner.ip("-6 route add default via fd09::1 metric 70")
    inner.ip("neigh add 10.9.0.7 lladdr 02:00:00:00:00:07 dev eth0 nud permanent")
    inner.ip("-6 neigh add fd09::7 lladdr 02:00:00:00:00:07 dev eth0 nud permanent")
    inner.ip("-6 route add fd11::/16 via fd09::7 src fd08::2")
    inner.ip("addr add 10.6.0.1/32 dev lo")
    inner.ip("route add 10.5.0.0/16 via 10.9.0.1 src 10.6.0.1")
    # As on hosts of container engines, from which new namespaces have it.
    inner.sysctl("ipv4/ip_forward", "1")
    inner.settle()
    outer.settle()


class Taken:
    """A namespace whose interfaces were taken."""

    def __init__(self, namespace: Namespace, *kept: str) -> None:
        records: list[takeover.Record] = []
        with network.Entered(namespace.path) as entered:
            self.settings, self.host_fds = network.take(entered, list(kept), records.append)
        self.record = records[0]

    def close(self) -> None:
        for host_fd in self.host_fds:
            os.close(host_fd)


def take(namespace: Namespace, *kept: str) -> Taken:
    return Taken(namespace, *kept)


def reread(record: takeover.Record) -> takeover.Record:
    """Return the record as a later command has it."""
    text = dumps(record.to_json())
    return takeover.read_record(Fields(loads(text.encode()), "record"))


@pytest.mark.root
def test_nothing_is_different_after_undo(wired: tuple[Namespace, Namespace]) -> None:
    inner, _ = wired
    before = inner.snapshot()
    handed = take(inner)
    try:
        assert inner.snapshot() != before
    finally:
        handed.close()
    network.give_back(inner.path, reread(handed.record))
    assert inner.snapshot() == before
    # Once more: there is nothing left to do.
    network.give_back(inner.path, reread(handed.record))
    assert inner.snapshot() == before


@pytest.mark.root
def test_addresses_are_usable_at_once_after_undo() -> None:
    with namespaces(2, dad=True) as (inner, outer):
        veth(inner, outer)
        configure(inner, outer)
        before = inner.snapshot()
        handed = take(inner)
        handed.close()
        network.give_back(inner.path, handed.record)
        assert "tentative" not in inner.ip("-6 addr show eth0")
        assert inner.snapshot() == before


@pytest.mark.root
def test_the_host_is_silent(wired: tuple[Namespace, Namespace]) -> None:
    inner, outer = wired
    mac = bytes.fromhex(inner.ip_json("link show eth0")[0]["address"].replace(":", ""))
    # The stimuli are good ones: before, they are answered.
    assert answers_of(outer, "wire", mac) >= {"arp", "icmp4", "rst4", "na", "icmp6", "rst6"}
    handed = take(inner)
    try:
        assert answers_of(outer, "wire", mac) == set()
    finally:
        handed.close()


@pytest.mark.root
def test_the_host_makes_no_address_of_an_advertised_prefix(
    wired: tuple[Namespace, Namespace],
) -> None:
    inner, outer = wired
    handed = take(inner)
    try:
        advertise_prefix(outer, "wire")
        time.sleep(0.1)
        assert inner.ip("addr show eth0").count("inet") == 0
    finally:
        handed.close()
    network.give_back(inner.path, handed.record)
    # The advertisement is a good one.
    advertise_prefix(outer, "wire")
    deadline = time.monotonic() + 5
    while "fd77::" not in inner.ip("addr show eth0"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.root
def test_the_host_is_silent_after_the_link_was_down(pair: tuple[Namespace, Namespace]) -> None:
    inner, outer = pair
    mac = bytes.fromhex(inner.ip_json("link show eth0")[0]["address"].replace(":", ""))
    handed = take(inner)
    try:
        outer.ip("link set wire down")
        outer.ip("link set wire up")
        outer.settle()
        assert inner.ip_json("addr show eth0")[0]["addr_info"] == []
        assert answers_of(outer, "wire", mac) == set()
    finally:
        handed.close()


def silence_by_rule(inner: Namespace, kind: type[Netlink] = Netlink) -> takeover.Record:
    """Do to a veth what is done to an ipvlan, which has to keep its addresses."""
    with inner.entered():
        netlink = kind()
        links = [link for link in netlink.links() if link.name == "eth0"]
        links[0].kind = "ipvlan"
        record = takeover.make_record(netlink, links)
        record.inode = os.stat(inner.path).st_ino
        takeover.silence(netlink, record)
        netlink.close()
    return record


@pytest.mark.root
def test_a_rule_silences_a_host_that_keeps_its_addresses(
    pair: tuple[Namespace, Namespace],
) -> None:
    inner, outer = pair
    before = inner.snapshot()
    mac = bytes.fromhex(inner.ip_json("link show eth0")[0]["address"].replace(":", ""))
    record = silence_by_rule(inner)
    assert answers_of(outer, "wire", mac) == set()
    assert inner.ip_json("addr show eth0")[0]["addr_info"] != []
    # The namespace's own loopback goes on.
    with inner.entered(), ExitStack() as stack:
        from socket import create_connection, create_server

        server = stack.enter_context(create_server(("127.0.0.1", 0)))
        stack.enter_context(create_connection(server.getsockname(), timeout=5))
    inner.ip("addr add 10.9.0.77/24 dev eth0")
    assert answers_of(outer, "wire", mac) == set()
    inner.ip("addr del 10.9.0.77/24 dev eth0")
    network.give_back(inner.path, reread(record))
    assert inner.snapshot() == before
    assert "arp" in answers_of(outer, "wire", mac)


@pytest.mark.root
def test_a_kernel_without_rules_loses_its_routes(pair: tuple[Namespace, Namespace]) -> None:
    inner, outer = pair
    before = inner.snapshot()
    mac = bytes.fromhex(inner.ip_json("link show eth0")[0]["address"].replace(":", ""))
    record = silence_by_rule(inner, Ruleless)
    assert (inner.ip("rule"), inner.ip("-6 rule")) == (outer.ip("rule"), outer.ip("-6 rule"))
    assert inner.ip_json("addr show eth0")[0]["addr_info"] != []
    assert answers_of(outer, "wire", mac) == set()
    network.give_back(inner.path, reread(record))
    assert inner.snapshot() == before
    network.give_back(inner.path, reread(record))
    assert inner.snapshot() == before
    assert answers_of(outer, "wire", mac) >= {"arp", "icmp4", "rst4", "na", "icmp6", "rst6"}


@pytest.mark.root
def test_addresses_that_would_expire_are_kept_by_rule(pair: tuple[Namespace, Namespace]) -> None:
    inner, _ = pair
    inner.ip("addr change 10.9.0.2/24 dev eth0 valid_lft 1000 preferred_lft 500")
    record = silence_by_rule(inner)
    assert lifetimes(inner) == (rtnetlink.FOREVER, rtnetlink.FOREVER)
    network.give_back(inner.path, reread(record))
    valid, preferred = lifetimes(inner)
    assert 990 <= valid <= 1000
    assert 490 <= preferred <= 500


@pytest.mark.root
@pytest.mark.parametrize("by_rule", [False, True])
def test_an_address_that_expired_meanwhile_is_not_given_back(
    pair: tuple[Namespace, Namespace], by_rule: bool
) -> None:
    inner, _ = pair
    inner.ip("addr change 10.9.0.2/24 dev eth0 valid_lft 1000 preferred_lft 500")
    inner.ip("-6 addr add fd06::2/64 dev eth0 nodad valid_lft 1000 preferred_lft 500")
    if by_rule:
        record = silence_by_rule(inner)
    else:
        handed = take(inner)
        handed.close()
        record = handed.record
    record.monotonic_s -= 2000
    network.give_back(inner.path, reread(record))
    shown = inner.ip("addr show eth0")
    assert "10.9.0.2/" not in shown
    assert "fd06::2/" not in shown
    # What goes with it does not take the rest along.
    for other in ("10.9.0.22/24", "10.7.0.1 peer", "fd09::2/64"):
        assert other in shown
    assert "default via 10.9.0.1" in inner.ip("route")
    assert "fd11::/16 via fd09::7" in inner.ip("-6 route")


def lifetimes(namespace: Namespace) -> tuple[int, int]:
    for info in namespace.ip_json("-4 addr show eth0")[0]["addr_info"]:
        if info["local"] == "10.9.0.2":
            return info["valid_life_time"], info["preferred_life_time"]
    raise AssertionError("the address is gone")


class Recorder(Netlink):
    """Answers dumps with what a test says, and keeps the requests."""

    def __init__(self, addresses: list[bytes] | None = None) -> None:
        self.made: list[tuple[int, bytes]] = []
        self.refuse = 0  # a type of message
        self.present = {
            family: [rtnetlink.rule_request(family, 0, table=255, protocol=2)]
            for family in (AF_INET, AF_INET6)
        }
        self.addresses_present = addresses or []

    def request(self, kind: int, payload: bytes, flags: int = 0) -> None:
        if kind == self.refuse:
            raise OSError(1, "operation not permitted", rtnetlink.NAMES[kind])
        self.made.append((kind, payload))
        if kind == rtnetlink.RTM_NEWRULE:
            self.present[payload[0]].append(payload)
        elif kind == rtnetlink.RTM_DELRULE:
            self.present[payload[0]].remove(payload)

    def dump(self, kind: int, family: int = 0) -> list[bytes]:
        if kind == rtnetlink.RTM_GETRULE:
            return list(self.present[family])
        return self.addresses_present if kind == rtnetlink.RTM_GETADDR else []


def ipvlan() -> rtnetlink.Link:
    head = bytes(4) + (7).to_bytes(4, "little") + bytes(8)
    link = rtnetlink.Link(head + rtnetlink.attribute(rtnetlink.IFLA_IFNAME, b"ipv0\0"))
    link.kind = "ipvlan"
    return link


def test_the_messages_of_the_rule_for_an_ipvlan() -> None:
    """A copy of the local rule first, the blackhole next, and only then the local rule goes."""
    recorder = Recorder()
    takeover.silence(recorder, takeover.make_record(recorder, [ipvlan()]))
    rules = [
        (kind, rule.family, rule.priority, rule.table, rule.interface)
        for kind, rule in ((k, Rule(p)) for k, p in recorder.made if k != rtnetlink.RTM_SETLINK)
    ]
    assert rules == [
        (step[0], family, *step[1:])
        for family in (AF_INET, AF_INET6)
        for step in (
            (rtnetlink.RTM_NEWRULE, 1, 255, ""),
            (rtnetlink.RTM_NEWRULE, 0, 0, "ipv0"),
            (rtnetlink.RTM_DELRULE, 0, 255, ""),
        )
    ]
    # Last: no answer to ARP for an address of ours.
    assert recorder.made[-1] == (rtnetlink.RTM_SETLINK, rtnetlink.arp_ignore_request(7, 8))


def test_the_literal_bytes_of_the_rule() -> None:
    """struct fib_rule_hdr with FRA_IIFNAME and FRA_PRIORITY, as `ip rule add` sends it."""
    made = rtnetlink.rule_request(AF_INET, 0, interface="ipv0")
    assert made == bytes.fromhex(
        "020000000000000600000000 0900 0300 6970763000 000000 0800 0600 00000000"
    )


def test_an_ipvlan_that_cannot_be_silenced_is_refused() -> None:
    recorder = Recorder()
    record = takeover.make_record(recorder, [ipvlan()])
    recorder.refuse = rtnetlink.RTM_NEWRULE
    with pytest.raises(RunscError) as raised:
        takeover.silence(recorder, record)
    assert str(raised.value) == (
        'interface "ipv0": cannot silence the host stack (RTM_NEWRULE: EPERM)'
    )
