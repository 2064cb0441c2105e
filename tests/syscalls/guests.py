"""Guest programs: what cases there are, compiling them, and running them in a world."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.harness.bundle import Runtime, sandboxed
from tests.harness.native import native
from tests.harness.outcome import Outcome

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "tests" / "guests"
CACHE = ROOT / ".cache" / "guests"
EXPECTED_FAILURES = Path(__file__).parent / "expected_failures.txt"
COMPILE = ["gcc", "-std=gnu11", "-O1", "-g", "-static", "-pthread", "-Wall", "-Wextra"]

# Programs that run in two working directories: on the root file system and on a tmpfs.
PLACES = {"": "/root", "tmp": "/tmp"}

_CASE = re.compile(r"^CASE\((\w+)\)", re.MULTILINE)
_RESULT = re.compile(r"^(ok|FAIL) (\w+) ?(.*)$", re.MULTILINE)


def programs() -> dict[str, list[str]]:
    """Return the cases of every program, in the order of its source."""
    sources = sorted(path for path in SOURCES.glob("*.c") if path.name != "guest.c")
    return {path.stem: _CASE.findall(path.read_text()) for path in sources}


def places(program: str) -> list[str]:
    """Return where the program's cases run: the names of PLACES."""
    source = (SOURCES / f"{program}.c").read_text()
    return list(PLACES) if "Also on tmpfs." in source else [""]


def expected_failures() -> dict[str, str]:
    """Return the reason for each `program.case` that the sandbox is known to get wrong."""
    lines = EXPECTED_FAILURES.read_text().splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line.strip() and line[0] != "#"]
    return {pair[0]: pair[1] for pair in pairs}


def compiled(program: str) -> Path:
    """Return the program, compiled; each content of its sources is compiled once."""
    sources = [SOURCES / name for name in ("guest.c", f"{program}.c")]
    digest = hashlib.sha256(" ".join(COMPILE).encode())
    for source in [*sources, *sorted(SOURCES.glob("*.h"))]:
        digest.update(source.read_bytes())
    final = CACHE / f"{program}-{digest.hexdigest()[:16]}"
    if not final.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob(f"{program}-*"):
            old.unlink(missing_ok=True)
        handle, partial = tempfile.mkstemp(dir=CACHE)
        os.close(handle)
        argv = [*COMPILE, "-o", partial, *map(str, sources)]
        try:
            subprocess.run(argv, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError:
            os.unlink(partial)
            raise
        os.chmod(partial, 0o755)
        os.rename(partial, final)
    return final


class Guests:
    """Runs the wanted cases of a program once in each world, and keeps what they reported."""

    def __init__(self, runtime: Runtime, base: Path, scratch: Path) -> None:
        self.runtime = runtime
        self.tree = scratch / "rootfs"
        subprocess.run(["cp", "-a", str(base), str(self.tree)], check=True)
        self.wanted: dict[tuple[str, str], list[str]] = {}  # world, program: cases
        self.results: dict[tuple[str, str], dict[str, str]] = {}

    def result(self, world: str, program: str, case: str) -> str:
        """Return "" if the case passed there, else what it reported."""
        key = (world, program)
        if key not in self.results:
            self.results[key] = self._run_all(world, program, self.wanted[key])
        return " ".join(self.results[key][case].split("\n"))

    def _run_all(self, world: str, program: str, cases: list[str]) -> dict[str, str]:
        """Run all cases; one that ends the whole run is blamed, and the rest runs again."""
        try:
            self._install(program)
        except subprocess.CalledProcessError as error:
            return dict.fromkeys(cases, f"{error}\n{error.stderr}")
        results: dict[str, str] = {}
        while len(results) < len(cases):
            todo = [case for case in cases if case not in results]
            try:
                outcome = self._run(world, program, todo)
            except AssertionError as error:
                return {case: results.get(case, str(error)) for case in cases}
            found = {name: text for _, name, text in _RESULT.findall(outcome.out)}
            results |= {case: found[case] for case in todo if case in found}
            if len(found) < len(todo):
                lost = next(case for case in todo if case not in found)
                results[lost] = f"no result of it; {outcome.describe()}"
        return results

    def _run(self, world: str, program: str, cases: list[str]) -> Outcome:
        kind, _, place = world.partition("-")
        argv = [f"/bin/guest-{program}", *cases]
        timeout = 30.0 + 12.0 * len(cases)
        if kind == "native":
            return native(self.tree, argv, cwd=PLACES[place], timeout=timeout)
        return sandboxed(self.runtime, self.tree, argv, cwd=PLACES[place], timeout=timeout)

    def _install(self, program: str) -> None:
        """Put the program into the tree, and compare what it lists with its source."""
        target = self.tree / "bin" / f"guest-{program}"
        if target.exists():
            return
        shutil.copy(compiled(program), target)
        listed = subprocess.run([str(target)], check=True, capture_output=True, text=True)
        assert sorted(listed.stdout.split()) == sorted(programs()[program])
