"""Writable views of a root file system that is only read."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

# Beside the root file systems: on a real disk, not on a tmpfs.
SCRATCH = Path(__file__).resolve().parent.parent.parent / ".cache" / "scratch"


class Overlay:
    """A directory that looks like `lower` and takes writes until it is closed."""

    def __init__(self, lower: Path, scratch: Path | None = None) -> None:
        if scratch is None:
            SCRATCH.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(dir=SCRATCH))
        self.scratch = scratch
        self.root = scratch / "rootfs"
        upper, work = scratch / "upper", scratch / "work"
        for path in (self.root, upper, work):
            path.mkdir(parents=True)
        upper.chmod(0o755)
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", self.root], check=True)

    def close(self) -> None:
        """Unmount and remove it."""
        subprocess.run(["umount", self.root], check=True)
        shutil.rmtree(self.scratch)

    def __enter__(self) -> Path:
        return self.root

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
