"""`pause` and `resume`, on the real sandbox."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

BUSY = "sh -c 'while :; do :; done' & while :; do :; done"
LOOP = "trap 'echo got >>/log' USR1; while :; do echo x >>/log; sleep 0.01; done"


class Box:
    """A container in the background."""

    def __init__(self, runtime, bundle):
        self.runtime = runtime
        self.bundle = bundle
        self.id = bundle.id

    def create(self):
        pid_file = self.bundle.path / "pid"
        words = ["create", "--bundle", str(self.bundle.path), "--pid-file", str(pid_file), self.id]
        subprocess.run(
            [*self.runtime.command, *words],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return int(pid_file.read_text())

    def do(self, command, *words):
        return self.runtime(command, self.id, *words)

    def ok(self, command, *words):
        return self.do(command, *words).check().out

    def status(self):
        return self.runtime.inspect(self.id)["status"]

    def process_state(self):
        """Return the letter of proc(5) stat for the container's init."""
        return self.ok("exec", "cat", "/proc/1/stat").split()[2]


@pytest.fixture
def make_box(runtime, make_bundle, busybox_rootfs):
    pids = []

    def make(script):
        box = Box(runtime, make_bundle(busybox_rootfs, ["/bin/sh", "-c", script]))
        pids.append(box.create())
        box.pid = pids[-1]
        return box

    yield make
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def cpu_ticks(pid):
    """Return the processor time of a process's children, the stubs (proc(5) stat)."""
    total = 0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total


def test_nothing_computes_while_paused(make_box):
    box = make_box(BUSY)
    box.ok("start")
    time.sleep(0.3)
    before = cpu_ticks(box.pid)
    assert before
    box.ok("pause")
    assert box.status() == "paused"
    paused = cpu_ticks(box.pid)
    time.sleep(0.4)
    assert cpu_ticks(box.pid) == paused
    box.ok("resume")
    assert box.status() == "running"
    time.sleep(0.3)
    assert cpu_ticks(box.pid) > paused


def test_signals_wait_and_calls_do_not_go_on(make_box):
    box = make_box(LOOP)
    box.ok("start")
    time.sleep(0.3)
    box.ok("pause")
    box.ok("kill", "USR1")
    box.ok("ps")
    assert box.do("exec", "cat", "/log").err == "runsc: cannot exec in a paused container\n"
    log = box.bundle.root / "log"
    size = log.stat().st_size
    time.sleep(0.3)
    assert log.stat().st_size == size
    box.ok("resume")
    time.sleep(0.3)
    assert "got\n" in log.read_text()[size:]


def test_a_stop_that_comes_while_paused_is_noticed_later(make_box):
    box = make_box("while :; do sleep 0.05; done")
    box.ok("start")
    box.ok("pause")
    box.ok("kill", "STOP")
    box.ok("resume")
    assert box.process_state() == "T"
    box.ok("kill", "CONT")
    assert box.process_state() in "RS"


def test_what_cannot_be_paused_or_resumed(make_box):
    box = make_box("while :; do sleep 0.05; done")
    assert box.do("resume").err == "runsc: container not paused\n"
    box.ok("start")
    box.ok("pause")
    assert box.do("pause").err == "runsc: container not running\n"
    assert "already running" in box.do("start").err
    assert "not stopped: paused" in box.do("delete").err
    box.ok("kill", "KILL")
    assert os.waitid(os.P_PID, box.pid, os.WEXITED | os.WNOWAIT).si_status == signal.SIGKILL
    assert box.status() == "stopped"
    assert box.do("resume").err == "runsc: container not paused\n"
    assert box.do("pause").err == "runsc: container not running\n"
    box.ok("delete")


def test_a_created_container_can_be_paused(make_box):
    box = make_box("exit 5")
    box.ok("pause")
    assert box.status() == "paused"
    box.ok("resume")
    assert box.status() == "created"
    box.ok("start")
    assert os.waitid(os.P_PID, box.pid, os.WEXITED | os.WNOWAIT).si_status == 5


def test_deleting_a_paused_container_by_force(make_box):
    box = make_box("while :; do sleep 0.05; done")
    box.ok("start")
    box.ok("pause")
    box.runtime("delete", "--force", box.id).check()
