"""Pid namespaces (pid_namespaces(7)): what the numbers of tasks and groups mean."""

from typing import TYPE_CHECKING

from sentry.abi.errno import EAGAIN, ENOMEM
from sentry.errors import SysError
from sentry.kernel.thread_group import ProcessGroup, Session, ThreadGroup

if TYPE_CHECKING:
    from sentry.kernel.kernel import Kernel
    from sentry.kernel.task import Task

PID_MAX = 4_194_304  # pid numbers wrap there (proc_sys_kernel(5)): PID_MAX_LIMIT


class PidNamespace:
    """The processes that can name each other.

    Containers have namespaces beside each other, none within another: a task
    has one number, in its own namespace, and means nothing in the others.
    """

    def __init__(self, kernel: "Kernel", number: int) -> None:
        self.kernel = kernel
        self.number = number  # as /proc/PID/ns/pid shows it
        self.tasks: dict[int, Task] = {}  # by tid, the living and leaders that are zombies
        self.groups: dict[int, ThreadGroup] = {}  # by pid, zombies too
        self.process_groups: dict[int, ProcessGroup] = {}
        self.sessions: dict[int, Session] = {}
        self.init: ThreadGroup | None = None
        self.has_ended = False  # init is gone, and with it everybody else
        self.last_pid = 0

    def new_pid(self) -> int:
        """Return a number that no task, group or session has.

        SysError(EAGAIN) if the kernel has too many tasks, ENOMEM once init is gone.
        """
        if self.has_ended:
            raise SysError(ENOMEM)
        kernel = self.kernel
        if kernel.task_count() >= kernel.max_tasks:
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
