"""The state machine: what an arriving segment does (RFC 9293, 3.10.7; RFC 5961; RFC 7323, 5)."""

from netstack.endpoint import EVENT_HUP, EVENT_OUT
from netstack.errors import BROKEN_PIPE, CONNECTION_REFUSED, CONNECTION_RESET
from netstack.packet import InPacket
from netstack.tcp import receive
from netstack.tcp.ack import challenge, make_room, on_acknowledgment
from netstack.tcp.connection import Connection
from netstack.tcp.send import push, send_ack, send_syn
from netstack.tcp.send_queue import SendQueue
from netstack.tcp.settings import (
    DEFAULT_MSS_4,
    DEFAULT_MSS_6,
    DELAYED_ACK_MAX,
    MIN_MSS,
    PAWS_IDLE,
    SYN_AGAIN,
)
from netstack.tcp.states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT1,
    FIN_WAIT2,
    LAST_ACK,
    RTX_TIMEOUT,
    SYN_RECEIVED,
    SYN_SENT,
)
from netstack.wire.seq import difference, unwrap
from netstack.wire.tcp import ACK, CWR, ECE, FIN, RST, SYN, Segment


def on_segment(connection: Connection, segment: Segment, packet: InPacket, now: int) -> None:
    """Take a segment for a connection; the user is told at the end."""
    connection.segments_in += 1
    if connection.state == SYN_SENT:
        in_syn_sent(connection, segment, packet, now)
    elif connection.state != CLOSED:
        segment.seq = unwrap(segment.seq, connection.rcv_nxt)
        if connection.is_fast_open and is_same_syn(connection, segment):
            if may_answer(connection, segment, now):
                send_syn(connection, now)  # our answer was lost
            return
        segment.ack = unwrap(segment.ack, connection.snd_una)
        if is_acceptable(connection, segment, packet, now):
            process(connection, segment, packet, now)
    connection.flush_events()


def process(connection: Connection, segment: Segment, packet: InPacket, now: int) -> None:
    """Take an acceptable segment with an ACK (3.10.7.4, from "fifth" on)."""
    if connection.state == SYN_RECEIVED and not complete_handshake(connection, segment, now):
        return
    if not on_acknowledgment(connection, segment, now):
        return
    if connection.state != ESTABLISHED and not after_ack(connection, segment, packet, now):
        return
    if connection.has_ecn:
        receive.note_ecn(connection, segment, packet)
    if segment.end > segment.start or segment.flags & FIN:
        if not take_text(connection, segment, packet, now):
            return
    elif connection.urgent_state or segment.flags & 0x20:
        receive.take_urgent(connection, segment, packet)
    if connection.send_queue.end > connection.snd_una or connection.fin_seq >= 0:
        push(connection, now)
    receive.after_data(connection, now)


def take_text(connection: Connection, segment: Segment, packet: InPacket, now: int) -> bool:
    """Take data and FIN; False: the connection is over or waits no more for anything."""
    state = connection.state
    if state not in (ESTABLISHED, FIN_WAIT1, FIN_WAIT2):
        # The peer's FIN came already; this can only be something old.
        end = segment.seq + segment.size()
        if end <= connection.rcv_nxt:
            receive.note_duplicate(connection, segment.seq, end)
        return True
    if connection.read_shut and state != ESTABLISHED:
        data_end = segment.seq + segment.end - segment.start
        if segment.end > segment.start and data_end > connection.rcv_nxt:
            # Nobody will read it (RFC 2525, 2.17).
            connection.protocol.counters.TCPAbortOnData += 1
            connection.protocol.answer_with_reset(packet, segment)
            connection.fail(CONNECTION_RESET)
            return False
    if connection.last_received_ns and segment.end > segment.start:
        receive.learn_pace(connection, now)
    if connection.has_timestamps and segment.has_timestamps:
        receive.note_timestamp_rtt(connection, segment, now)
    receive.take_urgent(connection, segment, packet)
    fin = receive.take_data(connection, segment, packet, now)
    if segment.end > segment.start:
        connection.last_received_ns = now
    if fin:
        return on_fin(connection, now)
    return True


def on_fin(connection: Connection, now: int) -> bool:
    """Take the peer's FIN ("eighth"); False: the connection went into TIME_WAIT."""
    state = connection.state
    connection.last_received_ns = now
    receive.take_fin(connection)
    if state == ESTABLISHED:
        connection.state = CLOSE_WAIT
    elif state == FIN_WAIT1:
        connection.state = CLOSING
    elif state == FIN_WAIT2:
        send_ack(connection, now)
        connection.protocol.enter_time_wait(connection, now)
        return False
    return True


def after_ack(connection: Connection, segment: Segment, packet: InPacket, now: int) -> bool:
    """Change states when our FIN is acknowledged; False: the connection is over."""
    if connection.fin_seq < 0 or connection.snd_una <= connection.fin_seq:
        return True
    state = connection.state
    if state == FIN_WAIT1:
        connection.state = FIN_WAIT2
        connection.notify(EVENT_OUT)
        if connection.is_orphan:
            return orphan_enters_fin_wait2(connection, segment, packet, now)
    elif state == CLOSING:
        connection.protocol.enter_time_wait(connection, now)
        return False
    elif state == LAST_ACK:
        connection.notify(EVENT_HUP)
        connection.finish()
        return False
    return True


def orphan_enters_fin_wait2(
    connection: Connection, segment: Segment, packet: InPacket, now: int
) -> bool:
    """Wait for the peer's FIN without a user; False: not at all, or the peer sends data."""
    data_end = segment.seq + segment.end - segment.start
    if connection.options.linger2 < 0 or (
        segment.end > segment.start and data_end > connection.rcv_nxt
    ):
        connection.protocol.counters.TCPAbortOnData += 1
        connection.protocol.answer_with_reset(packet, segment)
        connection.finish()
        return False
    return connection.protocol.orphan_in_fin_wait2(connection, now)


# Which segments are acceptable.


def is_same_syn(connection: Connection, segment: Segment) -> bool:
    """Return whether the SYN that made a connection came again (tcp_check_req)."""
    return (
        connection.state == SYN_RECEIVED
        and segment.flags & (SYN | ACK | RST) == SYN
        and segment.seq == connection.irs
    )


def is_acceptable(connection: Connection, segment: Segment, packet: InPacket, now: int) -> bool:
    """Check timestamps, sequence numbers, RST, SYN and ACK ("first" to "fourth")."""
    flags = segment.flags
    if connection.has_timestamps and segment.has_timestamps:
        # A reset counts even if its timestamp is old (tcp_validate_incoming).
        if is_too_old(connection, segment, now) and not flags & RST:
            connection.protocol.counters.PAWSEstab += 1
            if flags & SYN:
                challenge_syn(connection, now)
            elif may_answer(connection, segment, now):
                acknowledge_unacceptable(connection, segment, now)
            else:
                connection.protocol.counters.TCPACKSkippedPAWS += 1
            return False
    if (
        segment.seq + segment.size() < connection.rcv_wup
        or segment.seq > connection.rcv_nxt + connection.receive_window()
    ):
        if flags & RST:
            if is_reset_before_fin(connection, segment):
                on_reset(connection)
        elif flags & SYN:
            challenge_syn(connection, now)
        elif may_answer(connection, segment, now):
            acknowledge_unacceptable(connection, segment, now)
        else:
            connection.protocol.counters.TCPACKSkippedSeq += 1
        return False
    if flags & (RST | SYN) and not check_reset_and_syn(connection, segment, now):
        return False
    if not flags & ACK:
        return False
    if connection.has_timestamps and segment.has_timestamps:
        # RFC 7323, 4.3: of segments that the next acknowledgment is about.
        if segment.seq <= connection.rcv_wup:
            connection.ts_recent = segment.ts_value
            connection.ts_recent_ns = now
    return True


def is_too_old(connection: Connection, segment: Segment, now: int) -> bool:
    """Protection against wrapped sequences (RFC 7323, 5.3)."""
    if difference(segment.ts_value, connection.ts_recent) >= 0:
        return False
    if now - connection.ts_recent_ns > PAWS_IDLE:
        return False
    # An acknowledgment without data that was overtaken does no harm, and may
    # bring news (tcp_disordered_ack).
    is_bare = segment.size() == 0 and not segment.flags & RST
    lag = difference(connection.ts_recent, segment.ts_value)
    return not (
        is_bare
        and segment.seq == connection.rcv_nxt
        and segment.ack == connection.snd_una
        and segment.window << connection.snd_wscale == connection.snd_wnd
        and lag <= connection.rtt.rto // 1_000_000
    )


def may_answer(connection: Connection, segment: Segment, now: int) -> bool:
    """Return whether a bad segment is answered: two hosts could loop (tcp_oow_rate_limited)."""
    if segment.size() and not segment.flags & SYN:
        return True  # data and FIN are no answers
    limit = connection.protocol.settings.invalid_ratelimit
    if connection.last_challenge_ns and now - connection.last_challenge_ns < limit:
        return False
    connection.last_challenge_ns = now
    return True


def is_reset_before_fin(connection: Connection, segment: Segment) -> bool:
    """Return whether a reset stands where the peer's FIN was: it may not know that we have it."""
    return connection.fin_received and segment.seq == connection.rcv_nxt - 1


def challenge_syn(connection: Connection, now: int) -> None:
    """Answer a SYN that has no place in a connection (RFC 5961, 4)."""
    connection.protocol.counters.TCPSYNChallenge += 1
    challenge(connection, now)


def acknowledge_unacceptable(connection: Connection, segment: Segment, now: int) -> None:
    """Send the acknowledgment that 3.10.7.4 asks for."""
    end = segment.seq + segment.size()
    if segment.size() and segment.seq < connection.rcv_nxt:
        receive.note_duplicate(connection, segment.seq, min(end, connection.rcv_nxt))
    send_ack(connection, now)


def check_reset_and_syn(connection: Connection, segment: Segment, now: int) -> bool:
    """Take RST and SYN (RFC 5961, 3 and 4); whether the segment is to be looked at further."""
    if segment.flags & RST:
        blocks = connection.reassembly.blocks
        expected = connection.rcv_nxt
        if (
            segment.seq == expected
            or (blocks and segment.seq == max(block[1] for block in blocks))
            or is_reset_before_fin(connection, segment)
        ):
            on_reset(connection)
        else:
            challenge(connection, now)
        return False
    if (
        connection.state == SYN_RECEIVED
        and segment.flags & ACK
        and segment.seq + 1 == connection.rcv_nxt
        and segment.end == segment.start
        and segment.ack == connection.snd_nxt
    ):
        return True  # the SYN-ACK of a simultaneous open (figure 7)
    challenge_syn(connection, now)
    return False


def on_reset(connection: Connection) -> None:
    """End a connection that the peer has reset (tcp_reset)."""
    state = connection.state
    if state in (ESTABLISHED, CLOSE_WAIT):
        connection.protocol.counters.EstabResets += 1
    elif state in (SYN_SENT, SYN_RECEIVED):
        connection.protocol.counters.AttemptFails += 1
    if state == SYN_SENT:
        connection.fail(CONNECTION_REFUSED)
    elif state == CLOSE_WAIT:
        connection.fail(BROKEN_PIPE)
    else:
        connection.fail(CONNECTION_RESET)


# The handshake of an active open (3.10.7.3).


def in_syn_sent(connection: Connection, segment: Segment, packet: InPacket, now: int) -> None:
    """Take a segment in SYN_SENT."""
    flags = segment.flags
    segment.ack = unwrap(segment.ack, connection.snd_una)
    if flags & ACK:
        is_ours = connection.snd_una < segment.ack <= connection.snd_nxt + connection.syn_data
        if is_ours and segment.has_timestamps and segment.ts_echo:
            first = connection.ts_now(connection.made_ns)
            if difference(segment.ts_echo, first) < 0 or (
                difference(connection.ts_now(now), segment.ts_echo) < 0
            ):
                connection.protocol.counters.PAWSActive += 1
                is_ours = False
        if not is_ours:
            if not flags & RST:
                connection.protocol.answer_with_reset(packet, segment)
            if connection.syn_retransmits == 0:
                # Something old stands in the way, and our reset may have removed it.
                connection.set_retransmit(RTX_TIMEOUT, now + SYN_AGAIN)
            return
    if flags & RST:
        if flags & ACK:
            on_reset(connection)
        return
    if not flags & SYN:
        return
    agree(connection, segment, now)
    if flags & ACK:
        # The user wants the acknowledgment to go with data (tcp(7), TCP_QUICKACK).
        waits = connection.is_interactive or connection.options.defer_accept > 0
        acked = segment.ack - connection.snd_nxt  # of the data in our SYN; the rest is sent again
        connection.snd_una = connection.snd_nxt = segment.ack
        connection.send_queue.acknowledge(segment.ack)
        connection.bytes_acked += 1 + acked
        if connection.syn_data or connection.syn_cookie is not None:
            connection.protocol.fast_open.on_syn_ack(connection, segment, acked)
        measure_handshake(connection, segment, now)
        connection.has_ecn = connection.has_ecn and flags & (ECE | CWR) == ECE
        establish(connection, segment, now)
        finish_text(connection, segment, packet, now, waits)
        return
    # Both sides open at once.
    connection.state = SYN_RECEIVED
    connection.has_ecn = connection.has_ecn and flags & (ECE | CWR) == ECE | CWR
    connection.rcv_wup = connection.rcv_nxt
    send_syn(connection, now)
    connection.syn_retransmits = 0
    connection.set_retransmit(RTX_TIMEOUT, now + connection.rtt.timeout())


def finish_text(
    connection: Connection, segment: Segment, packet: InPacket, now: int, waits: bool
) -> None:
    """Take what a SYN-ACK brings beside itself, acknowledge it, and send what waits."""
    segment.seq += 1
    segment.flags &= ~SYN
    if segment.end > segment.start or segment.flags & FIN:
        if not take_text(connection, segment, packet, now):
            return
    if connection.send_queue.end > connection.snd_nxt:
        push(connection, now)
    if connection.rcv_nxt <= connection.last_ack_sent:
        return
    if waits and not connection.fin_received:
        connection.ack_deadline = now + DELAYED_ACK_MAX
        connection.wake_at(connection.ack_deadline)
    else:
        send_ack(connection, now)


def measure_handshake(connection: Connection, segment: Segment, now: int) -> None:
    """Take the round-trip time of the handshake, if the SYN was sent once."""
    if not connection.last_sent_ns:
        pass  # a SYN cookie: nobody noted the time
    elif connection.syn_retransmits == 0:
        sent_ns = connection.made_ns if connection.is_fast_open else connection.last_sent_ns
        connection.rtt.sample(now - sent_ns, now)
    elif connection.has_timestamps and segment.ts_echo:
        elapsed = difference(connection.ts_now(now), segment.ts_echo)
        connection.rtt.sample(max(elapsed, 1) * 1_000_000, now)
    else:
        connection.rtt.rto = max(connection.rtt.rto, 3_000_000_000)  # RFC 6298, 5.7
    connection.rtt.backoff = 0


def agree(connection: Connection, segment: Segment, now: int) -> None:
    """Take the peer's sequence number and options from its SYN."""
    settings = connection.protocol.settings
    connection.irs = segment.seq
    connection.rcv_nxt = segment.seq + 1
    connection.rcv_wup = connection.rcv_nxt
    connection.copied_seq = connection.rcv_nxt
    connection.space_seq = connection.rcv_nxt
    connection.last_ack_sent = segment.seq
    connection.has_timestamps = settings.timestamps and segment.has_timestamps
    connection.ts_recent = segment.ts_value
    connection.ts_recent_ns = now
    connection.has_sack = settings.sack and segment.sack_permitted
    if settings.window_scaling and segment.window_scale >= 0:
        connection.snd_wscale = segment.window_scale
    else:
        connection.snd_wscale = connection.rcv_wscale = 0
    default = DEFAULT_MSS_4 if connection.route.version == 4 else DEFAULT_MSS_6
    connection.peer_mss = max(segment.mss or default, MIN_MSS)
    connection.rcv_mss = min(
        connection.advertised_mss(), connection.peer_mss, connection.rcv_wnd // 2 or 536
    )
    connection.snd_wl1 = segment.seq
    connection.snd_wnd = segment.window
    connection.max_window = max(segment.window, 1)
    connection.update_mss()


def complete_handshake(connection: Connection, segment: Segment, now: int) -> bool:
    """SYN_RECEIVED: our SYN is acknowledged, or the segment is answered with a RST."""
    if not connection.snd_una < segment.ack <= connection.snd_nxt:
        connection.protocol.reset_with(connection, segment.ack, now)
        return False
    connection.snd_una += 1
    measure_handshake(connection, segment, now)
    establish(connection, segment, now)
    connection.snd_wnd = segment.window << connection.snd_wscale
    connection.snd_wl1 = segment.seq
    if segment.flags & SYN:
        # It comes again as far as we are concerned, and the peer waits for the answer.
        receive.note_duplicate(connection, segment.seq, segment.seq + 1)
        segment.seq += 1
        segment.flags &= ~SYN
    return True


def establish(connection: Connection, segment: Segment, now: int) -> None:
    """Enter ESTABLISHED."""
    connection.state = ESTABLISHED
    connection.stop_retransmit()
    connection.retransmits = 0
    if connection.send_queue.size() == 0:
        connection.send_queue = SendQueue(connection.snd_una, connection.protocol.blocks)
    connection.update_mss()
    if not connection.is_fast_open:  # else it has begun already
        connection.start_congestion_control()
        connection.high_seq = connection.iss
    connection.max_window = max(connection.max_window, connection.snd_wnd)
    receive.enter_quick_mode(connection, receive.MAX_QUICK_ACKS)
    connection.last_ack_received_ns = now
    connection.protocol.on_established(connection, now)
    make_room(connection)
    connection.notify(EVENT_OUT)
    if connection.fin_seq >= 0:
        # shutdown was called while the handshake went on.
        connection.state = FIN_WAIT1
