"""The one table from the network stack's errors to errno."""

from typing import Final

from netstack import errors
from netstack.errors import NetError
from sentry.abi import errno
from sentry.errors import SysError

ERRNOS: Final[dict[int, int]] = {
    errors.ADDRESS_IN_USE: errno.EADDRINUSE,
    errors.ADDRESS_NOT_AVAILABLE: errno.EADDRNOTAVAIL,
    errors.NETWORK_UNREACHABLE: errno.ENETUNREACH,
    errors.HOST_UNREACHABLE: errno.EHOSTUNREACH,
    errors.CONNECTION_REFUSED: errno.ECONNREFUSED,
    errors.CONNECTION_RESET: errno.ECONNRESET,
    errors.CONNECTION_ABORTED: errno.ECONNABORTED,
    errors.TIMED_OUT: errno.ETIMEDOUT,
    errors.NOT_CONNECTED: errno.ENOTCONN,
    errors.ALREADY_CONNECTED: errno.EISCONN,
    errors.ALREADY_CONNECTING: errno.EALREADY,
    errors.IN_PROGRESS: errno.EINPROGRESS,
    errors.INVALID: errno.EINVAL,
    errors.MESSAGE_TOO_LONG: errno.EMSGSIZE,
    errors.NO_BUFFERS: errno.ENOBUFS,
    errors.BROKEN_PIPE: errno.EPIPE,
    errors.DESTINATION_REQUIRED: errno.EDESTADDRREQ,
    errors.PERMISSION: errno.EPERM,
    errors.ACCESS: errno.EACCES,
    errors.NO_SUCH_DEVICE: errno.ENODEV,
    errors.NOT_SUPPORTED: errno.EOPNOTSUPP,
    errors.FAMILY: errno.EAFNOSUPPORT,
    errors.PROTOCOL: errno.EPROTO,
    errors.PORT_UNREACHABLE: errno.ECONNREFUSED,
    errors.NETWORK_DOWN: errno.ENETDOWN,
    errors.EXISTS: errno.EEXIST,
    errors.NOT_FOUND: errno.ENOENT,
    errors.HOST_DOWN: errno.EHOSTDOWN,
    errors.NO_NETWORK: errno.ENONET,
    errors.NO_PROTOCOL: errno.ENOPROTOOPT,
}


def errno_of(code: int) -> int:
    """Return the errno of a NetError code, 0 for 0."""
    return ERRNOS.get(code, errno.EIO) if code else 0


def as_sys_error(error: NetError) -> SysError:
    """Return what the guest gets for an error of the stack."""
    return SysError(errno_of(error.code))
