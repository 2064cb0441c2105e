"""Small static guest programs, built with gcc, and the least kernel that runs them."""

import os
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from sentry.platform.interface import (
    STOP_HOST_EVENT,
    STOP_NONE,
    STOP_SYSCALL,
    HostCall,
    MemoryLayout,
)
from sentry.platform.ptrace.platform import PtracePlatform
from sentry.platform.ptrace.thread import PtraceThread

STACK_TOP = 0x7FFE_8000_0000
STACK_SIZE = 1 << 20
FLAGS = ("-static", "-nostdlib", "-nostartfiles", "-ffreestanding", "-fno-stack-protector", "-O1")

PRELUDE = r"""
typedef unsigned long ul;
static inline long sys6(long n, ul a, ul b, ul c, ul d, ul e, ul f)
{
    register ul r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long r;
    __asm__ volatile("syscall" : "=a"(r)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
}
#define sys(n, a, b, c) sys6(n, (ul)(a), (ul)(b), (ul)(c), 0, 0, 0)
static inline void leave(long status) { for (;;) sys(231, status, 0, 0); }
void guest_main(ul *stack);
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call guest_main\n hlt\n");
"""


def build(source: str, directory: Path, name: str = "guest") -> Path:
    """Return a static program made from C with the prelude."""
    text = directory / f"{name}.c"
    program = directory / name
    text.write_text(PRELUDE + source)
    command = ["gcc", *FLAGS, "-w", "-o", str(program), str(text)]
    subprocess.run(command, check=True, timeout=60)
    return program


def load(platform: PtracePlatform, program: Path, *args: bytes) -> PtraceThread:
    """Return a stopped thread at the entry of a static program."""
    data = program.read_bytes()
    entry, offset = struct.unpack_from("<QQ", data, 24)
    size, count = struct.unpack_from("<HH", data, 54)
    fd = os.open(program, os.O_RDONLY | os.O_CLOEXEC)
    calls: list[HostCall] = []
    layout = MemoryLayout()
    fixes: list[tuple[int, int]] = []
    for i in range(count):
        kind, flags, at, address, _, in_file, in_memory, _ = struct.unpack_from(
            "<IIQQQQQQ", data, offset + i * size
        )
        if kind != 1:
            continue
        start, skip = address & ~4095, address & 4095
        prot = (flags & 1) << 2 | flags & 2 | (flags & 4) >> 2
        end = (address + in_memory + 4095) & ~4095
        file_end = (address + in_file + 4095) & ~4095
        if in_file:
            calls.append((9, start, skip + in_file, prot, 0x12, fd, at - skip))
        if end > file_end or not in_file:
            begin = file_end if in_file else start
            calls.append((9, begin, end - begin, prot, 0x32, -1 & (1 << 64) - 1, 0))
        if in_memory > in_file and in_file:
            fixes.append((address + in_file, min(file_end, end) - address - in_file))
        if prot & 4:
            layout.start_code, layout.end_code = start, address + in_file
        layout.start_brk = max(layout.start_brk, end)
    calls.append((9, STACK_TOP - STACK_SIZE, STACK_SIZE, 3, 0x32, -1 & (1 << 64) - 1, 0))
    layout.start_stack = STACK_TOP - 4096
    thread = platform.load(calls, layout)
    os.close(fd)
    for address, length in fixes:
        thread.memory.write(address, bytes(length))
    strings = STACK_TOP - 1024
    pointers = []
    for arg in args:
        thread.memory.write(strings, arg + b"\0")
        pointers.append(strings)
        strings += len(arg) + 1
    thread.memory.write(
        STACK_TOP - 2048, struct.pack(f"<{len(args) + 3}Q", len(args), *pointers, 0, 0)
    )
    regs = thread.registers()
    regs.rip = entry
    regs.rsp = STACK_TOP - 2048
    regs.rax = regs.rbx = 0
    thread.set_registers(regs)
    assert isinstance(thread, PtraceThread)
    return thread


class Exited(Exception):
    """A guest called exit_group."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


Handler = Callable[[PtraceThread], None]


def next_stop(platform: PtracePlatform) -> int:
    """Wait for a stop of a guest thread; deal with the platform's own events meanwhile."""
    while True:
        kind = platform.wait()
        if kind == STOP_HOST_EVENT:
            platform.dispatch()
        elif kind != STOP_NONE:
            return kind


def run(platform: PtracePlatform, thread: PtraceThread, handlers: dict[int, Handler]) -> int:
    """Run until exit_group; calls without a handler are passed on. Return the status."""
    platform.resume(thread)
    while True:
        kind = next_stop(platform)
        stopped = platform.thread
        assert kind == STOP_SYSCALL, (kind, stopped and (stopped.signal_number, hex(stopped.ip)))
        assert isinstance(stopped, PtraceThread)
        if stopped.number == 231:
            status = stopped.a0
            stopped.kill()
            return status
        handler = handlers.get(stopped.number)
        if handler is None:
            stopped.pass_on()
        else:
            handler(stopped)
        platform.resume(stopped)


def run_for(platform: PtracePlatform, seconds: float) -> None:
    """Let the threads that were resumed run for a time in which none of them stops."""
    end_ns = time.monotonic_ns() + int(seconds * 1e9)
    while time.monotonic_ns() < end_ns:
        platform.set_timer(end_ns)
        assert platform.wait() == STOP_HOST_EVENT
        platform.dispatch()


def wait_until_gone(pids: list[int], seconds: float) -> list[int]:
    """Wait until host processes have ended (zombies have); return those that still run."""
    deadline = time.monotonic() + seconds
    while True:
        left = [pid for pid in pids if _runs(pid)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
