"""Expressions of nf_tables that work on registers: from attributes, and back."""

from collections.abc import Callable
from typing import Final

from netstack.filter import nft_expressions as code
from netstack.filter.nft_chain import Expression
from sentry.abi import nf_tables as abi
from sentry.abi.errno import EINVAL, EOPNOTSUPP, EOVERFLOW, ERANGE
from sentry.errors import SysError
from sentry.socket.netlink_wire import attribute
from sentry.socket.nftables.attributes import (
    Attributes,
    Registers,
    be,
    be32,
    be64,
    be_or,
    nested,
    register,
    text,
    value_data,
    value_of,
    verdict_data,
)
from sentry.socket.nftables.lookups import find_set, parse_verdict
from sentry.socket.nftables.ruleset import Journal, RuleExpression, Ruleset, TableState

SECOND: Final = 1_000_000_000
DEFAULT_BURST: Final = 5
MAX_PREFIX: Final = 127  # of log


class Context:
    """Where an expression is being made."""

    def __init__(self, ruleset: Ruleset, journal: Journal, table: TableState) -> None:
        self.ruleset = ruleset
        self.journal = journal
        self.table = table
        self.registers = Registers()
        # What a rule's matches and targets of iptables are told (NFTA_RULE_COMPAT).
        self.protocol = 0
        self.is_inverted = False


Maker = Callable[[Context, Attributes], RuleExpression]


def made(name: str, built: Expression, *parts: bytes) -> RuleExpression:
    """Return an expression and its attributes."""
    return RuleExpression(name, built, b"".join(parts))


def _make_immediate(context: Context, attributes: Attributes) -> RuleExpression:
    data = nested(attributes, abi.NFTA_IMMEDIATE_DATA)
    if be(attributes, abi.NFTA_IMMEDIATE_DREG, 4) == abi.NFT_REG_VERDICT:
        verdict, chain = parse_verdict(context.table, data)
        built = code.ImmediateVerdict(verdict, chain.code if chain is not None else None)
        result = made("immediate", built, be32(abi.NFTA_IMMEDIATE_DREG, abi.NFT_REG_VERDICT))
        result.chain = chain
        return result
    value = value_of(attributes, abi.NFTA_IMMEDIATE_DATA)
    at = context.registers.destination(attributes, abi.NFTA_IMMEDIATE_DREG, len(value))
    return made(
        "immediate",
        code.Immediate(at, value),
        register(abi.NFTA_IMMEDIATE_DREG, at),
        value_data(abi.NFTA_IMMEDIATE_DATA, value),
    )


def _make_cmp(context: Context, attributes: Attributes) -> RuleExpression:
    value = value_of(attributes, abi.NFTA_CMP_DATA)
    at = context.registers.source(attributes, abi.NFTA_CMP_SREG, len(value))
    operator = be(attributes, abi.NFTA_CMP_OP, 4)
    if operator > code.GTE:
        raise SysError(EINVAL)
    return made(
        "cmp",
        code.Compare(at, operator, value),
        register(abi.NFTA_CMP_SREG, at),
        be32(abi.NFTA_CMP_OP, operator),
        value_data(abi.NFTA_CMP_DATA, value),
    )


def _make_range(context: Context, attributes: Attributes) -> RuleExpression:
    low = value_of(attributes, abi.NFTA_RANGE_FROM_DATA)
    high = value_of(attributes, abi.NFTA_RANGE_TO_DATA)
    if len(low) != len(high):
        raise SysError(EINVAL)
    at = context.registers.source(attributes, abi.NFTA_RANGE_SREG, len(low))
    operator = be(attributes, abi.NFTA_RANGE_OP, 4)
    if operator > 1:
        raise SysError(EINVAL)
    return made(
        "range",
        code.RangeExpression(at, low, high, inverted=operator == 1),
        register(abi.NFTA_RANGE_SREG, at),
        be32(abi.NFTA_RANGE_OP, operator),
        value_data(abi.NFTA_RANGE_FROM_DATA, low),
        value_data(abi.NFTA_RANGE_TO_DATA, high),
    )


def length_of(attributes: Attributes, kind: int) -> int:
    """Return a number of bytes, which is at most 255 (nft_parse_u32_check)."""
    length = be(attributes, kind, 4)
    if length > 255:
        raise SysError(ERANGE)
    return length


def _make_bitwise(context: Context, attributes: Attributes) -> RuleExpression:
    length = length_of(attributes, abi.NFTA_BITWISE_LEN)
    source = context.registers.source(attributes, abi.NFTA_BITWISE_SREG, length)
    at = context.registers.destination(attributes, abi.NFTA_BITWISE_DREG, length)
    operator = be_or(attributes, abi.NFTA_BITWISE_OP, 4, code.BITWISE_MASK)
    head = (
        register(abi.NFTA_BITWISE_SREG, source)
        + register(abi.NFTA_BITWISE_DREG, at)
        + be32(abi.NFTA_BITWISE_LEN, length)
        + be32(abi.NFTA_BITWISE_OP, operator)
    )
    if operator == code.BITWISE_MASK:
        if abi.NFTA_BITWISE_DATA in attributes:
            raise SysError(EINVAL)
        mask = value_of(attributes, abi.NFTA_BITWISE_MASK)
        xor = value_of(attributes, abi.NFTA_BITWISE_XOR)
        if len(mask) != length or len(xor) != length:
            raise SysError(EINVAL)
        return made(
            "bitwise",
            code.BitwiseMask(source, at, mask, xor),
            head,
            value_data(abi.NFTA_BITWISE_MASK, mask),
            value_data(abi.NFTA_BITWISE_XOR, xor),
        )
    if operator not in {code.BITWISE_LEFT, code.BITWISE_RIGHT}:
        raise SysError(EOPNOTSUPP)
    if abi.NFTA_BITWISE_MASK in attributes or abi.NFTA_BITWISE_XOR in attributes:
        raise SysError(EINVAL)
    data = value_of(attributes, abi.NFTA_BITWISE_DATA)
    shift = int.from_bytes(data, "little")
    if len(data) != 4 or shift >= 32:
        raise SysError(EINVAL)
    built = code.BitwiseShift(
        source, at, length, shift if operator == code.BITWISE_LEFT else -shift
    )
    return made("bitwise", built, head, value_data(abi.NFTA_BITWISE_DATA, data))


def _make_byteorder(context: Context, attributes: Attributes) -> RuleExpression:
    length = length_of(attributes, abi.NFTA_BYTEORDER_LEN)
    size = be(attributes, abi.NFTA_BYTEORDER_SIZE, 4)
    operator = be(attributes, abi.NFTA_BYTEORDER_OP, 4)
    if operator > 1 or size not in {2, 4, 8}:
        raise SysError(EINVAL)
    source = context.registers.source(attributes, abi.NFTA_BYTEORDER_SREG, length)
    at = context.registers.destination(attributes, abi.NFTA_BYTEORDER_DREG, length)
    return made(
        "byteorder",
        code.ByteOrder(source, at, length, size),
        register(abi.NFTA_BYTEORDER_SREG, source),
        register(abi.NFTA_BYTEORDER_DREG, at),
        be32(abi.NFTA_BYTEORDER_OP, operator),
        be32(abi.NFTA_BYTEORDER_LEN, length),
        be32(abi.NFTA_BYTEORDER_SIZE, size),
    )


def _make_payload(context: Context, attributes: Attributes) -> RuleExpression:
    if abi.NFTA_PAYLOAD_SREG in attributes:
        raise SysError(EOPNOTSUPP)  # packets are not rewritten
    base = be(attributes, abi.NFTA_PAYLOAD_BASE, 4)
    if base > code.TRANSPORT_HEADER:
        raise SysError(EOPNOTSUPP)
    offset = length_of(attributes, abi.NFTA_PAYLOAD_OFFSET)
    length = length_of(attributes, abi.NFTA_PAYLOAD_LEN)
    at = context.registers.destination(attributes, abi.NFTA_PAYLOAD_DREG, length)
    return made(
        "payload",
        code.Payload(base, offset, length, at),
        register(abi.NFTA_PAYLOAD_DREG, at),
        be32(abi.NFTA_PAYLOAD_BASE, base),
        be32(abi.NFTA_PAYLOAD_OFFSET, offset),
        be32(abi.NFTA_PAYLOAD_LEN, length),
    )


def _make_lookup(context: Context, attributes: Attributes) -> RuleExpression:
    item = find_set(
        context.table,
        context.journal,
        attributes,
        abi.NFTA_LOOKUP_SET,
        abi.NFTA_LOOKUP_SET_ID,
    )
    table = item.code
    source = context.registers.source(attributes, abi.NFTA_LOOKUP_SREG, table.key_length)
    flags = be_or(attributes, abi.NFTA_LOOKUP_FLAGS, 4, 0)
    if flags & ~abi.NFT_LOOKUP_F_INV:
        raise SysError(EINVAL)
    shown = text(abi.NFTA_LOOKUP_SET, item.name) + register(abi.NFTA_LOOKUP_SREG, source)
    built: code.Lookup
    if abi.NFTA_LOOKUP_DREG in attributes:
        if flags or not item.flags & abi.NFT_SET_MAP:
            raise SysError(EINVAL)
        if item.is_verdict_map():
            if be(attributes, abi.NFTA_LOOKUP_DREG, 4) != abi.NFT_REG_VERDICT:
                raise SysError(EINVAL)
            built = code.VerdictLookup(table, source, -1, inverted=False)
            shown += be32(abi.NFTA_LOOKUP_DREG, abi.NFT_REG_VERDICT)
        else:
            at = context.registers.destination(attributes, abi.NFTA_LOOKUP_DREG, item.data_length)
            built = code.Lookup(table, source, at, inverted=False)
            shown += register(abi.NFTA_LOOKUP_DREG, at)
    elif item.flags & abi.NFT_SET_MAP:
        raise SysError(EINVAL)
    else:
        built = code.Lookup(table, source, -1, inverted=bool(flags))
    result = made("lookup", built, shown, be32(abi.NFTA_LOOKUP_FLAGS, flags))
    result.set = item
    return result


def _make_counter(context: Context, attributes: Attributes) -> RuleExpression:
    packets = be_or(attributes, abi.NFTA_COUNTER_PACKETS, 8, 0)
    size = be_or(attributes, abi.NFTA_COUNTER_BYTES, 8, 0)
    return made("counter", code.Counter(packets, size))


def _make_quota(context: Context, attributes: Attributes) -> RuleExpression:
    flags = be_or(attributes, abi.NFTA_QUOTA_FLAGS, 4, 0)
    if flags & ~abi.NFT_QUOTA_F_INV:
        raise SysError(EINVAL if flags & ~3 else EOPNOTSUPP)
    quota = be(attributes, abi.NFTA_QUOTA_BYTES, 8)
    if quota >= 1 << 63:
        raise SysError(EOVERFLOW)
    consumed = be_or(attributes, abi.NFTA_QUOTA_CONSUMED, 8, 0)
    if consumed > quota:
        raise SysError(EINVAL)
    return made("quota", code.Quota(quota, consumed, inverted=bool(flags)))


def _make_limit(context: Context, attributes: Attributes) -> RuleExpression:
    rate = be(attributes, abi.NFTA_LIMIT_RATE, 8)
    unit = be(attributes, abi.NFTA_LIMIT_UNIT, 8)
    kind = be_or(attributes, abi.NFTA_LIMIT_TYPE, 4, abi.NFT_LIMIT_PKTS)
    flags = be_or(attributes, abi.NFTA_LIMIT_FLAGS, 4, 0)
    if kind > abi.NFT_LIMIT_PKT_BYTES or flags & ~abi.NFT_LIMIT_F_INV:
        raise SysError(EOPNOTSUPP)
    if not rate:
        raise SysError(EINVAL)
    if not unit or unit * SECOND >= 1 << 64:
        raise SysError(EOVERFLOW)
    burst = be_or(attributes, abi.NFTA_LIMIT_BURST, 4, 0)
    by_bytes = kind == abi.NFT_LIMIT_PKT_BYTES
    if not by_bytes and not burst:
        burst = DEFAULT_BURST
    built = code.Limit(
        context.ruleset.stack.environment,
        rate,
        unit * SECOND,
        burst,
        by_bytes=by_bytes,
        inverted=bool(flags),
    )
    return made(
        "limit",
        built,
        be64(abi.NFTA_LIMIT_RATE, rate),
        be64(abi.NFTA_LIMIT_UNIT, unit),
        be32(abi.NFTA_LIMIT_BURST, burst),
        be32(abi.NFTA_LIMIT_TYPE, kind),
        be32(abi.NFTA_LIMIT_FLAGS, flags),
    )


def _make_log(context: Context, attributes: Attributes) -> RuleExpression:
    shown = b""
    prefix = attributes.get(abi.NFTA_LOG_PREFIX, b"").rstrip(b"\0")
    if len(prefix) > MAX_PREFIX:
        raise SysError(ERANGE)
    if prefix:
        shown += attribute(abi.NFTA_LOG_PREFIX, prefix + b"\0")
    if abi.NFTA_LOG_GROUP in attributes:
        if abi.NFTA_LOG_LEVEL in attributes or abi.NFTA_LOG_FLAGS in attributes:
            raise SysError(EINVAL)
        shown += attribute(
            abi.NFTA_LOG_GROUP, be(attributes, abi.NFTA_LOG_GROUP, 2).to_bytes(2, "big")
        )
        snap = be_or(attributes, abi.NFTA_LOG_SNAPLEN, 4, 0)
        shown += be32(abi.NFTA_LOG_SNAPLEN, snap) if snap else b""
        threshold = be_or(attributes, abi.NFTA_LOG_QTHRESHOLD, 2, 0)
        if threshold:
            shown += attribute(abi.NFTA_LOG_QTHRESHOLD, threshold.to_bytes(2, "big"))
        return made("log", code.Log(), shown)
    level = be_or(attributes, abi.NFTA_LOG_LEVEL, 4, abi.NFT_LOGLEVEL_WARNING)
    flags = be_or(attributes, abi.NFTA_LOG_FLAGS, 4, 0)
    if level > abi.NFT_LOGLEVEL_AUDIT or flags & ~0x1F:
        raise SysError(EINVAL)
    shown += be32(abi.NFTA_LOG_LEVEL, level)
    shown += be32(abi.NFTA_LOG_FLAGS, flags) if flags else b""
    return made("log", code.Log(), shown)


def _make_numgen(context: Context, attributes: Attributes) -> RuleExpression:
    modulus = be(attributes, abi.NFTA_NG_MODULUS, 4)
    offset = be_or(attributes, abi.NFTA_NG_OFFSET, 4, 0)
    kind = be(attributes, abi.NFTA_NG_TYPE, 4)
    if kind > abi.NFT_NG_RANDOM:
        raise SysError(EINVAL)
    if not modulus:
        raise SysError(ERANGE)
    if offset + modulus - 1 >= 1 << 32:
        raise SysError(EOVERFLOW)
    at = context.registers.destination(attributes, abi.NFTA_NG_DREG, 4)
    environment = context.ruleset.stack.environment
    is_random = kind == abi.NFT_NG_RANDOM
    return made(
        "numgen",
        code.NumberGenerator(environment, at, modulus, offset, is_random=is_random),
        register(abi.NFTA_NG_DREG, at),
        be32(abi.NFTA_NG_MODULUS, modulus),
        be32(abi.NFTA_NG_TYPE, kind),
        be32(abi.NFTA_NG_OFFSET, offset),
    )


def shown_now(part: RuleExpression) -> bytes:
    """Return an expression's attributes as they are now."""
    built = part.code
    if isinstance(built, code.Counter):
        return be64(abi.NFTA_COUNTER_BYTES, built.bytes) + be64(
            abi.NFTA_COUNTER_PACKETS, built.packets
        )
    if isinstance(built, code.ImmediateVerdict):
        target = part.chain.name if part.chain is not None else ""  # which may have another now
        return part.shown + verdict_data(abi.NFTA_IMMEDIATE_DATA, built.verdict, target)
    if isinstance(built, code.Quota):
        flags = abi.NFT_QUOTA_F_INV if built.inverted else 0
        if built.consumed >= built.quota:
            flags |= abi.NFT_QUOTA_F_DEPLETED
        return (
            be64(abi.NFTA_QUOTA_BYTES, built.quota)
            + be64(abi.NFTA_QUOTA_CONSUMED, min(built.consumed, built.quota))
            + be32(abi.NFTA_QUOTA_FLAGS, flags)
        )
    return part.shown


def expression(part: RuleExpression) -> bytes:
    """Return an expression as user space is shown it."""
    return text(abi.NFTA_EXPR_NAME, part.name) + attribute(abi.NFTA_EXPR_DATA, shown_now(part))


MAKERS: Final[dict[str, Maker]] = {
    "immediate": _make_immediate,
    "cmp": _make_cmp,
    "range": _make_range,
    "bitwise": _make_bitwise,
    "byteorder": _make_byteorder,
    "payload": _make_payload,
    "lookup": _make_lookup,
    "counter": _make_counter,
    "quota": _make_quota,
    "limit": _make_limit,
    "log": _make_log,
    "numgen": _make_numgen,
}
"""Expressions by name; actions.py and compat.py have the rest."""
