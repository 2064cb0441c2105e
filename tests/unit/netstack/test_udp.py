"""UDP endpoints on two stacks that are joined by a wire, and on one by its loopback."""

import pytest

from netstack import errors
from netstack.datagram import ORIGIN_ICMP, PMTUDISC_DO, SendOptions
from netstack.endpoint import EVENT_ERR, EVENT_IN, EVENT_OUT, Address
from netstack.errors import NetError
from netstack.wire import ipv4
from tests.unit.netstack.harness import (
    SECOND,
    CaptureLink,
    Host,
    Pair,
    RecordingListener,
    VirtualEnvironment,
    ip,
)


def fails(code, call, *arguments):
    with pytest.raises(NetError) as caught:
        call(*arguments)
    assert caught.value.code == code


def bound(host, port, address=b"", version=4):
    endpoint = host.udp.new_endpoint(version)
    endpoint.bind(Address(address, port))
    return endpoint


def test_datagrams_go_both_ways_with_all_that_is_known_of_them():
    pair = Pair()
    server = bound(pair.right, 53)
    client = pair.left.udp.new_endpoint(4)
    options = SendOptions()
    options.ttl, options.tos = 9, 0x28
    assert client.send(b"question", Address(ip("10.0.0.2"), 53), options) == 8
    pair.run()
    got = server.receive()
    assert got.payload == b"question"
    assert got.source == Address(ip("10.0.0.1"), client.local_address().port)
    assert got.destination == ip("10.0.0.2")
    assert (got.ttl, got.tos) == (9, 0x28)
    assert got.interface_index == pair.right.interface.index
    assert got.time_ns > 0
    server.send(b"answer", got.source)
    pair.run()
    assert client.receive().payload == b"answer"
    assert client.receive() is None
    assert pair.left.stack.counters.udp4.OutDatagrams == 1
    assert pair.left.stack.counters.udp4.InDatagrams == 1


def test_loopback_delivers_after_the_call_and_flush_delivers_at_once():
    host = Host(VirtualEnvironment(), CaptureLink(), ip("10.0.0.1"))
    server = bound(host, 7, ip("127.0.0.1"))
    listener = RecordingListener()
    server.listener = listener
    client = host.udp.new_endpoint(4)
    client.connect(Address(b"", 7))  # the unspecified address is this host
    assert client.remote.host == ip("127.0.0.1")
    client.send(b"x")
    assert listener.events == []
    host.stack.flush()
    assert listener.events == [EVENT_IN]
    assert server.receive(peek=True).payload == b"x"
    assert server.next_size() == 1
    assert server.receive().source.host == ip("127.0.0.1")
    # Another of the host's addresses comes back the same way.
    other = bound(host, 8)
    client.send(b"y", Address(ip("10.0.0.1"), 8))
    host.environment.advance(10)
    assert other.receive().destination == ip("10.0.0.1")
    assert host.link.frames == host.link.frames[:1]  # nothing but the announcement of the address


def test_connected_endpoint_hears_only_its_peer_and_its_refusal():
    pair = Pair()
    client = pair.left.udp.new_endpoint(4)
    listener = RecordingListener()
    client.listener = listener
    client.connect(Address(ip("10.0.0.2"), 9999))
    stranger = bound(pair.right, 1)
    stranger.send(b"no", client.local_address())
    pair.run()
    assert client.receive() is None
    assert pair.left.stack.counters.udp4.NoPorts == 1
    client.send(b"hello")
    pair.run()
    assert listener.events[-1] & EVENT_ERR
    assert client.readiness() & EVENT_ERR
    fails(errors.CONNECTION_REFUSED, client.receive)
    assert client.receive() is None


def test_unconnected_endpoint_is_told_of_errors_only_by_its_error_queue():
    pair = Pair()
    client = pair.left.udp.new_endpoint(4)
    client.send(b"hello", Address(ip("10.0.0.2"), 9999))
    pair.run()
    assert client.receive() is None
    client.receive_errors = True
    client.send(b"hello", Address(ip("10.0.0.2"), 9999))
    pair.run()
    entry = client.receive_error()
    assert entry.code == errors.CONNECTION_REFUSED
    assert (entry.origin, entry.icmp_type, entry.icmp_code) == (ORIGIN_ICMP, 3, 3)
    assert entry.offender == ip("10.0.0.2")
    assert entry.destination == Address(ip("10.0.0.2"), 9999)
    assert entry.payload == b"hello"
    assert client.receive_error() is None


def test_host_that_does_not_answer_is_unreachable():
    pair = Pair()
    client = pair.left.udp.new_endpoint(4)
    client.connect(Address(ip("10.0.0.77"), 1))
    client.receive_errors = True
    client.send(b"x")
    pair.run(4 * SECOND)
    fails(errors.HOST_UNREACHABLE, client.receive)
    assert client.receive_error().code == errors.HOST_UNREACHABLE
    assert len(pair.wire_left.frames) == 3  # ARP requests


def test_large_datagrams_are_fragmented_unless_forbidden():
    pair = Pair()
    server = bound(pair.right, 5)
    client = pair.left.udp.new_endpoint(4)
    payload = bytes(range(256)) * 255
    assert client.send(payload, Address(ip("10.0.0.2"), 5)) == len(payload)
    pair.run()
    assert server.receive().payload == payload
    assert pair.right.stack.counters.ip4.ReasmOKs == 1
    assert pair.left.stack.counters.ip4.FragCreates == 45
    flags = [frame[20:22] for frame in pair.wire_left.frames if frame[12:14] == b"\x08\0"]
    assert flags[0] == b"\x20\0"
    client.send(b"small", Address(ip("10.0.0.2"), 5))
    pair.run()
    assert pair.wire_left.frames[-1][20:22] == b"\x40\0"  # WANT: do not fragment, if it fits
    client.path_mtu_discovery = PMTUDISC_DO
    fails(errors.MESSAGE_TOO_LONG, client.send, payload, Address(ip("10.0.0.2"), 5))
    fails(errors.MESSAGE_TOO_LONG, client.send, bytes(65508), Address(ip("10.0.0.2"), 5))


def test_receive_buffer_is_bounded_by_bytes():
    pair = Pair()
    server = bound(pair.right, 5)
    server.receive_limit = 4096
    client = pair.left.udp.new_endpoint(4)
    for _ in range(10):
        client.send(bytes(1000), Address(ip("10.0.0.2"), 5))
    pair.run()
    taken = 0
    while server.receive() is not None:
        taken += 1
    assert taken == 2
    assert server.dropped == 8
    assert pair.right.stack.counters.udp4.RcvbufErrors == 8
    assert server.queued_bytes() == 0


def test_broadcast_needs_permission_and_reaches_everybody():
    pair = Pair()
    first = pair.right.udp.new_endpoint(4)
    first.reuse_address = True
    first.bind(Address(b"", 67))
    second = pair.right.udp.new_endpoint(4)
    second.reuse_address = True
    second.bind(Address(b"", 67))
    client = pair.left.udp.new_endpoint(4)
    fails(errors.ACCESS, client.send, b"x", Address(ip("10.0.0.255"), 67))
    client.broadcast = True
    client.send(b"x", Address(ip("10.0.0.255"), 67))
    pair.run()
    assert first.receive().destination == ip("10.0.0.255")
    assert second.receive().payload == b"x"
    fails(errors.NETWORK_UNREACHABLE, client.send, b"x", Address(ip("255.255.255.255"), 67))
    options = SendOptions()
    options.interface_index = pair.left.interface.index
    client.send(b"y", Address(ip("255.255.255.255"), 67), options)
    pair.run()
    assert first.receive().destination == ip("255.255.255.255")


def test_reuse_port_spreads_and_reuse_address_takes_the_last():
    pair = Pair()
    group = []
    for _ in range(4):
        endpoint = pair.right.udp.new_endpoint(4)
        endpoint.reuse_port = True
        endpoint.bind(Address(b"", 99))
        group.append(endpoint)
    intruder = pair.right.udp.new_endpoint(4)
    intruder.reuse_port = True
    intruder.user = 1000
    fails(errors.ADDRESS_IN_USE, intruder.bind, Address(b"", 99))
    for _ in range(64):
        client = pair.left.udp.new_endpoint(4)
        client.send(b"x", Address(ip("10.0.0.2"), 99))
        client.close()
    pair.run()
    counts = []
    for endpoint in group:
        counts.append(0)
        while endpoint.receive() is not None:
            counts[-1] += 1
    assert sum(counts) == 64
    assert min(counts) > 4


def test_no_room_at_the_link_is_would_block():
    link = CaptureLink()
    host = Host(VirtualEnvironment(), link, ip("10.0.0.1"))
    host.stack.networks[4].neighbours.add_permanent(host.interface, ip("10.0.0.2"), b"\x02" * 6)
    client = host.udp.new_endpoint(4)
    listener = RecordingListener()
    client.listener = listener
    link.has_room = False
    assert client.send(b"x", Address(ip("10.0.0.2"), 1)) is None
    assert not client.readiness() & EVENT_OUT
    link.has_room = True
    host.interface.on_room()
    assert listener.events == [EVENT_OUT]
    assert client.send(b"x", Address(ip("10.0.0.2"), 1)) == 1


def test_multicast_by_membership_and_source():
    pair = Pair()
    group = ip("239.1.2.3")
    server = bound(pair.right, 5000)
    server.multicast_all = False
    other = pair.right.udp.new_endpoint(4)
    other.reuse_address = True
    client = pair.left.udp.new_endpoint(4)
    client.multicast_interface = pair.left.interface.index
    client.send(b"1", Address(group, 5000))
    pair.run()
    assert server.receive() is None
    server.join_group(group, pair.right.interface.index)
    fails(errors.ADDRESS_IN_USE, server.join_group, group, pair.right.interface.index)
    client.send(b"2", Address(group, 5000))
    pair.run()
    got = server.receive()
    assert (got.payload, got.ttl, got.destination) == (b"2", 1, group)
    server.block_source(group, ip("10.0.0.1"), pair.right.interface.index)
    client.send(b"3", Address(group, 5000))
    pair.run()
    assert server.receive() is None
    server.leave_group(group, pair.right.interface.index)
    server.join_source(group, ip("10.0.0.1"), pair.right.interface.index)
    client.send(b"4", Address(group, 5000))
    pair.run()
    assert server.receive().payload == b"4"
    server.close()
    assert pair.right.interface.groups == {}


def test_multicast_loops_back_to_members_on_this_host():
    pair = Pair()
    group = ip("239.9.9.9")
    here = bound(pair.left, 5000)
    here.join_group(group, pair.left.interface.index)
    client = pair.left.udp.new_endpoint(4)
    client.multicast_interface = pair.left.interface.index
    client.multicast_ttl = 0
    pair.run(5 * SECOND)
    pair.wire_left.frames.clear()
    client.send(b"self", Address(group, 5000))
    pair.run()
    assert here.receive().payload == b"self"
    assert pair.wire_left.frames == []
    client.multicast_loop = False
    client.multicast_ttl = 3
    client.send(b"out", Address(group, 5000))
    pair.run()
    assert here.receive() is None
    assert len(pair.wire_left.frames) == 1


def test_disconnect_forgets_what_was_not_bound():
    pair = Pair()
    client = pair.left.udp.new_endpoint(4)
    client.connect(Address(ip("10.0.0.2"), 1))
    assert client.local_address().host == ip("10.0.0.1")
    client.disconnect()
    assert client.local_address() == Address(b"", 0)
    fails(errors.NOT_CONNECTED, client.send, b"x")
    kept = bound(pair.left, 7000, ip("10.0.0.1"))
    kept.connect(Address(ip("10.0.0.2"), 1))
    kept.disconnect()
    assert kept.local_address() == Address(ip("10.0.0.1"), 7000)


def test_a_failed_connect_changes_nothing_and_a_port_nobody_asked_for_is_given_back():
    pair = Pair()
    client = pair.left.udp.new_endpoint(4)
    client.connect(Address(ip("10.0.0.2"), 1))
    fails(errors.NETWORK_UNREACHABLE, client.connect, Address(ip("8.8.8.8"), 1))
    assert client.remote == Address(ip("10.0.0.2"), 1)
    # The address is taken, the others of the port are free.
    port = client.local_address().port
    bound(pair.left, port, ip("127.0.0.1")).close()
    rival = pair.left.udp.new_endpoint(4)
    fails(errors.ADDRESS_IN_USE, rival.bind, Address(b"", port))
    here = bound(pair.left, 0, ip("10.0.0.1"))
    here.connect(Address(ip("10.0.0.2"), 1))
    here.disconnect()
    assert here.local_address() == Address(ip("10.0.0.1"), 0)
    for endpoint in (client, rival, here):
        endpoint.close()
    assert pair.left.udp.by_port == {}
    assert pair.left.udp.flows == {}
    assert pair.left.udp.ports.bindings == {}


def test_options_go_out_with_each_packet():
    pair = Pair()
    server = bound(pair.right, 5)
    client = pair.left.udp.new_endpoint(4)
    for bad in (bytes(41), b"\x44\x09\0", b"\x83\x03\x04"):
        fails(errors.INVALID, client.set_ipv4_options, bad)
    client.set_ipv4_options(b"\x94\x04\0\0\x01")
    client.send(bytes(2000), Address(ip("10.0.0.2"), 5))
    pair.run()
    assert server.receive().options == b"\x94\x04\0\0\x01\0\0\0"


def test_path_mtu_of_a_connected_endpoint():
    pair = Pair(mtu=1280)
    client = pair.left.udp.new_endpoint(4)
    fails(errors.NOT_CONNECTED, client.path_mtu)
    client.connect(Address(ip("10.0.0.2"), 1))
    assert client.path_mtu() == 1280
    pair.left.stack.set_mtu(pair.left.interface, 576)
    assert client.path_mtu() == 576


def test_an_endpoint_of_one_interface_hears_only_that():
    pair = Pair()
    server = bound(pair.right, 5)
    server.set_interface(pair.right.stack.loopback.index)
    client = pair.left.udp.new_endpoint(4)
    client.send(b"x", Address(ip("10.0.0.2"), 5))
    pair.run()
    assert server.receive() is None
    server.set_interface(pair.right.interface.index)
    client.send(b"y", Address(ip("10.0.0.2"), 5))
    pair.run()
    assert server.receive().payload == b"y"


def test_bad_checksums_and_lengths_are_counted():
    host = Host(VirtualEnvironment(), CaptureLink(), ip("10.0.0.1"))
    server = bound(host, 9)
    good = ipv4.build(ip("10.0.0.2"), ip("10.0.0.1"), 17, 12, 64)
    for body, wanted in (
        ("0001000900000c00", "short"),
        ("00010009000c123474657374", "checksum"),
        ("00010009000d000074657374", "length"),
        ("000100090007000074657374", "length"),
        ("00010009000c03f074657374", "good"),
        ("00010009000c000074657374", "good"),
    ):
        data = bytes.fromhex(body)
        header = good if len(data) == 12 else ipv4.build(good[12:16], good[16:20], 17, 7, 64)
        data = data if len(data) == 12 else data[:7]
        host.receive(b"\x02\0\0\0\0\x01" + bytes(6) + b"\x08\0" + header + data)
        got = server.receive()
        assert (got is not None and got.payload == b"test") == (wanted == "good"), body
    counters = host.stack.counters.udp4
    assert (counters.InErrors, counters.InCsumErrors, counters.InDatagrams) == (4, 1, 2)


def test_dual_stack_endpoint_takes_ipv4_unless_told_not_to():
    pair = Pair()
    server = bound(pair.right, 5, version=6)
    client = pair.left.udp.new_endpoint(4)
    client.send(b"x", Address(ip("10.0.0.2"), 5))
    pair.run()
    assert server.receive().source.host == ip("10.0.0.1")
    rival = pair.right.udp.new_endpoint(4)
    fails(errors.ADDRESS_IN_USE, rival.bind, Address(b"", 5))
    server.close()
    only = pair.right.udp.new_endpoint(6)
    only.only_v6 = True
    only.bind(Address(b"", 5))
    rival.bind(Address(b"", 5))
    client.send(b"y", Address(ip("10.0.0.2"), 5))
    pair.run()
    assert only.receive() is None
    assert rival.receive().payload == b"y"
    fails(errors.FAMILY, only.send, b"z", Address(ip("10.0.0.1"), 5))


def test_binding_to_a_strange_address_fails_unless_free():
    pair = Pair()
    endpoint = pair.left.udp.new_endpoint(4)
    fails(errors.ADDRESS_NOT_AVAILABLE, endpoint.bind, Address(ip("10.9.9.9"), 1))
    assert endpoint.local_address() == Address(b"", 0)
    endpoint.free_bind = True
    endpoint.bind(Address(ip("10.9.9.9"), 1))
    fails(errors.INVALID, endpoint.bind, Address(b"", 2))


def test_corked_pieces_make_one_datagram():
    pair = Pair()
    server = bound(pair.right, 5)
    client = pair.left.udp.new_endpoint(4)
    client.corked = True
    client.send(b"one ", Address(ip("10.0.0.2"), 5))
    client.send(b"two")
    pair.run()
    assert server.receive() is None
    client.corked = False
    assert client.push()
    pair.run()
    assert server.receive().payload == b"one two"
