"""The options of a TCP socket (tcp(7), socket(7)); a connection shares them with its endpoint."""

from netstack.packet import FrameFilter
from netstack.tcp.settings import TcpSettings


class TcpOptions:
    """Values that a user may set; what has an effect at once goes through `TcpEndpoint`."""

    def __init__(self, settings: TcpSettings) -> None:
        self.nodelay = False
        self.cork = False
        self.quickack = True  # TCP_QUICKACK as it was set before there was a connection
        self.user_mss = 0  # TCP_MAXSEG; 0: none
        self.keepalive = False
        self.keepalive_idle = settings.keepalive_time
        self.keepalive_interval = settings.keepalive_interval
        self.keepalive_count = settings.keepalive_probes
        self.user_timeout = 0  # nanoseconds; 0: the retries decide
        self.syn_count = 0  # TCP_SYNCNT; 0: tcp_syn_retries
        self.linger2 = 0  # nanoseconds of FIN_WAIT2; 0: tcp_fin_timeout, negative: none at all
        self.defer_accept = 0  # retransmissions of the SYN-ACK, as Linux keeps it
        self.window_clamp = 0
        self.free_bind = False  # IP_FREEBIND, IP_TRANSPARENT
        self.linger_enabled = False  # SO_LINGER
        self.linger_seconds = 0
        self.oob_inline = False
        self.receive_low_water = 1
        self.notsent_low_water = 0  # TCP_NOTSENT_LOWAT; 0: none
        self.receive_buffer = settings.rmem_default
        self.receive_buffer_locked = False  # set by SO_RCVBUF: not tuned any more
        self.send_buffer = settings.wmem_default
        self.send_buffer_locked = False
        self.congestion_control = settings.congestion_control
        self.ttl = 0
        self.tos = 0
        self.flow_label = 0
        self.pmtu_discovery = True  # IP_PMTUDISC_WANT, IP_PMTUDISC_DO
        self.reuse_address = False
        self.reuse_port = False
        self.v6_only = False
        self.interface_index = 0  # SO_BINDTODEVICE
        self.mark = 0
        self.user = -1  # user and group that made the socket, for rules
        self.group = -1
        self.ecn = settings.ecn
        self.fastopen_queue = 0  # TCP_FASTOPEN: how many may wait for the handshake's end
        self.fastopen_connect = False  # TCP_FASTOPEN_CONNECT
        self.fastopen_no_cookie = False  # TCP_FASTOPEN_NO_COOKIE
        self.fastopen_keys: list[bytes] = []  # TCP_FASTOPEN_KEY; none: the stack's
        self.filter: FrameFilter | None = None  # SO_ATTACH_FILTER

    def copy(self) -> "TcpOptions":
        """Return the options that an accepted connection inherits."""
        made = TcpOptions(_DEFAULTS)
        made.nodelay = self.nodelay
        made.cork = self.cork
        made.user_mss = self.user_mss
        made.keepalive = self.keepalive
        made.keepalive_idle = self.keepalive_idle
        made.keepalive_interval = self.keepalive_interval
        made.keepalive_count = self.keepalive_count
        made.user_timeout = self.user_timeout
        made.syn_count = self.syn_count
        made.linger2 = self.linger2
        made.defer_accept = self.defer_accept
        made.window_clamp = self.window_clamp
        made.free_bind = self.free_bind
        made.linger_enabled = self.linger_enabled
        made.linger_seconds = self.linger_seconds
        made.oob_inline = self.oob_inline
        made.receive_low_water = self.receive_low_water
        made.notsent_low_water = self.notsent_low_water
        made.receive_buffer = self.receive_buffer
        made.receive_buffer_locked = self.receive_buffer_locked
        made.send_buffer = self.send_buffer
        made.send_buffer_locked = self.send_buffer_locked
        made.congestion_control = self.congestion_control
        made.ttl = self.ttl
        made.tos = self.tos
        made.flow_label = self.flow_label
        made.pmtu_discovery = self.pmtu_discovery
        made.reuse_address = self.reuse_address
        made.reuse_port = self.reuse_port
        made.v6_only = self.v6_only
        made.interface_index = self.interface_index
        made.mark = self.mark
        made.user = self.user
        made.group = self.group
        made.ecn = self.ecn
        made.filter = self.filter
        return made


_DEFAULTS = TcpSettings()
