"""IPv4 addresses of interfaces: their routes, and which one to send from (as Linux)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netstack.interface import IFA_F_SECONDARY, IFF_LOOPBACK, Interface, InterfaceAddress
from netstack.route import (
    BROADCAST,
    LOCAL,
    LOCAL_TABLE,
    MAIN_TABLE,
    PROTOCOL_KERNEL,
    SCOPE_HOST,
    SCOPE_LINK,
    UNICAST,
    RouteEntry,
    Routing,
    in_prefix,
    masked,
)

if TYPE_CHECKING:
    from netstack.stack import Stack


def broadcast_of(address: InterfaceAddress) -> bytes:
    """Return the directed broadcast address of an address's network."""
    value = int.from_bytes(address.host, "big") | ((1 << (32 - address.prefix_length)) - 1)
    return value.to_bytes(4, "big")


def primary_of(interface: Interface, address: InterfaceAddress) -> InterfaceAddress:
    """Return the first address of the same network, which may be the address itself.

    The others are its secondaries: routes and choices of a source name the primary.
    """
    for other in interface.addresses:
        if other is address:
            break
        if (
            len(other.host) == 4
            and other.prefix_length == address.prefix_length
            and in_prefix(address.host, other.peer or other.host, address.prefix_length)
        ):
            return other
    return address


def routes_of(interface: Interface, address: InterfaceAddress) -> list[RouteEntry]:
    """Return the routes that Linux enters for an address (checked against it by a test)."""
    host, length = address.host, address.prefix_length
    primary = primary_of(interface, address)
    entries = [_entry(interface, primary.host, host, 32, LOCAL)]
    if primary is not address:
        return entries
    network = masked(address.peer or host, length)
    if interface.flags & IFF_LOOPBACK and length < 32:
        entries.append(_entry(interface, host, network, length, LOCAL))
    elif length < 32 or address.peer:
        entries.append(_entry(interface, host, network, length, UNICAST))
    if length < 31:  # the lowest address is a host's like any other, since Linux 5.14
        entries.append(_entry(interface, host, broadcast_of(address), 32, BROADCAST))
    if address.broadcast and address.broadcast != broadcast_of(address):
        entries.append(_entry(interface, host, address.broadcast, 32, BROADCAST))
    return entries


def _entry(
    interface: Interface, source: bytes, prefix: bytes, length: int, kind: int
) -> RouteEntry:
    entry = RouteEntry(prefix, length, interface, b"")
    entry.kind = kind
    entry.source = source
    entry.protocol = PROTOCOL_KERNEL
    entry.table = MAIN_TABLE if kind == UNICAST else LOCAL_TABLE
    entry.scope = SCOPE_HOST if kind == LOCAL else SCOPE_LINK
    return entry


def enter_routes(stack: Stack, interface: Interface, address: InterfaceAddress) -> None:
    """Enter the routes of an address.

    Another interface's route to the same network stays before them.
    """
    if primary_of(interface, address) is not address:
        address.flags |= IFA_F_SECONDARY
    routing = stack.network_of(address.host).routing
    for entry in routes_of(interface, address):
        if _find(routing, entry) is None:
            routing.add(entry, append=True)
            stack.tell_route(entry, removed=False)


def remove_routes(stack: Stack, interface: Interface, address: InterfaceAddress) -> None:
    """Remove the routes of an address, and what names it as the source.

    Secondaries go with their primary, unless they are promoted
    (net.ipv4.conf.all.promote_secondaries).
    """
    routing = stack.network_of(address.host).routing
    for table in routing.tables.values():
        for entry in table.entries():
            if _belongs_to(stack, entry, interface, address):
                table.remove(entry)
                stack.tell_route(entry, removed=True)
    if address.flags & IFA_F_SECONDARY:
        return
    secondaries = [
        other
        for other in interface.addresses
        if other.flags & IFA_F_SECONDARY
        and other.prefix_length == address.prefix_length
        and in_prefix(other.host, address.host, address.prefix_length)
    ]
    for other in secondaries:
        if stack.settings.promote_secondaries:
            _promote(stack, interface, other)
        else:
            stack.remove_address(interface, other)


def _belongs_to(
    stack: Stack, entry: RouteEntry, interface: Interface, address: InterfaceAddress
) -> bool:
    """Return whether a route goes with an address that is removed."""
    if entry.kind == LOCAL and entry.prefix_length == 32:
        return entry.prefix == address.host and entry.interface is interface
    if entry.source != address.host:
        return False
    return entry.interface is interface or stack.find_address_interface(address.host) is None


def _promote(stack: Stack, interface: Interface, address: InterfaceAddress) -> None:
    """Make a secondary what its primary was, or the secondary of the first one promoted."""
    routing = stack.network_of(address.host).routing
    address.flags &= ~IFA_F_SECONDARY
    own = _find(routing, _entry(interface, address.host, address.host, 32, LOCAL))
    if own is not None:
        routing.remove(own)
    enter_routes(stack, interface, address)


def _find(routing: Routing, wanted: RouteEntry) -> RouteEntry | None:
    by_prefix = routing.tables[wanted.table].lengths.get(wanted.prefix_length)
    if by_prefix is None:
        return None
    for entry in by_prefix.get(wanted.prefix, []):
        if (
            entry.interface is wanted.interface
            and entry.kind == wanted.kind
            and entry.protocol == PROTOCOL_KERNEL
        ):
            return entry
    return None


def select_source(stack: Stack, interface: Interface, destination: bytes) -> bytes:
    """Return the address to send from (inet_select_addr): the interface's, in the right network.

    An interface without addresses borrows one of another interface.
    """
    first = b""
    for address in interface.addresses:
        if len(address.host) != 4 or address.scope > SCOPE_LINK:
            continue
        if address.flags & IFA_F_SECONDARY:
            continue
        network = address.peer or address.host
        if in_prefix(destination, network, address.prefix_length):
            return address.host
        first = first or address.host
    if first:
        return first
    for other in stack.interfaces.values():
        for address in other.addresses:
            if len(address.host) == 4 and address.scope < SCOPE_LINK and other.is_up():
                return address.host
    return b""
