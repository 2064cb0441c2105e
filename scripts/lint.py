"""Run every check that needs no sandbox, all of them even when one fails."""

import subprocess
import sys
import time
from pathlib import Path

TOOLS = Path(sys.executable).parent
CHECKS = (
    ("style", [str(TOOLS / "ruff"), "check", "--quiet"]),
    ("format", [str(TOOLS / "ruff"), "format", "--check", "--quiet"]),
    ("types", [str(TOOLS / "mypy"), "--no-error-summary"]),
    ("layers", [str(TOOLS / "lint-imports"), "--config", "setup.cfg"]),
    ("sizes", [sys.executable, "-m", "scripts.sizes"]),
    ("generated files", [sys.executable, "-m", "scripts.generated"]),
)


def main() -> int:
    """Run the checks; the output of one is shown when it fails."""
    failed = []
    for name, argv in CHECKS:
        began = time.monotonic()
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        verdict = "ok" if done.returncode == 0 else "FAILED"
        print(f"lint: {name}: {verdict} ({time.monotonic() - began:.1f} s)", flush=True)
        if done.returncode != 0:
            failed.append(name)
            print(done.stdout.rstrip(), flush=True)
    if failed:
        print(f"lint: failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
