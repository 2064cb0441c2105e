"""A guest thread that is a traced host thread."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from sentry.abi.errno import EAGAIN, EFAULT, EINVAL
from sentry.errors import SysError
from sentry.platform._ptrace import ffi, lib
from sentry.platform.interface import GuestThread, Registers
from sentry.platform.ptrace.memory import PtraceMemory
from sentry.platform.ptrace.placement import UNPLACED

if TYPE_CHECKING:
    from sentry.platform._ptrace import CData

# Where the host thread is.
RUNNING: Final = 0
AT_CALL: Final = 1  # at the seccomp stop of a call that is still to be made
PAST_CALL: Final = 2  # at the exit of a call of ours; `saved` has the guest's registers
ELSEWHERE: Final = 3  # at any other stop
GONE: Final = 4
REWRITTEN: Final = 5  # at the exit of the guest's call, which was made with other arguments

# What `resume` does first (native/stops.c).
RESUME_PLAIN: Final = 0
RESUME_WITH_RESULT: Final = 1

NOT_REWRITTEN: Final = -0x8000
OWN_ERROR_BASE: Final = -0x10000  # results below are errors of the extension
MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
NO_CALL: Final = MASK  # orig_rax of a thread that is in no call
LONG_MAX: Final = 0x7FFF_FFFF_FFFF_FFFF
REGISTER_COUNT: Final = 27
RAX: Final = 10
ORIG_RAX: Final = 15
USER_CS: Final = 0x33
USER_DS: Final = 0x2B
VSYSCALL_START: Final = 0xFFFF_FFFF_FF60_0000

CLONE_VM: Final = 0x100
CLONE_FS: Final = 0x200
CLONE_FILES: Final = 0x400
CLONE_SIGHAND: Final = 0x800
CLONE_PTRACE: Final = 0x2000
CLONE_PARENT: Final = 0x8000
CLONE_THREAD: Final = 0x10000
# Every copy is traced from its first instruction and is the sandbox's own child.
COPY_FLAGS: Final = CLONE_PTRACE | CLONE_PARENT | CLONE_FILES | CLONE_FS

REGISTERS: Final = Struct("<27Q")
WORD: Final = Struct("<Q")


def new_registers() -> CData:
    """Return room for a struct user_regs_struct."""
    return ffi.new("unsigned long[27]")


def signed(value: int) -> int:
    """Return a register argument as the C long it is passed as."""
    value &= MASK
    return value - (1 << 64) if value > LONG_MAX else value


class HostGroup:
    """A host process: guest threads that only end together by SIGKILL."""

    def __init__(self, tgid: int) -> None:
        self.tgid = tgid
        self.live = 1  # threads that were not killed


class ThreadTable:
    """All guest threads by host tid, and how many of them run."""

    def __init__(self, proc_fd: int) -> None:
        self.by_tid: dict[int, PtraceThread] = {}
        self.running = 0
        self.stops = 0  # of all threads, ever
        self.proc_fd = proc_fd
        self.flag = ffi.new("int *")  # for answers of the extension
        self.fp_frame_size = 0  # GuestThread.fp_frame_size


class PtraceThread(GuestThread):
    """One traced host thread."""

    def __init__(
        self, table: ThreadTable, tid: int, memory: PtraceMemory, group: HostGroup
    ) -> None:
        super().__init__(memory)
        self.table = table
        self.host_tid = tid
        self.host_memory = memory
        self.group = group
        self.state = ELSEWHERE
        self.is_in_call = False  # the host thread is at a seccomp stop, call made or skipped
        self.is_dying = False
        self.wants_stop = False
        self.action = RESUME_PLAIN
        self.result = 0
        self.saved: CData | None = None
        # For placement.py.
        self.cpu = UNPLACED
        self.stops = 0
        self.stops_seen = 0
        table.by_tid[tid] = self

    def finish(self, result: int) -> None:
        if result > LONG_MAX:
            result -= 1 << 64
        if self.state == AT_CALL:
            self.action = RESUME_WITH_RESULT
            self.result = result
            return
        if self.state == REWRITTEN:
            if result != self.result:
                self.action = RESUME_WITH_RESULT
                self.result = result
            return
        if self.state != PAST_CALL or self.saved is None:
            raise ValueError("not at a system call")
        registers = ffi.buffer(self.saved)
        WORD.pack_into(registers, RAX * 8, result & MASK)
        WORD.pack_into(registers, ORIG_RAX * 8, NO_CALL)

    def pass_on(self) -> None:
        if self.state != AT_CALL:
            raise ValueError("not at a system call")
        self.action = RESUME_PLAIN

    def execute(
        self,
        number: int,
        a0: int = 0,
        a1: int = 0,
        a2: int = 0,
        a3: int = 0,
        a4: int = 0,
        a5: int = 0,
    ) -> int:
        if self.state == AT_CALL and number == self.number and self.action == RESUME_PLAIN:
            result = self._rewrite(a0, a1, a2, a3, a4, a5)
            if result != NOT_REWRITTEN:
                return result
        saved = self._begin_call()
        result = lib.pt_execute(
            self.host_tid,
            saved,
            self.state == AT_CALL,
            number,
            signed(a0),
            signed(a1),
            signed(a2),
            signed(a3),
            signed(a4),
            signed(a5),
        )
        self._end_call()
        if result < OWN_ERROR_BASE:
            raise SysError(EFAULT)
        return result

    def _rewrite(self, a0: int, a1: int, a2: int, a3: int, a4: int, a5: int) -> int:
        """Make the stopped call with these arguments, or say NOT_REWRITTEN."""
        moved = self.table.flag
        result = lib.pt_rewrite(
            self.host_tid,
            moved,
            signed(a0),
            signed(a1),
            signed(a2),
            signed(a3),
            signed(a4),
            signed(a5),
        )
        if moved[0]:
            self.state = REWRITTEN
            self.is_in_call = False
        if result < OWN_ERROR_BASE:
            raise SysError(EFAULT)
        self.result = result
        return result

    def clone(self, *, share_memory: bool, same_group: bool) -> GuestThread:
        flags = COPY_FLAGS
        if same_group:
            flags |= CLONE_VM | CLONE_SIGHAND | CLONE_THREAD
        elif share_memory:
            flags |= CLONE_VM
        saved = self._begin_call()
        tid = lib.pt_clone(self.host_tid, saved, self.state == AT_CALL, flags)
        self._end_call()
        if tid < 0:
            raise SysError(EAGAIN if tid < OWN_ERROR_BASE else -tid)
        memory = self.host_memory
        if flags & CLONE_VM:
            memory.add_thread(tid)
        else:
            memory = PtraceMemory(tid, self.table.proc_fd)
        if same_group:
            self.group.live += 1
        group = self.group if same_group else HostGroup(tid)
        copy = PtraceThread(self.table, tid, memory, group)
        copy.cpu = self.cpu  # inherited, sched_setaffinity(2)
        return copy

    def _begin_call(self) -> CData:
        if self.state != AT_CALL and self.state != PAST_CALL and self.state != REWRITTEN:
            raise ValueError("not at a system call")
        # In a vsyscall no other call can be made (linux: emulate_vsyscall).
        if self.ip >= VSYSCALL_START or self.action != RESUME_PLAIN:
            raise SysError(EFAULT)
        if self.saved is None:
            self.saved = new_registers()
        if self.state == REWRITTEN:
            lib.pt_get_registers(self.host_tid, self.saved)
            self.state = PAST_CALL
        return self.saved

    def _end_call(self) -> None:
        self.state = PAST_CALL
        self.is_in_call = False

    def _store_saved(self, regs: list[int]) -> None:
        if self.saved is None:
            self.saved = new_registers()
        REGISTERS.pack_into(ffi.buffer(self.saved), 0, *regs)
        error = lib.pt_set_registers(self.host_tid, self.saved)
        if error == -5:  # EIO, ptrace(2): a value that the host refuses
            raise SysError(EINVAL)
        # Any other error: it was killed, and its end will be reported.

    def _leave_vsyscall(self) -> None:
        """Finish a call of the vsyscall page: no other registers can be set in it."""
        lib.pt_leave_vsyscall(self.host_tid, self.result)
        # An error is that of a thread that was killed, and its end will be reported.
        self.state = ELSEWHERE
        self.is_in_call = False
        self.action = RESUME_PLAIN

    def registers(self) -> Registers:
        if self.saved is None:
            self.saved = new_registers()
        if self.action == RESUME_WITH_RESULT and self.ip >= VSYSCALL_START:
            self._leave_vsyscall()
        if self.state != PAST_CALL:
            lib.pt_get_guest_registers(self.host_tid, self.saved)
        regs = Registers()
        (
            regs.r15,
            regs.r14,
            regs.r13,
            regs.r12,
            regs.rbp,
            regs.rbx,
            regs.r11,
            regs.r10,
            regs.r9,
            regs.r8,
            regs.rax,
            regs.rcx,
            regs.rdx,
            regs.rsi,
            regs.rdi,
            regs.orig_rax,
            regs.rip,
            regs.cs,
            regs.eflags,
            regs.rsp,
            regs.ss,
            regs.fs_base,
            regs.gs_base,
            regs.ds,
            regs.es,
            regs.fs,
            regs.gs,
        ) = REGISTERS.unpack_from(ffi.buffer(self.saved))
        if self.action == RESUME_WITH_RESULT:
            regs.rax = self.result & MASK
            regs.orig_rax = NO_CALL
        return regs

    def set_registers(self, regs: Registers) -> None:
        self._store_saved(
            [
                regs.r15,
                regs.r14,
                regs.r13,
                regs.r12,
                regs.rbp,
                regs.rbx,
                regs.r11,
                regs.r10,
                regs.r9,
                regs.r8,
                regs.rax,
                regs.rcx,
                regs.rdx,
                regs.rsi,
                regs.rdi,
                NO_CALL,
                regs.rip,
                USER_CS,
                regs.eflags,
                regs.rsp,
                USER_DS,
                regs.fs_base,
                regs.gs_base,
                0,
                0,
                0,
                0,
            ]
        )
        self.state = ELSEWHERE
        self.action = RESUME_PLAIN
        self.ip = regs.rip
        self.sp = regs.rsp

    def stack_pointer(self) -> int:
        if self.action == RESUME_WITH_RESULT and self.ip >= VSYSCALL_START:
            self._leave_vsyscall()
            self._note_registers()
        return self.sp

    def _note_registers(self) -> None:
        """Set `ip` and `sp` as they are now."""
        regs = self.registers()
        self.ip = regs.rip
        self.sp = regs.rsp

    def fp_frame_size(self) -> int:
        return self.table.fp_frame_size

    def enter_handler(self, entry: bytes, sp: int, handler: int) -> bool:
        if self.saved is None:
            self.saved = new_registers()
        error = lib.pt_enter_handler(
            self.host_tid, self.saved, self.state == PAST_CALL, self.action, self.result, entry
        )
        if error < 0:
            return False
        self.state = ELSEWHERE
        self.action = RESUME_PLAIN
        self.ip = handler
        self.sp = sp
        return True

    def leave_handler(self) -> None:
        if self.state != AT_CALL:
            raise ValueError("not at a system call")
        lib.pt_leave_handler(self.host_tid)
        # An error is that of a thread that was killed, and its end will be reported.
        self.state = ELSEWHERE
        self.is_in_call = False
        self._note_registers()

    def interrupt(self) -> None:
        if self.state == RUNNING and not self.is_dying:
            self.wants_stop = True
            lib.pt_interrupt(self.host_tid)

    def is_running(self) -> bool:
        return self.state == RUNNING

    def kill(self) -> None:
        if self.is_dying or self.state == GONE:
            return
        self.is_dying = True
        self.host_memory.remove_thread(self.host_tid)
        self.group.live -= 1
        if self.group.live == 0:
            lib.pt_kill_group(self.group.tgid)
        elif self.state == RUNNING:
            lib.pt_interrupt(self.host_tid)
        else:
            self.end_alone()

    def end_alone(self) -> None:
        """End the stopped host thread if that is possible; else it stays stopped with its group."""
        if self.is_in_call:
            lib.pt_exit_thread(self.host_tid)
        elif self.state == PAST_CALL or self.state == REWRITTEN:
            self.action = RESUME_PLAIN
            saved = self._begin_call()
            # `finish` may have made it forget which call it was in.
            WORD.pack_into(ffi.buffer(saved), ORIG_RAX * 8, self.number & MASK)
            lib.pt_exit_past_call(self.host_tid, saved)
