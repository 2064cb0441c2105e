"""fork(2), vfork(2), clone(2), clone3(2), unshare(2), set_tid_address(2)."""

from struct import Struct
from typing import Final

from sentry.abi.errno import E2BIG, EINVAL, EPERM
from sentry.abi.sched import (
    CLONE_DETACHED,
    CLONE_FILES,
    CLONE_FS,
    CLONE_INTO_CGROUP,
    CLONE_NEWUTS,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SIGHAND,
    CLONE_SYSVSEM,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
    CSIGNAL,
)
from sentry.abi.signal import NSIG
from sentry.abi.types import Int, Size, Ulong, UserPtr
from sentry.errors import SysError
from sentry.fs.pidfd import open_pidfd
from sentry.kernel.clone import CAP_SYS_ADMIN, NO_NEW, CloneRequest, clone
from sentry.kernel.namespaces import UtsNamespace
from sentry.kernel.task import Task
from sentry.mm.user import TASK_SIZE, write_u32

SIGCHLD: Final = 17
_CLONE_ARGS: Final = Struct("<11Q")
CLONE_ARGS_FIRST: Final = 64
CLONE_ARGS_ALL: Final = 88
PAGE: Final = 4096


def sys_fork(task: Task) -> int:
    """fork(2)."""
    request = CloneRequest(0)
    request.exit_signal = SIGCHLD
    return clone(task, request)


def sys_vfork(task: Task) -> int:
    """vfork(2)."""
    request = CloneRequest(CLONE_VM | CLONE_VFORK)
    request.exit_signal = SIGCHLD
    return clone(task, request)


def sys_clone(
    task: Task, flags: Ulong, stack: UserPtr, parent_tid: UserPtr, child_tid: UserPtr, tls: Ulong
) -> int:
    """clone(2), with the argument order of x86-64."""
    request = CloneRequest(flags & 0xFFFF_FFFF & ~CSIGNAL & ~CLONE_DETACHED)
    request.exit_signal = flags & CSIGNAL
    request.stack = stack
    request.parent_tid = parent_tid
    request.child_tid = child_tid
    request.tls = tls
    if flags & CLONE_PIDFD and flags & CLONE_PARENT_SETTID:
        raise SysError(EINVAL)
    return _clone(task, request, parent_tid)


def sys_clone3(task: Task, cl_args: UserPtr, size: Size) -> int:
    """clone3(2); set_tid and cgroups are refused."""
    if size > PAGE:
        raise SysError(E2BIG)
    if size < CLONE_ARGS_FIRST:
        raise SysError(EINVAL)
    raw = task.memory.read(cl_args, size)
    if any(raw[CLONE_ARGS_ALL:]):
        raise SysError(E2BIG)
    fields = _CLONE_ARGS.unpack(raw[:CLONE_ARGS_ALL].ljust(CLONE_ARGS_ALL, b"\0"))
    flags: int = fields[0]
    pidfd: int = fields[1]
    request = CloneRequest(flags)
    request.child_tid = fields[2]
    request.parent_tid = fields[3]
    request.exit_signal = fields[4]
    request.tls = fields[7]
    stack: int = fields[5]
    stack_size: int = fields[6]
    if flags & (CSIGNAL | CLONE_DETACHED) or request.exit_signal > NSIG:
        raise SysError(EINVAL)
    if flags & CLONE_INTO_CGROUP or fields[9]:
        raise SysError(EPERM if fields[9] else EINVAL)
    if (stack == 0) != (stack_size == 0) or stack + stack_size > TASK_SIZE:
        raise SysError(EINVAL)
    if flags & CLONE_THREAD and request.exit_signal:
        raise SysError(EINVAL)
    request.stack = stack + stack_size
    return _clone(task, request, pidfd)


def _clone(task: Task, request: CloneRequest, pidfd_address: int) -> int:
    """Clone, and give the parent a pidfd if it wants one."""
    tid = clone(task, request)
    if request.flags & CLONE_PIDFD:
        child = task.group.pids.tasks[tid]
        fd = task.fds.install(open_pidfd(child.group, 0), cloexec=True)
        write_u32(task.memory, pidfd_address, fd)
    return tid


def sys_unshare(task: Task, flags: Int) -> int:
    """unshare(2); new namespaces but UTS are refused."""
    known = (
        CLONE_FILES
        | CLONE_FS
        | CLONE_NEWUTS
        | CLONE_SYSVSEM
        | CLONE_THREAD
        | CLONE_SIGHAND
        | CLONE_VM
    )
    if flags & NO_NEW:
        raise SysError(EINVAL if task.creds.has_capability(CAP_SYS_ADMIN) else EPERM)
    if flags & ~known:
        raise SysError(EINVAL)
    if flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) and len(task.group.tasks) > 1:
        raise SysError(EINVAL)
    if flags & CLONE_NEWUTS:
        if not task.creds.has_capability(CAP_SYS_ADMIN):
            raise SysError(EPERM)
        task.uts = UtsNamespace(task.uts.hostname, task.uts.domainname)
    if flags & CLONE_FILES and task.fds.users > 1:
        old = task.fds
        task.fds = old.copy()
        old.users -= 1
    if flags & CLONE_FS and task.fs.users > 1:
        context = task.fs
        task.fs = context.copy()
        context.users -= 1
    return 0


def sys_set_tid_address(task: Task, address: UserPtr) -> int:
    """set_tid_address(2)."""
    task.clear_child_tid = address
    return task.tid
