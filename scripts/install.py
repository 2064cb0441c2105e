"""Put the program below a prefix: bin/runsc, and lib/runsc with everything it imports.

    install.py [--interpreted] PREFIX

Nothing goes where Python looks for packages: `config`, `sentry` and the others are found only by
bin/runsc, so their names collide with nobody's.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from scripts.build import TREE, compile_bytecode, copy_packages, say
from setup import ROOT

# What of the virtual environment the program imports; what is not there was not needed.
PRIVATE = ("click", "cffi", "pycparser", "pyroute2", "librt", "mypy_extensions.py", "pyseccomp.py")
PRIVATE_LIBRARIES = ("_cffi_backend.*.so", "seccomp.*.so")
NOT_RUN = shutil.ignore_patterns("__pycache__", "tests", "*.pyi", "key", "manifest", "*.c", "*.h")


def install(prefix: Path, interpreted: bool) -> None:
    """Install below `prefix`, replacing what an earlier installation left in lib/runsc."""
    library = prefix / "lib" / "runsc"
    fresh = library.with_name(".runsc.new")
    shutil.rmtree(fresh, ignore_errors=True)
    library.parent.mkdir(parents=True, exist_ok=True)
    if interpreted:
        copy_packages(fresh)
    else:
        shutil.copytree(TREE, fresh, ignore=shutil.ignore_patterns("key", "manifest"))
    copy_dependencies(fresh)
    shutil.rmtree(library, ignore_errors=True)
    fresh.rename(library)
    install_launcher(prefix / "bin" / "runsc")


def copy_dependencies(library: Path) -> None:
    """Copy the packages of others, with their bytecode."""
    packages = Path(sysconfig.get_path("purelib"))
    for name in PRIVATE:
        source, target = packages / name, library / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=NOT_RUN)
            modules = sorted(target.rglob("*.py"))
        elif source.is_file():
            shutil.copy(source, target)
            modules = [target]
        else:
            continue
        for module in modules:
            compile_bytecode(module, str(module.relative_to(library)))
    for pattern in PRIVATE_LIBRARIES:
        for file in packages.glob(pattern):
            shutil.copy(file, library / file.name)


def install_launcher(target: Path) -> None:
    """Install bin/runsc; running containers keep the one they were started from."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copy(ROOT / "bin" / "runsc", fresh)
    fresh.chmod(0o755)
    fresh.rename(target)


def main(arguments: list[str]) -> int:
    """Install."""
    interpreted = arguments[:1] == ["--interpreted"]
    rest = arguments[1:] if interpreted else arguments
    if len(rest) != 1:
        say("usage: install.py [--interpreted] PREFIX")
        return 2
    prefix = Path(rest[0]).absolute()
    install(prefix, interpreted)
    say(f"installed {prefix / 'bin' / 'runsc'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
