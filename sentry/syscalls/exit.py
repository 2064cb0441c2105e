"""exit(2), exit_group(2)."""

from sentry.abi.types import Int
from sentry.kernel import exit
from sentry.kernel.blocking import DONE
from sentry.kernel.task import Task


def sys_exit(task: Task, status: Int) -> int:
    """exit(2): end the calling thread."""
    exit.exit_task(task, (status & 0xFF) << 8)
    return DONE


def sys_exit_group(task: Task, status: Int) -> int:
    """exit_group(2): end the whole process."""
    exit.exit_group(task, (status & 0xFF) << 8)
    return DONE
