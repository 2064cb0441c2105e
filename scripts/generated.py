"""Check that generated files are what their generators write today, or write them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Each is a module that writes its file, or with --check fails when the file differs.
GENERATORS = ("runsc.cmd.gen_grammar", "sentry.syscalls.gen")


def main(arguments: list[str]) -> int:
    """Run the generators, checking unless told to write."""
    options = [] if arguments == ["--write"] else ["--check"]
    status = 0
    for module in GENERATORS:
        done = subprocess.run([sys.executable, "-m", module, *options], cwd=ROOT, check=False)
        if done.returncode != 0:
            print(f"{module}: its file is out of date; run `make generate`")
            status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
