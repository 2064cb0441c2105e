"""Listeners: half-open connections, SYN cookies, the accept queue (listen(2), tcp(7))."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Final

from netstack.endpoint import EVENT_IN
from netstack.environment import Timer
from netstack.errors import NetError
from netstack.packet import InPacket
from netstack.route import Route
from netstack.tcp import cookies
from netstack.tcp.connection import Connection, Flow, advertised_mss
from netstack.tcp.fastopen import FOREIGN, OURS
from netstack.tcp.options import TcpOptions
from netstack.tcp.receive import initial_window, take_data
from netstack.tcp.segments import agree, on_segment
from netstack.tcp.send import send_syn
from netstack.tcp.send_queue import SendQueue
from netstack.tcp.settings import (
    FASTOPEN_SERVER,
    FASTOPEN_SERVER_NO_COOKIE,
    RTO_INITIAL,
    TCP_RTO_MAX,
)
from netstack.tcp.states import LISTEN, RTX_TIMEOUT, SECOND, SYN_RECEIVED
from netstack.wire.seq import difference
from netstack.wire.tcp import (
    ACK,
    CWR,
    ECE,
    RST,
    SYN,
    Segment,
    build,
    fastopen_option,
    syn_options,
    timestamps_option,
)

if TYPE_CHECKING:
    from netstack.environment import Listener as EventListener
    from netstack.ports import Binding
    from netstack.tcp.protocol import TcpProtocol

FAST_HOLD: Final = 60 * SECOND  # as Linux
# How long after the queue overflowed an acknowledgment may be that of a cookie.
COOKIE_VALIDITY: Final = cookies.MAX_AGE * cookies.PERIOD


class Request(Flow):
    """A SYN that was answered, and not more than that."""

    def __init__(self, key: bytes, route: Route, segment: Segment, iss: int, now: int) -> None:
        super().__init__(key)
        self.listener: TcpListener | None = None
        self.route = route
        self.syn = segment
        self.irs = segment.seq
        self.iss = iss
        self.ts_offset = 0
        self.ts_recent = segment.ts_value
        self.window = 0
        self.window_scale = 0  # ours
        self.mss = 0  # ours
        self.has_ecn = False
        self.made_ns = now
        self.sent_ns = now
        self.timeouts = 0
        self.deadline = 0
        self.last_answer_ns = 0  # to a bad segment
        self.acked = False  # the handshake is done but for room, or for data (TCP_DEFER_ACCEPT)
        self.is_cookie = False
        self.fastopen_cookie: bytes | None = None  # for the peer's next connection


class RequestTimer(Timer):
    """One for all requests of a listener."""

    def __init__(self, listener: TcpListener) -> None:
        super().__init__()
        self.listener = listener

    def fire(self) -> None:
        self.listener.on_timer()


class TcpListener:
    """A listening endpoint's side of the stack."""

    def __init__(
        self, protocol: TcpProtocol, binding: Binding, options: TcpOptions, events: EventListener
    ) -> None:
        self.protocol = protocol
        self.binding = binding
        self.options = options
        self.events = events
        self.backlog = 0
        self.accept_queue: deque[Connection] = deque()
        self.requests: dict[bytes, Request] = {}
        self.state = LISTEN
        self.overflow_ns = 0
        # Connections of Fast Open whose handshake goes on, and until when others that were reset
        # during it count as well: their SYNs may have had another's address (RFC 7413, 5.1).
        self.fast_opens: set[Connection] = set()
        self._held_until: deque[int] = deque()
        self.is_closed = False
        self._heap: list[tuple[int, int, Request]] = []
        self._count = 0
        self._timer = RequestTimer(self)

    def is_full(self) -> bool:
        """Return whether the accept queue is full: it takes one more than the backlog, as Linux."""
        return len(self.accept_queue) > self.backlog

    def is_crowded(self) -> bool:
        """Return whether there are too many half-open connections for another one.

        Without cookies the last quarter of `max_syn_backlog` stays free; Linux keeps
        it for peers that it knows, and we know none.
        """
        settings = self.protocol.settings
        count = len(self.requests)
        if not settings.syncookies:
            most = settings.max_syn_backlog
            if most - count < most >> 2:
                return True
        return count >= min(self.backlog, settings.max_syn_backlog)

    # The handshake.

    def on_syn(self, segment: Segment, packet: InPacket, key: bytes, isn: int, now: int) -> None:
        """Answer a SYN; `isn` -1: any initial sequence number will do."""
        protocol = self.protocol
        settings = protocol.settings
        wants_cookie = settings.syncookies == 2 and isn < 0
        if self.is_crowded() and isn < 0:
            if not settings.syncookies:
                protocol.counters.TCPReqQFullDrop += 1
                protocol.counters.ListenDrops += 1
                return
            protocol.counters.TCPReqQFullDoCookies += 1
            wants_cookie = True
        if self.is_full():
            protocol.counters.ListenOverflows += 1
            protocol.counters.ListenDrops += 1
            return
        try:
            route = protocol.stack.find_route(
                packet.source, packet.destination, self.route_interface(packet), self.options.mark
            )
        except NetError:
            protocol.counters.ListenDrops += 1
            return
        request = Request(key, route, segment, 0, now)
        request.listener = self
        self._choose_options(request, segment)
        if wants_cookie:
            request.is_cookie = True
            request.has_ecn = request.has_ecn and segment.has_timestamps
            self.overflow_ns = now
            request.iss = cookies.make_cookie(
                protocol.cookie_secret, key, segment.seq, segment.mss or 536, now
            )
            protocol.counters.SyncookiesSent += 1
            self._send_syn_ack(request, now)
            return
        request.iss = isn if isn >= 0 else protocol.choose_isn(key, now)
        if segment.cookie is not None or segment.end > segment.start:
            if self._may_open_fast(request, segment, now):
                self._open_fast(request, segment, packet, now)
                return
        self.requests[key] = request
        protocol.flows[key] = request
        self._schedule(request, now + RTO_INITIAL)
        self._send_syn_ack(request, now)

    def route_interface(self, packet: InPacket) -> int:
        """Return the interface that answers must use; 0: any.  Link-local peers are on one."""
        if self.options.interface_index:
            return self.options.interface_index
        is_link_local = packet.version == 6 and packet.source[:2] == b"\xfe\x80"
        return packet.interface.index if is_link_local else 0

    def _choose_options(self, request: Request, segment: Segment) -> None:
        """Compute what our SYN-ACK says."""
        request.ts_offset = self.protocol.choose_ts_offset(request.key)
        request.mss = advertised_mss(request.route, self.options)
        settings = self.protocol.settings
        options_size = 12 if segment.has_timestamps and settings.timestamps else 0
        request.window, request.window_scale = initial_window(
            settings, self.options, request.mss - options_size
        )
        asked = segment.flags & (ECE | CWR) == ECE | CWR
        request.has_ecn = asked and self.options.ecn > 0

    def _make_connection(self, request: Request) -> Connection:
        """Return a connection for a request, not yet in any table."""
        protocol = self.protocol
        ports = request.key[-4:]
        connection = Connection(
            protocol,
            request.route,
            int.from_bytes(ports[2:], "big"),
            int.from_bytes(ports[:2], "big"),
            request.key,
        )
        connection.options = self.options.copy()
        connection.ts_offset = request.ts_offset
        connection.rcv_wnd = request.window
        connection.rcv_wscale = request.window_scale
        return connection

    def _send_syn_ack(self, request: Request, now: int) -> None:
        """Send the SYN-ACK, again perhaps."""
        syn = request.syn
        settings = self.protocol.settings
        has_timestamps = settings.timestamps and syn.has_timestamps
        has_sack = settings.sack and syn.sack_permitted
        has_scale = settings.window_scaling and syn.window_scale >= 0
        ts_value = (now // 1_000_000 + request.ts_offset) & 0xFFFFFFFF
        if request.is_cookie:
            scale = syn.window_scale if has_scale else -1
            ts_value = cookies.encode_options(ts_value, scale, has_sack, request.has_ecn)
            if not has_timestamps:
                has_sack = has_scale = False
        flags = SYN | ACK
        if request.has_ecn:
            flags |= ECE
        ports = request.key[-4:]
        header = build(
            int.from_bytes(ports[2:], "big"),
            int.from_bytes(ports[:2], "big"),
            request.iss,
            request.irs + 1,
            flags,
            min(request.window, 65535),
            0,
            syn_options(
                request.mss,
                request.window_scale if has_scale else -1,
                has_sack,
                has_timestamps,
                ts_value,
                request.ts_recent,
            )
            + (
                fastopen_option(request.fastopen_cookie)
                if request.fastopen_cookie is not None
                else b""
            ),
        )
        self.protocol.send_plain(request.route, header, self.options.ttl, self.options.tos)
        request.sent_ns = now

    def on_request_segment(
        self, request: Request, segment: Segment, packet: InPacket, now: int
    ) -> None:
        """Take a segment for a half-open connection (RFC 9293, 3.10.7.4; tcp_check_req)."""
        protocol = self.protocol
        flags = segment.flags
        offset = difference(segment.seq, request.irs + 1)
        has_timestamps = segment.has_timestamps and request.syn.has_timestamps
        is_old = has_timestamps and difference(segment.ts_value, request.ts_recent) < 0
        if flags & (SYN | ACK | RST) == SYN and offset == -1 and not is_old:
            if self._may_answer(request, now):
                self._send_syn_ack(request, now)
            return
        if flags & (ACK | RST) == ACK and segment.ack != (request.iss + 1) & 0xFFFFFFFF:
            protocol.answer_with_reset(packet, segment)
            return
        if is_old or not is_in_window(offset, segment.size(), request.window):
            if is_old:
                protocol.counters.PAWSEstab += 1
            if not flags & RST:
                self._acknowledge(request, segment, now)
            return
        if has_timestamps and offset <= 0:
            request.ts_recent = segment.ts_value
        if flags & RST and offset != 0:
            self._acknowledge(request, segment, now)  # RFC 5961, 3
            return
        if flags & (RST | SYN):
            protocol.counters.AttemptFails += 1
            protocol.counters.EmbryonicRsts += 1
            if flags & SYN:
                protocol.answer_with_reset(packet, segment)
            self.drop(request)
            return
        if flags & ACK:
            self._complete(request, segment, packet, now)

    def _may_answer(self, request: Request, now: int) -> bool:
        """Return whether it is not too soon for another answer to a bad segment."""
        limit = self.protocol.settings.invalid_ratelimit
        if request.last_answer_ns and now - request.last_answer_ns < limit:
            self.protocol.counters.TCPACKSkippedSynRecv += 1
            return False
        request.last_answer_ns = now
        return True

    def _acknowledge(self, request: Request, segment: Segment, now: int) -> None:
        """Answer a segment that is too old, or outside of the window."""
        if segment.size() == 0 and not self._may_answer(request, now):
            return
        ports = request.key[-4:]
        options = b""
        if request.syn.has_timestamps and self.protocol.settings.timestamps:
            value = (now // 1_000_000 + request.ts_offset) & 0xFFFFFFFF
            options = timestamps_option(value, request.ts_recent)
        scaled = self.protocol.settings.window_scaling and request.syn.window_scale >= 0
        header = build(
            int.from_bytes(ports[2:], "big"),
            int.from_bytes(ports[:2], "big"),
            request.iss + 1,
            request.irs + 1,
            ACK,
            request.window >> request.window_scale if scaled else request.window,
            0,
            options,
        )
        self.protocol.send_plain(request.route, header, self.options.ttl, self.options.tos)

    def _complete(self, request: Request, segment: Segment, packet: InPacket, now: int) -> None:
        """The handshake's last acknowledgment is here."""
        protocol = self.protocol
        if request.timeouts < self.options.defer_accept and segment.size() == 0:
            request.acked = True
            protocol.counters.TCPDeferAcceptDrop += 1
            return
        if self.is_full():
            protocol.counters.ListenOverflows += 1
            protocol.counters.ListenDrops += 1
            request.acked = True
            if protocol.settings.abort_on_overflow:
                protocol.answer_with_reset(packet, segment)
                self.drop(request)
            return
        self.drop(request)
        self._open(request, segment, packet, now)

    def _open(self, request: Request, segment: Segment, packet: InPacket, now: int) -> None:
        """Make the connection, and let it take the segment."""
        protocol = self.protocol
        connection = self._make_connection(request)
        connection.irs = request.irs
        agree(connection, request.syn, now)
        connection.has_ecn = request.has_ecn
        connection.iss = request.iss
        connection.snd_una = request.iss
        connection.snd_nxt = request.iss + 1
        connection.state = SYN_RECEIVED
        connection.syn_retransmits = request.timeouts
        connection.last_sent_ns = 0 if request.is_cookie else request.sent_ns
        connection.made_ns = request.made_ns
        protocol.adopt(connection, self.binding)
        connection.parent = self
        connection.set_retransmit(RTX_TIMEOUT, now + RTO_INITIAL)
        on_segment(connection, segment, packet, now)
        if self.accept_queue and self.accept_queue[-1] is connection:
            # Told only now: who accepts it shall find it in a consistent state.
            self.events.on_events(EVENT_IN)

    def on_established(self, connection: Connection) -> None:
        """Put a connection whose handshake is complete into the accept queue."""
        self.protocol.counters.PassiveOpens += 1
        connection.parent = None
        if connection.is_fast_open:
            self.fast_opens.discard(connection)
            return  # it was there to be accepted from the SYN on
        if self.is_closed:
            self.protocol.reset(connection, self.protocol.environment.now_ns())
            connection.finish()
            return
        self.accept_queue.append(connection)

    # Fast Open (RFC 7413; tcp_try_fastopen).

    def _may_open_fast(self, request: Request, segment: Segment, now: int) -> bool:
        """Return whether data in a SYN is taken; else choose the cookie for the SYN-ACK."""
        protocol = self.protocol
        settings, counters, options = protocol.settings, protocol.counters, self.options
        cookie = segment.cookie
        if cookie is not None and not cookie:
            counters.TCPFastOpenCookieReqd += 1
        if not settings.fastopen & FASTOPEN_SERVER or not self._has_fast_room(now):
            return False
        if settings.fastopen & FASTOPEN_SERVER_NO_COOKIE or options.fastopen_no_cookie:
            return True
        if cookie is None:
            return False
        whose = FOREIGN
        hosts = request.key[:-4]
        if cookie:
            whose = protocol.fast_open.check_cookie(options.fastopen_keys, hosts, cookie)
            if whose == FOREIGN:
                counters.TCPFastOpenPassiveFail += 1
            elif whose == OURS:
                return True
            else:
                counters.TCPFastOpenPassiveAltKey += 1
        request.fastopen_cookie = protocol.fast_open.make_cookie(options.fastopen_keys, hosts)
        return whose != FOREIGN

    def _has_fast_room(self, now: int) -> bool:
        """Return whether another connection may begin before its handshake is complete."""
        most = self.options.fastopen_queue
        if most == 0:
            return False
        held = self._held_until
        while held and held[0] <= now:
            held.popleft()
        if len(self.fast_opens) + len(held) >= most:
            self.protocol.counters.TCPFastOpenListenOverflow += 1
            return False
        return True

    def _open_fast(self, request: Request, segment: Segment, packet: InPacket, now: int) -> None:
        """Make the connection at once, with the data of the SYN, and answer."""
        connection = self._make_connection(request)
        agree(connection, segment, now)
        connection.is_fast_open = True
        connection.syn_cookie = request.fastopen_cookie
        connection.has_ecn = request.has_ecn
        connection.iss = connection.snd_una = connection.high_seq = request.iss
        connection.snd_nxt = request.iss + 1
        connection.send_queue = SendQueue(request.iss + 1)
        connection.state = SYN_RECEIVED
        connection.parent = self
        self.protocol.adopt(connection, self.binding)
        connection.start_congestion_control()
        segment.seq += 1
        segment.flags &= ~SYN
        take_data(connection, segment, packet, now)
        connection.rcv_wup = connection.last_ack_sent = connection.rcv_nxt
        connection.ack_now = False
        send_syn(connection, now)
        connection.set_retransmit(RTX_TIMEOUT, now + RTO_INITIAL)
        self.fast_opens.add(connection)
        self.accept_queue.append(connection)
        self.protocol.counters.TCPFastOpenPassive += 1
        self.events.on_events(EVENT_IN)

    def on_lost(self, connection: Connection, now: int) -> None:
        """A connection of Fast Open ended before its handshake did."""
        if connection in self.fast_opens:
            self.fast_opens.discard(connection)
            self._held_until.append(now + FAST_HOLD)

    # Cookies.

    def on_stray_ack(self, segment: Segment, packet: InPacket, key: bytes, now: int) -> bool:
        """Take an acknowledgment that belongs to nothing; False if it is not that of a cookie."""
        protocol = self.protocol
        settings = protocol.settings
        if not settings.syncookies or not self.overflow_ns and settings.syncookies != 2:
            return False
        if now - self.overflow_ns > COOKIE_VALIDITY:
            return False
        irs = (segment.seq - 1) & 0xFFFFFFFF
        iss = (segment.ack - 1) & 0xFFFFFFFF
        mss = cookies.check_cookie(protocol.cookie_secret, key, irs, iss, now)
        if mss == 0:
            protocol.counters.SyncookiesFailed += 1
            return False
        if self.is_full():
            protocol.counters.ListenOverflows += 1
            return True
        try:
            route = protocol.stack.find_route(
                packet.source, packet.destination, self.route_interface(packet), self.options.mark
            )
        except NetError:
            return True
        protocol.counters.SyncookiesRecv += 1
        syn = Segment(irs, 0, SYN, segment.window, 0)
        syn.mss = mss
        if segment.has_timestamps and settings.timestamps:
            echo = (segment.ts_echo) & 0xFFFFFFFF
            syn.has_timestamps = True
            syn.ts_value = segment.ts_value
            syn.window_scale = cookies.decode_scale(echo)
            syn.sack_permitted = cookies.decode_sack(echo)
        request = Request(key, route, syn, iss, now)
        request.listener = self
        request.is_cookie = True
        self._choose_options(request, syn)
        request.has_ecn = syn.has_timestamps and cookies.decode_ecn(segment.ts_echo)
        self._open(request, segment, packet, now)
        return True

    # Time.

    def _schedule(self, request: Request, deadline: int) -> None:
        """Have a request looked at again."""
        request.deadline = deadline
        self._count += 1
        heapq.heappush(self._heap, (deadline, self._count, request))
        armed = self._timer.deadline_ns
        if armed == 0 or deadline < armed:
            self.protocol.environment.arm(self._timer, deadline)

    def on_timer(self) -> None:
        """Resend or give up what is due."""
        now = self.protocol.environment.now_ns()
        heap = self._heap
        while heap and heap[0][0] <= now:
            deadline, _, request = heapq.heappop(heap)
            if request.deadline == deadline:
                self._on_request_timeout(request, now)
        if heap:
            self.protocol.environment.arm(self._timer, heap[0][0])

    def _on_request_timeout(self, request: Request, now: int) -> None:
        """Send the SYN-ACK again, or forget the request (inet_csk_reqsk_queue_prune)."""
        most = self.options.syn_count or self.protocol.settings.synack_retries
        deferred = self.options.defer_accept
        expired = request.timeouts >= most
        resend = True
        if deferred:
            expired = expired and (not request.acked or request.timeouts >= deferred)
            resend = not request.acked or request.timeouts >= deferred - 1
        if expired:
            self.drop(request)
            return
        request.timeouts += 1
        if resend:
            self.protocol.counters.RetransSegs += 1
            self.protocol.counters.TCPTimeouts += 1
            self._send_syn_ack(request, now)
        self._schedule(request, now + min(RTO_INITIAL << request.timeouts, TCP_RTO_MAX))

    def drop(self, request: Request) -> None:
        """Forget a request."""
        request.deadline = 0
        if self.requests.pop(request.key, None) is not None:
            if self.protocol.flows.get(request.key) is request:
                del self.protocol.flows[request.key]
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self.requests):
            self._heap = [entry for entry in self._heap if entry[2].deadline == entry[0]]
            heapq.heapify(self._heap)

    def close(self, now: int) -> None:
        """Stop listening: who waits is reset (inet_csk_listen_stop)."""
        self.is_closed = True
        for request in list(self.requests.values()):
            self.drop(request)
        self._heap.clear()
        self.protocol.environment.disarm(self._timer)
        while self.accept_queue:
            connection = self.accept_queue.popleft()
            self.protocol.reset(connection, now)
            connection.finish()


def is_in_window(offset: int, size: int, window: int) -> bool:
    """Return whether a segment of `size` numbers from `offset` on is acceptable (tcp_in_window)."""
    if offset == 0 or (offset == window and size == 0):
        return True
    return offset < window and offset + size > 0


def defer_seconds_to_count(seconds: int) -> int:
    """Return how many SYN-ACK timeouts last at least that long (secs_to_retrans)."""
    count = 0
    if seconds > 0:
        timeout = 1
        period = 1
        count = 1
        while seconds > period and count < 255:
            count += 1
            timeout = min(timeout << 1, TCP_RTO_MAX // SECOND)
            period += timeout
    return count


def defer_count_to_seconds(count: int) -> int:
    """Return the seconds that TCP_DEFER_ACCEPT reports (retrans_to_secs)."""
    period = 0
    if count > 0:
        timeout = period = 1
        for _ in range(count - 1):
            timeout = min(timeout << 1, TCP_RTO_MAX // SECOND)
            period += timeout
    return period
