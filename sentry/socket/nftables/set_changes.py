"""Changes of nf_tables' sets and their elements."""

from typing import Final

from netstack.filter.nft_chain import Expression
from netstack.filter.nft_expressions import Counter, Limit, Quota
from netstack.filter.nft_set import FieldsSet, IntervalSet, NftSet
from sentry.abi import nf_tables as abi
from sentry.abi import rtnetlink as nl
from sentry.abi.errno import (
    EBUSY,
    EEXIST,
    EINVAL,
    ENFILE,
    ENOENT,
    EOPNOTSUPP,
)
from sentry.errors import SysError
from sentry.socket.netlink_wire import attribute, parse_attributes
from sentry.socket.nftables.attributes import (
    Attributes,
    BadAttributeError,
    be,
    be32,
    be_or,
    listed,
    listed_at,
    name,
    nested,
    user_data,
    value_of,
)
from sentry.socket.nftables.changes import (
    Change,
    drop_set,
    parse_expression,
    size_of_element,
)
from sentry.socket.nftables.expressions import Context, expression
from sentry.socket.nftables.lookups import find_set, parse_verdict
from sentry.socket.nftables.ruleset import (
    RuleExpression,
    Ruleset,
    SetElement,
    SetState,
    TableState,
)

MAX_KEY: Final = 64
MAX_FIELDS: Final = 16
# Elements of a set of several intervals, which is searched from its start to its end.
MAX_FIELD_ELEMENTS: Final = 4096
MAX_PARTS: Final = 2  # expressions of one element
# Elements in one message.
MAX_LISTED: Final = 65536
SUPPORTED_FLAGS: Final = (
    abi.NFT_SET_ANONYMOUS
    | abi.NFT_SET_CONSTANT
    | abi.NFT_SET_INTERVAL
    | abi.NFT_SET_MAP
    | abi.NFT_SET_TIMEOUT
    | abi.NFT_SET_EVAL
    | abi.NFT_SET_CONCAT
    | abi.NFT_SET_EXPR
)
SHOWN_AS_GIVEN: Final = (abi.NFTA_SET_POLICY, abi.NFTA_SET_GC_INTERVAL)
NS_PER_MS: Final = 1_000_000


def new_set(change: Change) -> None:
    """NFT_MSG_NEWSET."""
    attributes = change.attributes
    required = (abi.NFTA_SET_NAME, abi.NFTA_SET_KEY_LEN, abi.NFTA_SET_ID)
    if any(kind not in attributes for kind in required):
        raise SysError(EINVAL)
    table = change.table(abi.NFTA_SET_TABLE)
    made = parse_set(change, table)
    wanted = name(attributes, abi.NFTA_SET_NAME)
    if not wanted:
        raise SysError(EINVAL)
    found = table.sets.get(wanted)
    if found is not None:
        if change.flags & nl.NLM_F_EXCL:
            raise BadAttributeError(EEXIST, abi.NFTA_SET_NAME)
        if change.flags & nl.NLM_F_REPLACE:
            raise SysError(EOPNOTSUPP)
        if (found.flags, found.code.key_length, found.data_type) != (
            made.flags,
            made.code.key_length,
            made.data_type,
        ):
            raise BadAttributeError(EEXIST, abi.NFTA_SET_NAME)
        change.journal.set_ids[be(attributes, abi.NFTA_SET_ID, 4)] = found
        return
    if not change.flags & nl.NLM_F_CREATE:
        raise SysError(ENOENT)
    change.journal.table(table)
    made.name = set_name(table, wanted)
    made.handle = table.next_handle()
    change.ruleset.grow(sets=1, size=len(made.user_data))
    table.sets[made.name] = made
    change.journal.set_ids[be(attributes, abi.NFTA_SET_ID, 4)] = made


def set_name(table: TableState, wanted: str) -> str:
    """Return a name; %d in it is the first number that is free (nf_tables_set_alloc_name)."""
    if "%" not in wanted:
        if wanted in table.sets:
            raise SysError(EEXIST)
        return wanted
    before, _, after = wanted.partition("%")
    if not after.startswith("d") or "%" in after:
        raise SysError(EINVAL)
    number = 0
    while f"{before}{number}{after[1:]}" in table.sets:
        number += 1
    return f"{before}{number}{after[1:]}"


def parse_set(change: Change, table: TableState) -> SetState:
    """Return a set without its name."""
    attributes = change.attributes
    flags = be_or(attributes, abi.NFTA_SET_FLAGS, 4, 0)
    if flags & ~SUPPORTED_FLAGS:
        raise SysError(EOPNOTSUPP)  # maps to objects
    if abi.NFTA_SET_OBJ_TYPE in attributes:
        raise SysError(EOPNOTSUPP)
    length = be(attributes, abi.NFTA_SET_KEY_LEN, 4)
    if not 0 < length <= MAX_KEY:
        raise SysError(EINVAL)
    made = SetState(table, "", 0, set_code(change, flags, length))
    made.flags = flags
    made.key_type = be_or(attributes, abi.NFTA_SET_KEY_TYPE, 4, 0)
    if abi.NFTA_SET_DATA_TYPE in attributes:
        if not flags & abi.NFT_SET_MAP:
            raise SysError(EINVAL)
        take_data_type(made, attributes)
    elif flags & abi.NFT_SET_MAP:
        raise SysError(EINVAL)
    if abi.NFTA_SET_TIMEOUT in attributes:
        if not flags & abi.NFT_SET_TIMEOUT:
            raise SysError(EINVAL)
        made.timeout_ms = be(attributes, abi.NFTA_SET_TIMEOUT, 8)
    if abi.NFTA_SET_GC_INTERVAL in attributes and not flags & abi.NFT_SET_TIMEOUT:
        raise SysError(EINVAL)
    if abi.NFTA_SET_DESC in attributes:
        description = nested(attributes, abi.NFTA_SET_DESC)
        made.limit = be_or(description, abi.NFTA_SET_DESC_SIZE, 4, 0)
        if abi.NFTA_SET_DESC_CONCAT in description:
            rows = [
                attribute(abi.NFTA_LIST_ELEM, be32(abi.NFTA_SET_FIELD_LEN, size))
                for size in field_lengths(attributes)
            ]
            made.concat = attribute(abi.NFTA_SET_DESC_CONCAT, b"".join(rows))
    if be_or(attributes, abi.NFTA_SET_POLICY, 4, 0) > abi.NFT_SET_POL_MEMORY:
        raise SysError(EINVAL)
    made.user_data = user_data(attributes, abi.NFTA_SET_USERDATA)
    made.shown = [
        (kind, attributes[kind]) for kind in SHOWN_AS_GIVEN if len(attributes.get(kind, b"")) > 0
    ]
    if sum(len(data) for _, data in made.shown) > MAX_KEY * MAX_FIELDS:
        raise SysError(EINVAL)
    made.ident = be(attributes, abi.NFTA_SET_ID, 4)
    context = Context(change.ruleset, change.journal, table)
    made.parts = parse_parts(context, attributes, abi.NFTA_SET_EXPR, abi.NFTA_SET_EXPRESSIONS)
    return made


def take_data_type(made: SetState, attributes: Attributes) -> None:
    """Note what a map maps to."""
    made.data_type = be(attributes, abi.NFTA_SET_DATA_TYPE, 4)
    if made.data_type == abi.NFT_DATA_VERDICT:
        return
    if made.data_type & abi.NFT_DATA_RESERVED_MASK == abi.NFT_DATA_RESERVED_MASK:
        raise SysError(EINVAL)
    made.data_length = be(attributes, abi.NFTA_SET_DATA_LEN, 4)
    if not 0 < made.data_length <= MAX_KEY:
        raise SysError(EINVAL)


def set_code(change: Change, flags: int, length: int) -> NftSet:
    """Return what packets ask."""
    environment = change.ruleset.stack.environment
    if flags & abi.NFT_SET_EVAL and flags & abi.NFT_SET_INTERVAL:
        raise SysError(EOPNOTSUPP)  # as no kind of set of Linux does both
    fields = field_lengths(change.attributes)
    if not flags & abi.NFT_SET_INTERVAL:
        return NftSet(environment, length)
    if len(fields) > 1:
        if sum((size + 3) & ~3 for size in fields) != length:
            raise SysError(EINVAL)
        return FieldsSet(environment, length, tuple(fields))
    return IntervalSet(environment, length)


def field_lengths(attributes: Attributes) -> list[int]:
    """Return the lengths of a key's fields (nft_set_desc_concat_parse)."""
    if abi.NFTA_SET_DESC not in attributes:
        return []
    concat = nested(attributes, abi.NFTA_SET_DESC).get(abi.NFTA_SET_DESC_CONCAT, b"")
    found = []
    for kind, data in listed(concat, MAX_FIELDS):
        if kind != abi.NFTA_LIST_ELEM:
            raise SysError(EINVAL)
        size = be(parse_attributes(data, 0), abi.NFTA_SET_FIELD_LEN, 4)
        if not 0 < size <= MAX_KEY:
            raise SysError(EINVAL)
        found.append(size)
    return found


def delete_set(change: Change) -> None:
    """NFT_MSG_DELSET."""
    attributes = change.attributes
    table = change.table(abi.NFTA_SET_TABLE)
    if abi.NFTA_SET_HANDLE in attributes:
        handle = be(attributes, abi.NFTA_SET_HANDLE, 8)
        rows = [item for item in table.sets.values() if item.handle == handle]
        if not rows:
            raise SysError(ENOENT)
        item = rows[0]
    else:
        item = find_set(table, change.journal, attributes, abi.NFTA_SET_NAME, abi.NFTA_SET_ID)
    if item.use or (change.flags & abi.NLM_F_NONREC and item.code.elements):
        named = abi.NFTA_SET_HANDLE if abi.NFTA_SET_HANDLE in attributes else abi.NFTA_SET_NAME
        raise BadAttributeError(EBUSY, named)
    drop_set(change, item)


# Elements.


def set_of(change: Change) -> SetState:
    """Return the set whose elements a message is about."""
    return find_set(
        change.table(abi.NFTA_SET_ELEM_LIST_TABLE),
        change.journal,
        change.attributes,
        abi.NFTA_SET_ELEM_LIST_SET,
        abi.NFTA_SET_ELEM_LIST_SET_ID,
    )


def listed_elements(change: Change) -> list[tuple[Attributes, int]]:
    """Return the attributes of each element of a message, and where it is."""
    data = change.attributes.get(abi.NFTA_SET_ELEM_LIST_ELEMENTS)
    if data is None:
        raise SysError(EINVAL)
    return [(parse_attributes(one, 0), at) for _, one, at in listed_at(data, MAX_LISTED)]


def new_elements(change: Change) -> None:
    """NFT_MSG_NEWSETELEM."""
    item = set_of(change)
    if item.use and item.flags & abi.NFT_SET_CONSTANT:
        raise SysError(EBUSY)
    rows = listed_elements(change)
    change.journal.elements(item)
    for attributes, at in rows:
        try:
            _add_element(change, item, parse_element(change, item, attributes))
        except SysError as error:
            raise BadAttributeError(error.errno, abi.NFTA_SET_ELEM_LIST_ELEMENTS, at) from None
    if item.is_verdict_map():
        change.journal.unchecked[item.table] = None


def _add_element(change: Change, item: SetState, element: SetElement) -> None:
    same, overlaps = item.code.conflict(element)
    if same is not None:
        if isinstance(same, SetElement) and same.is_expired(now_ns(change)):
            remove_element(change, item, same)
        else:
            if (same.data, same.verdict, same.chain) != (
                element.data,
                element.verdict,
                element.chain,
            ):
                raise SysError(EEXIST)
            if change.flags & nl.NLM_F_EXCL:
                raise SysError(EEXIST)
            return
    if overlaps:
        raise SysError(EEXIST)
    count = len(item.code.elements)
    if item.limit and count >= item.limit:
        raise SysError(ENFILE)
    if isinstance(item.code, FieldsSet) and count >= MAX_FIELD_ELEMENTS:
        raise SysError(ENFILE)
    change.ruleset.grow(elements=1, size=size_of_element(element))
    if element.target is not None:
        change.journal.chain(element.target)
        element.target.use += 1
    item.code.insert(element)


def now_ns(change: Change) -> int:
    """Return the time of the stack."""
    return change.ruleset.stack.environment.now_ns()


def remove_element(change: Change, item: SetState, element: SetElement) -> None:
    """Remove an element that is in a set."""
    change.ruleset.grow(elements=-1, size=-size_of_element(element))
    if element.target is not None:
        change.journal.chain(element.target)
        element.target.use -= 1
    item.code.remove(element)


def parse_key(item: SetState, attributes: Attributes) -> SetElement:
    """Return an element with what tells it from others."""
    flags = be_or(attributes, abi.NFTA_SET_ELEM_FLAGS, 4, 0)
    if flags & ~(abi.NFT_SET_ELEM_INTERVAL_END | abi.NFT_SET_ELEM_CATCHALL):
        raise SysError(EOPNOTSUPP)
    if flags & abi.NFT_SET_ELEM_CATCHALL:
        raise SysError(EOPNOTSUPP)
    if flags and not item.flags & abi.NFT_SET_INTERVAL:
        raise SysError(EINVAL)
    element = SetElement(value_of(attributes, abi.NFTA_SET_ELEM_KEY))
    element.flags = flags
    element.is_end = bool(flags & abi.NFT_SET_ELEM_INTERVAL_END)
    if abi.NFTA_SET_ELEM_KEY_END in attributes:
        if not item.flags & abi.NFT_SET_INTERVAL:
            raise SysError(EINVAL)
        element.key_end = value_of(attributes, abi.NFTA_SET_ELEM_KEY_END)
    length = item.code.key_length
    if len(element.key) != length or len(element.key_end) not in {0, length}:
        raise SysError(EINVAL)
    if isinstance(item.code, FieldsSet) == element.is_end and element.is_end:
        raise SysError(EINVAL)
    if isinstance(item.code, IntervalSet) and element.key_end:
        raise SysError(EINVAL)
    return element


def parse_element(change: Change, item: SetState, attributes: Attributes) -> SetElement:
    """Return an element (nft_add_set_elem)."""
    element = parse_key(item, attributes)
    is_map = bool(item.flags & abi.NFT_SET_MAP)
    has_data = abi.NFTA_SET_ELEM_DATA in attributes
    if (is_map and not has_data and not element.is_end) or (
        has_data and (not is_map or element.is_end)
    ):
        raise SysError(EINVAL)
    if abi.NFTA_SET_ELEM_OBJREF in attributes:
        raise SysError(EOPNOTSUPP if item.flags & abi.NFT_SET_MAP else EINVAL)
    timeout = item.timeout_ms
    if abi.NFTA_SET_ELEM_TIMEOUT in attributes:
        if not item.flags & abi.NFT_SET_TIMEOUT:
            raise SysError(EINVAL)
        timeout = be(attributes, abi.NFTA_SET_ELEM_TIMEOUT, 8)
    left = timeout
    if abi.NFTA_SET_ELEM_EXPIRATION in attributes:
        if not item.flags & abi.NFT_SET_TIMEOUT:
            raise SysError(EINVAL)
        left = be(attributes, abi.NFTA_SET_ELEM_EXPIRATION, 8)
    if timeout and not element.is_end:
        element.timeout_ms = timeout
        element.expires_ns = now_ns(change) + left * NS_PER_MS
    element.user_data = user_data(attributes, abi.NFTA_SET_ELEM_USERDATA)
    if has_data:
        take_data(item, element, nested(attributes, abi.NFTA_SET_ELEM_DATA))
    take_expressions(change, item, element, attributes)
    return element


def take_data(item: SetState, element: SetElement, data: Attributes) -> None:
    """Note what a map's element maps to."""
    if item.is_verdict_map():
        element.verdict, element.target = parse_verdict(item.table, data)
        element.chain = element.target.code if element.target is not None else None
        return
    value = data.get(abi.NFTA_DATA_VALUE, b"")
    if len(value) != item.data_length:
        raise SysError(EINVAL)
    element.data = value


def take_expressions(
    change: Change, item: SetState, element: SetElement, attributes: Attributes
) -> None:
    """Note the counter of an element."""
    context = Context(change.ruleset, change.journal, item.table)
    parts = parse_parts(context, attributes, abi.NFTA_SET_ELEM_EXPR, abi.NFTA_SET_ELEM_EXPRESSIONS)
    if parts and item.parts and [one.name for one in parts] != [one.name for one in item.parts]:
        raise SysError(EOPNOTSUPP)
    if not parts and not element.is_end:
        parts = copies_of(change.ruleset, item.parts)
    element.parts = parts
    element.expressions = [part.code for part in parts]


def parse_parts(
    context: Context, attributes: Attributes, single: int, several: int
) -> list[RuleExpression]:
    """Return the counters, limits and quotas of an element, or of each."""
    rows: list[bytes] = []
    if single in attributes:
        rows = [attributes[single]]
    elif several in attributes:
        rows = [data for _, data in listed(attributes[several], MAX_PARTS)]
    inner = Context(context.ruleset, context.journal, context.table)
    parts = [parse_expression(inner, row) for row in rows]
    if any(not isinstance(part.code, Counter | Limit | Quota) for part in parts):
        raise SysError(EOPNOTSUPP)
    return parts


def copies_of(ruleset: Ruleset, parts: list[RuleExpression]) -> list[RuleExpression]:
    """Return counters, limits and quotas of an element's own."""
    return [RuleExpression(part.name, copy_of(ruleset, part.code), part.shown) for part in parts]


def copy_of(ruleset: Ruleset, part: Expression) -> Expression:
    """Return the same that has counted nothing."""
    if isinstance(part, Limit):
        return Limit(
            ruleset.stack.environment,
            part.rate,
            part.unit_ns,
            part.burst,
            by_bytes=part.by_bytes,
            inverted=part.inverted,
        )
    if isinstance(part, Quota):
        return Quota(part.quota, 0, inverted=part.inverted)
    return Counter(0, 0)


def show_parts(parts: list[RuleExpression], single: int, several: int) -> bytes:
    """Return the attributes of an element's expressions, if there are any."""
    if len(parts) == 1:
        return attribute(single, expression(parts[0]))
    if not parts:
        return b""
    rows = [attribute(abi.NFTA_LIST_ELEM, expression(part)) for part in parts]
    return attribute(several, b"".join(rows))


def delete_elements(change: Change) -> None:
    """NFT_MSG_DELSETELEM: some, or all."""
    item = set_of(change)
    if item.use and item.flags & abi.NFT_SET_CONSTANT:
        raise SysError(EBUSY)
    change.journal.elements(item)
    if abi.NFTA_SET_ELEM_LIST_ELEMENTS not in change.attributes:
        for element in list(item.code.elements.values()):
            if isinstance(element, SetElement):
                remove_element(change, item, element)
        return
    for attributes, at in listed_elements(change):
        found = find_element(item, parse_key(item, attributes))
        if found is None or found.is_expired(now_ns(change)):
            raise BadAttributeError(ENOENT, abi.NFTA_SET_ELEM_LIST_ELEMENTS, at)
        remove_element(change, item, found)


def find_element(item: SetState, like: SetElement) -> SetElement | None:
    """Return the very element, which an interval's beginning and end are each."""
    found = item.code.elements.get((like.key, like.key_end, like.is_end))
    return found if isinstance(found, SetElement) else None
