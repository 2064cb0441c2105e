"""What happens when time passes: timeouts, probes, delayed acknowledgments, keepalive."""

from typing import Final

from netstack.environment import Timer
from netstack.tcp import recovery
from netstack.tcp.arming import arm_retransmit
from netstack.tcp.connection import Connection
from netstack.tcp.send import (
    end_of_stream,
    hand_over,
    make_header,
    push,
    resend,
    send_ack,
    send_range,
    send_syn,
)
from netstack.tcp.settings import DELAYED_ACK, TCP_RTO_MAX, TCP_RTO_MIN
from netstack.tcp.states import (
    CLOSED,
    FIN_WAIT2,
    RTX_LOSS_PROBE,
    RTX_REORDER,
    RTX_TIMEOUT,
    RTX_WINDOW_PROBE,
    SYN_RECEIVED,
    SYN_SENT,
)
from netstack.wire.tcp import ACK

MODEL_DOUBLINGS: Final = 9  # of TCP_RTO_MIN, until the next would exceed TCP_RTO_MAX


class ConnectionTimer(Timer):
    """The one timer of a connection; it may fire before anything is due."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection

    def fire(self) -> None:
        connection = self.connection
        if connection.state == CLOSED:
            return
        now = connection.environment.now_ns()
        run_due(connection, now)
        if connection.state != CLOSED:
            arm_next(connection)
        connection.flush_events()


def run_due(connection: Connection, now: int) -> None:
    """Do what is due."""
    if 0 < connection.ack_deadline <= now:
        connection.ack_deadline = 0
        on_delayed_ack(connection, now)
    if 0 < connection.rtx_deadline <= now:
        on_retransmit(connection, now)
    if connection.state != CLOSED and 0 < connection.keep_deadline <= now:
        connection.keep_deadline = 0
        on_keep(connection, now)


def arm_next(connection: Connection) -> None:
    """Arm the timer for the earliest deadline."""
    deadline = connection.rtx_deadline
    if connection.ack_deadline and (not deadline or connection.ack_deadline < deadline):
        deadline = connection.ack_deadline
    if connection.keep_deadline and (not deadline or connection.keep_deadline < deadline):
        deadline = connection.keep_deadline
    if deadline:
        connection.wake_at(deadline)


def on_delayed_ack(connection: Connection, now: int) -> None:
    """No data of ours came to carry the acknowledgment."""
    if connection.is_interactive:
        connection.is_interactive = False
        connection.ack_timeout = DELAYED_ACK
    else:
        connection.ack_timeout = min(connection.ack_timeout * 2, connection.rtt.rto)
    connection.protocol.counters.DelayedACKs += 1
    send_ack(connection, now)


# Retransmission.


def on_retransmit(connection: Connection, now: int) -> None:
    """Do what the retransmission timer was set for."""
    kind = connection.rtx_kind
    connection.stop_retransmit()
    if connection.state in (SYN_SENT, SYN_RECEIVED):
        on_syn_timeout(connection, now)
    elif kind == RTX_WINDOW_PROBE:
        on_window_probe(connection, now)
    elif connection.scoreboard.is_empty():
        push(connection, now)
    elif kind == RTX_TIMEOUT:
        on_timeout(connection, now)
    elif kind == RTX_LOSS_PROBE:
        on_loss_probe(connection, now)
    elif kind == RTX_REORDER:
        recovery.on_reorder_timer(connection, now)
        push(connection, now)
        if not connection.scoreboard.is_empty() and connection.rtx_kind != RTX_REORDER:
            arm_retransmit(connection, now)


def on_syn_timeout(connection: Connection, now: int) -> None:
    """Our SYN or SYN-ACK was not answered."""
    settings = connection.protocol.settings
    most = connection.options.syn_count or settings.syn_retries
    if connection.state == SYN_RECEIVED:
        most = settings.synack_retries
    limit = connection.options.user_timeout
    if connection.syn_retransmits >= most or (limit and now - connection.made_ns >= limit):
        connection.protocol.counters.AttemptFails += 1
        connection.protocol.time_out(connection)
        return
    connection.syn_retransmits += 1
    connection.total_resent += 1
    connection.protocol.counters.RetransSegs += 1
    connection.protocol.counters.TCPTimeouts += 1
    connection.rtt.backoff += 1
    send_syn(connection, now)
    deadline = now + connection.rtt.timeout()
    if limit:
        deadline = min(deadline, connection.made_ns + limit)
    connection.set_retransmit(RTX_TIMEOUT, deadline)


def on_timeout(connection: Connection, now: int) -> None:
    """A retransmission timeout (RFC 6298, 5.4 to 5.6)."""
    if connection.waits_for_room:
        # It did not get out of this host: no sign of loss.
        arm_retransmit(connection, now)
        return
    if has_timed_out(connection, now):
        connection.protocol.counters.TCPAbortOnTimeout += 1
        connection.protocol.time_out(connection)
        return
    if waited_for(connection, connection.protocol.settings.retries1, now):
        connection.protocol.doubt_path(connection)
    connection.protocol.counters.TCPTimeouts += 1
    recovery.enter_loss(connection, now)
    if not connection.retransmits:
        connection.first_timeout_ns = now
    connection.retransmits += 1
    connection.rtt.backoff += 1
    push(connection, now)
    arm_retransmit(connection, now)


def has_timed_out(connection: Connection, now: int) -> bool:
    """Return whether it is time to give up (tcp(7): tcp_retries2, TCP_USER_TIMEOUT)."""
    limit = connection.options.user_timeout
    if limit:
        return connection.retransmits > 0 and now - connection.first_timeout_ns >= limit
    settings = connection.protocol.settings
    most = settings.orphan_retries if connection.is_orphan else settings.retries2
    return waited_for(connection, most, now)


def waited_for(connection: Connection, retries: int, now: int) -> bool:
    """Return whether so many retransmissions would have taken the time that has passed.

    As on Linux (tcp_model_timeout) the number stands for the time that it means
    with the smallest timeout, counted from the first retransmission.
    """
    if not connection.retransmits:
        return False
    doublings = min(retries, MODEL_DOUBLINGS)
    model = ((2 << doublings) - 1) * TCP_RTO_MIN + (retries - doublings) * TCP_RTO_MAX
    return now - connection.first_timeout_ns >= model


def on_loss_probe(connection: Connection, now: int) -> None:
    """Send one segment, new or the last one again, to provoke a SACK (RFC 8985, 7.3)."""
    if connection.waits_for_room:
        arm_retransmit(connection, now)
        return
    board = connection.scoreboard
    available = min(
        end_of_stream(connection) - connection.snd_nxt,
        connection.snd_una + connection.snd_wnd - connection.snd_nxt,
        connection.mss,
    )
    connection.tlp_is_resent = available <= 0
    if available > 0:
        sent = send_range(connection, available, now)
    else:
        last = board.items[-1]
        if last.end - last.start > connection.mss:
            last = board.split(len(board.items) - 1, last.end - connection.mss)
        fits = last.start < connection.snd_una + connection.snd_wnd
        sent = fits and resend(connection, last, now, connection.mss)
    if sent:
        connection.tlp_end = connection.snd_nxt
        connection.protocol.counters.TCPLossProbes += 1
    connection.set_retransmit(RTX_TIMEOUT, now + connection.rtt.timeout())


def on_window_probe(connection: Connection, now: int) -> None:
    """The peer's window is closed, or too small, or a cork held data long enough (3.8.6.1)."""
    left = end_of_stream(connection) - connection.snd_nxt
    if left <= 0 or not connection.scoreboard.is_empty():
        push(connection, now)
        return
    room = connection.snd_una + connection.snd_wnd - connection.snd_nxt
    if room > 0:
        connection.rtt.backoff = 0
        if send_range(connection, min(room, connection.mss, left), now):
            arm_retransmit(connection, now)
        else:
            connection.set_retransmit(RTX_WINDOW_PROBE, now + connection.rtt.timeout())
        return
    if connection.probes == 0 or not connection.window_full_since:
        connection.window_full_since = connection.window_full_since or now
    settings = connection.protocol.settings
    most = settings.orphan_retries if connection.is_orphan else settings.retries2
    limit = connection.options.user_timeout
    waited = now - connection.window_full_since
    if connection.probes >= most or (limit and connection.probes and waited >= limit):
        connection.protocol.counters.TCPAbortOnTimeout += 1
        connection.protocol.time_out(connection)
        return
    send_probe(connection, now)
    connection.probes += 1
    connection.rtt.backoff += 1
    wait = min(connection.rtt.timeout(), TCP_RTO_MAX)
    if limit:
        wait = max(min(wait, limit - waited), 1_000_000)
    connection.set_retransmit(RTX_WINDOW_PROBE, now + wait)


def send_probe(connection: Connection, now: int) -> None:
    """Send a segment that the peer must answer: a number before its window, no data."""
    field = connection.receive_window() >> connection.rcv_wscale
    header = make_header(connection, connection.snd_una - 1, ACK, min(field, 65535), 0, now)
    hand_over(connection, header, b"", 0, False)


# Keepalive (RFC 9293, 3.8.4; tcp(7)), and the end of an orphan's FIN_WAIT2.


def start_keepalive(connection: Connection, now: int) -> None:
    """Set or clear the keepalive deadline after the option or the state changed."""
    if connection.is_orphan and connection.state == FIN_WAIT2:
        return
    connection.keep_probes = 0
    if not connection.options.keepalive:
        connection.keep_deadline = 0
        return
    if connection.state in (CLOSED, SYN_SENT, SYN_RECEIVED):
        return
    idle = connection.options.keepalive_idle
    heard = max(connection.last_received_ns, connection.last_ack_received_ns)
    connection.keep_deadline = max(heard + idle, now + 1)
    connection.wake_at(connection.keep_deadline)


def on_keep(connection: Connection, now: int) -> None:
    """The keepalive deadline, or the end of FIN_WAIT2, has come."""
    if connection.is_orphan and connection.state == FIN_WAIT2:
        connection.finish()
        return
    options = connection.options
    if not options.keepalive:
        return
    wait = options.keepalive_idle
    heard = max(connection.last_received_ns, connection.last_ack_received_ns)
    quiet = now - heard
    if connection.scoreboard.is_empty() and end_of_stream(connection) <= connection.snd_nxt:
        if quiet >= wait:
            limit = options.user_timeout
            if connection.keep_probes and (
                quiet >= limit if limit else connection.keep_probes >= options.keepalive_count
            ):
                connection.protocol.reset(connection, now)
                connection.protocol.time_out(connection)
                return
            send_probe(connection, now)
            connection.keep_probes += 1
            connection.protocol.counters.TCPKeepAlive += 1
            wait = options.keepalive_interval
        else:
            wait -= quiet
    connection.keep_deadline = now + wait
    connection.wake_at(connection.keep_deadline)
