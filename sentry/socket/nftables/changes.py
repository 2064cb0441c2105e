"""Changes of nf_tables, one message each: tables, chains and rules come, change and go.

They are made in place (nf_tables_api.c of Linux is what they follow); the journal knows how to
take them back.
"""

from typing import Final

from netstack.filter.hooks import TRACKING
from netstack.filter.passage import FORWARD, HOOKS, LOCAL_OUT
from sentry.abi import nf_tables as abi
from sentry.abi import rtnetlink as nl
from sentry.abi.errno import (
    EBUSY,
    EEXIST,
    EINVAL,
    EMFILE,
    ENOENT,
    EOPNOTSUPP,
)
from sentry.errors import SysError
from sentry.socket.netlink_wire import parse_attributes
from sentry.socket.nftables.actions import ACTIONS
from sentry.socket.nftables.attributes import (
    Attributes,
    BadAttributeError,
    be,
    be_or,
    listed_at,
    name,
    nested,
    user_data,
)
from sentry.socket.nftables.compat import COMPAT, take_compat
from sentry.socket.nftables.expressions import MAKERS, Context, Maker
from sentry.socket.nftables.lookups import (
    find_chain,
    find_chain_by_handle,
    find_rule,
    signed,
)
from sentry.socket.nftables.ruleset import (
    MAX_TABLES,
    OBJECT,
    VERSIONS,
    ChainState,
    HookState,
    Journal,
    RuleExpression,
    Ruleset,
    RuleState,
    SetElement,
    SetState,
    TableState,
)

MAX_EXPRESSIONS: Final = 128  # of a rule
ALL_HOOKS: Final = (1 << HOOKS) - 1
# Types of chains, and the hooks that each may be at.
CHAIN_TYPES: Final = {
    "filter": (abi.NFT_CHAIN_T_DEFAULT, ALL_HOOKS),
    "route": (abi.NFT_CHAIN_T_ROUTE, 1 << LOCAL_OUT),
    "nat": (abi.NFT_CHAIN_T_NAT, ALL_HOOKS & ~(1 << FORWARD)),
}
EXPRESSIONS: Final[dict[str, Maker]] = {**MAKERS, **ACTIONS, **COMPAT}


class Change:
    """One message of a batch."""

    def __init__(
        self,
        ruleset: Ruleset,
        journal: Journal,
        family: int,
        flags: int,
        attributes: Attributes,
    ) -> None:
        self.ruleset = ruleset
        self.journal = journal
        self.family = family
        self.flags = flags
        self.attributes = attributes

    def table(self, kind: int) -> TableState:
        """Return the table that the message names."""
        if kind not in self.attributes:
            raise SysError(EINVAL)
        found = self.ruleset.tables.get((self.family, name(self.attributes, kind)))
        if found is None:
            raise BadAttributeError(ENOENT, kind)
        return found


def new_table(change: Change) -> None:
    """NFT_MSG_NEWTABLE."""
    ruleset, attributes = change.ruleset, change.attributes
    if change.family not in VERSIONS:
        raise SysError(EOPNOTSUPP)
    wanted = name(attributes, abi.NFTA_TABLE_NAME)
    if not wanted:
        raise SysError(EINVAL)
    flags = be_or(attributes, abi.NFTA_TABLE_FLAGS, 4, 0)
    if flags & ~abi.NFT_TABLE_F_DORMANT:
        raise SysError(EOPNOTSUPP)  # tables that belong to a process there are none
    found = ruleset.tables.get((change.family, wanted))
    if found is not None:
        if change.flags & nl.NLM_F_EXCL:
            raise BadAttributeError(EEXIST, abi.NFTA_TABLE_NAME)
        if change.flags & nl.NLM_F_REPLACE:
            raise SysError(EOPNOTSUPP)
        if abi.NFTA_TABLE_FLAGS in attributes:
            change.journal.table(found)
            found.flags = flags
        return
    if len(ruleset.tables) >= MAX_TABLES:
        raise SysError(EMFILE)
    ruleset.last_table_handle += 1
    made = TableState(change.family, wanted, ruleset.last_table_handle)
    made.flags = flags
    made.user_data = user_data(attributes, abi.NFTA_TABLE_USERDATA)
    ruleset.grow(size=len(made.user_data))
    ruleset.tables[change.family, wanted] = made


def delete_table(change: Change) -> None:
    """NFT_MSG_DELTABLE: one, or all of a family, or all."""
    ruleset, attributes = change.ruleset, change.attributes
    if change.family == abi.NFPROTO_UNSPEC or not (
        abi.NFTA_TABLE_NAME in attributes or abi.NFTA_TABLE_HANDLE in attributes
    ):
        for table in list(ruleset.tables.values()):
            if change.family not in {abi.NFPROTO_UNSPEC, table.family}:
                continue
            wanted = name(attributes, abi.NFTA_TABLE_NAME)
            if not wanted or wanted == table.name:
                _drop_table(change, table)
        return
    if abi.NFTA_TABLE_HANDLE in attributes:
        handle = be(attributes, abi.NFTA_TABLE_HANDLE, 8)
        found = [
            one
            for one in ruleset.tables.values()
            if one.family == change.family and one.handle == handle
        ]
        if not found:
            raise BadAttributeError(ENOENT, abi.NFTA_TABLE_HANDLE)
        table = found[0]
    else:
        table = change.table(abi.NFTA_TABLE_NAME)
    if change.flags & abi.NLM_F_NONREC and table.use():
        raise SysError(EBUSY)
    _drop_table(change, table)


def _drop_table(change: Change, table: TableState) -> None:
    ruleset = change.ruleset
    rules = [rule for chain in table.chains.values() for rule in chain.rules]
    ruleset.grow(
        chains=-len(table.chains),
        rules=-len(rules),
        sets=-len(table.sets) - len(table.objects),
        elements=-sum(len(one.code.elements) for one in table.sets.values()),
        size=-len(table.user_data)
        - sum(rule.size for rule in rules)
        - sum(len(one.user_data) for one in table.chains.values())
        - sum(size_of_set(one) for one in table.sets.values())
        - sum(one.size() for one in table.objects.values()),
    )
    del ruleset.tables[table.family, table.name]


def size_of_set(item: SetState) -> int:
    """Return the bytes that a set counts for."""
    elements = item.code.elements.values()
    return len(item.user_data) + sum(
        size_of_element(one) for one in elements if isinstance(one, SetElement)
    )


def size_of_element(element: SetElement) -> int:
    """Return the bytes that an element counts for."""
    size = len(element.key) + len(element.key_end) + len(element.data)
    return OBJECT + size + len(element.user_data) + OBJECT * len(element.parts)


# Chains.


def new_chain(change: Change) -> None:
    """NFT_MSG_NEWCHAIN: a new one, another policy, other counters or another name."""
    attributes = change.attributes
    table = change.table(abi.NFTA_CHAIN_TABLE)
    wanted = name(attributes, abi.NFTA_CHAIN_NAME)
    found: ChainState | None = None
    if abi.NFTA_CHAIN_HANDLE in attributes:
        found = find_chain_by_handle(table, attributes)
    elif abi.NFTA_CHAIN_NAME in attributes:
        found = table.chains.get(wanted)
    elif abi.NFTA_CHAIN_ID in attributes:
        raise SysError(EOPNOTSUPP)
    else:
        raise SysError(EINVAL)
    policy = abi.NF_ACCEPT
    if abi.NFTA_CHAIN_POLICY in attributes:
        is_base = found.hook is not None if found is not None else False
        if not is_base and (found is not None or abi.NFTA_CHAIN_HOOK not in attributes):
            raise BadAttributeError(EOPNOTSUPP, abi.NFTA_CHAIN_POLICY)
        policy = be(attributes, abi.NFTA_CHAIN_POLICY, 4)
        if policy not in {abi.NF_DROP, abi.NF_ACCEPT}:
            raise SysError(EINVAL)
    flags = be_or(attributes, abi.NFTA_CHAIN_FLAGS, 4, 0)
    if flags & ~abi.NFT_CHAIN_BASE:
        raise SysError(EOPNOTSUPP)  # no hardware, no chains that belong to a rule
    if found is None:
        _add_chain(change, table, wanted, policy)
        return
    if change.flags & nl.NLM_F_EXCL:
        raise BadAttributeError(EEXIST, abi.NFTA_CHAIN_NAME)
    if change.flags & nl.NLM_F_REPLACE:
        raise SysError(EOPNOTSUPP)
    _update_chain(change, table, found)


def _add_chain(change: Change, table: TableState, wanted: str, policy: int) -> None:
    attributes = change.attributes
    if not wanted:
        raise SysError(EINVAL)
    hook = None
    if abi.NFTA_CHAIN_HOOK in attributes:
        hook = parse_hook(attributes)
    elif be_or(attributes, abi.NFTA_CHAIN_FLAGS, 4, 0) & abi.NFT_CHAIN_BASE:
        raise SysError(EINVAL)
    change.journal.table(table)
    change.ruleset.last_serial += 1
    made = ChainState(table, wanted, table.next_handle(), change.ruleset.last_serial)
    made.hook = hook
    made.policy = policy
    made.flags = abi.NFT_CHAIN_BASE if hook is not None else 0
    made.user_data = user_data(attributes, abi.NFTA_CHAIN_USERDATA)
    if hook is not None:
        take_counters(change, made)
    change.ruleset.grow(chains=1, size=len(made.user_data))
    table.chains[wanted] = made


def parse_hook(attributes: Attributes) -> HookState:
    """Return where a base chain begins (nft_chain_parse_hook)."""
    data = nested(attributes, abi.NFTA_CHAIN_HOOK)
    if abi.NFTA_HOOK_HOOKNUM not in data or abi.NFTA_HOOK_PRIORITY not in data:
        raise SysError(ENOENT)
    number = be(data, abi.NFTA_HOOK_HOOKNUM, 4)
    priority = signed(be(data, abi.NFTA_HOOK_PRIORITY, 4))
    kind = name(attributes, abi.NFTA_CHAIN_TYPE) or "filter"
    if kind not in CHAIN_TYPES:
        raise BadAttributeError(ENOENT, abi.NFTA_CHAIN_TYPE)
    type_number, hooks = CHAIN_TYPES[kind]
    if number >= HOOKS or not hooks >> number & 1:
        raise SysError(EOPNOTSUPP)
    if type_number == abi.NFT_CHAIN_T_NAT and priority <= TRACKING:
        raise SysError(EOPNOTSUPP)
    if abi.NFTA_HOOK_DEV in data or abi.NFTA_HOOK_DEVS in data:
        raise SysError(EOPNOTSUPP)
    return HookState(number, priority, type_number)


def take_counters(change: Change, chain: ChainState) -> None:
    """Count what meets the policy, if the message has numbers for it."""
    attributes = change.attributes
    if abi.NFTA_CHAIN_COUNTERS not in attributes:
        return
    data = nested(attributes, abi.NFTA_CHAIN_COUNTERS)
    packets = be(data, abi.NFTA_COUNTER_PACKETS, 8)
    size = be(data, abi.NFTA_COUNTER_BYTES, 8)
    chain.counts = True
    change.journal.counters[chain] = (packets, size)


def _update_chain(change: Change, table: TableState, chain: ChainState) -> None:
    attributes = change.attributes
    if abi.NFTA_CHAIN_HOOK in attributes:
        own = chain.hook
        if own is None:
            raise SysError(EEXIST)
        wanted = parse_hook(attributes)
        if (wanted.number, wanted.priority) != (own.number, own.priority):
            raise SysError(EOPNOTSUPP)
        if wanted.kind != own.kind:
            raise SysError(EEXIST)
    change.journal.chain(chain)
    if abi.NFTA_CHAIN_HANDLE in attributes and abi.NFTA_CHAIN_NAME in attributes:
        new_name = name(attributes, abi.NFTA_CHAIN_NAME)
        if new_name in table.chains:
            raise SysError(EEXIST)
        if not new_name:
            raise SysError(EINVAL)
        change.journal.table(table)
        table.chains = {
            new_name if one is chain else own_name: one for own_name, one in table.chains.items()
        }
        chain.name = new_name
    if chain.hook is None:
        if abi.NFTA_CHAIN_COUNTERS in attributes:
            raise SysError(EOPNOTSUPP)
        return
    take_counters(change, chain)
    if abi.NFTA_CHAIN_POLICY in attributes:
        chain.policy = be(attributes, abi.NFTA_CHAIN_POLICY, 4)


def delete_chain(change: Change) -> None:
    """NFT_MSG_DELCHAIN: with its rules, unless others lead to it."""
    attributes = change.attributes
    table = change.table(abi.NFTA_CHAIN_TABLE)
    if abi.NFTA_CHAIN_HANDLE in attributes:
        chain = find_chain_by_handle(table, attributes)
    else:
        chain = find_chain(table, attributes, abi.NFTA_CHAIN_NAME)
    named = abi.NFTA_CHAIN_HANDLE if abi.NFTA_CHAIN_HANDLE in attributes else abi.NFTA_CHAIN_NAME
    if change.flags & abi.NLM_F_NONREC and (chain.use or chain.rules):
        raise BadAttributeError(EBUSY, named)
    flush_chain(change, chain)
    if chain.use:
        raise BadAttributeError(EBUSY, named)
    change.journal.table(table)
    del table.chains[chain.name]
    change.ruleset.grow(chains=-1, size=-len(chain.user_data))


# Rules.


def new_rule(change: Change) -> None:
    """NFT_MSG_NEWRULE: one more, before or after another, or one in the place of another."""
    attributes = change.attributes
    table = change.table(abi.NFTA_RULE_TABLE)
    if abi.NFTA_RULE_CHAIN not in attributes:
        raise SysError(EOPNOTSUPP if abi.NFTA_RULE_CHAIN_ID in attributes else EINVAL)
    chain = find_chain(table, attributes, abi.NFTA_RULE_CHAIN)
    old: RuleState | None = None
    is_replaced = False
    if abi.NFTA_RULE_HANDLE in attributes:
        old = find_rule(chain, attributes, abi.NFTA_RULE_HANDLE)
        if change.flags & nl.NLM_F_EXCL:
            raise SysError(EEXIST)
        if not change.flags & nl.NLM_F_REPLACE:
            raise SysError(EOPNOTSUPP)
        is_replaced = True
    else:
        if not change.flags & nl.NLM_F_CREATE or change.flags & nl.NLM_F_REPLACE:
            raise SysError(EINVAL)
        old = _position(change, chain)
    handle = old.handle if is_replaced and old is not None else 0
    parts = parse_expressions(change, table)
    if not handle:
        change.journal.table(table)
        handle = table.next_handle()
    made = RuleState(handle, parts, user_data(attributes, abi.NFTA_RULE_USERDATA))
    change.ruleset.grow(rules=1, size=made.size)
    _insert(change, chain, made, old, is_replaced=is_replaced)
    if abi.NFTA_RULE_ID in attributes:
        change.journal.rule_ids[be(attributes, abi.NFTA_RULE_ID, 4)] = made


def _position(change: Change, chain: ChainState) -> RuleState | None:
    attributes = change.attributes
    if abi.NFTA_RULE_POSITION in attributes:
        return find_rule(chain, attributes, abi.NFTA_RULE_POSITION)
    if abi.NFTA_RULE_POSITION_ID in attributes:
        found = change.journal.rule_ids.get(be(attributes, abi.NFTA_RULE_POSITION_ID, 4))
        if found is None or found not in chain.rules:
            raise SysError(ENOENT)
        return found
    return None


def _insert(
    change: Change,
    chain: ChainState,
    made: RuleState,
    old: RuleState | None,
    *,
    is_replaced: bool,
) -> None:
    journal = change.journal
    journal.chain(chain)
    journal.touched[chain] = None
    for part in made.expressions:
        note_use(journal, part, 1)
        if part.hooks >= 0 or part.chain_type >= 0 or part.chain is not None or part.set:
            journal.unchecked[chain.table] = None
    if old is None:
        at = len(chain.rules) if change.flags & nl.NLM_F_APPEND else 0
    else:
        at = chain.rules.index(old)
        if is_replaced or change.flags & nl.NLM_F_APPEND:
            at += 1
    chain.rules.insert(at, made)
    if is_replaced and old is not None:
        drop_rule(change, chain, old)


def parse_expressions(change: Change, table: TableState) -> list[RuleExpression]:
    """Return the expressions of a rule."""
    attributes = change.attributes
    context = Context(change.ruleset, change.journal, table)
    if abi.NFTA_RULE_COMPAT in attributes:
        take_compat(context, nested(attributes, abi.NFTA_RULE_COMPAT))
    parts = []
    rows = attributes.get(abi.NFTA_RULE_EXPRESSIONS, b"")
    for kind, data, at in listed_at(rows, MAX_EXPRESSIONS):
        if kind != abi.NFTA_LIST_ELEM:
            raise SysError(EINVAL)
        try:
            parts.append(parse_expression(context, data))
        except SysError as error:
            raise BadAttributeError(error.errno, abi.NFTA_RULE_EXPRESSIONS, at) from None
    return parts


def parse_expression(context: Context, data: bytes) -> RuleExpression:
    """Return one expression; SysError(ENOENT) if nobody knows its name."""
    attributes = parse_attributes(data, 0)
    wanted = name(attributes, abi.NFTA_EXPR_NAME)
    if not wanted:
        raise SysError(EINVAL)
    maker = EXPRESSIONS.get(wanted)
    if maker is None:
        raise SysError(ENOENT)
    return maker(context, parse_attributes(attributes.get(abi.NFTA_EXPR_DATA, b""), 0))


def note_use(journal: Journal, part: RuleExpression, change: int) -> None:
    """Count what an expression leads to and looks into."""
    if part.chain is not None:
        journal.chain(part.chain)
        part.chain.use += change
    if part.set is not None:
        journal.set_use(part.set)
        part.set.use += change
    if part.object is not None:
        journal.object_use(part.object)
        part.object.use += change


def drop_rule(change: Change, chain: ChainState, rule: RuleState) -> None:
    """Remove a rule, and sets that only it has."""
    change.journal.chain(chain)
    change.journal.touched[chain] = None
    chain.rules.remove(rule)
    _release_rule(change, rule)


def _release_rule(change: Change, rule: RuleState) -> None:
    change.ruleset.grow(rules=-1, size=-rule.size)
    for part in rule.expressions:
        note_use(change.journal, part, -1)
        item = part.set
        if item is not None and item.is_anonymous() and not item.use:
            drop_set(change, item)


def flush_chain(change: Change, chain: ChainState) -> None:
    """Remove all rules of a chain."""
    change.journal.chain(chain)
    change.journal.touched[chain] = None
    rules = chain.rules
    chain.rules = []
    for rule in rules:
        _release_rule(change, rule)


def drop_set(change: Change, item: SetState) -> None:
    """Remove a set with its elements."""
    journal = change.journal
    for element in item.code.elements.values():
        if isinstance(element, SetElement) and element.target is not None:
            journal.chain(element.target)
            element.target.use -= 1
    table = item.table
    journal.table(table)
    if table.sets.pop(item.name, None) is not None:
        count = len(item.code.elements)
        change.ruleset.grow(sets=-1, elements=-count, size=-size_of_set(item))


def delete_rule(change: Change) -> None:
    """NFT_MSG_DELRULE: one, all of a chain, or all of a table."""
    attributes = change.attributes
    table = change.table(abi.NFTA_RULE_TABLE)
    if abi.NFTA_RULE_CHAIN not in attributes:
        for chain in table.chains.values():
            flush_chain(change, chain)
        return
    chain = find_chain(table, attributes, abi.NFTA_RULE_CHAIN)
    if abi.NFTA_RULE_HANDLE in attributes:
        drop_rule(change, chain, find_rule(chain, attributes, abi.NFTA_RULE_HANDLE))
    elif abi.NFTA_RULE_ID in attributes:
        found = change.journal.rule_ids.get(be(attributes, abi.NFTA_RULE_ID, 4))
        if found is None or found not in chain.rules:
            raise SysError(ENOENT)
        drop_rule(change, chain, found)
    else:
        flush_chain(change, chain)
