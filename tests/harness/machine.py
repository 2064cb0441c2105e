"""Machines: a root file system with a network namespace, on the host's kernel or on ours.

    with link() as (left, right), NativeMachine(tree, right) as peer, ...

A machine runs any number of programs, one after the other or side by side, until it is closed.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from scripts.rootfs import GUEST_ENV
from tests.harness.bundle import Bundle, Runtime, default_config
from tests.harness.native import ENTER
from tests.harness.netns import Namespace
from tests.harness.outcome import Outcome, run
from tests.harness.tree import SCRATCH, Overlay

_SLEEP = ["/bin/sleep", "100000"]
_SH = ["/bin/sh", "-c"]


class Machine:
    """Programs with a root file system and a network of their own."""

    def __init__(self, root: Path, namespace: Namespace) -> None:
        self.root = root  # as the host sees it; write into it before the machine is switched on
        self.namespace = namespace
        self.logs = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.background: list[subprocess.Popen[bytes]] = []

    def prefix(self) -> list[str]:
        """Return the command that runs what follows it in the machine."""
        raise NotImplementedError

    def switch_on(self) -> None:
        """Start the machine's first process."""
        raise NotImplementedError

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0) -> Outcome:
        """Run a shell script to its end."""
        return run([*self.prefix(), *_SH, script], stdin, timeout, GUEST_ENV, "/")

    def start(self, script: str) -> "subprocess.Popen[bytes]":
        """Run a shell script beside the others, until it ends or the machine is closed."""
        with (self.logs / str(len(self.background))).open("wb") as log:
            process = subprocess.Popen(
                [*self.prefix(), *_SH, script],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=GUEST_ENV,
                cwd="/",
                start_new_session=True,
            )
        self.background.append(process)
        return process

    def log(self) -> str:
        """Return what the scripts of `start` have written."""
        texts = [path.read_text(errors="replace") for path in sorted(self.logs.iterdir())]
        return "\n".join(texts)[-4000:]

    def end_background(self) -> None:
        """Wait for what `start` began; its processes are already gone."""
        for process in self.background:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.logs)


class NativeMachine(Machine):
    """A chroot with namespaces of its own on the host's kernel."""

    def __init__(self, tree: Path, namespace: Namespace) -> None:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        self.overlay = Overlay(tree)
        super().__init__(self.overlay.root, namespace)
        self.first: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def prefix(self) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "-m", "-u", "-i", "-n", "-p", "-r", "-w"]

    def switch_on(self) -> None:
        unshare = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
        enter = ["--propagation=private", "/bin/sh", "-c", ENTER, "sh", str(self.root), "/"]
        self.first = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace.name, *unshare, *enter, *_SLEEP],
            env={**os.environ, **GUEST_ENV},
        )
        deadline = time.monotonic() + 10
        while not self.pid:
            assert time.monotonic() < deadline, "the machine does not start"
            time.sleep(0.01)
            self.pid = self._find()

    def _find(self) -> int:
        """Return the pid of the first process when it has come to run sleep(1)."""
        assert self.first
        path = Path(f"/proc/{self.first.pid}/task/{self.first.pid}/children")
        for child in path.read_text().split():
            try:
                if Path(f"/proc/{child}/comm").read_text() == "sleep\n":
                    return int(child)
            except FileNotFoundError:
                continue
        return 0

    def __enter__(self) -> "NativeMachine":
        return self

    def __exit__(self, *_: object) -> None:
        if self.first:
            self.first.kill()
            self.first.wait()
        self.end_background()
        self.overlay.close()


class SandboxMachine(Machine):
    """A container that has the interfaces of the namespace."""

    def __init__(
        self, runtime: Runtime, tree: Path, namespace: Namespace, flags: tuple[str, ...] = ()
    ) -> None:
        config = default_config(_SLEEP)
        for row in config["linux"]["namespaces"]:
            if row["type"] == "network":
                row["path"] = namespace.path
        self.bundle = Bundle(runtime, tree, config)
        super().__init__(self.bundle.root, namespace)
        self.command = [*runtime.command, "--network=sandbox", *flags]
        self.pid = 0

    def prefix(self) -> list[str]:
        environment = [f"--env={name}={value}" for name, value in GUEST_ENV.items()]
        return [*self.command, "exec", *environment, self.bundle.id]

    def switch_on(self) -> None:
        pid_file = self.bundle.path / "pid"
        create = ["create", "--bundle", str(self.bundle.path), "--pid-file", str(pid_file)]
        with (self.logs / "container").open("wb") as log:
            for words in ([*create, self.bundle.id], ["start", self.bundle.id]):
                subprocess.run(
                    [*self.command, *words],
                    check=True,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={},
                    timeout=30,
                )
        self.pid = int(pid_file.read_text())

    def __enter__(self) -> "SandboxMachine":
        return self

    def __exit__(self, *_: object) -> None:
        self.bundle.close()
        if self.pid:
            # Ours if orphans come to us (leaks.py), else somebody's who waits for it.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        self.end_background()
