"""Run a container that shows itself: its kernel, processes, files, a program, its exit status."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from scripts import rootfs

ROOT = Path(__file__).resolve().parent.parent
STATUS = 42
SCRIPT = f"""
show() {{ printf '\\n$ %s\\n' "$*"; "$@"; }}
show uname -a
show ps -ef
show ls /
show cat /etc/debian_version
show python3 -c 'import os, sys; print("python", sys.version.split()[0], "is process", os.getpid())'
printf '\\nexit {STATUS}\\n'
exit {STATUS}
"""


def config(tree: Path) -> dict[str, object]:
    """Return the config.json of the container."""
    return {
        "ociVersion": "1.0.2",
        "hostname": "demo",
        "root": {"path": str(tree), "readonly": True},
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh", "-c", SCRIPT],
            "env": [f"{name}={value}" for name, value in rootfs.GUEST_ENV.items()],
            "cwd": "/",
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]
        },
    }


def main() -> int:
    """Make the root file system if need be, and run the container."""
    try:
        tree = rootfs.debian()
    except rootfs.RootfsError as error:
        rootfs.say(f"failed: {error}")
        return 1
    bundle = Path(tempfile.mkdtemp(prefix="runsc-demo-"))
    try:
        (bundle / "config.json").write_text(json.dumps(config(tree), indent=1))
        argv = [str(ROOT / "bin" / "runsc"), "run", "--bundle", str(bundle), bundle.name]
        print(f"demo: {' '.join(argv)}", flush=True)
        status = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False).returncode
    finally:
        shutil.rmtree(bundle)
    print(f"\ndemo: runsc ended with status {status}, the container's ({STATUS} was expected)")
    return 0 if status == STATUS else 1


if __name__ == "__main__":
    raise SystemExit(main())
