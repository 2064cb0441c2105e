"""struct tcp_info (linux/tcp.h), as TCP_INFO and sock_diag(7) give it."""

from struct import Struct
from typing import Final

from netstack.tcp.info import TcpInfo

_BYTES: Final = Struct("<8B")
_WORDS: Final = Struct("<24I")
_LONGS: Final = Struct("<4Q")
_COUNTS: Final = Struct("<6I")
_TIMES: Final = Struct("<4Q")
_REST: Final = Struct("<2I2Q5I4x")


def pack_tcp_info(info: TcpInfo) -> bytes:
    """Return the struct, as Linux has it since 6.2."""
    head = _BYTES.pack(
        info.state,
        info.ca_state,
        info.retransmits,
        info.probes,
        info.backoff,
        info.options,
        info.snd_wscale | info.rcv_wscale << 4,
        0,  # delivery_rate_app_limited, fastopen_client_fail
    )
    words = _WORDS.pack(
        info.rto,
        info.ato,
        info.snd_mss,
        info.rcv_mss,
        info.unacked,
        info.sacked,
        info.lost,
        info.retrans,
        info.fackets,
        _word(info.last_data_sent),
        _word(info.last_ack_sent),
        _word(info.last_data_recv),
        _word(info.last_ack_recv),
        info.pmtu,
        info.rcv_ssthresh,
        info.rtt,
        info.rttvar,
        _word(info.snd_ssthresh),
        _word(info.snd_cwnd),
        info.advmss,
        info.reordering,
        info.rcv_rtt,
        _word(info.rcv_space),
        info.total_retrans,
    )
    longs = _LONGS.pack(
        info.pacing_rate, info.max_pacing_rate, info.bytes_acked, info.bytes_received
    )
    counts = _COUNTS.pack(
        _word(info.segs_out),
        _word(info.segs_in),
        _word(info.notsent_bytes),
        info.min_rtt,
        _word(info.data_segs_in),
        _word(info.data_segs_out),
    )
    # delivery_rate, busy_time, rwnd_limited, sndbuf_limited
    times = _TIMES.pack(0, 0, 0, 0)
    rest = _REST.pack(
        _word(info.delivered),
        0,  # delivered_ce
        info.bytes_sent,
        info.bytes_retrans,
        info.dsack_dups,
        info.reord_seen,
        info.rcv_ooopack,
        _word(info.snd_wnd),
        _word(info.rcv_wnd),
    )
    return head + words + longs + counts + times + rest


def _word(value: int) -> int:
    return max(0, min(value, 0xFFFF_FFFF))
