"""Sets of System V semaphores (semget(2)): operations that happen all at once, or wait."""

from typing import Final

from sentry.abi.errno import EAGAIN, EFBIG, EIDRM, ENOSPC, ERANGE
from sentry.abi.ipc import IPC_NOWAIT, SEM_UNDO, SEMMNI, SEMVMX
from sentry.errors import SysError
from sentry.kernel.call import CallData
from sentry.kernel.ipc import IpcObject, IpcTable
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.vfs.creds import Credentials

SEMMNS: Final = 1_024_000  # semaphores of all sets: Linux allows a thousand times that
SEMAEM: Final = SEMVMX  # the most that is undone

# What trying operations gives besides "done".
DONE: Final = -1


class Operation:
    """struct sembuf."""

    def __init__(self, index: int, change: int, flags: int) -> None:
        self.index = index
        self.change = change
        self.flags = flags


class SemaphoreWaiter(CallData):
    """A task whose operations cannot be done yet."""

    def __init__(self, table: "SemaphoreTable", owner: "SemaphoreSet", task: Task) -> None:
        self.table = table
        self.owner = owner
        self.task = task
        self.operations: list[Operation] = []
        self.blocking = 0  # which of them waits
        self.is_over = False
        self.error = 0

    def release(self) -> None:
        if self in self.owner.waiters:
            self.owner.waiters.remove(self)

    def end(self, error: int) -> None:
        """Tell the task that its wait is over."""
        self.is_over = True
        self.error = error
        self.task.wake(0)


class SemaphoreSet(IpcObject):
    """One set."""

    def __init__(self, key: int, mode: int, count: int, creds: Credentials) -> None:
        super().__init__(key, mode, creds)
        self.values = [0] * count
        self.pids = [0] * count  # who changed each last
        self.waiters: list[SemaphoreWaiter] = []
        # What is undone when a process ends (SEM_UNDO): the change of each.
        self.undo: dict[ThreadGroup, dict[int, int]] = {}
        self.operation_time = 0
        self.change_time = 0

    def is_too_small(self, size: int) -> bool:
        return size > len(self.values)

    def attempt(self, operations: list[Operation], group: ThreadGroup) -> int:
        """Do all operations, or none and return which has to wait.  DONE; SysError(ERANGE)."""
        values: dict[int, int] = {}
        undo = dict(self.undo.get(group, {}))
        for position, operation in enumerate(operations):
            index = operation.index
            value = values.get(index, self.values[index])
            if operation.change == 0:
                if value != 0:
                    return position
                continue
            value += operation.change
            if value < 0:
                return position
            if value > SEMVMX:
                raise SysError(ERANGE)
            if operation.flags & SEM_UNDO:
                left = undo.get(index, 0) - operation.change
                if not -SEMAEM - 1 <= left <= SEMAEM:
                    raise SysError(ERANGE)
                undo[index] = left
            values[index] = value
        for index, value in values.items():
            self.values[index] = value
        for operation in operations:
            self.pids[operation.index] = group.pid
        if any(operation.flags & SEM_UNDO for operation in operations):
            self.undo[group] = undo
        return DONE

    def update(self, now: int) -> None:
        """Do what waits and can be done now, oldest first, until nothing more can."""
        is_changed = True
        while is_changed:
            is_changed = False
            for waiter in list(self.waiters):
                error = 0
                try:
                    blocking = self.attempt(waiter.operations, waiter.task.group)
                except SysError as problem:
                    error, blocking = problem.errno, DONE
                if blocking != DONE:
                    waiter.blocking = blocking
                    continue
                self.waiters.remove(waiter)
                waiter.end(error)
                if not error:
                    self.operation_time = now
                    is_changed = True

    def count_waiters(self, index: int, *, for_zero: bool) -> int:
        """Return how many tasks wait for a semaphore to grow, or to be zero (GETNCNT, GETZCNT)."""
        count = 0
        for waiter in self.waiters:
            operation = waiter.operations[waiter.blocking]
            if operation.index == index and (operation.change == 0) == for_zero:
                count += 1
        return count

    def forget_undo(self, index: int) -> None:
        """A semaphore was set: nobody's changes of it are undone any more."""
        for changes in self.undo.values():
            changes.pop(index, None)


class SemaphoreTable(IpcTable):
    """All sets."""

    def __init__(self) -> None:
        super().__init__(SEMMNI)
        self.used = 0  # semaphores of all sets

    def semaphores(self, number: int) -> SemaphoreSet:
        """Return the set of an identifier; SysError(EINVAL, EIDRM)."""
        found = self.find(number)
        assert isinstance(found, SemaphoreSet)
        return found

    def semaphores_at(self, index: int) -> SemaphoreSet:
        """Return the set at an index; SysError(EINVAL)."""
        found = self.at(index)
        assert isinstance(found, SemaphoreSet)
        return found

    def enter(self, key: int, mode: int, count: int, creds: Credentials) -> SemaphoreSet:
        """Make a set; SysError(ENOSPC)."""
        self.check_room()
        if self.used + count > SEMMNS:
            raise SysError(ENOSPC)
        made = SemaphoreSet(key, mode, count, creds)
        self.add(made)
        self.used += count
        return made

    def destroy(self, gone: SemaphoreSet) -> None:
        """IPC_RMID: who waits is told."""
        self.remove(gone)
        self.used -= len(gone.values)
        waiters = gone.waiters
        gone.waiters = []
        for waiter in waiters:
            waiter.end(EIDRM)

    def start(
        self, owner: SemaphoreSet, task: Task, operations: list[Operation], now: int
    ) -> SemaphoreWaiter | None:
        """Do operations and return None, or who waits now; SysError(EFBIG, EAGAIN, ERANGE)."""
        if any(operation.index >= len(owner.values) for operation in operations):
            raise SysError(EFBIG)
        blocking = owner.attempt(operations, task.group)
        if blocking == DONE:
            owner.operation_time = now
            owner.update(now)
            return None
        if operations[blocking].flags & IPC_NOWAIT:
            raise SysError(EAGAIN)
        waiter = SemaphoreWaiter(self, owner, task)
        waiter.operations = operations
        waiter.blocking = blocking
        owner.waiters.append(waiter)
        return waiter

    def undo_all(self, group: ThreadGroup, now: int) -> None:
        """A process has ended: undo what it asked to be undone (exit_sem)."""
        for owner in self.objects.values():
            assert isinstance(owner, SemaphoreSet)
            changes = owner.undo.pop(group, None)
            if not changes:
                continue
            for index, change in changes.items():
                if change:
                    owner.values[index] = min(max(owner.values[index] + change, 0), SEMVMX)
                    owner.pids[index] = group.pid
            owner.operation_time = now
            owner.update(now)
