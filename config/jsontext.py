"""JSON (RFC 8259) as the callers of a runtime write it, with strict limits.

The functions sit directly on the accelerator of the standard library, because
the package `json` itself imports regular expressions and costs more than
everything else that a short command does.
"""

import _json

# `typing` costs as much as the rest of a short command: type checkers alone load it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_TEXT_BYTES = 8 << 20  # a Docker bundle has 30 KiB; a large seccomp profile some more
MAX_DEPTH = 64
_SPACE = " \t\r\n"


class JsonError(ValueError):
    """The text is not JSON, or goes beyond the limits; the message is one line."""


class _ScanContext:
    """The settings that the C scanner reads from its argument."""

    def __init__(self) -> None:
        self.strict = True
        self.object_hook = None
        self.object_pairs_hook = _make_object
        self.parse_float = float
        self.parse_int = _parse_int
        self.parse_constant = _refuse_constant
        self.memo: dict[str, str] = {}


def _make_object(pairs: "list[tuple[str, Json]]") -> "dict[str, Json]":
    made = dict(pairs)
    if len(made) != len(pairs):
        seen = set()
        for name, _ in pairs:
            if name in seen:
                raise JsonError(f"duplicate key {name!r}")
            seen.add(name)
    return made


def _parse_int(digits: str) -> int:
    # 64 bits are all that any field of the OCI specification can hold.
    if len(digits) > 20:
        raise JsonError(f"number {digits[:20]}... is too large")
    return int(digits)


def _refuse_constant(name: str) -> float:
    raise JsonError(f"{name} is not JSON")


def _check_depth(value: "Json") -> None:
    level: list[Json] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise JsonError("nested too deeply")
        below: list[Json] = []
        for item in level:
            if type(item) is dict:
                below.extend(item.values())
            elif type(item) is list:
                below.extend(item)
        level = below


def _make_scanner() -> "Callable[[str, int], tuple[Json, int]]":
    # typeshed has the scanner take itself for its context.
    return _json.make_scanner(_ScanContext())  # type: ignore[arg-type]


def loads(text: bytes) -> "Json":
    """Return the value that `text` holds; raise JsonError when it is not strict JSON."""
    if len(text) > MAX_TEXT_BYTES:
        raise JsonError(f"larger than {MAX_TEXT_BYTES} bytes")
    try:
        chars = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from None
    start = len(chars) - len(chars.lstrip(_SPACE))
    try:
        value, end = _make_scanner()(chars, start)
    except StopIteration as stop:
        raise JsonError(f"no value at {_place(chars, int(stop.value))}") from None
    except RecursionError:
        raise JsonError("nested too deeply") from None
    except JsonError:
        raise
    except (SystemError, ValueError):
        raise _explain(chars, start) from None
    if chars[end:].strip(_SPACE):
        raise JsonError(f"extra text at {_place(chars, end)}")
    _check_depth(value)
    return value


def _explain(chars: str, start: int) -> JsonError:
    # The scanner can only say what is wrong once the package `json` is loaded.
    from json import JSONDecodeError

    try:
        _make_scanner()(chars, start)
    except JSONDecodeError as error:
        return JsonError(f"{error.msg.lower()} at {_place(chars, error.pos)}")
    return JsonError("not JSON")


def _place(chars: str, at: int) -> str:
    line = chars.count("\n", 0, at) + 1
    column = at - chars.rfind("\n", 0, at)
    return f"line {line} column {column}"


def _refuse_object(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dumps(value: "Json", indent: int = 0) -> str:
    """Return `value` as JSON in one line, or indented for people to read."""
    if indent:
        parts: list[str] = []
        _write_indented(value, " " * indent, "\n", parts)
        return "".join(parts)
    encoder = _json.make_encoder(
        None, _refuse_object, _json.encode_basestring_ascii, None, ":", ",", False, False, False
    )
    return "".join(encoder(value, 0))


def _write_indented(value: "Json", step: str, newline: str, parts: list[str]) -> None:
    deeper = newline + step
    if isinstance(value, dict) and value:
        lead = "{"
        for name, item in value.items():
            parts.append(f"{lead}{deeper}{_json.encode_basestring_ascii(name)}: ")
            _write_indented(item, step, deeper, parts)
            lead = ","
        parts.append(newline + "}")
    elif isinstance(value, list) and value:
        lead = "["
        for item in value:
            parts.append(lead + deeper)
            _write_indented(item, step, deeper, parts)
            lead = ","
        parts.append(newline + "]")
    else:
        parts.append(dumps(value))
