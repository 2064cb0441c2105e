"""The receiving side: data in and out of order, acknowledgments, windows, urgent data."""

from typing import Final

from netstack.endpoint import EVENT_HUP, EVENT_IN, EVENT_PRI, EVENT_RDHUP, EVENT_URGENT
from netstack.packet import InPacket
from netstack.tcp.connection import (
    URGENT_ANNOUNCED,
    URGENT_NONE,
    URGENT_VALID,
    Connection,
    receive_space,
)
from netstack.tcp.options import TcpOptions
from netstack.tcp.send import send_ack
from netstack.tcp.settings import DELAYED_ACK, DELAYED_ACK_MAX, TcpSettings
from netstack.tcp.states import CLOSED, MS
from netstack.wire.seq import difference
from netstack.wire.tcp import CWR, FIN, MAX_WINDOW_SCALE, URG, Segment

MAX_QUICK_ACKS: Final = 16
LATE_MAX: Final = 1 << 18  # bytes that may arrive before an acknowledgment that is late
CONGESTION_EXPERIENCED: Final = 3  # RFC 3168, 5


def take_data(connection: Connection, segment: Segment, packet: InPacket, now: int) -> bool:
    """Take the text of an acceptable segment; return whether our peer's FIN was reached."""
    start = segment.seq
    fin = bool(segment.flags & FIN)
    data_end = start + segment.end - segment.start
    payload_at = segment.start
    if data_end > start:
        connection.data_segments_in += 1
    if start < connection.rcv_nxt:
        if data_end <= connection.rcv_nxt and not (fin and data_end == connection.rcv_nxt):
            note_duplicate(connection, start, min(data_end, connection.rcv_nxt))
            return False
        if data_end > start:
            # The front is known already; acceptable segments reach beyond RCV.NXT.
            if connection.protocol.settings.dsack and connection.has_sack and data_end > start:
                connection.dsack = (start, min(connection.rcv_nxt, data_end))
                connection.ack_now = True
            payload_at += min(connection.rcv_nxt - start, data_end - start)
        start = connection.rcv_nxt
    edge = connection.rcv_nxt + connection.receive_window()
    if data_end > edge:
        data_end = max(edge, start)
        fin = False  # it comes again
        connection.ack_now = True
    payload_end = payload_at + data_end - start
    if segment.seq + (segment.end - segment.start) > start or fin:
        note_size(connection, segment, packet)
    if start > connection.rcv_nxt:
        keep_out_of_order(connection, start, packet.data[payload_at:payload_end], fin, now)
        return False
    if payload_end == len(packet.data):
        if payload_end > payload_at:
            append(connection, packet.data, payload_at, now)
    elif payload_end > payload_at:
        append(connection, packet.data[payload_at:payload_end], 0, now)
    if fin and data_end == connection.rcv_nxt:
        return True
    if not connection.reassembly.is_empty():
        return fill_hole(connection, now)
    return False


def note_duplicate(connection: Connection, start: int, end: int) -> None:
    """A segment came twice: acknowledge at once, and say which (RFC 2883)."""
    connection.ack_now = True
    connection.quick_acks = max(connection.quick_acks, 2)
    if connection.has_sack and connection.protocol.settings.dsack and end > start:
        connection.dsack = (start, end)
        connection.protocol.counters.TCPDSACKOldSent += 1


def note_size(connection: Connection, segment: Segment, packet: InPacket) -> None:
    """Learn how large the peer's full segments are."""
    size = packet.gso_size or segment.end - segment.start
    if size >= connection.rcv_mss:
        connection.rcv_mss = max(min(size, connection.advertised_mss()), 88)


def append(connection: Connection, data: bytes, at: int, now: int) -> None:
    """Put data in order, which is behind `at`, into the receive queue."""
    size = len(data) - at
    connection.receive_queue.append(data, at)
    connection.rcv_nxt += size
    connection.bytes_received += size
    measure_receive_rtt(connection, now)
    if connection.unread() >= connection.options.receive_low_water:
        connection.notify(EVENT_IN)


def keep_out_of_order(connection: Connection, start: int, data: bytes, fin: bool, now: int) -> None:
    """Keep data behind a hole, and acknowledge at once (RFC 5681, 4.2)."""
    connection.ack_now = True
    connection.quick_acks = max(connection.quick_acks, 2)
    counters = connection.protocol.counters
    fin_at = start + len(data)
    if fin:
        data += b"\0"  # the FIN takes a number, which is reported like a byte
    if not data:
        return
    connection.out_of_order += 1
    counters.TCPOFOQueue += 1
    report_known_part(connection, start, len(data))
    if not connection.reassembly.add(start, data, max(connection.options.receive_buffer, 4096)):
        counters.TCPOFODrop += 1
    elif fin and not 0 <= connection.fin_behind_hole < fin_at:
        connection.fin_behind_hole = fin_at


def report_known_part(connection: Connection, start: int, size: int) -> None:
    """Report by DSACK what is behind the hole already (RFC 2883, 4.1.3)."""
    if not connection.has_sack or not connection.protocol.settings.dsack:
        return
    known = connection.reassembly.known_part(start, start + size)
    if known is not None:
        connection.dsack = known
        connection.protocol.counters.TCPDSACKOfoSent += 1


def fill_hole(connection: Connection, now: int) -> bool:
    """Take what follows from behind the hole; return whether the FIN is reached."""
    connection.ack_now = True  # the sender should know at once (RFC 5681, 4.2)
    fin_at = connection.fin_behind_hole
    for data in connection.reassembly.take(connection.rcv_nxt):
        if connection.rcv_nxt <= fin_at < connection.rcv_nxt + len(data):
            if fin_at > connection.rcv_nxt:
                append(connection, data[: fin_at - connection.rcv_nxt], 0, now)
            return True
        append(connection, data, 0, now)
    return False


def take_fin(connection: Connection) -> None:
    """The peer's FIN is in order."""
    connection.rcv_nxt += 1
    connection.fin_received = True
    connection.read_shut = True
    connection.ack_now = True
    connection.reassembly.clear()
    connection.notify(EVENT_IN | EVENT_RDHUP)
    if connection.write_shut:
        connection.notify(EVENT_HUP)


# Urgent data: the pointer is that of RFC 793, as on Linux (tcp(7), tcp_stdurg 0).


def take_urgent(connection: Connection, segment: Segment, packet: InPacket) -> None:
    """Look at the urgent pointer, and take the byte out of the segment if it is there."""
    if segment.flags & URG:
        check_urgent(connection, segment)
    if connection.urgent_state == URGENT_ANNOUNCED:
        offset = connection.urgent_seq - segment.seq
        if 0 <= offset < segment.end - segment.start:
            connection.urgent_byte = packet.data[segment.start + offset]
            connection.urgent_state = URGENT_VALID
            connection.notify(EVENT_PRI)


def check_urgent(connection: Connection, segment: Segment) -> None:
    """Take the pointer if it points to something new."""
    pointer = segment.urgent
    if pointer:
        pointer -= 1
    position = segment.seq + pointer
    if position < connection.copied_seq or position < connection.rcv_nxt:
        return
    if connection.urgent_state != URGENT_NONE and position <= connection.urgent_seq:
        return
    # A byte that nobody fetched is part of the stream again, as on Linux.
    connection.urgent_state = URGENT_ANNOUNCED
    connection.urgent_seq = position
    connection.notify(EVENT_URGENT)


def read(connection: Connection, limit: int, now: int) -> bytes:
    """Take up to `limit` bytes; stops before an urgent byte, and leaves it out of the stream."""
    data = connection.receive_queue.read(up_to_urgent(connection, limit))
    after_taking(connection, len(data), now)
    return data


def read_pieces(connection: Connection, limit: int, now: int) -> list[bytes | memoryview]:
    """Take what `read` does, in pieces that are not copied."""
    pieces = connection.receive_queue.read_pieces(up_to_urgent(connection, limit))
    size = 0
    for piece in pieces:
        size += len(piece)
    after_taking(connection, size, now)
    return pieces


def up_to_urgent(connection: Connection, limit: int) -> int:
    """Return how much may be read at one go; skips an urgent byte that is next."""
    if connection.urgent_state != URGENT_NONE:
        ahead = connection.urgent_seq - connection.copied_seq
        if ahead > 0:
            limit = min(limit, ahead)
        elif ahead == 0 and not connection.options.oob_inline and connection.unread():
            connection.receive_queue.read(1)
            connection.copied_seq += 1
    return limit


def after_taking(connection: Connection, size: int, now: int) -> None:
    """Note that the user has taken `size` bytes."""
    connection.copied_seq += size
    if connection.urgent_state != URGENT_NONE and connection.copied_seq > connection.urgent_seq:
        connection.urgent_state = URGENT_NONE
    if size:
        tune_buffer(connection, now)
        after_read(connection, now)


def give_back(connection: Connection, data: bytes) -> None:
    """Put the last bytes of a read back: there was no place for them."""
    connection.receive_queue.give_back(data)
    connection.copied_seq -= len(data)


def peek(connection: Connection, limit: int, skip: int) -> bytes:
    """Return what reads of `limit` bytes behind the first `skip` would take, and leave it there."""
    if connection.urgent_state != URGENT_NONE:
        ahead = connection.urgent_seq - connection.copied_seq
        if ahead > 0:
            limit = min(limit, max(ahead - skip, 0))
        elif ahead == 0 and not connection.options.oob_inline:
            skip += 1
    return connection.receive_queue.peek(limit, skip)


# Acknowledgments.


def after_data(connection: Connection, now: int) -> None:
    """Acknowledge now or later (RFC 9293, 3.8.6.3; RFC 5681, 4.2)."""
    pending = connection.rcv_nxt - connection.rcv_wup
    if connection.ack_now:
        send_ack(connection, now)
    elif pending <= 0:
        return
    elif connection.quick_acks and not connection.is_interactive:
        send_ack(connection, now)
    elif pending > connection.rcv_mss and window_may_move(connection):
        if not may_be_late(connection, pending):
            send_ack(connection, now)
    else:
        delay_ack(connection, now)


def may_be_late(connection: Connection, pending: int) -> bool:
    """Return whether an acknowledgment that is due comes soon: at best with the room of a read."""
    # The sender may have to wait for the window, but that moves by reads only.
    if pending > min(LATE_MAX, connection.receive_space() // 4):
        return False
    if not connection.ack_is_late and connection.unread():
        connection.ack_is_late = connection.protocol.late_acks.hold(connection)
    return connection.ack_is_late


def send_late_ack(connection: Connection, now: int) -> None:
    """Send an acknowledgment that was left to `LateAcks`, if it did not go since."""
    if connection.ack_is_late:
        connection.ack_is_late = False
        if connection.state != CLOSED and connection.rcv_nxt > connection.rcv_wup:
            send_ack(connection, now)


def delay_ack(connection: Connection, now: int) -> None:
    """Let the acknowledgment wait for data to go with (tcp_send_delayed_ack)."""
    wait = connection.ack_timeout
    deadline = now + min(wait, max(connection.rtt.srtt, DELAYED_ACK), DELAYED_ACK_MAX)
    if connection.ack_deadline:
        if connection.ack_deadline <= now + wait // 4:
            send_ack(connection, now)  # it would go soon anyway
            return
        deadline = min(deadline, connection.ack_deadline)
    connection.ack_deadline = deadline
    connection.wake_at(deadline)


def learn_pace(connection: Connection, now: int) -> None:
    """Adapt the delay of acknowledgments to how data arrives (tcp_event_data_recv)."""
    gap = now - connection.last_received_ns
    timeout = connection.ack_timeout
    if gap <= DELAYED_ACK // 2:
        connection.ack_timeout = timeout // 2 + DELAYED_ACK // 2
    elif gap < timeout:
        connection.ack_timeout = min(timeout // 2 + gap, connection.rtt.rto)
    elif gap > connection.rtt.rto:
        enter_quick_mode(connection, MAX_QUICK_ACKS)


def window_may_move(connection: Connection) -> bool:
    """Return whether an acknowledgment now would not make the window smaller."""
    free = connection.receive_space() - (connection.rcv_nxt - connection.copied_seq)
    return free >= connection.receive_window() or free >= connection.rcv_mss


def enter_quick_mode(connection: Connection, most: int) -> None:
    """Acknowledge every segment for a while: at the start, and after a loss or an idle time."""
    segments = connection.receive_window() // (2 * max(connection.rcv_mss, 1))
    connection.quick_acks = max(connection.quick_acks, min(max(segments, 2), most))
    connection.is_interactive = False
    connection.ack_timeout = DELAYED_ACK


def after_read(connection: Connection, now: int) -> None:
    """Tell the peer of room that a read made (tcp_cleanup_rbuf)."""
    pending = connection.rcv_nxt - connection.rcv_wup
    if (connection.ack_deadline or connection.ack_is_late) and (
        pending > connection.rcv_mss or (not connection.is_interactive and connection.unread() == 0)
    ):
        send_ack(connection, now)
        return
    if connection.fin_received:
        return
    space = connection.receive_space()
    current = connection.receive_window()
    if 2 * current <= space:
        free = space - (connection.rcv_nxt - connection.copied_seq)
        if free >= 2 * current and free >= min(connection.rcv_mss, space // 2):
            send_ack(connection, now)


# Buffer tuning (dynamic right-sizing; tcp_rcv_space_adjust of Linux).


def measure_receive_rtt(connection: Connection, now: int) -> None:
    """Estimate the round-trip time without sending: the time for one window of data."""
    if connection.rcv_rtt_ns == 0:
        connection.rcv_rtt_seq = connection.rcv_nxt + connection.rcv_wnd
        connection.rcv_rtt_ns = now
        return
    if connection.rcv_nxt < connection.rcv_rtt_seq:
        return
    note_receive_rtt(connection, now - connection.rcv_rtt_ns)
    connection.rcv_rtt_seq = connection.rcv_nxt + connection.rcv_wnd
    connection.rcv_rtt_ns = now


def note_timestamp_rtt(connection: Connection, segment: Segment, now: int) -> None:
    """Estimate it from the echoed timestamp of a full data segment."""
    if segment.end - segment.start < connection.rcv_mss or not segment.ts_echo:
        return
    elapsed = difference(connection.ts_now(now), segment.ts_echo)
    if 0 <= elapsed < 600_000:
        note_receive_rtt(connection, max(elapsed, 1) * MS)


def note_receive_rtt(connection: Connection, sample: int) -> None:
    """Keep the smallest, slowly forgetting."""
    old = connection.rcv_rtt
    if old == 0 or sample < old:
        connection.rcv_rtt = max(sample, 1)
    else:
        connection.rcv_rtt = old + (sample - old) // 8


def tune_buffer(connection: Connection, now: int) -> None:
    """Widen the receive buffer to twice what the user reads in a round trip."""
    if connection.space_ns == 0:
        connection.space_ns = now
        connection.space_seq = connection.copied_seq
        return
    if connection.rcv_rtt == 0 or now - connection.space_ns < connection.rcv_rtt:
        return
    options = connection.options
    copied = connection.copied_seq - connection.space_seq
    settings = connection.protocol.settings
    if (
        copied > connection.space_bytes
        and settings.moderate_receive_buffer
        and not options.receive_buffer_locked
    ):
        window = 2 * copied + 16 * connection.advertised_mss()
        if connection.space_bytes:
            # The sender's window grows: leave room for the next round trip too.
            growth = copied - connection.space_bytes
            window += window * growth // connection.space_bytes * 2
        wanted = min(2 * window, settings.rmem_max)
        options.receive_buffer = max(options.receive_buffer, wanted)
        connection.space_bytes = copied
    connection.space_seq = connection.copied_seq
    connection.space_ns = now


# ECN (RFC 3168, 6.1.3).


def note_ecn(connection: Connection, segment: Segment, packet: InPacket) -> None:
    """Look at the congestion bits of a packet with data."""
    if segment.flags & CWR:
        connection.ecn_demand = False
        if segment.end > segment.start:
            connection.ack_now = True  # the peer's window may be down to one segment
    if packet.tos & 3 == CONGESTION_EXPERIENCED and segment.end > segment.start:
        if not connection.ecn_demand:
            connection.ack_now = True
        connection.ecn_demand = True


def initial_window(settings: TcpSettings, options: TcpOptions, mss: int) -> tuple[int, int]:
    """Return the first window and our scale (tcp_select_initial_window)."""
    window = min(receive_space(options), 65535)
    if window > mss:
        window -= window % mss
    most = options.receive_buffer
    if not options.receive_buffer_locked:
        most = max(most, settings.rmem_max)
    if options.window_clamp:
        most = min(most, options.window_clamp)
    scale = 0
    while settings.window_scaling and scale < MAX_WINDOW_SCALE and most > 65535 << scale:
        scale += 1
    return window, scale
