"""Captures, read back by an independent reader of the pcapng format."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.link.pcap import (
    DIRECTION_IN,
    DIRECTION_OUT,
    LINKTYPE_ETHERNET,
    LINKTYPE_RAW,
    Capture,
    CaptureSink,
)


class Sink(CaptureSink):
    def __init__(self, limit=1 << 30):
        self.data = b""
        self.limit = limit

    def write(self, data):
        if len(self.data) + len(data) > self.limit:
            return False
        self.data += data
        return True


def options_of(data):
    found = {}
    while data:
        code, size = struct.unpack_from("<HH", data)
        if code == 0:
            assert data == bytes(4)
            break
        found[code] = data[4 : 4 + size]
        data = data[4 + size + (-size & 3) :]
    return found


def blocks(data):
    while data:
        kind, size = struct.unpack_from("<II", data)
        assert size % 4 == 0
        assert struct.unpack_from("<I", data, size - 4)[0] == size
        yield kind, data[8 : size - 4]
        data = data[size:]


def read(data):
    interfaces, packets = [], []
    for kind, body in blocks(data):
        if kind == 0x0A0D0D0A:
            magic, major, minor, length = struct.unpack_from("<IHHq", body)
            assert (magic, major, minor, length) == (0x1A2B3C4D, 1, 0, -1)
        elif kind == 1:
            link_type, _, snaplen = struct.unpack_from("<HHI", body)
            interfaces.append((link_type, snaplen, options_of(body[8:])))
        else:
            assert kind == 6
            number, high, low, captured, size = struct.unpack_from("<IIIII", body)
            rest = body[20 + captured + (-captured & 3) :]
            flags = struct.unpack("<I", options_of(rest)[2])[0]
            packets.append((number, high << 32 | low, flags, body[20 : 20 + captured], size))
    return interfaces, packets


def test_several_interfaces_and_nanoseconds():
    sink = Sink()
    capture = Capture(sink, "runsc")
    eth0 = capture.add_interface("eth0", LINKTYPE_ETHERNET)
    tun0 = capture.add_interface("tun0", LINKTYPE_RAW)
    time_ns = 1_700_000_000_123_456_789
    capture.add_packet(tun0, time_ns, DIRECTION_OUT, b"header", b"payload")
    capture.add_packet(eth0, time_ns + 1, DIRECTION_IN, b"frame")
    interfaces, packets = read(sink.data)
    assert interfaces == [
        (1, 262144, {2: b"eth0", 9: b"\x09"}),
        (101, 262144, {2: b"tun0", 9: b"\x09"}),
    ]
    assert packets == [(1, time_ns, 2, b"headerpayload", 13), (0, time_ns + 1, 1, b"frame", 5)]


def test_the_first_block_byte_by_byte():
    sink = Sink()
    Capture(sink)
    assert sink.data.hex() == "0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000"


def test_packets_are_cut_at_the_snap_length():
    sink = Sink()
    capture = Capture(sink, snaplen=10)
    number = capture.add_interface("eth0", LINKTYPE_ETHERNET)
    capture.add_packet(number, 1, DIRECTION_OUT, b"12345678", b"abcdef")
    capture.add_packet(number, 2, DIRECTION_OUT, b"123456789012345", b"abcdef")
    packets = read(sink.data)[1]
    assert [(data, size) for _, _, _, data, size in packets] == [
        (b"12345678ab", 14),
        (b"1234567890", 21),
    ]


def test_a_full_file_ends_the_capture_at_a_whole_block():
    sink = Sink(limit=200)
    capture = Capture(sink)
    number = capture.add_interface("eth0", LINKTYPE_ETHERNET)
    for _ in range(10):
        capture.add_packet(number, 1, DIRECTION_IN, bytes(60))
    assert capture.is_ended
    assert len(read(sink.data)[1]) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=70), st.binary(max_size=70)), max_size=5))
def test_every_size_is_read_back(parts):
    sink = Sink()
    capture = Capture(sink, "x")
    number = capture.add_interface("e", LINKTYPE_ETHERNET)
    for header, payload in parts:
        capture.add_packet(number, 7, DIRECTION_IN, header, payload)
    assert [packet[3] for packet in read(sink.data)[1]] == [one + two for one, two in parts]
