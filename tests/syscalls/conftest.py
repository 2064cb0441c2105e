"""One test for each case of each guest program in each world."""

from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.syscalls.guests import Guests, expected_failures, places, programs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give `test_guest` its cases: world, program and name."""
    if "case" not in metafunc.fixturenames:
        return
    known = expected_failures()
    params = []
    for program, cases in programs().items():
        for kind in ("native", "sandbox"):
            for place in places(program):
                world = f"{kind}-{place}".rstrip("-")
                params += [_param(world, program, case, known) for case in cases]
    metafunc.parametrize(("world", "program", "case"), params)


def _param(world: str, program: str, case: str, known: dict[str, str]) -> object:
    marks = []
    if world.startswith("sandbox"):
        marks.append(pytest.mark.guest)
        reason = known.get(f"{program}.{case}")
        if reason is not None:
            marks.append(pytest.mark.xfail(reason=reason, strict=True))
    return pytest.param(world, program, case, marks=marks, id=f"{world}-{program}-{case}")


@pytest.fixture(scope="session")
def guests(
    request: pytest.FixtureRequest,
    runtime: Runtime,
    busybox_rootfs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Guests:
    """Return what runs the cases that this session has selected, each program once in a world."""
    made = Guests(runtime, busybox_rootfs, tmp_path_factory.mktemp("guests"))
    for item in request.session.items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if "case" in params and "world" in params:
            made.wanted.setdefault((params["world"], params["program"]), []).append(params["case"])
    return made
