"""UDP, raw and ping sockets (udp(7), raw(7), icmp(7)): single messages."""

from struct import Struct
from typing import Final

from netstack.bpf import BpfProgram
from netstack.datagram import SendOptions
from netstack.endpoint import SHUT_READ, Address
from netstack.errors import NOT_CONNECTED, NetError
from netstack.ping import PingEndpoint
from netstack.raw import RawEndpoint
from netstack.udp import UdpEndpoint
from sentry.abi import socket as abi
from sentry.abi.errno import (
    EAFNOSUPPORT,
    EAGAIN,
    EDESTADDRREQ,
    EFAULT,
    EINVAL,
    EMSGSIZE,
    ENETUNREACH,
    ENOENT,
    ENOTCONN,
    EOPNOTSUPP,
)
from sentry.abi.ioctl import SIOCINQ, SIOCOUTQ
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.socket import memberships
from sentry.socket.base import Message
from sentry.socket.inet import InetSocket
from sentry.socket.inet_control import add_error, add_received, send_options
from sentry.socket.net_address import parse_ipv4, sockaddr_family
from sentry.socket.net_errors import as_sys_error
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.option_table import (
    IPV6_DONTFRAG,
    IPV6_FREEBIND,
    IPV6_MULTICAST_ALL,
    IPV6_TRANSPARENT,
    UDP_CORK,
    UDP_GRO,
    UDP_SEGMENT,
    Option,
)
from sentry.socket.option_values import read_number
from sentry.vfs.caller import Caller

MESSAGE_MAX: Final = 65535
ICMP_FILTER: Final = 1
ICMPV6_FILTER: Final = 1
IPV6_HDRINCL: Final = 36
_INT: Final = Struct("<i")
_TWO_LONGS: Final = Struct("<qq")
SIOCGSTAMP: Final = 0x8906
SIOCGSTAMPNS: Final = 0x8907
SIOCGSTAMP_NEW: Final = 0x80108906
SIOCGSTAMPNS_NEW: Final = 0x80108907
TIME_REQUESTS: Final = (SIOCGSTAMP, SIOCGSTAMPNS, SIOCGSTAMP_NEW, SIOCGSTAMPNS_NEW)
_WORD: Final = Struct("<I")
_EIGHT_WORDS: Final = Struct("<8I")

MessageEndpoint = UdpEndpoint | RawEndpoint | PingEndpoint

# Options that are a field of the endpoint as they stand.
FLAG_FIELDS: Final = {
    (abi.SOL_SOCKET, abi.SO_BROADCAST): "broadcast",
    (abi.SOL_IP, abi.IP_FREEBIND): "free_bind",
    (abi.SOL_IPV6, IPV6_FREEBIND): "free_bind",
    (abi.SOL_IP, abi.IP_TRANSPARENT): "free_bind",
    (abi.SOL_IPV6, IPV6_TRANSPARENT): "free_bind",
    (abi.SOL_IP, abi.IP_RECVERR): "receive_errors",
    (abi.SOL_IPV6, abi.IPV6_RECVERR): "receive_errors",
    (abi.SOL_IP, abi.IP_MULTICAST_LOOP): "multicast_loop",
    (abi.SOL_IPV6, abi.IPV6_MULTICAST_LOOP): "multicast_loop",
    (abi.SOL_IP, abi.IP_MULTICAST_ALL): "multicast_all",
    (abi.SOL_IPV6, IPV6_MULTICAST_ALL): "multicast_all",
    (abi.SOL_IPV6, abi.IPV6_V6ONLY): "only_v6",
}
# The same for UDP only.
UDP_FIELDS: Final = {
    (abi.SOL_SOCKET, abi.SO_REUSEADDR): "reuse_address",
    (abi.SOL_SOCKET, abi.SO_REUSEPORT): "reuse_port",
    (abi.SOL_SOCKET, abi.SO_NO_CHECK): "no_checksum",
}
# Numbers; -1 stands for the value given.
NUMBER_FIELDS: Final = {
    (abi.SOL_SOCKET, abi.SO_MARK): ("mark", 0),
    (abi.SOL_IP, abi.IP_TOS): ("tos", 0),
    (abi.SOL_IP, abi.IP_TTL): ("ttl", 0),
    (abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS): ("hop_limit", 0),
    (abi.SOL_IPV6, abi.IPV6_TCLASS): ("traffic_class", 0),
    (abi.SOL_IP, abi.IP_MTU_DISCOVER): ("path_mtu_discovery", 1),
    (abi.SOL_IPV6, abi.IPV6_MTU_DISCOVER): ("path_mtu_discovery", 1),
    (abi.SOL_IP, abi.IP_MULTICAST_TTL): ("multicast_ttl", 1),
    (abi.SOL_IPV6, abi.IPV6_MULTICAST_HOPS): ("multicast_ttl", 1),
}


class DatagramSocket(InetSocket):
    """A socket of messages."""

    def __init__(
        self,
        task: Task,
        namespace: NetworkNamespace,
        family: int,
        kind: int,
        protocol: int,
        endpoint: MessageEndpoint,
    ) -> None:
        super().__init__(task, namespace, family, kind, protocol)
        self.endpoint = endpoint
        self.last_time_ns = 0  # realtime of the arrival of the datagram that was read last
        endpoint.user = self.uid
        endpoint.group = task.creds.fsgid
        self.attach(endpoint)

    # Names.

    def bind(self, task: Task, address: bytes) -> None:
        if self.kind == abi.SOCK_RAW or self.protocol != abi.IPPROTO_UDP:
            # There are no ports to be protected.
            wanted = self.parse(address)
        else:
            wanted = self.parse_bind(task, address)
        endpoint = self.endpoint
        try:
            endpoint.bind(wanted)
        except NetError as error:
            raise as_sys_error(error) from None

    def try_connect(self, task: Task, address: bytes) -> int | None:
        family = sockaddr_family(address)
        endpoint = self.endpoint
        target: Address | None = None
        if family == abi.AF_INET and self.family == abi.AF_INET6:
            # As Linux (__ip6_datagram_connect, net/ipv6/datagram.c).
            if self.is_v6_only() or self.kind == abi.SOCK_RAW:
                raise SysError(EAFNOSUPPORT)
            target = parse_ipv4(address)
        elif family != abi.AF_UNSPEC:
            target = self.parse(address)
        try:
            if target is None:
                endpoint.disconnect()
            else:
                endpoint.connect(target)
        except NetError as error:
            raise as_sys_error(error) from None
        return 0

    def local_address(self) -> Address:
        """Return the own address, as far as there is one."""
        endpoint = self.endpoint
        if isinstance(endpoint, RawEndpoint):
            return Address(endpoint.local_host, self.protocol)
        return endpoint.local_address()

    def name(self) -> bytes:
        return self.show(self.local_address())

    def peer_name(self) -> bytes:
        remote = self.endpoint.remote
        if remote is None:
            raise SysError(ENOTCONN)
        return self.show(remote)

    def shutdown(self, how: int) -> None:
        bits = self.shutdown_bits(how)
        try:
            self.endpoint.shutdown(bits)
        except NetError as error:
            raise as_sys_error(error) from None

    # Sending.

    def try_write(self, source: Source) -> int | None:
        return self._send(source, None, None)

    def try_send(
        self, task: Task, source: Source, message: Message, address: bytes, flags: int
    ) -> int | None:
        if flags & abi.MSG_OOB:
            raise SysError(EOPNOTSUPP)
        options = send_options(message.control, self.family == abi.AF_INET6, self.has_ports())
        if flags & abi.MSG_MORE:
            options = options if options is not None else SendOptions()
            options.more = True
        return self._send(source, self._target(address) if address else None, options)

    def _target(self, address: bytes) -> Address | None:
        """Return where sendto(2) sends; None: to the connected peer."""
        family = sockaddr_family(address)
        if self.family == abi.AF_INET:
            if len(address) < abi.SOCKADDR_IN_SIZE:
                raise SysError(EINVAL)
            if family not in (abi.AF_INET, abi.AF_UNSPEC):
                raise SysError(EAFNOSUPPORT)
            return parse_ipv4(address)
        if family == abi.AF_UNSPEC:
            return None
        if family == abi.AF_INET and self.protocol == abi.IPPROTO_UDP:
            if self.is_v6_only():
                raise SysError(ENETUNREACH)
            return parse_ipv4(address)
        return self.parse(address)

    def _send(
        self, source: Source, target: Address | None, options: SendOptions | None
    ) -> int | None:
        size = source.size
        if size > MESSAGE_MAX:
            raise SysError(EMSGSIZE)
        data = source.take(size)
        if len(data) < size:
            raise SysError(EFAULT)
        endpoint = self.endpoint
        try:
            if isinstance(endpoint, UdpEndpoint):
                may_wait = self.namespace.kernel.deferral.may_hold()
                done = endpoint.send(data, target, options, may_wait=may_wait)
                if endpoint.burst_size():
                    self.hold_output(is_new=endpoint.burst_size() == 1)
            else:
                done = endpoint.send(data, target, options)
        except NetError as error:
            if error.code == NOT_CONNECTED:
                raise SysError(EDESTADDRREQ) from None
            raise as_sys_error(error) from None
        self.stack.flush()
        return done

    def end_burst(self) -> None:
        endpoint = self.endpoint
        if isinstance(endpoint, UdpEndpoint):
            endpoint.end_burst()

    # Receiving.

    def try_read(self, sink: Sink) -> int | None:
        if sink.room == 0:
            return 0
        endpoint = self.endpoint
        try:
            datagram = endpoint.receive()
        except NetError as error:
            raise as_sys_error(error) from None
        if datagram is None:
            return 0 if endpoint.shut & SHUT_READ else None
        self.last_time_ns = datagram.time_ns
        payload = datagram.payload
        return sink.put(payload) if payload else 0

    def try_receive(self, sink: Sink, message: Message, flags: int) -> int | None:
        if flags & abi.MSG_OOB:
            raise SysError(EOPNOTSUPP)
        if flags & abi.MSG_ERRQUEUE:
            return self._receive_error(sink, message)
        endpoint = self.endpoint
        start = 0
        is_further = flags & abi.MSG_PEEK and endpoint.peek_offset >= 0
        try:
            if is_further:
                found = endpoint.peek_further()
                datagram, start = found if found is not None else (None, 0)
            else:
                datagram = endpoint.receive(peek=bool(flags & abi.MSG_PEEK))
        except NetError as error:
            raise as_sys_error(error) from None
        if datagram is None:
            return 0 if endpoint.shut & SHUT_READ else None
        payload = datagram.payload[start:] if start else datagram.payload
        size = len(payload)
        self.last_time_ns = datagram.time_ns
        done = sink.put(payload) if size and sink.room else 0
        if is_further:
            endpoint.peek_offset += done
        message.address = self.show(datagram.source)
        if done < size:
            message.flags |= abi.MSG_TRUNC
        add_received(self, datagram, message)
        return size if flags & abi.MSG_TRUNC else done

    def _receive_error(self, sink: Sink, message: Message) -> int:
        entry = self.endpoint.receive_error()
        if entry is None:
            raise SysError(EAGAIN)
        payload = entry.payload
        done = sink.put(payload) if payload and sink.room else 0
        if done < len(payload):
            message.flags |= abi.MSG_TRUNC
        message.flags |= abi.MSG_ERRQUEUE
        message.address = self.show(entry.destination)
        add_error(self, entry, message)
        return done

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        if request in TIME_REQUESTS:
            return self._tell_time(caller, request, argument)
        if request == SIOCINQ:
            return self.write_number(caller, argument, self.endpoint.next_size())
        if request == SIOCOUTQ:
            return self.write_number(caller, argument, 0)  # sent at once
        return super().ioctl(caller, request, argument)

    def _tell_time(self, caller: Caller, request: int, argument: int) -> int:
        """Tell when the datagram that was read last came in (socket(7), SIOCGSTAMP)."""
        if self.last_time_ns == 0:
            raise SysError(ENOENT)
        seconds, rest = divmod(self.last_time_ns, 1_000_000_000)
        if request in (SIOCGSTAMP, SIOCGSTAMP_NEW):
            rest //= 1000
        caller.memory.write(argument, _TWO_LONGS.pack(seconds, rest))
        return 0

    def attach_filter(self, program: BpfProgram | None) -> None:
        self.endpoint.filter = program

    # Options.

    def get_special(self, level: int, option: int) -> bytes | None:
        endpoint = self.endpoint
        if level == abi.SOL_IPV6 and self.family == abi.AF_INET:
            return None
        if level in (abi.SOL_IP, abi.SOL_IPV6):
            if option == (abi.IP_MTU if level == abi.SOL_IP else abi.IPV6_MTU):
                mtu = endpoint.path_mtu()
                return _INT.pack(min(mtu, 0xFFFF) if level == abi.SOL_IP else mtu)
            if level == abi.SOL_IP and option == abi.IP_OPTIONS:
                return endpoint.ipv4_options
            return memberships.get_option(endpoint, level, option)
        if level == abi.SOL_SOCKET and option == abi.SO_PEEK_OFF:
            return _INT.pack(endpoint.peek_offset)
        if isinstance(endpoint, RawEndpoint):
            if level == abi.SOL_RAW and option == ICMP_FILTER and self._is_icmp():
                return _WORD.pack(endpoint.icmp_filter)
            if level == abi.IPPROTO_ICMPV6 and option == ICMPV6_FILTER:
                return endpoint.icmp6_filter.to_bytes(32, "little")
        return super().get_special(level, option)

    def has_ports(self) -> bool:
        """Return whether this is a UDP socket."""
        return self.kind == abi.SOCK_DGRAM and self.protocol == abi.IPPROTO_UDP

    def _is_icmp(self) -> bool:
        return self.family == abi.AF_INET and self.protocol == abi.IPPROTO_ICMP

    def set_special(self, task: Task, level: int, option: int, value: bytes) -> bool:
        endpoint = self.endpoint
        if level == abi.SOL_IPV6 and self.family == abi.AF_INET:
            return False
        if level == abi.SOL_IP and option == abi.IP_OPTIONS:
            if len(value) > 40:
                raise SysError(EINVAL)
            endpoint.ipv4_options = value + bytes(-len(value) % 4)
            return True
        if level == abi.SOL_SOCKET and option == abi.SO_PEEK_OFF and self.has_ports():
            endpoint.peek_offset = read_number(level, value)
            return True
        if level in (abi.SOL_IP, abi.SOL_IPV6):
            if option == abi.IPV6_V6ONLY and level == abi.SOL_IPV6 and self.local_address().port:
                raise SysError(EINVAL)
            if memberships.set_option(endpoint, level, option, value):
                return True
        if isinstance(endpoint, RawEndpoint):
            if level == abi.SOL_RAW and option == ICMP_FILTER and self._is_icmp():
                endpoint.icmp_filter = int.from_bytes(value[:4], "little")
                return True
            if level == abi.SOL_RAW and option == abi.IPV6_CHECKSUM and endpoint.version == 6:
                self._set_checksum_offset(endpoint, read_number(level, value))
                return True
            if level == abi.IPPROTO_ICMPV6 and option == ICMPV6_FILTER:
                endpoint.icmp6_filter = int.from_bytes(value[:32].ljust(32, b"\0"), "little")
                return True
        return super().set_special(task, level, option, value)

    def _set_checksum_offset(self, endpoint: RawEndpoint, number: int) -> None:
        """Set IPV6_CHECKSUM at SOL_RAW, where ICMPv6 has it as well (do_rawv6_setsockopt)."""
        if number > 0 and number % 2:
            raise SysError(EINVAL)
        endpoint.checksum_offset = max(number, -1)
        self.values[(abi.SOL_IPV6, abi.IPV6_CHECKSUM)] = endpoint.checksum_offset

    def apply(self, row: Option, number: int) -> None:
        key = (row.level, row.number)
        endpoint = self.endpoint
        if key in FLAG_FIELDS:
            setattr(endpoint, FLAG_FIELDS[key], number != 0)
            if not number and FLAG_FIELDS[key] == "receive_errors":
                endpoint.forget_errors()
        elif key in NUMBER_FIELDS:
            if key == (abi.SOL_IP, abi.IP_TTL) and number == 0:
                raise SysError(EINVAL)
            name, at_minus_one = NUMBER_FIELDS[key]
            setattr(endpoint, name, at_minus_one if number < 0 else number)
        elif isinstance(endpoint, UdpEndpoint):
            if key in UDP_FIELDS:
                setattr(endpoint, UDP_FIELDS[key], number != 0)
            elif key == (abi.SOL_UDP, UDP_CORK):
                endpoint.corked = number != 0
                if not number:
                    endpoint.push()
            elif key == (abi.SOL_UDP, UDP_SEGMENT):
                endpoint.segment_size = number
            elif key == (abi.SOL_UDP, UDP_GRO):
                endpoint.joins_segments = number != 0
        elif isinstance(endpoint, RawEndpoint):
            if key == (abi.SOL_IP, abi.IP_HDRINCL):
                endpoint.has_header = number != 0
            elif key == (abi.SOL_IPV6, abi.IPV6_CHECKSUM):
                endpoint.checksum_offset = number
        if key == (abi.SOL_IPV6, IPV6_DONTFRAG) and number:
            endpoint.path_mtu_discovery = abi.IP_PMTUDISC_DO

    def apply_buffers(self, *, send: bool) -> None:
        if not send:
            self.endpoint.receive_limit = self.receive_buffer

    def apply_device(self, index: int) -> None:
        endpoint = self.endpoint
        if isinstance(endpoint, UdpEndpoint):
            endpoint.set_interface(index)
        else:
            endpoint.interface_index = index
