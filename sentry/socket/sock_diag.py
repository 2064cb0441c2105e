"""NETLINK_SOCK_DIAG (sock_diag(7)): the sockets there are, as ss(8) asks for them."""

from struct import Struct
from typing import Final

from netstack.endpoint import Address
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.info import fill
from sentry.abi import rtnetlink as abi
from sentry.abi import socket as abi_socket
from sentry.abi.errno import EINVAL, ENOENT
from sentry.errors import SysError
from sentry.socket.diag_filter import matches
from sentry.socket.inet_stream import StreamSocket
from sentry.socket.net_address import as_ipv6
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.netlink import RESPONDERS, Answer, Request, Responder
from sentry.socket.netlink_wire import attribute, parse_attributes, u8, u32
from sentry.socket.socket_rows import (
    TCP_CLOSE,
    TCP_ESTABLISHED,
    TCP_LISTEN,
    TCP_TIME_WAIT,
    SocketRow,
    message_rows,
    open_sockets,
    tcp_rows,
    udp_rows,
)
from sentry.socket.tcp_info import pack_tcp_info
from sentry.socket.unix import UnixSocket

_REQUEST: Final = Struct("<BBBxI")
_PORTS: Final = Struct(">HH")
_COUNTS: Final = Struct("<5I")
_UNIX_REQUEST: Final = Struct("<BBHII")
_UNIX_HEAD: Final = Struct("<BBBxIII")
_TWO: Final = Struct("<II")
_NINE: Final = Struct("<9I")
INET_REQUEST_SIZE: Final = 56
UNIX_REQUEST_SIZE: Final = 24
INET_DIAG_REQ_BYTECODE: Final = 1
NO_COOKIE: Final = b"\xff" * 8


class DiagResponder(Responder):
    """The kernel's side of NETLINK_SOCK_DIAG."""

    may_listen = False

    def answer(self, namespace: NetworkNamespace, request: Request) -> list[Answer]:
        if request.kind != abi.SOCK_DIAG_BY_FAMILY:
            raise SysError(EINVAL)
        if len(request.payload) < 2:
            raise SysError(EINVAL)
        family = request.payload[0]
        if family in (abi_socket.AF_INET, abi_socket.AF_INET6):
            return _inet(namespace, request, family)
        if family == abi_socket.AF_UNIX:
            return _unix(namespace, request)
        raise SysError(ENOENT)


def _rows(namespace: NetworkNamespace, protocol: int) -> list[SocketRow]:
    if protocol == abi_socket.IPPROTO_TCP:
        return tcp_rows(namespace)
    if protocol == abi_socket.IPPROTO_UDP:
        return udp_rows(namespace)
    if protocol == abi_socket.IPPROTO_RAW:
        return message_rows(namespace, abi_socket.SOCK_RAW)
    raise SysError(ENOENT)


def _inet(namespace: NetworkNamespace, request: Request, family: int) -> list[Answer]:
    payload = request.payload
    if len(payload) < INET_REQUEST_SIZE:
        raise SysError(EINVAL)
    _, protocol, wanted, states = _REQUEST.unpack_from(payload)
    rows = [row for row in _rows(namespace, protocol) if row.family == family]
    if request.is_dump():
        attributes = parse_attributes(payload, INET_REQUEST_SIZE)
        code = attributes.get(INET_DIAG_REQ_BYTECODE, b"")
        return [
            Answer(abi.SOCK_DIAG_BY_FAMILY, inet_message(namespace, row, wanted))
            for row in rows
            if states >> row.state & 1 and _has_ports(row, payload) and matches(code, row)
        ]
    for row in rows:
        if _is_exact(row, payload):
            return [Answer(abi.SOCK_DIAG_BY_FAMILY, inet_message(namespace, row, wanted))]
    raise SysError(ENOENT)


def _has_ports(row: SocketRow, payload: bytes) -> bool:
    """Return whether the ports of a dump's request, if there are any, are those of the row."""
    local, remote = _PORTS.unpack_from(payload, 8)
    return local in (0, row.local.port) and remote in (0, row.remote.port)


def _is_exact(row: SocketRow, payload: bytes) -> bool:
    cookie = payload[48:56]
    if cookie not in (NO_COOKIE, _cookie(row)):
        return False
    local, remote = _PORTS.unpack_from(payload, 8)
    size = 4 if row.family == abi_socket.AF_INET else 16
    return (
        local == row.local.port
        and remote == row.remote.port
        and payload[12 : 12 + size] == _host(row.family, row.local)[:size]
        and payload[28 : 28 + size] == _host(row.family, row.remote)[:size]
    )


def _cookie(row: SocketRow) -> bytes:
    return row.inode.to_bytes(8, "little")


def _host(family: int, address: Address) -> bytes:
    """Return an address in 16 bytes, as a struct inet_diag_sockid has it."""
    if family == abi_socket.AF_INET6:
        return as_ipv6(address.host)
    return address.host.ljust(16, b"\0")


def inet_message(namespace: NetworkNamespace, row: SocketRow, wanted: int) -> bytes:
    """Return the struct inet_diag_msg of a socket with the attributes asked for."""
    timer = row.timer
    parts = [
        bytes((row.family, row.state, timer, min(row.retransmits, 255))),
        _PORTS.pack(row.local.port, row.remote.port),
        _host(row.family, row.local),
        _host(row.family, row.remote),
        row.interface_index.to_bytes(4, "little"),
        _cookie(row),
    ]
    sock = row.sock
    rx_queue, tx_queue = row.rx_queue, row.tx_queue
    if row.state == TCP_LISTEN and isinstance(sock, StreamSocket):
        listening = sock.endpoint.listening
        tx_queue = listening.backlog if listening is not None else 0
    counts = _COUNTS.pack(row.expires_ns // 1_000_000, rx_queue, tx_queue, row.uid, row.inode)
    parts.append(counts)
    if row.state != TCP_TIME_WAIT:
        parts += _attributes(namespace, row, wanted)
    return b"".join(parts)


def _attributes(namespace: NetworkNamespace, row: SocketRow, wanted: int) -> list[bytes]:
    """Return the optional attributes (inet_sk_diag_fill, net/ipv4/inet_diag.c)."""
    parts = []
    sock = row.sock
    shut = 0
    if isinstance(sock, StreamSocket) and row.connection is not None:
        shut = int(row.connection.read_shut) | 2 * int(row.connection.write_shut)
    parts.append(u8(abi.INET_DIAG_SHUTDOWN, shut))
    if _wants(wanted, abi.INET_DIAG_TOS):
        tos = sock.value(abi_socket.SOL_IP, abi_socket.IP_TOS) if sock is not None else 0
        parts.append(u8(abi.INET_DIAG_TOS, tos))
    if row.family == abi_socket.AF_INET6:
        if _wants(wanted, abi.INET_DIAG_TCLASS):
            parts.append(u8(abi.INET_DIAG_TCLASS, 0))
        if row.state in (TCP_LISTEN, TCP_CLOSE):
            parts.append(u8(abi.INET_DIAG_SKV6ONLY, int(sock is not None and sock.is_v6_only())))
    if _wants(wanted, abi.INET_DIAG_SKMEMINFO):
        send, receive = (sock.send_buffer, sock.receive_buffer) if sock is not None else (0, 0)
        sizes = _NINE.pack(row.rx_queue, receive, row.tx_queue, send, 0, 0, 0, 0, row.drops)
        parts.append(attribute(abi.INET_DIAG_SKMEMINFO, sizes))
    if _wants(wanted, abi.INET_DIAG_INFO):
        parts += _tcp_info(namespace, row)
    if _wants(wanted, abi.INET_DIAG_CONG) and row.connection is not None:
        name = row.connection.options.congestion_control.encode() + b"\0"
        parts.append(attribute(abi.INET_DIAG_CONG, name))
    return parts


def _wants(wanted: int, kind: int) -> bool:
    return bool(wanted >> (kind - 1) & 1)


def _tcp_info(namespace: NetworkNamespace, row: SocketRow) -> list[bytes]:
    if row.connection is not None:
        info = fill(row.connection, namespace.environment.now_ns())
    elif row.sock is not None and isinstance(row.sock.base_endpoint, TcpEndpoint):
        info = row.sock.base_endpoint.info()
    else:
        return []
    return [attribute(abi.INET_DIAG_INFO, pack_tcp_info(info))]


# AF_UNIX.


def _unix(namespace: NetworkNamespace, request: Request) -> list[Answer]:
    payload = request.payload
    if len(payload) < UNIX_REQUEST_SIZE:
        raise SysError(EINVAL)
    _, _, _, states, inode = _UNIX_REQUEST.unpack_from(payload)
    show = int.from_bytes(payload[12:16], "little")
    found = []
    for sock in open_sockets(namespace.kernel):
        if not isinstance(sock, UnixSocket):
            continue
        if request.is_dump():
            if states >> unix_state(sock) & 1:
                found.append(Answer(abi.SOCK_DIAG_BY_FAMILY, unix_message(sock, show)))
        elif sock.number == inode:
            return [Answer(abi.SOCK_DIAG_BY_FAMILY, unix_message(sock, show))]
    if not request.is_dump():
        raise SysError(ENOENT)
    return found


def unix_state(sock: UnixSocket) -> int:
    """Return the state as one of TCP (unix_diag.h)."""
    if sock.is_listening():
        return TCP_LISTEN
    return TCP_ESTABLISHED if sock.is_connected else TCP_CLOSE


def unix_message(sock: UnixSocket, show: int) -> bytes:
    """Return the struct unix_diag_msg of a socket with what is to be shown."""
    head = _UNIX_HEAD.pack(
        abi_socket.AF_UNIX, sock.kind, unix_state(sock), sock.number, sock.number, 0
    )
    parts = [head]
    if show & abi.UDIAG_SHOW_NAME and sock.bound_name:
        parts.append(attribute(abi.UNIX_DIAG_NAME, sock.bound_name))
    if show & abi.UDIAG_SHOW_PEER and sock.peer is not None:
        parts.append(u32(abi.UNIX_DIAG_PEER, sock.peer.number))
    if show & abi.UDIAG_SHOW_ICONS and sock.is_listening():
        waiting = [one.peer.number for one in sock.pending if one.peer is not None]
        packed = b"".join(number.to_bytes(4, "little") for number in waiting)
        parts.append(attribute(abi.UNIX_DIAG_ICONS, packed))
    if show & abi.UDIAG_SHOW_RQLEN:
        lengths = (sock.inbox.size, sock.peer.inbox.size if sock.peer is not None else 0)
        if sock.is_listening():
            lengths = (len(sock.pending), sock.backlog)
        parts.append(attribute(abi.UNIX_DIAG_RQLEN, _TWO.pack(*lengths)))
    shut = int(sock.no_receive) | 2 * int(sock.no_send)
    parts.append(u8(abi.UNIX_DIAG_SHUTDOWN, shut))
    return b"".join(parts)


RESPONDERS[abi_socket.NETLINK_SOCK_DIAG] = DiagResponder()
