#!/usr/bin/python3 -IXutf8
"""runsc with the stand-in of fake_boot.py for its sandbox."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = next(ROOT.glob(".venv/lib/python3.*/site-packages"))
sys.path[:0] = [str(ROOT), str(PACKAGES)]

from runsc.cmd.main import main  # noqa: E402
from runsc.sandbox import launch  # noqa: E402

launch.BOOT_MODULE = "tests.cli.fake_boot"
main()
