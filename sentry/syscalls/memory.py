"""mmap(2) and its family.

The host does the memory management: what means the same in the guest's own
host process is passed on as it stands, with register arguments only.
"""

from typing import Final

from sentry.abi.capability import CAP_IPC_LOCK
from sentry.abi.errno import EACCES, EINVAL, ENOMEM, EOPNOTSUPP, EPERM
from sentry.abi.mman import (
    MADV_COLD,
    MADV_DODUMP,
    MADV_DOFORK,
    MADV_DONTDUMP,
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_GUARD_INSTALL,
    MADV_GUARD_REMOVE,
    MADV_HUGEPAGE,
    MADV_KEEPONFORK,
    MADV_NOHUGEPAGE,
    MADV_NORMAL,
    MADV_PAGEOUT,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MADV_RANDOM,
    MADV_SEQUENTIAL,
    MADV_WILLNEED,
    MADV_WIPEONFORK,
    MAP_32BIT,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_NONBLOCK,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_STACK,
    MAP_SYNC,
    MAP_TYPE,
    PROT_EXEC,
    PROT_WRITE,
)
from sentry.abi.resource import RLIM_INFINITY, RLIMIT_AS, RLIMIT_MEMLOCK
from sentry.abi.types import Fd, Int, Size, Ulong, UserPtr
from sentry.errors import SysError
from sentry.kernel.blocking import PASS_ON
from sentry.kernel.mapping import note_mapping
from sentry.kernel.task import Task
from sentry.vfs.file import O_ACCMODE, O_RDWR, File
from sentry.vfs.mount import MNT_NOEXEC

SYS_MMAP: Final = 9
SYS_BRK: Final = 12
PAGE: Final = 4096
# What the host may see of mmap(2)'s flags: they change nothing but this address space.
PLACEMENT: Final = MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_32BIT | MAP_GROWSDOWN
HINTS: Final = MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK
PASSED: Final = MAP_TYPE | MAP_ANONYMOUS | PLACEMENT | HINTS
SAFE_ADVICE: Final = frozenset(
    (
        MADV_NORMAL,
        MADV_RANDOM,
        MADV_SEQUENTIAL,
        MADV_WILLNEED,
        MADV_DONTNEED,
        MADV_FREE,
        MADV_HUGEPAGE,
        MADV_NOHUGEPAGE,
        MADV_DONTDUMP,
        MADV_DODUMP,
        MADV_DONTFORK,
        MADV_DOFORK,
        MADV_WIPEONFORK,
        MADV_KEEPONFORK,
        MADV_COLD,
        MADV_PAGEOUT,
        MADV_POPULATE_READ,
        MADV_POPULATE_WRITE,
        MADV_GUARD_INSTALL,
        MADV_GUARD_REMOVE,
    )
)


def sys_mmap(
    task: Task, address: Ulong, length: Size, prot: Ulong, flags: Ulong, fd: Fd, offset: Ulong
) -> int:
    """mmap(2)."""
    check_address_space(task, length)
    if not flags & MAP_ANONYMOUS:
        return _map_file(task, address, length, prot, flags, fd, offset)
    kind = flags & MAP_TYPE
    if kind not in (MAP_PRIVATE, MAP_SHARED):
        raise SysError(EINVAL)
    if kind == MAP_SHARED:
        # Inherited by forked stubs as shared memory by the host itself.
        task.mm.has_shared = True
    if flags & ~PASSED == 0:
        return PASS_ON
    if flags & ~(PASSED | MAP_LOCKED | 0x1800) & 0xFFFF_FFFF:
        raise SysError(ENOMEM if flags & 0x40000 else EINVAL)  # huge pages: none are reserved
    return task.thread.execute(
        SYS_MMAP, address, length, prot, flags & PASSED, 0xFFFF_FFFF_FFFF_FFFF, offset
    )


def check_address_space(task: Task, more: int) -> None:
    """SysError(ENOMEM) if so many more bytes would pass RLIMIT_AS (getrlimit(2))."""
    if task.group.limits.soft[RLIMIT_AS] != RLIM_INFINITY and _is_too_much(task, more):
        raise SysError(ENOMEM)


def _is_too_much(task: Task, more: int) -> bool:
    pages = task.memory.host_statm().split(None, 1)
    now = int(pages[0]) * PAGE if pages else 0
    return now + (more + PAGE - 1 & -PAGE) > task.group.limits.soft[RLIMIT_AS]


def _map_file(
    task: Task, address: int, length: int, prot: int, flags: int, fd: int, offset: int
) -> int:
    """Map a file: the host maps the descriptor that has its contents."""
    file = task.fds.get(fd)
    kind = flags & MAP_TYPE
    if kind not in (MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE) or length == 0:
        raise SysError(EINVAL)
    if kind == MAP_SHARED_VALIDATE and flags & MAP_SYNC:
        raise SysError(EOPNOTSUPP)
    _check_access(file, prot, kind)
    if file.maps_as_anonymous():
        task.mm.has_shared = task.mm.has_shared or kind != MAP_PRIVATE
        flags = flags & PASSED & ~MAP_TYPE | (MAP_PRIVATE if kind == MAP_PRIVATE else MAP_SHARED)
        return task.thread.execute(
            SYS_MMAP, address, length, prot, flags | MAP_ANONYMOUS, 0xFFFF_FFFF_FFFF_FFFF, 0
        )
    host_fd = file.mmap_host_fd(prot, flags)
    result = task.thread.execute(SYS_MMAP, address, length, prot, flags & PASSED, host_fd, offset)
    if -4096 < result < 0:
        raise SysError(-result)
    if kind != MAP_PRIVATE:
        task.mm.has_shared = True
    note_mapping(task.mm, file, host_fd)
    return result


def _check_access(file: File, prot: int, kind: int) -> None:
    """Raise SysError(EACCES) or EPERM where the file's mode or mount forbids the mapping."""
    if not file.can_read():
        raise SysError(EACCES)
    if kind != MAP_PRIVATE and prot & PROT_WRITE and file.flags & O_ACCMODE != O_RDWR:
        raise SysError(EACCES)
    path = file.path
    if prot & PROT_EXEC and path is not None and path.mount.flags & MNT_NOEXEC:
        raise SysError(EPERM)


def sys_munmap(task: Task, address: Ulong, length: Size) -> int:
    """munmap(2)."""
    if task.mm.attached:
        now = task.kernel.clock.realtime_ns() // 1_000_000_000
        segments = task.ipc.segments
        segments.forget_unmapped(task.mm.attached, address, length, task.group.pid, now)
    return PASS_ON


def sys_mprotect(task: Task, address: Ulong, length: Size, prot: Ulong) -> int:
    """mprotect(2)."""
    return PASS_ON


def sys_mremap(
    task: Task, old: Ulong, old_size: Size, new_size: Size, flags: Ulong, new: Ulong
) -> int:
    """mremap(2)."""
    if new_size > old_size:
        check_address_space(task, new_size - old_size)
    return PASS_ON


def sys_brk(task: Task, address: Ulong) -> int:
    """brk(2); the host knows where the program's heap begins."""
    if task.group.limits.soft[RLIMIT_AS] != RLIM_INFINITY:
        now = task.thread.execute(SYS_BRK, 0, 0, 0, 0, 0, 0)
        if address > now and _is_too_much(task, address - now):
            return now
    return PASS_ON


def sys_madvise(task: Task, address: Ulong, length: Size, advice: Int) -> int:
    """madvise(2); what would touch more than this address space is refused."""
    if advice in SAFE_ADVICE:
        return PASS_ON
    raise SysError(EINVAL)


def sys_msync(task: Task, address: Ulong, length: Size, flags: Int) -> int:
    """msync(2)."""
    return PASS_ON


def sys_mincore(task: Task, address: Ulong, length: Size, vector: UserPtr) -> int:
    """mincore(2): of files, every mapped page is reported as resident.

    What the host's page cache holds is not the guest's business.
    """
    if address & 4095:
        raise SysError(EINVAL)
    pages = (length + 4095) // 4096
    if pages > 1 << 20:
        raise SysError(ENOMEM)
    end = address + pages * 4096
    found = _mapped_inodes(task.memory.host_maps(), address, end)
    if found is None:
        raise SysError(ENOMEM)
    if found == {b"0"}:
        return PASS_ON  # memory of the guest's own
    task.memory.write(vector, b"\1" * pages)
    return 0


def _mapped_inodes(maps: bytes, start: int, end: int) -> set[bytes] | None:
    """Return the inode numbers of what is mapped in [start, end); None if there are holes.

    `maps` is the text of proc_pid_maps(5).
    """
    position = start
    inodes: set[bytes] = set()
    for line in maps.splitlines():
        fields = line.split(None, 5)
        low, _, high = fields[0].partition(b"-")
        if int(high, 16) <= position:
            continue
        if int(low, 16) > position:
            break
        inodes.add(fields[4])
        position = int(high, 16)
        if position >= end:
            break
    return inodes if position >= end else None


# Guest memory is never swapped out by us; the host's own policy is not the guest's to set.


def sys_mlock(task: Task, address: Ulong, length: Size) -> int:
    """mlock(2): checked, and without effect."""
    limit = task.group.limits.soft[RLIMIT_MEMLOCK]
    if not task.creds.has_capability(CAP_IPC_LOCK) and length > limit:
        raise SysError(ENOMEM if limit else EPERM)
    _check_mapped(task, address, length)
    return 0


def _check_mapped(task: Task, address: int, length: int) -> None:
    """SysError(ENOMEM) unless the pages of a range are all mapped."""
    start = address & ~4095
    end = (address + length + 4095) & ~4095
    if length and _mapped_inodes(task.memory.host_maps(), start, end) is None:
        raise SysError(ENOMEM)


def sys_mlock2(task: Task, address: Ulong, length: Size, flags: Int) -> int:
    """mlock2(2)."""
    if flags & ~1:
        raise SysError(EINVAL)
    return sys_mlock(task, address, length)


def sys_munlock(task: Task, address: Ulong, length: Size) -> int:
    """munlock(2)."""
    _check_mapped(task, address, length)
    return 0


def sys_mlockall(task: Task, flags: Int) -> int:
    """mlockall(2)."""
    if flags == 0 or flags & ~7 or flags == 4:
        raise SysError(EINVAL)
    return 0


def sys_munlockall(task: Task) -> int:
    """munlockall(2)."""
    return 0
