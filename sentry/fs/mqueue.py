"""POSIX message queues (mq_overview(7)): named queues whose messages have priorities."""

from bisect import insort
from typing import Final

from sentry.abi.errno import EINVAL, EMFILE, ENOSPC
from sentry.abi.signal import pack_siginfo_rt
from sentry.abi.stat import S_IFREG
from sentry.errors import SysError
from sentry.fs.anon import AnonInode
from sentry.kernel.signal import SignalInfo, send_to_group
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.mm.io import Sink, Source
from sentry.vfs.caller import Caller
from sentry.vfs.file import POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, File

MQUEUE_DEVICE: Final = 19
HARD_MESSAGES: Final = 65536
HARD_SIZE: Final = 16 << 20
ENTRY_SIZE: Final = 128  # what a message costs beside its bytes
TOTAL_MAX: Final = 64 << 20  # bytes that all queues together may promise to keep
SIGEV_SIGNAL: Final = 0
SI_MESGQ: Final = -3


class Notice:
    """Who wants to hear of a message in an empty queue (mq_notify(3))."""

    def __init__(self, group: ThreadGroup, method: int, number: int, value: int) -> None:
        self.group = group
        self.method = method  # SIGEV_
        self.number = number  # of the signal
        self.value = value


class QueuedMessage:
    """One message; those of a higher priority, then those that came earlier, are less."""

    def __init__(self, priority: int, order: int, data: bytes) -> None:
        self.priority = priority
        self.order = order
        self.data = data

    def __lt__(self, other: "QueuedMessage") -> bool:
        if self.priority != other.priority:
            return self.priority > other.priority
        return self.order < other.order


class Mqueue(AnonInode):
    """One queue."""

    def __init__(self, mode: int, uid: int, gid: int, most: int, size: int) -> None:
        super().__init__(MQUEUE_DEVICE, S_IFREG | mode, uid, gid)
        self.most = most
        self.message_size = size
        self.messages: list[QueuedMessage] = []
        self.size = 0  # bytes in them
        self.notice: Notice | None = None
        self.receivers = 0  # tasks that wait for a message
        self.files: list[MqueueFile] = []
        self.is_unlinked = False
        self.charged_uid = uid
        self.charge = most * (ENTRY_SIZE + size)
        self._order = 0

    def put(self, data: bytes, priority: int, sender: tuple[int, int]) -> bool:
        """Take a message of a process (pid and uid); False: the queue is full."""
        if len(self.messages) >= self.most:
            return False
        self._order += 1
        was_empty = not self.messages
        insort(self.messages, QueuedMessage(priority, self._order, data))
        self.size += len(data)
        notice = self.notice
        if was_empty and notice is not None and not self.receivers:
            self.notice = None
            if notice.method == SIGEV_SIGNAL:
                send_to_group(notice.group, message_info(notice, sender))
        self._tell(POLLIN | POLLRDNORM)
        return True

    def take(self) -> QueuedMessage | None:
        """Take the first message out."""
        if not self.messages:
            return None
        message = self.messages.pop(0)
        self.size -= len(message.data)
        self._tell(POLLOUT | POLLWRNORM)
        return message

    def _tell(self, events: int) -> None:
        for file in self.files:
            file.queue.notify(events)


def message_info(notice: Notice, sender: tuple[int, int]) -> SignalInfo:
    """Return the signal that tells of a message (SI_MESGQ)."""
    raw = pack_siginfo_rt(notice.number, SI_MESGQ, sender[0], sender[1], notice.value)
    return SignalInfo(notice.number, SI_MESGQ, raw)


class MqueueFile(File):
    """An open queue."""

    def __init__(self, queues: "MqueueTable", inode: Mqueue, flags: int) -> None:
        super().__init__(flags, inode)
        self._queues = queues
        self.mqueue = inode
        inode.files.append(self)

    def release(self) -> None:
        self.mqueue.files.remove(self)
        self._queues.forget_if_unused(self.mqueue)

    def flush(self, caller: Caller) -> None:
        notice = self.mqueue.notice
        if notice is not None and isinstance(caller, Task) and caller.group is notice.group:
            self.mqueue.notice = None

    def try_read(self, sink: Sink) -> int | None:
        raise SysError(EINVAL)

    def try_write(self, source: Source) -> int | None:
        raise SysError(EINVAL)

    def readiness(self) -> int:
        ready = POLLIN | POLLRDNORM if self.mqueue.messages else 0
        if len(self.mqueue.messages) < self.mqueue.most:
            ready |= POLLOUT | POLLWRNORM
        return ready


class MqueueTable:
    """All queues of a namespace, by name."""

    def __init__(self) -> None:
        self.limits = {  # of /proc/sys/fs/mqueue
            "msg_max": 10,
            "msgsize_max": 8192,
            "queues_max": 256,
            "msg_default": 10,
            "msgsize_default": 8192,
        }
        self.queues: dict[bytes, Mqueue] = {}
        self._bytes: dict[int, int] = {}  # that are promised, by uid
        self._total = 0

    def make(self, name: bytes, made: Mqueue, bytes_max: int) -> None:
        """Enter a queue; SysError(EMFILE) beyond RLIMIT_MSGQUEUE, ENOSPC for too many."""
        used = self._bytes.get(made.charged_uid, 0)
        if used + made.charge > bytes_max or self._total + made.charge > TOTAL_MAX:
            raise SysError(EMFILE)
        if len(self.queues) >= self.limits["queues_max"]:
            raise SysError(ENOSPC)
        self._bytes[made.charged_uid] = used + made.charge
        self._total += made.charge
        self.queues[name] = made

    def unlink(self, name: bytes) -> None:
        """Forget a name; the queue stays for who has it open."""
        gone = self.queues.pop(name)
        gone.is_unlinked = True
        self.forget_if_unused(gone)

    def forget_if_unused(self, queue: Mqueue) -> None:
        """Give back what a queue has promised, if neither a name nor a descriptor leads there."""
        if queue.is_unlinked and not queue.files and queue.charge:
            left = self._bytes.get(queue.charged_uid, 0) - queue.charge
            if left > 0:
                self._bytes[queue.charged_uid] = left
            else:
                self._bytes.pop(queue.charged_uid, None)
            self._total -= queue.charge
            queue.charge = 0
