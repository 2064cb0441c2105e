"""Memory files of the host (memfd_create(2)) and their seals."""

import fcntl
import os
from typing import Final

from sentry.abi.errno import EIO
from sentry.errors import SysError

HOST_CALLS: Final = ("memfd_create", "fcntl")


def make_memory_file(name: bytes, flags: int) -> int:
    """Return an empty memory file; `flags` may allow sealing or forbid execution."""
    try:
        return os.memfd_create(os.fsdecode(name), flags | os.MFD_CLOEXEC)
    except OSError as error:
        raise SysError(error.errno or EIO) from None


def seals(host_fd: int) -> int:
    """Return the seals of a memory file."""
    try:
        return fcntl.fcntl(host_fd, fcntl.F_GET_SEALS)
    except OSError as error:
        raise SysError(error.errno or EIO) from None


def add_seals(host_fd: int, added: int) -> None:
    """Seal a memory file."""
    try:
        fcntl.fcntl(host_fd, fcntl.F_ADD_SEALS, added)
    except OSError as error:
        raise SysError(error.errno or EIO) from None
