"""Delivery: what a signal does to the task that takes it (signal(7)).

The loop calls `deliver` when a task with `has_signal` is about to run guest
code: handlers get their frame, defaults end, stop or do nothing.
"""

from typing import Final

from sentry.abi.errno import EINTR, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTSYS
from sentry.abi.signal import (
    BUS_ADRERR,
    SA_NODEFER,
    SA_RESETHAND,
    SA_RESTART,
    SEGV_ACCERR,
    SI_ADDR_OFFSET,
    SI_KERNEL,
    SIG_DFL,
    SIG_IGN,
    SIGBUS,
    SIGFPE,
    SIGILL,
    SIGKILL,
    SIGSEGV,
    SIGSTOP,
    SIGTRAP,
    unpack_siginfo,
)
from sentry.errors import SysError
from sentry.kernel import exit, stop
from sentry.kernel.jobs import is_orphaned
from sentry.kernel.sigframe import (
    is_on_altstack,
    push_frame,
    read_frame,
    set_altstack,
)
from sentry.kernel.signal import (
    DEFAULT_ACTION,
    IGNORED_BY_DEFAULT,
    STOP_SIGNALS,
    UNBLOCKABLE,
    SignalAction,
    SignalInfo,
    fault_info,
    recalculate,
    set_mask,
    signal_bit,
)
from sentry.kernel.task import HOLD_VFORK, Task

SYSCALL_SIZE: Final = 2  # bytes of the instruction
# Processor exceptions by the signal they raise (sigcontext's trapno).
_TRAP_NUMBERS: Final = {SIGTRAP: 3, SIGILL: 6, SIGFPE: 16, SIGSEGV: 14, SIGBUS: 17}
_GENERAL_PROTECTION: Final = 13
_PAGE_FAULT: Final = 14
_FROM_USER: Final = 4  # bits of a page fault's error code
_WAS_PRESENT: Final = 1


def deliver(task: Task, result: int) -> bool:
    """Deliver what is pending; return whether the call is to run again now.

    `result` is an ERESTART code if the task is in a call that was interrupted;
    anything else has been given to the thread already, or is no call's.
    """
    restart = -result if -517 < result < -511 else 0
    if task.hold & HOLD_VFORK and not task.group.is_exiting:
        # It is in vfork(2) still, and its stack is in use by its child.
        return restart != 0
    is_in_handler = False
    while task.has_signal:
        if task.group.is_exiting:
            exit.end_group(task.group, task.group.exit_status)
            return False
        if task.must_stop():
            stop.note_stopped(task)
            recalculate(task)
            break
        if task.is_stopped:
            break
        info = _take(task)
        if info is None:
            if restart == 0 and _restore_mask(task):
                continue
            task.has_signal = False
            break
        action = task.group.handlers.actions[info.number]
        if action.handler == SIG_IGN:
            recalculate(task)
            continue
        if action.handler == SIG_DFL:
            _default(task, info)
            if task.is_dead():
                return False
            recalculate(task)
            continue
        again = -1
        if restart:
            if _is_made_again(restart, action):
                again = task.call.number
            else:
                task.thread.finish(-EINTR)
            restart = 0
        _enter_handler(task, info, action, again)
        is_in_handler = True
    if is_in_handler:
        return False
    if restart:
        return True
    _restore_mask(task)
    return False


def force_fault(task: Task) -> None:
    """Queue the signal for what the task's last instruction did (STOP_SIGNAL)."""
    thread = task.thread
    number = thread.signal_number
    raw = thread.siginfo
    _, _, code = unpack_siginfo(raw)
    trap = _TRAP_NUMBERS.get(number, 0)
    error = 0
    address = task.last_fault[2]  # only page faults change it, as CR2
    if number == SIGSEGV and code == SI_KERNEL:
        trap = _GENERAL_PROTECTION
    elif number == SIGSEGV or (number == SIGBUS and code == BUS_ADRERR):
        trap = _PAGE_FAULT
        address = int.from_bytes(raw[SI_ADDR_OFFSET : SI_ADDR_OFFSET + 8], "little")
        error = _FROM_USER | (_WAS_PRESENT if code == SEGV_ACCERR and number == SIGSEGV else 0)
    task.last_fault = (trap, error, address)
    force(task, SignalInfo(number, code, raw))


def force(task: Task, info: SignalInfo) -> None:
    """Queue a signal that the task cannot escape: blocked or ignored, it has its default."""
    bit = signal_bit(info.number)
    handlers = task.group.handlers
    if task.signal_mask & bit or handlers.actions[info.number].handler == SIG_IGN:
        handlers.actions[info.number] = DEFAULT_ACTION
        task.signal_mask &= ~bit
    if handlers.actions[info.number].handler == SIG_DFL:
        task.group.is_unkillable = False
    task.pending.add(info)
    recalculate(task)


def sigreturn(task: Task) -> bool:
    """Do the sentry's part of rt_sigreturn(2); False for no frame, which is a SIGSEGV.

    The host has to do the rest: it finds what is wrong with the frame itself.
    """
    try:
        saved = read_frame(task)
    except SysError:
        task.thread.finish(0)
        force(task, fault_info(SIGSEGV, SI_KERNEL, 0))
        return False
    if saved.altstack != task.altstack and not is_on_altstack(task, saved.sp):
        base, size, flags = saved.altstack
        _restore_altstack(task, saved.sp, base, flags, size)
    if saved.mask & ~UNBLOCKABLE != task.signal_mask or task.has_signal:
        set_mask(task, saved.mask)
    return True


def _restore_altstack(task: Task, sp: int, base: int, flags: int, size: int) -> None:
    try:
        set_altstack(task, sp, base, flags, size)
    except SysError as error:
        # Linux ignores it too: the frame may be from before a change.
        task.kernel.log.debug(f"task {task.tid}: altstack of the frame: errno {error.errno}")


def _take(task: Task) -> SignalInfo | None:
    """Return the next signal: the thread's before the process's."""
    allowed = ~task.signal_mask
    info = task.pending.take(allowed)
    if info is None:
        info = task.group.pending.take(allowed)
    return info


def _restore_mask(task: Task) -> bool:
    """Put the mask from before the call back; return whether something is to be delivered now."""
    if task.saved_mask < 0:
        return False
    mask = task.saved_mask
    task.saved_mask = -1
    set_mask(task, mask)
    return task.has_signal


def _default(task: Task, info: SignalInfo) -> None:
    """Do what a signal without a handler does."""
    group = task.group
    number = info.number
    bit = signal_bit(number)
    if bit & IGNORED_BY_DEFAULT:
        return
    if group.is_unkillable and number not in (SIGKILL, SIGSTOP):
        return
    if bit & STOP_SIGNALS:
        process_group = group.process_group
        # POSIX: the terminal's stop signals do nothing to an orphaned process group.
        if number == SIGSTOP or process_group is None or not is_orphaned(process_group):
            stop.start_stop(group, number)
        return
    # No core is written, so that the status does not say so (core(5)).
    exit.end_group(group, number)


def _is_made_again(restart: int, action: SignalAction) -> bool:
    """Return whether a call that was interrupted is made again after the handler, or is EINTR."""
    if restart in (ERESTARTNOHAND, ERESTART_RESTARTBLOCK):
        return False
    return restart != ERESTARTSYS or bool(action.flags & SA_RESTART)


def _enter_handler(task: Task, info: SignalInfo, action: SignalAction, again: int) -> None:
    """Enter the handler; without room for its frame it is a SIGSEGV.

    `again` is the call that is to be made again after it, or -1.
    """
    if action.flags & SA_RESETHAND:
        task.group.handlers.actions[info.number] = DEFAULT_ACTION
    old_mask = task.saved_mask if task.saved_mask >= 0 else task.signal_mask
    if not push_frame(task, info, action, old_mask, again):
        if again >= 0:
            _leave_call(task, again)
        if info.number == SIGSEGV:
            task.group.handlers.actions[SIGSEGV] = DEFAULT_ACTION
        force(task, fault_info(SIGSEGV, SI_KERNEL, 0))
        return
    task.saved_mask = -1
    mask = task.signal_mask | action.mask
    if not action.flags & SA_NODEFER:
        mask |= signal_bit(info.number)
    set_mask(task, mask)


def _leave_call(task: Task, number: int) -> None:
    """Take the task back to before the call that it is in."""
    regs = task.thread.registers()
    regs.rax = number & 0xFFFF_FFFF_FFFF_FFFF
    regs.rip -= SYSCALL_SIZE
    task.thread.set_registers(regs)
