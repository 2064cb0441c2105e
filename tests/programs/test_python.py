"""Debian's python3: processes, threads, files, signals; each a program in python/."""

from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.programs.compare import assert_same

PROGRAMS = sorted(Path(__file__).with_name("python").glob("*.py"))


@pytest.mark.guest
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_python_program(runtime: Runtime, debian_rootfs: Path, program: Path) -> None:
    # multiprocessing's "spawn" imports the main program again, so it has to be a file.
    script = "cat > /tmp/program.py; exec python3 -u /tmp/program.py < /dev/null"
    assert "Traceback" not in assert_same(runtime, debian_rootfs, script, program.read_bytes()).err


@pytest.mark.guest
def test_interpreter_one_liner(runtime: Runtime, debian_rootfs: Path) -> None:
    assert_same(
        runtime, debian_rootfs, "python3 -c 'print(sum(range(10)))'; python3 -m this | md5sum"
    )
