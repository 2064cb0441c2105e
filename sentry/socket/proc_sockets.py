"""Files of /proc/net that list sockets: tcp, udp, raw, icmp, unix, packet, sockstat (proc(5))."""

from typing import Final

from sentry.abi import socket as abi
from sentry.kernel.kernel import Kernel
from sentry.socket.base import Socket
from sentry.socket.net_address import as_ipv6
from sentry.socket.net_namespace import NetText, NetworkNamespace
from sentry.socket.packet import PacketSocket
from sentry.socket.socket_rows import (
    TCP_TIME_WAIT,
    SocketRow,
    message_rows,
    open_sockets,
    tcp_rows,
    udp_rows,
)
from sentry.socket.unix import UnixSocket

TCP_WIDTH: Final = 149  # TMPSZ - 1 of net/ipv4/tcp_ipv4.c
UDP_WIDTH: Final = 127
TICK_NS: Final = 10_000_000  # USER_HZ
HEAD4: Final = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
    "   uid  timeout inode"
)
HEAD6: Final = (
    "  sl  local_address                         remote_address                        "
    "st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
)


def hex_address(host: bytes, port: int, *, is_ipv6: bool) -> str:
    """Return an address as words of the machine in hexadecimal, with its port."""
    whole = as_ipv6(host) if is_ipv6 else (host or bytes(4))
    words = [whole[at : at + 4][::-1].hex().upper() for at in range(0, len(whole), 4)]
    return f"{''.join(words)}:{port:04X}"


def _line(index: str, row: SocketRow, *, is_ipv6: bool) -> str:
    local = hex_address(row.local.host, row.local.port, is_ipv6=is_ipv6)
    remote = hex_address(row.remote.host, row.remote.port, is_ipv6=is_ipv6)
    return (
        f"{index}: {local} {remote} {row.state:02X} {row.tx_queue:08X}:{row.rx_queue:08X} "
        f"{row.timer:02X}:{row.expires_ns // TICK_NS:08X} {row.retransmits:08X} {row.uid:5} "
        f"{row.probes:8} {row.inode}"
    )


def _references(row: SocketRow) -> str:
    return f" {2 if row.sock is not None else 1} 0000000000000000"


class TcpText(NetText):
    """/proc/net/tcp, tcp6."""

    def __init__(self, namespace: NetworkNamespace, family: int) -> None:
        super().__init__(namespace)
        self._family = family

    def generate(self) -> bytes:
        is_ipv6 = self._family == abi.AF_INET6
        lines = [HEAD6 if is_ipv6 else HEAD4.ljust(TCP_WIDTH)]
        rows = [row for row in tcp_rows(self.namespace) if row.family == self._family]
        for index, row in enumerate(rows):
            text = _line(f"{index:4}", row, is_ipv6=is_ipv6) + _references(row) + _tail(row)
            lines.append(text if is_ipv6 else text.ljust(TCP_WIDTH))
        return ("\n".join(lines) + "\n").encode()


def _tail(row: SocketRow) -> str:
    """Return times of retransmission and acknowledgment, and the windows."""
    if row.state == TCP_TIME_WAIT:
        return ""
    connection = row.connection
    if connection is None:
        return " 100 0 0 10 0"
    control = connection.congestion
    window = max(control.cwnd // max(connection.mss, 1), 1)
    rto = connection.rtt.timeout() // TICK_NS
    return f" {rto} 4 {int(connection.is_interactive)} {window} -1"


class MessageText(NetText):
    """/proc/net/udp, raw, icmp and those with a 6."""

    def __init__(self, namespace: NetworkNamespace, family: int, kind: int, protocol: int) -> None:
        super().__init__(namespace)
        self._family = family
        self._kind = kind
        self._protocol = protocol

    def generate(self) -> bytes:
        is_ipv6 = self._family == abi.AF_INET6
        is_udp = self._protocol == abi.IPPROTO_UDP
        head = (HEAD6 if is_ipv6 else HEAD4) + " ref pointer drops"
        if is_udp and not is_ipv6:
            head = (" " + head.rstrip()).ljust(UDP_WIDTH)
        lines = [head]
        if is_udp:
            rows = udp_rows(self.namespace)
        else:
            rows = message_rows(self.namespace, self._kind)
        for row in rows:
            if row.family != self._family:
                continue
            number = f"{row.local.port:5}"
            text = _line(number, row, is_ipv6=is_ipv6) + _references(row) + f" {row.drops}"
            lines.append(text.ljust(UDP_WIDTH) if is_udp and not is_ipv6 else text)
        return ("\n".join(lines) + "\n").encode()


class UnixText(NetText):
    """/proc/net/unix."""

    def generate(self) -> bytes:
        return unix_table(self.namespace.kernel)


def unix_table(kernel: Kernel) -> bytes:
    """Return the contents of /proc/net/unix."""
    lines = [b"Num       RefCount Protocol Flags    Type St Inode Path"]
    for sock in open_sockets(kernel):
        if isinstance(sock, UnixSocket):
            lines.append(_unix_line(sock))
            lines += [_unix_line(waiting) for waiting in sock.pending]
    return b"\n".join(lines) + b"\n"


def _unix_line(sock: UnixSocket) -> bytes:
    flags = 0x10000 if sock.is_listening() else 0
    state = 3 if sock.is_connected and sock.kind != abi.SOCK_DGRAM else 1
    line = b"%016x: %08X %08X %08X %04X %02X %5d" % (
        0,
        max(2, sock.references + 1),
        0,
        flags,
        sock.kind,
        state,
        sock.number,
    )
    name = sock.bound_name
    if name:
        line += b" " + (b"@" + name[1:].replace(b"\0", b"@") if name[0] == 0 else name)
    return line


class PacketText(NetText):
    """/proc/net/packet."""

    def generate(self) -> bytes:
        lines = ["sk               RefCnt Type Proto  Iface R Rmem   User   Inode"]
        for sock in open_sockets(self.namespace.kernel):
            if isinstance(sock, PacketSocket):
                endpoint = sock.endpoint
                running = int(endpoint in self.namespace.stack.taps)
                lines.append(
                    f"{0:016x} 3      {sock.kind:<4} {endpoint.protocol:04x}   "
                    f"{endpoint.interface_index:<5} {running:1} 0      "
                    f"{sock.uid:<6} {sock.number:<6}"
                )
        return ("\n".join(lines) + "\n").encode()


class SockstatText(NetText):
    """/proc/net/sockstat, sockstat6."""

    def __init__(self, namespace: NetworkNamespace, family: int) -> None:
        super().__init__(namespace)
        self._family = family

    def generate(self) -> bytes:
        namespace = self.namespace
        sockets = open_sockets(namespace.kernel)
        tcp = [row for row in tcp_rows(namespace) if row.family == self._family]
        waiting = sum(1 for row in tcp if row.state == TCP_TIME_WAIT)
        udp = sum(1 for row in udp_rows(namespace) if row.family == self._family)
        raw = sum(
            1 for sock in sockets if sock.kind == abi.SOCK_RAW and sock.family == self._family
        )
        if self._family == abi.AF_INET6:
            return (
                f"TCP6: inuse {len(tcp) - waiting}\nUDP6: inuse {udp}\nUDPLITE6: inuse 0\n"
                f"RAW6: inuse {raw}\nFRAG6: inuse 0 memory 0\n"
            ).encode()
        return (
            f"sockets: used {len(sockets)}\n"
            f"TCP: inuse {len(tcp) - waiting} orphan {namespace.tcp.orphans} tw {waiting} "
            f"alloc {_count_tcp(sockets)} mem 0\n"
            f"UDP: inuse {udp} mem 0\nUDPLITE: inuse 0\nRAW: inuse {raw}\n"
            "FRAG: inuse 0 memory 0\n"
        ).encode()


def _count_tcp(sockets: list[Socket]) -> int:
    return sum(1 for sock in sockets if sock.protocol == abi.IPPROTO_TCP)


class ProtocolsText(NetText):
    """/proc/net/protocols: name, size and how many sockets there are."""

    def generate(self) -> bytes:
        lines = ["protocol  size sockets  memory press maxhdr  slab module"]
        sockets = open_sockets(self.namespace.kernel)
        for name, family, protocol in PROTOCOLS:
            count = sum(
                1 for sock in sockets if sock.family == family and sock.protocol == protocol
            )
            lines.append(f"{name:<9} {1024:4} {count:6}  {0:6}   {'no':<3} {0:6}   yes  kernel")
        return ("\n".join(lines) + "\n").encode()


PROTOCOLS: Final = (
    ("UDPv6", abi.AF_INET6, abi.IPPROTO_UDP),
    ("TCPv6", abi.AF_INET6, abi.IPPROTO_TCP),
    ("UNIX", abi.AF_UNIX, 0),
    ("UDP", abi.AF_INET, abi.IPPROTO_UDP),
    ("TCP", abi.AF_INET, abi.IPPROTO_TCP),
)
