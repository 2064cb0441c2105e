"""What a sandbox loads is a budget: the dear modules of the standard library are not among it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
DEAR = (
    "_hashlib argparse asyncio click contextlib dataclasses enum functools inspect json keyword "
    "linecache logging reprlib "
    "pathlib pyroute2 random re selectors shutil signal socket subprocess tempfile textwrap "
    "threading tokenize traceback"
)
SCRIPT = f"""
import sys
sys.path[:0] = {[str(ROOT), *[path for path in sys.path if path.endswith("site-packages")]]}
import runsc.boot.start
print(*sorted(set({DEAR.split()}) & set(sys.modules)))
import typing
print(hasattr(typing, "Protocol"))
"""


def test_the_sandbox_loads_nothing_dear() -> None:
    argv = [sys.executable, "-I", "-S", "-c", SCRIPT]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "\nFalse\n"), done.stderr + done.stdout
