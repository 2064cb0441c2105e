"""/proc/PID and /proc/PID/task/TID."""

from typing import Final

from sentry.fs.kernfs import KernDirectory, LinkInode
from sentry.fs.procfs import task_files as files
from sentry.fs.procfs import task_links as links
from sentry.fs.procfs.network import NetDirectory
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.task import Task
from sentry.vfs.inode import S_IFDIR, S_IFLNK, S_IFREG, DirectoryEntry, Inode

# Inode numbers: a block for each task, with descriptors in its upper half.
BLOCK: Final = 1 << 24
FD_AREA: Final = 1 << 12
NET_AREA: Final = 1 << 11
FDINFO_AREA: Final = 1 << 23

# Name, mode, class of the files that are the same kind of thing for every task.
TEXTS: Final[dict[bytes, tuple[int, type[files.TaskText]]]] = {
    b"status": (0o444, files.Status),
    b"stat": (0o444, files.Stat),
    b"statm": (0o444, files.Statm),
    b"cmdline": (0o444, files.Cmdline),
    b"environ": (0o400, files.Environ),
    b"auxv": (0o400, files.Auxv),
    b"comm": (0o644, files.Comm),
    b"maps": (0o444, files.Maps),
    b"limits": (0o444, files.LimitsFile),
    b"mounts": (0o444, files.Mounts),
    b"mountinfo": (0o444, files.Mountinfo),
    b"oom_score_adj": (0o644, files.OomScoreAdj),
    b"io": (0o400, files.Io),
    b"schedstat": (0o444, files.Sched),
    b"personality": (0o400, files.Personality),
}
FIXED: Final[dict[bytes, tuple[int, bytes]]] = {
    b"cgroup": (0o444, b"0::/\n"),
    b"oom_score": (0o444, b"666\n"),
    b"loginuid": (0o644, b"4294967295"),
    b"sessionid": (0o444, b"4294967295"),
    b"wchan": (0o444, b"0"),
    b"uid_map": (0o644, b"         0          0 4294967295\n"),
    b"gid_map": (0o644, b"         0          0 4294967295\n"),
    b"setgroups": (0o644, b"allow\n"),
    b"projid_map": (0o644, b"         0          0 4294967295\n"),
}
LINKS: Final[dict[bytes, type[links.TaskLink]]] = {
    b"exe": links.Exe,
    b"cwd": links.Cwd,
    b"root": links.Root,
}
NAMESPACES: Final = (b"cgroup", b"ipc", b"mnt", b"net", b"pid", b"user", b"uts")
# The order in which a directory shows them, which is also that of inode numbers.
NAMES: Final = sorted([*TEXTS, *FIXED, *LINKS, b"fd", b"fdinfo", b"net", b"ns", b"task"])
NUMBERS: Final = {name: index + 1 for index, name in enumerate(NAMES)}


class TaskDirectory(KernDirectory):
    """The directory of one task; below /proc/PID/task it has no `task` of its own."""

    def __init__(self, pids: PidNamespace, device: int, task: Task, *, is_process: bool) -> None:
        super().__init__(device, task.tid * BLOCK + (0 if is_process else BLOCK // 2))
        self._pids = pids
        self._tid = task.tid
        self._is_process = is_process
        self.uid = task.creds.euid
        self.gid = task.creds.egid

    def lookup(self, name: bytes) -> Inode | None:
        index = NUMBERS.get(name)
        task = self._pids.tasks.get(self._tid)
        if index is None or task is None or (name == b"task" and not self._is_process):
            return None
        inode = self._make(name, self.number + index, task)
        inode.uid = self.uid
        inode.gid = self.gid
        return inode

    def _make(
        self, name: bytes, number: int, task: Task
    ) -> KernDirectory | LinkInode | files.TaskText:
        pids, device, tid = self._pids, self.device, self._tid
        text = TEXTS.get(name)
        if text is not None:
            return text[1](pids, device, number, text[0], tid)
        fixed = FIXED.get(name)
        if fixed is not None:
            return files.FixedTaskText(pids, device, number, fixed[0], tid, fixed[1])
        link = LINKS.get(name)
        if link is not None:
            return link(pids, device, number, tid)
        if name == b"fd":
            return links.FdDirectory(pids, device, self.number + FD_AREA, tid)
        if name == b"fdinfo":
            return links.FdInfoDirectory(pids, device, self.number + FDINFO_AREA, tid)
        if name == b"net":
            return NetDirectory(pids.kernel.network, device, self.number + NET_AREA)
        if name == b"ns":
            return _namespaces(device, number, task)
        return ThreadsDirectory(pids, device, number, task)

    def entries(self) -> list[DirectoryEntry]:
        return [
            DirectoryEntry(name, self.number + NUMBERS[name], kind_of(name))
            for name in NAMES
            if name != b"task" or self._is_process
        ]


def kind_of(name: bytes) -> int:
    """Return the file type of an entry of /proc/PID."""
    if name in LINKS:
        return S_IFLNK
    if name in (b"fd", b"fdinfo", b"net", b"ns", b"task"):
        return S_IFDIR
    return S_IFREG


def _namespaces(device: int, number: int, task: Task) -> KernDirectory:
    """Return /proc/PID/ns: containers of a sandbox have their own but of users and networks."""
    directory = KernDirectory(device, number, 0o511)
    own = {b"pid": task.group.pids.number, b"uts": task.uts.number, b"ipc": task.ipc.number}
    if task.mounts is not None:
        own[b"mnt"] = task.mounts.number
    for index, name in enumerate(NAMESPACES):
        target = name + b":[%d]" % own.get(name, 4026531835 + index)
        directory.add(name, LinkInode(device, number + 0x100 + index, target))
    return directory


class ThreadsDirectory(KernDirectory):
    """/proc/PID/task."""

    def __init__(self, pids: PidNamespace, device: int, number: int, task: Task) -> None:
        super().__init__(device, number)
        self._pids = pids
        self._group = task.group

    def lookup(self, name: bytes) -> Inode | None:
        task = numbered_task(self._pids, name)
        if task is None or task.group is not self._group:
            return None
        return TaskDirectory(self._pids, self.device, task, is_process=False)

    def entries(self) -> list[DirectoryEntry]:
        tids = sorted(task.tid for task in self._group.tasks)
        return [DirectoryEntry(b"%d" % tid, tid * BLOCK + BLOCK // 2, S_IFDIR) for tid in tids]


def numbered_task(pids: PidNamespace, name: bytes) -> Task | None:
    """Return the task whose tid is `name` in digits."""
    if not name.isdigit() or len(name) > 9 or name[:1] == b"0":
        return None
    return pids.tasks.get(int(name))
