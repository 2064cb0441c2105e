"""Loss recovery: what acknowledgments say about the network.

RACK-TLP (RFC 8985) finds losses when the peer does SACK, RFC 6675 does when
RACK is switched off, NewReno (RFC 6582) without SACK.  Proportional rate
reduction (RFC 6937) rules the window meanwhile; Eifel (RFC 3522), DSACK
(RFC 3708) and F-RTO (RFC 5682) tell when it was all a mistake.
"""

from typing import Final

from netstack.tcp.connection import NOT_SEQUENCE, Connection
from netstack.tcp.scoreboard import Sent
from netstack.tcp.states import (
    CA_CWR,
    CA_DISORDER,
    CA_LOSS,
    CA_OPEN,
    CA_RECOVERY,
    RTX_REORDER,
)
from netstack.wire.seq import difference

DUPLICATE_THRESHOLD: Final = 3  # RFC 5681, 3.2
REO_PERSIST: Final = 16  # RFC 8985, 6.2, step 4
REO_MULTIPLIER_MAX: Final = 64


class AckInfo:
    """What one acknowledgment brought."""

    def __init__(self, una: int) -> None:
        self.una = una  # SND.UNA before it
        self.acked = 0  # bytes that it acknowledged cumulatively
        self.delivered = 0  # bytes known to have arrived, by number or by SACK
        self.newly_sacked = 0
        self.is_duplicate = False
        self.has_dsack = False
        self.original_delivered = False  # data sent once, before a timeout, has arrived
        self.ece = False
        self.ts_echo = 0  # 0: no timestamp
        self.flight_before = 0
        self.found_lost = False


def on_ack(connection: Connection, info: AckInfo, now: int) -> None:
    """Take note of an acknowledgment after the scoreboard was updated."""
    connection.delivered += info.delivered
    connection.frto_holds = False
    if connection.tlp_end > 0:
        check_loss_probe(connection, info)
    if connection.ca_state == CA_OPEN and not (
        info.is_duplicate or info.newly_sacked or info.ece or connection.scoreboard.sacked_bytes
    ):
        # Nothing is wrong: nearly always.
        connection.duplicate_acks = 0
        grow(connection, info, now)
        return
    if connection.ca_state >= CA_CWR and connection.snd_una >= connection.high_seq:
        # After ECN something behind it: the peer has to have heard CWR.
        if connection.ca_state != CA_CWR or connection.snd_una > connection.high_seq:
            end_episode(connection, info)
    if connection.ca_state == CA_LOSS:
        in_loss(connection, info)
    elif connection.ca_state == CA_RECOVERY:
        in_recovery(connection, info)
    if info.ece and connection.ca_state < CA_CWR:
        enter_cwr(connection)
    find_losses(connection, info, now)
    if connection.ca_state < CA_RECOVERY:
        if connection.scoreboard.lost_bytes:
            enter_recovery(connection)
        elif connection.ca_state != CA_CWR:
            settle(connection)
    if connection.ca_state in (CA_RECOVERY, CA_CWR):
        reduce_rate(connection, info)
    else:
        grow(connection, info, now)


def settle(connection: Connection) -> None:
    """Go to DISORDER or back to OPEN."""
    board = connection.scoreboard
    if board.sacked_bytes or connection.reno_sacked:
        connection.ca_state = CA_DISORDER
    else:
        connection.ca_state = CA_OPEN


def grow(connection: Connection, info: AckInfo, now: int) -> None:
    """Widen the window, if it was what held the sender back (RFC 7661; tcp_is_cwnd_limited)."""
    control = connection.congestion
    if info.acked <= 0:
        return
    limited = connection.cwnd_limited
    if not limited and control.is_slow_start():
        limited = control.cwnd < 2 * info.flight_before
    if limited:
        control.on_ack(info.delivered, now, connection.rtt.srtt)


# Episodes.


def enter_cwr(connection: Connection) -> None:
    """The network said that it is congested (RFC 3168, 6.1.2): reduce once in a round trip."""
    start_reduction(connection)
    connection.undo_marker = NOT_SEQUENCE
    connection.ca_state = CA_CWR
    connection.ecn_send_cwr = True


def start_reduction(connection: Connection) -> None:
    """Set ssthresh and begin to reduce the window towards it (RFC 6937, 3)."""
    connection.congestion.reduce(connection.in_flight())
    connection.high_seq = connection.snd_nxt
    # The window, not what was in flight (RecoverFS), is the base on Linux.
    connection.prr_base = max(connection.congestion.prior_cwnd, connection.mss)
    connection.prr_delivered = 0
    connection.prr_out = 0
    connection.tlp_end = NOT_SEQUENCE


def enter_recovery(connection: Connection) -> None:
    """Begin fast recovery (RFC 6675, 5, step 4; RFC 6582, 3.2, step 2)."""
    counters = connection.protocol.counters
    if connection.has_sack:
        counters.TCPSackRecovery += 1
    else:
        counters.TCPRenoRecovery += 1
    if connection.ca_state < CA_CWR:
        start_reduction(connection)
        connection.undo_marker = connection.snd_una
    connection.high_seq = connection.snd_nxt
    connection.undo_resent = -1
    connection.retransmit_ts = 0
    connection.ca_state = CA_RECOVERY
    if connection.has_ecn:
        connection.ecn_send_cwr = True


def enter_loss(connection: Connection, now: int) -> None:
    """A retransmission timeout (RFC 5681, 3.1, RFC 8985, 6.3): what is lost, and the window."""
    board = connection.scoreboard
    if (
        connection.ca_state <= CA_DISORDER
        or connection.snd_una >= connection.high_seq
        or (connection.ca_state == CA_LOSS and connection.retransmits == 0)
    ):
        connection.congestion.reduce(connection.in_flight())
        connection.undo_marker = connection.snd_una
        connection.undo_resent = -1
        connection.retransmit_ts = 0
    connection.reno_sacked = 0
    connection.duplicate_acks = 0
    items = board.items
    if items and items[0].sacked:
        connection.protocol.counters.TCPSACKReneging += 1
        board.forget_sacks()
    uses_rack = connection.has_sack and connection.protocol.settings.recovery & 1
    wait = connection.rack_rtt + reordering_window(connection)
    for index, sent in enumerate(items):
        if sent.sacked:
            continue
        if index and uses_rack and connection.rack_rtt and sent.sent_ns + wait > now:
            continue  # sent too recently to be called lost
        board.mark_lost(sent)
    connection.congestion.on_timeout()
    connection.congestion.cwnd = connection.in_flight() + connection.mss
    connection.high_seq = connection.snd_nxt
    connection.frto_end = NOT_SEQUENCE
    if connection.has_sack and connection.protocol.settings.frto and not connection.retransmits:
        connection.frto_end = connection.snd_nxt
    connection.ca_state = CA_LOSS
    connection.tlp_end = NOT_SEQUENCE
    if connection.has_ecn:
        connection.ecn_send_cwr = True


def end_episode(connection: Connection, info: AckInfo) -> None:
    """Everything sent before the episode began is acknowledged."""
    state = connection.ca_state
    if state != CA_CWR and try_undo(connection, info):
        return
    control = connection.congestion
    if state != CA_LOSS:
        # RFC 6937: the window ends at ssthresh; RFC 6582, step 3, option 1.
        control.cwnd = min(control.cwnd, control.ssthresh)
        if state == CA_RECOVERY:
            control.cwnd = max(control.ssthresh, connection.mss)
    if state == CA_RECOVERY and connection.reo_persist > 0:
        connection.reo_persist -= 1
        if connection.reo_persist == 0:
            connection.reo_multiplier = 1
    if not connection.has_sack:
        connection.reno_sacked = 0
        connection.duplicate_acks = 0
    connection.frto_end = NOT_SEQUENCE
    connection.undo_marker = NOT_SEQUENCE
    connection.ca_state = CA_OPEN
    settle(connection)


def in_recovery(connection: Connection, info: AckInfo) -> None:
    """Fast recovery goes on."""
    if info.acked and try_undo(connection, info):
        return
    if info.has_dsack and connection.undo_resent == 0:
        try_undo(connection, info)


def in_loss(connection: Connection, info: AckInfo) -> None:
    """Find out after a timeout whether it was needless (RFC 5682, 3.1 with SACK; RFC 3522)."""
    if (info.acked or info.has_dsack) and try_undo(connection, info):
        return
    if connection.frto_end < 0:
        return
    if info.original_delivered:
        undo(connection)
        connection.protocol.counters.TCPSpuriousRTOs += 1
        connection.protocol.counters.TCPLossUndo += 1
        return
    if info.newly_sacked or info.is_duplicate or connection.snd_nxt > connection.frto_end:
        # What was sent before is lost indeed: retransmit by the book.
        connection.frto_end = NOT_SEQUENCE
    elif info.acked:
        room = connection.snd_una + connection.snd_wnd - connection.snd_nxt
        new = min(connection.send_queue.end - connection.snd_nxt, room)
        # Step 2b: two new segments first, if there are any that may be sent.
        connection.frto_holds = new >= connection.mss


def try_undo(connection: Connection, info: AckInfo) -> bool:
    """End the episode and restore the window if it turns out to be needless."""
    if connection.undo_marker < 0:
        return False
    counters = connection.protocol.counters
    if connection.undo_resent == 0:
        counters.TCPDSACKUndo += 1
    elif (
        info.acked
        and connection.retransmit_ts
        and info.ts_echo
        and difference(info.ts_echo, connection.retransmit_ts) < 0
    ):
        # The acknowledgment answers the original, not the retransmission.
        if connection.ca_state == CA_LOSS:
            counters.TCPLossUndo += 1
            counters.TCPSpuriousRTOs += 1
        else:
            counters.TCPFullUndo += 1
    else:
        return False
    undo(connection)
    return True


def undo(connection: Connection) -> None:
    """Restore the window, and take back that anything is lost."""
    connection.congestion.undo()
    connection.scoreboard.forget_losses()
    connection.undo_marker = NOT_SEQUENCE
    connection.undo_resent = -1
    connection.frto_end = NOT_SEQUENCE
    connection.retransmits = 0
    connection.rtt.backoff = 0
    connection.ecn_send_cwr = False
    connection.reno_sacked = 0
    connection.duplicate_acks = 0
    connection.ca_state = CA_OPEN
    settle(connection)


def reduce_rate(connection: Connection, info: AckInfo) -> None:
    """Proportional rate reduction (RFC 6937, 3): the window that this acknowledgment allows."""
    delivered = info.delivered
    if delivered <= 0 and not info.found_lost:
        return
    control = connection.congestion
    mss = connection.mss
    connection.prr_delivered += delivered
    pipe = connection.in_flight()
    if pipe > control.ssthresh:
        # Rounded up to a whole segment.
        share = -(-connection.prr_delivered * control.ssthresh // (connection.prr_base * mss))
        allowed = share * mss - connection.prr_out
    else:
        allowed = connection.prr_delivered - connection.prr_out
        if info.acked and not info.found_lost:
            # Slow start reduction bound: the losses end.
            allowed = max(allowed, delivered) + mss
        allowed = min(control.ssthresh - pipe, allowed)
    if connection.prr_out == 0 or (info.acked and info.found_lost and not connection.has_sack):
        # The fast retransmission itself; and that of a partial acknowledgment
        # (RFC 6582, 3.2, step 3).
        allowed = max(allowed, mss)
    control.cwnd = max(pipe + max(allowed, 0), mss)


# Which segments are lost.


def find_losses(connection: Connection, info: AckInfo, now: int) -> None:
    """Mark ranges as lost, by the best method that the connection allows."""
    before = connection.scoreboard.lost_bytes - connection.scoreboard.resent_bytes
    if connection.has_sack:
        if connection.protocol.settings.recovery & 1:
            wait = rack_detect(connection, now)
            if wait:
                connection.set_retransmit(RTX_REORDER, now + wait)
        else:
            find_losses_by_count(connection)
    else:
        find_losses_by_duplicates(connection, info)
    after = connection.scoreboard.lost_bytes - connection.scoreboard.resent_bytes
    info.found_lost = after > before


def find_losses_by_duplicates(connection: Connection, info: AckInfo) -> None:
    """NewReno (RFC 6582): the third duplicate, then each partial acknowledgment."""
    board = connection.scoreboard
    if connection.ca_state == CA_RECOVERY:
        if info.acked and not board.is_empty():
            mark_head_lost(connection)
        return
    if connection.ca_state == CA_LOSS:
        return
    if (
        connection.duplicate_acks >= DUPLICATE_THRESHOLD
        and connection.snd_una > connection.high_seq
        and not board.is_empty()
    ):
        mark_head_lost(connection)


def mark_head_lost(connection: Connection) -> None:
    """Mark the first segment in flight as lost."""
    board = connection.scoreboard
    head = board.items[0]
    if head.end - head.start > connection.mss:
        board.split(0, head.start + connection.mss)
    board.mark_lost(head)


def find_losses_by_count(connection: Connection) -> None:
    """RFC 6675, 4, IsLost: more than two full segments above a range are SACKed."""
    board = connection.scoreboard
    above = board.sacked_bytes
    threshold = (DUPLICATE_THRESHOLD - 1) * connection.mss
    for sent in board.items:
        if above <= threshold:
            return
        if sent.sacked:
            above -= sent.end - sent.start
        elif not sent.lost:
            board.mark_lost(sent)


def rack_note(connection: Connection, sent: Sent, now: int) -> None:
    """A range was delivered: the newest transmission among those (RFC 8985, 6.2, step 2)."""
    rtt = now - sent.sent_ns
    if sent.transmissions > 1 and rtt < connection.rtt.minimum():
        return  # it may be the original that was acknowledged
    connection.rack_rtt = rtt
    if sent.sent_ns > connection.rack_ns or (
        sent.sent_ns == connection.rack_ns and sent.end > connection.rack_end
    ):
        connection.rack_ns = sent.sent_ns
        connection.rack_end = sent.end


def rack_note_order(connection: Connection, sent: Sent) -> None:
    """Detect reordering (step 3): delivered below what was delivered, and sent only once."""
    if sent.end > connection.rack_fack:
        connection.rack_fack = sent.end
    elif sent.end < connection.rack_fack and sent.transmissions == 1:
        if not connection.reordering_seen:
            connection.protocol.counters.TCPSACKReorder += 1
        connection.reordering_seen = True
        connection.reorders_seen += 1


def rack_note_dsack(connection: Connection) -> None:
    """Widen the reordering window after needless retransmissions (step 4)."""
    if connection.snd_una >= connection.reo_round_end:
        connection.reo_round_end = connection.snd_nxt
        connection.reo_multiplier = min(connection.reo_multiplier + 1, REO_MULTIPLIER_MAX)
    connection.reo_persist = REO_PERSIST


def reordering_window(connection: Connection) -> int:
    """Return RACK.reo_wnd (step 4)."""
    if not connection.reordering_seen:
        if connection.ca_state >= CA_RECOVERY:
            return 0
        if connection.scoreboard.sacked_bytes >= DUPLICATE_THRESHOLD * connection.mss:
            return 0
    window = connection.rtt.minimum() // 4 * connection.reo_multiplier
    return min(window, connection.rtt.srtt)


def rack_detect(connection: Connection, now: int) -> int:
    """Mark ranges that were sent well before one that arrived (step 5).

    Return how long to wait until the next one counts as lost; 0: there is none.
    """
    if connection.rack_ns == 0:
        return 0
    board = connection.scoreboard
    window = reordering_window(connection)
    wait = 0
    sent = board.oldest
    while sent is not None:
        newer = sent.newer
        if sent.sent_ns > connection.rack_ns or (
            sent.sent_ns == connection.rack_ns and sent.end >= connection.rack_end
        ):
            break
        remaining = sent.sent_ns + connection.rack_rtt + window - now
        if remaining <= 0:
            board.mark_lost(sent)
        else:
            wait = max(wait, remaining)
        sent = newer
    return wait


def on_reorder_timer(connection: Connection, now: int) -> None:
    """The reordering window is over: what has not arrived is lost."""
    wait = rack_detect(connection, now)
    if connection.scoreboard.lost_bytes and connection.ca_state < CA_RECOVERY:
        enter_recovery(connection)
        info = AckInfo(connection.snd_una)
        info.found_lost = True
        reduce_rate(connection, info)
    if wait:
        connection.set_retransmit(RTX_REORDER, now + wait)


def check_loss_probe(connection: Connection, info: AckInfo) -> None:
    """Tell what became of a tail loss probe (RFC 8985, 7.4)."""
    if connection.snd_una < connection.tlp_end:
        return
    if not connection.tlp_is_resent or info.has_dsack:
        connection.tlp_end = NOT_SEQUENCE  # new data; or both copies arrived
    elif connection.snd_una > connection.tlp_end:
        # The probe repaired a loss, which is a sign of congestion (7.4.2); as long
        # as nothing behind it is acknowledged, a duplicate may still tell otherwise.
        connection.tlp_end = NOT_SEQUENCE
        if connection.ca_state < CA_CWR and info.una < connection.snd_una:
            connection.protocol.counters.TCPLossProbeRecovery += 1
            connection.congestion.reduce(connection.in_flight())
            connection.congestion.cwnd = connection.congestion.ssthresh
    elif info.is_duplicate:
        connection.tlp_end = NOT_SEQUENCE
