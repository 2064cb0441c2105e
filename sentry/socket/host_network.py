"""The network of a container that uses the host's own stack (--network=host).

/proc/net is that of the sandbox process, which is in the container's network
namespace; /proc/sys/net is as it was when the sandbox was confined, and not to
be changed; /sys/class/net is made of what netdevice(7) tells.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from sentry.abi import ioctl as abi_ioctl
from sentry.abi import socket as abi
from sentry.abi.errno import EACCES, ENFILE, EPERM
from sentry.errors import SysError
from sentry.kernel.kernel import Kernel
from sentry.kernel.network import Network
from sentry.platform import hostfiles
from sentry.platform.hostsocket import CALLS, IFREQ_SIZE
from sentry.vfs.creds import Credentials

IFNAMSIZ: Final = 16
TEXT_MAX: Final = 8 << 20  # of a file of /proc/net
PIECE: Final = 1 << 16
ARPHRD_LOOPBACK: Final = 772
IFF_UP: Final = 1
IFF_RUNNING: Final = 0x40
PING_GROUPS: Final = b"net/ipv4/ping_group_range"
FREE_PORTS: Final = b"net/ipv4/ip_unprivileged_port_start"

# What tells of the network alone, and needs no privilege to be read.
PROC_FILES: Final = (
    b"arp",
    b"dev",
    b"dev_mcast",
    b"icmp",
    b"icmp6",
    b"if_inet6",
    b"igmp",
    b"igmp6",
    b"ipv6_route",
    b"netstat",
    b"protocols",
    b"psched",
    b"raw",
    b"raw6",
    b"route",
    b"snmp",
    b"snmp6",
    b"sockstat",
    b"sockstat6",
    b"softnet_stat",
    b"tcp",
    b"tcp6",
    b"udp",
    b"udp6",
)

# Columns of a line of /proc/net/dev (proc_pid_net(5)), as /sys/class/net calls them.
STATISTICS: Final = (
    (b"statistics/rx_bytes", 0),
    (b"statistics/rx_packets", 1),
    (b"statistics/rx_errors", 2),
    (b"statistics/rx_dropped", 3),
    (b"statistics/multicast", 7),
    (b"statistics/tx_bytes", 8),
    (b"statistics/tx_packets", 9),
    (b"statistics/tx_errors", 10),
    (b"statistics/tx_dropped", 11),
    (b"statistics/collisions", 13),
)


@mypyc_attr(allow_interpreted_subclasses=True)
class OwnText:
    """A file of /proc/net that the sentry makes itself."""

    def generate(self) -> bytes:
        """Return the contents."""
        return b""


class HostNetwork(Network):
    """The network namespace of the host that the sandbox process is in."""

    def __init__(self, kernel: Kernel, settings: dict[bytes, bytes], *, allows_raw: bool) -> None:
        """`settings`: paths below /proc/sys with their texts."""
        self.kernel = kernel
        self.platform = kernel.platform
        self.allows_raw = allows_raw  # --net-raw
        self._settings = settings
        self.own_texts: dict[bytes, OwnText] = {}
        self.sockets = 0  # that guests have of the host
        # The sandbox needs descriptors itself: for files, stubs, and the control socket.
        self._sockets_max = hostfiles.descriptor_limit() // 2
        self._query_fd = -1

    def check_room(self) -> None:
        """Raise SysError(ENFILE) if guests have as many of the host's sockets as they may."""
        if self.sockets >= self._sockets_max:
            raise SysError(ENFILE)

    def query_fd(self) -> int:
        """Return a socket of the host's to ask about interfaces with."""
        if self._query_fd < 0:
            self._query_fd = CALLS.socket(abi.AF_INET, abi.SOCK_DGRAM, abi.IPPROTO_UDP)
        return self._query_fd

    def _numbers(self, setting: bytes) -> list[int]:
        return [int(word) for word in self._settings.get(setting, b"").split()]

    def may_ping(self, creds: Credentials) -> bool:
        """Return whether net.ipv4.ping_group_range allows ping sockets (icmp(7))."""
        numbers = self._numbers(PING_GROUPS)
        if len(numbers) != 2:
            return False
        return any(numbers[0] <= gid <= numbers[1] for gid in (creds.egid, *creds.groups))

    def first_free_port(self) -> int:
        """Return the first port that needs no capability (ip(7))."""
        numbers = self._numbers(FREE_PORTS)
        return numbers[0] if numbers else 1024

    # /proc/net and /proc/sys/net.

    def proc_names(self) -> list[bytes]:
        return [*PROC_FILES, *self.own_texts]

    def proc_text(self, name: bytes) -> bytes:
        own = self.own_texts.get(name)
        if own is not None:
            return own.generate()
        try:
            host_fd = hostfiles.open_file(hostfiles.PROC.fd, b"self/net/" + name, 0)
        except SysError:
            return b""  # the host's kernel was made without it
        try:
            text = bytearray()
            while len(text) < TEXT_MAX:
                piece = hostfiles.read_some_from_host(host_fd, PIECE, -1)
                if not piece:
                    break
                text += piece
            return bytes(text)
        finally:
            hostfiles.close(host_fd)

    def sysctl_names(self) -> list[bytes]:
        return list(self._settings)

    def read_sysctl(self, path: bytes) -> bytes:
        return self._settings[path]

    def write_sysctl(self, path: bytes, data: bytes, creds: Credentials | None) -> None:
        raise SysError(EPERM if creds is None or creds.euid == 0 else EACCES)

    # /sys/class/net.

    def _counters(self) -> dict[bytes, list[bytes]]:
        """Return the columns of /proc/net/dev by the interfaces' names."""
        found: dict[bytes, list[bytes]] = {}
        for line in self.proc_text(b"dev").splitlines()[2:]:
            name, _, columns = line.rpartition(b":")
            found[name.strip()] = columns.split()
        return found

    def interface_names(self) -> list[bytes]:
        return list(self._counters())

    def _ask(self, name: bytes, request: int) -> bytes:
        """Return what comes after the name in the struct ifreq of a request."""
        packed = name.ljust(IFREQ_SIZE, b"\0")
        return CALLS.ioctl(self.query_fd(), request, packed)[IFNAMSIZ:]

    def _ask_number(self, name: bytes, request: int, size: int = 4) -> int:
        return int.from_bytes(self._ask(name, request)[:size], "little")

    def interface_texts(self, name: bytes) -> dict[bytes, bytes]:
        columns = self._counters().get(name)
        if columns is None or len(name) >= IFNAMSIZ:
            return {}
        try:
            hardware = self._ask(name, abi_ioctl.SIOCGIFHWADDR)
            index = self._ask_number(name, abi_ioctl.SIOCGIFINDEX)
            mtu = self._ask_number(name, abi_ioctl.SIOCGIFMTU)
            flags = self._ask_number(name, abi_ioctl.SIOCGIFFLAGS, 2)
            queue_length = self._ask_number(name, abi_ioctl.SIOCGIFTXQLEN)
        except SysError:
            return {}  # it has gone
        kind = int.from_bytes(hardware[:2], "little")
        state = "unknown" if kind == ARPHRD_LOOPBACK else "up" if flags & IFF_RUNNING else "down"
        texts: dict[str, object] = {
            "address": hardware[2:8].hex(":"),
            "addr_len": 6,
            "carrier": int(flags & IFF_RUNNING != 0),
            "flags": f"0x{flags & ~IFF_RUNNING:x}",
            "ifindex": index,
            "mtu": mtu,
            "operstate": state if flags & IFF_UP else "down",
            "tx_queue_len": queue_length,
            "type": kind,
            "uevent": f"INTERFACE={name.decode('ascii', 'replace')}\nIFINDEX={index}",
        }
        found = {key.encode(): f"{value}\n".encode() for key, value in texts.items()}
        for path, column in STATISTICS:
            if column < len(columns):
                found[path] = columns[column] + b"\n"
        return found
