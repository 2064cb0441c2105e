"""Files of /proc/net about interfaces, addresses, routes and counters (proc(5))."""

from typing import Final

from netstack.counters import IcmpCounters, InterfaceCounters
from netstack.interface import IFF_NOARP
from netstack.neighbour import NUD_PERMANENT, NUD_VALID
from netstack.route import BLACKHOLE, LOCAL, MULTICAST, PROHIBIT, UNREACHABLE, RouteEntry
from sentry.socket.interface_numbers import hardware_type
from sentry.socket.iptables import Iptables
from sentry.socket.net_namespace import NetText, NetworkNamespace


def words(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


IP_NAMES: Final = words(
    "InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers "
    "OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs "
    "FragFails FragCreates"
)
IP_EXTENDED: Final = words(
    "InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets "
    "OutOctets InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets InCsumErrors"
)
UDP_NAMES: Final = words(
    "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
    "IgnoredMulti MemErrors"
)
TCP_NAMES: Final = words(
    "ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs "
    "InErrs OutRsts InCsumErrors"
)
TCP_EXTENDED: Final = words(
    "SyncookiesSent SyncookiesRecv SyncookiesFailed TW TWRecycled PAWSActive PAWSEstab "
    "DelayedACKs DelayedACKLost ListenOverflows ListenDrops TCPHPHits TCPPureAcks "
    "TCPRenoRecovery TCPSackRecovery TCPSACKReneging TCPSACKReorder TCPTSReorder TCPFullUndo "
    "TCPDSACKUndo TCPLossUndo TCPLostRetransmit TCPFastRetrans TCPSlowStartRetrans "
    "TCPTimeouts TCPLossProbes TCPLossProbeRecovery TCPRcvCollapsed TCPDSACKOldSent "
    "TCPDSACKOfoSent TCPDSACKRecv TCPAbortOnData TCPAbortOnClose TCPAbortOnMemory "
    "TCPAbortOnTimeout TCPAbortOnLinger TCPSpuriousRTOs TCPDeferAcceptDrop "
    "TCPTimeWaitOverflow TCPReqQFullDoCookies TCPReqQFullDrop TCPRcvQDrop TCPOFOQueue "
    "TCPOFODrop TCPOFOMerge TCPChallengeACK TCPSYNChallenge TCPFromZeroWindowAdv "
    "TCPToZeroWindowAdv TCPWantZeroWindowAdv TCPOrigDataSent TCPHystartTrainDetect "
    "TCPHystartDelayDetect TCPACKSkippedSynRecv TCPACKSkippedPAWS TCPACKSkippedSeq "
    "TCPACKSkippedFinWait2 TCPACKSkippedTimeWait TCPACKSkippedChallenge TCPKeepAlive "
    "TCPMTUPFail TCPDelivered TCPDeliveredCE TCPZeroWindowDrop TCPFastOpenActive "
    "TCPFastOpenActiveFail TCPFastOpenPassive TCPFastOpenPassiveFail TCPFastOpenListenOverflow "
    "TCPFastOpenCookieReqd TCPFastOpenPassiveAltKey"
)
ICMP_IN: Final = (
    ("DestUnreachs", 3),
    ("TimeExcds", 11),
    ("ParmProbs", 12),
    ("SrcQuenchs", 4),
    ("Redirects", 5),
    ("Echos", 8),
    ("EchoReps", 0),
    ("Timestamps", 13),
    ("TimestampReps", 14),
    ("AddrMasks", 17),
    ("AddrMaskReps", 18),
)
RTF_UP: Final = 0x1
RTF_GATEWAY: Final = 0x2
RTF_HOST: Final = 0x4
RTF_REJECT: Final = 0x200
RTF_NONEXTHOP: Final = 0x00200000
RTF_LOCAL: Final = 0x80000000
RTF_ANYCAST: Final = 0x00100000


def counter(counters: object, name: str) -> int:
    """Return a counter by its name, 0 if this stack does not count that."""
    value: int = getattr(counters, name, 0)
    return value


def _two_lines(title: str, values: list[tuple[str, int]]) -> str:
    names = " ".join(name for name, _ in values)
    numbers = " ".join(str(value) for _, value in values)
    return f"{title}: {names}\n{title}: {numbers}\n"


class SnmpText(NetText):
    """/proc/net/snmp (RFC 4293, RFC 4022, RFC 4113)."""

    def generate(self) -> bytes:
        stack = self.namespace.stack
        settings = stack.settings
        ip = stack.counters.ip4
        rows = [
            ("Forwarding", 1 if settings.ip_forward else 2),
            ("DefaultTTL", settings.ip_default_ttl),
            *((name, counter(ip, name)) for name in IP_NAMES),
            ("OutTransmits", ip.OutRequests + ip.ForwDatagrams),
        ]
        text = _two_lines("Ip", rows)
        text += _two_lines("Icmp", icmp_rows(stack.counters.icmp4))
        text += _icmp_messages(stack.counters.icmp4)
        tcp = self.namespace.tcp.counters
        fixed = [("RtoAlgorithm", 1), ("RtoMin", 200), ("RtoMax", 120000), ("MaxConn", -1)]
        text += _two_lines("Tcp", fixed + [(name, counter(tcp, name)) for name in TCP_NAMES])
        udp = stack.counters.udp4
        text += _two_lines("Udp", [(name, counter(udp, name)) for name in UDP_NAMES])
        text += _two_lines("UdpLite", [(name, 0) for name in UDP_NAMES])
        return text.encode()


def icmp_rows(counters: IcmpCounters) -> list[tuple[str, int]]:
    """Return the columns of the line `Icmp:`."""
    received = [(f"In{name}", counters.in_types.get(kind, 0)) for name, kind in ICMP_IN]
    sent = [(f"Out{name}", counters.out_types.get(kind, 0)) for name, kind in ICMP_IN]
    return [
        ("InMsgs", counters.InMsgs),
        ("InErrors", counters.InErrors),
        ("InCsumErrors", counters.InCsumErrors),
        *received,
        ("OutMsgs", counters.OutMsgs),
        ("OutErrors", counters.OutErrors),
        ("OutRateLimitGlobal", counters.OutRateLimitGlobal),
        ("OutRateLimitHost", counters.OutRateLimitHost),
        *sent,
    ]


def _icmp_messages(counters: IcmpCounters) -> str:
    rows = [(f"InType{kind}", count) for kind, count in sorted(counters.in_types.items())]
    rows += [(f"OutType{kind}", count) for kind, count in sorted(counters.out_types.items())]
    return _two_lines("IcmpMsg", rows) if rows else ""


class NetstatText(NetText):
    """/proc/net/netstat."""

    def generate(self) -> bytes:
        tcp = self.namespace.tcp.counters
        names = [name for name in TCP_EXTENDED if hasattr(tcp, name)]
        text = _two_lines("TcpExt", [(name, counter(tcp, name)) for name in names])
        ip = self.namespace.stack.counters.ip4
        return (text + _two_lines("IpExt", [(n, counter(ip, n)) for n in IP_EXTENDED])).encode()


class Snmp6Text(NetText):
    """/proc/net/snmp6."""

    def generate(self) -> bytes:
        counters = self.namespace.stack.counters
        rows = [(f"Ip6{name}", counter(counters.ip6, name)) for name in (*IP_NAMES, *IP_EXTENDED)]
        icmp = counters.icmp6
        rows += [
            ("Icmp6InMsgs", icmp.InMsgs),
            ("Icmp6InErrors", icmp.InErrors),
            ("Icmp6OutMsgs", icmp.OutMsgs),
            ("Icmp6OutErrors", icmp.OutErrors),
            ("Icmp6InCsumErrors", icmp.InCsumErrors),
        ]
        rows += [(f"Icmp6InType{kind}", n) for kind, n in sorted(icmp.in_types.items())]
        rows += [(f"Icmp6OutType{kind}", n) for kind, n in sorted(icmp.out_types.items())]
        rows += [(f"Udp6{name}", counter(counters.udp6, name)) for name in UDP_NAMES]
        return "".join(f"{name:<32}\t{value}\n" for name, value in rows).encode()


class DevText(NetText):
    """/proc/net/dev."""

    def generate(self) -> bytes:
        lines = [
            "Inter-|   Receive                                                |  Transmit",
            " face |bytes    packets errs drop fifo frame compressed multicast|"
            "bytes    packets errs drop fifo colls carrier compressed",
        ]
        for interface in self.namespace.stack.interfaces.values():
            lines.append(_dev_line(interface.name, interface.counters))
        return ("\n".join(lines) + "\n").encode()


def _dev_line(name: str, c: InterfaceCounters) -> str:
    return (
        f"{name:>6}: {c.rx_bytes:7} {c.rx_packets:7} {c.rx_errors:4} {c.rx_dropped:4} {0:4} {0:5} "
        f"{0:10} {c.multicast:9} {c.tx_bytes:8} {c.tx_packets:7} {c.tx_errors:4} "
        f"{c.tx_dropped:4} {0:4} {c.collisions:5} {0:7} {0:10}"
    )


class IfInet6Text(NetText):
    """/proc/net/if_inet6."""

    def generate(self) -> bytes:
        lines = []
        for interface in self.namespace.stack.interfaces.values():
            for address in interface.addresses:
                if len(address.host) == 16:
                    flags = (address.flags or 0x80) & ~2  # IFA_F_NODAD is not shown
                    lines.append(
                        f"{address.host.hex()} {interface.index:02x} {address.prefix_length:02x} "
                        f"{scope_bits(address.host):02x} {flags & 0xFF:02x} {interface.name:>8}\n"
                    )
        return "".join(lines).encode()


def scope_bits(host: bytes) -> int:
    """Return the scope of an IPv6 address as IPV6_ADDR_ bits (net/ipv6.h)."""
    if host == bytes(15) + b"\x01":
        return 0x10
    if host[0] == 0xFE and host[1] & 0xC0 == 0x80:
        return 0x20
    if host[0] == 0xFE and host[1] & 0xC0 == 0xC0:
        return 0x40
    return 0


def all_routes(namespace: NetworkNamespace, version: int) -> list[RouteEntry]:
    """Return the routes of all tables of one version of IP."""
    network = namespace.stack.networks.get(version)
    if network is None:
        return []
    return [entry for table in network.routing.tables.values() for entry in table.entries()]


class RouteText(NetText):
    """/proc/net/route: IPv4 without the local table."""

    def generate(self) -> bytes:
        head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
        lines = [head.ljust(127)]
        for entry in all_routes(self.namespace, 4):
            if entry.kind in (LOCAL, 3) or entry.kind == MULTICAST:
                continue
            lines.append(_route_line(entry).ljust(127))
        return ("\n".join(lines) + "\n").encode()


def _route_line(entry: RouteEntry) -> str:
    flags = RTF_UP
    if entry.gateway:
        flags |= RTF_GATEWAY
    if entry.prefix_length == 32:
        flags |= RTF_HOST
    if entry.kind in (UNREACHABLE, PROHIBIT):
        flags |= RTF_REJECT
    name = entry.interface.name if entry.interface is not None else "*"
    mask = (0xFFFFFFFF << (32 - entry.prefix_length) & 0xFFFFFFFF).to_bytes(4, "big")
    prefix, gateway = entry.prefix, entry.gateway or bytes(4)
    return (
        f"{name}\t{_word(prefix)}\t{_word(gateway)}\t{flags:04X}\t0\t0\t{entry.metric}\t"
        f"{_word(mask)}\t{entry.mtu}\t0\t0"
    )


def _word(address: bytes) -> str:
    return address[::-1].hex().upper()


class Ipv6RouteText(NetText):
    """/proc/net/ipv6_route."""

    def generate(self) -> bytes:
        lines = []
        nothing = "0" * 32
        for entry in all_routes(self.namespace, 6):
            flags = RTF_UP | (RTF_GATEWAY if entry.gateway else 0)
            if entry.prefix_length == 128:
                flags |= RTF_NONEXTHOP
            if entry.kind == LOCAL:
                flags = RTF_LOCAL | RTF_NONEXTHOP | RTF_UP
            elif entry.kind in (BLACKHOLE, UNREACHABLE, PROHIBIT):
                flags |= RTF_REJECT | RTF_NONEXTHOP
            gateway = entry.gateway.hex() if entry.gateway else nothing
            name = entry.interface.name if entry.interface is not None else "lo"
            lines.append(
                f"{entry.prefix.hex()} {entry.prefix_length:02x} {nothing} 00 {gateway} "
                f"{entry.metric:08x} {1:08x} {0:08x} {flags:08x} {name:>8}\n"
            )
        return "".join(lines).encode()


class ArpText(NetText):
    """/proc/net/arp."""

    def generate(self) -> bytes:
        lines = ["IP address       HW type     Flags       HW address            Mask     Device"]
        network = self.namespace.stack.networks.get(4)
        for neighbour in network.neighbours.entries.values() if network is not None else ():
            interface = neighbour.interface
            if interface.flags & IFF_NOARP:
                continue
            flags = 2 if neighbour.state & NUD_VALID else 0
            flags |= 4 if neighbour.state == NUD_PERMANENT else 0
            link = (neighbour.link_address or bytes(6)).hex(":")
            host = ".".join(str(part) for part in neighbour.address)
            kind = f"0x{hardware_type(interface):x}"
            lines.append(
                f"{host:<16} {kind:<10}  0x{flags:<10x}{link:<17}     *        {interface.name}"
            )
        return ("\n".join(lines) + "\n").encode()


class IgmpText(NetText):
    """/proc/net/igmp."""

    def generate(self) -> bytes:
        lines = ["Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter"]
        for interface in self.namespace.stack.interfaces.values():
            groups = [g for g in interface.groups.values() if len(g.address) == 4]
            count = len(groups) + 1
            lines.append(f"{interface.index}\t{interface.name:<10}: {count:5} {'V3':>7}")
            for group in groups:
                users = len(group.memberships)
                lines.append(f"\t\t\t\t{_word(group.address)} {users:5} 0:00000000\t\t0")
            lines.append(f"\t\t\t\t010000E0 {1:5} 0:00000000\t\t0")
        return ("\n".join(lines) + "\n").encode()


class PtypeText(NetText):
    """/proc/net/ptype."""

    def generate(self) -> bytes:
        return b"Type Device      Function\n0800          ip_rcv\n0806          arp_rcv\n"


class TableNamesText(NetText):
    """/proc/net/ip_tables_names, ip6_tables_names: the tables in use, the newest first."""

    def __init__(self, namespace: NetworkNamespace, tables: Iptables) -> None:
        super().__init__(namespace)
        self.tables = tables

    def generate(self) -> bytes:
        names = reversed(list(self.tables.tables))
        return "".join(f"{name}\n" for name in names).encode()


class TableMatchesText(TableNamesText):
    """/proc/net/ip_tables_matches, ip6_tables_matches."""

    def generate(self) -> bytes:
        return "".join(f"{name}\n" for name, _ in self.tables.layout.matches).encode()


class TableTargetsText(TableNamesText):
    """/proc/net/ip_tables_targets, ip6_tables_targets."""

    def generate(self) -> bytes:
        names = [name for name, _ in self.tables.layout.targets]
        return b"ERROR\n" + "".join(f"{name}\n" for name in names).encode()


class FixedText(NetText):
    """A file that never changes."""

    def __init__(self, namespace: NetworkNamespace, text: bytes) -> None:
        super().__init__(namespace)
        self._text = text

    def generate(self) -> bytes:
        return self._text
