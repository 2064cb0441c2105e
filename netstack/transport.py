"""What the network layer asks of a transport protocol."""

from abc import ABC, abstractmethod

from mypy_extensions import mypyc_attr

from netstack.packet import InPacket


class IcmpError:
    """An ICMP error about a packet that this host sent (RFC 792, RFC 4443)."""

    def __init__(
        self,
        code: int,
        source: bytes,
        destination: bytes,
        protocol: int,
        quoted: bytes,
    ) -> None:
        self.code = code  # NetError code; MESSAGE_TOO_LONG: the path MTU is `mtu`
        self.source = source  # of the offending packet: our own address
        self.destination = destination
        self.protocol = protocol
        self.quoted = quoted  # the transport header and what follows, at least 8 bytes
        self.mtu = 0  # the transport that knows the packet calls `Stack.note_path_mtu`
        self.pointer = 0  # of a parameter problem
        self.is_hard = False  # ends a connection, RFC 1122, 4.2.3.9
        # For the error queue (IP_RECVERR, ip(7)).
        self.offender = b""
        self.icmp_type = 0
        self.icmp_code = 0


@mypyc_attr(allow_interpreted_subclasses=True)
class Transport(ABC):
    """A protocol above IP, registered with `Stack.register_transport`."""

    @abstractmethod
    def on_packet(self, packet: InPacket) -> bool:
        """Take a packet for this host; False if nobody wants it (port unreachable is answered).

        The network layer has set all fields.  The transport checksum is the transport's to verify.
        """

    @abstractmethod
    def on_icmp_error(self, error: IcmpError) -> None:
        """Take an ICMP error about a packet of this protocol."""
