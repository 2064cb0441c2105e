"""Wait queues: who wants to know about an event, and how they are told."""

from mypy_extensions import mypyc_attr, trait


@mypyc_attr(allow_interpreted_subclasses=True)
@trait
class Waiter:
    """Somebody who can be told that something happened (a task, an epoll item)."""

    def wake(self, events: int) -> None:
        """Called when one of the events waited for is there (poll(2) bits)."""
        raise NotImplementedError


class WaitEntry:
    """One waiter's place in one queue."""

    def __init__(self, queue: "WaitQueue", waiter: Waiter, events: int) -> None:
        self.queue = queue
        self.waiter = waiter
        self.events = events

    def cancel(self) -> None:
        """Leave the queue; harmless when it was left already."""
        self.queue.remove(self)


class WaitQueue:
    """The waiters of one object, oldest first."""

    def __init__(self) -> None:
        self.entries: list[WaitEntry] = []

    def add(self, waiter: Waiter, events: int) -> WaitEntry:
        """Tell `waiter` about `events` from now on; return its entry."""
        entry = WaitEntry(self, waiter, events)
        self.entries.append(entry)
        return entry

    def remove(self, entry: WaitEntry) -> None:
        """Forget an entry; harmless when it was forgotten already."""
        entries = self.entries
        if entry in entries:
            entries.remove(entry)

    def notify(self, events: int) -> None:
        """Wake everybody who waits for one of `events`."""
        if not self.entries:
            return
        for entry in list(self.entries):
            if entry.events & events:
                entry.waiter.wake(events)
