"""TCP sockets as their users see them: bind, connect, listen, accept, read, write, shutdown."""

from typing import Final

from mypy_extensions import mypyc_attr

from netstack.endpoint import (
    EVENT_ERR,
    EVENT_HUP,
    EVENT_IN,
    EVENT_OUT,
    EVENT_PRI,
    EVENT_RDHUP,
    NO_LISTENER,
    SHUT_READ,
    SHUT_WRITE,
    Address,
    Endpoint,
)
from netstack.environment import Listener
from netstack.errors import (
    ADDRESS_NOT_AVAILABLE,
    ALREADY_CONNECTED,
    ALREADY_CONNECTING,
    CONNECTION_ABORTED,
    CONNECTION_RESET,
    FAMILY,
    INVALID,
    NOT_CONNECTED,
    NetError,
)
from netstack.ports import ANY_BOTH, ANY_IPV4, ANY_IPV6, Binding
from netstack.tcp import receive
from netstack.tcp.connection import URGENT_NONE, URGENT_READ, URGENT_VALID, Connection
from netstack.tcp.info import TcpInfo, fill
from netstack.tcp.listener import TcpListener
from netstack.tcp.protocol import TcpProtocol
from netstack.tcp.send import end_of_stream, push
from netstack.tcp.settings import FASTOPEN_ALL_LISTENERS, FASTOPEN_SERVER
from netstack.tcp.states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT1,
    FIN_WAIT2,
    LAST_ACK,
    LISTEN,
    SECOND,
    SYN_RECEIVED,
    SYN_SENT,
)
from netstack.tcp.writer import TcpWriter

LOOPBACK_4: Final = b"\x7f\x00\x00\x01"
LOOPBACK_6: Final = bytes(15) + b"\x01"
MIN_RECEIVE_BUFFER: Final = 2304  # SOCK_MIN_RCVBUF
MIN_SEND_BUFFER: Final = 4608  # SOCK_MIN_SNDBUF
MAX_LINGER2: Final = 120 * SECOND  # TCP_FIN_TIMEOUT_MAX


class EndpointEvents(Listener):
    """Passes a connection's events on to whoever listens to the endpoint at that time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def on_events(self, events: int) -> None:
        self.endpoint.listener.on_events(events)


@mypyc_attr(allow_interpreted_subclasses=True)
class TcpEndpoint(TcpWriter):
    """A TCP socket without a descriptor.  `version` is 4 or 6; 6 may carry IPv4 as well."""

    def __init__(self, protocol: TcpProtocol, version: int) -> None:
        super().__init__(protocol)
        self.version = version
        self.user = 0  # user id, for SO_REUSEPORT
        self.binding: Binding | None = None
        self.listening: TcpListener | None = None
        self._events = EndpointEvents(self)
        self._closed = False

    # Addresses.

    def bind(self, address: Address) -> None:
        """bind(2); NetError(INVALID, ADDRESS_NOT_AVAILABLE, ADDRESS_IN_USE, FAMILY)."""
        if self.binding is not None or self.connection is not None:
            raise NetError(INVALID)
        host = b"" if not any(address.host) else address.host
        self._check_family(host)
        stack = self.protocol.stack
        may_be_foreign = stack.settings.ip_nonlocal_bind or self.options.free_bind
        if host and not may_be_foreign and not stack.is_local_address(host):
            raise NetError(ADDRESS_NOT_AVAILABLE)
        self._bind(host, address.port)

    def bind_beside(self, address: Address) -> None:
        """Take an address and a port beside the table of ports, to listen.

        Others may bind the same as if it were free, and on all addresses they do
        not get the connections that are for this one.
        """
        versions = ANY_IPV4 if len(address.host) == 4 else ANY_IPV6
        self.binding = Binding(address.host, address.port, versions)

    def bound_to(self) -> Binding | None:
        return self.binding

    def _bind(self, host: bytes, port: int) -> None:
        """Enter a binding with the flags that hold now."""
        options = self.options
        if len(host) == 4 or self.version == 4:
            versions = ANY_IPV4
        else:
            versions = ANY_IPV6 if options.v6_only or host else ANY_BOTH
        binding = Binding(host, port, versions)
        binding.interface_index = options.interface_index
        binding.reuse_address = options.reuse_address
        binding.reuse_port = options.reuse_port
        binding.user = self.user
        binding.group = self.reuse_group
        self.protocol.ports.bind(binding)
        self.binding = binding

    def _check_family(self, host: bytes) -> None:
        """Refuse addresses of the wrong version."""
        if self.version == 4 and len(host) not in (0, 4):
            raise NetError(FAMILY)
        if len(host) == 4 and self.version == 6 and self.options.v6_only:
            raise NetError(FAMILY)

    def local_address(self) -> Address:
        """Return the local address; without host or port as long as there is none."""
        connection = self.connection
        if connection is not None and (connection.state != CLOSED or self.binding is None):
            return Address(connection.route.source, connection.local_port)
        if self.binding is None:
            return Address(b"", 0)
        return Address(self.binding.host, self.binding.port)

    def remote_address(self) -> Address | None:
        """Return the peer's address; None if there is no connection (ENOTCONN)."""
        connection = self.connection
        if connection is None or connection.state in (CLOSED, SYN_SENT):
            return None
        return Address(connection.route.destination, connection.remote_port)

    def state(self) -> int:
        if self.listening is not None:
            return LISTEN
        return CLOSED if self.connection is None else self.connection.state

    # Connections.

    def connect(self, address: Address) -> bool:
        """connect(2): start, and return False; once connected, return True once.

        NetError: ALREADY_CONNECTING while it is going on, ALREADY_CONNECTED,
        what made it fail, or what kept it from starting.
        """
        if self.listening is not None:
            raise NetError(ALREADY_CONNECTED)
        connection = self.connection
        if connection is not None:
            if connection.is_deferred:
                raise NetError(ALREADY_CONNECTED)
            if connection.state in (SYN_SENT, SYN_RECEIVED):
                raise NetError(ALREADY_CONNECTING)
            if self._connect_pending:
                self._connect_pending = False
                if connection.state == CLOSED:
                    self.connection = None
                    raise NetError(connection.error or CONNECTION_ABORTED)
                return True
            # Even when it is over: it takes disconnect to make the endpoint a fresh one.
            raise NetError(ALREADY_CONNECTED)
        connection = self._new_connection(address)
        fast_open = self.protocol.fast_open
        if self.options.fastopen_connect and fast_open.is_client():
            if fast_open.may_send_data(connection.route.destination, self.options):
                connection.is_deferred = True
                self._connect_pending = False
                return True
            fast_open.prepare(connection, b"")
        self.protocol.start(connection)
        return False

    def _new_connection(self, address: Address) -> Connection:
        """Return a connection to be, of which the peer does not know yet."""
        host = address.host
        self._check_family(host)
        if not any(host):
            host = LOOPBACK_4 if self.version == 4 or len(host) == 4 else LOOPBACK_6
        source = self.binding.host if self.binding is not None else b""
        remote = Address(host, address.port, address.scope)
        connection = self.protocol.connect(self.options, self.binding, remote, source)
        connection.listener = self._events
        self.connection = connection
        self.error = 0
        self._connect_pending = True
        return connection

    def connect_fast(self, address: Address, data: bytes) -> int:
        """Start as `connect` does, with data in the SYN; return how much it carries (RFC 7413).

        0: we do not know a cookie of the peer yet, and ask for one.
        """
        connection = self._new_connection(address)
        size = self.protocol.fast_open.prepare(connection, data)
        self.protocol.start(connection)
        return size

    def disconnect(self) -> None:
        """connect(2) to AF_UNSPEC: abort the connection; the endpoint can be used again."""
        if self.listening is not None:
            self.protocol.unlisten(self.listening)
            self.listening = None
        connection = self.connection
        if connection is not None and connection.state != CLOSED:
            if needs_reset(connection):
                self.protocol.reset(connection, self._now())
            if needs_reset(connection) or connection.state == SYN_SENT:
                self.error = CONNECTION_RESET  # as tcp_disconnect leaves it
            connection.listener = NO_LISTENER
            connection.finish()
        self.connection = None
        self._connect_pending = False

    def listen(self, backlog: int) -> None:
        """listen(2); again, it changes the backlog.  NetError(INVALID, ADDRESS_IN_USE)."""
        most = self.protocol.settings.somaxconn
        backlog = most if backlog < 0 else min(backlog, most)
        if self.listening is None:
            if self.connection is not None and self.connection.state != CLOSED:
                raise NetError(INVALID)
            if self.binding is None:
                self._bind(b"", 0)
            assert self.binding is not None
            settings = self.protocol.settings
            wanted = FASTOPEN_SERVER | FASTOPEN_ALL_LISTENERS
            if settings.fastopen & wanted == wanted and not self.options.fastopen_queue:
                self.options.fastopen_queue = backlog
            listener = TcpListener(self.protocol, self.binding, self.options, self._events)
            self.protocol.listen(listener)
            self.listening = listener
        self.listening.backlog = backlog

    def accept(self) -> "TcpEndpoint | None":
        """accept(2); None if nobody waits.  NetError(INVALID) if this is no listener."""
        listener = self.listening
        if listener is None:
            raise NetError(INVALID)
        if not listener.accept_queue:
            return None
        connection = listener.accept_queue.popleft()
        made = TcpEndpoint(self.protocol, self.version)
        made.options = connection.options
        made.user = self.user
        made.connection = connection
        connection.listener = made._events
        return made

    # Data.

    def read(self, limit: int, *, peek: bool = False, skip: int = 0) -> bytes | None:
        """Return up to `limit` bytes; b"" at the end, None if there is nothing yet.

        `peek` leaves them there, and `skip` then passes over the first ones.
        NetError: the pending error, NOT_CONNECTED.
        """
        connection = self.connection
        if connection is None:
            raise NetError(self._take_own_error() or NOT_CONNECTED)
        if limit <= 0:
            return b""
        if connection.receive_queue.size:
            if peek:
                data = receive.peek(connection, limit, skip)
            else:
                data = receive.read(connection, limit, self._now())
                connection.flush_events()
            if data:
                return data
            if peek:
                return None
        return self._read_nothing(connection)

    def read_pieces(self, limit: int) -> list[bytes | memoryview] | None:
        """Return what `read` does, in pieces that are not copied; no pieces at the end."""
        connection = self.connection
        if connection is None:
            raise NetError(NOT_CONNECTED)
        if limit <= 0:
            return []
        if connection.receive_queue.size:
            pieces = receive.read_pieces(connection, limit, self._now())
            connection.flush_events()
            if pieces:
                return pieces
        return None if self._read_nothing(connection) is None else []

    def _read_nothing(self, connection: Connection) -> bytes | None:
        """Return why there is nothing: b"" at the end, else None; NetError: the pending error."""
        if connection.fin_received:
            return b""
        if connection.error:
            error = connection.error
            connection.error = 0
            raise NetError(error)
        if connection.read_shut:
            return b""
        if connection.state == CLOSED:
            raise NetError(NOT_CONNECTED)
        return None

    def give_back(self, data: bytes) -> None:
        """Put the last bytes of a read back, for which the reader had no place after all."""
        if self.connection is not None and data:
            receive.give_back(self.connection, data)

    def read_urgent(self, *, peek: bool = False) -> bytes | None:
        """Return the urgent byte (MSG_OOB); None if it is not here yet; NetError(INVALID)."""
        connection = self.connection
        if connection is None:
            raise NetError(NOT_CONNECTED)
        state = connection.urgent_state
        if self.options.oob_inline or state in (URGENT_NONE, URGENT_READ):
            raise NetError(INVALID)
        if state == URGENT_VALID:
            if not peek:
                connection.urgent_state = URGENT_READ
            return bytes((connection.urgent_byte,))
        return b"" if connection.read_shut or connection.state == CLOSED else None

    def is_at_mark(self) -> bool:
        """SIOCATMARK: whether the urgent byte is what comes next."""
        connection = self.connection
        return (
            connection is not None
            and connection.urgent_state != URGENT_NONE
            and connection.urgent_seq == connection.copied_seq
        )

    def unread(self) -> int:
        """SIOCINQ: bytes that can be read, up to urgent data."""
        connection = self.connection
        if connection is None:
            return 0
        if connection.urgent_state != URGENT_NONE and not self.options.oob_inline:
            ahead = connection.urgent_seq - connection.copied_seq
            if 0 <= ahead < connection.unread():
                return ahead
        return connection.unread()

    def may_receive(self) -> bool:
        """Return whether more can come behind what is to be read."""
        connection = self.connection
        return (
            connection is not None
            and connection.state != CLOSED
            and not connection.read_shut
            and not connection.error
        )

    def unacknowledged(self) -> int:
        """SIOCOUTQ: bytes written that the peer has not acknowledged."""
        return self.connection.send_queue.size() if self.connection is not None else 0

    def unsent(self) -> int:
        """SIOCOUTQNSD: bytes written that were not sent."""
        connection = self.connection
        if connection is None:
            return 0
        return max(connection.send_queue.end - connection.snd_nxt, 0)

    # The end.

    def shutdown(self, how: int) -> None:
        """shutdown(2) with SHUT_READ and SHUT_WRITE as bits; NetError(NOT_CONNECTED)."""
        if self.listening is not None:
            if how & SHUT_READ:
                self.disconnect()
                self.listener.on_events(EVENT_IN | EVENT_HUP)
            return
        connection = self.connection
        if connection is None or connection.state == CLOSED:
            raise NetError(NOT_CONNECTED)
        if connection.state == SYN_SENT:
            connection.fail(0)
            self.connection = None
            self._connect_pending = False
            connection.flush_events()
            return
        if how & SHUT_READ:
            connection.read_shut = True
            connection.notify(EVENT_IN | EVENT_RDHUP)
        if how & SHUT_WRITE and not connection.write_shut:
            queue_fin(connection, self._now())
            connection.notify(EVENT_OUT)
        if connection.read_shut and connection.write_shut:
            connection.notify(EVENT_HUP)
        connection.flush_events()

    def is_lingering(self) -> bool:
        """Return whether a close with SO_LINGER would have to wait for the peer."""
        connection = self.connection
        if connection is None:
            return False
        return connection.state in (FIN_WAIT1, CLOSING, LAST_ACK)

    def close(self) -> None:
        """Called once; what was written is still sent, unless SO_LINGER or unread data forbid."""
        if self._closed:
            return
        self._closed = True
        if self.listening is not None:
            self.protocol.unlisten(self.listening)
            self.listening = None
        connection = self.connection
        if connection is not None and connection.state != CLOSED:
            if not self.options.linger_enabled:
                connection.listener = NO_LISTENER
            self._close_connection(connection)
        if self.binding is not None:
            self.protocol.ports.release(self.binding)
            self.binding = None

    def _close_connection(self, connection: Connection) -> None:
        """Let a connection end without us (tcp_close)."""
        now = self._now()
        protocol = self.protocol
        connection.read_shut = True
        if connection.state == SYN_SENT:
            connection.finish()
        elif connection.unread():
            # The peer should know that not all was read (RFC 2525, 2.17).
            protocol.counters.TCPAbortOnClose += 1
            protocol.reset(connection, now)
            connection.finish()
        elif self.options.linger_enabled and self.options.linger_seconds == 0:
            protocol.counters.TCPAbortOnData += 1
            if needs_reset(connection):
                protocol.reset(connection, now)
            connection.finish()
        elif not protocol.become_orphan(connection):
            protocol.reset(connection, now)
            connection.finish()
        elif connection.state == FIN_WAIT2:
            protocol.orphan_in_fin_wait2(connection, now)
        elif not connection.write_shut:
            queue_fin(connection, now)

    # Readiness and errors.

    def readiness(self) -> int:
        """Return the EVENT_ bits that hold now (tcp_poll)."""
        listener = self.listening
        if listener is not None:
            return EVENT_IN if listener.accept_queue else 0
        connection = self.connection
        if connection is None:
            return EVENT_OUT | EVENT_HUP | (EVENT_ERR if self.error else 0)
        events = EVENT_ERR if connection.error else 0
        state = connection.state
        if state == CLOSED or (connection.read_shut and connection.write_shut):
            events |= EVENT_HUP
        if connection.read_shut:
            events |= EVENT_IN | EVENT_RDHUP
        if connection.is_opening():
            return events | (EVENT_OUT if connection.is_deferred else 0)
        target = max(self.options.receive_low_water, 1)
        at_mark = self.is_at_mark()
        if at_mark and not self.options.oob_inline:
            target += 1
        if connection.unread() >= target:
            events |= EVENT_IN
        if connection.write_shut or connection.is_writable():
            events |= EVENT_OUT
        else:
            connection.send_needs_room = True
        if connection.urgent_state == URGENT_VALID:
            events |= EVENT_PRI
        return events

    def take_error(self) -> int:
        connection = self.connection
        if connection is None:
            return self._take_own_error()
        error = connection.error
        connection.error = 0
        if not error:
            error = connection.soft_error  # told if somebody asks, as by Linux
            connection.soft_error = 0
        return error

    def info(self) -> TcpInfo:
        """Return what TCP_INFO tells."""
        connection = self.connection
        if connection is not None:
            return fill(connection, self._now())
        info = TcpInfo()
        info.state = self.state()
        listener = self.listening
        if listener is not None:
            # As Linux shows a listener's queue and its limit.
            info.unacked = len(listener.accept_queue)
            info.sacked = listener.backlog
        return info


def needs_reset(connection: Connection) -> bool:
    """Return whether the peer is told that we abort (tcp_need_reset).

    In CLOSING and LAST_ACK it has heard everything, unless something is still to be sent.
    """
    state = connection.state
    if state in (CLOSING, LAST_ACK):
        return connection.snd_nxt < end_of_stream(connection)
    return state != SYN_SENT


def queue_fin(connection: Connection, now: int) -> None:
    """Queue our FIN behind what was written (RFC 9293, 3.10.4)."""
    connection.fin_seq = connection.send_queue.end
    connection.in_burst = False
    connection.write_shut = True
    if connection.state == ESTABLISHED:
        connection.state = FIN_WAIT1
    elif connection.state == CLOSE_WAIT:
        connection.state = LAST_ACK
    push(connection, now)
