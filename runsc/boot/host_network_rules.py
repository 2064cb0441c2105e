"""What --network=host adds to the second wall: the sandbox may have sockets of the internet.

The rules are made of the same tables by which the sentry checks what a guest
asks for (`sentry/socket/host_options.py`), so that a sentry that was broken can
do no more than a guest: no sockets of other families, no options beyond the
table, nothing that waits.  That a change of the host's network is refused is
the work of the missing CAP_NET_ADMIN.
"""

from typing import Final

from runsc.boot.hostfilter import INT, IOCTL_COMMANDS, MSG_DONTWAIT, Compare, HostCall, one_of
from sentry.abi import socket as abi
from sentry.abi.ioctl import SIOCGIFCONF
from sentry.socket.host_calls import HOST_NETWORK_CALLS
from sentry.socket.host_options import (
    GET,
    INTERFACE_REQUESTS,
    NUMBER_REQUESTS,
    OPTIONS,
    SEND_FLAGS,
    SET,
)

Rules = tuple[tuple[Compare, ...], ...]

_WHY: Final = "the host's network"
_FLAGS: Final = abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC
_SOCKETS: Final = (
    (abi.AF_INET, abi.SOCK_STREAM, abi.IPPROTO_TCP),
    (abi.AF_INET, abi.SOCK_DGRAM, abi.IPPROTO_UDP),
    (abi.AF_INET, abi.SOCK_DGRAM, abi.IPPROTO_ICMP),
    (abi.AF_INET6, abi.SOCK_STREAM, abi.IPPROTO_TCP),
    (abi.AF_INET6, abi.SOCK_DGRAM, abi.IPPROTO_UDP),
    (abi.AF_INET6, abi.SOCK_DGRAM, abi.IPPROTO_ICMPV6),
    (abi.AF_NETLINK, abi.SOCK_RAW, abi.NETLINK_ROUTE),
    (abi.AF_NETLINK, abi.SOCK_DGRAM, abi.NETLINK_ROUTE),
)
_RAW_PROTOCOL_BITS: Final = 0xFF


def host_network_calls(*, allows_raw: bool) -> tuple[HostCall, ...]:
    """Return the calls with their rules; `allows_raw`: with --net-raw."""
    rules: dict[str, Rules] = {
        "socket": _socket_rules(allows_raw=allows_raw),
        "setsockopt": (*_option_rules(SET), _option(abi.SOL_SOCKET, abi.SO_LINGER)),
        # Besides: who speaks to the control socket.
        "getsockopt": (*_option_rules(GET), _option(abi.SOL_SOCKET, abi.SO_PEERCRED)),
        "ioctl": one_of(
            1, INT, (*IOCTL_COMMANDS, *NUMBER_REQUESTS, *INTERFACE_REQUESTS, SIOCGIFCONF)
        ),
        # Always without waiting and without SIGPIPE; of other flags those of the table.
        "sendmsg": ((Compare(2, INT & ~SEND_FLAGS, MSG_DONTWAIT | abi.MSG_NOSIGNAL),),),
    }
    return tuple(HostCall(name, _WHY, rules.get(name, ())) for name in HOST_NETWORK_CALLS)


def _socket_rules(*, allows_raw: bool) -> Rules:
    rules = [
        (Compare(0, INT, family), Compare(1, INT, kind | _FLAGS), Compare(2, INT, protocol))
        for family, kind, protocol in _SOCKETS
    ]
    if allows_raw:
        rules += [
            (
                Compare(0, INT, family),
                Compare(1, INT, abi.SOCK_RAW | _FLAGS),
                # Any protocol of one byte.
                Compare(2, INT & ~_RAW_PROTOCOL_BITS, 0),
            )
            for family in (abi.AF_INET, abi.AF_INET6)
        ]
    return tuple(rules)


def _option(level: int, number: int) -> tuple[Compare, ...]:
    return (Compare(1, INT, level), Compare(2, INT, number))


def _option_rules(direction: int) -> Rules:
    return tuple(
        _option(level, number)
        for (level, number), row in OPTIONS.items()
        if row.directions & direction
    )
