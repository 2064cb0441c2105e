"""Router discovery (RFC 4861, 6.3), default routers (RFC 4191), redirects (RFC 4861, 8.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.environment import Timer
from netstack.errors import NetError
from netstack.interface import Interface
from netstack.ip.config6 import SECOND_NS, Ipv6Interface
from netstack.packet import InPacket
from netstack.route import RouteEntry, masked
from netstack.wire import ndp
from netstack.wire.address6 import ALL_ROUTERS, UNSPECIFIED, is_link_local
from netstack.wire.ipv6 import MINIMUM_MTU

if TYPE_CHECKING:
    from netstack.ip.ipv6 import Ipv6
    from netstack.stack import Stack

PROTOCOL_REDIRECT: Final = 1  # RTPROT_REDIRECT
PROTOCOL_RA: Final = 9  # RTPROT_RA
ROUTER_METRIC: Final = 1024  # IP6_RT_PRIO_USER
PREFIX_METRIC: Final = 256  # IP6_RT_PRIO_ADDRCONF
REDIRECT_METRIC: Final = 0
REDIRECT_LIFETIME_NS: Final = 600 * SECOND_NS

# Who sends us advertisements or redirects without end fills no more than this.
MAX_ROUTERS: Final = 16
MAX_PREFIXES: Final = 64
MAX_REDIRECTS: Final = 256

# (prefix, length, gateway, interface index)
Key = tuple[bytes, int, bytes, int]


class LearntRoute(Timer):
    """A route that somebody on the link told us, for a time."""

    def __init__(self, owner: RouterDiscovery, key: Key, entry: RouteEntry) -> None:
        super().__init__()
        self.owner = owner
        self.key = key
        self.entry = entry

    def fire(self) -> None:
        self.owner.forget(self)


class Solicitor(Timer):
    """Asks for routers on one interface until one answers (6.3.7; RFC 7559)."""

    def __init__(self, owner: RouterDiscovery, interface: Interface) -> None:
        super().__init__()
        self.owner = owner
        self.interface = interface
        self.sent = 0
        self.interval_ns = 0

    def fire(self) -> None:
        self.owner.solicit(self)


class RouterDiscovery:
    """What a stack learns from routers."""

    def __init__(self, ip: Ipv6, stack: Stack) -> None:
        self.ip = ip
        self.stack = stack
        self.routes: dict[Key, LearntRoute] = {}
        self.solicitors: dict[int, Solicitor] = {}

    def _is_listening(self, state: Ipv6Interface) -> bool:
        """Return whether advertisements are believed: a router does not follow others."""
        if state.config.accept_ra == 1:
            return not self.stack.settings.ipv6_forwarding
        return state.config.accept_ra == 2

    # Asking.

    def start(self, interface: Interface) -> None:
        """Called when an interface's link-local address may be used."""
        state = self.ip.state_of(interface)
        config = state.config
        if not self._is_listening(state) or not config.router_solicitations:
            return
        if not interface.link.address or interface.index in self.solicitors:
            return
        solicitor = Solicitor(self, interface)
        self.solicitors[interface.index] = solicitor
        delay = self._random_part(config.router_solicitation_delay_ns)
        environment = self.stack.environment
        environment.arm(solicitor, environment.now_ns() + delay)

    def _random_part(self, limit: int) -> int:
        return limit * int.from_bytes(self.stack.environment.random_bytes(4), "big") >> 32

    def stop(self, interface: Interface) -> None:
        """Called when an interface goes down: forget what was learnt there."""
        self._end_solicitation(interface)
        for route in list(self.routes.values()):
            if route.entry.interface is interface:
                self.forget(route)

    def _end_solicitation(self, interface: Interface) -> None:
        solicitor = self.solicitors.pop(interface.index, None)
        if solicitor is not None:
            self.stack.environment.disarm(solicitor)

    def solicit(self, solicitor: Solicitor) -> None:
        """Send a router solicitation, and arm the timer for the next."""
        interface = solicitor.interface
        state = self.ip.state_of(interface)
        config = state.config
        if 0 <= config.router_solicitations <= solicitor.sent:
            self._end_solicitation(interface)
            return
        source = state.link_local()
        kind = ndp.OPTION_SOURCE_LINK_ADDRESS
        options = ndp.link_address_option(kind, interface.link.address) if source else b""
        message = ndp.build_router_solicitation(options)
        self.ip.icmp.send_on_link(interface, source or UNSPECIFIED, ALL_ROUTERS, message)
        solicitor.sent += 1
        # RFC 7559, 2.1: doubled each time, blurred by a tenth, up to a limit.
        base = config.router_solicitation_interval_ns
        longest = config.router_solicitation_max_interval_ns
        if not solicitor.interval_ns:
            interval = base
        else:
            interval = min(solicitor.interval_ns * 2, longest)
        interval += self._random_part(interval // 5) - interval // 10
        solicitor.interval_ns = interval
        environment = self.stack.environment
        environment.arm(solicitor, environment.now_ns() + interval)

    # Advertisements.

    def on_advertisement(self, packet: InPacket, advertisement: ndp.RouterAdvertisement) -> None:
        """Section 6.3.4."""
        interface = packet.interface
        state = self.ip.state_of(interface)
        if not self._is_listening(state) or state.find(packet.source) is not None:
            return
        options = advertisement.options
        self._end_solicitation(interface)
        self._take_parameters(state, advertisement)
        if options.source_link_address and not options.source_link_address[0] & 1:
            link_address = options.source_link_address
            self.ip.neighbours.on_hint(interface, packet.source, link_address)
        if state.config.accept_ra_defrtr:
            self._take_router(interface, packet.source, advertisement)
        neighbour = self.ip.neighbours.find(interface, packet.source)
        if neighbour is not None:
            neighbour.is_router = True
        if state.config.accept_ra_pinfo:
            for prefix in options.prefixes:
                self._take_prefix(state, prefix)

    def _take_parameters(
        self, state: Ipv6Interface, advertisement: ndp.RouterAdvertisement
    ) -> None:
        interface = state.interface
        options = advertisement.options
        if advertisement.hop_limit:
            state.hop_limit = advertisement.hop_limit
        state.is_managed = advertisement.is_managed
        state.has_other_configuration = advertisement.has_other_configuration
        # Section 6.2.1: at most an hour; Linux takes a retransmission time from 1/HZ on.
        if 0 < advertisement.reachable_ms <= 3_600_000:
            interface.reachable_time_ns = advertisement.reachable_ms * 1_000_000
        if 10 <= advertisement.retransmit_ms <= 3_600_000:
            interface.retrans_time_ns = advertisement.retransmit_ms * 1_000_000
        if options.mtu and state.config.accept_ra_mtu:
            if MINIMUM_MTU <= options.mtu <= interface.mtu and options.mtu != state.mtu:
                state.mtu = options.mtu
                self.stack.changed()
        if options.servers:
            state.servers = options.servers if options.servers_lifetime_s else []

    def _take_router(
        self, interface: Interface, source: bytes, advertisement: ndp.RouterAdvertisement
    ) -> None:
        key = (UNSPECIFIED, 0, source, interface.index)
        metric = ROUTER_METRIC - advertisement.preference
        held = self.routes.get(key)
        if held is not None and (not advertisement.lifetime_s or held.entry.metric != metric):
            self.forget(held)
        if not advertisement.lifetime_s:
            return
        self._learn(
            key, interface, PROTOCOL_RA, metric, advertisement.lifetime_s * SECOND_NS, MAX_ROUTERS
        )

    def _take_prefix(self, state: Ipv6Interface, prefix: ndp.Prefix) -> None:
        """Section 6.3.4 and RFC 4862, 5.5.3; the link-local prefix is not a router's to set."""
        if is_link_local(prefix.host) or prefix.host[0] == 0xFF:
            return
        interface = state.interface
        if prefix.is_on_link:
            key = (masked(prefix.host, prefix.length), prefix.length, b"", interface.index)
            if prefix.valid_s:
                endless = prefix.valid_s == ndp.INFINITE_LIFETIME
                lifetime = 0 if endless else prefix.valid_s * SECOND_NS
                self._learn(key, interface, PROTOCOL_RA, PREFIX_METRIC, lifetime, MAX_PREFIXES)
            elif key in self.routes:
                self.forget(self.routes[key])
        if prefix.is_autonomous and state.config.autoconf:
            self.ip.addrconf.on_prefix(interface, prefix)

    # Routes.

    def _learn(
        self,
        key: Key,
        interface: Interface,
        protocol: int,
        metric: int,
        lifetime_ns: int,
        limit: int,
    ) -> None:
        """Enter or prolong a route; a lifetime of 0 has no end."""
        route = self.routes.get(key)
        if route is None:
            if self._count(protocol, bool(key[2])) >= limit:
                return
            entry = RouteEntry(key[0], key[1], interface, key[2])
            entry.protocol = protocol
            entry.metric = metric
            try:
                self.stack.add_route(entry, append=True)
            except NetError:
                return
            route = LearntRoute(self, key, entry)
            self.routes[key] = route
        environment = self.stack.environment
        if lifetime_ns:
            route.entry.expires_ns = environment.now_ns() + lifetime_ns
            environment.arm(route, route.entry.expires_ns)
        else:
            route.entry.expires_ns = 0
            environment.disarm(route)

    def _count(self, protocol: int, has_gateway: bool) -> int:
        count = 0
        for route in self.routes.values():
            if route.entry.protocol == protocol and bool(route.entry.gateway) == has_gateway:
                count += 1
        return count

    def forget(self, route: LearntRoute) -> None:
        """Remove a route."""
        self.routes.pop(route.key, None)
        self.stack.environment.disarm(route)
        try:
            self.stack.remove_route(route.entry)
        except NetError:
            return  # the administrator, or the interface going down, was first

    def on_unreachable(self, interface: Interface, address: bytes) -> None:
        """A router does not answer: others come first (6.3.6, 2), redirects to it end (8.3)."""
        for route in list(self.routes.values()):
            if route.entry.interface is not interface or route.entry.gateway != address:
                continue
            if route.entry.protocol == PROTOCOL_REDIRECT:
                self.forget(route)
                continue
            try:
                self.stack.remove_route(route.entry)
                self.stack.add_route(route.entry, append=True)
            except NetError:
                self.forget(route)

    def on_no_router(self, interface: Interface, address: bytes) -> None:
        """A neighbour said that it is a router no more (7.2.5)."""
        for route in list(self.routes.values()):
            if route.entry.interface is interface and route.entry.gateway == address:
                self.forget(route)

    # Redirects.

    def on_redirect(self, packet: InPacket, redirect: ndp.Redirect) -> None:
        """Section 8.3: only from the router that we use for the destination (8.1)."""
        interface = packet.interface
        state = self.ip.state_of(interface)
        if not state.config.accept_redirects or self.stack.settings.ipv6_forwarding:
            return
        destination = redirect.destination
        entry = self.ip.routing.lookup(destination, b"", interface.index)
        if entry is None or entry.gateway != packet.source or entry.interface is not interface:
            return
        gateway = b"" if redirect.target == destination else redirect.target
        for route in list(self.routes.values()):
            if route.entry.protocol == PROTOCOL_REDIRECT and route.key[0] == destination:
                self.forget(route)
        count = self._count(PROTOCOL_REDIRECT, True) + self._count(PROTOCOL_REDIRECT, False)
        if count >= MAX_REDIRECTS:
            return
        link_address = redirect.options.target_link_address
        if link_address and not link_address[0] & 1:
            self.ip.neighbours.on_hint(interface, redirect.target, link_address)
        key = (destination, 128, gateway, interface.index)
        lifetime = REDIRECT_LIFETIME_NS
        self._learn(key, interface, PROTOCOL_REDIRECT, REDIRECT_METRIC, lifetime, MAX_REDIRECTS)
