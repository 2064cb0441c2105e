"""Datagrams of one size for one peer that leave in one packet, which the link takes apart.

As Linux's UDP_SEGMENT (udp(7)), but of datagrams that were sent one by one.
"""

from typing import Final

from netstack.endpoint import Address
from netstack.route import BROADCAST, MULTICAST, Route
from netstack.wire import udp

# In one packet: those who wait for the first shall not wait for many more.
MAX_DATAGRAMS: Final = 32
LINK_HEADER: Final = 14


class Burst:
    """Datagrams that wait for more of their kind."""

    def __init__(self, target: Address, size: int, limit: int) -> None:
        """`size`: of each; `limit`: bytes of payload in one packet."""
        self.target = target
        self.size = size
        self.limit = limit
        self.payloads: list[bytes] = []
        self.total = 0
        self.is_full = False

    def takes(self, payload: bytes, target: Address) -> bool:
        """Return whether a datagram can leave with the others."""
        size = len(payload)
        return (
            not self.is_full
            and 0 < size <= self.size
            and self.total + size <= self.limit
            and (target is self.target or target == self.target)
        )

    def add(self, payload: bytes) -> None:
        """Add a datagram; one that is smaller can only be the last."""
        self.payloads.append(payload)
        self.total += len(payload)
        if (
            len(payload) < self.size
            or len(self.payloads) >= MAX_DATAGRAMS
            or self.total + self.size > self.limit
        ):
            self.is_full = True


def burst_limit(route: Route, size: int) -> int:
    """Return how many bytes of datagrams of `size` may leave in one packet; 0: none may."""
    link = route.interface.link
    headers = (20 if route.version == 4 else 40) + udp.HEADER_LENGTH
    if not link.joins_datagrams or route.kind in (BROADCAST, MULTICAST):
        return 0
    if not size or size + headers > route.mtu:
        return 0
    limit = min(link.gso_max - LINK_HEADER - headers, udp.MAX_PAYLOAD - headers)
    return limit if limit >= 2 * size else 0
