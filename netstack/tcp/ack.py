"""What the acknowledgment in a segment does to the sending side (RFC 9293, 3.10.7.4)."""

from typing import Final

from netstack.endpoint import EVENT_OUT
from netstack.tcp import recovery
from netstack.tcp.arming import arm_retransmit
from netstack.tcp.connection import NOT_SEQUENCE, Connection
from netstack.tcp.recovery import AckInfo
from netstack.tcp.send import end_of_stream, send_ack
from netstack.tcp.states import (
    CA_LOSS,
    CA_OPEN,
    MS,
    RTX_LOSS_PROBE,
    RTX_NONE,
    RTX_REORDER,
    RTX_TIMEOUT,
    RTX_WINDOW_PROBE,
)
from netstack.wire.seq import difference, unwrap
from netstack.wire.tcp import ECE, FIN, SYN, Segment

MAX_BLOCKS: Final = 4
# What an skb of one full segment is charged, beside its payload, when the send
# buffer is sized (tcp_sndbuf_expand of Linux).
SEGMENT_OVERHEAD: Final = 1024


def on_acknowledgment(connection: Connection, segment: Segment, now: int) -> bool:
    """Take SEG.ACK, SEG.WND and the SACK blocks; False: the segment is to be dropped."""
    una = connection.snd_una
    ack = segment.ack
    if ack > connection.snd_nxt:
        # It acknowledges what was never sent (RFC 5961, 5.2).
        challenge(connection, now)
        return False
    if ack < una:
        # Nothing can be acknowledged that was never sent, however old (tcp_ack).
        if ack < una - min(connection.max_window, connection.bytes_acked):
            challenge(connection, now)
            return False
        if segment.sack is not None and connection.has_sack:
            take_late_sack(connection, segment, now)
        return True
    connection.last_ack_received_ns = now
    connection.keep_probes = 0
    window_changed = update_window(connection, segment)
    board = connection.scoreboard
    if board.is_empty():
        connection.probes = 0
        has_more = connection.snd_nxt < end_of_stream(connection)
        if connection.rtx_kind == RTX_WINDOW_PROBE and has_more:
            on_probe_answer(connection, now)
        return True
    info = AckInfo(una)
    info.flight_before = connection.in_flight()
    info.ece = connection.has_ecn and bool(segment.flags & ECE)
    if connection.has_timestamps and segment.has_timestamps:
        info.ts_echo = segment.ts_echo
    if ack > una:
        advance(connection, ack, info, now)
    if connection.has_sack:
        if segment.sack is not None:
            take_sack(connection, segment, info, now)
    else:
        count_duplicate(connection, segment, info, window_changed)
    if ack == una and not info.newly_sacked and not window_changed:
        if segment.end == segment.start and not segment.flags & (SYN | FIN):
            info.is_duplicate = True
    recovery.on_ack(connection, info, now)
    if info.acked:
        make_room(connection)
    rearm(connection, info, now)
    return True


def on_probe_answer(connection: Connection, now: int) -> None:
    """The peer's window may have opened (tcp_ack_probe)."""
    left = end_of_stream(connection) - connection.snd_nxt
    if left <= 0:
        return
    room = connection.snd_una + connection.snd_wnd - connection.snd_nxt
    if not connection.snd_wnd:
        connection.window_full_since = now
    if room >= min(left, connection.mss):
        connection.stop_retransmit()  # push sends it
        connection.rtt.backoff = 0
    else:
        connection.set_retransmit(RTX_WINDOW_PROBE, now + connection.rtt.timeout())


def update_window(connection: Connection, segment: Segment) -> bool:
    """Take SEG.WND unless the segment is older than the one that set SND.WND (SND.WL1, WL2).

    Return whether it was taken: then the segment counts as no duplicate, as on
    Linux.  Of two with the same numbers the one with the larger window is newer.
    """
    window = segment.window
    if not segment.flags & SYN:
        window <<= connection.snd_wscale
    if not (
        segment.ack > connection.snd_una
        or segment.seq > connection.snd_wl1
        or (segment.seq == connection.snd_wl1 and (window > connection.snd_wnd or not window))
    ):
        return False
    connection.snd_wl1 = segment.seq
    connection.snd_wl2 = segment.ack
    connection.snd_wnd = window
    if window > connection.max_window:
        connection.max_window = window
        connection.update_mss()
    return True


def advance(connection: Connection, ack: int, info: AckInfo, now: int) -> None:
    """Move SND.UNA forward: what is acknowledged leaves the queue; times are measured."""
    board = connection.scoreboard
    info.acked = ack - info.una
    connection.snd_una = ack
    rtt = 0
    was_resent = False
    for sent in board.remove_front(ack):
        if sent.sacked:
            continue
        info.delivered += sent.end - sent.start
        if sent.transmissions == 1:
            rtt = now - sent.sent_ns
            if sent.end <= connection.frto_end:
                info.original_delivered = True
        else:
            was_resent = True
        if connection.has_sack:
            recovery.rack_note(connection, sent, now)
            recovery.rack_note_order(connection, sent)
    if not connection.has_sack and connection.reno_sacked:
        # Of what is acknowledged, one segment filled the hole; the
        # duplicates announced the others.
        known = min(max(info.acked - connection.mss, 0), connection.reno_sacked)
        connection.reno_sacked -= known
        info.delivered -= known
        flight = connection.snd_nxt - ack
        connection.reno_sacked = min(connection.reno_sacked, max(flight - connection.mss, 0))
    # Behind what was sent again, the rest may have arrived long ago.
    measure(connection, 0 if was_resent else rtt, info, now)
    connection.retransmits = 0
    connection.first_timeout_ns = 0
    connection.duplicate_acks = 0
    connection.send_queue.acknowledge(ack)
    connection.bytes_acked += info.acked
    if connection.urgent_end <= ack:
        connection.urgent_end = NOT_SEQUENCE
    guessed = connection.guessed_mtu_ns
    if guessed and now - guessed > connection.protocol.settings.probe_interval:
        connection.guessed_mtu_ns = 0
        connection.path_mtu = 0
        connection.update_mss()


def measure(connection: Connection, rtt: int, info: AckInfo, now: int) -> None:
    """Take a round-trip time: by our own notes, or else by the echoed timestamp (RFC 7323, 4)."""
    if rtt <= 0 and info.ts_echo:
        elapsed = difference(connection.ts_now(now), info.ts_echo)
        rtt = max(elapsed, 1) * MS if 0 <= elapsed < 600_000 else 0
    if rtt > 0:
        connection.rtt.sample(rtt, now)
        connection.congestion.on_sample(rtt, now, connection.snd_una, connection.snd_nxt)


def make_room(connection: Connection) -> None:
    """Widen the send buffer with the window, and tell a writer that waits."""
    options = connection.options
    if not options.send_buffer_locked:
        window = max(connection.congestion.cwnd, 10 * connection.mss)
        count = window // connection.mss + 1
        wanted = 2 * count * (connection.mss + SEGMENT_OVERHEAD)
        limit = connection.protocol.settings.wmem_max
        if wanted > options.send_buffer:
            options.send_buffer = min(wanted, max(limit, options.send_buffer))
    if connection.send_needs_room and connection.is_writable():
        connection.send_needs_room = False
        connection.notify(EVENT_OUT)


def count_duplicate(
    connection: Connection, segment: Segment, info: AckInfo, window_changed: bool
) -> None:
    """Without SACK: a duplicate acknowledgment stands for a segment that left (RFC 5681, 2)."""
    if info.acked or window_changed or segment.end != segment.start or segment.flags & (SYN | FIN):
        return
    connection.duplicate_acks += 1
    if connection.ca_state == CA_LOSS:
        return
    flight = connection.snd_nxt - connection.snd_una
    sacked = min(connection.reno_sacked + connection.mss, max(flight - connection.mss, 0))
    info.delivered += sacked - connection.reno_sacked
    connection.reno_sacked = sacked


def take_late_sack(connection: Connection, segment: Segment, now: int) -> None:
    """An old acknowledgment may still bring blocks (reordered acknowledgments)."""
    info = AckInfo(connection.snd_una)
    info.flight_before = connection.in_flight()
    take_sack(connection, segment, info, now)
    if info.newly_sacked or info.has_dsack:
        recovery.on_ack(connection, info, now)
        rearm(connection, info, now)


def take_sack(connection: Connection, segment: Segment, info: AckInfo, now: int) -> None:
    """Take the SACK blocks (RFC 2018, 5.1; RFC 2883, 4)."""
    assert segment.sack is not None
    una = connection.snd_una
    blocks = [(unwrap(left, una), unwrap(right, una)) for left, right in segment.sack[:MAX_BLOCKS]]
    first = blocks[0]
    if is_dsack(blocks, segment.ack):
        take_dsack(connection, first, info)
        blocks = blocks[1:]
    for block in blocks:
        start, end = max(block[0], una), block[1]
        if start >= end or end > connection.snd_nxt:
            continue
        known = start
        for seen_start, seen_end in connection.last_sack:
            if seen_start <= start < seen_end:
                known = min(seen_end, end)  # that part was taken from an earlier segment
        known = connection.scoreboard.resume(start, known)
        if known < end:
            take_block(connection, known, end, info, now)
    connection.last_sack = [block for block in blocks if block[1] <= connection.snd_nxt]


def is_dsack(blocks: list[tuple[int, int]], ack: int) -> bool:
    """Return whether the first block reports a duplicate (RFC 2883, 4)."""
    first = blocks[0]
    if first[0] >= first[1]:
        return False
    if first[1] <= ack:
        return True
    return len(blocks) > 1 and blocks[1][0] <= first[0] and first[1] <= blocks[1][1]


def take_dsack(connection: Connection, block: tuple[int, int], info: AckInfo) -> None:
    """A segment arrived twice."""
    connection.protocol.counters.TCPDSACKRecv += 1
    connection.dsacks_seen += 1
    info.has_dsack = True
    recovery.rack_note_dsack(connection)
    if connection.undo_marker < 0 or block[0] < connection.undo_marker:
        return
    if connection.undo_resent > 0:
        count = connection.packets(block[1] - block[0])
        connection.undo_resent = max(connection.undo_resent - count, 0)


def take_block(connection: Connection, start: int, end: int, info: AckInfo, now: int) -> None:
    """Mark what one block reports."""
    last_rtt = 0
    for sent in connection.scoreboard.mark_sacked(start, end, connection.mss):
        size = sent.end - sent.start
        info.newly_sacked += size
        info.delivered += size
        if sent.transmissions == 1:
            last_rtt = now - sent.sent_ns
            if sent.end <= connection.frto_end:
                info.original_delivered = True
        recovery.rack_note(connection, sent, now)
        recovery.rack_note_order(connection, sent)
    if last_rtt > 0:
        connection.rtt.sample(last_rtt, now)


def rearm(connection: Connection, info: AckInfo, now: int) -> None:
    """Restart the retransmission timer when data was acknowledged (RFC 6298, 5.2, 5.3)."""
    if connection.scoreboard.is_empty():
        connection.stop_retransmit()
        return
    if connection.scoreboard.items[0].sacked:
        # The peer dropped what it had reported: a timeout will sort it out soon.
        soon = max(connection.rtt.srtt // 2, 10 * MS)
        connection.set_retransmit(RTX_TIMEOUT, now + soon)
        return
    kind = connection.rtx_kind
    if (
        kind == RTX_REORDER
        and connection.scoreboard.lost_bytes == 0
        and (connection.ca_state != CA_OPEN)
    ):
        return
    restarts = bool(info.acked or info.newly_sacked) or kind in (RTX_NONE, RTX_WINDOW_PROBE)
    if restarts or (kind == RTX_LOSS_PROBE and connection.ca_state != CA_OPEN):
        arm_retransmit(connection, now)


def challenge(connection: Connection, now: int) -> None:
    """Send a challenge ACK (RFC 5961, 3 and 7), within the limits."""
    if not connection.protocol.may_challenge(connection, now):
        return
    connection.protocol.counters.TCPChallengeACK += 1
    send_ack(connection, now)
