"""A Docker daemon of the tests' own: Debian's dockerd over directories that nobody else uses."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.harness.bundle import RUNSC
from tests.harness.leaks import children, reap
from tests.harness.outcome import Outcome, run
from tests.harness.tree import SCRATCH

DOCKERD = Path("/usr/sbin/dockerd")
DOCKER = Path("/usr/bin/docker")
CGROUPS = Path("/sys/fs/cgroup")
# The daemon finds containerd, its shim and runc by PATH; the client needs neither.
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Its loopback is where published ports are looked for.
_RUN = 'ip link set lo up && exec "$0" "$@"'
_START_S = 20.0
_STOP_S = 20.0


class Daemon:
    """A running dockerd with runtimes of ours: `runsc` and others with arguments."""

    def __init__(self) -> None:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        # On a real disk, for overlay2; the socket's path must stay below 108 bytes.
        self.data = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.run = Path(tempfile.mkdtemp(prefix="runsc-docker-"))
        self.socket = self.run / "sock"
        self.debug_logs = self.run / "logs"
        self.cgroup = f"runsc-test-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when it answers."""
        with (self.run / "daemon.log").open("wb") as log:
            self._process = subprocess.Popen(
                # Mounts and a network of its own: nothing of them can stay behind on the host.
                ["unshare", "--mount", "--net", "sh", "-c", _RUN, str(DOCKERD), *self._flags()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": _PATH},
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while not self.answers():
            assert self._process.poll() is None, f"dockerd ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"dockerd does not answer:\n{self.log()}"
            time.sleep(0.1)

    def _flags(self) -> list[str]:
        runtimes = {
            "runsc": {"path": str(RUNSC)},
            "runsc-net": {"path": str(RUNSC), "runtimeArgs": ["--network=sandbox"]},
            "runsc-raw": {"path": str(RUNSC), "runtimeArgs": ["--network=sandbox", "--net-raw"]},
            "runsc-host": {"path": str(RUNSC), "runtimeArgs": ["--network=host"]},
            "runsc-args": {
                "path": str(RUNSC),
                "runtimeArgs": ["--debug", f"--debug-log={self.debug_logs}/"],
            },
        }
        settings = self.run / "daemon.json"
        settings.write_text(json.dumps({"runtimes": runtimes}))
        return [
            f"--config-file={settings}",
            f"--data-root={self.data}",
            f"--exec-root={self.run}/exec",
            f"--pidfile={self.run}/pid",
            f"--host=unix://{self.socket}",
            f"--cgroup-parent=/{self.cgroup}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            "--storage-driver=overlay2",
            "--iptables=false",
            "--ip6tables=false",
        ]

    def pid(self) -> int:
        """Return its pid: its network namespace is the host of the containers."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """Return the end of what the daemon said."""
        return (self.run / "daemon.log").read_text(errors="replace")[-4000:]

    def command(self, *words: str) -> list[str]:
        """Return the client's command line."""
        return [str(DOCKER), "--host", f"unix://{self.socket}", *words]

    def __call__(self, *words: str, stdin: bytes = b"", timeout: float = 40.0) -> Outcome:
        """Run one command of the client."""
        # The client wants a home for its settings.
        env = {"PATH": _PATH, "HOME": str(self.run)}
        return run(self.command(*words), stdin, timeout, env)

    def answers(self) -> bool:
        """Say whether the daemon takes requests."""
        return self("version", timeout=10).status == 0

    def stop(self) -> None:
        """Stop the daemon and remove its files; fail the test if it left anything running."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self._kill_leftovers()
            raise AssertionError(f"dockerd did not stop:\n{self.log()}") from None
        finally:
            left = self._kill_leftovers()
            shutil.rmtree(self.data)
            shutil.rmtree(self.run)
            groups = self._remove_cgroups()
        assert not left, f"left running: {left}"
        assert not groups, f"cgroups left behind: {groups}"

    def _kill_leftovers(self) -> list[str]:
        """End what the daemon left to us, its adopting parent, and say what it was."""
        deadline = time.monotonic() + 3
        while True:
            reap()
            # Shims and containerd name the private directory on their command lines.
            left = {pid: text for pid, text in children().items() if str(self.run) in text}
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return list(left.values())

    def container_cgroups(self) -> list[str]:
        """Return the cgroups of containers that exist now."""
        return [str(path) for path in CGROUPS.glob(f"*/{self.cgroup}/*/")]

    def _remove_cgroups(self) -> list[str]:
        """Remove the cgroup that the daemon was given, and return what was still in it."""
        left = self.container_cgroups()
        for path in CGROUPS.glob(f"*/{self.cgroup}"):
            for below in path.glob("*/"):
                below.rmdir()
            path.rmdir()
        return left
