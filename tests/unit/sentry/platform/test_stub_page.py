"""The stub page has no power: not while a list runs, and not once a guest has its address."""

import errno
from collections.abc import Callable

import pytest

from sentry.errors import SysError
from sentry.platform._ptrace import lib
from sentry.platform.interface import MemoryLayout
from sentry.platform.ptrace.platform import PtracePlatform
from sentry.platform.ptrace.template import STUB_CODE, STUB_END, covers_stub
from sentry.platform.ptrace.thread import PtraceThread
from tests.unit.sentry.platform import guest

GETPPID = 110
ANSWER = 4711

# Fills the whole address space with PROT_NONE mappings, takes the page that the
# host handed out at the stub's address, and plants code there.
FILL = r"""
static int fill(void)
{
    for (ul size = 1UL << 46; size >= 4096; size >>= 1)
        while (sys6(9, 0, size, 0, 0x4022, -1, 0) > 0)
            ;
    return sys(10, 0x10000, 8192, 7) == 0;
}
static void plant(ul at, long number)
{
    unsigned char code[] = {0xb8, number, number >> 8, 0, 0, 0x0f, 0x05, 0xc3};
    for (int i = 0; i < sizeof code; i++)
        ((volatile unsigned char *)at)[i] = code[i];
}
"""

ESCAPE = (
    FILL
    + r"""
void guest_main(ul *stack)
{
    if (!fill())
        leave(100);
    // Wherever the loop's own instruction was, one of these is there.
    for (ul at = 0x10000; at < 0x10100; at++) {
        plant(at, 110);
        if (((long (*)(void))at)() != 4711)
            leave(101);
    }
    leave(0);
}
"""
)


@pytest.mark.parametrize("forks", [0, 1])
def test_a_syscall_planted_at_the_stub_address_is_intercepted(
    platform: PtracePlatform, start: Callable[..., PtraceThread], forks: int
) -> None:
    seen: list[int] = []

    def on_getppid(thread: PtraceThread) -> None:
        seen.append(thread.ip)
        thread.finish(ANSWER)

    thread = start(ESCAPE)
    for _ in range(forks):
        platform.resume(thread)
        guest.next_stop(platform)
        child = thread.clone(share_memory=False, same_group=False)
        thread.kill()
        assert isinstance(child, PtraceThread)
        regs = child.registers()
        regs.rip -= 2  # makes the first call again
        regs.rax = 9
        child.set_registers(regs)
        thread = child
    assert guest.run(platform, thread, {GETPPID: on_getppid}) == 0
    assert seen == [STUB_CODE + 7 + offset for offset in range(256)]


def test_no_mapping_of_ours_is_left_when_the_guest_starts(
    start: Callable[..., PtraceThread],
) -> None:
    thread = start("void guest_main(ul *stack) { leave(0); }")
    lines = thread.memory.host_maps().decode().splitlines()
    starts = [int(line.split("-")[0], 16) for line in lines]
    assert not [at for at in starts if STUB_CODE <= at < STUB_END]
    assert "memfd:calls" not in "".join(lines)


FOREIGN_LIST = (
    FILL
    + r"""
void guest_main(ul *stack)
{
    if (!fill())
        leave(100);
    for (ul at = 0x10000; at < 0x10040; at++)
        *(volatile unsigned char *)at = 0x90;
    plant(0x10040, 110);
    sys(39, 0, 0, 0);
    leave(0);
}
"""
)


def test_only_the_stubs_own_instruction_may_call_while_a_list_runs(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """Should foreign code ever get to run in a list, its first call ends it."""
    thread = start(FOREIGN_LIST)

    def at_getpid(stopped: PtraceThread) -> None:
        stopped.finish(lib.pt_run_list(stopped.host_tid, 0))
        raise guest.Exited(stopped.result)

    with pytest.raises(guest.Exited) as stopped:
        guest.run(platform, thread, {39: at_getpid})
    assert stopped.value.status == -errno.EIO


@pytest.mark.parametrize(
    ("address", "size", "flags", "covers"),
    [
        (STUB_CODE, 4096, 0x32, True),
        (STUB_CODE - 4096, 4096, 0x32, False),
        (STUB_CODE - 4096, 4097, 0x32, True),
        (STUB_END, 4096, 0x32, False),
        (STUB_END - 4096, 4096, 0x32, True),
        (0, 0x20000, 0x32, True),
        (0, 0x20000, 0x22, False),
        (4096, 1 << 64, 0x32, True),
    ],
)
def test_no_image_may_cover_the_running_list(
    platform: PtracePlatform, address: int, size: int, flags: int, covers: bool
) -> None:
    call = (9, address, size, 3, flags, (1 << 64) - 1, 0)
    assert covers_stub(call) == covers
    if covers:
        with pytest.raises(SysError) as refused:
            platform.load([call], MemoryLayout())
        assert refused.value.errno == errno.ENOMEM
