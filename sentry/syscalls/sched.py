"""Scheduling and I/O priorities that are taken but change nothing, and membarrier(2).

Where and when guest threads run is the platform's and the host's decision.
"""

from typing import Final

from sentry.abi.errno import EINVAL, EPERM, ESRCH
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
from sentry.mm.user import read_i32, write_timespec_ns

_SLICE_NS: Final = 4_000_000
_BARRIERS: Final = (
    MEMBARRIER_CMD_GLOBAL
    | MEMBARRIER_CMD_PRIVATE_EXPEDITED
    | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
)


def _check_task(task: Task, pid: int) -> None:
    if pid < 0:
        raise SysError(EINVAL)
    if pid and pid not in task.kernel.tasks:
        raise SysError(ESRCH)


def sys_sched_setscheduler(task: Task, pid: Pid, policy: Int, param: UserPtr) -> int:
    """sched_setscheduler(2): real-time policies are refused as without CAP_SYS_NICE."""
    _check_task(task, pid)
    priority = read_i32(task.memory, param)
    wanted = policy & ~SCHED_RESET_ON_FORK
    if wanted in (SCHED_FIFO, SCHED_RR):
        if not 1 <= priority <= 99:
            raise SysError(EINVAL)
        raise SysError(EPERM)
    if wanted not in (SCHED_NORMAL, SCHED_BATCH, SCHED_IDLE) or priority:
        raise SysError(EINVAL)
    return 0


def sys_sched_setparam(task: Task, pid: Pid, param: UserPtr) -> int:
    """sched_setparam(2): 0 is the only priority of the ordinary policies."""
    _check_task(task, pid)
    if read_i32(task.memory, param):
        raise SysError(EINVAL)
    return 0


def sys_sched_rr_get_interval(task: Task, pid: Pid, out: UserPtr) -> int:
    """sched_rr_get_interval(2)."""
    _check_task(task, pid)
    write_timespec_ns(task.memory, out, _SLICE_NS)
    return 0


def sys_ioprio_get(task: Task, which: Int, who: Pid) -> int:
    """ioprio_get(2): nobody has one."""
    if not IOPRIO_WHO_PROCESS <= which <= IOPRIO_WHO_USER:
        raise SysError(EINVAL)
    if which == IOPRIO_WHO_PROCESS:
        _check_task(task, who)
    return IOPRIO_CLASS_NONE << IOPRIO_CLASS_SHIFT


def sys_ioprio_set(task: Task, which: Int, who: Pid, priority: Int) -> int:
    """ioprio_set(2): taken, without effect."""
    if not IOPRIO_WHO_PROCESS <= which <= IOPRIO_WHO_USER:
        raise SysError(EINVAL)
    if which == IOPRIO_WHO_PROCESS:
        _check_task(task, who)
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
