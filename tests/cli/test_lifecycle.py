"""The commands as container managers call them, against the stand-in sandbox."""

import array
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("fake_runsc.py")
PR_SET_CHILD_SUBREAPER = 36
APPLETS = ("sh", "echo", "sleep", "cat", "kill", "true", "test", "ls")


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("rootfs")
    (root / "bin").mkdir()
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is needed"
    shutil.copy(busybox, root / "bin/busybox")
    for name in APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    return root


class Host:
    """A state root, a bundle and the runtime."""

    def __init__(self, directory, tree):
        self.directory = directory
        self.tree = tree
        self.root = directory / "state"
        self.log = directory / "log.json"
        self.bundle = directory / "bundle"
        self.bundle.mkdir()

    def write(self, args, **top):
        config = {
            "ociVersion": "1.0.2",
            "process": {"args": args, "env": ["PATH=/bin"], "cwd": "/"},
            "root": {"path": str(self.tree)},
            "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}]},
        }
        config["process"].update(top.pop("process", {}))
        config.update(top)
        (self.bundle / "config.json").write_text(json.dumps(config))

    def call(self, *words, **options):
        flags = ["--root", str(self.root), "--log", str(self.log), "--log-format", "json"]
        return subprocess.run(
            [str(PROGRAM), *flags, *words],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            cwd=self.directory,
            **options,
        )

    def ok(self, *words, **options):
        done = self.call(*words, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fail(self, *words):
        done = self.call(*words)
        assert done.returncode == (255 if words[0] == "exec" else 128), done
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
        last = json.loads(self.log.read_text().splitlines()[-1])
        assert last["level"] == "error"
        assert done.stderr == f"runsc: {last['msg']}\n"
        return last["msg"]

    def status(self, name):
        return json.loads(self.ok("state", name))["status"]

    def detach(self, *words):
        """Call without pipes: what is started keeps what it got."""
        subprocess.run(
            [str(PROGRAM), "--root", str(self.root), *words],
            check=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def create(self, name="box"):
        """Create without pipes: a container keeps what its creator got."""
        pid_file = self.directory / f"{name}.pid"
        words = [str(PROGRAM), "--root", str(self.root), "create", "--bundle", str(self.bundle)]
        output = self.directory / f"{name}.out"
        with output.open("w") as out:
            subprocess.run(
                [*words, "--pid-file", str(pid_file), name],
                check=True,
                timeout=20,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        text = pid_file.read_text()
        assert text.isdigit()
        return int(text)


@pytest.fixture
def host(tmp_path, tree):
    # Containers end up as our children, as they do with a shim.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    made = Host(tmp_path, tree)
    yield made
    for name in json.loads(made.ok("list", "--format", "json")) or []:
        made.call("delete", "--force", name["id"])
    assert not made.root.exists() or not list(made.root.iterdir())


def reap(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_life(host):
    host.write(["sh", "-c", "echo started; exit 3"])
    pid = host.create()
    state = json.loads(host.ok("state", "box"))
    assert (state["status"], state["pid"]) == ("created", pid)
    assert state["bundle"] == str(host.bundle)
    assert os.getsid(pid) == pid
    host.ok("start", "box")
    assert reap(pid) == 3
    assert (host.directory / "box.out").read_text() == "started\n"
    assert host.status("box") == "stopped"
    assert json.loads(host.ok("ps", "--format", "json", "box")) == []
    host.ok("delete", "box")
    assert "does not exist" in host.fail("state", "box")


def test_start_is_for_created_containers_only(host):
    host.write(["sleep", "100"])
    pid = host.create()
    host.ok("start", "box")
    assert "already running" in host.fail("start", "box")
    assert "not stopped" in host.fail("delete", "box")
    host.ok("kill", "box", "KILL")
    assert reap(pid) == -signal.SIGKILL
    assert "has stopped" in host.fail("start", "box")
    assert host.fail("kill", "box") == "container not running"
    host.ok("kill", "--all", "box", "9")
    host.ok("delete", "box")
    host.ok("delete", "--force", "box")
    assert "does not exist" in host.fail("delete", "box")
    assert "does not exist" in host.fail("kill", "box")


def test_a_created_container_is_deleted_without_force(host):
    host.write(["true"])
    pid = host.create()
    host.ok("delete", "box")
    assert reap(pid) == -signal.SIGKILL


def test_a_name_in_use_leaves_the_other_container_alone(host):
    host.write(["sleep", "100"])
    pid = host.create()
    message = host.fail("create", "--bundle", str(host.bundle), "box")
    assert "already exists" in message
    assert host.status("box") == "created"
    host.ok("delete", "--force", "box")
    reap(pid)


@pytest.mark.parametrize("name", ["a/b", "..", ".", "", "a b", "x" * 200, "\N{SNOWMAN}"])
def test_a_bad_name_is_refused(host, name):
    host.write(["true"])
    assert "invalid container id" in host.fail("create", "--bundle", str(host.bundle), name)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nosuch"], 'exec: "nosuch": executable file not found in $PATH'),
        (["/no/such"], 'exec: "/no/such": stat /no/such: no such file or directory'),
    ],
)
def test_a_missing_program_fails_create_and_leaves_nothing(host, args, message):
    host.write(args)
    assert host.fail("create", "--bundle", str(host.bundle), "box") == message
    assert list(host.root.iterdir()) == []


def test_bad_bundles_are_told_in_one_line(host):
    assert "has no config.json" in host.fail("create", "--bundle", str(host.bundle), "box")
    (host.bundle / "config.json").write_text("{")
    assert "config.json: expecting" in host.fail("run", "--bundle", str(host.bundle), "box")
    host.write(["true"], root={"path": "nowhere"})
    assert "root.path" in host.fail("run", "--bundle", str(host.bundle), "box")
    host.write(["true"], mounts=[{"destination": "/x", "type": "bind", "source": "/no/such"}])
    message = host.fail("run", "--bundle", str(host.bundle), "box")
    assert message == "mounts[0].source: /no/such: is missing"
    assert not host.root.exists() or list(host.root.iterdir()) == []


@pytest.mark.parametrize(
    "words", [["--nosuch", "list"], ["kill"], ["list", "--nosuch"], ["nosuch"]]
)
def test_mistakes_on_the_command_line_are_one_line(host, words):
    done = host.call(*words)
    assert done.returncode == 128
    assert done.stderr.count("\n") == 1


def test_run_passes_output_input_and_status(host):
    host.write(["sh", "-c", "cat; exit 7"])
    done = host.call("run", "--bundle", str(host.bundle), "box", input="hello")
    assert (done.returncode, done.stdout, done.stderr) == (7, "hello", "")
    assert list(host.root.iterdir()) == []


def test_run_forwards_signals(host):
    host.write(["sh", "-c", "trap 'exit 42' TERM; echo up; while :; do sleep 0.05; done"])
    words = [str(PROGRAM), "--root", str(host.root), "run", "--bundle", str(host.bundle), "box"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"up\n"
        running.terminate()
        assert running.wait(10) == 42


def test_exec_in_the_foreground(host):
    host.write(["sleep", "100"])
    pid = host.create()
    host.ok("start", "box")
    done = host.call("exec", "box", "sh", "-c", "cat; exit 5", input="in")
    assert (done.returncode, done.stdout) == (5, "in")
    message = host.fail("exec", "box", "nosuch")
    assert message == 'exec: "nosuch": executable file not found in $PATH'
    host.ok("delete", "--force", "box")
    reap(pid)
    assert "does not exist" in host.fail("exec", "box", "true")


def test_a_detached_exec_has_a_process_that_stands_for_it(host):
    host.write(["sleep", "100"])
    init = host.create()
    host.ok("start", "box")
    script = "trap 'exit 44' TERM; echo up >/up; while :; do sleep 0.05; done"
    process = host.directory / "process"
    process.write_text(json.dumps({"args": ["sh", "-c", script], "env": ["PATH=/bin"]}))
    pid_file = host.directory / "exec.pid"
    words = ["exec", "--process", str(process), "--detach", "--pid-file", str(pid_file), "box"]
    host.detach(*words)
    wait_until((host.tree / "up").exists)
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    assert reap(pid) == 44
    # SIGKILL cannot be passed on: the dropped connection does it.
    before = json.loads(host.ok("ps", "--format", "json", "box"))
    host.detach(*words)
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGKILL)
    reap(pid)
    wait_until(lambda: json.loads(host.ok("ps", "--format", "json", "box")) == before)
    # With the container its execs end, as killed, and before it: Docker forgets both with init.
    host.detach(*words)
    pid = int(pid_file.read_text())
    host.ok("kill", "box", "9")
    # Its connection dropped, or the host's kernel was there before. Until it is reaped, init, to
    # whose pid namespace it belongs, has not ended.
    assert os.waitpid(init, os.WNOHANG) == (0, 0)
    assert reap(pid) in (137, -signal.SIGKILL)
    assert reap(init) == -signal.SIGKILL
    host.ok("delete", "box")
    pid_file.unlink()
    host.fail(*words)
    assert not pid_file.exists()


class Listener:
    """The other side of --console-socket."""

    def __init__(self, path):
        self.path = str(path)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(1)

    def master(self):
        connection, _ = self.server.accept()
        data, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(64))
        assert data
        [(_, _, rights)] = ancillary
        numbers = array.array("i")
        numbers.frombytes(rights)
        assert len(numbers) == 1
        connection.close()
        self.server.close()
        return numbers[0]


def read_to_the_end(master_fd):
    output = b""
    while True:
        try:
            data = os.read(master_fd, 1000)
        except OSError:
            return output
        if not data:
            return output
        output += data


def test_terminals_go_to_the_console_socket(host):
    host.write(
        ["sh", "-c", "test -t 0 && echo terminal"],
        process={"terminal": True, "consoleSize": {"height": 30, "width": 90}},
    )
    assert "--console-socket" in host.fail("create", "--bundle", str(host.bundle), "box")
    listener = Listener(host.directory / "pty.sock")
    words = ["--console-socket", listener.path, "--pid-file", str(host.directory / "pid")]
    host.ok("create", "--bundle", str(host.bundle), *words, "box")
    master_fd = listener.master()
    assert os.get_terminal_size(master_fd) == (90, 30)
    host.ok("start", "box")
    # The pair is raw: the line discipline is that of the kernel in the sandbox, not of the host.
    assert read_to_the_end(master_fd) == b"terminal\n"
    os.close(master_fd)
    assert reap(int((host.directory / "pid").read_text())) == 0
    host.ok("delete", "box")


def test_hooks_run_in_order_with_the_state(host):
    note = host.directory / "notes"

    def hook(name):
        script = f"(echo {name}; cat; echo) >>{note}"
        return [{"path": "/bin/sh", "args": ["not-sh", "-c", script], "env": ["A=b"]}]

    points = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    host.write(["sleep", "100"], hooks={point: hook(point) for point in points})
    pid = host.create()
    host.ok("start", "box")
    host.ok("delete", "--force", "box")
    reap(pid)
    lines = note.read_text().splitlines()
    assert lines[::2] == list(points)
    states = [json.loads(line) for line in lines[1::2]]
    assert [state["status"] for state in states] == ["creating"] * 3 + ["running", "stopped"]
    assert [state["pid"] for state in states] == [pid] * 4 + [0]


def test_hooks_run_in_the_pid_namespace_of_the_caller(host):
    note = host.directory / "notes"
    script = f"cat >/dev/null; readlink /proc/self/ns/pid >>{note}"
    hook = [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}]
    points = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    host.write(["sh", "-c", "exit 3"], hooks=dict.fromkeys(points, hook))
    assert host.call("run", "--bundle", str(host.bundle), "box").returncode == 3
    assert note.read_text().splitlines() == [os.readlink("/proc/self/ns/pid")] * len(points)


def test_a_hook_that_fails_or_hangs_undoes_the_creation(host):
    for hook, words in (
        ({"path": "/bin/sh", "args": ["sh", "-c", "echo because; exit 4"]}, "status 4: because"),
        ({"path": "/bin/sleep", "args": ["sleep", "50"], "timeout": 1}, "timed out after 1 s"),
        ({"path": "/no/such/hook"}, "is missing"),
    ):
        host.write(["true"], hooks={"prestart": [hook]})
        message = host.fail("create", "--bundle", str(host.bundle), "box")
        assert message.startswith("prestart hook")
        assert words in message
        assert list(host.root.iterdir()) == []


def test_a_dead_sandbox_is_a_stopped_container(host):
    host.write(["sleep", "100"])
    pid = host.create()
    host.ok("start", "box")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: host.status("box") == "stopped")  # not reaped yet
    host.ok("delete", "box")
    reap(pid)


def test_cgroups_are_made_and_removed(host):
    if not Path("/sys/fs/cgroup/pids").is_dir():
        pytest.skip("cgroups of version 1 are not mounted")
    name = f"/runsc-test-{os.getpid()}"
    resources = {"pids": {"limit": 77}, "memory": {"limit": 1 << 28}, "cpu": {"shares": 0}}
    linux = {"cgroupsPath": name, "resources": resources, "namespaces": [{"type": "pid"}]}
    host.write(["sleep", "100"], linux=linux)
    pid = host.create()
    group = Path(f"/sys/fs/cgroup/pids{name}")
    assert (group / "pids.max").read_text() == "77\n"
    assert str(pid) in (group / "cgroup.procs").read_text().split()
    assert Path(f"/sys/fs/cgroup/memory{name}/memory.limit_in_bytes").read_text() == "268435456\n"
    host.ok("delete", "--force", "box")
    reap(pid)
    assert not group.exists()


def test_nothing_of_the_caller_is_inherited_but_what_is_asked_for(host):
    host.write(["sh", "-c", "echo $(cat <&3) $(ls /proc/self/fd 2>/dev/null)"])
    keep = f"echo kept | {{ exec 3<&0 0</dev/null; exec {PROGRAM} --root {host.root} run "
    keep += f"--preserve-fds 1 --bundle {host.bundle} box; }}"
    done = subprocess.run(
        ["sh", "-c", keep], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["kept"], done
    pid = None
    read_fd, write_fd = os.pipe()
    host.write(["sleep", "100"])
    words = [str(PROGRAM), "--root", str(host.root), "create", "--bundle", str(host.bundle)]
    pid_file = host.directory / "pid"
    subprocess.run(
        [*words, "--pid-file", str(pid_file), "box"],
        check=True,
        pass_fds=(write_fd,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write_fd)
    pid = int(pid_file.read_text())
    assert os.read(read_fd, 1) == b""  # the sandbox does not hold our pipe
    os.close(read_fd)
    host.ok("delete", "--force", "box")
    reap(pid)


def test_many_commands_at_once(host):
    host.write(["sleep", "100"])
    pid = host.create()
    words = [str(PROGRAM), "--root", str(host.root)]
    starts = [subprocess.Popen([*words, "start", "box"], stderr=subprocess.DEVNULL) for _ in "1234"]
    assert sorted(process.wait(20) for process in starts) == [0, 128, 128, 128]
    ends = [subprocess.Popen([*words, "delete", "--force", "box"]) for _ in "1234"]
    assert [process.wait(20) for process in ends] == [0, 0, 0, 0]
    reap(pid)
