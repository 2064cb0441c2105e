"""Containers with a terminal: `run` in the foreground, --console-socket, `exec -t`."""

import array
import hashlib
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.bundle import Bundle, Runtime
from tests.harness.terminal import Screen, TerminalSession
from tests.programs.compare import assert_same

pytestmark = pytest.mark.guest
SHELL = ["/bin/bash", "--norc", "-i"]
PROMPT = r"\$ $"


def run(bundle: Bundle, **size: int) -> TerminalSession:
    return TerminalSession(bundle.runtime, "run", "--bundle", str(bundle.path), bundle.id, **size)


@pytest.fixture
def shell(make_bundle: Callable[..., Bundle], debian_rootfs: Path):
    bundle = make_bundle(debian_rootfs, SHELL, terminal=True)
    bundle.config["process"]["env"] += ["PS1=$ ", "TERM=dumb"]
    bundle.write()
    with run(bundle, rows=33, columns=101) as session:
        session.screen.expect(PROMPT)
        yield session


def ask(session_or_screen: TerminalSession | Screen, command: str, answer: str):
    screen = getattr(session_or_screen, "screen", session_or_screen)
    screen.type(command + "\n")
    found = screen.expect(r"\n" + answer)
    screen.expect(PROMPT)
    return found


def test_the_terminal_has_a_name(shell: TerminalSession):
    ask(shell, "tty", r"/dev/pts/0\r\n")
    ask(shell, "readlink /proc/self/fd/0 /proc/self/fd/1", r"/dev/pts/0\r\n/dev/pts/0\r\n")
    ask(shell, "stat -L -c %t:%T /proc/self/fd/0 /dev/console", r"88:0\r\n88:0\r\n")
    ask(shell, "stat -c %U:%a /dev/pts/0", r"root:620\r\n")
    ask(shell, "cut -d' ' -f6-7 /proc/$$/stat", r"1 34816\r\n")
    ask(
        shell, "ps -o tty= -p $$; echo > /dev/console; echo via > /dev/tty", r"pts/0\r\n\r\nvia\r\n"
    )


def test_settings_are_those_of_a_fresh_terminal(shell: TerminalSession):
    ask(shell, "stty -a | head -1", r"speed 38400 baud; rows 33; columns 101; line = 0;\r\n")
    ask(shell, "stty -a | grep -o ' echo '", r" echo \r\n")
    ask(shell, "stty -echo; stty -a | grep -o -- '-echo '; stty echo", r"-echo \r\n")


def test_control_c_ends_the_foreground_job(shell: TerminalSession):
    shell.screen.type("sleep 100\n")
    shell.screen.expect(r"sleep 100\r\n")
    shell.screen.settle(0.5)
    shell.screen.type("\x03")
    shell.screen.expect(r"\^C\r?\n")
    shell.screen.expect(PROMPT)
    ask(shell, "echo $?", r"130\r\n")


def test_control_z_stops_and_fg_goes_on(shell: TerminalSession):
    shell.screen.type("sleep 1.5\n")
    shell.screen.expect(r"sleep 1.5\r\n")
    shell.screen.settle(0.5)
    shell.screen.type("\x1a")
    shell.screen.expect(r"\[1\]\+ +Stopped +sleep 1.5\r\n")
    shell.screen.expect(PROMPT)
    ask(shell, "jobs", r"\[1\]\+ +Stopped +sleep 1.5\r\n")
    ask(shell, "bg", r"\[1\]\+ sleep 1.5 &\r\n")
    ask(shell, "fg; echo status $?", r"sleep 1.5\r\nstatus 0\r\n")


def test_a_background_job_that_reads_is_stopped(shell: TerminalSession):
    shell.screen.type("cat &\n")
    shell.screen.expect(r"\[1\] \d+\r\n")
    shell.screen.settle(1.0)
    shell.screen.type("\n")
    shell.screen.expect(r"\[1\]\+ +Stopped +cat\r\n")
    shell.screen.type("kill %1; wait; fg\n")
    shell.screen.expect(PROMPT)


def test_control_d_ends_the_shell(shell: TerminalSession):
    ask(shell, "(exit 7)", "")
    shell.screen.type("\x04")
    assert shell.end() == 7
    assert shell.settings_now() == shell.settings


def test_the_window_size_follows(shell: TerminalSession):
    ask(shell, "stty size", r"33 101\r\n")
    ask(shell, "trap 'echo winch' WINCH", "")
    shell.screen.resize(50, 132)
    shell.screen.expect("winch")
    ask(shell, "stty size", r"50 132\r\n")
    ask(shell, "stty rows 20 columns 30; stty size", r"20 30\r\n")


def test_much_input_arrives_whole(shell: TerminalSession):
    shell.screen.type("stty raw -echo; echo ready; head -c 300000 | md5sum; stty sane\n")
    shell.screen.expect(r"ready\n")
    typed = "".join(f"{number:07d}\x03" for number in range(37500))
    shell.screen.type(typed)
    shell.screen.expect(hashlib.md5(typed.encode()).hexdigest())
    shell.screen.expect(PROMPT)


def test_much_output_arrives_whole(make_bundle: Callable[..., Bundle], debian_rootfs: Path):
    bundle = make_bundle(debian_rootfs, ["/usr/bin/seq", "30000"], terminal=True)
    with run(bundle) as session:
        assert session.end() == 0
        assert session.screen.text == "".join(f"{number}\r\n" for number in range(1, 30001))


@pytest.fixture
def created(make_bundle: Callable[..., Bundle], debian_rootfs: Path):
    """A container that runs bash on a terminal whose master came over --console-socket."""
    bundle = make_bundle(debian_rootfs, SHELL, terminal=True)
    bundle.config["process"]["env"] += ["PS1=$ ", "TERM=dumb"]
    bundle.config["process"]["consoleSize"] = {"height": 40, "width": 90}
    bundle.write()
    with ConsoleSocket() as console:
        arguments = ("--bundle", str(bundle.path), "--console-socket", console.path)
        bundle.runtime("create", *arguments, bundle.id).check()
        screen = console.accept()
        bundle.runtime("start", bundle.id).check()
        screen.expect(PROMPT)
        yield bundle, screen


def test_console_socket(created: tuple[Bundle, Screen]):
    bundle, screen = created
    ask(screen, "tty; stty size", r"/dev/pts/0\r\n40 90\r\n")
    ask(screen, "trap 'echo winch' WINCH", "")
    screen.resize(41, 91)
    screen.expect("winch")
    ask(screen, "stty size", r"41 91\r\n")
    screen.type("exec sleep 100\n")
    screen.expect(r"sleep 100\r\n")
    screen.settle(0.5)
    screen.type("\x1c")  # QUIT: nothing for pid 1
    screen.type("\x03")
    screen.expect(r"\^C")
    assert bundle.runtime.inspect(bundle.id)["status"] == "running"
    bundle.runtime("kill", bundle.id, "9").check()
    screen.read_to_end()


def test_hang_up_ends_the_session(created: tuple[Bundle, Screen]):
    bundle, screen = created
    ask(screen, "trap 'exit 9' HUP", "")
    screen.close()
    wait_until_stopped(bundle)


def wait_until_stopped(bundle: Bundle, timeout: float = 30.0):
    deadline = time.monotonic() + timeout
    while bundle.runtime.inspect(bundle.id)["status"] != "stopped":
        assert time.monotonic() < deadline, "still running"
        time.sleep(0.05)


@pytest.fixture
def sleeper(make_bundle: Callable[..., Bundle], debian_rootfs: Path):
    """A container without a terminal, for `exec`."""
    bundle = make_bundle(debian_rootfs, ["/bin/sleep", "1000"])
    with open(os.devnull, "rb+") as null:
        argv = [*bundle.runtime.command, "run", "-d", "--bundle", str(bundle.path), bundle.id]
        subprocess.run(argv, stdin=null, stdout=null, stderr=null, env={}, check=True, timeout=60)
    return bundle


def test_exec_with_a_terminal(sleeper: Bundle):
    arguments = ("exec", "-t", "-e", "PS1=$ ", "-e", "TERM=dumb", sleeper.id, *SHELL)
    with TerminalSession(sleeper.runtime, *arguments, rows=22, columns=66) as session:
        session.screen.expect(PROMPT)
        ask(session, "tty; stty size", r"/dev/pts/0\r\n22 66\r\n")
        session.screen.resize(23, 67)
        session.screen.settle(0.5)
        ask(session, "stty size", r"23 67\r\n")
        session.screen.type("sleep 100\n")
        session.screen.settle(0.7)
        session.screen.type("\x03")
        session.screen.expect(r"\^C\r?\n")
        session.screen.expect(PROMPT)
        session.screen.type("exit 5\n")
        assert session.end() == 5
    # The number is free again, and the next one has a terminal of its own.
    outcome = sleeper.runtime("exec", sleeper.id, "/bin/ls", "/dev/pts")
    assert outcome.check().out == "ptmx\n"


def test_exec_with_a_console_socket(sleeper: Bundle):
    process = dict(sleeper.config["process"], args=SHELL, terminal=True)
    process["env"] = [*process["env"], "PS1=$ ", "TERM=dumb"]
    process["user"] = {"uid": 1000, "gid": 1000}
    file = sleeper.path / "process.json"
    file.write_text(json.dumps(process))
    pid_file = sleeper.path / "exec.pid"
    with ConsoleSocket() as console:
        arguments = ("--process", str(file), "--console-socket", console.path, "--tty")
        sleeper.runtime(
            "exec", *arguments, "--detach", "--pid-file", str(pid_file), sleeper.id
        ).check()
        screen = console.accept()
        screen.expect(PROMPT)
        ask(screen, "tty; stat -c %u:%a $(tty)", r"/dev/pts/0\r\n1000:620\r\n")
        ask(screen, "trap 'echo winch' WINCH", "")
        screen.resize(30, 70)
        screen.expect("winch")
        ask(screen, "stty size", r"30 70\r\n")
        screen.type("exit\n")
        screen.read_to_end()
    # Its host process is ours to wait for; until then the container cannot end (as with runc).
    os.waitpid(int(pid_file.read_text()), 0)


def test_a_host_terminal_is_no_terminal_for_the_guest(
    make_bundle: Callable[..., Bundle], debian_rootfs: Path
):
    """Without process.terminal the guest gets bytes, and no request reaches the host's."""
    script = "tty; stty -echo; echo $?; read line; echo got $line"
    bundle = make_bundle(debian_rootfs, ["/bin/sh", "-c", script])
    with run(bundle) as session:
        session.screen.expect(r"not a tty\r\n")
        session.screen.expect(r"Inappropriate ioctl for device\r\n1\r\n")
        session.screen.type("line\n")
        session.screen.expect(r"got line\r\n")
        assert session.end() == 0
        assert session.settings_now() == session.settings


class ConsoleSocket:
    """What listens for the master of a terminal, as the shim and conmon do."""

    def __init__(self):
        self._directory = tempfile.TemporaryDirectory()
        self.path = f"{self._directory.name}/pty.sock"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(1)
        self._socket.settimeout(30)
        self._screen: Screen | None = None

    def accept(self) -> Screen:
        """Take the one connection with its one descriptor."""
        client, _ = self._socket.accept()
        with client:
            data, controls, _, _ = client.recvmsg(4096, socket.CMSG_SPACE(8))
        assert data
        ((level, kind, payload),) = controls
        assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        (master,) = array.array("i", payload)
        self._screen = Screen(master)
        return self._screen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        self._directory.cleanup()
        if self._screen is not None:
            self._screen.close()


@pytest.mark.parametrize(
    "script",
    [
        "script -qec 'tty; stty -a; exit 6' /dev/null < /dev/null; echo $?",
        "script -qec 'stty cols 99; stty size' /tmp/typescript < /dev/null; wc -l < /tmp/typescript",
        "(sleep 0.5; echo typed; sleep 0.5) | script -qec 'read x; echo got $x' /dev/null",
        "tty; tty < /dev/ptmx; stty -a < /dev/tty; ls -l /dev/pts/ptmx | cut -d' ' -f1-6",
    ],
    ids=["settings", "size", "typed", "none"],
)
def test_script(runtime: Runtime, debian_rootfs: Path, script: str):
    assert_same(runtime, debian_rootfs, script + "; true")
