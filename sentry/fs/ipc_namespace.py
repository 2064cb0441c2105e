"""Namespaces of System V IPC and POSIX message queues (ipc_namespaces(7))."""

from sentry.fs.mqueue import MqueueTable
from sentry.kernel.message_queues import MessageTable
from sentry.kernel.namespaces import NUMBERS
from sentry.kernel.semaphores import SemaphoreTable
from sentry.kernel.shared_memory import SegmentTable


class IpcNamespace:
    """The objects that processes of one container can name."""

    def __init__(self) -> None:
        self.number = NUMBERS.next()
        self.segments = SegmentTable()
        self.semaphores = SemaphoreTable()
        self.messages = MessageTable()
        self.mqueues = MqueueTable()
