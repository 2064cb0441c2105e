"""Filtering of packets, natively and in a container: the same rules, and the same traffic past them.

Programs that use iptables-legacy or ip6tables-legacy run once more with the variant for nf_tables.
"""

from pathlib import Path

import pytest

from scripts import rootfs
from tests.harness.bundle import Runtime
from tests.programs.test_network import assert_same_as_administrator

PROGRAMS = sorted(Path(__file__).with_name("filtering").glob("*.py"))
TUNNELS = Path(__file__).with_name("filtering") / "support" / "tunnels.py"
# These speak to the kernel as only the legacy variants do.
LEGACY_ONLY = ("blobs", "mixed")
CASES = [(path, "legacy", "") for path in PROGRAMS] + [
    (path, "nft", "")
    for path in PROGRAMS
    if path.stem not in LEGACY_ONLY and "tables-legacy" in path.read_text()
]
CASES += [(path, "legacy", "6") for path in PROGRAMS if path.stem == "blobs"]


@pytest.fixture(scope="session")
def network_rootfs() -> Path:
    """Return a system with iptables, nft and conntrack."""
    return rootfs.network()


@pytest.mark.guest
@pytest.mark.parametrize(
    ("program", "variant", "argument"),
    CASES,
    ids=[f"{path.stem}{argument}-{variant}" for path, variant, argument in CASES],
)
def test_filtering_program(
    runtime: Runtime, network_rootfs: Path, program: Path, variant: str, argument: str
) -> None:
    source = program.read_text().replace("tables-legacy", f"tables-{variant}")
    support = ""
    if "tunnels" in source:
        support = f"cat > /tmp/tunnels.py <<'END'\n{TUNNELS.read_text()}END\n"
    script = (
        f"{support}cat > /tmp/program.py; exec python3 -u /tmp/program.py {argument} < /dev/null"
    )
    assert_same_as_administrator(runtime, network_rootfs, script, source.encode())
