"""flock(2), and the lock commands of fcntl(2)."""

from typing import Final

from sentry.abi.errno import EAGAIN, EBADF, EDEADLK, EINVAL, EOVERFLOW
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
from sentry.vfs.inode import Inode
from sentry.vfs.locks import (
    END_OF_FILE,
    READ,
    RECORD_LOCKS,
    UNLOCK,
    WAITS,
    WHOLE_LOCKS,
    WRITE,
    Lock,
    LockTable,
    LockWait,
)

LOCK_SH: Final = 1
LOCK_EX: Final = 2
LOCK_NB: Final = 4
LOCK_UN: Final = 8
FLOCK_SIZE: Final = 32
COMMANDS: Final = (F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW)
_KINDS: Final = {LOCK_SH: READ, LOCK_EX: WRITE, LOCK_UN: UNLOCK}


class Waiting(CallData):
    """What a sleeping lock call keeps, and takes back when it is over."""

    def __init__(self, table: LockTable, key: tuple[int, int], request: LockWait) -> None:
        self._table = table
        self._key = key
        self.request = request

    def release(self) -> None:
        WAITS.remove(self.request)
        self._table.tidy(self._key)


def sys_flock(task: Task, fd: Fd, operation: Int) -> int:
    """flock(2)."""
    kind = _KINDS.get(operation & ~LOCK_NB)
    if kind is None:
        raise SysError(EINVAL)
    file = task.file(fd)
    key = _inode(file).key()
    locks = WHOLE_LOCKS.of(key)
    wanted = Lock(file, kind, 0, END_OF_FILE, task.group.pid)
    if locks.try_set_whole(wanted):
        file.has_locks = True
        WHOLE_LOCKS.tidy(key)
        return 0
    if operation & LOCK_NB:
        raise SysError(EAGAIN)
    return _sleep(task, fd, file, Waiting(WHOLE_LOCKS, key, LockWait(locks, wanted)))


def _inode(file: File) -> Inode:
    if file.inode is None:
        raise SysError(EBADF)
    return file.inode


def _sleep(task: Task, fd: int, file: File, waiting: Waiting) -> int:
    if fd not in task.call.files:
        task.call.hold(fd, file)
    if task.call.data is None:
        task.call.data = waiting
    return wait(task, waiting.request.locks.queue, 1)


def lock_command(task: Task, fd: int, command: int, address: int) -> int:
    """Do F_GETLK, F_SETLK, F_SETLKW or one of their OFD kind."""
    file = task.file(fd)
    key = _inode(file).key()
    kept = task.call.data
    if isinstance(kept, Waiting):
        return _set(task, fd, file, key, kept.request.wanted, sleeps=True)
    kind, whence, start, length, pid = unpack_flock(task.memory.read(address, FLOCK_SIZE))
    is_ofd = command in (F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW)
    is_question = command in (F_GETLK, F_OFD_GETLK)
    if kind not in (READ, WRITE, UNLOCK) or (is_ofd and pid) or (is_question and kind == UNLOCK):
        raise SysError(EINVAL)
    first, last = _range(file, whence, start, length)
    owner: object = file if is_ofd else task.fds
    wanted = Lock(owner, kind, first, last, -1 if is_ofd else task.group.pid)
    if is_question:
        found = RECORD_LOCKS.find_conflict(key, wanted)
        if found is None:
            packed = pack_flock(UNLOCK, whence, start, length, pid)
        else:
            size = 0 if found.end == END_OF_FILE else found.end - found.start + 1
            packed = pack_flock(found.kind, 0, found.start, size, _shown_pid(task, found))
        task.memory.write(address, packed)
        return 0
    if (kind == READ and not file.can_read()) or (kind == WRITE and not file.can_write()):
        raise SysError(EBADF)
    return _set(task, fd, file, key, wanted, sleeps=command in (F_SETLKW, F_OFD_SETLKW))


def _shown_pid(task: Task, lock: Lock) -> int:
    """Return whose a lock is, as the caller may know it: 0 if that is no process of its own.

    Of another pid namespace, that is, or gone (locks_translate_pid, fs/locks.c).
    """
    if lock.pid <= 0:
        return lock.pid
    group = task.group.pids.groups.get(lock.pid)
    if group is not None:
        for other in group.tasks:
            if other.fds is lock.owner:
                return lock.pid
    return 0


def _set(
    task: Task, fd: int, file: File, key: tuple[int, int], wanted: Lock, *, sleeps: bool
) -> int:
    """Set a record lock, or wait until that is possible; EDEADLK if it never would be."""
    locks = RECORD_LOCKS.of(key)
    if locks.try_set(wanted):
        file.has_locks = True
        RECORD_LOCKS.tidy(key)
        return 0
    if not sleeps:
        raise SysError(EAGAIN)
    kept = task.call.data
    if isinstance(kept, Waiting):
        # The file may have had no locks, and so been forgotten, since.
        kept.request.locks = locks
        return _sleep(task, fd, file, kept)
    request = LockWait(locks, wanted)
    if wanted.owner is not file:  # as Linux: nobody looks for circles of OFD locks
        if WAITS.would_deadlock(request):
            raise SysError(EDEADLK)
        WAITS.add(request)
    return _sleep(task, fd, file, Waiting(RECORD_LOCKS, key, request))


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
