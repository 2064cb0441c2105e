"""The oracle itself works."""

from pathlib import Path

from tests.harness import leaks
from tests.harness.native import native
from tests.harness.tree import SCRATCH, Overlay


def test_native_runs_in_the_tree(busybox_rootfs: Path) -> None:
    outcome = native(busybox_rootfs, ["/bin/sh", "-c", "echo $$; cat; exit 5"], b"in", cwd="/etc")
    assert (outcome.status, outcome.out) == (5, "1\nin")


def test_overlay_takes_writes_and_forgets_them(busybox_rootfs: Path) -> None:
    with Overlay(busybox_rootfs) as root:
        (root / "etc/new").write_text("x")
    assert not (busybox_rootfs / "etc/new").exists()
    assert str(root) not in leaks.mounts_below(SCRATCH)
