"""Sets of nf_tables that packets change: add, update and delete in rules."""

from typing import Final

from netstack.filter.nft_expressions import (
    SET_ADD,
    SET_DELETE,
    SET_UPDATE,
    SetChange,
)
from netstack.filter.nft_set import Element, ElementMaker
from sentry.abi import nf_tables as abi
from sentry.abi.errno import EBUSY, EINVAL, EOPNOTSUPP
from sentry.errors import SysError
from sentry.socket.nftables.attributes import (
    Attributes,
    be,
    be32,
    be64,
    be_or,
    register,
    text,
)
from sentry.socket.nftables.changes import EXPRESSIONS, size_of_element
from sentry.socket.nftables.expressions import Context, made
from sentry.socket.nftables.lookups import find_set
from sentry.socket.nftables.ruleset import RuleExpression, Ruleset, SetElement, SetState
from sentry.socket.nftables.set_changes import copies_of, parse_parts, show_parts

NS_PER_MS: Final = 1_000_000
# Elements of a set that packets change and that has no limit of its own.
DEFAULT_LIMIT: Final = 65535


class Maker(ElementMaker):
    """Makes elements of one set, within the bounds."""

    def __init__(
        self, ruleset: Ruleset, item: SetState, timeout_ms: int, parts: list[RuleExpression]
    ) -> None:
        self.ruleset = ruleset
        self.item = item
        self.timeout_ms = timeout_ms
        self.parts = parts

    def add(self, key: bytes, data: bytes) -> Element | None:
        element = SetElement(key)
        element.data = data
        element.timeout_ms = self.timeout_ms
        element.parts = copies_of(self.ruleset, self.parts)
        element.expressions = [part.code for part in element.parts]
        self.renew(element)
        elements = self.item.code.elements
        old = elements.get((key, b"", False))
        if isinstance(old, SetElement):
            forget(self.ruleset, self.item, old)  # its time is over
        limit = self.item.limit
        if len(elements) >= limit:
            purge(self.ruleset, self.item)
        if len(elements) >= limit:
            return None
        size = size_of_element(element)
        try:
            self.ruleset.grow(elements=1, size=size)
        except SysError:
            self.ruleset.grow(elements=-1, size=-size)
            return None
        self.item.code.insert(element)
        return element

    def renew(self, element: Element) -> None:
        if self.timeout_ms:
            now_ns = self.ruleset.stack.environment.now_ns()
            element.expires_ns = now_ns + self.timeout_ms * NS_PER_MS

    def remove(self, element: Element) -> None:
        if isinstance(element, SetElement):
            forget(self.ruleset, self.item, element)


def forget(ruleset: Ruleset, item: SetState, element: SetElement) -> None:
    """Remove an element."""
    item.code.remove(element)
    ruleset.grow(elements=-1, size=-size_of_element(element))


def purge(ruleset: Ruleset, item: SetState) -> None:
    """Remove the elements whose time is over."""
    now_ns = ruleset.stack.environment.now_ns()
    for element in list(item.code.elements.values()):
        if isinstance(element, SetElement) and element.is_expired(now_ns):
            forget(ruleset, item, element)


def _make_dynset(context: Context, attributes: Attributes) -> RuleExpression:
    item = find_set(
        context.table,
        context.journal,
        attributes,
        abi.NFTA_DYNSET_SET_NAME,
        abi.NFTA_DYNSET_SET_ID,
    )
    if item.flags & abi.NFT_SET_CONSTANT:
        raise SysError(EBUSY)
    # Of other sets packets cannot change the elements.
    if item.flags & abi.NFT_SET_INTERVAL or (item.limit and not item.flags & abi.NFT_SET_EVAL):
        raise SysError(EOPNOTSUPP)
    operation = be(attributes, abi.NFTA_DYNSET_OP, 4)
    has_timeouts = bool(item.flags & abi.NFT_SET_TIMEOUT)
    if operation not in {SET_ADD, SET_UPDATE, SET_DELETE}:
        raise SysError(EOPNOTSUPP)
    flags = be_or(attributes, abi.NFTA_DYNSET_FLAGS, 4, 0)
    if flags & ~(abi.NFT_DYNSET_F_INV | abi.NFT_DYNSET_F_EXPR):
        raise SysError(EOPNOTSUPP)
    timeout = be_or(attributes, abi.NFTA_DYNSET_TIMEOUT, 8, 0)
    if timeout and not has_timeouts:
        raise SysError(EOPNOTSUPP)
    source = context.registers.source(attributes, abi.NFTA_DYNSET_SREG_KEY, item.code.key_length)
    shown = text(abi.NFTA_DYNSET_SET_NAME, item.name) + be32(abi.NFTA_DYNSET_OP, operation)
    shown += register(abi.NFTA_DYNSET_SREG_KEY, source)
    data_at = 0
    if item.flags & abi.NFT_SET_MAP:
        if item.is_verdict_map() or abi.NFTA_DYNSET_SREG_DATA not in attributes:
            raise SysError(EOPNOTSUPP if item.is_verdict_map() else EINVAL)
        data_at = context.registers.source(attributes, abi.NFTA_DYNSET_SREG_DATA, item.data_length)
        shown += register(abi.NFTA_DYNSET_SREG_DATA, data_at)
    elif abi.NFTA_DYNSET_SREG_DATA in attributes:
        raise SysError(EINVAL)
    shown += be64(abi.NFTA_DYNSET_TIMEOUT, timeout) if timeout else b""
    single, several = abi.NFTA_DYNSET_EXPR, abi.NFTA_DYNSET_EXPRESSIONS
    parts = parse_parts(context, attributes, single, several)
    if parts and not item.flags & abi.NFT_SET_EVAL:
        raise SysError(EINVAL)
    if parts and item.parts and [one.name for one in parts] != [one.name for one in item.parts]:
        raise SysError(EOPNOTSUPP)
    shown += show_parts(parts, single, several) + be32(abi.NFTA_DYNSET_FLAGS, flags)
    if not item.limit:
        context.journal.set_use(item)
        item.limit = DEFAULT_LIMIT
    maker = Maker(context.ruleset, item, timeout or item.timeout_ms, parts or item.parts)
    built = SetChange(item.code, maker, operation, source, data_at, item.data_length)
    built.inverted = bool(flags & abi.NFT_DYNSET_F_INV)
    result = made("dynset", built, shown)
    result.set = item
    return result


EXPRESSIONS["dynset"] = _make_dynset
