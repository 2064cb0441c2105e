"""IPv4 addresses of interfaces: their routes, and which one to send from (as Linux)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netstack.errors import EXISTS, NOT_FOUND, NetError
from netstack.interface import IFF_LOOPBACK, Interface, InterfaceAddress
from netstack.route import (
    BROADCAST,
    LOCAL,
    LOCAL_TABLE,
    MAIN_TABLE,
    PROTOCOL_KERNEL,
    SCOPE_HOST,
    SCOPE_LINK,
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


def routes_of(interface: Interface, address: InterfaceAddress) -> list[RouteEntry]:
    """Return the routes that Linux enters for an address."""
    host, length = address.host, address.prefix_length
    network = masked(address.peer or host, length)
    entries = [_entry(interface, host, host, 32, LOCAL)]
    if interface.flags & IFF_LOOPBACK and length < 32:
        entries.append(_entry(interface, host, network, length, LOCAL))
    elif length < 32 or address.peer:
        entries.append(_entry(interface, host, network, length, 1))
    if length < 31:
        # On loopback as well (fib_add_ifaddr, net/ipv4/fib_frontend.c).
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
    entry.table = MAIN_TABLE if kind == 1 else LOCAL_TABLE
    entry.scope = SCOPE_HOST if kind == LOCAL else SCOPE_LINK
    return entry


def enter_routes(stack: Stack, interface: Interface, address: InterfaceAddress) -> None:
    """Enter the routes of an address; what another address has entered already stays."""
    routing = stack.network_of(address.host).routing
    for entry in routes_of(interface, address):
        # The second address of a network shares the first one's routes; another interface's
        # route to the same network is a second one behind it.
        if _find(routing, entry) is not None:
            continue
        try:
            routing.add(entry, append=True)
        except NetError as error:
            if error.code != EXISTS:
                raise
            continue
        stack.tell_route(entry, removed=False)


def remove_routes(stack: Stack, interface: Interface, address: InterfaceAddress) -> None:
    """Remove the routes of an address that no other address of the interface needs."""
    routing = stack.network_of(address.host).routing
    for entry in routes_of(interface, address):
        found = _find(routing, entry)
        if found is not None:
            routing.remove(found)
            stack.tell_route(found, removed=True)
    for other in interface.addresses:
        if len(other.host) == 4:
            enter_routes(stack, interface, other)
    for table in routing.tables.values():
        for entry in table.entries():
            if entry.source == address.host and not stack.find_address_interface(entry.source):
                try:
                    table.remove(entry)
                except NetError as error:
                    if error.code != NOT_FOUND:
                        raise


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
