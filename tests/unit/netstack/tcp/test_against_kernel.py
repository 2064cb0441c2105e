"""TCP against the host's kernel, over a TAP device."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]

EXPECTED = [
    "refused us True",
    "refused them Connection refused",
    "reset us True",
    "reset them Connection reset by peer",
    "their urgent byte b'U'",
    "our urgent byte b'V'",
    "around it b'xyz' True b'uvw'",
    "bulk True True options 7",
    "bulk with losses True True options 7 resent True",
    "accepted True True True",
    "closed window True True",
    "slow reader True True",
    "bare True True options 0",
    "bare with losses True True options 0 resent True",
]


@pytest.mark.root
def test_the_kernel_and_we_understand_each_other():
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.unit.netstack.tcp.kernel_peer"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == EXPECTED
