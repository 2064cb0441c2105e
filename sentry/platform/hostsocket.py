"""Sockets of the host's own stack, for --network=host.

Each call does what the system call of the same name does, never waits, and
raises SysError with the host's errno.  What a guest may ask for is checked by
the callers; `sentry/socket/host_options.py` has the tables.
"""

from typing import Final

from sentry.abi.errno import EAGAIN
from sentry.errors import SysError
from sentry.platform._net import ffi, lib

BUFFER_SIZE: Final = 1 << 18  # the most that one call receives
OPTION_MAX: Final = 512
IFREQ_SIZE: Final = 40
LIST_MAX: Final = 1 << 16  # of SIOCGIFCONF
_ADDRESS_MAX: Final = 128


class HostMessage:
    """What was received, besides bytes that went to the guest directly."""

    def __init__(self, data: bytes, size: int, address: bytes, control: bytes, flags: int) -> None:
        self.data = data
        self.size = size  # of the whole message, if MSG_TRUNC was asked for
        self.address = address
        self.control = control  # control messages as they came
        self.flags = flags


class HostCalls:
    """The calls, with the buffers that they share."""

    def __init__(self) -> None:
        self._buffer = ffi.new("char[]", BUFFER_SIZE)
        self._bytes = ffi.buffer(self._buffer)
        self._received = ffi.new("struct hs_received *")
        self._address = ffi.buffer(self._received.address)
        self._control = ffi.buffer(self._received.control)
        self._small = ffi.new("char[]", OPTION_MAX)
        self._small_bytes = ffi.buffer(self._small)

    def socket(self, family: int, kind: int, protocol: int) -> int:
        """Return the descriptor of a new socket, non-blocking and closed by execve(2)."""
        return _checked(lib.hs_socket(family, kind, protocol))

    def accept(self, host_fd: int) -> int:
        """Return the descriptor of the next connection; -1 if there is none yet."""
        return _or_nothing(lib.hs_accept(host_fd))

    def bind(self, host_fd: int, address: bytes) -> None:
        """Do bind(2)."""
        _checked(lib.hs_bind(host_fd, address, len(address)))

    def connect(self, host_fd: int, address: bytes) -> None:
        """Do connect(2); EINPROGRESS and EALREADY are errors like others."""
        _checked(lib.hs_connect(host_fd, address, len(address)))

    def listen(self, host_fd: int, backlog: int) -> None:
        """Do listen(2)."""
        _checked(lib.hs_listen(host_fd, backlog))

    def shutdown(self, host_fd: int, how: int) -> None:
        """Do shutdown(2)."""
        _checked(lib.hs_shutdown(host_fd, how))

    def name(self, host_fd: int, *, of_peer: bool) -> bytes:
        """Return the struct sockaddr of getsockname(2) or getpeername(2)."""
        size = _checked(lib.hs_name(host_fd, int(of_peer), self._small, _ADDRESS_MAX))
        return self._small_bytes[:size]

    def send(self, host_fd: int, data: bytes, address: bytes, control: bytes, flags: int) -> int:
        """Send a message; return how much was taken, -1 if there is no room."""
        done = lib.hs_send(
            host_fd, data, len(data), address, len(address), control, len(control), flags
        )
        return _or_nothing(done)

    def receive(self, host_fd: int, room: int, flags: int) -> HostMessage | None:
        """Receive a message or bytes of a stream; None if there are none."""
        received = self._received
        room = min(room, BUFFER_SIZE)
        size = _or_nothing(lib.hs_receive(host_fd, self._buffer, room, flags, received))
        if size < 0:
            return None
        return HostMessage(
            self._bytes[: min(size, room)],
            size,
            self._address[: received.address_size],
            self._control[: received.control_size],
            received.flags,
        )

    def get_option(self, host_fd: int, level: int, option: int, room: int) -> bytes:
        """Return an option's value, of at most `room` bytes."""
        room = min(room, OPTION_MAX)
        size = _checked(lib.hs_get_option(host_fd, level, option, self._small, room))
        return self._small_bytes[:size]

    def set_option(self, host_fd: int, level: int, option: int, value: bytes) -> None:
        """Set an option."""
        _checked(lib.hs_set_option(host_fd, level, option, value, len(value)))

    def ioctl(self, host_fd: int, request: int, data: bytes) -> bytes:
        """Do a request with a structure of at most IFREQ_SIZE bytes; return it as changed."""
        structure = ffi.new("char[]", data.ljust(IFREQ_SIZE, b"\0"))
        _checked(lib.hs_ioctl(host_fd, request, structure))
        return ffi.buffer(structure)[: len(data)]

    def list_interfaces(self, host_fd: int) -> bytes:
        """Return the struct ifreq records of SIOCGIFCONF (netdevice(7))."""
        names = ffi.new("char[]", LIST_MAX)
        size = _checked(lib.hs_list_interfaces(host_fd, names, LIST_MAX))
        return ffi.buffer(names)[:size]


def _checked(result: int) -> int:
    if result < 0:
        raise SysError(-result)
    return result


def _or_nothing(result: int) -> int:
    """Return a result, -1 for EAGAIN."""
    if result == -EAGAIN:
        return -1
    return _checked(result)


CALLS: Final = HostCalls()
