"""Contexts of asynchronous input and output (io_setup(2)).

Requests are done while they are submitted; only those that wait for a file (IOCB_CMD_POLL) are not.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from sentry.abi.aio import IO_EVENT
from sentry.fs.eventfd import EventFile
from sentry.vfs.file import POLLERR, POLLHUP, POLLIN, File
from sentry.waitqueue import Waiter, WaitQueue

AIO_MAX_NR: Final = 65536  # requests of all contexts
LEAST_ROOM: Final = 8


class AioUse:
    """How many requests all contexts are made for."""

    def __init__(self) -> None:
        self.requests = 0


USE: Final = AioUse()


class PollRequest(Waiter):
    """A request that is done when a file is ready."""

    def __init__(
        self, context: AioContext, request: tuple[int, int], file: File, mask: int
    ) -> None:
        file.acquire()
        self.context = context
        self.data, self.address = request
        self.file = file
        self.mask = mask & 0xFFFF | POLLERR | POLLHUP
        self.notice: EventFile | None = None
        self.entry = file.queue.add(self, self.mask)

    def wake(self, events: int) -> None:
        ready = (self.file.readiness() or events) & self.mask
        if ready and self in self.context.polls:
            self.context.end_poll(self, ready)


class AioContext:
    """Requests and what became of them."""

    def __init__(self, requests: int) -> None:
        self.requests = requests
        self.room = max(2 * requests, LEAST_ROOM)
        self.events: deque[bytes] = deque()
        self.polls: dict[PollRequest, bool] = {}  # a set, in their order
        self.last_result = 0
        self.queue = WaitQueue()
        self._unused: list[File] = []  # of requests that are done
        USE.requests += requests

    def is_full(self) -> bool:
        """Return whether there is no room for what one more request brings."""
        return len(self.events) + len(self.polls) >= self.room

    def complete(self, data: int, address: int, result: int, notice: EventFile | None) -> None:
        """Note the result of a request."""
        self.last_result = result
        self.events.append(IO_EVENT.pack(data, address, result, 0))
        if notice is not None:
            notice.signal(1)
        self.queue.notify(POLLIN)

    def add_poll(
        self, request: tuple[int, int], file: File, mask: int, notice: EventFile | None
    ) -> None:
        """Wait for a file, which may be ready."""
        made = PollRequest(self, request, file, mask)
        if notice is not None:
            notice.acquire()
            made.notice = notice
        self.polls[made] = True
        ready = file.readiness() & made.mask
        if ready:
            self.end_poll(made, ready)

    def end_poll(self, poll: PollRequest, result: int) -> None:
        """Note what a file is ready for; 0: nobody wants to know any more."""
        del self.polls[poll]
        poll.entry.cancel()
        # Not dropped here: a file may be telling this just now.
        self._unused.append(poll.file)
        if poll.notice is not None:
            self._unused.append(poll.notice)
        self.complete(poll.data, poll.address, result, poll.notice)

    def drop_unused(self) -> None:
        """Let go of the files of requests that are done."""
        while self._unused:
            self._unused.pop().drop()

    def close(self) -> None:
        """Forget all requests; who waits for them is told."""
        for poll in list(self.polls):
            self.end_poll(poll, 0)
        self.drop_unused()
        self.events.clear()
        USE.requests -= self.requests
        self.requests = 0
        self.queue.notify(POLLIN)
