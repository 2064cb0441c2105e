"""Signals that a task brings upon itself by a system call: SIGPIPE, SIGXFSZ."""

from typing import Final

from sentry.abi.errno import EFBIG
from sentry.abi.resource import RLIM_INFINITY, RLIMIT_FSIZE
from sentry.errors import SysError
from sentry.kernel.signal import send_to_task, user_info
from sentry.kernel.task import Task

SIGPIPE: Final = 13
SIGXFSZ: Final = 25
SI_USER: Final = 0


def send_sigpipe(task: Task) -> None:
    """Tell `task` that it wrote to a pipe or socket without a reader (pipe(7))."""
    _send(task, SIGPIPE)


def send_sigxfsz(task: Task) -> None:
    """Tell `task` that it tried to pass RLIMIT_FSIZE (setrlimit(2))."""
    _send(task, SIGXFSZ)


def check_file_size(task: Task, size: int) -> None:
    """SIGXFSZ and SysError(EFBIG) for a file that would be longer than RLIMIT_FSIZE allows."""
    limit = task.group.limits.soft[RLIMIT_FSIZE]
    if limit != RLIM_INFINITY and size > limit:
        send_sigxfsz(task)
        raise SysError(EFBIG)


def _send(task: Task, number: int) -> None:
    # As from itself: Linux uses SEND_SIG_NOINFO, which shows the caller as the sender.
    send_to_task(task, user_info(number, SI_USER, task.group.pid, task.creds.uid))
