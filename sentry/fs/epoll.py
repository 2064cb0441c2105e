"""epoll instances (epoll(7)).

An item stands on the wait queue of its file for as long as it is registered.
When the file tells of an event the item goes to the ready list; whether it is
really ready is asked when events are collected.  Items do not hold their file:
it takes its items with it when it is released.
"""

from typing import Final

from sentry.abi.errno import EEXIST, EINVAL, ELOOP, ENOENT, EPERM
from sentry.abi.poll import (
    EPOLLERR,
    EPOLLET,
    EPOLLEXCLUSIVE,
    EPOLLHUP,
    EPOLLIN,
    EPOLLONESHOT,
    EPOLLOUT,
    EPOLLWAKEUP,
)
from sentry.errors import SysError
from sentry.fs.anon import anon_inode
from sentry.vfs.file import O_RDWR, POLLIN, POLLRDNORM, File, FileObserver
from sentry.waitqueue import Waiter

ALWAYS: Final = EPOLLERR | EPOLLHUP
POLL_BITS: Final = 0xFFFF
EXCLUSIVE_ALLOWED: Final = (
    EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE
)
MAX_NESTS: Final = 4  # EP_MAX_NESTS, fs/eventpoll.c


class EpollItem(FileObserver, Waiter):
    """One file that an epoll instance watches, under one descriptor number."""

    def __init__(self, epoll: "EpollFile", fd: int, file: File, events: int, data: int) -> None:
        self.epoll = epoll
        self.fd = fd
        self.file = file
        self.events = events
        self.data = data
        self.is_disabled = False  # EPOLLONESHOT has fired
        self.entry = file.queue.add(self, self.mask())

    def mask(self) -> int:
        """Return the poll bits that make it ready."""
        return self.events & POLL_BITS | ALWAYS

    def wake(self, events: int) -> None:
        if not self.is_disabled:
            self.epoll.mark_ready(self)

    def on_file_released(self) -> None:
        self.epoll.forget(self)


class EpollFile(File):
    """An epoll instance."""

    def __init__(self) -> None:
        super().__init__(O_RDWR, anon_inode())
        self._items: dict[tuple[int, int], EpollItem] = {}
        self._ready: dict[EpollItem, bool] = {}  # in the order they became ready

    def mark_ready(self, item: EpollItem) -> None:
        """Note that `item` may have events; tell those who wait for this instance."""
        self._ready[item] = True
        if self.queue.entries:
            self.queue.notify(POLLIN | POLLRDNORM)

    def forget(self, item: EpollItem) -> None:
        """Remove an item."""
        self._items.pop((item.fd, id(item.file)), None)
        self._ready.pop(item, None)
        item.entry.cancel()
        observers = item.file.observers
        if observers is not None and item in observers:
            observers.remove(item)

    def add(self, fd: int, file: File, events: int, data: int) -> None:
        """Do EPOLL_CTL_ADD."""
        if not file.is_pollable():
            raise SysError(EPERM)
        if file is self:
            raise SysError(EINVAL)
        if (fd, id(file)) in self._items:
            raise SysError(EEXIST)
        if events & EPOLLEXCLUSIVE and (events & ~EXCLUSIVE_ALLOWED or isinstance(file, EpollFile)):
            raise SysError(EINVAL)
        if isinstance(file, EpollFile):
            self._check_nesting(file)
        item = EpollItem(self, fd, file, events, data)
        self._items[(fd, id(file))] = item
        if file.observers is None:
            file.observers = []
        file.observers.append(item)
        if file.readiness() & item.mask():
            self.mark_ready(item)

    def modify(self, fd: int, file: File, events: int, data: int) -> None:
        """Do EPOLL_CTL_MOD, which also arms a fired EPOLLONESHOT again."""
        item = self._items.get((fd, id(file)))
        if item is None:
            raise SysError(ENOENT)
        if (item.events | events) & EPOLLEXCLUSIVE:
            raise SysError(EINVAL)
        item.events = events
        item.data = data
        item.entry.events = item.mask()
        item.is_disabled = False
        if file.readiness() & item.mask():
            self.mark_ready(item)

    def delete(self, fd: int, file: File) -> None:
        """Do EPOLL_CTL_DEL."""
        item = self._items.get((fd, id(file)))
        if item is None:
            raise SysError(ENOENT)
        self.forget(item)

    def target(self, fd: int, place: int) -> File:
        """Return the file that was added as `fd`, of several the one at `place`; SysError(ENOENT).

        The number may have become another file's since then.
        """
        for item in self._items.values():
            if item.fd == fd:
                if place == 0:
                    return item.file
                place -= 1
        raise SysError(ENOENT)

    def collect(self, limit: int) -> list[tuple[EpollItem, int]]:
        """Return at most `limit` items that have events, and the events.

        Level-triggered items go to the end of the list, so that with a small
        limit everybody has a turn.
        """
        found: list[tuple[EpollItem, int]] = []
        if not self._ready:
            return found
        again: list[EpollItem] = []
        for item in list(self._ready):
            if len(found) >= limit:
                break
            del self._ready[item]
            events = 0 if item.is_disabled else item.file.readiness() & item.mask()
            if not events:
                continue
            found.append((item, events))
            if item.events & EPOLLONESHOT:
                item.is_disabled = True
            elif not item.events & EPOLLET:
                again.append(item)
        for item in again:
            self._ready[item] = True
        return found

    def give_back(self, found: list[tuple[EpollItem, int]]) -> None:
        """Undo `collect`: the guest could not be told."""
        for item, _ in found:
            item.is_disabled = False
            self._ready[item] = True

    def readiness(self) -> int:
        for item in list(self._ready):
            if not item.is_disabled and item.file.readiness() & item.mask():
                return POLLIN | POLLRDNORM
            del self._ready[item]
        return 0

    def release(self) -> None:
        for item in list(self._items.values()):
            self.forget(item)

    def describe(self) -> bytes:
        return b"anon_inode:[eventpoll]"

    def fdinfo(self) -> bytes:
        lines: list[bytes] = []
        for item in self._items.values():
            shown = (item.fd, item.events & 0xFFFF_FFFF, item.data)
            lines.append(b"tfd: %8d events: %8x data: %16x\n" % shown)
        return b"".join(lines)

    def _check_nesting(self, inner: "EpollFile") -> None:
        """Answer ELOOP for a cycle and for too long a chain of instances."""
        if inner.contains(self, 0) or self._height() + inner.depth() >= MAX_NESTS + 1:
            raise SysError(ELOOP)

    def contains(self, other: "EpollFile", level: int) -> bool:
        """Return whether `other` is watched by this instance, at any depth."""
        if level > MAX_NESTS:
            return True
        for item in self._items.values():
            file = item.file
            if isinstance(file, EpollFile) and (file is other or file.contains(other, level + 1)):
                return True
        return False

    def depth(self) -> int:
        """Return how many instances hang below this one, in the longest chain, plus one."""
        deepest = 0
        for item in self._items.values():
            file = item.file
            if isinstance(file, EpollFile):
                deepest = max(deepest, file.depth())
        return deepest + 1

    def _height(self) -> int:
        """Return how many instances stand above this one, in the longest chain."""
        highest = 0
        for observer in self.observers or []:
            if isinstance(observer, EpollItem):
                highest = max(highest, observer.epoll._height() + 1)
        return highest
