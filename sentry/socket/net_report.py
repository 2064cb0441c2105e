"""What `runsc debug --net` says of a sandbox's network, as text for people."""

from _socket import AF_INET, AF_INET6, inet_ntop
from typing import Final

from netstack.endpoint import Address
from netstack.interface import Interface
from netstack.link.base import Link
from netstack.link.qdisc import Qdisc, TokenBucket
from netstack.route import BLACKHOLE, LOCAL, MULTICAST, PROHIBIT, UNREACHABLE, RouteEntry
from sentry.abi import socket as abi
from sentry.errors import SysError
from sentry.kernel.kernel import Kernel
from sentry.socket.host_network import HostNetwork
from sentry.socket.host_socket import HostSocket
from sentry.socket.interface_numbers import linux_flags
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.proc_net import all_routes
from sentry.socket.socket_rows import (
    SocketRow,
    message_rows,
    open_sockets,
    tcp_rows,
    udp_rows,
)

SOCKETS_MAX: Final = 1000  # lines; who has more is told how many more
REPORT_MAX: Final = 1 << 18  # characters: a guest may have made any number of routes
BROADCAST_ROUTE: Final = 3
FLAG_NAMES: Final = (
    (0x1, "UP"),
    (0x2, "BROADCAST"),
    (0x8, "LOOPBACK"),
    (0x10, "POINTOPOINT"),
    (0x40, "RUNNING"),
    (0x80, "NOARP"),
    (0x100, "PROMISC"),
    (0x200, "ALLMULTI"),
    (0x1000, "MULTICAST"),
)
STATES: Final = {
    1: "established",
    2: "syn-sent",
    3: "syn-received",
    4: "fin-wait-1",
    5: "fin-wait-2",
    6: "time-wait",
    7: "closed",
    8: "close-wait",
    9: "last-ack",
    10: "listening",
    11: "closing",
}
NEIGHBOUR_STATES: Final = {
    0x01: "incomplete",
    0x02: "reachable",
    0x04: "stale",
    0x08: "delay",
    0x10: "probe",
    0x20: "failed",
    0x40: "noarp",
    0x80: "permanent",
}
ROUTE_KINDS: Final = {BLACKHOLE: "blackhole ", UNREACHABLE: "unreachable ", PROHIBIT: "prohibit "}

# Counters of packets that went nowhere, by group and name, and why.
DROPS: Final = (
    ("Ip", "InHdrErrors", "a header that makes no sense, or the TTL is over"),
    ("Ip", "InAddrErrors", "addressed to nobody here"),
    ("Ip", "InUnknownProtos", "no such protocol"),
    ("Ip", "InDiscards", "no room for what came in"),
    ("Ip", "OutDiscards", "no room for what was to go out, or no neighbour answered"),
    ("Ip", "OutNoRoutes", "no route out"),
    ("Ip", "ReasmFails", "fragments that did not come together"),
    ("Ip", "FragFails", "too large, and not to be fragmented"),
    ("IpExt", "InNoRoutes", "no route for what came in"),
    ("IpExt", "InTruncatedPkts", "shorter than its header says"),
    ("IpExt", "InCsumErrors", "wrong checksum"),
    ("Icmp", "InErrors", "ICMP that makes no sense"),
    ("Icmp", "OutRateLimitGlobal", "ICMP not sent: too many in all"),
    ("Icmp", "OutRateLimitHost", "ICMP not sent: too many to one host"),
    ("Tcp", "InErrs", "TCP that makes no sense"),
    ("Tcp", "AttemptFails", "connections that did not come about"),
    ("TcpExt", "ListenOverflows", "accept queue full"),
    ("TcpExt", "ListenDrops", "connection requests dropped"),
    ("TcpExt", "TCPRcvQDrop", "receive buffer full"),
    ("TcpExt", "TCPOFODrop", "no room for segments out of order"),
    ("TcpExt", "TCPZeroWindowDrop", "sent into a closed window"),
    ("TcpExt", "TCPReqQFullDrop", "queue of requests full"),
    ("TcpExt", "PAWSEstab", "segments with old timestamps"),
    ("Udp", "NoPorts", "UDP to a port where nobody listens"),
    ("Udp", "InErrors", "UDP that makes no sense, or found no room"),
    ("Udp", "RcvbufErrors", "receive buffer full"),
    ("Udp", "SndbufErrors", "no room to send"),
    ("Ip6", "InHdrErrors", "a header that makes no sense, or the hop limit is over"),
    ("Ip6", "InAddrErrors", "addressed to nobody here"),
    ("Ip6", "InDiscards", "no room for what came in"),
    ("Ip6", "OutDiscards", "no room for what was to go out, or no neighbour answered"),
    ("Ip6", "OutNoRoutes", "no route out"),
    ("Ip6", "InNoRoutes", "no route for what came in"),
    ("Ip6", "ReasmFails", "fragments that did not come together"),
    ("Udp6", "NoPorts", "UDP to a port where nobody listens"),
    ("Udp6", "InErrors", "UDP that makes no sense, or found no room"),
    ("Udp6", "RcvbufErrors", "receive buffer full"),
)
CONSTANTS: Final = ("Forwarding", "DefaultTTL", "RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn")
GROUPS_OF_SIX: Final = ("Ip6", "Icmp6", "Udp6")


def network_report(kernel: Kernel) -> str:
    """Return the whole report; sections without lines are left out."""
    network = kernel.network
    if isinstance(network, HostNetwork):
        return _host_report(network)
    if not isinstance(network, NetworkNamespace):
        return "there is no network\n"
    counters = read_counters(network)
    lines: list[str] = []
    _section(lines, "interfaces", _interfaces(network))
    _section(lines, "routes", _routes(network))
    _section(lines, "neighbours", _neighbours(network))
    _section(lines, "sockets", _sockets(network))
    _section(lines, "dropped", _drops(network, counters))
    _section(lines, "counters", [f"{group}.{name} {n}" for group, name, n in counters if n])
    text = "\n".join(lines)
    if len(text) > REPORT_MAX:
        text = text[:REPORT_MAX] + "\n(cut)"
    return text + "\n"


def _section(lines: list[str], title: str, content: list[str]) -> None:
    if content:
        lines.append(f"{title}:")
        lines += [f"  {line}" for line in content]


def _host(address: bytes) -> str:
    if not address:
        return "*"
    return inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)


def _pair(address: Address) -> str:
    host = _host(address.host)
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"


def _interfaces(network: NetworkNamespace) -> list[str]:
    lines: list[str] = []
    for interface in network.stack.interfaces.values():
        flags = linux_flags(interface)
        names = ",".join(name for bit, name in FLAG_NAMES if flags & bit)
        link = interface.link
        hardware = f" address {link.address.hex(':')}" if link.address else ""
        lines.append(f"{interface.index}: {interface.name} <{names}> mtu {interface.mtu}{hardware}")
        for address in interface.addresses:
            tentative = " tentative" if address.is_tentative else ""
            lines.append(f"   {_host(address.host)}/{address.prefix_length}{tentative}")
        c = interface.counters
        lines.append(
            f"   in: {c.rx_packets} packets, {c.rx_bytes} bytes, {c.rx_errors} errors, "
            f"{c.rx_dropped} dropped"
        )
        lines.append(
            f"   out: {c.tx_packets} packets, {c.tx_bytes} bytes, {c.tx_errors} errors, "
            f"{c.tx_dropped} dropped"
        )
        lines += _queue(interface)
    return lines


def _queue(interface: Interface) -> list[str]:
    """Return lines about the queueing discipline and the offloads of an interface."""
    out: Link = interface.out
    if not isinstance(out, Qdisc):
        return ["   queue: none"]
    lines = [f"   queue: {out.kind}"]
    if isinstance(out, TokenBucket):
        lines[0] += f", {out.rate} bytes/s, burst {out.burst} bytes, {out.tokens()} in the bucket"
    lines.append(
        f"   queue sent: {out.sent_packets} packets, {out.sent_bytes} bytes; "
        f"refused {out.dropped}, held back {out.overlimits}, link full {out.requeues}; "
        f"waiting {out.backlog_packets()} packets, {out.backlog_bytes()} bytes"
    )
    lines.append(f"   largest frame for the host to segment: {out.gso_max or 'none'}")
    return lines


def _routes(network: NetworkNamespace) -> list[str]:
    lines = []
    for version in (4, 6):
        for entry in all_routes(network, version):
            if entry.kind not in (LOCAL, BROADCAST_ROUTE, MULTICAST):
                lines.append(_route(entry))
    return lines


def _route(entry: RouteEntry) -> str:
    text = ROUTE_KINDS.get(entry.kind, "") + f"{_host(entry.prefix)}/{entry.prefix_length}"
    if entry.gateway:
        text += f" via {_host(entry.gateway)}"
    if entry.interface is not None:
        text += f" dev {entry.interface.name}"
    if entry.source:
        text += f" src {_host(entry.source)}"
    if entry.mtu:
        text += f" mtu {entry.mtu}"
    return text + f" metric {entry.metric} table {entry.table}"


def _neighbours(network: NetworkNamespace) -> list[str]:
    lines = []
    for protocol in network.stack.networks.values():
        for neighbour in protocol.neighbours.entries.values():
            link = neighbour.link_address
            where = f" at {link.hex(':')}" if link else ""
            state = NEIGHBOUR_STATES.get(neighbour.state, "none")
            lines.append(
                f"{_host(neighbour.address)} dev {neighbour.interface.name}{where} {state}"
            )
    return lines


def _sockets(network: NetworkNamespace) -> list[str]:
    rows = [("tcp", row) for row in tcp_rows(network)]
    rows += [("udp", row) for row in udp_rows(network)]
    rows += [("raw", row) for row in message_rows(network, abi.SOCK_RAW)]
    rows += [("ping", row) for row in message_rows(network, abi.SOCK_DGRAM)]
    lines = [_socket(kind, row) for kind, row in rows[:SOCKETS_MAX]]
    if len(rows) > SOCKETS_MAX:
        lines.append(f"and {len(rows) - SOCKETS_MAX} more")
    return lines


def _socket(kind: str, row: SocketRow) -> str:
    state = STATES.get(row.state, str(row.state))
    text = f"{kind} {state} {_pair(row.local)} {_pair(row.remote)} "
    text += f"in {row.rx_queue} out {row.tx_queue} uid {row.uid} inode {row.inode}"
    if row.retransmits:
        text += f" retransmits {row.retransmits}"
    return text + f" drops {row.drops}" if row.drops else text


def read_counters(network: NetworkNamespace) -> list[tuple[str, str, int]]:
    """Return group, name and value of all counters, as the files of /proc/net have them."""
    found: list[tuple[str, str, int]] = []
    for name in (b"snmp", b"netstat"):
        lines = network.proc_text(name).decode().splitlines()
        for names, numbers in zip(lines[::2], lines[1::2], strict=True):
            group = names.partition(":")[0]
            columns = zip(names.split()[1:], numbers.split()[1:], strict=True)
            found += [(group, key, int(value)) for key, value in columns if key not in CONSTANTS]
    for line in network.proc_text(b"snmp6").decode().splitlines():
        key, value = line.split()
        for group in GROUPS_OF_SIX:
            if key.startswith(group):
                found.append((group, key[len(group) :], int(value)))
                break
    return found


def _drops(network: NetworkNamespace, counters: list[tuple[str, str, int]]) -> list[str]:
    """Return how many packets went nowhere, with the reasons."""
    values = {(group, name): value for group, name, value in counters}
    lines = []
    for group, name, reason in DROPS:
        value = values.get((group, name), 0)
        if value:
            lines.append(f"{value} {group}.{name}: {reason}")
    if network.stack.counters.martians:
        lines.append(f"{network.stack.counters.martians} martians: from impossible addresses")
    return lines


def _host_report(network: HostNetwork) -> str:
    lines = ["the network is the host's own, in the namespace of the sandbox: see ip(8) and ss(8)"]
    names = [name.decode("utf-8", "replace") for name in network.interface_names()]
    _section(lines, "interfaces", names)
    sockets = []
    for sock in open_sockets(network.kernel)[:SOCKETS_MAX]:
        if isinstance(sock, HostSocket):
            sockets.append(_host_socket(sock))
    _section(lines, "sockets", sockets)
    return "\n".join(lines) + "\n"


def _host_socket(sock: HostSocket) -> str:
    kinds = {abi.SOCK_STREAM: "tcp", abi.SOCK_DGRAM: "datagram", abi.SOCK_RAW: "raw"}
    kind = "netlink" if sock.family == abi.AF_NETLINK else kinds.get(sock.kind, "")
    try:
        peer = _shown(sock.peer_name())
    except SysError:
        peer = "*"
    return f"{kind} {_shown(sock.name())} {peer} inode {sock.number}"


def _shown(address: bytes) -> str:
    if len(address) >= abi.SOCKADDR_IN_SIZE and abi.family_of(address) == abi.AF_INET:
        host, port = abi.unpack_sockaddr_in(address)
        return _pair(Address(host, port))
    if len(address) >= abi.SOCKADDR_IN6_SIZE and abi.family_of(address) == abi.AF_INET6:
        host, port, _, _ = abi.unpack_sockaddr_in6(address)
        return _pair(Address(host, port))
    return "*"
