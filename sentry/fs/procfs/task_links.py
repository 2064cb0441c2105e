"""Links and descriptor directories of /proc/PID (proc_pid_fd(5), proc_pid_exe(5))."""

from typing import Final

from sentry.abi.errno import ENOENT
from sentry.errors import SysError
from sentry.fs.kernfs import KernDirectory, LinkInode, TextInode
from sentry.fs.memfd import MemoryInode
from sentry.fs.procfs.task_files import check_access, shown_path
from sentry.kernel.kernel import Kernel
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.task import Task
from sentry.vfs.creds import Credentials
from sentry.vfs.file import File
from sentry.vfs.inode import S_IFLNK, S_IFREG, Attributes, DirectoryEntry, Inode
from sentry.vfs.mount import Dentry, Filesystem, Mount, VfsPath
from sentry.vfs.namespace import NUMBERS


class TaskLink(LinkInode):
    """A magic link: it leads to an object, whatever its name is."""

    def __init__(self, pids: PidNamespace, device: int, number: int, tid: int) -> None:
        super().__init__(device, number)
        self.pids = pids
        self.kernel: Kernel = pids.kernel
        self.tid = tid

    def living(self) -> Task:
        """Return the task; SysError(ENOENT) if it has ended, EACCES if the caller may not look."""
        task = self.pids.tasks.get(self.tid)
        if task is None or task.is_dead():
            raise SysError(ENOENT)
        check_access(self.kernel, task)
        return task

    def place(self, task: Task) -> VfsPath | None:
        """Return where the link leads."""
        raise SysError(ENOENT)

    def readlink(self) -> bytes:
        task = self.living()
        place = self.place(task)
        if place is None:
            raise SysError(ENOENT)
        current = self.kernel.current
        return shown_path(task if current is None else current, place)

    def follow(self, creds: Credentials) -> VfsPath | None:
        place = self.place(self.living())
        if place is None:
            raise SysError(ENOENT)
        return place


class Exe(TaskLink):
    """proc_pid_exe(5)."""

    def place(self, task: Task) -> VfsPath | None:
        return task.mm.executable


class Cwd(TaskLink):
    """proc_pid_cwd(5)."""

    def place(self, task: Task) -> VfsPath | None:
        return task.fs.cwd


class Root(TaskLink):
    """proc_pid_root(5)."""

    def place(self, task: Task) -> VfsPath | None:
        return task.fs.root


class OpenFileInode(Inode):
    """An open file without a name, as /proc/PID/fd/N leads to it.

    Opening it again gives the same open file, where Linux refuses (sockets) or
    makes a new one (pipes, terminals); a memfd is opened anew.
    """

    def __init__(self, file: File) -> None:
        self._file = file

    def attributes(self) -> Attributes:
        return self._file.attributes()

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        inode = self._file.inode
        if isinstance(inode, MemoryInode):
            return inode.open(path, flags, creds)
        return self._file


class NamelessFilesystem(Filesystem):
    """Where pipes, sockets and their kind are: it has no root."""

    def root(self) -> Inode:
        raise SysError(ENOENT)


NAMELESS: Final = Mount(
    NUMBERS.new_mount_id(),
    NamelessFilesystem(b"pipefs", NUMBERS.new_device()),
    Dentry(None, b"", None),
    0,
)


class FdLink(TaskLink):
    """An entry of /proc/PID/fd."""

    def __init__(self, pids: PidNamespace, device: int, number: int, tid: int, fd: int) -> None:
        super().__init__(pids, device, number, tid)
        self._fd = fd

    def file(self) -> File:
        """Return the open file; SysError(ENOENT) if it was closed."""
        try:
            return self.living().fds.get_raw(self._fd)
        except SysError:
            raise SysError(ENOENT) from None

    def place(self, task: Task) -> VfsPath | None:
        file = self.file()
        if file.path is not None:
            return file.path
        return VfsPath(NAMELESS, Dentry(None, file.describe(), OpenFileInode(file)))

    def readlink(self) -> bytes:
        file = self.file()
        if file.path is None:
            return file.describe()
        return super().readlink()


class FdDirectory(KernDirectory):
    """/proc/PID/fd."""

    def __init__(self, pids: PidNamespace, device: int, number: int, tid: int) -> None:
        super().__init__(device, number, 0o500)
        self._pids = pids
        self._tid = tid

    def _task(self) -> Task:
        task = self._pids.tasks.get(self._tid)
        if task is None or task.is_dead():
            raise SysError(ENOENT)
        check_access(self._pids.kernel, task)
        return task

    def _entry(self, fd: int) -> Inode:
        return FdLink(self._pids, self.device, self.number + 1 + fd, self._tid, fd)

    def kind(self) -> int:
        """Return the type of the entries."""
        return S_IFLNK

    def lookup(self, name: bytes) -> Inode | None:
        if not name.isdigit() or len(name) > 9 or (len(name) > 1 and name[:1] == b"0"):
            return None
        fd = int(name)
        try:
            self._task().fds.get_raw(fd)
        except SysError:
            return None
        return self._entry(fd)

    def entries(self) -> list[DirectoryEntry]:
        return [
            DirectoryEntry(b"%d" % fd, self.number + 1 + fd, self.kind())
            for fd in self._task().fds.open_fds()
        ]


class FdInfoDirectory(FdDirectory):
    """/proc/PID/fdinfo."""

    def _entry(self, fd: int) -> Inode:
        return FdInfo(self._pids, self.device, self.number + 1 + fd, self._tid, fd)

    def kind(self) -> int:
        return S_IFREG


class FdInfo(TextInode):
    """An entry of /proc/PID/fdinfo (proc_pid_fdinfo(5))."""

    def __init__(self, pids: PidNamespace, device: int, number: int, tid: int, fd: int) -> None:
        super().__init__(device, number, 0o444)
        self._pids = pids
        self._tid = tid
        self._fd = fd

    def generate(self) -> bytes:
        task = self._pids.tasks.get(self._tid)
        if task is None or task.is_dead():
            raise SysError(ENOENT)
        check_access(self._pids.kernel, task)
        file = task.fds.get_raw(self._fd)
        try:
            position = file.seek(0, 1)
        except SysError:
            position = 0
        flags = file.shown_flags() | (0o2000000 if task.fds.is_cloexec(self._fd) else 0)
        mount_id = 15 if file.path is None else file.path.mount.mount_id
        text = f"pos:\t{position}\nflags:\t0{flags:o}\nmnt_id:\t{mount_id}\n"
        if file.inode is not None:
            text += f"ino:\t{file.inode.key()[1]}\n"
        return text.encode() + file.fdinfo()
