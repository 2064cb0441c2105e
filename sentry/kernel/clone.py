"""New tasks: fork(2), vfork(2), clone(2), clone3(2)."""

from typing import Final

from sentry.abi.errno import EAGAIN, EINVAL, EPERM
from sentry.abi.resource import RLIM_INFINITY, RLIMIT_CPU
from sentry.abi.sched import (
    CLONE_CHILD_CLEARTID,
    CLONE_CHILD_SETTID,
    CLONE_CLEAR_SIGHAND,
    CLONE_FILES,
    CLONE_FS,
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    CLONE_PARENT,
    CLONE_PARENT_SETTID,
    CLONE_SETTLS,
    CLONE_SIGHAND,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
)
from sentry.errors import SysError
from sentry.kernel.cpu_timer import watch_cpu_limit
from sentry.kernel.namespaces import UtsNamespace
from sentry.kernel.task import HOLD_VFORK, TASK_READY, Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.mm.user import TASK_SIZE, write_u32
from sentry.platform.interface import GuestThread

# Namespaces that a guest cannot have more of yet.
NO_NEW: Final = (
    CLONE_NEWNS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET
    | CLONE_NEWCGROUP
    | CLONE_NEWTIME
)
CAP_SYS_ADMIN: Final = 21


class CloneRequest:
    """The arguments of clone3(2), however they came in."""

    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.exit_signal = 0
        self.stack = 0  # the initial stack pointer; 0: the parent's
        self.tls = 0
        self.parent_tid = 0  # addresses
        self.child_tid = 0


def check_flags(task: Task, request: CloneRequest) -> None:
    """Raise SysError(EINVAL) for flags that exclude each other, EPERM for what is not allowed."""
    flags = request.flags
    if flags & CLONE_SIGHAND and not flags & CLONE_VM:
        raise SysError(EINVAL)
    if flags & CLONE_THREAD and not flags & CLONE_SIGHAND:
        raise SysError(EINVAL)
    if flags & CLONE_SIGHAND and flags & CLONE_CLEAR_SIGHAND:
        raise SysError(EINVAL)
    if flags & CLONE_FS and flags & (CLONE_NEWNS | CLONE_NEWUSER):
        raise SysError(EINVAL)
    if flags & CLONE_PARENT and task.group.pid == 1:
        raise SysError(EINVAL)
    if flags & (NO_NEW | CLONE_NEWUTS) and not task.creds.has_capability(CAP_SYS_ADMIN):
        raise SysError(EPERM)
    if flags & NO_NEW:
        raise SysError(EINVAL)
    if flags & CLONE_SETTLS and request.tls >= TASK_SIZE:
        raise SysError(EPERM)


def clone(task: Task, request: CloneRequest) -> int:
    """Make a child of `task`, which is stopped in the call; return the child's tid."""
    check_flags(task, request)
    flags = request.flags
    if task.group.is_exiting:
        raise SysError(EAGAIN)
    kernel = task.kernel
    pids = task.group.pids
    tid = pids.new_pid()
    same_group = bool(flags & CLONE_THREAD)
    thread = task.thread.clone(share_memory=bool(flags & CLONE_VM), same_group=same_group)
    if request.stack or flags & CLONE_SETTLS:
        _set_up_registers(thread, request)

    child = _make_task(task, request, tid, thread)
    _share_or_copy(task, child, flags)
    if same_group:
        task.group.tasks.append(child)
    pids.tasks[tid] = child
    kernel.fork_count += 1

    if flags & CLONE_CHILD_CLEARTID:
        child.clear_child_tid = request.child_tid
    _write_tid(task, flags & CLONE_PARENT_SETTID, request.parent_tid, tid)
    _write_tid(child, flags & CLONE_CHILD_SETTID, request.child_tid, tid)
    if flags & CLONE_VFORK:
        child.vfork_parent = task
        task.hold |= HOLD_VFORK
    if child.group is not task.group and child.group.limits.soft[RLIMIT_CPU] != RLIM_INFINITY:
        watch_cpu_limit(kernel, child.group)
    child.state = TASK_READY
    kernel.ready.append(child)
    return tid


def _set_up_registers(thread: GuestThread, request: CloneRequest) -> None:
    regs = thread.registers()
    regs.rax = 0
    if request.stack:
        regs.rsp = request.stack
    if request.flags & CLONE_SETTLS:
        regs.fs_base = request.tls
    thread.set_registers(regs)


def _make_task(task: Task, request: CloneRequest, tid: int, thread: GuestThread) -> Task:
    """Return the new task in its (perhaps new) thread group."""
    flags = request.flags
    if flags & CLONE_VM:
        mm = task.mm
        mm.users += 1
    else:
        mm = task.mm.copy(thread.memory)
    group = task.group if flags & CLONE_THREAD else _new_group(task, request, tid)
    child = Task(task.kernel, group, tid, thread, mm)
    thread.owner = child
    if group is not task.group:
        group.leader = child
        group.tasks.append(child)
    child.creds = task.creds
    child.comm = task.comm
    child.signal_mask = task.signal_mask
    child.seccomp = task.seccomp
    child.nice = task.nice
    child.policy = task.policy
    child.affinity = task.affinity
    child.personality = task.personality
    if not flags & CLONE_VM or flags & CLONE_VFORK:
        child.altstack = task.altstack
    return child


def _new_group(task: Task, request: CloneRequest, pid: int) -> ThreadGroup:
    """Return a new process that is a child of the caller's (or of its parent)."""
    old = task.group
    flags = request.flags
    if flags & CLONE_SIGHAND:
        handlers = old.handlers
        handlers.users += 1
    else:
        handlers = old.handlers.copy()
        if flags & CLONE_CLEAR_SIGHAND:
            handlers.reset_for_exec()
    parent = old.parent if flags & CLONE_PARENT else old
    group = ThreadGroup(old.pids, pid, parent, handlers)
    group.exit_signal = old.exit_signal if flags & CLONE_PARENT else request.exit_signal
    group.limits = old.limits.copy()
    group.oom_score_adj = old.oom_score_adj
    group.start_ns = task.kernel.clock.monotonic_ns()
    if parent is not None:
        parent.children.add(group)
    if old.process_group is not None:
        group.process_group = old.process_group
        old.process_group.members.add(group)
        group.terminal = old.terminal
    old.pids.groups[pid] = group
    if old.cgroup is not None:
        old.cgroup.add(group)
    return group


def _share_or_copy(task: Task, child: Task, flags: int) -> None:
    """Give the child descriptors, directories, names and mounts."""
    if flags & CLONE_FILES:
        task.fds.users += 1
        child.fds = task.fds
    else:
        child.fds = task.fds.copy()
    if flags & CLONE_FS:
        task.fs.users += 1
        child.fs = task.fs
    else:
        child.fs = task.fs.copy()
    uts = task.uts
    child.uts = UtsNamespace(uts.hostname, uts.domainname) if flags & CLONE_NEWUTS else uts
    child.ipc = task.ipc
    child.mounts = task.mounts


def _write_tid(task: Task, wanted: int, address: int, tid: int) -> None:
    """Write a tid where it was asked for; a bad address is ignored, as by Linux."""
    if not wanted:
        return
    try:
        write_u32(task.memory, address, tid)
    except SysError:
        task.kernel.log.debug(f"clone: tid {tid} cannot be written")


def release_vfork_parent(task: Task) -> None:
    """Let the parent of a vfork(2) go on: `task` executed or exited."""
    parent = task.vfork_parent
    if parent is not None:
        task.vfork_parent = None
        parent.release_hold(HOLD_VFORK)
