"""What can go wrong for a user of the stack.

The stack knows no errno: `sentry/socket` has the one table that maps these
codes.  "Would block" is no error; operations return None then.
"""

from typing import Final

ADDRESS_IN_USE: Final = 1
ADDRESS_NOT_AVAILABLE: Final = 2
NETWORK_UNREACHABLE: Final = 3
HOST_UNREACHABLE: Final = 4
CONNECTION_REFUSED: Final = 5
CONNECTION_RESET: Final = 6
CONNECTION_ABORTED: Final = 7
TIMED_OUT: Final = 8
NOT_CONNECTED: Final = 9
ALREADY_CONNECTED: Final = 10
ALREADY_CONNECTING: Final = 11
IN_PROGRESS: Final = 12
INVALID: Final = 13  # an argument, or the endpoint's state, does not allow it
MESSAGE_TOO_LONG: Final = 14
NO_BUFFERS: Final = 15
BROKEN_PIPE: Final = 16  # the sending side was shut down
DESTINATION_REQUIRED: Final = 17
PERMISSION: Final = 18  # broadcast without SO_BROADCAST, a prohibit route
ACCESS: Final = 19
NO_SUCH_DEVICE: Final = 20
NOT_SUPPORTED: Final = 21
FAMILY: Final = 22  # an address of the wrong family
PROTOCOL: Final = 23
PORT_UNREACHABLE: Final = 24  # as CONNECTION_REFUSED, for datagrams
NETWORK_DOWN: Final = 25
EXISTS: Final = 26
NOT_FOUND: Final = 27
HOST_DOWN: Final = 28
NO_NETWORK: Final = 29  # host isolated
NO_PROTOCOL: Final = 30  # protocol not available


class NetError(Exception):
    """A failed operation; `code` is one of the constants above."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
