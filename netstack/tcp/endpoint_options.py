"""The options of a TCP socket that have an effect at once (tcp(7), socket(7))."""

from typing import Final

from mypy_extensions import mypyc_attr

from netstack.endpoint import EVENT_OUT, Endpoint
from netstack.errors import INVALID, NOT_FOUND, NetError
from netstack.tcp import receive
from netstack.tcp.connection import Connection
from netstack.tcp.cubic import ALGORITHMS
from netstack.tcp.listener import defer_count_to_seconds, defer_seconds_to_count
from netstack.tcp.options import TcpOptions
from netstack.tcp.protocol import TcpProtocol
from netstack.tcp.send import push, send_ack
from netstack.tcp.states import CLOSE_WAIT, CLOSED, ESTABLISHED, SECOND
from netstack.tcp.timers import start_keepalive

MIN_RECEIVE_BUFFER: Final = 2304  # SOCK_MIN_RCVBUF
MIN_SEND_BUFFER: Final = 4608  # SOCK_MIN_SNDBUF
MAX_LINGER2: Final = 120 * SECOND  # TCP_FIN_TIMEOUT_MAX


@mypyc_attr(allow_interpreted_subclasses=True)
class TcpOptionUser(Endpoint):
    """The part of an endpoint that is about its options.

    After a change of an option that has an effect at once, the methods here
    are to be used; all others are attributes of `options`.
    """

    def __init__(self, protocol: TcpProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.options = TcpOptions(protocol.settings)
        self.connection: Connection | None = None
        self._connect_pending = False  # connect has not yet told how it ended

    def state(self) -> int:
        """Return the state, by its number in states.py."""
        return CLOSED if self.connection is None else self.connection.state

    def set_nodelay(self, on: bool) -> None:
        """TCP_NODELAY."""
        self.options.nodelay = on
        connection = self.connection
        if on and connection is not None:
            # What waits goes even if the socket is corked (tcp(7)).
            connection.overrides_cork = True
            self._push()
            connection.overrides_cork = False

    def set_cork(self, on: bool) -> None:
        """TCP_CORK."""
        self.options.cork = on
        if not on:
            self._push()

    def set_quickack(self, on: bool) -> None:
        """TCP_QUICKACK: acknowledge at once for a while, or rather late."""
        connection = self.connection
        if connection is None or connection.state == CLOSED:
            self.options.quickack = on
            return
        connection.is_interactive = not on
        if not on:
            connection.quick_acks = 0
            return
        receive.enter_quick_mode(connection, receive.MAX_QUICK_ACKS)
        if connection.ack_deadline and connection.state in (ESTABLISHED, CLOSE_WAIT):
            send_ack(connection, self._now())

    def is_quickack(self) -> bool:
        """Return what TCP_QUICKACK reads as."""
        if self.connection is None:
            return self.options.quickack
        return not self.connection.is_interactive

    def set_keepalive(self, on: bool, idle: int = 0, interval: int = 0, count: int = 0) -> None:
        """SO_KEEPALIVE, and TCP_KEEPIDLE, TCP_KEEPINTVL (nanoseconds), TCP_KEEPCNT; 0: as it is."""
        options = self.options
        options.keepalive = on
        options.keepalive_idle = idle or options.keepalive_idle
        options.keepalive_interval = interval or options.keepalive_interval
        options.keepalive_count = count or options.keepalive_count
        if self.connection is not None:
            start_keepalive(self.connection, self._now())

    def set_congestion_control(self, name: str) -> None:
        """TCP_CONGESTION; NetError(NOT_FOUND)."""
        if name not in ALGORITHMS:
            raise NetError(NOT_FOUND)
        self.options.congestion_control = name
        if self.connection is not None:
            self.connection.use_congestion_control(name)

    def set_user_mss(self, mss: int) -> None:
        """TCP_MAXSEG, before the connection is there; NetError(INVALID)."""
        if mss and not 88 <= mss <= 32767:
            raise NetError(INVALID)
        self.options.user_mss = mss

    def mss(self) -> int:
        """Return what TCP_MAXSEG reads as."""
        if self.connection is not None and self.connection.state != CLOSED:
            return self.connection.mss
        return self.options.user_mss or 536

    def set_receive_buffer(self, size: int) -> None:
        """SO_RCVBUF; `size` is what Linux keeps: twice what the user said."""
        self.options.receive_buffer = max(size, MIN_RECEIVE_BUFFER)
        self.options.receive_buffer_locked = True

    def set_send_buffer(self, size: int) -> None:
        """SO_SNDBUF; as above."""
        self.options.send_buffer = max(size, MIN_SEND_BUFFER)
        self.options.send_buffer_locked = True
        connection = self.connection
        if connection is not None and connection.send_needs_room and connection.is_writable():
            connection.send_needs_room = False
            connection.notify(EVENT_OUT)
            connection.flush_events()

    def set_window_clamp(self, size: int) -> None:
        """TCP_WINDOW_CLAMP; NetError(INVALID) for 0 on a connection."""
        if size == 0 and self.state() != CLOSED:
            raise NetError(INVALID)
        self.options.window_clamp = max(size, MIN_RECEIVE_BUFFER // 2) if size else 0

    def set_linger2(self, seconds: int) -> None:
        """TCP_LINGER2: how long FIN_WAIT2 may last without a user; negative: not at all."""
        nanoseconds = seconds * SECOND
        self.options.linger2 = -1 if seconds < 0 else min(nanoseconds, MAX_LINGER2)

    def set_defer_accept(self, seconds: int) -> None:
        """TCP_DEFER_ACCEPT."""
        self.options.defer_accept = defer_seconds_to_count(seconds)

    def defer_accept(self) -> int:
        """Return what TCP_DEFER_ACCEPT reads as, in seconds."""
        return defer_count_to_seconds(self.options.defer_accept)

    def _now(self) -> int:
        return self.protocol.environment.now_ns()

    def _push(self) -> None:
        """Send what an option held back."""
        connection = self.connection
        if connection is not None and connection.state != CLOSED:
            connection.more_follows = False
            push(connection, self._now())
            connection.flush_events()

    # TCP_FASTOPEN_CONNECT.

    def start_deferred(self, data: bytes) -> int:
        """Send the SYN that a connect with TCP_FASTOPEN_CONNECT left to the first write."""
        connection = self.connection
        if connection is None or not connection.is_deferred:
            return 0
        self._connect_pending = True
        size = self.protocol.fast_open.prepare(connection, data)
        self.protocol.start(connection)
        return size

    def is_deferred(self) -> bool:
        """Return whether the SYN waits for the first write."""
        return self.connection is not None and self.connection.is_deferred
