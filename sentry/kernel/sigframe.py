"""Signal frames: what a handler finds on its stack, and taking it back (rt_sigreturn(2)).

The layout is struct rt_sigframe of x86-64 Linux (sentry/abi/sigframe.py).  The
platform writes it, registers and extended state included, and the host takes
those back: it does nothing for a guest's forged frame but what the guest's own
instructions could do, and the signal mask and alternate stack that it sets are
of a thread to which no signal is ever delivered.
"""

from struct import Struct
from typing import Final

from sentry.abi.errno import EINVAL
from sentry.abi.sigframe import (
    FPSTATE_ALIGN,
    FRAME_SIGINFO_OFFSET,
    FRAME_SIZE,
    RED_ZONE_SIZE,
    UC_FP_XSTATE,
    UC_SIGCONTEXT_SS,
    UC_STRICT_RESTORE_SS,
)
from sentry.abi.signal import (
    MINSIGSTKSZ,
    SA_ONSTACK,
    SA_RESTORER,
    SS_AUTODISARM,
    SS_DISABLE,
    SS_ONSTACK,
)
from sentry.errors import SysError
from sentry.kernel.signal import SignalAction, SignalInfo
from sentry.kernel.task import Task
from sentry.mm.user import TASK_SIZE

# struct pt_handler, native/frames.c: handler, signal number, where the frame and its extended
# state go, the call to be made again; err, trapno, the mask and cr2 of the sigcontext; what is
# before that: pretcode, uc_flags, uc_link, uc_stack (sp, flags, size); siginfo.
ENTRY: Final = Struct("<QQQQq4QQQQQi4xQ128s")
# uc_stack, the stack pointer of the sigcontext, uc_sigmask.
_SAVED: Final = Struct("<24xQI4xQ120xQ128xQ")
_MASK64: Final = (1 << 64) - 1
_UC_FLAGS: Final = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
_NO_ALTSTACK: Final = (0, 0, SS_DISABLE)


# The alternate stack (sigaltstack(2)).


def is_on_altstack(task: Task, sp: int) -> bool:
    """Return whether `sp` is on the alternate stack; never with SS_AUTODISARM."""
    base, size, flags = task.altstack
    return not flags & SS_AUTODISARM and base < sp <= base + size


def altstack_flags(task: Task, sp: int) -> int:
    """Return ss_flags as sigaltstack(2) reports them."""
    _, size, flags = task.altstack
    if not size:
        return SS_DISABLE
    return (SS_ONSTACK if is_on_altstack(task, sp) else 0) | flags & SS_AUTODISARM


def set_altstack(task: Task, sp: int, base: int, flags: int, size: int) -> None:
    """Replace the alternate stack; SysError(EPERM, EINVAL, ENOMEM) as sigaltstack(2)."""
    if is_on_altstack(task, sp):
        raise SysError(1)
    mode = flags & ~SS_AUTODISARM & 0xFFFF_FFFF
    if mode not in (0, SS_DISABLE, SS_ONSTACK):
        raise SysError(EINVAL)
    if mode == SS_DISABLE:
        task.altstack = (0, 0, flags & 0xFFFF_FFFF)
        return
    if size < MINSIGSTKSZ:
        raise SysError(12)
    task.altstack = (base, size, flags & 0xFFFF_FFFF)


# Into a handler.


def push_frame(task: Task, info: SignalInfo, action: SignalAction, mask: int, again: int) -> bool:
    """Make the task enter the handler, its frame on the stack; False if it cannot be written.

    `mask` is what the handler's return will restore; `again` is the call that
    is to be made again then, or -1.
    """
    thread = task.thread
    if not action.flags & SA_RESTORER:
        return False
    base, size, flags = task.altstack
    old_sp = thread.stack_pointer()
    sp = (old_sp - RED_ZONE_SIZE) & _MASK64
    was_on_altstack = is_on_altstack(task, old_sp)
    enters_altstack = bool(action.flags & SA_ONSTACK and size and not was_on_altstack)
    if enters_altstack:
        sp = base + size
    sp = (sp - thread.fp_frame_size()) & -FPSTATE_ALIGN
    fp_address = sp
    sp = ((sp - FRAME_SIZE) & -16) - 8
    if sp < 0 or fp_address > TASK_SIZE:
        return False
    if (enters_altstack or was_on_altstack) and not base < sp <= base + size:
        return False
    trap, error, address = task.last_fault
    entry = ENTRY.pack(
        action.handler,
        info.number,
        sp,
        fp_address,
        again,
        error,
        trap,
        mask,
        address,
        action.restorer,
        _UC_FLAGS,
        0,
        base,
        _s32(flags),
        size,
        info.raw,
    )
    if not thread.enter_handler(entry, sp, action.handler):
        return False
    if flags & SS_AUTODISARM:
        task.altstack = _NO_ALTSTACK
    return True


def _s32(value: int) -> int:
    return value - (1 << 32) if value & 0x8000_0000 else value


# Back from a handler.


class SavedContext:
    """What a frame tells the sentry; its registers are the host's to restore."""

    def __init__(self, mask: int, altstack: tuple[int, int, int], sp: int) -> None:
        self.mask = mask
        self.altstack = altstack  # ss_sp, ss_size, ss_flags
        self.sp = sp


def read_frame(task: Task) -> SavedContext:
    """Return what the frame of the task's rt_sigreturn(2) says; SysError(EFAULT)."""
    # The handler's return took pretcode off the stack.
    raw = task.memory.read((task.thread.sp - 8) & _MASK64, FRAME_SIGINFO_OFFSET)
    base, flags, size, sp, mask = _SAVED.unpack(raw)
    return SavedContext(mask, (base, size, flags), sp)
