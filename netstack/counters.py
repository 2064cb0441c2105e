"""Counters of a stack, named as in /proc/net/snmp, /proc/net/netstat and /proc/net/snmp6.

The attributes are Linux's names (RFC 4293, RFC 4113, RFC 4022); whoever shows
them looks them up by name.
"""


class IpCounters:
    """Lines `Ip:` and `IpExt:`; for IPv6 the `Ip6` lines of snmp6 (proc(5))."""

    def __init__(self) -> None:
        self.InReceives = 0
        self.InHdrErrors = 0
        self.InAddrErrors = 0
        self.ForwDatagrams = 0
        self.InUnknownProtos = 0
        self.InDiscards = 0
        self.InDelivers = 0
        self.OutRequests = 0
        self.OutDiscards = 0
        self.OutNoRoutes = 0
        self.ReasmTimeout = 0
        self.ReasmReqds = 0
        self.ReasmOKs = 0
        self.ReasmFails = 0
        self.FragOKs = 0
        self.FragFails = 0
        self.FragCreates = 0
        self.InTooBigErrors = 0
        # IpExt.
        self.InNoRoutes = 0
        self.InTruncatedPkts = 0
        self.InMcastPkts = 0
        self.OutMcastPkts = 0
        self.InBcastPkts = 0
        self.OutBcastPkts = 0
        self.InOctets = 0
        self.OutOctets = 0
        self.InMcastOctets = 0
        self.OutMcastOctets = 0
        self.InBcastOctets = 0
        self.OutBcastOctets = 0
        self.InCsumErrors = 0


class IcmpCounters:
    """Lines `Icmp:` and `IcmpMsg:`; for IPv6 the `Icmp6` lines of snmp6."""

    def __init__(self) -> None:
        self.InMsgs = 0
        self.InErrors = 0
        self.InCsumErrors = 0
        self.OutMsgs = 0
        self.OutErrors = 0
        self.OutRateLimitGlobal = 0
        self.OutRateLimitHost = 0
        self.in_types: dict[int, int] = {}  # by type: InType8 and so on
        self.out_types: dict[int, int] = {}

    def count_in(self, kind: int) -> None:
        """Count a good message of a type that came in."""
        self.in_types[kind] = self.in_types.get(kind, 0) + 1

    def count_out(self, kind: int) -> None:
        """Count a message of a type that went out."""
        self.OutMsgs += 1
        self.out_types[kind] = self.out_types.get(kind, 0) + 1


class UdpCounters:
    """Line `Udp:`; for IPv6 the `Udp6` lines of snmp6."""

    def __init__(self) -> None:
        self.InDatagrams = 0
        self.NoPorts = 0
        self.InErrors = 0
        self.OutDatagrams = 0
        self.RcvbufErrors = 0
        self.SndbufErrors = 0
        self.InCsumErrors = 0
        self.IgnoredMulti = 0
        self.MemErrors = 0


class InterfaceCounters:
    """struct rtnl_link_stats64 (rtnetlink(7)), the columns of /proc/net/dev."""

    def __init__(self) -> None:
        self.rx_packets = 0
        self.tx_packets = 0
        self.rx_bytes = 0
        self.tx_bytes = 0
        self.rx_errors = 0
        self.tx_errors = 0
        self.rx_dropped = 0
        self.tx_dropped = 0
        self.multicast = 0
        self.collisions = 0
        self.rx_nohandler = 0


class Counters:
    """All counters of a stack that belong to no protocol of their own."""

    def __init__(self) -> None:
        self.ip4 = IpCounters()
        self.ip6 = IpCounters()
        self.icmp4 = IcmpCounters()
        self.icmp6 = IcmpCounters()
        self.udp4 = UdpCounters()
        self.udp6 = UdpCounters()
        self.martians = 0
