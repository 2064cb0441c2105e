"""The fuzz target runs: its corpus, changes to it made at random, and atheris if it is there."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.frames import FIX_CHECKSUMS, World, run, seeds, steps, with_checksums

CORPUS = Path(__file__).parent / "corpus"
ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 400


def change(data: bytes, chance: random.Random) -> bytes:
    """Return an input with some bytes changed, left out, doubled or made up."""
    made = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(made)) if made else 0
        kind = chance.randrange(5)
        if kind == 0 and made:
            made[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and made:
            made[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del made[at : at + chance.randrange(1, 9)]
        elif kind == 3:
            made[at:at] = made[at : at + chance.randrange(1, 40)]
        else:
            made[at:at] = chance.randbytes(chance.randrange(1, 9))
    return bytes(made)


def test_the_corpus_is_what_the_seeds_are() -> None:
    kept = {path.name: path.read_bytes() for path in CORPUS.iterdir()}
    assert kept == seeds()


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_seed(path: Path) -> None:
    run(path.read_bytes())


def test_seeds_get_somewhere() -> None:
    for version in (4, 6):
        world = World()
        for name in (f"tcp{version}-holes", f"udp{version}"):
            for flags, frame in steps(seeds()[name]):
                world.step(flags, frame)
        assert world.tcp.counters.PassiveOpens == 1
        assert world.tcp.counters.InErrs == 0
        assert world.tcp.counters.TCPOFOQueue == 1
        assert world.stack.networks[version].counters.InReceives > 0


def test_checksums_are_put_right() -> None:
    for data in seeds().values():
        for flags, frame in steps(data):
            if flags & FIX_CHECKSUMS:
                right = with_checksums(frame)
                assert with_checksums(right[:24] + bytes(2) + right[26:]) == right or (
                    right[12:14] != b"\x08\x00"
                )


def test_changed_seeds_do_no_harm() -> None:
    chance = random.Random(9293)
    inputs = list(seeds().values())
    for _ in range(ROUNDS):
        data = chance.choice(inputs)
        if chance.random() < 0.3:
            data += chance.choice(inputs)
        run(change(data, chance))


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_atheris_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.fuzz_frames", str(CORPUS), "-runs=500"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
