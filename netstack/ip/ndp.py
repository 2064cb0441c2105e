"""Neighbour discovery (RFC 4861): solicitations and advertisements of neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netstack.interface import Interface
from netstack.ip.routers import RouterDiscovery
from netstack.neighbour import Neighbour, Resolver
from netstack.packet import InPacket, OutFrame
from netstack.wire import icmp6, ndp
from netstack.wire.address6 import (
    ALL_NODES,
    SOLICITED_NODE_PREFIX,
    UNSPECIFIED,
    is_link_local,
    is_multicast,
    solicited_node,
)

if TYPE_CHECKING:
    from netstack.ip.ipv6 import Ipv6
    from netstack.stack import Stack


class Ndp(Resolver):
    """Resolves IPv6 addresses, and answers for ours."""

    def __init__(self, ip: Ipv6, stack: Stack) -> None:
        self.ip = ip
        self.routers = RouterDiscovery(ip, stack)

    # What the neighbour cache asks.

    def solicit(self, neighbour: Neighbour, unicast: bool) -> None:
        interface = neighbour.interface
        target = neighbour.address
        source = self._source_for(neighbour)
        if not source:
            return  # no address of ours is known to be unique yet: asked again soon
        options = ndp.link_address_option(ndp.OPTION_SOURCE_LINK_ADDRESS, interface.link.address)
        message = ndp.build_neighbour_solicitation(target, options)
        to = target if unicast else solicited_node(target)
        self.ip.icmp.send_on_link(interface, source, to, message)

    def _source_for(self, neighbour: Neighbour) -> bytes:
        """Section 7.2.2: the source of the packet that waits, if it is this interface's."""
        if neighbour.queue:
            waiting = neighbour.queue[0].header[8:24]
            found = self.ip.state_of(neighbour.interface).find(waiting)
            if found is not None and not found.is_tentative:
                return waiting
        return self.ip.select_source(neighbour.interface, neighbour.address)

    def on_unresolved(self, neighbour: Neighbour, frames: list[OutFrame]) -> None:
        self.routers.on_unreachable(neighbour.interface, neighbour.address)
        for frame in frames:
            self.ip.icmp.report_unresolved(neighbour.interface, frame.header + frame.payload)

    # What neighbours say.

    def on_message(self, packet: InPacket, message: bytes) -> None:
        """Take a message; its hop limit was 255 and its checksum right."""
        kind = message[0]
        if kind == icmp6.NEIGHBOUR_SOLICITATION:
            solicitation = ndp.parse_neighbour_solicitation(message)
            if solicitation is not None:
                self._on_solicitation(packet, solicitation)
        elif kind == icmp6.NEIGHBOUR_ADVERTISEMENT:
            advertisement = ndp.parse_neighbour_advertisement(message)
            if advertisement is not None:
                self._on_advertisement(packet, advertisement)
        elif not is_link_local(packet.source):
            return  # sections 6.1.2 and 8.1: routers speak from their link-local address
        elif kind == icmp6.ROUTER_ADVERTISEMENT:
            parsed = ndp.parse_router_advertisement(message)
            if parsed is not None:
                self.routers.on_advertisement(packet, parsed)
        elif kind == icmp6.REDIRECT:
            redirect = ndp.parse_redirect(message)
            if redirect is not None:
                self.routers.on_redirect(packet, redirect)

    def _on_solicitation(self, packet: InPacket, solicitation: ndp.Solicitation) -> None:
        """Section 7.2.3; RFC 4862, 5.4.3 for addresses that are not ours yet."""
        interface = packet.interface
        options = solicitation.options
        is_probe = packet.source == UNSPECIFIED
        if is_probe and (
            options.source_link_address or not packet.destination.startswith(SOLICITED_NODE_PREFIX)
        ):
            return
        address = self.ip.state_of(interface).find(solicitation.target)
        if address is None:
            return
        if address.is_tentative:
            if is_probe:
                probe = self.ip.addrconf.probes.get(address)
                if probe is not None and (not probe.nonce or options.nonce != probe.nonce):
                    self.ip.addrconf.on_duplicate(interface, address)
            return
        if is_probe:
            self._advertise(interface, address.host, ALL_NODES, ndp.FLAG_OVERRIDE)
            return
        if options.source_link_address and is_link_address(options.source_link_address):
            self.ip.neighbours.on_hint(interface, packet.source, options.source_link_address)
        flags = ndp.FLAG_SOLICITED | ndp.FLAG_OVERRIDE
        self._advertise(interface, address.host, packet.source, flags)

    def _advertise(
        self, interface: Interface, target: bytes, destination: bytes, flags: int
    ) -> None:
        if self.ip.stack.settings.ipv6_forwarding:
            flags |= ndp.FLAG_ROUTER
        options = ndp.link_address_option(ndp.OPTION_TARGET_LINK_ADDRESS, interface.link.address)
        message = ndp.build_neighbour_advertisement(target, flags, options)
        self.ip.icmp.send_on_link(interface, target, destination, message)

    def _on_advertisement(self, packet: InPacket, advertisement: ndp.Advertisement) -> None:
        """Section 7.2.5; RFC 4862, 5.4.4."""
        interface = packet.interface
        solicited = bool(advertisement.flags & ndp.FLAG_SOLICITED)
        if solicited and is_multicast(packet.destination):
            return
        own = self.ip.state_of(interface).find(advertisement.target)
        if own is not None:
            if own.is_tentative:
                self.ip.addrconf.on_duplicate(interface, own)
            return  # somebody claims an address of ours: nothing that we could do
        link_address = advertisement.options.target_link_address
        if link_address and not is_link_address(link_address):
            return
        is_router = bool(advertisement.flags & ndp.FLAG_ROUTER)
        neighbour = self.ip.neighbours.find(interface, advertisement.target)
        was_router = neighbour is not None and neighbour.is_router
        self.ip.neighbours.on_confirmation(
            interface,
            advertisement.target,
            link_address,
            solicited=solicited,
            override=bool(advertisement.flags & ndp.FLAG_OVERRIDE),
            is_router=is_router,
        )
        if was_router and neighbour is not None and not neighbour.is_router:
            self.routers.on_no_router(interface, advertisement.target)


def is_link_address(link_address: bytes) -> bool:
    """Return whether a station can have this Ethernet address: no group, and not zero."""
    return not link_address[0] & 1 and link_address != bytes(6)
