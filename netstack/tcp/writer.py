"""The part of a TCP endpoint that writes: buffers, bursts, urgent data."""

from mypy_extensions import mypyc_attr

from netstack.errors import BROKEN_PIPE, NetError
from netstack.tcp.connection import MAX_PACKET, Connection
from netstack.tcp.endpoint_options import TcpOptionUser
from netstack.tcp.protocol import TcpProtocol
from netstack.tcp.send import push
from netstack.tcp.states import CLOSED


@mypyc_attr(allow_interpreted_subclasses=True)
class TcpWriter(TcpOptionUser):
    """An endpoint that can be written to."""

    def __init__(self, protocol: TcpProtocol) -> None:
        super().__init__(protocol)
        self.burst_is_new = False  # nothing that waits was written before the last write

    def write(self, data: bytes, *, more: bool = False, may_wait: bool = False) -> int | None:
        """Take bytes to be sent; return how many, None if there is no room.

        `more` is MSG_MORE.  `may_wait`: the next write comes soon, or else `end_burst` is
        called soon, before anything else is done with the endpoint: a packet may wait to be
        full, unless there is little and nothing in flight.

        NetError: the pending error, or BROKEN_PIPE.
        """
        connection = self._for_writing()
        if connection is None or not data:
            return None if connection is None else 0
        room = self._room(connection)
        if room <= 0:
            return None
        size = len(data)
        if size > room:
            data = data[:room]
            size = room
            connection.send_needs_room = True
        connection.send_queue.append(data)
        self._send_written(connection, size, more=more, may_wait=may_wait)
        return size

    def write_space(self, limit: int) -> memoryview | None:
        """Return where at most `limit` bytes of a large write are to be put; None: no room.

        `wrote` tells how many there are.  NetError as `write`.
        """
        connection = self._for_writing()
        if connection is None:
            return None
        room = self._room(connection)
        if room <= 0:
            return None
        return connection.send_queue.space(min(limit, room))

    def wrote(self, size: int, *, more: bool = False, may_wait: bool = False) -> None:
        """Send the first `size` bytes of what `write_space` has just returned; see `write`."""
        connection = self.connection
        assert connection is not None
        connection.send_queue.fill(size)
        self._send_written(connection, size, more=more, may_wait=may_wait)

    def _room(self, connection: Connection) -> int:
        """Return how much a write takes now; if it is nothing, the writer is told of room."""
        room = connection.send_room()
        low = self.options.notsent_low_water
        if low and connection.send_queue.end - connection.snd_nxt >= low:
            room = 0
        if room <= 0:
            connection.send_needs_room = True
        return room

    def _send_written(
        self, connection: Connection, size: int, *, more: bool, may_wait: bool
    ) -> None:
        """Send what may be sent, now that `size` bytes were written."""
        end = connection.send_queue.end
        before = connection.snd_nxt
        connection.more_follows = more
        connection.in_burst = (
            may_wait
            and not self.options.nodelay
            # Who writes little, and seldom, does not wait.
            and (not connection.scoreboard.is_empty() or end - before > MAX_PACKET)
        )
        push(connection, self._now())
        self.burst_is_new = connection.snd_nxt > before or before == end - size
        connection.flush_events()

    def has_burst(self) -> bool:
        """Return whether something that was written may wait for the next write."""
        connection = self.connection
        return (
            connection is not None
            and connection.in_burst
            and connection.snd_nxt < connection.send_queue.end
        )

    def end_burst(self) -> None:
        """Send what waits for the next write."""
        connection = self.connection
        if connection is not None and connection.in_burst:
            connection.in_burst = False
            if connection.state != CLOSED:
                push(connection, self._now())
                connection.flush_events()

    def _for_writing(self) -> Connection | None:
        """Return the connection to write to, None while it is being set up."""
        connection = self.connection
        if connection is None:
            raise NetError(self._take_own_error() or BROKEN_PIPE)
        if connection.error:
            error = connection.error
            connection.error = 0
            raise NetError(error)
        if connection.write_shut or connection.state == CLOSED:
            raise NetError(BROKEN_PIPE)
        if connection.is_opening():
            connection.send_needs_room = True
            return None
        return connection

    def _take_own_error(self) -> int:
        """Return and forget the error that is left of a connection that is gone."""
        error = self.error
        self.error = 0
        return error

    def write_room(self) -> int:
        """Return how many bytes a write would take now."""
        return self.connection.send_room() if self.connection is not None else 0

    def write_urgent(self, data: bytes) -> int | None:
        """Write with MSG_OOB: the last byte is urgent."""
        connection = self._for_writing()
        if connection is None:
            return None
        if connection.send_room() < len(data):
            connection.send_needs_room = True
            return None
        if data:
            connection.in_burst = False
            connection.send_queue.append(data)
            connection.urgent_end = connection.send_queue.end
            push(connection, self._now())
            connection.flush_events()
        return len(data)
