"""The proc file system: /proc itself and the fixed tree below it."""

from typing import Final

from sentry.abi.errno import ENOENT
from sentry.errors import SysError
from sentry.fs.kernfs import FixedText, KernDirectory, KernNumbers, LinkInode, NumberFile
from sentry.fs.procfs import system_files as system
from sentry.fs.procfs import sysvipc
from sentry.fs.procfs.network import SettingDirectory
from sentry.fs.procfs.task_directory import BLOCK, TaskDirectory, numbered_task
from sentry.kernel import version
from sentry.kernel.kernel import Kernel
from sentry.kernel.pid_namespace import PID_MAX, PidNamespace
from sentry.vfs.inode import S_IFDIR, DirectoryEntry, Inode
from sentry.vfs.mount import Filesystem
from sentry.vfs.namespace import NUMBERS

PROC_SUPER_MAGIC: Final = 0x9FA0
INT_MAX: Final = 0x7FFF_FFFF

# /proc/sys: texts that nobody can change.
SYSCTL_TEXTS: Final = {
    b"kernel/ostype": b"Linux\n",
    b"kernel/osrelease": version.RELEASE + b"\n",
    b"kernel/version": version.VERSION + b"\n",
    b"kernel/cap_last_cap": b"40\n",
    b"kernel/ngroups_max": b"65536\n",
    b"kernel/core_pattern": b"core\n",
    b"kernel/sem": b"32000\t1024000\t500\t32000\n",
    b"kernel/tainted": b"0\n",
    b"fs/file-nr": b"0\t0\t9223372036854775807\n",
    b"fs/nr_open": b"1048576\n",
    b"fs/aio-max-nr": b"65536\n",
    b"fs/file-max": b"9223372036854775807\n",
    b"kernel/random/entropy_avail": b"256\n",
    b"kernel/random/poolsize": b"256\n",
}
# Numbers that can be read and written: value, lowest, highest.
SYSCTL_NUMBERS: Final = {
    b"kernel/pid_max": (PID_MAX, 301, 4194304),
    b"kernel/threads-max": (30000, 20, INT_MAX),
    b"kernel/overflowuid": (65534, 0, 65535),
    b"kernel/overflowgid": (65534, 0, 65535),
    b"kernel/shmmax": ((1 << 64) - (1 << 24) - 1, 0, (1 << 64) - 1),
    b"kernel/shmall": ((1 << 64) - (1 << 24) - 1, 0, (1 << 64) - 1),
    b"kernel/shmmni": (4096, 0, 32768),
    b"kernel/msgmax": (8192, 0, INT_MAX),
    b"kernel/msgmnb": (16384, 0, INT_MAX),
    b"kernel/msgmni": (32000, 0, 32768),
    b"kernel/randomize_va_space": (2, 0, 2),
    b"vm/overcommit_memory": (0, 0, 2),
    b"vm/max_map_count": (65530, 0, INT_MAX),
    b"vm/mmap_min_addr": (65536, 0, INT_MAX),
    b"vm/swappiness": (60, 0, 200),
    b"fs/pipe-max-size": (1048576, 4096, INT_MAX),
    b"fs/protected_hardlinks": (1, 0, 1),
    b"fs/protected_symlinks": (1, 0, 1),
}


# Directory below /proc/sys, kind of its files, names.
LIMITS: Final[tuple[tuple[bytes, type[system.LimitFile], tuple[str, ...]], ...]] = (
    (
        b"fs/inotify/",
        system.InotifyLimit,
        ("max_user_instances", "max_user_watches", "max_queued_events"),
    ),
    (
        b"fs/mqueue/",
        system.MqueueLimit,
        ("msg_max", "msgsize_max", "queues_max", "msg_default", "msgsize_default"),
    ),
)


class ProcRoot(KernDirectory):
    """/proc: fixed names, then a directory for each process."""

    def __init__(self, pids: PidNamespace, numbers: KernNumbers) -> None:
        super().__init__(numbers.device, 1)
        self._pids = pids

    def lookup(self, name: bytes) -> Inode | None:
        fixed = super().lookup(name)
        if fixed is not None:
            return fixed
        task = numbered_task(self._pids, name)
        if task is None:
            return None
        return TaskDirectory(self._pids, self.device, task, is_process=True)

    def entries(self) -> list[DirectoryEntry]:
        numbers = sorted(self._pids.groups)
        numbered = [DirectoryEntry(b"%d" % pid, pid * BLOCK, S_IFDIR) for pid in numbers]
        return super().entries() + numbered


class SelfLink(LinkInode):
    """/proc/self or /proc/thread-self: who reads it decides where it leads."""

    def __init__(self, pids: PidNamespace, device: int, number: int, *, is_thread: bool) -> None:
        super().__init__(device, number)
        self._pids = pids
        self._is_thread = is_thread

    def readlink(self) -> bytes:
        task = self._pids.kernel.current
        if task is None:
            return b"0"
        if task.group.pids is not self._pids:
            raise SysError(ENOENT)  # somebody of another container has this directory
        if self._is_thread:
            return b"%d/task/%d" % (task.group.pid, task.tid)
        return b"%d" % task.group.pid


class ProcFilesystem(Filesystem):
    """One instance of proc, which shows the processes of one namespace."""

    def __init__(self, pids: PidNamespace) -> None:
        super().__init__(b"proc", NUMBERS.new_device())
        self.is_exclusive = False  # tasks come and go
        self._pids = pids
        self._kernel: Kernel = pids.kernel
        self._numbers = KernNumbers(self.device)
        self._root = ProcRoot(pids, self._numbers)
        self._fill()

    def root(self) -> Inode:
        return self._root

    def statfs(self) -> tuple[int, int, int, int, int, int, int]:
        return PROC_SUPER_MAGIC, 4096, 0, 0, 0, 0, 0

    def _fill(self) -> None:
        kernel, device, numbers, root = self._kernel, self.device, self._numbers, self._root
        root.add(b"self", SelfLink(self._pids, device, numbers.next(), is_thread=False))
        root.add(b"thread-self", SelfLink(self._pids, device, numbers.next(), is_thread=True))
        root.add(b"mounts", LinkInode(device, numbers.next(), b"self/mounts"))
        root.add(b"net", LinkInode(device, numbers.next(), b"self/net"))
        root.add(b"uptime", system.Uptime(kernel, device, numbers.next()))
        root.add(b"version", system.Version(kernel, device, numbers.next()))
        root.add(b"loadavg", system.LoadAverage(self._pids, device, numbers.next()))
        root.add(b"stat", system.StatFile(kernel, device, numbers.next()))
        root.add(b"meminfo", system.Meminfo(kernel, device, numbers.next()))
        root.add(b"cpuinfo", system.Cpuinfo(kernel, device, numbers.next()))
        root.add(b"filesystems", system.Filesystems(kernel, device, numbers.next()))
        root.add(b"cmdline", FixedText(device, numbers.next(), b"runsc\n"))
        swaps = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        root.add(b"swaps", FixedText(device, numbers.next(), swaps))
        for name, kind in (
            (b"sysvipc/shm", sysvipc.SegmentsFile),
            (b"sysvipc/sem", sysvipc.SemaphoresFile),
            (b"sysvipc/msg", sysvipc.QueuesFile),
        ):
            self._place(root, name, kind(kernel, device, numbers.next()))
        sysctl = KernDirectory(device, numbers.next())
        root.add(b"sys", sysctl)
        self._fill_sysctl(sysctl)

    def _fill_sysctl(self, sysctl: KernDirectory) -> None:
        kernel, device, numbers = self._kernel, self.device, self._numbers
        for path, text in SYSCTL_TEXTS.items():
            self._place(sysctl, path, FixedText(device, numbers.next(), text))
        for path, (value, low, high) in SYSCTL_NUMBERS.items():
            self._place(sysctl, path, NumberFile(device, numbers.next(), value, low, high))
        for directory, limit, names in LIMITS:
            for name in names:
                path = directory + name.encode()
                self._place(sysctl, path, limit(kernel, device, numbers.next(), name))
        if kernel.network is not None:
            sysctl.add(b"net", SettingDirectory(kernel.network, numbers, b"net/"))
        self._place(sysctl, b"kernel/hostname", system.Hostname(kernel, device, numbers.next()))
        self._place(sysctl, b"kernel/domainname", system.Domainname(kernel, device, numbers.next()))
        uuid = system.RandomUuid(kernel, device, numbers.next())
        self._place(sysctl, b"kernel/random/uuid", uuid)
        boot_id = system.make_uuid(kernel.random_bytes(16))
        self._place(sysctl, b"kernel/random/boot_id", FixedText(device, numbers.next(), boot_id))

    def _place(self, top: KernDirectory, path: bytes, inode: Inode) -> None:
        """Put `inode` at a path below `top`, making the directories on the way."""
        *directories, name = path.split(b"/")
        for directory in directories:
            inner = top.lookup(directory)
            if not isinstance(inner, KernDirectory):
                inner = KernDirectory(self.device, self._numbers.next())
                top.add(directory, inner)
            top = inner
        top.add(name, inode)
