"""What differs between iptables and ip6tables: the layout of entries, options, matches, targets."""

from typing import Final

from sentry.abi import nf_tables as abi
from sentry.abi import socket as abi_socket
from sentry.socket.ip6tables_extensions import MATCHES6, TARGETS6
from sentry.socket.iptables_extensions import (
    MATCHES,
    TARGETS,
    MatchExtension,
    TargetExtension,
)
from sentry.socket.iptables_more import MORE_MATCHES, MORE_TARGETS, TTL

Matches = dict[tuple[str, int], MatchExtension]
Targets = dict[tuple[str, int], TargetExtension]

MATCHES.update(MORE_MATCHES)
MATCHES["ttl", 0] = TTL
TARGETS.update(MORE_TARGETS)
MATCHES6.update(MORE_MATCHES)
MATCHES6["hl", 0] = TTL
TARGETS6.update(MORE_TARGETS)

EXTENSIONS: Final[dict[int, tuple[Matches, Targets]]] = {
    abi.NFPROTO_IPV4: (MATCHES, TARGETS),
    abi.NFPROTO_IPV6: (MATCHES6, TARGETS6),
}


class Layout:
    """One family's structs, in bytes, and numbers."""

    def __init__(self, version: int, matches: Matches, targets: Targets) -> None:
        is_v6 = version == 6
        self.version = version
        self.matches = matches
        self.targets = targets
        self.address = 16 if is_v6 else 4
        self.header = 136 if is_v6 else 84  # struct ip6t_ip6, struct ipt_ip
        self.offsets = self.header + 4  # of target_offset in struct ip{,6}t_entry
        self.counters = 152 if is_v6 else 96
        self.entry = self.counters + 16
        self.goto = 4 if is_v6 else 2  # IP{,6}T_F_GOTO
        self.flags = 7 if is_v6 else 3
        self.level = abi_socket.SOL_IPV6 if is_v6 else abi_socket.SOL_IP
        self.match_revision = 68 if is_v6 else 66  # the option; that of targets is the next


IPV4: Final = Layout(4, MATCHES, TARGETS)
IPV6: Final = Layout(6, MATCHES6, TARGETS6)
