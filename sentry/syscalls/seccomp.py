"""seccomp(2), and what becomes of a call that a filter says something of."""

from struct import Struct
from typing import Final

from sentry.abi import seccomp as abi
from sentry.abi.capability import CAP_SYS_ADMIN
from sentry.abi.errno import EACCES, EINVAL, ENOMEM, ENOSYS, EOPNOTSUPP, ESRCH
from sentry.abi.signal import SIGKILL, SIGSYS, pack_siginfo_sys
from sentry.abi.syscalls import SYS_exit, SYS_read, SYS_rt_sigreturn, SYS_write
from sentry.abi.types import NULL, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel import delivery, exit
from sentry.kernel.blocking import DONE
from sentry.kernel.seccomp import INSTRUCTION, MAX_PATH, SeccompFilter, SeccompState
from sentry.kernel.signal import SignalInfo
from sentry.kernel.task import Task
from sentry.mm.user import read_u32

_PROGRAM: Final = Struct("<H6xQ")  # struct sock_fprog
STRICT: Final = (SYS_read, SYS_write, SYS_exit, SYS_rt_sigreturn)
SYS_SECCOMP: Final = 1  # si_code
MAX_ERRNO: Final = 4095
U32: Final = 0xFFFF_FFFF
KNOWN_FLAGS: Final = (
    abi.SECCOMP_FILTER_FLAG_TSYNC
    | abi.SECCOMP_FILTER_FLAG_LOG
    | abi.SECCOMP_FILTER_FLAG_SPEC_ALLOW
    | abi.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
)
ACTIONS: Final = (
    abi.SECCOMP_RET_KILL_PROCESS,
    abi.SECCOMP_RET_KILL_THREAD,
    abi.SECCOMP_RET_TRAP,
    abi.SECCOMP_RET_ERRNO,
    abi.SECCOMP_RET_TRACE,
    abi.SECCOMP_RET_LOG,
    abi.SECCOMP_RET_ALLOW,
)
PASSES: Final = (abi.SECCOMP_RET_ALLOW, abi.SECCOMP_RET_LOG)
MAY_GO_ON: Final = -(1 << 40)  # no result: the call is to be made


def judge(task: Task, state: SeccompState, number: int) -> int:
    """Return MAY_GO_ON, or what `invoke` returns in the place of the call."""
    if number in state.always_allowed:
        return MAY_GO_ON
    if state.newest is None:
        if number in STRICT:
            return MAY_GO_ON
        exit.exit_task(task, SIGKILL)
        return DONE
    thread = task.thread
    words = [number & U32, abi.AUDIT_ARCH_X86_64, thread.ip & U32, thread.ip >> 32]
    for value in (thread.a0, thread.a1, thread.a2, thread.a3, thread.a4, thread.a5):
        words.append(value & U32)
        words.append(value >> 32)
    verdict = state.verdict(words)
    action = verdict & abi.SECCOMP_RET_ACTION_FULL
    data = verdict & abi.SECCOMP_RET_DATA
    if action in PASSES:
        return MAY_GO_ON
    if action == abi.SECCOMP_RET_ERRNO:
        return -min(data, MAX_ERRNO)
    if action == abi.SECCOMP_RET_TRAP:
        raw = pack_siginfo_sys(SYS_SECCOMP, data, thread.ip, number, abi.AUDIT_ARCH_X86_64)
        delivery.force(task, SignalInfo(SIGSYS, SYS_SECCOMP, raw))
        return number  # the registers are as they were before the call
    if action in (abi.SECCOMP_RET_TRACE, abi.SECCOMP_RET_USER_NOTIF):
        return -ENOSYS  # there is nobody to ask
    if action == abi.SECCOMP_RET_KILL_THREAD:
        exit.exit_task(task, SIGSYS)
    else:
        exit.kill_group(task.group, SIGSYS)
    return DONE


def sys_seccomp(task: Task, operation: Uint, flags: Uint, argument: UserPtr) -> int:
    """seccomp(2); nobody can be asked (SECCOMP_FILTER_FLAG_NEW_LISTENER)."""
    if operation == abi.SECCOMP_SET_MODE_STRICT:
        if flags or argument != NULL:
            raise SysError(EINVAL)
        return set_strict(task)
    if operation == abi.SECCOMP_SET_MODE_FILTER:
        return add_filter(task, flags, argument)
    if operation == abi.SECCOMP_GET_ACTION_AVAIL:
        if flags:
            raise SysError(EINVAL)
        if read_u32(task.memory, argument) not in ACTIONS:
            raise SysError(EOPNOTSUPP)
        return 0
    raise SysError(EINVAL)


def set_strict(task: Task) -> int:
    """Enter strict mode; SysError(EINVAL) if there are filters."""
    state = task.seccomp
    if state is not None and state.newest is not None:
        raise SysError(EINVAL)
    task.seccomp = SeccompState(None)
    return 0


def add_filter(task: Task, flags: int, argument: int) -> int:
    """Put up one more filter; return 0, or with TSYNC the thread that could not have it."""
    if flags & ~KNOWN_FLAGS:
        raise SysError(EINVAL)
    count, address = _PROGRAM.unpack(task.memory.read(argument, _PROGRAM.size))
    if not 0 < count <= abi.BPF_MAXINSNS or address == NULL:
        raise SysError(EINVAL)
    if not task.creds.no_new_privs and not task.creds.has_capability(CAP_SYS_ADMIN):
        raise SysError(EACCES)
    state = task.seccomp
    if state is not None and state.newest is None:
        raise SysError(EINVAL)  # strict mode stays
    previous = None if state is None else state.newest
    made = SeccompFilter(task.memory.read(address, count * INSTRUCTION.size), previous)
    if made.cost > MAX_PATH:
        raise SysError(ENOMEM)
    if flags & abi.SECCOMP_FILTER_FLAG_TSYNC:
        left_out = _thread_left_out(task, previous)
        if left_out:
            if flags & abi.SECCOMP_FILTER_FLAG_TSYNC_ESRCH:
                raise SysError(ESRCH)
            return left_out
        for other in task.group.tasks:
            other.seccomp = SeccompState(made)
            if task.creds.no_new_privs and not other.creds.no_new_privs:
                creds = other.creds.copy()
                creds.no_new_privs = True
                other.creds = creds
    task.seccomp = SeccompState(made)
    return 0


def _thread_left_out(task: Task, previous: SeccompFilter | None) -> int:
    """Return the tid of a thread whose filters are not among the caller's; 0: there is none."""
    for other in task.group.tasks:
        state = other.seccomp
        if other is task or state is None:
            continue
        if state.newest is None or not state.newest.is_ancestor_of(previous):
            return other.tid
    return 0
