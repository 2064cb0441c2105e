"""Routing tables and rules, and what they make of destinations."""

import pytest

from netstack import errors
from netstack.errors import NetError
from netstack.interface import InterfaceAddress
from netstack.route import (
    BLACKHOLE,
    LOCAL,
    PROHIBIT,
    THROW,
    UNREACHABLE,
    RouteEntry,
    Rule,
    in_prefix,
    masked,
)
from tests.unit.netstack.harness import CaptureLink, Host, VirtualEnvironment, ip


def host_with_two_interfaces():
    host = Host(VirtualEnvironment(), CaptureLink(), ip("10.0.0.1"))
    second = host.stack.add_interface("eth1", CaptureLink(address=b"\x02\0\0\0\0\x09"))
    host.stack.set_up(second)
    host.stack.add_address(second, InterfaceAddress(ip("192.168.7.1"), 16))
    return host, second


def route(host, prefix, length, interface, gateway="", kind=1, metric=0, table=254):
    entry = RouteEntry(ip(prefix), length, interface, ip(gateway) if gateway else b"")
    entry.kind, entry.metric, entry.table = kind, metric, table
    host.stack.add_route(entry)
    return entry


def fails(code, call, *arguments):
    with pytest.raises(NetError) as caught:
        call(*arguments)
    assert caught.value.code == code


def test_masks():
    assert masked(ip("10.1.2.3"), 0) == ip("0.0.0.0")
    assert masked(ip("10.1.2.255"), 25) == ip("10.1.2.128")
    assert masked(ip("10.1.2.3"), 32) == ip("10.1.2.3")
    assert in_prefix(ip("10.1.2.3"), ip("10.1.0.0"), 16)
    assert not in_prefix(ip("10.2.2.3"), ip("10.1.0.0"), 16)
    assert not in_prefix(bytes(16), ip("0.0.0.0"), 1)


def test_longest_prefix_then_lowest_metric():
    host, second = host_with_two_interfaces()
    route(host, "0.0.0.0", 0, host.interface, "10.0.0.254")
    slow = route(host, "172.16.0.0", 12, second, "192.168.0.2", metric=20)
    fast = route(host, "172.16.0.0", 12, second, "192.168.0.1", metric=10)
    assert host.stack.find_route(ip("8.8.8.8")).next_hop == ip("10.0.0.254")
    found = host.stack.find_route(ip("172.20.0.1"))
    assert (found.next_hop, found.source) == (ip("192.168.0.1"), ip("192.168.7.1"))
    host.stack.remove_route(fast)
    assert host.stack.is_stale(found)
    assert host.stack.find_route(ip("172.20.0.1")).next_hop == ip("192.168.0.2")
    fails(errors.EXISTS, host.stack.add_route, slow)
    host.stack.remove_route(slow)
    fails(errors.NOT_FOUND, host.stack.remove_route, slow)
    on_link = host.stack.find_route(ip("192.168.200.200"))
    assert (on_link.next_hop, on_link.interface) == (ip("192.168.200.200"), second)


def test_own_addresses_go_through_the_loopback():
    host, second = host_with_two_interfaces()
    found = host.stack.find_route(ip("192.168.7.1"))
    assert (found.kind, found.interface) == (LOCAL, host.stack.loopback)
    assert found.source == ip("192.168.7.1")
    assert host.stack.find_route(ip("127.9.9.9")).source == ip("127.0.0.1")
    assert host.stack.is_local_address(ip("127.9.9.9"))
    assert not host.stack.is_local_address(ip("192.168.7.2"))
    host.stack.set_down(second)
    assert not host.stack.is_local_address(ip("192.168.7.1"))
    host.stack.set_up(second)
    assert host.stack.is_local_address(ip("192.168.7.1"))


def test_routes_that_lead_nowhere():
    host, _ = host_with_two_interfaces()
    for number, (kind, code) in enumerate(
        (
            (BLACKHOLE, errors.INVALID),
            (UNREACHABLE, errors.HOST_UNREACHABLE),
            (PROHIBIT, errors.ACCESS),
        )
    ):
        route(host, f"172.1{number}.0.0", 16, None, kind=kind)
        fails(code, host.stack.find_route, ip(f"172.1{number}.1.1"))
    fails(errors.NETWORK_UNREACHABLE, host.stack.find_route, ip("8.8.8.8"))
    fails(errors.NO_SUCH_DEVICE, host.stack.find_route, ip("10.0.0.2"), b"", 77)


def test_rules_choose_the_table():
    host, second = host_with_two_interfaces()
    route(host, "0.0.0.0", 0, host.interface, "10.0.0.254")
    route(host, "0.0.0.0", 0, second, "192.168.0.1", table=100)
    route(host, "9.9.9.9", 32, None, kind=THROW, table=100)
    rule = Rule(1000, 100)
    rule.mark, rule.mark_mask = 5, 0xFF
    host.stack.networks[4].routing.add_rule(rule)
    by_source = Rule(1001, 100)
    by_source.source, by_source.source_length = ip("192.168.0.0"), 16
    host.stack.networks[4].routing.add_rule(by_source)
    host.stack.changed()
    find = host.stack.find_route
    assert find(ip("8.8.8.8")).interface is host.interface
    assert find(ip("8.8.8.8"), b"", 0, 5).interface is second
    assert find(ip("8.8.8.8"), ip("192.168.7.1")).interface is second
    assert find(ip("9.9.9.9"), b"", 0, 5).interface is host.interface
    # A device limits the choice.
    assert find(ip("10.0.0.5"), b"", host.interface.index).interface is host.interface
    fails(errors.NETWORK_UNREACHABLE, find, ip("10.0.0.5"), b"", second.index)


def test_addresses_of_one_network_share_its_route():
    host, _ = host_with_two_interfaces()
    more = InterfaceAddress(ip("10.0.0.9"), 24)
    host.stack.settings.promote_secondaries = True
    host.stack.add_address(host.interface, more)
    fails(errors.EXISTS, host.stack.add_address, host.interface, more)
    table = host.stack.networks[4].routing.tables[254]
    assert len([e for e in table.entries() if e.prefix == ip("10.0.0.0")]) == 1
    host.stack.remove_address(host.interface, host.interface.addresses[0])
    assert host.stack.find_route(ip("10.0.0.7")).source == ip("10.0.0.9")
    host.stack.remove_address(host.interface, more)
    fails(errors.NETWORK_UNREACHABLE, host.stack.find_route, ip("10.0.0.7"))
    fails(errors.ADDRESS_NOT_AVAILABLE, host.stack.remove_address, host.interface, more)
    assert not host.stack.is_local_address(ip("10.0.0.9"))


def test_path_mtu_is_kept_for_a_while():
    host, _ = host_with_two_interfaces()
    old = host.stack.find_route(ip("10.0.0.2"))
    assert old.mtu == 1500
    host.stack.note_path_mtu(ip("10.0.0.2"), 1400)
    assert host.stack.is_stale(old)
    assert host.stack.find_route(ip("10.0.0.2")).mtu == 1400
    host.environment.advance(601 * 10**9)
    assert host.stack.find_route(ip("10.0.0.2")).mtu == 1500
    for number in range(3000):
        host.stack.note_path_mtu(number.to_bytes(4, "big"), 1400)
    assert len(host.stack._path_mtus) == 1024
