"""What is left of a sandbox that is killed, and what its processes are while it lives."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.bundle import Bundle, Runtime, default_config

Attacker = Callable[[str], Path]
pytestmark = pytest.mark.guest
STATES = (
    "computing",
    "blocked",
    "calling",
    "vfork",
    "executing",
    "forking",
    "threads",
    "mapping",
)


def status_of(path: Path) -> dict[str, str]:
    """Return the lines of a /proc/PID/status; nothing of a process that is gone."""
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def runs(pid: int) -> bool:
    state = status_of(Path(f"/proc/{pid}/status")).get("State", "X")
    return state[0] not in "ZX"


def namespace_of(pid: int) -> str:
    """Return the pid namespace, which only the sandbox and its stubs are in."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""  # it is gone, or none of ours


def members(namespace: str) -> list[int]:
    """Return all processes of the host that are in a pid namespace."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if runs(pid) and namespace_of(pid) == namespace]


class Sandbox:
    """A running container of one guest in one state."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        for command in (["create", "--bundle", str(bundle.path)], ["start"]):
            # Not captured: the container keeps the descriptors, and would keep pipes open.
            subprocess.run(
                [*bundle.runtime.command, *command, bundle.id],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                check=True,
                timeout=30,
            )
        self.pid = int(bundle.runtime.inspect(bundle.id)["pid"])
        self.namespace = namespace_of(self.pid)

    def stubs(self) -> list[int]:
        """Return the host processes of the guest, with the template."""
        return [pid for pid in members(self.namespace) if pid != self.pid]

    def wait_for_stubs(self, count: int) -> None:
        """Wait until there are as many processes, and the guest is where it means to be."""
        deadline = time.monotonic() + 10
        while len(self.stubs()) < count:
            assert time.monotonic() < deadline, "the guest did not come up"
            time.sleep(0.02)
        time.sleep(0.2)


@pytest.fixture
def sandbox(
    runtime: Runtime, attacker: Attacker, request: pytest.FixtureRequest
) -> Iterator[Sandbox]:
    """Return a container whose guest is in the state that the test's parameter names."""
    root = attacker("states")
    with Bundle(runtime, root, default_config(["/bin/states", request.param])) as bundle:
        made = Sandbox(bundle)
        made.wait_for_stubs(3 if request.param == "vfork" else 2)
        yield made
        runtime("delete", "--force", bundle.id)


def wait_until_gone(namespace: str, seconds: float) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := members(namespace)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


@pytest.mark.parametrize("sandbox", STATES, indirect=True)
def test_nothing_outlives_a_killed_sandbox(sandbox: Sandbox) -> None:
    os.kill(sandbox.pid, signal.SIGKILL)
    assert wait_until_gone(sandbox.namespace, 1.0) == []


@pytest.mark.parametrize("sandbox", ["computing", "threads", "vfork"], indirect=True)
def test_nothing_outlives_a_killed_sandbox_whose_stubs_are_stopped(sandbox: Sandbox) -> None:
    for pid in sandbox.stubs():
        os.kill(pid, signal.SIGSTOP)
    os.kill(sandbox.pid, signal.SIGSTOP)
    for pid in sandbox.stubs():
        os.kill(pid, signal.SIGSTOP)
    os.kill(sandbox.pid, signal.SIGKILL)
    assert wait_until_gone(sandbox.namespace, 1.0) == []


@pytest.mark.parametrize("sandbox", STATES, indirect=True)
def test_every_thread_of_a_guest_is_traced_and_filtered(sandbox: Sandbox) -> None:
    tracers = {str(sandbox.pid)}
    looked_at = 0
    began = time.monotonic()
    while time.monotonic() < began + 0.3 or (looked_at <= 10 and time.monotonic() < began + 20):
        for pid in sandbox.stubs():
            for path in Path(f"/proc/{pid}/task").glob("*/status"):
                status = status_of(path)
                if not status or status["State"][0] in "ZX":
                    continue
                assert status["TracerPid"] in tracers, status
                assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
                assert status.get("Seccomp_filters", "1") == "1", "the sandbox's own is not on it"
                for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                    assert int(status[name], 16) == 0, name
                for name in ("SigBlk", "SigIgn", "SigCgt"):
                    assert int(status[name], 16) == 0, name
                looked_at += 1
    assert looked_at > 10


@pytest.mark.parametrize("sandbox", ["blocked"], indirect=True)
def test_a_stub_has_nothing_of_the_host(sandbox: Sandbox) -> None:
    """Of its memory, environment, directory and names; descriptors it has, but no call passes."""
    kinds = set()
    for pid in sandbox.stubs():
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            fields = line.split(None, 5)
            name = fields[5] if len(fields) > 5 else ""
            kinds.add(name.split("/")[-1])
            assert "python" not in name, line
            assert ".so" not in name, line
        for name in ("environ", "cmdline"):
            try:
                text = Path(f"/proc/{pid}/{name}").read_bytes()
            except OSError:
                continue  # nothing is mapped there
            assert not text or b"/bin/states" in text or b"PATH=" in text, (name, text)
        assert os.readlink(f"/proc/{pid}/root") == "/"
        assert os.listdir(f"/proc/{pid}/root") == []
    assert "states" in kinds


@pytest.mark.parametrize("sandbox", ["calling", "threads"], indirect=True)
def test_a_stopped_and_continued_sandbox_goes_on(sandbox: Sandbox) -> None:
    """SIGSTOP and SIGCONT from outside are no stop of the guest's, nor its end."""
    for _ in range(20):
        for pid in [*sandbox.stubs(), sandbox.pid]:
            os.kill(pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.01)
    assert sandbox.bundle.runtime.inspect(sandbox.bundle.id)["status"] == "running"
    done = sandbox.bundle.runtime("exec", sandbox.bundle.id, "/bin/echo", "alive")
    assert done.check().out == "alive\n"
