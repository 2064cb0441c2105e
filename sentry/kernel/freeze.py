"""Freezing every task of a container, as the freezer control group does (`runsc pause`).

A frozen task runs no guest code and its calls do not go on; signals wait, time
goes on. What sleeps in a call stays asleep, and what wakes it takes effect when
it is thawed.
"""

from sentry.kernel.control_group import ControlGroup
from sentry.kernel.task import HOLD_FREEZE, TASK_GUEST, TASK_HELD, Task


def freeze(cgroup: ControlGroup) -> None:
    """Hold all tasks; those that run guest code are stopped soon (`running`)."""
    for task in _tasks(cgroup):
        task.hold |= HOLD_FREEZE
        if _runs(task):
            task.thread.interrupt()


def running(cgroup: ControlGroup) -> int:
    """Return how many tasks still run guest code."""
    return sum(1 for task in _tasks(cgroup) if _runs(task))


def thaw(cgroup: ControlGroup) -> None:
    """Let all tasks go on; a stop that began meanwhile is noticed now."""
    for task in _tasks(cgroup):
        task.release_hold(HOLD_FREEZE)
        if task.state == TASK_HELD and task.must_stop():
            task.notice_kill()


def _tasks(cgroup: ControlGroup) -> list[Task]:
    return [task for group in cgroup.members for task in group.tasks]


def _runs(task: Task) -> bool:
    return task.state == TASK_GUEST and task.thread.is_running()
