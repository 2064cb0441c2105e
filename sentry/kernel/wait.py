"""Waiting for children: which one, what it did, and forgetting it (wait(2))."""

from sentry.abi.signal import CLD_CONTINUED, CLD_STOPPED, SIGCHLD, SIGCONT
from sentry.abi.wait import (
    CONTINUED_STATUS,
    P_ALL,
    P_PGID,
    P_PID,
    WALL,
    WCLONE,
    WCONTINUED,
    WEXITED,
    WNOWAIT,
    WUNTRACED,
    stopped_status,
)
from sentry.kernel.exit import exit_code_of, reap
from sentry.kernel.kernel import Kernel
from sentry.kernel.thread_group import ThreadGroup


class ChildEvent:
    """What wait(2) tells about one child."""

    def __init__(self, child: ThreadGroup, status: int, code: int, detail: int) -> None:
        self.pid = child.pid
        self.uid = child.leader.creds.uid if child.leader is not None else 0
        self.status = status  # for wait4(2)
        self.code = code  # CLD_, for waitid(2)
        self.detail = detail  # si_status: exit code or signal
        self.user_ns = child.user_ns + child.children_user_ns
        self.system_ns = child.system_ns + child.children_system_ns


def is_wanted(child: ThreadGroup, kind: int, number: int, options: int) -> bool:
    """Return whether a wait for P_ALL, P_PID or P_PGID `number` is for this child."""
    if kind == P_PID and child.pid != number:
        return False
    if kind == P_PGID and (child.process_group is None or child.process_group.pgid != number):
        return False
    if options & WALL:
        return True
    return (child.exit_signal != SIGCHLD) == bool(options & WCLONE)


def find_event(
    kernel: Kernel, group: ThreadGroup, kind: int, number: int, options: int
) -> tuple[bool, ChildEvent | None]:
    """Return whether there is any child to wait for, and what one of them did.

    What is returned is taken: it is not told again, and a zombie is reaped,
    unless WNOWAIT is among the options.
    """
    if kind == P_PID:
        child = group.pids.groups.get(number)
        if child is None or child.parent is not group:
            return False, None
        if not is_wanted(child, kind, number, options):
            return False, None
        return True, _event_of(kernel, child, options)
    has_child = False
    for child in group.children:
        if kind != P_ALL or not options & WALL:
            if not is_wanted(child, kind, number, options):
                continue
        has_child = True
        event = _event_of(kernel, child, options)
        if event is not None:
            return True, event
    return has_child, None


def _event_of(kernel: Kernel, child: ThreadGroup, options: int) -> ChildEvent | None:
    """Return what the child did that `options` ask for, if anything."""
    is_kept = bool(options & WNOWAIT)
    if child.is_zombie:
        if not options & WEXITED:
            return None
        code, detail = exit_code_of(child.exit_status)
        event = ChildEvent(child, child.exit_status, code, detail)
        if not is_kept:
            reap(kernel, child)
        return event
    if child.stop_unreported and options & WUNTRACED:
        event = ChildEvent(child, stopped_status(child.stop_signal), CLD_STOPPED, child.stop_signal)
        if not is_kept:
            child.stop_unreported = False
        return event
    if child.continue_unreported and options & WCONTINUED:
        event = ChildEvent(child, CONTINUED_STATUS, CLD_CONTINUED, SIGCONT)
        if not is_kept:
            child.continue_unreported = False
        return event
    return None
