"""What setup.cfg cannot say: the C extensions, and which modules mypyc compiles.

`make build` (scripts/build.py) uses the two lists; `RUNSC_COMPILE=1 pip install .` works as well.
"""

import os
from pathlib import Path
from typing import Any

from setuptools import setup

ROOT = Path(__file__).resolve().parent

CFFI_BUILDERS = (
    "runsc/sandbox/host_build.py",
    "netstack/native_build.py",
    "sentry/platform/net_build.py",
    "sentry/platform/ptrace_build.py",
)

# Whole packages in one unit, so that calls between their modules bind early.
COMPILED = ("netstack", "sentry")

# Modules that stay interpreted, each with the reason.
INTERPRETED = {
    "netstack/native_build.py": "describes the C extension; runs at build time only",
    "sentry/platform/net_build.py": "describes the C extension; runs at build time only",
    "sentry/platform/ptrace_build.py": "describes the C extension; runs at build time only",
    "sentry/syscalls/gen.py": "the generator of the dispatch module; runs at build time only",
    # The constants of all compiled modules are made when one of them is loaded, in every sandbox.
    "sentry/strace.py": "loaded with --strace only",
    "sentry/strace_file_flags.py": "loaded with --strace only",
    "sentry/strace_flags.py": "loaded with --strace only",
    "sentry/strace_kinds.py": "loaded with --strace only",
    "sentry/strace_sockets.py": "loaded with --strace only",
    "sentry/strace_structs.py": "loaded with --strace only",
    "sentry/strace_tables.py": "loaded with --strace only",
}


def compiled_modules() -> list[str]:
    """Return the modules mypyc compiles; a package's `__init__` is only a docstring."""
    found = sorted(path for top in COMPILED for path in (ROOT / top).rglob("*.py"))
    names = [str(path.relative_to(ROOT)) for path in found if path.name != "__init__.py"]
    return [name for name in names if name not in INTERPRETED]


def main() -> None:
    """Run setuptools."""
    extensions: list[Any] = []
    if os.environ.get("RUNSC_COMPILE") == "1":
        from mypyc.build import mypycify  # not needed, and slow to import, without compiling

        extensions += mypycify(compiled_modules(), group_name="runsc", multi_file=True)
    builders = [f"{name}:ffibuilder" for name in CFFI_BUILDERS]
    setup(ext_modules=extensions, cffi_modules=builders)


if __name__ == "__main__":
    main()
