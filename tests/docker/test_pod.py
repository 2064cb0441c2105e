"""`docker run --network container:X`: two containers in one sandbox, beside two of runc's."""

from pathlib import Path

import pytest

from tests.docker.conftest import wait_until
from tests.docker.daemon import CGROUPS

SERVER = "while :; do echo hello from $HOSTNAME | nc -l -p 7000; done"
ASK = "for i in 1 2 3 4 5 6 7 8 9; do nc 127.0.0.1 7000 </dev/null && break; sleep 0.2; done"
TRAPS = "trap 'echo bye; exit 42' TERM; echo up; while :; do sleep 0.05; done"


class Pair:
    """A server, and containers that have its network."""

    def __init__(self, docker, runtime="runsc", *flags):
        self.docker = docker
        self.runtime = runtime
        self.first = docker.name()
        words = ["run", "-d", "--runtime", runtime, "--name", self.first, "--hostname", "server"]
        docker.ok(*words, *flags, "busybox", "sh", "-c", SERVER)

    def _words(self, *flags):
        return ["--runtime", self.runtime, "--network", f"container:{self.first}", *flags]

    def run(self, script, *flags):
        return self.docker("run", "--rm", "-i", *self._words(*flags), "busybox", "sh", "-c", script)

    def detach(self, script, *flags):
        name = self.docker.name()
        words = ["run", "-d", "--name", name, *self._words(*flags)]
        self.docker.ok(*words, "busybox", "sh", "-c", script)
        return name

    def exec(self, script):
        return self.docker.ok("exec", self.first, "sh", "-c", script)


@pytest.fixture
def pair(docker):
    return Pair(docker)


@pytest.fixture
def both(docker):
    """Return a function that runs a script in a second container, with runsc and with runc."""
    pairs = [Pair(docker, runtime) for runtime in ("runsc", "runc")]

    def both(script, *flags):
        seen = [pair.run(script, *flags).describe() for pair in pairs]
        assert seen[0] == seen[1]
        return seen[0]

    return both


def test_localhost_leads_across(both):
    assert "hello from server" in both(ASK)


def test_names_numbers_and_files_are_as_with_runc(both):
    seen = both("hostname; echo $$; set -- /proc/[0-9]*; echo $#; ls /; cat /etc/hostname; id")
    assert "stdout: server\n1\n" in seen
    both("touch /new && ls -d /new; exit 7")
    both("kill -9 1; kill -0 2 2>/dev/null || echo nobody; ls /dev/shm | wc -l")
    both("kill -TERM $$; sleep 0.1; echo still here; exec sh -c 'kill -9 $$'")


def test_both_see_the_same_interfaces(pair):
    script = "ip addr; ip route"
    assert pair.run(script).check().out == pair.exec(script)
    assert "eth0" in pair.exec(script)


def test_streams_and_statuses(pair):
    done = pair.docker(
        *("run", "--rm", "-i", *pair._words(), "busybox", "sh", "-c"),
        "cat; echo err >&2; exit 3",
        stdin=b"typed",
    )
    assert (done.status, done.out, done.err) == (3, "typed", "err\n")
    missing = pair.docker("run", "--rm", *pair._words(), "busybox", "nothing")
    assert missing.status == 127
    assert 'exec: "nothing": executable file not found in $PATH' in missing.err


def test_stop_logs_exec_and_rm_are_of_the_second(pair, docker):
    second = pair.detach(TRAPS)
    wait_until(lambda: docker.ok("logs", second) == "up\n")
    assert "nc -l" not in docker.ok("exec", second, "ps")
    assert docker("exec", second, "sh", "-c", "exit 9").status == 9
    docker.ok("stop", second)
    assert docker.inspect(second, ".State.ExitCode") == "42"
    assert docker.ok("logs", second) == "up\nbye\n"
    docker.ok("restart", "-t", "0", second)
    wait_until(lambda: docker.ok("logs", second) == "up\nbye\nup\n")
    docker.ok("rm", "-f", second)
    assert pair.exec("echo alive") == "alive\n"
    assert docker.inspect(pair.first, ".State.Running") == "true"


def test_kill_top_and_pause(pair, docker):
    second = pair.detach("sleep 100 & exec sleep 101")
    assert "runsc-container" in docker.ok("top", second, "-eo", "pid,comm")
    docker.ok("pause", second)
    assert docker.inspect(second, ".State.Status") == "paused"
    assert pair.exec("echo alive") == "alive\n"
    docker.ok("unpause", second)
    docker.ok("kill", second)
    assert docker.ok("wait", second) == "137\n"
    assert docker.inspect(pair.first, ".State.Running") == "true"


def test_the_end_of_the_first_ends_the_second(pair, docker):
    second = pair.detach("sleep 100")
    docker.ok("stop", "-t", "0", pair.first)
    assert docker.ok("wait", second) == "137\n"


def test_limits_are_of_each(pair, docker):
    second = pair.detach("sleep 100", "--memory=64m", "--pids-limit=50")
    pid = docker.pid(second)
    members = members_of(pid)
    assert pid in members
    assert len(members) >= 3  # and those of the guest's processes
    assert docker.pid(pair.first) not in members


def test_memory_beyond_the_limit_of_one_ends_that_one(pair, docker):
    second = pair.detach("tail /dev/zero", "--memory=48m", "--memory-swap=48m")
    assert docker.ok("wait", second) == "137\n"
    assert pair.exec("echo alive") == "alive\n"


def members_of(pid):
    """Return the processes of the host in the memory cgroup of one, of version 1 or 2."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    path = next(line.split(":")[2] for line in lines if ":memory:" in line or "0::" in line)
    found = [mount / path[1:] / "cgroup.procs" for mount in (CGROUPS / "memory", CGROUPS)]
    return [int(line) for file in found if file.exists() for line in file.read_text().split()]


def test_a_terminal(pair, docker):
    name = docker.name()
    words = ["run", "-dt", "--name", name, *pair._words()]
    docker.ok(*words, "busybox", "sh", "-c", "tty; read x; echo got $x")
    wait_until(lambda: "/dev/pts/0" in docker.ok("logs", name))
    docker.ok("rm", "-f", name)


def test_names_are_resolved(docker):
    docker.ok("network", "create", "pods")
    try:
        pair = Pair(docker, "runsc", "--network", "pods")
        script = ASK.replace("127.0.0.1", pair.first)
        assert pair.run(script).check().out == "hello from server\n"
        docker.ok("rm", "-f", pair.first)
    finally:
        docker.ok("network", "rm", "pods")


def test_pids_of_another_container(pair, docker):
    second = pair.detach("exec sleep 1001", "--pid", f"container:{pair.first}")
    assert "sleep 1001" in pair.exec("ps")
    docker.ok("rm", "-f", second)
    assert "sleep 1001" not in pair.exec("ps")
