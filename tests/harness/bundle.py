"""OCI bundles, and a runtime that runs them."""

import copy
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from scripts.rootfs import GUEST_ENV
from tests.harness.outcome import Outcome, run
from tests.harness.tree import SCRATCH, Overlay

ROOT = Path(__file__).resolve().parent.parent.parent
RUNSC = ROOT / "bin" / "runsc"

_NAMES = """
    AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW
    SETFCAP SETGID SETPCAP SETUID SYS_CHROOT
"""
CAPABILITIES = [f"CAP_{name}" for name in _NAMES.split()]

# What container engines ask for, without what needs a network.
CONFIG: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "hostname": "runsc-test",
    "root": {"path": "rootfs", "readonly": False},
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["/bin/true"],
        "env": [],
        "cwd": "/",
        "capabilities": {
            "bounding": CAPABILITIES,
            "effective": CAPABILITIES,
            "permitted": CAPABILITIES,
        },
        "noNewPrivileges": False,
    },
    "mounts": [
        {
            "destination": "/proc",
            "type": "proc",
            "source": "proc",
            "options": ["nosuid", "noexec", "nodev"],
        },
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {
            "destination": "/dev/shm",
            "type": "tmpfs",
            "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"],
        },
        {
            "destination": "/sys",
            "type": "sysfs",
            "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", "ro"],
        },
        {
            "destination": "/tmp",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "nodev", "mode=1777"],
        },
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")],
    },
}

_numbers = itertools.count(1)


def default_config(argv: list[str], env: dict[str, str] | None = None, cwd: str = "/") -> Any:
    """Return a config.json, as objects, that runs `argv`; change it as the test needs."""
    config = copy.deepcopy(CONFIG)
    process = config["process"]
    process["args"] = list(argv)
    process["env"] = [f"{name}={value}" for name, value in {**GUEST_ENV, **(env or {})}.items()]
    process["cwd"] = cwd
    return config


class Runtime:
    """An OCI runtime's command line, with a state directory of its own."""

    def __init__(self, state: Path, command: list[str] | None = None) -> None:
        self.state = state
        flags = os.environ.get("RUNSC_TEST_FLAGS", "").split()
        self.command = [*(command or [str(RUNSC)]), "--root", str(state), *flags]

    def __call__(self, *arguments: str, stdin: bytes = b"", timeout: float = 60.0) -> Outcome:
        """Run one command of the runtime with an empty environment, as engines may."""
        return run([*self.command, *arguments], stdin, timeout, env={}, cwd="/")

    def inspect(self, container: str) -> Any:
        """Return what `state` prints."""
        return json.loads(self("state", container).check().stdout)

    def leftovers(self) -> list[str]:
        """Return what is in the state directory."""
        return sorted(os.listdir(self.state)) if self.state.is_dir() else []


class Bundle:
    """A bundle directory over a throw-away copy of a root file system."""

    def __init__(self, runtime: Runtime, rootfs: Path, config: Any) -> None:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        self.runtime = runtime
        self.path = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.overlay = Overlay(rootfs, self.path / "overlay")
        self.root = self.overlay.root
        self.id = f"t{os.getpid()}-{next(_numbers)}"
        config["root"]["path"] = str(self.root)
        self.config = config
        self.write()

    def write(self) -> None:
        """Write config.json from `config`."""
        (self.path / "config.json").write_text(json.dumps(self.config, indent=1))

    def run(self, *, stdin: bytes = b"", timeout: float = 60.0) -> Outcome:
        """`runsc run` in the foreground, to the container's end."""
        argv = ("run", "--bundle", str(self.path), self.id)
        return self.runtime(*argv, stdin=stdin, timeout=timeout)

    def close(self) -> None:
        """Remove the container, should it still be there, and the bundle."""
        if self.id in self.runtime.leftovers():
            self.runtime("delete", "--force", self.id, timeout=20)
        self.overlay.close()
        shutil.rmtree(self.path)

    def __enter__(self) -> "Bundle":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sandboxed(
    runtime: Runtime,
    rootfs: Path,
    argv: list[str],
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    cwd: str = "/",
    timeout: float = 60.0,
) -> Outcome:
    """Run a program in a container of its own; the counterpart of `native`."""
    with Bundle(runtime, rootfs, default_config(argv, env, cwd)) as bundle:
        return bundle.run(stdin=stdin, timeout=timeout)
