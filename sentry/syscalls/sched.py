"""Scheduling and I/O priorities that are kept but change nothing, and membarrier(2).

Where and when guest threads run is the platform's and the host's decision.
"""

from struct import Struct
from typing import Final

from sentry.abi.capability import CAP_SYS_NICE
from sentry.abi.errno import E2BIG, EINVAL, EPERM, ESRCH
from sentry.abi.resource import RLIMIT_NICE
from sentry.abi.sched import (
    IOPRIO_CLASS_BE,
    IOPRIO_CLASS_IDLE,
    IOPRIO_CLASS_NONE,
    IOPRIO_CLASS_RT,
    IOPRIO_CLASS_SHIFT,
    IOPRIO_WHO_PROCESS,
    IOPRIO_WHO_USER,
    MEMBARRIER_CMD_GLOBAL,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_QUERY,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
    SCHED_BATCH,
    SCHED_DEADLINE,
    SCHED_FIFO,
    SCHED_IDLE,
    SCHED_NORMAL,
    SCHED_RESET_ON_FORK,
    SCHED_RR,
)
from sentry.abi.types import Int, Pid, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel.blocking import PASS_ON
from sentry.kernel.task import Task
from sentry.mm.user import read_i32, read_u32, write_timespec_ns

_PAGE: Final = 4096
_ATTR: Final = Struct("<IIQiIQQQII")  # struct sched_attr
_ATTR_FIRST: Final = 48  # its size at first: without the utilisation
_ATTR_FLAGS: Final = 0x7F
_SLICE_NS: Final = 4_000_000
_BARRIERS: Final = (
    MEMBARRIER_CMD_GLOBAL
    | MEMBARRIER_CMD_PRIVATE_EXPEDITED
    | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
)


def _task(task: Task, pid: int) -> Task:
    """Return the task of a tid, or the caller for 0."""
    if pid < 0:
        raise SysError(EINVAL)
    found = task if pid == 0 else task.group.pids.tasks.get(pid)
    if found is None:
        raise SysError(ESRCH)
    return found


def _check_owner(task: Task, target: Task) -> None:
    """SysError(EPERM) unless the caller may change how `target` is scheduled (sched(7))."""
    creds = task.creds
    if creds.euid not in (target.creds.uid, target.creds.euid):
        if not creds.has_capability(CAP_SYS_NICE):
            raise SysError(EPERM)


def sys_sched_yield(task: Task) -> int:
    """sched_yield(2)."""
    return 0


def sys_sched_getaffinity(task: Task, pid: Pid, size: Uint, mask: UserPtr) -> int:
    """sched_getaffinity(2)."""
    if size & 7 or size * 8 < task.kernel.cpus:
        raise SysError(EINVAL)
    task.memory.write(mask, task.kernel.allowed_cpus(_task(task, pid)).to_bytes(8, "little"))
    return 8


def sys_sched_setaffinity(task: Task, pid: Pid, size: Uint, mask: UserPtr) -> int:
    """sched_setaffinity(2): kept, but where a task runs is the platform's decision."""
    given = int.from_bytes(task.memory.read(mask, min(size, 128)), "little")
    target = _task(task, pid)
    _check_owner(task, target)
    given &= (1 << task.kernel.cpus) - 1
    if not given:
        raise SysError(EINVAL)
    target.affinity = given
    return 0


def sys_sched_getscheduler(task: Task, pid: Pid) -> int:
    """sched_getscheduler(2)."""
    return _task(task, pid).policy


def sys_sched_getparam(task: Task, pid: Pid, out: UserPtr) -> int:
    """sched_getparam(2): the ordinary policies have no priorities."""
    _task(task, pid)
    task.memory.write(out, bytes(4))
    return 0


def sys_sched_setscheduler(task: Task, pid: Pid, policy: Int, param: UserPtr) -> int:
    """sched_setscheduler(2): real-time policies are refused as without CAP_SYS_NICE."""
    priority = read_i32(task.memory, param)
    target = _task(task, pid)
    _set_policy(task, target, policy, priority)
    return 0


def _set_policy(task: Task, target: Task, policy: int, priority: int) -> None:
    wanted = policy & ~SCHED_RESET_ON_FORK
    if wanted in (SCHED_FIFO, SCHED_RR):
        if not 1 <= priority <= 99:
            raise SysError(EINVAL)
        raise SysError(EPERM)
    if wanted not in (SCHED_NORMAL, SCHED_BATCH, SCHED_IDLE) or priority:
        raise SysError(EINVAL)
    _check_owner(task, target)
    target.policy = wanted


def sys_sched_setparam(task: Task, pid: Pid, param: UserPtr) -> int:
    """sched_setparam(2): 0 is the only priority of the ordinary policies."""
    _task(task, pid)
    if read_i32(task.memory, param):
        raise SysError(EINVAL)
    return 0


def sys_sched_getattr(task: Task, pid: Pid, out: UserPtr, size: Uint, flags: Uint) -> int:
    """sched_getattr(2)."""
    if flags or not _ATTR_FIRST <= size <= _PAGE:
        raise SysError(EINVAL)
    target = _task(task, pid)
    whole = _ATTR.pack(min(size, _ATTR.size), target.policy, 0, target.nice, 0, 0, 0, 0, 0, 1024)
    task.memory.write(out, whole[:size].ljust(size, b"\0"))
    return 0


def sys_sched_setattr(task: Task, pid: Pid, attributes: UserPtr, flags: Uint) -> int:
    """sched_setattr(2): the ordinary policies and their nice values."""
    size = read_u32(task.memory, attributes) or _ATTR_FIRST
    if size < _ATTR_FIRST or size > _PAGE:
        raise SysError(E2BIG)
    raw = task.memory.read(attributes, size)
    if flags:
        raise SysError(EINVAL)
    if any(raw[_ATTR.size :]):
        raise SysError(E2BIG)
    fields = _ATTR.unpack(raw[: _ATTR.size].ljust(_ATTR.size, b"\0"))
    policy: int = fields[1]
    nice: int = fields[3]
    priority: int = fields[4]
    target = _task(task, pid)
    if policy > SCHED_DEADLINE or fields[2] & ~_ATTR_FLAGS:
        raise SysError(EINVAL)
    if policy == SCHED_DEADLINE:
        raise SysError(EPERM)
    nice = max(-20, min(nice, 19))
    limit = 20 - target.group.limits.soft[RLIMIT_NICE]
    if nice < target.nice and nice < limit and not task.creds.has_capability(CAP_SYS_NICE):
        raise SysError(EPERM)
    _set_policy(task, target, policy, priority)
    target.nice = nice
    return 0


def sys_sched_get_priority_max(task: Task, policy: Int) -> int:
    """sched_get_priority_max(2)."""
    return _priority(policy, 99)


def sys_sched_get_priority_min(task: Task, policy: Int) -> int:
    """sched_get_priority_min(2)."""
    return _priority(policy, 1)


def _priority(policy: int, real_time: int) -> int:
    if policy in (1, 2):
        return real_time
    if policy in (0, 3, 5):
        return 0
    raise SysError(EINVAL)


def sys_sched_rr_get_interval(task: Task, pid: Pid, out: UserPtr) -> int:
    """sched_rr_get_interval(2)."""
    _task(task, pid)
    write_timespec_ns(task.memory, out, _SLICE_NS)
    return 0


def sys_ioprio_get(task: Task, which: Int, who: Pid) -> int:
    """ioprio_get(2): nobody has one."""
    if not IOPRIO_WHO_PROCESS <= which <= IOPRIO_WHO_USER:
        raise SysError(EINVAL)
    if which == IOPRIO_WHO_PROCESS:
        _task(task, who)
    return IOPRIO_CLASS_NONE << IOPRIO_CLASS_SHIFT


def sys_ioprio_set(task: Task, which: Int, who: Pid, priority: Int) -> int:
    """ioprio_set(2): taken, without effect."""
    if not IOPRIO_WHO_PROCESS <= which <= IOPRIO_WHO_USER:
        raise SysError(EINVAL)
    if which == IOPRIO_WHO_PROCESS:
        _task(task, who)
    kind = priority >> IOPRIO_CLASS_SHIFT
    if kind == IOPRIO_CLASS_RT:
        raise SysError(EPERM)
    if kind not in (IOPRIO_CLASS_NONE, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE):
        raise SysError(EINVAL)
    return 0


def sys_membarrier(task: Task, command: Int, flags: Uint, cpu: Int) -> int:
    """membarrier(2): the host does it, since its arguments are numbers alone."""
    if command == MEMBARRIER_CMD_QUERY and not flags:
        return _BARRIERS
    if flags or command not in (
        MEMBARRIER_CMD_GLOBAL,
        MEMBARRIER_CMD_PRIVATE_EXPEDITED,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
    ):
        raise SysError(EINVAL)
    return PASS_ON
