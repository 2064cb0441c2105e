"""socket(2) and everything that is done with sockets."""

from struct import Struct
from typing import Final

from sentry.abi import socket as abi
from sentry.abi.errno import (
    EAFNOSUPPORT,
    EAGAIN,
    EFAULT,
    EINPROGRESS,
    EINVAL,
    EMSGSIZE,
    ENOBUFS,
    ENOTSOCK,
    EPIPE,
    ERANGE,
)
from sentry.abi.fcntl import O_NONBLOCK
from sentry.abi.types import NULL, Fd, Int, Size, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel.blocking import check_time_limit, wait
from sentry.kernel.call import CallData
from sentry.kernel.fault_signals import send_sigpipe
from sentry.kernel.task import Task
from sentry.mm.io import BufferSink, BufferSource, Segment, Sink, Source, gather, scatter
from sentry.mm.user import (
    IOV_MAX,
    clamp_count,
    read_i32,
    read_iovec,
    read_timespec_ns,
    write_u32,
    write_u64,
)
from sentry.socket import inet_family, unix
from sentry.socket.base import NO_UCRED, Message, Socket, family_of
from sentry.socket.in_flight import IN_FLIGHT
from sentry.socket.messages import read_control, write_control
from sentry.vfs.file import POLLERR, POLLHUP, POLLIN, POLLOUT
from sentry.waitqueue import WaitQueue

_TYPE_FLAGS: Final = abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC
_TWO_INTS: Final = Struct("<ii")
_TIMESPEC: Final = Struct("<qq")
_OPTION_MAX: Final = 4096
SOCK_MAX: Final = 11  # linux/net.h: one more than the last type
_READ_EVENTS: Final = POLLIN | POLLHUP | POLLERR
_WRITE_EVENTS: Final = POLLOUT | POLLHUP | POLLERR
# Importing the modules registers their families.
UNIX: Final = unix.UnixFamily
INET: Final = inet_family.InetFamily


class ManyMessages(CallData):
    """How far a recvmmsg(2) has come."""

    def __init__(self, now_ns: int, limit_ns: int) -> None:
        self.count = 0
        self.has_limit = limit_ns >= 0
        self.end_ns = now_ns + max(limit_ns, 0)

    def is_late(self, now_ns: int) -> bool:
        """Return whether the time limit is over."""
        return self.has_limit and now_ns >= self.end_ns


def sys_socket(task: Task, family: Int, kind: Int, protocol: Int) -> int:
    """socket(2)."""
    _check_type(family, kind)
    found = family_of(family)
    made = found.create(task, kind & abi.SOCK_TYPE_MASK, protocol, kind & O_NONBLOCK)
    made.acquire()  # dropping it closes what could not be installed
    try:
        return task.fds.install(made, cloexec=bool(kind & abi.SOCK_CLOEXEC))
    finally:
        made.drop()


def sys_socketpair(task: Task, family: Int, kind: Int, protocol: Int, out: UserPtr) -> int:
    """socketpair(2)."""
    _check_type(family, kind)
    first, second = family_of(family).create_pair(
        task, kind & abi.SOCK_TYPE_MASK, protocol, kind & O_NONBLOCK
    )
    cloexec = bool(kind & abi.SOCK_CLOEXEC)
    first.acquire()
    second.acquire()
    installed: list[int] = []
    try:
        installed.append(task.fds.install(first, cloexec=cloexec))
        installed.append(task.fds.install(second, cloexec=cloexec))
        task.memory.write(out, _TWO_INTS.pack(installed[0], installed[1]))
    except SysError:
        for fd in installed:
            task.fds.close(fd, task)
        raise
    finally:
        first.drop()
        second.drop()
    return 0


def sys_bind(task: Task, fd: Fd, address: UserPtr, size: Int) -> int:
    """bind(2)."""
    _socket(task, fd).bind(task, _read_address(task, address, size))
    return 0


def sys_listen(task: Task, fd: Fd, backlog: Int) -> int:
    """listen(2)."""
    _socket(task, fd).listen(task, backlog)
    return 0


def sys_connect(task: Task, fd: Fd, address: UserPtr, size: Int) -> int:
    """connect(2)."""
    sock = _socket(task, fd)
    done = sock.try_connect(task, _read_address(task, address, size))
    if done is not None:
        return done
    try:
        return _wait(task, fd, sock, sock.send_queue(), _WRITE_EVENTS, sock.send_timeout_ns, 0)
    except SysError as error:
        if error.errno == EAGAIN and sock.family != abi.AF_UNIX:
            raise SysError(EINPROGRESS) from None  # SO_SNDTIMEO is over: socket(7)
        raise


def sys_accept(task: Task, fd: Fd, address: UserPtr, size: UserPtr) -> int:
    """accept(2)."""
    return sys_accept4(task, fd, address, size, Int(0))


def sys_accept4(task: Task, fd: Fd, address: UserPtr, size: UserPtr, flags: Int) -> int:
    """accept4(2)."""
    if flags & ~_TYPE_FLAGS:
        raise SysError(EINVAL)
    sock = _socket(task, fd)
    task.fds.check_room()  # else the connection would be lost
    found = sock.try_accept(task, flags & O_NONBLOCK)
    if found is None:
        return _wait(task, fd, sock, sock.queue, _READ_EVENTS, sock.receive_timeout_ns, 0)
    # The listener's reference is ours now; dropping it closes what could not be installed.
    try:
        new_fd = task.fds.install(found, cloexec=bool(flags & abi.SOCK_CLOEXEC))
        if address != NULL:
            try:
                _write_address(task, address, size, found.peer_name())
            except SysError:
                task.fds.close(new_fd, task)
                raise
    finally:
        found.drop()
    return new_fd


def sys_getsockname(task: Task, fd: Fd, address: UserPtr, size: UserPtr) -> int:
    """getsockname(2)."""
    _write_address(task, address, size, _socket(task, fd).name())
    return 0


def sys_getpeername(task: Task, fd: Fd, address: UserPtr, size: UserPtr) -> int:
    """getpeername(2)."""
    _write_address(task, address, size, _socket(task, fd).peer_name())
    return 0


def sys_shutdown(task: Task, fd: Fd, how: Int) -> int:
    """shutdown(2)."""
    _socket(task, fd).shutdown(how)
    return 0


def sys_setsockopt(task: Task, fd: Fd, level: Int, option: Int, value: UserPtr, size: Int) -> int:
    """setsockopt(2)."""
    if size < 0:
        raise SysError(EINVAL)
    sock = _socket(task, fd)
    limit = max(sock.option_limit(task, level, option), _OPTION_MAX)
    sock.set_option(task, level, option, task.memory.read(value, min(size, limit)))
    return 0


def sys_getsockopt(
    task: Task, fd: Fd, level: Int, option: Int, value: UserPtr, size: UserPtr
) -> int:
    """getsockopt(2)."""
    sock = _socket(task, fd)
    room = read_i32(task.memory, size)
    if room < 0:
        raise SysError(EINVAL)
    if level == abi.SOL_SOCKET and option == abi.SO_ATTACH_FILTER:
        return _get_filter(task, sock, value, size, room)
    if sock.asks_with_value(level, option):
        asked = task.memory.read(value, min(room, _OPTION_MAX))
        found = sock.get_option_for(task, level, option, asked)
    else:
        found = sock.get_option(task, level, option)
    if len(found) > room and level == abi.SOL_SOCKET and option == abi.SO_PEERGROUPS:
        write_u32(task.memory, size, len(found))
        raise SysError(ERANGE)
    found = found[:room]
    task.memory.write(value, found)
    write_u32(task.memory, size, len(found))
    return 0


def _get_filter(task: Task, sock: Socket, value: int, size_at: int, room: int) -> int:
    """SO_GET_FILTER, the number of SO_ATTACH_FILTER: sizes count instructions."""
    program = sock.filter.source()
    count = len(program) // 8
    if room and count:
        if room < count:
            raise SysError(EINVAL)
        task.memory.write(value, program)
    write_u32(task.memory, size_at, count)
    return 0


def sys_sendto(
    task: Task, fd: Fd, buf: UserPtr, count: Size, flags: Int, address: UserPtr, size: Int
) -> int:
    """sendto(2)."""
    sock = _socket(task, fd)
    to = _read_address(task, address, size) if address != NULL else b""
    count = Size(clamp_count(count))
    done = task.call.done
    source = BufferSource(task.memory, buf + done, count - done)
    return _send(task, fd, sock, source, Message(b""), to, flags)


def sys_recvfrom(
    task: Task, fd: Fd, buf: UserPtr, count: Size, flags: Int, address: UserPtr, size: UserPtr
) -> int:
    """recvfrom(2)."""
    sock = _socket(task, fd)
    message = Message(b"")
    done = task.call.done
    sink = BufferSink(task.memory, buf + done, clamp_count(count) - done)
    result = _receive(task, fd, sock, sink, message, flags)
    if message.rights:
        IN_FLIGHT.drop(message.rights)  # nobody asked for them
    if result >= 0 and address != NULL:
        _write_address(task, address, size, message.address)
    return result


def sys_sendmsg(task: Task, fd: Fd, header: UserPtr, flags: Int) -> int:
    """sendmsg(2)."""
    return _sendmsg(task, fd, _socket(task, fd), header, flags)


def sys_recvmsg(task: Task, fd: Fd, header: UserPtr, flags: Int) -> int:
    """recvmsg(2)."""
    return _recvmsg(task, fd, _socket(task, fd), header, flags)


def sys_sendmmsg(task: Task, fd: Fd, headers: UserPtr, count: Uint, flags: Int) -> int:
    """sendmmsg(2): returns early when a message after the first would have to wait."""
    sock = _socket(task, fd)
    sent = 0
    for index in range(min(count, IOV_MAX)):
        at = headers + index * abi.MMSGHDR_SIZE
        try:
            done = _sendmsg(task, fd, sock, at, flags | (abi.MSG_DONTWAIT if sent else 0))
        except SysError:
            if sent:
                return sent
            raise
        if done < 0:
            return sent or done
        write_u32(task.memory, at + abi.MSGHDR_SIZE, done)
        sent += 1
    return sent


def sys_recvmmsg(
    task: Task, fd: Fd, headers: UserPtr, count: Uint, flags: Int, timeout: UserPtr
) -> int:
    """recvmmsg(2): MSG_WAITFORONE returns when a message after the first would have to wait."""
    call = task.call
    kept = call.data
    if isinstance(kept, ManyMessages):
        progress = kept
    else:
        limit_ns = read_timespec_ns(task.memory, timeout) if timeout != NULL else -1
        progress = ManyMessages(task.kernel.clock.monotonic_ns(), limit_ns)
    sock = _socket(task, fd)
    single = flags & ~abi.MSG_WAITFORONE
    while progress.count < min(count, IOV_MAX):
        at = headers + progress.count * abi.MMSGHDR_SIZE
        if progress.count and flags & abi.MSG_WAITFORONE:
            single |= abi.MSG_DONTWAIT
        try:
            done = _recvmsg(task, fd, sock, at, single)
        except SysError:
            if progress.count == 0:
                raise
            break
        if done < 0:
            call.data = progress
            return done
        write_u32(task.memory, at + abi.MSGHDR_SIZE, done)
        progress.count += 1
        call.done = 0
        # As on Linux the time is looked at between messages only (recvmmsg(2), BUGS).
        if progress.is_late(task.kernel.clock.monotonic_ns()):
            break
    if timeout != NULL:
        left = max(0, progress.end_ns - task.kernel.clock.monotonic_ns())
        task.memory.write(timeout, _TIMESPEC.pack(left // 1_000_000_000, left % 1_000_000_000))
    return progress.count


def _sendmsg(task: Task, fd: int, sock: Socket, at: int, flags: int) -> int:
    header = abi.unpack_msghdr(task.memory.read(at, abi.MSGHDR_SIZE))
    to = b""
    if header.name and header.name_len:
        to = _read_address(task, header.name, min(header.name_len, abi.SOCKADDR_STORAGE_SIZE))
    segments = _segments(task, header)
    message = Message(b"")
    if header.control_len and task.call.done == 0:
        read_control(task, header, message)
        if message.rights and sock.family != abi.AF_UNIX:
            # No other message carries them; Linux takes no notice (__sock_cmsg_send).
            IN_FLIGHT.drop(message.rights)
            message.rights = []
    source = gather(task.memory, _skip(segments, task.call.done))
    held = message.rights
    try:
        result = _send(task, fd, sock, source, message, to, flags)
    except SysError:
        if held and message.rights is held:
            IN_FLIGHT.drop(held)
        raise
    if result < 0 and held and message.rights is held and task.call.done == 0:
        IN_FLIGHT.drop(held)
    return result


def _recvmsg(task: Task, fd: int, sock: Socket, at: int, flags: int) -> int:
    header = abi.unpack_msghdr(task.memory.read(at, abi.MSGHDR_SIZE))
    sink = scatter(task.memory, _skip(_segments(task, header), task.call.done))
    message = Message(b"")
    result = _receive(task, fd, sock, sink, message, flags)
    if result < 0:
        return result
    control_size = write_control(task, sock, header, message, flags)
    if header.name:
        room = min(header.name_len, abi.SOCKADDR_STORAGE_SIZE)
        task.memory.write(header.name, message.address[:room])
        write_u32(task.memory, at + abi.MSGHDR_NAMELEN_OFFSET, len(message.address))
    write_u64(task.memory, at + abi.MSGHDR_CONTROLLEN_OFFSET, control_size)
    shown = message.flags | flags & abi.MSG_CMSG_CLOEXEC
    write_u32(task.memory, at + abi.MSGHDR_FLAGS_OFFSET, shown)
    return result


def _send(
    task: Task, fd: int, sock: Socket, source: Source, message: Message, to: bytes, flags: int
) -> int:
    """Send all of `source`, over several sleeps for a stream."""
    if message.ucred == NO_UCRED:
        message.ucred = unix.ucred_of(task)
    total = task.call.done
    while True:
        try:
            done = sock.try_send(task, source, message, to, flags)
        except SysError as error:
            if error.errno == EPIPE and sock.writes_all and not flags & abi.MSG_NOSIGNAL:
                send_sigpipe(task)
            if total:
                return total
            raise
        if done is None:
            break
        total += done
        if source.size == 0 or not sock.writes_all or done == 0:
            return total
        flags &= ~abi.MSG_FASTOPEN  # it is connected now
        following = Message(b"")
        following.ucred = message.ucred
        message = following
    task.call.done = total
    try:
        return _wait(task, fd, sock, sock.send_queue(), _WRITE_EVENTS, sock.send_timeout_ns, flags)
    except SysError:
        if total:
            return total
        raise


def _receive(task: Task, fd: int, sock: Socket, sink: Sink, message: Message, flags: int) -> int:
    """Receive; a stream goes on until it has SO_RCVLOWAT, with MSG_WAITALL all that was wanted."""
    total = task.call.done
    target = total + sink.room
    if not flags & abi.MSG_WAITALL:
        target = min(target, sock.receive_low_water())
    if total and sock.is_at_mark():
        return total
    done = sock.try_receive(sink, message, flags)
    goes_on = sock.writes_all and not flags & (abi.MSG_PEEK | abi.MSG_OOB | abi.MSG_ERRQUEUE)
    while goes_on and done and total + done < target and sink.room and not message.rights:
        total += done
        if sock.is_at_mark():
            return total
        try:
            done = sock.try_receive(sink, message, flags)
        except SysError:
            return total
    if done is not None:
        return total + done
    if goes_on:
        task.call.done = total
    try:
        return _wait(task, fd, sock, sock.queue, _READ_EVENTS, sock.receive_timeout_ns, flags)
    except SysError:
        if total:
            return total
        raise


def _wait(
    task: Task, fd: int, sock: Socket, queue: WaitQueue, events: int, timeout_ns: int, flags: int
) -> int:
    """Wait for the socket; SysError(EAGAIN) if it must not, or when its time limit is over."""
    if flags & abi.MSG_DONTWAIT or sock.flags & O_NONBLOCK:
        raise SysError(EAGAIN)
    call = task.call
    if timeout_ns:
        check_time_limit(task, timeout_ns)
    if fd not in call.files:
        call.hold(fd, sock)
    return wait(task, queue, events, call.deadline_ns)


def _socket(task: Task, fd: Fd) -> Socket:
    file = task.file(fd)
    if not isinstance(file, Socket):
        raise SysError(ENOTSOCK)
    return file


def _check_type(family: int, kind: int) -> None:
    if kind & ~(_TYPE_FLAGS | abi.SOCK_TYPE_MASK):
        raise SysError(EINVAL)
    if not 0 <= family < abi.AF_MAX:
        raise SysError(EAFNOSUPPORT)
    if kind & abi.SOCK_TYPE_MASK >= SOCK_MAX:
        raise SysError(EINVAL)


def _read_address(task: Task, address: int, size: int) -> bytes:
    if not 0 <= size <= abi.SOCKADDR_STORAGE_SIZE:
        raise SysError(EINVAL)
    return task.memory.read(address, size)


def _write_address(task: Task, address: int, size_at: int, value: bytes) -> None:
    """Write a struct sockaddr as far as there is room, and its whole size."""
    room = read_i32(task.memory, size_at)
    if room < 0:
        raise SysError(EINVAL)
    task.memory.write(address, value[:room])
    write_u32(task.memory, size_at, len(value))


def _segments(task: Task, header: abi.MsgHdr) -> list[Segment]:
    if header.iov_len > IOV_MAX:
        raise SysError(EMSGSIZE)
    if header.control_len > 0x7FFF_FFFF:
        raise SysError(ENOBUFS)
    if header.iov_len and not header.iov:
        raise SysError(EFAULT)
    return read_iovec(task.memory, header.iov, header.iov_len)


def _skip(segments: list[Segment], count: int) -> list[Segment]:
    """Return the segments without their first `count` bytes."""
    left: list[Segment] = []
    for address, size in segments:
        step = min(size, count)
        count -= step
        if size > step or size == 0:
            left.append((address + step, size - step))
    return left
