"""Thread groups (processes), process groups and sessions (credentials(7), setpgid(2))."""

from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

from sentry.kernel.limits import Limits
from sentry.kernel.signal import PendingSignals, SignalHandlers
from sentry.waitqueue import WaitQueue

if TYPE_CHECKING:
    from sentry.kernel.control_group import ControlGroup
    from sentry.kernel.pid_namespace import PidNamespace
    from sentry.kernel.task import Task
    from sentry.kernel.timer import Timer


@mypyc_attr(allow_interpreted_subclasses=True)
class Terminal:
    """A terminal that can control a session; sentry/fs/tty/terminal.py derives from it."""

    def __init__(self) -> None:
        self.session: Session | None = None
        # It may be empty already: its number is still what tcgetpgrp(3) tells.
        self.foreground: ProcessGroup | None = None
        self.device = 0  # its device number, as /proc/PID/stat shows it


class Session:
    """A session: process groups that share a controlling terminal."""

    def __init__(self, sid: int) -> None:
        self.sid = sid
        self.groups: set[ProcessGroup] = set()
        # The foreground group of a terminal that was hung up: signalled when the leader ends.
        self.last_foreground: ProcessGroup | None = None


class ProcessGroup:
    """A process group (a job)."""

    def __init__(self, pgid: int, session: Session) -> None:
        self.pgid = pgid
        self.session = session
        self.members: set[ThreadGroup] = set()
        session.groups.add(self)


class ThreadGroup:
    """A process: tasks with one pid, one set of signal actions, one parent."""

    def __init__(
        self,
        pids: "PidNamespace",
        pid: int,
        parent: "ThreadGroup | None",
        handlers: SignalHandlers,
    ) -> None:
        self.pids = pids
        self.pid = pid  # in that namespace
        self.cgroup: ControlGroup | None = None  # its container's; only tests have none
        self.parent = parent
        self.children: set[ThreadGroup] = set()
        self.tasks: list[Task] = []  # the living ones
        self.leader: Task | None = None
        self.process_group: ProcessGroup | None = None
        # The controlling terminal: each process has or has left that of its session.
        self.terminal: Terminal | None = None
        self.handlers = handlers
        self.pending = PendingSignals()
        self.limits = Limits()
        # Children that changed state: wait(2) sleeps here.
        self.child_queue = WaitQueue()
        self.is_exiting = False  # exit_group(2) or a fatal signal: every task must end
        self.exit_status = 0  # as wait(2) reports it, valid when is_exiting
        self.is_zombie = False
        # Init: no signal without a handler does anything to it (pid_namespaces(7)).
        self.is_unkillable = pid == 1
        self.exit_signal = 17  # to the parent: SIGCHLD, or clone(2)'s choice; 0 none
        self.is_subreaper = False
        # Job control: stopped by which signal (0: not), and what wait(2) has not seen yet.
        self.stop_signal = 0
        self.stop_unreported = False
        self.continue_unreported = False
        self.stop_pending = False  # some tasks have still to stop
        # Interval timers: ITIMER_REAL and alarm(2).
        self.real_timer: Timer | None = None
        self.real_interval_ns = 0
        self.cpu_timers: dict[int, Timer] = {}  # of cpu_timer.py, by their kind
        self.posix_timers: dict[int, Timer] = {}
        self.next_timer_id = 0
        # prctl(PR_SET_PDEATHSIG) is the task's; what was executed is the group's.
        self.has_executed = False
        self.start_ns = 0  # CLOCK_BOOTTIME at its start
        # Times of tasks that ended and of children waited for, in ns: user, system.
        self.user_ns = 0
        self.system_ns = 0
        self.children_user_ns = 0
        self.children_system_ns = 0
        self.min_faults = 0
        self.oom_score_adj = 0
        self.autogroup_nice = 0
        self.end_queue = WaitQueue()  # who waits for its end (pidfds)

    def session(self) -> Session:
        """Return the session; every group that is not being made has one."""
        assert self.process_group is not None
        return self.process_group.session
