"""Group stops: SIGSTOP and its kind (signal(7), wait(2)).

Each task of the process gets HOLD_STOP at once and notices it when it would
next run guest code; the stop is complete, and the parent is told, when the
last one has noticed.  SIGCONT ends it in `signal.resume_group`.
"""

from sentry.abi.signal import CLD_STOPPED
from sentry.kernel.signal import notify_parent_of_stop
from sentry.kernel.task import HOLD_STOP, HOLD_VFORK, TASK_HELD, Task
from sentry.kernel.thread_group import ThreadGroup


def start_stop(group: ThreadGroup, signal: int) -> None:
    """Begin to stop every task of the process because of `signal`."""
    if group.stop_signal:
        return
    group.stop_signal = signal
    group.stop_pending = True
    group.continue_unreported = False
    for task in group.tasks:
        task.hold |= HOLD_STOP
        if task.state == TASK_HELD and task.hold & HOLD_VFORK:
            task.is_stopped = True
        else:
            task.notice_signal()


def note_stopped(task: Task) -> None:
    """Note that the task has stopped."""
    task.is_stopped = True
    check_stop_complete(task.group)


def check_stop_complete(group: ThreadGroup) -> None:
    """Tell the parent when the last task has stopped."""
    if not group.stop_pending:
        return
    for task in group.tasks:
        if not task.is_stopped:
            return
    group.stop_pending = False
    group.stop_unreported = True
    notify_parent_of_stop(group, CLD_STOPPED, group.stop_signal)
