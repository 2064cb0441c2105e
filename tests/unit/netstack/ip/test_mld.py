"""MLD: what routers are told of groups, by version 2 and by version 1."""

import pytest

from netstack.multicast import change, join, leave
from netstack.wire import mld
from netstack.wire.address6 import (
    ALL_MLD2_ROUTERS,
    ALL_NODES,
    ALL_ROUTERS,
    UNSPECIFIED,
    solicited_node,
)
from tests.unit.netstack.harness import SECOND
from tests.unit.netstack.world6 import LEFT_LINK_LOCAL, PEER, icmp_frame, one_host, seen

GROUP = bytes.fromhex("ff020000000000000000000000001234")
WIDE = bytes.fromhex("ff0e0000000000000000000000005678")
ONE = bytes.fromhex("20010db8000000000000000000000001")
TWO = bytes.fromhex("20010db8000000000000000000000002")
ALERT = b"\x00\x05\x02\x00\x00\x01\x00"


def quiet_host():
    environment, host = one_host()
    environment.advance(20 * SECOND)
    host.link.take()
    return environment, host


def reports(host):
    found = []
    for one in seen(host.link.take()):
        assert one.kind in (131, 132, 143)
        assert (one.hop_limit, one.router_alert, one.source) == (1, 0, LEFT_LINK_LOCAL)
        if one.kind == 143:
            assert one.destination == ALL_MLD2_ROUTERS
            found += [
                (record.kind, record.group, record.sources)
                for record in mld.parse_report(one.message)
            ]
        else:
            found.append((one.kind, one.destination, one.message[8:24]))
    return found


def query(group=UNSPECIFIED, *, sources=(), delay=1000, version=2, hop_limit=1, source=PEER):
    message = bytes((130, 0, 0, 0)) + delay.to_bytes(2, "big") + bytes(2) + group
    if version == 2:
        message += bytes((2, 125)) + len(sources).to_bytes(2, "big") + b"".join(sources)
    destination = ALL_NODES if group == UNSPECIFIED else group
    return icmp_frame(source, destination, message, hop_limit, b"" if hop_limit == 255 else ALERT)


def test_joining_and_leaving_is_told_twice():
    environment, host = quiet_host()
    membership = join(host.eth, GROUP)
    assert reports(host) == [(mld.CHANGE_TO_EXCLUDE, GROUP, [])]
    environment.advance(SECOND)
    assert reports(host) == [(mld.CHANGE_TO_EXCLUDE, GROUP, [])]
    environment.advance(100 * SECOND)
    assert reports(host) == []
    leave(membership)
    assert reports(host) == [(mld.CHANGE_TO_INCLUDE, GROUP, [])]
    environment.advance(10 * SECOND)
    assert reports(host) == [(mld.CHANGE_TO_INCLUDE, GROUP, [])]
    assert GROUP not in host.ip.mld.state_of(host.eth).reporters


def test_sources_are_told_as_they_change():
    environment, host = quiet_host()
    membership = join(host.eth, WIDE, is_exclude=False, sources=frozenset([ONE]))
    environment.advance(10 * SECOND)
    assert reports(host) == [(mld.ALLOW_NEW_SOURCES, WIDE, [ONE])] * 2
    change(membership, False, frozenset([TWO]))
    environment.advance(10 * SECOND)
    assert (
        reports(host)
        == [
            (mld.ALLOW_NEW_SOURCES, WIDE, [TWO]),
            (mld.BLOCK_OLD_SOURCES, WIDE, [ONE]),
        ]
        * 2
    )
    change(membership, True, frozenset([ONE]))
    environment.advance(10 * SECOND)
    assert reports(host) == [(mld.CHANGE_TO_EXCLUDE, WIDE, [ONE])] * 2
    change(membership, True, frozenset())
    environment.advance(10 * SECOND)
    assert reports(host) == [(mld.ALLOW_NEW_SOURCES, WIDE, [ONE])] * 2


def test_a_general_query_is_answered_with_all_groups_in_time():
    environment, host = quiet_host()
    join(host.eth, GROUP)
    environment.advance(10 * SECOND)
    host.link.take()
    host.eth.receive(query())
    assert reports(host) == []
    environment.advance(SECOND)
    own = solicited_node(LEFT_LINK_LOCAL)
    assert sorted(reports(host)) == sorted(
        [(mld.MODE_IS_EXCLUDE, GROUP, []), (mld.MODE_IS_EXCLUDE, own, [])]
    )


def test_a_query_about_a_group_and_sources():
    environment, host = quiet_host()
    join(host.eth, WIDE, is_exclude=False, sources=frozenset([ONE]))
    environment.advance(10 * SECOND)
    host.link.take()
    host.eth.receive(query(WIDE, sources=[ONE, TWO]))
    environment.advance(SECOND)
    assert reports(host) == [(mld.MODE_IS_INCLUDE, WIDE, [ONE])]
    host.eth.receive(query(WIDE, sources=[TWO]))
    environment.advance(SECOND)
    assert reports(host) == []
    host.eth.receive(query(GROUP))
    environment.advance(SECOND)
    assert reports(host) == []


@pytest.mark.parametrize("bad", [{"hop_limit": 255}, {"source": ONE}, {"hop_limit": 2}])
def test_queries_from_beyond_the_link_are_ignored(bad):
    environment, host = quiet_host()
    host.eth.receive(query(**bad))
    environment.advance(20 * SECOND)
    assert reports(host) == []


def test_beside_a_querier_of_version_1_version_1_is_spoken():
    environment, host = quiet_host()
    host.eth.receive(query(version=1))
    environment.advance(2 * SECOND)
    own = solicited_node(LEFT_LINK_LOCAL)
    assert reports(host) == [(131, own, own)]
    membership = join(host.eth, GROUP)
    environment.advance(11 * SECOND)
    assert reports(host) == [(131, GROUP, GROUP)] * 2
    leave(membership)
    assert reports(host) == [(132, ALL_ROUTERS, GROUP)]
    # Until it has been silent for long: 2 * 125 + 10 seconds.
    environment.advance(250 * SECOND)
    leave(join(host.eth, GROUP))
    environment.advance(5 * SECOND)
    assert (mld.CHANGE_TO_INCLUDE, GROUP, []) in reports(host)


def test_the_answer_of_another_listener_is_enough_in_version_1():
    environment, host = quiet_host()
    host.eth.receive(query(version=1))
    membership = join(host.eth, GROUP)
    environment.advance(12 * SECOND)
    host.link.take()
    host.eth.receive(query(GROUP, version=1, delay=5000))
    report = mld.build_version1(131, GROUP)
    host.eth.receive(icmp_frame(PEER, GROUP, report, 1, ALERT))
    environment.advance(10 * SECOND)
    assert reports(host) == []
    leave(membership)
    assert reports(host) == []


def test_nothing_is_said_of_groups_that_do_not_leave_the_host():
    environment, host = quiet_host()
    join(host.eth, ALL_NODES)
    join(host.eth, bytes.fromhex("ff010000000000000000000000001234"))
    join(host.lo, GROUP)
    environment.advance(10 * SECOND)
    assert reports(host) == []


def test_many_groups_take_several_reports_of_the_mtu():
    environment, host = quiet_host()
    for number in range(2, 302):
        join(host.eth, GROUP[:14] + number.to_bytes(2, "big"))
    environment.advance(10 * SECOND)
    host.link.take()
    host.eth.receive(query())
    environment.advance(SECOND)
    sizes = [len(data) for data in host.link.frames]
    assert max(sizes) <= 1514
    assert len(sizes) == 5
    assert len(reports(host)) == 301


def test_groups_are_announced_again_when_the_interface_comes_up():
    environment, host = quiet_host()
    join(host.eth, WIDE)
    environment.advance(10 * SECOND)
    host.stack.set_down(host.eth)
    host.link.take()
    host.up()
    environment.advance(10 * SECOND)
    records = [
        (record.kind, record.group)
        for one in seen(host.link.take())
        if one.kind == 143
        for record in mld.parse_report(one.message)
    ]
    assert (mld.CHANGE_TO_EXCLUDE, WIDE) in records
