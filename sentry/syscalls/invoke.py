"""Calls a handler; the only place where an error becomes a register."""

from sentry.abi.errno import ENOSYS
from sentry.abi.syscalls import NAMES
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.syscalls import _dispatch
from sentry.syscalls.seccomp import MAY_GO_ON, judge


def invoke(task: Task, number: int) -> int:
    """Return a result, a negated errno, or one of BLOCKED, PASS_ON and DONE.

    Anything but a SysError is a bug of ours and is left to propagate: the
    loop logs it with its traceback and ends that guest process, not the sandbox.
    """
    filters = task.seccomp
    if filters is not None and task.call.is_first_run:
        verdict = judge(task, filters, number)
        if verdict != MAY_GO_ON:
            return verdict
    handler = _dispatch.HANDLERS.get(number)
    if handler is None:
        return _unknown(task, number)
    try:
        return handler(task, task.thread)
    except SysError as error:
        return -error.errno


def _unknown(task: Task, number: int) -> int:
    """Answer ENOSYS; each number is logged once."""
    logged = task.kernel.logged_calls
    if number not in logged and len(logged) < 1000:
        logged.add(number)
        name = NAMES.get(number, f"number {number}")
        task.kernel.log.warning(f"system call without a handler: {name}")
    return -ENOSYS
