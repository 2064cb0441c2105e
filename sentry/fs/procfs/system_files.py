"""Files of /proc that tell of the whole machine (proc(5))."""

from typing import Final

from sentry.fs.inotify import INOTIFY, INT_MAX
from sentry.fs.kernfs import NumberFile, TextInode
from sentry.kernel import version
from sentry.kernel.kernel import Kernel
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.task import TASK_BLOCKED, TASK_DEAD, TASK_HELD
from sentry.vfs.creds import Credentials

NS_PER_CS: Final = 10_000_000


class SystemText(TextInode):
    """A file about the machine."""

    def __init__(self, kernel: Kernel, device: int, number: int, mode: int = 0o444) -> None:
        super().__init__(device, number, mode)
        self.kernel = kernel


class Uptime(SystemText):
    """proc_uptime(5)."""

    def generate(self) -> bytes:
        up_ns = self.kernel.clock.monotonic_ns() - self.kernel.boot_ns
        idle_ns = max(up_ns * self.kernel.cpus - self.kernel.busy_ns(), 0)
        return f"{_seconds(up_ns)} {_seconds(idle_ns)}\n".encode()


def _seconds(ns: int) -> str:
    """Format `ns` as seconds, cut (not rounded) to hundredths as Linux does."""
    return f"{ns // NS_PER_CS // 100}.{ns // NS_PER_CS % 100:02}"


class Version(SystemText):
    """proc_version(5)."""

    def generate(self) -> bytes:
        return b"Linux version " + version.RELEASE + b" (runsc) " + version.VERSION + b"\n"


class LoadAverage(SystemText):
    """proc_loadavg(5); averages are not kept."""

    def __init__(self, pids: PidNamespace, device: int, number: int) -> None:
        super().__init__(pids.kernel, device, number)
        self._pids = pids

    def generate(self) -> bytes:
        tasks = self.kernel.all_tasks()
        running = sum(1 for task in tasks if task.state not in (TASK_BLOCKED, TASK_HELD, TASK_DEAD))
        return f"0.00 0.00 0.00 {running}/{len(tasks)} {self._pids.last_pid}\n".encode()


class StatFile(SystemText):
    """proc_stat(5)."""

    def generate(self) -> bytes:
        kernel = self.kernel
        up_ns = kernel.clock.monotonic_ns() - kernel.boot_ns
        busy = kernel.busy_ns() // NS_PER_CS
        idle = max(up_ns * kernel.cpus // NS_PER_CS - busy, 0)
        lines = [f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0"]
        for cpu in range(kernel.cpus):
            share = f"{busy // kernel.cpus} 0 0 {idle // kernel.cpus}"
            lines.append(f"cpu{cpu} {share} 0 0 0 0 0 0")
        boot = (kernel.clock.realtime_ns() - up_ns) // 1_000_000_000
        lines += [
            "intr 0",
            "ctxt 0",
            f"btime {boot}",
            f"processes {kernel.fork_count}",
            "procs_running 1",
            "procs_blocked 0",
        ]
        return ("\n".join(lines) + "\n").encode()


class Meminfo(SystemText):
    """proc_meminfo(5): the memory that the sandbox may use."""

    def generate(self) -> bytes:
        total = self.kernel.memory_total // 1024
        used = 0
        for group in self.kernel.all_groups():
            if group.tasks:
                words = group.tasks[0].memory.host_statm().split()
                used += int(words[1]) * 4 if len(words) > 1 else 0
        free = max(total - used, 0)
        rows = (
            ("MemTotal", total),
            ("MemFree", free),
            ("MemAvailable", free),
            ("Buffers", 0),
            ("Cached", 0),
            ("SwapCached", 0),
            ("Active", used),
            ("Inactive", 0),
            ("SwapTotal", 0),
            ("SwapFree", 0),
            ("Dirty", 0),
            ("Writeback", 0),
            ("AnonPages", used),
            ("Mapped", 0),
            ("Shmem", 0),
        )
        return "".join(f"{name + ':':<16}{value:>8} kB\n" for name, value in rows).encode()


class Cpuinfo(SystemText):
    """proc_cpuinfo(5): what the processor itself tells any program."""

    def generate(self) -> bytes:
        return self.kernel.cpuinfo


class Filesystems(SystemText):
    """proc_filesystems(5)."""

    def generate(self) -> bytes:
        names = (b"proc", b"sysfs", b"tmpfs", b"devtmpfs", b"devpts", b"overlay")
        return b"".join(b"nodev\t" + name + b"\n" for name in names)


class Hostname(SystemText):
    """/proc/sys/kernel/hostname of the reader."""

    def generate(self) -> bytes:
        current = self.kernel.current
        return b"\n" if current is None else current.uts.hostname + b"\n"


class Domainname(SystemText):
    """/proc/sys/kernel/domainname of the reader."""

    def generate(self) -> bytes:
        current = self.kernel.current
        return b"\n" if current is None else current.uts.domainname + b"\n"


class LimitFile(NumberFile):
    """A bound that is kept elsewhere."""

    def __init__(self, kernel: Kernel, device: int, number: int, name: str) -> None:
        super().__init__(device, number, 0, 0, INT_MAX)
        self.kernel = kernel
        self._name = name

    def limits(self) -> dict[str, int]:
        """Return the bounds of whoever looks, by name."""
        raise NotImplementedError

    def generate(self) -> bytes:
        self.value = self.limits()[self._name]
        return super().generate()

    def store(self, data: bytes, creds: Credentials) -> None:
        super().store(data, creds)
        self.limits()[self._name] = self.value


class InotifyLimit(LimitFile):
    """Below /proc/sys/fs/inotify (inotify(7))."""

    def limits(self) -> dict[str, int]:
        return INOTIFY.limits


class MqueueLimit(LimitFile):
    """Below /proc/sys/fs/mqueue (mq_overview(7))."""

    def limits(self) -> dict[str, int]:
        reader = self.kernel.current
        assert reader is not None
        return reader.ipc.mqueues.limits


class RandomUuid(SystemText):
    """/proc/sys/kernel/random/uuid: another one at each reading (random(4))."""

    def generate(self) -> bytes:
        return make_uuid(self.kernel.random_bytes(16))


def make_uuid(raw: bytes) -> bytes:
    """Return random bytes as the text of a version 4 UUID (RFC 9562, 5.4)."""
    number = int.from_bytes(raw, "big")
    number = number & ~(0xF << 76) & ~(3 << 62) | 4 << 76 | 2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}\n".encode()
