"""Finds what a test session left behind on the host."""

import ctypes
import os
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, so that it can be seen."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> dict[int, str]:
    """Return our children, zombies of others' children included, with their command lines."""
    found = {}
    for path in Path("/proc/self/task").glob("*/children"):
        for pid in path.read_text().split():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except FileNotFoundError:
                continue
            found[int(pid)] = f"{name}: {command.decode(errors='replace')}"
    return found


def reap() -> None:
    """Collect adopted processes that have ended."""
    for pid in children():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z":
                os.waitpid(pid, os.WNOHANG)
        except (FileNotFoundError, ChildProcessError):
            continue


def mounts_below(directory: Path) -> list[str]:
    """Return the mount points below `directory`."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    return [point for point in points if point.startswith(f"{directory}/")]


def cgroups_of(prefix: str) -> list[str]:
    """Return cgroup directories whose name starts with `prefix`."""
    found = []
    for directory, names, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(directory, name) for name in names if name.startswith(prefix)]
    return found
