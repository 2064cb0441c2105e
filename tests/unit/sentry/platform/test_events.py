"""Stops that nobody asked for, and ends in any order (ptrace(2), "Stopped states")."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sentry.errors import SysError
from sentry.platform.interface import (
    STOP_EXITED,
    STOP_HOST_EVENT,
    STOP_INTERRUPTED,
    STOP_SIGNAL,
    STOP_SYSCALL,
    HostWatcher,
    MemoryLayout,
)
from sentry.platform.ptrace.platform import PtracePlatform
from sentry.platform.ptrace.thread import PtraceThread
from sentry.platform.ptrace_build import NATIVE
from tests.unit.sentry.platform import guest

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
SYS_GETPID, SYS_MMAP, SYS_PAUSE = 39, 9, 34
FOREIGN = [
    signal.SIGSTOP,
    signal.SIGCONT,
    signal.SIGTSTP,
    signal.SIGTRAP,
    signal.SIGSEGV,
    signal.SIGSYS,
    signal.SIGTERM,
    signal.SIGRTMAX,
]

WORK = r"""
void guest_main(ul *stack)
{
    ul sum = 0;
    for (int i = 0; i < 2000; i++) {
        for (volatile int j = 0; j < 2000; j++)
            ;
        sum += sys(39, i, 0, 0);
    }
    leave(sum == 2000 ? 0 : 1);
}
"""


def one(thread: PtraceThread) -> None:
    thread.finish(1)


class Storm:
    """Sends signals to host processes until told to stop."""

    def __init__(self, pids: list[int], numbers: list[signal.Signals]) -> None:
        self.pids = pids
        self.numbers = numbers
        self.sent = 0
        self.thread = threading.Thread(target=self.blow)
        self.ended = threading.Event()

    def blow(self) -> None:
        while not self.ended.is_set():
            for number in self.numbers:
                for pid in self.pids:
                    os.kill(pid, number)
                    self.sent += 1
                time.sleep(0)

    def __enter__(self) -> "Storm":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()


@pytest.mark.parametrize("number", FOREIGN, ids=lambda number: number.name)
def test_signals_from_the_host_are_none_of_the_guests_business(
    platform: PtracePlatform, start: Callable[..., PtraceThread], number: signal.Signals
) -> None:
    """Neither a delivery nor a group stop, nor a stop that is mistaken for another one."""
    thread = start(WORK)
    with Storm([thread.host_tid], [number]) as storm:
        assert guest.run(platform, thread, {SYS_GETPID: one}) == 0
    assert storm.sent > 10


def test_programs_are_loaded_under_a_storm_of_stops(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """A SIGSEGV from outside is not the end of a list, a SIGTRAP not its failure."""
    template = platform.template
    with Storm([template.pid], FOREIGN) as storm:
        for _ in range(20):
            template.fill_pool()
            storm.pids = [template.pid, *template.pool]
            thread = start("void guest_main(ul *stack) { leave(sys(39, 0, 0, 0)); }")
            storm.pids = [template.pid]
            starts = {m.split(b"-")[0] for m in thread.memory.host_maps().splitlines()}
            assert b"00010000" not in starts, "the list did not come to its end"
            assert guest.run(platform, thread, {SYS_GETPID: one}) == 1
    assert storm.sent > 100


def test_spurious_event_stops_are_tolerated(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """An interrupt that came too late is seen at the next resume, and means nothing then."""
    thread = start(WORK)
    platform.resume(thread)
    for _ in range(50):
        assert guest.next_stop(platform) == STOP_SYSCALL
        thread.finish(1)
        platform.resume(thread)
        thread.interrupt()
        thread.wants_stop = False  # as if it had stopped otherwise before
    assert guest.next_stop(platform) == STOP_SYSCALL
    thread.kill()


def test_each_interrupt_is_answered_once(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    thread = start("void guest_main(ul *stack) { for (;;) ; }")
    platform.resume(thread)
    for _ in range(100):
        assert interrupt_and_wait(platform, thread) == STOP_INTERRUPTED
        platform.resume(thread)
    thread.kill()


def interrupt_and_wait(platform: PtracePlatform, thread: PtraceThread) -> int:
    """Let the resumed thread run for a moment, interrupt it, and return its stop."""
    guest.run_for(platform, 0.002)
    thread.interrupt()
    return guest.next_stop(platform)


SIBLINGS = r"""
void guest_main(ul *stack) { sys(39, 0, 0, 0); for (;;) sys(39, 1, 0, 0); }
"""


def make_threads(platform: PtracePlatform, thread: PtraceThread, count: int) -> list[PtraceThread]:
    """Return `count` more threads of the stopped thread's process."""
    made = []
    for _ in range(count):
        sibling = thread.clone(share_memory=True, same_group=True)
        assert isinstance(sibling, PtraceThread)
        made.append(sibling)
    return made


def test_a_copy_is_made_while_others_stop(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """Waits nested in a call see the stops of other threads, and keep them."""
    thread = start(SIBLINGS)
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    siblings = make_threads(platform, thread, 4)
    for sibling in siblings:
        platform.resume(sibling)
    for _ in range(50):
        assert thread.execute(SYS_PAUSE + 5) > 0  # getpid, while the others come to their stops
        made = thread.clone(share_memory=False, same_group=False)
        made.kill()
    stopped = set()
    while len(stopped) < 4:
        assert guest.next_stop(platform) == STOP_SYSCALL
        assert platform.thread is not None
        stopped.add(platform.thread.host_tid)
    assert stopped == {sibling.host_tid for sibling in siblings}
    for each in [thread, *siblings]:
        each.kill()


def test_a_leader_that_ends_first_is_no_end_of_its_process(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    leader = start(SIBLINGS)
    platform.resume(leader)
    assert guest.next_stop(platform) == STOP_SYSCALL
    (sibling,) = make_threads(platform, leader, 1)
    memory = leader.memory
    leader.kill()
    for _ in range(20):
        platform.resume(sibling)
        assert guest.next_stop(platform) == STOP_SYSCALL
        assert platform.thread is sibling
        assert memory.read(sibling.ip - 2, 2) == b"\x0f\x05"
        sibling.finish(0)
    platform.resume(sibling)
    assert guest.next_stop(platform) == STOP_SYSCALL
    assert sibling.execute(SYS_MMAP, 0, 4096, 3, 0x22, (1 << 64) - 1, 0) > 0
    sibling.kill()
    assert guest.wait_until_gone([leader.host_tid, sibling.host_tid], 2) == []


def map_file(thread: PtraceThread) -> None:
    with open("/proc/self/exe", "rb") as file:
        assert thread.execute(SYS_MMAP, 0, 4096, 1, 2, file.fileno(), 0) > 0


def map_and_finish(thread: PtraceThread) -> None:
    map_file(thread)
    thread.finish(5)


def fork_and_finish(thread: PtraceThread) -> None:
    thread.clone(share_memory=False, same_group=False).kill()
    thread.finish(5)


MAPPER = r"""
void guest_main(ul *stack) { for (;;) sys6(9, 1, 2, 3, 4, 5, 6); }
"""


@pytest.mark.parametrize("before", [one, map_file, map_and_finish, fork_and_finish])
@pytest.mark.parametrize("which", [0, 1])
def test_one_thread_is_ended_wherever_it_is_stopped(
    platform: PtracePlatform,
    start: Callable[..., PtraceThread],
    before: Callable[[PtraceThread], None],
    which: int,
) -> None:
    """By an execve(2) of another, say; the leader of a process is not reported before the last."""
    leader = start(MAPPER)
    platform.resume(leader)
    assert guest.next_stop(platform) == STOP_SYSCALL
    threads = [leader, *make_threads(platform, leader, 1)]
    leader.finish(0)
    for thread in threads:
        platform.resume(thread)
        assert guest.next_stop(platform) == STOP_SYSCALL
    ended, other = threads[which], threads[1 - which]
    before(ended)
    ended.kill()
    deadline = time.monotonic() + 2
    task = Path(f"/proc/{leader.host_tid}/task/{ended.host_tid}/stat")
    while task.exists() and task.read_text().rpartition(")")[2].split()[0] not in "ZX":
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.01)
    other.finish(0)
    platform.resume(other)
    assert guest.next_stop(platform) == STOP_SYSCALL
    assert platform.thread is other
    other.kill()


def test_a_process_that_the_host_ends_takes_every_thread(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """exit_group(2) or a SIGKILL from outside: siblings end without a stop of their own."""
    leader = start(SIBLINGS)
    platform.resume(leader)
    assert guest.next_stop(platform) == STOP_SYSCALL
    threads = [leader, *make_threads(platform, leader, 3)]
    platform.resume(threads[1])
    assert guest.next_stop(platform) == STOP_SYSCALL
    os.kill(leader.host_tid, signal.SIGKILL)
    ended = {}
    while len(ended) < 4:
        assert guest.next_stop(platform) == STOP_EXITED
        assert platform.thread is not None
        ended[platform.thread.host_tid] = platform.thread.exit_status
    assert ended == {each.host_tid: signal.SIGKILL for each in threads}
    for each in threads:
        each.kill()
        platform.resume(each)
        with pytest.raises((SysError, ValueError)):
            each.clone(share_memory=False, same_group=False)


def test_a_killed_thread_fails_calls_without_blocking(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    thread = start(SIBLINGS)
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    os.kill(thread.host_tid, signal.SIGKILL)
    # Its end is not awaited, that would reap it; but its memory goes a moment after the signal.
    os.waitid(os.P_PID, thread.host_tid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(SysError):
        thread.execute(SYS_GETPID)
    with pytest.raises(SysError):
        thread.clone(share_memory=False, same_group=False)
    thread.registers()
    thread.set_registers(thread.registers())
    assert guest.next_stop(platform) == STOP_EXITED
    assert platform.thread is thread
    assert thread.exit_status == signal.SIGKILL
    with pytest.raises(SysError):
        thread.memory.read(thread.ip, 2)


def test_a_stub_that_is_stopped_by_a_fault_is_no_end(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    thread = start("void guest_main(ul *stack) { *(volatile int *)8 = 1; leave(1); }")
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SIGNAL
    assert thread.signal_number == signal.SIGSEGV
    regs = thread.registers()
    regs.rip = 0x2000
    thread.set_registers(regs)
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SIGNAL
    assert thread.ip == 0x2000
    thread.kill()


def test_a_child_may_stop_before_its_parent(tmp_path: Path) -> None:
    """Never seen in practice: the order of events is that of a host of the test's own."""
    program = tmp_path / "event_order"
    command = ["gcc", "-O1", "-w", "-pthread", f"-I{NATIVE}", "-o", str(program)]
    subprocess.run([*command, str(HERE / "event_order.c")], check=True, timeout=60)
    done = subprocess.run([str(program)], check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "5 orders"


def test_close_leaves_no_process(proc_fd: int) -> None:
    platform = PtracePlatform(proc_fd)
    threads = [platform.load([], MemoryLayout()) for _ in range(3)]
    pids = [platform.template.pid, *(thread.host_tid for thread in threads)]
    platform.close()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_tracing_is_up_before_anything_of_a_copy_runs(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """A copy is traced from its first instruction on, and so is a copy of a copy."""
    thread = start(SIBLINGS)
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    for _ in range(20):
        child = thread.clone(share_memory=False, same_group=False)
        assert isinstance(child, PtraceThread)
        text = Path(f"/proc/{child.host_tid}/status").read_text()
        assert f"TracerPid:\t{os.getpid()}\n" in text
        assert "State:\tt (tracing stop)\n" in text
        thread.kill()
        platform.resume(child)
        while guest.next_stop(platform) != STOP_SYSCALL or platform.thread is not child:
            pass
        thread = child
    thread.kill()


class BadWatcher(HostWatcher):
    """Raises when it is told anything."""

    def on_host_ready(self, events: int) -> None:
        raise KeyError("a bug")


class Counter(HostWatcher):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.count = 0

    def on_host_ready(self, events: int) -> None:
        self.count += 1


def test_a_watcher_with_a_bug_is_not_asked_again(platform: PtracePlatform) -> None:
    """And the others are: the same event is reported for them."""
    pipes = [os.pipe(), os.pipe()]
    counter = Counter()
    platform.watch(pipes[0][0], select.POLLIN, BadWatcher())
    platform.watch(pipes[1][0], select.POLLIN, counter)
    for _, write_end in pipes:
        os.write(write_end, b"x")
    bugs = 0
    for _ in range(4):
        assert platform.wait() == STOP_HOST_EVENT
        try:
            platform.dispatch()
        except KeyError:
            bugs += 1
    assert bugs == 1
    assert counter.count >= 3
    for read_end, write_end in pipes:
        platform.unwatch(read_end)
        os.close(read_end)
        os.close(write_end)


COMPUTE = r"""
void guest_main(ul *stack)
{
    for (;;)
        for (volatile int j = 0; j < 2000; j++)
            ;
}
"""


class Emptied(HostWatcher):
    """Reads what was written, and notes when."""

    def __init__(self, host_fd: int) -> None:
        self.host_fd = host_fd
        self.times: list[float] = []

    def on_host_ready(self, events: int) -> None:
        os.read(self.host_fd, 1)
        self.times.append(time.monotonic())


@pytest.mark.parametrize("pause", [0.0, 0.02])
def test_watchers_hear_while_a_guest_computes(
    platform: PtracePlatform, start: Callable[..., PtraceThread], pause: float
) -> None:
    """No stop of the guest tells the kernel's thread to look."""
    read_end, write_end = os.pipe()
    watcher = Emptied(read_end)
    platform.watch(read_end, select.POLLIN, watcher)
    thread = start(COMPUTE)
    platform.resume(thread)
    delays = []
    for _ in range(20):
        guest.run_for(platform, pause)
        heard = len(watcher.times)
        began = time.monotonic()
        os.write(write_end, b"x")
        while len(watcher.times) == heard:
            if platform.wait() == STOP_HOST_EVENT:
                platform.dispatch()
        delays.append(watcher.times[-1] - began)
    thread.kill()
    platform.unwatch(read_end)
    os.close(read_end)
    os.close(write_end)
    # A millisecond or two; the machine may have other things to do, but not each time.
    assert sorted(delays)[10] < 0.01


def test_short_timers_are_in_time_while_a_guest_computes(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    platform.resume(start(COMPUTE))
    delays = []
    for _ in range(60):
        began = time.monotonic_ns()
        guest.run_for(platform, 0.0003)
        delays.append(time.monotonic_ns() - began - 300_000)
    # Not a millisecond, which is when the helper would look anyway.
    assert sorted(delays)[15] < 400_000


EARLY_FILTER = """
import os
from runsc.boot.host_calls import sandbox_calls
from runsc.boot.hostfilter import HostFilter
from sentry.platform._ptrace import lib
host_filter = HostFilter(sandbox_calls(), trap=False)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
# No other thread on this processor runs before this one sleeps.
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
assert lib.pt_start() == 0
host_filter.load()
lib.pt_stop()
os._exit(23)
"""


@pytest.mark.root
def test_the_helper_is_set_up_before_a_filter_can_come() -> None:
    """The C library begins a thread with calls that the sandbox may not make (rseq(2))."""
    done = subprocess.run([sys.executable, "-c", EARLY_FILTER], check=False, cwd=ROOT, timeout=60)
    assert done.returncode == 23
