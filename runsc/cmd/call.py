"""A command line that has been understood, by the walker or by click."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Value: TypeAlias = "bool | int | str | tuple[str, ...] | None"

# How the walker reads the value of a flag; anything else is choices with | between.
BOOL = "bool"
INT = "int"
TEXT = "text"
MANY = "many"


class Call:
    """A command with its flags and arguments."""

    def __init__(
        self, command: str, flags: dict[str, bool | str], values: "dict[str, Value]"
    ) -> None:
        self.command = command
        self.flags = flags  # the global flags that were given
        self.values = values  # of the command, all of them

    def text(self, name: str) -> str:
        """Return a value that is text."""
        value = self.values[name]
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """Return a value that is a number."""
        value = self.values[name]
        return value if isinstance(value, int) else 0

    def flag(self, name: str) -> bool:
        """Return a value that is true or false."""
        return self.values[name] is True

    def words(self, name: str) -> list[str]:
        """Return a value that is several words."""
        value = self.values[name]
        return list(value) if isinstance(value, tuple) else []
