"""A guest's registers are its own: nothing of the sentry's comes in, nothing of its own is lost."""

import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sentry.platform.interface import (
    STOP_INTERRUPTED,
    STOP_SIGNAL,
    STOP_SYSCALL,
    MemoryLayout,
)
from sentry.platform.ptrace.platform import PtracePlatform
from sentry.platform.ptrace.thread import VSYSCALL_START, PtraceThread
from tests.unit.sentry.platform import guest

MASK = (1 << 64) - 1
SYS_MMAP, SYS_PAUSE, SYS_GETPID, SYS_GETTIMEOFDAY = 9, 34, 39, 96
PROT_READ, MAP_PRIVATE = 1, 2

# `check_call(number)` makes one call with a mark in every register and says
# which of them has another value afterwards: bit n is register n of `marks`.
MARKS = r"""
ul marks[14], after[14];
static ul check_call(long number, long *result)
{
    ul wrong = 0;
    for (int i = 0; i < 14; i++)
        marks[i] = 0x1111111111111111UL * (i + 1);
    __asm__ volatile(
        "push %%rbx\n push %%rbp\n push %%rax\n"
        "mov marks+0, %%rdi\n mov marks+8, %%rsi\n mov marks+16, %%rdx\n"
        "mov marks+24, %%r10\n mov marks+32, %%r8\n mov marks+40, %%r9\n"
        "mov marks+48, %%rbx\n mov marks+56, %%rbp\n mov marks+64, %%r12\n"
        "mov marks+72, %%r13\n mov marks+80, %%r14\n mov marks+88, %%r15\n"
        "mov (%%rsp), %%rax\n"
        "syscall\n"
        ".globl behind\nbehind:\n"
        "mov %%rdi, after+0\n mov %%rsi, after+8\n mov %%rdx, after+16\n"
        "mov %%r10, after+24\n mov %%r8, after+32\n mov %%r9, after+40\n"
        "mov %%rbx, after+48\n mov %%rbp, after+56\n mov %%r12, after+64\n"
        "mov %%r13, after+72\n mov %%r14, after+80\n mov %%r15, after+88\n"
        "mov %%rcx, after+96\n mov %%r11, after+104\n"
        "pop %%rbx\n pop %%rbp\n pop %%rbx\n"
        : "=a"(*result) : "a"(number)
        : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
          "memory");
    extern char behind[];
    for (int i = 0; i < 12; i++)
        wrong |= (ul)(after[i] != marks[i]) << i;
    // syscall(2): RCX is where it returns to, R11 the flags (some of which are the host's).
    wrong |= (ul)(after[12] != (ul)behind) << 12;
    return wrong;
}
"""

ONE_CALL = (
    MARKS
    + r"""
void guest_main(ul *stack)
{
    long result;
    ul wrong = check_call(39, &result);
    leave(result == 77 ? wrong : 0x10000);
}
"""
)


def finish(thread: PtraceThread) -> None:
    thread.finish(77)


def map_a_file(thread: PtraceThread) -> None:
    """Map a file: the descriptor's number is the sentry's."""
    with open("/proc/self/exe", "rb") as file:
        at = thread.execute(SYS_MMAP, 0, 4096, PROT_READ, MAP_PRIVATE, file.fileno(), 0)
    assert at > 0


def execute_once(thread: PtraceThread) -> None:
    map_a_file(thread)
    thread.finish(77)


def execute_thrice(thread: PtraceThread) -> None:
    for _ in range(3):
        map_a_file(thread)
    thread.finish(77)


def fail_to_execute(thread: PtraceThread) -> None:
    assert thread.execute(SYS_MMAP, 0, 4096, PROT_READ, MAP_PRIVATE, 12345, 0) == -9
    thread.finish(77)


def fork(thread: PtraceThread) -> None:
    thread.clone(share_memory=False, same_group=False).kill()
    thread.finish(77)


@pytest.mark.parametrize("handler", [finish, execute_once, execute_thrice, fail_to_execute, fork])
def test_rewritten_arguments_do_not_leak(
    platform: PtracePlatform,
    start: Callable[..., PtraceThread],
    handler: Callable[[PtraceThread], None],
) -> None:
    wrong = guest.run(platform, start(ONE_CALL), {SYS_GETPID: handler})
    assert wrong == 0, bin(wrong)


def finish_with_zero(thread: PtraceThread) -> None:
    thread.finish(0)


def execute_and_finish_with_zero(thread: PtraceThread) -> None:
    map_a_file(thread)
    thread.finish(0)


def make_and_finish_with_zero(thread: PtraceThread) -> None:
    """Have the host make the call as it stands, before."""
    t = thread
    assert t.execute(t.number, t.a0, t.a1, t.a2, t.a3, t.a4, t.a5) != 0
    thread.finish(0)


@pytest.mark.parametrize(
    ("handler", "number"),
    [
        (finish_with_zero, SYS_GETPID),
        (finish_with_zero, SYS_PAUSE),
        (finish_with_zero, 1000),
        (execute_and_finish_with_zero, SYS_GETPID),
        (execute_and_finish_with_zero, SYS_MMAP),
        (make_and_finish_with_zero, SYS_GETPID),
        (make_and_finish_with_zero, 1000),
    ],
)
def test_a_result_of_zero_arrives_and_leaves_all_else(
    platform: PtracePlatform,
    start: Callable[..., PtraceThread],
    handler: Callable[[PtraceThread], None],
    number: int,
) -> None:
    """Whichever call it is: the host makes another one, which returns just that."""
    source = ONE_CALL.replace("result == 77", "result == 0")
    source = source.replace(f"check_call({SYS_GETPID},", f"check_call({number},")
    wrong = guest.run(platform, start(source), {number: handler})
    assert wrong == 0, bin(wrong)


@pytest.mark.parametrize(
    ("share_memory", "same_group"), [(False, False), (True, False), (True, True)]
)
def test_a_copy_has_the_registers_of_the_call(
    platform: PtracePlatform,
    start: Callable[..., PtraceThread],
    share_memory: bool,
    same_group: bool,
) -> None:
    """clone3(2) in glibc keeps the function in RDX and its argument in R8."""
    parent = start(ONE_CALL)
    platform.resume(parent)
    assert guest.next_stop(platform) == STOP_SYSCALL
    child = parent.clone(share_memory=share_memory, same_group=same_group)
    assert isinstance(child, PtraceThread)
    regs = child.registers()
    assert regs.rax == 0
    assert (regs.rdx, regs.r8) == (0x3333333333333333, 0x5555555555555555)
    regs.rax = 77
    child.set_registers(regs)
    wrong = guest.run(platform, child, {})
    assert wrong == 0, bin(wrong)
    parent.kill()


STATE = r"""
static unsigned char area[16384] __attribute__((aligned(64)));
void guest_main(ul *stack)
{
    // Before the compiler's code can touch a register: see `_start`.
    __asm__ volatile("xsave %0" : "+m"(area) : "a"(-1), "d"(-1));
    sys(39, area, sizeof area, 0);
    leave(0);
}
"""


def test_no_vector_register_has_anything_of_ours(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    states: list[bytes] = []

    def at_getpid(thread: PtraceThread) -> None:
        states.append(thread.memory.read(thread.a0, thread.a1))
        thread.finish(0)

    assert guest.run(platform, start(STATE), {SYS_GETPID: at_getpid}) == 0
    state = bytearray(states[0])
    assert struct.unpack_from("<H", state, 0)[0] == 0x37F, "FCW"
    assert struct.unpack_from("<I", state, 24)[0] == 0x1F80, "MXCSR"
    state[0:2] = bytes(2)
    state[24:32] = bytes(8)  # with MXCSR_MASK
    features = struct.unpack_from("<Q", state, 512)[0]
    state[512:520] = bytes(8)
    if features & 1 << 9:
        at = state.index(struct.pack("<I", 0x55555554))  # PKRU as Linux starts programs with
        state[at : at + 4] = bytes(4)
    assert not any(state), [i for i, byte in enumerate(state) if byte]


def test_general_registers_are_clear_at_the_first_stop(
    platform: PtracePlatform,
) -> None:
    regs = platform.load([], MemoryLayout()).registers()
    ours = {
        name: hex(value)
        for name, value in vars(regs).items()
        if value
        and name not in ("rip", "cs", "ss", "eflags", "orig_rax", "rax", "rbx", "rcx", "r11")
    }
    # What the stub's own loop leaves lies in its own pages and in the list's numbers.
    assert not {name: value for name, value in ours.items() if int(value, 16) > 0x7FFF_FFFF_FFFF}
    assert regs.fs_base == regs.gs_base == regs.rsp == 0


@contextmanager
def storm(pid: int, number: int = signal.SIGUSR1) -> Iterator[None]:
    """Send signals to a host process as fast as one thread can."""
    ended = threading.Event()

    def blow() -> None:
        while not ended.is_set():
            os.kill(pid, number)
            time.sleep(0)

    thread = threading.Thread(target=blow)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


MANY_CALLS = r"""
void guest_main(ul *stack)
{
    for (int i = 0; i < 300; i++) {
        long at = sys6(9, 0, 8192, 3, 0x22, -1, 0);
        if (at < 0 && at >= -516)
            leave(100);
        *(volatile char *)at = 1;
        if (sys(28, at, 4096, 4) != 0)    // madvise
            leave(101);
        if (sys(10, at, 4096, 1) != 0)    // mprotect
            leave(102);
        long child = sys(39, 0, 0, 0);    // cloned by the test
        if (child <= 0)
            leave(103);
        if (sys(11, at, 8192, 0) != 0)    // munmap
            leave(104);
    }
    leave(0);
}
"""


def test_interrupted_calls_are_made_again_under_a_storm(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """ERESTARTNOINTR and its kin (-512 to -516) belong to the host's kernel."""
    copies = 0

    def at_getpid(thread: PtraceThread) -> None:
        nonlocal copies
        child = thread.clone(share_memory=bool(copies % 2), same_group=False)
        assert child.registers().rax == 0
        child.kill()
        copies += 1
        thread.finish(child.host_tid)

    thread = start(MANY_CALLS)
    with storm(thread.host_tid):
        assert guest.run(platform, thread, {SYS_GETPID: at_getpid}) == 0
    assert copies == 300


REWRITES = r"""
void guest_main(ul *stack)
{
    for (int i = 0; i < 500; i++) {
        long at = sys6(9, 0, 4096, 1, 2, 999, 0);    // mapped by the test, from a file of its own
        if (at < 0)
            leave(100);
        if (*(volatile int *)at != 0x464c457f)
            leave(101);
        if (sys(11, at, 4096, 0) != 0)
            leave(102);
    }
    leave(0);
}
"""


def test_rewritten_calls_are_made_again_under_a_storm(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    with open("/proc/self/exe", "rb") as file:

        def at_mmap(thread: PtraceThread) -> None:
            at = thread.execute(SYS_MMAP, 0, 4096, PROT_READ, MAP_PRIVATE, file.fileno(), 0)
            assert at > 0
            thread.finish(at)

        thread = start(REWRITES)
        with storm(thread.host_tid):
            assert guest.run(platform, thread, {SYS_MMAP: at_mmap}) == 0


def test_an_interrupted_rewritten_call_is_made_again(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """The host has it start over, which must not be seen, and not be done twice."""
    read_end, write_end = os.pipe()
    source = r"""
    static char text[8];
    void guest_main(ul *stack) { leave(sys6(0, 999, text, 8, 0, 0, 0) * 16 + text[0]); }
    """
    thread = start(source)
    timers = [
        threading.Timer(0.05 * i, os.kill, (thread.host_tid, signal.SIGUSR1)) for i in range(1, 5)
    ]
    timers.append(threading.Timer(0.4, os.write, (write_end, b"\x03")))
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    for timer in timers:
        timer.start()
    # read(2) of an empty pipe sleeps in the host: a signal interrupts it (ERESTARTSYS).
    assert thread.execute(0, read_end, thread.a1, thread.a2) == 1
    thread.finish(1)
    assert guest.run(platform, thread, {}) == 16 + 3
    for timer in timers:
        timer.join()
    os.close(read_end)
    os.close(write_end)


def test_loading_survives_a_storm_on_the_template(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    with storm(platform.template.pid):
        for _ in range(30):
            thread = start(ONE_CALL)
            assert guest.run(platform, thread, {SYS_GETPID: finish}) == 0


def test_an_interrupted_call_shows_no_restart_code(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """At the stop of an interrupt the host may be about to make a passed-on call again."""
    thread = start("void guest_main(ul *stack) { leave(sys(34, 0, 0, 0) & 0xffff); }")
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    thread.pass_on()  # pause(2), which only a signal ends
    ip = thread.ip
    platform.resume(thread)
    guest.run_for(platform, 0.1)  # it is asleep in the host
    thread.interrupt()
    assert guest.next_stop(platform) == STOP_INTERRUPTED
    regs = thread.registers()
    assert (regs.rax, regs.rip) == (SYS_PAUSE, ip - 2)
    # A signal frame would be made of these, and the call made again after it.
    thread.set_registers(regs)
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    assert (thread.number, thread.ip) == (SYS_PAUSE, ip)
    thread.finish(42)
    assert guest.run(platform, thread, {}) == 42


def test_a_blocked_call_can_be_left_for_a_handler(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """A thread that is stopped at a call reports no interrupt: its registers are set there."""
    source = r"""
    static ul back;
    void handler(void) { sys(186, 0, 0, 0); leave(7); }
    void guest_main(ul *stack) { sys(39, handler, &back, 0); sys(34, 0, 0, 0); leave(1); }
    """
    thread = start(source)
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    handler = thread.a0
    thread.finish(0)
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    assert thread.number == SYS_PAUSE
    thread.interrupt()  # nothing to interrupt, and no stop of it later
    regs = thread.registers()
    regs.rip = handler
    regs.rsp -= 256 + regs.rsp % 16 + 8
    thread.set_registers(regs)
    assert guest.run(platform, thread, {186: finish}) == 7


VSYSCALL = r"""
void guest_main(ul *stack)
{
    ul tv[2] = {1, 2};
    long (*call)(void *, void *) = (void *)0xffffffffff600000UL;
    long result = call(tv, 0);
    leave(result == -99 ? 5 : result == 88 ? 6 : 7);
}
"""


def has_vsyscall() -> bool:
    with open("/proc/self/maps") as maps:
        return "[vsyscall]" in maps.read()


@pytest.mark.skipif(not has_vsyscall(), reason="the host has no vsyscall page")
@pytest.mark.parametrize(("leaves", "status"), [(False, 5), (True, 5)])
def test_a_call_of_the_vsyscall_page_can_be_left(
    platform: PtracePlatform, start: Callable[..., PtraceThread], leaves: bool, status: int
) -> None:
    """The host kills a thread whose registers are replaced in there (emulate_vsyscall)."""

    def at_gettimeofday(thread: PtraceThread) -> None:
        assert thread.ip >= VSYSCALL_START
        thread.finish(-99)
        if leaves:
            regs = thread.registers()
            assert regs.rip < VSYSCALL_START
            assert regs.rax == -99 & MASK
            thread.set_registers(regs)

    assert guest.run(platform, start(VSYSCALL), {SYS_GETTIMEOFDAY: at_gettimeofday}) == status


@pytest.mark.parametrize("name", ["rip", "rsp"])
@pytest.mark.parametrize("value", [1 << 63, MASK, 0xFFFF_8000_0000_0000, 0x8000_0000_0000, 0])
def test_registers_that_make_no_sense_are_a_fault_of_the_guest(
    platform: PtracePlatform, start: Callable[..., PtraceThread], name: str, value: int
) -> None:
    source = 'void guest_main(ul *stack) { sys(39, 0, 0, 0); __asm__("push %rax"); leave(3); }'
    thread = start(source)
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    regs = thread.registers()
    setattr(regs, name, value)
    regs.cs = 0x10
    regs.ss = 0
    regs.eflags = MASK
    regs.orig_rax = 59
    thread.set_registers(regs)
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SIGNAL
    assert thread.signal_number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP)
    after = thread.registers()
    assert (after.cs, after.ss) == (0x33, 0x2B)
    assert after.eflags & 0x3000 == 0, "the I/O privilege level"
