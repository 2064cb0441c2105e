"""Descriptor tables."""

from sentry.abi.errno import EBADF, EMFILE
from sentry.errors import SysError
from sentry.vfs.caller import Caller
from sentry.vfs.file import O_PATH, File
from sentry.vfs.locks import RECORD_LOCKS


class FdTable:
    """What a task's descriptors refer to; shared by tasks with CLONE_FILES."""

    def __init__(self, limit: int) -> None:
        self._files: list[File | None] = []
        self._cloexec: set[int] = set()
        self._lowest_free = 0  # no descriptor below it is free
        self.limit = limit  # RLIMIT_NOFILE, soft: one more than the largest descriptor
        self.users = 1

    def get(self, fd: int) -> File:
        """Return the open file; SysError(EBADF) if there is none, or only a path (O_PATH)."""
        files = self._files
        if 0 <= fd < len(files):
            file = files[fd]
            if file is not None and not file.flags & O_PATH:
                return file
        raise SysError(EBADF)

    def get_raw(self, fd: int) -> File:
        """Return the open file, also if it was opened with O_PATH."""
        if 0 <= fd < len(self._files):
            file = self._files[fd]
            if file is not None:
                return file
        raise SysError(EBADF)

    def install(self, file: File, *, cloexec: bool, lowest: int = 0) -> int:
        """Give `file` the lowest free descriptor from `lowest` on; SysError(EMFILE) if none."""
        files = self._files
        fd = max(lowest, self._lowest_free)
        while fd < len(files) and files[fd] is not None:
            fd += 1
        if fd >= self.limit:
            raise SysError(EMFILE)
        if lowest <= self._lowest_free:
            self._lowest_free = fd + 1
        self._set(fd, file, cloexec=cloexec)
        return fd

    def replace(self, fd: int, file: File, *, cloexec: bool, caller: Caller) -> None:
        """Make `fd` refer to `file`; closes what it referred to (dup2(2))."""
        if not 0 <= fd < self.limit:
            raise SysError(EBADF)
        old = self._files[fd] if fd < len(self._files) else None
        self._set(fd, file, cloexec=cloexec)
        if old is not None:
            self._let_go(old, caller)

    def _set(self, fd: int, file: File, *, cloexec: bool) -> None:
        files = self._files
        while len(files) <= fd:
            files.append(None)
        files[fd] = file
        file.acquire()
        if cloexec:
            self._cloexec.add(fd)
        else:
            self._cloexec.discard(fd)

    def check_room(self) -> None:
        """SysError(EMFILE) if there is no free descriptor."""
        if self.limit <= len(self._files) and None not in self._files[: self.limit]:
            raise SysError(EMFILE)

    def close(self, fd: int, caller: Caller) -> File:
        """Forget a descriptor, and return what it was; SysError(EBADF) if it is not open."""
        if not 0 <= fd < len(self._files):
            raise SysError(EBADF)
        file = self._files[fd]
        if file is None:
            raise SysError(EBADF)
        self._files[fd] = None
        self._cloexec.discard(fd)
        if fd < self._lowest_free:
            self._lowest_free = fd
        self._let_go(file, caller)
        return file

    def _let_go(self, file: File, caller: Caller) -> None:
        """Do what close(2) does to a file: POSIX locks of the process go with any descriptor."""
        if not RECORD_LOCKS.is_empty():
            release_locks(file, self)
        file.flush(caller)
        file.drop()

    def is_cloexec(self, fd: int) -> bool:
        """Return whether `fd` is closed by execve(2)."""
        return fd in self._cloexec

    def set_cloexec(self, fd: int, *, cloexec: bool) -> None:
        """Set or clear FD_CLOEXEC of an open descriptor."""
        self.get_raw(fd)
        if cloexec:
            self._cloexec.add(fd)
        else:
            self._cloexec.discard(fd)

    def open_fds(self) -> list[int]:
        """Return the descriptors in use, in order."""
        return [fd for fd, file in enumerate(self._files) if file is not None]

    def highest_fd(self) -> int:
        """Return the highest descriptor in use, -1 if there is none."""
        files = self._files
        fd = len(files) - 1
        while fd >= 0 and files[fd] is None:
            fd -= 1
        return fd

    def copy(self) -> "FdTable":
        """Return a table of its own for a task without CLONE_FILES."""
        new = FdTable(self.limit)
        new._files = list(self._files)
        new._cloexec = set(self._cloexec)
        new._lowest_free = self._lowest_free
        for file in new._files:
            if file is not None:
                file.acquire()
        return new

    def close_on_exec(self, caller: Caller) -> None:
        """Close what has FD_CLOEXEC, as execve(2) does."""
        for fd in sorted(self._cloexec):
            self.close(fd, caller)

    def close_range(self, first: int, last: int, caller: Caller) -> None:
        """Close every open descriptor from `first` to `last`."""
        for fd in range(first, min(last + 1, len(self._files))):
            if self._files[fd] is not None:
                self.close(fd, caller)

    def drop_user(self, caller: Caller) -> None:
        """One task less uses the table; the last one closes everything."""
        self.users -= 1
        if self.users == 0:
            self.close_range(0, len(self._files) - 1, caller)


def release_locks(file: File, table: FdTable) -> None:
    """Release the POSIX locks of a process on a file, whichever descriptor set them (fcntl(2))."""
    if file.inode is None or file.flags & O_PATH:
        return
    try:
        key = file.inode.key()
    except SysError:
        return  # what has lost its identity, as files of an ended process in /proc, has no locks
    RECORD_LOCKS.release(key, table)
