"""pipe(2) and pipe2(2)."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EINVAL
from sentry.abi.fcntl import O_CLOEXEC, O_DIRECT, O_NONBLOCK
from sentry.abi.types import Int, UserPtr
from sentry.errors import SysError
from sentry.fs.pipefs import make_pipe
from sentry.kernel.task import Task

_TWO_INTS: Final = Struct("<ii")


def sys_pipe(task: Task, fds_out: UserPtr) -> int:
    """pipe(2)."""
    return sys_pipe2(task, fds_out, Int(0))


def sys_pipe2(task: Task, fds_out: UserPtr, flags: Int) -> int:
    """pipe2(2)."""
    if flags & ~(O_NONBLOCK | O_CLOEXEC | O_DIRECT):
        raise SysError(EINVAL)
    reader, writer = make_pipe(flags, task.creds)
    cloexec = bool(flags & O_CLOEXEC)
    table = task.fds
    # Held here too, so that a failure on the way releases them.
    reader.acquire()
    writer.acquire()
    installed: list[int] = []
    try:
        installed.append(table.install(reader, cloexec=cloexec))
        installed.append(table.install(writer, cloexec=cloexec))
        task.memory.write(fds_out, _TWO_INTS.pack(installed[0], installed[1]))
    except SysError:
        for fd in installed:
            table.close(fd, task)
        raise
    finally:
        reader.drop()
        writer.drop()
    return 0
