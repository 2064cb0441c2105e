"""AF_PACKET endpoints (packet(7)): frames as they pass an interface."""

from __future__ import annotations

from collections import deque
from typing import Final

from mypy_extensions import mypyc_attr

from netstack.endpoint import EVENT_ERR, EVENT_IN, EVENT_OUT, Endpoint
from netstack.errors import INVALID, MESSAGE_TOO_LONG, NETWORK_DOWN, NO_SUCH_DEVICE, NetError
from netstack.interface import IFF_ALLMULTI, IFF_PROMISC, Interface
from netstack.packet import OUTGOING, TO_OTHER_HOST, FrameFilter, InPacket, OutFrame
from netstack.stack import RoomListener, Stack

ETH_P_ALL: Final = 3  # all protocols
FRAME_OVERHEAD: Final = 512
ETHERNET_HEADER: Final = 14


class Frame:
    """A received frame, with what struct sockaddr_ll and struct tpacket_auxdata tell of it."""

    def __init__(self, data: bytes, length: int, packet: InPacket, ethertype: int) -> None:
        self.data = data
        self.length = length  # before a filter cut it
        self.ethertype = ethertype
        self.kind = packet.kind  # sll_pkttype
        self.interface_index = packet.interface.index
        self.source = b""  # sll_addr
        self.network = 0  # offset of the network header, tp_net - tp_mac
        self.checksum = packet.checksum
        self.time_ns = packet.time_ns


@mypyc_attr(allow_interpreted_subclasses=True)
class FrameRing:
    """Where frames go in place of the queue (PACKET_RX_RING)."""

    def put(self, frame: Frame, address: bytes, *, is_losing: bool) -> bool:
        """Take a frame with its struct sockaddr_ll; False if there is no room.

        `is_losing`: some were dropped since the statistics were read.
        """
        return False

    def has_frames(self) -> bool:
        """Return whether the reader has something to read."""
        return False


@mypyc_attr(allow_interpreted_subclasses=True)
class FrameAddresses:
    """Makes struct sockaddr_ll, which is none of the stack's business."""

    def address_of(self, frame: Frame) -> bytes:
        """Return where a frame came from."""
        return b""


class PacketEndpoint(Endpoint):
    """Sees the frames of one or of all interfaces.  The socket layer asks for CAP_NET_RAW."""

    def __init__(self, stack: Stack, is_raw: bool, protocol: int) -> None:
        super().__init__()
        self.stack = stack
        self.is_raw = is_raw  # SOCK_RAW: with link headers; else SOCK_DGRAM
        self.protocol = protocol  # an ethertype, ETH_P_ALL, or 0: receives nothing
        self.interface_index = 0  # 0: all
        self.filter: FrameFilter | None = None
        self.ring: FrameRing | None = None  # PACKET_RX_RING
        self.addresses = FrameAddresses()
        self.ignores_outgoing = False  # PACKET_IGNORE_OUTGOING
        self.receive_limit = stack.settings.rmem_default
        self.packets = 0  # PACKET_STATISTICS
        self.drops = 0
        self.is_closed = False
        self._queue: deque[Frame] = deque()
        self._queued_bytes = 0
        self._has_room = True
        self._waiter = PacketWaiter(self)
        self._promiscuous: list[tuple[int, int]] = []  # interface and flag
        self._listen()

    def _listen(self) -> None:
        wanted = self.protocol != 0 and not self.is_closed
        if wanted and self not in self.stack.taps:
            # A new list: a frame may be on its way through the old one.
            self.stack.taps = [*self.stack.taps, self]
        elif not wanted and self in self.stack.taps:
            self.stack.taps = [tap for tap in self.stack.taps if tap is not self]

    def bind(self, interface_index: int, protocol: int) -> None:
        """bind(2): sll_ifindex (0: all) and sll_protocol (0: as before)."""
        if interface_index and interface_index not in self.stack.interfaces:
            raise NetError(NO_SUCH_DEVICE)
        self.interface_index = interface_index
        if protocol:
            self.protocol = protocol
        self._listen()

    # In.

    def on_frame(self, packet: InPacket, ethertype: int) -> None:
        """Called with every frame that comes in or goes out."""
        if self.interface_index and self.interface_index != packet.interface.index:
            return
        if self.protocol != ETH_P_ALL and (self.protocol != ethertype or packet.kind == OUTGOING):
            return
        if packet.kind == OUTGOING and self.ignores_outgoing:
            return
        if packet.kind == TO_OTHER_HOST and not packet.interface.flags & IFF_PROMISC:
            return
        start = 0 if self.is_raw else packet.network
        data = packet.data[start:]
        keep = len(data)
        if self.filter is not None:
            keep = self.filter.run(packet.data, start, len(packet.data), packet, ethertype)
            if keep <= 0:
                return
        self.packets += 1
        if self.ring is not None:
            self._put_in_ring(self.ring, self._frame(data[:keep], packet, ethertype, len(data)))
            return
        if self._queued_bytes + min(keep, len(data)) + FRAME_OVERHEAD > self.receive_limit:
            self.drops += 1
            return
        frame = self._frame(data[:keep], packet, ethertype, len(data))
        self._queue.append(frame)
        self._queued_bytes += len(frame.data) + FRAME_OVERHEAD
        self.listener.on_events(EVENT_IN)

    def _frame(self, data: bytes, packet: InPacket, ethertype: int, length: int) -> Frame:
        frame = Frame(data, length, packet, ethertype)
        if packet.network >= ETHERNET_HEADER:
            frame.source = packet.data[6:12]
        frame.network = packet.network if self.is_raw else 0
        return frame

    def _put_in_ring(self, ring: FrameRing, frame: Frame) -> None:
        if not frame.time_ns:
            frame.time_ns = self.stack.environment.realtime_ns()
        if ring.put(frame, self.addresses.address_of(frame), is_losing=self.drops > 0):
            self.listener.on_events(EVENT_IN)
        else:
            self.drops += 1

    def receive(self, *, peek: bool = False) -> Frame | None:
        """Return the next frame, whole; None: would block."""
        code = self.take_error()
        if code:
            raise NetError(code)
        if not self._queue:
            return None
        if peek:
            return self._queue[0]
        frame = self._queue.popleft()
        self._queued_bytes -= len(frame.data) + FRAME_OVERHEAD
        return frame

    def take_statistics(self) -> tuple[int, int]:
        """Return and forget how many frames came and were dropped (PACKET_STATISTICS)."""
        statistics = (self.packets, self.drops)
        self.packets = 0
        self.drops = 0
        return statistics

    def readiness(self) -> int:
        events = EVENT_OUT if self._has_room else 0
        if self._queue or (self.ring is not None and self.ring.has_frames()):
            events |= EVENT_IN
        if self.error:
            events |= EVENT_ERR
        return events

    # Out.

    def send(
        self, data: bytes, interface_index: int = 0, protocol: int = 0, destination: bytes = b""
    ) -> int | None:
        """Send a frame; `destination` and `protocol` make the header unless the endpoint is raw.

        None: would block.  NO_SUCH_DEVICE, NETWORK_DOWN, INVALID (shorter than a header),
        MESSAGE_TOO_LONG.
        """
        interface = self.stack.interfaces.get(interface_index or self.interface_index)
        if interface is None:
            raise NetError(NO_SUCH_DEVICE)
        if not interface.is_up():
            raise NetError(NETWORK_DOWN)
        header_length = ETHERNET_HEADER if interface.link.has_header else 0
        protocol = protocol or self.protocol
        if self.is_raw:
            if len(data) < header_length:
                raise NetError(INVALID)
            header = data[:header_length]
            if header:
                protocol = (header[12] << 8) | header[13]
            payload = data[header_length:]
        else:
            header = interface.link_header(destination.ljust(6, b"\0")[:6], protocol)
            payload = data
        if len(payload) > interface.mtu:
            raise NetError(MESSAGE_TOO_LONG)
        if not interface.send_frame(OutFrame(protocol, header, payload)):
            self._has_room = False
            self.stack.when_room(interface, self._waiter)
            return None
        return len(data)

    def on_room(self) -> None:
        """The interface takes frames again."""
        self._has_room = True
        self.listener.on_events(EVENT_OUT)

    # Memberships.

    def add_membership(self, interface_index: int, flag: int) -> None:
        """PACKET_ADD_MEMBERSHIP with IFF_PROMISC or IFF_ALLMULTI."""
        interface = self._interface(interface_index)
        if flag not in {IFF_PROMISC, IFF_ALLMULTI}:
            raise NetError(INVALID)
        self._promiscuous.append((interface_index, flag))
        interface.add_mode(flag)

    def drop_membership(self, interface_index: int, flag: int) -> None:
        """PACKET_DROP_MEMBERSHIP."""
        if (interface_index, flag) in self._promiscuous:
            self._promiscuous.remove((interface_index, flag))
            interface = self.stack.interfaces.get(interface_index)
            if interface is not None:
                interface.drop_mode(flag)

    def _interface(self, index: int) -> Interface:
        interface = self.stack.interfaces.get(index)
        if interface is None:
            raise NetError(NO_SUCH_DEVICE)
        return interface

    def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        self._listen()
        for interface_index, flag in list(self._promiscuous):
            self.drop_membership(interface_index, flag)
        self._queue.clear()
        self._queued_bytes = 0
        for interface in self.stack.interfaces.values():
            interface.forget_waiting(self._waiter)


class PacketWaiter(RoomListener):
    """Tells an endpoint that its interface takes frames again."""

    def __init__(self, endpoint: PacketEndpoint) -> None:
        self.endpoint = endpoint

    def on_room(self) -> None:
        self.endpoint.on_room()
