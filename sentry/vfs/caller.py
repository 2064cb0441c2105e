"""What a file may know of the task that calls it."""

from sentry.platform.interface import GuestMemory, ThreadOwner
from sentry.vfs.creds import Credentials


class Caller(ThreadOwner):
    """The caller of a file operation; the kernel's `Task` derives from it."""

    def __init__(self, memory: GuestMemory, creds: Credentials) -> None:
        self.memory = memory
        self.creds = creds
