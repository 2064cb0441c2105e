"""PACKET_RX_RING (packet(7); Documentation/networking/packet_mmap.rst): frames in shared memory.

The ring is a memory file that the guest maps.  Each slot begins with a status:
the kernel's as long as it is 0, the reader's after a frame was put there.  The
guest may write anything anywhere; only the statuses are ever read back.
"""

from struct import Struct
from typing import Final

from netstack.packet_socket import Frame, FrameRing
from sentry.abi.errno import EINVAL, ENOMEM
from sentry.errors import SysError
from sentry.platform import hostfiles, hostmemory

REQUEST: Final = Struct("<4I")  # struct tpacket_req: block size and number, frame size and number
TPACKET_V1: Final = 0
TPACKET_V2: Final = 1
HEADER_SIZES: Final = {TPACKET_V1: 32, TPACKET_V2: 32}
_HEADER_V1: Final = Struct("<QIIHHII4x")  # struct tpacket_hdr
_HEADER_V2: Final = Struct("<IIIHHIIHH4x")  # struct tpacket2_hdr
_STATUS: Final = Struct("<I")
SOCKADDR_LL_SIZE: Final = 20
PAGE: Final = 4096
ALIGNMENT: Final = 16
SIZE_MAX: Final = 64 << 20
NAME: Final = b"packet-ring"

TP_STATUS_USER: Final = 1
TP_STATUS_LOSING: Final = 4
TP_STATUS_CSUM_VALID: Final = 1 << 7
TP_STATUS_TS_SOFTWARE: Final = 1 << 29


def aligned(size: int) -> int:
    """Round up as TPACKET_ALIGN does."""
    return (size + ALIGNMENT - 1) & -ALIGNMENT


class PacketRing(FrameRing):
    """A ring of slots of one size, in blocks."""

    def __init__(self, request: bytes, version: int, reserve: int, is_raw: bool) -> None:
        """Make the ring of a struct tpacket_req; SysError(EINVAL), ENOMEM (packet_set_ring)."""
        sizes: tuple[int, int, int, int] = REQUEST.unpack(request)
        block_size, blocks, self.frame_size, self.frames = sizes
        self.version = version
        self.reserve = reserve
        self.is_raw = is_raw
        self.header_size = HEADER_SIZES[version] + SOCKADDR_LL_SIZE
        if not 0 < block_size < 1 << 31 or block_size % PAGE:
            raise SysError(EINVAL)
        if self.frame_size < self.header_size + reserve or self.frame_size % ALIGNMENT:
            raise SysError(EINVAL)
        self.frames_per_block = block_size // self.frame_size
        if not self.frames_per_block or self.frames_per_block * blocks != self.frames:
            raise SysError(EINVAL)
        if block_size * blocks > SIZE_MAX:
            raise SysError(ENOMEM)
        self.block_size = block_size
        self.head = 0  # the slot for the next frame
        self.memory = hostfiles.OwnedFd(hostmemory.make_memory_file(NAME, 0))
        hostfiles.truncate(self.memory.fd, block_size * blocks)

    def put(self, frame: Frame, address: bytes, *, is_losing: bool) -> bool:
        start = self._start(self.head)
        if self._status(start):
            return False
        header = frame.network if self.is_raw else 0
        # The network header is aligned, with room for any link header before it.
        if self.is_raw:
            network_at = aligned(self.header_size + max(header, 16)) + self.reserve
        else:
            network_at = aligned(self.header_size) + 16 + self.reserve
        data_at = network_at - header
        if data_at >= self.frame_size:
            return False
        data = frame.data[: self.frame_size - data_at]
        status = TP_STATUS_USER | TP_STATUS_TS_SOFTWARE
        if frame.checksum:
            status |= TP_STATUS_CSUM_VALID
        if is_losing:
            status |= TP_STATUS_LOSING
        head = self._header(frame, len(data), data_at, network_at) + address
        fd = self.memory.fd
        hostfiles.write_all_to_host(fd, data, start + data_at)
        hostfiles.write_all_to_host(fd, head[4:], start + 4)
        hostfiles.write_all_to_host(fd, _STATUS.pack(status), start)  # last: now it is the reader's
        self.head = (self.head + 1) % self.frames
        return True

    def _header(self, frame: Frame, kept: int, data_at: int, network_at: int) -> bytes:
        """Return the header of a slot; its status is still the kernel's."""
        seconds, rest = divmod(frame.time_ns, 1_000_000_000)
        seconds &= 0xFFFF_FFFF
        data_at &= 0xFFFF
        network_at &= 0xFFFF
        if self.version == TPACKET_V1:
            rest //= 1000
            return _HEADER_V1.pack(0, frame.length, kept, data_at, network_at, seconds, rest)
        return _HEADER_V2.pack(0, frame.length, kept, data_at, network_at, seconds, rest, 0, 0)

    def has_frames(self) -> bool:
        return self._status(self._start((self.head - 1) % self.frames)) != 0

    def _start(self, index: int) -> int:
        block, slot = divmod(index, self.frames_per_block)
        return block * self.block_size + slot * self.frame_size

    def _status(self, start: int) -> int:
        raw = hostfiles.read_some_from_host(self.memory.fd, _STATUS.size, start)
        status: int = _STATUS.unpack(raw)[0]
        return status
