"""The numbers of sentry.abi are those of the C headers of this machine."""

import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

# Module: the headers that define its names.  What a header does not know (it is newer, or
# inside the kernel) is left out by #ifdef; each module must have many that it does know.
HEADERS = {
    "errno": ["errno.h"],
    "fcntl": ["linux/fcntl.h", "linux/openat2.h", "linux/falloc.h", "linux/fs.h", "linux/stat.h"],
    "stat": ["linux/stat.h"],
    "signal": ["signal.h"],
    "poll": ["poll.h", "sys/epoll.h"],
    "inotify": ["sys/inotify.h"],
    "mman": ["linux/mman.h", "linux/memfd.h"],
    "sched": ["linux/sched.h"],
    "wait": ["sys/wait.h"],
    "time": ["time.h", "sys/time.h", "sys/stat.h"],
    "futex": ["linux/futex.h"],
    "prctl": ["linux/prctl.h", "asm/prctl.h", "linux/securebits.h"],
    "limits": ["linux/limits.h"],
    "seccomp": ["linux/seccomp.h", "linux/filter.h", "linux/audit.h"],
    "ptrace": ["linux/ptrace.h", "linux/elf.h", "asm/ptrace-abi.h"],
    "mount": ["fcntl.h", "linux/mount.h", "linux/magic.h"],
    "socket": ["sys/socket.h", "netinet/in.h", "netinet/tcp.h", "linux/netlink.h"],
    "ioctl": ["linux/fiemap.h", "sys/ioctl.h", "asm/termbits.h", "linux/fs.h", "linux/sockios.h"],
    "elf": ["elf.h"],
    "capability": ["linux/capability.h"],
    "syscalls": ["sys/syscall.h"],
    "ipc": ["sys/ipc.h", "sys/shm.h", "sys/sem.h", "sys/msg.h"],
}

# Where the C library's headers differ from the kernel's ABI.
LIBRARY_DIFFERS = {
    "signal": {"SIGRTMIN", "MINSIGSTKSZ", "SIG_ERR", "SIG_IGN", "SIG_DFL", "SI_DETHREAD", "NSIG"},
    "ipc": {"SHMLBA"},  # a call of getpagesize(3)
    "limits": {"NR_OPEN"},  # what it was long ago; ours is the default of fs.nr_open
}


def constants(module: str) -> dict[str, int]:
    """Return the C names of a module and their values."""
    names = vars(importlib.import_module(f"sentry.abi.{module}"))
    pattern = re.compile(r"_?[A-Z][A-Za-z0-9_]+")
    skip = LIBRARY_DIFFERS.get(module, set())
    return {
        name: value
        for name, value in names.items()
        if pattern.fullmatch(name) and type(value) is int and name not in skip
    }


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs a C compiler")
@pytest.mark.parametrize("module", sorted(HEADERS))
def test_constants(module: str, tmp_path: Path) -> None:
    ours = constants(module)
    lines = ["#define _GNU_SOURCE", "#include <stdio.h>"]
    lines += [f"#include <{header}>" for header in HEADERS[module]]
    lines.append("int main(void) {")
    for name in ours:
        lines += [
            f"#ifdef {name}",
            f'printf("{name} %llu\\n", (unsigned long long)({name}));',
            "#endif",
        ]
    lines.append("return 0; }")
    source = tmp_path / "constants.c"
    source.write_text("\n".join(lines))
    program = tmp_path / "constants"
    subprocess.run(["gcc", "-w", "-o", program, source], check=True)
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    theirs = {line.split()[0]: int(line.split()[1]) for line in output.splitlines()}
    wrong = {
        name: (ours[name], value)
        for name, value in theirs.items()
        # A C int that is negative or has bit 31 may be written either way.
        if (ours[name] - value) % (1 << 32)
    }
    assert not wrong
    assert len(theirs) >= min(len(ours) // 3, 5)
