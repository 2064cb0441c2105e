"""Freezing every task of a kernel, as the freezer control group does (`runsc pause`).

A frozen task runs no guest code and its calls do not go on; signals wait, time
goes on. What sleeps in a call stays asleep, and what wakes it takes effect when
it is thawed.
"""

from sentry.kernel.kernel import Kernel
from sentry.kernel.task import HOLD_FREEZE, TASK_GUEST, TASK_HELD, Task


def freeze(kernel: Kernel) -> None:
    """Hold all tasks; those that run guest code are stopped soon (`running`)."""
    for task in list(kernel.tasks.values()):
        task.hold |= HOLD_FREEZE
        if _runs(task):
            task.thread.interrupt()


def running(kernel: Kernel) -> int:
    """Return how many tasks still run guest code."""
    return sum(1 for task in kernel.tasks.values() if _runs(task))


def thaw(kernel: Kernel) -> None:
    """Let all tasks go on; a stop that began meanwhile is noticed now."""
    for task in list(kernel.tasks.values()):
        task.release_hold(HOLD_FREEZE)
        if task.state == TASK_HELD and task.must_stop():
            task.notice_kill()


def _runs(task: Task) -> bool:
    return task.state == TASK_GUEST and task.thread.is_running()
