"""Links over packet sockets: what goes to the host, byte by byte, and what if it has no room.

A SOCK_SEQPACKET pair stands for the packet socket: it keeps messages apart,
ignores where they are addressed to, and can be full.
"""

import os
import select
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from netstack.build import new_stack
from netstack.endpoint import Address
from netstack.interface import InterfaceAddress
from netstack.network import FrameHandler
from netstack.packet import InPacket, OutFrame
from netstack.wire import checksum as sums
from sentry.log import Log
from sentry.platform.hostnet import PacketSocket
from sentry.socket.hostlink import RECEIVE_BUDGET, HostLink, Offloads, finish_checksum
from tests.harness.taken_stack import PollingPlatform, RealEnvironment

OUR_MAC = bytes.fromhex("020000000001")
PEER_MAC = bytes.fromhex("020000000002")
UNKNOWN = 0x88B5  # IEEE 802.1, for experiments
VNET = struct.Struct("<BBHHHH")  # struct virtio_net_hdr


class World:
    def __init__(self, offloads: Offloads) -> None:
        self.platform = PollingPlatform()
        self.environment = RealEnvironment()
        self.stack, self.udp = new_stack(self.environment)
        self.peer, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.peer.setblocking(False)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
        self.log = ListLog()
        self.socket = PacketSocket(ours.detach(), 1, has_vnet=True)
        self.link = HostLink(self.platform, self.log, self.socket, 1500, OUR_MAC, offloads)
        self.interface = self.stack.add_interface("eth0", self.link)
        self.interface.flags |= 1  # IFF_UP, without anything that IPv6 says then
        self.handler = Keeper()
        self.stack.register_handler(UNKNOWN, self.handler)
        self.link.start()

    def close(self) -> None:
        self.link.close()
        self.peer.close()

    def sent(self) -> list[tuple[tuple[int, ...], bytes]]:
        """Return the virtio headers and frames that came to the host."""
        found = []
        while select.select([self.peer], [], [], 0)[0]:
            data = self.peer.recv(1 << 17)
            found.append((VNET.unpack_from(data), data[VNET.size :]))
        return found


class ListLog(Log):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def warning(self, text: str) -> None:
        self.lines.append(text)


class Keeper(FrameHandler):
    """Keeps frames; is a bug on demand."""

    def __init__(self) -> None:
        self.packets: list[InPacket] = []
        self.overruns = 0  # of the next packets, all that come first find no room

    def on_frame(self, packet: InPacket) -> None:
        if self.overruns:
            self.overruns -= 1
            packet.interface.stack.overruns += 1
        if packet.data.endswith(b"bug"):
            raise ZeroDivisionError
        self.packets.append(packet)


@pytest.fixture
def world() -> Iterator[World]:
    made = World(Offloads())
    yield made
    made.close()


@pytest.fixture
def software() -> Iterator[World]:
    offloads = Offloads()
    offloads.segments, offloads.software_segments = False, True
    made = World(offloads)
    yield made
    made.close()


def plain(payload: bytes) -> OutFrame:
    return OutFrame(UNKNOWN, PEER_MAC + OUR_MAC + UNKNOWN.to_bytes(2, "big"), payload)


def tcp_frame(payload: bytes, gso_size: int, version: int = 4, flags: int = 0x18) -> OutFrame:
    """Return a frame of TCP from port 1 to port 2 whose checksum is left to the link."""
    tcp = struct.pack("!HHIIBBHHH", 1, 2, 0xFFFFFF00, 7, 0x50, flags, 512, 0, 0)
    length = len(tcp) + len(payload)
    if version == 4:
        source, to = bytes([10, 9, 0, 2]), bytes([10, 9, 0, 1])
        network = struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 20 + length, 9, 0x4000, 64, 6, 0, source, to
        )
        network = sums.replace(network, 10, sums.finish(sums.checksum(network)))
        ethertype = 0x0800
    else:
        source, to = bytes(15) + b"\2", bytes(15) + b"\1"
        network = struct.pack("!IHBB16s16s", 6 << 28, length, 6, 64, source, to)
        ethertype = 0x86DD
    tcp = sums.replace(tcp, 16, sums.pseudo_header(source, to, 6, length))
    frame = OutFrame(
        ethertype, PEER_MAC + OUR_MAC + ethertype.to_bytes(2, "big") + network + tcp, payload
    )
    frame.checksum_start = 14 + len(network)
    frame.checksum_offset = 16
    frame.gso_size = gso_size
    frame.is_ipv6 = version == 6
    return frame


def is_sound(frame: bytes) -> bool:
    """Return whether the checksums of a TCP frame are right."""
    if frame[12:14] == b"\x08\x00":
        network = frame[14:34]
        if sums.checksum(network) != 0 or int.from_bytes(network[2:4], "big") != len(frame) - 14:
            return False
        source, to, tcp = frame[26:30], frame[30:34], frame[34:]
    else:
        if int.from_bytes(frame[18:20], "big") != len(frame) - 54:
            return False
        source, to, tcp = frame[22:38], frame[38:54], frame[54:]
    return sums.checksum(tcp, sums.pseudo_header(source, to, 6, len(tcp))) == 0


def test_a_plain_frame_has_an_empty_virtio_header(world: World) -> None:
    frame = plain(b"payload")
    assert world.link.send(frame)
    assert world.sent() == [((0, 0, 14, 0, 0, 0), frame.header + b"payload")]


@pytest.mark.parametrize(("version", "kind"), [(4, 1), (6, 4)])
def test_a_large_frame_goes_whole(world: World, version: int, kind: int) -> None:
    frame = tcp_frame(bytes(5000), 1448, version)
    assert world.link.send(frame)
    start = 34 if version == 4 else 54
    assert world.sent() == [((1, kind, start + 20, 1448, start, 16), frame.header + frame.payload)]


def test_congestion_window_reduced_is_told(world: World) -> None:
    world.link.send(tcp_frame(bytes(5000), 1448, flags=0x98))
    assert world.sent()[0][0][1] == 1 | 0x80  # VIRTIO_NET_HDR_GSO_ECN


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [0, 1, 7, 1448])
def test_the_checksum_of_a_single_frame_is_made_here(world: World, version: int, size: int) -> None:
    assert world.link.send(tcp_frame(os.urandom(size), 0, version))
    [(header, data)] = world.sent()
    assert header[0] == header[4] == 0
    assert is_sound(data)


def test_the_checksum_of_a_single_frame_is_left_to_the_host_on_demand() -> None:
    offloads = Offloads()
    offloads.sends_checksums = True
    world = World(offloads)
    frame = tcp_frame(b"payload", 0)
    world.link.send(frame)
    [(header, data)] = world.sent()
    assert (header[0], header[4], header[5]) == (1, 34, 16)
    assert data == frame.header + frame.payload
    world.close()


def test_a_checksum_of_zero_is_sent_as_ones() -> None:
    """UDP takes 0 for "no checksum" (RFC 768)."""
    frame = OutFrame(0x0800, bytes(34) + b"\xff\xff" + bytes(6), b"")
    frame.checksum_start, frame.checksum_offset = 34, 6
    finish_checksum(frame)
    assert frame.header[40:42] == b"\xff\xff"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [1449, 2896, 10_001])
def test_segments_in_software(software: World, version: int, size: int) -> None:
    payload = os.urandom(size)
    assert software.link.send(tcp_frame(payload, 1448, version, flags=0x99))
    frames = [data for _, data in software.sent()]
    start = 54 if version == 4 else 74
    assert [len(frame) - start for frame in frames[:-1]] == [1448] * (len(frames) - 1)
    assert b"".join(frame[start:] for frame in frames) == payload
    assert all(is_sound(frame) for frame in frames)
    sequences = [int.from_bytes(frame[start - 16 : start - 12], "big") for frame in frames]
    assert sequences == [(0xFFFFFF00 + 1448 * n) & 0xFFFFFFFF for n in range(len(frames))]
    # FIN and PSH are the last one's, CWR the first one's, ACK everyone's.
    flags = [frame[start - 7] for frame in frames]
    assert flags == [0x90, *[0x10] * (len(frames) - 2), 0x19]
    if version == 4:
        idents = [int.from_bytes(frame[18:20], "big") for frame in frames]
        assert idents == list(range(9, 9 + len(frames)))


def test_a_link_without_room_says_so_and_calls_when_there_is(world: World) -> None:
    called = []

    class Waiter:
        def on_room(self) -> None:
            called.append(True)

    taken = 0
    while world.link.send(plain(taken.to_bytes(4, "big") + bytes(1400))):
        taken += 1
    assert taken > 10
    world.interface.when_room(Waiter())  # type: ignore[arg-type]  # duck typing does for a test
    world.platform.poll(0)
    assert not called
    # Nobody overtakes those who were refused.
    found = [data[14:18] for _, data in world.sent()]
    assert not world.link.send(plain(b""))
    world.platform.poll(100)
    assert called == [True]
    assert world.link.send(plain(b"again"))
    found += [data[14:18] for _, data in world.sent()[:-1]]
    assert found == [number.to_bytes(4, "big") for number in range(taken)]
    # And there is no more waiting for room.
    assert world.platform.watched[world.socket.host_fd][0] == select.POLLIN


def test_the_rest_of_a_frame_that_was_taken_apart_is_not_lost(software: World) -> None:
    payload = os.urandom(60_000)
    taken = 0
    while software.link.send(tcp_frame(payload, 1448)):
        taken += 1
    found = b""
    for _ in range(20):
        found += b"".join(data[54:] for _, data in software.sent())
        software.platform.poll(10)
    assert found == payload * taken


def test_a_link_that_is_gone_loses_frames_and_counts_them(world: World) -> None:
    world.peer.close()
    assert world.link.send(plain(b""))
    assert world.link.send(plain(b""))
    assert world.interface.counters.tx_dropped == 2


def test_where_the_host_routes_every_frame_goes_to_ourselves(world: World) -> None:
    world.link.sends_to_itself = True
    world.link.send(plain(b"payload"))
    assert world.sent()[0][1][:14] == OUR_MAC + OUR_MAC + UNKNOWN.to_bytes(2, "big")


def receive(
    world: World, flags: int = 0, payload: bytes = b"", gso: tuple[int, int] = (0, 0)
) -> None:
    frame = OUR_MAC + PEER_MAC + UNKNOWN.to_bytes(2, "big") + payload
    world.peer.send(VNET.pack(flags, gso[0], 14, gso[1], 0, 0) + frame)


@pytest.mark.parametrize(("flags", "is_good"), [(0, 0), (1, 1), (2, 1)])
def test_what_the_host_says_of_checksums(world: World, flags: int, is_good: int) -> None:
    receive(world, flags)
    world.platform.poll(0)
    assert world.handler.packets[0].checksum == is_good


def test_a_checksum_that_is_not_made_yet_is_good_even_if_the_device_is_not_trusted() -> None:
    offloads = Offloads()
    offloads.trusts_checksums = False
    world = World(offloads)
    receive(world, 1)
    receive(world, 2)
    world.platform.poll(0)
    assert [packet.checksum for packet in world.handler.packets] == [1, 0]
    world.close()


def test_a_large_frame_comes_whole(world: World) -> None:
    receive(world, 1, bytes(60_000), (1, 1448))
    world.platform.poll(0)
    [packet] = world.handler.packets
    assert (packet.gso_size, len(packet.data)) == (1448, 60_014)


def test_a_flood_is_taken_in_portions(world: World) -> None:
    for _ in range(RECEIVE_BUDGET + 1):
        receive(world)
    world.platform.poll(0)
    assert len(world.handler.packets) == RECEIVE_BUDGET
    world.platform.poll(0)
    assert len(world.handler.packets) == RECEIVE_BUDGET + 1


def test_a_flood_that_nobody_reads_is_left_where_it_costs_nothing(world: World) -> None:
    """Until a while later: nothing of it is lost to those who have room."""
    for _ in range(16):
        receive(world)
    world.handler.overruns = 3
    world.platform.poll(0)
    assert len(world.handler.packets) == 16
    for _ in range(16):
        receive(world)
    world.handler.overruns = 4
    world.platform.poll(0)
    assert len(world.handler.packets) == 20
    world.platform.poll(0)
    assert len(world.handler.packets) == 20
    time.sleep(0.002)
    world.environment.fire_due()
    world.platform.poll(0)
    assert len(world.handler.packets) == 32


def test_a_frame_that_meets_a_bug_is_dropped(world: World) -> None:
    receive(world, payload=b"bug")
    receive(world, payload=b"fine")
    world.platform.poll(0)
    assert len(world.handler.packets) == 1
    assert "ZeroDivisionError" in world.log.lines[0]


@pytest.mark.parametrize("offloaded", [False, True])
def test_a_datagrams_checksum_is_left_to_the_host_only_if_it_makes_it(offloaded: bool) -> None:
    offloads = Offloads()
    offloads.sends_checksums = offloaded
    world = World(offloads)
    ours, peer = bytes([10, 9, 0, 2]), bytes([10, 9, 0, 1])
    world.stack.add_address(world.interface, InterfaceAddress(ours, 24))
    world.stack.networks[4].neighbours.add_permanent(world.interface, peer, PEER_MAC)
    world.sent()
    endpoint = world.udp.new_endpoint(4)
    assert endpoint.send(b"payload", Address(peer, 7)) == 7
    [(virtio, frame)] = world.sent()
    assert virtio[0] == int(offloaded)
    total = sums.pseudo_header(ours, peer, 17, 15)
    if offloaded:
        assert int.from_bytes(frame[40:42], "big") == total
    else:
        assert sums.checksum(frame[34:], total) == 0
    endpoint.close()
    world.close()
