"""`docker exec`: other processes in a running container."""

import os
import signal
import subprocess
import time

import pytest

from tests.docker.conftest import Docker, wait_until


class Boxes:
    """A container of each runtime, and the same command in both."""

    def __init__(self, docker: Docker) -> None:
        self.docker = docker
        program = ("-e", "FROM=init", "-w", "/tmp", "--", "sleep", "1000")
        self.ours = docker.detach(*program)
        self.theirs = docker.detach(*program, runtime="runc")

    def both(self, *words, flags=(), stdin=b""):
        """`docker exec` in both, with the same outcome, which is returned."""
        ours = self.docker("exec", *flags, self.ours, *words, stdin=stdin)
        theirs = self.docker("exec", *flags, self.theirs, *words, stdin=stdin)
        assert ours.describe() == theirs.describe()
        return ours


@pytest.fixture
def boxes(docker):
    return Boxes(docker)


def test_exec(boxes):
    done = boxes.both("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.status, done.out, done.err) == (7, "out\n", "err\n")
    data = os.urandom(300_000)
    assert boxes.both("cat", flags=["-i"], stdin=data).stdout == data
    assert boxes.both("cat").stdout == b""
    script = "pwd; echo $FROM; echo $HOME; id -u; id -g"
    assert boxes.both("sh", "-c", script).out == "/tmp\ninit\n/root\n0\n0\n"
    flags = ["-w", "/usr", "-e", "FROM=exec", "-u", "65534:5"]
    assert boxes.both("sh", "-c", script, flags=flags).out == "/usr\nexec\n/nonexistent\n65534\n5\n"
    assert boxes.both("sh", "-c", "sh -c 'kill -9 $$'; echo $?").out == "137\n"
    assert boxes.both("sh", "-c", "kill -9 $$").status == 137
    assert boxes.both("sh", "-c", "kill -TERM $$").status == 143
    boxes.both("grep", "^Cap", "/proc/self/status")
    # runc fails where the host itself lacks a capability; ours are virtual.
    words = ("exec", "--privileged", boxes.ours, "grep", "CapEff", "/proc/self/status")
    assert int(boxes.docker.ok(*words).split()[1], 16) & 1 << 21  # CAP_SYS_ADMIN


def test_the_processes_of_a_container_see_each_other(docker):
    name = docker.detach("--", "sh", "-c", "trap 'echo got >/got; exit 3' USR1; sleep 100 & wait")
    assert docker.ok("exec", name, "cat", "/proc/1/comm") == "sh\n"
    # Init may be gone, and with it everything in the container, before kill(1) is done.
    assert docker("exec", name, "kill", "-USR1", "1").status in (0, 137)
    assert docker.ok("wait", name) == "3\n"


@pytest.mark.parametrize(
    ("program", "status", "message"),
    [
        ("nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        ("/no/such", 127, 'exec: "/no/such": stat /no/such: no such file or directory'),
        ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
        ("/etc", 126, 'exec: "/etc": '),
    ],
)
def test_a_program_that_cannot_run(docker, program, status, message):
    name = docker.detach("--", "sleep", "100")
    done = docker("exec", name, program)
    assert done.status in (status, 126)  # the client of 20.10 says 126 to all
    assert message in done.out + done.err
    assert docker.ok("exec", name, "echo", "alive") == "alive\n"


def test_a_missing_working_directory(docker):
    name = docker.detach("--", "sleep", "100")
    done = docker("exec", "-w", "/no/such", name, "pwd")
    assert done.status != 0
    assert "/no/such" in done.out + done.err


def test_in_the_background(docker):
    name = docker.detach("--", "sleep", "100")
    docker.ok("exec", "-d", name, "sh", "-c", "echo done >/made; sleep 1000")
    wait_until(lambda: docker("exec", name, "cat", "/made").out == "done\n")


def test_execs_end_with_the_container(docker):
    name = docker.detach("--", "sleep", "100")
    env = {"HOME": str(docker.daemon.run)}
    words = docker.daemon.command("exec", name, "sh", "-c", "echo up; sleep 100")
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=env) as running:
        assert running.stdout.readline() == b"up\n"
        docker.ok("kill", name)
        assert running.wait(10) == 137


def processes(docker, name):
    """Return the command names of a container's processes."""
    text = docker.ok("exec", name, "sh", "-c", "cat /proc/[0-9]*/comm")
    return sorted(set(text.split()) - {"cat"})


def test_a_killed_exec_takes_its_process_with_it(docker):
    name = docker.detach("--", "sleep", "100")
    init = docker.pid(name)
    docker.ok("exec", "-d", name, "tail", "-f", "/dev/null")
    wait_until(lambda: "tail" in processes(docker, name))
    [host_pid] = [pid for pid in exec_processes(init) if pid != init]
    assert os.getsid(host_pid) == host_pid
    os.kill(host_pid, signal.SIGKILL)
    wait_until(lambda: "tail" not in processes(docker, name))


def exec_processes(init):
    """Return the host's processes in the cgroup of a container that are no stubs of it."""
    with open(f"/proc/{init}/cgroup", encoding="ascii") as file:
        group = next(line.strip().split(":")[2] for line in file if ":pids:" in line)
    with open(f"/sys/fs/cgroup/pids{group}/cgroup.procs", encoding="ascii") as file:
        pids = [int(line) for line in file]
    found = []
    for pid in pids:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            if file.read().strip() == "runsc-exec":
                found.append(pid)
    return found


def test_several_at_once(docker):
    name = docker.detach("--", "sleep", "100")
    env = {"HOME": str(docker.daemon.run)}
    words = docker.daemon.command("exec", "-i", name, "sh", "-c", "cat; exit 5")
    running = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        for _ in range(5)
    ]
    for number, process in enumerate(running):
        text = f"number {number}\n".encode()
        assert process.communicate(text, 30)[0] == text
        assert process.returncode == 5


def test_a_health_check_that_hangs_is_ended(docker):
    flags = ["--health-cmd=tail -f /dev/null", "--health-interval=300ms"]
    flags += ["--health-timeout=300ms", "--health-retries=1"]
    name = docker.detach(*flags, "--", "sleep", "100")
    wait_until(lambda: docker.inspect(name, ".State.Health.Status") == "unhealthy", 10)
    time.sleep(0.5)
    text = docker.ok("exec", name, "sh", "-c", "cat /proc/[0-9]*/comm")
    assert text.split().count("tail") <= 1
