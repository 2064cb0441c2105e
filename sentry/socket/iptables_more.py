"""Matches and targets of iptables that are seldom used, as user space passes them."""

from struct import Struct
from typing import Final

from netstack.filter import more_matches as nf
from netstack.filter.hooks import PacketFilter
from netstack.filter.passage import FORWARD, LOCAL_IN, LOCAL_OUT, POST_ROUTING, PRE_ROUTING
from netstack.filter.table import Match, Target
from sentry.abi.errno import EDOM, EINVAL
from sentry.errors import SysError
from sentry.socket.iptables_extensions import (
    TCP,
    MatchExtension,
    RuleHead,
    TargetExtension,
)

_STATISTIC: Final = Struct("<2H3I")
_LENGTH: Final = Struct("<2HB")
_PACKET_TYPE: Final = Struct("<2I")
_MAC: Final = Struct("<6s2xI")
_MSS: Final = Struct("<H")

ARRIVING: Final = 1 << PRE_ROUTING | 1 << LOCAL_IN | 1 << FORWARD
LEAVING: Final = 1 << FORWARD | 1 << LOCAL_OUT | 1 << POST_ROUTING
CLAMP_PMTU: Final = 0xFFFF

# XT_STATISTIC_MODE_.
RANDOM: Final = 0
NTH: Final = 1


def _hops(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    return nf.HopsMatch(data[0], data[1])


def _statistic(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    mode, flags, first, count, _ = _STATISTIC.unpack_from(data)
    if mode > NTH or flags & ~1:
        raise SysError(EINVAL)
    if mode == RANDOM:
        return nf.RandomMatch(rules.stack.environment, first, inverted=bool(flags))
    return nf.NthMatch(first, count, inverted=bool(flags))


def _length(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    low, high, inverted = _LENGTH.unpack_from(data)
    return nf.LengthMatch(low, high, inverted=bool(inverted))


def _packet_type(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    kind, inverted = _PACKET_TYPE.unpack_from(data)
    return nf.KindMatch(kind, inverted=bool(inverted))


def _host_range(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    size = 16 if rules.network.version == 6 else 4
    ends = [data[at : at + size] for at in range(0, 64, 16)]
    flags = data[64]
    made = nf.HostRangeMatch()
    if flags & 1:
        made.sources, made.not_sources = (ends[0], ends[1]), bool(flags & 16)
    if flags & 2:
        made.destinations, made.not_destinations = (ends[2], ends[3]), bool(flags & 32)
    return made


def _dscp(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    if data[0] > 63:
        raise SysError(EDOM)
    return nf.DscpMatch(data[0], inverted=bool(data[1]))


def _mac(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    address, inverted = _MAC.unpack_from(data)
    return nf.MacMatch(address, inverted=bool(inverted))


def _mss(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    if not head.asks_for_syn:
        raise SysError(EINVAL)
    mss = _MSS.unpack_from(data)[0]
    return nf.MssTarget(rules.network, 0 if mss == CLAMP_PMTU else max(mss, 1))


MORE_MATCHES: Final[dict[tuple[str, int], MatchExtension]] = {
    ("statistic", 0): MatchExtension(_statistic, 24),
    ("length", 0): MatchExtension(_length, 6),
    ("pkttype", 0): MatchExtension(_packet_type, 8),
    ("iprange", 1): MatchExtension(_host_range, 68),
    ("dscp", 0): MatchExtension(_dscp, 2),
    ("mac", 0): MatchExtension(_mac, 12, hooks=ARRIVING),
}
TTL: Final = MatchExtension(_hops, 2)
MORE_TARGETS: Final[dict[tuple[str, int], TargetExtension]] = {
    ("TCPMSS", 0): TargetExtension(_mss, 2, protocol=TCP, hooks=LEAVING),
}
