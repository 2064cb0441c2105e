"""sendfile(2) and copy_file_range(2): from file to file without the caller's memory."""

from typing import Final

from sentry.abi.errno import (
    EAGAIN,
    EBADF,
    EINVAL,
    EISDIR,
    EOVERFLOW,
    EPIPE,
    ERESTARTSYS,
    ESPIPE,
    EXDEV,
)
from sentry.abi.fcntl import O_APPEND, O_NONBLOCK, SEEK_CUR, SEEK_SET
from sentry.abi.limits import LONG_MAX
from sentry.abi.stat import S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK
from sentry.abi.types import NULL, Fd, Size, Uint, UserPtr, s64
from sentry.errors import SysError
from sentry.kernel.blocking import wait_for_file
from sentry.kernel.call import CallData
from sentry.kernel.fault_signals import send_sigpipe
from sentry.kernel.task import Task
from sentry.mm.io import KernelSink, KernelSource
from sentry.mm.user import MAX_RW_COUNT, read_u64, write_u64
from sentry.syscalls.read_write import limit_write, was_read, was_written
from sentry.vfs.file import POLLIN, POLLOUT, File

PIECE: Final = 1 << 18  # bytes in the kernel at once
# More than this is not moved by one call, so that the others get their turn: both may stop early.
MOST: Final = 1 << 24


class Position(CallData):
    """Where a sendfile(2) that sleeps began to read."""

    def __init__(self, start: int) -> None:
        self.start = start


def sys_sendfile(task: Task, out_fd: Fd, in_fd: Fd, offset_at: UserPtr, count: Size) -> int:
    """sendfile(2): a pipe takes what there is room for, others all, over several sleeps."""
    source, target = task.file(in_fd), task.file(out_fd)
    if not source.can_read() or not target.can_write():
        raise SysError(EBADF)
    start = _start(task, source, offset_at)
    if target.flags & O_APPEND or start < 0:
        raise SysError(EINVAL)
    if count >> 63:
        raise SysError(EINVAL)
    limit = min(count, MAX_RW_COUNT, MOST)
    total = task.call.done
    while total < limit:
        sink = KernelSink(min(PIECE, limit - total))
        got = source.try_pread(sink, start + total)
        if got is None:
            if total == 0:
                return wait_for_file(task, in_fd, source, POLLIN)
            break
        if got == 0:
            break
        try:
            done = target.try_write(limit_write(task, target, KernelSource(bytes(sink.data))))
        except SysError as error:
            if error.errno == EPIPE:
                send_sigpipe(task)
            if total == 0:
                raise
            break
        if done is None:
            if target.flags & O_NONBLOCK and total == 0:
                raise SysError(EAGAIN)
            if total and (target.flags & O_NONBLOCK or task.has_signal or _is_pipe(target)):
                break
            return _sleep(task, out_fd, in_fd, target, source, start, total)
        total += done
        if done == 0:
            break
    _finish(task, source, offset_at, start + total)
    was_read(source, total)
    return was_written(target, total)


def _start(task: Task, source: File, offset_at: int) -> int:
    """Return the offset to read from, the same for each run of the call."""
    kept = task.call.data
    if isinstance(kept, Position):
        return kept.start
    kind = _kind(source)
    if kind in (S_IFIFO, S_IFSOCK):
        raise SysError(ESPIPE if offset_at != NULL else EINVAL)
    if kind == S_IFDIR:
        raise SysError(EINVAL)
    if offset_at != NULL:
        return s64(read_u64(task.memory, offset_at))
    return source.seek(0, SEEK_CUR)


def _sleep(
    task: Task, out_fd: Fd, in_fd: Fd, target: File, source: File, start: int, total: int
) -> int:
    if task.has_signal:
        raise SysError(ERESTARTSYS)
    if task.call.data is None:
        task.call.data = Position(start)
    if in_fd not in task.call.files:
        task.call.hold(in_fd, source)
    task.call.done = total
    return wait_for_file(task, out_fd, target, POLLOUT)


def _finish(task: Task, source: File, offset_at: int, position: int) -> None:
    """Store where reading ended: in the caller's variable, or as the file's offset."""
    if offset_at != NULL:
        write_u64(task.memory, offset_at, position)
    else:
        source.seek(position, SEEK_SET)


def _is_pipe(file: File) -> bool:
    return _kind(file) == S_IFIFO


def _kind(file: File) -> int:
    inode = file.inode
    return S_IFSOCK if inode is None else inode.mode() & S_IFMT


def sys_copy_file_range(
    task: Task,
    fd_in: Fd,
    offset_in: UserPtr,
    fd_out: Fd,
    offset_out: UserPtr,
    count: Size,
    flags: Uint,
) -> int:
    """copy_file_range(2) between regular files of one file system."""
    source, target = task.file(fd_in), task.file(fd_out)
    read_at = _range_start(task, source, offset_in)
    write_at = _range_start(task, target, offset_out)
    if flags:
        raise SysError(EINVAL)
    limit = min(count, MAX_RW_COUNT, MOST)
    _check_files(source, target)
    if read_at < 0 or write_at < 0:
        raise SysError(EINVAL)
    if read_at + count > LONG_MAX or write_at + count > LONG_MAX:
        raise SysError(EOVERFLOW)
    if _is_one_file(source, target):
        limit = min(limit, max(source.attributes().size - read_at, 0))
        if read_at < write_at + limit and write_at < read_at + limit:
            raise SysError(EINVAL)
    total = _copy(task, source, read_at, target, write_at, limit)
    _finish(task, source, offset_in, read_at + total)
    _finish(task, target, offset_out, write_at + total)
    was_read(source, total)
    return was_written(target, total)


def _copy(task: Task, source: File, read_at: int, target: File, write_at: int, limit: int) -> int:
    total = 0
    while total < limit:
        sink = KernelSink(min(PIECE, limit - total))
        got = source.try_pread(sink, read_at + total)
        if not got:
            break
        data = KernelSource(bytes(sink.data))
        try:
            done = target.try_pwrite(
                limit_write(task, target, data, write_at + total), write_at + total
            )
        except SysError:
            if total == 0:
                raise
            break
        if not done:
            break
        total += done
        if done < got:
            break
    return total


def _range_start(task: Task, file: File, offset_at: int) -> int:
    if offset_at != NULL:
        return s64(read_u64(task.memory, offset_at))
    if _kind(file) in (S_IFIFO, S_IFSOCK):
        return 0
    return file.seek(0, SEEK_CUR)


def _check_files(source: File, target: File) -> None:
    """The checks of Linux (generic_copy_file_checks), in its order."""
    if S_IFDIR in (_kind(source), _kind(target)):
        raise SysError(EISDIR)
    if _kind(source) != S_IFREG or _kind(target) != S_IFREG:
        raise SysError(EINVAL)
    if not source.can_read() or not target.can_write() or target.flags & O_APPEND:
        raise SysError(EBADF)
    if source.inode is not None and target.inode is not None:
        if source.inode.key()[0] != target.inode.key()[0]:
            raise SysError(EXDEV)


def _is_one_file(source: File, target: File) -> bool:
    if source.inode is None or target.inode is None:
        return False
    return source.inode.key() == target.inode.key()
