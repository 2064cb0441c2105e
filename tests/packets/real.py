"""Runs scripts through the whole stack: Ethernet frames, IPv4 and IPv6, ICMP."""

import struct
from typing import Any

from netstack.build import add_ipv4, add_ipv6
from netstack.interface import InterfaceAddress
from netstack.packet import OutFrame, OutPacket
from netstack.stack import Stack
from netstack.tcp.protocol import TcpProtocol
from tests.packets.headers import icmp_packet, tcp_packet, transport_of
from tests.packets.script import Runner
from tests.packets.stack import LOCAL, REMOTE
from tests.unit.netstack.harness import SECOND, CaptureLink, VirtualEnvironment, frame_bytes

OUR_LINK = b"\x02\x00\x00\x00\x00\x01"
PEER_LINK = b"\x02\x00\x00\x00\x00\x02"
ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}


class WholeLink(CaptureLink):
    """Hands TCP segments to the script; what neighbours say to each other is not its concern."""

    def __init__(self, stack: "WholeStack", mtu: int) -> None:
        super().__init__(mtu, OUR_LINK)
        self.stack = stack

    def send(self, frame: OutFrame) -> bool:
        if not self.has_room:
            return False
        data = frame_bytes(frame)[14:]
        found = transport_of(data)
        if found is not None:
            at, tos, ttl = found
            payload = at + (data[at + 12] >> 4) * 4
            packet = OutPacket(6, data[at:payload], data[payload:])
            packet.tos, packet.ttl = tos, ttl
            packet.gso_size = frame.gso_size
            self.stack.sent.append((self.stack.environment.now_ns(), None, packet))
        return True


class WholeStack(Stack):
    """What a script sees of a whole stack: as `TcpStack`, whose network is a fake."""

    def __init__(self, environment: VirtualEnvironment, mtu: int, gso_max: int) -> None:
        super().__init__(environment)
        networks = {4: add_ipv4(self), 6: add_ipv6(self)}
        self.tcp = TcpProtocol(self)
        self.link = WholeLink(self, mtu)
        self.link.gso_max = gso_max
        self.sent: list[tuple[int, Any, OutPacket]] = []
        self.nic = self.add_interface("eth0", self.link)
        networks[6].state_of(self.nic).config.router_solicitations = 0
        self.set_up(self.nic)
        for version, length in ((4, 24), (6, 64)):
            self.add_address(self.nic, InterfaceAddress(LOCAL[version], length))
            networks[version].neighbours.add_permanent(self.nic, REMOTE[version], PEER_LINK)
        environment.advance(5 * SECOND)  # nobody else has the address

    def receive(self, packet: bytes) -> None:
        """Take an IP packet."""
        self.nic.receive(OUR_LINK + PEER_LINK + ETHERTYPES[packet[0] >> 4] + packet)

    def deliver(
        self,
        header: bytes,
        payload: bytes = b"",
        *,
        version: int = 4,
        tos: int = 0,
        gso_size: int = 0,
    ) -> None:
        """Take a segment."""
        assert not gso_size
        self.receive(tcp_packet(version, tos, header, payload))


class WholeRunner(Runner):
    """Runs one script."""

    @property
    def stack(self) -> Any:
        if self._stack is None:
            made: Any = WholeStack(self.environment, self.mtu, self.gso)
            self.now = self.start = self.environment.now
            self._stack = made
            self.change_settings(made.tcp.settings)
        return self._stack

    def icmp(self, words: list[str]) -> None:
        options = dict(zip(words[1::2], words[2::2], strict=True))
        seq = self.outgoing_number(int(options.get("seq", "1")))
        quoted = struct.pack(">HHI", self.local_port, self.peer_port, seq)
        mtu = int(options.get("mtu", "0"))
        self.stack.receive(icmp_packet(self.version, words[0], mtu, quoted))
