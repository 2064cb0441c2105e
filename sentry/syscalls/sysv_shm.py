"""shmget(2), shmat(2), shmdt(2), shmctl(2)."""

from typing import Final

from sentry.abi import ipc as abi
from sentry.abi.capability import CAP_IPC_LOCK
from sentry.abi.errno import EEXIST, EINVAL, ENOMEM, ENOSPC, EPERM
from sentry.abi.mman import (
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_SHARED,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
)
from sentry.abi.resource import RLIMIT_MEMLOCK
from sentry.abi.types import Int, Size, UserPtr
from sentry.errors import SysError
from sentry.kernel.ipc import MAY_READ, MAY_WRITE
from sentry.kernel.mapping import note_mapping
from sentry.kernel.shared_memory import PAGE, Segment
from sentry.kernel.task import Task
from sentry.syscalls.memory import check_address_space
from sentry.syscalls.sysv_ipc import pack_permissions, seconds, set_permissions
from sentry.vfs.file import O_RDWR, File

SYS_MMAP: Final = 9
SYS_MUNMAP: Final = 11
MAY_EXECUTE: Final = 0o111
U64_MAX: Final = (1 << 64) - 1


class AttachedFile(File):
    """What /proc/PID/maps shows of a segment."""

    def __init__(self, segment: Segment) -> None:
        super().__init__(O_RDWR)
        self._key = segment.key

    def describe(self) -> bytes:
        return b"/SYSV%08x (deleted)" % (self._key & 0xFFFF_FFFF)


def sys_shmget(task: Task, key: Int, size: Size, flags: Int) -> int:
    """shmget(2); there are no huge pages."""
    segments = task.ipc.segments
    found = segments.existing(key, size, flags, task.creds)
    if found is not None:
        return found.number
    if not abi.SHMMIN <= size <= segments.max_size:
        raise SysError(EINVAL)
    segments.check_room()
    if flags & abi.SHM_HUGETLB:
        raise SysError(ENOMEM)
    if segments.pages + size // PAGE > segments.max_pages or size >> 47:
        raise SysError(ENOSPC if size // PAGE > segments.max_pages else ENOMEM)
    made = Segment(key, flags, size, task.creds)
    made.creator = task.group.pid
    made.change_time = seconds(task)
    return segments.enter(made)


def sys_shmat(task: Task, number: Int, address: UserPtr, flags: Int) -> int:
    """shmat(2)."""
    if number < 0:
        raise SysError(EINVAL)
    at = _place(address, flags)
    prot, wanted = PROT_READ, MAY_READ
    if not flags & abi.SHM_RDONLY:
        prot, wanted = prot | PROT_WRITE, wanted | MAY_WRITE
    if flags & abi.SHM_EXEC:
        prot, wanted = prot | PROT_EXEC, wanted | MAY_EXECUTE
    segments = task.ipc.segments
    segment = segments.segment(number)
    segment.check(task.creds, wanted)
    check_address_space(task, segment.size)
    placement = 0
    if at:
        placement = MAP_FIXED if flags & abi.SHM_REMAP else MAP_FIXED_NOREPLACE
    host_fd = segment.descriptor(is_writable=not flags & abi.SHM_RDONLY)
    size = segment.mapped_size()
    result = task.thread.execute(SYS_MMAP, at, size, prot, MAP_SHARED | placement, host_fd, 0)
    if -4096 < result < 0:
        raise SysError(EINVAL if result == -EEXIST else -result)
    mm = task.mm
    mm.has_shared = True
    covered = mm.attached.get(result)
    if covered is not None:
        segments.detach(covered, task.group.pid, seconds(task))
    mm.attached[result] = segment
    segment.attached += 1
    segment.attach_time = seconds(task)
    segment.last_user = task.group.pid
    note_mapping(mm, AttachedFile(segment), host_fd)
    return result


def _place(address: int, flags: int) -> int:
    """Return where a segment is wanted, 0: anywhere; SysError(EINVAL)."""
    if address % abi.SHMLBA:
        if not flags & abi.SHM_RND:
            raise SysError(EINVAL)
        address -= address % abi.SHMLBA
    if not address and flags & abi.SHM_REMAP:
        raise SysError(EINVAL)
    return address


def sys_shmdt(task: Task, address: UserPtr) -> int:
    """shmdt(2)."""
    segment = task.mm.attached.pop(address, None)
    if segment is None:
        raise SysError(EINVAL)
    task.thread.execute(SYS_MUNMAP, address, segment.mapped_size())
    task.ipc.segments.detach(segment, task.group.pid, seconds(task))
    return 0


def sys_shmctl(task: Task, number: Int, command: Int, buf: UserPtr) -> int:
    """shmctl(2)."""
    if number < 0:
        raise SysError(EINVAL)
    segments = task.ipc.segments
    command = Int(command & ~abi.IPC_64)
    if command == abi.IPC_INFO:
        pages = min(segments.max_pages, U64_MAX)
        raw = abi.SHMINFO64.pack(segments.max_size, abi.SHMMIN, segments.most, segments.most, pages)
        task.memory.write(buf, raw)
        return segments.highest_index()
    if command == abi.SHM_INFO:
        used = len(segments.objects)
        raw = abi.SHM_INFO_STRUCT.pack(used, segments.pages, segments.resident(), 0, 0, 0)
        task.memory.write(buf, raw)
        return segments.highest_index()
    if command in (abi.IPC_STAT, abi.SHM_STAT, abi.SHM_STAT_ANY):
        return _status(task, number, command, buf)
    if command == abi.IPC_SET:
        raw = task.memory.read(buf, abi.IPC64_PERM.size + abi.SHMID64_DS.size)
        segment = segments.segment(number)
        segment.check_owner(task.creds)
        set_permissions(segment, raw)
        segment.change_time = seconds(task)
    elif command == abi.IPC_RMID:
        segment = segments.segment(number)
        segment.check_owner(task.creds)
        segments.mark_removed(segment)
    elif command in (abi.SHM_LOCK, abi.SHM_UNLOCK):
        _lock(task, segments.segment(number), is_locked=command == abi.SHM_LOCK)
    else:
        raise SysError(EINVAL)
    return 0


def _lock(task: Task, segment: Segment, *, is_locked: bool) -> None:
    """SHM_LOCK, SHM_UNLOCK: noted, since nothing is swapped out by us."""
    if not task.creds.has_capability(CAP_IPC_LOCK):
        if task.creds.euid not in (segment.uid, segment.creator_uid):
            raise SysError(EPERM)
        if is_locked and not task.group.limits.soft[RLIMIT_MEMLOCK]:
            raise SysError(EPERM)
    segment.mode = segment.mode & ~abi.SHM_LOCKED | (abi.SHM_LOCKED if is_locked else 0)


def _status(task: Task, number: int, command: int, buf: int) -> int:
    segments = task.ipc.segments
    if command == abi.IPC_STAT:
        segment = segments.segment(number)
    else:
        segment = segments.segment_at(number)
    if command != abi.SHM_STAT_ANY:
        segment.check(task.creds, MAY_READ)
    raw = pack_permissions(segment) + abi.SHMID64_DS.pack(
        segment.size,
        segment.attach_time,
        segment.detach_time,
        segment.change_time,
        segment.creator,
        segment.last_user,
        segment.attached,
    )
    task.memory.write(buf, raw)
    return 0 if command == abi.IPC_STAT else segment.number
