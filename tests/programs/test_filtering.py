"""iptables, natively and in a container: the same rules, and the same traffic past them."""

from pathlib import Path

import pytest

from scripts import rootfs
from tests.harness.bundle import Runtime
from tests.programs.test_network import assert_same_as_administrator

PROGRAMS = sorted(Path(__file__).with_name("filtering").glob("*.py"))


@pytest.fixture(scope="session")
def network_rootfs() -> Path:
    """Return a system with iptables."""
    return rootfs.network()


@pytest.mark.guest
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_filtering_program(runtime: Runtime, network_rootfs: Path, program: Path) -> None:
    script = "cat > /tmp/program.py; exec python3 -u /tmp/program.py < /dev/null"
    assert_same_as_administrator(runtime, network_rootfs, script, program.read_bytes())
