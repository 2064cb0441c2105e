"""What all transport endpoints have in common: addresses, readiness, errors."""

from typing import Final

from mypy_extensions import mypyc_attr

from netstack.environment import Listener
from netstack.ports import Binding, ReuseGroup

# Readiness; the values are those of poll(2), so that nobody has to translate.
EVENT_IN: Final = 0x001
EVENT_PRI: Final = 0x002  # urgent data
EVENT_OUT: Final = 0x004
EVENT_ERR: Final = 0x008
EVENT_HUP: Final = 0x010  # both directions are closed
EVENT_RDHUP: Final = 0x2000  # the peer sends no more
# Never among what holds, only among what happens: urgent data was announced (SIGURG).
EVENT_URGENT: Final = 0x10000

SHUT_READ: Final = 1
SHUT_WRITE: Final = 2


class Address:
    """An address with a port; `host` has 4 or 16 bytes, or none: any address.

    IPv4 addresses of dual-stack IPv6 endpoints have 4 bytes here; the socket
    layer shows them as ::ffff:a.b.c.d.
    """

    def __init__(self, host: bytes, port: int, scope: int = 0) -> None:
        self.host = host
        self.port = port
        self.scope = scope  # interface index of a link-local address (sin6_scope_id)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Address)
            and self.host == other.host
            and self.port == other.port
            and self.scope == other.scope
        )

    def __hash__(self) -> int:
        return hash((self.host, self.port, self.scope))

    def __repr__(self) -> str:
        return f"Address({self.host.hex()}, {self.port}, {self.scope})"


NO_LISTENER: Final = Listener()


@mypyc_attr(allow_interpreted_subclasses=True)
class Endpoint:
    """A transport endpoint.  Operations never sleep: None is "would block"."""

    def __init__(self) -> None:
        self.listener: Listener = NO_LISTENER
        self.reuse_group: ReuseGroup | None = None  # made before there was a binding
        self.error = 0  # pending NetError code (SO_ERROR); 0: none

    def bound_to(self) -> Binding | None:
        """Return the port that the endpoint holds; None: there is none, or no ports at all."""
        return None

    def readiness(self) -> int:
        """Return the EVENT_ bits that hold now."""
        return 0

    def take_error(self) -> int:
        """Return and forget the pending error."""
        error = self.error
        self.error = 0
        return error

    def close(self) -> None:
        """Called once, when nobody uses the endpoint any more; it may linger inside the stack."""
