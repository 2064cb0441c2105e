"""IPv6 addresses as 16 bytes: kinds, scopes and the multicast groups of RFC 4291."""

from typing import Final

UNSPECIFIED: Final = bytes(16)
LOOPBACK: Final = bytes(15) + b"\x01"
LINK_LOCAL_PREFIX: Final = b"\xfe\x80" + bytes(
    6
)  # the /64 that RFC 4291, 2.5.6, makes of fe80::/10
ALL_NODES: Final = b"\xff\x02" + bytes(13) + b"\x01"
ALL_NODES_OF_INTERFACE: Final = b"\xff\x01" + bytes(13) + b"\x01"
ALL_ROUTERS: Final = b"\xff\x02" + bytes(13) + b"\x02"
ALL_MLD2_ROUTERS: Final = b"\xff\x02" + bytes(13) + b"\x16"
SOLICITED_NODE_PREFIX: Final = b"\xff\x02" + bytes(9) + b"\x01\xff"
MAPPED_PREFIX: Final = bytes(10) + b"\xff\xff"

# Scopes, RFC 4291, 2.7; unicast addresses are given the same numbers (RFC 6724, 3.1).
SCOPE_INTERFACE: Final = 1
SCOPE_LINK: Final = 2
SCOPE_ADMIN: Final = 4
SCOPE_SITE: Final = 5
SCOPE_GLOBAL: Final = 14


def is_multicast(host: bytes) -> bool:
    """Return whether an address is a multicast group: ff00::/8."""
    return host[0] == 0xFF


def is_link_local(host: bytes) -> bool:
    """Return whether an address is a link-local unicast address: fe80::/10."""
    return host[0] == 0xFE and host[1] & 0xC0 == 0x80


def is_mapped(host: bytes) -> bool:
    """Return whether an address stands for an IPv4 address: ::ffff:0:0/96."""
    return host.startswith(MAPPED_PREFIX)


def needs_scope(host: bytes) -> bool:
    """Return whether an address means something only together with an interface."""
    if host[0] == 0xFF:
        return host[1] & 0x0F in (SCOPE_INTERFACE, SCOPE_LINK)
    return is_link_local(host)


def scope_of(host: bytes) -> int:
    """Return the scope of an address, RFC 6724, 3.1 and 3.2; IPv4-mapped ones included."""
    if host[0] == 0xFF:
        return host[1] & 0x0F
    if host[0] == 0xFE:
        if host[1] & 0xC0 == 0x80:
            return SCOPE_LINK
        if host[1] & 0xC0 == 0xC0:
            return SCOPE_SITE
    elif host == LOOPBACK or is_mapped(host) and (host[12] == 127 or host[12:14] == b"\xa9\xfe"):
        return SCOPE_LINK
    return SCOPE_GLOBAL


def solicited_node(host: bytes) -> bytes:
    """Return the group that answers for the link address of `host`, RFC 4291, 2.7.1."""
    return SOLICITED_NODE_PREFIX + host[13:]


def multicast_link_address(group: bytes) -> bytes:
    """Return the Ethernet address of a group, RFC 2464, section 7."""
    return b"\x33\x33" + group[12:]


def common_prefix_length(one: bytes, other: bytes) -> int:
    """Return how many leading bits two addresses of the same size share."""
    difference = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return len(one) * 8 - difference.bit_length()


def with_prefix(prefix: bytes, length: int, host: bytes) -> bytes:
    """Return `host` with its first `length` bits taken from `prefix`."""
    mask = (1 << (128 - length)) - 1
    upper = int.from_bytes(prefix, "big") & ~mask
    return (upper | (int.from_bytes(host, "big") & mask)).to_bytes(16, "big")


def modified_eui64(link_address: bytes) -> bytes:
    """Return the interface identifier of an Ethernet address, RFC 4291, appendix A."""
    first = bytes((link_address[0] ^ 0x02,))
    return first + link_address[1:3] + b"\xff\xfe" + link_address[3:6]


def is_reserved_identifier(identifier: bytes) -> bool:
    """Return whether RFC 5453 keeps an interface identifier for anycast and the like."""
    value = int.from_bytes(identifier, "big")
    if value == 0 or 0x02005EFFFE000000 <= value <= 0x02005EFFFEFFFFFF:
        return True
    return 0xFDFFFFFFFFFFFF80 <= value <= 0xFDFFFFFFFFFFFFFF
