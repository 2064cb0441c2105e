"""IPv4, ARP, ICMP, UDP and groups against the host's kernel, over a TAP device."""

import subprocess
import sys
from pathlib import Path

import pytest

from netstack import errors

ROOT = Path(__file__).resolve().parents[3]

EXPECTED = [
    *(f"udp {size} True True True" for size in (0, 1, 1472, 1473, 9000, 65507)),
    "kernel was refused",
    f"we were refused {errors.CONNECTION_REFUSED}",
    "kernel's ping True",
    "our ping b'to them'",
    "kernel's timestamp 14",
    "group b'from us' b'from them'",
    "broadcast b'to all'",
    f"too long {errors.MESSAGE_TOO_LONG} 1200",
]


@pytest.mark.root
def test_the_kernel_understands_us_and_we_it():
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.unit.netstack.kernel_peer"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == EXPECTED
