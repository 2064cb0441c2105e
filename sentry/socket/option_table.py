"""The options that are plain numbers: who has them, what they may be, what they are at first.

One row for each; a row says nothing of what an option does.  That is in the
`apply` of the socket's kind, or where the value is looked up.  Options with
structs are in the `get_special` and `set_special` of the kinds.
"""

from typing import Final

from sentry.abi import socket as abi
from sentry.abi.capability import CAP_NET_ADMIN
from sentry.abi.errno import EINVAL
from sentry.errors import SysError

INT_MIN: Final = -(1 << 31)
INT_MAX: Final = (1 << 31) - 1

# What becomes of a number.
IS_FLAG: Final = 0  # any number but 0 is 1
KEEPS_NUMBER: Final = 1

# Who has an option.
ALL: Final = 0
ONLY_TCP: Final = 1
NOT_TCP: Final = 2
ONLY_UDP: Final = 3
ONLY_RAW: Final = 4
ONLY_IPV6: Final = 5  # sockets of AF_INET6
RAW_IPV6: Final = 6

# Numbers that sentry/abi/socket.py does not have: linux/in.h, linux/in6.h, linux/udp.h.
IP_PASSSEC: Final = 18
IP_NODEFRAG: Final = 22
IP_CHECKSUM: Final = 23
IP_UNICAST_IF: Final = 50
IPV6_RECVRTHDR: Final = 56
IPV6_RECVHOPOPTS: Final = 53
IPV6_RECVDSTOPTS: Final = 58
IPV6_RECVPATHMTU: Final = 60
IPV6_DONTFRAG: Final = 62
IPV6_2292PKTINFO: Final = 2
IPV6_2292HOPLIMIT: Final = 8
IPV6_ADDR_PREFERENCES: Final = 72
IPV6_ORIGDSTADDR: Final = 74
IPV6_TRANSPARENT: Final = 75
IPV6_UNICAST_IF: Final = 76
IPV6_FREEBIND: Final = 78
IPV6_MULTICAST_ALL: Final = 29
UDP_CORK: Final = 1
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
SO_TIMESTAMP_NEW: Final = 63
SO_TIMESTAMPNS_NEW: Final = 64


class Option:
    """One option whose value is a number."""

    def __init__(
        self,
        level: int,
        number: int,
        *,
        low: int = INT_MIN,
        high: int = INT_MAX,
        default: int = 0,
        who: int = ALL,
        capability: int = -1,
        is_read_only: bool = False,
        is_readable_by_all: bool = False,
    ) -> None:
        self.level = level
        self.number = number
        self.low = low
        self.high = high
        self.default = default
        self.who = who
        self.capability = capability  # needed to set it to anything but the default
        self.is_read_only = is_read_only
        self.is_readable_by_all = is_readable_by_all  # also by who cannot set it
        is_flag = low == INT_MIN and high == INT_MAX and default in (0, 1)
        self.kind = IS_FLAG if is_flag else KEEPS_NUMBER

    def is_for(self, family: int, kind: int, protocol: int) -> bool:
        """Return whether sockets of this kind have the option."""
        if self.level == abi.SOL_IPV6 and family != abi.AF_INET6:
            return False
        who = self.who
        if who == ONLY_TCP:
            return kind == abi.SOCK_STREAM
        if who == NOT_TCP:
            return kind != abi.SOCK_STREAM
        if who == ONLY_UDP:
            return kind == abi.SOCK_DGRAM and protocol == abi.IPPROTO_UDP
        if who == ONLY_RAW:
            return kind == abi.SOCK_RAW
        if who == RAW_IPV6:
            return kind == abi.SOCK_RAW and family == abi.AF_INET6
        return True

    def may_read(self, family: int, kind: int, protocol: int) -> bool:
        """Return whether sockets of this kind can at least be asked for the option."""
        if self.is_readable_by_all:
            return self.level != abi.SOL_IPV6 or family == abi.AF_INET6
        return self.is_for(family, kind, protocol)

    def checked(self, number: int) -> int:
        """Return the number; SysError(EINVAL) outside of the bounds."""
        if not self.low <= number <= self.high:
            raise SysError(EINVAL)
        return number


def _flags(level: int, *numbers: int, who: int = ALL) -> list[Option]:
    return [Option(level, number, who=who) for number in numbers]


_SOCKET: Final = [
    *_flags(
        abi.SOL_SOCKET,
        abi.SO_DEBUG,
        abi.SO_REUSEADDR,
        abi.SO_REUSEPORT,
        abi.SO_DONTROUTE,
        abi.SO_BROADCAST,
        abi.SO_KEEPALIVE,
        abi.SO_OOBINLINE,
        abi.SO_NO_CHECK,
        abi.SO_RXQ_OVFL,
        abi.SO_SELECT_ERR_QUEUE,
        abi.SO_RCVMARK,
        abi.SO_PREFER_BUSY_POLL,
        abi.SO_NOFCS,
        SO_TIMESTAMP_NEW,
        SO_TIMESTAMPNS_NEW,
        abi.SO_TIMESTAMP,
        abi.SO_TIMESTAMPNS,
    ),
    Option(abi.SOL_SOCKET, abi.SO_MARK, high=INT_MAX - 1, capability=CAP_NET_ADMIN),
    Option(abi.SOL_SOCKET, abi.SO_ZEROCOPY, low=0, high=1),
    Option(abi.SOL_SOCKET, abi.SO_BUSY_POLL, low=0, capability=CAP_NET_ADMIN),
    Option(abi.SOL_SOCKET, abi.SO_INCOMING_CPU, default=-1),
    Option(abi.SOL_SOCKET, abi.SO_PEEK_OFF, default=-1, is_read_only=True),
    Option(abi.SOL_SOCKET, abi.SO_SNDLOWAT, default=1, is_read_only=True),
    Option(abi.SOL_SOCKET, abi.SO_TXREHASH, low=-1, high=1, default=1, who=ONLY_TCP),
]

_TCP: Final = [
    *_flags(abi.SOL_TCP, abi.TCP_NODELAY, abi.TCP_CORK, abi.TCP_SAVE_SYN),
    Option(abi.SOL_TCP, abi.TCP_INQ, low=0, high=1),
    Option(abi.SOL_TCP, abi.TCP_SYNCNT, low=1, high=127, default=6),
    Option(abi.SOL_TCP, abi.TCP_USER_TIMEOUT, low=0),
    Option(abi.SOL_TCP, abi.TCP_NOTSENT_LOWAT, low=INT_MIN + 1),
    Option(abi.SOL_TCP, abi.TCP_KEEPIDLE, low=1, high=32767, default=7200),
    Option(abi.SOL_TCP, abi.TCP_KEEPINTVL, low=1, high=32767, default=75),
    Option(abi.SOL_TCP, abi.TCP_KEEPCNT, low=1, high=127, default=9),
]
for _row in _TCP:
    _row.who = ONLY_TCP

_IP: Final = [
    *_flags(
        abi.SOL_IP,
        abi.IP_RECVOPTS,
        abi.IP_RETOPTS,
        abi.IP_PKTINFO,
        abi.IP_RECVERR,
        abi.IP_RECVTTL,
        abi.IP_RECVTOS,
        abi.IP_FREEBIND,
        abi.IP_RECVORIGDSTADDR,
        abi.IP_BIND_ADDRESS_NO_PORT,
        abi.IP_RECVERR_RFC4884,
        IP_PASSSEC,
    ),
    Option(abi.SOL_IP, abi.IP_HDRINCL, who=ONLY_RAW, is_readable_by_all=True),
    Option(abi.SOL_IP, IP_NODEFRAG, who=ONLY_RAW),
    Option(abi.SOL_IP, IP_CHECKSUM, who=ONLY_UDP),
    Option(abi.SOL_IP, abi.IP_TOS, high=INT_MAX - 1),
    Option(abi.SOL_IP, abi.IP_TTL, low=-1, high=255, default=64),
    Option(abi.SOL_IP, abi.IP_MINTTL, low=0, high=255),
    Option(abi.SOL_IP, abi.IP_MTU_DISCOVER, low=0, high=5, default=1),
    Option(abi.SOL_IP, abi.IP_TRANSPARENT, capability=CAP_NET_ADMIN),
    Option(abi.SOL_IP, abi.IP_MULTICAST_TTL, low=-1, high=255, default=1),
    Option(abi.SOL_IP, abi.IP_MULTICAST_LOOP, default=1),
    Option(abi.SOL_IP, abi.IP_MULTICAST_ALL, low=0, high=1, default=1),
]

_IPV6: Final = [
    *_flags(
        abi.SOL_IPV6,
        abi.IPV6_RECVPKTINFO,
        abi.IPV6_RECVHOPLIMIT,
        abi.IPV6_RECVTCLASS,
        abi.IPV6_RECVERR,
        IPV6_RECVRTHDR,
        IPV6_RECVHOPOPTS,
        IPV6_RECVDSTOPTS,
        IPV6_RECVPATHMTU,
        IPV6_DONTFRAG,
        IPV6_2292PKTINFO,
        IPV6_2292HOPLIMIT,
        IPV6_ORIGDSTADDR,
        IPV6_FREEBIND,
        abi.IPV6_V6ONLY,
    ),
    Option(abi.SOL_IPV6, abi.IPV6_AUTOFLOWLABEL, default=1),
    Option(abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, low=-1, high=255, default=64),
    Option(
        abi.SOL_IPV6,
        abi.IPV6_MULTICAST_HOPS,
        low=-1,
        high=255,
        default=1,
        who=NOT_TCP,
        is_readable_by_all=True,
    ),
    Option(abi.SOL_IPV6, abi.IPV6_MULTICAST_LOOP, low=0, high=1, default=1),
    Option(abi.SOL_IPV6, IPV6_MULTICAST_ALL, low=0, high=1, default=1),
    Option(abi.SOL_IPV6, abi.IPV6_MTU_DISCOVER, low=0, high=5, default=1),
    Option(abi.SOL_IPV6, abi.IPV6_TCLASS, low=-1, high=255),
    Option(abi.SOL_IPV6, abi.IPV6_MINHOPCOUNT, low=0, high=255),
    Option(abi.SOL_IPV6, IPV6_TRANSPARENT, capability=CAP_NET_ADMIN),
    Option(abi.SOL_IPV6, abi.IPV6_CHECKSUM, low=-1, high=65534, default=-1, who=RAW_IPV6),
]

_UDP: Final = [
    Option(abi.SOL_UDP, UDP_CORK, who=ONLY_UDP),
    Option(abi.SOL_UDP, UDP_SEGMENT, low=0, high=0xFFFF, who=ONLY_UDP),
    Option(abi.SOL_UDP, UDP_GRO, who=ONLY_UDP),
]

OPTIONS: Final[dict[tuple[int, int], Option]] = {
    (row.level, row.number): row for row in [*_SOCKET, *_TCP, *_IP, *_IPV6, *_UDP]
}
