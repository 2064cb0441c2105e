"""The kernel object: everything that is one per sandbox."""

from collections import deque

from mypy_extensions import mypyc_attr

from sentry.kernel.deferral import Deferral
from sentry.kernel.futex import FutexTable
from sentry.kernel.namespaces import NUMBERS
from sentry.kernel.network import Network
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.kernel.timer import TimerQueue
from sentry.log import Log
from sentry.platform import hosttime
from sentry.platform.hostinfo import random_bytes
from sentry.platform.interface import Platform


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
        self.deferral = Deferral(platform)
        self.futexes = FutexTable()
        self.pid_namespaces: dict[int, PidNamespace] = {}  # by number
        # Of the first container: the end of its init is the end of the kernel.
        self.pids = self.new_pid_namespace()
        self.current: Task | None = None  # whose call is being handled
        self.network: Network | None = None
        self.cpuinfo = b""  # the text of /proc/cpuinfo
        self.cpus = 1  # how many processors the guest sees
        self.memory_total = 1 << 30  # bytes of memory the guest sees
        self.ready: deque[Task] = deque()
        self.max_tasks = 30000
        self.is_finished = False  # the first init is gone: the loop ends
        self.exit_status = 0  # of that init, as wait(2) reports it
        self.fork_count = 0
        self.logged_calls: set[int] = set()  # numbers without a handler that were logged

    def has_finished(self) -> bool:
        """Return whether the first init is gone, which ends the loop."""
        return self.is_finished

    def new_pid_namespace(self) -> PidNamespace:
        """Return a pid namespace without processes."""
        pids = PidNamespace(self, NUMBERS.next())
        self.pid_namespaces[pids.number] = pids
        return pids

    def forget_pid_namespace(self, pids: PidNamespace) -> None:
        """Forget a namespace whose init has ended."""
        self.pid_namespaces.pop(pids.number, None)

    def task_count(self) -> int:
        """Return how many tasks there are in all namespaces."""
        count = 0
        for pids in self.pid_namespaces.values():
            count += len(pids.tasks)
        return count

    def all_tasks(self) -> list[Task]:
        """Return the tasks of all namespaces."""
        return [task for pids in self.pid_namespaces.values() for task in pids.tasks.values()]

    def all_groups(self) -> list[ThreadGroup]:
        """Return the processes of all namespaces, zombies too."""
        return [group for pids in self.pid_namespaces.values() for group in pids.groups.values()]

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
        for group in self.all_groups():
            user_ns, system_ns = self.cpu_times(group)
            total += user_ns + system_ns
        return total

    def random_bytes(self, size: int) -> bytes:
        """Return cryptographically random bytes."""
        return random_bytes(size)
