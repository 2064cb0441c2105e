"""The end of tasks and processes (_exit(2)), and what it does to everyone else.

Ending a task here is immediate.  It is done by the loop, by the exit calls for
the caller's own process, and never to the task whose handler runs; whoever
else wants a process gone sends it a signal or calls `signal.start_group_exit`.
"""

from struct import Struct
from typing import Final

from sentry.abi.errno import EFAULT
from sentry.abi.futex import (
    FUTEX_OWNER_DIED,
    FUTEX_TID_MASK,
    FUTEX_WAITERS,
    ROBUST_LIST_HEAD_SIZE,
    ROBUST_LIST_LIMIT,
)
from sentry.abi.poll import POLLIN
from sentry.abi.signal import (
    CLD_DUMPED,
    CLD_EXITED,
    CLD_KILLED,
    SA_NOCLDWAIT,
    SIG_IGN,
    SIGCHLD,
    SIGKILL,
)
from sentry.abi.time import TICK_NS
from sentry.errors import SysError
from sentry.kernel import jobs
from sentry.kernel.clone import release_vfork_parent
from sentry.kernel.futex import futex_wake
from sentry.kernel.kernel import Kernel
from sentry.kernel.pi_futex import leave_locks
from sentry.kernel.shared_memory import detach_all
from sentry.kernel.signal import (
    ALL_SIGNALS,
    SignalInfo,
    child_info,
    kernel_info,
    retarget,
    send_to_group,
    user_info,
)
from sentry.kernel.stop import check_stop_complete
from sentry.kernel.task import TASK_DEAD, Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.mm.user import read_u32, read_u64, write_u32
from sentry.platform import hosttime

_LIST_HEAD: Final = Struct("<QqQ")  # struct robust_list_head: list.next, futex_offset, pending


# Who calls from outside.


def exit_task(task: Task, status: int) -> None:
    """End one thread with a wait(2) status; the last one ends the process."""
    _end_task(task, status)


def exit_group(task: Task, status: int) -> None:
    """End the whole process of the caller with a wait(2) status (exit_group(2))."""
    end_group(task.group, status)


def end_group(group: ThreadGroup, status: int) -> None:
    """End every task of the process now, with `status` unless it is ending already."""
    if not group.is_exiting:
        group.is_exiting = True
        group.exit_status = status
    for task in list(group.tasks):
        _end_task(task, group.exit_status)


def kill_group(group: ThreadGroup, signal: int) -> None:
    """End every task of the process now, as if killed by `signal`."""
    end_group(group, signal)


def end_for_exec(task: Task) -> None:
    """End a thread because another one of its process executes a program."""
    _end_task(task, 0)


def host_thread_ended(task: Task, status: int) -> None:
    """Note that the host took a thread away: its process is killed (or was, by the host)."""
    if task.state != TASK_DEAD:
        task.kernel.log.warning(f"the host ended task {task.tid} with status {status:#x}")
        end_group(task.group, status & 0x7F or SIGKILL)


def leave_memory(task: Task) -> None:
    """Do what a thread owes others before it leaves its address space (exit, execve(2)).

    Locks on the robust list are marked, the word of CLONE_CHILD_CLEARTID is
    cleared and its waiter woken; the processor time of the host process is kept.
    """
    if task.robust_list:
        _release_robust_list(task)
        task.robust_list = 0
    if task.kernel.futexes.locks:
        leave_locks(task)
    address = task.clear_child_tid
    if address:
        task.clear_child_tid = 0
        if task.mm.users > 1:
            try:
                write_u32(task.memory, address, 0)
                futex_wake(task, address, 1)
            except SysError as error:
                task.kernel.log.debug(f"task {task.tid}: clear_child_tid: errno {error.errno}")
    task.mm.users -= 1
    if task.mm.aio and task.mm.users == 0:
        for context in task.mm.aio.values():
            context.close()
    if task.mm.attached and task.mm.users == 0:
        now = task.kernel.clock.realtime_ns() // 1_000_000_000
        detach_all(task.mm.attached, task.ipc.segments, task.group.pid, now)
    group = task.group
    if len(group.tasks) == 1:
        user_ns, system_ns = hosttime.process_times_ns(task.thread.host_tid)
        group.user_ns += user_ns
        group.system_ns += system_ns


# One task.


def _end_task(task: Task, status: int) -> None:
    if task.state == TASK_DEAD:
        return
    kernel = task.kernel
    group = task.group
    task.leave_queues()
    leave_memory(task)
    task.state = TASK_DEAD
    task.has_signal = False
    task.call.end()
    release_vfork_parent(task)
    task.fds.drop_user(task)
    task.fds = None
    task.fs.users -= 1
    task.fs = None
    group.tasks.remove(task)
    task.thread.kill()

    if task.is_leader() and not group.is_exiting:
        group.exit_status = status
    if not group.tasks:
        _end_of_group(kernel, group, task)
        return
    if not task.is_leader():
        del group.pids.tasks[task.tid]
    retarget(task, ALL_SIGNALS)
    if group.stop_pending:
        check_stop_complete(group)


def _release_robust_list(task: Task) -> None:
    """Mark the locks that the thread still holds (get_robust_list(2)); bounded as by Linux."""
    try:
        head = task.robust_list
        raw = task.memory.read(head, ROBUST_LIST_HEAD_SIZE)
        fields = _LIST_HEAD.unpack(raw)
        entry: int = fields[0]
        offset: int = fields[1]
        pending: int = fields[2]
        # Bit 0 of a pointer says that the lock is one with priority inheritance.
        count = 0
        while entry & ~1 != head and count < ROBUST_LIST_LIMIT:
            following = read_u64(task.memory, entry & ~1)
            if entry & ~1 != pending & ~1:
                _mark_dead_owner(task, (entry & ~1) + offset, is_pi=bool(entry & 1))
            entry = following
            count += 1
        if pending:
            _mark_dead_owner(task, (pending & ~1) + offset, is_pi=bool(pending & 1))
    except SysError as error:
        if error.errno != EFAULT:
            task.kernel.log.debug(f"task {task.tid}: robust list: errno {error.errno}")


def _mark_dead_owner(task: Task, address: int, *, is_pi: bool) -> None:
    address &= (1 << 64) - 1
    value = read_u32(task.memory, address)
    if value & FUTEX_TID_MASK != task.tid:
        return
    write_u32(task.memory, address, value & FUTEX_WAITERS | FUTEX_OWNER_DIED)
    if value & FUTEX_WAITERS and not is_pi:  # those have an heir: see leave_locks
        futex_wake(task, address, 1)


# The whole process.


def _end_of_group(kernel: Kernel, group: ThreadGroup, last: Task) -> None:
    """Make the process a zombie: its children get a new parent, its own parent is told."""
    _drop_timers(kernel, group)
    semaphores = last.ipc.semaphores
    if semaphores.objects:
        semaphores.undo_all(group, kernel.clock.realtime_ns() // 1_000_000_000)
    group.handlers.users -= 1
    group.is_zombie = True
    group.stop_signal = 0
    group.stop_pending = False
    group.stop_unreported = False
    group.continue_unreported = False
    jobs.give_up_terminal(group, is_ending=True)
    if group.leader is not last and group.leader is not None:
        # What wait(2) and /proc show is the leader's; it may be gone for long.
        group.pids.tasks.pop(last.tid, None)
    if group is group.pids.init:
        _end_of_init(kernel, group)
        return
    if not group.pids.has_ended:
        _give_children_away(kernel, group)
        jobs.hang_up_orphans(group, group.parent, leaves=True)
    group.end_queue.notify(POLLIN)
    _tell_parent(kernel, group, last.creds.uid)


def _drop_timers(kernel: Kernel, group: ThreadGroup) -> None:
    if group.real_timer is not None:
        kernel.timers.disarm(group.real_timer)
        group.real_timer = None
    for timer in [*group.posix_timers.values(), *group.cpu_timers.values()]:
        kernel.timers.disarm(timer)
    group.posix_timers.clear()
    group.cpu_timers.clear()


def _end_of_init(kernel: Kernel, init: ThreadGroup) -> None:
    """End a container: every other process is killed (pid_namespaces(7)).

    The first container's end is that of the sandbox.
    """
    pids = init.pids
    pids.has_ended = True
    if pids is kernel.pids:
        kernel.is_finished = True
        kernel.exit_status = init.exit_status
    for group in list(pids.groups.values()):
        if group is not init and not group.is_zombie:
            end_group(group, SIGKILL)
    init.end_queue.notify(POLLIN)
    if pids is not kernel.pids:
        # Nobody is left to wait for any of them.
        for group in list(pids.groups.values()):
            reap(kernel, group)
        kernel.forget_pid_namespace(pids)


def _find_reaper(kernel: Kernel, group: ThreadGroup) -> ThreadGroup | None:
    """Return the nearest living ancestor that wants orphans, else init (prctl(2))."""
    ancestor = group.parent
    while ancestor is not None:
        if ancestor.is_subreaper and not ancestor.is_zombie:
            return ancestor
        ancestor = ancestor.parent
    return group.pids.init


def _give_children_away(kernel: Kernel, group: ThreadGroup) -> None:
    if not group.children:
        return
    reaper = _find_reaper(kernel, group)
    for child in sorted(group.children, key=_pid_of):
        child.parent = reaper
        child.exit_signal = SIGCHLD
        if reaper is not None:
            reaper.children.add(child)
        if child.is_zombie:
            _tell_parent(kernel, child, 0)
            continue
        _send_death_signals(child, group.pid)
        jobs.hang_up_orphans(child, group, leaves=False)
    group.children.clear()
    if reaper is not None:
        reaper.child_queue.notify(POLLIN)


def _pid_of(group: ThreadGroup) -> int:
    return group.pid


def _send_death_signals(child: ThreadGroup, parent_pid: int) -> None:
    """Send what prctl(PR_SET_PDEATHSIG) asked for: once per process, to the first that asked."""
    for task in list(child.tasks):
        if task.death_signal:
            send_to_group(child, user_info(task.death_signal, 0, parent_pid, 0))
            return


def _tell_parent(kernel: Kernel, group: ThreadGroup, uid: int) -> None:
    """Send the parent the exit signal and wake its wait(2); or reap, if nobody wants to know."""
    parent = group.parent
    if parent is None or parent.is_zombie:
        # Started from outside (`runsc exec`): its watchers have been told.
        reap(kernel, group)
        return
    signal = group.exit_signal
    action = parent.handlers.actions[SIGCHLD]
    is_ignored = signal == SIGCHLD and action.handler == SIG_IGN
    if signal and not is_ignored:
        send_to_group(parent, exit_info(group, signal, uid))
    if is_ignored or (signal == SIGCHLD and action.flags & SA_NOCLDWAIT):
        reap(kernel, group)
    parent.child_queue.notify(POLLIN)


def exit_info(group: ThreadGroup, signal: int, uid: int) -> SignalInfo:
    """Return the signal that tells of the end of a process."""
    if signal != SIGCHLD:
        return kernel_info(signal)
    code, status = exit_code_of(group.exit_status)
    return child_info(
        code, group.pid, uid, status, group.user_ns // TICK_NS, group.system_ns // TICK_NS
    )


def exit_code_of(status: int) -> tuple[int, int]:
    """Return si_code and si_status for a wait(2) status of an ended process."""
    if status & 0x7F == 0:
        return CLD_EXITED, status >> 8 & 0xFF
    return (CLD_DUMPED if status & 0x80 else CLD_KILLED), status & 0x7F


def reap(kernel: Kernel, group: ThreadGroup) -> None:
    """Forget a zombie: its pid is free again."""
    parent = group.parent
    if parent is not None:
        parent.children.discard(group)
        parent.children_user_ns += group.user_ns + group.children_user_ns
        parent.children_system_ns += group.system_ns + group.children_system_ns
    group.pids.groups.pop(group.pid, None)
    group.pids.tasks.pop(group.pid, None)
    if group.cgroup is not None:
        group.cgroup.remove(group)
    jobs.leave_process_group(group)
