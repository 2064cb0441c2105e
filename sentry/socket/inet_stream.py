"""TCP sockets (tcp(7)): SOCK_STREAM of AF_INET and AF_INET6."""

from struct import Struct
from typing import Final

from netstack.bpf import BpfProgram
from netstack.errors import ALREADY_CONNECTING, NetError
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.states import CLOSED, LISTEN
from sentry.abi import socket as abi
from sentry.abi.capability import CAP_NET_ADMIN
from sentry.abi.errno import (
    EAGAIN,
    EALREADY,
    EFAULT,
    EINPROGRESS,
    EINVAL,
    ENOENT,
    ENOPROTOOPT,
    ENOTCONN,
    EPERM,
)
from sentry.abi.ioctl import SIOCATMARK, SIOCINQ, SIOCOUTQ
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.socket import tcp_fast_open
from sentry.socket.base import Message, Socket
from sentry.socket.inet import InetSocket
from sentry.socket.net_address import sockaddr_family
from sentry.socket.net_errors import as_sys_error
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.option_table import IPV6_FREEBIND, IPV6_TRANSPARENT, Option
from sentry.socket.option_values import read_number
from sentry.socket.tcp_info import pack_tcp_info
from sentry.vfs.caller import Caller
from sentry.vfs.file import O_NONBLOCK

SIOCOUTQNSD: Final = 0x894B
CHUNK: Final = 1 << 18  # the most that is copied from or to the guest at once
BULK: Final = 1 << 15  # from here on it is copied straight to where the stack keeps it
IPV4_MTU_MAX: Final = 0xFFFF  # IP_MAX_MTU, net/ip.h
MS_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
_INT: Final = Struct("<i")

# Options that are a field of the endpoint's options as they stand.
FLAG_FIELDS: Final = {
    (abi.SOL_SOCKET, abi.SO_REUSEADDR): "reuse_address",
    (abi.SOL_IP, abi.IP_FREEBIND): "free_bind",
    (abi.SOL_IP, abi.IP_TRANSPARENT): "free_bind",
    (abi.SOL_IPV6, IPV6_FREEBIND): "free_bind",
    (abi.SOL_IPV6, IPV6_TRANSPARENT): "free_bind",
    (abi.SOL_SOCKET, abi.SO_REUSEPORT): "reuse_port",
    (abi.SOL_SOCKET, abi.SO_OOBINLINE): "oob_inline",
    (abi.SOL_IPV6, abi.IPV6_V6ONLY): "v6_only",
}
NUMBER_FIELDS: Final = {
    (abi.SOL_SOCKET, abi.SO_MARK): "mark",
    (abi.SOL_TCP, abi.TCP_SYNCNT): "syn_count",
    (abi.SOL_IP, abi.IP_TOS): "tos",
}
KEEPALIVE: Final = (abi.TCP_KEEPIDLE, abi.TCP_KEEPINTVL, abi.TCP_KEEPCNT)


class StreamSocket(InetSocket):
    """A TCP socket."""

    def __init__(
        self, task: Task, namespace: NetworkNamespace, family: int, endpoint: TcpEndpoint
    ) -> None:
        super().__init__(task, namespace, family, abi.SOCK_STREAM, abi.IPPROTO_TCP)
        self.endpoint = endpoint
        self.writes_all = True
        self.is_opening = False  # a write may be what sends the SYN (TCP Fast Open)
        self.peek_offset = -1  # SO_PEEK_OFF; negative: always the front
        self.quickack = True  # TCP_QUICKACK as long as there is no connection
        endpoint.user = self.uid
        endpoint.options.user = self.uid
        endpoint.options.group = task.creds.fsgid
        self.attach(endpoint)

    # Names and connections.

    def bind(self, task: Task, address: bytes) -> None:
        wanted = self.parse_bind(task, address)
        try:
            self.endpoint.bind(wanted)
        except NetError as error:
            raise as_sys_error(error) from None

    def listen(self, task: Task, backlog: int) -> None:
        try:
            self.endpoint.listen(backlog)
        except NetError as error:
            raise as_sys_error(error) from None

    def is_listening(self) -> bool:
        return self.endpoint.state() == LISTEN

    def try_connect(self, task: Task, address: bytes) -> int | None:
        if sockaddr_family(address) == abi.AF_UNSPEC:
            self.endpoint.disconnect()
            self.stack.flush()
            return 0
        target = self.parse(address)
        never_waits = bool(self.flags & O_NONBLOCK)
        try:
            if self.endpoint.connect(target):
                self.is_opening = self.endpoint.is_deferred()
                return 0
            if never_waits:
                return self._now_in_progress()
            self.stack.flush()
            # On loopback all has happened by now: the second call tells what.
            return 0 if self.endpoint.connect(target) else None
        except NetError as error:
            if error.code == ALREADY_CONNECTING:
                if never_waits:
                    raise SysError(EALREADY) from None
                return None
            raise as_sys_error(error) from None

    def _now_in_progress(self) -> int:
        self.stack.flush()
        raise SysError(EINPROGRESS)

    def try_accept(self, task: Task, flags: int) -> Socket | None:
        try:
            found = self.endpoint.accept()
        except NetError as error:
            raise as_sys_error(error) from None
        if found is None:
            return None
        made = StreamSocket(task, self.namespace, self.family, found)
        made.flags |= flags
        made.uid = self.uid
        made.values = dict(self.values)
        made.device_name = self.device_name
        made.send_timeout_ns = self.send_timeout_ns
        made.receive_timeout_ns = self.receive_timeout_ns
        made.linger = self.linger
        made.linger_ns = self.linger_ns
        made.filter.inherit(self.filter)
        made.peek_offset = self.peek_offset
        made.acquire()
        return made

    def name(self) -> bytes:
        return self.show(self.endpoint.local_address())

    def peer_name(self) -> bytes:
        remote = self.endpoint.remote_address()
        if remote is None:
            raise SysError(ENOTCONN)
        return self.show(remote)

    def is_lingering(self) -> bool:
        return self.endpoint.is_lingering()

    def shutdown(self, how: int) -> None:
        bits = self.shutdown_bits(how)
        try:
            self.endpoint.shutdown(bits)
        except NetError as error:
            raise as_sys_error(error) from None
        finally:
            self.stack.flush()

    # Data.

    def try_write(self, source: Source) -> int | None:
        if self.is_opening:
            task = self.namespace.kernel.current
            if task is not None:
                done = self._open_fast(task, source, b"", 0)
                if done != 0:
                    return done
        return self._write(source, 0)

    def try_send(
        self, task: Task, source: Source, message: Message, address: bytes, flags: int
    ) -> int | None:
        if flags & abi.MSG_FASTOPEN or self.is_opening:
            done = self._open_fast(task, source, address, flags)
            if done != 0:
                return done
        return self._write(source, flags)

    def end_burst(self) -> None:
        self.endpoint.end_burst()

    def receive_low_water(self) -> int:
        return self.endpoint.options.receive_low_water

    def _open_fast(self, task: Task, source: Source, address: bytes, flags: int) -> int | None:
        """Send what opens the connection: return how much its SYN carried; None: wait.

        0 is an ordinary write's turn (RFC 7413; tcp_sendmsg_fastopen).
        """
        endpoint = self.endpoint
        kept = task.call.data
        is_first = not isinstance(kept, tcp_fast_open.OpeningFast)
        if isinstance(kept, tcp_fast_open.OpeningFast):
            size = kept.size
        elif endpoint.is_deferred() or flags & abi.MSG_FASTOPEN:
            target = None
            if not endpoint.is_deferred():
                tcp_fast_open.check_start(endpoint, address)
                target = self.parse(address)
            size = tcp_fast_open.start(endpoint, target, source)
            self.stack.flush()
            if self.flags & O_NONBLOCK or flags & abi.MSG_DONTWAIT:
                self.is_opening = False
                if size:
                    return size
                raise SysError(EINPROGRESS)
        else:
            self.is_opening = False
            return 0  # somebody else opened it
        if not tcp_fast_open.is_open(endpoint):
            task.call.data = tcp_fast_open.OpeningFast(size)
            self.is_opening = True
            return None
        self.is_opening = False
        task.call.data = None
        if size and not is_first:
            source.take(size)
        return size

    def _write(self, source: Source, flags: int) -> int | None:
        endpoint = self.endpoint
        room = endpoint.write_room()
        try:
            if room <= 0 or source.size == 0:
                # Nothing to copy; but a pending error is told, and the wish for room noted.
                done = endpoint.write(b"")
                endpoint.readiness()
                return 0 if source.size == 0 and done is not None else None
            wanted = min(room, CHUNK, source.size)
            if flags & abi.MSG_OOB and source.size == wanted:
                done = endpoint.write_urgent(self._take(source, wanted))
            else:
                done = self._write_some(source, wanted, more=bool(flags & abi.MSG_MORE))
        except NetError as error:
            raise as_sys_error(error) from None
        self.stack.flush()
        return done

    def _take(self, source: Source, size: int) -> bytes:
        data = source.take(size)
        if not data:
            raise SysError(EFAULT)
        return data

    def _write_some(self, source: Source, size: int, *, more: bool) -> int | None:
        endpoint = self.endpoint
        may_wait = self.namespace.kernel.deferral.may_hold()
        done: int | None
        if size >= BULK:
            space = endpoint.write_space(size)
            if space is None:
                return None
            done = source.take_into(space)
            if not done:
                raise SysError(EFAULT)
            endpoint.wrote(done, more=more, may_wait=may_wait)
        else:
            done = endpoint.write(self._take(source, size), more=more, may_wait=may_wait)
        if may_wait and endpoint.has_burst():
            self.hold_output(is_new=endpoint.burst_is_new)
        return done

    def try_read(self, sink: Sink) -> int | None:
        if sink.room == 0:
            return 0
        unread = self.endpoint.unread()
        if 0 < unread < min(self.receive_low_water(), sink.room):
            # As long as more can come: read(2) cannot note what it has, as recv(2) does.
            if not self.flags & O_NONBLOCK and self.endpoint.may_receive():
                return None
        return self._read(sink, 0)

    def try_receive(self, sink: Sink, message: Message, flags: int) -> int | None:
        if flags & abi.MSG_ERRQUEUE:
            raise SysError(EAGAIN)
        if flags & abi.MSG_OOB:
            return self._read_urgent(sink, message, flags)
        done = self._read(sink, flags)
        if done is not None and self.values.get((abi.SOL_TCP, abi.TCP_INQ)):
            left = _INT.pack(self.endpoint.unread())
            message.control.append((abi.SOL_TCP, abi.TCP_INQ, left))
        return done

    def _read(self, sink: Sink, flags: int) -> int | None:
        if flags & (abi.MSG_PEEK | abi.MSG_TRUNC):
            return self._read_otherwise(sink, flags)
        endpoint = self.endpoint
        total = 0
        try:
            if sink.room == 0:
                # Waits for data all the same, and takes none.
                return None if endpoint.read(1, peek=True) is None else 0
            while True:
                pieces = endpoint.read_pieces(min(sink.room, CHUNK))
                if not pieces:
                    return total or (None if pieces is None else 0)
                size = 0
                for piece in pieces:
                    size += len(piece)
                done = 0
                try:
                    done = sink.put_all(pieces)
                finally:
                    if done < size:  # what its memory does not take is still to be read
                        endpoint.give_back(b"".join(pieces)[done:])
                total += done
                if done < size or sink.room == 0 or endpoint.unread() <= 0:
                    return total
                if endpoint.is_at_mark():
                    return total  # a read does not cross the mark (tcp(7))
        except NetError as error:
            if total:
                return total
            raise as_sys_error(error) from None
        finally:
            if self.peek_offset > 0:
                self.peek_offset = max(self.peek_offset - total, 0)
            self.stack.flush()

    def _read_otherwise(self, sink: Sink, flags: int) -> int | None:
        """Read with MSG_PEEK, which leaves the data there, or MSG_TRUNC, which copies none."""
        endpoint = self.endpoint
        peek = bool(flags & abi.MSG_PEEK)
        passed = max(self.peek_offset, 0) if peek else 0
        total = 0
        try:
            while True:
                limit = min(sink.room, CHUNK)
                if limit == 0:
                    # No room: waits for data all the same, and takes none.
                    found = endpoint.read(1, peek=True)
                    return None if found is None else 0
                data = endpoint.read(limit, peek=peek, skip=passed + total if peek else 0)
                if not data:
                    return total or (None if data is None else 0)
                done = len(data) if flags & abi.MSG_TRUNC else sink.put(data)
                total += done
                if done < len(data) or sink.room == 0 or flags & abi.MSG_TRUNC:
                    return total
                if endpoint.unread() <= (passed + total if peek else 0):
                    return total
                if not peek and endpoint.is_at_mark():
                    return total  # a read does not cross the mark (tcp(7))
        except NetError as error:
            if total:
                return total
            raise as_sys_error(error) from None
        finally:
            if self.peek_offset >= 0:
                self.peek_offset = max(self.peek_offset + (total if peek else -total), 0)
            self.stack.flush()

    def is_at_mark(self) -> bool:
        return self.endpoint.is_at_mark()

    def _read_urgent(self, sink: Sink, message: Message, flags: int) -> int | None:
        try:
            found = self.endpoint.read_urgent(peek=bool(flags & abi.MSG_PEEK))
        except NetError as error:
            raise as_sys_error(error) from None
        if found is None:
            raise SysError(EAGAIN)  # never waits (tcp_recv_urg)
        if not found:
            return 0
        message.flags |= abi.MSG_OOB
        if sink.room == 0:
            message.flags |= abi.MSG_TRUNC
            return 0
        return sink.put(found)

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        endpoint = self.endpoint
        if request in (SIOCINQ, SIOCOUTQ, SIOCOUTQNSD) and self.is_listening():
            raise SysError(EINVAL)
        if request == SIOCINQ:
            return self.write_number(caller, argument, endpoint.unread())
        if request == SIOCOUTQ:
            return self.write_number(caller, argument, endpoint.unacknowledged())
        if request == SIOCOUTQNSD:
            return self.write_number(caller, argument, endpoint.unsent())
        if request == SIOCATMARK:
            return self.write_number(caller, argument, int(endpoint.is_at_mark()))
        return super().ioctl(caller, request, argument)

    # Options.

    def get_special(self, level: int, option: int) -> bytes | None:
        endpoint = self.endpoint
        options = endpoint.options
        if level == abi.SOL_TCP:
            return self._get_tcp(option)
        if level == abi.SOL_SOCKET:
            if option == abi.SO_PEEK_OFF:
                return _INT.pack(self.peek_offset)
            if option == abi.SO_SNDBUF:
                return _INT.pack(options.send_buffer)
            if option == abi.SO_RCVBUF:
                return _INT.pack(options.receive_buffer)
        elif option == (abi.IP_MTU if level == abi.SOL_IP else abi.IPV6_MTU):
            connection = endpoint.connection
            if connection is None or connection.state == CLOSED:
                raise SysError(ENOTCONN)
            mtu = connection.mtu()
            return _INT.pack(min(mtu, IPV4_MTU_MAX) if connection.route.version == 4 else mtu)
        elif level == abi.SOL_IPV6 and option == abi.IPV6_MULTICAST_IF:
            return _INT.pack(0) if self.family == abi.AF_INET6 else None
        return super().get_special(level, option)

    def _get_tcp(self, option: int) -> bytes | None:
        endpoint = self.endpoint
        if option == abi.TCP_INFO:
            return pack_tcp_info(endpoint.info())
        if option == abi.TCP_CONGESTION:
            return endpoint.options.congestion_control.encode().ljust(16, b"\0")
        if option == abi.TCP_MAXSEG:
            return _INT.pack(endpoint.mss())
        if option == abi.TCP_QUICKACK:
            is_fresh = endpoint.connection is None
            return _INT.pack(int(self.quickack if is_fresh else endpoint.is_quickack()))
        if option == abi.TCP_DEFER_ACCEPT:
            return _INT.pack(endpoint.defer_accept())
        if option == abi.TCP_WINDOW_CLAMP:
            return _INT.pack(endpoint.options.window_clamp)
        if option == abi.TCP_LINGER2:
            linger2 = endpoint.options.linger2 or endpoint.protocol.settings.fin_timeout
            return _INT.pack(-1 if linger2 < 0 else linger2 // SECOND_NS)
        if option == abi.TCP_TIMESTAMP:
            return _INT.pack(endpoint.protocol.environment.now_ns() // MS_NS & 0x7FFF_FFFF)
        if option == abi.TCP_ULP:
            return b""
        if option in tcp_fast_open.OPTIONS:
            return tcp_fast_open.get_option(endpoint, option)
        return None

    def set_option(self, task: Task, level: int, option: int, value: bytes) -> None:
        is_frequent = option == abi.TCP_CORK or option == abi.TCP_NODELAY
        if is_frequent and level == abi.SOL_TCP and len(value) >= 4:
            # Servers do so for each answer: not by way of the table.
            number = int(any(value[:4]))
            self._apply_tcp(option, number)
            self.values[(level, option)] = number
            self.stack.flush()
            return
        super().set_option(task, level, option, value)

    def set_special(self, task: Task, level: int, option: int, value: bytes) -> bool:
        if level == abi.SOL_TCP:
            return self._set_tcp(task, option, value)
        if level == abi.SOL_SOCKET and option == abi.SO_ATTACH_FILTER:
            if not task.creds.has_capability(CAP_NET_ADMIN):
                raise SysError(EPERM)  # a filter that cuts segments can stall the peer
            return False
        if level == abi.SOL_SOCKET and option == abi.SO_PEEK_OFF:
            self.peek_offset = read_number(level, value)
            return True
        if level == abi.SOL_SOCKET and option == abi.SO_LINGER:
            if len(value) < abi.LINGER_SIZE:
                raise SysError(EINVAL)
            self.linger = abi.unpack_linger(value)
            self.endpoint.options.linger_enabled = self.linger[0] != 0
            self.endpoint.options.linger_seconds = max(self.linger[1], 0)
            self.linger_ns = max(self.linger[1], 0) * SECOND_NS if self.linger[0] else 0
            return True
        if level == abi.SOL_SOCKET and option == abi.SO_RCVLOWAT:
            number = read_number(level, value)
            limit = self.endpoint.protocol.settings.rmem_max >> 1
            if self.endpoint.options.receive_buffer_locked:
                limit = self.endpoint.options.receive_buffer >> 1
            low = limit if number < 0 else min(max(number, 1), limit)
            self.endpoint.options.receive_low_water = low
            return True
        if level == abi.SOL_IPV6 and option == abi.IPV6_V6ONLY:
            self._refuse_bound()
        return super().set_special(task, level, option, value)

    def _refuse_bound(self) -> None:
        """IPV6_V6ONLY is for sockets without a port (do_ipv6_setsockopt)."""
        if self.endpoint.binding is not None or self.endpoint.connection is not None:
            raise SysError(EINVAL)

    def _set_tcp(self, task: Task, option: int, value: bytes) -> bool:
        endpoint = self.endpoint
        if option == abi.TCP_CONGESTION:
            return self._set_congestion_control(task, value)
        if option == abi.TCP_ULP:
            raise SysError(ENOENT)
        if option == abi.TCP_MAXSEG:
            endpoint.set_user_mss(read_number(abi.SOL_TCP, value))
        elif option == abi.TCP_QUICKACK:
            self.quickack = read_number(abi.SOL_TCP, value) != 0
            endpoint.set_quickack(self.quickack)
        elif option == abi.TCP_DEFER_ACCEPT:
            endpoint.set_defer_accept(read_number(abi.SOL_TCP, value))
        elif option == abi.TCP_WINDOW_CLAMP:
            endpoint.set_window_clamp(read_number(abi.SOL_TCP, value))
        elif option == abi.TCP_LINGER2:
            endpoint.set_linger2(read_number(abi.SOL_TCP, value))
        elif option in tcp_fast_open.OPTIONS:
            tcp_fast_open.set_option(endpoint, option, value)
        elif option in (abi.TCP_INFO, abi.TCP_MD5SIG):
            raise SysError(ENOPROTOOPT)
        else:
            return False
        self.stack.flush()
        return True

    def _set_congestion_control(self, task: Task, value: bytes) -> bool:
        name = value[:15].split(b"\0")[0].decode("ascii", "replace")
        if not name:
            raise SysError(EINVAL)
        if name not in ("cubic", "reno") and not task.creds.has_capability(CAP_NET_ADMIN):
            raise SysError(ENOENT)
        self.endpoint.set_congestion_control(name)
        return True

    def get_option(self, task: Task, level: int, option: int) -> bytes:
        if level == abi.SOL_SOCKET and option == abi.SO_RCVLOWAT:
            return _INT.pack(self.endpoint.options.receive_low_water)
        return super().get_option(task, level, option)

    def apply(self, row: Option, number: int) -> None:
        key = (row.level, row.number)
        options = self.endpoint.options
        if key == (abi.SOL_IP, abi.IP_MULTICAST_TTL):
            raise SysError(EINVAL)  # not for streams (do_ip_setsockopt)
        if key in FLAG_FIELDS:
            setattr(options, FLAG_FIELDS[key], number != 0)
        elif key in NUMBER_FIELDS:
            setattr(options, NUMBER_FIELDS[key], number)
        elif row.level == abi.SOL_TCP:
            self._apply_tcp(row.number, number)
        elif key == (abi.SOL_SOCKET, abi.SO_KEEPALIVE):
            self.endpoint.set_keepalive(number != 0)
        elif key in ((abi.SOL_IP, abi.IP_TTL), (abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS)):
            if key[0] == abi.SOL_IP and number == 0:
                raise SysError(EINVAL)
            options.ttl = max(number, 0)
        elif key == (abi.SOL_IPV6, abi.IPV6_TCLASS):
            options.tos = max(number, 0)
        elif key == (abi.SOL_IP, abi.IP_MTU_DISCOVER):
            options.pmtu_discovery = number in (1, 2)

    def _apply_tcp(self, option: int, number: int) -> None:
        endpoint = self.endpoint
        options = endpoint.options
        if option == abi.TCP_NODELAY:
            endpoint.set_nodelay(number != 0)
        elif option == abi.TCP_CORK:
            endpoint.set_cork(number != 0)
        elif option == abi.TCP_USER_TIMEOUT:
            options.user_timeout = number * MS_NS
        elif option == abi.TCP_NOTSENT_LOWAT:
            options.notsent_low_water = max(number, 0)
        elif option in KEEPALIVE:
            idle = number * SECOND_NS if option == abi.TCP_KEEPIDLE else 0
            interval = number * SECOND_NS if option == abi.TCP_KEEPINTVL else 0
            count = number if option == abi.TCP_KEEPCNT else 0
            endpoint.set_keepalive(options.keepalive, idle, interval, count)

    def attach_filter(self, program: BpfProgram | None) -> None:
        self.endpoint.options.filter = program

    def apply_buffers(self, *, send: bool) -> None:
        if send:
            self.endpoint.set_send_buffer(self.send_buffer)
        else:
            self.endpoint.set_receive_buffer(self.receive_buffer)

    def apply_device(self, index: int) -> None:
        self.endpoint.options.interface_index = index
