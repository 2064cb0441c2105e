"""Matches and targets of iptables in rules of nf_tables (linux/netfilter/nf_tables_compat.h)."""

from typing import Final

from netstack.filter.nft_expressions import CompatMatch, CompatTarget
from sentry.abi import nf_tables as abi
from sentry.abi.errno import EINVAL, ENOENT, EPROTONOSUPPORT
from sentry.errors import SysError
from sentry.socket.iptables_extensions import Extension, RuleHead
from sentry.socket.iptables_families import EXTENSIONS
from sentry.socket.netlink_wire import attribute
from sentry.socket.nftables.attributes import Attributes, be, be32, name, text
from sentry.socket.nftables.expressions import Context
from sentry.socket.nftables.ruleset import RuleExpression

MAX_EXTENSION_NAME: Final = 28  # XT_EXTENSION_MAXNAMELEN, with its NUL
COMPAT_TARGET: Final = 1  # NFTA_COMPAT_TYPE of a target; of a match 0


def take_compat(context: Context, data: Attributes) -> None:
    """Note what a rule says of its protocol (nft_parse_compat)."""
    flags = be(data, abi.NFTA_RULE_COMPAT_FLAGS, 4)
    if flags & ~abi.NFT_RULE_COMPAT_F_MASK:
        raise SysError(EINVAL)
    context.protocol = be(data, abi.NFTA_RULE_COMPAT_PROTO, 4)
    context.is_inverted = bool(flags & abi.NFT_RULE_COMPAT_F_INV)


def place(context: Context, result: RuleExpression, extension: Extension) -> RuleExpression:
    """Note where an extension may be."""
    result.hooks = extension.hooks
    result.place_errno = EINVAL
    if extension.table == "nat":
        result.chain_type = abi.NFT_CHAIN_T_NAT
    return result


def padded(data: bytes) -> bytes:
    """Return a struct of the size that the kernel aligns it to (XT_ALIGN)."""
    return data + bytes(-len(data) % 8)


def _make_match(context: Context, attributes: Attributes) -> RuleExpression:
    wanted = name(attributes, abi.NFTA_MATCH_NAME)
    revision = be(attributes, abi.NFTA_MATCH_REV, 4)
    info = attributes.get(abi.NFTA_MATCH_INFO)
    if not wanted or info is None:
        raise SysError(EINVAL)
    matches, _ = EXTENSIONS.get(context.table.family, ({}, {}))
    extension = matches.get((wanted, revision))
    if extension is None:
        raise SysError(ENOENT)
    data = padded(info)
    head = RuleHead(context.protocol & 0xFF, is_inverted=context.is_inverted)
    extension.check(len(data), head, 0, context.table.name)
    rules = context.ruleset.filters[6 if context.table.family == abi.NFPROTO_IPV6 else 4]
    built = CompatMatch(extension.make(rules, head, data))
    shown = text(abi.NFTA_MATCH_NAME, wanted) + be32(abi.NFTA_MATCH_REV, revision)
    shown += attribute(abi.NFTA_MATCH_INFO, data)
    return place(context, RuleExpression("match", built, shown), extension)


def _make_target(context: Context, attributes: Attributes) -> RuleExpression:
    wanted = name(attributes, abi.NFTA_TARGET_NAME)
    revision = be(attributes, abi.NFTA_TARGET_REV, 4)
    info = attributes.get(abi.NFTA_TARGET_INFO)
    if not wanted or info is None:
        raise SysError(EINVAL)
    _, targets = EXTENSIONS.get(context.table.family, ({}, {}))
    extension = targets.get((wanted, revision))
    if extension is None:
        raise SysError(ENOENT)
    data = padded(info)
    head = RuleHead(context.protocol & 0xFF, is_inverted=context.is_inverted)
    extension.check(len(data), head, 0, context.table.name)
    rules = context.ruleset.filters[6 if context.table.family == abi.NFPROTO_IPV6 else 4]
    built = CompatTarget(extension.make(rules, head, data))
    shown = text(abi.NFTA_TARGET_NAME, wanted) + be32(abi.NFTA_TARGET_REV, revision)
    shown += attribute(abi.NFTA_TARGET_INFO, data)
    return place(context, RuleExpression("target", built, shown), extension)


def find_revision(family: int, attributes: Attributes) -> bytes:
    """Answer NFNL_MSG_COMPAT_GET: whether there is a revision of a match or target."""
    wanted = name(attributes, abi.NFTA_COMPAT_NAME)
    revision = be(attributes, abi.NFTA_COMPAT_REV, 4)
    kind = be(attributes, abi.NFTA_COMPAT_TYPE, 4)
    if not wanted or len(wanted) >= MAX_EXTENSION_NAME:
        raise SysError(EINVAL)
    if family not in EXTENSIONS:
        raise SysError(EINVAL)
    matches, targets = EXTENSIONS[family]
    known = list(targets) if kind == COMPAT_TARGET else list(matches)
    revisions = [number for own, number in known if own == wanted]
    if not revisions:
        raise SysError(ENOENT)
    if revision not in revisions:
        raise SysError(EPROTONOSUPPORT)
    return (
        text(abi.NFTA_COMPAT_NAME, wanted)
        + be32(abi.NFTA_COMPAT_REV, revision)
        + be32(abi.NFTA_COMPAT_TYPE, kind)
    )


COMPAT: Final = {"match": _make_match, "target": _make_target}
