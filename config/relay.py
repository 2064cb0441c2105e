"""What the sandbox and the relay of Docker's resolver tell each other.

Each message is one datagram of a SOCK_SEQPACKET pair: a head, the address of a
server if that matters, and a DNS message without the length that TCP puts
before it (RFC 1035, 4.2.2).  A message that is empty stands for no answer.

`runsc/boot/relay.py` is the relay, `runsc/boot/resolver.py` the sandbox's end.
"""

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# Who asks whom.
INSIDE_QUERY: "Final" = 1  # to the relay: the guest asks Docker's resolver
INSIDE_ANSWER: "Final" = 2
OUTSIDE_QUERY: "Final" = 3  # to the sandbox: Docker's resolver asks a server
OUTSIDE_ANSWER: "Final" = 4

# How it is asked; the answer comes the same way.
TCP: "Final" = 6
UDP: "Final" = 17

DNS_PORT: "Final" = 53
RESOLVER: "Final" = "127.0.0.11"
MAX_DNS: "Final" = 65535
DNS_HEADER: "Final" = 12
ADDRESS_SIZE: "Final" = 16
_IS_ANSWER: "Final" = 0x80
_SERVFAIL: "Final" = 0x80 | 2  # "recursion available", and the code
_IPV4_MAPPED: "Final" = bytes(10) + b"\xff\xff"

_HEAD: "Final" = Struct("!BBxxI")  # kind, protocol, tag
MAX_MESSAGE: "Final" = _HEAD.size + ADDRESS_SIZE + MAX_DNS


class RelayFormatError(ValueError):
    """The other end sent what is no message."""


class RelayMessage:
    """A message."""

    def __init__(self, kind: int, protocol: int, tag: int, dns: bytes) -> None:
        self.kind = kind
        self.protocol = protocol
        self.tag = tag  # of the query, chosen by who asks; the answer has it, too
        self.dns = dns
        self.server = b""  # OUTSIDE_QUERY: 4 or 16 bytes

    def pack(self) -> bytes:
        """Return the datagram."""
        head = _HEAD.pack(self.kind, self.protocol, self.tag)
        if self.kind != OUTSIDE_QUERY:
            return head + self.dns
        server = _IPV4_MAPPED + self.server if len(self.server) == 4 else self.server
        return head + server + self.dns


def parse(data: bytes) -> RelayMessage:
    """Return the message of a datagram; RelayFormatError."""
    if len(data) < _HEAD.size:
        raise RelayFormatError("a message is too short")
    kind, protocol, tag = _HEAD.unpack_from(data)
    if protocol not in (TCP, UDP):
        raise RelayFormatError(f"protocol {protocol}")
    at = _HEAD.size
    server = b""
    if kind == OUTSIDE_QUERY:
        server = data[at : at + ADDRESS_SIZE]
        at += ADDRESS_SIZE
        if len(server) < ADDRESS_SIZE:
            raise RelayFormatError("a message is too short")
        if server.startswith(_IPV4_MAPPED):
            server = server[len(_IPV4_MAPPED) :]
    made = RelayMessage(kind, protocol, tag, data[at:])
    made.server = server
    return made


def server_failure(query: bytes) -> bytes:
    """Return the answer that there is none (SERVFAIL, RFC 1035, 4.1.1)."""
    return query[:2] + bytes((query[2] | _IS_ANSWER, _SERVFAIL)) + query[4:]


class LengthPrefixed:
    """DNS messages out of a stream, each after its length in two bytes (RFC 1035, 4.2.2)."""

    def __init__(self) -> None:
        self._data = b""

    def add(self, data: bytes) -> None:
        """Take what was read."""
        self._data += data

    def take(self) -> bytes | None:
        """Return the next message, None if it is not whole yet."""
        size = int.from_bytes(self._data[:2], "big")
        if len(self._data) < 2 + size or len(self._data) < 2:
            return None
        message = self._data[2 : 2 + size]
        self._data = self._data[2 + size :]
        return message


def prefix_length(message: bytes) -> bytes:
    """Return a message as TCP carries it."""
    return len(message).to_bytes(2, "big") + message
