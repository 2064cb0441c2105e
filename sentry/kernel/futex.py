"""Futexes: sleeping until a word of guest memory changes (futex(2)).

The guest changes the word without us; the wake-up call that must follow is
handled after the waiter was queued or it sees the changed word, since calls
are handled one at a time.
"""

from typing import Final

from sentry.abi.errno import EAGAIN, EFAULT, EINVAL, ERESTART_RESTARTBLOCK, ERESTARTSYS, ETIMEDOUT
from sentry.abi.futex import FUTEX_WAITERS
from sentry.errors import SysError
from sentry.kernel.address_space import AddressSpace
from sentry.kernel.blocking import sleep
from sentry.kernel.call import CallData
from sentry.kernel.task import Task
from sentry.mm.user import TASK_SIZE, read_u32, write_u32

FutexKey = tuple[int, int, int, int]
"""Space (0 private: serial, address; 1 shared: device, inode, offset) of a futex."""

MATCH_ANY: Final = 0xFFFF_FFFF


class FutexWaiter(CallData):
    """A task that sleeps on a futex."""

    def __init__(self, table: "FutexTable", task: Task, key: FutexKey, bitset: int) -> None:
        self.table = table
        self.task = task
        self.key = key
        self.bitset = bitset
        self.is_woken = False

    def release(self) -> None:
        self.table.remove(self)


class PiWaiter(FutexWaiter):
    """A task that waits for a lock, or for being moved to one."""

    def __init__(self, table: "FutexTable", task: Task, key: FutexKey, address: int) -> None:
        super().__init__(table, task, key, 0)
        self.address = address  # of the lock's word, in the task's memory
        self.lock_key = key
        self.lock: PiLock | None = None  # None before it is moved (FUTEX_WAIT_REQUEUE_PI)
        self.has_lock = False

    def release(self) -> None:
        lock = self.lock
        if lock is not None:
            lock.forget(self)
        else:
            self.table.remove(self)


class PiLock:
    """A lock for which somebody waits; without waiters the word says everything."""

    def __init__(self, locks: "dict[FutexKey, PiLock]", key: FutexKey, owner: Task) -> None:
        self._locks = locks
        self.key = key
        self.owner = owner
        self.waiters: list[PiWaiter] = []
        locks[key] = self

    def add(self, waiter: PiWaiter) -> None:
        """Let a task wait."""
        waiter.lock = self
        self.waiters.append(waiter)

    def forget(self, waiter: PiWaiter) -> None:
        """Let a waiter go; harmless when it has the lock already."""
        if waiter in self.waiters:
            self.waiters.remove(waiter)
            self._forget_if_free()

    def _forget_if_free(self) -> None:
        if not self.waiters and self._locks.get(self.key) is self:
            del self._locks[self.key]

    def hand_over(self, flags: int) -> None:
        """Give the lock to who waits longest; `flags`: FUTEX_OWNER_DIED or nothing."""
        waiter = self.waiters.pop(0)
        self.owner = waiter.task
        waiter.has_lock = True
        waiter.task.wake(0)
        self._forget_if_free()
        write_u32(waiter.task.memory, waiter.address, FUTEX_WAITERS | waiter.task.tid | flags)


class FutexTable:
    """All waiters of the sandbox by futex, oldest first."""

    def __init__(self) -> None:
        self._waiters: dict[FutexKey, list[FutexWaiter]] = {}
        self.locks: dict[FutexKey, PiLock] = {}  # those with an owner for which somebody waits

    def has_waiters(self, key: FutexKey) -> bool:
        """Return whether somebody waits for a word to change, not for a lock."""
        return key in self._waiters

    def waiters_of(self, key: FutexKey) -> list[FutexWaiter]:
        """Return who waits for a word to change, oldest first."""
        return list(self._waiters.get(key, ()))

    def add(self, waiter: FutexWaiter) -> None:
        """Queue a waiter."""
        queue = self._waiters.get(waiter.key)
        if queue is None:
            self._waiters[waiter.key] = [waiter]
        else:
            queue.append(waiter)

    def remove(self, waiter: FutexWaiter) -> None:
        """Forget a waiter; harmless when it is gone already."""
        queue = self._waiters.get(waiter.key)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._waiters[waiter.key]

    def wake(self, key: FutexKey, count: int, bitset: int) -> int:
        """Wake up to `count` waiters whose bitset matches; return how many."""
        queue = self._waiters.get(key)
        if queue is None:
            if self.locks and key in self.locks:
                raise SysError(EINVAL)  # only FUTEX_UNLOCK_PI ends such a wait
            return 0
        woken = 0
        for waiter in list(queue):
            if woken >= count:
                break
            if isinstance(waiter, PiWaiter):
                raise SysError(EINVAL)
            if waiter.bitset & bitset:
                queue.remove(waiter)
                waiter.is_woken = True
                waiter.task.wake(0)
                woken += 1
        if not queue:
            self._waiters.pop(key, None)
        return woken

    def requeue(self, key: FutexKey, target: FutexKey, count: int) -> int:
        """Move up to `count` waiters to another futex; return how many."""
        queue = self._waiters.get(key)
        if queue is None or key == target:
            return 0
        moved = queue[:count]
        if any(isinstance(waiter, PiWaiter) for waiter in moved):
            raise SysError(EINVAL)
        del queue[:count]
        if not queue:
            del self._waiters[key]
        for waiter in moved:
            waiter.key = target
            self.add(waiter)
        return len(moved)


def futex_key(mm: AddressSpace, address: int, *, private: bool) -> FutexKey:
    """Return what identifies the word at `address`.

    SysError(EINVAL) if it is not aligned, EFAULT if it is no user address.
    Without any shared mapping in the address space nobody else can see the
    word, so that the host need not be asked what it belongs to.
    """
    if address & 3:
        raise SysError(EINVAL)
    if address >= TASK_SIZE:
        raise SysError(EFAULT)
    if private or not mm.has_shared:
        return (0, mm.serial, address, 0)
    return _shared_key(mm, address)


def _shared_key(mm: AddressSpace, address: int) -> FutexKey:
    """Find the object that a shared mapping shows at `address` (proc_pid_maps(5))."""
    for line in mm.memory.host_maps().splitlines():
        fields = line.split(None, 5)
        start, _, end = fields[0].partition(b"-")
        if int(end, 16) <= address:
            continue
        begin = int(start, 16)
        if address < begin:
            break
        if fields[1][3:4] != b"s":
            return (0, mm.serial, address, 0)
        major, _, minor = fields[3].partition(b":")
        device = int(major, 16) << 20 | int(minor, 16)
        return (1, device, int(fields[4]), int(fields[2], 16) + address - begin)
    raise SysError(EFAULT)


def futex_wait(task: Task, address: int, expected: int, bitset: int, *, private: bool) -> int:
    """Sleep while the word is `expected`, until `task.call.deadline_ns` (0: no limit)."""
    call = task.call
    waiter = call.data
    if isinstance(waiter, FutexWaiter):
        if waiter.is_woken:
            return 0
    else:
        if not bitset:
            raise SysError(EINVAL)
        key = futex_key(task.mm, address, private=private)
        if read_u32(task.memory, address) != expected:
            raise SysError(EAGAIN)
        waiter = FutexWaiter(task.kernel.futexes, task, key, bitset)
        call.data = waiter
        task.kernel.futexes.add(waiter)
    if call.deadline_ns and call.deadline_ns <= task.kernel.clock.monotonic_ns():
        raise SysError(ETIMEDOUT)
    if task.has_signal:
        raise SysError(ERESTART_RESTARTBLOCK if call.deadline_ns else ERESTARTSYS)
    return sleep(task, call.deadline_ns)


def futex_wake(task: Task, address: int, count: int) -> int:
    """Wake waiters of a word of `task`'s memory, as the kernel does at the end of a thread."""
    return task.kernel.futexes.wake(futex_key(task.mm, address, private=False), count, MATCH_ANY)
