"""Descriptors that refer to processes (pidfd_open(2))."""

from sentry.kernel.thread_group import ThreadGroup
from sentry.vfs.file import O_RDWR, POLLIN, POLLRDNORM, File


class PidFile(File):
    """A process; readable once it has ended."""

    def __init__(self, group: ThreadGroup, flags: int) -> None:
        super().__init__(O_RDWR | flags)
        self.group = group
        self.queue = group.end_queue

    def readiness(self) -> int:
        return POLLIN | POLLRDNORM if self.group.is_zombie else 0

    def describe(self) -> bytes:
        return b"anon_inode:[pidfd]"

    def fdinfo(self) -> bytes:
        return f"Pid:\t{self.group.pid}\nNSpid:\t{self.group.pid}\n".encode()


def open_pidfd(group: ThreadGroup, flags: int) -> PidFile:
    """Return an open file for a process; `flags` may have O_NONBLOCK."""
    return PidFile(group, flags)
