"""How the structs of socket calls are written: addresses, messages, options."""

from sentry.abi import ioctl, socket
from sentry.abi.types import s32
from sentry.strace_flags import (
    FAMILIES,
    IP_OPTIONS,
    IPV6_OPTIONS,
    MESSAGE_FLAGS,
    SOCKET_LEVELS,
    SOCKET_OPTIONS,
    TCP_OPTIONS,
)
from sentry.strace_kinds import (
    MAX_ITEMS,
    Call,
    Kind,
    buffer,
    choice,
    flags,
    pointer,
    quote,
    read,
    s32_at,
    u32_at,
)
from sentry.strace_structs import iovecs


class SocketAddress(Kind):
    """A struct sockaddr for the call, as long as another argument says."""

    def __init__(self, size_index: int) -> None:
        super().__init__()
        self._size_index = size_index

    def text(self, call: Call, value: int) -> str:
        return address(call, value, call.args[self._size_index] & 0xFFFF_FFFF)


class OutSocketAddress(Kind):
    """A struct sockaddr from the call, as long as the target of another argument says."""

    def __init__(self, size_index: int) -> None:
        super().__init__(out=True)
        self._size_index = size_index

    def text(self, call: Call, value: int) -> str:
        if call.is_failed():
            return pointer(value)
        size = read(call.memory, call.args[self._size_index], 4)
        return address(call, value, u32_at(size, 0)) if size else pointer(value)


class MsgHdr(Kind):
    """struct msghdr of sendmsg(2), or (out) of recvmsg(2)."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(out=out)

    def text(self, call: Call, value: int) -> str:
        if self.out and call.is_failed():
            return pointer(value)
        data = read(call.memory, value, socket.MSGHDR_SIZE)
        if not data:
            return pointer(value)
        return message(call, data, call.result if self.out else -1, is_received=self.out)


class MmsgHdrs(Kind):
    """The array of sendmmsg(2), or (out) of recvmmsg(2)."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(out=out)

    def text(self, call: Call, value: int) -> str:
        if self.out and call.is_failed():
            return pointer(value)
        count = call.result if self.out else call.args[2] & 0xFFFF_FFFF
        data = read(call.memory, value, socket.MMSGHDR_SIZE * min(count, MAX_ITEMS))
        if not data:
            return pointer(value)
        parts: list[str] = []
        for offset in range(0, len(data), socket.MMSGHDR_SIZE):
            one = data[offset : offset + socket.MMSGHDR_SIZE]
            size = u32_at(one, socket.MSGHDR_SIZE)
            text = message(call, one, size if self.out else -1, is_received=self.out)
            parts.append(f"{{msg_hdr={text}, msg_len={size}}}" if self.out else text)
        return "[" + ", ".join(parts) + (", …]" if count > MAX_ITEMS else "]")


class SocketOption(Kind):
    """The name of an option, by its level in the argument before."""

    def text(self, call: Call, value: int) -> str:
        level = s32(call.args[1])
        number = value & 0xFFFF_FFFF
        if level == socket.SOL_SOCKET:
            return choice(SOCKET_OPTIONS, number)
        if level == socket.SOL_TCP:
            return choice(TCP_OPTIONS, number)
        if level == socket.SOL_IP:
            return choice(IP_OPTIONS, number)
        return choice(IPV6_OPTIONS, number) if level == socket.SOL_IPV6 else hex(number)


class OptionValue(Kind):
    """The value of setsockopt(2), or (out) of getsockopt(2)."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(out=out)

    def text(self, call: Call, value: int) -> str:
        if self.out and call.is_failed():
            return pointer(value)
        size = call.args[4] & 0xFFFF_FFFF
        if self.out:
            pointed = read(call.memory, call.args[4], 4)
            size = u32_at(pointed, 0) if pointed else 0
        return option_value(call, value, size)


class IoctlArgument(Kind):
    """The third argument of ioctl(2), by its request; out for what the call writes."""

    def __init__(self) -> None:
        super().__init__(out=True)

    def text(self, call: Call, value: int) -> str:
        request = call.args[1] & 0xFFFF_FFFF
        if request in (ioctl.TIOCGWINSZ, ioctl.TIOCSWINSZ):
            data = read(call.memory, value, ioctl.WINSIZE_SIZE)
            if data:
                rows, columns, _, _ = ioctl.unpack_winsize(data)
                return f"{{ws_row={rows}, ws_col={columns}, …}}"
        elif request in _TERMIOS_REQUESTS and not call.is_failed():
            data = read(call.memory, value, ioctl.TERMIOS_SIZE)
            if data:
                settings = ioctl.unpack_termios(data)
                return f"{{c_iflag={settings.iflag:#x}, c_lflag={settings.lflag:#x}, …}}"
        elif request in _INT_REQUESTS and not call.is_failed():
            data = read(call.memory, value, 4)
            if data:
                return f"[{s32_at(data, 0)}]"
        return pointer(value)


_TERMIOS_REQUESTS = frozenset((ioctl.TCGETS, ioctl.TCSETS, ioctl.TCSETSW, ioctl.TCSETSF))
_INT_REQUESTS = frozenset(
    (
        ioctl.FIONREAD,
        ioctl.FIONBIO,
        ioctl.FIOASYNC,
        ioctl.TIOCOUTQ,
        ioctl.TIOCGPGRP,
        ioctl.TIOCSPGRP,
        ioctl.TIOCGSID,
        ioctl.TIOCGPTN,
        ioctl.TIOCSPTLCK,
        ioctl.TIOCPKT,
    )
)


def address(call: Call, where: int, size: int) -> str:
    """Return a struct sockaddr of `size` bytes in guest memory."""
    if where == 0:
        return "NULL"
    data = read(call.memory, where, min(size, socket.SOCKADDR_STORAGE_SIZE))
    if len(data) < 2:
        return pointer(where)
    family = socket.family_of(data)
    if family == socket.AF_UNIX:
        return f"{{sa_family=AF_UNIX{_unix_path(data[2:])}}}"
    if family == socket.AF_INET and len(data) >= socket.SOCKADDR_IN_SIZE:
        host, port = socket.unpack_sockaddr_in(data)
        dotted = ".".join([str(byte) for byte in host])
        return f'{{sa_family=AF_INET, sin_port={port}, sin_addr="{dotted}"}}'
    if family == socket.AF_INET6 and len(data) >= socket.SOCKADDR_IN6_SIZE:
        host, port, _, scope = socket.unpack_sockaddr_in6(data)
        text = f'{{sa_family=AF_INET6, sin6_port={port}, sin6_addr="{ipv6(host)}"'
        return text + (f", sin6_scope_id={scope}}}" if scope else "}")
    if family == socket.AF_NETLINK and len(data) >= socket.SOCKADDR_NL_SIZE:
        pid, groups = socket.unpack_sockaddr_nl(data)
        return f"{{sa_family=AF_NETLINK, nl_pid={pid}, nl_groups={groups:#x}}}"
    return f"{{sa_family={choice(FAMILIES, family)}, sa_data={quote(data[2:16])}}}"


def _unix_path(path: bytes) -> str:
    if not path:
        return ""
    if path[0] == 0:
        return ", sun_path=@" + quote(path[1:])
    return ", sun_path=" + quote(path.partition(b"\0")[0])


def ipv6(host: bytes) -> str:
    """Return 16 bytes as an IPv6 address, the longest run of zeros as :: (RFC 5952)."""
    groups = [int.from_bytes(host[index : index + 2], "big") for index in range(0, 16, 2)]
    best = 0
    best_size = 1  # a single zero is not shortened
    start = 0
    while start < 8:
        end = start
        while end < 8 and groups[end] == 0:
            end += 1
        if end - start > best_size:
            best = start
            best_size = end - start
        start = end + 1
    words = [f"{group:x}" for group in groups]
    if best_size == 1:
        return ":".join(words)
    return ":".join(words[:best]) + "::" + ":".join(words[best + best_size :])


def message(call: Call, data: bytes, size: int, *, is_received: bool) -> str:
    """Return a struct msghdr with `size` bytes of content (-1: all of it)."""
    header = socket.unpack_msghdr(data)
    name = address(call, header.name, header.name_len)
    text = f"{{msg_name={name}, msg_namelen={header.name_len}"
    text += f", msg_iov={iovecs(call, header.iov, header.iov_len, size)}"
    text += f", msg_iovlen={header.iov_len}"
    if header.control_len:
        text += f", msg_control={_control(call, header.control, header.control_len)}"
    text += f", msg_controllen={header.control_len}"
    if is_received:
        text += f", msg_flags={flags(MESSAGE_FLAGS, header.flags)}"
    return text + "}"


def _control(call: Call, where: int, size: int) -> str:
    data = read(call.memory, where, min(size, 1024))
    parts: list[str] = []
    offset = 0
    while offset + socket.CMSGHDR_SIZE <= len(data) and len(parts) < MAX_ITEMS:
        length, level, kind = socket.unpack_cmsghdr(data, offset)
        if length < socket.CMSGHDR_SIZE:
            break
        content = data[offset + socket.CMSGHDR_SIZE : offset + min(length, len(data))]
        parts.append(_control_message(level, kind, content))
        offset += socket.cmsg_align(length)
    return "[" + ", ".join(parts) + "]" if parts else pointer(where)


def _control_message(level: int, kind: int, data: bytes) -> str:
    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
        fds = [str(s32_at(data, offset)) for offset in range(0, len(data) & ~3, 4)]
        return "{SCM_RIGHTS, [" + ", ".join(fds) + "]}"
    if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS and len(data) >= 12:
        pid, uid, gid = socket.unpack_ucred(data)
        return f"{{SCM_CREDENTIALS, {{pid={pid}, uid={uid}, gid={gid}}}}}"
    name = choice(SOCKET_LEVELS, level & 0xFFFF_FFFF)
    return f"{{cmsg_level={name}, cmsg_type={kind}, {quote(data[:MAX_ITEMS])}}}"


def option_value(call: Call, where: int, size: int) -> str:
    """Return the value of a socket option, a number if it has the size of one."""
    if size == 4:
        data = read(call.memory, where, 4)
        if data:
            return f"[{s32_at(data, 0)}]"
    return buffer(call.memory, where, size)
