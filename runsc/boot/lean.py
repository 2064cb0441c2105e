"""Stand-ins for `typing` and `mypy_extensions` in the sandbox process.

Compiled modules look a few names up there when they are loaded, none of which
means anything at run time.  The real modules, with all that they import, are a
quarter of the time and a fifth of the memory of a sandbox that has just
started.  They are replaced only where they are not loaded yet, and only in
this process: nothing but the kernel and this package is imported in it.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import TypeVar

    Decorated = TypeVar("Decorated")


class Subscriptable:
    """Any type form: `Final[int]`, `IO[bytes]`."""

    def __class_getitem__(cls, item: object) -> "type[Subscriptable]":
        return cls


class NewType:
    """typing.NewType: a function that returns its argument."""

    def __init__(self, name: str, base: object) -> None:
        self.__name__ = name
        self.__supertype__ = base

    def __call__(self, value: object) -> object:
        """Return `value`."""
        return value


def unchanged(decorated: "Decorated") -> "Decorated":
    """Return what is decorated."""
    return decorated


def mypyc_attr(*attributes: str, **options: object) -> object:
    """mypy_extensions.mypyc_attr: options of the compiler, which has read them."""
    return unchanged


TYPING: "dict[str, object]" = {
    "TYPE_CHECKING": False,
    "Final": Subscriptable,
    "IO": Subscriptable,
    "Any": object,
    "NewType": NewType,
}
MYPY_EXTENSIONS: "dict[str, object]" = {"mypyc_attr": mypyc_attr, "trait": unchanged}


def install() -> None:
    """Put the stand-ins where `import` finds them."""
    for name, members in (("typing", TYPING), ("mypy_extensions", MYPY_EXTENSIONS)):
        if name not in sys.modules:
            sys.modules[name] = make_module(name, members)


def make_module(name: str, members: "dict[str, object]") -> "ModuleType":
    """Return a module with these members."""
    module = type(sys)(name)
    vars(module).update(members)
    return module
