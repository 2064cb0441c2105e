"""Open files that are on their way in messages (SCM_RIGHTS, unix(7))."""

from typing import Final

from sentry.abi.errno import ETOOMANYREFS
from sentry.abi.resource import RLIMIT_NOFILE
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.vfs.file import File

CAP_SYS_RESOURCE: Final = 24
CAP_SYS_ADMIN: Final = 21


class InFlight:
    """Counts the files in flight and drops them without recursion.

    A file in flight may be a socket with files in flight of its own, to any
    depth, so they are dropped from a list.  Sockets that hold only each other
    stay until the sandbox ends; the count bounds them as it does in Linux.
    """

    def __init__(self) -> None:
        self.count = 0
        self._dropping: list[File] = []
        self._is_dropping = False

    def add(self, task: Task, files: list[File]) -> None:
        """Hold files for a message; SysError(ETOOMANYREFS) beyond the sender's RLIMIT_NOFILE."""
        creds = task.creds
        is_free = creds.has_capability(CAP_SYS_RESOURCE) or creds.has_capability(CAP_SYS_ADMIN)
        limit = task.group.limits.soft[RLIMIT_NOFILE] * (8 if is_free else 1)
        if self.count + len(files) > limit:
            raise SysError(ETOOMANYREFS)
        self.count += len(files)
        for file in files:
            file.acquire()

    def drop(self, files: list[File]) -> None:
        """Release files of a message that nobody will receive."""
        self.count -= len(files)
        self._dropping += files
        if self._is_dropping:
            return
        self._is_dropping = True
        while self._dropping:
            self._dropping.pop().drop()
        self._is_dropping = False


IN_FLIGHT: Final = InFlight()
