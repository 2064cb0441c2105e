"""Flags, events and struct inotify_event of inotify(7)."""

from struct import Struct
from typing import Final

# inotify_init1(2)
IN_NONBLOCK: Final = 0o4000
IN_CLOEXEC: Final = 0o2000000

# Events
IN_ACCESS: Final = 0x1
IN_MODIFY: Final = 0x2
IN_ATTRIB: Final = 0x4
IN_CLOSE_WRITE: Final = 0x8
IN_CLOSE_NOWRITE: Final = 0x10
IN_OPEN: Final = 0x20
IN_MOVED_FROM: Final = 0x40
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_DELETE_SELF: Final = 0x400
IN_MOVE_SELF: Final = 0x800
IN_CLOSE: Final = 0x18
IN_MOVE: Final = 0xC0
IN_ALL_EVENTS: Final = 0xFFF

# Only reported
IN_UNMOUNT: Final = 0x2000
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_ISDIR: Final = 0x4000_0000

# Only asked for
IN_ONLYDIR: Final = 0x100_0000
IN_DONT_FOLLOW: Final = 0x200_0000
IN_EXCL_UNLINK: Final = 0x400_0000
IN_MASK_CREATE: Final = 0x1000_0000
IN_MASK_ADD: Final = 0x2000_0000
IN_ONESHOT: Final = 0x8000_0000


INOTIFY_EVENT_SIZE: Final = 16  # without the name


def pack_inotify_event(wd: int, mask: int, cookie: int, name: bytes) -> bytes:
    """Return a struct inotify_event; a name is NUL-padded to a multiple of 16 (inotify(7))."""
    size = (len(name) + 16) & ~15 if name else 0
    return _EVENT.pack(wd, mask, cookie, size) + name.ljust(size, b"\0")


_EVENT: Final = Struct("<iIII")  # wd, mask, cookie, len
