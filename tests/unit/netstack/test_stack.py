"""The stack's administration, and its loopback device."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.endpoint import Address
from netstack.errors import NetError
from netstack.interface import IFF_LOOPBACK, IFF_UP
from netstack.link.base import Link
from netstack.link.loopback import MAX_QUEUED
from netstack.route import RouteEntry
from netstack.stack import ChangeListener, RoomListener
from netstack.wire.checksum import checksum, finish, pseudo_header, replace
from netstack.wire.ethernet import multicast4
from netstack.wire.udp import build
from tests.unit.netstack.harness import CaptureLink, Host, VirtualEnvironment, ip


class Notes(ChangeListener):
    def __init__(self):
        self.seen = []

    def on_link(self, interface, removed):
        self.seen.append(("link", interface.name, interface.flags & IFF_UP, removed))

    def on_address(self, interface, address, removed):
        self.seen.append(("address", address.host, removed))

    def on_route(self, entry, removed):
        self.seen.append(("route", entry.prefix, removed))


def test_observers_hear_of_changes():
    host = Host(VirtualEnvironment(), CaptureLink(), ip("10.0.0.1"))
    notes = Notes()
    host.stack.observers.append(notes)
    entry = RouteEntry(ip("9.0.0.0"), 8, host.interface, ip("10.0.0.2"))
    host.stack.add_route(entry)
    host.stack.remove_interface(host.interface)
    assert notes.seen[0] == ("route", ip("9.0.0.0"), False)
    assert ("route", ip("9.0.0.0"), True) in notes.seen
    assert notes.seen[-2:] == [("address", ip("10.0.0.1"), True), ("link", "eth0", 0, True)]
    assert [interface.name for interface in host.stack.interfaces.values()] == ["lo"]
    for table in host.stack.networks[4].routing.tables.values():
        assert all(entry.interface is host.stack.loopback for entry in table.entries())
    assert host.environment.armed() == 0


def test_names_and_indices_are_unique():
    host = Host(VirtualEnvironment(), CaptureLink())
    assert host.stack.find_interface("lo").flags & IFF_LOOPBACK
    for name, index in (("eth0", 0), ("eth7", 1)):
        with pytest.raises(NetError):
            host.stack.add_interface(name, CaptureLink(), index)
    with pytest.raises(NetError):
        host.stack.set_mtu(host.interface, 20)
    host.stack.set_down(host.interface)
    with pytest.raises(NetError):
        host.stack.add_route(RouteEntry(ip("9.0.0.0"), 8, host.interface, b""))


def test_loopback_is_bounded_and_says_when_there_is_room():
    host = Host(VirtualEnvironment(), CaptureLink())
    client = host.udp.new_endpoint(4)
    server = host.udp.new_endpoint(4)
    server.bind(Address(b"", 9))
    server.receive_limit = 1 << 30
    sent = 0
    while client.send(b"x", Address(ip("127.0.0.1"), 9)) is not None:
        sent += 1
    assert sent == MAX_QUEUED
    host.environment.advance(10)
    assert client.send(b"x", Address(ip("127.0.0.1"), 9)) == 1


class Queue(Link):
    """A queueing discipline that refuses every other frame."""

    def __init__(self, link):
        super().__init__(link.mtu, link.address)
        self.below = link
        self.open = False
        self.told = 0

    def send(self, frame):
        self.open = not self.open
        return self.open and self.below.send(frame)

    def on_room(self):
        self.told += 1
        self.interface.room_available()


class Waiter(RoomListener):
    def __init__(self):
        self.calls = 0

    def on_room(self):
        self.calls += 1


def test_a_queue_stands_between_interface_and_link():
    host = Host(VirtualEnvironment(), CaptureLink())
    queue = Queue(host.link)
    host.interface.set_queue(queue)
    waiter, other = Waiter(), Waiter()
    host.stack.when_room(host.interface, waiter)
    host.stack.when_room(host.interface, waiter)
    host.stack.when_room(host.interface, other)
    host.interface.forget_waiting(other)
    host.interface.on_room()
    host.interface.on_room()
    assert (queue.told, waiter.calls, other.calls) == (2, 1, 0)


def slow_checksum(data):
    total = 0
    data += b"\0" * (len(data) & 1)
    for at in range(0, len(data), 2):
        total += (data[at] << 8) | data[at + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(min_size=1, max_size=300))
def test_checksum_is_that_of_rfc_1071(data):
    assert finish(checksum(data)) % 65535 == slow_checksum(data) % 65535
    even = data + b"\0" * (len(data) & 1)
    assert checksum(even + finish(checksum(even)).to_bytes(2, "big")) == 0


def test_checksum_of_rfc_1071_s_example():
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2
    assert pseudo_header(ip("10.0.0.1"), ip("10.0.0.2"), 17, 8) == 0x141C
    assert replace(b"abcdef", 2, 0x4142) == b"abABef"


def test_headers_byte_for_byte():
    assert build(53, 1024, 4) == bytes.fromhex("00350400000c0000")
    assert multicast4(ip("239.129.2.3")) == bytes.fromhex("01005e010203")
