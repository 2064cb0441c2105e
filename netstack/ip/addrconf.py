"""Addresses of interfaces: from tentative to assigned to gone (RFC 4862), and their routes.

The stack tells of addresses that come and go; SLAAC adds its own the same way.
Routes, solicited-node groups and lifetimes follow from here.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import TYPE_CHECKING, Final

from netstack.environment import Timer
from netstack.errors import NetError
from netstack.interface import IFF_LOOPBACK, IFF_MULTICAST, IFF_NOARP, Interface, InterfaceAddress
from netstack.ip.config6 import (
    ADDR_GEN_EUI64,
    ADDR_GEN_NONE,
    ADDR_GEN_RANDOM,
    IFA_F_DADFAILED,
    IFA_F_DEPRECATED,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    IFA_F_PERMANENT,
    IFA_F_STABLE_PRIVACY,
    IFA_F_TENTATIVE,
    SECOND_NS,
    Ipv6Interface,
)
from netstack.ip.dad import DadProbe
from netstack.multicast import Membership, join, leave
from netstack.route import LOCAL, LOCAL_TABLE, PROTOCOL_KERNEL, RouteEntry, masked
from netstack.route import SCOPE_HOST as RT_SCOPE_HOST
from netstack.route import SCOPE_LINK as RT_SCOPE_LINK
from netstack.wire.address6 import (
    LINK_LOCAL_PREFIX,
    LOOPBACK,
    is_link_local,
    is_reserved_identifier,
    modified_eui64,
    solicited_node,
)
from netstack.wire.ndp import INFINITE_LIFETIME, Prefix

if TYPE_CHECKING:
    from netstack.ip.ipv6 import Ipv6

PREFIX_METRIC: Final = 256  # IP6_RT_PRIO_ADDRCONF
TWO_HOURS_NS: Final = 7200 * SECOND_NS  # RFC 4862, 5.5.3 (e)


class AddressConfiguration:
    """The life of all IPv6 addresses of a stack."""

    def __init__(self, ip: Ipv6) -> None:
        self.ip = ip
        self.stack = ip.stack
        self.probes: dict[InterfaceAddress, DadProbe] = {}
        self.memberships: dict[InterfaceAddress, Membership] = {}
        self.local_routes: dict[InterfaceAddress, RouteEntry] = {}
        self.prefix_routes: dict[tuple[int, bytes, int], RouteEntry] = {}
        # Addresses made from a prefix: how often another identifier had to be taken.
        self.dad_counters: dict[InterfaceAddress, int] = {}
        self._expiry = ExpiryTimer(self)

    # Interfaces.

    def on_interface_up(self, interface: Interface) -> None:
        """Give an interface the address that it always has."""
        state = self.ip.state_of(interface)
        if state.config.disable_ipv6 or self.stack.settings.ipv6_disable:
            return
        state.is_enabled = True
        if interface.flags & IFF_LOOPBACK:
            if state.find(LOOPBACK) is None:
                self._add(interface, LOOPBACK, 128, IFA_F_PERMANENT | IFA_F_NODAD)
        elif interface.flags & IFF_MULTICAST and state.config.addr_gen_mode != ADDR_GEN_NONE:
            if not any(is_link_local(one.host) for one in interface.addresses):
                self._add_link_local(state, 0)

    def _add_link_local(self, state: Ipv6Interface, counter: int) -> None:
        host = LINK_LOCAL_PREFIX + self.identifier(state, LINK_LOCAL_PREFIX, counter)
        flags = IFA_F_PERMANENT | self._generation_flag(state)
        address = self._add(state.interface, host, 64, flags)
        if address is not None:
            self.dad_counters[address] = counter

    def _add(
        self, interface: Interface, host: bytes, length: int, flags: int
    ) -> InterfaceAddress | None:
        address = InterfaceAddress(host, length)
        address.flags = flags
        return address if self._enter(interface, address) else None

    def _enter(self, interface: Interface, address: InterfaceAddress) -> bool:
        if address.host == LOOPBACK:
            address.scope = RT_SCOPE_HOST
        elif is_link_local(address.host):
            address.scope = RT_SCOPE_LINK
        try:
            self.stack.add_address(interface, address)
        except NetError:
            return False  # somebody gave it to the interface already
        return True

    def on_interface_down(self, interface: Interface) -> None:
        """Forget the addresses: as Linux without keep_addr_on_down, manual ones as well."""
        state = self.ip.state_of(interface)
        self.ip.ndp.routers.stop(interface)
        for address in list(interface.addresses):
            if len(address.host) == 16:
                self.stack.remove_address(interface, address)
        state.is_enabled = False
        state.hop_limit = 0
        state.mtu = 0
        state.servers = []
        interface.reachable_time_ns = 0
        interface.retrans_time_ns = 0

    # Addresses.

    def on_address_added(self, interface: Interface, address: InterfaceAddress) -> None:
        """Start using an address, after duplicate address detection where that is done."""
        state = self.ip.state_of(interface)
        if not state.is_enabled or address in state.active:
            return
        state.active.add(address)
        self._join(interface, address)
        if self._needs_dad(state, address):
            address.is_tentative = True
            address.flags |= IFA_F_TENTATIVE
            probe = DadProbe(self, interface, address, state.config.dad_transmits)
            self.probes[address] = probe
            probe.start()
        else:
            self.assign(interface, address)
        self.watch_lifetimes()

    def _join(self, interface: Interface, address: InterfaceAddress) -> None:
        if interface.flags & IFF_LOOPBACK:
            return
        try:
            self.memberships[address] = join(interface, solicited_node(address.host))
        except NetError:
            # Too many groups: multicast solicitations will not find this address.
            self.ip.counters.InDiscards += 1

    def _needs_dad(self, state: Ipv6Interface, address: InterfaceAddress) -> bool:
        """addrconf_dad_begin() of Linux."""
        return not (
            address.flags & IFA_F_NODAD
            or state.interface.flags & (IFF_LOOPBACK | IFF_NOARP)
            or not state.interface.link.resolves
            or state.config.accept_dad < 1
            or state.config.dad_transmits < 1
        )

    def assign(self, interface: Interface, address: InterfaceAddress) -> None:
        """An address is unique: enter its routes."""
        self.probes.pop(address, None)
        address.is_tentative = False
        address.flags &= ~IFA_F_TENTATIVE
        self._add_local_route(interface, address)
        if not address.flags & IFA_F_NOPREFIXROUTE and address.prefix_length < 128:
            self._add_prefix_route(interface, address)
        self.stack.changed()
        for observer in self.stack.observers:
            observer.on_address(interface, address, False)
        if is_link_local(address.host):
            self.ip.mld.on_link_local(interface)
            self.ip.ndp.routers.start(interface)

    def _add_local_route(self, interface: Interface, address: InterfaceAddress) -> None:
        entry = RouteEntry(address.host, 128, interface, b"")
        entry.kind = LOCAL
        entry.table = LOCAL_TABLE
        entry.protocol = PROTOCOL_KERNEL
        # The same link-local address may be on several links.
        self.stack.add_route(entry, append=True)
        self.local_routes[address] = entry

    def _add_prefix_route(self, interface: Interface, address: InterfaceAddress) -> None:
        prefix = masked(address.host, address.prefix_length)
        key = (interface.index, prefix, address.prefix_length)
        if key in self.prefix_routes:
            return
        entry = RouteEntry(prefix, address.prefix_length, interface, b"")
        entry.protocol = PROTOCOL_KERNEL
        entry.metric = PREFIX_METRIC
        self.stack.add_route(entry, append=True)
        self.prefix_routes[key] = entry

    def on_address_removed(self, interface: Interface, address: InterfaceAddress) -> None:
        """Stop using an address."""
        state = self.ip.state_of(interface)
        state.active.discard(address)
        self.dad_counters.pop(address, None)
        probe = self.probes.pop(address, None)
        if probe is not None:
            self.stack.environment.disarm(probe)
        membership = self.memberships.pop(address, None)
        if membership is not None:
            leave(membership)
        entry = self.local_routes.pop(address, None)
        if entry is not None:
            self._remove_route(entry)
        self._remove_prefix_route(state, address)

    def _remove_prefix_route(self, state: Ipv6Interface, address: InterfaceAddress) -> None:
        length = address.prefix_length
        prefix = masked(address.host, length)
        for other in state.active:
            if other.prefix_length == length and masked(other.host, length) == prefix:
                if not other.is_tentative:
                    return
        entry = self.prefix_routes.pop((state.interface.index, prefix, length), None)
        if entry is not None:
            self._remove_route(entry)

    def _remove_route(self, entry: RouteEntry) -> None:
        try:
            self.stack.remove_route(entry)
        except NetError:
            return  # the administrator removed it

    # Duplicates.

    def on_duplicate(self, interface: Interface, address: InterfaceAddress) -> None:
        """Somebody else has, or wants, a tentative address (RFC 4862, 5.4.5)."""
        probe = self.probes.pop(address, None)
        if probe is None:
            return
        self.stack.environment.disarm(probe)
        state = self.ip.state_of(interface)
        counter = self.dad_counters.get(address, 0)
        if not address.flags & IFA_F_STABLE_PRIVACY or counter >= state.config.idgen_retries:
            # It stays, unused, for the administrator to see.
            address.flags |= IFA_F_DADFAILED
            for observer in self.stack.observers:
                observer.on_address(interface, address, False)
            return
        # RFC 7217, section 6: another identifier is tried.
        self.stack.remove_address(interface, address)
        if is_link_local(address.host):
            self._add_link_local(state, counter + 1)
            return
        again = self._made_from(state, address.host[:8] + bytes(8), counter + 1)
        again.valid_until_ns = address.valid_until_ns
        again.preferred_until_ns = address.preferred_until_ns
        if self._enter(interface, again):
            self.dad_counters[again] = counter + 1

    # Stateless autoconfiguration, RFC 4862, 5.5.3.

    def on_prefix(self, interface: Interface, prefix: Prefix) -> None:
        """A router announced a prefix to make addresses from."""
        state = self.ip.state_of(interface)
        if prefix.preferred_s > prefix.valid_s or prefix.length != 64:
            return
        mine = [
            address
            for address in self.dad_counters
            if address in state.active and address.host[:8] == prefix.host[:8]
        ]
        if mine:
            for address in mine:
                self._refresh(address, prefix)
        elif prefix.valid_s:
            self._make(state, prefix)
        self.watch_lifetimes()

    def _make(self, state: Ipv6Interface, prefix: Prefix) -> None:
        made = sum(1 for address in self.dad_counters if address in state.active)
        # One of them is the link-local address.
        if state.config.max_addresses and made > state.config.max_addresses:
            return
        if state.config.addr_gen_mode == ADDR_GEN_NONE:
            return
        address = self._made_from(state, masked(prefix.host, 64), 0)
        now = self.stack.environment.now_ns()
        address.valid_until_ns = until(now, prefix.valid_s)
        address.preferred_until_ns = until(now, prefix.preferred_s)
        if self._enter(state.interface, address):
            self.dad_counters[address] = 0

    def _made_from(self, state: Ipv6Interface, prefix: bytes, counter: int) -> InterfaceAddress:
        host = prefix[:8] + self.identifier(state, prefix, counter)
        address = InterfaceAddress(host, 64)
        # Whether the prefix is on the link is said by another bit of the option.
        address.flags = IFA_F_NOPREFIXROUTE | self._generation_flag(state)
        return address

    def _refresh(self, address: InterfaceAddress, prefix: Prefix) -> None:
        """Step (e): nobody may take an address away at once by a forged advertisement."""
        now = self.stack.environment.now_ns()
        announced = until(now, prefix.valid_s)
        held = address.valid_until_ns
        remaining = held - now if held else 0
        if announced == 0 or prefix.valid_s * SECOND_NS > TWO_HOURS_NS or held and announced > held:
            address.valid_until_ns = announced
        elif not held or remaining > TWO_HOURS_NS:
            address.valid_until_ns = now + TWO_HOURS_NS
        address.preferred_until_ns = until(now, prefix.preferred_s)
        address.flags &= ~IFA_F_DEPRECATED

    def watch_lifetimes(self) -> None:
        """Have addresses deprecated and removed when it is time."""
        now = self.stack.environment.now_ns()
        soonest = 0
        for interface in list(self.stack.interfaces.values()):
            for address in list(interface.addresses):
                if len(address.host) == 16:
                    next_ns = self._age(interface, address, now)
                    if next_ns and (not soonest or next_ns < soonest):
                        soonest = next_ns
        if soonest:
            self.stack.environment.arm(self._expiry, soonest)
        else:
            self.stack.environment.disarm(self._expiry)

    def _age(self, interface: Interface, address: InterfaceAddress, now: int) -> int:
        """Act on an address's lifetimes; return when to look again, 0: never."""
        if address.valid_until_ns and address.valid_until_ns <= now:
            self.stack.remove_address(interface, address)
            return 0
        if address.preferred_until_ns and not address.flags & IFA_F_DEPRECATED:
            if address.preferred_until_ns > now:
                return address.preferred_until_ns
            address.flags |= IFA_F_DEPRECATED
            self.stack.changed()
        return address.valid_until_ns

    # Interface identifiers.

    def identifier(self, state: Ipv6Interface, prefix: bytes, counter: int) -> bytes:
        """Return an interface identifier for addresses of a prefix (RFC 4291; RFC 7217)."""
        link_address = state.interface.link.address
        if state.config.addr_gen_mode == ADDR_GEN_EUI64 and len(link_address) == 6:
            return modified_eui64(link_address)
        if not state.config.stable_secret or (
            state.config.addr_gen_mode == ADDR_GEN_RANDOM and not state.has_random_secret
        ):
            state.config.stable_secret = self.stack.environment.random_bytes(16)
            state.has_random_secret = True
        return stable_identifier(
            state.config.stable_secret, prefix[:8], state.interface.name, link_address, counter
        )

    def _generation_flag(self, state: Ipv6Interface) -> int:
        by_link_address = state.config.addr_gen_mode == ADDR_GEN_EUI64
        if by_link_address and len(state.interface.link.address) == 6:
            return 0
        return IFA_F_STABLE_PRIVACY


class ExpiryTimer(Timer):
    """Fires when the first lifetime of an address ends."""

    def __init__(self, owner: AddressConfiguration) -> None:
        super().__init__()
        self.owner = owner

    def fire(self) -> None:
        self.owner.watch_lifetimes()


def until(now_ns: int, lifetime_s: int) -> int:
    """Return when a lifetime ends; 0: never."""
    return 0 if lifetime_s == INFINITE_LIFETIME else max(now_ns + lifetime_s * SECOND_NS, 1)


def stable_identifier(
    secret: bytes, prefix: bytes, name: str, link_address: bytes, counter: int
) -> bytes:
    """Return 8 bytes that are the same for the same network, and tell nothing (RFC 7217, 5)."""
    tries = 0
    while True:
        seed = b"\0".join(
            (secret, prefix, name.encode(), link_address, counter.to_bytes(4, "big"))
        ) + tries.to_bytes(4, "big")
        identifier = blake2s(seed, digest_size=8).digest()
        if not is_reserved_identifier(identifier):
            return identifier
        tries += 1
