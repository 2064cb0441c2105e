"""The fast way through a command line: a walk along the words, by a table.

The table `_grammar.py` is generated from the click commands. The walker takes
only what is plainly right, in the forms that container managers use; whatever
is unusual or wrong it leaves to click, by returning None. Where it does take a
command line, it understands the same as click (a property test holds them
together).
"""

from config.flags import parse_bool
from runsc.cmd._grammar import COMMANDS, GLOBALS
from runsc.cmd.call import BOOL, INT, MANY, TEXT, Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


class _NotPlainError(Exception):
    """Something for click to look at."""


class _Words:
    """The words of the command line, and how far the walk came."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.at = 0

    def has_flag(self) -> bool:
        """Say whether the next word is a flag."""
        if self.at >= len(self.words):
            return False
        word = self.words[self.at]
        return word.startswith("-") and word != "-"

    def take(self) -> str:
        """Return the next word."""
        if self.at >= len(self.words):
            raise _NotPlainError
        self.at += 1
        return self.words[self.at - 1]

    def take_flag(self, table: "dict[str, tuple[str, str]]") -> "tuple[str, str, Value]":
        """Return the destination, kind and value of the next flag."""
        word = self.take()
        dashes = 2 if word.startswith("--") else 1
        name, equals, text = word[dashes:].partition("=")
        # `-name` is as good as `--name`, which is how Go programs spell flags.
        if not name or (dashes == 2 and len(name) == 1) or name not in table:
            raise _NotPlainError
        destination, kind = table[name]
        if kind == BOOL:
            truth = parse_bool(text) if equals else True
            if truth is None:
                raise _NotPlainError
            return destination, kind, truth
        if not equals:
            text = self.take()
        if kind == INT:
            if not (text.isascii() and text.isdigit()) or len(text) > 18:
                raise _NotPlainError
            return destination, kind, int(text)
        if kind not in (TEXT, MANY) and text not in kind.split("|"):
            raise _NotPlainError
        return destination, kind, text


def walk(words: list[str]) -> Call | None:
    """Return what the command line says, or None when click has to look at it."""
    try:
        return _walk(_Words(words))
    except _NotPlainError:
        return None


def _walk(words: _Words) -> Call:
    flags: dict[str, bool | str] = {}
    while words.has_flag():
        name, _, value = words.take_flag(GLOBALS)
        flags[name] = value if isinstance(value, bool) else str(value)
    command = words.take()
    if command not in COMMANDS:
        raise _NotPlainError
    table, arguments, rest_name, interspersed, defaults = COMMANDS[command]
    values: dict[str, Value] = dict(defaults)
    found: list[str] = []
    while words.at < len(words.words):
        if words.has_flag() and (interspersed or not found):
            name, kind, value = words.take_flag(table)
            if kind == MANY:
                before = values[name]
                assert isinstance(before, tuple)
                values[name] = (*before, str(value))
            else:
                values[name] = value
        else:
            found.append(words.take())
    _place(values, arguments, rest_name, found)
    return Call(command, flags, values)


def _place(
    values: "dict[str, Value]",
    arguments: "tuple[tuple[str, bool], ...]",
    rest_name: str,
    found: list[str],
) -> None:
    """Give the words that are no flags to the arguments of the command."""
    for index, (name, required) in enumerate(arguments):
        if index < len(found):
            values[name] = found[index]
        elif required:
            raise _NotPlainError
    rest = found[len(arguments) :]
    if rest_name:
        values[rest_name] = tuple(rest)
    elif rest:
        raise _NotPlainError
