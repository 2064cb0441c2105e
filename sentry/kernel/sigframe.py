"""Signal frames: what a handler finds on its stack, and taking it back (rt_sigreturn(2)).

The layout is struct rt_sigframe of x86-64 Linux (sentry/abi/sigframe.py).
A frame that comes back may have been forged: nothing in it is trusted.
"""

from struct import Struct
from typing import Final

from sentry.abi.errno import EFAULT, EINVAL
from sentry.abi.sigframe import (
    EFLAGS_DF,
    EFLAGS_RESTORED,
    EFLAGS_RF,
    EFLAGS_TF,
    FP_XSTATE_MAGIC1,
    FP_XSTATE_MAGIC2,
    FP_XSTATE_MAGIC2_SIZE,
    FPSTATE_ALIGN,
    FRAME_SIGINFO_OFFSET,
    FRAME_SIZE,
    FRAME_UCONTEXT_OFFSET,
    FXSAVE_SIZE,
    MXCSR_OFFSET,
    RED_ZONE_SIZE,
    SIGCONTEXT,
    SW_RESERVED,
    SW_RESERVED_OFFSET,
    UC_FP_XSTATE,
    UC_SIGCONTEXT_SS,
    UC_STRICT_RESTORE_SS,
    USER_CS,
    USER_DS,
    XFEATURE_MASK_FPSSE,
    XSTATE_HEADER_OFFSET,
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
from sentry.platform.interface import Registers

# pretcode; uc_flags, uc_link, uc_stack (sp, flags, size): all before the sigcontext.
_HEAD: Final = Struct("<QQQQi4xQ")
_U32: Final = Struct("<I")
_U64: Final = Struct("<Q")
_MASK64: Final = (1 << 64) - 1
_UC_FLAGS: Final = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
_DEFAULT_MXCSR: Final = 0x1F80
_DEFAULT_FCW: Final = 0x37F
# Where FXRSTOR and XRSTOR fault (Intel's manual, volume 1, sections 10.5.1 and 13.4.3).
FXSAVE_ALIGN: Final = 16
MXCSR_RESERVED: Final = 0xFFFF_0000
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


def push_frame(
    task: Task, regs: Registers, info: SignalInfo, action: SignalAction, mask: int
) -> bool:
    """Make `regs` enter the handler, its frame on the stack; False if it cannot be written.

    `mask` is what the handler's return will restore.
    """
    thread = task.thread
    if not action.flags & SA_RESTORER:
        return False
    base, size, flags = task.altstack
    sp = (regs.rsp - RED_ZONE_SIZE) & _MASK64
    was_on_altstack = is_on_altstack(task, regs.rsp)
    enters_altstack = bool(action.flags & SA_ONSTACK and size and not was_on_altstack)
    if enters_altstack:
        sp = base + size
    fp_state = thread.fp_state()
    sp = (sp - len(fp_state) - FP_XSTATE_MAGIC2_SIZE) & -FPSTATE_ALIGN
    fp_address = sp
    sp = ((sp - FRAME_SIZE) & -16) - 8
    if sp < 0 or fp_address > TASK_SIZE:
        return False
    if (enters_altstack or was_on_altstack) and not base < sp <= base + size:
        return False

    frame = b"".join(
        [
            _HEAD.pack(action.restorer, _UC_FLAGS, 0, base, _s32(flags), size),
            _sigcontext(task, regs, fp_address, mask),
            _U64.pack(mask),
            info.raw,
        ]
    )
    try:
        task.memory.write(sp, frame.ljust(fp_address - sp, b"\0") + _signal_fp_state(fp_state))
    except SysError:
        return False
    thread.set_fp_state(_initial_fp_state(fp_state))
    if flags & SS_AUTODISARM:
        task.altstack = _NO_ALTSTACK
    regs.rdi = info.number
    regs.rsi = sp + FRAME_SIGINFO_OFFSET
    regs.rdx = sp + FRAME_UCONTEXT_OFFSET
    regs.rax = 0
    regs.rip = action.handler
    regs.rsp = sp
    regs.eflags &= ~(EFLAGS_DF | EFLAGS_RF | EFLAGS_TF)
    regs.cs = USER_CS
    regs.ss = USER_DS
    return True


def _sigcontext(task: Task, regs: Registers, fp_address: int, mask: int) -> bytes:
    trap, error, address = task.last_fault
    return SIGCONTEXT.pack(
        regs.r8,
        regs.r9,
        regs.r10,
        regs.r11,
        regs.r12,
        regs.r13,
        regs.r14,
        regs.r15,
        regs.rdi,
        regs.rsi,
        regs.rbp,
        regs.rbx,
        regs.rdx,
        regs.rax,
        regs.rcx,
        regs.rsp,
        regs.rip,
        regs.eflags,
        USER_CS,
        0,
        0,
        USER_DS,
        error,
        trap,
        mask,
        address,
        fp_address,
    )


def _signal_fp_state(state: bytes) -> bytes:
    """Return the state with the marks that tell how long it is (asm/sigcontext.h)."""
    features: int = _U64.unpack_from(state, SW_RESERVED_OFFSET)[0]
    size = len(state)
    marks = SW_RESERVED.pack(FP_XSTATE_MAGIC1, size + FP_XSTATE_MAGIC2_SIZE, features, size)
    return b"".join(
        [
            state[:SW_RESERVED_OFFSET],
            marks,
            state[FXSAVE_SIZE:],
            _U32.pack(FP_XSTATE_MAGIC2),
        ]
    )


def _initial_fp_state(like: bytes) -> bytes:
    """Return the state that handlers and new programs start with; sized as `like`."""
    state = bytearray(len(like))
    state[0:2] = _DEFAULT_FCW.to_bytes(2, "little")
    state[MXCSR_OFFSET : MXCSR_OFFSET + 4] = _U32.pack(_DEFAULT_MXCSR)
    return bytes(state)


def _s32(value: int) -> int:
    return value - (1 << 32) if value & 0x8000_0000 else value


# Back from a handler.


class SavedContext:
    """What a frame says that the thread is to go on with."""

    def __init__(self, mask: int, altstack: tuple[int, int, int], fp_address: int) -> None:
        self.mask = mask
        self.altstack = altstack  # ss_sp, ss_size, ss_flags
        self.fp_address = fp_address


def pop_frame(task: Task, regs: Registers) -> SavedContext:
    """Put what the frame at `regs.rsp` says into `regs`; SysError if it makes no sense."""
    # The handler's return took pretcode off the stack.
    raw = task.memory.read((regs.rsp - 8) & _MASK64, FRAME_SIGINFO_OFFSET)
    _, uc_flags, _, ss_sp, ss_flags, ss_size = _HEAD.unpack_from(raw, 0)
    fields = SIGCONTEXT.unpack_from(raw, _HEAD.size)
    mask: int = _U64.unpack_from(raw, _HEAD.size + SIGCONTEXT.size)[0]
    if fields[18] | 3 != USER_CS or fields[16] >= TASK_SIZE:
        raise SysError(EINVAL)
    if uc_flags & UC_STRICT_RESTORE_SS and fields[21] | 3 != USER_DS:
        raise SysError(EINVAL)
    regs.r8 = fields[0]
    regs.r9 = fields[1]
    regs.r10 = fields[2]
    regs.r11 = fields[3]
    regs.r12 = fields[4]
    regs.r13 = fields[5]
    regs.r14 = fields[6]
    regs.r15 = fields[7]
    regs.rdi = fields[8]
    regs.rsi = fields[9]
    regs.rbp = fields[10]
    regs.rbx = fields[11]
    regs.rdx = fields[12]
    regs.rax = fields[13]
    regs.rcx = fields[14]
    regs.rsp = fields[15]
    regs.rip = fields[16]
    regs.eflags = regs.eflags & ~EFLAGS_RESTORED | fields[17] & EFLAGS_RESTORED
    regs.cs = USER_CS
    regs.ss = USER_DS
    return SavedContext(mask, (ss_sp, ss_size, ss_flags & 0xFFFF_FFFF), fields[26])


def restore_fp_state(task: Task, address: int) -> None:
    """Load the extended state at `address` (0: none); SysError if it is malformed."""
    kernel = task.kernel
    thread = task.thread
    size = kernel.fp_state_size
    if size == 0:
        size = kernel.fp_state_size = len(thread.fp_state())
    if address == 0:
        thread.set_fp_state(_initial_fp_state(bytes(size)))
        return
    if address >= TASK_SIZE or address % FXSAVE_ALIGN:
        raise SysError(EFAULT)
    raw = task.memory.read_upto(address, size + FP_XSTATE_MAGIC2_SIZE)
    if len(raw) < FXSAVE_SIZE:
        raise SysError(EFAULT)
    if _U32.unpack_from(raw, MXCSR_OFFSET)[0] & MXCSR_RESERVED:
        raise SysError(EINVAL)
    magic, extended_size, _, state_size = SW_RESERVED.unpack_from(raw, SW_RESERVED_OFFSET)
    is_whole = (
        magic == FP_XSTATE_MAGIC1
        and XSTATE_HEADER_OFFSET + 64 <= state_size <= size
        and state_size <= extended_size
        and len(raw) >= state_size + FP_XSTATE_MAGIC2_SIZE
        and _U32.unpack_from(raw, state_size)[0] == FP_XSTATE_MAGIC2
    )
    if is_whole:
        if address % FPSTATE_ALIGN:
            raise SysError(EFAULT)
        thread.set_fp_state(raw[:state_size].ljust(size, b"\0"))
        return
    # A frame of FXSAVE size: x87 and SSE alone, the rest starts anew.
    state = bytearray(size)
    state[:SW_RESERVED_OFFSET] = raw[:SW_RESERVED_OFFSET]
    state[XSTATE_HEADER_OFFSET : XSTATE_HEADER_OFFSET + 8] = _U64.pack(XFEATURE_MASK_FPSSE)
    thread.set_fp_state(bytes(state))
