"""System V IPC (sysvipc(7)) by Debian's own tools: natively and in a container."""

from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.programs.compare import assert_same

IPCS = """
ipcmk -M 10000 -p 0640; ipcmk -S 3; ipcmk -Q
key() { ipcs $1 | awk '/^0x/ { print $1 }'; }
# Keys are random, but what has them can be found by them.
for kind in -m -s -q; do ipcs $kind | sed 's/^0x[0-9a-f]*/KEY/'; done
sed 's/ *[0-9-]* *//; s/  *[0-9]*  *[0-9]*  *[0-9]*$//' /proc/sysvipc/sem
awk '{ print $2, $3, $4, $7, $8 }' /proc/sysvipc/shm
awk '{ print $2, $3, $4, $5 }' /proc/sysvipc/msg
ipcs -m -i 0 | grep -o "bytes=[0-9]*"
ipcrm -M $(key -m); ipcrm -S $(key -s); ipcrm -Q $(key -q)
ipcs
ipcs -l | grep -v 'semaphores system wide'
"""


@pytest.mark.guest
def test_ipcs_and_its_kind(runtime: Runtime, debian_rootfs: Path) -> None:
    assert "KEY" in assert_same(runtime, debian_rootfs, IPCS).out
