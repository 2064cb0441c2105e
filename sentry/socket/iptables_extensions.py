"""Matches and targets of iptables as user space passes them: structs of linux/netfilter*/xt_*.h.

Each maker gets the bytes behind the struct's head, of the size that the kernel demands, and
returns what the stack runs, or raises SysError(EINVAL).
"""

from collections.abc import Callable
from struct import Struct
from typing import Final

from netstack.filter import matches as nf
from netstack.filter import targets as nft
from netstack.filter.hooks import PacketFilter
from netstack.filter.nat import Range
from netstack.filter.passage import (
    ESTABLISHED,
    FORWARD,
    HOOKS,
    INVALID,
    LOCAL_IN,
    LOCAL_OUT,
    NEW,
    POST_ROUTING,
    PRE_ROUTING,
    RELATED,
    UNTRACKED,
)
from netstack.filter.table import DROP, Match, Target, Verdict
from sentry.abi.errno import EINVAL, ERANGE
from sentry.errors import SysError

TCP: Final = 6
ALL_HOOKS: Final = (1 << HOOKS) - 1
NAT_BEFORE: Final = 1 << PRE_ROUTING | 1 << LOCAL_OUT
NAT_AFTER: Final = 1 << POST_ROUTING | 1 << LOCAL_IN
SENDING: Final = 1 << LOCAL_OUT | 1 << POST_ROUTING
FILTER_HOOKS: Final = 1 << LOCAL_IN | 1 << FORWARD | 1 << LOCAL_OUT

_PORTS: Final = Struct("<4H4B")
_UDP: Final = Struct("<4HB")
_MULTIPORT: Final = Struct("<BB15H")
_OWNER: Final = Struct("<4I2B")
_OWNER_0: Final = Struct("<4I16s2B")
_MARK: Final = Struct("<2IB")
_TWO_WORDS: Final = Struct("<2I")
_WORD: Final = Struct("<I")
_ADDRESS_TYPE_0: Final = Struct("<2H2I")
_ADDRESS_TYPE: Final = Struct("<2HI")
_RANGE_0: Final = Struct("<2I4s4s2s2s")
_RANGE: Final = Struct("<I4s12x4s12x2s2s")
_RANGE6: Final = Struct("<I16s16s2s2s")
_BASE: Final = Struct("<40x2s")
_CT: Final = Struct("<2H2I16s")
_CONNMARK: Final = Struct("<3IB")
_CONNMARK_2: Final = Struct("<3I3B")
_LOG: Final = Struct("<BB30s")
_CONNTRACK_LIFE: Final = Struct("<2IH")

LIMIT_NS: Final = 100_000  # the unit of a limit: XT_LIMIT_SCALE of them are a second

# NF_NAT_RANGE_.
MAP_IPS: Final = 1
PROTO_SPECIFIED: Final = 2
PROTO_RANDOM: Final = 4
PERSISTENT: Final = 8
RANDOM_FULLY: Final = 16
PROTO_OFFSET: Final = 32

CT_NOTRACK: Final = 1


class RuleHead:
    """What an extension must know of its rule."""

    def __init__(self, protocol: int, *, is_inverted: bool) -> None:
        # The one protocol that the rule is for, or 0.
        self.protocol = 0 if is_inverted else protocol
        self.asks_for_syn = True  # a match wants that flag, or there is no telling


MatchMaker = Callable[[PacketFilter, RuleHead, bytes], Match]
TargetMaker = Callable[[PacketFilter, RuleHead, bytes], Target]


class Extension:
    """One revision of a match or target: its size, and where rules may have it."""

    def __init__(
        self, size: int, *, protocol: int = 0, hooks: int = ALL_HOOKS, table: str = ""
    ) -> None:
        self.size = size + 7 & ~7  # XT_ALIGN
        self.protocol = protocol  # 0: rules for any
        self.hooks = hooks
        self.table = table  # empty: any

    def check(self, size: int, head: RuleHead, hooks: int, table: str) -> None:
        """SysError(EINVAL) if a rule may not have this; `hooks` is what can lead to the rule."""
        if size != self.size or (self.table and table != self.table) or hooks & ~self.hooks:
            raise SysError(EINVAL)
        if self.protocol and head.protocol != self.protocol:
            raise SysError(EINVAL)


class MatchExtension(Extension):
    """A match."""

    def __init__(
        self,
        make: MatchMaker,
        size: int,
        *,
        protocol: int = 0,
        hooks: int = ALL_HOOKS,
        table: str = "",
    ) -> None:
        super().__init__(size, protocol=protocol, hooks=hooks, table=table)
        self.make = make


class TargetExtension(Extension):
    """A target."""

    def __init__(
        self,
        make: TargetMaker,
        size: int,
        *,
        protocol: int = 0,
        hooks: int = ALL_HOOKS,
        table: str = "",
    ) -> None:
        super().__init__(size, protocol=protocol, hooks=hooks, table=table)
        self.make = make


def _tcp(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    low, high, to_low, to_high, option, mask, flags, inverted = _PORTS.unpack_from(data)
    if inverted & ~0x0F:
        raise SysError(EINVAL)
    made = nf.TcpMatch((low, high), (to_low, to_high))
    made.not_source = bool(inverted & 1)
    made.not_destination = bool(inverted & 2)
    made.not_flags = bool(inverted & 4)
    made.not_option = bool(inverted & 8)
    made.option, made.flags_mask, made.flags = option, mask, flags
    return made


def _udp(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    low, high, to_low, to_high, inverted = _UDP.unpack_from(data)
    if inverted & ~0x03:
        raise SysError(EINVAL)
    made = nf.PortMatch((low, high), (to_low, to_high))
    made.not_source = bool(inverted & 1)
    made.not_destination = bool(inverted & 2)
    return made


def _icmp(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    if data[3] & ~1:
        raise SysError(EINVAL)
    return nf.IcmpMatch(data[0], data[1], data[2], inverted=bool(data[3]))


def _multiport(head: RuleHead, data: bytes, ranged: bytes, *, inverted: bool) -> Match:
    kind, count, *ports = _MULTIPORT.unpack_from(data)
    if head.protocol not in nf.WITH_PORTS or kind > 2 or count > 15:
        raise SysError(EINVAL)
    ranges = []
    place = 0
    while place < count:
        low = high = ports[place]
        if ranged[place]:
            place += 1
            if place >= count or ranged[place] or ports[place] < low:
                raise SysError(EINVAL)
            high = ports[place]
        ranges.append((low, high))
        place += 1
    return nf.MultiportMatch(ranges, source=kind != 1, destination=kind != 0, inverted=inverted)


def _multiport_0(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    return _multiport(head, data, bytes(15), inverted=False)


def _multiport_1(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    return _multiport(head, data, data[32:47], inverted=data[47] != 0)


def _owner_0(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    uid, gid, _, _, _, match, inverted = _OWNER_0.unpack_from(data)
    if match & ~3:
        raise SysError(EINVAL)  # processes, sessions, commands: no kernel of today knows them
    made = nf.OwnerMatch()
    if match & 1:
        made.users, made.not_users = (uid, uid), bool(inverted & 1)
    if match & 2:
        made.groups, made.not_groups = (gid, gid), bool(inverted & 2)
    return made


def _owner_1(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    low, high, group_low, group_high, match, inverted = _OWNER.unpack_from(data)
    if match & ~7:
        raise SysError(EINVAL)
    made = nf.OwnerMatch()
    if match & 1:
        made.users, made.not_users = (low, high), bool(inverted & 1)
    if match & 2:
        made.groups, made.not_groups = (group_low, group_high), bool(inverted & 2)
    made.has_socket, made.not_socket = bool(match & 4), bool(inverted & 4)
    return made


def _mark(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    mark, mask, inverted = _MARK.unpack_from(data)
    return nf.MarkMatch(mark, mask, inverted=bool(inverted))


def _comment(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    return nf.CommentMatch()


def _limit(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    average, burst = _TWO_WORDS.unpack_from(data)
    if burst == 0 or average * burst >= 1 << 32:
        raise SysError(ERANGE)
    return nf.LimitMatch(rules.stack.environment, average * LIMIT_NS, burst)


def _address_type_0(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    source, destination, not_source, not_destination = _ADDRESS_TYPE_0.unpack_from(data)
    made = nf.AddressTypeMatch(rules.network, source, destination)
    made.not_source, made.not_destination = bool(not_source), bool(not_destination)
    return made


def _address_type_1(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    source, destination, flags = _ADDRESS_TYPE.unpack_from(data)
    if flags & 0xC == 0xC:
        raise SysError(EINVAL)
    made = nf.AddressTypeMatch(rules.network, source, destination)
    made.not_source, made.not_destination = bool(flags & 1), bool(flags & 2)
    made.only_input, made.only_output = bool(flags & 4), bool(flags & 8)
    return made


def states(mask: int, untracked: int) -> int:
    """Return a mask of the stack's states from one of XT_STATE_ bits."""
    made = 0
    pairs = ((1, INVALID), (2, ESTABLISHED), (4, RELATED), (8, NEW), (untracked, UNTRACKED))
    for bit, state in pairs:
        if mask & bit:
            made |= 1 << state
    return made


def _state(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    return nf.StateMatch(states(_WORD.unpack_from(data)[0], 1 << 6))


def _conntrack_1(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    state, status = data[150], data[151]
    return _conntrack(rules, data, (">", 138), (146, 148), state, status, ())


def _conntrack_2(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    state, status = (int.from_bytes(data[at : at + 2], "little") for at in (150, 152))
    return _conntrack(rules, data, (">", 138), (146, 148), state, status, ())


def _conntrack_3(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    state, status = (int.from_bytes(data[at : at + 2], "little") for at in (150, 152))
    highs = Struct("<4H").unpack_from(data, 154)
    return _conntrack(rules, data, ("<", 138), (146, 148), state, status, highs)


def _conntrack(
    rules: PacketFilter,
    data: bytes,
    ports: tuple[str, int],
    flags_at: tuple[int, int],
    state: int,
    status: int,
    highs: tuple[int, ...],
) -> Match:
    """Return a match of struct xt_conntrack_mtinfo{1,2,3}, which differ towards their ends."""
    flags, inverted = (int.from_bytes(data[at : at + 2], "little") for at in flags_at)
    low, high, protocol = _CONNTRACK_LIFE.unpack_from(data, 128)
    made = nf.ConntrackMatch()
    if flags & 1:
        made.states = states(state, 1 << 8)
        made.states |= nf.IS_SNAT if state & 1 << 6 else 0
        made.states |= nf.IS_DNAT if state & 1 << 7 else 0
        made.not_states = bool(inverted & 1)
    if flags & 2:
        made.protocol, made.not_protocol = protocol, bool(inverted & 2)
    if flags & 1 << 6:
        made.status_mask, made.not_status = status, bool(inverted & 1 << 6)
    if flags & 1 << 7:
        made.expires, made.not_expires = (low, high), bool(inverted & 1 << 7)
    if flags & 1 << 12:
        made.direction = 1 if inverted & 1 << 12 else 0
    size = 16 if rules.network.version == 6 else 4
    numbers = Struct(f"{ports[0]}4H").unpack_from(data, ports[1])
    for place in range(4):
        bit = 1 << (2 + place)
        if flags & bit:
            at = place * 32
            address = int.from_bytes(data[at : at + size], "big")
            mask = int.from_bytes(data[at + 16 : at + 16 + size], "big")
            made.prefixes[place] = nf.Prefix(address & mask, mask, inverted=bool(inverted & bit))
        bit = 1 << (8 + place)
        if flags & bit:
            top = highs[place] if highs else numbers[place]
            made.ports[place] = nf.PortRange(numbers[place], top, inverted=bool(inverted & bit))
    return made


def _connmark(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    mark, mask, inverted = _MARK.unpack_from(data)
    return nf.ConnmarkMatch(mark, mask, inverted=bool(inverted))


# Targets.


def _connmark_target(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    mark, mask, packet_mask, mode = _CONNMARK.unpack_from(data)
    if mode > nft.RESTORE_MARK:
        raise SysError(EINVAL)
    return nft.ConnmarkTarget(mode, mark, mask, packet_mask)


def _connmark_target_2(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    mark, mask, packet_mask, is_right, bits, mode = _CONNMARK_2.unpack_from(data)
    if mode > nft.RESTORE_MARK or bits >= 32:
        raise SysError(EINVAL)
    made = nft.ConnmarkTarget(mode, mark, mask, packet_mask)
    made.shift = -bits if is_right else bits
    return made


def _log_target(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    level, _, prefix = _LOG.unpack_from(data)
    if level >= 8 or prefix[-1]:
        raise SysError(EINVAL)
    return nft.LogTarget()


def _mark_target(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    mark, mask = _TWO_WORDS.unpack_from(data)
    return nft.MarkTarget(mark, mask)


def _reject(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    number = _WORD.unpack_from(data)[0]
    if number == 7:
        if head.protocol != TCP:
            raise SysError(EINVAL)
        return nft.RejectTarget(rules, nft.TCP_RESET)
    # enum ipt_reject_with; 4 was an echo reply once.
    codes = {0: 0, 1: 1, 2: 2, 3: 3, 5: 4, 6: 5, 8: 6}
    if number == 4:
        raise SysError(EINVAL)
    if number not in codes:
        return Verdict(DROP)  # no way to say so that anybody knows
    return nft.RejectTarget(rules, nft.REJECT_CODES[codes[number]])


def _range_of(flags: int, low: bytes, high: bytes, low_port: bytes, high_port: bytes) -> Range:
    made = Range()
    if flags & MAP_IPS:
        if low > high:
            raise SysError(EINVAL)
        made.low, made.high = low, high
    if flags & PROTO_SPECIFIED:
        made.has_ports = True
        made.low_port = int.from_bytes(low_port, "big")
        made.high_port = int.from_bytes(high_port, "big")
        if made.low_port > made.high_port:
            raise SysError(EINVAL)
    made.is_random = bool(flags & (PROTO_RANDOM | RANDOM_FULLY))
    made.is_persistent = bool(flags & PERSISTENT)
    return made


def _range_0(data: bytes) -> Range:
    """Return the one range of struct nf_nat_ipv4_multi_range_compat."""
    count, flags, low, high, low_port, high_port = _RANGE_0.unpack_from(data)
    if count != 1:
        raise SysError(EINVAL)
    return _range_of(flags, low, high, low_port, high_port)


def range_1(rules: PacketFilter, data: bytes) -> Range:
    """Return the range of struct nf_nat_range."""
    layout = _RANGE6 if rules.network.version == 6 else _RANGE
    return _range_of(*layout.unpack_from(data))


def _nat_0(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    return nft.NatTarget(rules, _range_0(data))


def _nat_1(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    return nft.NatTarget(rules, range_1(rules, data))


def _nat_2(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    wanted = range_1(rules, data)
    base = _BASE.unpack_from(data)[0]
    if _WORD.unpack_from(data)[0] & PROTO_OFFSET:
        wanted.base_port = int.from_bytes(base, "big")
    return nft.NatTarget(rules, wanted)


def _redirect(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    wanted = _range_0(data)
    if wanted.low:
        raise SysError(EINVAL)
    return nft.RedirectTarget(rules, wanted)


def _masquerade(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    wanted = _range_0(data)
    if wanted.low:
        raise SysError(EINVAL)
    return nft.MasqueradeTarget(rules, wanted)


def _ct(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    flags, zone, events, expected, helper = _CT.unpack_from(data)
    if flags & ~3 or zone or events or expected or helper.strip(b"\0"):
        raise SysError(EINVAL)  # zones, events and helpers there are none
    return nft.NotrackTarget() if flags & CT_NOTRACK else nft.TrackTarget()


def _ct_timeout(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    if data[28:60].strip(b"\0"):
        raise SysError(EINVAL)
    return _ct(rules, head, data)


def _notrack(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    return nft.NotrackTarget()


MATCHES: Final[dict[tuple[str, int], MatchExtension]] = {
    ("tcp", 0): MatchExtension(_tcp, 12, protocol=TCP),
    ("udp", 0): MatchExtension(_udp, 10, protocol=17),
    ("icmp", 0): MatchExtension(_icmp, 4, protocol=1),
    ("multiport", 0): MatchExtension(_multiport_0, 32),
    ("multiport", 1): MatchExtension(_multiport_1, 48),
    ("owner", 0): MatchExtension(_owner_0, 36, hooks=SENDING),
    ("owner", 1): MatchExtension(_owner_1, 20, hooks=SENDING),
    ("mark", 1): MatchExtension(_mark, 12),
    ("comment", 0): MatchExtension(_comment, 256),
    ("limit", 0): MatchExtension(_limit, 40),
    ("addrtype", 0): MatchExtension(_address_type_0, 12),
    ("addrtype", 1): MatchExtension(_address_type_1, 8),
    ("state", 0): MatchExtension(_state, 4),
    ("conntrack", 1): MatchExtension(_conntrack_1, 152),
    ("conntrack", 2): MatchExtension(_conntrack_2, 156),
    ("conntrack", 3): MatchExtension(_conntrack_3, 164),
    ("connmark", 1): MatchExtension(_connmark, 12),
}

# Matches of all families: another revision is "the wrong type" (EPROTOTYPE), not unknown.
ANY_FAMILY: Final = (
    "comment",
    "connmark",
    "conntrack",
    "limit",
    "mac",
    "mark",
    "owner",
    "state",
    "statistic",
)

TARGETS: Final[dict[tuple[str, int], TargetExtension]] = {
    ("MARK", 2): TargetExtension(_mark_target, 8),
    ("REJECT", 0): TargetExtension(_reject, 4, hooks=FILTER_HOOKS, table="filter"),
    ("SNAT", 0): TargetExtension(_nat_0, 20, hooks=NAT_AFTER, table="nat"),
    ("SNAT", 1): TargetExtension(_nat_1, 40, hooks=NAT_AFTER, table="nat"),
    ("SNAT", 2): TargetExtension(_nat_2, 44, hooks=NAT_AFTER, table="nat"),
    ("DNAT", 0): TargetExtension(_nat_0, 20, hooks=NAT_BEFORE, table="nat"),
    ("DNAT", 1): TargetExtension(_nat_1, 40, hooks=NAT_BEFORE, table="nat"),
    ("DNAT", 2): TargetExtension(_nat_2, 44, hooks=NAT_BEFORE, table="nat"),
    ("REDIRECT", 0): TargetExtension(_redirect, 20, hooks=NAT_BEFORE, table="nat"),
    ("MASQUERADE", 0): TargetExtension(_masquerade, 20, hooks=1 << POST_ROUTING, table="nat"),
    ("CT", 0): TargetExtension(_ct, 40, table="raw"),
    ("CT", 1): TargetExtension(_ct_timeout, 72, table="raw"),
    ("CT", 2): TargetExtension(_ct_timeout, 72, table="raw"),
    ("NOTRACK", 0): TargetExtension(_notrack, 0, table="raw"),
    ("CONNMARK", 1): TargetExtension(_connmark_target, 16),
    ("CONNMARK", 2): TargetExtension(_connmark_target_2, 16),
    ("LOG", 0): TargetExtension(_log_target, 32),
}
