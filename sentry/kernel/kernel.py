"""The kernel object: everything that is one per sandbox."""

from collections import deque

from mypy_extensions import mypyc_attr

from sentry.abi.errno import EAGAIN
from sentry.errors import SysError
from sentry.kernel.futex import FutexTable
from sentry.kernel.network import Network
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ProcessGroup, Session, ThreadGroup
from sentry.kernel.timer import TimerQueue
from sentry.log import Log
from sentry.platform import hosttime
from sentry.platform.hostinfo import random_bytes
from sentry.platform.interface import Platform
from sentry.vfs.namespace import MountNamespace

PID_MAX = 4_194_304  # pid numbers wrap there (proc_sys_kernel(5)): PID_MAX_LIMIT


class Clock:
    """The clocks of the kernel; tests move one of their own."""

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC."""
        return hosttime.monotonic_ns()

    def realtime_ns(self) -> int:
        """Return CLOCK_REALTIME."""
        return hosttime.realtime_ns()


@mypyc_attr(allow_interpreted_subclasses=True)
class KernelPart:
    """Something of an upper layer that the kernel keeps for it (the loader, the sockets)."""


class Kernel:
    """The tables of tasks and groups, the timers, and who is ready to run."""

    def __init__(self, platform: Platform, log: Log) -> None:
        self.platform = platform
        self.log = log
        self.clock = Clock()
        self.boot_ns = self.clock.monotonic_ns()
        self.loader: KernelPart | None = None
        self.timers = TimerQueue()
        self.futexes = FutexTable()
        self.tasks: dict[int, Task] = {}  # by tid, the living and leaders that are zombies
        self.groups: dict[int, ThreadGroup] = {}  # by pid, zombies too
        self.process_groups: dict[int, ProcessGroup] = {}
        self.sessions: dict[int, Session] = {}
        self.init: ThreadGroup | None = None
        self.current: Task | None = None  # whose call is being handled
        self.mounts: MountNamespace | None = None
        self.network: Network | None = None
        self.cpuinfo = b""  # the text of /proc/cpuinfo
        self.cpus = 1  # how many processors the guest sees
        self.memory_total = 1 << 30  # bytes of memory the guest sees
        self.ready: deque[Task] = deque()
        self.last_pid = 0
        self.max_tasks = 30000
        self.is_finished = False  # init is gone: the loop ends
        self.exit_status = 0  # of init, as wait(2) reports it
        self.fork_count = 0
        self.logged_calls: set[int] = set()  # numbers without a handler that were logged

    def has_finished(self) -> bool:
        """Return whether init is gone, which ends the loop."""
        return self.is_finished

    def new_pid(self) -> int:
        """Return a number that no task, group or session has; SysError(EAGAIN) if none is left."""
        if len(self.tasks) >= self.max_tasks:
            raise SysError(EAGAIN)
        pid = self.last_pid
        while True:
            pid += 1
            if pid >= PID_MAX:
                pid = 300  # RESERVED_PIDS, linux/pid.c
            if (
                pid not in self.tasks
                and pid not in self.groups
                and pid not in self.process_groups
                and pid not in self.sessions
            ):
                self.last_pid = pid
                return pid

    def cpu_times(self, group: ThreadGroup) -> tuple[int, int]:
        """Return user and system time of a process in nanoseconds."""
        if not group.tasks:
            return group.user_ns, group.system_ns
        user_ns, system_ns = hosttime.process_times_ns(group.tasks[0].thread.host_tid)
        return group.user_ns + user_ns, group.system_ns + system_ns

    def allowed_cpus(self, task: Task) -> int:
        """Return the mask of processors that a task may run on (sched_setaffinity(2))."""
        return task.affinity or (1 << self.cpus) - 1

    def busy_ns(self) -> int:
        """Return the processor time that all living processes have used."""
        total = 0
        for group in self.groups.values():
            user_ns, system_ns = self.cpu_times(group)
            total += user_ns + system_ns
        return total

    def random_bytes(self, size: int) -> bytes:
        """Return cryptographically random bytes."""
        return random_bytes(size)
