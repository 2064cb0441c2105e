"""The temporary signal mask of ppoll(2), pselect6(2), epoll_pwait(2) and their kind."""

from typing import Final

from sentry.abi.errno import EINVAL
from sentry.errors import SysError
from sentry.kernel.signal import begin_temporary_mask, end_temporary_mask
from sentry.kernel.task import Task
from sentry.mm.user import read_u64

SIGSET_SIZE: Final = 8


def begin_with_mask(task: Task, address: int, size: int) -> None:
    """Set the mask at `address` (0: none) until the call is over; EINVAL for a wrong size.

    To be called in every run of a call: a signal without a handler puts the
    former mask back, and the call that runs again wants its own once more.
    """
    if address == 0 or task.saved_mask >= 0:
        return
    if size != SIGSET_SIZE:
        raise SysError(EINVAL)
    begin_temporary_mask(task, read_u64(task.memory, address))


def end_with_mask(task: Task, *, interrupted: bool) -> None:
    """Put the former mask back, unless a handler is about to run: its return does it then."""
    if not interrupted:
        end_temporary_mask(task)
