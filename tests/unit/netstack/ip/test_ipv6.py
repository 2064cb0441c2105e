"""IPv6 between two stacks on a wire: addresses, pings, datagrams, fragments, errors."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.endpoint import Address
from netstack.errors import (
    CONNECTION_REFUSED,
    HOST_UNREACHABLE,
    MESSAGE_TOO_LONG,
    NETWORK_UNREACHABLE,
    NetError,
)
from netstack.interface import InterfaceAddress
from netstack.route import RouteEntry
from netstack.wire.address6 import LOOPBACK
from tests.unit.netstack.harness import SECOND, CaptureLink
from tests.unit.netstack.world6 import (
    LEFT_LINK_LOCAL,
    PEER,
    RIGHT_LINK_LOCAL,
    frame,
    icmp_frame,
    ip_packet,
    one_host,
    seen,
    two_hosts,
)

GLOBAL_LEFT = bytes.fromhex("20010db8000000000000000000000001")
GLOBAL_RIGHT = bytes.fromhex("20010db8000000000000000000000002")
FAR = bytes.fromhex("20010db8ffff00000000000000000001")


def with_global_addresses(mtu=1500):
    environment, left, right = two_hosts(mtu)
    left.stack.add_address(left.eth, InterfaceAddress(GLOBAL_LEFT, 64))
    right.stack.add_address(right.eth, InterfaceAddress(GLOBAL_RIGHT, 64))
    environment.advance(3 * SECOND)
    return environment, left, right


def test_link_local_addresses_appear_and_answer_pings():
    environment, left, right = two_hosts()
    assert left.hosts() == {LEFT_LINK_LOCAL}
    endpoint = left.ping(RIGHT_LINK_LOCAL, 56, scope=left.eth.index)
    environment.advance(SECOND)
    reply = endpoint.receive()
    assert reply is not None
    assert (reply.source.host, reply.source.scope) == (RIGHT_LINK_LOCAL, left.eth.index)
    assert (len(reply.payload), reply.payload[0], reply.ttl) == (64, 129, 64)
    assert right.stack.counters.icmp6.in_types[128] == 1


def test_a_ping_resolves_its_neighbour_first():
    environment, left, right = with_global_addresses()
    left.link.frames.clear()
    right.link.frames.clear()
    endpoint = left.ping(GLOBAL_RIGHT)
    environment.advance(SECOND)
    assert endpoint.receive() is not None
    assert [one.kind for one in seen(left.link.frames)] == [135, 128]
    assert [one.kind for one in seen(right.link.frames)] == [136, 129]
    solicitation = seen(left.link.frames)[0]
    assert solicitation.destination.hex() == "ff0200000000000000000001ff000002"
    assert solicitation.link_destination.hex() == "3333ff000002"
    assert (solicitation.hop_limit, solicitation.source) == (255, GLOBAL_LEFT)


def test_the_loopback_address_answers():
    environment, host = one_host()
    endpoint = host.ping(LOOPBACK)
    host.stack.flush()
    environment.advance(SECOND)
    assert endpoint.receive() is not None
    assert host.link.take() == []


def test_own_link_local_address_is_reached_without_the_wire():
    environment, host = one_host()
    endpoint = host.ping(LEFT_LINK_LOCAL, scope=host.eth.index)
    environment.advance(SECOND)
    reply = endpoint.receive()
    assert reply is not None
    assert reply.source.scope == host.eth.index
    assert host.link.take() == []


def test_datagrams_both_ways():
    environment, left, right = with_global_addresses()
    server = right.udp.new_endpoint(6)
    server.bind(Address(b"", 5000))
    client = left.udp.new_endpoint(6)
    client.connect(Address(GLOBAL_RIGHT, 5000))
    assert client.local_address().host == GLOBAL_LEFT
    assert client.send(b"question") == 8
    environment.advance(SECOND)
    question = server.receive()
    assert question.payload == b"question"
    server.send(b"answer", question.source)
    environment.advance(SECOND)
    assert client.receive().payload == b"answer"


@pytest.mark.parametrize("size", [1452, 1453, 5000, 65487])
def test_large_datagrams_are_cut_and_put_together(size):
    environment, left, right = with_global_addresses()
    server = right.udp.new_endpoint(6)
    server.receive_limit = 1 << 20
    server.bind(Address(b"", 5000))
    client = left.udp.new_endpoint(6)
    client.connect(Address(GLOBAL_RIGHT, 5000))
    client.send(b"x")
    environment.advance(SECOND)
    server.receive()
    left.link.frames.clear()
    payload = bytes(number % 251 for number in range(size))
    assert client.send(payload) == size
    environment.advance(SECOND)
    assert server.receive().payload == payload
    sizes = [len(data) - 14 for data in left.link.frames]
    assert max(sizes) <= 1500
    assert len(sizes) == (1 if size <= 1452 else -(-(size + 8) // 1448))


def test_fragments_may_come_in_any_order_and_twice():
    _environment, left, right = with_global_addresses()
    server = right.udp.new_endpoint(6)
    server.bind(Address(b"", 5000))
    client = left.udp.new_endpoint(6)
    client.connect(Address(GLOBAL_RIGHT, 5000))
    left.link.peer = None
    left.ip.neighbours.add_permanent(left.eth, GLOBAL_RIGHT, right.link.address)
    left.link.frames.clear()
    client.send(bytes(4000))
    frames = list(left.link.frames)
    assert len(frames) == 3
    for data in [frames[2], frames[0], frames[0], frames[1]]:
        right.eth.receive(data)
    assert len(server.receive().payload) == 4000


def test_a_packet_that_is_never_complete_is_answered():
    environment, left, right = with_global_addresses()
    client = left.udp.new_endpoint(6)
    client.connect(Address(GLOBAL_RIGHT, 5000))
    left.ip.neighbours.add_permanent(left.eth, GLOBAL_RIGHT, right.link.address)
    # Only the first fragment arrives: the first frame passes, the others do not.
    original = left.link.peer
    left.link.peer = None
    left.link.frames.clear()
    client.send(bytes(2000))
    first = left.link.frames[0]
    left.link.peer = original
    right.eth.receive(first)
    right.link.frames.clear()
    environment.advance(61 * SECOND)
    errors = [one for one in seen(right.link.frames) if one.kind == 3]
    assert len(errors) == 1
    assert errors[0].message[1] == 1
    assert len(errors[0].packet) <= 1280
    assert right.stack.counters.ip6.ReasmTimeout == 1


def test_overlapping_fragments_drop_the_packet():
    _environment, host = one_host()
    host.stack.add_address(host.eth, with_no_dad(GLOBAL_LEFT))

    def fragment(offset, more, payload):
        header = bytes((17, 0)) + (offset | more).to_bytes(2, "big") + bytes(4)
        return frame(ip_packet(GLOBAL_RIGHT, GLOBAL_LEFT, 44, header + payload))

    host.eth.receive(fragment(0, 1, bytes(16)))
    host.eth.receive(fragment(8, 1, bytes(16)))
    assert host.ip.reassembler.partials == {}
    assert host.stack.counters.ip6.ReasmFails == 1


def with_no_dad(host, length=64):
    address = InterfaceAddress(host, length)
    address.flags = 0x02  # IFA_F_NODAD
    return address


def test_a_closed_port_refuses():
    environment, left, _right = with_global_addresses()
    client = left.udp.new_endpoint(6)
    client.connect(Address(GLOBAL_RIGHT, 9))
    client.send(b"x")
    environment.advance(SECOND)
    with pytest.raises(NetError) as caught:
        client.receive()
    assert caught.value.code == CONNECTION_REFUSED


def test_a_silent_neighbour_is_unreachable_after_three_solicitations():
    environment, left, _right = with_global_addresses()
    client = left.udp.new_endpoint(6)
    client.receive_errors = True
    client.connect(Address(GLOBAL_LEFT[:15] + b"\x77", 9))
    left.link.frames.clear()
    client.send(b"x")
    environment.advance(4 * SECOND)
    assert [one.kind for one in seen(left.link.frames)] == [135] * 3
    with pytest.raises(NetError) as caught:
        client.receive()
    assert caught.value.code == HOST_UNREACHABLE


def test_without_a_route_the_network_is_unreachable():
    _environment, left, _right = with_global_addresses()
    client = left.udp.new_endpoint(6)
    with pytest.raises(NetError) as caught:
        client.connect(Address(FAR, 9))
    assert caught.value.code == NETWORK_UNREACHABLE


def test_a_smaller_path_mtu_is_learnt_and_kept_for_a_while():
    environment, host = one_host()
    host.stack.add_address(host.eth, with_no_dad(GLOBAL_LEFT))
    host.stack.add_route(RouteEntry(bytes(16), 0, host.eth, PEER))
    host.ip.neighbours.add_permanent(host.eth, PEER, b"\x02\0\0\0\0\x99")
    client = host.udp.new_endpoint(6)
    client.connect(Address(FAR, 9))
    environment.advance(SECOND)
    host.link.take()
    client.send(bytes(1400))
    (sent,) = host.link.take()
    quoted = sent[14:][:1232]
    message = bytes((2, 0, 0, 0)) + (1300).to_bytes(4, "big") + quoted
    host.eth.receive(icmp_frame(PEER, GLOBAL_LEFT, message, 64))
    assert host.stack.find_route(FAR).mtu == 1300
    with pytest.raises(NetError) as caught:
        client.send(bytes(1400))
    assert caught.value.code == MESSAGE_TOO_LONG
    client.send(bytes(1400))
    assert [len(data) - 14 <= 1300 for data in host.link.take()] == [True, True]
    # Below the minimum MTU nothing is believed (RFC 8201, section 4).
    message = bytes((2, 0, 0, 0)) + (600).to_bytes(4, "big") + quoted
    host.eth.receive(icmp_frame(PEER, GLOBAL_LEFT, message, 64))
    assert host.stack.find_route(FAR).mtu == 1300
    environment.advance(601 * SECOND)
    assert host.stack.find_route(FAR).mtu == 1500


def forwarder():
    environment, left, right = with_global_addresses()
    left.stack.settings.ipv6_forwarding = True
    left.link.frames.clear()
    return environment, left, right


def test_forwarding_counts_the_hop_limit_down():
    environment, left, right = forwarder()
    right.stack.add_address(right.eth, with_no_dad(FAR, 128))
    left.stack.add_route(RouteEntry(FAR, 128, left.eth, GLOBAL_RIGHT))
    other = bytes.fromhex("20010db8000000000000000000000042")
    left.eth.receive(frame(ip_packet(other, FAR, 59, b"abc", 9)))
    environment.advance(SECOND)
    passed = [one for one in seen(left.link.frames) if one.destination == FAR]
    assert [(one.hop_limit, one.source, one.protocol) for one in passed] == [(8, other, 59)]
    assert left.stack.counters.ip6.ForwDatagrams == 1


@pytest.mark.parametrize(
    ("destination", "hop_limit", "payload", "kind", "code"),
    [
        (FAR, 1, b"", 3, 0),
        (FAR, 64, b"", 1, 0),
        (GLOBAL_RIGHT, 64, bytes(1461), 2, 0),
    ],
)
def test_what_cannot_be_forwarded_is_answered(destination, hop_limit, payload, kind, code):
    _environment, left, _right = forwarder()
    other = GLOBAL_LEFT[:15] + b"\x42"
    left.ip.neighbours.add_permanent(left.eth, other, b"\x02\0\0\0\0\x99")
    left.eth.receive(frame(ip_packet(other, destination, 59, payload, hop_limit)))
    (error,) = seen(left.link.frames)
    assert (error.kind, error.message[1], error.destination) == (kind, code, other)
    if kind == 2:
        assert error.message[4:8] == (1500).to_bytes(4, "big")


def test_forwarded_packets_leave_with_a_whole_checksum():
    environment, left, right = forwarder()
    right.stack.add_address(right.eth, with_no_dad(FAR, 128))
    left.stack.add_route(RouteEntry(FAR, 128, left.eth, GLOBAL_RIGHT))
    server = right.udp.new_endpoint(6)
    server.bind(Address(b"", 5000))
    other = bytes.fromhex("20010db8000000000000000000000042")
    datagram = bytes.fromhex("1388 1388 000d 0000") + b"hello"
    # As a link hands up what never left its machine: the sum is unfinished.
    left.eth.receive(frame(ip_packet(other, FAR, 17, datagram)), checksum_good=True)
    environment.advance(SECOND)
    assert server.receive().payload == b"hello"


@pytest.mark.parametrize(("gso_size", "gso_max", "kind"), [(1440, 65536, 6), (1441, 65536, 2)])
def test_large_packets_pass_to_links_that_cut_them(gso_size, gso_max, kind):
    environment, left, _right = forwarder()
    left.link.gso_max = gso_max
    left.link.sends_checksums = True
    left.ip.neighbours.add_permanent(left.eth, GLOBAL_RIGHT, b"\x02\0\0\0\0\x0b")
    other = GLOBAL_LEFT[:15] + b"\x42"
    left.ip.neighbours.add_permanent(left.eth, other, b"\x02\0\0\0\0\x99")
    segment = bytes(12) + b"\x50" + bytes(7) + bytes(5000)
    data = frame(ip_packet(other, GLOBAL_RIGHT, 6, segment))
    left.eth.receive(data, checksum_good=True, gso_size=gso_size)
    # The neighbours are told that they need no router, too.
    (sent,) = [one for one in left.link.frames if one[14 + 6] == 6 or one[54] != 137]
    assert sent[14 + 6] == 6 or sent[54] == kind
    assert (len(sent) == len(data)) == (kind == 6)
    environment.advance(SECOND)


def test_link_local_packets_are_not_forwarded():
    _environment, left, _right = forwarder()
    left.eth.receive(frame(ip_packet(FAR, RIGHT_LINK_LOCAL, 59, b"")))
    assert left.link.frames == []
    right_side = left.stack.add_interface("eth1", CaptureLink(1500, b"\x02\0\0\0\0\x77"))
    left.stack.set_up(right_side)
    left.stack.add_route(RouteEntry(FAR, 128, right_side, b""))
    left.ip.neighbours.add_permanent(left.eth, PEER, b"\x02\0\0\0\0\x99")
    left.eth.receive(frame(ip_packet(PEER, FAR, 59, b"")))
    (error,) = seen(left.link.frames)
    assert (error.kind, error.message[1]) == (1, 2)


def test_a_host_forwards_nothing():
    _environment, host = one_host()
    host.eth.receive(frame(ip_packet(PEER, FAR, 59, b"")))
    assert host.link.take() == []
    assert host.stack.counters.ip6.InAddrErrors == 1


@pytest.mark.parametrize(
    ("protocol", "payload", "code", "pointer"),
    [
        (254, b"", 1, 6),
        (60, b"\xfe\x00\x01\x04\0\0\0\0", 1, 40),
        (0, b"\x3a\x00\x80\x04\0\0\0\0", 2, 42),
        (43, b"\x3a\x00\x00\x01\0\0\0\0", 0, 42),
        (60, b"\x00\x00\x01\x04\0\0\0\0" + b"\x3a\x00\x01\x04\0\0\0\0", 1, 40),
    ],
)
def test_headers_that_nobody_knows_are_answered(protocol, payload, code, pointer):
    _environment, host = one_host()
    host.ip.neighbours.add_permanent(host.eth, PEER, b"\x02\0\0\0\0\x99")
    host.eth.receive(
        frame(ip_packet(PEER, LEFT_LINK_LOCAL, protocol, payload + b"\x80" + bytes(7)))
    )
    (error,) = seen(host.link.take())
    assert (error.kind, error.message[1]) == (4, code)
    assert int.from_bytes(error.message[4:8], "big") == pointer


def test_errors_are_limited_and_never_answer_errors():
    environment, host = one_host()
    host.ip.neighbours.add_permanent(host.eth, PEER, b"\x02\0\0\0\0\x99")
    bad = frame(ip_packet(PEER, LEFT_LINK_LOCAL, 254, b""))
    for _ in range(100):
        host.eth.receive(bad)
    assert len(host.link.take()) == 6
    environment.advance(SECOND)
    host.eth.receive(bad)
    assert len(host.link.take()) == 1
    environment.advance(60 * SECOND)
    # An unknown option in front of an ICMPv6 error: no answer.
    for kind in (1, 2, 3, 4, 137, 100):
        payload = b"\x3a\x00\x80\x04\0\0\0\0" + bytes((kind,)) + bytes(50)
        host.eth.receive(frame(ip_packet(PEER, LEFT_LINK_LOCAL, 60, payload)))
    assert host.link.take() == []


def test_datagrams_to_a_group_reach_members_here_and_there():
    environment, left, right = two_hosts()
    group = bytes.fromhex("ff020000000000000000000000001234")
    endpoints = []
    for host in (left, right):
        endpoint = host.udp.new_endpoint(6)
        endpoint.bind(Address(b"", 6000))
        endpoint.multicast_all = False
        endpoints.append(endpoint)
    endpoints[0].join_group(group, left.eth.index)
    endpoints[0].send(b"one", Address(group, 6000, left.eth.index))
    environment.advance(SECOND)
    assert endpoints[0].receive().payload == b"one"
    assert endpoints[1].receive() is None
    endpoints[1].join_group(group, right.eth.index)
    endpoints[0].multicast_loop = False
    endpoints[0].send(b"two", Address(group, 6000, left.eth.index))
    environment.advance(SECOND)
    assert endpoints[0].receive() is None
    datagram = endpoints[1].receive()
    assert (datagram.payload, datagram.ttl) == (b"two", 1)
    assert datagram.source.host == LEFT_LINK_LOCAL


def test_martians_are_dropped():
    _environment, host = one_host()
    ping = bytes((128, 0, 0, 0, 0, 0, 0, 0))
    mapped = bytes(10) + b"\xff\xff\x7f\0\0\1"
    for source, destination in [
        (LOOPBACK, LEFT_LINK_LOCAL),
        (PEER, LOOPBACK),
        (b"\xff\x02" + bytes(13) + b"\x01", LEFT_LINK_LOCAL),
        (mapped, LEFT_LINK_LOCAL),
        (PEER, b"\xff\x01" + bytes(13) + b"\x01"),
    ]:
        host.eth.receive(icmp_frame(source, destination, ping))
    assert host.link.take() == []
    assert host.stack.counters.ip6.InAddrErrors == 5


def test_a_wrong_checksum_is_counted():
    _environment, host = one_host()
    data = bytearray(icmp_frame(PEER, LEFT_LINK_LOCAL, bytes((128, 0, 0, 0, 0, 0, 0, 0))))
    data[-1] ^= 1
    host.eth.receive(bytes(data))
    assert host.stack.counters.icmp6.InCsumErrors == 1
    assert host.link.take() == []


def test_taking_the_interface_down_leaves_nothing():
    environment, left, _right = with_global_addresses()
    left.ping(GLOBAL_RIGHT)
    environment.advance(SECOND)
    left.stack.set_down(left.eth)
    assert left.eth.addresses == []
    assert not left.stack.is_local_address(GLOBAL_LEFT)
    assert [entry.interface for entry in routes(left) if entry.interface is left.eth] == []
    assert left.ip.addrconf.local_routes.keys() == {left.lo.addresses[-1]}
    left.up()
    environment.advance(5 * SECOND)
    assert left.hosts() == {LEFT_LINK_LOCAL}


def routes(host):
    return [entry for table in host.ip.routing.tables.values() for entry in table.entries()]


HEADER = st.sampled_from([0, 43, 44, 60, 58, 17, 59, 6])
EXTENSION = st.tuples(HEADER, st.integers(0, 3), st.binary(max_size=30))


@settings(max_examples=300, deadline=None)
@given(HEADER, st.lists(EXTENSION, max_size=4), st.binary(max_size=60), st.booleans())
def test_no_packet_raises(first, extensions, tail, to_group):
    _environment, host = FUZZED
    payload = b"".join(bytes((kind, size)) + body for kind, size, body in extensions) + tail
    destination = b"\xff\x02" + bytes(13) + b"\x01" if to_group else LEFT_LINK_LOCAL
    host.eth.receive(frame(ip_packet(PEER, destination, first, payload, 255)))
    assert len(host.link.take()) <= 2


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 143]),
    st.sampled_from([0, 0, 0, 1, 4]),
    st.binary(max_size=120),
    st.sampled_from([1, 255]),
    st.booleans(),
)
def test_no_message_raises(kind, code, body, hop_limit, to_group):
    environment, host = FUZZED
    destination = b"\xff\x02" + bytes(13) + b"\x01" if to_group else LEFT_LINK_LOCAL
    message = bytes((kind, code, 0, 0)) + body
    host.eth.receive(icmp_frame(PEER, destination, message, hop_limit))
    environment.advance(SECOND)
    host.link.take()


FUZZED = one_host()
