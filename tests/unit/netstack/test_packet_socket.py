"""AF_PACKET endpoints."""

import pytest

from netstack.endpoint import Address
from netstack.errors import NetError
from netstack.interface import IFF_PROMISC
from netstack.packet import OUTGOING, TO_BROADCAST, TO_HOST, TO_OTHER_HOST, FrameFilter
from netstack.packet_socket import ETH_P_ALL, PacketEndpoint
from tests.unit.netstack.harness import Pair, ip
from tests.unit.netstack.test_icmp4 import OUR_MAC, PEER_MAC, capture, packet


def test_sees_both_directions_with_and_without_headers():
    pair = Pair()
    raw = PacketEndpoint(pair.left.stack, True, ETH_P_ALL)
    cooked = PacketEndpoint(pair.left.stack, False, 0x0800)
    server = pair.right.udp.new_endpoint(4)
    server.bind(Address(b"", 9))
    pair.left.udp.new_endpoint(4).send(b"out", Address(ip("10.0.0.2"), 9))
    pair.run()
    server.send(b"back", server.receive().source)
    pair.run()
    kinds = []
    while (frame := raw.receive()) is not None:
        kinds.append((frame.ethertype, frame.kind))
    assert kinds == [
        (0x0806, OUTGOING),
        (0x0806, TO_HOST),
        (0x0800, OUTGOING),
        (0x0800, TO_HOST),
    ]
    frame = cooked.receive()
    assert (frame.data[0], frame.data[-4:], frame.kind) == (0x45, b"back", TO_HOST)
    assert frame.source == b"\x02\x00\x00\x00\x00\x0b"
    assert cooked.receive() is None
    assert cooked.take_statistics() == (1, 0)
    raw.close()
    cooked.close()
    assert pair.left.stack.taps == []


def test_sends_with_a_header_of_its_own_or_a_made_one():
    host = capture()
    raw = PacketEndpoint(host.stack, True, 0)
    frame = packet(99, b"x")
    assert raw.send(frame, host.interface.index) == len(frame)
    cooked = PacketEndpoint(host.stack, False, 0x88B5)
    cooked.bind(host.interface.index, 0)
    cooked.send(b"data", destination=PEER_MAC)
    assert host.link.take() == [frame, PEER_MAC + OUR_MAC + b"\x88\xb5data"]
    for bad in (b"short", bytes(14 + 1501)):
        with pytest.raises(NetError):
            raw.send(bad, host.interface.index)
    with pytest.raises(NetError):
        raw.send(frame, 99)


class FirstBytes(FrameFilter):
    def run(self, data, start, end, packet, ethertype):
        return 20 if data[23] == 99 else 0


def test_filters_cut_and_drop_and_promiscuity_shows_others():
    host = capture()
    raw = PacketEndpoint(host.stack, True, ETH_P_ALL)
    raw.filter = FirstBytes()
    host.receive(packet(99, b"x"), packet(98, b"x"))
    frame = raw.receive()
    assert (len(frame.data), frame.length) == (20, 35)
    raw.close()
    raw = PacketEndpoint(host.stack, True, ETH_P_ALL)
    strange = b"\x02\x77" + packet(99, b"x")[2:]
    host.receive(strange)
    assert raw.receive() is None
    raw.add_membership(host.interface.index, IFF_PROMISC)
    host.receive(strange, b"\xff" * 6 + strange[6:])
    assert raw.receive().kind == TO_OTHER_HOST
    assert raw.receive().kind == TO_BROADCAST
    raw.close()
    assert not host.interface.flags & IFF_PROMISC


def test_the_queue_is_bounded():
    host = capture()
    raw = PacketEndpoint(host.stack, True, ETH_P_ALL)
    raw.receive_limit = 3000
    for _ in range(50):
        host.receive(packet(99, bytes(100)))
    assert raw.drops >= 40
    assert raw.packets == raw.drops + 4
