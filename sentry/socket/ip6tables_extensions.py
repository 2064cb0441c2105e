"""Matches and targets of ip6tables: those of iptables, and what IPv6 has in another form."""

from struct import Struct
from typing import Final

from netstack.filter import matches as nf
from netstack.filter import targets as nft
from netstack.filter.hooks import PacketFilter
from netstack.filter.passage import ICMPV6, POST_ROUTING
from netstack.filter.table import DROP, Match, Target, Verdict
from sentry.abi.errno import EINVAL
from sentry.errors import SysError
from sentry.socket.iptables_extensions import (
    FILTER_HOOKS,
    MATCHES,
    NAT_BEFORE,
    TARGETS,
    TCP,
    MatchExtension,
    RuleHead,
    TargetExtension,
    range_1,
)

_WORD: Final = Struct("<I")

# enum ip6t_reject_with, linux/netfilter_ipv6/ip6t_REJECT.h.
ECHO_REPLY: Final = 5
RESET: Final = 6
REJECT_CODES: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 7: 5, 8: 6}


def _icmp6(rules: PacketFilter, head: RuleHead, data: bytes) -> Match:
    if data[3] & ~1:
        raise SysError(EINVAL)
    return nf.Icmp6Match(data[0], data[1], data[2], inverted=bool(data[3]))


def _reject(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    number = _WORD.unpack_from(data)[0]
    if number == RESET:
        if head.protocol != TCP:
            raise SysError(EINVAL)
        return nft.RejectTarget(rules, nft.TCP_RESET)
    if number == ECHO_REPLY:
        raise SysError(EINVAL)
    code = REJECT_CODES.get(number, -1)
    return nft.RejectTarget(rules, code) if code >= 0 else Verdict(DROP)


def _redirect(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    wanted = range_1(rules, data)
    if wanted.low:
        raise SysError(EINVAL)
    return nft.RedirectTarget(rules, wanted)


def _masquerade(rules: PacketFilter, head: RuleHead, data: bytes) -> Target:
    wanted = range_1(rules, data)
    if wanted.low:
        raise SysError(EINVAL)
    return nft.MasqueradeTarget(rules, wanted)


ONLY_IPV4: Final = (("icmp", 0), ("multiport", 0), ("addrtype", 0), ("owner", 0))

MATCHES6: Final[dict[tuple[str, int], MatchExtension]] = {
    key: row for key, row in MATCHES.items() if key not in ONLY_IPV4
}
MATCHES6["icmp6", 0] = MatchExtension(_icmp6, 4, protocol=ICMPV6)

TARGETS6: Final[dict[tuple[str, int], TargetExtension]] = {
    key: row
    for key, row in TARGETS.items()
    if key not in {("SNAT", 0), ("DNAT", 0), ("NOTRACK", 0)}
}
TARGETS6["REJECT", 0] = TargetExtension(_reject, 4, hooks=FILTER_HOOKS, table="filter")
TARGETS6["REDIRECT", 0] = TargetExtension(_redirect, 40, hooks=NAT_BEFORE, table="nat")
TARGETS6["MASQUERADE", 0] = TargetExtension(_masquerade, 40, hooks=1 << POST_ROUTING, table="nat")
