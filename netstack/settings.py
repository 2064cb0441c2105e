"""The settings of a stack: the sysctls below net/, with their defaults (ip-sysctl.rst of Linux)."""

from typing import Final

SECOND_NS: Final = 1_000_000_000


class Settings:
    """Values of one network namespace; names are those of the files below /proc/sys/net."""

    def __init__(self) -> None:
        # net.ipv4
        self.ip_forward = False
        self.ip_default_ttl = 64
        self.ip_local_port_low = 32768
        self.ip_local_port_high = 60999
        self.ip_local_reserved_ports: frozenset[int] = frozenset()
        self.ip_unprivileged_port_start = 1024
        self.ip_nonlocal_bind = False
        self.ip_no_pmtu_disc = 0
        self.min_pmtu = 552
        self.mtu_expires_ns = 600 * SECOND_NS
        self.icmp_echo_ignore_all = False
        self.icmp_echo_ignore_broadcasts = True
        self.icmp_ratelimit_ms = 1000
        self.icmp_ratemask = 0x1818  # unreachable, source quench, time exceeded, parameter problem
        self.icmp_msgs_per_sec = 1000
        self.icmp_msgs_burst = 50
        self.ipfrag_high_thresh = 4 << 20
        self.ipfrag_time_ns = 30 * SECOND_NS
        self.igmp_max_memberships = 20
        self.igmp_max_msf = 10
        self.ping_group_low = 1  # net.ipv4.ping_group_range: nobody
        self.ping_group_high = 0
        self.rp_filter = 0
        self.promote_secondaries = False
        # net.ipv4.neigh.default
        self.gc_thresh3 = 1024
        self.base_reachable_time_ns = 30 * SECOND_NS
        self.retrans_time_ns = SECOND_NS
        self.delay_first_probe_time_ns = 5 * SECOND_NS
        self.gc_stale_time_ns = 60 * SECOND_NS
        self.mcast_solicit = 3
        self.ucast_solicit = 3
        self.unres_qlen_bytes = 212992
        # net.ipv6
        self.ipv6_forwarding = False
        self.ipv6_hop_limit = 64
        self.ipv6_disable = False
        # net.core
        self.rmem_default = 212992
        self.rmem_max = 212992
        self.wmem_default = 212992
        self.wmem_max = 212992
