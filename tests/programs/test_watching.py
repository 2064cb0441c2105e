"""Programs that wait for files to change (inotify(7)): natively and in a container."""

from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.programs.compare import assert_same

# Debian's tail looks for changes only by inotify: an interval of an hour would not help it.
FOLLOW = """
cd /tmp; echo one > log
( tail -s 3600 -F log 2>&1 & echo $! > pid; wait ) > out &
until grep -q one out 2>/dev/null; do sleep 0.1; done
echo two >> log
until grep -q two out; do sleep 0.1; done
ln log log.1; echo three > new; mv new log
until grep -q three out; do sleep 0.1; done
kill $(cat pid)
cat out
"""


@pytest.mark.guest
def test_tail_follows_a_file_by_its_name(runtime: Runtime, debian_rootfs: Path) -> None:
    assert_same(runtime, debian_rootfs, FOLLOW)
