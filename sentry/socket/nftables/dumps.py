"""What user space is shown of nf_tables: messages of tables, chains, rules and sets."""

from typing import Final

from sentry.abi import nf_tables as abi
from sentry.abi.errno import EINVAL, ENOENT
from sentry.errors import SysError
from sentry.socket.netlink_wire import attribute
from sentry.socket.nftables.attributes import (
    Attributes,
    BadAttributeError,
    be32,
    be64,
    listed,
    listed_at,
    name,
    text,
    value_data,
    verdict_data,
)
from sentry.socket.nftables.expressions import expression
from sentry.socket.nftables.lookups import find_chain, find_rule
from sentry.socket.nftables.ruleset import (
    ChainState,
    Ruleset,
    RuleState,
    SetElement,
    SetState,
    TableState,
)
from sentry.socket.nftables.set_changes import NS_PER_MS, find_element, parse_key, show_parts

# Of the elements in one message.
ELEMENTS_SIZE: Final = 3400

KINDS: Final = {
    abi.NFT_CHAIN_T_DEFAULT: "filter",
    abi.NFT_CHAIN_T_ROUTE: "route",
    abi.NFT_CHAIN_T_NAT: "nat",
}


class Shown:
    """One message: its type and family, and its attributes."""

    def __init__(self, kind: int, family: int, attributes: bytes) -> None:
        self.kind = kind
        self.family = family
        self.attributes = attributes


def kept(kind: int, data: bytes) -> bytes:
    """Return an attribute with what user space wanted to be kept, if there is anything."""
    return attribute(kind, data) if data else b""


def show_table(table: TableState) -> Shown:
    """Return a table's message (nf_tables_fill_table_info)."""
    return Shown(
        abi.NFT_MSG_NEWTABLE,
        table.family,
        text(abi.NFTA_TABLE_NAME, table.name)
        + be64(abi.NFTA_TABLE_HANDLE, table.handle)
        + be32(abi.NFTA_TABLE_FLAGS, table.flags)
        + be32(abi.NFTA_TABLE_USE, table.use())
        + kept(abi.NFTA_TABLE_USERDATA, table.user_data),
    )


def show_chain(chain: ChainState) -> Shown:
    """Return a chain's message."""
    made = text(abi.NFTA_CHAIN_TABLE, chain.table.name)
    made += text(abi.NFTA_CHAIN_NAME, chain.name)
    made += be64(abi.NFTA_CHAIN_HANDLE, chain.handle)
    hook = chain.hook
    if hook is not None:
        place = be32(abi.NFTA_HOOK_HOOKNUM, hook.number)
        place += be32(abi.NFTA_HOOK_PRIORITY, hook.priority)
        made += attribute(abi.NFTA_CHAIN_HOOK, place)
        made += be32(abi.NFTA_CHAIN_POLICY, chain.policy)
        made += text(abi.NFTA_CHAIN_TYPE, KINDS[hook.kind])
        if chain.counts:
            packets = sum(step.packets for _, step in chain.steps)
            size = sum(step.bytes for _, step in chain.steps)
            counters = be64(abi.NFTA_COUNTER_PACKETS, packets)
            counters += be64(abi.NFTA_COUNTER_BYTES, size)
            made += attribute(abi.NFTA_CHAIN_COUNTERS, counters)
        made += be32(abi.NFTA_CHAIN_FLAGS, chain.flags)
    made += be32(abi.NFTA_CHAIN_USE, chain.use + len(chain.rules))
    made += kept(abi.NFTA_CHAIN_USERDATA, chain.user_data)
    return Shown(abi.NFT_MSG_NEWCHAIN, chain.table.family, made)


def show_rule(chain: ChainState, rule: RuleState, before: RuleState | None) -> Shown:
    """Return a rule's message."""
    made = text(abi.NFTA_RULE_TABLE, chain.table.name) + text(abi.NFTA_RULE_CHAIN, chain.name)
    made += be64(abi.NFTA_RULE_HANDLE, rule.handle)
    if before is not None:
        made += be64(abi.NFTA_RULE_POSITION, before.handle)
    parts = [attribute(abi.NFTA_LIST_ELEM, expression(part)) for part in rule.expressions]
    made += attribute(abi.NFTA_RULE_EXPRESSIONS, b"".join(parts))
    made += kept(abi.NFTA_RULE_USERDATA, rule.user_data)
    return Shown(abi.NFT_MSG_NEWRULE, chain.table.family, made)


def show_set(item: SetState) -> Shown:
    """Return a set's message."""
    made = text(abi.NFTA_SET_TABLE, item.table.name) + text(abi.NFTA_SET_NAME, item.name)
    made += be64(abi.NFTA_SET_HANDLE, item.handle)
    made += be32(abi.NFTA_SET_FLAGS, item.flags) if item.flags else b""
    made += be32(abi.NFTA_SET_KEY_TYPE, item.key_type)
    made += be32(abi.NFTA_SET_KEY_LEN, item.code.key_length)
    if item.flags & abi.NFT_SET_MAP:
        made += be32(abi.NFTA_SET_DATA_TYPE, item.data_type)
        # A verdict's length is that of the kernel's struct.
        made += be32(abi.NFTA_SET_DATA_LEN, item.data_length or VERDICT_SIZE)
    if item.timeout_ms:
        made += be64(abi.NFTA_SET_TIMEOUT, item.timeout_ms)
    made += b"".join(attribute(kind, data) for kind, data in item.shown)
    made += kept(abi.NFTA_SET_USERDATA, item.user_data)
    size = be32(abi.NFTA_SET_DESC_SIZE, item.limit) if item.limit else b""
    made += attribute(abi.NFTA_SET_DESC, size + item.concat)
    made += show_parts(item.parts, abi.NFTA_SET_EXPR, abi.NFTA_SET_EXPRESSIONS)
    return Shown(abi.NFT_MSG_NEWSET, item.table.family, made)


VERDICT_SIZE: Final = 16


def show_element(item: SetState, element: SetElement, now_ns: int) -> bytes:
    """Return an element's attributes (nf_tables_fill_setelem)."""
    made = value_data(abi.NFTA_SET_ELEM_KEY, element.key)
    if element.key_end:
        made += value_data(abi.NFTA_SET_ELEM_KEY_END, element.key_end)
    if item.is_verdict_map() and not element.is_end:
        target = element.target.name if element.target is not None else ""
        made += verdict_data(abi.NFTA_SET_ELEM_DATA, element.verdict, target)
    elif element.data:
        made += value_data(abi.NFTA_SET_ELEM_DATA, element.data)
    made += show_parts(element.parts, abi.NFTA_SET_ELEM_EXPR, abi.NFTA_SET_ELEM_EXPRESSIONS)
    if element.flags:
        made += be32(abi.NFTA_SET_ELEM_FLAGS, element.flags)
    if element.timeout_ms:
        if element.timeout_ms != item.timeout_ms:
            made += be64(abi.NFTA_SET_ELEM_TIMEOUT, element.timeout_ms)
        left = max(element.expires_ns - now_ns, 0) // NS_PER_MS
        made += be64(abi.NFTA_SET_ELEM_EXPIRATION, left)
    made += kept(abi.NFTA_SET_ELEM_USERDATA, element.user_data)
    return attribute(abi.NFTA_LIST_ELEM, made)


def show_elements(item: SetState, elements: list[SetElement], now_ns: int) -> list[Shown]:
    """Return the messages of a set's elements; there is one even if there are none."""
    head = text(abi.NFTA_SET_ELEM_LIST_TABLE, item.table.name)
    head += text(abi.NFTA_SET_ELEM_LIST_SET, item.name)
    family = item.table.family
    found: list[Shown] = []
    rows = b""
    for element in elements:
        row = show_element(item, element, now_ns)
        if rows and len(rows) + len(row) > ELEMENTS_SIZE:
            shown = head + attribute(abi.NFTA_SET_ELEM_LIST_ELEMENTS, rows)
            found.append(Shown(abi.NFT_MSG_NEWSETELEM, family, shown))
            rows = b""
        rows += row
    shown = head + attribute(abi.NFTA_SET_ELEM_LIST_ELEMENTS, rows)
    found.append(Shown(abi.NFT_MSG_NEWSETELEM, family, shown))
    return found


def show_generation(ruleset: Ruleset) -> Shown:
    """Return the message of NFT_MSG_GETGEN."""
    pid, comm = ruleset.last_process
    made = be32(abi.NFTA_GEN_ID, ruleset.generation) + be32(abi.NFTA_GEN_PROC_PID, pid)
    made += attribute(abi.NFTA_GEN_PROC_NAME, comm + b"\0")
    return Shown(abi.NFT_MSG_NEWGEN, 0, made)


# Questions.


def tables_of(ruleset: Ruleset, family: int) -> list[TableState]:
    """Return the tables of a family, or all."""
    return [one for one in ruleset.tables.values() if family in {0, one.family}]


def get_tables(ruleset: Ruleset, family: int, attributes: Attributes, *, dump: bool) -> list[Shown]:
    """NFT_MSG_GETTABLE."""
    if dump:
        return [show_table(table) for table in tables_of(ruleset, family)]
    return [show_table(named_table(ruleset, family, attributes, abi.NFTA_TABLE_NAME))]


def named_table(ruleset: Ruleset, family: int, attributes: Attributes, kind: int) -> TableState:
    """Return the table that a question names."""
    if kind not in attributes:
        raise SysError(EINVAL)
    found = ruleset.tables.get((family, name(attributes, kind)))
    if found is None:
        raise BadAttributeError(ENOENT, kind)
    return found


def get_chains(ruleset: Ruleset, family: int, attributes: Attributes, *, dump: bool) -> list[Shown]:
    """NFT_MSG_GETCHAIN."""
    if dump:
        return [
            show_chain(chain)
            for table in tables_of(ruleset, family)
            for chain in table.chains.values()
        ]
    table = named_table(ruleset, family, attributes, abi.NFTA_CHAIN_TABLE)
    return [show_chain(find_chain(table, attributes, abi.NFTA_CHAIN_NAME))]


def get_rules(ruleset: Ruleset, family: int, attributes: Attributes, *, dump: bool) -> list[Shown]:
    """NFT_MSG_GETRULE."""
    if not dump:
        table = named_table(ruleset, family, attributes, abi.NFTA_RULE_TABLE)
        chain = find_chain(table, attributes, abi.NFTA_RULE_CHAIN)
        rule = find_rule(chain, attributes, abi.NFTA_RULE_HANDLE)
        at = chain.rules.index(rule)
        return [show_rule(chain, rule, chain.rules[at - 1] if at else None)]
    wanted_table = name(attributes, abi.NFTA_RULE_TABLE)
    wanted_chain = name(attributes, abi.NFTA_RULE_CHAIN)
    found: list[Shown] = []
    for table in tables_of(ruleset, family):
        if wanted_table not in {"", table.name}:
            continue
        for chain in table.chains.values():
            if wanted_table and wanted_chain not in {"", chain.name}:
                continue
            before: RuleState | None = None
            for rule in chain.rules:
                found.append(show_rule(chain, rule, before))
                before = rule
    return found


def get_sets(ruleset: Ruleset, family: int, attributes: Attributes, *, dump: bool) -> list[Shown]:
    """NFT_MSG_GETSET."""
    if not dump:
        table = named_table(ruleset, family, attributes, abi.NFTA_SET_TABLE)
        return [show_set(named_set(table, attributes, abi.NFTA_SET_NAME))]
    wanted = name(attributes, abi.NFTA_SET_TABLE)
    if wanted and family:
        named_table(ruleset, family, attributes, abi.NFTA_SET_TABLE)
    return [
        show_set(item)
        for table in tables_of(ruleset, family)
        if wanted in {"", table.name}
        for item in table.sets.values()
    ]


def named_set(table: TableState, attributes: Attributes, kind: int) -> SetState:
    """Return the set that a question names."""
    if kind not in attributes:
        raise SysError(EINVAL)
    found = table.sets.get(name(attributes, kind))
    if found is None:
        raise BadAttributeError(ENOENT, kind)
    return found


def get_elements(
    ruleset: Ruleset, family: int, attributes: Attributes, *, dump: bool
) -> list[Shown]:
    """NFT_MSG_GETSETELEM: all of a set, or those that are asked for."""
    table = named_table(ruleset, family, attributes, abi.NFTA_SET_ELEM_LIST_TABLE)
    item = named_set(table, attributes, abi.NFTA_SET_ELEM_LIST_SET)
    now_ns = ruleset.stack.environment.now_ns()
    if dump:
        rows = [
            one
            for one in item.code.elements.values()
            if isinstance(one, SetElement) and not one.is_expired(now_ns)
        ]
        return show_elements(item, rows, now_ns)
    wanted = attributes.get(abi.NFTA_SET_ELEM_LIST_ELEMENTS)
    if wanted is None:
        raise SysError(EINVAL)
    found: list[Shown] = []
    for _, data, at in listed_at(wanted, MAX_ASKED):
        like = parse_key(item, nested_element(data))
        same = find_element(item, like)
        if same is None and not like.is_end:
            other = item.code.find(like.key)
            same = other if isinstance(other, SetElement) else None
        if same is None or same.is_expired(now_ns):
            raise BadAttributeError(ENOENT, abi.NFTA_SET_ELEM_LIST_ELEMENTS, at)
        found += show_elements(item, [same], now_ns)
    return found


MAX_ASKED: Final = 256


def nested_element(data: bytes) -> Attributes:
    """Return the attributes of an element."""
    return dict(listed(data, 16))
