"""The filter programs of sock_diag(7) (struct inet_diag_bc_op, linux/inet_diag.h).

A program is a list of operations, each with how far to jump if it holds and if
it does not; to end at the program's very end is to match.  Jumps only lead
forward, so it ends.
"""

from struct import Struct
from typing import Final

from sentry.abi.errno import EINVAL
from sentry.abi.socket import AF_INET, AF_INET6, SO_MARK, SOL_SOCKET
from sentry.errors import SysError
from sentry.socket.net_address import as_ipv6
from sentry.socket.socket_rows import SocketRow

_OPERATION: Final = Struct("<BBH")
_CONDITION: Final = Struct("<BBxxi")  # struct inet_diag_hostcond
NOP: Final = 0
JMP: Final = 1
S_GE: Final = 2
S_LE: Final = 3
D_GE: Final = 4
D_LE: Final = 5
AUTO: Final = 6
S_COND: Final = 7
D_COND: Final = 8
DEV_COND: Final = 9
MARK_COND: Final = 10
S_EQ: Final = 11
D_EQ: Final = 12


def matches(code: bytes, row: SocketRow) -> bool:
    """Return whether a program (none: all) takes a socket; SysError(EINVAL) for a bad one."""
    at = 0
    while at < len(code):
        if at + 4 > len(code):
            raise SysError(EINVAL)
        operation, yes, no = _OPERATION.unpack_from(code, at)
        step = yes if _holds(code, at, operation, row) else no
        if step < 4 or step % 4:
            raise SysError(EINVAL)
        at += step
    return at == len(code)


def _holds(code: bytes, at: int, operation: int, row: SocketRow) -> bool:
    if operation == NOP:
        return True
    if operation == JMP:
        return False
    if operation in (S_GE, S_LE, D_GE, D_LE, S_EQ, D_EQ):
        return _port_holds(code, at, operation, row)
    if operation in (S_COND, D_COND):
        address = row.local if operation == S_COND else row.remote
        return _address_holds(code, at + 4, address.host, address.port)
    if operation == DEV_COND:
        return int.from_bytes(code[at + 4 : at + 8], "little") == row.interface_index
    if operation == MARK_COND:
        wanted = int.from_bytes(code[at + 4 : at + 8], "little")
        mask = int.from_bytes(code[at + 8 : at + 12], "little")
        mark = row.sock.value(SOL_SOCKET, SO_MARK) if row.sock is not None else 0
        return mark & mask == wanted
    if operation == AUTO:
        return row.sock is None
    raise SysError(EINVAL)


def _port_holds(code: bytes, at: int, operation: int, row: SocketRow) -> bool:
    """The port stands where the next operation has its `no`."""
    if at + 8 > len(code):
        raise SysError(EINVAL)
    wanted: int = _OPERATION.unpack_from(code, at + 4)[2]
    port = row.local.port if operation in (S_GE, S_LE, S_EQ) else row.remote.port
    if operation in (S_GE, D_GE):
        return port >= wanted
    if operation in (S_LE, D_LE):
        return port <= wanted
    return port == wanted


def _address_holds(code: bytes, at: int, host: bytes, port: int) -> bool:
    """Compare an address with a prefix and a port; port -1 is any."""
    if at + _CONDITION.size > len(code):
        raise SysError(EINVAL)
    condition: tuple[int, int, int] = _CONDITION.unpack_from(code, at)
    family, length, wanted_port = condition
    if wanted_port not in (-1, port):
        return False
    if length == 0:
        return True
    size = {AF_INET: 4, AF_INET6: 16}.get(family, 0)
    prefix = code[at + _CONDITION.size : at + _CONDITION.size + size]
    if len(prefix) < size or length > 8 * size or not size:
        raise SysError(EINVAL)
    own = (host[-4:] or bytes(4)) if family == AF_INET else as_ipv6(host)
    shift = 8 * size - length
    return int.from_bytes(own, "big") >> shift == int.from_bytes(prefix, "big") >> shift
