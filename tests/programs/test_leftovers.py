"""Nothing stays on the host when containers end, however they end."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import leaks
from tests.harness.bundle import Bundle, Runtime, default_config


def descendants(pid: int) -> list[int]:
    """Return all processes below `pid`."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *descendants(child)]
    return found


def alive(pids: list[int]) -> list[int]:
    """Return those that still run (a zombie does not)."""
    running = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            running.append(pid)
    return running


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for a condition; say whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def start_sleeper(bundle: Bundle) -> int:
    """Create and start a container that sleeps in several processes; return its pid."""
    argv = [*bundle.runtime.command, "create", "--bundle", str(bundle.path), bundle.id]
    # Not captured: the container keeps the descriptors, and would keep pipes open.
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={},
        check=False,
        timeout=30,
    )
    assert done.returncode == 0
    bundle.runtime("start", bundle.id).check()
    return int(bundle.runtime.inspect(bundle.id)["pid"])


SLEEPERS = ["/bin/sh", "-c", "sleep 1000 & (sleep 1000 & exec sleep 1000) & wait"]


@pytest.mark.guest
def test_killed_sandbox_leaves_no_process(make_bundle, busybox_rootfs: Path) -> None:
    bundle = make_bundle(busybox_rootfs, SLEEPERS)
    pid = start_sleeper(bundle)
    assert wait_until(lambda: len(descendants(pid)) >= 3)
    everything = [pid, *descendants(pid)]
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not alive(everything), 1.0), f"left after a second: {everything}"
    leaks.reap()
    assert bundle.runtime.inspect(bundle.id)["status"] == "stopped"
    bundle.runtime("delete", bundle.id).check()
    assert bundle.id not in bundle.runtime.leftovers()


@pytest.mark.guest
def test_forced_delete_ends_everything(make_bundle, busybox_rootfs: Path) -> None:
    bundle = make_bundle(busybox_rootfs, SLEEPERS)
    pid = start_sleeper(bundle)
    everything = [pid, *descendants(pid)]
    bundle.runtime("delete", "--force", bundle.id).check()
    assert wait_until(lambda: not alive(everything), 1.0)
    leaks.reap()
    assert not leaks.cgroups_of(bundle.id)


@pytest.mark.guest
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hundred_runs_leave_nothing(runtime: Runtime, busybox_rootfs: Path) -> None:
    def host() -> tuple[int, list[str], list[str]]:
        mounts = leaks.mounts_below(runtime.state)
        return len(leaks.children()), mounts, sorted(os.listdir("/dev/shm"))

    with Bundle(runtime, busybox_rootfs, default_config(["/bin/true"])) as bundle:
        bundle.run().check()
        leaks.reap()
        before = host()
        for _ in range(100):
            bundle.run().check()
        leaks.reap()
        assert host() == before
        assert bundle.id not in runtime.leftovers()
        assert not leaks.cgroups_of(bundle.id)
