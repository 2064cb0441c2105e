"""Refuse files that have grown too long to be read at once."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOPS = ("config", "netstack", "runsc", "scripts", "sentry", "tests")
LIMIT = 600

# Written by a generator, or nothing but a table.
EXCEPTIONS = {"sentry/abi/syscalls.py", "sentry/syscalls/_dispatch.py", "sentry/syscalls/table.py"}


def main() -> int:
    """Report every file over the limit."""
    too_long = 0
    for path in sorted(p for top in TOPS for p in (ROOT / top).rglob("*.[pch]*")):
        name = str(path.relative_to(ROOT))
        if path.suffix not in {".py", ".c", ".h"} or name in EXCEPTIONS:
            continue
        lines = path.read_bytes().count(b"\n")
        if lines > LIMIT:
            print(f"{name}: {lines} lines; split it by concept (limit {LIMIT})")
            too_long += 1
    return 1 if too_long else 0


if __name__ == "__main__":
    raise SystemExit(main())
