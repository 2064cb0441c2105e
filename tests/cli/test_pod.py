"""Containers that join the sandbox of another one, by bundles that name its network namespace."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_network import create, output
from tests.harness.bundle import Bundle, Runtime
from tests.harness.pods import SERVE, Make, Running
from tests.harness.terminal import TerminalSession

pytestmark = [pytest.mark.root, pytest.mark.guest]

ASK = "for i in 1 2 3 4 5 6 7 8 9; do nc 127.0.0.1 7000 </dev/null && break; sleep 0.2; done"
FOREVER = "sleep 1000"
# By the host's kernel, or because the sandbox was: engines say 137 in both cases.
KILLED = (-9, 137)


def run(runtime: Runtime, bundle: Bundle) -> str:
    """Return what a container in the foreground prints."""
    return runtime("run", "--bundle", str(bundle.path), bundle.id).check().out


def comms(runtime: Runtime, container: str) -> list[str]:
    lines = runtime("ps", container).check().out.splitlines()[1:]
    return sorted(line.split()[3] for line in lines)


def test_they_are_one_host(runtime: Runtime, make: Make, first: Running) -> None:
    assert run(runtime, make(ASK)) == "from first\n"
    shown = "ip addr | sed 's/qlen.*//'; ip route"
    assert run(runtime, make(shown)) == first.exec(shown)
    assert "10.9.0.2/24" in first.exec(shown)


def test_each_has_its_own_processes_files_and_names(
    runtime: Runtime, make: Make, first: Running
) -> None:
    (first.bundle.root / "mark").write_text("of the first")
    script = "echo $$; hostname; ls /mark /proc | grep -E 'mark|^[0-9]'; ls -l /proc/self/ns"
    done = runtime("run", "--bundle", str((b := make(script, hostname="second")).path), b.id)
    lines = done.check().out.splitlines()
    assert lines[:2] == ["1", "second"]
    assert [line for line in lines if line.isdigit()][1] == "1"
    assert "ls: /mark: No such file or directory" in done.err
    own = namespaces_of(lines)
    others = namespaces_of(first.exec("ls -l /proc/self/ns").splitlines())
    assert {kind for kind in own if own[kind] == others[kind]} == {"cgroup", "net", "user"}
    assert first.exec("hostname") == "first\n"


def namespaces_of(lines: list[str]) -> dict[str, str]:
    words = [line.split()[-1] for line in lines if " -> " in line]
    return {word.partition(":")[0]: word for word in words}


def test_exit_statuses_are_those_of_each_init(runtime: Runtime, make: Make, first: Running) -> None:
    for script, status in (("exit 7", 7), ("kill -9 $$; sleep 9", 9), ("exit 0", 0)):
        second = Running(runtime, make(script if status != 9 else "exit 9"))
        assert second.wait() == status
        assert second.status() == "stopped"
        runtime("delete", second.id).check()
    assert first.status() == "running"


def test_signals_reach_the_init_that_is_meant(runtime: Runtime, make: Make, first: Running) -> None:
    script = "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    second, third = (Running(runtime, make(script)) for _ in range(2))
    for one in (second, third):
        wait_for(lambda one=one: "ready" in (one.bundle.path / "out").read_text())
    runtime("kill", second.id, "TERM").check()
    assert second.wait() == 3
    assert output(runtime, second.bundle) == "ready\ngot\n"
    os.kill(third.pid, signal.SIGTERM)
    assert third.wait() == 3
    assert first.status() == "running"
    for one in (second, third):
        runtime("delete", one.id).check()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["kill", "host", "all"])
def test_killing_one_kills_that_one_alone(
    runtime: Runtime, make: Make, first: Running, how: str
) -> None:
    second = Running(runtime, make(f"{FOREVER} & {FOREVER}"))
    if how == "host":
        os.kill(second.pid, signal.SIGKILL)
    else:
        runtime("kill", *(["--all"] if how == "all" else []), second.id, "KILL").check()
    assert second.wait() in KILLED
    assert second.status() == "stopped"
    assert runtime("kill", second.id, "0").status != 0
    runtime("delete", second.id).check()
    assert "sleep" not in comms(runtime, first.id)
    assert first.exec("echo alive") == "alive\n"


def test_a_sandbox_that_does_not_answer_holds_nobody_up(
    runtime: Runtime, make: Make, first: Running
) -> None:
    second = Running(runtime, make(FOREVER))
    os.kill(first.pid, signal.SIGSTOP)
    try:
        runtime("kill", second.id, "KILL").check()
        assert second.wait() == -9
        runtime("delete", second.id).check()
    finally:
        os.kill(first.pid, signal.SIGCONT)
    wait_for(lambda: "sleep" not in comms(runtime, first.id))


def test_the_end_of_the_first_is_the_end_of_all(
    runtime: Runtime, make: Make, first: Running
) -> None:
    second = Running(runtime, make(FOREVER))
    runtime("kill", first.id, "KILL").check()
    # Ours to reap: the host's kernel lets nobody end before those in its pid namespace have gone.
    assert second.wait() in KILLED
    assert first.wait() == -9
    assert second.status() == "stopped"
    runtime("delete", first.id).check()
    runtime("delete", second.id).check()


def test_exec_and_ps_are_of_one_container(runtime: Runtime, make: Make, first: Running) -> None:
    second = Running(runtime, make(FOREVER, hostname="second"))
    assert second.exec("hostname; echo $$") == "second\n2\n"
    assert runtime("exec", second.id, "/bin/sh", "-c", "exit 5").status == 5
    assert comms(runtime, second.id) == ["sleep"]
    assert "sleep" not in comms(runtime, first.id)
    listed = runtime("list", "--quiet").check().out.split()
    assert {first.id, second.id} <= set(listed)
    second.delete()
    assert runtime("exec", second.id, "true").status != 0


def test_an_exec_ends_before_its_container(runtime: Runtime, make: Make, first: Running) -> None:
    for _ in range(5):
        second = Running(runtime, make(FOREVER))
        pid_file = second.bundle.path / "exec.pid"
        words = ["exec", "--detach", "--pid-file", str(pid_file), second.id, "sleep", "1000"]
        null = subprocess.DEVNULL
        subprocess.run([*runtime.command, *words], check=True, env={}, stdin=null, stdout=null)
        execution = int(pid_file.read_text())
        pid_fd = os.pidfd_open(second.pid)
        runtime("kill", second.id, "KILL").check()
        poller = select.poll()
        poller.register(pid_fd, select.POLLIN)
        assert poller.poll(10_000)
        os.close(pid_fd)
        assert os.waitpid(execution, os.WNOHANG)[0] == execution
        assert second.wait() == 137
        runtime("delete", second.id).check()


def test_pausing_holds_one_container(runtime: Runtime, make: Make, first: Running) -> None:
    second = Running(runtime, make("while :; do echo tick; sleep 0.05; done"))
    seen = second.bundle.path / "out"
    wait_for(lambda: "tick" in seen.read_text())
    runtime("pause", second.id).check()
    assert second.status() == "paused"
    before = seen.read_text()
    assert first.exec("echo alive") == "alive\n"
    time.sleep(0.3)
    assert seen.read_text() == before
    runtime("resume", second.id).check()
    wait_for(lambda: seen.read_text() != before)
    runtime("pause", first.id).check()
    assert second.exec("echo alive") == "alive\n"
    runtime("resume", first.id).check()
    second.delete()


def test_a_bad_bundle_is_refused_in_one_line(runtime: Runtime, make: Make, first: Running) -> None:
    bundle = make("true")
    for change, words in (
        ({"args": ["/nothing"]}, 'exec: "/nothing": stat /nothing: no such file or directory'),
        ({"args": ["nothing"]}, 'exec: "nothing": executable file not found in $PATH'),
        ({"rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}, "unknown limit 'RLIMIT_X'"),
    ):
        old = dict(bundle.config["process"])
        bundle.config["process"].update(change)
        bundle.write()
        done = runtime("run", "--bundle", str(bundle.path), bundle.id)
        assert done.status != 0
        assert words in done.err
        assert len(done.err.splitlines()) == 1
        bundle.config["process"] = old
    bundle.config["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 1000, "size": 10}]
    bundle.write()
    done = runtime("run", "--bundle", str(bundle.path), bundle.id)
    assert "linux.uidMappings: not those of the sandbox that the container joins" in done.err
    assert runtime.leftovers() == [first.id]
    assert descriptors(first.pid) == descriptors(first.pid)


def test_what_a_sandbox_cannot_give_is_named(runtime: Runtime, make: Make, tmp_path: Path) -> None:
    raw = make(FOREVER)
    pid = create(runtime, raw, "--net-raw")
    runtime("start", raw.id).check()
    bundle = make("true")
    done = runtime("run", "--bundle", str(bundle.path), bundle.id)
    assert "--net-raw: the sandbox that the container joins allows raw sockets" in done.err
    mount = {"type": "bind", "source": str(tmp_path), "options": ["rbind"]}
    bundle.config["mounts"] += [{**mount, "destination": f"/m{n}"} for n in range(250)]
    bundle.write()
    done = runtime("--net-raw", "run", "--bundle", str(bundle.path), bundle.id)
    assert "mounts: too many: a container that joins a sandbox can have 253" in done.err
    bundle.config["mounts"].pop()
    bundle.write()
    assert runtime("--net-raw", "run", "--bundle", str(bundle.path), bundle.id).status == 0
    runtime("delete", "--force", raw.id).check()
    os.waitpid(pid, 0)


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_nothing_is_left_of_those_that_have_gone(
    runtime: Runtime, make: Make, first: Running, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("contents")
    bundle = make("cat /data/file /one; echo x >/tmp/x; mkdir /new; ls -R / >/dev/null")
    bundle.config["mounts"] += [
        {"destination": "/data", "type": "bind", "source": str(tmp_path), "options": ["rbind"]},
        {"destination": "/one", "source": str(tmp_path / "file"), "options": ["bind", "ro"]},
    ]
    bundle.write()
    assert run(runtime, bundle) == "contents" * 2
    before = descriptors(first.pid)
    for _ in range(3):
        assert run(runtime, bundle) == "contents" * 2
        bundle.config["process"]["args"][2] = bundle.config["process"]["args"][2].replace(
            "mkdir /new", "mkdir -p /new"
        )
        bundle.write()
    bundle.config["process"]["args"][0] = "/nothing"
    bundle.write()
    for _ in range(3):
        assert runtime("run", "--bundle", str(bundle.path), bundle.id).status != 0
    assert descriptors(first.pid) == before


def test_a_shared_directory_has_the_same_files(
    runtime: Runtime, make: Make, tmp_path: Path
) -> None:
    mount = {"destination": "/data", "type": "bind", "source": str(tmp_path), "options": ["rbind"]}

    def sharing(script: str) -> Bundle:
        bundle = make(script)
        bundle.config["mounts"].append(mount)
        bundle.write()
        return bundle

    script = "mkfifo /data/fifo; exec 9>/data/lock; flock 9; touch /data/up; echo sent >/data/fifo"
    first = Running(runtime, sharing(f"{script}; {FOREVER}"))
    wait_for((tmp_path / "up").exists)
    second = "flock -n /data/lock true || echo locked; cat /data/fifo; stat -c %d /data /data/lock"
    lines = run(runtime, sharing(second)).splitlines()
    assert lines[:2] == ["locked", "sent"]
    assert lines[2] == lines[3]
    first.delete()


@pytest.mark.parametrize("how", ["root:memory", "all:memory"])
def test_an_overlay_in_memory(
    runtime: Runtime, make: Make, first: Running, tmp_path: Path, how: str
) -> None:
    (tmp_path / "file").write_text("old\n")
    bundle = make("echo x >/new; cat /new; echo new >/data/file; cat /data/file")
    bundle.config["mounts"].append(
        {"destination": "/data", "type": "bind", "source": str(tmp_path), "options": ["rbind"]}
    )
    bundle.write()
    before = descriptors(first.pid)
    done = runtime(f"--overlay2={how}", "run", "--bundle", str(bundle.path), bundle.id).check()
    assert done.out == "x\nnew\n"
    assert not (bundle.root / "new").exists()
    assert (tmp_path / "file").read_text() == ("new\n" if how == "root:memory" else "old\n")
    assert descriptors(first.pid) == before


def test_a_terminal(runtime: Runtime, make: Make, first: Running) -> None:
    bundle = make("tty; stty size; ls -l /dev/console | cut -c1; exit 4")
    bundle.config["process"]["terminal"] = True
    bundle.config["process"]["consoleSize"] = {"width": 77, "height": 22}
    bundle.write()
    done = runtime("run", "--bundle", str(bundle.path), bundle.id)
    assert (done.status, done.out) == (4, "/dev/pts/0\r\n22 77\r\nc\r\n")


def test_a_terminal_in_front(runtime: Runtime, make: Make, first: Running) -> None:
    script = "trap 'echo winch; stty size' WINCH; echo up; while :; do read x; echo got $x; done"
    bundle = make(script)
    bundle.config["process"]["terminal"] = True
    bundle.write()
    words = ("run", "--bundle", str(bundle.path), bundle.id)
    with TerminalSession(runtime, *words, rows=20, columns=60) as session:
        session.screen.expect("up\r\n")
        session.screen.resize(33, 99)
        session.screen.type("\n")
        session.screen.expect("33 99\r\n")
        session.screen.type("typed\n")
        session.screen.expect("got typed\r\n")
        session.screen.type("\x03")
        assert session.end() == 130


def test_hooks_and_cgroups(runtime: Runtime, make: Make, first: Running, tmp_path: Path) -> None:
    bundle = make(FOREVER)
    log = tmp_path / "log"
    bundle.config["hooks"] = {
        name: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {name} >>{log}; cat >>{log}.json"]}]
        for name in ("createRuntime", "createContainer", "poststart", "poststop")
    }
    bundle.config["linux"]["cgroupsPath"] = f"/{bundle.id}"
    bundle.config["linux"]["resources"] = {"pids": {"limit": 100}}
    bundle.write()
    second = Running(runtime, bundle)
    assert f'"pid":{second.pid}' in Path(f"{log}.json").read_text().replace(" ", "")
    assert f"/{bundle.id}" in Path(f"/proc/{second.pid}/cgroup").read_text()
    assert f"/{bundle.id}" not in Path(f"/proc/{first.pid}/cgroup").read_text()
    second.delete()
    assert log.read_text().split() == ["createRuntime", "createContainer", "poststart", "poststop"]


def test_the_pid_namespace_of_another_container(
    runtime: Runtime, make: Make, first: Running
) -> None:
    second = Running(runtime, make("exec sleep 1001"))
    script = "echo $$; cat /proc/1/cmdline | tr '\\0' ' '; sleep 1002 & exit 6"
    third = Running(runtime, make(script, pid=f"/proc/{second.pid}/ns/pid"))
    assert third.wait() == 6
    assert output(runtime, third.bundle) == "2\nsleep 1001 "
    assert "sleep 1002" in second.exec("ps")
    # As containerd does it for containers that share a pid namespace.
    runtime("kill", "--all", third.id, "KILL").check()
    wait_for(lambda: "sleep 1002" not in second.exec("ps"))
    runtime("delete", third.id).check()
    fourth = Running(runtime, make("exec sleep 1003", pid=f"/proc/{first.pid}/ns/pid"))
    assert "sleep 1003" in first.exec("ps")
    fourth.delete()
    assert "sleep 1003" not in first.exec("ps")
    second.delete()


def test_annotations_name_the_sandbox(runtime: Runtime, make: Make) -> None:
    pause = make("exec sleep 1000", annotations={"io.kubernetes.cri.container-type": "sandbox"})
    keys = {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.sandbox-id": pause.id,
    }
    pid = create(runtime, pause)
    early = make("true", annotations=keys)
    done = runtime("run", "--bundle", str(early.path), early.id)
    assert "has not been started" in done.err
    runtime("start", pause.id).check()
    servers = Running(runtime, make(SERVE, annotations=keys, hostname="app"))
    assert run(runtime, make(ASK, annotations=keys)) == "from app\n"
    runtime("kill", pause.id, "KILL").check()
    assert servers.wait() in KILLED
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
    for one in (servers.id, pause.id):
        runtime("delete", one).check()


def test_a_namespace_that_the_first_has_made(
    runtime: Runtime, make: Make, make_bundle: Make, busybox_rootfs: Path
) -> None:
    """`run` starts a container without a look at a namespace that is new."""
    bundle = make_bundle(busybox_rootfs, ["/bin/sh", "-c", SERVE])
    pid_file = bundle.path / "pid"
    words = ["run", "--detach", "--pid-file", str(pid_file), "--bundle", str(bundle.path)]
    null = subprocess.DEVNULL
    argv = [*runtime.command, *words, bundle.id]
    subprocess.run(argv, check=True, env={}, stdin=null, stdout=null, stderr=null)
    pid = int(pid_file.read_text())
    assert run(runtime, make(ASK, network=f"/proc/{pid}/ns/net")) == "from runsc-test\n"
    alone = make("cut -d: -f1 /proc/net/dev | tail -n +3", network=f"/proc/{pid}/ns/net")
    done = runtime("--network=none", "run", "--bundle", str(alone.path), alone.id).check()
    assert done.out.split() == ["lo"]
    runtime("delete", "--force", bundle.id).check()
    os.waitpid(pid, 0)


def test_a_third_joins_by_the_pid_of_the_second(
    runtime: Runtime, make: Make, first: Running
) -> None:
    second = Running(runtime, make(FOREVER))
    third = make(ASK, network=f"/proc/{second.pid}/ns/net")
    assert run(runtime, third) == "from first\n"
    second.delete()


def catches(pid: int, number: int) -> bool:
    """Say whether a process has a handler for a signal (proc_pid_status(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:\t")[2].split()[0], 16) & 1 << (number - 1))


def test_the_command_in_front_passes_signals_on(
    runtime: Runtime, make: Make, first: Running
) -> None:
    bundle = make("trap 'exit 8' INT; echo ready; while :; do sleep 0.1; done")
    argv = [*runtime.command, "run", "--bundle", str(bundle.path), bundle.id]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env={}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        wait_for(lambda: catches(process.pid, signal.SIGINT))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 8
    assert runtime.leftovers() == [first.id]
