"""Fixtures of all tests."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import rootfs
from tests.harness import leaks
from tests.harness.bundle import Bundle, Runtime, default_config

# Files that take long with few tests: two processes that begin with them end at the same time.
FIRST = ("interop", "programs", "cli")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with slow files; leave out what takes minutes, unless `-m` names its marker."""
    items.sort(key=lambda item: item.path.parent.name not in FIRST)
    if "long" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("long") is not None]
    items[:] = [item for item in items if item.get_closest_marker("long") is None]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def what_programs_inherit() -> Iterator[None]:
    """Put back what a test has changed of this process that the programs of others would get.

    Some do in it what the sandbox does when it starts.
    """
    os.umask(0o022)
    processors = os.sched_getaffinity(0)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    os.umask(0o022)
    os.sched_setaffinity(0, processors)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture(scope="session")
def debian_rootfs() -> Path:
    """Return a Debian (or Ubuntu) system with python3, gcc, git and sqlite3; only to be read."""
    return rootfs.debian()


@pytest.fixture(scope="session")
def busybox_rootfs() -> Path:
    """Return a system of one static busybox; only to be read."""
    return rootfs.busybox()


@pytest.fixture(scope="session")
def musl_rootfs() -> Path:
    """Return a system with programs that are dynamically linked to musl; only to be read."""
    return rootfs.musl()


@pytest.fixture(scope="session")
def state_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the state directory of this session's containers."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def runtime(state_root: Path, no_leaks: None) -> Runtime:
    """Return bin/runsc: the compiled build when it is fresh."""
    return Runtime(state_root)


@pytest.fixture(scope="session")
def interpreted_runtime(tmp_path_factory: pytest.TempPathFactory, no_leaks: None) -> Runtime:
    """Return the same program with every module interpreted, installed in a place of its own."""
    prefix = tmp_path_factory.mktemp("interpreted")
    root = Path(__file__).resolve().parent.parent
    python = root / ".venv/bin/python"
    argv = [str(python), "-m", "scripts.install", "--interpreted", str(prefix)]
    subprocess.run(argv, cwd=root, check=True, stdout=subprocess.DEVNULL)
    return Runtime(tmp_path_factory.mktemp("state"), [str(prefix / "bin/runsc")])


@pytest.fixture
def make_bundle(runtime: Runtime) -> Iterator[Callable[..., Bundle]]:
    """Return a function that makes bundles, which are removed after the test."""
    made: list[Bundle] = []

    def make(tree: Path, argv: list[str], **changes: object) -> Bundle:
        config = default_config(argv)
        config["process"].update(changes)
        made.append(Bundle(runtime, tree, config))
        return made[-1]

    yield make
    for bundle in made:
        bundle.close()


@pytest.fixture(scope="session")
def no_leaks(state_root: Path) -> Iterator[None]:
    """Fail at the end if containers left a process, mount, cgroup or state file behind."""
    leaks.adopt_orphans()
    before = set(leaks.children())
    yield
    deadline = time.monotonic() + 2
    while True:
        leaks.reap()
        left = {pid: text for pid, text in leaks.children().items() if pid not in before}
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert not left, f"processes left behind: {left}"
    assert not leaks.cgroups_of(f"t{os.getpid()}-")
    assert not os.listdir(state_root), "containers left in the state directory"
