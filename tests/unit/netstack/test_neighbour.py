"""Neighbour states (RFC 4861, 7.3), through ARP."""

from netstack.endpoint import Address
from netstack.neighbour import (
    MAX_QUEUED,
    NUD_DELAY,
    NUD_FAILED,
    NUD_INCOMPLETE,
    NUD_PERMANENT,
    NUD_PROBE,
    NUD_REACHABLE,
    NUD_STALE,
)
from netstack.stack import ChangeListener
from netstack.wire import arp
from tests.unit.netstack.harness import SECOND, CaptureLink, Host, VirtualEnvironment, ip

PEER = ip("10.0.0.2")
PEER_MAC = b"\x02\x00\x00\x00\x00\x02"
OUR_MAC = b"\x02\x00\x00\x00\x00\x01"


class Bench:
    def __init__(self):
        self.environment = VirtualEnvironment()
        self.link = CaptureLink()
        self.host = Host(self.environment, self.link, ip("10.0.0.1"))
        self.table = self.host.stack.networks[4].neighbours
        self.client = self.host.udp.new_endpoint(4)
        self.link.take()

    def send(self, payload=b"x"):
        self.client.send(payload, Address(PEER, 9))

    def state(self):
        return self.table.find(self.host.interface, PEER).state

    def answer(self, mac=PEER_MAC, to=OUR_MAC):
        packet = arp.build(arp.REPLY, mac, PEER, OUR_MAC, ip("10.0.0.1"))
        self.host.receive(to + mac + b"\x08\x06" + packet)


def test_request_and_reply_have_the_bytes_of_rfc_826():
    bench = Bench()
    bench.send()
    assert bench.link.take() == [
        bytes.fromhex(
            "ffffffffffff020000000001080600010800060400010200000000010a0000010000000000000a000002"
        )
    ]
    asker = bytes.fromhex(
        "ffffffffffff020000000002080600010800060400010200000000020a0000020000000000000a000001"
    )
    bench.host.receive(asker)
    frames = bench.link.take()
    assert frames[-1] == bytes.fromhex(
        "020000000002020000000001080600010800060400020200000000010a0000010200000000020a000002"
    )
    # The request told the asker's address: what waited has gone.
    assert len(frames) == 2
    assert frames[0][:14] == PEER_MAC + OUR_MAC + b"\x08\x00"


def test_life_of_an_entry():
    bench = Bench()
    bench.send()
    assert bench.state() == NUD_INCOMPLETE
    bench.answer()
    assert bench.state() == NUD_REACHABLE
    bench.environment.advance(46 * SECOND)
    assert bench.state() == NUD_STALE
    bench.link.take()
    bench.send()
    assert bench.state() == NUD_DELAY
    assert len(bench.link.take()) == 1
    bench.environment.advance(5 * SECOND)
    assert bench.state() == NUD_PROBE
    probe = bench.link.take()
    assert [frame[:6] for frame in probe] == [PEER_MAC]  # unicast
    bench.answer()
    assert bench.state() == NUD_REACHABLE
    bench.environment.advance(46 * SECOND)
    bench.send()
    bench.environment.advance(9 * SECOND)
    assert bench.state() == NUD_FAILED
    assert len(bench.link.take()) == 1 + 3
    bench.send()
    assert bench.state() == NUD_INCOMPLETE


def test_a_neighbour_with_our_own_hardware_address():
    """As the slaves of one ipvlan master have it."""
    bench = Bench()
    asker = arp.build(arp.REQUEST, OUR_MAC, PEER, bytes(6), ip("10.0.0.1"))
    bench.host.receive(b"\xff" * 6 + OUR_MAC + b"\x08\x06" + asker)
    (reply,) = bench.link.take()
    assert reply[:14] == OUR_MAC + OUR_MAC + b"\x08\x06"
    bench.table.remove(bench.table.find(bench.host.interface, PEER))
    bench.send()
    bench.answer(mac=OUR_MAC)
    assert bench.state() == NUD_REACHABLE
    assert [frame[:14] for frame in bench.link.take()[1:]] == [OUR_MAC + OUR_MAC + b"\x08\x00"]


def test_what_claims_to_come_from_our_own_address():
    """Our own announcement, come back, or somebody with the same address: no answer, no entry."""
    bench = Bench()
    for mac in (OUR_MAC, PEER_MAC):
        announced = arp.build(arp.REQUEST, mac, ip("10.0.0.1"), bytes(6), ip("10.0.0.1"))
        bench.host.receive(b"\xff" * 6 + mac + b"\x08\x06" + announced)
    assert bench.link.take() == []
    assert bench.table.entries == {}


def test_confirmation_from_above_ends_doubt():
    bench = Bench()
    bench.send()
    bench.answer()
    bench.environment.advance(46 * SECOND)
    bench.send()
    bench.table.find(bench.host.interface, PEER).confirm()
    assert bench.state() == NUD_REACHABLE
    bench.environment.advance(14 * SECOND)
    assert bench.state() == NUD_REACHABLE


def test_unasked_replies_make_no_entry_and_broadcast_ones_no_certainty():
    bench = Bench()
    bench.answer()
    assert bench.table.entries == {}
    bench.send()
    bench.answer(to=b"\xff" * 6)
    assert bench.state() == NUD_DELAY  # stale, and what waited was sent


def test_what_waits_is_bounded_and_the_newest_stay():
    bench = Bench()
    for number in range(300):
        bench.send(number.to_bytes(2, "big"))
    neighbour = bench.table.find(bench.host.interface, PEER)
    assert len(neighbour.queue) == MAX_QUEUED
    assert bench.table.unresolved_discards == 300 - MAX_QUEUED
    bench.link.take()
    bench.answer()
    frames = bench.link.take()
    assert frames[0][-2:] == (300 - MAX_QUEUED).to_bytes(2, "big")
    assert frames[-1][-2:] == (299).to_bytes(2, "big")
    assert neighbour.queued_bytes == 0
    bench.send(bytes(1400))
    assert neighbour.state == NUD_REACHABLE


def test_bytes_that_wait_are_bounded():
    bench = Bench()
    bench.host.stack.settings.unres_qlen_bytes = 10_000
    for _ in range(50):
        bench.send(bytes(1400))
    assert len(bench.table.find(bench.host.interface, PEER).queue) == 5


def test_flooding_with_addresses_does_not_grow_the_table_nor_lose_the_permanent():
    bench = Bench()
    bench.host.stack.settings.gc_thresh3 = 50
    bench.table.add_permanent(bench.host.interface, ip("10.0.0.254"), PEER_MAC)
    for number in range(2, 250):
        sender = bytes((10, 0, 0, number))
        packet = arp.build(arp.REQUEST, PEER_MAC, sender, bytes(6), ip("10.0.0.1"))
        bench.host.receive(b"\xff" * 6 + PEER_MAC + b"\x08\x06" + packet)
    assert len(bench.table.entries) == 50
    assert bench.table.find(bench.host.interface, ip("10.0.0.254")).state == NUD_PERMANENT
    # A permanent one is not changed by what is heard.
    packet = arp.build(arp.REQUEST, b"\x02" * 6, ip("10.0.0.254"), bytes(6), ip("10.0.0.1"))
    bench.host.receive(b"\xff" * 6 + b"\x02" * 6 + b"\x08\x06" + packet)
    assert bench.table.find(bench.host.interface, ip("10.0.0.254")).link_address == PEER_MAC


def test_down_forgets_neighbours_and_their_timers():
    bench = Bench()
    bench.send()
    bench.host.stack.set_down(bench.host.interface)
    assert bench.table.entries == {}
    assert bench.environment.armed() == 0


class News(ChangeListener):
    def __init__(self):
        self.told = []

    def on_neighbour(self, neighbour, removed):
        self.told.append("removed" if removed else neighbour.state)

    def take(self):
        told, self.told = self.told, []
        return told


def test_observers_hear_of_changes_as_from_linux():
    """Not of the way there: INCOMPLETE and DELAY are nobody's concern (neigh_update_notify)."""
    bench = Bench()
    news = News()
    bench.host.stack.observers.append(news)
    bench.send()
    assert news.take() == []
    bench.answer()
    assert news.take() == [NUD_REACHABLE]
    bench.answer()
    assert news.take() == []
    bench.environment.advance(60 * SECOND)
    assert news.take() == [NUD_STALE]
    bench.send()
    assert news.take() == []
    bench.environment.advance(6 * SECOND)
    assert news.take() == [NUD_PROBE]
    bench.environment.advance(60 * SECOND)
    assert news.take() == [NUD_FAILED]
    found = bench.table.find(bench.host.interface, PEER)
    found.set_link_address(PEER_MAC, NUD_STALE)
    found.set_link_address(PEER_MAC, NUD_STALE)
    found.set_link_address(OUR_MAC, NUD_STALE)
    assert news.take() == [NUD_STALE, NUD_STALE]
    found.invalidate()
    bench.table.remove(found)
    assert news.take() == [NUD_FAILED, "removed"]
