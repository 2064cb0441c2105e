"""Signals, stops and ends of processes are as on Linux."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.harness.tree import Overlay
from tests.programs.compare import assert_same

SOURCE = Path(__file__).parent / "lifecycle" / "lifecycle.c"


@pytest.mark.guest
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler")
def test_lifecycle(runtime: Runtime, busybox_rootfs: Path) -> None:
    with Overlay(busybox_rootfs) as root:
        program = root / "bin" / "lifecycle"
        command = ["gcc", "-O1", "-static", "-pthread", "-o", str(program), str(SOURCE)]
        subprocess.run(command, check=True)
        assert_same(runtime, root, "lifecycle")
