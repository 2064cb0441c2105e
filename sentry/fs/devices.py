"""The memory devices: null, zero, full, random, urandom (null(4), full(4), random(4))."""

from typing import Final

from sentry.abi.errno import ENOSPC
from sentry.abi.stat import S_IFCHR
from sentry.errors import SysError
from sentry.mm.io import Sink, Source
from sentry.platform.hostinfo import random_bytes
from sentry.vfs.creds import Credentials
from sentry.vfs.file import File
from sentry.vfs.inode import Inode
from sentry.vfs.mount import VfsPath
from sentry.vfs.special import REGISTRY, Opener

CHUNK: Final = 65536
_ZEROES: Final = bytes(CHUNK)
# Minor numbers of major 1 (linux: Documentation/admin-guide/devices.txt).
NULL_MINOR: Final = 3
ZERO_MINOR: Final = 5
FULL_MINOR: Final = 7
RANDOM_MINOR: Final = 8
URANDOM_MINOR: Final = 9
# What a container's /dev has of them: name, minor number.
MEMORY_NODES: Final = (
    (b"null", NULL_MINOR),
    (b"zero", ZERO_MINOR),
    (b"full", FULL_MINOR),
    (b"random", RANDOM_MINOR),
    (b"urandom", URANDOM_MINOR),
)


class NullFile(File):
    """/dev/null: nothing to read, and takes everything."""

    def try_read(self, sink: Sink) -> int | None:
        return 0

    def try_write(self, source: Source) -> int | None:
        return source.size

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        return 0

    def try_pwrite(self, source: Source, offset: int) -> int | None:
        return source.size

    def seek(self, offset: int, whence: int) -> int:
        return 0

    def is_pollable(self) -> bool:
        return True


class ZeroFile(NullFile):
    """/dev/zero: zeroes without end; a mapping of it is anonymous memory."""

    def try_read(self, sink: Sink) -> int | None:
        done = 0
        while sink.room:
            count = sink.put(_ZEROES if sink.room >= CHUNK else _ZEROES[: sink.room])
            done += count
            if count == 0:
                break
        return done

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        return self.try_read(sink)

    def maps_as_anonymous(self) -> bool:
        return True


class FullFile(ZeroFile):
    """/dev/full: reads like /dev/zero, and is always full."""

    def try_write(self, source: Source) -> int | None:
        if source.size:
            raise SysError(ENOSPC)
        return 0

    def try_pwrite(self, source: Source, offset: int) -> int | None:
        return self.try_write(source)


class RandomFile(NullFile):
    """/dev/random and /dev/urandom: cryptographically random bytes."""

    def try_read(self, sink: Sink) -> int | None:
        done = 0
        while sink.room:
            count = sink.put(random_bytes(min(sink.room, CHUNK)))
            done += count
            if count == 0:
                break
        return done

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        return self.try_read(sink)


class MemoryDevice(Opener):
    """Opens the devices of major number 1."""

    def __init__(self, minor: int) -> None:
        self._minor = minor

    def open(self, inode: Inode, place: VfsPath, flags: int, creds: Credentials) -> File:
        if self._minor == ZERO_MINOR:
            return ZeroFile(flags, inode)
        if self._minor == FULL_MINOR:
            return FullFile(flags, inode)
        if self._minor in (RANDOM_MINOR, URANDOM_MINOR):
            return RandomFile(flags, inode)
        return NullFile(flags, inode)


def register_memory_devices() -> None:
    """Make the memory devices known, whatever file system has a node of theirs."""
    for _, minor in MEMORY_NODES:
        REGISTRY.devices[(S_IFCHR, 1 << 8 | minor)] = MemoryDevice(minor)
