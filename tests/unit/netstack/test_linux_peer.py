"""Our IPv6 and Linux's on two ends of a TAP device, in a network namespace that ends with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netstack.errors import CONNECTION_REFUSED, NETWORK_UNREACHABLE

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.root
@pytest.mark.skipif(not os.access("/dev/net/tun", os.W_OK), reason="needs /dev/net/tun")
def test_linux_and_we_understand_each_other():
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.unit.netstack.linux_peer"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen.pop("refused by linux") == CONNECTION_REFUSED
    assert seen.pop("refused by us") == 111
    assert seen.pop("no route") == NETWORK_UNREACHABLE
    assert seen.pop("path mtu") == 1300
    assert len(seen.pop("groups")) == 3
    assert [name for name, fine in seen.items() if fine is not True] == []
