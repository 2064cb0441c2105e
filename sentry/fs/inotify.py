"""Instances of inotify(7): watches, and the events that wait to be read."""

from collections import deque
from typing import Final

from sentry.abi.errno import EEXIST, EFAULT, EINVAL, EMFILE, ENOSPC
from sentry.abi.inotify import (
    IN_ALL_EVENTS,
    IN_DELETE_SELF,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_ISDIR,
    IN_MASK_ADD,
    IN_MASK_CREATE,
    IN_MOVE_SELF,
    IN_ONESHOT,
    IN_Q_OVERFLOW,
    INOTIFY_EVENT_SIZE,
    pack_inotify_event,
)
from sentry.abi.ioctl import FIONREAD
from sentry.errors import SysError
from sentry.fs.anon import anon_inode
from sentry.mm.io import Sink
from sentry.mm.user import write_u32
from sentry.vfs.caller import Caller
from sentry.vfs.file import POLLIN, POLLRDNORM, File
from sentry.vfs.inode import Inode
from sentry.vfs.notify import WATCHES, InodeKey, Watch, WatchGroup

INT_MAX: Final = (1 << 31) - 1
# Of all instances together, whatever the guest's own limits say: some 40 MiB.
MAX_WAITING: Final = 131072


class InotifyUse:
    """The bounds of /proc/sys/fs/inotify, and what each user has of them."""

    def __init__(self) -> None:
        self.limits = {
            "max_user_instances": 128,
            "max_user_watches": 65536,
            "max_queued_events": 16384,
        }
        self.instances: dict[int, int] = {}  # by uid
        self.watches: dict[int, int] = {}
        self.waiting = 0  # events of all instances


INOTIFY: Final = InotifyUse()


class Event:
    """One event that waits."""

    def __init__(self, number: int, mask: int, cookie: int, name: bytes) -> None:
        self.number = number
        self.mask = mask
        self.cookie = cookie
        self.name = name
        self.size = INOTIFY_EVENT_SIZE + ((len(name) + 16) & ~15 if name else 0)


class Instance(WatchGroup):
    """What the watches of one file report to."""

    def __init__(self, file: "InotifyFile", uid: int) -> None:
        self.file = file
        self.uid = uid
        self.watches: dict[int, Watch] = {}  # by number
        self.by_key: dict[InodeKey, Watch] = {}
        self.events: deque[Event] = deque()
        self.size = 0  # bytes that a read would give
        self._last_number = 0
        self._is_closed = False

    # Watches.

    def add(self, inode: Inode, mask: int) -> int:
        """Do inotify_add_watch(2); return the watch's number.  SysError(EEXIST, ENOSPC)."""
        old = self.by_key.get(inode.key())
        if old is not None:
            if mask & IN_MASK_CREATE:
                raise SysError(EEXIST)
            self._set_mask(old, mask, is_added=bool(mask & IN_MASK_ADD))
            return old.number
        count = INOTIFY.watches.get(self.uid, 0)
        if count >= INOTIFY.limits["max_user_watches"]:
            raise SysError(ENOSPC)
        INOTIFY.watches[self.uid] = count + 1
        watch = Watch(self, self._new_number(), inode, 0)
        self._set_mask(watch, mask, is_added=False)
        self.watches[watch.number] = watch
        self.by_key[watch.key] = watch
        WATCHES.add(watch)
        return watch.number

    def _new_number(self) -> int:
        """Return a number that no watch has, the next one if it may be (idr_alloc_cyclic)."""
        number = self._last_number
        while True:
            number = 1 if number >= INT_MAX else number + 1
            if number not in self.watches:
                self._last_number = number
                return number

    def _set_mask(self, watch: Watch, mask: int, *, is_added: bool) -> None:
        events = mask & IN_ALL_EVENTS
        is_once, skips = bool(mask & IN_ONESHOT), bool(mask & IN_EXCL_UNLINK)
        watch.mask = watch.mask | events if is_added else events
        watch.is_once = is_once or (is_added and watch.is_once)
        watch.skips_unlinked = skips or (is_added and watch.skips_unlinked)

    def remove(self, number: int) -> None:
        """Do inotify_rm_watch(2); SysError(EINVAL) if there is no such watch."""
        watch = self.watches.get(number)
        if watch is None:
            raise SysError(EINVAL)
        WATCHES.remove(watch)

    def on_removed(self, watch: Watch) -> None:
        del self.watches[watch.number]
        del self.by_key[watch.key]
        left = INOTIFY.watches.get(self.uid, 1) - 1
        if left:
            INOTIFY.watches[self.uid] = left
        else:
            INOTIFY.watches.pop(self.uid, None)
        if not self._is_closed:
            self._queue(Event(watch.number, IN_IGNORED, 0, b""))

    def close(self) -> None:
        """Forget all watches."""
        self._is_closed = True
        for watch in list(self.watches.values()):
            WATCHES.remove(watch)
        INOTIFY.waiting -= len(self.events)
        self.events.clear()

    # Events.

    def on_event(self, watch: Watch, mask: int, cookie: int, name: bytes) -> None:
        if mask & (IN_DELETE_SELF | IN_MOVE_SELF):
            mask &= ~IN_ISDIR
        self._queue(Event(watch.number, mask, cookie, name))

    def _queue(self, event: Event) -> None:
        """Let an event wait, unless it is the same as the last one, or there are too many."""
        events = self.events
        if events:
            last = events[-1]
            if last.mask == event.mask and last.number == event.number and last.name == event.name:
                if not event.mask & IN_IGNORED:
                    return
        if len(events) >= INOTIFY.limits["max_queued_events"] or INOTIFY.waiting >= MAX_WAITING:
            if events and events[-1].mask & IN_Q_OVERFLOW:
                return
            event = Event(-1, IN_Q_OVERFLOW, 0, b"")
        events.append(event)
        INOTIFY.waiting += 1
        self.size += event.size
        self.file.queue.notify(POLLIN | POLLRDNORM)


class InotifyFile(File):
    """An inotify instance as a file."""

    def __init__(self, uid: int, flags: int) -> None:
        count = INOTIFY.instances.get(uid, 0)
        if count >= INOTIFY.limits["max_user_instances"]:
            raise SysError(EMFILE)
        super().__init__(flags, anon_inode())
        INOTIFY.instances[uid] = count + 1
        self.instance = Instance(self, uid)

    def try_read(self, sink: Sink) -> int | None:
        instance = self.instance
        events = instance.events
        if not events:
            return None
        if sink.room < events[0].size:
            raise SysError(EINVAL)
        parts: list[bytes] = []
        size = 0
        while events and size + events[0].size <= sink.room:
            event = events.popleft()
            INOTIFY.waiting -= 1
            size += event.size
            parts.append(pack_inotify_event(event.number, event.mask, event.cookie, event.name))
        instance.size -= size
        if sink.put(b"".join(parts)) < size:
            raise SysError(EFAULT)
        return size

    def readiness(self) -> int:
        return POLLIN | POLLRDNORM if self.instance.events else 0

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        if request == FIONREAD:
            write_u32(caller.memory, argument, self.instance.size)
            return 0
        return super().ioctl(caller, request, argument)

    def seek(self, offset: int, whence: int) -> int:
        return 0  # noop_llseek

    def release(self) -> None:
        instance = self.instance
        instance.close()
        left = INOTIFY.instances.get(instance.uid, 1) - 1
        if left:
            INOTIFY.instances[instance.uid] = left
        else:
            INOTIFY.instances.pop(instance.uid, None)

    def describe(self) -> bytes:
        return b"anon_inode:inotify"

    def fdinfo(self) -> bytes:
        lines = []
        for watch in reversed(list(self.instance.watches.values())):
            mask = watch.mask
            mask |= IN_ONESHOT if watch.is_once else 0
            mask |= IN_EXCL_UNLINK if watch.skips_unlinked else 0
            device, number = watch.key
            lines.append(
                b"inotify wd:%x ino:%x sdev:%x mask:%x ignored_mask:0 \n"
                % (watch.number, number, shown_device(device), mask)
            )
        return b"".join(lines)


def shown_device(device: int) -> int:
    """Return a st_dev as the kernel has it inside: 12 bits of major, 20 of minor."""
    major = device >> 8 & 0xFFF
    minor = device & 0xFF | device >> 12 & 0xFFF00
    return major << 20 | minor
