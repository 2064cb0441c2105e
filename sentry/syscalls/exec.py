"""execve(2), execveat(2)."""

from typing import Final

from sentry.abi.errno import E2BIG, EACCES, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ETXTBSY
from sentry.abi.fcntl import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW
from sentry.abi.resource import RLIMIT_STACK
from sentry.abi.types import NULL, Fd, Int, UserPtr
from sentry.errors import SysError
from sentry.kernel.blocking import DONE
from sentry.kernel.exec import become, credentials_after, is_secure
from sentry.kernel.task import Task
from sentry.loader.program import MAX_STRING, Loader, Opener, Program
from sentry.mm.user import read_u64
from sentry.vfs.file import WRITERS, File
from sentry.vfs.inode import S_IFLNK, S_IFMT, S_IFREG
from sentry.vfs.mount import MNT_NOEXEC, FsContext, VfsPath
from sentry.vfs.notify import WATCHES
from sentry.vfs.path import resolve
from sentry.vfs.permission import MAY_EXEC, check

PATH_MAX: Final = 4096
MAX_STRINGS: Final = 0x10000  # how many arguments and variables together are read
BATCH: Final = 64  # pointers read at once


class TaskOpener(Opener):
    """Opens programs as a task sees them."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def open_program(self, name: bytes) -> File:
        task = self._task
        return open_executable(task, resolve(task.fs, task.creds, name))


def open_executable(task: Task, place: VfsPath) -> File:
    """Return the file at `place`, acquired; SysError(EACCES) if it cannot be executed."""
    inode = place.dentry.inode
    if inode is None:
        raise SysError(ENOENT)
    if inode.mode() & S_IFMT != S_IFREG or place.mount.flags & MNT_NOEXEC:
        raise SysError(EACCES)
    check(task.creds, inode, MAY_EXEC)
    if WRITERS.has(inode):
        raise SysError(ETXTBSY)
    file = inode.open(place, 0, task.creds)
    if file.path is None:
        file.path = place
    if WATCHES.is_active:
        WATCHES.opened(file)
    return file.acquire()


def sys_execve(task: Task, pathname: UserPtr, argv: UserPtr, envp: UserPtr) -> int:
    """execve(2)."""
    name = task.memory.read_cstring(pathname, PATH_MAX)
    if not name:
        raise SysError(ENOENT)
    return _execute(task, resolve(task.fs, task.creds, name), name, argv, envp)


def sys_execveat(
    task: Task, dirfd: Fd, pathname: UserPtr, argv: UserPtr, envp: UserPtr, flags: Int
) -> int:
    """execveat(2)."""
    if flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW):
        raise SysError(EINVAL)
    name = task.memory.read_cstring(pathname, PATH_MAX)
    if not name and not flags & AT_EMPTY_PATH:
        raise SysError(ENOENT)
    if name.startswith(b"/") or dirfd == AT_FDCWD:
        place = _resolve(task, task.fs, name, flags)
        return _execute(task, place, name, argv, envp)
    base = task.fds.get_raw(dirfd).path
    if base is None:
        raise SysError(EACCES)
    shown = b"/dev/fd/%d" % dirfd
    if not name:
        return _execute(task, base, shown, argv, envp)
    context = FsContext(task.fs.root, base)
    return _execute(task, _resolve(task, context, name, flags), shown + b"/" + name, argv, envp)


def _resolve(task: Task, context: FsContext, name: bytes, flags: int) -> VfsPath:
    follow = not flags & AT_SYMLINK_NOFOLLOW
    if not name:
        return context.cwd
    place = resolve(context, task.creds, name, follow=follow)
    inode = place.dentry.inode
    if not follow and inode is not None and inode.mode() & S_IFMT == S_IFLNK:
        raise SysError(ELOOP)
    return place


def _execute(task: Task, place: VfsPath, name: bytes, argv: int, envp: int) -> int:
    """Load the program at `place` and become it."""
    limit = min(max(task.group.limits.soft[RLIMIT_STACK] // 4, MAX_STRING), 6 << 20)
    args = _read_strings(task, argv, limit)
    env = _read_strings(task, envp, limit - sum(len(text) + 9 for text in args))
    execute_program(task, place, name, args or [b""], env)
    return DONE


def execute_program(
    task: Task, place: VfsPath, name: bytes, args: list[bytes], env: list[bytes]
) -> None:
    """Make `task` the program at `place`, stopped before its first instruction.

    SysError as execve(2) fails; `task` is unchanged then.
    """
    file = open_executable(task, place)
    program = Program(file, name, args, env)
    creds = credentials_after(task.creds, file.attributes(), place.mount)
    program.creds = creds
    program.is_secure = is_secure(task.creds, creds)
    program.stack_limit = task.group.limits.soft[RLIMIT_STACK]
    cgroup = task.group.cgroup
    if cgroup is not None:
        program.origin = cgroup.origin
    loader = task.kernel.loader
    assert isinstance(loader, Loader)
    loaded = loader.load(program, TaskOpener(task))
    become(task, loaded.thread, loaded.mm, creds, name.rpartition(b"/")[2])


def _read_strings(task: Task, address: int, limit: int) -> list[bytes]:
    """Copy a NULL-terminated array of strings in; SysError(E2BIG) beyond `limit` bytes."""
    if address == NULL:
        return []
    texts: list[bytes] = []
    memory = task.memory
    while True:
        if len(texts) >= MAX_STRINGS:
            raise SysError(E2BIG)
        pointers = memory.read_upto(address, BATCH * 8)
        count = len(pointers) // 8
        if count == 0:
            read_u64(memory, address)  # the pointer straddles unreadable memory: EFAULT
        for index in range(count):
            pointer = int.from_bytes(pointers[index * 8 : index * 8 + 8], "little")
            if pointer == NULL:
                return texts
            text = _read_string(task, pointer)
            limit -= len(text) + 9
            if limit < 0:
                raise SysError(E2BIG)
            texts.append(text)
        address += count * 8


def _read_string(task: Task, pointer: int) -> bytes:
    try:
        return task.memory.read_cstring(pointer, MAX_STRING)
    except SysError as error:
        raise SysError(E2BIG if error.errno == ENAMETOOLONG else error.errno) from None
