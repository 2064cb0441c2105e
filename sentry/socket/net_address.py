"""struct sockaddr_in and sockaddr_in6 to addresses of the stack and back (ip(7), ipv6(7)).

The stack has IPv4 addresses as four bytes whatever the socket's family; here
they become ::ffff:a.b.c.d for sockets of AF_INET6.
"""

from typing import Final

from netstack.endpoint import Address
from sentry.abi import socket as abi
from sentry.abi.errno import EAFNOSUPPORT, EINVAL
from sentry.errors import SysError

MAPPED_PREFIX: Final = bytes(10) + b"\xff\xff"
ANY_IPV4: Final = bytes(4)
ANY_IPV6: Final = bytes(16)
SIN6_LEN_RFC2133: Final = 24  # without sin6_scope_id


def sockaddr_family(data: bytes) -> int:
    """Return sa_family; SysError(EINVAL) if there is not even that."""
    if len(data) < 2:
        raise SysError(EINVAL)
    return abi.family_of(data)


def parse_ipv4(data: bytes) -> Address:
    """Return the address of a sockaddr_in, whose family is checked by the caller."""
    if len(data) < abi.SOCKADDR_IN_SIZE:
        raise SysError(EINVAL)
    host, port = abi.unpack_sockaddr_in(data)
    return Address(host, port)


def parse_ipv6(data: bytes) -> Address:
    """Return the address of a sockaddr_in6, mapped ones as four bytes."""
    if len(data) < SIN6_LEN_RFC2133:
        raise SysError(EINVAL)
    host, port, _, scope = abi.unpack_sockaddr_in6(data.ljust(abi.SOCKADDR_IN6_SIZE, b"\0"))
    if host[:12] == MAPPED_PREFIX:
        return Address(host[12:], port)
    return Address(host, port, scope if needs_scope(host) else 0)


def parse_address(family: int, data: bytes) -> Address:
    """Return the address in a struct sockaddr of a socket's own family."""
    found = sockaddr_family(data)
    if len(data) < (abi.SOCKADDR_IN_SIZE if family == abi.AF_INET else SIN6_LEN_RFC2133):
        raise SysError(EINVAL)
    if found != family:
        raise SysError(EAFNOSUPPORT)
    return parse_ipv4(data) if family == abi.AF_INET else parse_ipv6(data)


def needs_scope(host: bytes) -> bool:
    """Return whether an address means something only with an interface (link-local)."""
    if len(host) != 16:
        return False
    if host[0] == 0xFF:
        return host[1] & 0xF in (1, 2)
    return host[0] == 0xFE and host[1] & 0xC0 == 0x80


def pack_address(family: int, address: Address) -> bytes:
    """Return the struct sockaddr that a socket of `family` shows for an address."""
    host = address.host
    if family == abi.AF_INET:
        return abi.pack_sockaddr_in(host or ANY_IPV4, address.port)
    scope = address.scope if needs_scope(host) else 0
    return abi.pack_sockaddr_in6(as_ipv6(host), address.port, scope_id=scope)


def as_ipv6(host: bytes) -> bytes:
    """Return an address as sockets of AF_INET6 show it."""
    if len(host) == 4:
        return MAPPED_PREFIX + host
    return host or ANY_IPV6
