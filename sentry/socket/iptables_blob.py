"""The table of rules as user space passes it: struct ipt_entry or ip6t_entry, one after another.

Everything in it is a hostile guest's: every offset is checked before it is used, jumps must lead to
rules and not in circles, and hooks must begin and end where rules do.
"""

from struct import Struct
from typing import Final

from netstack.filter.hooks import TABLE_HOOKS, PacketFilter
from netstack.filter.matches import HeaderMatch, TcpMatch
from netstack.filter.passage import HOOKS
from netstack.filter.table import (
    ACCEPT,
    DROP,
    JUMP,
    NO_RULE,
    RETURN,
    Match,
    Rule,
    Table,
    Target,
    Verdict,
)
from sentry.abi.errno import EINVAL, ELOOP, ENOENT, EPROTOTYPE
from sentry.errors import SysError
from sentry.socket.iptables_extensions import ANY_FAMILY, RuleHead
from sentry.socket.iptables_families import Layout

MAX_RULES: Final = 16384
HEAD: Final = 32  # struct xt_entry_match, xt_entry_target
STANDARD: Final = 40  # struct xt_standard_target
ERROR_SIZE: Final = 64  # struct xt_error_target

_NAMES: Final = Struct("<16s16s16s16sH")
_OFFSETS: Final = Struct("<HH")
_EXTENSION: Final = Struct("<H29sB")
_VERDICT: Final = Struct("<i")

IPT_F_FRAG: Final = 1
IP6T_F_PROTO: Final = 1
SYN: Final = 2
INV_FRAG: Final = 0x20
INV_PROTO: Final = 0x40

# Verdicts of the ABI: -NF_DROP - 1 and so on; with XT_RETURN.
VERDICTS: Final = {-1: DROP, -2: ACCEPT, -4: DROP, -5: RETURN}  # nobody takes what is queued


class Entry:
    """One rule of the blob, checked as far as it goes alone."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.header = HeaderMatch()
        self.head = RuleHead(0, is_inverted=False)
        self.is_unconditional = False
        self.is_goto = False
        self.matches: list[tuple[str, int, bytes]] = []
        self.target = ""
        self.revision = 0
        self.data = b""
        self.verdict = 0  # of a standard target
        self.next_index = NO_RULE  # where a jump leads
        self.hooks = 0  # by which the rule can be reached


def name_of(field: bytes) -> str:
    """Return the name in a field of fixed size."""
    return field.split(b"\0")[0].decode("ascii", "replace")


def make_table(
    layout: Layout,
    rules: PacketFilter,
    name: str,
    blob: bytes,
    count: int,
    entries: tuple[int, ...],
    underflows: tuple[int, ...],
) -> tuple[Table, list[int]]:
    """Return a table and the offsets of its rules; SysError(EINVAL, ELOOP, ENOENT).

    `entries` and `underflows` are offsets by hook.
    """
    if count > MAX_RULES:
        raise SysError(EINVAL)
    rows = parse_entries(layout, blob)
    if len(rows) != count:
        raise SysError(EINVAL)
    places = {row.offset: index for index, row in enumerate(rows)}
    begins, ends = [NO_RULE] * HOOKS, [NO_RULE] * HOOKS
    for hook in TABLE_HOOKS[name]:
        if entries[hook] not in places or underflows[hook] not in places:
            raise SysError(EINVAL)
        begins[hook] = places[entries[hook]]
        ends[hook] = places[underflows[hook]]
        end = rows[ends[hook]]
        if end.target or not end.is_unconditional or end.verdict not in (-1, -2):
            raise SysError(EINVAL)
    for row in rows:
        if not row.target and row.verdict >= 0:
            row.next_index = places.get(row.verdict, NO_RULE)
    for hook in TABLE_HOOKS[name]:
        walk(rows, begins[hook], hook)
    made = [make_rule(layout, rules, name, row) for row in rows]
    return Table(name, made, begins, ends), [row.offset for row in rows]


def parse_entries(layout: Layout, blob: bytes) -> list[Entry]:
    """Return the rules of a blob."""
    rows: list[Entry] = []
    entry = layout.entry
    at = 0
    while at < len(blob):
        if len(blob) - at < entry or at % 8 or len(rows) > MAX_RULES:
            raise SysError(EINVAL)
        target_at, size = _OFFSETS.unpack_from(blob, at + layout.offsets)
        if size < entry + HEAD or size > len(blob) - at or size % 8:
            raise SysError(EINVAL)
        if target_at < entry or target_at + HEAD > size or target_at % 8:
            raise SysError(EINVAL)
        rows.append(parse_entry(layout, blob[at : at + size], at, target_at))
        at += size
    return rows


def parse_entry(layout: Layout, data: bytes, offset: int, target_at: int) -> Entry:
    """Return one rule."""
    row = Entry(offset)
    parse_header(layout, row, data)
    at = layout.entry
    while at < target_at:
        if target_at - at < HEAD:
            raise SysError(EINVAL)
        size, name, revision = _EXTENSION.unpack_from(data, at)
        if size < HEAD or size % 8 or size > target_at - at:
            raise SysError(EINVAL)
        row.matches.append((name_of(name), revision, data[at + HEAD : at + size]))
        at += size
    row.is_unconditional = not row.matches and not any(data[: layout.header])
    size, name, revision = _EXTENSION.unpack_from(data, target_at)
    if size < HEAD or target_at + size > len(data):
        raise SysError(EINVAL)
    row.target, row.revision = name_of(name), revision
    row.data = data[target_at + HEAD : target_at + size]
    if not row.target:
        if target_at + STANDARD != len(data) or size != STANDARD:
            raise SysError(EINVAL)
        row.verdict = _VERDICT.unpack_from(row.data)[0]
        if row.verdict <= 0 and row.verdict not in VERDICTS:
            raise SysError(EINVAL)
    elif row.target == "ERROR" and (size != ERROR_SIZE or target_at + ERROR_SIZE != len(data)):
        raise SysError(EINVAL)
    return row


def parse_header(layout: Layout, row: Entry, data: bytes) -> None:
    """Take struct ipt_ip or ip6t_ip6."""
    size = layout.address
    source, destination, source_mask, destination_mask = (
        int.from_bytes(data[place * size : (place + 1) * size], "big") for place in range(4)
    )
    input_name, output_name, input_mask, output_mask, protocol = _NAMES.unpack_from(data, 4 * size)
    at = 4 * size + _NAMES.size
    if layout.version == 6:
        at += 1  # a type of service, which nobody looks at
    flags, inverted = data[at], data[at + 1]
    if flags & ~layout.flags or inverted & ~0x7F:
        raise SysError(EINVAL)
    made = row.header
    made.source, made.source_mask = source, source_mask
    made.destination, made.destination_mask = destination, destination_mask
    made.not_source, made.not_destination = bool(inverted & 8), bool(inverted & 0x10)
    made.protocol, made.not_protocol = protocol, bool(inverted & INV_PROTO)
    made.input_name = int.from_bytes(input_name, "big")
    made.input_mask = int.from_bytes(input_mask, "big")
    made.output_name = int.from_bytes(output_name, "big")
    made.output_mask = int.from_bytes(output_mask, "big")
    made.not_input, made.not_output = bool(inverted & 1), bool(inverted & 2)
    row.head = RuleHead(protocol, is_inverted=made.not_protocol)
    if layout.version == 6:
        if not flags & IP6T_F_PROTO:
            made.protocol = 0
    else:
        made.later_fragments = bool(flags & IPT_F_FRAG)
        made.not_fragments = bool(inverted & INV_FRAG)
    row.is_goto = bool(flags & layout.goto)


def walk(rows: list[Entry], begin: int, hook: int) -> None:
    """Mark all rules that a hook leads to; SysError(ELOOP) if jumps go in circles or nowhere."""
    bit = 1 << hook
    unseen, open_, done = 0, 1, 2
    state = [unseen] * len(rows)
    path: list[tuple[int, list[int]]] = [(begin, following(rows, begin))]
    state[begin] = open_
    rows[begin].hooks |= bit
    while path:
        index, rest = path[-1]
        if not rest:
            state[index] = done
            path.pop()
            continue
        step = rest.pop()
        if state[step] == open_:
            raise SysError(ELOOP)
        if state[step] == unseen:
            state[step] = open_
            rows[step].hooks |= bit
            path.append((step, following(rows, step)))


def following(rows: list[Entry], index: int) -> list[int]:
    """Return the rules that may come after a rule; SysError(ELOOP) if there is none there.

    The head of a chain is taken for a rule like others, as Linux does.
    """
    row = rows[index]
    found: list[int] = []
    if not row.target:
        if row.verdict > 0:
            if row.next_index == NO_RULE:
                raise SysError(ELOOP)
            found.append(row.next_index)
        elif row.is_unconditional:
            return found
    if index + 1 >= len(rows):
        raise SysError(ELOOP)
    if index + 1 not in found:
        found.append(index + 1)
    return found


def make_rule(layout: Layout, rules: PacketFilter, table: str, row: Entry) -> Rule:
    """Return what the stack runs for a rule."""
    matches: list[Match] = [] if row.is_unconditional else [row.header]
    row.head.asks_for_syn = False
    for name, revision, data in row.matches:
        extension = layout.matches.get((name, revision))
        if extension is None:
            raise SysError(EPROTOTYPE if name in ANY_FAMILY else ENOENT)
        extension.check(len(data), row.head, row.hooks, table)
        made = extension.make(rules, row.head, data)
        if isinstance(made, TcpMatch) and made.flags & SYN and not made.not_flags:
            row.head.asks_for_syn = True
        matches.append(made)
    return Rule(matches, make_target(layout, rules, table, row))


def make_target(layout: Layout, rules: PacketFilter, table: str, row: Entry) -> Target:
    """Return the target of a rule."""
    if row.target in ("", "ERROR") and row.revision:
        raise SysError(ENOENT)
    if row.target == "ERROR":
        return Verdict(DROP)  # the head of a chain, which no packet comes to
    if not row.target:
        if row.verdict < 0:
            return Verdict(VERDICTS[row.verdict])
        if row.next_index == NO_RULE:
            return Verdict(DROP)  # nowhere, in a chain that nothing leads to
        return Verdict(JUMP, row.next_index, is_goto=row.is_goto)
    found = layout.targets.get((row.target, row.revision))
    if found is None:
        raise SysError(ENOENT)
    found.check(len(row.data), row.head, row.hooks, table)
    return found.make(rules, row.head, row.data)
