"""The template: a traced child with an empty address space, copied for each exec.

What a guest could learn or use of ours is taken away in this order: our
mappings, the place of the vDSO, our mmap base (by a reservation around it that
ends at random below), the vector registers; last comes the seccomp filter, so that
from then on no call of it or of its copies goes unseen.
"""

from __future__ import annotations

import os
from struct import Struct
from typing import TYPE_CHECKING, Final

from sentry.abi.errno import ENOMEM
from sentry.errors import SysError
from sentry.platform._ptrace import ffi, lib
from sentry.platform.interface import HostCall, MemoryLayout
from sentry.platform.ptrace.memory import RESERVATION, read_proc_file
from sentry.platform.ptrace.placement import UNPLACED, Placement
from sentry.platform.ptrace.thread import CLONE_FILES, CLONE_FS, CLONE_PARENT, CLONE_PTRACE

if TYPE_CHECKING:
    from sentry.platform._ptrace import Buffer

# As in native/template.c.
STUB_CODE: Final = 0x10000
STUB_LIST: Final = 0x11000
STUB_END: Final = 0x12000
LIST_SLOTS: Final = 48
SLOT_SIZE: Final = 64
DATA_OFFSET: Final = (LIST_SLOTS + 1) * SLOT_SIZE
END_OF_LIST: Final = 0xFFFF_FFFF_FFFF_FFFF

PAGE_SIZE: Final = 4096
TASK_SIZE: Final = 0x7FFF_FFFF_F000
# The host keeps its mmap base below the uppermost 16 GiB (linux: mmap_base and
# stack_maxrandom_size).  Guests have their stacks in the upper half of these.
VDSO_AREA: Final = 0x7FFC_0000_0000
VDSO_AREA_PAGES: Final = 0x1F0000
# Where the host's mmap base is otherwise (linux: mmap_base): below a third of the
# address space with an unlimited stack, above it with vm.legacy_va_layout.
LOW_AREA_END: Final = 0x2000_0000_0000
LEGACY_AREA: Final = 0x2AAA_0000_0000
LEGACY_AREA_END: Final = 0x4000_0000_0000
HIGH_AREA: Final = 0x7480_0000_0000  # above where program interpreters are loaded
RESERVATION_PAGES: Final = 1 << 31
LOWEST_ADDRESS: Final = 0x10000

SYS_MMAP: Final = 9
SYS_MUNMAP: Final = 11
SYS_MREMAP: Final = 25
SYS_CLONE: Final = 56
SYS_PRCTL: Final = 157
SYS_SECCOMP: Final = 317
SYS_MSEAL: Final = 462
MAP_PRIVATE: Final = 0x2
MAP_ANONYMOUS: Final = 0x20
MAP_FIXED: Final = 0x10
MAP_NORESERVE: Final = 0x4000
MAP_FIXED_NOREPLACE: Final = 0x100000
MREMAP_MAYMOVE_FIXED: Final = 3
PR_SET_MM: Final = 35
PR_SET_MM_MAP: Final = 14
SECCOMP_SET_MODE_FILTER: Final = 1
SIGCHLD: Final = 17

SLOT: Final = Struct("<7Q")
MM_MAP: Final = Struct("<12QIi")  # struct prctl_mm_map, linux/prctl.h
MASK: Final = 0xFFFF_FFFF_FFFF_FFFF


class Mapping:
    """One line of /proc/PID/maps."""

    def __init__(self, start: int, end: int, name: str) -> None:
        self.start = start
        self.end = end
        self.name = name


def parse_maps(maps: bytes) -> list[Mapping]:
    """Return the mappings that a /proc/PID/maps names, without the vsyscall page."""
    found = []
    for line in maps.decode(errors="replace").splitlines():
        fields = line.split(None, 5)
        start, end = fields[0].split("-")
        name = fields[5] if len(fields) > 5 else ""
        if int(end, 16) <= TASK_SIZE:
            found.append(Mapping(int(start, 16), int(end, 16), name))
    return found


def random_below(limit: int) -> int:
    """Return a number in [0, limit) from the host's cryptographic source."""
    return int.from_bytes(os.getrandom(16), "little") % limit


def covers_stub(call: HostCall) -> bool:
    """Return whether the call maps something where the running list itself is."""
    number, address, size, _, flags, _, _ = call
    if number != SYS_MMAP or not (address or flags & MAP_FIXED):
        return False
    return address < STUB_END and address + size > STUB_CODE


def surroundings(start: int, end: int) -> tuple[int, int]:
    """Return the reservation [start, end) without the end that is the host's mmap base."""
    if start >= HIGH_AREA:
        return start, max(end, VDSO_AREA)
    if end <= LOW_AREA_END:
        return start, LOW_AREA_END
    if LEGACY_AREA <= start < LEGACY_AREA_END:
        return LEGACY_AREA, end
    return start, end


class Template:
    """The process that fresh address spaces are copied from."""

    def __init__(self, proc_fd: int, placement: Placement) -> None:
        self.proc_fd = proc_fd
        self._placement = placement
        self.vdso_address = 0
        self.reserved_start = 0
        self.reserved_end = 0
        pid = lib.pt_make_template()
        if pid < 0:
            raise SysError(-pid)
        self.pid = pid
        self._cpu = UNPLACED
        self.page: Buffer = ffi.buffer(lib.pt_list_page(), PAGE_SIZE)
        self.pool: dict[int, int] = {}  # copies by tid, and where each was placed
        self.origins: dict[int, int] = {}  # copies to be copied themselves, as `pool`
        self._scrub()

    def _scrub(self) -> None:
        self._clear_address_space()
        self._hide_mmap_base()
        self._check(lib.pt_reset_fp_state(self.pid))
        program = lib.pt_put_filter()
        self._run([(SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, 0, program, 0, 0, 0)])

    def _clear_address_space(self) -> None:
        start = VDSO_AREA + random_below(VDSO_AREA_PAGES) * PAGE_SIZE
        end = start
        calls: list[HostCall] = []
        kept = [m for m in self._mappings() if m.name == "[vdso]" or m.name.startswith("[vvar")]
        for mapping in kept:
            # Their distances stay: the vDSO's code reaches its data by them.
            size = mapping.end - mapping.start
            new = start + mapping.start - kept[0].start
            calls.append((SYS_MREMAP, mapping.start, size, size, MREMAP_MAYMOVE_FIXED, new, 0))
            end = new + size
            if mapping.name == "[vdso]":
                self.vdso_address = new
        calls.append((SYS_MUNMAP, 0, STUB_CODE, 0, 0, 0, 0))
        calls.append((SYS_MUNMAP, STUB_END, start - STUB_END, 0, 0, 0, 0))
        calls.append((SYS_MUNMAP, end, TASK_SIZE - end, 0, 0, 0, 0))
        self._run(calls)

    def _hide_mmap_base(self) -> None:
        """Reserve the surroundings of our mmap base, to a random distance from it.

        Without it the guest's first mapping would tell the base; were the base
        an end of the reservation, a search for what is taken would.
        """
        before = {m.start for m in self._mappings()}
        size = (1 + random_below(RESERVATION_PAGES)) * PAGE_SIZE
        self._reserve(0, size, 0)
        added = [m for m in self._mappings() if m.start not in before]
        if len(added) != 1 or len(before) > 5:
            raise RuntimeError("the template has mappings that it should not have")
        start, end = surroundings(added[0].start, added[0].end)
        if start < added[0].start:
            self._reserve(start, added[0].start - start, MAP_FIXED_NOREPLACE)
        if end > added[0].end:
            self._reserve(added[0].end, end - added[0].end, MAP_FIXED_NOREPLACE)
        self.reserved_start, self.reserved_end = start, end
        RESERVATION.pages = (end - start) // PAGE_SIZE
        try:
            self._run([(SYS_MSEAL, start, end - start, 0, 0, 0, 0)])
        except SysError:
            # Before Linux 6.10 a guest can unmap it and learn our mmap base.
            return

    def _reserve(self, address: int, size: int, flags: int) -> None:
        flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        self._run([(SYS_MMAP, address, size, 0, flags, MASK, 0)])

    def _mappings(self) -> list[Mapping]:
        return parse_maps(read_proc_file(self.proc_fd, f"{self.pid}/maps"))

    def _check(self, result: int) -> None:
        if result < 0:
            raise SysError(-result)

    def _run(self, calls: list[HostCall]) -> None:
        self._put(calls)
        self._check(lib.pt_run_list(self.pid, 0))

    def _put(self, calls: list[HostCall]) -> None:
        page = self.page
        offset = 0
        for number, a0, a1, a2, a3, a4, a5 in calls:
            SLOT.pack_into(
                page,
                offset,
                number,
                a0 & MASK,
                a1 & MASK,
                a2 & MASK,
                a3 & MASK,
                a4 & MASK,
                a5 & MASK,
            )
            offset += SLOT_SIZE
        SLOT.pack_into(page, offset, END_OF_LIST, 0, 0, 0, 0, 0, 0)

    def fill_pool(self) -> None:
        """Have one copy ready."""
        if not self.pool:
            self.pool[self._spawn()] = self._cpu

    def make_origin(self) -> int:
        """Return a copy that `load` copies in its turn: a process for other control groups."""
        tid = self._spawn()
        self.origins[tid] = self._cpu
        return tid

    def forget(self, tid: int) -> None:
        """Note that the host has ended a copy."""
        self.pool.pop(tid, None)
        self.origins.pop(tid, None)

    def _spawn(self) -> int:
        # What a copy does before its first resume is many stops.
        self._cpu = self._placement.bring(self.pid, self._cpu)
        return self._copy(self.pid)

    def _copy(self, parent: int) -> int:
        flags = CLONE_PTRACE | CLONE_PARENT | CLONE_FILES | CLONE_FS | SIGCHLD
        self._put([(SYS_CLONE, flags, 0, 0, 0, 0, 0)])
        tid = lib.pt_spawn(parent)
        if tid < 0:
            raise SysError(-tid)
        return tid

    def _fresh(self, origin: int) -> tuple[int, int]:
        """Return a copy of the template, or of `origin` if that is not 0, and where it is."""
        if origin:
            cpu = self.origins.get(origin)
            if cpu is None:
                raise SysError(ENOMEM)  # somebody has killed it
            cpu = self._placement.bring(origin, cpu)
            self.origins[origin] = cpu
            return self._copy(origin), cpu
        if self.pool:
            tid, cpu = self.pool.popitem()
            return tid, self._placement.bring(tid, cpu)
        tid = self._spawn()
        return tid, self._cpu

    def load(self, calls: list[HostCall], layout: MemoryLayout, origin: int = 0) -> tuple[int, int]:
        """Return a copy in which `calls` were run and nothing of ours is left, and where it is.

        SysError with the error of the first call that failed.
        """
        if any(covers_stub(call) for call in calls):
            raise SysError(ENOMEM)
        tid, cpu = self._fresh(origin)
        result = 0
        done = 0
        while result == 0 and len(calls) - done > LIST_SLOTS - 2:
            self._put(calls[done : done + LIST_SLOTS])
            result = lib.pt_run_list(tid, 0)
            done += LIST_SLOTS
        if result == 0:
            last = calls[done:]
            size = self._put_layout(layout)
            last.append((SYS_PRCTL, PR_SET_MM, PR_SET_MM_MAP, STUB_LIST + DATA_OFFSET, size, 0, 0))
            last.append((SYS_MUNMAP, STUB_CODE, STUB_END - STUB_CODE, 0, 0, 0, 0))
            self._put(last)
            result = lib.pt_run_list(tid, 1)
        if result < 0:
            lib.pt_kill_group(tid)
            raise SysError(-result)
        return tid, cpu

    def _put_layout(self, layout: MemoryLayout) -> int:
        # The host wants every field within the address space and each start
        # not above its end (linux: validate_prctl_map_addr).
        start_code = layout.start_code or LOWEST_ADDRESS
        start_data = layout.start_data or LOWEST_ADDRESS
        start_brk = layout.start_brk or LOWEST_ADDRESS
        arg_start = layout.arg_start or LOWEST_ADDRESS
        env_start = layout.env_start or LOWEST_ADDRESS
        MM_MAP.pack_into(
            self.page,
            DATA_OFFSET,
            start_code,
            max(layout.end_code, start_code + 1),
            start_data,
            max(layout.end_data, start_data),
            start_brk,
            start_brk,
            layout.start_stack or LOWEST_ADDRESS,
            arg_start,
            max(layout.arg_end, arg_start),
            env_start,
            max(layout.env_end, env_start),
            0,  # no auxiliary vector
            0,
            -1,  # the executable stays
        )
        return MM_MAP.size
