"""Every descriptor of the sandbox is accounted for: declared by name, or closed.

The host side forks the sandbox, so anything that its caller left open would be
open here too, and within reach of whoever broke the sentry.
"""

import fcntl
import os
from typing import Final

from runsc.sandbox import hostcalls

_MAX_FD: Final = (1 << 31) - 1
# Descriptors of the container are moved above the ones that the interpreter uses itself.
_FIRST_MOVED: Final = 10


class Descriptors:
    """The declared descriptors of this process, and what each is for."""

    def __init__(self) -> None:
        self._uses: dict[int, str] = {}

    def declare(self, fd: int, use: str) -> None:
        """Account for a descriptor; -1 stands for one that there is not."""
        if fd >= 0:
            self._uses[fd] = use

    def forget(self, fd: int) -> None:
        """Say that a declared descriptor has been closed."""
        self._uses.pop(fd, None)

    def use_of(self, fd: int) -> str:
        """Return what a descriptor is for, "" for one that was not declared."""
        return self._uses.get(fd, "")

    def close_others(self) -> None:
        """Close every descriptor that is not declared."""
        first = 0
        for fd in sorted(self._uses):
            if first < fd:
                hostcalls.close_range(first, fd - 1)
            first = fd + 1
        hostcalls.close_range(first, _MAX_FD)

    def adopt(self, proc_fd: int, use: str) -> None:
        """Declare whatever has been opened since the last look as one part's."""
        for fd in open_descriptors(proc_fd):
            self._uses.setdefault(fd, use)

    def strangers(self, proc_fd: int) -> list[str]:
        """Return a line for each open descriptor that nobody declared."""
        return [
            f"{fd}: {os.readlink(f'self/fd/{fd}', dir_fd=proc_fd)}"
            for fd in open_descriptors(proc_fd)
            if fd not in self._uses
        ]


def open_descriptors(proc_fd: int) -> list[int]:
    """Return the descriptors of this process, seen through a procfs (proc_pid_fd(5))."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    list_fd = os.open("self/fd", flags, dir_fd=proc_fd)
    try:
        numbers = [int(name) for name in os.listdir(list_fd)]
    finally:
        os.close(list_fd)
    # The listing shows its own two: `list_fd` and the copy that listdir makes of it.
    return sorted(fd for fd in numbers if fd != list_fd and is_open(fd))


def is_open(fd: int) -> bool:
    """Return whether a descriptor is open."""
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def move_up(fd: int) -> int:
    """Return a copy of a descriptor, away from 0, 1 and 2 and closed by an execve(2)."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_MOVED)


def occupy_standard(error_fd: int) -> None:
    """Make 0 and 1 of this process /dev/null, and 2 a log or /dev/null.

    The container's own input and output have been moved away: a message of the
    interpreter must never end up in them.
    """
    null_fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        source = error_fd if fd == 2 and error_fd >= 0 else null_fd
        if source != fd:
            os.dup2(source, fd, inheritable=False)
    if null_fd > 2:
        os.close(null_fd)
