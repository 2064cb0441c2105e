"""msgget(2), msgsnd(2), msgrcv(2), msgctl(2)."""

from typing import Final

from sentry.abi import ipc as abi
from sentry.abi.capability import CAP_SYS_RESOURCE
from sentry.abi.errno import (
    E2BIG,
    EAGAIN,
    EIDRM,
    EINVAL,
    ENOMSG,
    EPERM,
    ERESTARTNOHAND,
)
from sentry.abi.types import Int, Long, Size, UserPtr, s64
from sentry.errors import SysError
from sentry.kernel.blocking import wait
from sentry.kernel.call import CallData
from sentry.kernel.ipc import MAY_READ, MAY_WRITE
from sentry.kernel.message_queues import IpcMessage, MessageQueue
from sentry.kernel.task import Task
from sentry.syscalls.sysv_ipc import pack_permissions, seconds, set_permissions
from sentry.vfs.file import POLLIN, POLLOUT

KIND_SIZE: Final = 8  # of mtype, before the text
SIZE_MAX: Final = (1 << 63) - 1


class MessageCall(CallData):
    """A send or receive that waits: its queue, and what is to be sent."""

    def __init__(self, queue: MessageQueue, message: IpcMessage | None) -> None:
        self.queue = queue
        self.message = message


def sys_msgget(task: Task, key: Int, flags: Int) -> int:
    """msgget(2)."""
    messages = task.ipc.messages
    found = messages.existing(key, 0, flags, task.creds)
    if found is not None:
        return found.number
    made = MessageQueue(key, flags, task.creds)
    made.change_time = seconds(task)
    return messages.add(made)


def sys_msgsnd(task: Task, number: Int, address: UserPtr, size: Size, flags: Int) -> int:
    """msgsnd(2)."""
    kept = task.call.data
    if isinstance(kept, MessageCall):
        queue, message = kept.queue, kept.message
        assert message is not None
    else:
        if size > abi.MSGMAX or number < 0:
            raise SysError(EINVAL)
        raw = task.memory.read(address, KIND_SIZE + size)
        kind = int.from_bytes(raw[:KIND_SIZE], "little", signed=True)
        if kind < 1:
            raise SysError(EINVAL)
        message = IpcMessage(kind, raw[KIND_SIZE:])
        queue = task.ipc.messages.messages(number)
    if queue.is_removed:
        raise SysError(EIDRM)
    queue.check(task.creds, MAY_WRITE)
    if not task.ipc.messages.put(queue, message):
        if flags & abi.IPC_NOWAIT:
            raise SysError(EAGAIN)
        return _wait(task, queue, message, POLLOUT)
    queue.last_sender = task.group.pid
    queue.send_time = seconds(task)
    queue.queue.notify(POLLIN)
    return 0


def _wait(task: Task, queue: MessageQueue, message: IpcMessage | None, events: int) -> int:
    if task.has_signal:
        raise SysError(ERESTARTNOHAND)
    if task.call.data is None:
        task.call.data = MessageCall(queue, message)
    return wait(task, queue.queue, events)


def sys_msgrcv(
    task: Task, number: Int, address: UserPtr, size: Size, wanted: Long, flags: Int
) -> int:
    """msgrcv(2)."""
    kept = task.call.data
    if isinstance(kept, MessageCall):
        queue = kept.queue
        if queue.is_removed:
            raise SysError(EIDRM)
    else:
        if number < 0 or s64(size) < 0:
            raise SysError(EINVAL)
        if flags & abi.MSG_COPY and (flags & abi.MSG_EXCEPT or not flags & abi.IPC_NOWAIT):
            raise SysError(EINVAL)
        queue = task.ipc.messages.messages(number)
    queue.check(task.creds, MAY_READ)
    message = _chosen(queue, wanted, flags)
    if message is None:
        if flags & abi.IPC_NOWAIT:
            raise SysError(ENOMSG)
        return _wait(task, queue, None, POLLIN)
    if len(message.data) > size and not flags & abi.MSG_NOERROR:
        raise SysError(E2BIG)
    if not flags & abi.MSG_COPY:
        task.ipc.messages.take(queue, message)
        queue.last_receiver = task.group.pid
        queue.receive_time = seconds(task)
        queue.queue.notify(POLLOUT)
    data = message.data[:size]
    task.memory.write(address, message.kind.to_bytes(KIND_SIZE, "little") + data)
    return len(data)


def _chosen(queue: MessageQueue, wanted: int, flags: int) -> IpcMessage | None:
    """Return the message that is meant; with MSG_COPY `wanted` is its place in the queue."""
    if not flags & abi.MSG_COPY:
        return queue.find(max(wanted, -SIZE_MAX), flags)
    return queue.messages[wanted] if 0 <= wanted < len(queue.messages) else None


def sys_msgctl(task: Task, number: Int, command: Int, buf: UserPtr) -> int:
    """msgctl(2)."""
    if number < 0:
        raise SysError(EINVAL)
    command = Int(command & ~abi.IPC_64)
    messages = task.ipc.messages
    if command in (abi.IPC_INFO, abi.MSG_INFO):
        return _limits(task, command, buf)
    if command in (abi.IPC_STAT, abi.MSG_STAT, abi.MSG_STAT_ANY):
        return _status(task, number, command, buf)
    if command == abi.IPC_SET:
        raw = task.memory.read(buf, abi.IPC64_PERM.size + abi.MSQID64_DS.size)
        queue = messages.messages(number)
        queue.check_owner(task.creds)
        most: int = abi.MSQID64_DS.unpack_from(raw, abi.IPC64_PERM.size)[5]
        if most > abi.MSGMNB and not task.creds.has_capability(CAP_SYS_RESOURCE):
            raise SysError(EPERM)
        queue.most = most
        set_permissions(queue, raw)
        queue.change_time = seconds(task)
        queue.queue.notify(POLLIN | POLLOUT)
    elif command == abi.IPC_RMID:
        queue = messages.messages(number)
        queue.check_owner(task.creds)
        messages.destroy(queue)
        queue.queue.notify(POLLIN | POLLOUT)
    else:
        raise SysError(EINVAL)
    return 0


def _limits(task: Task, command: int, buf: int) -> int:
    messages = task.ipc.messages
    pool, entries, total = 512000, abi.MSGMNB, abi.MSGMNB
    if command == abi.MSG_INFO:
        pool = len(messages.objects)
        entries, total = messages.counts()
    raw = abi.MSGINFO.pack(pool, entries, abi.MSGMAX, abi.MSGMNB, messages.most, 16, total, 0xFFFF)
    task.memory.write(buf, raw)
    return messages.highest_index()


def _status(task: Task, number: int, command: int, buf: int) -> int:
    messages = task.ipc.messages
    if command == abi.IPC_STAT:
        queue = messages.messages(number)
    else:
        queue = messages.messages_at(number)
    if command != abi.MSG_STAT_ANY:
        queue.check(task.creds, MAY_READ)
    raw = pack_permissions(queue) + abi.MSQID64_DS.pack(
        queue.send_time,
        queue.receive_time,
        queue.change_time,
        queue.size,
        len(queue.messages),
        queue.most,
        queue.last_sender,
        queue.last_receiver,
    )
    task.memory.write(buf, raw)
    return 0 if command == abi.IPC_STAT else queue.number
