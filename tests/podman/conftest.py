"""Podman with directories, mounts and a network of its own, for the session."""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.bundle import RUNSC
from tests.harness.leaks import adopt_orphans, children, reap
from tests.harness.outcome import Outcome, run
from tests.harness.tree import SCRATCH

PODMAN = Path("/usr/bin/podman")
BRIDGE = Path("/usr/lib/cni/bridge")
CGROUPS = Path("/sys/fs/cgroup")
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# What podman and its plugins write outside of the directories that they are told.
_HIDE = """
ip link set lo up &&
mkdir -p /run/netns && mount -t tmpfs none /run/netns && mount -t tmpfs none /var/lib &&
echo ready && exec sleep infinity
"""

_names = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here; without Podman it cannot run."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.podman)
            if not (PODMAN.exists() and BRIDGE.exists()):
                item.add_marker(pytest.mark.skip(reason="podman or its plugins are not installed"))


class World:
    """Mount and network namespaces in which podman runs, and where it keeps its things."""

    def __init__(self) -> None:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        self.data = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.run = Path(tempfile.mkdtemp(prefix="runsc-podman-"))
        self.cgroup = f"runsc-test-podman-{os.getpid()}"
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", _HIDE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={"PATH": _PATH},
            cwd="/",
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def inside(self, *words: str) -> list[str]:
        """Return the command line of a command in the namespaces."""
        return ["nsenter", "-t", str(self._process.pid), "--mount", "--net", *words]

    def command(self, *words: str, runtime: str) -> list[str]:
        """Return a command line of podman."""
        return self.inside(
            str(PODMAN),
            f"--root={self.data}",
            f"--runroot={self.run}/run",
            f"--tmpdir={self.run}/tmp",
            f"--network-config-dir={self.run}/cni",
            "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
            f"--runtime={runtime}",
            *words,
        )

    def __call__(self, *words: str, runtime: str = str(RUNSC), stdin: bytes = b"") -> Outcome:
        """Run one command of podman."""
        # No HOME of anybody's.
        env = {"PATH": _PATH, "HOME": str(self.run)}
        return run(self.command(*words, runtime=runtime), stdin, 60, env, cwd="/")

    def import_image(self, tree: Path, name: str) -> None:
        """Make an image of a directory, with a program that pauses, for pods."""
        pause = self.run / "catatonit"
        pause.write_text("#!/bin/sh\nexec sleep 1000\n")
        pause.chmod(0o755)
        packed = self.run / "image.tar"
        subprocess.run(["tar", "-C", str(tree), "-cf", str(packed), "."], check=True, timeout=60)
        subprocess.run(
            ["tar", "-C", str(self.run), "-rf", str(packed), "./catatonit"], check=True, timeout=60
        )
        self("import", str(packed), name).check()
        packed.unlink()

    def stop(self) -> None:
        """End it all; fail the test if something is left."""
        try:
            left = self._wait_for_the_rest()
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            shutil.rmtree(self.data)
            shutil.rmtree(self.run)
            groups = self._remove_cgroups()
        assert not left, f"left running: {left}"
        assert not groups, f"cgroups left behind: {groups}"

    def _wait_for_the_rest(self) -> list[str]:
        deadline = time.monotonic() + 5
        while True:
            reap()
            left = [text for text in children().values() if str(self.run) in text]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)

    def _remove_cgroups(self) -> list[str]:
        """Remove the cgroup of the session, and return those of containers in it."""
        left = [str(path) for path in CGROUPS.glob(f"*/{self.cgroup}/libpod-[0-9a-f]*/")]
        for path in CGROUPS.glob(f"*/{self.cgroup}"):
            for below in [*path.glob("*/*/"), *path.glob("*/"), path]:
                below.rmdir()
        return left


class Podman:
    """Podman as one test uses it: containers get names, and are removed at its end."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __call__(self, *words: str, runtime: str = str(RUNSC)) -> Outcome:
        """Run one command."""
        return self.world(*words, runtime=runtime)

    def ok(self, *words: str, runtime: str = str(RUNSC)) -> str:
        """Run one command that must succeed, and return its output."""
        return self(*words, runtime=runtime).check().out

    def run(self, *words: str, runtime: str = str(RUNSC)) -> str:
        """`podman run` in the foreground; flags first, the image is not among `words`."""
        flags, program = split(words)
        return self.ok(*self._run(), "--rm", *flags, "busybox", *program, runtime=runtime)

    def detach(self, *words: str, runtime: str = str(RUNSC)) -> str:
        """`podman run -d`; return the container's name."""
        flags, program = split(words)
        name = f"box{next(_names)}"
        words = (*self._run(), "-d", "--name", name, *flags, "busybox", *program)
        self.ok(*words, runtime=runtime)
        return name

    def _run(self) -> list[str]:
        # Podman's own limits are higher than what this user may have.
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
        return ["run", *limits, "--cgroup-parent", f"/{self.world.cgroup}"]

    def address(self, name: str) -> str:
        """Return the address of a container."""
        field = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self.ok("inspect", "--format", field, name).strip()


def split(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the flags, which are what stands before `--`, and the program."""
    at = words.index("--")
    return list(words[:at]), list(words[at + 1 :])


@pytest.fixture(scope="session")
def world(busybox_rootfs: Path) -> Iterator[World]:
    """Return the namespaces, with the image `busybox`."""
    adopt_orphans()
    made = World()
    try:
        made.import_image(busybox_rootfs, "busybox")
        yield made
    finally:
        made.stop()


@pytest.fixture
def podman(world: World) -> Iterator[Podman]:
    """Return podman, for one test; what it makes may not outlive it."""
    made = Podman(world)
    yield made
    made.ok("pod", "rm", "-f", "-t", "0", "-a")
    made.ok("rm", "-f", "-t", "0", "-a")
    assert made.ok("ps", "-aq") == ""
    assert run(world.inside("ls", "/run/netns")).check().out == ""
