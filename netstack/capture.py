"""Captures the traffic of a stack into one file, all interfaces together (--pcap-log)."""

from netstack.interface import Interface
from netstack.link.pcap import (
    DIRECTION_IN,
    DIRECTION_OUT,
    LINKTYPE_ETHERNET,
    LINKTYPE_RAW,
    Capture,
)
from netstack.packet import OUTGOING, InPacket
from netstack.packet_socket import ETH_P_ALL, PacketEndpoint
from netstack.stack import Stack


class CaptureTap(PacketEndpoint):
    """Sees what packet endpoints see, and writes it down; `close` ends it.

    Frames that stand for several segments, or whose checksum is left to the
    link, are written as they are, as by Linux with the same offloads.
    """

    def __init__(self, stack: Stack, capture: Capture) -> None:
        super().__init__(stack, True, ETH_P_ALL)
        self.capture = capture
        self._numbers: dict[Interface, int] = {}

    def on_frame(self, packet: InPacket, ethertype: int) -> None:
        interface = packet.interface
        is_outgoing = packet.kind == OUTGOING
        if is_outgoing and interface.link.is_loopback:
            return  # it comes back
        number = self._numbers.get(interface)
        if number is None:
            link_type = LINKTYPE_ETHERNET if interface.link.has_header else LINKTYPE_RAW
            number = self.capture.add_interface(interface.name, link_type)
            self._numbers[interface] = number
        direction = DIRECTION_OUT if is_outgoing else DIRECTION_IN
        self.capture.add_packet(number, packet.time_ns, direction, packet.data)
