"""Raw endpoints (raw(7), RFC 1122, 3.4)."""

from netstack.endpoint import Endpoint
from netstack.packet import InPacket
from netstack.transport import IcmpError


class RawEndpoint(Endpoint):
    """Takes a copy of every packet of one protocol."""

    def on_packet(self, packet: InPacket) -> None:
        """Called with every packet of the protocol for this host."""

    def on_icmp_error(self, error: IcmpError) -> None:
        """Called with every ICMP error about a packet of the protocol."""
