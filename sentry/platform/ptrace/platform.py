"""The ptrace platform: one loop step is one call of the extension."""

import _thread
import os
from struct import Struct
from typing import Final

from sentry.errors import SysError
from sentry.platform._ptrace import ffi, lib
from sentry.platform.interface import (
    STOP_EXITED,
    STOP_HOST_EVENT,
    STOP_INTERRUPTED,
    STOP_NONE,
    STOP_SIGNAL,
    STOP_SYSCALL,
    GuestThread,
    HostCall,
    HostWatcher,
    MemoryLayout,
    Platform,
)
from sentry.platform.ptrace.memory import PtraceMemory
from sentry.platform.ptrace.placement import Placement
from sentry.platform.ptrace.template import Template
from sentry.platform.ptrace.thread import (
    AT_CALL,
    ELSEWHERE,
    GONE,
    PAST_CALL,
    RESUME_PLAIN,
    RUNNING,
    HostGroup,
    PtraceThread,
    ThreadTable,
)

STOP: Final = Struct("<ii9Q")  # struct pt_stop, native/stops.c
SIGINFO_OFFSET: Final = 80
SIGINFO_SIZE: Final = 128
STOP_SIZE: Final = SIGINFO_OFFSET + SIGINFO_SIZE
# Bound once, as they are used for every stop.
_unpack_stop: Final = STOP.unpack_from
_wait: Final = lib.pt_wait
_due_events: Final = lib.pt_due_events
_due_fd: Final = lib.pt_due_fd
_due_bits: Final = lib.pt_due_bits
_events_done: Final = lib.pt_events_done
_may_defer: Final = lib.pt_may_defer
_resume: Final = lib.pt_resume


def open_schedstat(proc_fd: int) -> int:
    """Return a descriptor of the calling thread's scheduler statistics, which stays open."""
    name = f"{os.getpid()}/task/{_thread.get_native_id()}/schedstat"
    return os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)


class PtracePlatform(Platform):
    """Guest threads as traced host threads.

    To be made before the process puts itself under a seccomp filter, and by
    the thread that will run the kernel: the template would inherit the one,
    and only the other may trace it.
    """

    def __init__(self, proc_fd: int) -> None:
        """`proc_fd` is a directory of a procfs of this process's pid namespace."""
        super().__init__()
        error = lib.pt_start()
        if error < 0:
            raise SysError(-error)
        self.table = ThreadTable(proc_fd)
        self.schedstat_fd = open_schedstat(proc_fd)
        self.placement = Placement(self.table, self.schedstat_fd)
        self.template = Template(proc_fd, self.placement)
        self.table.fp_frame_size = lib.pt_fp_frame_size()
        self.template.fill_pool()
        self.pending: PtraceThread | None = None
        self.stop = ffi.buffer(lib.pt_stop_buffer(), STOP_SIZE)
        self.watchers: dict[int, HostWatcher] = {}
        self.timer_fd = lib.pt_timer_fd()
        self.tick_fd = lib.pt_tick_fd()
        self.deadline_ns = 0

    def load(self, calls: list[HostCall], layout: MemoryLayout, origin: int = 0) -> GuestThread:
        tid, cpu = self.template.load(calls, layout, origin)
        memory = PtraceMemory(tid, self.table.proc_fd)
        thread = PtraceThread(self.table, tid, memory, HostGroup(tid))
        thread.cpu = cpu
        return thread

    def make_origin(self) -> int:
        return self.template.make_origin()

    def drop_origin(self, origin: int) -> None:
        if self.template.origins.pop(origin, None) is not None:
            lib.pt_kill_group(origin)

    def vdso_address(self) -> int:
        return self.template.vdso_address

    def resume(self, thread: GuestThread) -> None:
        assert isinstance(thread, PtraceThread)
        if thread.is_dying or thread.state == RUNNING or thread.state == GONE:
            return
        pending = self.pending
        if pending is not None:
            _resume(pending.host_tid, pending.action, pending.result)
        self.placement.before_resume(thread)
        if thread.state == PAST_CALL and thread.saved is not None:
            lib.pt_set_registers(thread.host_tid, thread.saved)
        thread.state = RUNNING
        thread.is_in_call = False
        self.table.running += 1
        self.pending = thread

    def wait(self) -> int:
        self.thread = None
        table = self.table
        while True:
            thread = self.pending
            if thread is None:
                kind = _wait(0, 0, 0, table.running)
            else:
                self.pending = None
                kind = _wait(thread.host_tid, thread.action, thread.result, table.running)
            if kind == STOP_HOST_EVENT or kind == STOP_NONE:
                return kind
            kind = self._take_stop(kind)
            if kind != STOP_NONE:
                return kind

    def _take_stop(self, kind: int) -> int:
        _, tid, number, a0, a1, a2, a3, a4, a5, ip, sp = _unpack_stop(self.stop)
        thread = self.table.by_tid.get(tid)
        if thread is None:
            return self._take_unknown(kind, tid)
        if thread.state == RUNNING:
            self.table.running -= 1
        thread.action = RESUME_PLAIN
        thread.stops += 1
        self.table.stops += 1
        if kind == STOP_SYSCALL:
            thread.state = AT_CALL
            thread.is_in_call = True
            thread.wants_stop = False
            thread.number = number
            thread.a0 = a0
            thread.a1 = a1
            thread.a2 = a2
            thread.a3 = a3
            thread.a4 = a4
            thread.a5 = a5
        elif kind == STOP_EXITED:
            return self._take_exit(thread, number)
        else:
            thread.state = ELSEWHERE
        thread.ip = ip
        thread.sp = sp
        if thread.is_dying:
            thread.end_alone()
            return STOP_NONE
        if kind == STOP_SIGNAL:
            thread.wants_stop = False
            thread.signal_number = number
            thread.siginfo = self.stop[SIGINFO_OFFSET:STOP_SIZE]
        elif kind == STOP_INTERRUPTED:
            if not thread.wants_stop:
                self.resume(thread)  # nobody asked, or it stopped otherwise before
                return STOP_NONE
            thread.wants_stop = False
        self.thread = thread
        return kind

    def _take_unknown(self, kind: int, tid: int) -> int:
        if tid == self.template.pid:
            raise RuntimeError("the template of guest processes was killed")
        if kind == STOP_EXITED:
            self.template.forget(tid)
        return STOP_NONE

    def _take_exit(self, thread: PtraceThread, status: int) -> int:
        del self.table.by_tid[thread.host_tid]
        thread.state = GONE
        thread.exit_status = status
        if thread.is_dying:
            return STOP_NONE
        thread.is_dying = True
        thread.group.live -= 1
        thread.host_memory.remove_thread(thread.host_tid)
        self.thread = thread
        return STOP_EXITED

    def watch(self, host_fd: int, events: int, watcher: HostWatcher) -> None:
        error = lib.pt_watch(host_fd, events, host_fd not in self.watchers)
        if error < 0:
            raise SysError(-error)
        self.watchers[host_fd] = watcher

    def unwatch(self, host_fd: int) -> None:
        if self.watchers.pop(host_fd, None) is not None:
            lib.pt_unwatch(host_fd)

    def set_timer(self, deadline_ns: int) -> None:
        if deadline_ns != self.deadline_ns:
            self.deadline_ns = deadline_ns
            lib.pt_set_timer(deadline_ns)

    def dispatch(self) -> None:
        count = _due_events()
        due = [(_due_fd(i), _due_bits(i)) for i in range(count)]
        try:
            for host_fd, bits in due:
                self._on_due(host_fd, bits)
        finally:
            # Also after a bug in one: what else is due is reported again.
            _events_done()

    def _on_due(self, host_fd: int, bits: int) -> None:
        if host_fd == self.tick_fd:
            lib.pt_set_tick(0)
            self.placement.on_tick()
            return
        if host_fd == self.timer_fd:
            # Due once; the kernel knows its timers and sets the next.
            self.set_timer(0)
            return
        watcher = self.watchers.get(host_fd)
        if watcher is None:
            return  # unwatched by one before
        try:
            watcher.on_host_ready(bits)
        except Exception:
            # It would be asked for ever.
            self.unwatch(host_fd)
            raise

    def may_defer(self) -> bool:
        return _may_defer() != 0

    def note_deferred(self, *, waits: bool) -> bool:
        return lib.pt_note_deferred(waits) != 0

    def running_count(self) -> int:
        return self.table.running

    def close(self) -> None:
        threads = list(self.table.by_tid.values())
        for thread in threads:
            lib.pt_kill_group(thread.group.tgid)
        tids = [*self.template.pool, *self.template.origins, self.template.pid]
        for tid in tids:
            lib.pt_kill_group(tid)
        for tid in [thread.host_tid for thread in threads] + tids:
            lib.pt_reap(tid)
        self.table.by_tid.clear()
        self.template.pool.clear()
        self.template.origins.clear()
        self.placement.close()
        os.close(self.schedstat_fd)
        lib.pt_stop()
