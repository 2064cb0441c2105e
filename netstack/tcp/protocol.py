"""TCP of one stack: who gets which segment, and what all connections share."""

from __future__ import annotations

from hashlib import blake2s
from typing import Final

from netstack.endpoint import Address
from netstack.errors import (
    ADDRESS_IN_USE,
    ADDRESS_NOT_AVAILABLE,
    CONNECTION_REFUSED,
    MESSAGE_TOO_LONG,
    NETWORK_UNREACHABLE,
    PORT_UNREACHABLE,
    TIMED_OUT,
    NetError,
)
from netstack.packet import (
    CHECKSUM_GOOD,
    TO_HOST,
    InPacket,
    OutPacket,
)
from netstack.ports import ANY_IPV4, ANY_IPV6, Binding, PortFilter
from netstack.route import BROADCAST, MULTICAST, Route
from netstack.stack import Stack
from netstack.tcp.connection import Connection, Flow, LateAcks
from netstack.tcp.counters import TcpCounters
from netstack.tcp.fastopen import FastOpen
from netstack.tcp.listener import Request, TcpListener
from netstack.tcp.options import TcpOptions
from netstack.tcp.receive import initial_window
from netstack.tcp.receiver import passes, score
from netstack.tcp.segments import on_segment
from netstack.tcp.send import hand_over, push, send_reset, send_syn
from netstack.tcp.send_queue import PLAIN_BLOCKS, BlockMaker
from netstack.tcp.settings import DEFAULT_MSS_4, TcpSettings
from netstack.tcp.states import (
    CA_LOSS,
    CLOSED,
    FIN_WAIT2,
    RTX_TIMEOUT,
    SECOND,
    SYN_RECEIVED,
    SYN_SENT,
)
from netstack.tcp.time_wait import TimeWait, TimeWaitTable
from netstack.tcp.timers import ConnectionTimer, start_keepalive
from netstack.transport import IcmpError, Transport
from netstack.wire.checksum import checksum, pseudo_header
from netstack.wire.seq import unwrap
from netstack.wire.tcp import (
    ACK,
    CHECKSUM_OFFSET,
    FIN,
    PROTOCOL_TCP,
    RST,
    SYN,
    Segment,
    build,
    parse,
)

MIN_MTU_6: Final = 1280  # RFC 8200, 5
TW_REUSE_AFTER: Final = SECOND  # RFC 6191: a timestamp later than the last one


class ConnectBinding(Binding):
    """A port that connect(2) chose; connections to other peers may share it."""


def flow_key(local: bytes, local_port: int, remote: bytes, remote_port: int) -> bytes:
    """Return the demultiplexer's key: as the addresses and ports stand in the peer's packets."""
    return remote + local + (remote_port << 16 | local_port).to_bytes(4, "big")


class FlowFilter(PortFilter):
    """Which ephemeral ports leave the four numbers of a new connection unused."""

    def __init__(self, protocol: TcpProtocol, local: bytes, remote: bytes, port: int) -> None:
        self.protocol = protocol
        self.local = local
        self.remote = remote
        self.port = port

    def is_usable(self, port: int, bindings: list[Binding]) -> bool:
        for binding in bindings:
            if not isinstance(binding, ConnectBinding):
                return False
        key = flow_key(self.local, port, self.remote, self.port)
        return self.protocol.is_free(key)


class TcpProtocol(Transport):
    """The transport protocol TCP."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.environment = stack.environment
        self.settings = TcpSettings()
        self.late_acks = LateAcks()
        self.blocks: BlockMaker = PLAIN_BLOCKS  # memory for what is written
        self.counters = TcpCounters()
        self.ports = stack.port_table(PROTOCOL_TCP)
        stack.register_transport(PROTOCOL_TCP, self)
        self.flows: dict[bytes, Flow] = {}
        self.listeners: dict[int, list[TcpListener]] = {}  # by port
        self.time_waits = TimeWaitTable(self)
        self.orphans = 0
        self.fast_open = FastOpen(self)
        self.cookie_secret = self.environment.random_bytes(32)
        self._isn_secret = self.environment.random_bytes(32)
        self._ts_secret = self.environment.random_bytes(32)
        self._group_secret = self.environment.random_bytes(16)
        self._challenges = 0
        self._challenge_second = 0

    # Segments in.

    def on_packet(self, packet: InPacket) -> bool:
        counters = self.counters
        counters.InSegs += 1
        if packet.kind != TO_HOST or packet.is_broadcast or _is_group(packet.destination):
            return True  # RFC 9293, 3.9.2.3
        data = packet.data
        at = packet.transport
        if packet.checksum != CHECKSUM_GOOD:
            length = packet.end - at
            initial = pseudo_header(packet.source, packet.destination, PROTOCOL_TCP, length)
            if checksum(data[at : packet.end], initial) != 0:
                counters.InCsumErrors += 1
                counters.InErrs += 1
                return True
        segment = parse(data, at, packet.end)
        if segment is None:
            counters.InErrs += 1
            return True
        key = packet.source + packet.destination + data[at : at + 4]
        flow = self.flows.get(key)
        now = self.environment.now_ns()
        if isinstance(flow, Connection):
            if passes(flow.options.filter, segment, packet):
                on_segment(flow, segment, packet, now)
        elif isinstance(flow, Request):
            listener = flow.listener
            if listener is not None and passes(listener.options.filter, segment, packet):
                listener.on_request_segment(flow, segment, packet, now)
        elif isinstance(flow, TimeWait):
            self._on_time_wait(flow, segment, packet, now)
        else:
            self._on_stranger(segment, packet, key, -1, now)
        return True

    def _on_time_wait(self, entry: TimeWait, segment: Segment, packet: InPacket, now: int) -> None:
        """A segment for what is in TIME_WAIT: perhaps the start of something new."""
        isn = self.time_waits.on_segment(entry, segment, packet, now)
        if isn < 0:
            return
        if self._find_listener(packet, entry.key) is None:
            self.time_waits.acknowledge(entry, now)
            return
        self.time_waits.remove(entry)
        self._on_stranger(segment, packet, entry.key, isn, now)

    def _on_stranger(
        self, segment: Segment, packet: InPacket, key: bytes, isn: int, now: int
    ) -> None:
        """A segment that belongs to no connection: for a listener, or nobody."""
        listener = self._find_listener(packet, key)
        flags = segment.flags
        if listener is None:
            self.answer_with_reset(packet, segment)
        elif flags & RST or not passes(listener.options.filter, segment, packet):
            return
        elif flags & ACK:
            if flags & SYN or not listener.on_stray_ack(segment, packet, key, now):
                self.answer_with_reset(packet, segment)
        elif flags & SYN and not flags & FIN:
            listener.on_syn(segment, packet, key, isn, now)

    def _find_listener(self, packet: InPacket, key: bytes) -> TcpListener | None:
        """Return the best listener: the one bound most narrowly; of a group, one by hash."""
        at = packet.transport
        port = packet.data[at + 2] << 8 | packet.data[at + 3]
        best = -1
        found: list[TcpListener] = []
        for listener in self.listeners.get(port, ()):
            points = score(listener, packet)
            if points > best:
                best = points
                found = [listener]
            elif points == best and points >= 0:
                found.append(listener)
        if not found:
            return None
        if len(found) == 1:
            return found[0]
        group = found[-1].binding.group
        if group is not None and group.program is not None:
            payload = at + (packet.data[at + 12] >> 4) * 4
            chosen = group.chosen(packet, payload)
            if isinstance(chosen, TcpListener):
                return chosen
        digest = blake2s(key, key=self._group_secret, digest_size=4).digest()
        return found[int.from_bytes(digest, "big") % len(found)]

    def on_icmp_error(self, error: IcmpError) -> None:
        quoted = error.quoted
        if len(quoted) < 8:
            return
        key = error.destination + error.source + quoted[2:4] + quoted[0:2]
        flow = self.flows.get(key)
        seq = int.from_bytes(quoted[4:8], "big")
        code = error.code
        if code == PORT_UNREACHABLE:
            code = CONNECTION_REFUSED
        if isinstance(flow, Request):
            if seq == flow.iss and code != MESSAGE_TOO_LONG and flow.listener is not None:
                flow.listener.drop(flow)
        elif isinstance(flow, Connection):
            seq = unwrap(seq, flow.snd_una)
            if not flow.snd_una <= seq <= flow.snd_nxt or flow.state == CLOSED:
                return  # about nothing that is on its way (RFC 5927, 4)
            if code == MESSAGE_TOO_LONG:
                self._on_smaller_path(flow, error.mtu)
            elif flow.state in (SYN_SENT, SYN_RECEIVED):
                self.counters.AttemptFails += 1
                flow.fail(code)
            else:
                flow.soft_error = code
            flow.flush_events()

    def _on_smaller_path(self, connection: Connection, mtu: int) -> None:
        """A router wants smaller packets (RFC 1191): send what was too large again, at once."""
        if not connection.options.pmtu_discovery:
            return
        if connection.route.version == 4:
            mtu = max(mtu, self.stack.settings.min_pmtu)
        elif mtu < MIN_MTU_6:
            return  # no router says so (RFC 8201, 4)
        self.stack.note_path_mtu(connection.route.destination, mtu)
        if mtu >= connection.mtu():
            self.refresh_route(connection)
            if mtu >= connection.mtu() and connection.mss <= mtu - connection.headers_size():
                return
        connection.path_mtu = mtu
        connection.update_mss()
        if connection.state in (SYN_SENT, SYN_RECEIVED):
            return
        board = connection.scoreboard
        large = [sent for sent in board.items if sent.end - sent.start > connection.mss]
        for sent in large:
            if not sent.sacked:
                board.mark_lost(sent)
        if large and connection.ca_state != CA_LOSS:
            # Recovered like a loss, but no sign of congestion (tcp_simple_retransmit).
            connection.high_seq = connection.snd_nxt
            connection.ca_state = CA_LOSS
            connection.undo_resent = -1
        push(connection, self.environment.now_ns())

    # Segments out that belong to no connection.

    def send_plain(self, route: Route, header: bytes, ttl: int, tos: int) -> None:
        """Send a segment without data; one that finds no room is lost."""
        packet = OutPacket(PROTOCOL_TCP, header, b"")
        packet.checksum_offset = CHECKSUM_OFFSET
        packet.ttl = ttl
        packet.tos = tos & ~3
        packet.dont_fragment = True
        try:
            if self.stack.is_stale(route):
                route = self.stack.find_route(route.destination, route.source)
            self.stack.send(route, packet)
        except NetError:
            return  # no way to the peer: as good as lost
        self.counters.OutSegs += 1

    def answer_with_reset(self, packet: InPacket, segment: Segment) -> None:
        """Send a RST in answer to a segment that is for nobody (RFC 9293, 3.10.7.1)."""
        if segment.flags & RST:
            return
        at = packet.transport
        ports = packet.data[at : at + 4]
        if segment.flags & ACK:
            seq, ack, flags = segment.ack, 0, RST
        else:
            seq, ack, flags = 0, segment.seq + segment.size(), RST | ACK
        header = build(
            int.from_bytes(ports[2:], "big"),
            int.from_bytes(ports[:2], "big"),
            seq,
            ack,
            flags,
            0,
            0,
            b"",
        )
        is_link_local = packet.version == 6 and packet.source[:2] == b"\xfe\x80"
        index = packet.interface.index if is_link_local else 0
        try:
            route = self.stack.find_route(packet.source, packet.destination, index)
        except NetError:
            return  # nobody to tell
        self.send_plain(route, header, 0, 0)
        self.counters.OutRsts += 1

    def reset(self, connection: Connection, now: int) -> None:
        """Tell the peer that a connection is aborted."""
        send_reset(connection, now)

    def reset_with(self, connection: Connection, seq: int, now: int) -> None:
        """Answer a segment with an unacceptable acknowledgment in SYN_RECEIVED."""
        header = build(connection.local_port, connection.remote_port, seq, 0, RST, 0, 0, b"")
        hand_over(connection, header, b"", 0, False)
        self.counters.OutRsts += 1

    # Numbers.

    def choose_isn(self, key: bytes, now: int) -> int:
        """Return an initial sequence number (RFC 6528): a clock and a keyed hash."""
        digest = blake2s(key, key=self._isn_secret, digest_size=4).digest()
        return (int.from_bytes(digest, "big") + (now >> 6)) & 0xFFFFFFFF

    def choose_ts_offset(self, key: bytes) -> int:
        """Return where the timestamp clock starts for two hosts (RFC 7323, 7.1)."""
        digest = blake2s(key[:-4], key=self._ts_secret, digest_size=4).digest()
        return int.from_bytes(digest, "big")

    def may_challenge(self, connection: Connection, now: int) -> bool:
        """Return whether a challenge ACK may be sent: limits for one connection, and for all."""
        limit = self.settings.invalid_ratelimit
        if connection.last_challenge_ns and now - connection.last_challenge_ns < limit:
            self.counters.TCPACKSkippedChallenge += 1
            return False
        second = now // SECOND
        if second != self._challenge_second:
            self._challenge_second = second
            # Not the round number that a prying peer could count to (CVE-2016-5696).
            half = self.settings.challenge_ack_limit // 2
            spread = int.from_bytes(self.environment.random_bytes(2), "big") % max(half, 1)
            self._challenges = half + spread
        if self._challenges <= 0:
            self.counters.TCPACKSkippedChallenge += 1
            return False
        self._challenges -= 1
        connection.last_challenge_ns = now
        return True

    # The life of a connection.

    def is_free(self, key: bytes) -> bool:
        """Return whether a new connection may have these four numbers (tcp_twsk_unique)."""
        flow = self.flows.get(key)
        if flow is None:
            return True
        return isinstance(flow, TimeWait) and self._may_reuse(flow)

    def _may_reuse(self, entry: TimeWait) -> bool:
        """Return whether connect may take the place of a TIME_WAIT: timestamps tell them apart."""
        reuse = self.settings.tw_reuse
        if reuse == 2:
            reuse = int(entry.route.interface.link.is_loopback)
        if not reuse or not entry.has_timestamps:
            return False
        return self.environment.now_ns() - entry.ts_recent_ns > TW_REUSE_AFTER

    def connect(
        self, options: TcpOptions, binding: Binding | None, remote: Address, source: bytes
    ) -> Connection:
        """Prepare an active open; NetError if there is no route or no port.  `start` goes on."""
        index = options.interface_index or remote.scope
        route = self.stack.find_route(remote.host, source, index, options.mark)
        if route.kind in (BROADCAST, MULTICAST):
            raise NetError(NETWORK_UNREACHABLE)
        if binding is None:
            binding = self._bind_for_connect(route, remote)
        else:
            self.ports.hold(binding)
        key = flow_key(route.source, binding.port, remote.host, remote.port)
        if not self.is_free(key):
            self.ports.release(binding)
            raise NetError(ADDRESS_NOT_AVAILABLE)
        connection = Connection(self, route, binding.port, remote.port, key)
        connection.options = options
        now = self.environment.now_ns()
        iss = self.choose_isn(key, now)
        old = self.flows.get(key)
        if isinstance(old, TimeWait):
            # Higher than all that the old one sent (tcp_twsk_unique).
            iss = (old.snd_nxt + 65535 + 2) & 0xFFFFFFFF
            self.time_waits.remove(old)
            self.counters.TWRecycled += 1
        self.adopt(connection, None)
        connection.binding = binding
        self._prepare(connection, iss)
        return connection

    def _prepare(self, connection: Connection, iss: int) -> None:
        """Choose the numbers of a new connection."""
        connection.iss = iss
        connection.snd_una = iss
        connection.snd_nxt = iss + 1
        connection.high_seq = iss
        connection.send_queue.start = connection.send_queue.end = iss + 1
        connection.ts_offset = self.choose_ts_offset(connection.key)
        connection.rcv_wnd, connection.rcv_wscale = initial_window(
            self.settings, connection.options, connection.advertised_mss()
        )
        connection.has_ecn = connection.options.ecn == 1
        connection.is_interactive = not connection.options.quickack
        connection.peer_mss = DEFAULT_MSS_4
        connection.state = SYN_SENT

    def start(self, connection: Connection) -> None:
        """Send the SYN."""
        now = self.environment.now_ns()
        connection.made_ns = now
        connection.is_deferred = False
        self.counters.ActiveOpens += 1
        send_syn(connection, now)
        connection.set_retransmit(RTX_TIMEOUT, now + connection.rtt.timeout())

    def _bind_for_connect(self, route: Route, remote: Address) -> Binding:
        """Return a binding to an ephemeral port; NetError(ADDRESS_NOT_AVAILABLE)."""
        usable = FlowFilter(self, route.source, remote.host, remote.port)
        port = self.ports.find_ephemeral(route.source, remote.host, remote.port, usable)
        if port == 0:
            raise NetError(ADDRESS_NOT_AVAILABLE)
        for binding in self.ports.bindings.get(port, ()):
            if isinstance(binding, ConnectBinding):
                self.ports.hold(binding)
                return binding
        made = ConnectBinding(route.source, port, ANY_IPV4 if route.version == 4 else ANY_IPV6)
        self.ports.bind(made)
        return made

    def adopt(self, connection: Connection, binding: Binding | None) -> None:
        """Give a connection its timer and its place in the demultiplexer."""
        connection.timer = ConnectionTimer(connection)
        self.flows[connection.key] = connection
        if binding is not None:
            self.ports.hold(binding)
            connection.binding = binding

    def forget(self, connection: Connection) -> None:
        """Take a closed connection out."""
        if self.flows.get(connection.key) is connection:
            del self.flows[connection.key]
        if connection.binding is not None:
            self.ports.release(connection.binding)
            connection.binding = None
        if connection.is_fast_open and connection.parent is not None:
            connection.parent.on_lost(connection, self.environment.now_ns())
        if connection.was_established:
            connection.was_established = False
            self.counters.CurrEstab -= 1
        if connection.is_orphan:
            connection.is_orphan = False
            self.orphans -= 1

    def on_established(self, connection: Connection, now: int) -> None:
        """A handshake is complete."""
        self.counters.CurrEstab += 1
        connection.was_established = True
        parent = connection.parent
        start_keepalive(connection, now)
        if parent is not None:
            parent.on_established(connection)

    def enter_time_wait(self, connection: Connection, now: int) -> None:
        """Put TIME_WAIT in the place of a connection that is closed on both sides."""
        binding = connection.binding
        if self.time_waits.add(connection, binding, now):
            connection.binding = None  # now held by what is left
        connection.finish()

    def become_orphan(self, connection: Connection) -> bool:
        """The user is gone; False if there are too many such connections."""
        if self.orphans >= self.settings.max_orphans:
            self.counters.TCPAbortOnMemory += 1
            return False
        self.orphans += 1
        connection.is_orphan = True
        return True

    def orphan_in_fin_wait2(self, connection: Connection, now: int) -> bool:
        """Wait for the peer's FIN without a user, for a while (TCP_LINGER2); False: not at all."""
        linger = connection.options.linger2
        if linger < 0:
            self.counters.TCPAbortOnLinger += 1
            self.reset(connection, now)
            connection.finish()
            return False
        connection.state = FIN_WAIT2
        connection.keep_deadline = now + (linger or self.settings.fin_timeout)
        connection.wake_at(connection.keep_deadline)
        return True

    def time_out(self, connection: Connection) -> None:
        """End a connection whose peer does not answer."""
        connection.fail(connection.soft_error or TIMED_OUT)

    def refresh_route(self, connection: Connection) -> Route:
        """Find the way to the peer again after something changed; NetError if there is none."""
        old = connection.route
        options = connection.options
        index = options.interface_index
        if old.version == 6 and old.destination[:2] == b"\xfe\x80":
            index = old.interface.index
        route = self.stack.find_route(old.destination, old.source, index, options.mark)
        connection.route = route
        connection.update_mss()
        return route

    def doubt_path(self, connection: Connection) -> None:
        """After several timeouts: maybe large packets vanish (RFC 4821, 7.7; RFC 2923, 2.1)."""
        if not self.settings.mtu_probing:
            return
        head = connection.scoreboard.items[0]
        if head.end - head.start <= min(connection.mss, self.settings.base_mss) // 2:
            return  # small ones vanish as well
        mss = self.settings.base_mss
        if connection.mss <= mss:
            mss = max(connection.mss // 2, self.settings.mtu_probe_floor)
        if mss >= connection.mss:
            return
        self.counters.TCPMTUPFail += 1
        extra = 12 if connection.has_timestamps else 0
        connection.path_mtu = mss + extra + connection.headers_size()
        connection.guessed_mtu_ns = self.environment.now_ns()
        connection.update_mss()

    # Listeners.

    def listen(self, listener: TcpListener) -> None:
        """Enter a listener; NetError(ADDRESS_IN_USE) if another one stands in the way."""
        binding = listener.binding
        if self.ports.conflicts(binding):
            raise NetError(ADDRESS_IN_USE)
        binding.is_listening = True
        if binding.group is not None:
            binding.group.add(listener)
        self.listeners.setdefault(binding.port, []).append(listener)

    def unlisten(self, listener: TcpListener) -> None:
        """Take a listener out, with all that waits in it."""
        listener.binding.is_listening = False
        if listener.binding.group is not None:
            listener.binding.group.remove(listener)
        entries = self.listeners.get(listener.binding.port, [])
        if listener in entries:
            entries.remove(listener)
            if not entries:
                del self.listeners[listener.binding.port]
        listener.close(self.environment.now_ns())


def _is_group(host: bytes) -> bool:
    """Return whether an address is that of a multicast group."""
    return host[0] == 0xFF if len(host) == 16 else host[0] & 0xF0 == 0xE0
