"""File locks: POSIX record locks and whole-file locks (fcntl(2), flock(2)).

An owner is whatever object holds a lock: a descriptor table for POSIX locks,
an open file description for OFD locks and flock(2).
"""

from typing import Final

from sentry.abi.errno import ENOLCK
from sentry.errors import SysError
from sentry.waitqueue import WaitQueue

READ: Final = 0  # F_RDLCK
WRITE: Final = 1  # F_WRLCK
UNLOCK: Final = 2  # F_UNLCK
END_OF_FILE: Final = (1 << 63) - 1
MAX_LOCKS: Final = 4096  # of one file
MAX_FILES: Final = 65536  # with locks, in one table


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

    def touches(self, other: "Lock") -> bool:
        """Return whether both together are one range without a gap."""
        return self.start <= other.end + 1 and other.start <= self.end + 1

    def conflicts(self, other: "Lock") -> bool:
        """Return whether both cannot be held at once."""
        if self.owner is other.owner or not self.overlaps(other):
            return False
        return WRITE in (self.kind, other.kind)


class FileLocks:
    """The locks of one file, and who waits for one."""

    def __init__(self) -> None:
        self.queue = WaitQueue()
        # Those of one owner together, by their start; owners by when they came (as F_GETLK shows).
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
        at, own = self._of(wanted.owner)
        changed = _replace(own, wanted)
        if len(self._locks) - len(own) + len(changed) > MAX_LOCKS:
            raise SysError(ENOLCK)
        self._locks[at : at + len(own)] = changed
        self.queue.notify(1)
        return True

    def try_set_whole(self, wanted: Lock) -> bool:
        """Take, change or give back the one lock of flock(2).

        A change of kind gives the old lock back first, and it stays lost if
        somebody else is in the way then (flock(2)).
        """
        at, own = self._of(wanted.owner)
        if own and own[0].kind == wanted.kind:
            return True
        if own:
            del self._locks[at : at + len(own)]
            self.queue.notify(1)
        if wanted.kind == UNLOCK:
            return True
        if self.find_conflict(wanted) is not None:
            return False
        self._locks.append(wanted)
        return True

    def _of(self, owner: object) -> tuple[int, list[Lock]]:
        """Return where the locks of an owner are in the list, and them."""
        first = len(self._locks)
        own: list[Lock] = []
        for index, lock in enumerate(self._locks):
            if lock.owner is owner:
                if not own:
                    first = index
                own.append(lock)
        return first, own

    def drop_owner(self, owner: object) -> None:
        """Forget every lock of an owner."""
        kept = [lock for lock in self._locks if lock.owner is not owner]
        if len(kept) != len(self._locks):
            self._locks = kept
            self.queue.notify(1)


def _replace(own: list[Lock], wanted: Lock) -> list[Lock]:
    """Return the locks of one owner after `wanted`; equal ranges that touch become one."""
    before: list[Lock] = []
    after: list[Lock] = []
    start, end = wanted.start, wanted.end
    for lock in own:
        if lock.kind == wanted.kind and lock.touches(wanted):
            start, end = min(start, lock.start), max(end, lock.end)
            continue
        if lock.start < wanted.start:
            stop = min(lock.end, wanted.start - 1)
            before.append(Lock(lock.owner, lock.kind, lock.start, stop, lock.pid))
        if lock.end > wanted.end:
            begin = max(lock.start, wanted.end + 1)
            after.append(Lock(lock.owner, lock.kind, begin, lock.end, lock.pid))
    if wanted.kind != UNLOCK:
        before.append(Lock(wanted.owner, wanted.kind, start, end, wanted.pid))
    return before + after


class LockTable:
    """The locks of all files, by the inode's key; one table for each family of locks."""

    def __init__(self) -> None:
        self._files: dict[tuple[int, int], FileLocks] = {}

    def of(self, key: tuple[int, int]) -> FileLocks:
        """Return the locks of a file, made when it has none; `tidy` is to be called afterwards."""
        locks = self._files.get(key)
        if locks is None:
            if len(self._files) >= MAX_FILES:
                raise SysError(ENOLCK)
            locks = self._files[key] = FileLocks()
        return locks

    def find_conflict(self, key: tuple[int, int], wanted: Lock) -> Lock | None:
        """Return a lock that is in the way of `wanted`."""
        locks = self._files.get(key)
        return None if locks is None else locks.find_conflict(wanted)

    def tidy(self, key: tuple[int, int]) -> None:
        """Forget a file without locks."""
        locks = self._files.get(key)
        if locks is not None and locks.is_empty():
            del self._files[key]

    def is_empty(self) -> bool:
        """Return whether no file has locks."""
        return not self._files

    def release(self, key: tuple[int, int], owner: object) -> None:
        """Forget what an owner holds on a file."""
        locks = self._files.get(key)
        if locks is not None:
            locks.drop_owner(owner)
            self.tidy(key)


class LockWait:
    """An owner of record locks that sleeps until it gets one."""

    def __init__(self, locks: FileLocks, wanted: Lock) -> None:
        self.locks = locks
        self.wanted = wanted


class LockWaits:
    """Who waits for record locks, to find circles (EDEADLK of fcntl(2))."""

    def __init__(self) -> None:
        self._waits: list[LockWait] = []

    def add(self, wait: LockWait) -> None:
        """Note that an owner sleeps."""
        self._waits.append(wait)

    def remove(self, wait: LockWait) -> None:
        """Forget it; harmless when it was forgotten already."""
        if wait in self._waits:
            self._waits.remove(wait)

    def would_deadlock(self, wait: LockWait) -> bool:
        """Return whether what is in the way of `wait` waits for its owner in the end."""
        owner = wait.wanted.owner
        asked: list[object] = []
        pending = [wait]
        while pending:
            at = pending.pop()
            blocker = at.locks.find_conflict(at.wanted)
            if blocker is None:
                continue
            if blocker.owner is owner:
                return True
            if blocker.owner in asked:
                continue
            asked.append(blocker.owner)
            pending += [other for other in self._waits if other.wanted.owner is blocker.owner]
        return False


RECORD_LOCKS: Final = LockTable()
WHOLE_LOCKS: Final = LockTable()
WAITS: Final = LockWaits()
