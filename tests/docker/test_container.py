"""What is done to a container in the background: logs, signals, stops, restarts, files."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.docker.conftest import wait_until

WAIT = "while :; do sleep 0.05; done"
TRAPS = f"trap 'echo usr1' USR1; trap 'echo bye; exit 42' TERM; echo up; {WAIT}"
SLEEP = ("--", "sleep", "100")


@pytest.fixture
def trapping(docker):
    """Return a container whose init handles signals, and is ready to."""
    name = docker.detach("--", "sh", "-c", TRAPS)
    wait_until(lambda: docker.ok("logs", name) == "up\n")
    return name


def test_logs(docker):
    name = docker.detach("--", "sh", "-c", "echo out; echo err >&2")
    assert docker.ok("wait", name) == "0\n"
    done = docker("logs", name)
    assert (done.out, done.err) == ("out\n", "err\n")


def test_following_the_logs_ends_with_the_container(docker):
    name = docker.detach("--", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done")
    assert docker.ok("logs", "-f", name) == "1\n2\n3\n"
    assert docker.inspect(name, ".State.Status") == "exited"


def test_attach(docker, trapping):
    words = docker.daemon.command("attach", "--no-stdin", "--sig-proxy=false", trapping)
    env = {"HOME": str(docker.daemon.run)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=env) as attached:
        time.sleep(0.3)
        docker.ok("kill", "-s", "USR1", trapping)
        assert attached.stdout.readline() == b"usr1\n"
        docker.ok("kill", "-s", "TERM", trapping)
        assert attached.stdout.read() == b"bye\n"
        assert attached.wait(10) == 42


def test_a_signal_reaches_init(docker, trapping):
    docker.ok("kill", "-s", "USR1", trapping)
    wait_until(lambda: docker.ok("logs", trapping) == "up\nusr1\n")
    assert docker.inspect(trapping, ".State.Status") == "running"


def test_stop_sends_sigterm(docker, trapping):
    docker.ok("stop", trapping)
    assert docker.inspect(trapping, ".State.ExitCode") == "42"
    assert docker.ok("logs", trapping) == "up\nbye\n"


def test_stop_kills_what_does_not_listen(docker):
    name = docker.detach(*SLEEP)  # no handler: as init it does not even get the signal
    started = time.monotonic()
    docker.ok("stop", "-t", "1", name)
    assert 1 <= time.monotonic() - started < 5
    assert docker.inspect(name, ".State.ExitCode") == "137"


def test_kill(docker):
    name = docker.detach(*SLEEP)
    docker.ok("kill", name)
    assert docker.ok("wait", name) == "137\n"
    assert "is not running" in docker("kill", name).err


def test_wait_and_inspect(docker):
    name = docker.detach("--", "sh", "-c", "sleep 2; exit 9")
    assert docker.inspect(name, ".State.Status") == "running"
    pid = docker.pid(name)
    assert Path(f"/proc/{pid}").exists()
    assert docker.ok("wait", name) == "9\n"
    state = json.loads(docker.inspect(name, "json .State"))
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 9, 0)
    assert state["Error"] == ""
    assert not Path(f"/proc/{pid}").exists()


def test_start_again(docker):
    name = docker.detach("--", "sh", "-c", "echo x >>/count; wc -l </count; exit 4")
    assert docker.ok("wait", name) == "4\n"
    done = docker("start", "-a", name)
    assert (done.status, done.out) == (4, "2\n")
    assert docker.ok("logs", name) == "1\n2\n"


def test_restart(docker, trapping):
    pid = docker.pid(trapping)
    docker.ok("restart", trapping)
    assert docker.pid(trapping) != pid
    wait_until(lambda: docker.ok("logs", trapping) == "up\nbye\nup\n")


def test_a_restart_policy(docker):
    name = docker.detach("--restart=on-failure:2", "--", "sh", "-c", "echo x; exit 3")
    wait_until(lambda: docker.inspect(name, ".State.Status") == "exited", 15)
    assert docker.inspect(name, ".RestartCount") == "2"
    assert docker.ok("logs", name) == "x\nx\nx\n"


def test_remove_by_force(docker):
    name = docker.detach("--", "sh", "-c", "sleep 100 & sleep 100 & wait")
    pid = docker.pid(name)
    docker.ok("rm", "-f", name)
    assert not Path(f"/proc/{pid}").exists()
    assert docker("inspect", name).status == 1


def test_the_end_of_init_ends_its_children_and_their_output(docker):
    started = time.monotonic()
    done = docker.both("--", "sh", "-c", "sleep 30 & echo done")
    assert done.out == "done\n"
    assert time.monotonic() - started < 10


def test_a_sandbox_that_is_killed_is_an_end(docker):
    name = docker.detach(*SLEEP)
    os.kill(docker.pid(name), 9)
    assert docker.ok("wait", name) == "137\n"
    docker.ok("start", name)
    assert docker.inspect(name, ".State.Running") == "true"


def test_top(docker):
    name = docker.detach("--", "sh", "-c", "sleep 101 & sleep 102 & wait")
    lines = docker.ok("top", name, "-o", "pid,args").splitlines()
    pids = [line.split()[0] for line in lines[1:]]
    assert str(docker.pid(name)) in pids
    assert "1" not in pids


def test_pause(docker):
    name = docker.detach("--", "sh", "-c", "while :; do echo x; sleep 0.02; done")
    wait_until(lambda: docker.ok("logs", name) != "")
    docker.ok("pause", name)
    assert docker.inspect(name, ".State.Status") == "paused"
    before = docker.ok("logs", name)
    time.sleep(0.4)
    assert docker.ok("logs", name) == before
    assert "is paused" in docker("exec", name, "true").err
    docker.ok("unpause", name)
    wait_until(lambda: docker.ok("logs", name) != before)
    docker.ok("pause", name)
    docker.ok("kill", name)
    assert docker.ok("wait", name) == "137\n"


def test_stopping_a_paused_container(docker, trapping):
    docker.ok("pause", trapping)
    docker.ok("unpause", trapping)
    docker.ok("stop", trapping)
    assert docker.inspect(trapping, ".State.ExitCode") == "42"


def test_removing_a_paused_container(docker, trapping):
    docker.ok("pause", trapping)
    docker.ok("rm", "-f", trapping)


def test_copying_files(docker, tmp_path):
    name = docker.detach("--", "sh", "-c", "echo inside >/made; mkdir /d; sleep 100")
    wait_until(lambda: docker("exec", name, "test", "-d", "/d").status == 0)
    docker.ok("cp", f"{name}:/made", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "inside\n"
    (tmp_path / "in").write_text("from the host\n")
    docker.ok("cp", str(tmp_path / "in"), f"{name}:/d/in")
    assert docker.ok("exec", name, "cat", "/d/in") == "from the host\n"
    docker.ok("cp", str(tmp_path / "in"), f"{name}:/d/in")


def test_diff_and_commit(docker):
    name = docker.detach("--", "sh", "-c", "echo kept >/made; rm /etc/hosts 2>/dev/null; sleep 100")
    wait_until(lambda: docker("exec", name, "test", "-s", "/made").status == 0)
    assert docker.ok("diff", name) == "A /made\n"
    image = f"made{os.getpid()}"
    docker.ok("commit", name, image)  # pauses, and resumes
    assert docker.inspect(name, ".State.Status") == "running"
    words = ["run", "--rm", "--runtime=runsc", "--network=none", image]
    assert docker.ok(*words, "cat", "/made") == "kept\n"
    docker.ok("rmi", image)


def test_stats(docker):
    name = docker.detach("--memory=256m", *SLEEP)
    line = docker.ok("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", name)
    used, _, total, pids = line.split()
    assert total == "256MiB"
    assert not used.startswith("0B")
    assert int(pids) > 0


def test_many_at_once(docker):
    names = [docker.name() for _ in range(4)]
    words = ["--network=none", "busybox", "sh", "-c", "echo $HOSTNAME; exit 6"]
    env = {"HOME": str(docker.daemon.run)}
    running = [
        subprocess.Popen(
            docker.daemon.command("run", "--runtime=runsc", "--name", name, "-e", "A", *words),
            stdout=subprocess.PIPE,
            env=env,
        )
        for name in names
    ]
    outputs = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [6] * 4
    assert len(set(outputs)) == 4
