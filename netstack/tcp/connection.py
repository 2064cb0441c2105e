"""The transmission control block (RFC 9293, 3.3.1): all that one connection knows.

Sequence numbers are unwrapped (wire/seq.py), times are nanoseconds of the
environment's clock, sizes bytes.  What happens to a connection is written in
the modules beside this one: segments.py (the state machine), ack.py and
recovery.py (what acknowledgments do), receive.py (data), send.py (output),
timers.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from netstack.endpoint import EVENT_ERR, EVENT_HUP, EVENT_IN, EVENT_OUT, EVENT_RDHUP, NO_LISTENER
from netstack.environment import Listener, Timer
from netstack.route import Route
from netstack.tcp.congestion import CongestionControl
from netstack.tcp.cubic import make_congestion_control
from netstack.tcp.options import TcpOptions
from netstack.tcp.receive_queue import Reassembly, ReceiveQueue
from netstack.tcp.rtt import RttEstimator
from netstack.tcp.scoreboard import Scoreboard
from netstack.tcp.send_queue import SendQueue
from netstack.tcp.settings import DEFAULT_MSS_4, DELAYED_ACK, INITIAL_WINDOW, MIN_MSS
from netstack.tcp.states import CA_OPEN, CLOSED, MS, NAMES, RTX_NONE, SYN_RECEIVED, SYN_SENT
from netstack.wire.tcp import fastopen_option

if TYPE_CHECKING:
    from netstack.ports import Binding
    from netstack.tcp.listener import TcpListener
    from netstack.tcp.protocol import TcpProtocol

MAX_PACKET: Final = 65535  # what the length field of IPv4 can say, whatever the MTU
NOT_SEQUENCE: Final = -(1 << 62)  # "none" where a sequence number is expected

URGENT_NONE: Final = 0
URGENT_ANNOUNCED: Final = 1  # the pointer was seen, the byte not yet
URGENT_VALID: Final = 2  # the byte is here
URGENT_READ: Final = 3


def advertised_mss(route: Route, options: TcpOptions) -> int:
    """Return the MSS for a SYN of ours (RFC 9293, 3.7.1: from the interface's MTU)."""
    mtu = min(route.mtu or MAX_PACKET, route.interface.mtu, MAX_PACKET)
    mss = mtu - (40 if route.version == 4 else 60)
    if options.user_mss:
        mss = min(mss, options.user_mss)
    return max(min(mss, 65535), MIN_MSS)


def receive_space(options: TcpOptions) -> int:
    """Return the largest window that a receive buffer stands for.

    Half of the buffer is left for overhead, as tcp_adv_win_scale 1 of Linux.
    """
    space = options.receive_buffer // 2
    if options.window_clamp:
        space = min(space, options.window_clamp)
    return space


class Flow:
    """What the demultiplexer finds by addresses and ports."""

    def __init__(self, key: bytes) -> None:
        self.key = key  # local and remote address and port, as `flow_key` makes it


@mypyc_attr(allow_interpreted_subclasses=True)
class LateAcks:
    """Who knows when users are about to read, and has acknowledgments go with what that brings."""

    def hold(self, connection: Connection) -> bool:
        """Have `send_late_ack` (receive.py) called very soon; False: do not wait."""
        return False


class Connection(Flow):
    """One connection, from connect or the end of the handshake until it is closed."""

    def __init__(
        self, protocol: TcpProtocol, route: Route, local_port: int, remote_port: int, key: bytes
    ) -> None:
        super().__init__(key)
        self.protocol = protocol
        self.environment = protocol.environment
        self.route = route
        self.local_port = local_port
        self.remote_port = remote_port
        self.options = TcpOptions(protocol.settings)
        self.listener: Listener = NO_LISTENER
        self.is_orphan = False  # no endpoint any more
        self.binding: Binding | None = None  # the port, given back at the end
        self.parent: TcpListener | None = None  # until the handshake is complete
        self.was_established = False  # counted in CurrEstab
        self.state = CLOSED
        self.error = 0  # NetError code for the user
        self.soft_error = 0  # what ICMP said; told if the connection times out
        self.events = 0  # EVENT_ bits to be told at the end of the processing
        self.read_shut = False
        self.write_shut = False
        self.made_ns = self.environment.now_ns()

        # Timers (timers.py): one for all deadlines; 0: not set.
        self.timer: Timer = NO_TIMER
        self.rtx_deadline = 0
        self.rtx_kind = RTX_NONE
        self.ack_deadline = 0
        self.keep_deadline = 0  # keepalive, or the end of FIN_WAIT2
        self.waits_for_room = False

        # Sending.
        self.iss = 0
        self.snd_una = 0
        self.snd_nxt = 0
        self.snd_wnd = 0
        self.snd_wl1 = 0
        self.snd_wl2 = 0
        self.max_window = 0
        self.snd_wscale = 0
        self.mss = DEFAULT_MSS_4  # payload of a full segment, options of every segment taken off
        self.peer_mss = DEFAULT_MSS_4
        self.path_mtu = 0  # 0: the route's
        self.guessed_mtu_ns = 0  # when it was lowered on suspicion of a black hole
        self.send_queue = SendQueue(0, protocol.blocks)
        self.fin_seq = NOT_SEQUENCE  # of our FIN, once it is queued
        self.small_end = 0  # end of the last small segment (Minshall)
        self.urgent_end = NOT_SEQUENCE  # behind the last urgent byte that was written
        self.overrides_cork = False  # for what was written before TCP_NODELAY was set
        self.more_follows = False  # MSG_MORE at the last write
        self.in_burst = False  # the user is about to write more: packets may wait to be full
        self.last_sent_ns = 0  # of the last data
        # TCP Fast Open (fastopen.py).
        self.syn_cookie: bytes | None = None  # what our SYN said: empty asks; None: no option
        self.syn_data = 0  # bytes that our SYN carried, or that wait for it
        self.syn_data_acked = False
        self.is_deferred = False  # TCP_FASTOPEN_CONNECT: the SYN waits for the first write
        self.is_fast_open = False  # made by a SYN with a cookie: data flows in SYN_RECEIVED
        self.cwnd_limited = False
        self.max_in_flight = 0  # since the window was last full
        self.probes = 0  # of a zero window, unanswered
        self.window_full_since = 0  # for the user timeout
        self.send_needs_room = False  # a writer was refused and waits for EVENT_OUT

        # Receiving.
        self.irs = 0
        self.rcv_nxt = 0
        self.rcv_wup = 0  # rcv_nxt at the last acknowledgment sent
        self.rcv_wnd = 0  # advertised from rcv_wup
        self.rcv_wscale = 0
        self.copied_seq = 0  # next byte for the user
        self.receive_queue = ReceiveQueue()
        self.reassembly = Reassembly()
        self.fin_received = False
        self.fin_behind_hole = NOT_SEQUENCE  # where the FIN is, when it came out of order
        self.rcv_mss = DEFAULT_MSS_4  # what the peer's full segments have
        self.dsack: tuple[int, int] | None = None  # to be reported once (RFC 2883)
        self.ack_now = False
        self.ack_is_late = False  # one is due, and left to `LateAcks`
        self.quick_acks = 0
        self.ack_timeout = DELAYED_ACK  # how long an acknowledgment may wait, adapted to the peer
        self.is_interactive = False  # answers go with data: acknowledgments may wait
        self.last_received_ns = 0
        self.urgent_state = URGENT_NONE
        self.urgent_seq = 0
        self.urgent_byte = 0
        # Receive-buffer tuning.
        self.rcv_rtt = 0
        self.rcv_rtt_seq = 0
        self.rcv_rtt_ns = 0
        self.space_seq = 0
        self.space_ns = 0
        self.space_bytes = 0

        # What was agreed on.
        self.has_timestamps = False
        self.has_sack = False
        self.has_ecn = False
        self.ts_offset = 0
        self.ts_recent = 0
        self.ts_recent_ns = 0
        self.last_ack_sent = 0

        # Loss recovery (recovery.py).
        self.congestion: CongestionControl = CongestionControl(self.mss, self.mss)
        self.scoreboard = Scoreboard()
        self.rtt = RttEstimator()
        self.ca_state = CA_OPEN
        self.high_seq = 0  # where the episode ends
        self.delivered = 0
        self.duplicate_acks = 0
        self.reno_sacked = 0  # bytes that duplicate acknowledgments stand for, without SACK
        self.last_sack: list[tuple[int, int]] = []
        self.prr_base = 0
        self.prr_delivered = 0
        self.prr_out = 0
        self.undo_marker = NOT_SEQUENCE
        self.undo_resent = -1  # segments sent again that no DSACK told to be needless; -1: none
        self.retransmit_ts = 0  # timestamp of the episode's first retransmission; 0: none
        self.frto_end = NOT_SEQUENCE  # RFC 5682: what was sent before the timeout ends here
        self.frto_holds = False  # new data now, no retransmissions
        self.retransmits = 0  # timeouts in a row
        self.first_timeout_ns = 0  # when the segment that timed out was sent first
        self.syn_retransmits = 0
        self.rack_ns = 0
        self.rack_end = 0
        self.rack_rtt = 0
        self.rack_fack = 0
        self.reordering_seen = False
        self.reo_multiplier = 1
        self.reo_persist = 0
        self.reo_round_end = NOT_SEQUENCE
        self.dsack_in_round = False
        self.tlp_end = NOT_SEQUENCE
        self.tlp_is_resent = False
        self.ecn_send_cwr = False
        self.ecn_demand = False  # we saw CE: ECE on every acknowledgment until CWR

        # Keepalive.
        self.keep_probes = 0
        # Rate limit of answers to bad segments (RFC 5961, 5).
        self.last_challenge_ns = 0

        # TCP_INFO.
        self.bytes_acked = 0
        self.bytes_sent = 0
        self.bytes_resent = 0
        self.bytes_received = 0
        self.segments_in = 0
        self.segments_out = 0
        self.data_segments_in = 0
        self.data_segments_out = 0
        self.total_resent = 0
        self.dsacks_seen = 0
        self.reorders_seen = 0
        self.last_ack_received_ns = 0
        self.out_of_order = 0

    def __repr__(self) -> str:
        return (
            f"Connection({NAMES[self.state]} {self.route.source.hex()}:{self.local_port} "
            f"{self.route.destination.hex()}:{self.remote_port})"
        )

    # Timers.

    def set_retransmit(self, kind: int, deadline: int) -> None:
        """Set the retransmission timer, for the purpose that `kind` names."""
        self.rtx_kind = kind
        self.rtx_deadline = deadline
        self.wake_at(deadline)

    def stop_retransmit(self) -> None:
        """Stop the retransmission timer."""
        self.rtx_kind = RTX_NONE
        self.rtx_deadline = 0

    def wake_at(self, deadline: int) -> None:
        """Make sure that the timer fires at `deadline` at the latest.

        A later deadline than the one it is armed for costs nothing: the timer
        then fires early and arms itself again.
        """
        armed = self.timer.deadline_ns
        if armed == 0 or deadline < armed:
            self.environment.arm(self.timer, deadline)

    # The user.

    def notify(self, events: int) -> None:
        """Note that EVENT_ bits became true; told by `flush_events`."""
        self.events |= events

    def flush_events(self) -> None:
        """Tell the user what was noted, now that all state is consistent."""
        events = self.events
        if events:
            self.events = 0
            self.listener.on_events(events)

    def fail(self, error: int) -> None:
        """End the connection at once with an error for the user (0: none)."""
        if error and not self.error:
            self.error = error
        self.finish()
        if error:
            self.notify(EVENT_ERR | EVENT_IN | EVENT_OUT | EVENT_HUP | EVENT_RDHUP)

    def finish(self) -> None:
        """Go to CLOSED: leave the demultiplexer, stop the timers, drop what was to be sent."""
        if self.state != CLOSED:
            self.state = CLOSED
            self.notify(EVENT_IN | EVENT_OUT | EVENT_HUP | EVENT_RDHUP)
        self.write_shut = True
        self.read_shut = True
        self.environment.disarm(self.timer)
        self.rtx_deadline = self.ack_deadline = self.keep_deadline = 0
        self.rtx_kind = RTX_NONE
        self.send_queue.clear()
        self.scoreboard.clear()
        self.reassembly.clear()
        self.protocol.forget(self)

    def is_opening(self) -> bool:
        """Return whether the handshake has to end before data may flow."""
        return self.state == SYN_SENT or (self.state == SYN_RECEIVED and not self.is_fast_open)

    def fast_open_parts(self) -> tuple[bytes, bytes]:
        """Return option and data of our first SYN or SYN-ACK; later ones have neither."""
        if self.syn_retransmits:
            return b"", b""
        option = b"" if self.syn_cookie is None else fastopen_option(self.syn_cookie)
        return option, bytes(self.send_queue.read(self.iss + 1, self.syn_data))

    # Sizes.

    def use_congestion_control(self, name: str) -> bool:
        """Change the algorithm (TCP_CONGESTION); False if there is none of that name."""
        old = self.congestion
        made = make_congestion_control(name, old.mss, old.cwnd)
        if made is None:
            return False
        made.ssthresh = old.ssthresh
        self.congestion = made
        self.options.congestion_control = name
        return True

    def headers_size(self) -> int:
        """Return the size of the IP and TCP headers without options."""
        return 40 if self.route.version == 4 else 60

    def mtu(self) -> int:
        """Return the largest packet that the path takes, as far as is known."""
        route = self.route
        mtu = min(route.mtu or MAX_PACKET, route.interface.mtu, MAX_PACKET)
        if self.path_mtu:
            mtu = min(mtu, self.path_mtu)
        return mtu

    def advertised_mss(self) -> int:
        """Return the MSS for our SYN."""
        return advertised_mss(self.route, self.options)

    def update_mss(self) -> None:
        """Compute the size of full segments anew from the peer's MSS and the path's MTU."""
        mss = min(self.peer_mss, self.mtu() - self.headers_size())
        if self.options.user_mss:
            mss = min(mss, self.options.user_mss)
        if self.has_timestamps:
            mss -= 12
        # No segment larger than half of what the peer ever offered: it could
        # never be acknowledged without waiting (RFC 9293, 3.8.6.2.1).
        if self.max_window > 0:
            half = self.max_window // 2 if self.max_window > DEFAULT_MSS_4 else self.max_window
            mss = min(mss, max(half, 68 - 20))
        self.mss = max(mss, MIN_MSS - 12)
        if self.congestion.mss != self.mss:
            self.congestion.set_mss(self.mss)

    def start_congestion_control(self) -> None:
        """Begin with the initial window (RFC 6928; after a lost SYN one segment, RFC 5681, 3.1)."""
        segments = 1 if self.syn_retransmits > 1 else INITIAL_WINDOW
        window = segments * self.mss
        made = make_congestion_control(self.options.congestion_control, self.mss, window)
        if made is None:
            made = CongestionControl(self.mss, window)
        self.congestion = made

    def ts_now(self, now: int) -> int:
        """Return our timestamp clock: milliseconds from a secret offset (RFC 7323, 5.4)."""
        return (now // MS + self.ts_offset) & 0xFFFFFFFF

    # Windows.

    def receive_space(self) -> int:
        """Return the largest window that the receive buffer stands for."""
        return receive_space(self.options)

    def receive_window(self) -> int:
        """Return what the peer may still send."""
        return max(self.rcv_wup + self.rcv_wnd - self.rcv_nxt, 0)

    def unread(self) -> int:
        """Return the bytes that the user has not read."""
        return self.receive_queue.size

    def packets(self, size: int) -> int:
        """Return how many full segments `size` bytes are."""
        return (size + self.mss - 1) // self.mss if size > 0 else 0

    def in_flight(self) -> int:
        """Return the bytes thought to be in the network."""
        return max(self.scoreboard.in_flight() - self.reno_sacked, 0)

    def send_room(self) -> int:
        """Return how much a write takes now."""
        return max(self.options.send_buffer - self.send_queue.size(), 0)

    def is_writable(self) -> bool:
        """Return whether poll says so: a third of the buffer is free (sk_stream_is_writeable)."""
        size = self.send_queue.size()
        if self.options.notsent_low_water:
            unsent = self.send_queue.end - max(self.snd_nxt, self.send_queue.start)
            if 2 * unsent >= self.options.notsent_low_water:
                return False
        return self.options.send_buffer - size >= size // 2 and size < self.options.send_buffer


class NoTimer(Timer):
    """In the place of a connection's timer until it has one."""

    def fire(self) -> None:
        """Never called: it is never armed."""


def sack_blocks(connection: Connection) -> list[tuple[int, int]]:
    """Return the blocks to report: a DSACK first (RFC 2883), then the newest ones."""
    most = 3 if connection.has_timestamps else 4
    blocks: list[tuple[int, int]] = []
    if connection.dsack is not None:
        blocks.append(connection.dsack)
    blocks.extend(connection.reassembly.blocks[: most - len(blocks)])
    return blocks


def sack_size(connection: Connection) -> int:
    """Return the size of the SACK option that a segment would carry now."""
    if not connection.has_sack:
        return 0
    if connection.dsack is None and not connection.reassembly.blocks:
        return 0
    return 4 + 8 * len(sack_blocks(connection))


NO_TIMER: Final = NoTimer()
