"""wait4(2) and waitid(2)."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EAGAIN, EBADF, ECHILD, EINVAL, ERESTARTSYS, ESRCH
from sentry.abi.poll import POLLIN
from sentry.abi.resource import pack_rusage
from sentry.abi.signal import pack_siginfo_chld
from sentry.abi.types import Int, Pid, UserPtr
from sentry.abi.wait import (
    P_ALL,
    P_PGID,
    P_PID,
    P_PIDFD,
    WALL,
    WCLONE,
    WCONTINUED,
    WEXITED,
    WNOHANG,
    WNOTHREAD,
    WNOWAIT,
    WUNTRACED,
)
from sentry.errors import SysError
from sentry.fs.pidfd import PidFile
from sentry.kernel.blocking import wait
from sentry.kernel.task import Task
from sentry.kernel.wait import ChildEvent, find_event
from sentry.mm.user import write_u32
from sentry.vfs.file import O_NONBLOCK

_WAIT4_OPTIONS: Final = WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WCLONE | WALL
_WAITID_OPTIONS: Final = _WAIT4_OPTIONS | WNOWAIT | WEXITED
_INFO_HEAD: Final = Struct("<iii4xiIi")  # siginfo_t as far as waitid(2) writes it


def sys_wait4(task: Task, pid: Pid, wstatus: UserPtr, options: Int, rusage: UserPtr) -> int:
    """wait4(2)."""
    if options & ~_WAIT4_OPTIONS:
        raise SysError(EINVAL)
    if pid == -(1 << 31):
        raise SysError(ESRCH)
    options = Int(options | WEXITED)
    if pid > 0:
        kind, number = P_PID, int(pid)
    elif pid == -1:
        kind, number = P_ALL, 0
    else:
        kind, number = P_PGID, -int(pid) or _own_pgid(task)
    event, result = _wait(task, kind, number, options, is_nonblocking=False)
    if event is None:
        return result
    if wstatus:
        write_u32(task.memory, wstatus, event.status)
    if rusage:
        task.memory.write(rusage, pack_rusage(event.user_ns, event.system_ns))
    return event.pid


def sys_waitid(
    task: Task, idtype: Int, which: Pid, infop: UserPtr, options: Int, rusage: UserPtr
) -> int:
    """waitid(2): the call itself also has wait4's rusage."""
    if options & ~_WAITID_OPTIONS or not options & (WEXITED | WUNTRACED | WCONTINUED):
        raise SysError(EINVAL)
    number = int(which)
    is_nonblocking = False
    if idtype == P_PIDFD:
        if which < 0:
            raise SysError(EINVAL)
        file = task.file(which)
        if not isinstance(file, PidFile):
            raise SysError(EBADF)
        idtype = Int(P_PID)
        if file.group.pids is not task.group.pids:
            raise SysError(ECHILD)  # came from another container
        number = file.group.pid
        is_nonblocking = bool(file.flags & O_NONBLOCK)
    elif idtype == P_PID:
        if which <= 0:
            raise SysError(EINVAL)
    elif idtype == P_PGID:
        if which < 0:
            raise SysError(EINVAL)
        number = number or _own_pgid(task)
    elif idtype != P_ALL:
        raise SysError(EINVAL)
    event, result = _wait(task, idtype, number, options, is_nonblocking=is_nonblocking)
    if event is None:
        if result == 0 and infop:
            task.memory.write(infop, bytes(_INFO_HEAD.size))
        return result
    if rusage:
        task.memory.write(rusage, pack_rusage(event.user_ns, event.system_ns))
    if infop:
        # The times are not part of what waitid fills in; nor is what follows.
        raw = pack_siginfo_chld(event.code, event.pid, event.uid, event.detail, 0, 0)
        task.memory.write(infop, raw[: _INFO_HEAD.size])
    return 0


def _own_pgid(task: Task) -> int:
    process_group = task.group.process_group
    return process_group.pgid if process_group is not None else 0


def _wait(
    task: Task, kind: int, number: int, options: int, *, is_nonblocking: bool
) -> tuple[ChildEvent | None, int]:
    """Return what a child did, or None and what the call returns meanwhile."""
    group = task.group
    has_child, event = find_event(task.kernel, group, kind, number, options)
    if event is not None:
        return event, 0
    if not has_child:
        raise SysError(ECHILD)
    if options & WNOHANG:
        return None, 0
    if is_nonblocking:
        raise SysError(EAGAIN)
    if task.has_signal:
        raise SysError(ERESTARTSYS)
    return None, wait(task, group.child_queue, POLLIN)
