"""Process groups and sessions: making, leaving, orphans, hang-up (setpgid(2), setsid(2))."""

from sentry.abi.errno import EACCES, EPERM, ESRCH
from sentry.abi.signal import SIGCONT, SIGHUP
from sentry.errors import SysError
from sentry.kernel.kernel import Kernel
from sentry.kernel.signal import kernel_info, send_to_process_group
from sentry.kernel.thread_group import ProcessGroup, Session, ThreadGroup


def new_session(kernel: Kernel, group: ThreadGroup) -> Session:
    """Make the process the leader of a new session and process group of its own."""
    leave_process_group(kernel, group)
    session = Session(group.pid)
    kernel.sessions[group.pid] = session
    enter_process_group(group, new_process_group(kernel, group.pid, session))
    return session


def new_process_group(kernel: Kernel, pgid: int, session: Session) -> ProcessGroup:
    """Return a new, empty process group."""
    process_group = ProcessGroup(pgid, session)
    kernel.process_groups[pgid] = process_group
    return process_group


def enter_process_group(group: ThreadGroup, process_group: ProcessGroup) -> None:
    """Put a process that is in no process group into one."""
    group.process_group = process_group
    process_group.members.add(group)


def leave_process_group(kernel: Kernel, group: ThreadGroup) -> None:
    """Take a process out of its process group; the last to leave ends group and session."""
    process_group = group.process_group
    if process_group is None:
        return
    group.process_group = None
    process_group.members.discard(group)
    if process_group.members:
        return
    kernel.process_groups.pop(process_group.pgid, None)
    session = process_group.session
    session.groups.discard(process_group)
    terminal = session.terminal
    if terminal is not None and terminal.foreground is process_group:
        terminal.foreground = None
    if not session.groups:
        if terminal is not None:
            terminal.session = None
        kernel.sessions.pop(session.sid, None)


def set_process_group(kernel: Kernel, caller: ThreadGroup, target: ThreadGroup, pgid: int) -> None:
    """Do setpgid(2): move `target`, which is the caller or its child, to `pgid`."""
    if target.parent is caller:
        if target.session() is not caller.session():
            raise SysError(EPERM)
        if target.has_executed:
            raise SysError(EACCES)
    elif target is not caller:
        raise SysError(ESRCH)
    session = target.session()
    if session.sid == target.pid:
        raise SysError(EPERM)
    process_group = kernel.process_groups.get(pgid)
    if process_group is None:
        if pgid != target.pid:
            raise SysError(EPERM)
        process_group = new_process_group(kernel, pgid, session)
    elif process_group.session is not session:
        raise SysError(EPERM)
    if target.process_group is process_group:
        return
    leave_process_group(kernel, target)
    enter_process_group(target, process_group)


def is_orphaned(process_group: ProcessGroup, without: ThreadGroup | None = None) -> bool:
    """Return whether no member has a parent in the session that is outside the group.

    That is POSIX's orphaned process group; `without` is not counted as a member.
    """
    for member in process_group.members:
        parent = member.parent
        if member is without or member.is_zombie or parent is None or parent.is_zombie:
            continue
        other = parent.process_group
        if (
            other is not None
            and other is not process_group
            and other.session is process_group.session
        ):
            return False
    return True


def has_stopped_members(process_group: ProcessGroup) -> bool:
    """Return whether some process of the group is stopped."""
    for member in process_group.members:
        if member.stop_signal and not member.stop_pending:
            return True
    return False


def hang_up_orphans(group: ThreadGroup, parent: ThreadGroup | None, *, leaves: bool) -> None:
    """Signal the process group of `group` if the end of a process orphans it while it is stopped.

    Either `group` itself ends (`leaves`), or its `parent` does (POSIX, _exit()).
    """
    process_group = group.process_group
    if process_group is None or parent is None:
        return
    other = parent.process_group
    if other is None or other is process_group or other.session is not process_group.session:
        return
    if has_stopped_members(process_group) and is_orphaned(process_group, group if leaves else None):
        send_to_process_group(process_group, kernel_info(SIGHUP))
        send_to_process_group(process_group, kernel_info(SIGCONT))


def give_up_terminal(group: ThreadGroup) -> None:
    """Free the controlling terminal when the leader of its session ends (TIOCNOTTY, tty(4))."""
    process_group = group.process_group
    if process_group is None:
        return
    session = process_group.session
    terminal = session.terminal
    if session.sid != group.pid or terminal is None:
        return
    session.terminal = None
    terminal.session = None
    foreground = terminal.foreground
    terminal.foreground = None
    if foreground is not None:
        send_to_process_group(foreground, kernel_info(SIGHUP))
        send_to_process_group(foreground, kernel_info(SIGCONT))
    terminal.hang_up()
