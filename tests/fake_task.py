"""A task without a guest, for unit tests of handlers: memory is a bytearray."""

import os
from collections.abc import Callable

from sentry.abi.errno import EFAULT, ENAMETOOLONG
from sentry.errors import SysError
from sentry.fs.ipc_namespace import IpcNamespace
from sentry.kernel.address_space import AddressSpace
from sentry.kernel.blocking import BLOCKED
from sentry.kernel.fdtable import FdTable
from sentry.kernel.kernel import Clock, Kernel
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.signal import SignalHandlers
from sentry.kernel.task import TASK_BLOCKED, TASK_GUEST, TASK_READY, Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.log import Log
from sentry.platform.interface import (
    GuestMemory,
    GuestThread,
    HostCall,
    HostWatcher,
    MemoryLayout,
    Platform,
    Registers,
)

BASE = 0x10000
SIZE = 0x200000


class FakeMemory(GuestMemory):
    """Two megabytes of guest memory from BASE on."""

    def __init__(self) -> None:
        self.bytes = bytearray(SIZE)
        self.read_only = (0, 0)  # first address, and the one behind the last

    def _prefix(self, address: int, size: int) -> int:
        if size and not BASE <= address < BASE + SIZE:
            raise SysError(EFAULT)
        return min(size, BASE + SIZE - address)

    def read(self, address: int, size: int) -> bytes:
        if self._prefix(address, size) < size:
            raise SysError(EFAULT)
        return bytes(self.bytes[address - BASE : address - BASE + size])

    def read_upto(self, address: int, size: int) -> bytes:
        return self.read(address, self._prefix(address, size))

    def write(self, address: int, data: bytes) -> None:
        start, end = self.read_only
        if self._prefix(address, len(data)) < len(data) or start <= address < end:
            raise SysError(EFAULT)
        self.bytes[address - BASE : address - BASE + len(data)] = data

    def write_upto(self, address: int, data: bytes) -> int:
        done = self._prefix(address, len(data))
        self.write(address, data[:done])
        return done

    def read_cstring(self, address: int, limit: int) -> bytes:
        end = self.bytes.find(b"\0", address - BASE, address - BASE + limit)
        if end < 0:
            raise SysError(ENAMETOOLONG)
        return bytes(self.bytes[address - BASE : end])

    def read_from_host(self, host_fd: int, address: int, size: int, offset: int) -> int:
        data = os.read(host_fd, size) if offset < 0 else os.pread(host_fd, size, offset)
        self.write(address, data)
        return len(data)

    def write_to_host(self, host_fd: int, address: int, size: int, offset: int) -> int:
        data = self.read(address, size)
        return os.write(host_fd, data) if offset < 0 else os.pwrite(host_fd, data, offset)

    def host_maps(self) -> bytes:
        return b""


class FakeThread(GuestThread):
    """A guest thread that only remembers."""

    def finish(self, result: int) -> None:
        self.a0 = result

    def pass_on(self) -> None: ...

    def execute(
        self,
        number: int,
        a0: int = 0,
        a1: int = 0,
        a2: int = 0,
        a3: int = 0,
        a4: int = 0,
        a5: int = 0,
    ) -> int:
        return 0

    def clone(self, *, share_memory: bool, same_group: bool) -> GuestThread:
        return FakeThread(self.memory)

    def registers(self) -> Registers:
        return Registers()

    def set_registers(self, regs: Registers) -> None: ...

    def stack_pointer(self) -> int:
        return 0

    def fp_frame_size(self) -> int:
        return 0

    def enter_handler(self, entry: bytes, sp: int, handler: int) -> bool:
        return False

    def leave_handler(self) -> None: ...

    def interrupt(self) -> None: ...

    def is_running(self) -> bool:
        return False

    def kill(self) -> None: ...


class FakePlatform(Platform):
    """A platform without guests; remembers which host descriptors are watched."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: dict[int, tuple[int, HostWatcher]] = {}

    def load(self, calls: list[HostCall], layout: MemoryLayout, origin: int = 0) -> GuestThread:
        return FakeThread(FakeMemory())

    def vdso_address(self) -> int:
        return 0

    def resume(self, thread: GuestThread) -> None: ...

    def wait(self) -> int:
        return 0

    def watch(self, host_fd: int, events: int, watcher: HostWatcher) -> None:
        self.watched[host_fd] = (events, watcher)

    def unwatch(self, host_fd: int) -> None:
        del self.watched[host_fd]

    def set_timer(self, deadline_ns: int) -> None: ...

    def dispatch(self) -> None: ...

    def running_count(self) -> int:
        return 0

    def close(self) -> None: ...


class ManualClock(Clock):
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns

    def realtime_ns(self) -> int:
        return self.now_ns + 1_000_000_000_000


class FakeTask(Task):
    """A task of a kernel of its own."""

    def __init__(
        self, kernel: Kernel | None = None, pid: int = 1, pids: PidNamespace | None = None
    ) -> None:
        if kernel is None:
            kernel = Kernel(FakePlatform(), Log())
            kernel.clock = ManualClock()
        thread = FakeThread(FakeMemory())
        pids = pids or kernel.pids
        group = ThreadGroup(pids, pid, None, SignalHandlers())
        super().__init__(kernel, group, pid, thread, AddressSpace(thread.memory))
        group.tasks.append(self)
        group.leader = self
        pids.tasks[pid] = self
        pids.groups[pid] = group
        self.fds = FdTable(1024)
        self.ipc = IpcNamespace()
        self.creds.effective = self.creds.permitted = (1 << 41) - 1

    def advance(self, ns: int) -> None:
        """Move the clock and fire what is due."""
        clock = self.kernel.clock
        assert isinstance(clock, ManualClock)
        clock.now_ns += ns
        self.kernel.timers.run_due(clock.now_ns)


class Running:
    """A call that a task makes, run again by `resume` as the loop does."""

    def __init__(self, task: Task, handler: Callable[[], int]) -> None:
        self._task = task
        self._handler = handler
        self.result = 0
        task.call.begin(0)
        self._run()

    @property
    def is_blocked(self) -> bool:
        """Return whether the task sleeps."""
        return self._task.state == TASK_BLOCKED

    def _run(self) -> None:
        self._task.state = TASK_GUEST
        try:
            self.result = self._handler()
        except SysError as error:
            self.result = -error.errno
        if self.result != BLOCKED:
            self._task.call.end()

    def resume(self) -> int:
        """Run the woken call again; return its result."""
        assert self._task.state == TASK_READY
        self._task.kernel.ready.remove(self._task)
        self._run()
        return self.result


def call(task: Task, handler: Callable[[], int]) -> int:
    """Return the result of a call that does not sleep, negative for an errno."""
    running = Running(task, handler)
    assert not running.is_blocked
    return running.result
