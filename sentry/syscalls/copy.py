"""sendfile(2), copy_file_range(2): copies between files, through the sentry."""

from typing import Final

from sentry.abi.errno import (
    EAGAIN,
    EBADF,
    EFBIG,
    EINVAL,
    EISDIR,
    EPIPE,
    ERESTARTSYS,
    ESPIPE,
)
from sentry.abi.types import NULL, Fd, Size, Uint, UserPtr, s64
from sentry.errors import SysError
from sentry.kernel.blocking import wait_for_file
from sentry.kernel.fault_signals import check_file_size, send_sigpipe
from sentry.kernel.task import Task
from sentry.mm.io import KernelSink, KernelSource
from sentry.mm.user import read_u64, write_u64
from sentry.vfs.file import O_NONBLOCK, POLLOUT, File
from sentry.vfs.inode import S_IFDIR, S_IFMT, S_IFREG
from sentry.vfs.permission import drop_set_ids

O_APPEND: Final = 0o2000
SEEK_SET: Final = 0
SEEK_CUR: Final = 1
MAX_OFFSET: Final = (1 << 63) - 1
PIECE: Final = 1 << 18
# No call keeps the loop for longer; callers must expect less than they asked for.
LARGEST: Final = 1 << 26


def sys_sendfile(task: Task, fd_out: Fd, fd_in: Fd, offset_at: UserPtr, count: Size) -> int:
    """sendfile(2)."""
    given = _offset_at(task, offset_at)
    source = task.file(fd_in)
    if not source.can_read():
        raise SysError(EBADF)
    if _kind(source) != S_IFREG:
        raise SysError(ESPIPE if given is not None and _kind(source) != S_IFDIR else EINVAL)
    if given is not None and given < 0:
        raise SysError(EINVAL)
    target = task.file(fd_out)
    if not target.can_write():
        raise SysError(EBADF)
    if target.flags & O_APPEND:
        raise SysError(EINVAL)
    position = source.seek(0, SEEK_CUR) if given is None else given
    total = task.call.done
    moved, is_full = _send(task, source, position, target, min(count, LARGEST) - total)
    if given is None:
        source.seek(position + moved, SEEK_SET)
    else:
        write_u64(task.memory, offset_at, position + moved)
    total += moved
    if not is_full:
        return total
    if target.flags & O_NONBLOCK or task.has_signal:
        return total or (-EAGAIN if target.flags & O_NONBLOCK else -ERESTARTSYS)
    task.call.done = total
    if fd_in not in task.call.files:
        task.call.hold(fd_in, source)
    return wait_for_file(task, fd_out, target, POLLOUT)


def _send(task: Task, source: File, position: int, target: File, count: int) -> tuple[int, bool]:
    """Move up to `count` bytes; return how many, and whether the target has no room for more."""
    moved = 0
    while moved < count:
        data = _read(source, position + moved, min(count - moved, PIECE))
        if not data:
            break
        try:
            done = target.try_write(KernelSource(data))
        except SysError as error:
            if error.errno == EPIPE:
                send_sigpipe(task)
            if moved:
                break
            raise
        if done is None:
            return moved, True
        if done == 0:
            break
        moved += done
    return moved, False


def sys_copy_file_range(
    task: Task,
    fd_in: Fd,
    offset_in: UserPtr,
    fd_out: Fd,
    offset_out: UserPtr,
    count: Size,
    flags: Uint,
) -> int:
    """copy_file_range(2)."""
    source = task.fds.get(fd_in)
    target = task.fds.get(fd_out)
    given_in = _offset_at(task, offset_in)
    given_out = _offset_at(task, offset_out)
    if flags:
        raise SysError(EINVAL)
    _check_kinds(source, target)
    start = source.seek(0, SEEK_CUR) if given_in is None else given_in
    end = target.seek(0, SEEK_CUR) if given_out is None else given_out
    if start < 0 or end < 0 or end + count > MAX_OFFSET:
        raise SysError(EINVAL if start < 0 or end < 0 else EFBIG)
    count = Size(max(0, min(count, source.attributes().size - start, LARGEST)))
    _check_overlap(source, target, start, end, count)
    if count == 0:
        return 0
    check_file_size(task, end + 1)
    assert target.inode is not None
    drop_set_ids(task.creds, target.inode)
    done = 0
    while done < count:
        data = _read(source, start + done, min(count - done, PIECE))
        written = target.try_pwrite(KernelSource(data), end + done) if data else 0
        if not written:
            break
        done += written
    _note(task, source, offset_in, start + done)
    _note(task, target, offset_out, end + done)
    return done


def _check_kinds(source: File, target: File) -> None:
    """The checks of copy_file_range(2) of both files, in the order of Linux."""
    kinds = (_kind(source), _kind(target))
    if S_IFDIR in kinds:
        raise SysError(EISDIR)
    if kinds != (S_IFREG, S_IFREG):
        raise SysError(EINVAL)
    if not source.can_read() or not target.can_write() or target.flags & O_APPEND:
        raise SysError(EBADF)


def _check_overlap(source: File, target: File, start: int, end: int, count: int) -> None:
    if start < end + count and end < start + count:
        assert source.inode is not None
        assert target.inode is not None
        if source.inode.key() == target.inode.key():
            raise SysError(EINVAL)


def _note(task: Task, file: File, offset_at: int, position: int) -> None:
    """Store where a copy ended: in the caller's variable, or as the file's offset."""
    if offset_at == NULL:
        file.seek(position, SEEK_SET)
    else:
        write_u64(task.memory, offset_at, position)


def _read(file: File, offset: int, count: int) -> bytes:
    sink = KernelSink(count)
    file.try_pread(sink, offset)
    return bytes(sink.data)


def _kind(file: File) -> int:
    return 0 if file.inode is None else file.inode.mode() & S_IFMT


def _offset_at(task: Task, address: int) -> int | None:
    return None if address == NULL else s64(read_u64(task.memory, address))
