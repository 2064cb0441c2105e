"""IPv4: malformed and impossible packets, options, forwarding; whatever bytes come."""

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.endpoint import Address
from netstack.interface import InterfaceAddress
from netstack.route import PROHIBIT, RouteEntry
from netstack.wire import ipv4
from netstack.wire.checksum import checksum, finish, pseudo_header, replace
from tests.unit.netstack.harness import CaptureLink, Host, VirtualEnvironment, ip
from tests.unit.netstack.test_icmp4 import HERE, OUR_MAC, PEER_MAC, THERE, capture, packet

UDP = bytes.fromhex("0001000900080000")


def listening():
    host = capture()
    endpoint = host.udp.new_endpoint(4)
    endpoint.bind(Address(b"", 9))
    return host, endpoint


def test_header_of_rfc_791_with_literal_bytes():
    header = ipv4.build(ip("192.168.0.1"), ip("192.168.0.199"), 17, 95, 64, 0, 0, 0x4000)
    assert header == bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")
    assert checksum(header) == 0


def test_malformed_packets_are_counted_and_dropped():
    host, endpoint = listening()
    good = packet(17, UDP)
    counters = host.stack.counters.ip4
    host.receive(good)
    assert endpoint.receive() is not None

    def altered(offset, value):
        header = good[14:34]
        header = header[:offset] + value + header[offset + len(value) :]
        header = replace(replace(header, 10, 0), 10, finish(checksum(replace(header, 10, 0))))
        return good[:14] + header + good[34:]

    for bad, name in (
        (good[:20], "InTruncatedPkts"),
        (good[:-1], "InTruncatedPkts"),
        (altered(0, b"\x55"), "InHdrErrors"),
        (altered(0, b"\x44"), "InHdrErrors"),
        (altered(2, b"\x00\x10"), "InHdrErrors"),
        (good[:25] + bytes((good[25] ^ 1,)) + good[26:], "InCsumErrors"),
    ):
        before = getattr(counters, name)
        host.receive(bad)
        assert getattr(counters, name) == before + 1, name
    assert endpoint.receive() is None
    host.receive(good + b"padding")
    assert endpoint.receive().payload == b""


def test_martians_are_dropped():
    host, endpoint = listening()
    for source, destination in (
        ("127.0.0.1", "10.0.0.1"),
        ("10.0.0.2", "127.0.0.1"),
        ("224.0.0.1", "10.0.0.1"),
        ("255.255.255.255", "10.0.0.1"),
        ("0.0.0.0", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.255", "10.0.0.1"),
        ("10.0.0.2", "0.0.0.0"),
        ("10.0.0.2", "250.0.0.1"),
    ):
        host.receive(packet(17, UDP, ip(source), ip(destination)))
    assert endpoint.receive() is None
    assert host.stack.counters.martians == 9
    # A host without an address may speak to all.
    host.receive(packet(17, UDP, ip("0.0.0.0"), ip("255.255.255.255")))
    assert endpoint.receive().source.host == ip("0.0.0.0")


def test_reverse_path_filter():
    host, endpoint = listening()
    host.stack.settings.rp_filter = 1
    host.receive(packet(17, UDP))
    assert endpoint.receive() is not None
    host.receive(packet(17, UDP, ip("172.16.0.1")))
    assert endpoint.receive() is None
    host.stack.settings.rp_filter = 0
    host.receive(packet(17, UDP, ip("172.16.0.1")))
    assert endpoint.receive() is not None


def test_unicast_in_a_broadcast_frame_and_other_hosts_frames_are_dropped():
    host, endpoint = listening()
    good = packet(17, UDP)
    host.receive(b"\xff" * 6 + good[6:])
    host.receive(b"\x02\x09" + good[2:])
    assert endpoint.receive() is None


def test_options_are_checked_and_source_routes_refused():
    host, endpoint = listening()
    host.receive(packet(17, UDP, options=b"\x01\x01\x44\x04\x05\x00\x00\x00"))
    assert endpoint.receive().options == b"\x01\x01\x44\x04\x05\x00\x00\x00"
    host.receive(packet(17, UDP, options=b"\x83\x03\x04\x00"))
    host.receive(packet(17, UDP, options=b"\x89\x03\x04\x00"))
    assert host.link.take() == []
    host.receive(packet(17, UDP, options=b"\x01\x44\x09\x00"))
    (answer,) = host.link.take()
    assert (answer[34], answer[38]) == (12, 21)
    assert endpoint.receive() is None


def test_fragments_copy_only_the_options_that_say_so():
    assert ipv4.copied_options(b"\x44\x04\x05\x00\x94\x04\x00\x00") == b"\x94\x04\x00\x00"


@given(st.binary(max_size=120))
@settings(max_examples=300, deadline=None)
def test_no_bytes_raise(data):
    host = fuzzed()
    host.receive(
        data, OUR_MAC + PEER_MAC + b"\x08\x00" + data, OUR_MAC + PEER_MAC + b"\x08\x06" + data
    )


@given(
    st.sampled_from((1, 2, 17, 99)),
    st.binary(max_size=100),
    st.binary(max_size=8).map(lambda b: b + bytes(-len(b) % 4)),
    st.integers(0, 0xFFFF),
    st.sampled_from((HERE, ip("224.0.0.1"), ip("239.1.1.1"), ip("10.0.0.255"), ip("8.8.8.8"))),
)
@settings(max_examples=300, deadline=None)
def test_no_body_raises(protocol, body, options, fragment, destination):
    host = fuzzed()
    if protocol != 17 and len(body) >= 4:
        body = replace(replace(body, 2, 0), 2, finish(checksum(replace(body, 2, 0))))
    frame = packet(protocol, body, THERE, destination, options=options, fragment=fragment)
    host.receive(frame)
    host.environment.advance(10**9)


FUZZED = []


def fuzzed():
    """Return one host for all examples: state piles up as it would."""
    if not FUZZED:
        host, endpoint = listening()
        host.stack.settings.ip_forward = True
        endpoint.join_group(ip("239.1.1.1"), host.interface.index)
        FUZZED.append(host)
    FUZZED[0].link.take()
    return FUZZED[0]


class Router:
    def __init__(self):
        self.host = capture()
        self.stack = self.host.stack
        self.stack.settings.ip_forward = True
        self.out = CaptureLink(mtu=600, address=b"\x02\0\0\0\0\x09")
        self.second = self.stack.add_interface("eth1", self.out)
        self.stack.set_up(self.second)
        self.stack.add_address(self.second, InterfaceAddress(ip("10.1.0.1"), 24))
        self.stack.networks[4].neighbours.add_permanent(self.second, ip("10.1.0.2"), PEER_MAC)
        self.out.take()
        self.host.link.take()


def test_packets_for_others_are_forwarded():
    router = Router()
    router.host.receive(packet(99, b"body", destination=ip("10.1.0.2"), ttl=9))
    (frame,) = router.out.take()
    assert frame[14 + 8] == 8
    assert checksum(frame[14:34]) == 0
    assert frame[26:] == THERE + ip("10.1.0.2") + b"body"
    assert router.stack.counters.ip4.ForwDatagrams == 1
    router.stack.settings.ip_forward = False
    router.host.receive(packet(99, b"body", destination=ip("10.1.0.2")))
    assert router.out.take() == []


def test_forwarding_finishes_checksums_that_the_sender_left_out():
    router = Router()
    body = bytes.fromhex("00010009000cffff74657374")
    frame = packet(17, body, destination=ip("10.1.0.2"))
    router.host.interface.receive(frame, checksum_good=True)
    (sent,) = router.out.take()
    total = pseudo_header(THERE, ip("10.1.0.2"), 17, 12)
    assert checksum(sent[34:], total) == 0
    router.host.receive(frame)
    assert router.out.take()[0][34:] == body  # checked by nobody: not ours to repair
    none = packet(17, body[:6] + b"\0\0" + body[8:], destination=ip("10.1.0.2"))
    router.host.interface.receive(none, checksum_good=True)
    assert router.out.take()[0][40:42] == b"\0\0"


def test_forwarding_hands_large_packets_to_links_that_cut_them():
    router = Router()
    frame = packet(6, bytes(4000), destination=ip("10.1.0.2"), fragment=ipv4.DF)
    router.host.interface.receive(frame, checksum_good=True, gso_size=500)
    assert router.out.take() == []
    assert router.stack.counters.ip4.OutDiscards == 1
    router.out.sends_checksums, router.out.gso_max = True, 65536
    router.host.interface.receive(frame, checksum_good=True, gso_size=500)
    (sent,) = router.out.sent
    assert (sent.gso_size, sent.checksum_start, sent.checksum_offset) == (500, 34, 16)
    assert len(sent.header) == 54  # links read the transport header, too
    router.out.take()
    # The largest segments that fit, with a timestamp each.
    large = frame[:46] + b"\x80" + frame[47:]
    fits = 600 - 20 - 32
    router.host.interface.receive(large, checksum_good=True, gso_size=fits)
    assert [len(one.header) for one in router.out.sent] == [66]
    router.out.take()
    router.host.interface.receive(large, checksum_good=True, gso_size=fits + 1)
    assert router.out.take() == []
    router.host.link.take()
    router.host.interface.receive(frame, checksum_good=True, gso_size=1400)
    assert router.out.take() == []
    (answer,) = router.host.link.take()
    assert (answer[34], answer[35]) == (3, 4)


def test_forwarding_fragments_or_says_what_fits():
    router = Router()
    router.host.receive(packet(99, bytes(1000), destination=ip("10.1.0.2")))
    frames = router.out.take()
    assert [len(frame) - 34 for frame in frames] == [576, 424]
    assert [frame[20:22] for frame in frames] == [b"\x20\x00", b"\x00\x48"]
    router.host.receive(packet(99, bytes(1000), destination=ip("10.1.0.2"), fragment=ipv4.DF))
    (answer,) = router.host.link.take()
    assert (answer[34], answer[35], answer[40:42]) == (3, 4, (600).to_bytes(2, "big"))


def test_forwarding_says_why_not():
    router = Router()
    router.host.receive(packet(99, b"x", destination=ip("10.1.0.2"), ttl=1))
    router.host.receive(packet(99, b"x", destination=ip("8.8.8.8")))
    entry = RouteEntry(ip("9.0.0.0"), 8, None, b"")
    entry.kind = PROHIBIT
    router.stack.add_route(entry)
    router.host.receive(packet(99, b"x", destination=ip("9.8.8.8")))
    answers = router.host.link.take()
    assert [(answer[34], answer[35]) for answer in answers] == [(11, 0), (3, 0), (3, 13)]
    router.host.receive(packet(99, b"x", destination=ip("10.1.0.77")))
    router.host.environment.advance(4 * 10**9)
    (answer,) = router.host.link.take()
    assert (answer[34], answer[35]) == (3, 1)


def test_two_hosts_without_addresses_do_not_answer():
    host = Host(VirtualEnvironment(), CaptureLink())
    host.receive(packet(99, b"x"))
    assert host.link.take() == []
