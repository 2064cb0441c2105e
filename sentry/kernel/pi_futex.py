"""Futexes with an owner: locks with priority inheritance (futex(2), FUTEX_LOCK_PI).

The word has the owner's thread id.  Who finds it taken sets FUTEX_WAITERS in
it, with an instruction of the host in the guest's thread, since other guest
threads run meanwhile; from then on nobody changes the word but through the
kernel.  There are no real-time policies here, so nobody's priority is
inherited, and waiters get the lock in the order in which they came.
"""

from typing import Final

from sentry.abi.errno import (
    EAGAIN,
    EDEADLK,
    EFAULT,
    EINVAL,
    EPERM,
    ERESTARTNOINTR,
    ESRCH,
    ETIMEDOUT,
)
from sentry.abi.futex import (
    FUTEX_OP_OPARG_SHIFT,
    FUTEX_OP_OR,
    FUTEX_OWNER_DIED,
    FUTEX_PRIVATE_FLAG,
    FUTEX_TID_MASK,
    FUTEX_WAITERS,
    FUTEX_WAKE_OP,
)
from sentry.abi.syscalls import SYS_futex
from sentry.errors import SysError
from sentry.kernel.blocking import sleep
from sentry.kernel.futex import FutexKey, PiLock, PiWaiter, futex_key
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.task import Task
from sentry.mm.user import read_u32, write_u32

# FUTEX_WAKE_OP that wakes nobody, and sets bit 31 of the word.
_SET_WAITERS: Final = (FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT) << 28 | 31 << 12


def _take_over(task: Task, address: int) -> int:
    """Set FUTEX_WAITERS in a word, in one step; return the word: nobody else changes it now."""
    operation = FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG
    done = task.thread.execute(SYS_futex, address, operation, 0, 0, address, _SET_WAITERS)
    if done < 0:
        raise SysError(EFAULT)
    return read_u32(task.memory, address)


def _owner_of(pids: PidNamespace, word: int) -> Task:
    """Return the task that has a lock; SysError(ESRCH) if it is gone, or of another namespace."""
    owner = pids.tasks.get(word & FUTEX_TID_MASK)
    if owner is None or owner.is_dead():
        raise SysError(ESRCH)
    return owner


def _acquire(task: Task, address: int, key: FutexKey, taker: Task) -> PiLock | None:
    """Take a lock for `taker` and return None, or return the lock that is to be waited for.

    The word is at `address` of `task`, which may be another one than `taker`.
    """
    futexes = task.kernel.futexes
    word = read_u32(task.memory, address)
    if word & FUTEX_TID_MASK == taker.tid:
        raise SysError(EDEADLK)
    lock = futexes.locks.get(key)
    if lock is not None:
        if not word & FUTEX_WAITERS or word & FUTEX_TID_MASK != lock.owner.tid:
            raise SysError(EINVAL)  # somebody has written what is not theirs to write
        _refuse_circle(lock, taker)
        return lock
    if futexes.has_waiters(key):
        raise SysError(EINVAL)
    word = _take_over(task, address)
    if word & FUTEX_TID_MASK == 0:
        write_u32(task.memory, address, word & FUTEX_OWNER_DIED | taker.tid)
        return None
    lock = PiLock(futexes.locks, key, _owner_of(task.group.pids, word))
    try:
        _refuse_circle(lock, taker)
    except SysError:
        del futexes.locks[key]
        raise
    return lock


def _refuse_circle(lock: PiLock, taker: Task) -> None:
    """SysError(EDEADLK) if a lock's owner waits, perhaps by others, for what `taker` has."""
    seen = 0
    at: PiLock | None = lock
    while at is not None and seen < 1024:
        if at.owner is taker:
            raise SysError(EDEADLK)
        kept = at.owner.call.data
        at = kept.lock if isinstance(kept, PiWaiter) and not kept.has_lock else None
        seen += 1


def lock_pi(task: Task, address: int, *, private: bool, is_try: bool) -> int:
    """FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_TRYLOCK_PI: until `task.call.deadline_ns`."""
    call = task.call
    kept = call.data
    if isinstance(kept, PiWaiter):
        return _go_on_waiting(task, kept, ERESTARTNOINTR)
    key = futex_key(task.mm, address, private=private)
    lock = _acquire(task, address, key, task)
    if lock is None:
        return 0
    if is_try:
        if not lock.waiters:
            del task.kernel.futexes.locks[key]
        raise SysError(EAGAIN)
    waiter = PiWaiter(task.kernel.futexes, task, key, address)
    lock.add(waiter)
    call.data = waiter
    return _go_on_waiting(task, waiter, ERESTARTNOINTR)


def _go_on_waiting(task: Task, waiter: PiWaiter, after_signal: int) -> int:
    if waiter.has_lock:
        return 0
    deadline_ns = task.call.deadline_ns
    if deadline_ns and deadline_ns <= task.kernel.clock.monotonic_ns():
        raise SysError(ETIMEDOUT)
    if task.has_signal:
        raise SysError(after_signal)
    return sleep(task, deadline_ns)


def unlock_pi(task: Task, address: int, *, private: bool) -> int:
    """FUTEX_UNLOCK_PI."""
    key = futex_key(task.mm, address, private=private)
    word = read_u32(task.memory, address)
    if word & FUTEX_TID_MASK != task.tid:
        raise SysError(EPERM)
    futexes = task.kernel.futexes
    lock = futexes.locks.get(key)
    if lock is not None:
        if lock.owner is not task:
            raise SysError(EINVAL)
        lock.hand_over(0)
    elif futexes.has_waiters(key):
        raise SysError(EINVAL)
    else:
        write_u32(task.memory, address, 0)
    return 0


def wait_requeue_pi(task: Task, address: int, expected: int, target: int, *, private: bool) -> int:
    """FUTEX_WAIT_REQUEUE_PI: wait on a word, then, once moved, for the lock at `target`."""
    call = task.call
    kept = call.data
    if isinstance(kept, PiWaiter):
        return _go_on_waiting(task, kept, EAGAIN if kept.lock is not None else ERESTARTNOINTR)
    key = futex_key(task.mm, address, private=private)
    lock_key = futex_key(task.mm, target, private=private)
    if address == target or key == lock_key:
        raise SysError(EINVAL)
    if read_u32(task.memory, address) != expected:
        raise SysError(EAGAIN)
    waiter = PiWaiter(task.kernel.futexes, task, key, target)
    waiter.lock_key = lock_key
    task.kernel.futexes.add(waiter)
    call.data = waiter
    return _go_on_waiting(task, waiter, ERESTARTNOINTR)


def requeue_pi(
    task: Task, address: int, wake: int, most: int, target: int, expected: int, *, private: bool
) -> int:
    """FUTEX_CMP_REQUEUE_PI: give the first waiter the lock, or let it and others wait for it.

    Return how many were woken or moved.
    """
    if address == target or wake != 1 or most < 0:
        raise SysError(EINVAL)
    key = futex_key(task.mm, address, private=private)
    lock_key = futex_key(task.mm, target, private=private)
    if key == lock_key:
        raise SysError(EINVAL)
    if read_u32(task.memory, address) != expected:
        raise SysError(EAGAIN)
    futexes = task.kernel.futexes
    count = 0
    for waiter in futexes.waiters_of(key):
        if count > most:
            break
        if not isinstance(waiter, PiWaiter) or waiter.lock_key != lock_key:
            if count == 0:
                raise SysError(EINVAL)
            break
        lock = _acquire(task, target, lock_key, waiter.task)
        futexes.remove(waiter)
        if lock is None:
            waiter.has_lock = True
            waiter.task.wake(0)
        else:
            lock.add(waiter)
        count += 1
    return count


def leave_locks(task: Task) -> None:
    """Give the locks of a thread that ends to those who wait for them (exit_pi_state_list)."""
    for lock in list(task.kernel.futexes.locks.values()):
        if lock.owner is task and lock.waiters:
            try:
                lock.hand_over(FUTEX_OWNER_DIED)
            except SysError as error:
                task.kernel.log.debug(f"task {task.tid}: lock handed over: errno {error.errno}")
