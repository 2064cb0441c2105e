"""How a system call waits: it returns BLOCKED, and runs again when woken.

A handler that cannot go on calls one of these and returns what it returns.
Until then it must have changed nothing that running again would change twice;
what is done already it notes in `task.call`.  Besides results and negated
errnos a handler may return one of the three values here.
"""

from typing import Final

from sentry.abi.errno import EAGAIN, EINTR, ERESTARTSYS
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.vfs.file import O_NONBLOCK, POLLERR, POLLHUP, File
from sentry.waitqueue import WaitQueue

# Not results and not errnos: those are in [-4095, 2**63).
BLOCKED: Final = -(1 << 32)  # the task sleeps
PASS_ON: Final = -(1 << 33)  # the host executes the call as the guest made it
DONE: Final = -(1 << 34)  # the registers are as they should be already, or the task is gone


def wait_for_file(task: Task, fd: int, file: File, events: int) -> int:
    """Wait until `file` has one of `events`; SysError(EAGAIN) with O_NONBLOCK.

    The file may have noted a time limit in the call's record (VTIME, termios(3)).
    """
    if file.flags & O_NONBLOCK:
        raise SysError(EAGAIN)
    limit_ns = file.time_limit_ns(events)
    if limit_ns:
        check_time_limit(task, limit_ns)
    if fd not in task.call.files:
        task.call.hold(fd, file)
    return wait(task, file.queue, events | POLLHUP | POLLERR, task.call.deadline_ns)


def check_time_limit(task: Task, limit_ns: int) -> None:
    """Begin, or look at, the time limit of a socket's call (socket(7), SO_RCVTIMEO).

    SysError(EAGAIN) when it is over, EINTR for a signal: such calls do not restart (signal(7)).
    """
    call = task.call
    now_ns = task.kernel.clock.monotonic_ns()
    if call.deadline_ns == 0:
        call.deadline_ns = now_ns + limit_ns
    elif now_ns >= call.deadline_ns:
        raise SysError(EAGAIN)
    if task.has_signal:
        raise SysError(EINTR)


def wait(task: Task, queue: WaitQueue, events: int, deadline_ns: int = 0) -> int:
    """Wait for `events` on `queue`, for a CLOCK_MONOTONIC deadline (0: none), or a signal.

    SysError(ERESTARTSYS) if a signal is there already.
    """
    if task.has_signal:
        raise SysError(ERESTARTSYS)
    task.add_wait(queue.add(task, events))
    task.call.is_first_run = False
    task.sleep(deadline_ns)
    return BLOCKED


def sleep(task: Task, deadline_ns: int) -> int:
    """Wait for whatever the task has put itself on, for the deadline, or for a signal.

    The caller has checked `task.has_signal`.
    """
    task.call.is_first_run = False
    task.sleep(deadline_ns)
    return BLOCKED
