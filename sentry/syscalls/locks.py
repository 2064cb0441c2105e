"""flock(2), and the lock commands of fcntl(2)."""

from typing import Final

from sentry.abi.errno import EAGAIN, EBADF, EDEADLK, EINVAL, EOVERFLOW, ERESTARTSYS
from sentry.abi.fcntl import (
    F_GETLK,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_SETLK,
    F_SETLKW,
    pack_flock,
    unpack_flock,
)
from sentry.abi.types import Fd, Int
from sentry.errors import SysError
from sentry.kernel.blocking import wait
from sentry.kernel.call import CallData
from sentry.kernel.task import Task
from sentry.vfs.file import File
from sentry.vfs.locks import (
    END_OF_FILE,
    LOCK_WAITS,
    READ,
    RECORD_LOCKS,
    UNLOCK,
    WHOLE_LOCKS,
    WRITE,
    FileLocks,
    Lock,
)

LOCK_SH: Final = 1
LOCK_EX: Final = 2
LOCK_NB: Final = 4
LOCK_UN: Final = 8
FLOCK_SIZE: Final = 32
COMMANDS: Final = (F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW)
_KINDS: Final = {LOCK_SH: READ, LOCK_EX: WRITE, LOCK_UN: UNLOCK}


class _LockWait(CallData):
    """A call that waits for a POSIX lock."""

    def __init__(self, owner: object) -> None:
        self._owner = owner

    def release(self) -> None:
        LOCK_WAITS.end(self._owner)


def sys_flock(task: Task, fd: Fd, operation: Int) -> int:
    """flock(2)."""
    kind = _KINDS.get(operation & ~LOCK_NB)
    if kind is None:
        raise SysError(EINVAL)
    file = task.file(fd)
    if file.inode is None:
        raise SysError(EBADF)
    locks = WHOLE_LOCKS.of(file.inode.key())
    file.has_locks = True
    if locks.try_set(Lock(file, kind, 0, END_OF_FILE, task.group.pid)):
        return 0
    if operation & LOCK_NB:
        raise SysError(EAGAIN)
    return _wait(task, fd, file, whole=True)


def _wait(task: Task, fd: int, file: File, *, whole: bool) -> int:
    if task.has_signal:
        raise SysError(ERESTARTSYS)
    assert file.inode is not None
    table = WHOLE_LOCKS if whole else RECORD_LOCKS
    if fd not in task.call.files:
        task.call.hold(fd, file)
    return wait(task, table.of(file.inode.key()).queue, 1)


def lock_command(task: Task, fd: int, command: int, address: int) -> int:
    """Do F_GETLK, F_SETLK, F_SETLKW or one of their OFD kind."""
    file = task.file(fd)
    if file.inode is None:
        raise SysError(EBADF)
    kind, whence, start, length, pid = unpack_flock(task.memory.read(address, FLOCK_SIZE))
    is_ofd = command in (F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW)
    if kind not in (READ, WRITE, UNLOCK) or (is_ofd and pid):
        raise SysError(EINVAL)
    first, last = _range(file, whence, start, length)
    owner: object = file if is_ofd else task.fds
    wanted = Lock(owner, kind, first, last, -1 if is_ofd else task.group.pid)
    locks = RECORD_LOCKS.of(file.inode.key())
    if command in (F_GETLK, F_OFD_GETLK):
        found = locks.find_conflict(wanted)
        if found is None:
            packed = pack_flock(UNLOCK, whence, start, length, pid)
        else:
            size = 0 if found.end == END_OF_FILE else found.end - found.start + 1
            packed = pack_flock(found.kind, 0, found.start, size, found.pid)
        task.memory.write(address, packed)
        return 0
    if (kind == READ and not file.can_read()) or (kind == WRITE and not file.can_write()):
        raise SysError(EBADF)
    file.has_locks = True
    if not is_ofd:
        task.fds.has_record_locks = True
    if locks.try_set(wanted):
        return 0
    if command in (F_SETLK, F_OFD_SETLK):
        raise SysError(EAGAIN)
    if command == F_SETLKW:
        _note_wait(task, locks, wanted)
    return _wait(task, fd, file, whole=False)


def _note_wait(task: Task, locks: FileLocks, wanted: Lock) -> None:
    """SysError(EDEADLK) if whom the caller is about to wait for waits for the caller."""
    blocking = locks.find_conflict(wanted)
    assert blocking is not None
    if LOCK_WAITS.would_deadlock(wanted.owner, blocking.owner):
        raise SysError(EDEADLK)
    if task.call.data is None:
        task.call.data = _LockWait(wanted.owner)
    LOCK_WAITS.begin(wanted.owner, blocking.owner)


def _range(file: File, whence: int, start: int, length: int) -> tuple[int, int]:
    """Return the first and the last byte of a struct flock."""
    if whence == 1:
        start += file.seek(0, 1)
    elif whence == 2:
        start += file.attributes().size
    elif whence != 0:
        raise SysError(EINVAL)
    if length < 0:
        start, length = start + length, -length
    if start < 0:
        raise SysError(EINVAL)
    last = start + length - 1 if length else END_OF_FILE
    if last > END_OF_FILE:
        raise SysError(EOVERFLOW)
    return start, last
