"""Build what runs: the C extensions, and the tree in which mypyc compiled `sentry` and `netstack`.

    build.py extensions   the C extensions only, beside their sources: the interpreted tree runs
    build.py              those, and build/compiled: a whole tree of its own, ready to be installed

Nothing is done twice: every step is named by the content of what goes into it, so only what changed
is compiled again. `build/compiled/manifest` lists the sources with their times; bin/runsc uses the
compiled tree only while all of them are untouched, so a stale build is never run.
"""

import hashlib
import importlib.metadata
import os
import py_compile
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setup import CFFI_BUILDERS, COMPILED, INTERPRETED, ROOT, compiled_modules

BUILD = ROOT / "build"
TREE = BUILD / "compiled"
OBJECTS = BUILD / "objects"
PACKAGES = ("config", "netstack", "runsc", "sentry")
OPTIMISATION = os.environ.get("RUNSC_OPT_LEVEL", "2")
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))
GROUP = "runsc"


def say(text: str) -> None:
    """Tell the user what takes long."""
    print(f"build: {text}", file=sys.stderr, flush=True)


def digest(*parts: str | bytes) -> str:
    """Return the name of what is made from `parts`."""
    whole = hashlib.sha256()
    for part in (sys.version, *parts):
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "little") + data)
    return whole.hexdigest()


def digest_of_files(paths: list[Path], *parts: str) -> str:
    """Return the name of what is made from the files' names and contents, and `parts`."""
    contents: list[str | bytes] = list(parts)
    for path in paths:
        contents += [str(path.relative_to(ROOT)), path.read_bytes()]
    return digest(*contents)


def sources() -> list[Path]:
    """Return all Python files of the product."""
    return sorted(path for top in PACKAGES for path in (ROOT / top).rglob("*.py"))


# --- the C extensions -------------------------------------------------------------------


def build_extensions() -> None:
    """Build the cffi extensions whose sources changed, and put them beside those."""
    for name in CFFI_BUILDERS:
        builder = ROOT / name
        if builder.is_file():
            _build_extension(builder)


def _build_extension(builder: Path) -> None:
    """Build one; what goes into it is its builder and every C file of that directory."""
    inputs = [builder, *sorted(builder.parent.rglob("*.[chS]"))]
    key = digest_of_files(inputs, importlib.metadata.version("cffi"))
    stamp = BUILD / "extensions" / builder.stem
    if stamp.is_file():
        built, have, content = (stamp.read_text() + "\n\n").split("\n")[:3]
        library = builder.parent / built
        if have == key and library.is_file() and content == digest_of_files([library]):
            return
    say(f"extension {builder.relative_to(ROOT)}")
    scratch = BUILD / "cffi" / builder.stem
    shutil.rmtree(scratch, ignore_errors=True)
    ffi = runpy.run_path(str(builder))["ffibuilder"]
    library = Path(ffi.compile(tmpdir=str(scratch)))
    for stale in builder.parent.glob(f"{library.name.partition('.')[0]}.*.so"):
        stale.unlink()
    # Renamed into place: a process that has the old one mapped keeps it.
    fresh = builder.parent / f".{library.name}.new"
    shutil.copy(library, fresh)
    fresh.rename(builder.parent / library.name)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    content = digest_of_files([builder.parent / library.name])
    stamp.write_text(f"{library.name}\n{key}\n{content}")


# --- mypyc ------------------------------------------------------------------------------


class Unit:
    """A shared library to be made: what mypyc says about it, whoever's Extension that is."""

    def __init__(self, extension: Any) -> None:
        self.name: str = extension.name
        self.sources = [str(source) for source in extension.sources]
        flags = [flag for flag in extension.extra_compile_args if flag != "-Werror"]
        includes = [str(sysconfig.get_config_var("INCLUDEPY")), *extension.include_dirs]
        compiler = shlex.split(os.environ.get("CC", "gcc"))
        always = ["-c", "-fPIC", "-DNDEBUG", "-fwrapv"]
        self.command = [*compiler, *always, *flags, *(f"-I{path}" for path in includes)]


def generate_c(directory: Path) -> list[Unit]:
    """Let mypyc write the C files of all compiled modules; a type error ends the build."""
    from mypyc.build import mypycify  # slow to import, and a fresh build needs it not

    os.chdir(ROOT)
    # Strictness is the linter's: here only what mypyc itself cannot take is an error.
    options = ["--config-file=", "--follow-imports=silent", "--ignore-missing-imports"]
    extensions = mypycify(
        [*options, *compiled_modules()],
        group_name=GROUP,
        multi_file=True,
        opt_level=OPTIMISATION,
        debug_level="0",
        target_dir=str(directory.relative_to(ROOT)),
    )
    return [Unit(unit) for unit in extensions]


def compile_object(command: list[str], source: Path, headers: str) -> Path:
    """Compile one C file, unless its object is there already."""
    output = OBJECTS / f"{digest(source.read_bytes(), headers, *command)}.o"
    if not output.is_file():
        partial = output.with_suffix(f".{os.getpid()}.{source.stem}")
        subprocess.run([*command, "-o", str(partial), str(source)], check=True)
        partial.rename(output)
    os.utime(output)
    return output


def link_library(objects: list[Path], output: Path) -> None:
    """Link a library that exports nothing but what Python looks for.

    The modules then call each other directly, and the loader has no symbols to look up: of the
    twenty thousand that mypyc makes each would cost every sandbox's start a search.
    """
    script = output.with_suffix(".map")
    script.write_text("{ global: PyInit_*; local: *; };\n")
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    options = ["-shared", "-s", f"-Wl,--version-script={script}", "-o", str(output)]
    subprocess.run([*compiler, *options, *map(str, objects)], check=True)
    script.unlink()


def compile_modules(tree: Path) -> None:
    """Compile the modules into `tree`."""
    modules = compiled_modules()
    say(f"mypyc: {len(modules)} modules")
    began = time.monotonic()
    directory = BUILD / "mypyc"
    units = generate_c(directory)
    say(f"mypyc: C written after {time.monotonic() - began:.0f} s; compiling")
    OBJECTS.mkdir(parents=True, exist_ok=True)
    headers = digest_of_files(sorted(directory.rglob("*.h")))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            [
                pool.submit(compile_object, unit.command, Path(source), headers)
                for source in unit.sources
            ]
            for unit in units
        ]
        objects = [[job.result() for job in group] for group in jobs]
    for unit, group in zip(units, objects, strict=True):
        output = tree / (unit.name.replace(".", "/") + SUFFIX)
        output.parent.mkdir(parents=True, exist_ok=True)
        link_library(group, output)
    say(f"mypyc: done after {time.monotonic() - began:.0f} s")


def forget_old_objects() -> None:
    """Remove objects that no build used for a week."""
    for path in OBJECTS.glob("*.o"):
        if path.stat().st_mtime < time.time() - 7 * 24 * 3600:
            path.unlink()


# --- the tree ---------------------------------------------------------------------------


def build_native(key: str) -> Path:
    """Return the directory that holds mypyc's results for the sources named by `key`."""
    native = BUILD / "native"
    stamp = native / "key"
    if stamp.is_file() and stamp.read_text() == key:
        return native
    fresh = BUILD / "native.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    compile_modules(fresh)
    (fresh / "key").write_text(key)
    shutil.rmtree(native, ignore_errors=True)
    fresh.rename(native)
    forget_old_objects()
    return native


def build_tree() -> None:
    """Bring build/compiled up to date."""
    build_extensions()
    every = sources()
    manifest = times_of(every)  # as they were before: what changes meanwhile is stale
    scripts = [Path(__file__).resolve(), ROOT / "setup.py"]
    compiled = [path for path in every if path.relative_to(ROOT).parts[0] in COMPILED]
    native_key = digest_of_files(
        compiled + scripts, OPTIMISATION, importlib.metadata.version("mypy")
    )
    libraries = sorted(path for top in PACKAGES for path in (ROOT / top).rglob("*.so"))
    key = digest_of_files(every + libraries, native_key)
    stamp = TREE / "key"
    if not stamp.is_file() or stamp.read_text() != key:
        native = build_native(native_key)
        if times_of(every) != manifest:
            (native / "key").unlink()
            raise SystemExit("build: sources changed while they were compiled; build again")
        fresh = BUILD / "compiled.new"
        shutil.rmtree(fresh, ignore_errors=True)
        copy_packages(fresh)
        shutil.copytree(native, fresh, dirs_exist_ok=True)
        (fresh / "key").write_text(key)
        shutil.rmtree(TREE, ignore_errors=True)
        fresh.rename(TREE)
        say(f"{TREE.relative_to(ROOT)} is up to date")
    write_manifest(manifest)


def copy_packages(tree: Path) -> None:
    """Copy the product's packages to `tree`, with their bytecode."""
    wanted = shutil.ignore_patterns("__pycache__", "*_build.py", "*.c", "*.h", "*.S", "*.pyi")
    for top in PACKAGES:
        shutil.copytree(ROOT / top, tree / top, ignore=wanted)
        for path in (tree / top).rglob("*.py"):
            compile_bytecode(path, str(path.relative_to(tree)))


def compile_bytecode(path: Path, shown: str) -> None:
    """Write the bytecode of one module; it is used whatever the source's time says."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(path), dfile=shown, doraise=True, invalidation_mode=mode)


def times_of(paths: list[Path]) -> str:
    """Return what bin/runsc compares: each source's time in nanoseconds and name."""
    return "".join(f"{path.stat().st_mtime_ns} {path.relative_to(ROOT)}\n" for path in paths)


def write_manifest(text: str) -> None:
    """Say which sources the compiled tree is made of."""
    fresh = TREE / "manifest.new"
    fresh.write_text(text)
    fresh.rename(TREE / "manifest")


def main(arguments: list[str]) -> int:
    """Build."""
    stale = [name for name in INTERPRETED if not (ROOT / name).is_file()]
    if stale:
        say(f"warning: setup.py lists modules that are not there: {', '.join(stale)}")
    if arguments == ["extensions"]:
        build_extensions()
    elif not arguments:
        build_tree()
    else:
        say(f"unknown arguments {arguments}")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
