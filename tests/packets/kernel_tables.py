"""What scripts call by other names than the kernel: errors, settings, options, TCP_INFO."""

import errno
import socket
import struct

NAMES = {
    errno.ECONNREFUSED: "CONNECTION_REFUSED",
    errno.ECONNRESET: "CONNECTION_RESET",
    errno.ECONNABORTED: "CONNECTION_ABORTED",
    errno.ETIMEDOUT: "TIMED_OUT",
    errno.ENOTCONN: "NOT_CONNECTED",
    errno.EISCONN: "ALREADY_CONNECTED",
    errno.EALREADY: "ALREADY_CONNECTING",
    errno.EINVAL: "INVALID",
    errno.EPIPE: "BROKEN_PIPE",
    errno.EHOSTUNREACH: "HOST_UNREACHABLE",
    errno.ENETUNREACH: "NETWORK_UNREACHABLE",
    errno.EADDRNOTAVAIL: "ADDRESS_NOT_AVAILABLE",
    errno.EADDRINUSE: "ADDRESS_IN_USE",
    errno.ENOENT: "NOT_FOUND",
    errno.EMSGSIZE: "MESSAGE_TOO_LONG",
    errno.EPROTO: "PROTOCOL",
    errno.ENOPROTOOPT: "NO_PROTOCOL",
    errno.EHOSTDOWN: "HOST_DOWN",
}
# Settings that have another name or unit than the kernel's file below net/ipv4/tcp_.
SECONDS = {"fin_timeout", "keepalive_time", "keepalive_interval", "probe_interval"}
MILLISECONDS = {"invalid_ratelimit"}
FILES = {
    "keepalive_interval": "tcp_keepalive_intvl",
    "congestion_control": "tcp_congestion_control",
    "early_retransmit": "tcp_early_retrans",
    "moderate_receive_buffer": "tcp_moderate_rcvbuf",
}
USUAL = {
    "rmem": "4096 131072 6291456",
    "wmem": "4096 16384 4194304",
    "congestion_control": "cubic",
    "mtu_probing": "1",
    # Newer kernels send the first SYNs again without back-off,
    "syn_linear_timeouts": "0",
    # and do not acknowledge each segment out of order, or at once.
    "comp_sack_nr": "0",
    "backlog_ack_defer": "0",
    "autocorking": "0",
}
OPTIONS = {  # level, name, divisor of the value
    "nodelay": (6, socket.TCP_NODELAY),
    "cork": (6, socket.TCP_CORK),
    "user_mss": (6, socket.TCP_MAXSEG),
    "quickack": (6, socket.TCP_QUICKACK),
    "syn_count": (6, socket.TCP_SYNCNT),
    "linger2": (6, socket.TCP_LINGER2),
    "defer_accept": (6, socket.TCP_DEFER_ACCEPT),
    "window_clamp": (6, socket.TCP_WINDOW_CLAMP),
    "keepalive": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "oob_inline": (socket.SOL_SOCKET, socket.SO_OOBINLINE),
    "receive_low_water": (socket.SOL_SOCKET, socket.SO_RCVLOWAT),
    "notsent_low_water": (6, 25),
    "keepalive_count": (6, socket.TCP_KEEPCNT),
    "keepalive_idle": (6, socket.TCP_KEEPIDLE),
    "keepalive_interval": (6, socket.TCP_KEEPINTVL),
    "user_timeout": (6, socket.TCP_USER_TIMEOUT),
    "fastopen_queue": (6, socket.TCP_FASTOPEN),
    "fastopen_connect": (6, 30),
}
# struct tcp_info of linux/tcp.h.
INFO_BYTES = ("state", "ca_state", "retransmits", "probes", "backoff", "options")
INFO_WORDS = (
    "rto",
    "ato",
    "snd_mss",
    "rcv_mss",
    "unacked",
    "sacked",
    "lost",
    "retrans",
    "fackets",
    "last_data_sent",
    "last_ack_sent",
    "last_data_recv",
    "last_ack_recv",
    "pmtu",
    "rcv_ssthresh",
    "rtt",
    "rttvar",
    "snd_ssthresh",
    "snd_cwnd",
    "advmss",
    "reordering",
    "rcv_rtt",
    "rcv_space",
    "total_retrans",
)
INFO_LONGS = ("pacing_rate", "max_pacing_rate", "bytes_acked", "bytes_received")
INFO_WORDS_2 = ("segs_out", "segs_in", "notsent_bytes", "min_rtt", "data_segs_in", "data_segs_out")
INFO_LONGS_2 = ("delivery_rate", "busy_time", "rwnd_limited", "sndbuf_limited")
INFO_WORDS_3 = ("delivered", "delivered_ce")
INFO_LONGS_3 = ("bytes_sent", "bytes_retrans")
INFO_WORDS_4 = ("dsack_dups", "reord_seen", "rcv_ooopack", "snd_wnd", "rcv_wnd")


def parse_info(raw: bytes) -> dict[str, int]:
    """Return the fields of struct tcp_info."""
    found = dict(zip(INFO_BYTES, raw[:6], strict=True))
    found["snd_wscale"], found["rcv_wscale"] = raw[6] & 15, raw[6] >> 4
    at = 8
    groups = (
        (INFO_WORDS, "I"),
        (INFO_LONGS, "Q"),
        (INFO_WORDS_2, "I"),
        (INFO_LONGS_2, "Q"),
        (INFO_WORDS_3, "I"),
        (INFO_LONGS_3, "Q"),
        (INFO_WORDS_4, "I"),
    )
    for names, code in groups:
        size = struct.calcsize(code)
        for name in names:
            if at + size <= len(raw):
                found[name] = struct.unpack_from(code, raw, at)[0]
            at += size
    return found
