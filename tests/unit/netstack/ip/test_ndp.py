"""Neighbour discovery: duplicates, routers, prefixes, lifetimes, redirects."""

import itertools

import pytest

from netstack.endpoint import Address
from netstack.interface import InterfaceAddress
from netstack.ip.config6 import (
    ADDR_GEN_STABLE_PRIVACY,
    IFA_F_DADFAILED,
    IFA_F_DEPRECATED,
    IFA_F_STABLE_PRIVACY,
)
from netstack.neighbour import NUD_REACHABLE, NUD_STALE
from netstack.route import RouteEntry
from netstack.wire import ndp
from netstack.wire.address6 import ALL_NODES, UNSPECIFIED, solicited_node
from tests.unit.netstack.harness import SECOND, CaptureLink, VirtualEnvironment
from tests.unit.netstack.world6 import (
    LEFT_LINK_LOCAL,
    PEER,
    PEER_LINK,
    RIGHT_LINK_LOCAL,
    Host,
    icmp_frame,
    one_host,
    seen,
    two_hosts,
)

PREFIX = bytes.fromhex("20010db8000100000000000000000000")
MADE = PREFIX[:8] + LEFT_LINK_LOCAL[8:]
FAR = bytes.fromhex("20010db8ffff00000000000000000001")
OTHER = PEER[:15] + b"\x02"


def advertisement(
    source=PEER, *, lifetime=1800, prefixes=(), mtu=0, hop_limit=0, preference=0, link=PEER_LINK
):
    message = ndp.RouterAdvertisement(ndp.Options())
    message.lifetime_s = lifetime
    message.hop_limit = hop_limit
    message.preference = preference
    options = ndp.link_address_option(1, link)
    options += b"".join(ndp.prefix_option(one) for one in prefixes)
    if mtu:
        options += ndp.mtu_option(mtu)
    return icmp_frame(source, ALL_NODES, ndp.build_router_advertisement(message, options))


def prefix(host=PREFIX, valid=86400, preferred=14400, *, on_link=True, autonomous=True):
    made = ndp.Prefix(host, 64)
    made.valid_s = valid
    made.preferred_s = preferred
    made.is_on_link = on_link
    made.is_autonomous = autonomous
    return made


def default_gateways(host):
    entries = list(host.ip.routing.tables[254].entries())
    return [entry.gateway for entry in entries if entry.prefix_length == 0]


def test_an_address_is_tentative_until_nobody_objects():
    environment, host = one_host(settle=False)
    assert host.hosts() == set()
    assert not host.stack.is_local_address(LEFT_LINK_LOCAL)
    environment.advance(SECOND)
    (probe,) = [one for one in seen(host.link.frames) if one.kind == 135]
    assert (probe.source, probe.hop_limit) == (UNSPECIFIED, 255)
    assert probe.destination == solicited_node(LEFT_LINK_LOCAL)
    assert probe.message[8:24] == LEFT_LINK_LOCAL
    assert host.hosts() == set()
    environment.advance(SECOND)
    assert host.hosts() == {LEFT_LINK_LOCAL}
    assert host.stack.is_local_address(LEFT_LINK_LOCAL)


@pytest.mark.parametrize("kind", ["advertisement", "probe"])
def test_a_duplicate_stays_unused(kind):
    environment, host = one_host(settle=False)
    if kind == "probe":
        message = ndp.build_neighbour_solicitation(LEFT_LINK_LOCAL, b"")
        data = icmp_frame(UNSPECIFIED, solicited_node(LEFT_LINK_LOCAL), message)
    else:
        options = ndp.link_address_option(2, PEER_LINK)
        message = ndp.build_neighbour_advertisement(LEFT_LINK_LOCAL, 0x20, options)
        data = icmp_frame(LEFT_LINK_LOCAL, ALL_NODES, message)
    environment.advance(SECOND)
    host.eth.receive(data)
    environment.advance(60 * SECOND)
    assert host.hosts() == set()
    assert host.eth.addresses[0].flags & IFA_F_DADFAILED


def test_our_own_probe_come_back_is_no_duplicate():
    environment, host = one_host(settle=False)
    environment.advance(SECOND)
    for data in host.link.take():
        host.eth.receive(data)
    environment.advance(5 * SECOND)
    assert host.hosts() == {LEFT_LINK_LOCAL}


def test_two_hosts_with_the_same_address_do_not_both_use_it():
    environment, left, right = two_hosts()
    host = bytes.fromhex("20010db8000000000000000000000001")
    left.stack.add_address(left.eth, InterfaceAddress(host, 64))
    environment.advance(3 * SECOND)
    right.stack.add_address(right.eth, InterfaceAddress(host, 64))
    environment.advance(3 * SECOND)
    assert host in left.hosts()
    assert host not in right.hosts()


def test_a_stable_private_address_that_is_taken_is_replaced():
    environment, host = one_host(settle=False, up=False)
    host.state.config.addr_gen_mode = ADDR_GEN_STABLE_PRIVACY
    host.state.config.stable_secret = b"secret of 16 byt"
    host.up()
    (first,) = host.eth.addresses
    assert first.host[8:] != LEFT_LINK_LOCAL[8:]
    message = ndp.build_neighbour_solicitation(first.host, b"")
    environment.advance(SECOND)
    host.eth.receive(icmp_frame(UNSPECIFIED, solicited_node(first.host), message))
    environment.advance(5 * SECOND)
    (second,) = host.hosts()
    assert second != first.host
    # The same network, the same addresses: another host with this secret and name agrees.
    _environment, again = one_host(settle=False, up=False)
    again.state.config.addr_gen_mode = ADDR_GEN_STABLE_PRIVACY
    again.state.config.stable_secret = b"secret of 16 byt"
    again.up()
    assert again.eth.addresses[0].host == first.host
    assert again.eth.addresses[0].flags & IFA_F_STABLE_PRIVACY


def test_routers_are_asked_for_less_and_less_often():
    environment, host = one_host(settle=False, up=False)
    host.state.config.router_solicitations = -1
    host.up()
    times = []
    for _ in range(600):
        environment.advance(SECOND)
        times += [environment.now for one in seen(host.link.take()) if one.kind == 133]
    gaps = [(later - sooner) // SECOND for sooner, later in itertools.pairwise(times)]
    assert 3 <= gaps[0] <= 5
    assert all(later > sooner for sooner, later in itertools.pairwise(gaps))
    host.eth.receive(advertisement())
    environment.advance(7200 * SECOND)
    assert [one for one in seen(host.link.take()) if one.kind == 133] == []


def test_an_advertisement_gives_address_route_and_parameters():
    environment, host = one_host()
    host.eth.receive(advertisement(prefixes=[prefix()], mtu=1400, hop_limit=99))
    assert MADE not in host.hosts()
    environment.advance(3 * SECOND)
    assert MADE in host.hosts()
    assert default_gateways(host) == [PEER]
    route = host.stack.find_route(FAR)
    assert (route.next_hop, route.source, route.mtu) == (PEER, MADE, 1400)
    neighbour = host.ip.neighbours.find(host.eth, PEER)
    assert (neighbour.link_address, neighbour.state) == (PEER_LINK, NUD_STALE)
    host.link.take()
    client = host.udp.new_endpoint(6)
    client.send(b"x", Address(FAR, 9))
    (sent,) = [one for one in seen(host.link.take()) if one.protocol == 17]
    assert (sent.hop_limit, sent.link_destination) == (99, PEER_LINK)
    # What is on the link goes there directly.
    assert host.stack.find_route(PREFIX[:15] + b"\x09").next_hop == PREFIX[:15] + b"\x09"


def test_hosts_configure_themselves_and_reach_each_other():
    environment, left, right = two_hosts()
    announce = advertisement(prefixes=[prefix()])
    for host in (left, right):
        host.eth.receive(announce)
    environment.advance(3 * SECOND)
    endpoint = left.ping(PREFIX[:8] + RIGHT_LINK_LOCAL[8:])
    environment.advance(SECOND)
    assert endpoint.receive() is not None


def test_a_default_router_expires():
    environment, host = one_host()
    host.eth.receive(advertisement(lifetime=100))
    environment.advance(60 * SECOND)
    host.eth.receive(advertisement(lifetime=100))
    environment.advance(90 * SECOND)
    assert default_gateways(host) == [PEER]
    environment.advance(20 * SECOND)
    assert default_gateways(host) == []
    host.eth.receive(advertisement(lifetime=100))
    host.eth.receive(advertisement(lifetime=0))
    assert default_gateways(host) == []


def test_preferred_routers_come_first_and_silent_ones_last():
    environment, host = one_host()
    host.eth.receive(advertisement(PEER, prefixes=[prefix()]))
    host.eth.receive(advertisement(OTHER, preference=ndp.PREFERENCE_HIGH))
    assert default_gateways(host) == [OTHER, PEER]
    host.eth.receive(advertisement(OTHER))
    assert default_gateways(host) == [PEER, OTHER]
    environment.advance(3 * SECOND)
    host.udp.new_endpoint(6).send(b"x", Address(FAR, 9))
    environment.advance(30 * SECOND)
    assert default_gateways(host) == [OTHER, PEER]


def test_routers_and_prefixes_are_bounded():
    _environment, host = one_host()
    for number in range(200):
        source = PEER[:14] + number.to_bytes(2, "big")
        network = PREFIX[:6] + number.to_bytes(2, "big") + bytes(8)
        host.eth.receive(advertisement(source, prefixes=[prefix(network)]))
    assert len(default_gateways(host)) == 16
    assert len(host.eth.addresses) == 17
    assert len(host.ip.ndp.routers.routes) == 16 + 64


def test_addresses_are_deprecated_and_end():
    environment, host = one_host()
    host.eth.receive(advertisement(prefixes=[prefix(valid=9000, preferred=100)]))
    environment.advance(50 * SECOND)
    (address,) = [one for one in host.eth.addresses if one.host == MADE]
    assert not address.flags & IFA_F_DEPRECATED
    environment.advance(60 * SECOND)
    assert address.flags & IFA_F_DEPRECATED
    environment.advance(9000 * SECOND)
    assert MADE not in host.hosts()


def test_an_advertisement_cannot_end_an_address_at_once():
    environment, host = one_host()
    host.eth.receive(advertisement(prefixes=[prefix(valid=86400)]))
    environment.advance(3 * SECOND)
    host.eth.receive(advertisement(prefixes=[prefix(valid=1, preferred=1)]))
    environment.advance(7000 * SECOND)
    assert MADE in host.hosts()
    environment.advance(300 * SECOND)
    assert MADE not in host.hosts()


@pytest.mark.parametrize(
    "data",
    [
        icmp_frame(FAR, ALL_NODES, ndp.build_router_solicitation(b"")),
        advertisement(source=FAR),
        advertisement()[:-3],
        icmp_frame(PEER, ALL_NODES, bytes((134, 0)) + bytes(14), hop_limit=254),
        icmp_frame(PEER, ALL_NODES, bytes((134, 0, 0, 0, 0, 0, 7, 8)) + bytes(8) + b"\x01\x00"),
    ],
)
def test_invalid_advertisements_are_ignored(data):
    _environment, host = one_host()
    host.eth.receive(data)
    assert default_gateways(host) == []


def test_a_router_does_not_listen_to_routers():
    environment, host = one_host()
    host.stack.settings.ipv6_forwarding = True
    host.eth.receive(advertisement(prefixes=[prefix()]))
    environment.advance(3 * SECOND)
    assert (default_gateways(host), host.hosts()) == ([], {LEFT_LINK_LOCAL})


def redirect(source, target, destination):
    options = ndp.link_address_option(2, b"\x02\0\0\0\0\x55")
    return icmp_frame(source, LEFT_LINK_LOCAL, ndp.build_redirect(target, destination, options))


def test_a_redirect_of_the_router_in_use_is_followed_for_a_while():
    environment, host = one_host()
    host.eth.receive(advertisement(prefixes=[prefix()]))
    environment.advance(3 * SECOND)
    assert host.stack.find_route(FAR).next_hop == PEER
    host.eth.receive(redirect(OTHER, OTHER, FAR))
    assert host.stack.find_route(FAR).next_hop == PEER
    host.eth.receive(redirect(PEER, OTHER, FAR))
    assert host.stack.find_route(FAR).next_hop == OTHER
    assert host.ip.neighbours.find(host.eth, OTHER).link_address == b"\x02\0\0\0\0\x55"
    # The new first hop may send us on, to the destination itself.
    host.eth.receive(redirect(OTHER, FAR, FAR))
    assert host.stack.find_route(FAR).next_hop == FAR
    environment.advance(601 * SECOND)
    assert host.stack.find_route(FAR).next_hop == PEER


def test_a_router_redirects_a_neighbour_which_follows():
    environment, router, host = two_hosts()
    router.stack.settings.ipv6_forwarding = True
    for one, last in ((router, b"\x01"), (host, b"\x02")):
        address = InterfaceAddress(PREFIX[:15] + last, 64)
        address.flags = 2
        one.stack.add_address(one.eth, address)
    router.stack.add_route(RouteEntry(FAR, 128, router.eth, OTHER))
    router.ip.neighbours.add_permanent(router.eth, OTHER, PEER_LINK)
    host.stack.add_route(RouteEntry(bytes(16), 0, host.eth, LEFT_LINK_LOCAL))
    router.link.frames.clear()
    host.udp.new_endpoint(6).send(bytes(1400), Address(FAR, 9))
    environment.advance(SECOND)
    (told,) = [one for one in seen(router.link.frames) if one.kind == 137]
    assert (told.source, told.hop_limit) == (LEFT_LINK_LOCAL, 255)
    assert told.message[8:40] == OTHER + FAR
    assert len(told.packet) <= 1280
    # What was sent went on all the same.
    assert [one.link_destination for one in seen(router.link.frames) if one.protocol == 17] == [
        PEER_LINK
    ]
    assert host.stack.find_route(FAR).next_hop == OTHER
    assert host.ip.neighbours.find(host.eth, OTHER).link_address == PEER_LINK


def test_redirects_are_bounded_and_can_be_refused():
    _environment, host = one_host()
    host.eth.receive(advertisement())
    for number in range(300):
        host.eth.receive(redirect(PEER, OTHER, FAR[:14] + number.to_bytes(2, "big")))
    assert len(host.ip.ndp.routers.routes) == 1 + 256
    _environment, host = one_host()
    host.state.config.accept_redirects = False
    host.eth.receive(advertisement())
    host.eth.receive(redirect(PEER, OTHER, FAR))
    assert len(host.ip.ndp.routers.routes) == 1


def test_a_neighbour_is_asked_again_after_a_while():
    environment, left, right = two_hosts()
    left.ping(RIGHT_LINK_LOCAL, scope=left.eth.index)
    environment.advance(SECOND)
    neighbour = left.ip.neighbours.find(left.eth, RIGHT_LINK_LOCAL)
    assert neighbour.state == NUD_REACHABLE
    environment.advance(60 * SECOND)
    assert neighbour.state == NUD_STALE
    left.link.frames.clear()
    left.ping(RIGHT_LINK_LOCAL, scope=left.eth.index)
    environment.advance(7 * SECOND)
    assert neighbour.state == NUD_REACHABLE
    probes = [one for one in seen(left.link.frames) if one.kind == 135]
    assert [one.destination for one in probes] == [RIGHT_LINK_LOCAL]
    assert probes[0].link_destination == right.link.address


def test_solicitations_from_elsewhere_are_not_answered():
    _environment, host = one_host()
    message = ndp.build_neighbour_solicitation(
        LEFT_LINK_LOCAL, ndp.link_address_option(1, PEER_LINK)
    )
    group = solicited_node(LEFT_LINK_LOCAL)
    host.eth.receive(icmp_frame(PEER, group, message, hop_limit=254))
    host.eth.receive(icmp_frame(UNSPECIFIED, group, message))
    other = ndp.build_neighbour_solicitation(PEER, ndp.link_address_option(1, PEER_LINK))
    host.eth.receive(icmp_frame(OTHER, group, other))
    assert host.link.take() == []
    host.eth.receive(icmp_frame(PEER, group, message))
    (answer,) = seen(host.link.take())
    assert (answer.kind, answer.destination, answer.message[4]) == (136, PEER, 0x60)
    assert answer.message[8:] == LEFT_LINK_LOCAL + b"\x02\x01" + host.link.address


def test_answers_that_claim_too_much_are_ignored():
    _environment, host = one_host()
    host.ping(PEER, scope=host.eth.index)
    neighbour = host.ip.neighbours.find(host.eth, PEER)
    options = ndp.link_address_option(2, PEER_LINK)
    solicited = ndp.build_neighbour_advertisement(PEER, ndp.FLAG_SOLICITED, options)
    # "Solicited" to everybody; an address that no station can have; from another link.
    host.eth.receive(icmp_frame(PEER, ALL_NODES, solicited))
    bad = ndp.build_neighbour_advertisement(
        PEER, ndp.FLAG_SOLICITED, ndp.link_address_option(2, b"\x01\0\0\0\0\1")
    )
    host.eth.receive(icmp_frame(PEER, LEFT_LINK_LOCAL, bad))
    host.eth.receive(icmp_frame(PEER, LEFT_LINK_LOCAL, solicited, hop_limit=254))
    assert neighbour.link_address == b""
    host.eth.receive(icmp_frame(PEER, LEFT_LINK_LOCAL, solicited))
    assert (neighbour.link_address, neighbour.state) == (PEER_LINK, NUD_REACHABLE)


def test_a_probe_for_our_address_is_answered_to_all():
    _environment, host = one_host()
    message = ndp.build_neighbour_solicitation(LEFT_LINK_LOCAL, b"")
    host.eth.receive(icmp_frame(UNSPECIFIED, solicited_node(LEFT_LINK_LOCAL), message))
    (answer,) = seen(host.link.take())
    assert (answer.kind, answer.destination, answer.message[4]) == (136, ALL_NODES, 0x20)


def test_the_neighbour_cache_is_bounded():
    environment, host = one_host()
    group = solicited_node(LEFT_LINK_LOCAL)
    message = ndp.build_neighbour_solicitation(
        LEFT_LINK_LOCAL, ndp.link_address_option(1, PEER_LINK)
    )
    for number in range(2000):
        source = PEER[:14] + number.to_bytes(2, "big")
        host.eth.receive(icmp_frame(source, group, message))
    assert len(host.ip.neighbours.entries) <= 1024
    environment.advance(SECOND)


def test_disabled_interfaces_are_silent():
    environment = VirtualEnvironment()
    host = Host(environment, CaptureLink())
    host.state.config.disable_ipv6 = True
    host.up()
    host.eth.receive(advertisement(prefixes=[prefix()]))
    environment.advance(10 * SECOND)
    assert (host.link.frames, host.eth.addresses) == ([], [])


def test_a_gateway_by_hand():
    environment, host = one_host()
    address = InterfaceAddress(PREFIX[:15] + b"\x05", 64)
    address.flags = 2
    host.stack.add_address(host.eth, address)
    host.stack.add_route(RouteEntry(bytes(16), 0, host.eth, PEER))
    host.udp.new_endpoint(6).send(b"x", Address(FAR, 9))
    solicitations = [one for one in seen(host.link.take()) if one.kind == 135]
    assert [one.message[8:24] for one in solicitations] == [PEER]
    assert solicitations[0].source == address.host
    environment.advance(SECOND)
