"""Who a task is: pids, users, groups, capabilities, sessions (credentials(7))."""

from typing import Final

from sentry.abi.capability import unpack_cap_data, unpack_cap_header
from sentry.abi.errno import EINVAL, EPERM, ESRCH
from sentry.abi.types import NULL, Int, Pid, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel import jobs
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.mm.user import write_u32
from sentry.vfs.creds import Credentials

CAP_SETGID: Final = 6
CAP_SETUID: Final = 7
CAP_SETPCAP: Final = 8
NO_ID: Final = 0xFFFF_FFFF
NGROUPS_MAX: Final = 65536
CAPABILITY_VERSION_3: Final = 0x2008_0522
SECBIT_NO_SETUID_FIXUP: Final = 1 << 2
SECBIT_KEEP_CAPS: Final = 1 << 4
# Capabilities that the filesystem uid alone brings and takes, capabilities(7).
FS_CAPABILITIES: Final = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 9 | 1 << 27 | 1 << 32


def sys_getpid(task: Task) -> int:
    """getpid(2)."""
    return task.group.pid


def sys_gettid(task: Task) -> int:
    """gettid(2)."""
    return task.tid


def sys_getppid(task: Task) -> int:
    """getppid(2)."""
    parent = task.group.parent
    return 0 if parent is None else parent.pid


def sys_getuid(task: Task) -> int:
    """getuid(2)."""
    return task.creds.uid


def sys_geteuid(task: Task) -> int:
    """geteuid(2)."""
    return task.creds.euid


def sys_getgid(task: Task) -> int:
    """getgid(2)."""
    return task.creds.gid


def sys_getegid(task: Task) -> int:
    """getegid(2)."""
    return task.creds.egid


def sys_getresuid(task: Task, real: UserPtr, effective: UserPtr, saved: UserPtr) -> int:
    """getresuid(2)."""
    creds = task.creds
    write_u32(task.memory, real, creds.uid)
    write_u32(task.memory, effective, creds.euid)
    write_u32(task.memory, saved, creds.suid)
    return 0


def sys_getresgid(task: Task, real: UserPtr, effective: UserPtr, saved: UserPtr) -> int:
    """getresgid(2)."""
    creds = task.creds
    write_u32(task.memory, real, creds.gid)
    write_u32(task.memory, effective, creds.egid)
    write_u32(task.memory, saved, creds.sgid)
    return 0


def _after_uid_change(old: Credentials, new: Credentials) -> None:
    """Take and give capabilities as user ids change (capabilities(7))."""
    if old.securebits & SECBIT_NO_SETUID_FIXUP:
        return
    was_root = 0 in (old.uid, old.euid, old.suid)
    is_root = 0 in (new.uid, new.euid, new.suid)
    if was_root and not is_root:
        if not old.securebits & SECBIT_KEEP_CAPS:
            new.permitted = new.effective = 0
        new.ambient = 0
    if old.euid == 0 and new.euid != 0:
        new.effective = 0
    elif old.euid != 0 and new.euid == 0:
        new.effective = new.permitted


def _set_uids(task: Task, real: int, effective: int, saved: int) -> int:
    old = task.creds
    new = old.copy()
    new.uid, new.euid, new.suid = real, effective, saved
    new.fsuid = effective
    _after_uid_change(old, new)
    task.creds = new
    if effective != old.euid:
        task.mm.is_dumpable = False
    return 0


def _set_gids(task: Task, real: int, effective: int, saved: int) -> int:
    new = task.creds.copy()
    new.gid, new.egid, new.sgid = real, effective, saved
    new.fsgid = effective
    if effective != task.creds.egid:
        task.mm.is_dumpable = False
    task.creds = new
    return 0


def sys_setuid(task: Task, uid: Uint) -> int:
    """setuid(2)."""
    creds = task.creds
    if uid == NO_ID:
        raise SysError(EINVAL)
    if creds.has_capability(CAP_SETUID):
        return _set_uids(task, uid, uid, uid)
    if uid not in (creds.uid, creds.suid):
        raise SysError(EPERM)
    return _set_uids(task, creds.uid, uid, creds.suid)


def sys_setgid(task: Task, gid: Uint) -> int:
    """setgid(2)."""
    creds = task.creds
    if gid == NO_ID:
        raise SysError(EINVAL)
    if creds.has_capability(CAP_SETGID):
        return _set_gids(task, gid, gid, gid)
    if gid not in (creds.gid, creds.sgid):
        raise SysError(EPERM)
    return _set_gids(task, creds.gid, gid, creds.sgid)


def sys_setreuid(task: Task, real: Uint, effective: Uint) -> int:
    """setreuid(2)."""
    creds = task.creds
    new_real = creds.uid if real == NO_ID else real
    new_effective = creds.euid if effective == NO_ID else effective
    if not creds.has_capability(CAP_SETUID):
        if new_real not in (creds.uid, creds.euid):
            raise SysError(EPERM)
        if new_effective not in (creds.uid, creds.euid, creds.suid):
            raise SysError(EPERM)
    keeps = real == NO_ID and (effective == NO_ID or effective == creds.uid)
    return _set_uids(task, new_real, new_effective, creds.suid if keeps else new_effective)


def sys_setregid(task: Task, real: Uint, effective: Uint) -> int:
    """setregid(2)."""
    creds = task.creds
    new_real = creds.gid if real == NO_ID else real
    new_effective = creds.egid if effective == NO_ID else effective
    if not creds.has_capability(CAP_SETGID):
        if new_real not in (creds.gid, creds.egid):
            raise SysError(EPERM)
        if new_effective not in (creds.gid, creds.egid, creds.sgid):
            raise SysError(EPERM)
    keeps = real == NO_ID and (effective == NO_ID or effective == creds.gid)
    return _set_gids(task, new_real, new_effective, creds.sgid if keeps else new_effective)


def sys_setresuid(task: Task, real: Uint, effective: Uint, saved: Uint) -> int:
    """setresuid(2)."""
    creds = task.creds
    ids = (creds.uid, creds.euid, creds.suid)
    if not creds.has_capability(CAP_SETUID):
        for wanted in (real, effective, saved):
            if wanted != NO_ID and wanted not in ids:
                raise SysError(EPERM)
    return _set_uids(
        task,
        creds.uid if real == NO_ID else real,
        creds.euid if effective == NO_ID else effective,
        creds.suid if saved == NO_ID else saved,
    )


def sys_setresgid(task: Task, real: Uint, effective: Uint, saved: Uint) -> int:
    """setresgid(2)."""
    creds = task.creds
    ids = (creds.gid, creds.egid, creds.sgid)
    if not creds.has_capability(CAP_SETGID):
        for wanted in (real, effective, saved):
            if wanted != NO_ID and wanted not in ids:
                raise SysError(EPERM)
    return _set_gids(
        task,
        creds.gid if real == NO_ID else real,
        creds.egid if effective == NO_ID else effective,
        creds.sgid if saved == NO_ID else saved,
    )


def sys_setfsuid(task: Task, uid: Uint) -> int:
    """setfsuid(2): returns the old id, whether it changed or not."""
    creds = task.creds
    old = creds.fsuid
    if creds.has_capability(CAP_SETUID) or uid in (creds.uid, creds.euid, creds.suid, old):
        new = creds.copy()
        new.fsuid = uid if uid != NO_ID else old
        if old == 0 and new.fsuid != 0:
            new.effective &= ~FS_CAPABILITIES
        elif old != 0 and new.fsuid == 0:
            new.effective |= new.permitted & FS_CAPABILITIES
        task.creds = new
    return old


def sys_setfsgid(task: Task, gid: Uint) -> int:
    """setfsgid(2): returns the old id, whether it changed or not."""
    creds = task.creds
    old = creds.fsgid
    if creds.has_capability(CAP_SETGID) or gid in (creds.gid, creds.egid, creds.sgid, old):
        new = creds.copy()
        new.fsgid = gid if gid != NO_ID else old
        task.creds = new
    return old


def sys_getgroups(task: Task, size: Int, out: UserPtr) -> int:
    """getgroups(2)."""
    groups = task.creds.groups
    if size < 0 or (size and size < len(groups)):
        raise SysError(EINVAL)
    if size:
        task.memory.write(out, b"".join([gid.to_bytes(4, "little") for gid in groups]))
    return len(groups)


def sys_setgroups(task: Task, size: Int, given: UserPtr) -> int:
    """setgroups(2)."""
    if not task.creds.has_capability(CAP_SETGID):
        raise SysError(EPERM)
    if not 0 <= size <= NGROUPS_MAX:
        raise SysError(EINVAL)
    raw = task.memory.read(given, size * 4)
    new = task.creds.copy()
    new.groups = tuple(
        sorted(int.from_bytes(raw[at : at + 4], "little") for at in range(0, len(raw), 4))
    )
    task.creds = new
    return 0


# Capabilities.


def sys_capget(task: Task, header: UserPtr, data: UserPtr) -> int:
    """capget(2), version 3."""
    version, pid = unpack_cap_header(task.memory.read(header, 8))
    if version != CAPABILITY_VERSION_3:
        write_u32(task.memory, header, CAPABILITY_VERSION_3)
        if data == NULL:
            return 0
        raise SysError(EINVAL)
    target = task if pid == 0 else task.group.pids.tasks.get(pid)
    if target is None:
        raise SysError(ESRCH)
    if data != NULL:
        creds = target.creds
        words: list[int] = []
        for shift in (0, 32):
            for mask in (creds.effective, creds.permitted, creds.inheritable):
                words.append(mask >> shift & 0xFFFF_FFFF)
        task.memory.write(data, b"".join([word.to_bytes(4, "little") for word in words]))
    return 0


def sys_capset(task: Task, header: UserPtr, data: UserPtr) -> int:
    """capset(2), version 3, for the caller itself."""
    version, pid = unpack_cap_header(task.memory.read(header, 8))
    if version != CAPABILITY_VERSION_3:
        write_u32(task.memory, header, CAPABILITY_VERSION_3)
        raise SysError(EINVAL)
    if pid not in (0, task.tid):
        raise SysError(EPERM)
    effective, permitted, inheritable = unpack_cap_data(task.memory.read(data, 24))
    old = task.creds
    if permitted & ~old.permitted or effective & ~permitted:
        raise SysError(EPERM)
    limit = old.inheritable | (old.bounding if old.has_capability(CAP_SETPCAP) else old.permitted)
    if inheritable & ~limit or inheritable & ~(old.inheritable | old.bounding):
        raise SysError(EPERM)
    new = old.copy()
    new.effective, new.permitted, new.inheritable = effective, permitted, inheritable
    new.ambient &= permitted & inheritable
    task.creds = new
    return 0


# Process groups and sessions.


def _group(task: Task, pid: int) -> ThreadGroup:
    if pid == 0:
        return task.group
    found = task.group.pids.groups.get(pid)
    if found is None:
        raise SysError(ESRCH)
    return found


def sys_getpgid(task: Task, pid: Pid) -> int:
    """getpgid(2)."""
    process_group = _group(task, pid).process_group
    return 0 if process_group is None else process_group.pgid


def sys_getpgrp(task: Task) -> int:
    """getpgrp(2)."""
    return sys_getpgid(task, Pid(0))


def sys_setpgid(task: Task, pid: Pid, pgid: Pid) -> int:
    """setpgid(2)."""
    if pgid < 0:
        raise SysError(EINVAL)
    target = _group(task, pid)
    jobs.set_process_group(task.group, target, pgid or target.pid)
    return 0


def sys_getsid(task: Task, pid: Pid) -> int:
    """getsid(2)."""
    return _group(task, pid).session().sid


def sys_setsid(task: Task) -> int:
    """setsid(2)."""
    if task.group.pid in task.group.pids.process_groups:
        raise SysError(EPERM)
    jobs.leave_process_group(task.group)
    return jobs.new_session(task.group).sid
