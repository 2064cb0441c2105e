"""semget(2), semop(2), semtimedop(2), semctl(2)."""

from struct import Struct
from typing import Final

from sentry.abi import ipc as abi
from sentry.abi.errno import E2BIG, EAGAIN, EINTR, EINVAL, ERANGE
from sentry.abi.types import NULL, Int, Size, Ulong, UserPtr
from sentry.errors import SysError
from sentry.kernel.blocking import sleep
from sentry.kernel.ipc import MAY_READ, MAY_WRITE
from sentry.kernel.semaphores import (
    SEMAEM,
    SEMMNS,
    Operation,
    SemaphoreSet,
    SemaphoreWaiter,
)
from sentry.kernel.task import Task
from sentry.mm.user import read_timespec_ns
from sentry.syscalls.sysv_ipc import pack_permissions, seconds, set_permissions

_INT: Final = Struct("<i")
ONE: Final = (abi.GETVAL, abi.GETPID, abi.GETNCNT, abi.GETZCNT)


def sys_semget(task: Task, key: Int, count: Int, flags: Int) -> int:
    """semget(2)."""
    if not 0 <= count <= abi.SEMMSL:
        raise SysError(EINVAL)
    semaphores = task.ipc.semaphores
    found = semaphores.existing(key, count, flags, task.creds)
    if found is not None:
        return found.number
    if count == 0:
        raise SysError(EINVAL)
    made = semaphores.enter(key, flags, count, task.creds)
    made.change_time = seconds(task)
    return made.number


def sys_semop(task: Task, number: Int, operations: UserPtr, count: Size) -> int:
    """semop(2)."""
    return _operate(task, number, operations, count, NULL)


def sys_semtimedop(
    task: Task, number: Int, operations: UserPtr, count: Size, timeout: UserPtr
) -> int:
    """semtimedop(2)."""
    return _operate(task, number, operations, count, timeout)


def _operate(task: Task, number: int, address: int, count: int, timeout: int) -> int:
    call = task.call
    waiter = call.data
    if isinstance(waiter, SemaphoreWaiter):
        return _go_on_waiting(task, waiter)
    if count < 1 or number < 0:
        raise SysError(EINVAL)
    if count > abi.SEMOPM:
        raise SysError(E2BIG)
    raw = task.memory.read(address, count * abi.SEMBUF.size)
    if timeout != NULL:
        limit_ns = read_timespec_ns(task.memory, timeout)
        call.deadline_ns = max(task.kernel.clock.monotonic_ns() + limit_ns, 1)
    operations = [Operation(index, change, flags) for index, change, flags in _unpack(raw)]
    semaphores = task.ipc.semaphores
    owner = semaphores.semaphores(number)
    is_change = any(operation.change for operation in operations)
    if all(operation.index < len(owner.values) for operation in operations):
        owner.check(task.creds, MAY_WRITE if is_change else MAY_READ)
    made = semaphores.start(owner, task, operations, seconds(task))
    if made is None:
        return 0
    call.data = made
    return _go_on_waiting(task, made)


def _unpack(raw: bytes) -> list[tuple[int, int, int]]:
    return list(abi.SEMBUF.iter_unpack(raw))


def _go_on_waiting(task: Task, waiter: SemaphoreWaiter) -> int:
    """Sleep until somebody did the operations; signals end the wait, and it does not restart."""
    if waiter.is_over:
        return -waiter.error
    deadline_ns = task.call.deadline_ns
    if deadline_ns and deadline_ns <= task.kernel.clock.monotonic_ns():
        raise SysError(EAGAIN)
    if task.has_signal:
        raise SysError(EINTR)
    return sleep(task, deadline_ns)


def sys_semctl(task: Task, number: Int, index: Int, command: Int, argument: Ulong) -> int:
    """semctl(2)."""
    if number < 0:
        raise SysError(EINVAL)
    command = Int(command & ~abi.IPC_64)
    semaphores = task.ipc.semaphores
    if command in (abi.IPC_INFO, abi.SEM_INFO):
        return _limits(task, command, argument)
    if command in (abi.IPC_STAT, abi.SEM_STAT, abi.SEM_STAT_ANY):
        return _status(task, number, command, argument)
    if command in ONE or command == abi.GETALL:
        owner = semaphores.semaphores(number)
        owner.check(task.creds, MAY_READ)
        return _get(task, owner, index, command, argument)
    if command in (abi.SETVAL, abi.SETALL):
        _set(task, number, index, command, argument)
        return 0
    if command == abi.IPC_SET:
        raw = task.memory.read(argument, abi.IPC64_PERM.size + abi.SEMID64_DS.size)
        owner = semaphores.semaphores(number)
        owner.check_owner(task.creds)
        set_permissions(owner, raw)
        owner.change_time = seconds(task)
    elif command == abi.IPC_RMID:
        owner = semaphores.semaphores(number)
        owner.check_owner(task.creds)
        semaphores.destroy(owner)
    else:
        raise SysError(EINVAL)
    return 0


def _limits(task: Task, command: int, argument: int) -> int:
    semaphores = task.ipc.semaphores
    used, usage = SEMMNS, SEMAEM
    units = 20
    if command == abi.SEM_INFO:
        units, usage = len(semaphores.objects), semaphores.used
    raw = abi.SEMINFO.pack(
        SEMMNS,
        semaphores.most,
        SEMMNS,
        used,
        abi.SEMMSL,
        abi.SEMOPM,
        abi.SEMOPM,
        units,
        abi.SEMVMX,
        usage,
    )
    task.memory.write(argument, raw)
    return semaphores.highest_index()


def _status(task: Task, number: int, command: int, argument: int) -> int:
    semaphores = task.ipc.semaphores
    if command == abi.IPC_STAT:
        owner = semaphores.semaphores(number)
    else:
        owner = semaphores.semaphores_at(number)
    if command != abi.SEM_STAT_ANY:
        owner.check(task.creds, MAY_READ)
    raw = pack_permissions(owner) + abi.SEMID64_DS.pack(
        owner.operation_time, owner.change_time, len(owner.values)
    )
    task.memory.write(argument, raw)
    return 0 if command == abi.IPC_STAT else owner.number


def _get(task: Task, owner: SemaphoreSet, index: int, command: int, argument: int) -> int:
    if command == abi.GETALL:
        values = b"".join(value.to_bytes(2, "little") for value in owner.values)
        task.memory.write(argument, values)
        return 0
    if not 0 <= index < len(owner.values):
        raise SysError(EINVAL)
    if command == abi.GETVAL:
        return owner.values[index]
    if command == abi.GETPID:
        return owner.pids[index]
    return owner.count_waiters(index, for_zero=command == abi.GETZCNT)


def _set(task: Task, number: int, index: int, command: int, argument: int) -> None:
    """SETVAL and SETALL."""
    semaphores = task.ipc.semaphores
    if command == abi.SETVAL:
        value: int = _INT.unpack((argument & 0xFFFF_FFFF).to_bytes(4, "little"))[0]
        if not 0 <= value <= abi.SEMVMX:
            raise SysError(ERANGE)
        owner = semaphores.semaphores(number)
        if not 0 <= index < len(owner.values):
            raise SysError(EINVAL)
        owner.check(task.creds, MAY_WRITE)
        values = {index: value}
    else:
        owner = semaphores.semaphores(number)
        owner.check(task.creds, MAY_WRITE)
        raw = task.memory.read(argument, 2 * len(owner.values))
        values = {at: raw[2 * at] | raw[2 * at + 1] << 8 for at in range(len(owner.values))}
        if any(value > abi.SEMVMX for value in values.values()):
            raise SysError(ERANGE)
    for at, value in values.items():
        owner.values[at] = value
        owner.pids[at] = task.group.pid
        owner.forget_undo(at)
    owner.change_time = seconds(task)
    owner.update(owner.change_time)
