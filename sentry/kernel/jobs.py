"""Process groups and sessions: making, leaving, orphans, hang-up (setpgid(2), setsid(2))."""

from sentry.abi.errno import EACCES, EIO, EPERM, ESRCH
from sentry.abi.signal import SIG_DFL, SIG_IGN, SIGCONT, SIGHUP, SIGTTIN
from sentry.errors import SysError
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.signal import (
    kernel_info,
    send_to_group,
    send_to_process_group,
    signal_bit,
)
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ProcessGroup, Session, Terminal, ThreadGroup


def new_session(group: ThreadGroup) -> Session:
    """Make the process the leader of a new session and process group of its own."""
    leave_process_group(group)
    group.terminal = None
    session = Session(group.pid)
    group.pids.sessions[group.pid] = session
    enter_process_group(group, new_process_group(group.pids, group.pid, session))
    return session


def new_process_group(pids: PidNamespace, pgid: int, session: Session) -> ProcessGroup:
    """Return a new, empty process group."""
    process_group = ProcessGroup(pgid, session)
    pids.process_groups[pgid] = process_group
    return process_group


def enter_process_group(group: ThreadGroup, process_group: ProcessGroup) -> None:
    """Put a process that is in no process group into one."""
    group.process_group = process_group
    process_group.members.add(group)


def leave_process_group(group: ThreadGroup) -> None:
    """Take a process out of its process group; the last to leave ends group and session."""
    process_group = group.process_group
    if process_group is None:
        return
    group.process_group = None
    process_group.members.discard(group)
    if process_group.members:
        return
    group.pids.process_groups.pop(process_group.pgid, None)
    session = process_group.session
    session.groups.discard(process_group)
    if not session.groups:
        group.pids.sessions.pop(session.sid, None)


def set_process_group(caller: ThreadGroup, target: ThreadGroup, pgid: int) -> None:
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
    process_group = target.pids.process_groups.get(pgid)
    if process_group is None:
        if pgid != target.pid:
            raise SysError(EPERM)
        process_group = new_process_group(target.pids, pgid, session)
    elif process_group.session is not session:
        raise SysError(EPERM)
    if target.process_group is process_group:
        return
    leave_process_group(target)
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


# Controlling terminals.


def set_terminal(group: ThreadGroup, terminal: Terminal) -> None:
    """Make a terminal control the session of `group`, its leader (TIOCSCTTY, ioctl_tty(2))."""
    terminal.session = group.session()
    terminal.foreground = group.process_group
    group.terminal = terminal


def clear_terminal(session: Session) -> None:
    """Take the controlling terminal from every process of a session."""
    for process_group in session.groups:
        for member in process_group.members:
            member.terminal = None


def give_up_terminal(group: ThreadGroup, *, is_ending: bool) -> None:
    """Have a process leave its controlling terminal: at its end, or by TIOCNOTTY.

    If it leads the session, everyone else loses the terminal too, and the
    foreground group gets SIGHUP, and SIGCONT if the leader lives on (credentials(7)).
    """
    terminal = group.terminal
    group.terminal = None
    process_group = group.process_group
    if process_group is None or process_group.session.sid != group.pid:
        return
    session = process_group.session
    if terminal is None:
        if is_ending and session.last_foreground is not None:
            _hang_up_group(session.last_foreground, goes_on=True)
    elif terminal.foreground is not None:
        _hang_up_group(terminal.foreground, goes_on=not is_ending)
    session.last_foreground = None
    if terminal is not None:
        terminal.session = None
        terminal.foreground = None
        clear_terminal(session)


def _hang_up_group(process_group: ProcessGroup, *, goes_on: bool) -> None:
    send_to_process_group(process_group, kernel_info(SIGHUP))
    if goes_on:
        send_to_process_group(process_group, kernel_info(SIGCONT))


def hang_up_session(session: Session, foreground: ProcessGroup | None) -> None:
    """Tell a session that its terminal is gone: its leader gets SIGHUP and SIGCONT (tty(4))."""
    session.last_foreground = foreground
    leader: ThreadGroup | None = None
    for process_group in session.groups:
        for member in process_group.members:
            if member.pid == session.sid:
                leader = member
    clear_terminal(session)
    if leader is not None:
        send_to_group(leader, kernel_info(SIGHUP))
        send_to_group(leader, kernel_info(SIGCONT))


def may_use_terminal(group: ThreadGroup, terminal: Terminal, task: Task, signal: int) -> bool:
    """Return whether a process may read (SIGTTIN), or write or change (SIGTTOU) a terminal.

    A process in the background that handles neither is told to wait by False:
    its group got the signal.  SysError(EIO) where a stop could not be ended by
    anyone, or a reader refuses to stop (job control, POSIX 11.1.4).
    """
    process_group = group.process_group
    foreground = terminal.foreground
    if group.terminal is not terminal or foreground is None or process_group is None:
        return True
    if process_group is foreground:
        return True
    action = group.handlers.actions[signal]
    refuses = bool(task.signal_mask & signal_bit(signal)) or action.handler == SIG_IGN
    if refuses:
        if signal == SIGTTIN:
            raise SysError(EIO)
        return True
    is_deaf = group.is_unkillable and action.handler == SIG_DFL
    if is_deaf or is_orphaned(process_group):
        raise SysError(EIO)
    send_to_process_group(process_group, kernel_info(signal))
    return False
