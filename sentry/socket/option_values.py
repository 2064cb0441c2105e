"""How numbers come out of the bytes of setsockopt(2)."""

from struct import Struct
from typing import Final

from sentry.abi import socket as abi
from sentry.abi.errno import EINVAL
from sentry.errors import SysError

_INT: Final = Struct("<i")


def read_number(level: int, value: bytes) -> int:
    """Return the number that an option is set to; SysError(EINVAL) if it is too short.

    IPv4 options may be a single byte, or nothing at all (do_ip_setsockopt, net/ipv4/ip_sockglue.c).
    """
    if len(value) >= 4:
        number: int = _INT.unpack_from(value, 0)[0]
        return number
    if level == abi.SOL_IP:
        return value[0] if value else 0
    raise SysError(EINVAL)
