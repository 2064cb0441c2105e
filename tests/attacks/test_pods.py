"""Containers of one sandbox: what one can do to the processes and files of another."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.harness.netns import Namespace
from tests.harness.pods import Make, Running

Attacker = Callable[[str], Path]
pytestmark = [pytest.mark.root, pytest.mark.guest]

SLEEPERS = "sleep 1000 & " * 8
ALIVE = "set -- $(pidof sleep); echo $#"


def run(runtime: Runtime, bundle: "object") -> str:
    """Return what a container in the foreground prints."""
    path, name = str(bundle.path), bundle.id  # type: ignore[attr-defined]  # a Bundle
    return runtime("run", "--bundle", path, name).check().out


@pytest.fixture
def victim(runtime: Runtime, make: Make, first: Running) -> Running:
    """Return the first container, with processes that have small numbers, and files."""
    (first.bundle.root / "secret").write_text("of the first")
    first.exec(f"({SLEEPERS}) >/dev/null 2>&1; echo x >/dev/shm/of-the-first")
    assert first.exec(ALIVE) == "8\n"
    return first


def test_signals_to_everybody_reach_nobody_else(
    runtime: Runtime, make: Make, victim: Running
) -> None:
    script = (
        "trap '' TERM; kill -TERM -1; kill -KILL -1; for i in $(seq 2 200); do kill -9 $i; done"
    )
    assert run(runtime, make(f"({script}) 2>/dev/null; echo done")) == "done\n"
    assert victim.exec(ALIVE) == "8\n"


def test_calls_that_name_a_process_find_nobody_else(
    runtime: Runtime, make: Make, victim: Running, attacker: Attacker
) -> None:
    bundle = make("exec other_processes", attacker("other_processes"))
    lines = run(runtime, bundle).splitlines()
    assert lines
    counts = [line for line in lines if " done, " in line]
    assert all(line.endswith(": 0 done, 0 strange") for line in counts), counts
    assert victim.exec(ALIVE) == "8\n"


def test_files_are_found_by_no_way(runtime: Runtime, make: Make, victim: Running) -> None:
    script = """
        for root in / /proc/1/root /proc/self/root /proc/*/root /proc/*/cwd; do
            cat $root/secret $root/dev/shm/of-the-first
        done 2>/dev/null
        cat /proc/1/root/../../secret /proc/self/cwd/../secret 2>/dev/null
        ls /dev/shm; set -- /proc/[0-9]*; echo $#
        cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -c '^100[0]$'; true
    """
    assert run(runtime, make(script)) == "1\n0\n"


EXPECTED = """\
the peer of the visitor: 0
self in the server's proc: ENOENT
the server's memory: ENOENT
SIGKILL by a pidfd: EINVAL
waitid by a pidfd: ECHILD
"""
SERVED = "the peer of the server: 0\nthe server is alive\n"


def test_what_strangers_give_each_other(
    runtime: Runtime, make: Make, first: Running, attacker: Attacker
) -> None:
    root = attacker("strangers")
    server = Running(runtime, make("exec strangers serve", root))
    assert run(runtime, make("exec strangers", root)) == EXPECTED
    assert server.wait() == 0
    assert server.printed() == SERVED
    runtime("delete", server.id).check()


def test_what_strangers_give_each_other_natively(shared: Namespace, attacker: Attacker) -> None:
    """The same on the host's kernel, with pid namespaces beside each other."""
    mounted = 'mount -t proc proc "$0/proc" && exec chroot "$0" strangers "$@"'
    words = [
        "ip",
        "netns",
        "exec",
        shared.name,
        "unshare",
        "--pid",
        "--fork",
        "--mount",
        "sh",
        "-c",
    ]
    command = [*words, mounted, str(attacker("strangers"))]
    with subprocess.Popen([*command, "serve"], stdout=subprocess.PIPE, text=True) as server:
        seen = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        assert server.communicate(timeout=30)[0] == SERVED
    assert seen.stdout == EXPECTED


KINDS = ("memory", "semaphores", "messages", "queue")


def all_are(what: str) -> str:
    """Return what the guest "objects" prints if every kind is `what`."""
    return "".join(f"{kind}: {what}\n" for kind in KINDS)


def test_objects_of_another_ipc_namespace(
    runtime: Runtime, make: Make, first: Running, attacker: Attacker
) -> None:
    root = attacker("objects")
    maker = Running(runtime, make("exec objects make wait", root))
    while "queue" not in maker.printed():
        time.sleep(0.02)
    assert maker.printed() == all_are("done")
    assert run(runtime, make("objects look", root)) == all_are("ENOENT")
    joined = {"ipc": f"/proc/{maker.pid}/ns/ipc"}
    assert run(runtime, make("objects look", root, **joined)) == all_are("done")
    maker.delete()
    assert run(runtime, make("objects look", root)) == all_are("ENOENT")


def test_objects_of_another_ipc_namespace_natively(attacker: Attacker) -> None:
    root = attacker("objects")
    script = f"""
        chroot {root} objects make; chroot {root} objects look
        unshare --ipc chroot {root} objects look
    """
    argv = ["unshare", "--ipc", "sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == all_are("done") * 2 + all_are("ENOENT")
