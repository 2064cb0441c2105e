"""File locks: POSIX record locks and whole-file locks (fcntl(2), flock(2)).

An owner is whatever object holds a lock: a descriptor table for POSIX locks,
an open file description for OFD locks and flock(2).
"""

from typing import Final

from sentry.abi.errno import EAGAIN
from sentry.errors import SysError
from sentry.waitqueue import WaitQueue

READ: Final = 0  # F_RDLCK
WRITE: Final = 1  # F_WRLCK
UNLOCK: Final = 2  # F_UNLCK
END_OF_FILE: Final = (1 << 63) - 1
MAX_LOCKS: Final = 4096  # of one file


class Lock:
    """One range, its end included."""

    def __init__(self, owner: object, kind: int, start: int, end: int, pid: int) -> None:
        self.owner = owner
        self.kind = kind
        self.start = start
        self.end = end
        self.pid = pid

    def overlaps(self, other: "Lock") -> bool:
        """Return whether both have a byte in common."""
        return self.start <= other.end and other.start <= self.end

    def conflicts(self, other: "Lock") -> bool:
        """Return whether both cannot be held at once."""
        if self.owner is other.owner or not self.overlaps(other):
            return False
        return WRITE in (self.kind, other.kind)


class FileLocks:
    """The locks of one file, and who waits for one."""

    def __init__(self) -> None:
        self.queue = WaitQueue()
        self._locks: list[Lock] = []

    def is_empty(self) -> bool:
        """Return whether nobody holds or awaits a lock."""
        return not self._locks and not self.queue.entries

    def find_conflict(self, wanted: Lock) -> Lock | None:
        """Return a lock that is in the way of `wanted`."""
        for lock in self._locks:
            if lock.conflicts(wanted):
                return lock
        return None

    def try_set(self, wanted: Lock) -> bool:
        """Take, change or (UNLOCK) give back a range; False if somebody is in the way."""
        if wanted.kind != UNLOCK and self.find_conflict(wanted) is not None:
            return False
        if len(self._locks) >= MAX_LOCKS and wanted.kind != UNLOCK:
            raise SysError(EAGAIN)
        kept: list[Lock] = []
        for lock in self._locks:
            if lock.owner is not wanted.owner or not lock.overlaps(wanted):
                kept.append(lock)
                continue
            if lock.start < wanted.start:
                kept.append(Lock(lock.owner, lock.kind, lock.start, wanted.start - 1, lock.pid))
            if lock.end > wanted.end:
                kept.append(Lock(lock.owner, lock.kind, wanted.end + 1, lock.end, lock.pid))
        if wanted.kind != UNLOCK:
            kept.append(wanted)
        self._locks = kept
        self.queue.notify(1)
        return True

    def drop_owner(self, owner: object) -> None:
        """Forget every lock of an owner."""
        kept = [lock for lock in self._locks if lock.owner is not owner]
        if len(kept) != len(self._locks):
            self._locks = kept
            self.queue.notify(1)


class LockWaits:
    """Which owner of POSIX locks waits for which other: finds circles (fcntl(2), EDEADLK)."""

    def __init__(self) -> None:
        self._blockers: dict[int, tuple[object, object]] = {}  # id of waiter: waiter, blocker

    def would_deadlock(self, waiter: object, blocker: object) -> bool:
        """Return whether `blocker` waits, over others perhaps, for `waiter`."""
        at: object = blocker
        for _ in range(len(self._blockers) + 1):
            if at is waiter:
                return True
            found = self._blockers.get(id(at))
            if found is None:
                return False
            at = found[1]
        return False

    def begin(self, waiter: object, blocker: object) -> None:
        """Note that `waiter` sleeps until `blocker` gives a lock back."""
        self._blockers[id(waiter)] = (waiter, blocker)

    def end(self, waiter: object) -> None:
        """Called when `waiter` does not wait any more."""
        self._blockers.pop(id(waiter), None)


class LockTable:
    """The locks of all files, by the inode's key; one table for each family of locks."""

    def __init__(self) -> None:
        self._files: dict[tuple[int, int], FileLocks] = {}

    def of(self, key: tuple[int, int]) -> FileLocks:
        """Return the locks of a file, made when it has none."""
        locks = self._files.get(key)
        if locks is None:
            locks = self._files[key] = FileLocks()
        return locks

    def release(self, key: tuple[int, int], owner: object) -> None:
        """Forget what an owner holds on a file."""
        locks = self._files.get(key)
        if locks is not None:
            locks.drop_owner(owner)
            if locks.is_empty():
                del self._files[key]


RECORD_LOCKS: Final = LockTable()
LOCK_WAITS: Final = LockWaits()
WHOLE_LOCKS: Final = LockTable()
