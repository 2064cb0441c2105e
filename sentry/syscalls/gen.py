"""Writes `_dispatch.py`, which decodes registers for the handlers, and docs/syscalls.md.

Run as `python -m sentry.syscalls.gen`; with `--check` it changes nothing and
exits with 1 if a file is out of date.
"""

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import sentry.syscalls
from sentry.abi.syscalls import NAMES
from sentry.syscalls.table import NOTES

HERE = Path(__file__).parent
DISPATCH = HERE / "_dispatch.py"
DOCUMENT = HERE.parent.parent / "docs" / "syscalls.md"
NOT_FAMILIES = {"table", "gen", "_dispatch", "invoke"}
REGISTERS = ("a0", "a1", "a2", "a3", "a4", "a5")

# How the annotation of a parameter reads its register; see sentry/abi/types.py.
DECODERS = {
    "Int": "Int(s32({}))",
    "Uint": "Uint(u32({}))",
    "Long": "Long(s64({}))",
    "Ulong": "Ulong({})",
    "Size": "Size({})",
    "Off": "Off(s64({}))",
    "Fd": "Fd(s32({}))",
    "Pid": "Pid(s32({}))",
    "Mode": "Mode(u16({}))",
    "UserPtr": "UserPtr({})",
}


def families() -> list[ModuleType]:
    """Return the modules that may have handlers."""
    names = sorted(info.name for info in pkgutil.iter_modules(sentry.syscalls.__path__))
    return [
        importlib.import_module(f"sentry.syscalls.{name}")
        for name in names
        if name not in NOT_FAMILIES
    ]


def handlers() -> dict[str, tuple[str, list[str]]]:
    """Return for each call its module and the annotations of its arguments."""
    found: dict[str, tuple[str, list[str]]] = {}
    for module in families():
        family = module.__name__.rpartition(".")[2]
        for name, value in sorted(vars(module).items()):
            if not name.startswith("sys_") or value.__module__ != module.__name__:
                continue
            kinds = [
                _annotation(parameter)
                for parameter in list(inspect.signature(value).parameters.values())[1:]
            ]
            call = name.removeprefix("sys_")
            if call in found:
                raise SystemExit(f"{call}: handlers in {found[call][0]} and {family}")
            found[call] = (family, kinds)
    unknown = set(found) - set(NAMES.values())
    if unknown:
        raise SystemExit(f"no such system calls: {sorted(unknown)}")
    return found


def _annotation(parameter: inspect.Parameter) -> str:
    """Return the name of the type (compiled modules know only `int`: never run on those)."""
    kind = parameter.annotation
    name: str = kind if isinstance(kind, str) else kind.__name__
    return name


def dispatch_text() -> str:
    """Return what `_dispatch.py` should be."""
    found = handlers()
    used_kinds = sorted({kind for _, kinds in found.values() for kind in kinds})
    helpers = ["s32", "s64", "u16", "u32"]
    used_families = sorted({family for family, _ in found.values()})
    lines = [
        '"""Decodes registers for the handlers.  Made by gen.py: do not edit."""',
        "",
        "from collections.abc import Callable",
        "from typing import Final",
        "",
        f"from sentry.abi.types import {', '.join(sorted(used_kinds) + helpers)}",
        "from sentry.kernel.task import Task",
        "from sentry.platform.interface import GuestThread",
        "from sentry.syscalls import (",
        *[f"    {family}," for family in used_families],
        ")",
        "",
    ]
    numbers = sorted((number, name) for number, name in NAMES.items() if name in found)
    for _, name in numbers:
        family, kinds = found[name]
        arguments = "".join(
            ", " + DECODERS[kind].format(f"t.{register}")
            for kind, register in zip(kinds, REGISTERS, strict=False)
        )
        unused = "" if kinds else "  # noqa: ARG001"
        lines += [
            "",
            f"def _{name}(task: Task, t: GuestThread) -> int:{unused}",
            f"    return {family}.sys_{name}(task{arguments})",
            "",
        ]
    lines += [
        "",
        "Handler = Callable[[Task, GuestThread], int]",
        "",
        "HANDLERS: Final[dict[int, Handler]] = {",
        *[f"    {number}: _{name}," for number, name in numbers],
        "}",
    ]
    return "\n".join(lines) + "\n"


def document_text() -> str:
    """Return what docs/syscalls.md should be."""
    found = handlers()
    lines = [
        "# System calls",
        "",
        "Made by `python -m sentry.syscalls.gen` from the handlers and",
        "`sentry/syscalls/table.py`; do not edit.",
        "",
        "| number | call | support |",
        "| --- | --- | --- |",
    ]
    for number, name in sorted(NAMES.items()):
        support = "`ENOSYS`" if name not in found else NOTES.get(name, "yes")
        lines.append(f"| {number} | `{name}` | {support} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the files, or with `--check` compare them."""
    check = sys.argv[1:] == ["--check"]
    stale: list[str] = []
    for path, text in ((DISPATCH, dispatch_text()), (DOCUMENT, document_text())):
        if path.exists() and path.read_text() == text:
            continue
        if check:
            stale.append(path.name)
        else:
            path.write_text(text)
    if stale:
        raise SystemExit(f"out of date: {', '.join(stale)}; run python -m sentry.syscalls.gen")


if __name__ == "__main__":
    main()
