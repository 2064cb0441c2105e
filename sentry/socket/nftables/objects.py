"""Counters, quotas and limits of nf_tables that have a name, for rules to share."""

from typing import Final

from netstack.filter.nft_expressions import Counter, ObjectReference, Quota
from sentry.abi import nf_tables as abi
from sentry.abi import rtnetlink as nl
from sentry.abi.errno import EBUSY, EEXIST, EINVAL, ENOENT, EOPNOTSUPP
from sentry.errors import SysError
from sentry.socket.netlink_wire import attribute, parse_attributes
from sentry.socket.nftables.attributes import (
    Attributes,
    BadAttributeError,
    be,
    be32,
    be64,
    be_or,
    name,
    text,
    user_data,
)
from sentry.socket.nftables.changes import EXPRESSIONS, Change
from sentry.socket.nftables.dumps import Shown, kept, named_table, tables_of
from sentry.socket.nftables.expressions import MAKERS, Context, made, shown_now
from sentry.socket.nftables.ruleset import ObjectState, RuleExpression, Ruleset, TableState

KINDS: Final = {
    abi.NFT_OBJECT_COUNTER: "counter",
    abi.NFT_OBJECT_QUOTA: "quota",
    abi.NFT_OBJECT_LIMIT: "limit",
}


def new_object(change: Change) -> None:
    """NFT_MSG_NEWOBJ."""
    attributes = change.attributes
    if any(kind not in attributes for kind in (abi.NFTA_OBJ_NAME, abi.NFTA_OBJ_DATA)):
        raise SysError(EINVAL)
    table = change.table(abi.NFTA_OBJ_TABLE)
    kind = be(attributes, abi.NFTA_OBJ_TYPE, 4)
    wanted = name(attributes, abi.NFTA_OBJ_NAME)
    if not wanted:
        raise SysError(EINVAL)
    if (kind, wanted) in table.objects:
        if change.flags & nl.NLM_F_EXCL:
            raise BadAttributeError(EEXIST, abi.NFTA_OBJ_NAME)
        if change.flags & nl.NLM_F_REPLACE:
            raise SysError(EOPNOTSUPP)
        return
    if kind not in KINDS:
        raise SysError(ENOENT)  # helpers, timeouts, ...: as without their modules
    context = Context(change.ruleset, change.journal, table)
    data = parse_attributes(attributes[abi.NFTA_OBJ_DATA], 0)
    part = MAKERS[KINDS[kind]](context, data)
    change.journal.table(table)
    item = ObjectState(table, wanted, table.next_handle(), part)
    item.kind = kind
    item.user_data = user_data(attributes, abi.NFTA_OBJ_USERDATA)
    change.ruleset.grow(sets=1, size=item.size())
    table.objects[kind, wanted] = item


def find_object(table: TableState, attributes: Attributes, kind: int, named: int) -> ObjectState:
    """Return the object of a type and a name; SysError(ENOENT)."""
    found = table.objects.get((kind, name(attributes, named)))
    if found is None:
        raise BadAttributeError(ENOENT, named)
    return found


def delete_object(change: Change) -> None:
    """NFT_MSG_DELOBJ."""
    attributes = change.attributes
    table = change.table(abi.NFTA_OBJ_TABLE)
    kind = be(attributes, abi.NFTA_OBJ_TYPE, 4)
    named = abi.NFTA_OBJ_NAME
    if abi.NFTA_OBJ_HANDLE in attributes:
        named = abi.NFTA_OBJ_HANDLE
        handle = be(attributes, named, 8)
        rows = [one for one in table.objects.values() if one.kind == kind and one.handle == handle]
        if not rows:
            raise BadAttributeError(ENOENT, named)
        item = rows[0]
    else:
        item = find_object(table, attributes, kind, named)
    if item.use:
        raise BadAttributeError(EBUSY, named)
    change.journal.table(table)
    del table.objects[item.kind, item.name]
    change.ruleset.grow(sets=-1, size=-item.size())


def _make_objref(context: Context, attributes: Attributes) -> RuleExpression:
    if abi.NFTA_OBJREF_IMM_NAME not in attributes:
        raise SysError(EOPNOTSUPP)  # maps to objects there are none
    kind = be(attributes, abi.NFTA_OBJREF_IMM_TYPE, 4)
    item = find_object(context.table, attributes, kind, abi.NFTA_OBJREF_IMM_NAME)
    result = made(
        "objref",
        ObjectReference(item.part.code),
        be32(abi.NFTA_OBJREF_IMM_TYPE, kind),
        text(abi.NFTA_OBJREF_IMM_NAME, item.name),
    )
    result.object = item
    return result


EXPRESSIONS["objref"] = _make_objref


def show_object(item: ObjectState) -> Shown:
    """Return an object's message (nf_tables_fill_obj_info)."""
    return Shown(
        abi.NFT_MSG_NEWOBJ,
        item.table.family,
        text(abi.NFTA_OBJ_TABLE, item.table.name)
        + text(abi.NFTA_OBJ_NAME, item.name)
        + be64(abi.NFTA_OBJ_HANDLE, item.handle)
        + be32(abi.NFTA_OBJ_TYPE, item.kind)
        + be32(abi.NFTA_OBJ_USE, item.use)
        + attribute(abi.NFTA_OBJ_DATA, shown_now(item.part))
        + kept(abi.NFTA_OBJ_USERDATA, item.user_data),
    )


def get_objects(
    ruleset: Ruleset, family: int, attributes: Attributes, *, dump: bool, resets: bool
) -> list[Shown]:
    """NFT_MSG_GETOBJ and NFT_MSG_GETOBJ_RESET."""
    kind = be_or(attributes, abi.NFTA_OBJ_TYPE, 4, 0)
    if not dump:
        table = named_table(ruleset, family, attributes, abi.NFTA_OBJ_TABLE)
        rows = [find_object(table, attributes, kind, abi.NFTA_OBJ_NAME)]
    else:
        wanted = name(attributes, abi.NFTA_OBJ_TABLE)
        rows = [
            item
            for table in tables_of(ruleset, family)
            if wanted in {"", table.name}
            for item in table.objects.values()
            if kind in {0, item.kind}
        ]
    found = [show_object(item) for item in rows]
    if resets:
        for item in rows:
            reset(item.part)
    return found


def reset(part: RuleExpression) -> None:
    """Let a counter or quota begin again."""
    built = part.code
    if isinstance(built, Counter):
        built.packets = built.bytes = 0
    elif isinstance(built, Quota):
        built.consumed = 0
