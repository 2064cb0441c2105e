"""ICMP: answers, errors that come and go, limits; ping and raw endpoints."""

import pytest

from netstack import errors
from netstack.datagram import PMTUDISC_DO
from netstack.endpoint import Address
from netstack.errors import NetError
from netstack.ping import PingEndpoint
from netstack.raw import RawEndpoint
from netstack.wire import checksum, icmp4, ipv4
from tests.unit.netstack.harness import SECOND, CaptureLink, Host, Pair, VirtualEnvironment, ip

OUR_MAC = b"\x02\x00\x00\x00\x00\x01"
PEER_MAC = b"\x02\x00\x00\x00\x00\x02"
HERE, THERE = ip("10.0.0.1"), ip("10.0.0.2")


def packet(protocol, body, source=THERE, destination=HERE, **more):
    header = ipv4.build(source, destination, protocol, len(body), more.pop("ttl", 64), **more)
    return OUR_MAC + PEER_MAC + b"\x08\x00" + header + body


def capture():
    host = Host(VirtualEnvironment(), CaptureLink(), HERE)
    host.stack.networks[4].neighbours.add_permanent(host.interface, THERE, PEER_MAC)
    host.link.take()
    return host


def test_echo_is_answered_with_the_same_data_byte_for_byte():
    host = capture()
    host.receive(packet(1, icmp4.build(8, 0, 0x12340001, b"abcdefg"), tos=0x10))
    (answer,) = host.link.take()
    assert answer[:14] == PEER_MAC + OUR_MAC + b"\x08\x00"
    assert answer[14:16] == b"\x45\x10"
    assert answer[26:34] == HERE + THERE
    assert answer[34:] == bytes.fromhex("00005c9d1234000161626364656667")
    assert checksum.checksum(answer[34:]) == 0
    assert host.stack.counters.icmp4.in_types == {8: 1}
    assert host.stack.counters.icmp4.out_types == {0: 1}


def test_bad_echoes_are_dropped():
    host = capture()
    good = icmp4.build(8, 0, 1, b"data")
    host.receive(packet(1, good[:-1] + b"x"))
    host.receive(packet(1, good[:7]))
    host.receive(packet(1, good, destination=ip("10.0.0.255")))
    host.receive(packet(1, good, source=ip("10.0.0.255")))
    assert host.link.take() == []
    assert host.stack.counters.icmp4.InCsumErrors == 1
    host.stack.settings.icmp_echo_ignore_all = True
    host.receive(packet(1, good))
    assert host.link.take() == []


def test_timestamp_is_answered():
    host = capture()
    host.receive(packet(1, icmp4.build(13, 0, 7, b"\0\0\0\1" + bytes(8))))
    (answer,) = host.link.take()
    assert answer[34] == 14
    assert answer[42:46] == b"\0\0\0\1"
    now = host.environment.realtime_ns() // 1_000_000 % 86_400_000
    assert answer[46:50] == answer[50:54] == now.to_bytes(4, "big")


def test_unknown_protocol_and_port_are_reported_with_the_packet_quoted():
    host = capture()
    strange = packet(99, bytes(600))
    host.receive(strange)
    (answer,) = host.link.take()
    assert (answer[34], answer[35]) == (3, 2)
    assert answer[15] == 0xC0
    assert answer[42:] == strange[14 : 14 + 548]
    assert host.stack.counters.ip4.InUnknownProtos == 1
    host.receive(packet(17, bytes.fromhex("0001000200080000")))
    (answer,) = host.link.take()
    assert (answer[34], answer[35]) == (3, 3)


def test_no_error_is_sent_about_errors_groups_and_later_fragments():
    host = capture()
    host.receive(packet(1, icmp4.build(3, 3, 0, packet(99, b"12345678")[14:])))
    host.receive(packet(99, b"x", destination=ip("10.0.0.255")))
    host.receive(packet(99, b"x", destination=ip("224.0.0.1")))
    host.receive(packet(99, b"12345678", fragment=1))
    assert host.link.take() == []


def test_errors_to_one_peer_and_to_all_are_limited():
    host = capture()
    for _ in range(20):
        host.receive(packet(99, b"x"))
    assert len(host.link.take()) == 6
    assert host.stack.counters.icmp4.OutRateLimitHost == 14
    host.environment.advance(2 * SECOND)
    for _ in range(20):
        host.receive(packet(99, b"x"))
    assert len(host.link.take()) == 2
    host.environment.advance(2 * SECOND)
    for number in range(3, 200):
        host.receive(packet(99, b"x", source=bytes((10, 0, 0, number))))
    assert host.stack.counters.icmp4.OutRateLimitGlobal == 197 - 50


def test_ping_endpoints_find_their_replies():
    pair = Pair()
    ping = pair.left.ping()
    other = pair.left.ping()
    other.bind(Address(b"", 77))
    assert ping.send(icmp4.build(8, 0, 5, b"hello"), Address(THERE, 0)) == 13
    pair.run()
    got = ping.receive()
    assert got.payload[0] == 0
    assert got.payload[4:] == ping.identifier.to_bytes(2, "big") + b"\0\5hello"
    assert got.source.host == THERE
    assert other.receive() is None
    for bad in (b"short", icmp4.build(0, 0, 5, b""), icmp4.build(8, 1, 5, b"")):
        with pytest.raises(NetError):
            ping.send(bad, Address(THERE, 0))
    rival = pair.left.ping()
    with pytest.raises(NetError):
        rival.bind(Address(b"", 77))
    other.close()
    rival.bind(Address(b"", 77))
    assert isinstance(rival, PingEndpoint)


def test_ping_to_nobody_reports_the_host():
    pair = Pair()
    ping = pair.left.ping()
    ping.receive_errors = True
    ping.send(icmp4.build(8, 0, 5, b""), Address(ip("10.0.0.99"), 0))
    pair.run(4 * SECOND)
    entry = ping.receive_error()
    assert (entry.code, entry.destination.host) == (errors.HOST_UNREACHABLE, ip("10.0.0.99"))


def test_raw_endpoints_see_the_whole_packet_and_filter():
    pair = Pair()
    raw = RawEndpoint(pair.right.stack, 4, 1)
    raw.icmp_filter = 1 << 13
    pair.left.ping().send(icmp4.build(8, 0, 5, b"hello"), Address(THERE, 0))
    pair.run()
    got = raw.receive()
    assert got.payload[:2] == b"\x45\x00"
    assert got.payload[20] == 8
    sender = RawEndpoint(pair.left.stack, 4, 1)
    sender.send(icmp4.build(13, 0, 5, bytes(12)), Address(THERE, 0))
    pair.run()
    assert raw.receive() is None
    assert sender.receive().payload[20] == 14
    raw.close()
    assert pair.right.stack.raw == {}


def test_header_included_is_sent_as_it_is_but_for_what_is_zero():
    pair = Pair()
    raw = RawEndpoint(pair.left.stack, 4, 255)
    listener = RawEndpoint(pair.right.stack, 4, 200)
    header = bytes.fromhex("45070000000000002ac800000000000000000000")
    raw.send(header[:16] + THERE + b"body", Address(THERE, 0))
    pair.run()
    got = listener.receive()
    assert (got.ttl, got.tos) == (42, 7)
    assert got.payload[12:] == HERE + THERE + b"body"
    for bad in (b"", b"\x45" + bytes(10), b"\x4f" + bytes(20)):
        with pytest.raises(NetError):
            raw.send(bad, Address(THERE, 0))


def needed(mtu, quoted):
    return packet(1, icmp4.build(3, 4, mtu, quoted))


def test_path_mtu_is_learnt_only_from_packets_that_were_ours():
    host = capture()
    client = host.udp.new_endpoint(4)
    client.connect(Address(THERE, 9))
    client.path_mtu_discovery = PMTUDISC_DO
    client.send(bytes(1400))
    sent = host.link.take()[0][14:]
    forged = sent[:20] + b"\1\1" + sent[22:]
    host.receive(needed(1000, forged[:28]))
    assert host.stack.find_route(THERE).mtu == 1500
    host.receive(needed(2000, sent[:28]))
    assert host.stack.find_route(THERE).mtu == 1500
    host.receive(needed(1000, sent[:28]))
    assert host.stack.find_route(THERE).mtu == 1000
    with pytest.raises(NetError) as caught:
        client.receive()
    assert caught.value.code == errors.MESSAGE_TOO_LONG
    with pytest.raises(NetError):
        client.send(bytes(1400))
    host.receive(needed(0, sent[:28]))
    assert host.stack.find_route(THERE).mtu == 576
    host.receive(needed(70, sent[:28]))
    assert host.stack.find_route(THERE).mtu == 552


def test_unreachables_mean_what_icmp_7_says():
    host = capture()
    client = host.udp.new_endpoint(4)
    client.connect(Address(THERE, 9))
    expected = {2: errors.NO_PROTOCOL, 3: errors.CONNECTION_REFUSED, 13: errors.HOST_UNREACHABLE}
    for code in range(16):
        client.send(b"x")
        sent = host.link.take()[0][14:]
        host.receive(packet(1, icmp4.build(3, code, 0, sent[:28])))
        wanted = expected.get(code, {6: 3, 7: 28, 8: 29, 9: 3, 10: 4, 14: 4, 15: 4}.get(code, 0))
        if code != 4:
            assert client.take_error() == wanted
        client.take_error()
    client.send(b"x")
    sent = host.link.take()[0][14:]
    host.receive(packet(1, icmp4.build(11, 0, 0, sent[:28])))
    assert client.take_error() == 0  # not final, and nobody asked
    client.receive_errors = True
    host.receive(packet(1, icmp4.build(11, 0, 0, sent[:28])))
    assert client.receive_error().icmp_type == 11


def test_reassembly_that_never_ends_is_reported():
    host = capture()
    host.receive(packet(17, bytes(64), fragment=0x2000))
    host.environment.advance(31 * SECOND)
    (answer,) = host.link.take()
    assert (answer[34], answer[35]) == (11, 1)
    assert host.stack.counters.ip4.ReasmTimeout == 1
