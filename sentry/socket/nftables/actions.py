"""Expressions of nf_tables that know packets and connections, or act on them."""

from typing import Final

from netstack.filter import nft_expressions as code
from netstack.filter import nft_meta as meta
from netstack.filter.nat import Range
from netstack.filter.passage import FORWARD, LOCAL_IN, LOCAL_OUT, POST_ROUTING, PRE_ROUTING
from netstack.filter.targets import TCP_RESET, MasqueradeTarget, NatTarget, RedirectTarget
from netstack.network import NetworkProtocol
from sentry.abi import nf_tables as abi
from sentry.abi.errno import EAFNOSUPPORT, EINVAL, EOPNOTSUPP
from sentry.errors import SysError
from sentry.socket.netlink_wire import u8
from sentry.socket.nftables.attributes import Attributes, be, be32, be_or, register
from sentry.socket.nftables.expressions import Context, made
from sentry.socket.nftables.ruleset import VERSIONS, RuleExpression

NAT_HOOKS_BEFORE: Final = 1 << PRE_ROUTING | 1 << LOCAL_OUT
NAT_HOOKS_AFTER: Final = 1 << POST_ROUTING | 1 << LOCAL_IN
REJECT_HOOKS: Final = 1 << LOCAL_IN | 1 << FORWARD | 1 << LOCAL_OUT | 1 << PRE_ROUTING
NAT_FLAGS: Final = 0x7F  # NF_NAT_RANGE_MASK
NF_NAT_RANGE_MAP_IPS: Final = 1
NF_NAT_RANGE_PROTO_SPECIFIED: Final = 2
NF_NAT_RANGE_RANDOM: Final = 4
NF_NAT_RANGE_PERSISTENT: Final = 8
NF_NAT_RANGE_RANDOM_FULLY: Final = 16
SUPPORTED_NAT_FLAGS: Final = 0x1F

META_SIZES: Final = {
    meta.META_LEN: 4,
    meta.META_PROTOCOL: 2,
    meta.META_MARK: 4,
    meta.META_IIF: 4,
    meta.META_OIF: 4,
    meta.META_IIFNAME: 16,
    meta.META_OIFNAME: 16,
    meta.META_IIFTYPE: 2,
    meta.META_OIFTYPE: 2,
    meta.META_SKUID: 4,
    meta.META_SKGID: 4,
    meta.META_NFPROTO: 1,
    meta.META_L4PROTO: 1,
    meta.META_PKTTYPE: 1,
    meta.META_CPU: 4,
    meta.META_PRANDOM: 4,
}

CT_SIZES: Final = {
    meta.CT_STATE: 4,
    meta.CT_DIRECTION: 1,
    meta.CT_STATUS: 4,
    meta.CT_MARK: 4,
    meta.CT_EXPIRATION: 4,
    meta.CT_L3PROTOCOL: 1,
    meta.CT_PROTOCOL: 1,
    meta.CT_PROTO_SRC: 2,
    meta.CT_PROTO_DST: 2,
    meta.CT_SRC_IP: 4,
    meta.CT_DST_IP: 4,
    meta.CT_SRC_IP6: 16,
    meta.CT_DST_IP6: 16,
    meta.CT_ID: 4,
}
# Which need a direction.
CT_OF_TUPLE: Final = (
    meta.CT_SRC,
    meta.CT_DST,
    meta.CT_PROTO_SRC,
    meta.CT_PROTO_DST,
    meta.CT_SRC_IP,
    meta.CT_DST_IP,
    meta.CT_SRC_IP6,
    meta.CT_DST_IP6,
)

# Codes of ICMPX for IPv4 and IPv6 (enum nft_reject_inet_code).
ICMPX_CODES: Final = ((0, 0), (3, 4), (1, 3), (13, 1))


def _make_meta(context: Context, attributes: Attributes) -> RuleExpression:
    key = be(attributes, abi.NFTA_META_KEY, 4)
    if abi.NFTA_META_SREG in attributes:
        if abi.NFTA_META_DREG in attributes:
            raise SysError(EINVAL)
        if key not in {meta.META_MARK, meta.META_NFTRACE}:
            raise SysError(EOPNOTSUPP)
        size = 4 if key == meta.META_MARK else 1
        at = context.registers.source(attributes, abi.NFTA_META_SREG, size)
        shown = be32(abi.NFTA_META_KEY, key) + register(abi.NFTA_META_SREG, at)
        return made("meta", meta.MetaSet(key, at), shown)
    size = META_SIZES.get(key, 0)
    if not size:
        raise SysError(EOPNOTSUPP)
    at = context.registers.destination(attributes, abi.NFTA_META_DREG, size)
    built = meta.Meta(context.ruleset.stack.environment, key, at)
    shown = be32(abi.NFTA_META_KEY, key) + register(abi.NFTA_META_DREG, at)
    return made("meta", built, shown)


def _make_ct(context: Context, attributes: Attributes) -> RuleExpression:
    key = be(attributes, abi.NFTA_CT_KEY, 4)
    head = be32(abi.NFTA_CT_KEY, key)
    if abi.NFTA_CT_SREG in attributes:
        if abi.NFTA_CT_DREG in attributes:
            raise SysError(EINVAL)
        if key != meta.CT_MARK:
            raise SysError(EOPNOTSUPP)
        at = context.registers.source(attributes, abi.NFTA_CT_SREG, 4)
        return made("ct", meta.CtMarkSet(at), register(abi.NFTA_CT_SREG, at), head)
    size = CT_SIZES.get(key, 0)
    if key in {meta.CT_SRC, meta.CT_DST}:
        sizes = {abi.NFPROTO_IPV4: 4, abi.NFPROTO_IPV6: 16, abi.NFPROTO_INET: 16}
        size = sizes[context.table.family]
    if not size:
        raise SysError(EOPNOTSUPP)
    direction = -1
    shown = b""
    if abi.NFTA_CT_DIRECTION in attributes:
        if key not in CT_OF_TUPLE:
            raise SysError(EOPNOTSUPP if key not in CT_SIZES else EINVAL)
        direction = be(attributes, abi.NFTA_CT_DIRECTION, 1)
        if direction > 1:
            raise SysError(EINVAL)
        shown = u8(abi.NFTA_CT_DIRECTION, direction)
    elif key in CT_OF_TUPLE:
        raise SysError(EINVAL)
    at = context.registers.destination(attributes, abi.NFTA_CT_DREG, size)
    return made("ct", meta.Ct(key, at, direction), register(abi.NFTA_CT_DREG, at), head, shown)


def _make_notrack(context: Context, attributes: Attributes) -> RuleExpression:
    return made("notrack", meta.Notrack())


def _make_reject(context: Context, attributes: Attributes) -> RuleExpression:
    kind = be(attributes, abi.NFTA_REJECT_TYPE, 4)
    family = context.table.family
    shown = be32(abi.NFTA_REJECT_TYPE, kind)
    if kind == abi.NFT_REJECT_TCP_RST:
        codes = {4: TCP_RESET, 6: TCP_RESET}
    elif kind == abi.NFT_REJECT_ICMP_UNREACH or (
        kind == abi.NFT_REJECT_ICMPX_UNREACH and family == abi.NFPROTO_INET
    ):
        number = be(attributes, abi.NFTA_REJECT_ICMP_CODE, 1)
        codes = {4: number, 6: number}
        if kind == abi.NFT_REJECT_ICMPX_UNREACH:
            if number >= len(ICMPX_CODES):
                raise SysError(EINVAL)
            codes = {4: ICMPX_CODES[number][0], 6: ICMPX_CODES[number][1]}
        shown += u8(abi.NFTA_REJECT_ICMP_CODE, number)
    else:
        raise SysError(EINVAL)
    result = made("reject", meta.Reject(context.ruleset.filters, codes), shown)
    result.hooks = REJECT_HOOKS
    return result


# Translation.


def flags_of(attributes: Attributes, kind: int) -> int:
    """Return the flags of a translation, none of which may be unknown."""
    flags = be_or(attributes, kind, 4, 0)
    if flags & ~NAT_FLAGS:
        raise SysError(EOPNOTSUPP)
    if flags & ~SUPPORTED_NAT_FLAGS:
        raise SysError(EOPNOTSUPP)  # mapping of networks, and of port offsets
    return flags


def note_flags(registers: meta.NatRegisters, flags: int) -> None:
    """Take what flags say."""
    registers.is_random = bool(flags & (NF_NAT_RANGE_RANDOM | NF_NAT_RANGE_RANDOM_FULLY))
    registers.is_persistent = bool(flags & NF_NAT_RANGE_PERSISTENT)


def take_ports(
    context: Context, attributes: Attributes, registers: meta.NatRegisters, low: int, high: int
) -> bytes:
    """Note the registers of ports, if there are any; return their attributes."""
    if low not in attributes:
        return b""
    registers.low_port = context.registers.source(attributes, low, 2)
    registers.high_port = registers.low_port
    if high in attributes:
        registers.high_port = context.registers.source(attributes, high, 2)
    return register(low, registers.low_port) + register(high, registers.high_port)


def _make_nat(context: Context, attributes: Attributes) -> RuleExpression:
    kind = be(attributes, abi.NFTA_NAT_TYPE, 4)
    family = be(attributes, abi.NFTA_NAT_FAMILY, 4)
    if kind > abi.NFT_NAT_DNAT:
        raise SysError(EINVAL)
    if context.table.family not in {abi.NFPROTO_INET, family}:
        raise SysError(EOPNOTSUPP)
    sizes = {abi.NFPROTO_IPV4: 4, abi.NFPROTO_IPV6: 16}
    if family not in sizes and (
        family != abi.NFPROTO_INET or abi.NFTA_NAT_REG_ADDR_MIN in attributes
    ):
        raise SysError(EAFNOSUPPORT)
    registers = meta.NatRegisters()
    shown = be32(abi.NFTA_NAT_TYPE, kind) + be32(abi.NFTA_NAT_FAMILY, family)
    flags = flags_of(attributes, abi.NFTA_NAT_FLAGS)
    if abi.NFTA_NAT_REG_ADDR_MIN in attributes:
        size = sizes[family]
        registers.low = context.registers.source(attributes, abi.NFTA_NAT_REG_ADDR_MIN, size)
        registers.high = registers.low
        if abi.NFTA_NAT_REG_ADDR_MAX in attributes:
            registers.high = context.registers.source(attributes, abi.NFTA_NAT_REG_ADDR_MAX, size)
        shown += register(abi.NFTA_NAT_REG_ADDR_MIN, registers.low)
        shown += register(abi.NFTA_NAT_REG_ADDR_MAX, registers.high)
        flags |= NF_NAT_RANGE_MAP_IPS
    ports = take_ports(
        context, attributes, registers, abi.NFTA_NAT_REG_PROTO_MIN, abi.NFTA_NAT_REG_PROTO_MAX
    )
    flags |= NF_NAT_RANGE_PROTO_SPECIFIED if ports else 0
    note_flags(registers, flags)
    shown += ports + (be32(abi.NFTA_NAT_FLAGS, flags) if flags else b"")
    targets: dict[int, NatTarget] = {}
    for version in VERSIONS[family]:
        targets[version] = NatTarget(context.ruleset.filters[version], Range())
    hooks = NAT_HOOKS_BEFORE if kind == abi.NFT_NAT_DNAT else NAT_HOOKS_AFTER
    return translation("nat", meta.Nat(targets, registers), shown, hooks)


def translation(name: str, built: meta.Nat, shown: bytes, hooks: int) -> RuleExpression:
    """Return an expression that only chains of the type nat may have."""
    result = made(name, built, shown)
    result.hooks = hooks
    result.chain_type = abi.NFT_CHAIN_T_NAT
    return result


def _make_masq(context: Context, attributes: Attributes) -> RuleExpression:
    flags = flags_of(attributes, abi.NFTA_MASQ_FLAGS)
    registers = meta.NatRegisters()
    ports = take_ports(
        context, attributes, registers, abi.NFTA_MASQ_REG_PROTO_MIN, abi.NFTA_MASQ_REG_PROTO_MAX
    )
    flags |= NF_NAT_RANGE_PROTO_SPECIFIED if ports else 0
    note_flags(registers, flags)
    shown = (be32(abi.NFTA_MASQ_FLAGS, flags) if flags else b"") + ports
    targets: dict[int, NatTarget] = {}
    for version in VERSIONS[context.table.family]:
        targets[version] = MasqueradeTarget(context.ruleset.filters[version], Range())
    return translation("masq", meta.Nat(targets, registers), shown, 1 << POST_ROUTING)


def _make_redir(context: Context, attributes: Attributes) -> RuleExpression:
    flags = flags_of(attributes, abi.NFTA_REDIR_FLAGS)
    registers = meta.NatRegisters()
    ports = take_ports(
        context, attributes, registers, abi.NFTA_REDIR_REG_PROTO_MIN, abi.NFTA_REDIR_REG_PROTO_MAX
    )
    flags |= NF_NAT_RANGE_PROTO_SPECIFIED if ports else 0
    note_flags(registers, flags)
    shown = ports + (be32(abi.NFTA_REDIR_FLAGS, flags) if flags else b"")
    targets: dict[int, NatTarget] = {}
    for version in VERSIONS[context.table.family]:
        targets[version] = RedirectTarget(context.ruleset.filters[version], Range())
    return translation("redir", meta.Nat(targets, registers), shown, NAT_HOOKS_BEFORE)


# Routes.


def _make_fib(context: Context, attributes: Attributes) -> RuleExpression:
    result = be(attributes, abi.NFTA_FIB_RESULT, 4)
    flags = be(attributes, abi.NFTA_FIB_FLAGS, 4)
    both = code.FIB_SOURCE | code.FIB_DESTINATION
    devices = code.FIB_INPUT | code.FIB_OUTPUT
    if not flags or flags & ~0x3F or flags & both in {0, both} or flags & devices == devices:
        raise SysError(EINVAL)
    networks: dict[int, NetworkProtocol] = context.ruleset.stack.networks
    shown = be32(abi.NFTA_FIB_RESULT, result) + be32(abi.NFTA_FIB_FLAGS, flags)
    if result == code.FIB_RESULT_TYPE:
        if flags & code.FIB_PRESENT:
            raise SysError(EINVAL)
        at = context.registers.destination(attributes, abi.NFTA_FIB_DREG, 4)
        is_source = bool(flags & code.FIB_SOURCE)
        found = code.FibType(networks, at, is_source=is_source, device=flags & devices)
        return made("fib", found, register(abi.NFTA_FIB_DREG, at), shown)
    if result not in {code.FIB_RESULT_INDEX, code.FIB_RESULT_NAME}:
        raise SysError(EINVAL)
    if flags & code.FIB_OUTPUT:
        raise SysError(EINVAL)
    size = 16 if result == code.FIB_RESULT_NAME else 4
    if flags & code.FIB_PRESENT:
        size = 1
    at = context.registers.destination(attributes, abi.NFTA_FIB_DREG, size)
    reverse = code.FibInterface(networks, at, result, flags)
    made_ = made("fib", reverse, register(abi.NFTA_FIB_DREG, at), shown)
    made_.hooks = 1 << PRE_ROUTING | 1 << LOCAL_IN | 1 << FORWARD
    return made_


ACTIONS: Final = {
    "meta": _make_meta,
    "ct": _make_ct,
    "notrack": _make_notrack,
    "reject": _make_reject,
    "nat": _make_nat,
    "masq": _make_masq,
    "redir": _make_redir,
    "fib": _make_fib,
}
