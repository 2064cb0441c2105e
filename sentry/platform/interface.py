"""What the kernel asks of a platform: run guest threads, reach their memory.

A *platform* runs guest code natively and reports its *stops*.  It knows
nothing of tasks, files or signals of the guest.  A *guest thread* is one
thread of execution with registers; several may share an *address space*.
Everything here is called from the kernel's one thread.  Nothing outside
`sentry/platform/` knows how a platform does its work (ptrace(2) or other).
"""

from abc import ABC, abstractmethod
from typing import Final

from mypy_extensions import mypyc_attr

# Why `Platform.wait` returned.
STOP_NONE: Final = 0  # nothing happened (the time is up)
STOP_SYSCALL: Final = 1  # `thread` is about to make a system call: number, a0..a5
STOP_SIGNAL: Final = 2  # the host raised a fault in `thread`: signal_number, siginfo
STOP_INTERRUPTED: Final = 3  # `thread` stopped because of `interrupt()`, between instructions
STOP_EXITED: Final = 4  # the host thread is gone (`exit_status` as in wait(2)); never to be resumed
STOP_HOST_EVENT: Final = 5  # no thread: watched descriptors or the timer are due, call `dispatch`


@mypyc_attr(allow_interpreted_subclasses=True)
class ThreadOwner:
    """What a guest thread belongs to; the kernel's `Task` derives from it."""


@mypyc_attr(allow_interpreted_subclasses=True)
class HostWatcher(ABC):
    """Somebody who wants to know when a host descriptor becomes ready."""

    @abstractmethod
    def on_host_ready(self, events: int) -> None:
        """Called from `Platform.dispatch` with the poll(2) bits that hold."""


class Registers:
    """The general registers of a guest thread (struct user_regs_struct, sys/user.h).

    Values are unsigned 64-bit numbers.
    """

    def __init__(self) -> None:
        self.r15 = 0
        self.r14 = 0
        self.r13 = 0
        self.r12 = 0
        self.rbp = 0
        self.rbx = 0
        self.r11 = 0
        self.r10 = 0
        self.r9 = 0
        self.r8 = 0
        self.rax = 0
        self.rcx = 0
        self.rdx = 0
        self.rsi = 0
        self.rdi = 0
        self.orig_rax = 0
        self.rip = 0
        self.cs = 0x33
        self.eflags = 0x202
        self.rsp = 0
        self.ss = 0x2B
        self.fs_base = 0
        self.gs_base = 0
        self.ds = 0
        self.es = 0
        self.fs = 0
        self.gs = 0


@mypyc_attr(allow_interpreted_subclasses=True)
class GuestMemory(ABC):
    """The memory of one address space, as the guest's page protections allow it.

    Every method raises SysError(EFAULT) for an address that the guest itself
    could not read (or write).  What is returned is a copy: the guest may
    change its memory at any time.
    """

    @abstractmethod
    def read(self, address: int, size: int) -> bytes:
        """Return exactly `size` bytes; SysError(EFAULT) if any is unreadable."""

    @abstractmethod
    def read_upto(self, address: int, size: int) -> bytes:
        """Return the readable prefix of `size` bytes; SysError(EFAULT) if it is empty."""

    def read_into(self, address: int, space: memoryview) -> int:
        """Read what fits into `space`, as `read_upto`; return how much there is."""
        data = self.read_upto(address, len(space))
        space[: len(data)] = data
        return len(data)

    @abstractmethod
    def write(self, address: int, data: bytes) -> None:
        """Write all of `data`; SysError(EFAULT) if any byte could not be written."""

    @abstractmethod
    def write_upto(self, address: int, data: bytes) -> int:
        """Write a prefix of `data`, return its size; SysError(EFAULT) if it is empty."""

    def write_pieces(self, address: int, pieces: list[bytes | memoryview]) -> int:
        """Write a prefix of `pieces`, which lie one behind the other, as `write_upto` does."""
        return self.write_upto(address, b"".join(pieces))

    def read_parts(self, parts: list[tuple[int, int]]) -> bytes:
        """Return what is at addresses of certain sizes, joined; SysError(EFAULT) as `read`."""
        return b"".join([self.read(address, size) for address, size in parts])

    def write_parts(self, parts: list[tuple[int, int]], data: bytes) -> None:
        """Write `data`, cut into these sizes, to these addresses; SysError(EFAULT) as `write`."""
        start = 0
        for address, size in parts:
            self.write(address, data[start : start + size])
            start += size

    @abstractmethod
    def read_cstring(self, address: int, limit: int) -> bytes:
        """Return the bytes before the NUL at `address`.

        SysError(ENAMETOOLONG) if there is none within `limit` bytes.
        """

    @abstractmethod
    def read_from_host(self, host_fd: int, address: int, size: int, offset: int) -> int:
        """Read from a host descriptor straight into guest memory; return the count.

        `offset` -1 means at (and moving) the descriptor's own offset.  May be
        short.  SysError with the host's errno (EAGAIN where it would block), or
        EFAULT; data consumed from a seekable file by a failed copy is given back.
        """

    @abstractmethod
    def write_to_host(self, host_fd: int, address: int, size: int, offset: int) -> int:
        """Write guest memory to a host descriptor; the mirror of `read_from_host`."""

    @abstractmethod
    def host_maps(self) -> bytes:
        """Return the host's /proc/PID/maps of this address space (proc_pid_maps(5))."""

    def host_statm(self) -> bytes:
        """Return the host's /proc/PID/statm of this address space (proc_pid_statm(5))."""
        return b""


@mypyc_attr(allow_interpreted_subclasses=True)
class GuestThread(ABC):
    """One guest thread of execution; it is either stopped or running.

    `number` and `a0`..`a5`, `ip`, `sp` are set by a STOP_SYSCALL (unsigned
    64-bit), `ip` and `sp` by every stop.  All methods but `interrupt` and
    `kill` need the thread to be stopped.
    """

    def __init__(self, memory: GuestMemory) -> None:
        self.memory = memory
        self.owner: ThreadOwner | None = None
        self.number = 0
        self.a0 = 0
        self.a1 = 0
        self.a2 = 0
        self.a3 = 0
        self.a4 = 0
        self.a5 = 0
        self.ip = 0
        self.sp = 0
        self.signal_number = 0  # STOP_SIGNAL: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS
        self.siginfo = b""  # STOP_SIGNAL: the host's siginfo_t, 128 bytes
        self.exit_status = 0  # STOP_EXITED: as wait(2) reports it
        self.host_tid = 0

    @abstractmethod
    def finish(self, result: int) -> None:
        """Skip the system call it is stopped at; RAX becomes `result` (negative is fine).

        Takes effect with the next `Platform.resume`.
        """

    @abstractmethod
    def pass_on(self) -> None:
        """Let the host execute the stopped call, exactly as the guest made it.

        Takes effect with the next `resume`; the result goes to the guest unseen.
        Only for calls whose meaning is in the registers alone.
        """

    @abstractmethod
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
        """Run one host call in this thread now and return its result (signed).

        Only while stopped at a system call.  The guest's argument registers
        are put back.  The thread stays stopped; `finish` says what it gets.
        """

    @abstractmethod
    def clone(self, *, share_memory: bool, same_group: bool) -> "GuestThread":
        """Make a copy of this thread (stopped at a system call) and return it, stopped.

        With `share_memory` it shares the address space, else it has a
        copy-on-write copy.  `same_group` makes it a host thread of the same
        host process.  Its registers are the parent's at the call, RAX 0.
        SysError(EAGAIN or ENOMEM) if the host cannot.
        """

    @abstractmethod
    def registers(self) -> Registers:
        """Return the current general registers."""

    @abstractmethod
    def set_registers(self, regs: Registers) -> None:
        """Replace the registers; the call it is stopped at, if any, is skipped.

        Selectors and flags that could do harm are sanitised; SysError(EINVAL) if
        the host refuses (a non-canonical RIP, say).
        """

    @abstractmethod
    def stack_pointer(self) -> int:
        """Return RSP as it is once what `finish` was given has taken effect."""

    @abstractmethod
    def fp_frame_size(self) -> int:
        """Return how long the extended state in a signal frame is, with its marks (bytes)."""

    @abstractmethod
    def enter_handler(self, entry: bytes, sp: int, handler: int) -> bool:
        """Write a signal frame and make the thread enter the handler; False without room.

        `entry` is what `sentry.kernel.sigframe.ENTRY` packs.  The frame has the
        registers and the extended state of now; the handler starts with the
        latter's first state.  The call it is stopped at, if any, is skipped.
        """

    @abstractmethod
    def leave_handler(self) -> None:
        """Have the host take back the frame; only while stopped at rt_sigreturn(2).

        Afterwards the thread is stopped in no call, with the frame's registers.
        What is wrong with the frame is a SIGSEGV of the thread's once it runs.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """Ask a running thread to stop soon; a stop of some kind will follow."""

    @abstractmethod
    def is_running(self) -> bool:
        """Return whether it was resumed and has not stopped since."""

    @abstractmethod
    def kill(self) -> None:
        """End the host thread alone (its group if it is the last); a STOP_EXITED may follow."""


class MemoryLayout:
    """Where the parts of a fresh image lie (struct prctl_mm_map, linux/prctl.h)."""

    def __init__(self) -> None:
        self.start_code = 0
        self.end_code = 0
        self.start_data = 0
        self.end_data = 0
        self.start_brk = 0
        self.start_stack = 0
        self.arg_start = 0
        self.arg_end = 0
        self.env_start = 0
        self.env_end = 0


HostCall = tuple[int, int, int, int, int, int, int]
"""A host system call: number and six register arguments."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Platform(ABC):
    """A way to run guest code."""

    def __init__(self) -> None:
        # The thread of the last stop; None for STOP_NONE and STOP_HOST_EVENT.
        self.thread: GuestThread | None = None

    @abstractmethod
    def load(self, calls: list[HostCall], layout: MemoryLayout, origin: int = 0) -> GuestThread:
        """Return a stopped thread in a fresh address space, in which `calls` were run.

        It is born in the control groups of the host that `origin` is in (`make_origin`).

        The address space has nothing but the vDSO (`vdso_address`) before.
        SysError(errno) with the first call that failed; nothing is left then.
        The caller writes the stack through `memory` and sets the registers.
        """

    def make_origin(self) -> int:
        """Return what threads can be loaded from instead of 0, the platform's own.

        It is the pid of a host process, in the namespace of this one, which
        somebody else may move into control groups.
        """
        return 0

    def drop_origin(self, origin: int) -> None:
        """End what `make_origin` returned."""

    @abstractmethod
    def vdso_address(self) -> int:
        """Return where every fresh address space has the vDSO (AT_SYSINFO_EHDR)."""

    @abstractmethod
    def resume(self, thread: GuestThread) -> None:
        """Let a stopped thread run (at the latest when `wait` is called)."""

    @abstractmethod
    def wait(self) -> int:
        """Wait for the next stop or host event; return a STOP_ value.

        Blocks while threads run or descriptors are watched.  One host
        round trip for the usual resume-and-wait of one thread.
        """

    @abstractmethod
    def watch(self, host_fd: int, events: int, watcher: HostWatcher) -> None:
        """Report poll(2) `events` of a host descriptor to `watcher` (level-triggered).

        A second call for the same descriptor changes what is watched.
        """

    @abstractmethod
    def unwatch(self, host_fd: int) -> None:
        """Forget a watched descriptor; to be called before it is closed."""

    @abstractmethod
    def set_timer(self, deadline_ns: int) -> None:
        """Make `wait` return STOP_HOST_EVENT at this CLOCK_MONOTONIC time; 0 is never."""

    @abstractmethod
    def dispatch(self) -> None:
        """Call the watchers of the descriptors that are ready."""

    def may_defer(self) -> bool:
        """Return whether `note_deferred` would agree, probably."""
        return False

    def note_deferred(self, *, waits: bool) -> bool:
        """Say that there is output that waits for a guest's next call, or none any more.

        True: `wait` will return STOP_HOST_EVENT in two milliseconds or so, even if the guest
        makes no call, and again as long as it waits.  False: the output must not wait.
        """
        return False

    @abstractmethod
    def running_count(self) -> int:
        """Return how many guest threads run now."""

    @abstractmethod
    def close(self) -> None:
        """Kill every guest thread and wait until they are gone."""
