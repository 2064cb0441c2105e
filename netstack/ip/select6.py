"""Source address selection (RFC 6724, section 5).

The order of destinations (section 6) is made by the C library of the program,
which asks for our choice of source with connect(2) and getsockname(2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.ip.config6 import IFA_F_DEPRECATED, IFA_F_TENTATIVE
from netstack.wire.address6 import (
    MAPPED_PREFIX,
    common_prefix_length,
    is_multicast,
    needs_scope,
    scope_of,
)

if TYPE_CHECKING:
    from netstack.interface import Interface, InterfaceAddress

# Section 2.1, longest prefixes first: prefix, its length, label.
POLICY: Final = (
    (bytes(15) + b"\x01", 128, 0),
    (MAPPED_PREFIX + bytes(4), 96, 4),
    (bytes(16), 96, 3),
    (b"\x20\x01" + bytes(14), 32, 5),
    (b"\x20\x02" + bytes(14), 16, 2),
    (b"\x3f\xfe" + bytes(14), 16, 12),
    (b"\xfe\xc0" + bytes(14), 10, 11),
    (b"\xfc" + bytes(15), 7, 13),
)
DEFAULT_LABEL: Final = 1

Score = tuple[bool, int, bool, bool, bool, int]


def label_of(host: bytes) -> int:
    """Return the label that the default policy table gives an address."""
    for prefix, length, label in POLICY:
        if common_prefix_length(host, prefix) >= length:
            return label
    return DEFAULT_LABEL


def select_source(interfaces: list[Interface], outgoing: Interface, destination: bytes) -> bytes:
    """Return the best source for packets that leave through `outgoing`; empty: there is none.

    As Linux, addresses of all interfaces are candidates (the strong host model
    is only for destinations that belong to one link).
    """
    if is_multicast(destination) or needs_scope(destination):
        interfaces = [outgoing]
    scope = scope_of(destination)
    label = label_of(destination)
    best = b""
    best_score: Score = (False, 0, False, False, False, 0)
    for interface in interfaces:
        if not interface.is_up():
            continue
        for address in interface.addresses:
            if len(address.host) != 16 or not is_usable(address):
                continue
            if interface is not outgoing and needs_scope(address.host):
                continue
            score = _score(address, interface is outgoing, destination, scope, label)
            if not best or score > best_score:
                best = address.host
                best_score = score
    return best


def is_usable(address: InterfaceAddress) -> bool:
    """Return whether an address may be a source: it is known to be unique (RFC 4862, 5.4)."""
    return not address.is_tentative and not address.flags & IFA_F_TENTATIVE


def _score(
    address: InterfaceAddress, is_outgoing: bool, destination: bytes, scope: int, label: int
) -> Score:
    """Rules 1, 2, 3, 5, 6 and 8 in their order; 4 and 7 need what nobody here has."""
    host = address.host
    own_scope = scope_of(host)
    # Rule 2: the smallest scope that reaches, or else the largest there is.
    scope_score = -own_scope if own_scope >= scope else own_scope - 128
    return (
        host == destination,
        scope_score,
        not address.flags & IFA_F_DEPRECATED,
        is_outgoing,
        label_of(host) == label,
        min(common_prefix_length(host, destination), address.prefix_length),
    )
