"""Futexes: sleeping until a word of guest memory changes (futex(2)).

The guest changes the word without us; the wake-up call that must follow is
handled after the waiter was queued or it sees the changed word, since calls
are handled one at a time.
"""

from typing import Final

from sentry.abi.errno import EAGAIN, EFAULT, EINVAL, ERESTART_RESTARTBLOCK, ERESTARTSYS, ETIMEDOUT
from sentry.errors import SysError
from sentry.kernel.address_space import AddressSpace
from sentry.kernel.blocking import sleep
from sentry.kernel.call import CallData
from sentry.kernel.task import Task
from sentry.mm.user import TASK_SIZE, read_u32

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


class FutexTable:
    """All waiters of the sandbox by futex, oldest first."""

    def __init__(self) -> None:
        self._waiters: dict[FutexKey, list[FutexWaiter]] = {}

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
            return 0
        woken = 0
        for waiter in list(queue):
            if woken >= count:
                break
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
