"""Runs scripts through Ethernet and IP: as they are, over IPv6 unless they are about IPv4."""

import pytest

from tests.packets.notation import Script
from tests.packets.real import WholeRunner
from tests.packets.test_scripts import SCRIPTS

# Lines for what only the fake network knows.
FAKED = ("gso", "room", "path")


def fits(script: Script) -> bool:
    return not any(word in FAKED for _, text in script.lines for word in text.split())


WHOLE = [script for script in SCRIPTS if fits(script)]


@pytest.mark.parametrize("script", WHOLE, ids=lambda script: script.name)
def test_script(script: Script) -> None:
    runner = WholeRunner()
    runner.version = 6
    runner.run(script)


def test_most_scripts_meet_the_whole_stack() -> None:
    stated = [script for script in WHOLE if any(text == "version 4" for _, text in script.lines)]
    assert len(WHOLE) - len(stated) >= 600
    assert len(stated) >= 20
