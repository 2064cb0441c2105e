"""TCP Fast Open as programs use it (tcp(7)): MSG_FASTOPEN, TCP_FASTOPEN and what goes with them."""

from struct import Struct
from typing import Final

from netstack.endpoint import Address
from netstack.errors import ALREADY_CONNECTING, NetError
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.fastopen import KEY_SIZE
from netstack.tcp.settings import FASTOPEN_CLIENT
from netstack.tcp.states import CLOSED, LISTEN
from sentry.abi import socket as abi
from sentry.abi.errno import EALREADY, EFAULT, EINVAL, EISCONN, ENOTCONN, EOPNOTSUPP
from sentry.errors import SysError
from sentry.kernel.call import CallData
from sentry.mm.io import Source
from sentry.socket.net_address import sockaddr_family
from sentry.socket.net_errors import as_sys_error
from sentry.socket.option_values import read_number

CHUNK: Final = 65536  # no SYN carries more
OPTIONS: Final = (
    abi.TCP_FASTOPEN,
    abi.TCP_FASTOPEN_CONNECT,
    abi.TCP_FASTOPEN_KEY,
    abi.TCP_FASTOPEN_NO_COOKIE,
)
_INT: Final = Struct("<i")
_ANYWHERE: Final = Address(b"", 0)


class OpeningFast(CallData):
    """A send that waits for its connection, and how much of the data went with the SYN."""

    def __init__(self, size: int) -> None:
        self.size = size


def check_start(endpoint: TcpEndpoint, address: bytes) -> None:
    """Refuse a MSG_FASTOPEN that cannot be (tcp_sendmsg_fastopen, net/ipv4/tcp.c)."""
    is_client = endpoint.protocol.settings.fastopen & FASTOPEN_CLIENT
    if not is_client or (len(address) >= 2 and sockaddr_family(address) == abi.AF_UNSPEC):
        raise SysError(EOPNOTSUPP)
    if endpoint.listening is not None:
        raise SysError(EISCONN)
    connection = endpoint.connection
    if connection is not None:
        raise SysError(EALREADY if connection.is_opening() else EISCONN)
    if not address:
        raise SysError(EINVAL)


def start(endpoint: TcpEndpoint, target: Address | None, source: Source) -> int:
    """Send the SYN with as much of `source` as it may carry; return how much.

    `target` None: of the connect that TCP_FASTOPEN_CONNECT put off.
    """
    data = source.take(min(source.size, CHUNK))
    if source.size and not data:
        raise SysError(EFAULT)
    try:
        if target is None:
            size = endpoint.start_deferred(data)
        else:
            size = endpoint.connect_fast(target, data)
    except NetError as error:
        raise as_sys_error(error) from None
    if size < len(data):
        source.put_back(data[size:])
    return size


def is_open(endpoint: TcpEndpoint) -> bool:
    """Return whether the handshake is complete; SysError if it failed."""
    if endpoint.connection is None:
        raise SysError(ENOTCONN)
    try:
        return endpoint.connect(_ANYWHERE)
    except NetError as error:
        if error.code == ALREADY_CONNECTING:
            return False
        raise as_sys_error(error) from None


# Options.


def get_option(endpoint: TcpEndpoint, option: int) -> bytes:
    """Return the value of one of OPTIONS."""
    options = endpoint.options
    if option == abi.TCP_FASTOPEN_KEY:
        return b"".join(options.fastopen_keys)
    if option == abi.TCP_FASTOPEN:
        return _INT.pack(options.fastopen_queue)
    if option == abi.TCP_FASTOPEN_CONNECT:
        return _INT.pack(int(options.fastopen_connect))
    return _INT.pack(int(options.fastopen_no_cookie))


def set_option(endpoint: TcpEndpoint, option: int, value: bytes) -> None:
    """Set one of OPTIONS; SysError(EINVAL, EOPNOTSUPP)."""
    options = endpoint.options
    state = endpoint.state()
    if option == abi.TCP_FASTOPEN_KEY:
        if len(value) not in (KEY_SIZE, 2 * KEY_SIZE):
            raise SysError(EINVAL)
        options.fastopen_keys = split_keys(value)
        return
    number = read_number(abi.SOL_TCP, value)
    if option == abi.TCP_FASTOPEN:
        if number < 0 or state not in (CLOSED, LISTEN):
            raise SysError(EINVAL)
        options.fastopen_queue = min(number, endpoint.protocol.settings.somaxconn)
        return
    if number not in (0, 1):
        raise SysError(EINVAL)
    if option == abi.TCP_FASTOPEN_NO_COOKIE:
        if state not in (CLOSED, LISTEN):
            raise SysError(EINVAL)
        options.fastopen_no_cookie = bool(number)
        return
    if not endpoint.protocol.settings.fastopen & FASTOPEN_CLIENT:
        raise SysError(EOPNOTSUPP)
    if state != CLOSED:
        raise SysError(EINVAL)
    options.fastopen_connect = bool(number)


def split_keys(value: bytes) -> list[bytes]:
    """Return the keys, one or two, of TCP_FASTOPEN_KEY."""
    return [value[at : at + KEY_SIZE] for at in range(0, len(value), KEY_SIZE)]
