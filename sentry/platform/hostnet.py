"""Packet sockets of the host (packet(7)): frames in and out of one interface.

The descriptor was opened and bound by the host side; the sandbox itself can
make no socket.
"""

import os
from typing import Final

from sentry.abi.errno import EAGAIN
from sentry.platform._net import ffi, lib

# struct virtio_net_hdr, linux/virtio_net.h.
VNET_NEEDS_CHECKSUM: Final = 1
VNET_DATA_VALID: Final = 2
GSO_NONE: Final = 0
GSO_TCPV4: Final = 1
GSO_TCPV6: Final = 4
GSO_ECN: Final = 0x80  # the first segment alone has CWR

PACKET_OUTGOING: Final = 4  # sll_pkttype, packet(7)

FRAME_MAX: Final = 65536 + 64  # the largest GSO frame with its link header
BATCH: Final = 4  # NET_BATCH of native/net.c


class HostFrame:
    """A frame that was received."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.kind = 0  # sll_pkttype
        self.has_vlan = False  # a VLAN tag was taken out of it
        self.is_verified = False  # the device has verified the checksum
        self.is_unfinished = False  # the checksum is still to be made: it never left the host
        self.gso_size = 0


class PacketSocket:
    """One interface of the host, as raw frames."""

    def __init__(self, host_fd: int, interface: int, *, has_vnet: bool) -> None:
        """`interface`: its index on the host; `has_vnet`: the socket has PACKET_VNET_HDR."""
        self.host_fd = host_fd
        self.lost = 0  # frames that the host refused to send
        self._interface = interface
        self._vnet = int(has_vnet)
        self._frames = ffi.new("struct net_frame[]", BATCH)
        self._outgoing = ffi.new("struct net_frame *")
        self._buffer = ffi.new("char[]", BATCH * FRAME_MAX)
        self._bytes = ffi.buffer(self._buffer)

    def receive(self) -> list[HostFrame]:
        """Return the next frames, at most BATCH; fewer: there are no more for now."""
        frames = self._frames
        count = lib.net_receive(self.host_fd, self._vnet, self._buffer, FRAME_MAX, frames, BATCH)
        received: list[HostFrame] = []
        for i in range(count):  # an error is less than 0: the interface is down
            frame = frames[i]
            at = i * FRAME_MAX
            found = HostFrame(self._bytes[at : at + min(frame.size, FRAME_MAX)])
            found.kind = frame.kind
            found.has_vlan = frame.has_vlan != 0
            flags = frame.flags
            found.is_verified = flags & VNET_DATA_VALID != 0
            found.is_unfinished = flags & VNET_NEEDS_CHECKSUM != 0
            if frame.gso_type:
                found.gso_size = frame.gso_size
            received.append(found)
        return received

    def send(
        self,
        protocol: int,
        header: bytes,
        payload: bytes,
        checksum_start: int,
        checksum_offset: int,
        gso_type: int,
        gso_size: int,
    ) -> bool:
        """Send a frame; False if there is no room now.

        `checksum_start` 0: nothing is left to compute.  Frames that the host refuses
        otherwise (the interface is down, its queue is full) are lost, as on a real
        wire: there would be no sign of when to try again.
        """
        frame = self._outgoing
        frame.flags = VNET_NEEDS_CHECKSUM if checksum_start else 0
        frame.checksum_start = checksum_start
        frame.checksum_offset = checksum_offset
        frame.gso_type = gso_type
        frame.gso_size = gso_size
        frame.header_size = len(header)
        frame.protocol = protocol
        error = lib.net_send(
            self.host_fd,
            self._interface,
            self._vnet,
            frame,
            header,
            len(header),
            payload,
            len(payload),
        )
        if error:
            if error == -EAGAIN:
                return False
            self.lost += 1
        return True

    def close(self) -> None:
        """Close the socket, which must not be watched any more."""
        os.close(self.host_fd)
