"""futex(2)."""

from typing import Final

from sentry.abi.errno import EAGAIN, EINVAL, ENOSYS
from sentry.abi.futex import (
    FUTEX_CMP_REQUEUE_PI,
    FUTEX_LOCK_PI,
    FUTEX_LOCK_PI2,
    FUTEX_TRYLOCK_PI,
    FUTEX_UNLOCK_PI,
    FUTEX_WAIT_REQUEUE_PI,
)
from sentry.abi.types import NULL, Int, Uint, Ulong, UserPtr, s32
from sentry.errors import SysError
from sentry.kernel.futex import MATCH_ANY, futex_key, futex_wait
from sentry.kernel.pi_futex import lock_pi, requeue_pi, unlock_pi, wait_requeue_pi
from sentry.kernel.task import Task
from sentry.mm.user import read_timespec_ns, read_u32, write_u32

WAIT: Final = 0
WAKE: Final = 1
REQUEUE: Final = 3
CMP_REQUEUE: Final = 4
WAKE_OP: Final = 5
WAIT_BITSET: Final = 9
WAKE_BITSET: Final = 10
PRIVATE_FLAG: Final = 128
CLOCK_REALTIME_FLAG: Final = 256
WITH_DEADLINE: Final = (FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_WAIT_REQUEUE_PI)
MAX_COUNT: Final = 0x7FFF_FFFF


def sys_futex(
    task: Task, uaddr: UserPtr, op: Int, val: Uint, timeout: Ulong, uaddr2: UserPtr, val3: Uint
) -> int:
    """futex(2)."""
    private = bool(op & PRIVATE_FLAG)
    command = op & ~(PRIVATE_FLAG | CLOCK_REALTIME_FLAG)
    if command in (WAIT, WAIT_BITSET):
        bitset = MATCH_ANY if command == WAIT else val3
        _note_deadline(task, op, command, timeout)
        return futex_wait(task, uaddr, val, bitset, private=private)
    if command in WITH_DEADLINE:
        return _wait_for_lock(task, uaddr, op, command, val, timeout, uaddr2)
    if op & CLOCK_REALTIME_FLAG:
        raise SysError(ENOSYS)
    if command == FUTEX_UNLOCK_PI:
        return unlock_pi(task, uaddr, private=private)
    if command == FUTEX_TRYLOCK_PI:
        return lock_pi(task, uaddr, private=private, is_try=True)
    if command == FUTEX_CMP_REQUEUE_PI:
        return requeue_pi(task, uaddr, s32(val), s32(timeout), uaddr2, val3, private=private)
    futexes = task.kernel.futexes
    if command in (WAKE, WAKE_BITSET):
        bitset = MATCH_ANY if command == WAKE else val3
        if not bitset:
            raise SysError(EINVAL)
        key = futex_key(task.mm, uaddr, private=private)
        # Linux wakes one for 0 and for negative counts.
        return futexes.wake(key, max(s32(val), 1), bitset)
    if command in (REQUEUE, CMP_REQUEUE):
        if s32(val) < 0 or s32(timeout) < 0:
            raise SysError(EINVAL)
        key = futex_key(task.mm, uaddr, private=private)
        target = futex_key(task.mm, uaddr2, private=private)
        if command == CMP_REQUEUE and read_u32(task.memory, uaddr) != val3:
            raise SysError(EAGAIN)
        woken = futexes.wake(key, val, MATCH_ANY) if val else 0
        moved = futexes.requeue(key, target, s32(timeout))
        return woken + moved
    if command == WAKE_OP:
        return _wake_op(task, uaddr, val, s32(timeout), uaddr2, val3, private=private)
    raise SysError(ENOSYS)


def _wait_for_lock(
    task: Task, uaddr: int, op: int, command: int, val: int, timeout: int, uaddr2: int
) -> int:
    """The operations that wait for a lock with priority inheritance, until a point in time."""
    if op & CLOCK_REALTIME_FLAG and command == FUTEX_LOCK_PI:
        raise SysError(ENOSYS)
    private = bool(op & PRIVATE_FLAG)
    # The oldest of them has always had the clock that others have to ask for.
    clock = CLOCK_REALTIME_FLAG if command == FUTEX_LOCK_PI else op
    _note_deadline(task, clock, command, timeout)
    if command == FUTEX_WAIT_REQUEUE_PI:
        return wait_requeue_pi(task, uaddr, val, uaddr2, private=private)
    return lock_pi(task, uaddr, private=private, is_try=False)


def _note_deadline(task: Task, op: int, command: int, timeout: int) -> None:
    """Turn the time limit of the first run into a deadline of CLOCK_MONOTONIC."""
    call = task.call
    if not call.is_first_run or timeout == NULL:
        return
    ns = read_timespec_ns(task.memory, timeout)
    clock = task.kernel.clock
    if command == WAIT:
        deadline_ns = clock.monotonic_ns() + ns  # relative, whatever the clock
    elif op & CLOCK_REALTIME_FLAG:
        deadline_ns = clock.monotonic_ns() + ns - clock.realtime_ns()
    else:
        deadline_ns = ns
    call.deadline_ns = max(deadline_ns, 1)


def _wake_op(
    task: Task, uaddr: int, count: int, count2: int, uaddr2: int, encoded: int, *, private: bool
) -> int:
    """FUTEX_WAKE_OP: change the second word, wake on the first, perhaps on the second.

    The change is not atomic against other guest threads that run meanwhile.
    """
    key = futex_key(task.mm, uaddr, private=private)
    key2 = futex_key(task.mm, uaddr2, private=private)
    operation = encoded >> 28 & 7
    comparison = encoded >> 24 & 15
    operand = _sign_extend_12(encoded >> 12 & 0xFFF)
    compared = _sign_extend_12(encoded & 0xFFF)
    if encoded >> 31:
        operand = 1 << (operand & 31)
    old = read_u32(task.memory, uaddr2)
    write_u32(task.memory, uaddr2, _operate(operation, old, operand))
    woken = task.kernel.futexes.wake(key, max(s32(count), 1), MATCH_ANY)
    if _compare(comparison, s32(old), compared):
        woken += task.kernel.futexes.wake(key2, max(count2, 1), MATCH_ANY)
    return woken


def _sign_extend_12(value: int) -> int:
    return value - 0x1000 if value & 0x800 else value


def _operate(operation: int, old: int, operand: int) -> int:
    """Return what FUTEX_OP_SET, ADD, OR, ANDN and XOR make of the word."""
    if operation == 0:
        return operand
    if operation == 1:
        return old + operand
    if operation == 2:
        return old | operand
    if operation == 3:
        return old & ~operand
    if operation == 4:
        return old ^ operand
    raise SysError(ENOSYS)


def _compare(comparison: int, old: int, value: int) -> bool:
    """Return what FUTEX_OP_CMP_EQ, NE, LT, LE, GT and GE say."""
    if comparison == 0:
        return old == value
    if comparison == 1:
        return old != value
    if comparison == 2:
        return old < value
    if comparison == 3:
        return old <= value
    if comparison == 4:
        return old > value
    if comparison == 5:
        return old >= value
    raise SysError(ENOSYS)
