"""mq_open(2), mq_unlink(2), mq_timedsend(2), mq_timedreceive(2), mq_notify(2), mq_getsetattr(2)."""

from struct import Struct
from typing import Final

from sentry.abi.capability import CAP_FOWNER, CAP_SYS_RESOURCE
from sentry.abi.errno import (
    EACCES,
    EAGAIN,
    EBADF,
    EBUSY,
    EEXIST,
    EINVAL,
    EMSGSIZE,
    ENAMETOOLONG,
    ENOENT,
    ENOSYS,
    EPERM,
    ERESTARTSYS,
    ETIMEDOUT,
)
from sentry.abi.fcntl import (
    O_ACCMODE,
    O_CLOEXEC,
    O_CREAT,
    O_EXCL,
    O_NONBLOCK,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
)
from sentry.abi.ipc import MQ_PRIO_MAX
from sentry.abi.limits import NAME_MAX, PATH_MAX
from sentry.abi.resource import RLIMIT_MSGQUEUE
from sentry.abi.signal import (
    NSIG,
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD,
    SIGEVENT_SIZE,
    unpack_sigevent,
)
from sentry.abi.types import NULL, Fd, Int, Mode, Size, Uint, UserPtr
from sentry.errors import SysError
from sentry.fs.mqueue import (
    HARD_MESSAGES,
    HARD_SIZE,
    Mqueue,
    MqueueFile,
    Notice,
)
from sentry.kernel.blocking import wait
from sentry.kernel.call import CallData
from sentry.kernel.task import Task
from sentry.mm.user import read_timespec_ns, write_u32
from sentry.vfs.file import POLLIN, POLLOUT, File
from sentry.vfs.permission import MAY_READ, MAY_WRITE, check

_ATTRIBUTES: Final = Struct("<4q32x")  # struct mq_attr: flags, maxmsg, msgsize, curmsgs
_WANTED: Final = {O_RDONLY: MAY_READ, O_WRONLY: MAY_WRITE, O_RDWR: MAY_READ | MAY_WRITE}


class Receiving(CallData):
    """A task that waits for a message: nobody else is told of it."""

    def __init__(self, queue: Mqueue) -> None:
        self._queue = queue
        queue.receivers += 1

    def release(self) -> None:
        self._queue.receivers -= 1


def _read_name(task: Task, address: int) -> bytes:
    """Copy a name in, which has no slash; SysError(EACCES, ENAMETOOLONG, ENOENT)."""
    name = task.memory.read_cstring(address, PATH_MAX)
    if not name:
        raise SysError(ENOENT)
    if b"/" in name or name in (b".", b".."):
        raise SysError(EACCES)
    if len(name) > NAME_MAX:
        raise SysError(ENAMETOOLONG)
    return name


def sys_mq_open(task: Task, address: UserPtr, flags: Int, mode: Mode, wanted: UserPtr) -> int:
    """mq_open(2)."""
    attributes: tuple[int, ...] = ()
    if wanted != NULL and flags & O_CREAT:
        attributes = _ATTRIBUTES.unpack(task.memory.read(wanted, _ATTRIBUTES.size))
    name = _read_name(task, address)
    queues = task.ipc.mqueues
    queue = queues.queues.get(name)
    if queue is None:
        if not flags & O_CREAT:
            raise SysError(ENOENT)
        queue = _make(task, mode, attributes)
        queues.make(name, queue, task.group.limits.soft[RLIMIT_MSGQUEUE])
    else:
        if flags & O_CREAT and flags & O_EXCL:
            raise SysError(EEXIST)
        access = _WANTED.get(flags & O_ACCMODE)
        if access is None:
            raise SysError(EINVAL)
        check(task.creds, queue, access)
    file = MqueueFile(queues, queue, flags & (O_ACCMODE | O_NONBLOCK))
    file.acquire()  # dropping it closes what could not be installed
    try:
        return task.fds.install(file, cloexec=bool(flags & O_CLOEXEC))
    finally:
        file.drop()


def _make(task: Task, mode: int, attributes: tuple[int, ...]) -> Mqueue:
    limits = task.ipc.mqueues.limits
    most = min(limits["msg_max"], limits["msg_default"])
    size = min(limits["msgsize_max"], limits["msgsize_default"])
    if attributes:
        most, size = attributes[1], attributes[2]
        bounds = limits["msg_max"], limits["msgsize_max"]
        if task.creds.has_capability(CAP_SYS_RESOURCE):
            bounds = HARD_MESSAGES, HARD_SIZE
        if not 0 < most <= bounds[0] or not 0 < size <= bounds[1]:
            raise SysError(EINVAL)
    creds = task.creds
    return Mqueue(mode & 0o7777 & ~task.fs.umask, creds.fsuid, creds.fsgid, most, size)


def sys_mq_unlink(task: Task, address: UserPtr) -> int:
    """mq_unlink(2)."""
    name = _read_name(task, address)
    queues = task.ipc.mqueues
    queue = queues.queues.get(name)
    if queue is None:
        raise SysError(ENOENT)
    if task.creds.fsuid not in (queue.permissions()[1], 0):
        if not task.creds.has_capability(CAP_FOWNER):
            raise SysError(EPERM)
    queues.unlink(name)
    return 0


def _open_queue(task: Task, fd: int, *, for_writing: bool) -> MqueueFile:
    file: File = task.file(fd)
    if not isinstance(file, MqueueFile):
        raise SysError(EBADF)
    if not (file.can_write() if for_writing else file.can_read()):
        raise SysError(EBADF)
    return file


def _note_deadline(task: Task, timeout: int) -> None:
    """Turn a point of CLOCK_REALTIME into a deadline; SysError(EINVAL)."""
    call = task.call
    if timeout == NULL or not call.is_first_run:
        return
    clock = task.kernel.clock
    ns = read_timespec_ns(task.memory, timeout)
    call.deadline_ns = max(clock.monotonic_ns() + ns - clock.realtime_ns(), 1)


def sys_mq_timedsend(
    task: Task, fd: Fd, address: UserPtr, size: Size, priority: Uint, timeout: UserPtr
) -> int:
    """mq_timedsend(2)."""
    if priority >= MQ_PRIO_MAX:
        raise SysError(EINVAL)
    _note_deadline(task, timeout)
    file = _open_queue(task, fd, for_writing=True)
    queue = file.mqueue
    if size > queue.message_size:
        raise SysError(EMSGSIZE)
    data = task.memory.read(address, size)
    if not queue.put(data, priority, (task.group.pid, task.creds.uid)):
        return _wait(task, fd, file, POLLOUT)
    return 0


def _wait(task: Task, fd: int, file: MqueueFile, events: int) -> int:
    call = task.call
    if file.flags & O_NONBLOCK:
        raise SysError(EAGAIN)
    if call.deadline_ns and call.deadline_ns <= task.kernel.clock.monotonic_ns():
        raise SysError(ETIMEDOUT)
    if task.has_signal:
        raise SysError(ERESTARTSYS)
    if fd not in call.files:
        call.hold(fd, file)
    return wait(task, file.queue, events, call.deadline_ns)


def sys_mq_timedreceive(
    task: Task, fd: Fd, address: UserPtr, size: Size, priority: UserPtr, timeout: UserPtr
) -> int:
    """mq_timedreceive(2)."""
    _note_deadline(task, timeout)
    file = _open_queue(task, fd, for_writing=False)
    queue = file.mqueue
    if size < queue.message_size:
        raise SysError(EMSGSIZE)
    message = queue.take()
    if message is None:
        if task.call.data is None and not file.flags & O_NONBLOCK:
            task.call.data = Receiving(queue)
        return _wait(task, fd, file, POLLIN)
    if priority != NULL:
        write_u32(task.memory, priority, message.priority)
    task.memory.write(address, message.data)
    return len(message.data)


def sys_mq_notify(task: Task, fd: Fd, event: UserPtr) -> int:
    """mq_notify(2); threads (SIGEV_THREAD) are not started."""
    notice: Notice | None = None
    if event != NULL:
        value, number, method, _ = unpack_sigevent(task.memory.read(event, SIGEVENT_SIZE))
        if method not in (SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD):
            raise SysError(EINVAL)
        if method == SIGEV_SIGNAL and not 0 <= number <= NSIG:
            raise SysError(EINVAL)
        if method == SIGEV_THREAD:
            raise SysError(ENOSYS)
        notice = Notice(task.group, method, number, value)
    file = task.file(fd)
    if not isinstance(file, MqueueFile):
        raise SysError(EBADF)
    queue = file.mqueue
    if notice is None:
        if queue.notice is not None and queue.notice.group is task.group:
            queue.notice = None
    elif queue.notice is not None:
        raise SysError(EBUSY)
    else:
        queue.notice = notice
    return 0


def sys_mq_getsetattr(task: Task, fd: Fd, new: UserPtr, old: UserPtr) -> int:
    """mq_getsetattr(2): of a queue that is open only O_NONBLOCK can be changed."""
    wanted = -1
    if new != NULL:
        wanted = _ATTRIBUTES.unpack(task.memory.read(new, _ATTRIBUTES.size))[0]
        if wanted & ~O_NONBLOCK:
            raise SysError(EINVAL)
    file = task.file(fd)
    if not isinstance(file, MqueueFile):
        raise SysError(EBADF)
    queue = file.mqueue
    raw = _ATTRIBUTES.pack(
        file.flags & O_NONBLOCK, queue.most, queue.message_size, len(queue.messages)
    )
    if wanted >= 0:
        file.set_status_flags(file.flags & ~O_NONBLOCK | wanted)
    if old != NULL:
        task.memory.write(old, raw)
    return 0
