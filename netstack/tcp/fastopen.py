"""TCP Fast Open (RFC 7413): data in the SYN, for peers that prove by a cookie where they are.

A server's cookies are a keyed hash of both addresses, so it keeps none.  A
client keeps the cookies of the servers that it asked, with their segment size.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import TYPE_CHECKING, Final

from netstack.tcp.settings import DEFAULT_MSS_4, FASTOPEN_CLIENT, FASTOPEN_CLIENT_NO_COOKIE
from netstack.wire.tcp import MAX_OPTIONS

if TYPE_CHECKING:
    from netstack.tcp.connection import Connection
    from netstack.tcp.options import TcpOptions
    from netstack.tcp.protocol import TcpProtocol
    from netstack.wire.tcp import Segment

COOKIE_SIZE: Final = 8
KEY_SIZE: Final = 16
MAX_COOKIES: Final = 1024  # of servers; the oldest are forgotten

# Whose a cookie is.
FOREIGN: Final = 0
OURS: Final = 1
OURS_BY_OLD_KEY: Final = 2  # good, but the client should have a new one


class ServerCookie:
    """What a client knows of a server."""

    def __init__(self, cookie: bytes, mss: int) -> None:
        self.cookie = cookie
        self.mss = mss


class FastOpen:
    """What all connections share of it."""

    def __init__(self, protocol: TcpProtocol) -> None:
        self._protocol = protocol
        self.keys: list[bytes] = []  # the one in use, and the one before it (TCP_FASTOPEN_KEY)
        self._known: dict[bytes, ServerCookie] = {}  # by the server's address

    # The server's side.

    def use_keys(self, keys: list[bytes]) -> None:
        """Make cookies with the first of one or two keys, and take those of either."""
        self.keys = keys

    def make_cookie(self, keys: list[bytes], hosts: bytes) -> bytes:
        """Return the cookie of a client; `hosts`: its address and ours.  No keys: the stack's."""
        return _hash(self._keys_of(keys)[0], hosts)

    def check_cookie(self, keys: list[bytes], hosts: bytes, cookie: bytes) -> int:
        """Return whose a cookie is: FOREIGN, OURS or OURS_BY_OLD_KEY."""
        for index, key in enumerate(self._keys_of(keys)):
            # As numbers: how long it takes tells nothing of how much of a guess was right.
            wanted = int.from_bytes(_hash(key, hosts), "big")
            if wanted ^ int.from_bytes(cookie, "big") == 0 and len(cookie) == COOKIE_SIZE:
                return OURS if index == 0 else OURS_BY_OLD_KEY
        return FOREIGN

    def _keys_of(self, keys: list[bytes]) -> list[bytes]:
        if keys:
            return keys
        if not self.keys:
            self.keys = [self._protocol.environment.random_bytes(KEY_SIZE)]
        return self.keys

    # The client's side.

    def may_send_data(self, host: bytes, options: TcpOptions) -> bool:
        """Return whether a SYN to a host may carry data."""
        return self._needs_no_cookie(options) or host in self._known

    def is_client(self) -> bool:
        """Return whether connections may be opened so."""
        return bool(self._protocol.settings.fastopen & FASTOPEN_CLIENT)

    def _needs_no_cookie(self, options: TcpOptions) -> bool:
        allowed = self._protocol.settings.fastopen & FASTOPEN_CLIENT_NO_COOKIE
        return bool(allowed) or options.fastopen_no_cookie

    def prepare(self, connection: Connection, data: bytes) -> int:
        """Choose what the SYN of a new connection says; return how much of `data` it carries."""
        known = self._known.get(connection.route.destination)
        mss = DEFAULT_MSS_4
        if not self._needs_no_cookie(connection.options):
            if known is None:
                connection.syn_cookie = b""
                return 0
            connection.syn_cookie = known.cookie
        if known is not None:
            mss = known.mss
        if connection.options.user_mss:
            mss = min(mss, connection.options.user_mss)
        room = min(mss, connection.mtu() - connection.headers_size()) - MAX_OPTIONS
        size = max(min(len(data), room), 0)
        if size:
            connection.send_queue.append(data[:size])
            connection.syn_data = size
        return size

    def on_syn_ack(self, connection: Connection, segment: Segment, acked: int) -> None:
        """Learn from the answer to our SYN, of whose data `acked` bytes arrived."""
        host = connection.route.destination
        cookie = segment.cookie
        if connection.syn_cookie is None:
            pass  # nobody asked for one
        elif cookie:
            self._remember(host, ServerCookie(cookie, connection.peer_mss))
        elif cookie is None and connection.syn_retransmits and connection.syn_data:
            # Perhaps something on the way drops such SYNs: the next one is an ordinary one.
            self._known.pop(host, None)
        if not connection.syn_data:
            return
        counters = self._protocol.counters
        if acked == connection.syn_data:
            connection.syn_data_acked = True
            counters.TCPFastOpenActive += 1
        else:
            counters.TCPFastOpenActiveFail += 1
            counters.RetransSegs += 1
            connection.total_resent += 1

    def _remember(self, host: bytes, entry: ServerCookie) -> None:
        self._known.pop(host, None)
        while len(self._known) >= MAX_COOKIES:
            del self._known[next(iter(self._known))]
        self._known[host] = entry


def _hash(key: bytes, hosts: bytes) -> bytes:
    return blake2s(hosts, key=key, digest_size=COOKIE_SIZE).digest()
