"""What all sockets of AF_INET and AF_INET6 have in common (ip(7), ipv6(7), socket(7)).

A socket is thin: the endpoint of the network stack does the work, `options`
has the values that setsockopt(2) can set, and this class joins them to the
kernel: errors, readiness, addresses, capabilities.
"""

from struct import Struct
from typing import Final

from mypy_extensions import mypyc_attr

from netstack.endpoint import (
    EVENT_IN,
    EVENT_OUT,
    EVENT_PRI,
    EVENT_URGENT,
    SHUT_READ,
    SHUT_WRITE,
    Address,
    Endpoint,
)
from netstack.environment import Listener
from netstack.errors import NetError
from netstack.ports import ReuseGroup
from sentry.abi import socket as abi
from sentry.abi.capability import CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_NET_RAW
from sentry.abi.errno import (
    EACCES,
    EAFNOSUPPORT,
    EINVAL,
    ENETUNREACH,
    ENODEV,
    ENOENT,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EPERM,
)
from sentry.errors import SysError
from sentry.kernel.async_io import tell_urgent
from sentry.kernel.deferral import HeldOutput
from sentry.kernel.task import Task
from sentry.mm.user import write_u32
from sentry.socket import ifreq, iptables
from sentry.socket.base import BUFFER_MIN, Socket
from sentry.socket.net_address import pack_address, parse_address, parse_ipv4, sockaddr_family
from sentry.socket.net_errors import as_sys_error, errno_of
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.option_table import (
    INT_MAX,
    KEEPS_NUMBER,
    OPTIONS,
    SO_TIMESTAMP_NEW,
    SO_TIMESTAMPNS_NEW,
    Option,
)
from sentry.socket.option_values import read_number
from sentry.socket.socket_filter import GROUP_OPTIONS
from sentry.vfs.caller import Caller
from sentry.vfs.file import POLLRDBAND, POLLRDNORM, POLLWRBAND, POLLWRNORM

_INT: Final = Struct("<i")
_U64: Final = Struct("<Q")
_MEMINFO: Final = Struct("<9I")
TIMESTAMPS: Final = (abi.SO_TIMESTAMP, abi.SO_TIMESTAMPNS, SO_TIMESTAMP_NEW, SO_TIMESTAMPNS_NEW)

RECEIVE_BUFFER_MIN: Final = 2304
FORCED_MAX: Final = 16 << 20  # beyond any limit, but not beyond reason
BUFFER_OPTIONS: Final = (
    abi.SO_SNDBUF,
    abi.SO_RCVBUF,
    abi.SO_SNDBUFFORCE,
    abi.SO_RCVBUFFORCE,
)
DEFAULT_AT_MINUS_ONE: Final = (
    (abi.SOL_IP, abi.IP_TTL),
    (abi.SOL_IP, abi.IP_MULTICAST_TTL),
    (abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS),
    (abi.SOL_IPV6, abi.IPV6_MULTICAST_HOPS),
    (abi.SOL_IPV6, abi.IPV6_TCLASS),
)
# Options of SOL_IP that need a byte at least; others take nothing for 0.
NEVER_EMPTY: Final = tuple(
    (abi.SOL_IP, number)
    for number in (
        abi.IP_FREEBIND,
        abi.IP_TRANSPARENT,
        abi.IP_MINTTL,
        abi.IP_MULTICAST_TTL,
        abi.IP_MULTICAST_LOOP,
        abi.IP_MULTICAST_ALL,
        abi.IP_TTL,
    )
)
TOS_OPTIONS: Final = ((abi.SOL_IP, abi.IP_TOS), (abi.SOL_IPV6, abi.IPV6_TCLASS))

OptionKey = tuple[int, int]
"""Level and number of an option."""


class SocketEvents(Listener):
    """Tells a socket's wait queue what its endpoint reports."""

    def __init__(self, sock: "InetSocket") -> None:
        self.sock = sock

    def on_events(self, events: int) -> None:
        if events & EVENT_URGENT:
            tell_urgent(self.sock.namespace.kernel, self.sock)
            events &= ~EVENT_URGENT
        self.sock.queue.notify(poll_bits(events))


def poll_bits(events: int) -> int:
    """Return EVENT_ bits with those that poll(2) has besides (POLLRDNORM, POLLWRNORM)."""
    if events & EVENT_IN:
        events |= POLLRDNORM
    if events & EVENT_OUT:
        events |= POLLWRNORM | POLLWRBAND
    if events & EVENT_PRI:
        events |= POLLRDBAND
    return events


class SocketOutput(HeldOutput):
    """What a socket's endpoint keeps for the next call of its kind."""

    def __init__(self, sock: "InetSocket") -> None:
        self._sock = sock
        self.since_ns = 0  # that the first of it waits

    def push(self) -> None:
        self._sock.end_burst()
        self._sock.stack.flush()


@mypyc_attr(allow_interpreted_subclasses=True)
class InetSocket(Socket):
    """A socket above an endpoint of the stack."""

    def __init__(
        self,
        task: Task,
        namespace: NetworkNamespace,
        family: int,
        kind: int,
        protocol: int,
    ) -> None:
        super().__init__(task, family, kind, protocol, 0)
        self.namespace = namespace
        self.stack = namespace.stack
        self.uid = task.creds.fsuid
        self.values: dict[OptionKey, int] = {}  # options that were set
        self.device_name = b""  # SO_BINDTODEVICE
        self.base_endpoint = Endpoint()
        self._held: SocketOutput | None = None

    def attach(self, endpoint: Endpoint) -> None:
        """Use an endpoint from now on."""
        self.base_endpoint = endpoint
        endpoint.listener = SocketEvents(self)

    # Addresses.

    def parse(self, data: bytes) -> Address:
        """Return an address for this socket; SysError if it is of another family."""
        address = parse_address(self.family, data)
        if len(address.host) == 4 and self.is_v6_only():
            raise SysError(ENETUNREACH)
        return address

    def parse_bind(self, task: Task, data: bytes) -> Address:
        """Return the address for bind(2), whose port the task may take."""
        family = sockaddr_family(data)
        if self.family == abi.AF_INET and family == abi.AF_UNSPEC:
            # Compatibility of Linux: only the wildcard (inet_bind, net/ipv4/af_inet.c).
            address = parse_ipv4(data)
            if any(address.host):
                raise SysError(EAFNOSUPPORT)
        else:
            address = parse_address(self.family, data)
        if len(address.host) == 4 and self.is_v6_only():
            raise SysError(EINVAL)
        if 0 < address.port < self.stack.settings.ip_unprivileged_port_start:
            if not task.creds.has_capability(CAP_NET_BIND_SERVICE):
                raise SysError(EACCES)
        return address

    def is_v6_only(self) -> bool:
        """Return whether IPV6_V6ONLY is set."""
        return bool(self.values.get((abi.SOL_IPV6, abi.IPV6_V6ONLY), 0))

    def show(self, address: Address) -> bytes:
        """Return an address as this socket's family has it."""
        return pack_address(self.family, address)

    # Bursts.

    def end_burst(self) -> None:
        """Send what waits for the next call of its kind."""

    def hold_output(self, *, is_new: bool) -> None:
        """Have `end_burst` called soon; `is_new`: nothing waits that did so before."""
        kernel = self.namespace.kernel
        held = self._held
        if held is None:
            held = self._held = SocketOutput(self)
        now_ns = kernel.clock.monotonic_ns()
        if is_new:
            held.since_ns = now_ns
        kernel.deferral.hold(held, held.since_ns)
        if kernel.deferral.is_late(now_ns):
            kernel.deferral.push()

    # State.

    def readiness(self) -> int:
        return poll_bits(self.base_endpoint.readiness())

    def take_error(self) -> int:
        return errno_of(self.base_endpoint.take_error())

    def release(self) -> None:
        self.base_endpoint.close()
        self.stack.flush()

    def shutdown_bits(self, how: int) -> int:
        """Return the directions of shutdown(2); SysError(EINVAL)."""
        if not 0 <= how <= abi.SHUT_RDWR:
            raise SysError(EINVAL)
        return (SHUT_READ, SHUT_WRITE, SHUT_READ | SHUT_WRITE)[how]

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        """Do the requests that are about interfaces; kinds of sockets have more."""
        return ifreq.ioctl(self.namespace, caller, request, argument)

    def write_number(self, caller: Caller, argument: int, value: int) -> int:
        """Answer an ioctl(2) with a number."""
        write_u32(caller.memory, argument, value & 0xFFFF_FFFF)
        return 0

    # Options.

    def value(self, level: int, option: int) -> int:
        """Return the value of an option of the table, set or not."""
        row = OPTIONS.get((level, option))
        return self.values.get((level, option), row.default if row is not None else 0)

    def find_option(self, level: int, option: int) -> Option | None:
        """Return the row of an option, if this kind of socket has it."""
        row = OPTIONS.get((level, option))
        if row is None or not row.is_for(self.family, self.kind, self.protocol):
            return None
        return row

    def get_option(self, task: Task, level: int, option: int) -> bytes:
        try:
            found = self.get_special(level, option)
        except NetError as error:
            raise as_sys_error(error) from None
        if found is not None:
            return found
        row = OPTIONS.get((level, option))
        if row is not None and row.may_read(self.family, self.kind, self.protocol):
            return _INT.pack(self.values.get((level, option), self.default_of(row)))
        if level != abi.SOL_SOCKET:
            raise SysError(self._no_option(level))
        return super().get_option(task, level, option)

    def default_of(self, row: Option) -> int:
        """Return what an option is that was not set."""
        if row.number == abi.IP_MULTICAST_ALL and row.level == abi.SOL_IP:
            return int(self.family == abi.AF_INET)
        return row.default

    def _no_option(self, level: int) -> int:
        """Return the errno of getsockopt(2) for an option that there is not."""
        own = {abi.SOCK_STREAM: abi.SOL_TCP, abi.SOCK_RAW: abi.SOL_RAW}
        if self.family != abi.AF_INET or level in (abi.SOL_IP, own.get(self.kind, abi.SOL_UDP)):
            return ENOPROTOOPT
        return EOPNOTSUPP

    def get_special(self, level: int, option: int) -> bytes | None:
        """Return the value of an option that is no plain number; None: ask the table."""
        if level != abi.SOL_SOCKET:
            return None
        if option == abi.SO_BINDTODEVICE:
            return self.device_name + b"\0" if self.device_name else b""
        if option == abi.SO_BINDTOIFINDEX:
            return _INT.pack(self.device_index())
        if option == abi.SO_COOKIE:
            return _U64.pack(self.number)
        if option == abi.SO_MAX_PACING_RATE:
            return _U64.pack((1 << 64) - 1)
        if option == abi.SO_MEMINFO:
            sizes = (0, self.receive_buffer, 0, self.send_buffer, 0, 0, 0, 0, 0)
            return _MEMINFO.pack(*sizes)
        return None

    def device_index(self) -> int:
        """Return the index of the device of SO_BINDTODEVICE, 0 if there is none."""
        interface = self.stack.find_interface(self.device_name.decode("ascii", "replace"))
        return interface.index if interface is not None and self.device_name else 0

    def asks_with_value(self, level: int, option: int) -> bool:
        tables = self._tables()
        return tables is not None and tables.is_option(level, option)

    def _tables(self) -> iptables.Iptables | None:
        if self.family == abi.AF_INET:
            return self.namespace.iptables
        return self.namespace.ip6tables if self.family == abi.AF_INET6 else None

    def get_option_for(self, task: Task, level: int, option: int, value: bytes) -> bytes:
        iptables.check_capability(task)
        tables = self._tables()
        assert tables is not None
        return tables.get_option(option, value)

    def option_limit(self, task: Task, level: int, option: int) -> int:
        if self.asks_with_value(level, option) and task.creds.has_capability(CAP_NET_ADMIN):
            return iptables.MAX_OPTION
        return 0

    def _set_rules(self, task: Task, option: int, value: bytes) -> None:
        iptables.check_capability(task)
        tables = self._tables()
        assert tables is not None
        if option == iptables.SET_REPLACE:
            tables.replace(task, value)
        elif option == iptables.SET_ADD_COUNTERS:
            tables.add_counters(value)
        else:
            raise SysError(EINVAL)

    def set_option(self, task: Task, level: int, option: int, value: bytes) -> None:
        if self.asks_with_value(level, option):
            self._set_rules(task, option, value)
            return
        try:
            if self.set_special(task, level, option, value):
                return
            row = self.find_option(level, option)
            if row is not None:
                self._set_number(task, row, value)
                return
        except NetError as error:
            raise as_sys_error(error) from None
        if level != abi.SOL_SOCKET:
            if level == abi.SOL_TCP and self.kind == abi.SOCK_STREAM:
                read_number(level, value)  # too short comes before unknown
            raise SysError(ENOPROTOOPT)
        if option in BUFFER_OPTIONS:
            self._set_buffer(task, option, read_number(level, value))
        elif option == abi.SO_RCVLOWAT:
            number = read_number(level, value)
            self.options[option] = INT_MAX if number < 0 else max(number, 1)
        else:
            if option not in (abi.SO_RCVTIMEO, abi.SO_SNDTIMEO):
                read_number(level, value)
            super().set_option(task, level, option, value)

    def _set_buffer(self, task: Task, option: int, number: int) -> None:
        """Set the size of a buffer: Linux doubles what is asked for (socket(7))."""
        settings = self.stack.settings
        is_send = option in (abi.SO_SNDBUF, abi.SO_SNDBUFFORCE)
        limit = settings.wmem_max if is_send else settings.rmem_max
        if option in (abi.SO_SNDBUFFORCE, abi.SO_RCVBUFFORCE):
            if not task.creds.has_capability(CAP_NET_ADMIN):
                raise SysError(EPERM)
            limit = max(limit, FORCED_MAX)
        size = 2 * min(max(number, 0), limit)
        if is_send:
            self.send_buffer = max(BUFFER_MIN, size)
        else:
            self.receive_buffer = max(RECEIVE_BUFFER_MIN, size)
        self.apply_buffers(send=is_send)

    def _set_number(self, task: Task, row: Option, value: bytes) -> None:
        if not value and (row.level, row.number) in NEVER_EMPTY:
            raise SysError(EINVAL)
        if len(value) < 4 and row.number == abi.IPV6_AUTOFLOWLABEL and row.level == abi.SOL_IPV6:
            value = bytes(4)
        number = read_number(row.level, value)
        if row.is_read_only:
            raise SysError(ENOPROTOOPT)
        number = self.adjusted(row, row.checked(number))
        if row.capability >= 0 and row.default != number and not may_set(task, row):
            raise SysError(EPERM)
        if row.kind != KEEPS_NUMBER:
            number = int(number != 0)
        self.apply(row, number)
        self.values[(row.level, row.number)] = number
        if row.level == abi.SOL_SOCKET and row.number in TIMESTAMPS:
            self._exclude_other_times(row.number)
        self.stack.flush()

    def adjusted(self, row: Option, number: int) -> int:
        """Return what is kept of a number: -1 is the default of hop limits and classes."""
        if row.level == abi.SOL_IP and row.number == abi.IP_TOS:
            number &= 0xFF
        elif number == -1 and (row.level, row.number) in DEFAULT_AT_MINUS_ONE:
            return row.default
        if (row.level, row.number) in TOS_OPTIONS and self.kind == abi.SOCK_STREAM:
            number &= ~3  # the bits of ECN are TCP's own
        return number

    def set_special(self, task: Task, level: int, option: int, value: bytes) -> bool:
        """Set an option that is no plain number; False: it is one."""
        if level != abi.SOL_SOCKET:
            return False
        if option in GROUP_OPTIONS:
            self._set_group_program(task, option, value)
            return True
        if option == abi.SO_BINDTODEVICE:
            self._bind_to_device(value[:15].split(b"\0")[0])
            return True
        if option == abi.SO_BINDTOIFINDEX:
            index = read_number(level, value)
            interface = self.stack.interfaces.get(index)
            if index and interface is None:
                raise SysError(ENODEV)
            self._bind_to_device(interface.name.encode() if interface is not None else b"")
            return True
        return False

    def _set_group_program(self, task: Task, option: int, value: bytes) -> None:
        """SO_ATTACH_REUSEPORT_CBPF: which socket of a group gets what; SysError(EINVAL, ENOENT)."""
        program = None
        if option == abi.SO_ATTACH_REUSEPORT_CBPF:
            program = self.filter.read_program(task, value)
        endpoint = self.base_endpoint
        binding = endpoint.bound_to()
        group = endpoint.reuse_group if binding is None else binding.group
        if group is None and binding is None and self.value(abi.SOL_SOCKET, abi.SO_REUSEPORT):
            group = endpoint.reuse_group = ReuseGroup()
        if group is None:
            raise SysError(EINVAL)
        if program is None and group.program is None:
            raise SysError(ENOENT)
        group.program = program

    def _exclude_other_times(self, option: int) -> None:
        """SO_TIMESTAMP and its kind are ways to tell one thing: one takes the others' place."""
        for other in TIMESTAMPS:
            if other != option:
                self.values.pop((abi.SOL_SOCKET, other), None)

    def _bind_to_device(self, name: bytes) -> None:
        index = 0
        if name:
            interface = self.stack.find_interface(name.decode("ascii", "replace"))
            if interface is None:
                raise SysError(ENODEV)
            index = interface.index
        self.device_name = name
        self.apply_device(index)

    def apply(self, row: Option, number: int) -> None:
        """Give the endpoint the new value of an option; kinds of sockets know which it has."""

    def apply_buffers(self, *, send: bool) -> None:
        """Give the endpoint the new size of a buffer."""

    def apply_device(self, index: int) -> None:
        """Give the endpoint the device of SO_BINDTODEVICE."""


def may_set(task: Task, row: Option) -> bool:
    """Return whether a task has the capability for an option."""
    creds = task.creds
    if creds.has_capability(row.capability):
        return True
    # Raw packets could do the same (sockopt_ns_capable, net/core/sock.c).
    return row.number != abi.SO_BUSY_POLL and creds.has_capability(CAP_NET_RAW)
