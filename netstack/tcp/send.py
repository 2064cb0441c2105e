"""Output: segments of a connection, and when data may be sent (RFC 9293, 3.8.6.2.1)."""

from typing import Final

from netstack.errors import MESSAGE_TOO_LONG, NetError
from netstack.packet import OutPacket, Payload
from netstack.stack import RoomListener
from netstack.tcp.arming import arm_retransmit
from netstack.tcp.connection import MAX_PACKET, Connection, sack_blocks, sack_size
from netstack.tcp.scoreboard import Sent
from netstack.tcp.settings import CORK_TIME, DELAYED_ACK
from netstack.tcp.states import (
    CA_CWR,
    CA_OPEN,
    CA_RECOVERY,
    CLOSED,
    RTX_NONE,
    RTX_WINDOW_PROBE,
    SYN_RECEIVED,
    SYN_SENT,
)
from netstack.wire.tcp import (
    ACK,
    CHECKSUM_OFFSET,
    CWR,
    ECE,
    FIN,
    PROTOCOL_TCP,
    PSH,
    RST,
    SYN,
    URG,
    build,
    build_with_timestamps,
    sack_option,
    syn_options,
    timestamps_option,
)

ECN_CAPABLE: Final = 2  # ECT(0), RFC 3168, 5


class Room(RoomListener):
    """Goes on sending for a connection when the interface takes packets again."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def on_room(self) -> None:
        connection = self.connection
        connection.waits_for_room = False
        if connection.state == CLOSED:
            return
        now = connection.environment.now_ns()
        if connection.ack_now:
            send_ack(connection, now)
        push(connection, now)
        connection.flush_events()


def hand_over(
    connection: Connection, header: bytes, payload: Payload, gso_size: int, can_ecn: bool
) -> bool:
    """Give a segment to the network layer; False if there is no room for it now."""
    packet = OutPacket(PROTOCOL_TCP, header, payload)
    packet.checksum_offset = CHECKSUM_OFFSET
    packet.gso_size = gso_size
    options = connection.options
    packet.ttl = options.ttl
    packet.tos = options.tos & ~3
    if can_ecn:
        packet.tos |= ECN_CAPABLE
    packet.dont_fragment = options.pmtu_discovery
    packet.flow_label = options.flow_label
    packet.mark = options.mark
    packet.user = options.user
    packet.group = options.group
    stack = connection.protocol.stack
    route = connection.route
    try:
        if stack.is_stale(route):
            route = connection.protocol.refresh_route(connection)
        if not stack.send(route, packet):
            if not connection.waits_for_room:
                connection.waits_for_room = True
                stack.when_room(route.interface, Room(connection))
            return False
    except NetError as problem:
        # As good as lost on the way; a smaller MTU is taken at once.
        if problem.code == MESSAGE_TOO_LONG:
            connection.update_mss()
    connection.segments_out += 1
    connection.protocol.counters.OutSegs += 1
    return True


def choose_window(connection: Connection) -> int:
    """Return the window field of an ordinary segment, and note what it promises.

    The right edge never moves back, and forward only by enough to be worth
    it (silly window avoidance, RFC 9293, 3.8.6.2.2).
    """
    space = connection.receive_space()
    free = space - (connection.rcv_nxt - connection.copied_seq)
    current = connection.receive_window()
    scale = connection.rcv_wscale
    window = current
    if free > current:
        threshold = min(space // 2, connection.rcv_mss)
        if free - current >= threshold:
            window = free
    limit = 65535 << scale
    window = min(window, limit)
    # Rounded down: the peer sees an edge that moves back by less than the scale,
    # which RFC 7323, 2.4 allows; rounded up, the edge would creep forward with
    # each acknowledgment.  What was promised once is accepted in any case.
    field = window >> scale
    before = connection.rcv_wnd >> scale
    if field == 0 and before != 0:
        connection.protocol.counters.TCPToZeroWindowAdv += 1
    elif field != 0 and before == 0:
        connection.protocol.counters.TCPFromZeroWindowAdv += 1
    connection.rcv_wup = connection.rcv_nxt
    connection.rcv_wnd = max(field << scale, current)
    return field


def make_header(
    connection: Connection, seq: int, flags: int, window: int, urgent: int, now: int
) -> bytes:
    """Return the header of a segment of a synchronized connection."""
    sack = connection.has_sack and (
        connection.dsack is not None or bool(connection.reassembly.blocks)
    )
    if connection.ecn_demand:
        flags |= ECE
    if not sack and connection.has_timestamps:
        return build_with_timestamps(
            connection.local_port,
            connection.remote_port,
            seq,
            connection.rcv_nxt,
            flags,
            window,
            urgent,
            connection.ts_now(now),
            connection.ts_recent,
        )
    options = b""
    if connection.has_timestamps:
        options = timestamps_option(connection.ts_now(now), connection.ts_recent)
    if sack:
        options += sack_option(sack_blocks(connection))
    return build(
        connection.local_port,
        connection.remote_port,
        seq,
        connection.rcv_nxt,
        flags,
        window,
        urgent,
        options,
    )


def acknowledged(connection: Connection, now: int) -> None:
    """Note that a segment with our newest acknowledgment went out."""
    connection.ack_now = False
    connection.ack_is_late = False
    connection.ack_deadline = 0
    connection.dsack = None
    connection.last_ack_sent = connection.rcv_nxt
    if connection.quick_acks:
        connection.quick_acks -= 1
        if connection.quick_acks == 0:
            connection.ack_timeout = DELAYED_ACK


def send_ack(connection: Connection, now: int) -> None:
    """Send an acknowledgment without data."""
    if connection.state in (CLOSED, SYN_SENT):
        return
    window = choose_window(connection)
    header = make_header(connection, connection.snd_nxt, ACK, window, 0, now)
    if hand_over(connection, header, b"", 0, False):
        acknowledged(connection, now)
    else:
        connection.ack_now = True


def send_syn(connection: Connection, now: int) -> None:
    """Send our SYN, or SYN-ACK in SYN_RECEIVED (simultaneous open)."""
    settings = connection.protocol.settings
    options = connection.options
    answers = connection.state == SYN_RECEIVED
    flags = SYN
    if answers:
        flags |= ACK
        if connection.has_ecn:
            flags |= ECE
    elif connection.has_ecn and connection.syn_retransmits == 0:
        flags |= ECE | CWR  # RFC 3168, 6.1.1; given up when the SYN is lost (6.1.1.1)
    scale = connection.rcv_wscale if settings.window_scaling else -1
    has_timestamps = settings.timestamps
    if answers:
        has_timestamps = connection.has_timestamps
        if connection.snd_wscale == 0 and connection.rcv_wscale == 0:
            scale = -1
    written = syn_options(
        connection.advertised_mss(),
        scale,
        connection.has_sack if answers else settings.sack,
        has_timestamps,
        connection.ts_now(now),
        connection.ts_recent if answers else 0,
    )
    cookie, payload = connection.fast_open_parts()
    written += cookie
    header = build(
        connection.local_port,
        connection.remote_port,
        connection.iss,
        connection.rcv_nxt if answers else 0,
        flags,
        min(connection.rcv_wnd, 65535),  # never scaled in a SYN (RFC 7323, 2.2)
        0,
        written,
    )
    if options.ecn != 1:
        connection.has_ecn = connection.has_ecn and answers
    hand_over(connection, header, payload, 0, False)
    connection.last_sent_ns = now


def send_reset(connection: Connection, now: int) -> None:
    """Send a RST for a connection that we abort (RFC 9293, 3.5.3)."""
    if connection.state in (CLOSED, SYN_SENT):
        return
    header = make_header(connection, connection.snd_nxt, RST | ACK, 0, 0, now)
    hand_over(connection, header, b"", 0, False)
    connection.protocol.counters.OutRsts += 1


def gso_payload(connection: Connection) -> int:
    """Return the largest payload of one packet."""
    link = connection.route.interface.link
    if link.gso_max <= 0:
        return connection.mss
    # The IP packet has a length of 16 bits; options of any size are allowed for.
    overhead = connection.headers_size() + 40 + (14 if link.has_header else 0)
    return max(min(link.gso_max, MAX_PACKET) - overhead, connection.mss)


def transmit(connection: Connection, start: int, end: int, now: int) -> bool:
    """Send sequence numbers [start, end), data or FIN, first time or again; False: no room."""
    queue = connection.send_queue
    fin_seq = connection.fin_seq
    data_end = end
    flags = ACK
    if 0 <= fin_seq < end:
        data_end = fin_seq
        flags |= FIN
    payload = queue.read(start, data_end - start)
    if payload and data_end == queue.end:
        flags |= PSH
    urgent = 0
    if connection.urgent_end > start:
        urgent = min(connection.urgent_end - start, 65535)
        flags |= URG
    is_new = start >= connection.snd_nxt
    if connection.ecn_send_cwr and is_new and payload:
        flags |= CWR
    mss = connection.mss - sack_size(connection)
    window = choose_window(connection)
    header = make_header(connection, start, flags, window, urgent, now)
    gso_size = mss if len(payload) > mss else 0
    if not gso_size:
        payload = bytes(payload)  # single packets are made as they are on the wire
    # Only new data may carry ECT (RFC 3168, 6.1.5).
    can_ecn = connection.has_ecn and is_new and bool(payload)
    if not hand_over(connection, header, payload, gso_size, can_ecn):
        return False
    acknowledged(connection, now)
    if flags & CWR:
        connection.ecn_send_cwr = False
    if payload:
        count = (len(payload) + mss - 1) // mss
        connection.data_segments_out += count
        connection.bytes_sent += len(payload)
        if len(payload) % mss:
            connection.small_end = data_end
        if now - connection.last_received_ns < connection.ack_timeout:
            connection.is_interactive = True
    connection.last_sent_ns = now
    return True


# Retransmissions.


def resend(connection: Connection, sent: Sent, now: int, limit: int) -> bool:
    """Send a range again, its first `limit` bytes at most; False: no room."""
    board = connection.scoreboard
    size = min(limit, gso_payload(connection) - sack_size(connection))
    mss = connection.mss - sack_size(connection)
    if size > mss:
        size -= size % mss
    if sent.end - sent.start > max(size, 1):
        # A FIN behind full data goes with it, or alone.
        board.split(board.index_of(sent), sent.start + max(size, 1))
    else:
        collapse(connection, sent, min(size, mss))
    if not transmit(connection, sent.start, sent.end, now):
        return False
    count = connection.packets(sent.end - sent.start)
    connection.total_resent += count
    connection.bytes_resent += sent.end - sent.start
    connection.protocol.counters.RetransSegs += count
    board.on_resent(sent, now)
    connection.undo_resent = max(connection.undo_resent, 0) + count
    if connection.has_timestamps and connection.retransmit_ts == 0:
        connection.retransmit_ts = connection.ts_now(now) or 1
    if connection.ca_state in (CA_RECOVERY, CA_CWR):
        connection.prr_out += sent.end - sent.start
    return True


def collapse(connection: Connection, sent: Sent, space: int) -> None:
    """Let small segments go again in one of up to `space` bytes (tcp_retrans_try_collapse)."""
    board = connection.scoreboard
    fin_seq = connection.fin_seq
    index = -1
    while sent.end - sent.start < space:
        if index < 0:
            index = board.index_of(sent)
        if index + 1 >= len(board.items):
            return
        following = board.items[index + 1]
        data_end = following.end
        if data_end > fin_seq >= 0:
            data_end = fin_seq  # a FIN takes no room
        if following.sacked or data_end - sent.start > space:
            return
        board.absorb_next(index)


def resend_lost(connection: Connection, now: int) -> bool:
    """Send lost ranges again as far as the window allows; False: stopped for want of room."""
    board = connection.scoreboard
    while True:
        sent = board.next_lost()
        if sent is None:
            return True
        room = connection.congestion.cwnd - connection.in_flight()
        window_room = connection.snd_una + connection.snd_wnd - sent.start
        if window_room <= 0:
            if sent.start != connection.snd_una:
                return True  # the peer took back what it had offered: wait
            window_room = connection.mss  # which serves as a probe of the window
        needed = min(sent.end - sent.start, connection.mss)
        if room < needed and connection.in_flight() != 0:
            connection.cwnd_limited = True
            return False
        counters = connection.protocol.counters
        if connection.ca_state == CA_RECOVERY:
            counters.TCPFastRetrans += 1
        else:
            counters.TCPSlowStartRetrans += 1
        if sent.transmissions > 1:
            counters.TCPLostRetransmit += 1
        if not resend(connection, sent, now, min(max(room, connection.mss), window_room)):
            return False


# New data.


def push(connection: Connection, now: int) -> None:
    """Send what may be sent now: what was lost, then new data; and set the timer for it."""
    if connection.waits_for_room or connection.state == CLOSED or connection.is_opening():
        return
    held = connection.frto_holds
    connection.frto_holds = False
    if not held and connection.scoreboard.lost_bytes and not resend_lost(connection, now):
        arm_after_push(connection, now)
        return
    if connection.snd_nxt < end_of_stream(connection):
        if connection.scoreboard.is_empty():
            restart_after_idle(connection, now)
        send_new(connection, now)
    arm_after_push(connection, now)


def end_of_stream(connection: Connection) -> int:
    """Return the sequence number behind all that is to be sent, our FIN included.

    A shutdown waits for the handshake's end, a close does not (tcp_shutdown, net/ipv4/tcp.c).
    """
    if connection.fin_seq >= 0 and (connection.state != SYN_RECEIVED or connection.is_orphan):
        return connection.fin_seq + 1
    return connection.send_queue.end


def restart_after_idle(connection: Connection, now: int) -> None:
    """Do not trust an old window after an idle time (RFC 5681, 4.1; RFC 2861)."""
    idle = now - connection.last_sent_ns
    control = connection.congestion
    if idle < connection.rtt.rto or not connection.protocol.settings.slow_start_after_idle:
        return
    restart = min(10 * connection.mss, control.cwnd)
    control.ssthresh = max(control.ssthresh, control.cwnd * 3 // 4)
    while idle >= connection.rtt.rto and control.cwnd > restart:
        control.cwnd //= 2
        idle -= connection.rtt.rto
    control.cwnd = max(control.cwnd, restart)
    control.after_idle()


def send_new(connection: Connection, now: int) -> None:
    """Send new data within the windows, in as large packets as the link takes."""
    connection.cwnd_limited = False
    options_size = sack_size(connection)
    largest = gso_payload(connection) - options_size
    end = end_of_stream(connection)
    while connection.snd_nxt < end:
        size = next_size(connection, largest, options_size, end)
        if size <= 0:
            return
        if not send_range(connection, size, now):
            return
        if options_size:
            options_size = sack_size(connection)
            largest = gso_payload(connection) - options_size


def send_range(connection: Connection, size: int, now: int) -> bool:
    """Send the next `size` sequence numbers; False: no room."""
    start = connection.snd_nxt
    if not transmit(connection, start, start + size, now):
        return False
    was_empty = connection.scoreboard.is_empty()
    connection.snd_nxt = start + size
    sent = connection.scoreboard.add(start, start + size, now)
    sent.delivered = connection.delivered
    if was_empty and connection.rtx_kind != RTX_WINDOW_PROBE:
        connection.stop_retransmit()
    if connection.ca_state in (CA_RECOVERY, CA_CWR):
        connection.prr_out += size
    connection.protocol.counters.TCPOrigDataSent += 1
    return True


def next_size(connection: Connection, largest: int, options_size: int, end: int) -> int:
    """Return how many sequence numbers the next packet takes; 0: nothing may be sent now."""
    available = end - connection.snd_nxt
    mss = connection.mss - options_size
    in_flight = connection.in_flight()
    # SACKed data, and what duplicate acknowledgments stand for, is not in flight
    # any more: that is limited transmit (RFC 3042).
    cwnd_room = connection.congestion.cwnd - in_flight
    if cwnd_room < min(mss, available) and (in_flight > 0 or cwnd_room <= 0):
        connection.cwnd_limited = True
        connection.max_in_flight = max(connection.max_in_flight, in_flight)
        return 0
    window_room = connection.snd_una + connection.snd_wnd - connection.snd_nxt
    is_fin_only = connection.send_queue.end <= connection.snd_nxt
    if window_room < min(mss, available) and not (is_fin_only and connection.snd_wnd > 0):
        return 0
    size = min(available, max(cwnd_room, mss), largest)
    if connection.fin_seq == connection.snd_nxt + size and not is_fin_only:
        size += 1  # the FIN goes with the last data, however full the segment is
    if not is_fin_only:
        # A FIN takes no room in the window that would have to be waited for.
        data = connection.send_queue.end - connection.snd_nxt
        if window_room < data:
            size = min(size, window_room)
    if size < available:
        return full_segments(connection, size, mss, cwnd_room, available)
    is_full = size >= largest - largest % mss
    if connection.in_burst and not is_full and connection.fin_seq < 0:
        return 0  # the user is about to write more: one full packet instead of two
    partial = size % mss
    if connection.fin_seq < 0 and partial and must_wait(connection, in_flight):
        size -= partial
    return size


def full_segments(
    connection: Connection, size: int, mss: int, cwnd_room: int, available: int
) -> int:
    """Return `size` in full segments; 0 if a larger packet will be possible soon."""
    if size > mss:
        size -= size % mss
    if (
        not connection.scoreboard.is_empty()
        and connection.ca_state == CA_OPEN
        and cwnd_room < min(connection.snd_wnd, connection.congestion.cwnd) // 3
        and size < 16 * mss
        and connection.route.interface.link.gso_max
    ):
        # The next acknowledgment will allow more: one large packet instead
        # of many small ones (tcp_tso_should_defer).
        connection.cwnd_limited = True
        connection.max_in_flight = max(connection.max_in_flight, connection.in_flight())
        return 0
    return size


def must_wait(connection: Connection, in_flight: int) -> bool:
    """Return whether a segment that is not full has to wait (RFC 9293, 3.7.4; Minshall)."""
    if connection.urgent_end > connection.snd_una or connection.overrides_cork:
        return False
    if connection.options.cork or connection.more_follows:
        return True
    if connection.options.nodelay:
        return False
    if connection.scoreboard.is_empty():
        return False
    # Only one small segment may be on its way.
    return connection.snd_una < connection.small_end <= connection.snd_nxt


# The timer.


def arm_after_push(connection: Connection, now: int) -> None:
    """Set the timer for what is in flight, or for what a closed window or a cork holds back."""
    if connection.state == SYN_RECEIVED:
        if connection.rtx_kind == RTX_NONE:
            arm_retransmit(connection, now)  # for our SYN-ACK
        return
    if not connection.scoreboard.is_empty():
        if connection.rtx_kind == RTX_NONE or connection.rtx_kind == RTX_WINDOW_PROBE:
            arm_retransmit(connection, now)
        return
    if connection.rtx_kind == RTX_WINDOW_PROBE:
        return
    if connection.snd_nxt < end_of_stream(connection) and not connection.waits_for_room:
        held_back = connection.options.cork or connection.more_follows or connection.in_burst
        window_room = connection.snd_una + connection.snd_wnd - connection.snd_nxt
        if held_back and window_room > 0:
            connection.set_retransmit(RTX_WINDOW_PROBE, now + CORK_TIME)
        else:
            connection.set_retransmit(RTX_WINDOW_PROBE, now + connection.rtt.timeout())
    elif connection.rtx_kind != RTX_NONE:
        connection.stop_retransmit()
