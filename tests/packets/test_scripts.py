"""Runs all scripts beside this file."""

from pathlib import Path

import pytest

from tests.packets.notation import Script, ScriptError, load
from tests.packets.script import Runner

PATHS = sorted(Path(__file__).parent.glob("*.tcp"))
SCRIPTS = [script for path in PATHS for script in load(path)]
FILES = {script.name: path for path in PATHS for script in load(path)}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script(script: Script) -> None:
    Runner().run(script)


def run_text(text: str) -> None:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    Runner().run(Script("text", 0, [(number, line) for number, line in lines if line]))


def test_scripts_can_fail() -> None:
    good = "established\n: write 10 == 10\n> A 1:11 ack 1"
    run_text(good)
    for bad in (
        "established\n: write 10 == 10",
        "established\n: write 10 == 11\n> A 1:11 ack 1",
        "established\n: write 10 == 10\n> A 1:12 ack 1",
        "established\n: write 10 == 10\n> A 1:11 ack 2",
        "established\n: write 10 == 10\n> F 1:11 ack 1",
        "established\n: write 10 == 10\n+5ms > A 1:11 ack 1",
        "established\n= state CLOSE",
    ):
        with pytest.raises(ScriptError):
            run_text(bad)


def test_there_are_scripts() -> None:
    assert len(FILES) == len(SCRIPTS)  # no two have one name
    assert len(SCRIPTS) >= 700
