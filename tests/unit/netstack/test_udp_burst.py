"""Datagrams that wait for more of their kind, and leave in one packet."""

from netstack.build import new_stack
from netstack.endpoint import EVENT_OUT, Address
from netstack.filter.hooks import PacketFilter
from netstack.link.segments import segments
from netstack.packet import OutFrame
from netstack.packet_socket import ETH_P_ALL, PacketEndpoint
from netstack.udp_burst import MAX_DATAGRAMS
from tests.unit.netstack.harness import Pair, RecordingListener, VirtualEnvironment, WireLink, ip

SERVER = Address(ip("10.0.0.2"), 53)


class JoiningPair(Pair):
    """Two hosts; the left one's link takes several datagrams at once, and takes them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.joined: list[OutFrame] = []
        self.has_room = True
        link = JoiningLink(self)
        link.interface = self.left.interface
        self.left.interface.link = self.left.interface.out = link
        self.server = self.right.udp.new_endpoint(4)
        self.server.bind(SERVER)
        self.client = self.left.udp.new_endpoint(4)
        self.client.connect(SERVER)
        self.client.send(b"resolve")
        self.run()
        assert self.server.receive() is not None
        self.joined.clear()

    def received(self) -> list[bytes]:
        self.run()
        found = []
        while (datagram := self.server.receive()) is not None:
            found.append(datagram.payload)
        return found


class JoiningLink(WireLink):
    def __init__(self, pair: JoiningPair) -> None:
        super().__init__(pair.environment, 1500, pair.wire_left.address)
        self.pair = pair
        self.peer = pair.wire_right
        self.gso_max = 65536
        self.joins_datagrams = self.sends_checksums = self.finishes_checksums = True

    def send(self, frame: OutFrame) -> bool:
        if not self.pair.has_room:
            return False
        if frame.ethertype == 0x0800:
            self.pair.joined.append(frame)
        if not frame.gso_size:
            return super().send(frame)
        return all(super(JoiningLink, self).send(one) for one in segments(frame, 14))


def test_datagrams_leave_together_and_arrive_as_they_were_sent():
    pair = JoiningPair()
    sent = [bytes((65 + number,)) * 1400 for number in range(5)] + [b"rest"]
    for payload in sent:
        assert pair.client.send(payload, may_wait=True) == len(payload)
    # The small one is the last there can be: nothing waits.
    assert not pair.client.burst_size()
    assert [(frame.gso_size, frame.is_udp) for frame in pair.joined] == [(1400, True)]
    assert pair.received() == sent
    counters = pair.left.stack.counters.udp4
    assert counters.OutDatagrams == 1 + len(sent)
    assert pair.right.stack.counters.udp4.InCsumErrors == 0


def test_what_waits_goes_when_the_burst_is_ended_or_the_endpoint_closed():
    pair = JoiningPair()
    pair.client.send(b"one", may_wait=True)
    pair.client.send(b"two", may_wait=True)
    assert pair.received() == []
    assert pair.client.end_burst()
    assert pair.received() == [b"one", b"two"]
    pair.client.send(b"three", may_wait=True)
    pair.client.close()
    assert pair.received() == [b"three"]


def test_another_size_target_or_a_send_that_may_not_wait_comes_behind_what_waits():
    pair = JoiningPair()
    pair.client.send(b"small", may_wait=True)
    pair.client.send(b"larger one", may_wait=True)
    assert [frame.payload for frame in pair.joined] == [b"small"]
    pair.client.send(b"other port", Address(SERVER.host, 54), may_wait=True)
    pair.client.send(b"now")
    assert pair.received() == [b"small", b"larger one", b"now"]
    assert [frame.payload for frame in pair.joined][2] == b"other port"


def test_a_burst_is_bounded():
    pair = JoiningPair()
    for _ in range(MAX_DATAGRAMS):
        pair.client.send(b"x" * 100, may_wait=True)
    assert not pair.client.burst_size()
    for _ in range(8):
        pair.client.send(b"y" * 1472, may_wait=True)
    pair.client.end_burst()
    assert len(pair.joined) == 2
    pair.left.interface.link.gso_max = 5000
    pair.joined.clear()
    for _ in range(8):
        pair.client.send(b"z" * 1472, may_wait=True)
    pair.client.end_burst()
    assert [len(frame.payload) for frame in pair.joined] == [3 * 1472, 3 * 1472, 2 * 1472]
    assert all(frame.size() <= 5000 for frame in pair.joined)
    assert len(pair.received()) == MAX_DATAGRAMS + 16


def test_empty_large_and_unchecked_datagrams_do_not_wait():
    pair = JoiningPair()
    assert pair.client.send(b"", may_wait=True) == 0
    pair.client.send(b"f" * 3000, may_wait=True)  # in fragments
    pair.client.no_checksum = True
    pair.client.send(b"plain", may_wait=True)
    assert not pair.client.burst_size()
    assert pair.received() == [b"", b"f" * 3000, b"plain"]


def test_rules_see_single_datagrams():
    pair = JoiningPair()
    network = pair.left.stack.networks[4]
    network.filter = PacketFilter(pair.left.stack, network)
    pair.client.send(b"one", may_wait=True)
    assert not pair.client.burst_size()
    assert pair.received() == [b"one"]


def test_rules_of_each_version_keep_datagrams_apart():
    stack = new_stack(VirtualEnvironment())[0]
    for version in (4, 6):
        network = stack.networks[version]
        assert network.takes_joined()
        network.filter = PacketFilter(stack, network)
        assert not network.takes_joined()


def test_taps_see_single_datagrams():
    pair = JoiningPair()
    tap = PacketEndpoint(pair.left.stack, True, ETH_P_ALL)
    pair.client.send(b"one", may_wait=True)
    assert not pair.client.burst_size()
    tap.close()
    pair.client.send(b"two", may_wait=True)
    assert pair.client.burst_size()


def test_without_room_the_burst_waits_and_the_sender_blocks():
    pair = JoiningPair()
    listener = RecordingListener()
    pair.client.listener = listener
    pair.client.send(b"one", may_wait=True)
    pair.client.send(b"two", may_wait=True)
    pair.has_room = False
    assert not pair.client.end_burst()
    assert pair.client.send(b"and more", may_wait=True) is None
    assert not pair.client.readiness() & EVENT_OUT
    pair.has_room = True
    pair.left.interface.on_room()
    assert listener.events == [EVENT_OUT]
    assert pair.received() == [b"one", b"two"]


def test_identifications_of_joined_datagrams_are_not_used_again():
    pair = JoiningPair()
    pair.client.path_mtu_discovery = 0  # IP_PMTUDISC_DONT: identifications count
    for _ in range(3):
        pair.client.send(b"abc", may_wait=True)
    pair.client.end_burst()
    pair.client.send(b"def")
    first, second = (int.from_bytes(frame.header[18:20], "big") for frame in pair.joined)
    assert (second - first) & 0xFFFF == 3
    assert pair.received() == [b"abc"] * 3 + [b"def"]
