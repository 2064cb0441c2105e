"""Numbers and structs of socket(2), unix(7), ip(7), tcp(7) and netlink(7)."""

from struct import Struct
from typing import Final

# Address families
AF_UNSPEC: Final = 0
AF_UNIX: Final = 1
AF_INET: Final = 2
AF_INET6: Final = 10
AF_NETLINK: Final = 16
AF_PACKET: Final = 17
AF_VSOCK: Final = 40
AF_MAX: Final = 46

# Types, and flags in the same argument
SOCK_STREAM: Final = 1
SOCK_DGRAM: Final = 2
SOCK_RAW: Final = 3
SOCK_RDM: Final = 4
SOCK_SEQPACKET: Final = 5
SOCK_PACKET: Final = 10

SOCK_TYPE_MASK: Final = 0xF

SOCK_NONBLOCK: Final = 0o4000
SOCK_CLOEXEC: Final = 0o2000000

# Protocols
IPPROTO_IP: Final = 0
IPPROTO_ICMP: Final = 1
IPPROTO_IGMP: Final = 2
IPPROTO_TCP: Final = 6
IPPROTO_UDP: Final = 17
IPPROTO_IPV6: Final = 41
IPPROTO_ICMPV6: Final = 58
IPPROTO_UDPLITE: Final = 136
IPPROTO_SCTP: Final = 132
IPPROTO_RAW: Final = 255
IPPROTO_MPTCP: Final = 262

# Levels of options
SOL_SOCKET: Final = 1
SOL_IP: Final = 0
SOL_TCP: Final = 6
SOL_UDP: Final = 17
SOL_IPV6: Final = 41
SOL_RAW: Final = 255
SOL_PACKET: Final = 263
SOL_NETLINK: Final = 270

# Options of SOL_SOCKET
SO_DEBUG: Final = 1
SO_REUSEADDR: Final = 2
SO_TYPE: Final = 3
SO_ERROR: Final = 4
SO_DONTROUTE: Final = 5
SO_BROADCAST: Final = 6
SO_SNDBUF: Final = 7
SO_RCVBUF: Final = 8
SO_KEEPALIVE: Final = 9
SO_OOBINLINE: Final = 10
SO_NO_CHECK: Final = 11
SO_PRIORITY: Final = 12
SO_LINGER: Final = 13
SO_BSDCOMPAT: Final = 14
SO_REUSEPORT: Final = 15
SO_PASSCRED: Final = 16
SO_PEERCRED: Final = 17
SO_RCVLOWAT: Final = 18
SO_SNDLOWAT: Final = 19
SO_RCVTIMEO: Final = 20
SO_SNDTIMEO: Final = 21
SO_BINDTODEVICE: Final = 25
SO_ATTACH_FILTER: Final = 26
SO_DETACH_FILTER: Final = 27
SO_PEERNAME: Final = 28
SO_TIMESTAMP: Final = 29
SO_ACCEPTCONN: Final = 30
SO_PEERSEC: Final = 31
SO_SNDBUFFORCE: Final = 32
SO_RCVBUFFORCE: Final = 33
SO_PASSSEC: Final = 34
SO_TIMESTAMPNS: Final = 35
SO_MARK: Final = 36
SO_TIMESTAMPING: Final = 37
SO_PROTOCOL: Final = 38
SO_DOMAIN: Final = 39
SO_RXQ_OVFL: Final = 40
SO_PEEK_OFF: Final = 42
SO_NOFCS: Final = 43
SO_LOCK_FILTER: Final = 44
SO_SELECT_ERR_QUEUE: Final = 45
SO_BUSY_POLL: Final = 46
SO_MAX_PACING_RATE: Final = 47
SO_INCOMING_CPU: Final = 49
SO_ATTACH_BPF: Final = 50
SO_ATTACH_REUSEPORT_CBPF: Final = 51
SO_ATTACH_REUSEPORT_EBPF: Final = 52
SO_MEMINFO: Final = 55
SO_COOKIE: Final = 57
SO_PEERGROUPS: Final = 59
SO_ZEROCOPY: Final = 60
SO_TXTIME: Final = 61
SO_BINDTOIFINDEX: Final = 62
SO_DETACH_REUSEPORT_BPF: Final = 68
SO_PREFER_BUSY_POLL: Final = 69
SO_BUSY_POLL_BUDGET: Final = 70
SO_NETNS_COOKIE: Final = 71
SO_BUF_LOCK: Final = 72
SO_RESERVE_MEM: Final = 73
SO_TXREHASH: Final = 74
SO_RCVMARK: Final = 75
SO_PASSPIDFD: Final = 76
SO_PEERPIDFD: Final = 77

# Options of SOL_TCP
TCP_NODELAY: Final = 1
TCP_MAXSEG: Final = 2
TCP_CORK: Final = 3
TCP_KEEPIDLE: Final = 4
TCP_KEEPINTVL: Final = 5
TCP_KEEPCNT: Final = 6
TCP_SYNCNT: Final = 7
TCP_LINGER2: Final = 8
TCP_DEFER_ACCEPT: Final = 9
TCP_WINDOW_CLAMP: Final = 10
TCP_INFO: Final = 11
TCP_QUICKACK: Final = 12
TCP_CONGESTION: Final = 13
TCP_MD5SIG: Final = 14
TCP_USER_TIMEOUT: Final = 18
TCP_FASTOPEN: Final = 23
TCP_TIMESTAMP: Final = 24
TCP_NOTSENT_LOWAT: Final = 25
TCP_CC_INFO: Final = 26
TCP_SAVE_SYN: Final = 27
TCP_FASTOPEN_CONNECT: Final = 30
TCP_FASTOPEN_KEY: Final = 33
TCP_FASTOPEN_NO_COOKIE: Final = 34
TCP_ULP: Final = 31
TCP_INQ: Final = 36

# Options of SOL_IP
IP_TOS: Final = 1
IP_TTL: Final = 2
IP_HDRINCL: Final = 3
IP_OPTIONS: Final = 4
IP_RECVOPTS: Final = 6
IP_RETOPTS: Final = 7
IP_PKTINFO: Final = 8
IP_MTU_DISCOVER: Final = 10
IP_RECVERR: Final = 11
IP_RECVTTL: Final = 12
IP_RECVTOS: Final = 13
IP_MTU: Final = 14
IP_FREEBIND: Final = 15
IP_TRANSPARENT: Final = 19
IP_RECVORIGDSTADDR: Final = 20
IP_MINTTL: Final = 21
IP_BIND_ADDRESS_NO_PORT: Final = 24
IP_RECVERR_RFC4884: Final = 26
IP_MULTICAST_IF: Final = 32
IP_MULTICAST_TTL: Final = 33
IP_MULTICAST_LOOP: Final = 34
IP_ADD_MEMBERSHIP: Final = 35
IP_DROP_MEMBERSHIP: Final = 36
IP_MULTICAST_ALL: Final = 49
IP_LOCAL_PORT_RANGE: Final = 51
IP_PMTUDISC_DONT: Final = 0
IP_PMTUDISC_WANT: Final = 1
IP_PMTUDISC_DO: Final = 2
IP_PMTUDISC_PROBE: Final = 3

# Options of SOL_IPV6
IPV6_ADDRFORM: Final = 1
IPV6_CHECKSUM: Final = 7
IPV6_UNICAST_HOPS: Final = 16
IPV6_MULTICAST_IF: Final = 17
IPV6_MULTICAST_HOPS: Final = 18
IPV6_MULTICAST_LOOP: Final = 19
IPV6_JOIN_GROUP: Final = 20
IPV6_LEAVE_GROUP: Final = 21
IPV6_MTU_DISCOVER: Final = 23
IPV6_MTU: Final = 24
IPV6_RECVERR: Final = 25
IPV6_V6ONLY: Final = 26
IPV6_RECVPKTINFO: Final = 49
IPV6_PKTINFO: Final = 50
IPV6_RECVHOPLIMIT: Final = 51
IPV6_HOPLIMIT: Final = 52
IPV6_RECVTCLASS: Final = 66
IPV6_TCLASS: Final = 67
IPV6_AUTOFLOWLABEL: Final = 70
IPV6_MINHOPCOUNT: Final = 73

# Flags of send(2) and recv(2)
MSG_OOB: Final = 0x1
MSG_PEEK: Final = 0x2
MSG_DONTROUTE: Final = 0x4
MSG_CTRUNC: Final = 0x8
MSG_PROXY: Final = 0x10
MSG_TRUNC: Final = 0x20
MSG_DONTWAIT: Final = 0x40
MSG_EOR: Final = 0x80
MSG_WAITALL: Final = 0x100
MSG_FIN: Final = 0x200
MSG_SYN: Final = 0x400
MSG_CONFIRM: Final = 0x800
MSG_RST: Final = 0x1000
MSG_ERRQUEUE: Final = 0x2000
MSG_NOSIGNAL: Final = 0x4000
MSG_MORE: Final = 0x8000
MSG_WAITFORONE: Final = 0x1_0000
MSG_BATCH: Final = 0x4_0000
MSG_ZEROCOPY: Final = 0x400_0000
MSG_FASTOPEN: Final = 0x2000_0000
MSG_CMSG_CLOEXEC: Final = 0x4000_0000

# shutdown(2)
SHUT_RD: Final = 0
SHUT_WR: Final = 1
SHUT_RDWR: Final = 2

# Ancillary data of SOL_SOCKET (unix(7))
SCM_RIGHTS: Final = 1
SCM_CREDENTIALS: Final = 2
SCM_TIMESTAMP: Final = 29
SCM_MAX_FD: Final = 253

# Limits
SOMAXCONN: Final = 4096

# netlink(7): families
NETLINK_ROUTE: Final = 0
NETLINK_USERSOCK: Final = 2
NETLINK_SOCK_DIAG: Final = 4
NETLINK_NETFILTER: Final = 12
NETLINK_AUDIT: Final = 9
NETLINK_KOBJECT_UEVENT: Final = 15
NETLINK_GENERIC: Final = 16

# netlink(7): message types and flags
NLMSG_NOOP: Final = 0x1
NLMSG_ERROR: Final = 0x2
NLMSG_DONE: Final = 0x3
NLM_F_REQUEST: Final = 0x1
NLM_F_MULTI: Final = 0x2
NLM_F_ACK: Final = 0x4
NLM_F_ROOT: Final = 0x100
NLM_F_MATCH: Final = 0x200
NLM_F_ATOMIC: Final = 0x400
NLM_F_DUMP: Final = 0x300

# socketcall-free sizes
SOCKADDR_STORAGE_SIZE: Final = 128
SOCKADDR_UN_SIZE: Final = 110
SOCKADDR_IN_SIZE: Final = 16
SOCKADDR_IN6_SIZE: Final = 28
SOCKADDR_NL_SIZE: Final = 12
UNIX_PATH_MAX: Final = 108


MSGHDR_SIZE: Final = 56
MMSGHDR_SIZE: Final = 64
MSGHDR_NAMELEN_OFFSET: Final = 8
MSGHDR_CONTROLLEN_OFFSET: Final = 40
MSGHDR_FLAGS_OFFSET: Final = 48
CMSGHDR_SIZE: Final = 16
UCRED_SIZE: Final = 12
LINGER_SIZE: Final = 8

_MSGHDR: Final = Struct("<QI4xQQQQI4x")
_CMSGHDR: Final = Struct("<Qii")
_UCRED: Final = Struct("<iII")
_TWO_INTS: Final = Struct("<ii")
_FAMILY: Final = Struct("<H")
_SOCKADDR_IN: Final = Struct(">H4s8x")
_SOCKADDR_IN6: Final = Struct(">HI16s")
_SCOPE: Final = Struct("<I")
_SOCKADDR_NL: Final = Struct("<HHII")


class MsgHdr:
    """A struct msghdr of the guest (recvmsg(2))."""

    def __init__(
        self,
        name: int,
        name_len: int,
        iov: int,
        iov_len: int,
        control: int,
        control_len: int,
        flags: int,
    ) -> None:
        self.name = name
        self.name_len = name_len
        self.iov = iov
        self.iov_len = iov_len
        self.control = control
        self.control_len = control_len
        self.flags = flags


def unpack_msghdr(data: bytes, offset: int = 0) -> MsgHdr:
    """Return the struct msghdr at `offset`."""
    name, name_len, iov, iov_len, control, control_len, flags = _MSGHDR.unpack_from(data, offset)
    return MsgHdr(name, name_len, iov, iov_len, control, control_len, flags)


def cmsg_align(size: int) -> int:
    """Return `size` rounded up to where a control message may begin (cmsg(3))."""
    return (size + 7) & ~7


def pack_cmsg(level: int, kind: int, data: bytes) -> bytes:
    """Return a control message with its header, not padded."""
    return _CMSGHDR.pack(CMSGHDR_SIZE + len(data), level, kind) + data


def unpack_cmsghdr(data: bytes, offset: int = 0) -> tuple[int, int, int]:
    """Return cmsg_len, cmsg_level and cmsg_type of the header at `offset`."""
    size, level, kind = _CMSGHDR.unpack_from(data, offset)
    return size, level, kind


def pack_ucred(pid: int, uid: int, gid: int) -> bytes:
    """Return a struct ucred (SCM_CREDENTIALS, SO_PEERCRED)."""
    return _UCRED.pack(pid, uid, gid)


def unpack_ucred(data: bytes, offset: int = 0) -> tuple[int, int, int]:
    """Return pid, uid and gid of a struct ucred."""
    pid, uid, gid = _UCRED.unpack_from(data, offset)
    return pid, uid, gid


def pack_linger(on_off: int, seconds: int) -> bytes:
    """Return a struct linger (SO_LINGER)."""
    return _TWO_INTS.pack(on_off, seconds)


def unpack_linger(data: bytes) -> tuple[int, int]:
    """Return l_onoff and l_linger."""
    on_off, seconds = _TWO_INTS.unpack_from(data, 0)
    return on_off, seconds


def family_of(address: bytes) -> int:
    """Return sa_family; `address` has at least two bytes."""
    return address[0] | address[1] << 8


def pack_sockaddr_un(path: bytes) -> bytes:
    """Return the sockaddr_un that Linux reports for `path`.

    A path gets its NUL, an abstract name (it begins with one) does not, and
    an unnamed socket has only the family (unix(7)).
    """
    if path and path[0] != 0:
        path += b"\0"
    return _FAMILY.pack(AF_UNIX) + path


def pack_sockaddr_in(address: bytes, port: int) -> bytes:
    """Return a sockaddr_in for four bytes of address."""
    return _FAMILY.pack(AF_INET) + _SOCKADDR_IN.pack(port, address)


def unpack_sockaddr_in(data: bytes) -> tuple[bytes, int]:
    """Return address and port of a sockaddr_in (of 16 bytes or more)."""
    port, address = _SOCKADDR_IN.unpack_from(data, 2)
    return address, port


def pack_sockaddr_in6(address: bytes, port: int, *, flow_info: int = 0, scope_id: int = 0) -> bytes:
    """Return a sockaddr_in6 for 16 bytes of address."""
    head = _FAMILY.pack(AF_INET6) + _SOCKADDR_IN6.pack(port, flow_info, address)
    return head + _SCOPE.pack(scope_id)


def unpack_sockaddr_in6(data: bytes) -> tuple[bytes, int, int, int]:
    """Return address, port, flow info and scope of a sockaddr_in6 (of 28 bytes or more)."""
    port, flow_info, address = _SOCKADDR_IN6.unpack_from(data, 2)
    scope_id = int.from_bytes(data[24:28], "little")
    return address, port, flow_info, scope_id


def pack_sockaddr_nl(pid: int, groups: int) -> bytes:
    """Return a sockaddr_nl (netlink(7))."""
    return _SOCKADDR_NL.pack(AF_NETLINK, 0, pid, groups)


def unpack_sockaddr_nl(data: bytes) -> tuple[int, int]:
    """Return nl_pid and nl_groups of a sockaddr_nl (of 12 bytes or more)."""
    _, _, pid, groups = _SOCKADDR_NL.unpack_from(data, 0)
    return pid, groups
