"""execve(2) past the point of no return: a task gets another program's memory."""

from typing import Final

from sentry.kernel import exit
from sentry.kernel.address_space import AddressSpace
from sentry.kernel.clone import release_vfork_parent
from sentry.kernel.task import Task
from sentry.platform.interface import GuestThread
from sentry.vfs.creds import Credentials
from sentry.vfs.inode import Attributes
from sentry.vfs.mount import MNT_NOSUID, Mount

S_ISUID: Final = 0o4000
S_ISGID: Final = 0o2000
S_IXGRP: Final = 0o010
SECBIT_NOROOT: Final = 1
SECBIT_KEEP_CAPS: Final = 1 << 4
ALL_CAPABILITIES: Final = (1 << 41) - 1
COMM_MAX: Final = 15  # TASK_COMM_LEN less the NUL, linux/sched.h


def credentials_after(creds: Credentials, attributes: Attributes, mount: Mount) -> Credentials:
    """Return the credentials after executing a file with these attributes.

    Set-user-ID and set-group-ID bits, and the rules for capabilities of
    capabilities(7); files have no capabilities of their own here.
    """
    new = creds.copy()
    honours_suid = not mount.flags & MNT_NOSUID and not creds.no_new_privs
    gained = False
    if honours_suid and attributes.mode & S_ISUID:
        gained = new.euid != attributes.uid
        new.euid = attributes.uid
    if honours_suid and attributes.mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP:
        gained = gained or new.egid != attributes.gid
        new.egid = attributes.gid
    new.suid = new.fsuid = new.euid
    new.sgid = new.fsgid = new.egid

    file_permitted = file_inheritable = 0
    effective = False
    if not creds.securebits & SECBIT_NOROOT and 0 in (new.uid, new.euid):
        file_permitted = file_inheritable = ALL_CAPABILITIES
        effective = new.euid == 0
    if gained:
        new.ambient = 0
    new.permitted = (
        (creds.inheritable & file_inheritable) | (file_permitted & creds.bounding) | new.ambient
    )
    new.effective = new.permitted if effective else new.ambient
    new.securebits &= ~SECBIT_KEEP_CAPS
    return new


def is_secure(old: Credentials, new: Credentials) -> bool:
    """Return whether AT_SECURE is to be set: the program has more rights than its caller."""
    if new.uid != new.euid or new.gid != new.egid:
        return True
    return new.uid != 0 and bool(new.permitted & ~old.permitted & ~new.ambient)


def become(
    task: Task, thread: GuestThread, mm: AddressSpace, creds: Credentials, comm: bytes
) -> None:
    """Give `task` the fresh thread and address space; nothing can fail any more.

    The other threads of the process end without a word, and the caller takes
    the process's pid (execve(2), "Effect on process attributes").
    """
    _end_siblings(task)
    old_thread = task.thread
    old_thread.owner = None
    exit.leave_memory(task)
    old_thread.kill()
    mm.is_dumpable = not is_secure(task.creds, creds) and creds.euid == creds.uid
    task.thread = thread
    task.memory = thread.memory
    task.mm = mm
    thread.owner = task
    release_vfork_parent(task)

    if task.fds.users > 1:
        shared = task.fds
        task.fds = shared.copy()
        shared.users -= 1
    task.fds.close_on_exec(task)
    group = task.group
    if group.handlers.users > 1:
        group.handlers.users -= 1
        group.handlers = group.handlers.copy()
    group.handlers.reset_for_exec()
    for timer in group.posix_timers.values():
        task.kernel.timers.disarm(timer)
    group.posix_timers.clear()
    group.exit_signal = 17
    group.has_executed = True
    if creds.euid != task.creds.euid or creds.egid != task.creds.egid:
        task.death_signal = 0
    task.creds = creds
    task.altstack = (0, 0, 2)
    task.robust_list = 0
    task.robust_list_size = 0
    task.clear_child_tid = 0
    task.comm = comm[:COMM_MAX]


def _end_siblings(task: Task) -> None:
    """End every other thread of the process and make the caller its leader."""
    group = task.group
    for other in list(group.tasks):
        if other is not task:
            exit.end_for_exec(other)
    if task.tid != group.pid:
        tasks = group.pids.tasks
        del tasks[task.tid]
        task.tid = group.pid
        tasks[task.tid] = task
    group.leader = task
