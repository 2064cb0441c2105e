"""Tables, chains, rules and sets of nf_tables as user space names them, and undoing changes.

A batch of changes is made in place; before an object is changed, the journal takes down how it
was.  Packets meet what `Ruleset.commit` tells the stack of.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from netstack.filter.hooks import PacketFilter
from netstack.filter.nft_chain import (
    MAX_DEPTH,
    ChainStep,
    Expression,
    NftChain,
    NftRule,
)
from netstack.filter.nft_set import Element, NftSet
from sentry.abi import nf_tables as abi
from sentry.abi.errno import EMFILE, EMLINK, EOPNOTSUPP
from sentry.errors import SysError

# Bounds on what a guest can make grow, in one network namespace.
MAX_TABLES: Final = 256
MAX_CHAINS: Final = 4096
MAX_RULES: Final = 16384
MAX_SETS: Final = 4096
MAX_ELEMENTS: Final = 65536
MAX_BYTES: Final = 64 << 20  # of user data, expressions and elements
OBJECT: Final = 400  # bytes that one of these costs besides what it says
# Steps of looking for loops and misplaced expressions, in one batch.
MAX_CHECKS: Final = 1 << 20

# Which versions of IP a family is for.
VERSIONS: Final = {abi.NFPROTO_INET: (4, 6), abi.NFPROTO_IPV4: (4,), abi.NFPROTO_IPV6: (6,)}


@mypyc_attr(allow_interpreted_subclasses=True)
class Undo:
    """How an object was."""

    def undo(self) -> None:
        """Make it so again."""
        raise NotImplementedError


class RuleExpression:
    """An expression of a rule, and what user space is shown of it."""

    def __init__(self, name: str, code: Expression, shown: bytes) -> None:
        self.name = name
        self.code = code
        self.shown = shown  # attributes; what changes while packets pass is made anew
        self.hooks = -1  # a mask of where it may be; negative: anywhere
        self.chain_type = -1  # of the chains that may lead to it; negative: any
        self.place_errno = EOPNOTSUPP  # if it is elsewhere
        self.chain: ChainState | None = None  # where it leads to
        self.set: SetState | None = None  # what it looks into
        self.object: ObjectState | None = None  # what it shares with others


class RuleState:
    """A rule."""

    def __init__(self, handle: int, expressions: list[RuleExpression], user_data: bytes) -> None:
        self.handle = handle
        self.expressions = expressions
        self.user_data = user_data
        self.code = NftRule([one.code for one in expressions])
        self.size = OBJECT + len(user_data) + sum(OBJECT + len(one.shown) for one in expressions)


class HookState:
    """Where a base chain begins."""

    def __init__(self, number: int, priority: int, kind: int) -> None:
        self.number = number
        self.priority = priority
        self.kind = kind  # the chain's type


class ChainState:
    """A chain."""

    def __init__(self, table: "TableState", name: str, handle: int, serial: int) -> None:
        self.table = table
        self.name = name
        self.handle = handle
        self.serial = serial
        self.user_data = b""
        self.flags = 0
        self.hook: HookState | None = None  # of a base chain
        self.policy = abi.NF_ACCEPT
        self.counts = False
        self.rules: list[RuleState] = []
        self.use = 0  # jumps to it
        self.code = NftChain()
        self.steps: list[tuple[PacketFilter, ChainStep]] = []  # while it is registered


class SetState:
    """A set or map."""

    def __init__(self, table: "TableState", name: str, handle: int, code: NftSet) -> None:
        self.table = table
        self.name = name
        self.handle = handle
        self.code = code
        self.flags = 0
        self.key_type = 0
        self.data_type = 0
        self.data_length = 0
        self.shown: list[tuple[int, bytes]] = []  # other attributes, as they were given
        self.concat = b""  # the attribute of its fields' lengths
        self.limit = 0  # elements; 0: there is none
        self.timeout_ms = 0
        self.parts: list[RuleExpression] = []  # that each element gets a copy of
        self.user_data = b""
        self.use = 0  # expressions that look into it
        self.ident = 0  # of its batch

    def is_anonymous(self) -> bool:
        """Return whether the set belongs to one rule."""
        return self.flags & abi.NFT_SET_ANONYMOUS != 0

    def is_verdict_map(self) -> bool:
        """Return whether the set maps to verdicts."""
        return self.flags & abi.NFT_SET_MAP != 0 and self.data_type == abi.NFT_DATA_VERDICT


class ObjectState:
    """A counter, quota or limit that has a name."""

    def __init__(self, table: "TableState", name: str, handle: int, part: RuleExpression) -> None:
        self.table = table
        self.name = name
        self.handle = handle
        self.kind = 0  # NFT_OBJECT_
        self.part = part
        self.user_data = b""
        self.use = 0  # expressions that share it

    def size(self) -> int:
        """Return the bytes that it counts for."""
        return OBJECT + len(self.user_data)


class SetElement(Element):
    """An element of a set, with what user space gave for it."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.flags = 0
        self.timeout_ms = 0
        self.user_data = b""
        self.target: ChainState | None = None  # of a verdict map
        self.parts: list[RuleExpression] = []


class TableState:
    """A table."""

    def __init__(self, family: int, name: str, handle: int) -> None:
        self.family = family
        self.name = name
        self.handle = handle
        self.flags = 0
        self.user_data = b""
        self.chains: dict[str, ChainState] = {}
        self.sets: dict[str, SetState] = {}
        self.objects: dict[tuple[int, str], ObjectState] = {}
        self.last_handle = 0

    def next_handle(self) -> int:
        """Return a handle for something in the table."""
        self.last_handle += 1
        return self.last_handle

    def use(self) -> int:
        """Return how much there is in the table."""
        return len(self.chains) + len(self.sets) + len(self.objects)


class TableUndo(Undo):
    """How a table was."""

    def __init__(self, table: TableState) -> None:
        self.table = table
        self.flags = table.flags
        self.user_data = table.user_data
        self.chains = dict(table.chains)
        self.sets = dict(table.sets)
        self.objects = dict(table.objects)

    def undo(self) -> None:
        table = self.table
        table.flags = self.flags
        table.user_data = self.user_data
        table.chains = self.chains
        table.sets = self.sets
        table.objects = self.objects


class ChainUndo(Undo):
    """How a chain was."""

    def __init__(self, chain: ChainState) -> None:
        self.chain = chain
        self.name = chain.name
        self.flags = chain.flags
        self.policy = chain.policy
        self.counts = chain.counts
        self.rules = list(chain.rules)
        self.use = chain.use

    def undo(self) -> None:
        chain = self.chain
        chain.name = self.name
        chain.flags = self.flags
        chain.policy = self.policy
        chain.counts = self.counts
        chain.rules = self.rules
        chain.use = self.use


class SetUndo(Undo):
    """How a set was."""

    def __init__(self, item: SetState) -> None:
        self.item = item
        self.elements = dict(item.code.elements)

    def undo(self) -> None:
        self.item.code.elements = self.elements
        self.item.code.changed()


class SetUseUndo(Undo):
    """How much a set was used; cheaper than all of its elements."""

    def __init__(self, item: SetState) -> None:
        self.item = item
        self.use = item.use
        self.limit = item.limit

    def undo(self) -> None:
        self.item.use = self.use
        self.item.limit = self.limit


class ObjectUndo(Undo):
    """How much a named object was used."""

    def __init__(self, item: ObjectState) -> None:
        self.item = item
        self.use = item.use

    def undo(self) -> None:
        self.item.use = self.use


class Ruleset:
    """All tables of one network namespace."""

    def __init__(self, filters: dict[int, PacketFilter]) -> None:
        self.filters = filters
        self.stack = filters[4].stack
        self.tables: dict[tuple[int, str], TableState] = {}
        self.generation = 1
        self.last_table_handle = 0
        self.last_serial = 0
        self.last_process: tuple[int, bytes] = (0, b"")  # who made the generation
        # How much there is, for the bounds.
        self.chains = 0
        self.rules = 0
        self.sets = 0
        self.elements = 0
        self.bytes = 0
        self._registered: list[ChainState] = []

    # Bounds.

    def grow(
        self, *, chains: int = 0, rules: int = 0, sets: int = 0, elements: int = 0, size: int = 0
    ) -> None:
        """Note that there is more; SysError(EMFILE) if it is too much.  Less is negative."""
        self.chains += chains
        self.rules += rules
        self.sets += sets
        self.elements += elements
        self.bytes += size
        if (
            self.chains > MAX_CHAINS
            or self.rules > MAX_RULES
            or self.sets > MAX_SETS
            or self.elements > MAX_ELEMENTS
            or self.bytes > MAX_BYTES
        ):
            raise SysError(EMFILE)

    # What packets meet.

    def publish(self) -> None:
        """Let packets meet the rules as they are now."""
        wanted: list[ChainState] = []
        for table in self.tables.values():
            if not table.flags & abi.NFT_TABLE_F_DORMANT:
                wanted += [chain for chain in table.chains.values() if chain.hook is not None]
        gone = set(self._registered) - set(wanted)
        for chain in self._registered:
            if chain in gone:
                self._unregister(chain)
        wanted.sort(key=serial_of)
        for chain in wanted:
            if not chain.steps:
                self._register(chain)
            for _, step in chain.steps:
                step.policy = chain.policy
                step.counts = chain.counts
        self._registered = wanted
        self._note_tracking()
        for rules in self.filters.values():
            rules.rebuild()

    def _note_tracking(self) -> None:
        tracking = {
            table
            for table in self.tables.values()
            if any(
                rule.code.needs_tracking for chain in table.chains.values() for rule in chain.rules
            )
        }
        for chain in self._registered:
            for _, step in chain.steps:
                step.needs_tracking = chain.table in tracking

    def _register(self, chain: ChainState) -> None:
        hook = chain.hook
        assert hook is not None
        is_nat = hook.kind == abi.NFT_CHAIN_T_NAT
        for version in VERSIONS[chain.table.family]:
            reroutes = hook.kind == abi.NFT_CHAIN_T_ROUTE
            step = ChainStep(chain.code, hook.priority, reroutes=reroutes)
            rules = self.filters[version]
            rules.register(step, hook.number, is_nat=is_nat)
            chain.steps.append((rules, step))

    def _unregister(self, chain: ChainState) -> None:
        hook = chain.hook
        assert hook is not None
        for rules, step in chain.steps:
            rules.unregister(step, hook.number, is_nat=hook.kind == abi.NFT_CHAIN_T_NAT)
        chain.steps = []


def serial_of(chain: ChainState) -> int:
    """Return when a chain was made."""
    return chain.serial


class Journal:
    """What a batch has changed."""

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
        self.checks = MAX_CHECKS
        self._tables = dict(ruleset.tables)
        self._numbers = (
            ruleset.last_table_handle,
            ruleset.chains,
            ruleset.rules,
            ruleset.sets,
            ruleset.elements,
            ruleset.bytes,
        )
        self._seen: dict[object, Undo] = {}
        self._used: dict[SetState, Undo] = {}
        self.touched: dict[ChainState, None] = {}  # whose rules are others
        self.unchecked: dict[TableState, None] = {}  # that may be wrong now
        self.counters: dict[ChainState, tuple[int, int]] = {}  # that user space gives
        self.set_ids: dict[int, SetState] = {}
        self.rule_ids: dict[int, RuleState] = {}

    def table(self, table: TableState) -> None:
        """A table is about to be changed."""
        if table not in self._seen:
            self._seen[table] = TableUndo(table)

    def chain(self, chain: ChainState) -> None:
        """A chain is about to be changed."""
        if chain not in self._seen:
            self._seen[chain] = ChainUndo(chain)

    def elements(self, item: SetState) -> None:
        """A set's elements are about to be changed."""
        if item not in self._seen:
            self._seen[item] = SetUndo(item)

    def set_use(self, item: SetState) -> None:
        """A set is about to be used by more or fewer rules."""
        if item not in self._used:
            self._used[item] = SetUseUndo(item)

    def object_use(self, item: ObjectState) -> None:
        """A named object is about to be used by more or fewer rules."""
        if item not in self._seen:
            self._seen[item] = ObjectUndo(item)

    def undo(self) -> None:
        """Make everything as it was."""
        for undo in [*self._seen.values(), *self._used.values()]:
            undo.undo()
        ruleset = self.ruleset
        ruleset.tables = self._tables
        (
            ruleset.last_table_handle,
            ruleset.chains,
            ruleset.rules,
            ruleset.sets,
            ruleset.elements,
            ruleset.bytes,
        ) = self._numbers

    def commit(self) -> None:
        """Let packets meet what was changed."""
        for chain in self.touched:
            chain.code.rules = [rule.code for rule in chain.rules]
        self.ruleset.publish()
        for chain, counted in self.counters.items():
            for place, (_, step) in enumerate(chain.steps):
                step.packets, step.bytes = counted if place == 0 else (0, 0)

    def check(self) -> None:
        """SysError if what was changed may not be so."""
        while self.unchecked:
            table = next(iter(self.unchecked))
            if self.ruleset.tables.get((table.family, table.name)) is table:
                self.check_table(table)
            del self.unchecked[table]

    # Checks of what the rules lead to.

    def check_table(self, table: TableState) -> None:
        """SysError(EMLINK, EOPNOTSUPP) if chains go in circles, too deep, or to the wrong place."""
        for chain in table.chains.values():
            if chain.hook is not None:
                self._check_chain(chain, chain.hook, 0, {})

    def _check_chain(
        self, chain: ChainState, hook: HookState, depth: int, known: dict[ChainState, int]
    ) -> None:
        """Check a chain and what it leads to; `known` has depths that were looked at."""
        if depth >= MAX_DEPTH:
            raise SysError(EMLINK)
        if known.get(chain, -1) >= depth:
            return
        for rule in chain.rules:
            for part in rule.expressions:
                self._spend()
                check_place(part, hook)
                for target in targets_of(part):
                    if target is not None:
                        self._spend()
                        self._check_chain(target, hook, depth + 1, known)
        known[chain] = depth

    def _spend(self) -> None:
        self.checks -= 1
        if self.checks < 0:
            raise SysError(EMLINK)


def targets_of(part: RuleExpression) -> list[ChainState | None]:
    """Return the chains that an expression may lead to."""
    if part.set is not None:
        if not part.set.is_verdict_map():
            return []
        elements = part.set.code.elements.values()
        return [one.target for one in elements if isinstance(one, SetElement)]
    return [part.chain]


def check_place(part: RuleExpression, hook: HookState) -> None:
    """SysError if a chain may not have an expression at a hook."""
    if part.hooks >= 0 and not part.hooks >> hook.number & 1:
        raise SysError(part.place_errno)
    if part.chain_type >= 0 and part.chain_type != hook.kind:
        raise SysError(part.place_errno)
