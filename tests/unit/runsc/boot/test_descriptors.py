"""Every descriptor is accounted for."""

import os
import subprocess
import sys
from pathlib import Path

from runsc.boot.descriptors import Descriptors, move_up, open_descriptors

TREE = Path(__file__).parents[4]


def test_strangers_are_named(tmp_path):
    proc_fd = os.open("/proc", os.O_RDONLY)
    declared = Descriptors()
    declared.adopt(proc_fd, "what was there")
    assert declared.strangers(proc_fd) == []
    stranger = os.open(tmp_path, os.O_RDONLY)
    assert declared.strangers(proc_fd) == [f"{stranger}: {tmp_path}"]
    declared.declare(stranger, "known")
    assert declared.use_of(stranger) == "known"
    assert declared.strangers(proc_fd) == []
    declared.forget(stranger)
    assert len(declared.strangers(proc_fd)) == 1
    os.close(stranger)
    os.close(proc_fd)


def test_the_listing_leaves_nothing_open():
    proc_fd = os.open("/proc", os.O_RDONLY)
    before = open_descriptors(proc_fd)
    assert open_descriptors(proc_fd) == before
    os.close(proc_fd)


def test_moved_descriptors_are_high_and_private():
    moved = move_up(0)
    assert moved >= 10
    assert not os.get_inheritable(moved)
    os.close(moved)


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TREE,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout


def test_others_are_closed():
    code = """
import os
from runsc.boot.descriptors import *
for _ in range(50):
    os.open("/", os.O_RDONLY)
high = os.open("/", os.O_RDONLY)
os.dup2(high, 500)
declared = Descriptors()
for fd in (0, 1, 2, 7, 500, -1):
    declared.declare(fd, "x")
declared.close_others()
print(open_descriptors(os.open("/proc", os.O_RDONLY)))
"""
    assert run(code) == "[0, 1, 2, 3, 7, 500]\n"


def test_standard_descriptors_are_taken():
    code = """
import os
from runsc.boot.descriptors import *
out = move_up(1)
log, other = os.pipe()
occupy_standard(other)
os.write(2, b"to the log")
text = os.readlink("/proc/self/fd/0") + os.readlink("/proc/self/fd/1")
os.write(out, text.encode() + os.read(log, 99))
"""
    assert run(code) == "/dev/null/dev/nullto the log"
