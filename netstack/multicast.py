"""Membership of multicast groups, with source filters (RFC 3376, 3; RFC 3810, 4); both families.

An endpoint's membership is a filter: everything but some sources (EXCLUDE), or
nothing but some (INCLUDE).  What an interface reports is their merger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.errors import ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, NO_BUFFERS, NetError

if TYPE_CHECKING:
    from netstack.interface import Interface
    from netstack.stack import Stack

NO_SOURCES: Final[frozenset[bytes]] = frozenset()

# Groups of one interface: endpoints have limits of their own, but there may be many of them.
MAX_GROUPS: Final = 4096


class Membership:
    """One user's membership of a group on an interface."""

    def __init__(self, group: Group, is_exclude: bool, sources: frozenset[bytes]) -> None:
        self.group = group
        self.is_exclude = is_exclude
        self.sources = sources

    def accepts(self, source: bytes) -> bool:
        """Return whether the user wants what `source` sends to the group."""
        return (source in self.sources) != self.is_exclude


class Group:
    """A group that an interface belongs to, because somebody joined it."""

    def __init__(self, interface: Interface, address: bytes) -> None:
        self.interface = interface
        self.address = address
        self.memberships: list[Membership] = []
        # The merged filter.
        self.is_exclude = False
        self.sources = NO_SOURCES
        self.reporter: object = None  # the state of IGMP or MLD

    def accepts(self, source: bytes) -> bool:
        """Return whether anybody here wants what `source` sends."""
        return (source in self.sources) != self.is_exclude

    def merge(self) -> bool:
        """Compute the interface's filter (RFC 3376, 3.2); return whether it changed."""
        included: set[bytes] = set()
        excluded: frozenset[bytes] = NO_SOURCES
        is_exclude = False
        for membership in self.memberships:
            if not membership.is_exclude:
                included |= membership.sources
            elif is_exclude:
                excluded &= membership.sources
            else:
                is_exclude = True
                excluded = membership.sources
        sources = frozenset(excluded - included) if is_exclude else frozenset(included)
        changed = is_exclude != self.is_exclude or sources != self.sources
        self.is_exclude = is_exclude
        self.sources = sources
        return changed


def join(
    interface: Interface,
    address: bytes,
    *,
    is_exclude: bool = True,
    sources: frozenset[bytes] = NO_SOURCES,
) -> Membership:
    """Join a group; NetError(NO_BUFFERS) if the interface belongs to too many."""
    group = interface.groups.get(address)
    if group is None:
        if len(interface.groups) >= MAX_GROUPS:
            raise NetError(NO_BUFFERS)
        group = Group(interface, address)
        interface.groups[address] = group
    membership = Membership(group, is_exclude, sources)
    group.memberships.append(membership)
    _changed(group)
    return membership


def change(membership: Membership, is_exclude: bool, sources: frozenset[bytes]) -> None:
    """Set another filter."""
    membership.is_exclude = is_exclude
    membership.sources = sources
    _changed(membership.group)


def leave(membership: Membership) -> None:
    """End a membership."""
    group = membership.group
    if membership not in group.memberships:
        return  # the interface is gone, and the groups with it
    group.memberships.remove(membership)
    if not group.memberships:
        group.interface.groups.pop(group.address, None)
    _changed(group)


def _changed(group: Group) -> None:
    """Tell the network protocol when the merged filter is another one."""
    if group.merge():
        group.interface.stack.network_of(group.address).on_group_changed(group)


def forget_interface(interface: Interface) -> None:
    """End all memberships on an interface that is removed, without a word on the wire."""
    for group in interface.groups.values():
        group.memberships.clear()
    interface.groups.clear()


class MembershipList:
    """The memberships of one endpoint (struct ip_mc_socklist of Linux)."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.items: list[Membership] = []

    def find(self, interface: Interface, address: bytes) -> Membership | None:
        """Return the membership of a group, if there is one."""
        for item in self.items:
            if item.group.address == address and item.group.interface is interface:
                return item
        return None

    def join(
        self,
        interface: Interface,
        address: bytes,
        limit: int,
        *,
        is_exclude: bool = True,
        sources: frozenset[bytes] = NO_SOURCES,
    ) -> None:
        """IP_ADD_MEMBERSHIP: ADDRESS_IN_USE when joined already, NO_BUFFERS at the limit."""
        if self.find(interface, address) is not None:
            raise NetError(ADDRESS_IN_USE)
        if len(self.items) >= limit:
            raise NetError(NO_BUFFERS)
        self.items.append(join(interface, address, is_exclude=is_exclude, sources=sources))

    def leave(self, interface: Interface, address: bytes) -> None:
        """IP_DROP_MEMBERSHIP: ADDRESS_NOT_AVAILABLE when not joined."""
        item = self.find(interface, address)
        if item is None:
            raise NetError(ADDRESS_NOT_AVAILABLE)
        self.items.remove(item)
        leave(item)

    def accepts(self, interface: Interface, address: bytes, source: bytes, take_all: bool) -> bool:
        """Return whether a datagram to a group is for this endpoint (IP_MULTICAST_ALL: ip(7))."""
        item = self.find(interface, address)
        if item is None:
            return take_all
        return item.accepts(source)

    def clear(self) -> None:
        """Leave all groups."""
        items = self.items
        self.items = []
        for item in items:
            leave(item)
