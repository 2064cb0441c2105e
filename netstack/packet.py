"""Packets on their way through the stack.

Payloads are `bytes`, or views of what TCP keeps anyway; headers are parsed by offset and
never copied.  A packet may be larger than the MTU when a link does segmentation (GSO on
sending, GRO on receiving); `gso_size` is then the size of the segments it stands for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from netstack.filter.passage import Passage
    from netstack.interface import Interface

Payload = bytes | memoryview
"""What a packet carries; a view only of packets with `gso_size`."""

# ethernet(7) protocol numbers (IANA "ETHER TYPES").
ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_IPV6: Final = 0x86DD

# Where a received frame was addressed to (sll_pkttype, packet(7)).
TO_HOST: Final = 0
TO_BROADCAST: Final = 1
TO_MULTICAST: Final = 2
TO_OTHER_HOST: Final = 3
OUTGOING: Final = 4

# What is known of the transport checksum of a received packet.
CHECKSUM_UNKNOWN: Final = 0
CHECKSUM_GOOD: Final = (
    1  # verified by the link, or never computed (loopback, VIRTIO_NET_HDR_F_NEEDS_CSUM)
)


class InPacket:
    """A received packet, as it is handed up: link header, network header, transport."""

    def __init__(self, interface: Interface, data: bytes) -> None:
        self.interface = interface
        self.data = data  # the whole frame
        self.kind = TO_HOST
        self.checksum = CHECKSUM_UNKNOWN
        self.gso_size = 0
        self.time_ns = 0  # realtime of its arrival
        # Set by the network layer.
        self.version = 0  # 4 or 6
        self.network = 0  # offset of the IP header
        self.transport = 0  # offset of the transport header
        self.end = len(data)  # offset behind the payload (frames may be padded)
        self.protocol = 0  # IANA protocol number of the transport header
        self.source = b""
        self.destination = b""
        self.ttl = 0  # or hop limit
        self.tos = 0  # or traffic class
        self.is_broadcast = False  # the destination is a broadcast address
        self.is_looped = False  # a copy of what this host sent to a group
        self.options = b""  # of the IPv4 header
        self.mark = 0  # set by rules
        self.passage: Passage | None = None  # what rules know of the packet

    def is_fragment(self) -> bool:
        """Return whether this is a fragment of an IPv4 packet."""
        at = self.network + 6
        return self.data[at] & 0x3F != 0 or self.data[at + 1] != 0


@mypyc_attr(allow_interpreted_subclasses=True)
class FrameFilter:
    """A socket filter (SO_ATTACH_FILTER), run before a packet is queued."""

    def run(
        self, data: bytes, start: int, end: int, packet: InPacket | None, ethertype: int
    ) -> int:
        """Return how many bytes of `data` from `start` on to keep; 0 drops the packet.

        What the filter sees at its offset 0 is at `start`, and `data` is the packet's.
        None is for what never was a packet (Unix sockets).
        """
        return end - start


class OutPacket:
    """A packet to be sent: what a transport hands to the network layer.

    `header` is the transport header with its checksum field zero; the network
    layer fills it in, or leaves it to the link.
    """

    def __init__(self, protocol: int, header: bytes, payload: Payload) -> None:
        self.protocol = protocol
        self.header = header
        self.payload = payload
        self.checksum_offset = -1  # of the checksum field in `header`; -1: it has none
        self.gso_size = 0  # payload bytes of each segment when there are several; TCP, or UDP
        self.ttl = 0  # 0: the default
        self.tos = 0
        self.dont_fragment = False  # fails rather than being fragmented
        self.discovers_mtu = False  # IPv4: may not be fragmented on its way, if it fits the path
        self.ignores_path_mtu = False  # only the interface's MTU counts (IP_PMTUDISC_PROBE)
        self.ipv4_options = b""
        self.flow_label = 0
        self.multicast_loop = True  # IP_MULTICAST_LOOP
        self.stays_here = False  # a TTL of zero: only for members on this host
        # Of the socket that sends it, for rules: SO_MARK, and who made it (-1: there is no socket).
        self.mark = 0
        self.user = -1
        self.group = -1
        self.passage: Passage | None = None  # what rules know of the packet, for its fragments


class OutFrame:
    """A frame for a link: everything before the payload, and the payload, not joined."""

    def __init__(self, ethertype: int, header: bytes, payload: Payload) -> None:
        self.ethertype = ethertype
        self.header = header  # link header (if the link has one), network and transport headers
        self.payload = payload
        # As in struct virtio_net_hdr; checksum_start 0: nothing is left to the link.
        self.checksum_start = 0
        self.checksum_offset = 0
        self.gso_size = 0
        self.is_ipv6 = False
        self.is_udp = False  # what `gso_size` tells apart are datagrams
        self.passage: Passage | None = None  # what rules know of the packet

    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.header) + len(self.payload)
