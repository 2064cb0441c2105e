"""Address spaces: what is remembered of one besides what the host maps there.

The host's map of the stub is the truth for what is mapped.  Kept here is only
what the host cannot know: which guest file a mapping shows, where arguments
and environment lie, what the program is.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from sentry.kernel.shared_memory import Segment
from sentry.platform.interface import GuestMemory
from sentry.vfs.file import File
from sentry.vfs.mount import VfsPath

if TYPE_CHECKING:
    from sentry.fs.aio import AioContext


class MappedFile:
    """A guest file that is (or was) mapped: what /proc/PID/maps shows of it."""

    def __init__(self, file: File) -> None:
        self.inode = file.inode
        self.path = file.path  # None for files without a name
        self.description = b"" if file.path is not None else file.describe()


_serial = count(1)


class AddressSpace:
    """The memory of one or more tasks."""

    def __init__(self, memory: GuestMemory) -> None:
        self.memory = memory
        self.users = 1
        self.serial = next(_serial)  # identifies it in futex keys
        self.has_shared = False  # has (or had) a MAP_SHARED mapping
        # By the host's (st_dev, st_ino), as the host's /proc/PID/maps prints them.
        self.mapped_files: dict[tuple[int, int], MappedFile] = {}
        self.executable: VfsPath | None = None
        self.attached: dict[int, Segment] = {}  # shared memory (shmat(2)), by address
        self.aio: dict[int, AioContext] = {}  # by what io_setup(2) gave; copies have none
        self.arg_start = 0
        self.arg_end = 0
        self.env_start = 0
        self.env_end = 0
        self.start_stack = 0
        self.auxv = b""
        self.is_dumpable = True

    def copy(self, memory: GuestMemory) -> AddressSpace:
        """Return the record for a forked copy that lives in `memory`."""
        new = AddressSpace(memory)
        new.mapped_files = dict(self.mapped_files)
        new.executable = self.executable
        if self.attached:
            new.attached = dict(self.attached)
            for segment in self.attached.values():
                segment.attached += 1
        new.arg_start, new.arg_end = self.arg_start, self.arg_end
        new.env_start, new.env_end = self.env_start, self.env_end
        new.start_stack, new.auxv = self.start_stack, self.auxv
        new.is_dumpable = self.is_dumpable
        new.has_shared = self.has_shared
        return new
