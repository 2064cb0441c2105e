"""The network namespace of the sandbox: one stack with its protocols.

What /proc/net, /proc/sys/net and /sys/class/net show is registered by
`net_setup.py`; here are only the places for it.
"""

from mypy_extensions import mypyc_attr

from netstack.build import new_stack
from netstack.filter.hooks import PacketFilter
from netstack.tcp.connection import Connection, LateAcks
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.protocol import TcpProtocol
from netstack.tcp.receive import send_late_ack
from netstack.tcp.send_queue import BlockMaker
from netstack.wire.tcp import PROTOCOL_TCP
from sentry.abi.capability import CAP_NET_ADMIN
from sentry.abi.errno import EACCES, EPERM
from sentry.errors import SysError
from sentry.kernel.deferral import HeldOutput
from sentry.kernel.kernel import Kernel
from sentry.kernel.network import Network
from sentry.platform.hostnet import make_block
from sentry.socket.base import Socket
from sentry.socket.interface_numbers import interface_texts
from sentry.socket.iptables import Iptables
from sentry.socket.iptables_families import IPV4, IPV6
from sentry.socket.net_environment import KernelEnvironment
from sentry.socket.nftables.ruleset import Ruleset
from sentry.vfs.creds import Credentials


@mypyc_attr(allow_interpreted_subclasses=True)
class NetText:
    """A file of /proc/net."""

    def __init__(self, namespace: "NetworkNamespace") -> None:
        self.namespace = namespace

    def generate(self) -> bytes:
        """Return the contents."""
        return b""


@mypyc_attr(allow_interpreted_subclasses=True)
class Setting:
    """A file below /proc/sys/net."""

    def read(self) -> bytes:
        """Return the text."""
        return b""

    def write(self, data: bytes) -> None:
        """Take another value; SysError(EINVAL)."""
        raise SysError(EACCES)


class HostBlocks(BlockMaker):
    """Memory for what guests write."""

    def make(self, size: int) -> memoryview:
        return make_block(size)


class SoonAcks(HeldOutput):
    """Acknowledgments that go when those who were woken have had time to read."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.connections: list[Connection] = []

    def push(self) -> None:
        now_ns = self._kernel.clock.monotonic_ns()
        connections = self.connections
        self.connections = []
        for connection in connections:
            send_late_ack(connection, now_ns)
            connection.flush_events()


class HostLateAcks(LateAcks):
    """Holds acknowledgments back as long as the kernel lets output wait."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._soon = SoonAcks(kernel)

    def hold(self, connection: Connection) -> bool:
        kernel = self._kernel
        soon = self._soon
        waiting = [other for other in soon.connections if other.ack_is_late]
        now_ns = kernel.clock.monotonic_ns()
        if not kernel.deferral.hold_other(soon, now_ns, is_new=not waiting):
            return False
        waiting.append(connection)
        soon.connections = waiting
        return True


class NetworkNamespace(Network):
    """A stack, and what the rest of the kernel may ask of it."""

    def __init__(self, kernel: Kernel, *, allows_raw: bool) -> None:
        self.kernel = kernel
        self.environment = KernelEnvironment(kernel)
        self.stack, self.udp = new_stack(self.environment)
        self.tcp = TcpProtocol(self.stack)
        self.tcp.blocks = HostBlocks()
        self.tcp.late_acks = HostLateAcks(kernel)
        self.stack.register_transport(PROTOCOL_TCP, self.tcp)
        rules4 = PacketFilter(self.stack, self.stack.networks[4])
        rules6 = PacketFilter(self.stack, self.stack.networks[6], rules4)
        self.iptables = Iptables(IPV4, rules4)
        self.ip6tables = Iptables(IPV6, rules6)
        self.nftables = Ruleset({4: rules4, 6: rules6})
        self.allows_raw = allows_raw  # --net-raw
        self.watchers: list[Socket] = []  # netlink sockets, which may want news
        self.texts: dict[bytes, NetText] = {}
        self.settings: dict[bytes, Setting] = {}

    def new_tcp(self, version: int) -> TcpEndpoint:
        """Return the endpoint of a new TCP socket."""
        return TcpEndpoint(self.tcp, version)

    def may_ping(self, creds: Credentials) -> bool:
        """Return whether net.ipv4.ping_group_range allows ping sockets (icmp(7))."""
        low = self.stack.settings.ping_group_low
        high = self.stack.settings.ping_group_high
        return any(low <= gid <= high for gid in (creds.egid, *creds.groups))

    # What lower layers ask for.

    def proc_names(self) -> list[bytes]:
        return list(self.texts)

    def proc_text(self, name: bytes) -> bytes:
        return self.texts[name].generate()

    def sysctl_names(self) -> list[bytes]:
        return list(self.settings)

    def read_sysctl(self, path: bytes) -> bytes:
        return self.settings[path].read()

    def write_sysctl(self, path: bytes, data: bytes, creds: Credentials | None) -> None:
        if creds is not None and creds.euid != 0 and not creds.has_capability(CAP_NET_ADMIN):
            raise SysError(EPERM)
        self.settings[path].write(data)

    def interface_names(self) -> list[bytes]:
        return [interface.name.encode() for interface in self.stack.interfaces.values()]

    def interface_texts(self, name: bytes) -> dict[bytes, bytes]:
        interface = self.stack.find_interface(name.decode("ascii", "replace"))
        return interface_texts(interface) if interface is not None else {}
