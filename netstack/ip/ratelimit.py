"""Limits for ICMP errors (RFC 1812, 4.3.2.8; RFC 4443, 2.4 (f)): for all, and for each peer."""

from typing import Final

from netstack.counters import IcmpCounters
from netstack.environment import Environment
from netstack.settings import Settings

SECOND_NS: Final = 1_000_000_000
# A peer may have six errors at once before it gets one each icmp_ratelimit (as Linux).
PEER_BURST: Final = 6
MAX_PEERS: Final = 1024


class ErrorLimiter:
    """Two levels of token buckets."""

    def __init__(
        self, environment: Environment, settings: Settings, counters: IcmpCounters
    ) -> None:
        self.environment = environment
        self.settings = settings
        self.counters = counters
        self._credit_ns = 0  # of the global bucket, in nanoseconds of its rate
        self._filled_ns = 0
        # For each peer the time at which its bucket was empty; burst behind now at most.
        self._peers: dict[bytes, int] = {}

    def allow(self, peer: bytes, kind: int, is_loopback: bool) -> bool:
        """Return whether an error of a type may go to `peer` now, and take the tokens.

        Types outside icmp_ratemask, and this host itself, are not limited.
        """
        settings = self.settings
        if is_loopback or (kind < 32 and not settings.icmp_ratemask >> kind & 1):
            return True
        now = self.environment.now_ns()
        if not self._take_global(now):
            self.counters.OutRateLimitGlobal += 1
            return False
        if not self._take_peer(peer, now):
            self.counters.OutRateLimitHost += 1
            return False
        return True

    def _take_global(self, now: int) -> bool:
        rate = self.settings.icmp_msgs_per_sec
        if rate <= 0:
            return False
        cost = SECOND_NS // rate
        most = cost * self.settings.icmp_msgs_burst
        self._credit_ns = min(most, self._credit_ns + now - self._filled_ns)
        self._filled_ns = now
        if self._credit_ns < cost:
            return False
        self._credit_ns -= cost
        return True

    def _take_peer(self, peer: bytes, now: int) -> bool:
        interval = self.settings.icmp_ratelimit_ms * 1_000_000
        if interval <= 0:
            return True
        empty_at = max(self._peers.pop(peer, 0), now - PEER_BURST * interval)
        allowed = now - empty_at >= interval
        while len(self._peers) >= MAX_PEERS:
            del self._peers[next(iter(self._peers))]
        self._peers[peer] = empty_at + interval if allowed else empty_at
        return allowed
