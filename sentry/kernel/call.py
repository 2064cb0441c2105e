"""The record of a system call that may sleep and run again."""

from mypy_extensions import mypyc_attr

from sentry.vfs.file import File


@mypyc_attr(allow_interpreted_subclasses=True)
class CallData:
    """What a handler keeps of its own across a sleep; each derives its class."""

    def release(self) -> None:
        """Called once, when the call is over."""


class CallRecord:
    """What Linux would keep on the kernel stack of a sleeping call.

    The same handler runs again with it: `is_first_run` is False then.  Files
    are looked up once, since another thread may close or replace the number.
    """

    def __init__(self) -> None:
        self.number = -1
        self.is_first_run = True
        self.is_over = True
        self.deadline_ns = 0  # CLOCK_MONOTONIC; 0: none noted yet
        self.done = 0  # bytes moved so far
        self.data: CallData | None = None
        self.files: dict[int, File] = {}

    def begin(self, number: int) -> None:
        """Start a new call."""
        self.number = number
        self.is_over = False
        if not self.is_first_run:
            self.is_first_run = True
            self.deadline_ns = 0
            self.done = 0

    def hold(self, fd: int, file: File) -> None:
        """Keep `file` for descriptor `fd` until the call is over."""
        file.acquire()
        self.files[fd] = file

    def end(self) -> None:
        """Forget everything; called when the call has its result."""
        self.is_over = True
        if self.files:
            files = list(self.files.values())
            self.files = {}
            for file in files:
                file.drop()
        if self.data is not None:
            data = self.data
            self.data = None
            data.release()
        self.deadline_ns = 0
        self.done = 0
