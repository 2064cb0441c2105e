"""AF_PACKET endpoints (packet(7)): frames as they pass an interface."""

from netstack.endpoint import Endpoint
from netstack.packet import InPacket


class PacketEndpoint(Endpoint):
    """Sees the frames of one or all interfaces."""

    def on_frame(self, packet: InPacket, ethertype: int) -> None:
        """Called with every frame that comes in or goes out."""
