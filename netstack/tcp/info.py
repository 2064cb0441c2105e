"""TCP_INFO: what a connection tells about itself (tcp(7), struct tcp_info of linux/tcp.h)."""

from typing import Final

from netstack.tcp.congestion import INFINITE
from netstack.tcp.connection import Connection

OPTION_TIMESTAMPS: Final = 1  # TCPI_OPT_
OPTION_SACK: Final = 2
OPTION_WSCALE: Final = 4
OPTION_ECN: Final = 8
OPTION_SYN_DATA: Final = 32


class TcpInfo:
    """The fields of struct tcp_info, without their prefix.

    Times are microseconds; the four `last_` are milliseconds.
    """

    def __init__(self) -> None:
        self.state = 0
        self.ca_state = 0
        self.retransmits = 0
        self.probes = 0
        self.backoff = 0
        self.options = 0
        self.snd_wscale = 0
        self.rcv_wscale = 0
        self.rto = 0
        self.ato = 0
        self.snd_mss = 0
        self.rcv_mss = 0
        self.unacked = 0
        self.sacked = 0
        self.lost = 0
        self.retrans = 0
        self.fackets = 0
        self.last_data_sent = 0  # ms
        self.last_ack_sent = 0
        self.last_data_recv = 0
        self.last_ack_recv = 0
        self.pmtu = 0
        self.rcv_ssthresh = 0
        self.rtt = 0
        self.rttvar = 0
        self.snd_ssthresh = 0
        self.snd_cwnd = 0
        self.advmss = 0
        self.reordering = 3
        self.rcv_rtt = 0
        self.rcv_space = 0
        self.total_retrans = 0
        self.pacing_rate = 0xFFFFFFFFFFFFFFFF  # not paced
        self.max_pacing_rate = 0xFFFFFFFFFFFFFFFF
        self.bytes_acked = 0
        self.bytes_received = 0
        self.segs_out = 0
        self.segs_in = 0
        self.notsent_bytes = 0
        self.min_rtt = 0
        self.data_segs_in = 0
        self.data_segs_out = 0
        self.delivered = 0
        self.bytes_sent = 0
        self.bytes_retrans = 0
        self.dsack_dups = 0
        self.reord_seen = 0
        self.rcv_ooopack = 0
        self.snd_wnd = 0
        self.rcv_wnd = 0


def _milliseconds_since(then: int, now: int) -> int:
    return (now - then) // 1_000_000 if then else 0


def fill(connection: Connection, now: int) -> TcpInfo:
    """Return the state of a connection."""
    info = TcpInfo()
    board = connection.scoreboard
    control = connection.congestion
    rtt = connection.rtt
    mss = max(connection.mss, 1)
    info.state = connection.state
    info.ca_state = connection.ca_state
    info.retransmits = min(connection.retransmits, 255)
    info.probes = min(connection.probes or connection.keep_probes, 255)
    info.backoff = min(rtt.backoff, 255)
    info.options = (
        OPTION_TIMESTAMPS * connection.has_timestamps
        + OPTION_SACK * connection.has_sack
        + OPTION_WSCALE * bool(connection.snd_wscale or connection.rcv_wscale)
        + OPTION_ECN * connection.has_ecn
        + OPTION_SYN_DATA * connection.syn_data_acked
    )
    info.snd_wscale = connection.snd_wscale
    info.rcv_wscale = connection.rcv_wscale
    info.rto = rtt.timeout() // 1000
    info.ato = connection.ack_timeout // 1000
    info.snd_mss = connection.mss
    info.rcv_mss = connection.rcv_mss
    info.unacked = connection.packets(connection.snd_nxt - connection.snd_una)
    info.sacked = connection.packets(board.sacked_bytes + connection.reno_sacked)
    info.lost = connection.packets(board.lost_bytes)
    info.retrans = connection.packets(board.resent_bytes)
    info.last_data_sent = _milliseconds_since(connection.last_sent_ns, now)
    info.last_data_recv = _milliseconds_since(connection.last_received_ns, now)
    info.last_ack_recv = _milliseconds_since(connection.last_ack_received_ns, now)
    info.pmtu = connection.mtu()
    info.rcv_ssthresh = connection.receive_space()
    info.rtt = rtt.srtt // 1000
    info.rttvar = rtt.rttvar // 1000
    info.min_rtt = rtt.minimum() // 1000 if rtt.minimum() else 0xFFFFFFFF
    info.snd_cwnd = max(control.cwnd // mss, 1)
    info.snd_ssthresh = INFINITE if control.ssthresh == INFINITE else control.ssthresh // mss
    info.advmss = connection.advertised_mss()
    info.rcv_rtt = connection.rcv_rtt // 1000
    info.rcv_space = connection.space_bytes or connection.receive_space()
    _fill_counts(info, connection)
    return info


def _fill_counts(info: TcpInfo, connection: Connection) -> None:
    """Fill what was counted."""
    info.total_retrans = connection.total_resent
    info.bytes_acked = connection.bytes_acked
    info.bytes_received = connection.bytes_received
    info.segs_out = connection.segments_out
    info.segs_in = connection.segments_in
    info.notsent_bytes = max(connection.send_queue.end - connection.snd_nxt, 0)
    info.data_segs_in = connection.data_segments_in
    info.data_segs_out = connection.data_segments_out
    info.delivered = connection.packets(connection.delivered)
    info.bytes_sent = connection.bytes_sent
    info.bytes_retrans = connection.bytes_resent
    info.dsack_dups = connection.dsacks_seen
    info.reord_seen = connection.reorders_seen
    info.rcv_ooopack = connection.out_of_order
    info.snd_wnd = connection.snd_wnd
    info.rcv_wnd = connection.receive_window()
