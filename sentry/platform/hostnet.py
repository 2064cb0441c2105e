"""Packet sockets of the host (packet(7)): frames in and out of one interface.

The descriptor was opened and bound by the host side; the sandbox itself can
make no socket.
"""

import os
from struct import Struct
from typing import Final

from sentry.abi.errno import EAGAIN, EINVAL
from sentry.platform._net import ffi, lib

# struct virtio_net_hdr, linux/virtio_net.h.
VNET_NEEDS_CHECKSUM: Final = 1
VNET_DATA_VALID: Final = 2
GSO_NONE: Final = 0
GSO_TCPV4: Final = 1
GSO_TCPV6: Final = 4
GSO_UDP: Final = 5  # VIRTIO_NET_HDR_GSO_UDP_L4: datagrams
GSO_ECN: Final = 0x80  # the first segment alone has CWR

PACKET_OUTGOING: Final = 4  # sll_pkttype, packet(7)

# Of struct net_frame, native/net.c: flags, gso_type, gso_size, kind, has_vlan, size.
FRAME: Final = Struct("<BB2xH6xBB2xI")
_unpack_frame: Final = FRAME.unpack_from
# What is given of one that is sent: flags, gso_type, header_size, gso_size, checksum_start,
# checksum_offset, protocol.
_pack_sent: Final = Struct("<BB5H").pack_into

FRAME_MAX: Final = 65536 + 64  # the largest GSO frame with its link header
BATCH: Final = 4  # NET_BATCH of native/net.c


PAGE: Final = 4096
_allocate: Final = ffi.new_allocator(should_clear_after_alloc=False)


def make_block(size: int) -> memoryview:
    """Return memory with any contents that begins on a page: copies are fast there."""
    memory = _allocate("char[]", size + PAGE)
    start = -int(ffi.cast("uintptr_t", memory)) % PAGE
    return memoryview(ffi.buffer(memory))[start : start + size]


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
        self.joins_datagrams = True  # until a frame of several shows that it cannot (Linux < 6.2)
        self._interface = interface
        self._vnet = int(has_vnet)
        self._frames = ffi.new("struct net_frame[]", BATCH)
        self._records = ffi.buffer(self._frames)
        self._outgoing = ffi.new("struct net_frame *")
        self._sent_record = ffi.buffer(self._outgoing)
        self._buffer = ffi.new("char[]", BATCH * FRAME_MAX)
        self._bytes = ffi.buffer(self._buffer)

    def receive(self) -> list[HostFrame]:
        """Return the next frames, at most BATCH; fewer: there are no more for now."""
        frames = self._frames
        count = lib.net_receive(self.host_fd, self._vnet, self._buffer, FRAME_MAX, frames, BATCH)
        received: list[HostFrame] = []
        for i in range(count):  # an error is less than 0: the interface is down
            flags, gso_type, gso_size, kind, has_vlan, size = _unpack_frame(
                self._records, i * FRAME.size
            )
            at = i * FRAME_MAX
            found = HostFrame(self._bytes[at : at + min(size, FRAME_MAX)])
            found.kind = kind
            found.has_vlan = has_vlan != 0
            found.is_verified = flags & VNET_DATA_VALID != 0
            found.is_unfinished = flags & VNET_NEEDS_CHECKSUM != 0
            if gso_type:
                found.gso_size = gso_size
            received.append(found)
        return received

    def send(
        self,
        protocol: int,
        header: bytes,
        payload: bytes | memoryview,
        checksum_start: int,
        checksum_offset: int,
        gso_type: int,
        gso_size: int,
    ) -> bool:
        """Send a frame; False if there is no room now.

        `checksum_start` 0: nothing is left to compute.  Frames that the host refuses
        otherwise (the interface is down, its queue is full) are lost, as on a real
        wire: there would be no sign of when to try again.  A frame of several datagrams
        was not sent if `joins_datagrams` is False then.
        """
        _pack_sent(
            self._sent_record,
            0,
            VNET_NEEDS_CHECKSUM if checksum_start else 0,
            gso_type,
            len(header),
            gso_size,
            checksum_start,
            checksum_offset,
            protocol,
        )
        error = lib.net_send(
            self.host_fd,
            self._interface,
            self._vnet,
            self._outgoing,
            header,
            len(header),
            payload if isinstance(payload, bytes) else ffi.from_buffer(payload),
            len(payload),
        )
        if error:
            if error == -EAGAIN:
                return False
            if error == -EINVAL and gso_type == GSO_UDP:
                self.joins_datagrams = False
                return True
            self.lost += 1
        return True

    def close(self) -> None:
        """Close the socket, which must not be watched any more."""
        os.close(self.host_fd)
