"""Files of /proc/PID that tell of one task (proc_pid_*(5))."""

from typing import Final

from sentry.abi.errno import EACCES, EINVAL, EPERM, ESRCH
from sentry.abi.resource import RLIM_INFINITY
from sentry.abi.signal import SIG_DFL, SIG_IGN
from sentry.errors import SysError
from sentry.fs.kernfs import TextInode
from sentry.fs.procfs.maps import guest_maps
from sentry.kernel.kernel import Kernel
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.task import TASK_BLOCKED, TASK_HELD, Task
from sentry.vfs.creds import Credentials
from sentry.vfs.mount import VfsPath
from sentry.vfs.path import path_bytes

PAGE: Final = 4096
TICKS: Final = 10_000_000  # nanoseconds in a clock tick (USER_HZ is 100)
STATE_NAMES: Final = {
    b"R": b"running",
    b"S": b"sleeping",
    b"T": b"stopped",
    b"Z": b"zombie",
}


class TaskText(TextInode):
    """A file about one task; SysError(ESRCH) once it is gone."""

    def __init__(self, pids: PidNamespace, device: int, number: int, mode: int, tid: int) -> None:
        super().__init__(device, number, mode)
        self.pids = pids
        self.kernel: Kernel = pids.kernel
        self.tid = tid

    def task(self) -> Task:
        """Return the task."""
        task = self.pids.tasks.get(self.tid)
        if task is None:
            raise SysError(ESRCH)
        return task


def state_letter(task: Task) -> bytes:
    """Return R, S, T or Z as ps(1) shows it."""
    if task.is_dead():
        return b"Z"
    if task.group.stop_signal and task.state == TASK_HELD:
        return b"T"
    if task.state in (TASK_BLOCKED, TASK_HELD):
        return b"S"
    return b"R"


def threads_alive(task: Task) -> int:
    """Return how many threads the process has."""
    return max(len(task.group.tasks), 1)


def memory_pages(task: Task) -> list[int]:
    """Return size, resident, shared, text, library, data, dirty in pages (proc_pid_statm(5))."""
    if task.is_dead():
        return [0] * 7
    numbers = [int(word) for word in task.memory.host_statm().split()]
    return numbers if len(numbers) == 7 else [0] * 7


class Status(TaskText):
    """proc_pid_status(5)."""

    def generate(self) -> bytes:
        task = self.task()
        group = task.group
        creds = task.creds
        pages = memory_pages(task)
        letter = state_letter(task)
        parent = 0 if group.parent is None else group.parent.pid
        groups = "".join(f"{gid} " for gid in creds.groups)
        lines = [
            "Name:\t" + task.comm.decode("utf-8", "backslashreplace"),
            f"Umask:\t{0 if task.is_dead() else task.fs.umask:04o}",
            f"State:\t{letter.decode()} ({STATE_NAMES[letter].decode()})",
            f"Tgid:\t{group.pid}",
            "Ngid:\t0",
            f"Pid:\t{task.tid}",
            f"PPid:\t{parent}",
            "TracerPid:\t0",
            f"Uid:\t{creds.uid}\t{creds.euid}\t{creds.suid}\t{creds.fsuid}",
            f"Gid:\t{creds.gid}\t{creds.egid}\t{creds.sgid}\t{creds.fsgid}",
            f"FDSize:\t{64 if task.is_dead() else max(64, len(task.fds.open_fds()))}",
            f"Groups:\t{groups}",
            f"NStgid:\t{group.pid}",
            f"NSpid:\t{task.tid}",
        ]
        if not task.is_dead():
            lines += _memory_lines(pages)
        allowed = self.kernel.allowed_cpus(task)
        lines += [
            f"Threads:\t{threads_alive(task)}",
            f"SigQ:\t{task.pending.count + group.pending.count}/{group.limits.soft[11]}",
            f"SigPnd:\t{task.pending.mask:016x}",
            f"ShdPnd:\t{group.pending.mask:016x}",
            f"SigBlk:\t{task.signal_mask:016x}",
            *_action_lines(task),
            f"CapInh:\t{creds.inheritable:016x}",
            f"CapPrm:\t{creds.permitted:016x}",
            f"CapEff:\t{creds.effective:016x}",
            f"CapBnd:\t{creds.bounding:016x}",
            f"CapAmb:\t{creds.ambient:016x}",
            f"NoNewPrivs:\t{int(creds.no_new_privs)}",
            f"Seccomp:\t{0 if task.seccomp is None else task.seccomp.mode()}",
            f"Seccomp_filters:\t{filter_count(task)}",
            "Cpus_allowed:\t" + f"{allowed:x}",
            f"Cpus_allowed_list:\t{_cpu_list(allowed)}",
            "Mems_allowed:\t1",
            "Mems_allowed_list:\t0",
            "voluntary_ctxt_switches:\t0",
            "nonvoluntary_ctxt_switches:\t0",
        ]
        return ("\n".join(lines) + "\n").encode()


def filter_count(task: Task) -> int:
    """Return how many filters of system calls a task has (seccomp(2))."""
    state = task.seccomp
    return state.newest.count if state is not None and state.newest is not None else 0


def _cpu_list(mask: int) -> str:
    """Return a mask as ranges: `0-1,3` (cpuset(7), "List format")."""
    parts: list[str] = []
    cpu = 0
    while mask >> cpu:
        if not mask >> cpu & 1:
            cpu += 1
            continue
        first = cpu
        while mask >> cpu & 1:
            cpu += 1
        parts.append(str(first) if cpu == first + 1 else f"{first}-{cpu - 1}")
    return ",".join(parts)


def _memory_lines(pages: list[int]) -> list[str]:
    size, resident, shared, text, _, data, _ = pages
    kib = PAGE // 1024
    return [
        f"VmPeak:\t{size * kib:8} kB",
        f"VmSize:\t{size * kib:8} kB",
        "VmLck:\t       0 kB",
        f"VmHWM:\t{resident * kib:8} kB",
        f"VmRSS:\t{resident * kib:8} kB",
        f"RssAnon:\t{(resident - shared) * kib:8} kB",
        f"RssFile:\t{shared * kib:8} kB",
        f"VmData:\t{data * kib:8} kB",
        "VmStk:\t     132 kB",
        f"VmExe:\t{text * kib:8} kB",
        "VmSwap:\t       0 kB",
    ]


def _action_lines(task: Task) -> list[str]:
    ignored = caught = 0
    for number in range(1, 65):
        handler = task.group.handlers.actions[number].handler
        if handler == SIG_IGN:
            ignored |= 1 << (number - 1)
        elif handler != SIG_DFL:
            caught |= 1 << (number - 1)
    return [f"SigIgn:\t{ignored:016x}", f"SigCgt:\t{caught:016x}"]


class Stat(TaskText):
    """proc_pid_stat(5)."""

    def generate(self) -> bytes:
        task = self.task()
        group = task.group
        process_group = group.process_group
        session = 0 if process_group is None else process_group.session.sid
        pgid = 0 if process_group is None else process_group.pgid
        pages = memory_pages(task)
        parent = 0 if group.parent is None else group.parent.pid
        terminal = 0
        foreground = -1
        if group.terminal is not None:
            terminal = group.terminal.device
            controlling = group.terminal.foreground
            foreground = -1 if controlling is None else controlling.pgid
        user_ns, system_ns = self.kernel.cpu_times(group)
        start = (group.start_ns - self.kernel.boot_ns) // TICKS
        mm = task.mm
        fields = [
            parent,
            pgid,
            session,
            terminal,
            foreground,
            0x400000,
            group.min_faults,
            0,
            0,
            0,
            user_ns // TICKS,
            system_ns // TICKS,
            group.children_user_ns // TICKS,
            group.children_system_ns // TICKS,
            20 + task.nice,
            task.nice,
            threads_alive(task),
            0,
            max(start, 0),
            pages[0] * PAGE,
            pages[1],
            RLIM_INFINITY,
            0,
            0,
            mm.start_stack,
            0,
            0,
            task.pending.mask & 0x7FFF_FFFF,
            task.signal_mask & 0x7FFF_FFFF,
            0,
            0,
            0,
            0,
            0,
            group.exit_signal,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            mm.arg_start,
            mm.arg_end,
            mm.env_start,
            mm.env_end,
            0,
        ]
        numbers = " ".join(str(field) for field in fields)
        return b"%d (%s) %s " % (task.tid, task.comm, state_letter(task)) + f"{numbers}\n".encode()


class Statm(TaskText):
    """proc_pid_statm(5)."""

    def generate(self) -> bytes:
        return (" ".join(str(number) for number in memory_pages(self.task())) + "\n").encode()


class Cmdline(TaskText):
    """proc_pid_cmdline(5)."""

    def generate(self) -> bytes:
        task = self.task()
        if task.is_dead() or task.mm.arg_end <= task.mm.arg_start:
            return b""
        return _read_range(task, task.mm.arg_start, task.mm.arg_end)


class Environ(TaskText):
    """proc_pid_environ(5)."""

    def generate(self) -> bytes:
        task = self.task()
        check_access(self.kernel, task)
        if task.is_dead() or task.mm.env_end <= task.mm.env_start:
            return b""
        return _read_range(task, task.mm.env_start, task.mm.env_end)


class Auxv(TaskText):
    """proc_pid_auxv(5)."""

    def generate(self) -> bytes:
        check_access(self.kernel, self.task())
        return self.task().mm.auxv


def _read_range(task: Task, start: int, end: int) -> bytes:
    try:
        return task.memory.read(start, min(end - start, 6 << 20))
    except SysError:
        return b""


def check_access(kernel: Kernel, task: Task) -> None:
    """SysError(EACCES) unless the caller may look into `task` (ptrace(2), PTRACE_MODE_READ)."""
    caller = kernel.current
    if caller is None or caller.group is task.group:
        return
    creds = caller.creds
    target = task.creds
    if creds.has_capability(19):  # CAP_SYS_PTRACE
        return
    same_user = creds.fsuid == target.uid == target.euid == target.suid
    same_group = creds.fsgid == target.gid == target.egid == target.sgid
    allowed = not target.permitted & ~creds.permitted
    if not (same_user and same_group and allowed and task.mm.is_dumpable):
        raise SysError(EACCES)


class Comm(TaskText):
    """proc_pid_comm(5); writing renames the task."""

    def generate(self) -> bytes:
        return self.task().comm + b"\n"

    def store(self, data: bytes, creds: Credentials) -> None:
        current = self.kernel.current
        task = self.task()
        if current is None or current.group is not task.group:
            raise SysError(EINVAL)
        task.comm = data.rstrip(b"\n")[:15]


class Maps(TaskText):
    """proc_pid_maps(5)."""

    def generate(self) -> bytes:
        task = self.task()
        check_access(self.kernel, task)
        return b"" if task.is_dead() else guest_maps(task)


class LimitsFile(TaskText):
    """proc_pid_limits(5)."""

    def generate(self) -> bytes:
        limits = self.task().group.limits
        lines = [f"{'Limit':<26}{'Soft Limit':<21}{'Hard Limit':<21}{'Units':<10}"]
        for number, (label, unit) in enumerate(LIMIT_LABELS):
            soft = _limit(limits.soft[number])
            hard = _limit(limits.hard[number])
            lines.append(f"{label:<26}{soft:<21}{hard:<21}{unit:<10}")
        return ("\n".join(lines) + "\n").encode()


def _limit(value: int) -> str:
    return "unlimited" if value == RLIM_INFINITY else str(value)


LIMIT_LABELS: Final = (
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
)


class Mounts(TaskText):
    """proc_pid_mounts(5)."""

    def generate(self) -> bytes:
        task = self.task()
        namespace = task.mounts
        return b"" if namespace is None or task.is_dead() else namespace.mounts_text(task.fs.root)


class Mountinfo(TaskText):
    """proc_pid_mountinfo(5)."""

    def generate(self) -> bytes:
        task = self.task()
        namespace = task.mounts
        return b"" if namespace is None or task.is_dead() else namespace.mountinfo(task.fs.root)


class OomScoreAdj(TaskText):
    """proc_pid_oom_score_adj(5)."""

    def generate(self) -> bytes:
        return b"%d\n" % self.task().group.oom_score_adj

    def store(self, data: bytes, creds: Credentials) -> None:
        text = data.strip()
        if not text.lstrip(b"-").isdigit() or len(text) > 6:
            raise SysError(EINVAL)
        value = int(text)
        group = self.task().group
        if not -1000 <= value <= 1000:
            raise SysError(EINVAL)
        if value < group.oom_score_adj and not creds.has_capability(24):  # CAP_SYS_RESOURCE
            raise SysError(EACCES)
        group.oom_score_adj = value


class FixedTaskText(TaskText):
    """A file that says the same for every task."""

    def __init__(
        self, pids: PidNamespace, device: int, number: int, mode: int, tid: int, text: bytes
    ) -> None:
        super().__init__(pids, device, number, mode, tid)
        self._text = text

    def generate(self) -> bytes:
        self.task()
        return self._text

    def store(self, data: bytes, creds: Credentials) -> None:
        raise SysError(EPERM)


class Io(TaskText):
    """proc_pid_io(5); what a task reads and writes is not counted."""

    def generate(self) -> bytes:
        check_access(self.kernel, self.task())
        names = ("rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes")
        lines = [f"{name}: 0" for name in (*names, "cancelled_write_bytes")]
        return ("\n".join(lines) + "\n").encode()


class Sched(TaskText):
    """Time on a processor, time waiting, and time slices (/proc/PID/schedstat)."""

    def generate(self) -> bytes:
        user_ns, system_ns = self.kernel.cpu_times(self.task().group)
        return b"%d 0 0\n" % (user_ns + system_ns)


class Personality(TaskText):
    """proc_pid_personality(5)."""

    def generate(self) -> bytes:
        return b"%08x\n" % self.task().personality


def shown_path(task: Task, place: VfsPath) -> bytes:
    """Return a path as the reader of a magic link sees it."""
    return path_bytes(place, task.fs.root)
