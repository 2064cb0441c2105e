"""A Docker daemon for the session, with images, and what tests do with it."""

import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.daemon import DOCKER, DOCKERD, Daemon
from tests.harness.leaks import adopt_orphans, mounts_below
from tests.harness.outcome import Outcome

_names = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here; without Docker it cannot run."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)
            if not (DOCKERD.exists() and DOCKER.exists()):
                item.add_marker(pytest.mark.skip(reason="docker.io is not installed"))


@pytest.fixture(scope="session")
def daemon(busybox_rootfs: Path) -> Iterator[Daemon]:
    """Return a running daemon that has the image `busybox`."""
    adopt_orphans()
    made = Daemon()
    made.start()
    try:
        import_image(made, busybox_rootfs, "busybox")
        yield made
    finally:
        made.stop()
    assert not mounts_below(made.data)
    assert not mounts_below(made.run)


def import_image(daemon: Daemon, tree: Path, name: str) -> None:
    """Make an image of one layer from a directory."""
    with subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(
            daemon.command("import", "-", name),
            stdin=tar.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
    assert tar.returncode == 0


class Docker:
    """The daemon as one test uses it: containers get names, and are removed at its end."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.names: list[str] = []

    def __call__(self, *words: str, stdin: bytes = b"") -> Outcome:
        """Run one command of the client."""
        return self.daemon(*words, stdin=stdin)

    def ok(self, *words: str, stdin: bytes = b"") -> str:
        """Run one command that must succeed, and return its output."""
        return self(*words, stdin=stdin).check().out

    def run(self, *words: str, stdin: bytes = b"", runtime: str = "runsc") -> Outcome:
        """`docker run` in the foreground: flags, then the program; the image is busybox."""
        flags, program = split(words)
        return self(*_run(runtime), "--rm", "-i", *flags, "busybox", *program, stdin=stdin)

    def both(self, *words: str, stdin: bytes = b"") -> Outcome:
        """`run`, with runsc and with runc: the same output and the same status."""
        ours = self.run(*words, stdin=stdin)
        theirs = self.run(*words, stdin=stdin, runtime="runc")
        assert ours.describe() == theirs.describe()
        return ours

    def detach(self, *words: str, runtime: str = "runsc") -> str:
        """`docker run -d`; return the container's name."""
        flags, program = split(words)
        name = self.name()
        self.ok(*_run(runtime), "-d", "--name", name, *flags, "busybox", *program)
        return name

    def name(self) -> str:
        """Return a name for a container that the end of the test removes."""
        self.names.append(f"box{next(_names)}")
        return self.names[-1]

    def inspect(self, name: str, field: str) -> str:
        """Return one field of `docker inspect`."""
        return self.ok("inspect", "--format", "{{" + field + "}}", name).strip()

    def pid(self, name: str) -> int:
        """Return the pid on the host of a container's process."""
        return int(self.inspect(name, ".State.Pid"))


def split(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the flags, which are what stands before `--`, and the program."""
    at = words.index("--") if "--" in words else 0
    return list(words[:at]), list(words[at + 1 if "--" in words else 0 :])


def _run(runtime: str) -> list[str]:
    return ["run", "--runtime", runtime, "--network", "none"]


@pytest.fixture
def docker(daemon: Daemon) -> Iterator[Docker]:
    """Return the daemon, for one test; its containers may not outlive it."""
    made = Docker(daemon)
    yield made
    if made.names:
        made("rm", "-f", *made.names)
    assert made.ok("ps", "-aq") == ""
    assert daemon.container_cgroups() == []


@pytest.fixture
def shell(docker: Docker) -> Callable[..., Outcome]:
    """Return a function that runs a script of sh under both runtimes."""

    def shell(script: str, *flags: str, stdin: bytes = b"") -> Outcome:
        return docker.both(*flags, "--", "sh", "-c", script, stdin=stdin)

    return shell


def wait_until(condition: Callable[[], bool], timeout: float = 8.0) -> None:
    """Return when the condition holds; fail the test when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
