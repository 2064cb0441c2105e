"""read(2), write(2) and their kind.

A blocking write to a stream (`File.writes_all`) goes on over several sleeps;
`task.call.done` counts what is written already, and a signal ends it with that
count.  Everything else moves what it can at once.
"""

from typing import Final

from sentry.abi.capability import CAP_FSETID
from sentry.abi.errno import (
    EAGAIN,
    EBADF,
    EFAULT,
    EFBIG,
    EINVAL,
    EOPNOTSUPP,
    EPIPE,
    ERESTARTSYS,
)
from sentry.abi.fcntl import RWF_APPEND, RWF_DSYNC, RWF_HIPRI, RWF_NOWAIT, RWF_SYNC
from sentry.abi.resource import RLIM_INFINITY, RLIMIT_FSIZE
from sentry.abi.types import Fd, Int, Long, Off, Size, UserPtr, s64
from sentry.errors import SysError
from sentry.fs.signalfd import SignalFile
from sentry.kernel.blocking import wait_for_file
from sentry.kernel.fault_signals import send_sigpipe, send_sigxfsz
from sentry.kernel.task import Task
from sentry.mm.io import BufferSink, BufferSource, Sink, Source, gather, scatter
from sentry.mm.user import MAX_RW_COUNT, TASK_SIZE, read_iovec
from sentry.vfs.file import O_NONBLOCK, POLLIN, POLLOUT, File
from sentry.vfs.inode import S_IFMT, S_IFREG
from sentry.vfs.notify import WATCHES
from sentry.vfs.permission import drop_set_ids

_RWF_KNOWN: Final = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND
_FSETID: Final = 1 << CAP_FSETID
O_APPEND: Final = 0o2000
SEEK_SET: Final = 0
SEEK_CUR: Final = 1


def sys_read(task: Task, fd: Fd, buf: UserPtr, count: Size) -> int:
    """read(2)."""
    file = task.file(fd)
    if not file.can_read():
        raise SysError(EBADF)
    if count > MAX_RW_COUNT or buf >= TASK_SIZE:
        count = _checked_count(buf, count)
    done = file.try_read(BufferSink(task.memory, buf, count))
    if done is None and isinstance(file, SignalFile) and file.bind(task):
        done = file.try_read(BufferSink(task.memory, buf, count))
    return wait_for_file(task, fd, file, POLLIN) if done is None else was_read(file, done)


def sys_write(task: Task, fd: Fd, buf: UserPtr, count: Size) -> int:
    """write(2)."""
    file = task.file(fd)
    if not file.can_write():
        raise SysError(EBADF)
    if count > MAX_RW_COUNT or buf >= TASK_SIZE:
        count = _checked_count(buf, count)
    done = task.call.done
    return write_from(task, fd, file, BufferSource(task.memory, buf + done, count - done))


def sys_pread64(task: Task, fd: Fd, buf: UserPtr, count: Size, offset: Off) -> int:
    """pread64(2)."""
    if offset < 0:
        raise SysError(EINVAL)
    file = task.file(fd)
    if not file.can_read():
        raise SysError(EBADF)
    if count > MAX_RW_COUNT or buf >= TASK_SIZE:
        count = _checked_count(buf, count)
    done = file.try_pread(BufferSink(task.memory, buf, count), offset)
    return wait_for_file(task, fd, file, POLLIN) if done is None else was_read(file, done)


def sys_pwrite64(task: Task, fd: Fd, buf: UserPtr, count: Size, offset: Off) -> int:
    """pwrite64(2)."""
    if offset < 0:
        raise SysError(EINVAL)
    file = task.file(fd)
    if not file.can_write():
        raise SysError(EBADF)
    if count > MAX_RW_COUNT or buf >= TASK_SIZE:
        count = _checked_count(buf, count)
    return pwrite_from(task, fd, file, BufferSource(task.memory, buf, count), offset)


def sys_readv(task: Task, fd: Fd, iov: UserPtr, count: Long) -> int:
    """readv(2)."""
    file = task.file(fd)
    if not file.can_read():
        raise SysError(EBADF)
    return _read_into(task, fd, file, _sink(task, iov, count))


def sys_writev(task: Task, fd: Fd, iov: UserPtr, count: Long) -> int:
    """writev(2)."""
    file = task.file(fd)
    if not file.can_write():
        raise SysError(EBADF)
    return write_from(task, fd, file, _source(task, iov, count))


def sys_preadv(task: Task, fd: Fd, iov: UserPtr, count: Long, low: Long, high: Long) -> int:
    """preadv(2); a 64-bit caller has the whole offset in `low`."""
    return _preadv(task, fd, iov, count, _position(low, high))


def sys_pwritev(task: Task, fd: Fd, iov: UserPtr, count: Long, low: Long, high: Long) -> int:
    """pwritev(2)."""
    return _pwritev(task, fd, iov, count, _position(low, high))


def sys_preadv2(
    task: Task, fd: Fd, iov: UserPtr, count: Long, low: Long, high: Long, flags: Int
) -> int:
    """preadv2(2): offset -1 is the file's own."""
    if flags & ~_RWF_KNOWN or flags & RWF_APPEND:
        raise SysError(EOPNOTSUPP)
    if flags & RWF_NOWAIT:
        _refuse_if_not_ready(task, fd, POLLIN)
    if low == -1:
        return sys_readv(task, fd, iov, count)
    return _preadv(task, fd, iov, count, _position(low, high))


def sys_pwritev2(
    task: Task, fd: Fd, iov: UserPtr, count: Long, low: Long, high: Long, flags: Int
) -> int:
    """pwritev2(2): offset -1 is the file's own; RWF_APPEND writes at the end."""
    if flags & ~_RWF_KNOWN:
        raise SysError(EOPNOTSUPP)
    if flags & RWF_NOWAIT:
        _refuse_if_not_ready(task, fd, POLLOUT)
    if flags & RWF_APPEND:
        file = task.file(fd)
        done = _pwritev(task, fd, iov, count, file.attributes().size)
        if low == -1:
            file.seek(file.attributes().size, SEEK_SET)
    elif low == -1:
        done = sys_writev(task, fd, iov, count)
    else:
        done = _pwritev(task, fd, iov, count, _position(low, high))
    if done > 0 and flags & (RWF_SYNC | RWF_DSYNC):
        task.file(fd).sync(data_only=not flags & RWF_SYNC)
    return done


def write_from(task: Task, fd: int, file: File, source: Source) -> int:
    """Write `source`, which begins after `task.call.done`, as write(2) does."""
    limit = task.group.limits.soft[RLIMIT_FSIZE]
    if not task.creds.effective & _FSETID and file.inode is not None:
        drop_set_ids(task.creds, file.inode)
    if limit != RLIM_INFINITY and _is_regular(file):
        return _write_limited(task, file, source, limit)
    try:
        done = file.try_write(source)
    except SysError as error:
        return _write_failed(task, task.call.done, error)
    if done is not None and (source.size == 0 or not file.writes_all):
        return was_written(file, done + task.call.done)
    return _write_rest(task, fd, file, source, done)


def was_read(file: File, done: int) -> int:
    """Return `done`, the result of a read, of which those who watch the file are told."""
    if WATCHES.is_active and done > 0:
        WATCHES.accessed(file)
    return done


def was_written(file: File, done: int) -> int:
    """The same for a write."""
    if WATCHES.is_active and done > 0:
        WATCHES.modified(file)
    return done


def _write_rest(task: Task, fd: int, file: File, source: Source, done: int | None) -> int:
    """Go on with a write of which `done` was taken just now (None: nothing)."""
    total = task.call.done
    while done is not None:
        total += done
        if source.size == 0 or done == 0:
            return was_written(file, total)
        try:
            done = file.try_write(source)
        except SysError as error:
            return _write_failed(task, total, error)
    if file.flags & O_NONBLOCK:
        return total if total else -EAGAIN
    if task.has_signal:
        return total if total else -ERESTARTSYS
    task.call.done = total
    return wait_for_file(task, fd, file, POLLOUT)


def _write_failed(task: Task, done: int, error: SysError) -> int:
    """Return what a write gives that failed after `done` bytes; EPIPE brings SIGPIPE."""
    if error.errno == EPIPE:
        send_sigpipe(task)
    if done:
        return done
    raise error


def _read_into(task: Task, fd: int, file: File, sink: Sink) -> int:
    done = file.try_read(sink)
    return wait_for_file(task, fd, file, POLLIN) if done is None else was_read(file, done)


def _preadv(task: Task, fd: Fd, iov: UserPtr, count: int, offset: int) -> int:
    if offset < 0:
        raise SysError(EINVAL)
    file = task.file(fd)
    if not file.can_read():
        raise SysError(EBADF)
    done = file.try_pread(_sink(task, iov, count), offset)
    return wait_for_file(task, fd, file, POLLIN) if done is None else was_read(file, done)


def _pwritev(task: Task, fd: Fd, iov: UserPtr, count: int, offset: int) -> int:
    if offset < 0:
        raise SysError(EINVAL)
    file = task.file(fd)
    if not file.can_write():
        raise SysError(EBADF)
    segments = read_iovec(task.memory, iov, count)
    return pwrite_from(task, fd, file, gather(task.memory, segments), offset)


def pwrite_from(task: Task, fd: int, file: File, source: Source, offset: int) -> int:
    """Write `source` at an offset as pwrite(2) does."""
    limit = task.group.limits.soft[RLIMIT_FSIZE]
    if not task.creds.effective & _FSETID and file.inode is not None:
        drop_set_ids(task.creds, file.inode)
    if limit != RLIM_INFINITY and _is_regular(file):
        source = _cut(task, source, offset, limit)
    done = file.try_pwrite(source, offset)
    return wait_for_file(task, fd, file, POLLOUT) if done is None else was_written(file, done)


def _write_limited(task: Task, file: File, source: Source, limit: int) -> int:
    """Write to a regular file under RLIMIT_FSIZE (getrlimit(2))."""
    at = file.attributes().size if file.flags & O_APPEND else file.seek(0, SEEK_CUR)
    done = file.try_write(_cut(task, source, at, limit))
    return 0 if done is None else was_written(file, done)


def _cut(task: Task, source: Source, offset: int, limit: int) -> Source:
    """Shorten a write that would pass the limit; SIGXFSZ and EFBIG where nothing is left."""
    if source.size == 0 or offset + source.size <= limit:
        return source
    if offset >= limit:
        send_sigxfsz(task)
        raise SysError(EFBIG)
    source.size = limit - offset
    return source


def limit_write(task: Task, file: File, source: Source, offset: int = -1) -> Source:
    """Return `source`, shortened where RLIMIT_FSIZE forbids more; offset -1 is the file's own."""
    limit = task.group.limits.soft[RLIMIT_FSIZE]
    if limit == RLIM_INFINITY or not _is_regular(file):
        return source
    if offset < 0:
        offset = file.seek(0, SEEK_CUR)
    return _cut(task, source, offset, limit)


def _is_regular(file: File) -> bool:
    return file.inode is not None and file.inode.mode() & S_IFMT == S_IFREG


def _refuse_if_not_ready(task: Task, fd: int, events: int) -> None:
    """Answer EAGAIN for RWF_NOWAIT where the call would sleep."""
    if not task.file(fd).readiness() & events:
        raise SysError(EAGAIN)


def _sink(task: Task, iov: int, count: int) -> Sink:
    return scatter(task.memory, read_iovec(task.memory, iov, count))


def _source(task: Task, iov: int, count: int) -> Source:
    """Return the source for an iovec, without what an earlier run of the call wrote."""
    segments = read_iovec(task.memory, iov, count)
    skip = task.call.done
    while skip and segments:
        address, size = segments[0]
        step = min(size, skip)
        skip -= step
        if step == size:
            segments = segments[1:]
        else:
            segments = [(address + step, size - step), *segments[1:]]
    return gather(task.memory, segments)


def _position(low: int, high: int) -> int:
    """Return the offset that Linux makes of both halves (pos_from_hilo, fs/read_write.c)."""
    del high  # It is shifted out on a 64-bit machine.
    return s64(low & 0xFFFF_FFFF_FFFF_FFFF)


def _checked_count(buf: int, count: int) -> Size:
    """Return the count that is moved; EFAULT where the buffer leaves user space (access_ok)."""
    if buf + count > TASK_SIZE:
        raise SysError(EFAULT)
    return Size(min(count, MAX_RW_COUNT))
