"""Guest memory through process_vm_readv(2) and process_vm_writev(2).

Both honour the page protections that the guest itself has, so a bad pointer
is EFAULT here as it would be in the host kernel.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sentry.abi.errno import EFAULT
from sentry.errors import SysError
from sentry.platform._ptrace import ffi, lib
from sentry.platform.interface import GuestMemory

if TYPE_CHECKING:
    from sentry.platform._ptrace import Buffer

BUFFER_SIZE: Final = 262144  # as in native/memory.c
ADDRESS_LIMIT: Final = 1 << 64
MAPS_CHUNK: Final = 65536
PARTS: Final = 4  # as in native/memory.c
MAX_PIECES: Final = 64
NO_PARTS: Final = [(0, 0)] * PARTS


# Bound once: these are the hot path, and each look into the extension costs as much as a call.
_add_piece: Final = lib.pt_add_piece
_begin_pieces: Final = lib.pt_begin_pieces
_read: Final = lib.pt_read
_read_into: Final = lib.pt_read_into
_read_from_host: Final = lib.pt_read_from_host
_read_string: Final = lib.pt_read_string
_write: Final = lib.pt_write
_write_pieces: Final = lib.pt_write_pieces
_write_to_host: Final = lib.pt_write_to_host


class Reservation:
    """The addresses that every stub keeps from its guest, and that are not the guest's memory."""

    def __init__(self) -> None:
        self.pages = 0


RESERVATION: Final = Reservation()
_buffers: list[Buffer] = []


def copy_buffer() -> Buffer:
    """Return the buffer into which the extension reads guest memory."""
    if not _buffers:
        _buffers.append(ffi.buffer(lib.pt_copy_buffer(), BUFFER_SIZE))
    return _buffers[0]


class PtraceMemory(GuestMemory):
    """The memory of one host address space; reached through any live thread of it."""

    def __init__(self, tid: int, proc_fd: int) -> None:
        self.tid = tid  # a live thread of it, or 0
        self.tids = [tid]
        self.buffer = copy_buffer()
        self.proc_fd = proc_fd

    def add_thread(self, tid: int) -> None:
        """Remember another thread that shares the address space."""
        self.tids.append(tid)

    def remove_thread(self, tid: int) -> None:
        """Forget a thread that is about to be gone."""
        if tid in self.tids:
            self.tids.remove(tid)
            self.tid = self.tids[0] if self.tids else 0

    def read(self, address: int, size: int) -> bytes:
        if size <= BUFFER_SIZE:
            if size <= 0:
                return b""
            if address + size > ADDRESS_LIMIT or _read(self.tid, address, size) != size:
                raise SysError(EFAULT)
            return self.buffer[:size]
        data = self.read_upto(address, size)
        if len(data) != size:
            raise SysError(EFAULT)
        return data

    def read_upto(self, address: int, size: int) -> bytes:
        if size <= 0:
            return b""
        pieces: list[bytes] = []
        done = 0
        while done < size and address + done < ADDRESS_LIMIT:
            piece = min(size - done, BUFFER_SIZE, ADDRESS_LIMIT - address - done)
            count = _read(self.tid, address + done, piece)
            if count <= 0:
                break
            pieces.append(self.buffer[:count])
            done += count
            if count < piece:
                break
        if not pieces:
            raise SysError(EFAULT)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_into(self, address: int, space: memoryview) -> int:
        size = min(len(space), ADDRESS_LIMIT - address)
        if size <= 0:
            return 0
        count = _read_into(self.tid, address, ffi.from_buffer(space), size)
        if count <= 0:
            raise SysError(EFAULT)
        return count

    def write(self, address: int, data: bytes) -> None:
        size = len(data)
        if not size:
            return
        if address + size > ADDRESS_LIMIT or _write(self.tid, address, data, size) != size:
            raise SysError(EFAULT)

    def write_upto(self, address: int, data: bytes) -> int:
        size = min(len(data), ADDRESS_LIMIT - address)
        if size <= 0:
            return 0
        count = _write(self.tid, address, data, size)
        if count <= 0:
            raise SysError(EFAULT)
        return count

    def write_pieces(self, address: int, pieces: list[bytes | memoryview]) -> int:
        if len(pieces) > MAX_PIECES:
            return self.write_upto(address, b"".join(pieces))
        left = ADDRESS_LIMIT - address
        _begin_pieces(address)
        for piece in pieces:
            size = min(len(piece), left)
            left -= size
            _add_piece(piece if isinstance(piece, bytes) else ffi.from_buffer(piece), size)
        count = _write_pieces(self.tid)
        if count <= 0:
            raise SysError(EFAULT)
        return count

    def read_parts(self, parts: list[tuple[int, int]]) -> bytes:
        total = parts_size(parts)
        if not 0 < total <= BUFFER_SIZE or len(parts) > PARTS:
            return super().read_parts(parts)
        (a0, s0), (a1, s1), (a2, s2), (a3, s3) = parts + NO_PARTS[len(parts) :]
        if lib.pt_read_parts(self.tid, a0, s0, a1, s1, a2, s2, a3, s3) != total:
            raise SysError(EFAULT)
        return self.buffer[:total]

    def write_parts(self, parts: list[tuple[int, int]], data: bytes) -> None:
        total = parts_size(parts)
        if total != len(data) or not total or len(parts) > PARTS:
            super().write_parts(parts, data)
            return
        (a0, s0), (a1, s1), (a2, s2), (a3, s3) = parts + NO_PARTS[len(parts) :]
        if lib.pt_write_parts(self.tid, data, a0, s0, a1, s1, a2, s2, a3, s3) != total:
            raise SysError(EFAULT)

    def read_cstring(self, address: int, limit: int) -> bytes:
        length = _read_string(self.tid, address, limit)
        if length < 0:
            raise SysError(self._errno(length))
        return self.buffer[:length]

    def read_from_host(self, host_fd: int, address: int, size: int, offset: int) -> int:
        count = _read_from_host(self.tid, host_fd, address, size, offset)
        if count < 0:
            raise SysError(self._errno(count))
        return count

    def write_to_host(self, host_fd: int, address: int, size: int, offset: int) -> int:
        count = _write_to_host(self.tid, host_fd, address, size, offset)
        if count < 0:
            raise SysError(self._errno(count))
        return count

    def _errno(self, result: int) -> int:
        # A process that was killed meanwhile has no memory (ESRCH).
        return EFAULT if result == -3 else -result

    def host_maps(self) -> bytes:
        try:
            return read_proc_file(self.proc_fd, f"{self.tid}/maps")
        except OSError:
            return b""  # the process is gone

    def host_statm(self) -> bytes:
        try:
            text = read_proc_file(self.proc_fd, f"{self.tid}/statm")
        except OSError:
            return b""  # the process is gone
        pages, _, rest = text.partition(b" ")
        return b"%d %s" % (max(int(pages) - RESERVATION.pages, 0), rest)


def parts_size(parts: list[tuple[int, int]]) -> int:
    """Return the size of parts together; SysError(EFAULT) for one beyond all addresses."""
    total = 0
    for address, size in parts:
        if address + size > ADDRESS_LIMIT:
            raise SysError(EFAULT)
        total += size
    return total


def read_proc_file(proc_fd: int, name: str) -> bytes:
    """Return a file of the procfs that `proc_fd` is the root of."""
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)
    try:
        pieces = []
        while piece := os.read(fd, MAPS_CHUNK):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)
