"""Queues of System V messages (msgget(2))."""

from collections import deque
from typing import Final

from sentry.abi.ipc import MSG_EXCEPT, MSGMNB, MSGMNI
from sentry.kernel.ipc import IpcObject, IpcTable
from sentry.vfs.creds import Credentials
from sentry.waitqueue import WaitQueue

TOTAL_MAX: Final = 64 << 20  # bytes in all queues: what one guest may have the sandbox keep
MESSAGE_OVERHEAD: Final = 128


class IpcMessage:
    """One message."""

    def __init__(self, kind: int, data: bytes) -> None:
        self.kind = kind
        self.data = data


class MessageQueue(IpcObject):
    """One queue."""

    def __init__(self, key: int, mode: int, creds: Credentials) -> None:
        super().__init__(key, mode, creds)
        self.messages: deque[IpcMessage] = deque()
        self.size = 0  # bytes in them
        self.most = MSGMNB
        self.queue = WaitQueue()  # of who sends and who receives
        self.last_sender = 0  # pids
        self.last_receiver = 0
        self.send_time = 0
        self.receive_time = 0
        self.change_time = 0

    def has_room(self, size: int) -> bool:
        """Return whether a message of a size may be sent now."""
        return self.size + size <= self.most and len(self.messages) + 1 <= self.most

    def find(self, wanted: int, flags: int) -> IpcMessage | None:
        """Return the message that msgrcv(2) means by its type."""
        best: IpcMessage | None = None
        for message in self.messages:
            if wanted == 0:
                return message
            if wanted > 0:
                if (message.kind == wanted) != bool(flags & MSG_EXCEPT):
                    return message
            elif message.kind <= -wanted and (best is None or message.kind < best.kind):
                best = message
        return best


class MessageTable(IpcTable):
    """All queues."""

    def __init__(self) -> None:
        super().__init__(MSGMNI)
        self.size = 0  # bytes in all queues, with overhead

    def messages(self, number: int) -> MessageQueue:
        """Return the queue of an identifier; SysError(EINVAL, EIDRM)."""
        found = self.find(number)
        assert isinstance(found, MessageQueue)
        return found

    def messages_at(self, index: int) -> MessageQueue:
        """Return the queue at an index; SysError(EINVAL)."""
        found = self.at(index)
        assert isinstance(found, MessageQueue)
        return found

    def counts(self) -> tuple[int, int]:
        """Return how many messages there are, and how many bytes they have."""
        count = size = 0
        for found in self.objects.values():
            assert isinstance(found, MessageQueue)
            count += len(found.messages)
            size += found.size
        return count, size

    def put(self, queue: MessageQueue, message: IpcMessage) -> bool:
        """Append a message; False: there is no room."""
        size = len(message.data)
        if not queue.has_room(size) or self.size + size + MESSAGE_OVERHEAD > TOTAL_MAX:
            return False
        queue.messages.append(message)
        queue.size += size
        self.size += size + MESSAGE_OVERHEAD
        return True

    def take(self, queue: MessageQueue, message: IpcMessage) -> None:
        """Take a message out."""
        queue.messages.remove(message)
        queue.size -= len(message.data)
        self.size -= len(message.data) + MESSAGE_OVERHEAD

    def destroy(self, gone: MessageQueue) -> None:
        """IPC_RMID: who waits is told."""
        for message in list(gone.messages):
            self.take(gone, message)
        self.remove(gone)
