"""TIME_WAIT: what is left of a connection for a minute (RFC 9293, 3.10.7.4; RFC 6191)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from netstack.environment import Timer
from netstack.packet import InPacket
from netstack.route import Route
from netstack.tcp.connection import Connection, Flow
from netstack.tcp.settings import TIME_WAIT_TIME
from netstack.tcp.states import MS
from netstack.wire.seq import difference, unwrap
from netstack.wire.tcp import ACK, RST, SYN, Segment, build, timestamps_option

if TYPE_CHECKING:
    from netstack.ports import Binding
    from netstack.tcp.protocol import TcpProtocol


class TimeWait(Flow):
    """The remains of a connection: enough to acknowledge a FIN again and to refuse old segments."""

    def __init__(self, connection: Connection, deadline: int) -> None:
        super().__init__(connection.key)
        self.route: Route = connection.route
        self.local_port = connection.local_port
        self.remote_port = connection.remote_port
        self.snd_nxt = connection.snd_nxt
        self.rcv_nxt = connection.rcv_nxt
        self.window = min(connection.receive_window() >> connection.rcv_wscale, 65535)
        self.has_timestamps = connection.has_timestamps
        self.ts_recent = connection.ts_recent
        self.ts_recent_ns = connection.ts_recent_ns
        self.ts_offset = connection.ts_offset
        self.ttl = connection.options.ttl
        self.tos = connection.options.tos
        self.deadline = deadline
        self.last_answer_ns = 0
        self.is_over = False
        self.binding: Binding | None = None  # the port, held as long as this lives


class TimeWaitTable(Timer):
    """All of a stack, oldest first, under one timer: they all last equally long."""

    def __init__(self, protocol: TcpProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.queue: deque[TimeWait] = deque()
        self.count = 0

    def add(self, connection: Connection, binding: Binding | None, now: int) -> bool:
        """Put the remains of a connection in its place; False if there are too many already."""
        protocol = self.protocol
        if self.count >= protocol.settings.max_tw_buckets:
            protocol.counters.TCPTimeWaitOverflow += 1
            return False
        entry = TimeWait(connection, now + TIME_WAIT_TIME)
        entry.binding = binding
        protocol.flows[entry.key] = entry
        self.queue.append(entry)
        self.count += 1
        protocol.counters.TW += 1
        if not self.deadline_ns:
            protocol.environment.arm(self, entry.deadline)
        return True

    def remove(self, entry: TimeWait) -> None:
        """End one early; it stays in the queue until its turn comes."""
        if entry.is_over:
            return
        entry.is_over = True
        self.count -= 1
        if self.protocol.flows.get(entry.key) is entry:
            del self.protocol.flows[entry.key]
        if entry.binding is not None:
            self.protocol.ports.release(entry.binding)
            entry.binding = None
        while self.queue and self.queue[0].is_over:
            self.queue.popleft()

    def fire(self) -> None:
        now = self.protocol.environment.now_ns()
        while self.queue:
            entry = self.queue[0]
            if entry.is_over:
                self.queue.popleft()
            elif entry.deadline <= now:
                self.remove(entry)
            elif len(self.queue) > 1 and self.queue[1].deadline < entry.deadline:
                self.queue.rotate(-1)  # it was prolonged: others come first
            else:
                break
        if self.queue:
            self.protocol.environment.arm(self, max(self.queue[0].deadline, now + MS))

    def on_segment(self, entry: TimeWait, segment: Segment, packet: InPacket, now: int) -> int:
        """Take a segment (tcp_timewait_state_process).

        Return the initial sequence number for a new connection that may take
        the place of this one, or -1.
        """
        seq = unwrap(segment.seq, entry.rcv_nxt)
        flags = segment.flags
        is_old = (
            entry.has_timestamps
            and segment.has_timestamps
            and difference(segment.ts_value, entry.ts_recent) < 0
        )
        if not is_old and seq == entry.rcv_nxt and (segment.size() == 0 or flags & RST):
            if flags & RST:
                if not self.protocol.settings.rfc1337:
                    self.remove(entry)
                return -1
            entry.deadline = now + TIME_WAIT_TIME
            if segment.has_timestamps:
                entry.ts_recent = segment.ts_value
                entry.ts_recent_ns = now
            return -1
        if (
            flags & (SYN | RST | ACK) == SYN
            and not is_old
            and (
                seq > entry.rcv_nxt
                or (
                    entry.has_timestamps
                    and segment.has_timestamps
                    and difference(segment.ts_value, entry.ts_recent) > 0
                )
            )
        ):
            return (entry.snd_nxt + 65535 + 2) & 0xFFFFFFFF
        if is_old:
            self.protocol.counters.PAWSEstab += 1
        if flags & RST:
            return -1
        if is_old or flags & ACK:
            entry.deadline = now + TIME_WAIT_TIME  # it waits the full time again
        if segment.size() == 0 or flags & SYN:
            # What may be part of a loop of answers is answered seldom.
            limit = self.protocol.settings.invalid_ratelimit
            if entry.last_answer_ns and now - entry.last_answer_ns < limit:
                self.protocol.counters.TCPACKSkippedTimeWait += 1
                return -1
            entry.last_answer_ns = now
        self.acknowledge(entry, now)
        return -1

    def acknowledge(self, entry: TimeWait, now: int) -> None:
        """Acknowledge again what the connection acknowledged last."""
        options = b""
        if entry.has_timestamps:
            value = (now // MS + entry.ts_offset) & 0xFFFFFFFF
            options = timestamps_option(value, entry.ts_recent)
        header = build(
            entry.local_port,
            entry.remote_port,
            entry.snd_nxt,
            entry.rcv_nxt,
            ACK,
            entry.window,
            0,
            options,
        )
        self.protocol.send_plain(entry.route, header, entry.ttl, entry.tos)
