"""What a fresh address space has, and what it tells of the sentry's own."""

import ctypes
import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Callable

import pytest

from sentry.errors import SysError
from sentry.platform.interface import MemoryLayout
from sentry.platform.ptrace.platform import PtracePlatform
from sentry.platform.ptrace.template import VDSO_AREA, parse_maps, surroundings
from sentry.platform.ptrace.thread import PtraceThread
from tests.unit.sentry.platform import guest

SYS_GETPID, SYS_MMAP = 39, 9
PTRACE_GET_RSEQ_CONFIGURATION = 0x420F
LIBC = ctypes.CDLL(None, use_errno=True)


def report(results: list[list[int]]) -> Callable[[PtraceThread], None]:
    """Return a handler of getpid(address, count): keeps what the guest reports there."""

    def at_getpid(thread: PtraceThread) -> None:
        raw = thread.memory.read(thread.a0, thread.a1 * 8)
        results.append(list(struct.unpack(f"<{thread.a1}q", raw)))
        thread.finish(0)

    return at_getpid


ANONYMOUS = r"""
void guest_main(ul *stack)
{
    long at[3];
    at[0] = sys6(9, 0, 12288, 3, 0x22, -1, 0);
    at[1] = sys6(9, 0, 4096, 1, 0x22, -1, 0);
    at[2] = sys6(9, 0, 8192, 0, 0x22, -1, 0);
    sys(11, at[1], 4096, 0);
    sys(39, at, 3, 0);
    leave(0);
}
"""


def test_the_hosts_map_is_the_truth_for_anonymous_memory(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """The sentry never sees which address an mmap(NULL) got: it asks when it matters."""
    found: list[bytes] = []
    results: list[list[int]] = []
    keep = report(results)

    def at_getpid(thread: PtraceThread) -> None:
        found.append(thread.memory.host_maps())
        keep(thread)

    assert guest.run(platform, start(ANONYMOUS), {SYS_GETPID: at_getpid}) == 0
    maps = {
        tuple(int(end, 16) for end in line.split()[0].split(b"-")): line.split()[1]
        for line in found[0].splitlines()
    }
    first, second, third = results[0]
    assert maps[first, first + 12288] == b"rw-p"
    # The reservation below is PROT_NONE too, but sealed: the two stay apart.
    assert maps[third, third + 8192] == b"---p"
    assert not [span for span in maps if span[0] <= second < span[1]]


def test_parts_are_copied_at_once(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """Any number of them, and all or nothing is said of those that cannot be copied."""
    checked: list[int] = []

    def at_getpid(thread: PtraceThread) -> None:
        memory = thread.memory
        first, _, barrier = struct.unpack("<3Q", memory.read(thread.a0, 24))
        for count in range(7):
            parts = [(first + 1000 * i, 8 * i + 1) for i in range(count)]
            data = os.urandom(sum(size for _, size in parts))
            memory.write_parts(parts, data)
            assert memory.read_parts(parts) == data
            assert b"".join(memory.read(at, size) for at, size in parts) == data
            checked.append(len(data))
        for bad in (barrier, (1 << 64) - 4):
            with pytest.raises(SysError):
                memory.read_parts([(first, 8), (bad, 8)])
            with pytest.raises(SysError):
                memory.write_parts([(first, 8), (bad, 8)], bytes(16))
        thread.finish(0)

    assert guest.run(platform, start(ANONYMOUS), {SYS_GETPID: at_getpid}) == 0
    assert checked == [0, 1, 10, 27, 52, 85, 126]


def page_aligned(size: int) -> mmap.mmap:
    """Return memory with noise in it that begins on a page."""
    memory = mmap.mmap(-1, size)
    memory.write(os.urandom(size))
    return memory


def test_pieces_are_written_as_one(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """Small and large ones, also up to what cannot be written."""
    checked: list[int] = []

    def at_getpid(thread: PtraceThread) -> None:
        memory = thread.memory
        first, _, barrier = struct.unpack("<3Q", memory.read(thread.a0, 24))
        data = os.urandom(300_000)
        for pieces in (
            [data[:10]],
            [data[:12_000]],
            [memoryview(data)[7:9000], data[:5], memoryview(data)[100:3000]],
        ):
            whole = b"".join(pieces)
            assert memory.write_pieces(first, pieces) == len(whole)
            assert memory.read(first, len(whole)) == whole
            checked.append(len(whole))
        for ahead in (1, 8, 16, 255, 4095):
            # As seen from the destination: some of these are moved first.
            piece = memoryview(page_aligned(12_000))[-ahead % 4096 :][:5000]
            assert memory.write_pieces(first, [piece, data[:3]]) == len(piece) + 3
            assert memory.read(first, len(piece) + 3) == bytes(piece) + data[:3]
        space = memoryview(bytearray(12_000))
        assert memory.read_into(first, space[5:6000]) == 5995
        assert space[5:6000] == memory.read(first, 5995)
        with pytest.raises(SysError):
            memory.read_into(8, space)
        with pytest.raises(SysError):
            memory.write_pieces(barrier, [data, data[:1]])
        with pytest.raises(SysError):
            memory.write_pieces(barrier, [memoryview(data)[1:5000]])
        thread.finish(0)

    assert guest.run(platform, start(ANONYMOUS), {SYS_GETPID: at_getpid}) == 0
    assert checked == [10, 12_000, 11_898]


class RseqConfiguration(ctypes.Structure):
    """struct ptrace_rseq_configuration (linux/ptrace.h)."""

    _fields_ = (
        ("pointer", ctypes.c_uint64),
        ("size", ctypes.c_uint32),
        ("signature", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
    )


def rseq_pointer(tid: int) -> int:
    found = RseqConfiguration()
    size = ctypes.c_void_p(ctypes.sizeof(found))
    result = LIBC.ptrace(
        ctypes.c_long(PTRACE_GET_RSEQ_CONFIGURATION), tid, size, ctypes.byref(found)
    )
    assert result == ctypes.sizeof(found), os.strerror(ctypes.get_errno())
    return found.pointer


def test_no_rseq_area_of_ours_stays_registered(platform: PtracePlatform) -> None:
    """The host would write to it at the next switch, and kill the guest: it is gone."""
    thread = platform.load([], MemoryLayout())
    for tid in (platform.template.pid, thread.host_tid):
        assert rseq_pointer(tid) == 0


SPIN = r"""
void guest_main(ul *stack)
{
    for (volatile ul i = 0; i < 300000000UL; i++)
        ;
    leave(9);
}
"""


def test_a_guest_survives_being_preempted(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    thread = start(SPIN)
    os.sched_setaffinity(thread.host_tid, {min(os.sched_getaffinity(0))})
    hog = subprocess.Popen(
        ["taskset", "-c", str(min(os.sched_getaffinity(0))), "sh", "-c", "while :; do :; done"]
    )
    try:
        assert guest.run(platform, thread, {}) == 9
    finally:
        hog.kill()
        hog.wait()


# What a guest can do to a mapping: each must fail on the reservation, at both ends.
ATTACK_RESERVATION = r"""
void guest_main(ul *stack)
{
    long r[12];
    ul start = stack[32], end = stack[33];
    int n = 0;
    for (int i = 0; i < 2; i++) {
        ul at = i ? end - 4096 : start;
        r[n++] = sys(11, at, 4096, 0);                            // munmap
        r[n++] = sys6(25, at, 4096, 4096, 3, 0x5000000000, 0);    // mremap away
        r[n++] = sys(10, at, 4096, 7);                            // mprotect
        r[n++] = sys6(9, at, 4096, 3, 0x32, -1, 0);               // MAP_FIXED
        r[n++] = sys6(9, at, 4096, 3, 0x100022, -1, 0);           // MAP_FIXED_NOREPLACE
        r[n++] = sys(11, start - 4096, end - start + 8192, 0);    // with its neighbours
    }
    sys(39, r, n, 0);
    leave(0);
}
"""


def has_mseal() -> bool:
    LIBC.syscall.restype = ctypes.c_long
    return LIBC.syscall(ctypes.c_long(462), None, None, ctypes.c_long(1)) < 0 and (
        ctypes.get_errno() != 38
    )


@pytest.mark.skipif(not has_mseal(), reason="mseal(2) is of Linux 6.10")
def test_the_reservation_cannot_be_taken_away(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    thread = start(ATTACK_RESERVATION)
    template = platform.template
    sp = thread.registers().rsp
    ends = struct.pack("<2Q", template.reserved_start, template.reserved_end)
    thread.memory.write(sp + 256, ends)
    results: list[list[int]] = []
    assert guest.run(platform, thread, {SYS_GETPID: report(results)}) == 0
    eperm, eexist = -1, -17
    assert results[0] == [eperm, eperm, eperm, eperm, eexist, eperm] * 2


def own_libraries() -> list[int]:
    """Return the start addresses of what the host mapped in this process below its mmap base."""
    with open("/proc/self/maps") as maps:
        lines = [line.split() for line in maps]
    libraries = [line for line in lines if len(line) > 5 and ".so" in line[5]]
    return [int(line[0].split("-")[0], 16) for line in libraries]


def test_the_reservation_covers_our_mmap_base_on_both_sides(platform: PtracePlatform) -> None:
    """Its ends, which a guest can find, are a constant and a random number."""
    template = platform.template
    assert template.reserved_end == VDSO_AREA
    highest = max(own_libraries())
    assert template.reserved_start < highest < template.reserved_end
    thread = platform.load([], MemoryLayout())
    spans = [(m.start, m.end) for m in parse_maps(thread.memory.host_maps())]
    assert any(s <= template.reserved_start and e >= template.reserved_end for s, e in spans)


PROBE = """
import os, sys
from sentry.platform.interface import MemoryLayout
from sentry.platform.ptrace.platform import PtracePlatform
platform = PtracePlatform(os.open("/proc", os.O_RDONLY))
template = platform.template
thread = platform.load([], MemoryLayout())
print(template.reserved_start, template.reserved_end, template.vdso_address)
print(thread.memory.host_maps().decode())
platform.close()
"""


def layout_of_another_sandbox(*prefix: str) -> tuple[int, int, int]:
    """Return the reservation and the vDSO's address of a platform in a process of its own."""
    command = [*prefix, sys.executable, "-c", PROBE]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    start, end, vdso = done.stdout.split("\n")[0].split()
    return int(start), int(end), int(vdso)


def test_sandboxes_differ_in_their_layout() -> None:
    found = {layout_of_another_sandbox() for _ in range(4)}
    assert len({start for start, _, _ in found}) == 4
    assert len({vdso for _, _, vdso in found}) == 4


@pytest.mark.parametrize("prefix", [("setarch", "-L"), ("prlimit", "--stack=unlimited")])
def test_layouts_with_another_mmap_base(prefix: tuple[str, ...]) -> None:
    """With an unlimited stack, or vm.legacy_va_layout, the host puts mappings elsewhere."""
    found = [layout_of_another_sandbox(*prefix) for _ in range(2)]
    assert found[0] != found[1]
    for start, end, _ in found:
        assert end - start > 4096
        assert start == 0x2AAA_0000_0000 or end == 0x2000_0000_0000


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0x7600_0000_0000, 0x7FF0_0000_0000, (0x7600_0000_0000, VDSO_AREA)),
        (0x1000_0000_0000, 0x1400_0000_0000, (0x1000_0000_0000, 0x2000_0000_0000)),
        (0x2AAB_0000_0000, 0x3000_0000_0000, (0x2AAA_0000_0000, 0x3000_0000_0000)),
        (0x6000_0000_0000, 0x6800_0000_0000, (0x6000_0000_0000, 0x6800_0000_0000)),
    ],
)
def test_surroundings(start: int, end: int, expected: tuple[int, int]) -> None:
    assert surroundings(start, end) == expected


def test_the_vdso_lies_elsewhere_than_ours(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    with open("/proc/self/maps") as maps:
        own = [line.split("-")[0] for line in maps if "[vdso]" in line]
    assert int(own[0], 16) != platform.vdso_address()
    thread = start("void guest_main(ul *stack) { leave(0); }")
    names = {m.name: m.start for m in parse_maps(thread.memory.host_maps())}
    assert names["[vdso]"] == platform.vdso_address()
    assert thread.memory.read(platform.vdso_address(), 4) == b"\x7fELF"


def test_the_moved_vdso_tells_the_time(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    """It reaches its data by distance: the three mappings moved together."""
    image = platform.load([], MemoryLayout()).memory.read(platform.vdso_address(), 4096)
    offset = symbol(image, b"__vdso_clock_gettime")
    source = r"""
    void guest_main(ul *stack)
    {
        long now[2] = {0, 0};
        long (*clock_gettime)(long, long *) = (void *)stack[32];
        long result = clock_gettime(1, now);
        leave(result == 0 && (now[0] || now[1]) ? 0 : 1);
    }
    """
    thread = start(source)
    sp = thread.registers().rsp
    thread.memory.write(sp + 256, struct.pack("<Q", platform.vdso_address() + offset))
    calls: list[int] = []
    assert guest.run(platform, thread, {228: lambda t: calls.append(t.number)}) == 0
    assert not calls, "the vDSO fell back to the system call"


def symbol(image: bytes, name: bytes) -> int:
    """Return the value of a dynamic symbol of a small ELF image."""
    phoff, phnum = struct.unpack_from("<Q", image, 32)[0], struct.unpack_from("<H", image, 56)[0]
    entries: dict[int, int] = {}
    for i in range(phnum):
        kind, _, offset = struct.unpack_from("<IIQ", image, phoff + i * 56)
        if kind == 2:
            size = struct.unpack_from("<Q", image, phoff + i * 56 + 32)[0]
            entries = dict(struct.iter_unpack("<QQ", image[offset : offset + size]))
    strings, symbols = entries[5], entries[6]
    at = symbols
    while at + 24 <= len(image):
        index, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", image, at)
        if image[strings + index :].startswith(name + b"\0"):
            return int(value)
        at += 24
    raise AssertionError(f"no symbol {name!r}")
