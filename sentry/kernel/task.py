"""Tasks: the guest's threads."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.address_space import AddressSpace
from sentry.kernel.call import CallRecord
from sentry.kernel.fdtable import FdTable
from sentry.kernel.signal import PendingSignals
from sentry.kernel.thread_group import ThreadGroup
from sentry.kernel.timer import Timer
from sentry.platform.interface import GuestThread
from sentry.vfs.caller import Caller
from sentry.vfs.creds import Credentials
from sentry.vfs.file import File
from sentry.vfs.mount import FsContext
from sentry.vfs.namespace import MountNamespace
from sentry.waitqueue import WaitEntry, Waiter

if TYPE_CHECKING:
    from sentry.fs.ipc_namespace import IpcNamespace
    from sentry.kernel.kernel import Kernel
    from sentry.kernel.namespaces import UtsNamespace
    from sentry.kernel.seccomp import SeccompState

# What a task does now.
TASK_GUEST: Final = 0  # runs guest code, or is about to
TASK_BLOCKED: Final = 1  # sleeps in a system call
TASK_READY: Final = 2  # woken: its call is to run again
TASK_HELD: Final = 3  # would run guest code, but `hold` says no
TASK_DEAD: Final = 4  # has no host thread any more

# Why a task may not run guest code, whatever happens to its call.
HOLD_STOP: Final = 1  # group stop (SIGSTOP, SIGTSTP, ...)
HOLD_VFORK: Final = 2  # its vfork(2) child has not executed or exited yet
HOLD_PTRACE: Final = 4  # stopped for its (guest) tracer
HOLD_FREEZE: Final = 8  # `runsc pause`


class DeadlineTimer(Timer):
    """Wakes a task whose call has a time limit."""

    def __init__(self, task: "Task") -> None:
        super().__init__()
        self._task = task

    def fire(self) -> None:
        self._task.wake(0)


class Task(Caller, Waiter):
    """A thread of a guest process, and the caller of system calls."""

    def __init__(
        self, kernel: "Kernel", group: ThreadGroup, tid: int, thread: GuestThread, mm: AddressSpace
    ) -> None:
        super().__init__(thread.memory, Credentials())
        self.kernel = kernel
        self.group = group
        self.tid = tid
        self.thread = thread
        self.mm = mm
        self.comm = b""
        self.state = TASK_GUEST
        self.hold = 0
        self.call = CallRecord()
        self._fds: FdTable | None = None
        self._fs: FsContext | None = None
        self._uts: UtsNamespace | None = None
        self._ipc: IpcNamespace | None = None
        self.mounts: MountNamespace | None = None  # only tests have none
        # Signals.
        self.signal_mask = 0
        self.awaited = 0  # blocked but for the time of a sigtimedwait(2), which takes them
        self.saved_mask = -1  # to restore after sigsuspend(2), ppoll(2), ...; -1: none
        self.pending = PendingSignals()
        self.has_signal = False  # something is to be delivered, or the task has to die or stop
        self.is_stopped = False  # has noticed the stop of its group
        self.last_fault = (0, 0, 0)  # trap number, error code, address: for the signal frame
        self.altstack = (0, 0, 2)  # ss_sp, ss_size, ss_flags (SS_DISABLE)
        # Thread things.
        self.clear_child_tid = 0
        self.robust_list = 0
        self.robust_list_size = 0
        self.death_signal = 0  # prctl(PR_SET_PDEATHSIG)
        self.seccomp: SeccompState | None = None  # which calls it may make; None: all
        self.nice = 0
        self.policy = 0  # SCHED_OTHER, SCHED_BATCH or SCHED_IDLE
        self.affinity = 0  # a mask of processors; 0: all
        self.personality = 0
        self.vfork_parent: Task | None = None  # held until this task executes or exits
        self.is_exec_replaced = False
        self.no_access_past_exec = False
        # Sleep.
        self._entries: list[WaitEntry] = []
        self._timer = DeadlineTimer(self)

    @property
    def fds(self) -> FdTable:
        """The descriptor table; tasks that are dead have none."""
        assert self._fds is not None
        return self._fds

    @fds.setter
    def fds(self, table: FdTable | None) -> None:
        self._fds = table

    @property
    def fs(self) -> FsContext:
        """Root, working directory, umask; tasks that are dead have none."""
        assert self._fs is not None
        return self._fs

    @fs.setter
    def fs(self, context: FsContext | None) -> None:
        self._fs = context

    @property
    def uts(self) -> "UtsNamespace":
        """The names of the machine."""
        assert self._uts is not None
        return self._uts

    @uts.setter
    def uts(self, names: "UtsNamespace") -> None:
        self._uts = names

    @property
    def ipc(self) -> "IpcNamespace":
        """The objects of System V IPC that the task can name."""
        assert self._ipc is not None
        return self._ipc

    @ipc.setter
    def ipc(self, objects: "IpcNamespace") -> None:
        self._ipc = objects

    def is_dead(self) -> bool:
        """Return whether the task has ended."""
        return self.state == TASK_DEAD

    def is_leader(self) -> bool:
        """Return whether its tid is the process's pid."""
        return self.tid == self.group.pid

    # Signals and stops.

    def must_stop(self) -> bool:
        """Return whether its group stops and this task has not noticed yet."""
        return bool(self.hold & HOLD_STOP) and not self.is_stopped

    def notice_signal(self) -> None:
        """Have the task look at its signals soon: it has one to deliver, or must stop."""
        self.has_signal = True
        if self.state == TASK_BLOCKED:
            self.wake(0)
        elif self.state == TASK_GUEST and self.thread.is_running():
            self.thread.interrupt()

    def notice_kill(self) -> None:
        """Have the task end soon, even if it is held."""
        if self.state == TASK_HELD:
            self.has_signal = True
            self.state = TASK_READY
            self.kernel.ready.append(self)
        else:
            self.notice_signal()

    def end_stop(self) -> None:
        """Let it run again after a group stop."""
        self.is_stopped = False
        self.has_signal = True  # it looks at what came meanwhile
        self.release_hold(HOLD_STOP)

    # The files of a call.

    def file(self, fd: int) -> File:
        """Return the open file of the call's descriptor, the same when the call runs again."""
        if not self.call.is_first_run:
            held = self.call.files.get(fd)
            if held is not None:
                return held
        return self.fds.get(fd)

    # Sleep and wake.

    def add_wait(self, entry: WaitEntry) -> None:
        """Note a queue that the task is on, to leave it when woken."""
        self._entries.append(entry)

    def sleep(self, deadline_ns: int) -> None:
        """Sleep until woken, or until `deadline_ns` (0: no limit)."""
        self.state = TASK_BLOCKED
        if deadline_ns:
            self.kernel.timers.arm(self._timer, deadline_ns)

    def leave_queues(self) -> None:
        """Leave every wait queue, and drop the time limit of the sleep."""
        if self._entries:
            entries = self._entries
            self._entries = []
            for entry in entries:
                entry.cancel()
        if self._timer.deadline_ns:
            self.kernel.timers.disarm(self._timer)

    def release_hold(self, reason: int) -> None:
        """Take one HOLD_ reason away; the last one lets the task go on."""
        self.hold &= ~reason
        if self.hold == 0 and self.state == TASK_HELD:
            self.state = TASK_READY
            self.kernel.ready.append(self)

    def wake(self, events: int) -> None:
        """End the sleep: the task's call runs again soon."""
        if self.state == TASK_BLOCKED:
            self.leave_queues()
            self.state = TASK_READY
            self.kernel.ready.append(self)
