"""Asynchronous input and output: io_setup(2), io_submit(2), io_getevents(2) and their kind."""

from struct import Struct
from typing import Final

from sentry.abi import aio as abi
from sentry.abi.errno import (
    EAGAIN,
    EBADF,
    EFAULT,
    EINPROGRESS,
    EINTR,
    EINVAL,
    EOPNOTSUPP,
    ERESTARTSYS,
    ESPIPE,
)
from sentry.abi.fcntl import RWF_APPEND, RWF_DSYNC, RWF_HIPRI, RWF_NOWAIT, RWF_SYNC
from sentry.abi.types import NULL, Long, Uint, Ulong, UserPtr
from sentry.errors import SysError
from sentry.fs.aio import AIO_MAX_NR, USE, AioContext
from sentry.fs.eventfd import EventFile
from sentry.kernel.blocking import BLOCKED, sleep, wait, wait_for_file
from sentry.kernel.call import CallData
from sentry.kernel.signal_wait import begin_with_mask, end_with_mask
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source, gather, scatter
from sentry.mm.user import (
    MAX_RW_COUNT,
    TASK_SIZE,
    read_iovec,
    read_timespec_ns,
    read_u32,
    read_u64,
    write_u32,
    write_u64,
)
from sentry.syscalls.read_write import pwrite_from, was_read, write_from
from sentry.vfs.file import POLLIN, File
from sentry.vfs.inode import S_IFDIR, S_IFMT

SYS_MMAP: Final = 9
SYS_MUNMAP: Final = 11
PROT_READ: Final = 1
MAP_PRIVATE_ANONYMOUS: Final = 0x22
NO_FD: Final = 0xFFFF_FFFF_FFFF_FFFF
PAGE: Final = 4096
MOST_REQUESTS: Final = 0x1000_0000 // 64  # events of twice as many
READS: Final = (abi.IOCB_CMD_PREAD, abi.IOCB_CMD_PREADV)
WRITES: Final = (abi.IOCB_CMD_PWRITE, abi.IOCB_CMD_PWRITEV)
SYNCS: Final = (abi.IOCB_CMD_FSYNC, abi.IOCB_CMD_FDSYNC)
BREATH: Final = 1 << 22  # bytes; after so many others have their turn
REQUEST_COST: Final = 1 << 16  # bytes that could be moved instead of making one more request
RWF_KNOWN: Final = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND
_SIGSET: Final = Struct("<QQ")  # struct __aio_sigset


class Submitting(CallData):
    """How many requests of a call that waits are done."""

    def __init__(self) -> None:
        self.count = 0


class Request:
    """A struct iocb."""

    def __init__(self, task: Task, address: int) -> None:
        self.address = address
        (
            self.data,
            _,
            self.rw_flags,
            self.opcode,
            _,
            self.fd,
            self.buffer,
            self.size,
            self.offset,
            self.reserved,
            self.flags,
            self.notice_fd,
        ) = abi.IOCB.unpack(task.memory.read(address, abi.IOCB.size))


def sys_io_setup(task: Task, count: Uint, out: UserPtr) -> int:
    """io_setup(2): the context is the address of an empty page, where libaio looks for a ring."""
    if read_u64(task.memory, out) or not 0 < count <= MOST_REQUESTS:
        raise SysError(EINVAL)
    if USE.requests + count > AIO_MAX_NR:
        raise SysError(EAGAIN)
    address = task.thread.execute(SYS_MMAP, 0, PAGE, PROT_READ, MAP_PRIVATE_ANONYMOUS, NO_FD, 0)
    if -4096 < address < 0:
        return address
    try:
        write_u64(task.memory, out, address)
    except SysError:
        task.thread.execute(SYS_MUNMAP, address, PAGE)
        raise
    covered = task.mm.aio.pop(address, None)  # the guest took its page away
    if covered is not None:
        covered.close()
    task.mm.aio[address] = AioContext(count)
    return 0


def sys_io_destroy(task: Task, number: Ulong) -> int:
    """io_destroy(2)."""
    context = _context(task, number)
    del task.mm.aio[number]
    context.close()
    task.thread.execute(SYS_MUNMAP, number, PAGE)
    return 0


def _context(task: Task, number: int) -> AioContext:
    context = task.mm.aio.get(number)
    if context is None:
        raise SysError(EINVAL)
    context.drop_unused()
    return context


def sys_io_submit(task: Task, number: Ulong, count: Long, pointers: UserPtr) -> int:
    """io_submit(2): what does not wait for a file is done at once."""
    if count < 0:
        raise SysError(EINVAL)
    context = _context(task, number)
    state = task.call.data
    if not isinstance(state, Submitting):
        state = task.call.data = Submitting()
    cost = 0
    while state.count < count:
        if cost >= BREATH:
            if task.has_signal:
                break
            return sleep(task, 1)
        try:
            address = read_u64(task.memory, pointers + 8 * state.count)
            if _submit(task, context, address) == BLOCKED:
                return BLOCKED
        except SysError:
            if state.count:
                break
            raise
        state.count += 1
        task.call.done = 0
        cost += REQUEST_COST + max(context.last_result, 0)
    return state.count


def _submit(task: Task, context: AioContext, address: int) -> int:
    """Do one request, or begin it; SysError: it is not one."""
    request = Request(task, address)
    if request.reserved or request.size > (1 << 63) - 1:
        raise SysError(EINVAL)
    if context.is_full():
        raise SysError(EAGAIN)
    file = task.file(request.fd)
    notice: EventFile | None = None
    if request.flags & abi.IOCB_FLAG_RESFD:
        found = task.fds.get(request.notice_fd)
        if not isinstance(found, EventFile):
            raise SysError(EINVAL)
        notice = found
    write_u32(task.memory, address + abi.IOCB_KEY_AT, 0)
    if request.opcode == abi.IOCB_CMD_POLL:
        if request.buffer > 0xFFFF or request.offset or request.size or request.rw_flags:
            raise SysError(EINVAL)
        context.add_poll((request.data, address), file, request.buffer, notice)
        return 0
    if request.opcode in READS or request.opcode in WRITES:
        result = _move(task, request, file)
    elif request.opcode in SYNCS:
        result = _sync(request, file)
    else:
        raise SysError(EINVAL)
    if result != BLOCKED:
        context.complete(request.data, address, result, notice)
    return result


def _sync(request: Request, file: File) -> int:
    if request.buffer or request.offset or request.size or request.rw_flags:
        raise SysError(EINVAL)
    try:
        file.sync(data_only=request.opcode == abi.IOCB_CMD_FDSYNC)
    except SysError as error:
        if error.errno == EINVAL:
            raise
        return -error.errno
    return 0


def _move(task: Task, request: Request, file: File) -> int:
    """Read or write; return the result, which may be an error, or BLOCKED."""
    if request.rw_flags & ~RWF_KNOWN:
        raise SysError(EOPNOTSUPP)
    is_read = request.opcode in READS
    if not (file.can_read() if is_read else file.can_write()):
        raise SysError(EBADF)
    if request.offset < 0:
        raise SysError(EINVAL)
    if file.inode is not None and file.inode.mode() & S_IFMT == S_IFDIR:
        raise SysError(EINVAL)
    segments = _segments(task, request)
    try:
        if is_read:
            return _read(task, request, file, scatter(task.memory, segments))
        done = _write(task, request, file, segments)
        if done > 0 and request.rw_flags & (RWF_SYNC | RWF_DSYNC):
            file.sync(data_only=not request.rw_flags & RWF_SYNC)
        return done
    except SysError as error:
        return -EINTR if error.errno == ERESTARTSYS else -error.errno


def _segments(task: Task, request: Request) -> list[tuple[int, int]]:
    """Return the pieces of memory that a request is about."""
    if request.opcode in (abi.IOCB_CMD_PREADV, abi.IOCB_CMD_PWRITEV):
        return read_iovec(task.memory, request.buffer, request.size)
    size = min(request.size, MAX_RW_COUNT)
    if request.buffer + size > TASK_SIZE:
        raise SysError(EFAULT)
    return [(request.buffer, size)]


def _read(task: Task, request: Request, file: File, sink: Sink) -> int:
    try:
        done = file.try_pread(sink, request.offset)
    except SysError as error:
        if error.errno != ESPIPE:
            raise
        done = file.try_read(sink)
    return was_read(file, done) if done is not None else _wait(task, request, file)


def _wait(task: Task, request: Request, file: File) -> int:
    if request.rw_flags & RWF_NOWAIT:
        return -EAGAIN
    return wait_for_file(task, request.fd, file, POLLIN)


def _write(task: Task, request: Request, file: File, segments: list[tuple[int, int]]) -> int:
    offset = file.attributes().size if request.rw_flags & RWF_APPEND else request.offset
    try:
        return pwrite_from(task, request.fd, file, gather(task.memory, segments), offset)
    except SysError as error:
        if error.errno != ESPIPE:
            raise
    return write_from(task, request.fd, file, _rest(task, segments))


def _rest(task: Task, segments: list[tuple[int, int]]) -> Source:
    """Return the source of a write to a stream, of which an earlier run has done a part."""
    skip = task.call.done
    left: list[tuple[int, int]] = []
    for address, size in segments:
        step = min(size, skip)
        skip -= step
        if step < size:
            left.append((address + step, size - step))
    return gather(task.memory, left)


def sys_io_getevents(
    task: Task, number: Ulong, least: Long, most: Long, out: UserPtr, timeout: UserPtr
) -> int:
    """io_getevents(2)."""
    if timeout != NULL and task.call.is_first_run:
        ns = read_timespec_ns(task.memory, timeout)
        task.call.deadline_ns = task.kernel.clock.monotonic_ns() + ns
    return _take(task, number, least, most, out)


def sys_io_pgetevents(
    task: Task,
    number: Ulong,
    least: Long,
    most: Long,
    out: UserPtr,
    timeout: UserPtr,
    signals: UserPtr,
) -> int:
    """io_pgetevents(2)."""
    mask = size = 0
    if signals != NULL:
        mask, size = _SIGSET.unpack(task.memory.read(signals, _SIGSET.size))
    begin_with_mask(task, mask, size)
    try:
        result = sys_io_getevents(task, number, least, most, out, timeout)
    except SysError as error:
        end_with_mask(task, interrupted=error.errno == EINTR)
        raise
    if result != BLOCKED:
        end_with_mask(task, interrupted=False)
    return result


def _take(task: Task, number: int, least: int, most: int, out: int) -> int:
    """Return as many events as are wanted, or as there are when the time is over."""
    context = _context(task, number)
    if not 0 <= least <= most:
        raise SysError(EINVAL)
    call = task.call
    ready = len(context.events)
    if ready < least:
        is_late = call.deadline_ns and task.kernel.clock.monotonic_ns() >= call.deadline_ns
        if not is_late and not task.has_signal:
            return wait(task, context.queue, POLLIN, call.deadline_ns)
        if not ready and not is_late:
            raise SysError(EINTR)
    taken = min(ready, most)
    if taken:
        packed = [context.events[at] for at in range(taken)]
        task.memory.write(out, b"".join(packed))
        for _ in range(taken):
            context.events.popleft()
    return taken


def sys_io_cancel(task: Task, number: Ulong, address: UserPtr, out: UserPtr) -> int:
    """io_cancel(2): the event of a request that is given up comes as that of others."""
    del out
    if read_u32(task.memory, address + abi.IOCB_KEY_AT):
        raise SysError(EINVAL)
    context = _context(task, number)
    for poll in context.polls:
        if poll.address == address:
            context.end_poll(poll, 0)
            raise SysError(EINPROGRESS)
    raise SysError(EINVAL)
