"""Signals: actions, masks, sending, waiting (signal(7))."""

from typing import Final

from sentry.abi.errno import EAGAIN, EINTR, EINVAL, EPERM, ERESTARTNOHAND, ESRCH
from sentry.abi.signal import (
    NSIG,
    SI_TKILL,
    SI_USER,
    SIGCONT,
    SIGKILL,
    SIGRTMIN,
    SIGSTOP,
    pack_sigaction,
    pack_stack_t,
    unpack_sigaction,
)
from sentry.abi.types import NULL, Int, Pid, Size, UserPtr
from sentry.errors import SysError
from sentry.kernel import delivery
from sentry.kernel.blocking import DONE, PASS_ON, sleep
from sentry.kernel.sigframe import altstack_flags, set_altstack
from sentry.kernel.signal import (
    UNBLOCKABLE,
    PendingSignals,
    SignalAction,
    SignalInfo,
    begin_temporary_mask,
    can_queue,
    recalculate,
    send_to_group,
    send_to_task,
    set_mask,
    signal_bit,
    user_info,
)
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.mm.user import read_timespec_ns, read_u64, write_u64

SIGSET_SIZE: Final = 8
SIG_BLOCK: Final = 0
SIG_UNBLOCK: Final = 1
SIG_SETMASK: Final = 2
CAP_KILL: Final = 5
SIGINFO_SIZE: Final = 128
ACTION_SIZE: Final = 32
STACK_SIZE: Final = 24


def _check_set_size(size: int) -> None:
    if size != SIGSET_SIZE:
        raise SysError(EINVAL)


def sys_rt_sigaction(task: Task, number: Int, new: UserPtr, old: UserPtr, size: Size) -> int:
    """sigaction(2)."""
    _check_set_size(size)
    if not 1 <= number <= NSIG or (new != NULL and number in (SIGKILL, SIGSTOP)):
        raise SysError(EINVAL)
    handlers = task.group.handlers
    current = handlers.actions[number]
    if new != NULL:
        handler, flags, restorer, mask = unpack_sigaction(task.memory.read(new, ACTION_SIZE))
        handlers.actions[number] = SignalAction(handler, flags, restorer, mask & ~UNBLOCKABLE)
        if handlers.ignores(number):
            # What is ignored is not pending any more, sigaction(2).
            bit = signal_bit(number)
            task.group.pending.discard(bit)
            for other in task.group.tasks:
                other.pending.discard(bit)
                recalculate(other)
    if old != NULL:
        packed = pack_sigaction(current.handler, current.flags, current.restorer, current.mask)
        task.memory.write(old, packed)
    return 0


def sys_rt_sigprocmask(task: Task, how: Int, new: UserPtr, old: UserPtr, size: Size) -> int:
    """sigprocmask(2)."""
    _check_set_size(size)
    current = task.signal_mask
    if new != NULL:
        given = read_u64(task.memory, new)
        if how == SIG_BLOCK:
            mask = current | given
        elif how == SIG_UNBLOCK:
            mask = current & ~given
        elif how == SIG_SETMASK:
            mask = given
        else:
            raise SysError(EINVAL)
        set_mask(task, mask)
    if old != NULL:
        write_u64(task.memory, old, current)
    return 0


def sys_rt_sigpending(task: Task, out: UserPtr, size: Size) -> int:
    """sigpending(2)."""
    if size > SIGSET_SIZE:
        raise SysError(EINVAL)
    waiting = (task.pending.mask | task.group.pending.mask) & task.signal_mask
    task.memory.write(out, waiting.to_bytes(8, "little")[:size])
    return 0


def sys_rt_sigsuspend(task: Task, mask: UserPtr, size: Size) -> int:
    """sigsuspend(2)."""
    _check_set_size(size)
    if task.call.is_first_run:
        begin_temporary_mask(task, read_u64(task.memory, mask))
    if task.has_signal:
        raise SysError(ERESTARTNOHAND)
    return sleep(task, 0)


def sys_pause(task: Task) -> int:
    """pause(2)."""
    if task.has_signal:
        raise SysError(ERESTARTNOHAND)
    return sleep(task, 0)


def sys_restart_syscall(task: Task) -> int:
    """restart_syscall(2): the sentry runs calls again itself, so there is never one to go on."""
    raise SysError(EINTR)


def sys_rt_sigreturn(task: Task) -> int:
    """sigreturn(2)."""
    return PASS_ON if delivery.sigreturn(task) else DONE


def sys_sigaltstack(task: Task, new: UserPtr, old: UserPtr) -> int:
    """sigaltstack(2)."""
    sp = task.thread.sp
    base, size, _ = task.altstack
    if old != NULL:
        task.memory.write(old, pack_stack_t(base, altstack_flags(task, sp), size))
    if new != NULL:
        raw = task.memory.read(new, STACK_SIZE)
        new_base = int.from_bytes(raw[:8], "little")
        new_flags = int.from_bytes(raw[8:12], "little")
        new_size = int.from_bytes(raw[16:], "little")
        set_altstack(task, sp, new_base, new_flags, new_size)
    return 0


# Sending.


def _may_signal(task: Task, group: ThreadGroup, number: int) -> bool:
    """Return whether `task` may signal a process (kill(2), "EPERM")."""
    target = group.leader
    if target is None or task.group is group:
        return True
    creds, other = task.creds, target.creds
    if creds.has_capability(CAP_KILL):
        return True
    if creds.euid in (other.suid, other.uid) or creds.uid in (other.suid, other.uid):
        return True
    return number == SIGCONT and task.group.session() is group.session()


def check_number(number: int) -> None:
    """Raise SysError(EINVAL) for what is neither a signal nor 0."""
    if not 0 <= number <= NSIG:
        raise SysError(EINVAL)


def sys_kill(task: Task, pid: Pid, number: Int) -> int:
    """kill(2)."""
    check_number(number)
    info = user_info(number, SI_USER, task.group.pid, task.creds.uid)
    pids = task.group.pids
    if pid > 0:
        group = pids.groups.get(pid)
        if group is None:
            found = pids.tasks.get(pid)
            if found is None:
                raise SysError(ESRCH)
            group = found.group
        return kill_groups(task, [group], number, info)
    if pid == -1:
        others = [
            group
            for group in list(pids.groups.values())
            if group is not task.group and group.pid != 1 and not group.is_zombie
        ]
        return kill_groups(task, others, number, info)
    pgid = -pid
    if pid == 0:
        own = task.group.process_group
        pgid = 0 if own is None else own.pgid
    members = pids.process_groups.get(pgid)
    if members is None:
        raise SysError(ESRCH)
    return kill_groups(task, list(members.members), number, info)


def kill_groups(task: Task, groups: list[ThreadGroup], number: int, info: SignalInfo) -> int:
    """Send a signal to those of `groups` that the caller may signal (kill(2))."""
    if not groups:
        raise SysError(ESRCH)
    allowed = [group for group in groups if _may_signal(task, group, number)]
    if not allowed:
        raise SysError(EPERM)
    if number:
        for group in allowed:
            send_to_group(group, info)
    return 0


def sys_tkill(task: Task, tid: Pid, number: Int) -> int:
    """tkill(2)."""
    return _kill_thread(task, 0, tid, number)


def sys_tgkill(task: Task, tgid: Pid, tid: Pid, number: Int) -> int:
    """tgkill(2)."""
    if tgid <= 0:
        raise SysError(EINVAL)
    return _kill_thread(task, tgid, tid, number)


def _kill_thread(task: Task, tgid: int, tid: int, number: int) -> int:
    check_number(number)
    if tid <= 0:
        raise SysError(EINVAL)
    target = task.group.pids.tasks.get(tid)
    if target is None or (tgid and target.group.pid != tgid):
        raise SysError(ESRCH)
    if not _may_signal(task, target.group, number):
        raise SysError(EPERM)
    if number:
        send_to_task(target, user_info(number, SI_TKILL, task.group.pid, task.creds.uid))
    return 0


def sys_rt_sigqueueinfo(task: Task, pid: Pid, number: Int, info: UserPtr) -> int:
    """rt_sigqueueinfo(2): a signal with the sender's own siginfo."""
    group = task.group.pids.groups.get(pid)
    if group is None:
        raise SysError(ESRCH)
    made = own_info(task, group, number, info)
    if number:
        _check_room(group, group.pending, number)
        send_to_group(group, made)
    return 0


def sys_rt_tgsigqueueinfo(task: Task, tgid: Pid, tid: Pid, number: Int, info: UserPtr) -> int:
    """rt_tgsigqueueinfo(2)."""
    target = task.group.pids.tasks.get(tid)
    if target is None or target.group.pid != tgid:
        raise SysError(ESRCH)
    made = own_info(task, target.group, number, info)
    if number:
        _check_room(target.group, target.pending, number)
        send_to_task(target, made)
    return 0


def _check_room(group: ThreadGroup, pending: PendingSignals, number: int) -> None:
    """Raise SysError(EAGAIN) if RLIMIT_SIGPENDING is reached (sigqueue(3))."""
    if number >= SIGRTMIN and not can_queue(group, pending):
        raise SysError(EAGAIN)


def own_info(task: Task, group: ThreadGroup, number: int, address: int) -> SignalInfo:
    """Return a signal with the caller's siginfo; SysError(EPERM) if it would be a forgery."""
    check_number(number)
    raw = task.memory.read(address, SIGINFO_SIZE)
    code = int.from_bytes(raw[8:12], "little", signed=True)
    if (code >= 0 or code == SI_TKILL) and group is not task.group:
        raise SysError(EPERM)
    if not _may_signal(task, group, number):
        raise SysError(EPERM)
    return SignalInfo(number, code, number.to_bytes(4, "little") + raw[4:])


def sys_rt_sigtimedwait(
    task: Task, wanted: UserPtr, info: UserPtr, timeout: UserPtr, size: Size
) -> int:
    """sigtimedwait(2)."""
    _check_set_size(size)
    call = task.call
    mask = read_u64(task.memory, wanted) & ~UNBLOCKABLE
    now_ns = task.kernel.clock.monotonic_ns()
    if call.is_first_run:
        if timeout != NULL:
            call.deadline_ns = now_ns + max(read_timespec_ns(task.memory, timeout), 1)
        task.saved_mask = -1
        call.done = task.signal_mask
    taken = task.pending.take(mask) or task.group.pending.take(mask)
    if taken is not None:
        _end_wait(task)
        if info != NULL:
            task.memory.write(info, taken.raw)
        return taken.number
    if call.deadline_ns and call.deadline_ns <= now_ns:
        _end_wait(task)
        raise SysError(EAGAIN)
    if call.is_first_run:
        # Unblocked for the time of the wait, so that their arrival wakes this thread.
        task.awaited = task.signal_mask
        set_mask(task, task.signal_mask & ~mask)
    if task.has_signal:
        _end_wait(task)
        raise SysError(EINTR)
    return sleep(task, call.deadline_ns)


def _end_wait(task: Task) -> None:
    task.awaited = 0
    set_mask(task, task.call.done)
