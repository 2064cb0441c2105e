"""All sockets of a network namespace as rows: what /proc/net/tcp and sock_diag(7) show."""

from typing import Final

from netstack.endpoint import Address
from netstack.environment import Listener
from netstack.tcp.connection import Connection
from netstack.tcp.endpoint import EndpointEvents
from netstack.tcp.listener import Request, TcpListener
from netstack.tcp.states import RTX_NONE
from netstack.tcp.time_wait import TimeWait
from netstack.udp import UdpEndpoint
from sentry.abi import socket as abi
from sentry.kernel.kernel import Kernel
from sentry.socket.base import Socket
from sentry.socket.inet import InetSocket, SocketEvents
from sentry.socket.inet_datagram import DatagramSocket
from sentry.socket.net_namespace import NetworkNamespace

# States of net/tcp_states.h that other protocols borrow.
TCP_ESTABLISHED: Final = 1
TCP_SYN_RECV: Final = 3
TCP_TIME_WAIT: Final = 6
TCP_CLOSE: Final = 7
TCP_LISTEN: Final = 10

TIMER_NONE: Final = 0
TIMER_RETRANSMIT: Final = 1
TIMER_KEEPALIVE: Final = 2
TIMER_TIME_WAIT: Final = 3
TIMER_PROBE: Final = 4
RTX_PROBE_KINDS: Final = (3, 4)


class SocketRow:
    """One socket."""

    def __init__(self, family: int, state: int, local: Address, remote: Address) -> None:
        self.family = family
        self.state = state
        self.local = local
        self.remote = remote
        self.tx_queue = 0
        self.rx_queue = 0
        self.timer = TIMER_NONE
        self.expires_ns = 0  # from now
        self.retransmits = 0
        self.probes = 0
        self.uid = 0
        self.inode = 0
        self.interface_index = 0
        self.drops = 0
        self.sock: InetSocket | None = None
        self.connection: Connection | None = None

    def set_owner(self, sock: InetSocket | None) -> None:
        """Note whose socket it is."""
        self.sock = sock
        if sock is not None:
            self.uid = sock.uid
            self.inode = sock.number
            self.family = sock.family


def owner_of(listener: Listener) -> InetSocket | None:
    """Return the socket that listens to an endpoint's events."""
    if isinstance(listener, EndpointEvents):
        listener = listener.endpoint.listener
    return listener.sock if isinstance(listener, SocketEvents) else None


def family_of(address: bytes) -> int:
    """Return the family of an address of the stack."""
    return abi.AF_INET if len(address) == 4 else abi.AF_INET6


def tcp_rows(namespace: NetworkNamespace) -> list[SocketRow]:
    """Return listeners, then connections in all states."""
    rows = []
    for listeners in namespace.tcp.listeners.values():
        for listener in listeners:
            rows.append(_listener_row(listener))
    now_ns = namespace.environment.now_ns()
    for flow in namespace.tcp.flows.values():
        if isinstance(flow, Connection):
            rows.append(_connection_row(flow, now_ns))
        elif isinstance(flow, TimeWait):
            rows.append(_time_wait_row(flow, now_ns))
        elif isinstance(flow, Request):
            rows.append(_request_row(flow, now_ns))
    return rows


def _listener_row(listener: TcpListener) -> SocketRow:
    binding = listener.binding
    row = SocketRow(abi.AF_INET, TCP_LISTEN, Address(binding.host, binding.port), Address(b"", 0))
    row.rx_queue = len(listener.accept_queue)
    row.tx_queue = 0
    row.interface_index = binding.interface_index
    row.set_owner(owner_of(listener.events))
    return row


def _connection_row(connection: Connection, now_ns: int) -> SocketRow:
    route = connection.route
    row = SocketRow(
        family_of(route.source),
        connection.state,
        Address(route.source, connection.local_port),
        Address(route.destination, connection.remote_port),
    )
    row.tx_queue = connection.send_queue.size()
    row.rx_queue = connection.unread()
    row.connection = connection
    row.retransmits = connection.retransmits
    row.probes = connection.probes
    row.set_owner(owner_of(connection.listener))
    if connection.rtx_kind != RTX_NONE and connection.rtx_deadline:
        row.timer = TIMER_PROBE if connection.probes else TIMER_RETRANSMIT
        row.expires_ns = max(connection.rtx_deadline - now_ns, 0)
    elif connection.keep_deadline:
        row.timer = TIMER_KEEPALIVE
        row.expires_ns = max(connection.keep_deadline - now_ns, 0)
    return row


def _time_wait_row(entry: TimeWait, now_ns: int) -> SocketRow:
    route = entry.route
    row = SocketRow(
        family_of(route.source),
        TCP_TIME_WAIT,
        Address(route.source, entry.local_port),
        Address(route.destination, entry.remote_port),
    )
    row.timer = TIMER_TIME_WAIT
    row.expires_ns = max(entry.deadline - now_ns, 0)
    return row


def _request_row(request: Request, now_ns: int) -> SocketRow:
    route = request.route
    port = request.listener.binding.port if request.listener is not None else 0
    remote_port = int.from_bytes(request.key[-4:-2], "big")
    row = SocketRow(
        family_of(route.source),
        TCP_SYN_RECV,
        Address(route.source, port),
        Address(route.destination, remote_port),
    )
    row.timer = TIMER_RETRANSMIT
    row.expires_ns = max(request.deadline - now_ns, 0)
    row.retransmits = request.timeouts
    return row


def udp_rows(namespace: NetworkNamespace) -> list[SocketRow]:
    """Return the UDP sockets that are bound."""
    rows = []
    for endpoints in namespace.udp.by_port.values():
        rows += [_udp_row(endpoint) for endpoint in endpoints]
    return rows


def _udp_row(endpoint: UdpEndpoint) -> SocketRow:
    remote = endpoint.remote
    row = SocketRow(
        abi.AF_INET if endpoint.version == 4 else abi.AF_INET6,
        TCP_CLOSE if remote is None else TCP_ESTABLISHED,
        endpoint.local_address(),
        remote if remote is not None else Address(b"", 0),
    )
    row.rx_queue = endpoint.queued_bytes()
    row.drops = endpoint.dropped
    row.interface_index = endpoint.interface_index
    row.set_owner(owner_of(endpoint.listener))
    return row


def message_rows(namespace: NetworkNamespace, kind: int) -> list[SocketRow]:
    """Return raw sockets, or (SOCK_DGRAM) ping sockets."""
    rows = []
    for sock in open_sockets(namespace.kernel):
        if not isinstance(sock, DatagramSocket) or sock.kind != kind:
            continue
        if kind == abi.SOCK_DGRAM and sock.protocol == abi.IPPROTO_UDP:
            continue
        remote = sock.endpoint.remote
        local = sock.local_address()
        row = SocketRow(
            sock.family,
            TCP_CLOSE if remote is None else TCP_ESTABLISHED,
            Address(local.host, sock.protocol if kind == abi.SOCK_RAW else local.port),
            remote if remote is not None else Address(b"", 0),
        )
        row.rx_queue = sock.endpoint.queued_bytes()
        row.drops = sock.endpoint.dropped
        row.set_owner(sock)
        rows.append(row)
    return rows


def open_sockets(kernel: Kernel) -> list[Socket]:
    """Return every socket that some process has open, each once, oldest first."""
    found: dict[int, Socket] = {}
    seen: set[int] = set()
    for group in kernel.all_groups():
        for task in group.tasks:
            if task.is_dead():
                continue
            table = task.fds
            if id(table) in seen:
                continue
            seen.add(id(table))
            for fd in table.open_fds():
                file = table.get_raw(fd)
                if isinstance(file, Socket):
                    found[file.number] = file
    return [found[number] for number in sorted(found)]
