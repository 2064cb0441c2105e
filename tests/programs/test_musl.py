"""Programs that are dynamically linked to musl, with its loader."""

from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.programs.compare import assert_same

SCRIPTS = {
    "hello": "hello one 'two words'; echo $?",
    "threads": "threads",
    "processes": "processes",
    "files": "files",
    "signals": "signals; echo $?",
    "loader": "/lib/ld-musl-*.so.1 /usr/bin/hello by loader; echo $?",
    "in_a_pipeline": "hello a 2>&1 | sort | wc -l; ls -l /lib | grep -c musl; find / -xdev -name 'h*' "
    "| grep -v -e ^/proc -e ^/sys -e ^/dev | sort | sha256sum",
}


@pytest.mark.guest
@pytest.mark.parametrize("name", SCRIPTS)
def test_musl(runtime: Runtime, musl_rootfs: Path, name: str) -> None:
    assert_same(runtime, musl_rootfs, SCRIPTS[name])
