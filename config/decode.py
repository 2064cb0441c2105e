"""Typed reading of a JSON object; every error names the field that is wrong.

Unknown fields are left alone, as the OCI specification asks; `null` counts as
absent, because Go writes it for an empty list or map.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json


class FieldError(ValueError):
    """A field is missing or has the wrong type; the message is `path: what`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


def kind_of(value: "Json") -> str:
    """Return how an error message names the type of `value`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


def as_text(value: "Json", path: str) -> str:
    """Return `value` as a string that may go to the kernel: no NUL, encodable."""
    if not isinstance(value, str):
        raise FieldError(path, f"expected a string, got {kind_of(value)}")
    if "\0" in value:
        raise FieldError(path, "has a NUL character")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise FieldError(path, "is not Unicode text (half of a surrogate pair)") from None
    return value


def as_number(value: "Json", path: str, low: int, high: int) -> int:
    """Return `value` as an integer of `low`..`high`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(path, f"expected a whole number, got {kind_of(value)}")
    if not low <= value <= high:
        raise FieldError(path, f"{value} is not in {low}..{high}")
    return value


class Fields:
    """A JSON object and where it stands in the document."""

    def __init__(self, value: "Json", path: str) -> None:
        if not isinstance(value, dict):
            raise FieldError(path, f"expected an object, got {kind_of(value)}")
        self.values: dict[str, Json] = value
        self.path = path

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Say whether the field is there and not null."""
        return self.values.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string; without a default the field is required."""
        value = self.values.get(name)
        if value is None:
            if default is None:
                raise FieldError(self._at(name), "is missing")
            return default
        return as_text(value, self._at(name))

    def flag(self, name: str) -> bool:
        """Return a boolean, False when absent."""
        value = self.values.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise FieldError(self._at(name), f"expected a boolean, got {kind_of(value)}")
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return an integer of `low`..`high`, or the default when absent."""
        value = self.values.get(name)
        if value is None:
            return default
        return as_number(value, self._at(name), low, high)

    def fields(self, name: str) -> "Fields":
        """Return an object, empty when absent."""
        value = self.values.get(name)
        return Fields({} if value is None else value, self._at(name))

    def _items(self, name: str) -> "list[Json]":
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise FieldError(self._at(name), f"expected a list, got {kind_of(value)}")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of strings, empty when absent."""
        at = self._at(name)
        return [as_text(item, f"{at}[{i}]") for i, item in enumerate(self._items(name))]

    def numbers(self, name: str, low: int, high: int) -> list[int]:
        """Return a list of integers, empty when absent."""
        at = self._at(name)
        items = enumerate(self._items(name))
        return [as_number(item, f"{at}[{i}]", low, high) for i, item in items]

    def objects(self, name: str) -> "list[Fields]":
        """Return a list of objects, empty when absent."""
        at = self._at(name)
        return [Fields(item, f"{at}[{i}]") for i, item in enumerate(self._items(name))]

    def text_map(self, name: str) -> dict[str, str]:
        """Return an object whose values are strings, empty when absent."""
        inner = self.fields(name)
        made: dict[str, str] = {}
        for key, value in inner.values.items():
            made[as_text(key, inner.path)] = as_text(value, f"{inner.path}.{key}")
        return made
