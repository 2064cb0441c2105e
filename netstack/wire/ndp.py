"""Messages of Neighbour Discovery (RFC 4861, section 4) and their options.

The parsers take the ICMPv6 message from its type byte on and return None for
what section 6.1, 7.1 and 8.1 call invalid (what IP sees, hop limit and
addresses, is checked by ip/ndp.py).
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from netstack.wire.address6 import is_link_local, is_multicast
from netstack.wire.icmp6 import (
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    REDIRECT,
    ROUTER_ADVERTISEMENT,
    ROUTER_SOLICITATION,
)

OPTION_SOURCE_LINK_ADDRESS: Final = 1
OPTION_TARGET_LINK_ADDRESS: Final = 2
OPTION_PREFIX: Final = 3
OPTION_REDIRECTED: Final = 4
OPTION_MTU: Final = 5
OPTION_NONCE: Final = 14  # RFC 3971, 5.3.2; used by RFC 7527
OPTION_ROUTE: Final = 24  # RFC 4191, 2.3
OPTION_RDNSS: Final = 25  # RFC 8106, 5.1

FLAG_ROUTER: Final = 0x80  # of neighbour advertisements
FLAG_SOLICITED: Final = 0x40
FLAG_OVERRIDE: Final = 0x20

INFINITE_LIFETIME: Final = 0xFFFFFFFF  # seconds

# RFC 4191, 2.1, as numbers that compare.
PREFERENCE_LOW: Final = -1
PREFERENCE_MEDIUM: Final = 0
PREFERENCE_HIGH: Final = 1

# What one router advertisement may make us look at.
MAX_PREFIXES: Final = 16
MAX_ROUTES: Final = 16
MAX_SERVERS: Final = 8

ADVERTISEMENT: Final = Struct(">BBHBBHII")
PREFIX: Final = Struct(">BBBBIII16s")


class Prefix:
    """A prefix information option, RFC 4861, 4.6.2."""

    def __init__(self, host: bytes, length: int) -> None:
        self.host = host
        self.length = length
        self.is_on_link = False
        self.is_autonomous = False
        self.valid_s = 0
        self.preferred_s = 0


class RoutePrefix:
    """A route information option, RFC 4191, 2.3."""

    def __init__(self, host: bytes, length: int, preference: int, lifetime_s: int) -> None:
        self.host = host
        self.length = length
        self.preference = preference
        self.lifetime_s = lifetime_s


class Options:
    """The options of a message; those that we do not know are skipped, section 4.6."""

    def __init__(self) -> None:
        self.source_link_address = b""
        self.target_link_address = b""
        self.nonce = b""
        self.mtu = 0
        self.prefixes: list[Prefix] = []
        self.routes: list[RoutePrefix] = []
        self.servers: list[bytes] = []  # addresses of recursive DNS servers
        self.servers_lifetime_s = 0
        self.redirected = b""  # the packet that was redirected


class Solicitation:
    """A neighbour solicitation (4.3) or, with an empty target, a router solicitation (4.1)."""

    def __init__(self, target: bytes, options: Options) -> None:
        self.target = target
        self.options = options


class Advertisement:
    """A neighbour advertisement, section 4.4."""

    def __init__(self, target: bytes, flags: int, options: Options) -> None:
        self.target = target
        self.flags = flags  # FLAG_ bits
        self.options = options


class RouterAdvertisement:
    """A router advertisement, section 4.2."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.hop_limit = 0  # 0: unspecified
        self.is_managed = False  # addresses by DHCPv6
        self.has_other_configuration = False
        self.preference = PREFERENCE_MEDIUM
        self.lifetime_s = 0  # as a default router
        self.reachable_ms = 0  # 0: unspecified
        self.retransmit_ms = 0  # 0: unspecified


class Redirect:
    """A redirect, section 4.5."""

    def __init__(self, target: bytes, destination: bytes, options: Options) -> None:
        self.target = target
        self.destination = destination
        self.options = options


def parse_options(data: bytes, offset: int) -> Options | None:
    """Return the options from `offset` to the end; None if a length is zero or too large."""
    options = Options()
    end = len(data)
    while offset < end:
        if end - offset < 8:
            return None
        size = data[offset + 1] * 8
        if size == 0 or size > end - offset:
            return None
        _read_option(options, data, offset, size)
        offset += size
    return options


def _read_option(options: Options, data: bytes, at: int, size: int) -> None:
    kind = data[at]
    if kind == OPTION_SOURCE_LINK_ADDRESS:
        options.source_link_address = data[at + 2 : at + 8]  # Ethernet's fit into 8 bytes
    elif kind == OPTION_TARGET_LINK_ADDRESS:
        options.target_link_address = data[at + 2 : at + 8]
    elif kind == OPTION_PREFIX and size == 32:
        _read_prefix(options, data, at)
    elif kind == OPTION_REDIRECTED:
        options.redirected = data[at + 8 : at + size]
    elif kind == OPTION_MTU and size == 8:
        options.mtu = int.from_bytes(data[at + 4 : at + 8], "big")
    elif kind == OPTION_NONCE:
        options.nonce = data[at + 2 : at + size]
    elif kind == OPTION_ROUTE and size <= 24:
        _read_route(options, data, at, size)
    elif kind == OPTION_RDNSS and size >= 24 and size % 16 == 8:
        _read_servers(options, data, at, size)


def _read_prefix(options: Options, data: bytes, at: int) -> None:
    length = data[at + 2]
    if length > 128 or len(options.prefixes) >= MAX_PREFIXES:
        return
    prefix = Prefix(data[at + 16 : at + 32], length)
    prefix.is_on_link = bool(data[at + 3] & 0x80)
    prefix.is_autonomous = bool(data[at + 3] & 0x40)
    prefix.valid_s = int.from_bytes(data[at + 4 : at + 8], "big")
    prefix.preferred_s = int.from_bytes(data[at + 8 : at + 12], "big")
    options.prefixes.append(prefix)


def _read_route(options: Options, data: bytes, at: int, size: int) -> None:
    length = data[at + 2]
    preference = _preference(data[at + 3])
    # Section 2.3: the prefix takes as many bytes as it needs; "10" is to be ignored.
    if length > 128 or length > (size - 8) * 8 or data[at + 3] & 0x18 == 0x10:
        return
    if len(options.routes) < MAX_ROUTES:
        host = (data[at + 8 : at + size] + bytes(16))[:16]
        lifetime = int.from_bytes(data[at + 4 : at + 8], "big")
        options.routes.append(RoutePrefix(host, length, preference, lifetime))


def _read_servers(options: Options, data: bytes, at: int, size: int) -> None:
    options.servers_lifetime_s = int.from_bytes(data[at + 4 : at + 8], "big")
    for server in range(at + 8, at + size, 16):
        if len(options.servers) < MAX_SERVERS:
            options.servers.append(data[server : server + 16])


def _preference(flags: int) -> int:
    """RFC 4191, 2.1: two bits with a sign; the reserved value counts as medium."""
    bits = flags >> 3 & 3
    if bits == 1:
        return PREFERENCE_HIGH
    return PREFERENCE_LOW if bits == 3 else PREFERENCE_MEDIUM


def parse_neighbour_solicitation(data: bytes) -> Solicitation | None:
    """Section 7.1.1."""
    if len(data) < 24 or data[1] != 0 or is_multicast(data[8:24]):
        return None
    options = parse_options(data, 24)
    return None if options is None else Solicitation(data[8:24], options)


def parse_neighbour_advertisement(data: bytes) -> Advertisement | None:
    """Section 7.1.2."""
    if len(data) < 24 or data[1] != 0 or is_multicast(data[8:24]):
        return None
    options = parse_options(data, 24)
    return None if options is None else Advertisement(data[8:24], data[4] & 0xE0, options)


def parse_router_solicitation(data: bytes) -> Solicitation | None:
    """Section 6.1.1."""
    if len(data) < 8 or data[1] != 0:
        return None
    options = parse_options(data, 8)
    return None if options is None else Solicitation(b"", options)


def parse_router_advertisement(data: bytes) -> RouterAdvertisement | None:
    """Section 6.1.2."""
    if len(data) < 16 or data[1] != 0:
        return None
    options = parse_options(data, 16)
    if options is None:
        return None
    advertisement = RouterAdvertisement(options)
    advertisement.hop_limit = data[4]
    advertisement.is_managed = bool(data[5] & 0x80)
    advertisement.has_other_configuration = bool(data[5] & 0x40)
    advertisement.preference = _preference(data[5])
    advertisement.lifetime_s = data[6] << 8 | data[7]
    advertisement.reachable_ms = int.from_bytes(data[8:12], "big")
    advertisement.retransmit_ms = int.from_bytes(data[12:16], "big")
    return advertisement


def parse_redirect(data: bytes) -> Redirect | None:
    """Section 8.1: the target is a router, or the destination itself."""
    if len(data) < 40 or data[1] != 0:
        return None
    target = data[8:24]
    destination = data[24:40]
    if is_multicast(destination) or (not is_link_local(target) and target != destination):
        return None
    options = parse_options(data, 40)
    return None if options is None else Redirect(target, destination, options)


def link_address_option(kind: int, link_address: bytes) -> bytes:
    """Return a source or target link-layer address option; nothing for links without addresses."""
    return bytes((kind, 1)) + link_address if link_address else b""


def nonce_option(nonce: bytes) -> bytes:
    """Return a nonce option; `nonce` has 6 bytes."""
    return bytes((OPTION_NONCE, 1)) + nonce


def prefix_option(prefix: Prefix) -> bytes:
    """Return a prefix information option."""
    flags = 0x80 * prefix.is_on_link | 0x40 * prefix.is_autonomous
    return PREFIX.pack(
        OPTION_PREFIX, 4, prefix.length, flags, prefix.valid_s, prefix.preferred_s, 0, prefix.host
    )


def mtu_option(mtu: int) -> bytes:
    """Return an MTU option."""
    return bytes((OPTION_MTU, 1, 0, 0)) + mtu.to_bytes(4, "big")


def redirected_option(packet: bytes) -> bytes:
    """Return a redirected header option; what does not fill 8 bytes at the end is cut off."""
    packet = packet[: len(packet) & ~7]
    return bytes((OPTION_REDIRECTED, 1 + len(packet) // 8, 0, 0, 0, 0, 0, 0)) + packet


def build_neighbour_solicitation(target: bytes, options: bytes) -> bytes:
    """Return a message without its checksum."""
    return bytes((NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0)) + target + options


def build_neighbour_advertisement(target: bytes, flags: int, options: bytes) -> bytes:
    """Return a message without its checksum; `flags` are FLAG_ bits."""
    return bytes((NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0)) + target + options


def build_router_solicitation(options: bytes) -> bytes:
    """Return a message without its checksum."""
    return bytes((ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0)) + options


def build_router_advertisement(advertisement: RouterAdvertisement, options: bytes) -> bytes:
    """Return a message without its checksum; `options` are sent, not those of the object."""
    flags = 0x80 * advertisement.is_managed | 0x40 * advertisement.has_other_configuration
    flags |= (advertisement.preference & 3) << 3
    return (
        ADVERTISEMENT.pack(
            ROUTER_ADVERTISEMENT,
            0,
            0,
            advertisement.hop_limit,
            flags,
            advertisement.lifetime_s,
            advertisement.reachable_ms,
            advertisement.retransmit_ms,
        )
        + options
    )


def build_redirect(target: bytes, destination: bytes, options: bytes) -> bytes:
    """Return a message without its checksum."""
    return bytes((REDIRECT, 0, 0, 0, 0, 0, 0, 0)) + target + destination + options
