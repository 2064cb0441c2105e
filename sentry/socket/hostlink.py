"""An interface of the host as a link of the network stack, through a packet socket.

The host does segmentation and checksums both ways, as far as it was agreed
(`struct virtio_net_hdr`): a frame of 64 KiB crosses in one call.  What cannot
be sent now is refused, and its sender told when there is room: nothing is
queued here but the rest of a frame that was taken apart.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from netstack.environment import Timer
from netstack.link.base import Link
from netstack.link.pcap import (
    DIRECTION_IN,
    DIRECTION_OUT,
    LINKTYPE_ETHERNET,
    LINKTYPE_RAW,
    Capture,
)
from netstack.link.segments import segments
from netstack.packet import OutFrame
from netstack.wire import checksum as sums
from sentry.log import Log, describe_exception
from sentry.platform.hostnet import (
    BATCH,
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    PACKET_OUTGOING,
    HostFrame,
    PacketSocket,
)
from sentry.platform.interface import HostWatcher, Platform

POLLIN: Final = 1
POLLOUT: Final = 4
POLLERR: Final = 8
POLLHUP: Final = 16

# Frames taken at one go: a flood must not keep the kernel from everything else.
RECEIVE_BUDGET: Final = 64
# If none of the last few had room with its reader: what the packet socket drops meanwhile costs
# nothing.
REST_NS: Final = 1_000_000
MAX_BUGS_LOGGED: Final = 20
GSO_MAX: Final = 65536
ETHERNET_HEADER: Final = 14
ADDRESS_SIZE: Final = 6
# Where TCP has CWR, and what it looks like.
TCP_FLAGS: Final = 13
CWR: Final = 0x80


class Offloads:
    """What the host does for the stack."""

    def __init__(self) -> None:
        self.segments = True  # it takes frames with a segment size
        self.software_segments = False  # without that: frames are taken apart here
        self.sends_checksums = False  # unfinished checksums of single frames, too
        self.trusts_checksums = True  # what the device has verified needs no second look
        self.gso_max = GSO_MAX


class HostLink(Link):
    """A link over a packet socket.  Frames come in from `start` on."""

    def __init__(
        self,
        platform: Platform,
        log: Log,
        socket: PacketSocket,
        mtu: int,
        address: bytes,
        offloads: Offloads,
    ) -> None:
        """`address` is empty for interfaces without link header (tun)."""
        super().__init__(mtu, address)
        self.socket = socket
        # IPv4 of an ipvlan in mode l3 is routed by the host, which wants every frame to be
        # addressed to the interface itself: whoever is to get it, group or broadcast included.
        self.sends_to_itself = False
        self._platform = platform
        self._log = log
        self._offloads = offloads
        self._watcher = LinkWatcher(self)
        self._rest: deque[OutFrame] = deque()  # of a frame that was taken apart
        self._wants_room = False
        self._rests = False
        self._rest_timer = RestTimer(self)
        self._bugs = 0
        self._lost = 0
        self._capture: Capture | None = None
        self._capture_number = 0
        self._is_open = False
        # Segmentation needs unfinished checksums; single frames are finished here if need be.
        if offloads.segments or offloads.software_segments:
            self.gso_max = min(offloads.gso_max, GSO_MAX)
        self.joins_datagrams = offloads.segments
        self.sends_checksums = offloads.sends_checksums or self.gso_max > 0
        self.finishes_checksums = not offloads.sends_checksums

    def start(self) -> None:
        """Take frames from now on."""
        self._is_open = True
        self._watch()

    def _watch(self) -> None:
        """Wait for what is wanted now; errors are always reported."""
        if self._is_open:
            events = 0 if self._rests else POLLIN
            if self._wants_room:
                events |= POLLOUT
            self._platform.watch(self.socket.host_fd, events, self._watcher)

    def close(self) -> None:
        """Close the packet socket."""
        if self._is_open:
            self._is_open = False
            if self._rests and self.interface is not None:
                self.interface.stack.environment.disarm(self._rest_timer)
            self._platform.unwatch(self.socket.host_fd)
        self.socket.close()

    def capture(self, capture: Capture, name: str) -> None:
        """Have all frames of both directions in a capture."""
        link_type = LINKTYPE_ETHERNET if self.has_header else LINKTYPE_RAW
        self._capture_number = capture.add_interface(name, link_type)
        self._capture = capture

    # In.

    def on_ready(self, events: int) -> None:
        """Called with the poll(2) bits of the socket."""
        if events & POLLOUT and self._wants_room:
            self._on_writable()
        if events & (POLLIN | POLLERR | POLLHUP):
            self.receive_some()

    def receive_some(self) -> None:
        """Take the frames that are there, up to a limit; the rest is reported again."""
        interface = self.interface
        if interface is None:
            return
        stack = interface.stack
        for _ in range(RECEIVE_BUDGET // BATCH):
            overruns = stack.overruns
            frames = self.socket.receive()
            for frame in frames:
                self._take(frame)
            if len(frames) < BATCH:
                break
            if stack.overruns - overruns == BATCH:
                self._pause()
                break
        stack.flush()

    def _pause(self) -> None:
        """Let those who read catch up before more comes that would be dropped."""
        if self._is_open and not self._rests and self.interface is not None:
            self._rests = True
            self._watch()
            environment = self.interface.stack.environment
            environment.arm(self._rest_timer, environment.now_ns() + REST_NS)

    def go_on(self) -> None:
        """Take frames again after a rest."""
        self._rests = False
        self._watch()

    def _take(self, frame: HostFrame) -> None:
        if frame.kind == PACKET_OUTGOING or frame.has_vlan:
            return  # our own, on hosts that show it; or of another network
        if self._capture is not None:
            self._record(DIRECTION_IN, frame.data, b"")
        try:
            self._deliver(frame)
        except Exception:  # noqa: BLE001  what a stranger sends must not end the container
            self._note_bug()

    def _deliver(self, frame: HostFrame) -> None:
        if self.interface is not None:
            is_verified = frame.is_verified and self._offloads.trusts_checksums
            self.interface.receive(
                frame.data,
                checksum_good=frame.is_unfinished or is_verified,
                gso_size=frame.gso_size,
            )

    def _note_bug(self) -> None:
        self._bugs += 1
        if self._bugs <= MAX_BUGS_LOGGED:
            self._log.warning("a frame met a bug:\n" + describe_exception())

    # Out.

    def send(self, frame: OutFrame) -> bool:
        if self._wants_room:
            return False  # in turn: others were refused before
        if frame.gso_size:
            by_host = self.joins_datagrams if frame.is_udp else self._offloads.segments
            if not by_host:
                self._send_apart(frame)
                return True
        if frame.checksum_start and not frame.gso_size and not self._offloads.sends_checksums:
            finish_checksum(frame)
        if not self._put(frame):
            self._wait_for_room()
            return False
        if frame.is_udp and frame.gso_size and not self.socket.joins_datagrams:
            self.joins_datagrams = False  # the host does not know such frames
            self._send_apart(frame)
        return True

    def _send_apart(self, frame: OutFrame) -> None:
        """Take a frame apart and send it: what finds no room goes before anything else."""
        self._rest.extend(segments(frame, ETHERNET_HEADER if self.has_header else 0))
        self._send_rest()

    def _send_rest(self) -> bool:
        """Send what is left of a frame that was taken apart; return whether that is all."""
        while self._rest:
            if not self._put(self._rest[0]):
                self._wait_for_room()
                return False
            self._rest.popleft()
        return True

    def _put(self, frame: OutFrame) -> bool:
        header = frame.header
        if self.sends_to_itself:
            header = self.address + header[ADDRESS_SIZE:]
        gso_type = gso_type_of(frame) if frame.gso_size else GSO_NONE
        if not self.socket.send(
            frame.ethertype,
            header,
            frame.payload,
            frame.checksum_start,
            frame.checksum_offset,
            gso_type,
            frame.gso_size,
        ):
            return False
        if self._capture is not None:
            self._record(DIRECTION_OUT, header, bytes(frame.payload))
        if self.socket.lost != self._lost and self.interface is not None:
            self.interface.counters.tx_dropped += self.socket.lost - self._lost
            self._lost = self.socket.lost
        return True

    def _wait_for_room(self) -> None:
        self._wants_room = True
        self._watch()

    def _on_writable(self) -> None:
        self._wants_room = False
        if not self._send_rest():
            return
        self._watch()
        if self.interface is not None:
            self.interface.on_room()

    def _record(self, direction: int, header: bytes, payload: bytes) -> None:
        if self._capture is not None and self.interface is not None:
            time_ns = self.interface.stack.environment.realtime_ns()
            self._capture.add_packet(self._capture_number, time_ns, direction, header, payload)


class RestTimer(Timer):
    """Ends a link's rest."""

    def __init__(self, link: HostLink) -> None:
        super().__init__()
        self._link = link

    def fire(self) -> None:
        self._link.go_on()


class LinkWatcher(HostWatcher):
    """Tells a link that its socket is ready."""

    def __init__(self, link: HostLink) -> None:
        self._link = link

    def on_host_ready(self, events: int) -> None:
        self._link.on_ready(events)


def gso_type_of(frame: OutFrame) -> int:
    """Return VIRTIO_NET_HDR_GSO_ of a frame that stands for several segments."""
    if frame.is_udp:
        return GSO_UDP
    kind = GSO_TCPV6 if frame.is_ipv6 else GSO_TCPV4
    flags = frame.header[frame.checksum_start + TCP_FLAGS]
    return kind | GSO_ECN if flags & CWR else kind


def finish_checksum(frame: OutFrame) -> None:
    """Make the checksum of a frame, whose field has the sum of the pseudo-header."""
    start = frame.checksum_start
    total = sums.checksum(bytes(frame.payload), sums.checksum(frame.header[start:]))
    # 0 would be "no checksum" for UDP (RFC 768), and means the same as 0xFFFF for others.
    value = sums.finish(total) or 0xFFFF
    frame.header = sums.replace(frame.header, start + frame.checksum_offset, value)
    frame.checksum_start = 0
    frame.checksum_offset = 0
