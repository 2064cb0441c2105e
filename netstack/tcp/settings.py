"""The settings of TCP: /proc/sys/net/ipv4/tcp_*, with Linux's defaults (tcp(7), ip-sysctl.rst)."""

from typing import Final

from netstack.tcp.states import MS, SECOND

TCP_RTO_MIN: Final = 200 * MS
TCP_RTO_MAX: Final = 120 * SECOND
RTO_INITIAL: Final = SECOND  # RFC 6298, 2.1
SYN_AGAIN: Final = 8 * MS  # after a bad answer to a SYN: TCP_TIMEOUT_MIN, two ticks of Linux
RTO_AFTER_LOST_SYN: Final = 3 * SECOND  # RFC 6298, 5.7
DELAYED_ACK: Final = 40 * MS  # TCP_DELACK_MIN of Linux
DELAYED_ACK_MAX: Final = 200 * MS
CORK_TIME: Final = 200 * MS  # tcp(7), TCP_CORK
TIME_WAIT_TIME: Final = 60 * SECOND
INITIAL_WINDOW: Final = 10  # segments, RFC 6928
MIN_MSS: Final = 48  # TCP_MIN_SND_MSS of Linux: 88 with 40 bytes of options
DEFAULT_MSS_4: Final = 536  # RFC 9293, 3.7.1
DEFAULT_MSS_6: Final = 1220
PAWS_IDLE: Final = 24 * 86400 * SECOND  # RFC 7323, 5.5


# Bits of tcp_fastopen.
FASTOPEN_CLIENT: Final = 1
FASTOPEN_SERVER: Final = 2
FASTOPEN_CLIENT_NO_COOKIE: Final = 4
FASTOPEN_SERVER_NO_COOKIE: Final = 0x200
FASTOPEN_ALL_LISTENERS: Final = 0x400  # TCP_FASTOPEN is not needed


class TcpSettings:
    """Values of one stack."""

    def __init__(self) -> None:
        self.rmem_min = 4096
        self.rmem_default = 131072
        self.rmem_max = 6291456
        self.wmem_min = 4096
        self.wmem_default = 16384
        self.wmem_max = 4194304
        self.moderate_receive_buffer = True
        self.window_scaling = True
        self.sack = True
        self.dsack = True
        self.timestamps = True
        self.ecn = 2  # 0: never, 1: asked for, 2: only when the peer asks
        self.recovery = 1  # 0: RFC 6675 alone, 1: RACK (RFC 8985)
        self.early_retransmit = 3  # 0: no tail loss probes
        self.frto = 2
        self.congestion_control = "cubic"
        self.slow_start_after_idle = True
        self.limited_transmit = True
        self.syn_retries = 6
        self.synack_retries = 5
        self.retries1 = 3  # timeouts after which the path is doubted
        self.retries2 = 15
        self.orphan_retries = 8
        self.max_orphans = 4096
        self.syncookies = 1  # 0: never, 1: when the queue overflows, 2: always
        self.max_syn_backlog = 4096
        self.somaxconn = 4096
        self.abort_on_overflow = False
        self.max_tw_buckets = 16384
        self.fastopen = FASTOPEN_CLIENT
        self.tw_reuse = 2  # for connect: 0: never, 1: always, 2: on loopback
        self.rfc1337 = False
        self.fin_timeout = 60 * SECOND
        self.keepalive_time = 7200 * SECOND
        self.keepalive_interval = 75 * SECOND
        self.keepalive_probes = 9
        self.mtu_probing = 1  # 0: no, 1: when a black hole is suspected
        self.base_mss = 1024
        self.mtu_probe_floor = 512
        self.probe_interval = 600 * SECOND  # after which larger packets are tried again
        self.challenge_ack_limit = 1000  # a second
        self.invalid_ratelimit = 500 * MS
