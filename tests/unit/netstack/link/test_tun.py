"""TUN and TAP devices as programs see them."""

import pytest

from netstack.endpoint import EVENT_IN, EVENT_OUT, Address
from netstack.errors import INVALID, NETWORK_DOWN, NetError
from netstack.interface import InterfaceAddress
from netstack.link.tun import IFF_NO_PI, IFF_TAP, IFF_TUN, QUEUE_LIMIT, TunLink
from netstack.packet import OutFrame
from netstack.stack import RoomListener
from tests.unit.netstack.harness import SECOND, RecordingListener, VirtualEnvironment
from tests.unit.netstack.world6 import Host, ip_packet

OURS = bytes.fromhex("20010db8000000000000000000000001")
PEER = bytes.fromhex("20010db8000000000000000000000002")
ADDRESS = b"\x02\0\0\0\0\x0a"


def tun_host(flags, address=b""):
    environment = VirtualEnvironment()
    link = TunLink(flags, address)
    host = Host(environment, link)
    host.state.config.addr_gen_mode = 1
    host.up()
    host.stack.add_address(host.eth, InterfaceAddress(OURS, 64))
    environment.advance(3 * SECOND)
    while link.try_read(65536) is not None:
        pass
    return environment, host, link


def test_what_the_stack_sends_is_read_without_link_header():
    environment, host, link = tun_host(IFF_TUN | IFF_NO_PI)
    listener = RecordingListener()
    link.listener = listener
    assert link.try_read(65536) is None
    assert link.readiness() == EVENT_OUT
    host.udp.new_endpoint(6).send(b"hello", Address(PEER, 9))
    assert link.readiness() == EVENT_IN | EVENT_OUT
    assert listener.events == [EVENT_IN]
    packet = link.try_read(65536)
    assert (packet[0] >> 4, packet[8:24], packet[24:40], packet[-5:]) == (6, OURS, PEER, b"hello")
    environment.advance(SECOND)


def test_packet_information_comes_first():
    _environment, host, link = tun_host(IFF_TUN)
    host.udp.new_endpoint(6).send(b"hello", Address(PEER, 9))
    assert link.try_read(65536)[:5] == b"\x00\x00\x86\xdd\x60"
    host.udp.new_endpoint(6).send(b"hello", Address(PEER, 9))
    assert link.try_read(20)[:5] == b"\x01\x00\x86\xdd\x60"
    host.udp.new_endpoint(6).send(b"hello", Address(PEER, 9))
    with pytest.raises(NetError) as caught:
        link.try_read(3)
    assert caught.value.code == INVALID


@pytest.mark.parametrize(
    ("flags", "before"), [(IFF_TUN | IFF_NO_PI, b""), (IFF_TUN, b"\0\0\x86\xdd")]
)
def test_what_is_written_is_received(flags, before):
    _environment, host, link = tun_host(flags)
    packet = ip_packet(PEER, OURS, 59, b"")
    assert link.write(before + packet) == len(before + packet)
    assert host.stack.counters.ip6.InOctets >= 40
    assert host.eth.counters.rx_packets == 1


def test_a_tap_carries_ethernet():
    environment, host, link = tun_host(IFF_TAP | IFF_NO_PI, ADDRESS)
    host.udp.new_endpoint(6).send(b"hello", Address(PEER, 9))
    frame = link.try_read(65536)
    assert frame[:14].hex() == "3333ff000002" + ADDRESS.hex() + "86dd"
    environment.advance(10 * SECOND)


def test_bad_writes():
    _environment, host, link = tun_host(IFF_TUN | IFF_NO_PI)
    for data in (b"", b"\x00" * 40, bytes(70000)):
        with pytest.raises(NetError) as caught:
            link.write(data)
        assert caught.value.code == INVALID
    host.stack.set_down(host.eth)
    with pytest.raises(NetError) as caught:
        link.write(ip_packet(PEER, OURS, 59, b""))
    assert caught.value.code == NETWORK_DOWN


class Waiter(RoomListener):
    def __init__(self):
        self.calls = 0

    def on_room(self):
        self.calls += 1


def test_a_full_queue_refuses_until_half_is_read():
    _environment, host, link = tun_host(IFF_TUN | IFF_NO_PI)
    taken = 0
    while host.eth.send_frame(OutFrame(0x86DD, b"\x60", b"")):
        taken += 1
    assert taken == QUEUE_LIMIT
    waiter = Waiter()
    host.stack.when_room(host.eth, waiter)
    for _ in range(QUEUE_LIMIT // 2 - 1):
        link.try_read(100)
    assert waiter.calls == 0
    link.try_read(100)
    assert waiter.calls == 1
