"""Events of poll(2) and epoll(7), and their structs."""

from struct import Struct
from typing import Final

# poll(2) events, also those of EPOLL
POLLIN: Final = 0x1
POLLPRI: Final = 0x2
POLLOUT: Final = 0x4
POLLERR: Final = 0x8
POLLHUP: Final = 0x10
POLLNVAL: Final = 0x20
POLLRDNORM: Final = 0x40
POLLRDBAND: Final = 0x80
POLLWRNORM: Final = 0x100
POLLWRBAND: Final = 0x200
POLLMSG: Final = 0x400
POLLREMOVE: Final = 0x1000
POLLRDHUP: Final = 0x2000

# epoll_ctl(2)
EPOLL_CTL_ADD: Final = 1
EPOLL_CTL_DEL: Final = 2
EPOLL_CTL_MOD: Final = 3

# epoll events beyond poll's
EPOLLIN: Final = 0x1
EPOLLPRI: Final = 0x2
EPOLLOUT: Final = 0x4
EPOLLERR: Final = 0x8
EPOLLHUP: Final = 0x10
EPOLLRDNORM: Final = 0x40
EPOLLRDBAND: Final = 0x80
EPOLLWRNORM: Final = 0x100
EPOLLWRBAND: Final = 0x200
EPOLLMSG: Final = 0x400
EPOLLRDHUP: Final = 0x2000
EPOLLEXCLUSIVE: Final = 0x1000_0000
EPOLLWAKEUP: Final = 0x2000_0000
EPOLLONESHOT: Final = 0x4000_0000
EPOLLET: Final = 0x8000_0000

# epoll_create1(2)
EPOLL_CLOEXEC: Final = 0o2000000


POLLFD_SIZE: Final = 8
_POLLFD: Final = Struct("<ihh")  # fd, events, revents

EPOLL_EVENT_SIZE: Final = 12  # packed on x86-64
_EPOLL_EVENT: Final = Struct("<IQ")  # events, data


def unpack_pollfd(data: bytes, offset: int) -> tuple[int, int]:
    """Return fd and events of the struct pollfd at `offset`."""
    fd, events, _ = _POLLFD.unpack_from(data, offset)
    return fd, events & 0xFFFF


def pack_pollfd(fd: int, events: int, revents: int) -> bytes:
    """Return a struct pollfd."""
    return _POLLFD.pack(fd, _s16(events), _s16(revents))


def unpack_epoll_event(data: bytes, offset: int = 0) -> tuple[int, int]:
    """Return events and data of the struct epoll_event at `offset`."""
    events, value = _EPOLL_EVENT.unpack_from(data, offset)
    return events, value


def pack_epoll_event(events: int, data: int) -> bytes:
    """Return a struct epoll_event."""
    return _EPOLL_EVENT.pack(events & 0xFFFF_FFFF, data)


def _s16(value: int) -> int:
    low = value & 0xFFFF
    return low - 0x1_0000 if low & 0x8000 else low
