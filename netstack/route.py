"""Routes: the table's entries, and what a transport holds on to (RFC 1122, 3.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from netstack.interface import Interface

# rtm_type, rtnetlink(7).
UNICAST: Final = 1
LOCAL: Final = 2
BROADCAST: Final = 3
MULTICAST: Final = 5
BLACKHOLE: Final = 6
UNREACHABLE: Final = 7
PROHIBIT: Final = 8

MAIN_TABLE: Final = 254
LOCAL_TABLE: Final = 255


class RouteEntry:
    """One line of a routing table."""

    def __init__(
        self, prefix: bytes, prefix_length: int, interface: Interface | None, gateway: bytes
    ) -> None:
        self.prefix = prefix
        self.prefix_length = prefix_length
        self.interface = interface
        self.gateway = gateway  # empty: on link
        self.kind = UNICAST
        self.table = MAIN_TABLE
        self.metric = 0
        self.source = b""  # preferred source address
        self.mtu = 0  # 0: the interface's
        self.scope = 0  # rtm_scope
        self.protocol = 3  # rtm_protocol: RTPROT_BOOT


class Route:
    """The way to one destination, as `Stack.find_route` found it; valid until `is_stale`.

    Kept by connected endpoints; the network layer keeps the next hop's
    neighbour entry in it, so that sending needs no look-up.
    """

    def __init__(
        self, interface: Interface, source: bytes, destination: bytes, next_hop: bytes
    ) -> None:
        self.interface = interface
        self.source = source
        self.destination = destination
        self.next_hop = next_hop  # the destination itself when it is on link
        self.version = 4 if len(destination) == 4 else 6
        self.kind = UNICAST
        self.mtu = 0  # of the path: the largest packet; lowered by path MTU discovery
        self.generation = 0  # of the routing table; another one means: find it again
