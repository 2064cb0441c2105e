"""Segments of System V shared memory (shmget(2)): host memfds that address spaces map."""

from typing import Final

from sentry.abi.errno import ENOSPC
from sentry.abi.ipc import SHM_DEST, SHMMNI
from sentry.errors import SysError
from sentry.kernel.ipc import IpcObject, IpcTable
from sentry.platform import hostfiles
from sentry.vfs.creds import Credentials

PAGE: Final = 4096


class Segment(IpcObject):
    """One segment; it lives until it is removed and nobody has it attached."""

    def __init__(self, key: int, mode: int, size: int, creds: Credentials) -> None:
        super().__init__(key, mode, creds)
        self.size = size
        self.host = hostfiles.OwnedFd(hostfiles.make_memory_file("sysv"))
        hostfiles.truncate(self.host.fd, self.mapped_size())
        self._read_only = hostfiles.OwnedFd(-1)
        self.creator = 0  # pids
        self.last_user = 0
        self.attached = 0
        self.attach_time = 0  # seconds since the epoch, 0: never
        self.detach_time = 0
        self.change_time = 0

    def mapped_size(self) -> int:
        """Return the size in whole pages."""
        return (self.size + PAGE - 1) & -PAGE

    def is_too_small(self, size: int) -> bool:
        return size > self.size

    def resident_pages(self) -> int:
        """Return how many pages have something in them."""
        return hostfiles.stat_fd(self.host.fd).st_blocks * 512 // PAGE

    def descriptor(self, *, is_writable: bool) -> int:
        """Return the host descriptor to map; no mapping of the other one can be made writable."""
        if is_writable:
            return self.host.fd
        if self._read_only.fd < 0:
            self._read_only.fd = hostfiles.PROC.reopen(self.host.fd, 0)
        return self._read_only.fd


class SegmentTable(IpcTable):
    """All segments, and their bounds."""

    def __init__(self) -> None:
        super().__init__(SHMMNI)
        self.max_size = (1 << 64) - (1 << 24) - 1  # shmmax, bytes
        self.max_pages = (1 << 64) - (1 << 24) - 1  # shmall
        self.pages = 0

    def segment(self, number: int) -> Segment:
        """Return the segment of an identifier; SysError(EINVAL, EIDRM)."""
        found = self.find(number)
        assert isinstance(found, Segment)
        return found

    def segment_at(self, index: int) -> Segment:
        """Return the segment at an index; SysError(EINVAL)."""
        found = self.at(index)
        assert isinstance(found, Segment)
        return found

    def resident(self) -> int:
        """Return how many pages of all segments have something in them."""
        count = 0
        for found in self.objects.values():
            assert isinstance(found, Segment)
            count += found.resident_pages()
        return count

    def enter(self, made: Segment) -> int:
        """Enter a new segment; return its identifier."""
        pages = made.mapped_size() // PAGE
        if self.pages + pages > self.max_pages:
            raise SysError(ENOSPC)
        number = self.add(made)
        self.pages += pages
        return number

    def mark_removed(self, segment: Segment) -> None:
        """IPC_RMID: nobody finds it by its key, and it goes with the last who has it attached."""
        segment.mode |= SHM_DEST
        self.forget_key(segment)
        self._destroy_if_unused(segment)

    def detach(self, segment: Segment, pid: int, now: int) -> None:
        """One address space less has a segment."""
        segment.attached -= 1
        segment.detach_time = now
        segment.last_user = pid
        self._destroy_if_unused(segment)

    def forget_unmapped(
        self, attached: dict[int, Segment], address: int, length: int, pid: int, now: int
    ) -> None:
        """Note the segments of an address space that munmap(2) takes away as a whole."""
        for start, segment in list(attached.items()):
            if address <= start and start + segment.mapped_size() <= address + length:
                del attached[start]
                self.detach(segment, pid, now)

    def _destroy_if_unused(self, segment: Segment) -> None:
        if segment.mode & SHM_DEST and segment.attached == 0 and not segment.is_removed:
            self.pages -= segment.mapped_size() // PAGE
            self.remove(segment)


def detach_all(attachments: dict[int, Segment], segments: SegmentTable, pid: int, now: int) -> None:
    """An address space that had segments is gone."""
    for segment in attachments.values():
        segments.detach(segment, pid, now)
    attachments.clear()
