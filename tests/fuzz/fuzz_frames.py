"""Frames of any bytes for the whole stack, found by atheris.

    python -m tests.fuzz.fuzz_frames tests/fuzz/corpus [-max_total_time=60 ...]

atheris is no requirement of anything else; `pip install atheris` first.
"""

import sys

import atheris

with atheris.instrument_imports(include=["netstack"]):
    from tests.fuzz.frames import run


def main() -> None:
    """Hand over to the fuzzer, which takes the arguments."""
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
