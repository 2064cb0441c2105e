"""IGMP reports (RFC 3376, RFC 2236) and packet endpoints."""

from netstack.endpoint import Address
from netstack.wire import igmp
from netstack.wire.checksum import checksum
from tests.unit.netstack.harness import SECOND, ip
from tests.unit.netstack.test_icmp4 import capture, packet

GROUP = ip("239.1.2.3")


def messages(host):
    """Return destination and message of all that was sent."""
    found = []
    for frame in host.link.take():
        assert frame[14] == 0x46
        assert frame[22:24] == b"\x01\x02"  # TTL 1, IGMP
        assert frame[34:38] == b"\x94\x04\x00\x00"
        assert checksum(frame[38:]) == 0
        found.append((frame[30:34], frame[38:]))
    return found


def member(host):
    endpoint = host.udp.new_endpoint(4)
    endpoint.join_group(GROUP, host.interface.index)
    return endpoint


def test_joining_and_leaving_is_told_twice_in_version_3():
    host = capture()
    endpoint = member(host)
    report = bytes.fromhex("2200e8f90000000104000000ef010203")
    assert messages(host) == [(igmp.V3_ROUTERS, report)]
    host.environment.advance(2 * SECOND)
    assert messages(host) == [(igmp.V3_ROUTERS, report)]
    host.environment.advance(20 * SECOND)
    assert messages(host) == []
    endpoint.block_source(GROUP, ip("10.0.0.9"), host.interface.index)
    ((_, message),) = messages(host)
    assert message[8:] == bytes.fromhex("06000001ef0102030a000009")
    endpoint.close()
    ((_, message),) = messages(host)
    assert message[8:16] == bytes.fromhex("03000000ef010203")
    assert host.interface.groups == {}


def test_joining_one_source_is_one_change():
    host = capture()
    endpoint = host.udp.new_endpoint(4)
    endpoint.join_source(GROUP, ip("10.0.0.9"), host.interface.index)
    ((_, message),) = messages(host)
    assert message[8:] == bytes.fromhex("05000001ef0102030a000009")
    endpoint.leave_source(GROUP, ip("10.0.0.9"), host.interface.index)
    assert host.interface.groups == {}


def test_a_second_member_says_nothing_new():
    host = capture()
    member(host)
    host.environment.advance(5 * SECOND)
    host.link.take()
    other = member(host)
    other.close()
    assert messages(host) == []


def test_queries_are_answered_within_their_time():
    host = capture()
    member(host)
    host.environment.advance(5 * SECOND)
    host.link.take()
    query = bytes.fromhex("110a0000000000000002007d")
    query = query[:2] + ((-checksum(query)) % 65535).to_bytes(2, "big") + query[4:]
    host.receive(packet(2, query, destination=ip("224.0.0.1"), options=b"\x94\x04\0\0"))
    assert messages(host) == []
    host.environment.advance(SECOND)
    ((destination, message),) = messages(host)
    assert destination == igmp.V3_ROUTERS
    assert message[8:] == bytes.fromhex("02000000ef010203")


def test_an_older_querier_makes_us_speak_its_version():
    host = capture()
    endpoint = member(host)
    host.environment.advance(5 * SECOND)
    host.link.take()
    query = igmp.build(0x11, bytes(4))
    query = igmp.build(0x11, bytes(4))[:1] + b"\x14" + query[2:]
    query = query[:2] + b"\0\0" + query[4:]
    query = query[:2] + ((-checksum(query)) % 65535).to_bytes(2, "big") + query[4:]
    host.receive(packet(2, query, destination=ip("224.0.0.1")))
    host.environment.advance(2 * SECOND)
    assert messages(host) == [(GROUP, igmp.build(igmp.V2_REPORT, GROUP))]
    endpoint.close()
    assert messages(host) == [(igmp.ALL_ROUTERS, igmp.build(igmp.LEAVE, GROUP))]
    host.environment.advance(500 * SECOND)
    member(host)
    assert messages(host)[0][0] == igmp.V3_ROUTERS


def test_times_and_addresses_on_the_wire():
    assert [igmp.decode_time(n) for n in (0, 127, 128, 255)] == [0, 127, 128, 31744]
    assert Address(GROUP, 1) == Address(ip("239.1.2.3"), 1)
