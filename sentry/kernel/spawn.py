"""Processes that nobody in the guest forked: init, and what `runsc exec` adds."""

from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

from sentry.abi.poll import POLLIN
from sentry.errors import SysError
from sentry.kernel import jobs
from sentry.kernel.address_space import AddressSpace
from sentry.kernel.control_group import ControlGroup
from sentry.kernel.fdtable import FdTable
from sentry.kernel.kernel import Kernel
from sentry.kernel.limits import Limits
from sentry.kernel.namespaces import UtsNamespace
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.signal import SignalHandlers
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.platform.interface import GuestThread
from sentry.vfs.creds import Credentials
from sentry.vfs.mount import FsContext
from sentry.vfs.namespace import MountNamespace
from sentry.waitqueue import Waiter

if TYPE_CHECKING:
    from sentry.fs.ipc_namespace import IpcNamespace


class ContainerPlace:
    """What the processes of one container have in common."""

    def __init__(
        self,
        pids: PidNamespace,
        cgroup: ControlGroup,
        mounts: MountNamespace,
        uts: UtsNamespace,
        ipc: "IpcNamespace",
    ) -> None:
        self.pids = pids
        self.cgroup = cgroup
        self.mounts = mounts
        self.uts = uts
        self.ipc = ipc


class NewProcess:
    """Everything that a process has from its start but memory and registers."""

    def __init__(
        self,
        creds: Credentials,
        fds: FdTable,
        fs: FsContext,
        limits: Limits,
        comm: bytes,
        place: ContainerPlace,
    ) -> None:
        self.place = place
        self.creds = creds
        self.fds = fds
        self.fs = fs
        self.limits = limits
        self.comm = comm


def spawn(kernel: Kernel, thread: GuestThread, mm: AddressSpace, new: NewProcess) -> Task:
    """Return the only task of a new process, leader of a session of its own, not running yet.

    The first one of a pid namespace is its init.  The others have no parent: their end is told to
    who watches them (ExitWatcher).  SysError(EAGAIN) if there are too many.
    """
    place = new.place
    pids = place.pids
    try:
        pid = pids.new_pid()
    except SysError:
        thread.kill()
        raise
    group = ThreadGroup(pids, pid, None, SignalHandlers())
    group.limits = new.limits
    group.start_ns = kernel.clock.monotonic_ns()
    group.has_executed = True
    task = Task(kernel, group, pid, thread, mm)
    thread.owner = task
    task.creds = new.creds
    task.fds = new.fds
    task.fs = new.fs
    task.uts = place.uts
    task.ipc = place.ipc
    task.mounts = place.mounts
    task.comm = new.comm[:15]
    group.leader = task
    group.tasks.append(task)
    pids.tasks[pid] = task
    pids.groups[pid] = group
    place.cgroup.add(group)
    jobs.new_session(group)
    kernel.fork_count += 1
    if pids.init is None:
        pids.init = group
    return task


@mypyc_attr(allow_interpreted_subclasses=True)
class ExitWatcher(Waiter):
    """Somebody outside of the guest who wants to know how a process ended."""

    def __init__(self, group: ThreadGroup) -> None:
        self.group = group
        self._entry = group.end_queue.add(self, POLLIN)

    def wake(self, events: int) -> None:
        self._entry.cancel()
        self.on_exit(self.group.exit_status)

    def on_exit(self, status: int) -> None:
        """Called once, with the wait(2) status."""
