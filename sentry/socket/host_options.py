"""What passes to a socket of the host's stack (--network=host), and nothing besides.

These tables are looked at twice: here before a call is made, and by the
sandbox's filter, which is made of them (`runsc/boot/hostfilter.py`).  What takes
pointers, loads programs or changes the host's network is not in them.
"""

from typing import Final

from sentry.abi import ioctl as abi_ioctl
from sentry.abi import rtnetlink
from sentry.abi import socket as abi

GET: Final = 1
SET: Final = 2
BOTH: Final = 3

INT: Final = 4
INTERFACE_NAME: Final = 16
SOL_ICMPV6: Final = abi.IPPROTO_ICMPV6

# Numbers that sentry/abi/socket.py does not have: linux/in.h, linux/in6.h, linux/udp.h.
IP_MULTICAST_SOURCE: Final = (36, 37, 38, 39)  # (UN)BLOCK_, ADD_, DROP_SOURCE_MEMBERSHIP
MCAST_JOIN_GROUP: Final = 42
MCAST_BLOCK_SOURCE: Final = 43
MCAST_UNBLOCK_SOURCE: Final = 44
MCAST_LEAVE_GROUP: Final = 45
MCAST_JOIN_SOURCE_GROUP: Final = 46
MCAST_LEAVE_SOURCE_GROUP: Final = 47
IP_UNICAST_IF: Final = 50
IPV6_MULTICAST_ALL: Final = 29
IPV6_HDRINCL: Final = 36
IPV6_RECVPATHMTU: Final = 60
IPV6_DONTFRAG: Final = 62
IPV6_ADDR_PREFERENCES: Final = 72
IPV6_ORIGDSTADDR: Final = 74
IPV6_TRANSPARENT: Final = 75
IPV6_UNICAST_IF: Final = 76
IPV6_FREEBIND: Final = 78
UDP_CORK: Final = 1
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
ICMP_FILTER: Final = 1
SO_TIMESTAMP_NEW: Final = 63
SO_TIMESTAMPNS_NEW: Final = 64
SIOCOUTQNSD: Final = 0x894B
SIOCGIFMAP: Final = 0x8970

OptionKey = tuple[int, int]
"""Level and number of an option."""


class HostOption:
    """An option that passes: in which directions, and how many bytes at most."""

    def __init__(self, directions: int, size: int) -> None:
        self.directions = directions
        self.size = size


def _rows(level: int, directions: int, size: int, *numbers: int) -> dict[OptionKey, HostOption]:
    return {(level, number): HostOption(directions, size) for number in numbers}


_SOCKET: Final = {
    **_rows(
        abi.SOL_SOCKET,
        BOTH,
        INT,
        abi.SO_REUSEADDR,
        abi.SO_REUSEPORT,
        abi.SO_DONTROUTE,
        abi.SO_BROADCAST,
        abi.SO_SNDBUF,
        abi.SO_RCVBUF,
        abi.SO_KEEPALIVE,
        abi.SO_OOBINLINE,
        abi.SO_NO_CHECK,
        abi.SO_PRIORITY,
        abi.SO_RCVLOWAT,
        abi.SO_TIMESTAMP,
        abi.SO_TIMESTAMPNS,
        SO_TIMESTAMP_NEW,
        SO_TIMESTAMPNS_NEW,
        abi.SO_RXQ_OVFL,
        abi.SO_SELECT_ERR_QUEUE,
        abi.SO_BINDTOIFINDEX,
    ),
    **_rows(abi.SOL_SOCKET, BOTH, INTERFACE_NAME, abi.SO_BINDTODEVICE),
    **_rows(
        abi.SOL_SOCKET,
        GET,
        INT,
        abi.SO_TYPE,
        abi.SO_DOMAIN,
        abi.SO_PROTOCOL,
        abi.SO_ERROR,
        abi.SO_ACCEPTCONN,
        abi.SO_SNDLOWAT,
        abi.SO_INCOMING_CPU,
    ),
    **_rows(abi.SOL_SOCKET, GET, 8, abi.SO_COOKIE),
    **_rows(abi.SOL_SOCKET, GET, 36, abi.SO_MEMINFO),
}

_TCP: Final = {
    **_rows(
        abi.SOL_TCP,
        BOTH,
        INT,
        abi.TCP_NODELAY,
        abi.TCP_MAXSEG,
        abi.TCP_CORK,
        abi.TCP_KEEPIDLE,
        abi.TCP_KEEPINTVL,
        abi.TCP_KEEPCNT,
        abi.TCP_SYNCNT,
        abi.TCP_LINGER2,
        abi.TCP_DEFER_ACCEPT,
        abi.TCP_WINDOW_CLAMP,
        abi.TCP_QUICKACK,
        abi.TCP_USER_TIMEOUT,
        abi.TCP_NOTSENT_LOWAT,
        abi.TCP_INQ,
    ),
    **_rows(abi.SOL_TCP, BOTH, 16, abi.TCP_CONGESTION),
    **_rows(abi.SOL_TCP, GET, 512, abi.TCP_INFO),
}

_IP: Final = {
    **_rows(
        abi.SOL_IP,
        BOTH,
        INT,
        abi.IP_TOS,
        abi.IP_TTL,
        abi.IP_HDRINCL,
        abi.IP_RECVOPTS,
        abi.IP_PKTINFO,
        abi.IP_MTU_DISCOVER,
        abi.IP_RECVERR,
        abi.IP_RECVTTL,
        abi.IP_RECVTOS,
        abi.IP_FREEBIND,
        abi.IP_RECVORIGDSTADDR,
        abi.IP_MINTTL,
        abi.IP_BIND_ADDRESS_NO_PORT,
        abi.IP_MULTICAST_TTL,
        abi.IP_MULTICAST_LOOP,
        abi.IP_MULTICAST_ALL,
        IP_UNICAST_IF,
    ),
    **_rows(abi.SOL_IP, GET, INT, abi.IP_MTU),
    **_rows(abi.SOL_IP, BOTH, 12, abi.IP_MULTICAST_IF),  # struct ip_mreqn; read: an address
    **_rows(abi.SOL_IP, SET, 12, abi.IP_ADD_MEMBERSHIP, abi.IP_DROP_MEMBERSHIP),
    **_rows(abi.SOL_IP, SET, 12, *IP_MULTICAST_SOURCE),  # struct ip_mreq_source
}

_GROUPS: Final = (MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP)  # struct group_req
_SOURCES: Final = (  # struct group_source_req
    MCAST_BLOCK_SOURCE,
    MCAST_UNBLOCK_SOURCE,
    MCAST_JOIN_SOURCE_GROUP,
    MCAST_LEAVE_SOURCE_GROUP,
)
_MULTICAST: Final = {
    **_rows(abi.SOL_IP, SET, 136, *_GROUPS),
    **_rows(abi.SOL_IP, SET, 264, *_SOURCES),
    **_rows(abi.SOL_IPV6, SET, 136, *_GROUPS),
    **_rows(abi.SOL_IPV6, SET, 264, *_SOURCES),
    **_rows(abi.SOL_IPV6, SET, 20, abi.IPV6_JOIN_GROUP, abi.IPV6_LEAVE_GROUP),  # struct ipv6_mreq
}

_IPV6: Final = {
    **_rows(
        abi.SOL_IPV6,
        BOTH,
        INT,
        abi.IPV6_CHECKSUM,
        abi.IPV6_UNICAST_HOPS,
        abi.IPV6_MULTICAST_IF,
        abi.IPV6_MULTICAST_HOPS,
        abi.IPV6_MULTICAST_LOOP,
        IPV6_MULTICAST_ALL,
        abi.IPV6_MTU_DISCOVER,
        abi.IPV6_MTU,
        abi.IPV6_RECVERR,
        abi.IPV6_V6ONLY,
        IPV6_HDRINCL,
        abi.IPV6_RECVPKTINFO,
        abi.IPV6_RECVHOPLIMIT,
        IPV6_RECVPATHMTU,
        IPV6_DONTFRAG,
        abi.IPV6_RECVTCLASS,
        abi.IPV6_TCLASS,
        abi.IPV6_AUTOFLOWLABEL,
        IPV6_ADDR_PREFERENCES,
        abi.IPV6_MINHOPCOUNT,
        IPV6_ORIGDSTADDR,
        IPV6_UNICAST_IF,
        IPV6_FREEBIND,
    ),
}

_OTHERS: Final = {
    **_rows(abi.SOL_UDP, BOTH, INT, UDP_CORK, UDP_SEGMENT, UDP_GRO),
    **_rows(abi.SOL_RAW, BOTH, INT, ICMP_FILTER),
    **_rows(SOL_ICMPV6, BOTH, 32, ICMP_FILTER),
    **_rows(
        abi.SOL_NETLINK,
        BOTH,
        INT,
        rtnetlink.NETLINK_PKTINFO,
        rtnetlink.NETLINK_NO_ENOBUFS,
        rtnetlink.NETLINK_CAP_ACK,
        rtnetlink.NETLINK_EXT_ACK,
        rtnetlink.NETLINK_GET_STRICT_CHK,
    ),
    # Hearing of changes is reading, too.
    **_rows(
        abi.SOL_NETLINK,
        SET,
        INT,
        rtnetlink.NETLINK_ADD_MEMBERSHIP,
        rtnetlink.NETLINK_DROP_MEMBERSHIP,
    ),
    **_rows(abi.SOL_NETLINK, GET, 8, rtnetlink.NETLINK_LIST_MEMBERSHIPS),
}

OPTIONS: Final[dict[OptionKey, HostOption]] = {
    **_SOCKET,
    **_TCP,
    **_IP,
    **_IPV6,
    **_MULTICAST,
    **_OTHERS,
}

# What an administrator may do natively, and nobody here: the sandbox has no CAP_NET_ADMIN.
REFUSED: Final[tuple[OptionKey, ...]] = (
    (abi.SOL_SOCKET, abi.SO_DEBUG),
    (abi.SOL_SOCKET, abi.SO_MARK),
    (abi.SOL_SOCKET, abi.SO_SNDBUFFORCE),
    (abi.SOL_SOCKET, abi.SO_RCVBUFFORCE),
    (abi.SOL_IP, abi.IP_TRANSPARENT),
    (abi.SOL_IPV6, IPV6_TRANSPARENT),
)

# Control messages of sendmsg(2), with the sizes of their data.
SENDABLE: Final[dict[OptionKey, tuple[int, ...]]] = {
    (abi.SOL_IP, abi.IP_PKTINFO): (12,),
    (abi.SOL_IP, abi.IP_TTL): (4,),
    (abi.SOL_IP, abi.IP_TOS): (1, 4),
    (abi.SOL_IPV6, abi.IPV6_PKTINFO): (20,),
    (abi.SOL_IPV6, abi.IPV6_HOPLIMIT): (4,),
    (abi.SOL_IPV6, abi.IPV6_TCLASS): (4,),
    (abi.SOL_UDP, UDP_SEGMENT): (2,),
}

# Those of recvmsg(2): the guest has asked for each by an option.
RECEIVABLE: Final[tuple[OptionKey, ...]] = (
    (abi.SOL_SOCKET, abi.SO_TIMESTAMP),
    (abi.SOL_SOCKET, abi.SO_TIMESTAMPNS),
    (abi.SOL_SOCKET, SO_TIMESTAMP_NEW),
    (abi.SOL_SOCKET, SO_TIMESTAMPNS_NEW),
    (abi.SOL_SOCKET, abi.SO_RXQ_OVFL),
    (abi.SOL_TCP, abi.TCP_INQ),
    (abi.SOL_UDP, UDP_GRO),
    (abi.SOL_IP, abi.IP_PKTINFO),
    (abi.SOL_IP, abi.IP_TTL),
    (abi.SOL_IP, abi.IP_TOS),
    (abi.SOL_IP, abi.IP_RECVOPTS),
    (abi.SOL_IP, abi.IP_RECVERR),
    (abi.SOL_IP, abi.IP_RECVORIGDSTADDR),
    (abi.SOL_IPV6, abi.IPV6_PKTINFO),
    (abi.SOL_IPV6, abi.IPV6_HOPLIMIT),
    (abi.SOL_IPV6, abi.IPV6_TCLASS),
    (abi.SOL_IPV6, abi.IPV6_RECVERR),
    (abi.SOL_IPV6, IPV6_ORIGDSTADDR),
    (abi.SOL_NETLINK, rtnetlink.NETLINK_PKTINFO),
)

# Requests of ioctl(2): numbers about the socket, struct ifreq about an interface.
NUMBER_REQUESTS: Final = (abi_ioctl.SIOCOUTQ, SIOCOUTQNSD, abi_ioctl.SIOCATMARK)
INTERFACE_REQUESTS: Final = (
    abi_ioctl.SIOCGIFNAME,
    abi_ioctl.SIOCGIFFLAGS,
    abi_ioctl.SIOCGIFADDR,
    abi_ioctl.SIOCGIFDSTADDR,
    abi_ioctl.SIOCGIFBRDADDR,
    abi_ioctl.SIOCGIFNETMASK,
    abi_ioctl.SIOCGIFMETRIC,
    abi_ioctl.SIOCGIFMTU,
    abi_ioctl.SIOCGIFHWADDR,
    abi_ioctl.SIOCGIFINDEX,
    abi_ioctl.SIOCGIFTXQLEN,
    SIOCGIFMAP,
)
# What changes an interface, an address or a route: 0x890B, 0x890C, and SIOCSIF*.
CHANGING_REQUESTS: Final = (
    0x890B,
    0x890C,
    0x8914,
    0x8916,
    0x8918,
    0x891A,
    0x891C,
    0x891E,
    0x8922,
    0x8923,
    0x8924,
    0x8936,
    0x8943,
)

# Flags of sendmsg(2) and recvmsg(2) that pass; MSG_DONTWAIT and MSG_NOSIGNAL are always set.
SEND_FLAGS: Final = abi.MSG_OOB | abi.MSG_DONTROUTE | abi.MSG_CONFIRM | abi.MSG_MORE
RECEIVE_FLAGS: Final = abi.MSG_OOB | abi.MSG_PEEK | abi.MSG_TRUNC | abi.MSG_ERRQUEUE

# Requests to rtnetlink(7) that only read; those without a name here: RTM_GETNEIGHTBL, -ADDRLABEL,
# -NETCONF, -STATS, -NEXTHOP (linux/rtnetlink.h).  Not RTM_GETNSID: it has numbers of descriptors
# and processes in it, which would be taken for the sandbox's.
NETLINK_READS: Final = (
    66,
    74,
    82,
    94,
    106,
    rtnetlink.RTM_GETLINK,
    rtnetlink.RTM_GETADDR,
    rtnetlink.RTM_GETROUTE,
    rtnetlink.RTM_GETNEIGH,
    rtnetlink.RTM_GETRULE,
    rtnetlink.RTM_GETQDISC,
)
