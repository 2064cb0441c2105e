"""splice(2), tee(2), vmsplice(2): copies through the kernel, a pipe's room at most."""

from typing import Final

from sentry.abi.errno import EAGAIN, EBADF, EINVAL, EPIPE, ESPIPE
from sentry.abi.fcntl import SPLICE_F_GIFT, SPLICE_F_MORE, SPLICE_F_MOVE, SPLICE_F_NONBLOCK
from sentry.abi.types import NULL, Fd, Size, Uint, Ulong, UserPtr
from sentry.errors import SysError
from sentry.fs.pipefs import PipeFile
from sentry.kernel.blocking import wait_for_file
from sentry.kernel.fault_signals import send_sigpipe
from sentry.kernel.task import Task
from sentry.mm.io import KernelSink, KernelSource, gather, scatter
from sentry.mm.user import read_iovec, read_u64, write_u64
from sentry.syscalls.read_write import was_read, was_written, write_from
from sentry.vfs.file import POLLIN, POLLOUT, File

O_APPEND: Final = 0o2000
_KNOWN: Final = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT


def sys_splice(
    task: Task,
    fd_in: Fd,
    offset_in: UserPtr,
    fd_out: Fd,
    offset_out: UserPtr,
    count: Size,
    flags: Uint,
) -> int:
    """splice(2)."""
    if flags & ~_KNOWN:
        raise SysError(EINVAL)
    if count == 0:
        return 0
    source, target = _two_files(task, fd_in, fd_out)
    if isinstance(source, PipeFile) and offset_in != NULL:
        raise SysError(ESPIPE)
    if isinstance(target, PipeFile):
        if offset_out != NULL:
            raise SysError(ESPIPE)
        if isinstance(source, PipeFile) and source.pipe is target.pipe:
            raise SysError(EINVAL)
        return _into_pipe(task, fd_in, source, offset_in, fd_out, target, count, flags)
    if isinstance(source, PipeFile):
        return _from_pipe(task, fd_in, source, fd_out, target, offset_out, count, flags)
    raise SysError(EINVAL)


def sys_tee(task: Task, fd_in: Fd, fd_out: Fd, count: Size, flags: Uint) -> int:
    """tee(2): what is copied stays in the first pipe."""
    if flags & ~_KNOWN:
        raise SysError(EINVAL)
    if count == 0:
        return 0
    source, target = _two_files(task, fd_in, fd_out)
    if not isinstance(source, PipeFile) or not isinstance(target, PipeFile):
        raise SysError(EINVAL)
    if source.pipe is target.pipe:
        raise SysError(EINVAL)
    if not source.pipe.buffer:
        if source.pipe.writers == 0:
            return 0
        return _wait(task, fd_in, source, POLLIN, flags)
    room = _room(task, target)
    if room <= 0:
        return _wait(task, fd_out, target, POLLOUT, flags)
    data = bytes(source.pipe.buffer[: min(count, room)])
    target.pipe.append(data)
    return len(data)


def sys_vmsplice(task: Task, fd: Fd, iov: UserPtr, count: Ulong, flags: Uint) -> int:
    """vmsplice(2): the direction is that of the pipe's end."""
    if flags & ~_KNOWN:
        raise SysError(EINVAL)
    file = task.file(fd)
    if not isinstance(file, PipeFile):
        raise SysError(EBADF)
    segments = read_iovec(task.memory, iov, count)
    if file.can_write():
        source = gather(task.memory, segments)
        source.take(task.call.done)
        if flags & SPLICE_F_NONBLOCK and source.size and _room(task, file) <= 0:
            raise SysError(EAGAIN)
        return write_from(task, fd, file, source)
    done = file.try_read(scatter(task.memory, segments))
    return _wait(task, fd, file, POLLIN, flags) if done is None else done


def _into_pipe(
    task: Task,
    fd_in: int,
    source: File,
    offset_at: int,
    fd_out: int,
    target: PipeFile,
    count: int,
    flags: int,
) -> int:
    room = _room(task, target)
    if room <= 0:
        return _wait(task, fd_out, target, POLLOUT, flags)
    sink = KernelSink(min(count, room))
    if offset_at:
        offset = _offset(task, offset_at)
        done = source.try_pread(sink, offset)
    else:
        offset = 0
        done = source.try_read(sink)
    if done is None:
        return _wait(task, fd_in, source, POLLIN, flags)
    if done:
        target.pipe.append(bytes(sink.data))
        if offset_at:
            write_u64(task.memory, offset_at, offset + done)
    return was_read(source, done)


def _from_pipe(
    task: Task,
    fd_in: int,
    source: PipeFile,
    fd_out: int,
    target: File,
    offset_at: int,
    count: int,
    flags: int,
) -> int:
    pipe = source.pipe
    if target.flags & O_APPEND:
        raise SysError(EINVAL)
    if not pipe.buffer:
        if pipe.writers == 0:
            return 0
        return _wait(task, fd_in, source, POLLIN, flags)
    data = KernelSource(bytes(pipe.buffer[:count]))
    try:
        if offset_at:
            offset = _offset(task, offset_at)
            done = target.try_pwrite(data, offset)
        else:
            offset = 0
            done = target.try_write(data)
    except SysError as error:
        if error.errno == EPIPE:
            send_sigpipe(task)
        raise
    if done is None:
        return _wait(task, fd_out, target, POLLOUT, flags)
    pipe.consume(done)
    if offset_at:
        write_u64(task.memory, offset_at, offset + done)
    return was_written(target, done)


def _two_files(task: Task, fd_in: Fd, fd_out: Fd) -> tuple[File, File]:
    source = task.file(fd_in)
    target = task.file(fd_out)
    if not source.can_read() or not target.can_write():
        raise SysError(EBADF)
    return source, target


def _room(task: Task, target: PipeFile) -> int:
    """Return how much fits into a pipe; SIGPIPE and EPIPE if nobody can read it."""
    if target.pipe.readers == 0:
        send_sigpipe(task)
        raise SysError(EPIPE)
    return target.pipe.room()


def _offset(task: Task, address: int) -> int:
    offset = read_u64(task.memory, address)
    if offset >> 63:
        raise SysError(EINVAL)
    return offset


def _wait(task: Task, fd: int, file: File, events: int, flags: int) -> int:
    if flags & SPLICE_F_NONBLOCK:
        raise SysError(EAGAIN)
    return wait_for_file(task, fd, file, events)
