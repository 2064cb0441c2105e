"""Stand-ins for modules of the standard library in the sandbox process.

Compiled modules look a few names up in `typing` and `mypy_extensions` when they
are loaded, none of which means anything at run time.  The real modules, with
all that they import, are a quarter of the time and a fifth of the memory of a
sandbox that has just started.  Of `collections`, `hashlib` and `hmac` what is used
is written in C; without their Python code, there is no OpenSSL.

They are replaced only where they are not loaded yet, and only in this process:
nothing but the kernel and this package is imported in it.
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
    if "collections" not in sys.modules:
        import _collections  # type: ignore[import-not-found]  # typeshed has it not
        import _collections_abc

        members = {"deque": _collections.deque, "abc": _collections_abc}
        sys.modules["collections"] = make_module("collections", members)
        sys.modules["collections.abc"] = _collections_abc
    if "hashlib" not in sys.modules:
        import _blake2

        members = {"blake2b": _blake2.blake2b, "blake2s": _blake2.blake2s}
        sys.modules["hashlib"] = make_module("hashlib", members)
    if "hmac" not in sys.modules:
        from _operator import _compare_digest

        sys.modules["hmac"] = make_module("hmac", {"compare_digest": _compare_digest})


def make_module(name: str, members: "dict[str, object]") -> "ModuleType":
    """Return a module with these members."""
    module = type(sys)(name)
    vars(module).update(members)
    return module
