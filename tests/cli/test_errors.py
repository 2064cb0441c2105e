"""Every mistake is one line that says what and where, in the log too, and leaves nothing behind."""

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.harness import leaks
from tests.harness.bundle import RUNSC, default_config

START = "unable to start container process: "


class Caller:
    """A container manager that makes mistakes."""

    def __init__(self, directory, bundle):
        self.directory = directory
        self.bundle = bundle
        self.root = directory / "state"
        self.log = directory / "log.json"

    def call(self, *words, flags=None, **options):
        if flags is None:
            flags = ["--root", str(self.root), "--log", str(self.log), "--log-format", "json"]
        return subprocess.run(
            [str(RUNSC), *flags, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={},
            cwd=self.directory,
            timeout=20,
            check=False,
            **options,
        )

    def fail(self, *words, status=128, **options):
        """Call, and return the one line of the failure."""
        before = set(leaks.children())
        done = self.call(*words, **options)
        assert (done.returncode, done.stdout) == (status, ""), done
        assert done.stderr.startswith("runsc: ")
        assert done.stderr.count("\n") == 1
        [line] = self.log.read_text().splitlines()
        logged = json.loads(line)
        assert set(logged) == {"level", "msg", "time"}
        assert logged["level"] == "error"
        assert done.stderr == f"runsc: {logged['msg']}\n"
        assert "internal error" not in logged["msg"]
        assert not self.root.is_dir() or not list(self.root.iterdir())
        leaks.reap()
        assert set(leaks.children()) <= before
        message: str = logged["msg"]
        return message

    def create(self, config):
        """Fail to create a container from a config.json."""
        text = config if isinstance(config, str) else json.dumps(config)
        (self.bundle.path / "config.json").write_text(text)
        message = self.fail("create", "--bundle", str(self.bundle.path), "box")
        return message.replace(f"{self.bundle.path}/", "")


@pytest.fixture
def caller(tmp_path, make_bundle, busybox_rootfs):
    leaks.adopt_orphans()
    return Caller(tmp_path, make_bundle(busybox_rootfs, ["/bin/true"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "config.json: no value at line 1 column 1"),
        ('{"a": [1,\n 2,}', "config.json: no value at line 2 column 4"),
        ("[]", "config.json: expected an object, got a list"),
        ("{}", "config.json: root.path: is missing"),
        ("[" * 100_000, "config.json: "),
    ],
)
def test_what_is_no_config(caller, text, message):
    assert caller.create(text).startswith(message)


def put(path: str, value: object) -> Callable[[Any], None]:
    """Return a change of a config: a value at a path; `+` appends to a list."""

    def change(config: Any) -> None:
        *parents, last = path.split(".")
        for name in parents:
            config = config[int(name) if name.isdigit() else name]
        if last == "+":
            config.append(value)
        else:
            config[last] = value

    return change


def mount(kind: str, destination: str, source: str = "x", *options: str) -> Callable[[Any], None]:
    """Return the addition of a mount."""
    item = {"destination": destination, "type": kind, "source": source, "options": list(options)}
    return put("mounts.+", item)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("process.args", "x"), "config.json: process.args: expected a list, got a string"),
        (put("process.args", []), "config.json: process.args: is missing or empty"),
        (put("process.cwd", 3), "config.json: process.cwd: expected a string, got a number"),
        (put("process.cwd", "x"), "config.json: process.cwd: 'x' is not an absolute path"),
        (
            put("process.env.+", 7),
            "config.json: process.env[4]: expected a string, got a number",
        ),
        (put("process.terminal", 1), "config.json: process.terminal: expected a boolean"),
        (put("process.user.uid", "root"), "config.json: process.user.uid: expected a whole number"),
        (put("process.user.uid", 1 << 32), "config.json: process.user.uid: 4294967296 is not in 0"),
        (put("process.user.gid", -1), "config.json: process.user.gid: -1 is not in 0"),
        (
            put("process.capabilities.bounding.+", "CAP_NO"),
            "process.capabilities.bounding: unknown capability 'CAP_NO'",
        ),
        (
            put("process.rlimits", [{"type": "RLIMIT_NO", "soft": 1, "hard": 1}]),
            "process.rlimits: unknown limit 'RLIMIT_NO'",
        ),
        (
            put("process.rlimits", [{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]),
            "process.rlimits: RLIMIT_CORE: soft is above hard",
        ),
        (put("root.path", "/no/such"), "root.path: /no/such: is missing"),
        (put("root.path", "/etc/passwd"), "root.path: /etc/passwd: it is no directory"),
        (put("hostname", "x" * 65), "config.json: hostname: is longer than 64 bytes"),
        (mount("nosuch", "/x"), "mounts[6].type: unknown file system 'nosuch'"),
        (mount("bind", "/x", "/no/such"), "mounts[6].source: /no/such: is missing"),
        (mount("tmpfs", "/x", "x", "size=big"), "mounts[6].options: 'size=big' is not a number"),
        (mount("tmpfs", "/etc/passwd/x"), "mounts[6]: cannot mount '/etc/passwd/x': not a dir"),
        (mount("bind", "/etc", "/etc/passwd"), "mounts[6]: cannot mount '/etc': not a directory"),
        (
            put("linux.namespaces.+", {"type": "nosuch"}),
            "config.json: linux.namespaces[5].type: unknown namespace 'nosuch'",
        ),
        (
            put("linux.namespaces.4.path", "/no/such"),
            "cannot join network namespace /no/such: /no/such: is missing",
        ),
        (
            put("linux.namespaces.4.path", "/etc/passwd"),
            "cannot join network namespace /etc/passwd: invalid argument",
        ),
        (put("linux.cgroupsPath", "/a/../b"), "linux.cgroupsPath: '/a/../b' leads upwards"),
        (
            put("linux.resources", {"memory": {"limit": "big"}}),
            "config.json: linux.resources.memory.limit: expected a whole number, got a string",
        ),
        (put("linux.resources", {"cpu": {"cpus": "999"}}), "cannot set cpuset.cpus to 999: "),
        (put("process.args", ["no"]), START + 'exec: "no": executable file not found in $PATH'),
        (
            put("process.args", ["/no/such"]),
            START + 'exec: "/no/such": stat /no/such: no such file or directory',
        ),
        (put("process.args", ["/etc/passwd"]), START + 'exec: "/etc/passwd": permission denied'),
        (put("process.args", ["/etc"]), START + 'exec: "/etc": is a directory: permission denied'),
        (put("process.args", ["/etc/passwd/x"]), START + 'exec: "/etc/passwd/x": not a directory'),
        (put("process.args", ["/orphan"]), START + 'exec: "/orphan": no such file or directory'),
        (put("process.args", ["/text"]), START + 'exec: "/text": exec format error'),
        (
            put("process.cwd", "/etc/passwd"),
            START + "chdir to cwd ('/etc/passwd'): not a directory",
        ),
    ],
)
def test_what_is_wrong_in_a_config(caller, change, message):
    for name, text in (("orphan", "#!/no/such/interpreter\n"), ("text", "not a program")):
        (caller.bundle.root / name).write_text(text)
        (caller.bundle.root / name).chmod(0o755)
    config = default_config(["/bin/true"])
    config["root"]["path"] = str(caller.bundle.root)
    change(config)
    assert caller.create(config).startswith(message)


def test_a_bundle_that_is_none(caller):
    for bundle in (str(caller.directory), "/no/such"):
        message = caller.fail("create", "--bundle", bundle, "box")
        assert message == f"bundle {bundle} has no config.json"
        caller.log.unlink()
    assert "config.json: not a directory" in caller.fail("create", "-b", "/etc/passwd", "box")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "no such command 'nosuch' (see runsc --help)"),
        (["update", "box"], "no such command 'update' (see runsc --help)"),
        (["create", "--nosuch", "box"], "no such option '--nosuch'"),
        (["create"], "missing argument 'CONTAINER_ID' (see runsc create --help)"),
        (["state", "a", "b"], "got unexpected extra argument (b)"),
        (["create", "--preserve-fds", "x", "box"], "invalid value for '--preserve-fds': 'x'"),
        (["ps", "--format", "xml", "box"], "invalid value for"),
        (["delete"], "delete needs the id of a container"),
        (["create", "--bundle", "BUNDLE", ""], "invalid container id ''"),
        (["create", "--bundle", "BUNDLE", ".."], "invalid container id '..'"),
        (["create", "--bundle", "BUNDLE", "a/b"], "invalid container id 'a/b'"),
        (["create", "--bundle", "BUNDLE", "x" * 129], "invalid container id 'xxx"),
        (["kill", "box", "NOSUCH"], "unknown signal 'NOSUCH'"),
        (["kill", "box", "65"], "unknown signal '65'"),
        *(
            ([command, "box"], "container 'box' does not exist")
            for command in ("state", "start", "kill", "delete", "ps", "pause", "resume")
        ),
        (["create", "--preserve-fds", "1", "-b", "BUNDLE", "box"], "--preserve-fds: descriptor 3 "),
        (["create", "--console-socket", "/x", "-b", "BUNDLE", "box"], "--console-socket is given"),
        (["create", "--pid-file", "/no/such", "-b", "BUNDLE", "box"], "/no/such: is missing"),
        (["spec", "--bundle", "/no/such"], "/no/such/config.json: is missing"),
        (["spec", "--bundle", "BUNDLE"], "BUNDLE/config.json already exists"),
    ],
)
def test_what_is_wrong_on_the_command_line(caller, words, message):
    bundle = str(caller.bundle.path)
    words = [word.replace("BUNDLE", bundle) for word in words]
    assert caller.fail(*words).startswith(message.replace("BUNDLE", bundle))


def test_exec_fails_with_255(caller):
    assert caller.fail("exec", "box", "true", status=255) == "container 'box' does not exist"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--root", "/proc/x"], "--root: cannot make /proc/x: is missing"),
        (["--root", "/etc/passwd"], "--root: cannot make /etc/passwd/box: not a directory"),
        (["--root", "/"], "--root must not be /"),
        (["--log", "/no/such/log"], "/no/such/log: is missing"),
        (["--log-format", "xml"], "--log-format: 'xml' is not one of text, json"),
        (["--nosuch"], "no such option '--nosuch' (see runsc --help)"),
        (["--debug=maybe"], "--debug: 'maybe' is neither true nor false (see runsc --help)"),
    ],
)
def test_what_is_wrong_with_a_global_flag(caller, flags, message):
    bundle = str(caller.bundle.path)
    done = caller.call("create", "--bundle", bundle, "box", flags=flags)
    assert (done.returncode, done.stdout, done.stderr) == (128, "", f"runsc: {message}\n")


def test_a_root_that_cannot_be_written(caller):
    # Root may write anywhere, but not to a file system without directories of its own.
    done = caller.call("create", "-b", str(caller.bundle.path), "box", flags=["--root", "/sys/x"])
    assert done.returncode == 128
    assert done.stderr.startswith("runsc: --root: cannot make /sys/x: ")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/no/such", "console socket /no/such: is missing"),
        ("/etc/passwd", "console socket /etc/passwd: connection refused"),
    ],
)
def test_a_console_socket_that_nobody_listens_to(caller, path, message):
    caller.bundle.config["process"]["terminal"] = True
    caller.bundle.write()
    words = ["create", "--bundle", str(caller.bundle.path), "--console-socket", path, "box"]
    assert caller.fail(*words) == message


def test_descriptors_that_are_closed_or_only_for_reading(caller):
    words = f"{RUNSC} --root {caller.root} --log {caller.log} state box"
    for changes in ("<&- >&- 2>&-", "</dev/null >&- 2</dev/null", "1</dev/null 2</dev/null"):
        done = subprocess.run(["sh", "-c", f"exec {words} {changes}"], timeout=20, check=False)
        assert done.returncode == 128
    assert len(caller.log.read_text().splitlines()) == 3


def test_running_with_closed_and_read_only_descriptors(caller):
    caller.bundle.config["process"]["args"] = ["/bin/sh", "-c", "echo x; echo y >&2; exit 4"]
    caller.bundle.write()
    words = f"{RUNSC} --root {caller.root} run --bundle {caller.bundle.path} box"
    for changes in ("<&- >&- 2>&-", "1</dev/null 2</dev/null"):
        done = subprocess.run(["sh", "-c", f"exec {words} {changes}"], timeout=20, check=False)
        assert done.returncode == 4, changes


def test_the_cwd_of_init_is_made(caller):
    config = caller.bundle.config
    config["process"].update(cwd="/new/place", args=["/bin/pwd"])
    caller.bundle.write()
    words = ["run", "--bundle", str(caller.bundle.path), "box"]
    assert caller.call(*words).stdout == "/new/place\n"
    assert os.path.isdir(caller.bundle.root / "new/place")
