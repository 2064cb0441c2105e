"""process_vm_readv(2), process_vm_writev(2): another process's memory."""

from sentry.abi.errno import EFAULT, EINVAL, EPERM, ESRCH
from sentry.abi.types import Pid, Ulong, UserPtr
from sentry.errors import SysError
from sentry.kernel.access import may_access
from sentry.kernel.task import Task
from sentry.mm.user import read_iovec
from sentry.platform.interface import GuestMemory

Part = tuple[int, int, int]  # where in one, where in the other, how many bytes


def sys_process_vm_readv(
    task: Task,
    pid: Pid,
    local: UserPtr,
    local_count: Ulong,
    remote: UserPtr,
    remote_count: Ulong,
    flags: Ulong,
) -> int:
    """process_vm_readv(2)."""
    other = _memory_of(task, pid, flags)
    parts = _parts(task, remote, remote_count, local, local_count)
    return _copy(other, task.memory, parts)


def sys_process_vm_writev(
    task: Task,
    pid: Pid,
    local: UserPtr,
    local_count: Ulong,
    remote: UserPtr,
    remote_count: Ulong,
    flags: Ulong,
) -> int:
    """process_vm_writev(2)."""
    other = _memory_of(task, pid, flags)
    parts = _parts(task, local, local_count, remote, remote_count)
    return _copy(task.memory, other, parts)


def _memory_of(task: Task, pid: int, flags: int) -> GuestMemory:
    if flags:
        raise SysError(EINVAL)
    target = task.group.pids.tasks.get(pid)
    if target is None or target.is_dead():
        raise SysError(ESRCH)
    if not may_access(task.creds, target, own=target.group is task.group):
        raise SysError(EPERM)
    return target.memory


def _parts(task: Task, source: int, source_count: int, sink: int, sink_count: int) -> list[Part]:
    """Return pieces that lie in one segment of both vectors."""
    sources = read_iovec(task.memory, source, source_count)
    sinks = read_iovec(task.memory, sink, sink_count)
    parts: list[Part] = []
    at = 0
    index = 0
    for address, size in sources:
        done = 0
        while done < size and index < len(sinks):
            room = sinks[index][1] - at
            step = min(size - done, room)
            if step:
                parts.append((address + done, sinks[index][0] + at, step))
            done += step
            at += step
            if at == sinks[index][1]:
                index += 1
                at = 0
    return parts


def _copy(source: GuestMemory, sink: GuestMemory, parts: list[Part]) -> int:
    """Copy until the end or to the first fault; SysError(EFAULT) if nothing was copied."""
    total = 0
    for source_at, sink_at, size in parts:
        try:
            data = source.read_upto(source_at, size)
            written = sink.write_upto(sink_at, data)
        except SysError as error:
            if error.errno != EFAULT or not total:
                raise
            break
        total += written
        if written < size:
            break
    return total
