"""Duplicate address detection (RFC 4862, 5.4; RFC 7527 for our own echoes)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netstack.environment import Timer
from netstack.interface import Interface, InterfaceAddress
from netstack.wire.address6 import UNSPECIFIED, solicited_node
from netstack.wire.ndp import build_neighbour_solicitation, nonce_option

if TYPE_CHECKING:
    from netstack.ip.addrconf import AddressConfiguration


class DadProbe(Timer):
    """Asks whether somebody has an address, a few times."""

    def __init__(
        self,
        owner: AddressConfiguration,
        interface: Interface,
        address: InterfaceAddress,
        transmits: int,
    ) -> None:
        super().__init__()
        self.owner = owner
        self.interface = interface
        self.address = address
        self.left = transmits
        self.nonce = b""

    def start(self) -> None:
        """Begin after a random delay, so that hosts that start together do not all ask at once."""
        environment = self.owner.stack.environment
        delay = self.owner.ip.state_of(self.interface).config.router_solicitation_delay_ns
        fraction = int.from_bytes(environment.random_bytes(4), "big")
        environment.arm(self, environment.now_ns() + (delay * fraction >> 32))

    def fire(self) -> None:
        if self.left == 0:
            self.owner.assign(self.interface, self.address)
            return
        self.left -= 1
        environment = self.owner.stack.environment
        if not self.nonce:
            self.nonce = environment.random_bytes(6)
        host = self.address.host
        message = build_neighbour_solicitation(host, nonce_option(self.nonce))
        self.owner.ip.icmp.send_on_link(self.interface, UNSPECIFIED, solicited_node(host), message)
        delay = self.owner.ip.neighbours.retrans_time_ns(self.interface)
        environment.arm(self, environment.now_ns() + delay)
