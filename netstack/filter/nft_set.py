"""Sets and maps of nf_tables: which element a key belongs to."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

from netstack.environment import Environment

if TYPE_CHECKING:
    from netstack.filter.nft_chain import Expression, NftChain


class Element:
    """One element: a key or, in a set of intervals, where one begins or ends."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.key_end = b""  # of an interval in a set of several fields; empty: just the key
        self.is_end = False  # the interval that began before ends before this key
        self.data = b""  # of a map
        self.verdict = 0  # of a verdict map
        self.chain: NftChain | None = None
        self.expires_ns = 0  # 0: never
        self.expressions: list[Expression] = []

    def is_expired(self, now_ns: int) -> bool:
        """Return whether its time is over."""
        return 0 < self.expires_ns <= now_ns


@mypyc_attr(allow_interpreted_subclasses=True)
class ElementMaker:
    """Makes the elements that packets add to a set."""

    def add(self, key: bytes, data: bytes) -> Element | None:
        """Return a new element that is in the set now; None if there is no room."""
        raise NotImplementedError

    def renew(self, element: Element) -> None:
        """Let an element's time begin again."""
        raise NotImplementedError

    def remove(self, element: Element) -> None:
        """Remove an element."""
        raise NotImplementedError


class NftSet:
    """A set of keys of one length."""

    def __init__(self, environment: Environment, key_length: int) -> None:
        self.environment = environment
        self.key_length = key_length
        self.elements: dict[tuple[bytes, bytes, bool], Element] = {}

    def find(self, key: bytes) -> Element | None:
        """Return the element that a key belongs to."""
        found = self.elements.get((key, b"", False))
        if found is not None and found.is_expired(self.environment.now_ns()):
            return None
        return found

    def insert(self, element: Element) -> None:
        """Add an element that `conflict` has nothing against."""
        self.elements[identity(element)] = element

    def remove(self, element: Element) -> None:
        """Remove an element that is in the set."""
        del self.elements[identity(element)]

    def changed(self) -> None:
        """Note that `elements` were replaced."""

    def conflict(self, element: Element) -> tuple[Element | None, bool]:
        """Return the same element if the set has it, and whether another one overlaps it."""
        return self.elements.get(identity(element)), False


class IntervalSet(NftSet):
    """A set of intervals of one field: elements where they begin, and where they end."""

    def __init__(self, environment: Environment, key_length: int) -> None:
        super().__init__(environment, key_length)
        # In order; an end comes before what begins at the same key.
        self._order: list[tuple[bytes, bool, Element]] = []
        self._keys: list[tuple[bytes, bool]] = []

    def find(self, key: bytes) -> Element | None:
        at = bisect_right(self._keys, (key, True)) - 1
        if at < 0:
            return None
        element = self._order[at][2]
        if element.is_end or element.is_expired(self.environment.now_ns()):
            return None
        return element

    def insert(self, element: Element) -> None:
        super().insert(element)
        place = (element.key, not element.is_end)
        at = bisect_right(self._keys, place)
        self._keys.insert(at, place)
        self._order.insert(at, (element.key, not element.is_end, element))

    def remove(self, element: Element) -> None:
        super().remove(element)
        at = bisect_right(self._keys, (element.key, not element.is_end)) - 1
        del self._keys[at]
        del self._order[at]

    def changed(self) -> None:
        rows = sorted((one.key, not one.is_end) for one in self.elements.values())
        self._keys = rows
        self._order = [(key, begins, self.elements[(key, b"", not begins)]) for key, begins in rows]

    def conflict(self, element: Element) -> tuple[Element | None, bool]:
        same = self.elements.get(identity(element))
        if same is not None:
            return same, False
        at = bisect_right(self._keys, (element.key, not element.is_end)) - 1
        before = self._order[at][2] if at >= 0 else None
        if element.is_end:
            # What it ends must have begun just before; the first end of all ends nothing.
            return None, before is not None and before.is_end
        return None, before is not None and not before.is_end


class FieldsSet(NftSet):
    """A set of several fields, each with its interval."""

    def __init__(
        self, environment: Environment, key_length: int, field_lengths: tuple[int, ...]
    ) -> None:
        super().__init__(environment, key_length)
        self.field_lengths = field_lengths

    def find(self, key: bytes) -> Element | None:
        now_ns = self.environment.now_ns()
        for element in self.elements.values():
            if self._has(element, key, key) and not element.is_expired(now_ns):
                return element
        return None

    def _has(self, element: Element, low: bytes, high: bytes) -> bool:
        """Return whether an element and an interval have a key in common."""
        end = element.key_end or element.key
        at = 0
        for length in self.field_lengths:
            behind = at + length
            if high[at:behind] < element.key[at:behind] or low[at:behind] > end[at:behind]:
                return False
            at += (length + 3) & ~3  # each begins a register
        return True

    def conflict(self, element: Element) -> tuple[Element | None, bool]:
        same = self.elements.get(identity(element))
        if same is not None:
            return same, False
        end = element.key_end or element.key
        return None, any(self._has(one, element.key, end) for one in self.elements.values())


def identity(element: Element) -> tuple[bytes, bytes, bool]:
    """Return what tells an element from others."""
    return element.key, element.key_end, element.is_end
