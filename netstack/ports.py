"""Ports: who may bind what (bind(2), ip(7), socket(7)), and ephemeral ports (RFC 6056).

One table serves one transport protocol.  The rules are Linux's: two bindings
conflict when their port, device and addresses overlap, unless both said
SO_REUSEADDR and neither listens, or both said SO_REUSEPORT as the same user.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from mypy_extensions import mypyc_attr

from netstack.environment import Environment
from netstack.errors import ADDRESS_IN_USE, NetError
from netstack.packet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, FrameFilter, InPacket
from netstack.settings import Settings

# Which addresses a binding without a host takes.
ANY_IPV4: Final = 1
ANY_IPV6: Final = 2
ANY_BOTH: Final = 3


class ReuseGroup:
    """Sockets with SO_REUSEPORT on one address and port: one of them gets each packet."""

    def __init__(self) -> None:
        self.program: FrameFilter | None = None  # SO_ATTACH_REUSEPORT_CBPF: says which one
        self._members: list[object] = []

    def add(self, member: object) -> None:
        """Take a member in, behind the others."""
        self._members.append(member)

    def remove(self, member: object) -> None:
        """Let a member go; the last one takes its place (reuseport_detach_sock)."""
        if member in self._members:
            self._members[self._members.index(member)] = self._members[-1]
            self._members.pop()

    def chosen(self, packet: InPacket, payload: int) -> object | None:
        """Return the member that the program names; it sees what is behind the offset `payload`."""
        program = self.program
        if program is None:
            return None
        ethertype = ETHERTYPE_IPV4 if packet.version == 4 else ETHERTYPE_IPV6
        index = program.run(packet.data, payload, packet.end, packet, ethertype)
        return self._members[index] if index < len(self._members) else None


class Binding:
    """A port that an endpoint holds, alone or with others."""

    def __init__(self, host: bytes, port: int, versions: int) -> None:
        self.host = host  # empty: any address of `versions`
        self.port = port  # 0 until bound, when it is chosen
        self.versions = versions  # ANY_IPV4, ANY_IPV6 or ANY_BOTH (IPv6 without IPV6_V6ONLY)
        self.interface_index = 0
        self.reuse_address = False
        self.reuse_port = False
        self.user = 0  # user id: SO_REUSEPORT is among one user's sockets
        self.group: ReuseGroup | None = None  # of who has SO_REUSEPORT
        self.is_listening = False
        self.users = 0  # endpoints that hold it: a listener's connections share its binding

    def overlaps(self, other: Binding) -> bool:
        """Return whether a packet could be for both."""
        if (
            self.interface_index
            and other.interface_index
            and self.interface_index != other.interface_index
        ):
            return False
        if self.host and other.host:
            return self.host == other.host
        return self.versions & other.versions != 0

    def conflicts(self, other: Binding) -> bool:
        """Return whether both may not hold the port (inet_csk_get_port, udp_lib_get_port)."""
        if not self.overlaps(other):
            return False
        if self.reuse_address and other.reuse_address:
            if not self.is_listening and not other.is_listening:
                return False
        return not (self.reuse_port and other.reuse_port and self.user == other.user)


@mypyc_attr(allow_interpreted_subclasses=True)
class PortFilter:
    """Says whether a port will do for a connection (TCP: whether the four numbers are unused)."""

    def is_usable(self, port: int, bindings: list[Binding]) -> bool:
        """Return whether an ephemeral port may be used, given those who have bound it."""
        return not bindings


class PortTable:
    """The ports of one transport protocol."""

    def __init__(self, environment: Environment, settings: Settings) -> None:
        self.environment = environment
        self.settings = settings
        self.bindings: dict[int, list[Binding]] = {}
        self._secret = environment.random_bytes(16)
        self._counter = 0

    def bind(self, binding: Binding) -> None:
        """Enter a binding, and choose its port if that is 0; NetError(ADDRESS_IN_USE)."""
        if binding.port:
            if self.conflicts(binding):
                raise NetError(ADDRESS_IN_USE)
        else:
            binding.port = self._choose(binding)
        binding.users = 1
        if binding.reuse_port:
            self._join_group(binding)
        self.bindings.setdefault(binding.port, []).append(binding)

    def _join_group(self, binding: Binding) -> None:
        """Have a binding share the group of those on the same address, if there are any."""
        for other in self.bindings.get(binding.port, []):
            if (
                other.group is not None
                and other.host == binding.host
                and other.versions == binding.versions
                and other.interface_index == binding.interface_index
            ):
                binding.group = other.group
                return
        binding.group = binding.group or ReuseGroup()

    def conflicts(self, binding: Binding) -> bool:
        """Return whether somebody else's binding stands in the way (asked again by listen(2))."""
        for other in self.bindings.get(binding.port, []):
            if other is not binding and binding.conflicts(other):
                return True
        return False

    def hold(self, binding: Binding) -> None:
        """Keep a binding for one more endpoint."""
        binding.users += 1

    def release(self, binding: Binding) -> None:
        """One endpoint less holds the binding."""
        binding.users -= 1
        if binding.users > 0:
            return
        entries = self.bindings.get(binding.port)
        if entries is not None and binding in entries:
            entries.remove(binding)
            if not entries:
                del self.bindings[binding.port]

    def find_ephemeral(self, local: bytes, remote: bytes, port: int, usable: PortFilter) -> int:
        """Return a port for a connection, by the double hash of RFC 6056, 3.3.4; 0: none is left.

        Not entered: the caller binds it.
        """
        seed = self._secret + local + b"|" + remote + port.to_bytes(2, "big")
        digest = blake2b(seed, digest_size=12).digest()
        offset = int.from_bytes(digest[:8], "big")
        low, count = self._range()
        for step in range(count):
            candidate = low + (offset + self._counter + step) % count
            if candidate in self.settings.ip_local_reserved_ports:
                continue
            if usable.is_usable(candidate, self.bindings.get(candidate, [])):
                self._counter += step + 1
                return candidate
        return 0

    def _choose(self, binding: Binding) -> int:
        """Return a random port that does not conflict (RFC 6056, 3.3.1)."""
        low, count = self._range()
        start = int.from_bytes(self.environment.random_bytes(4), "big") % count
        for step in range(count):
            port = low + (start + step) % count
            if port in self.settings.ip_local_reserved_ports:
                continue
            if self._may_take(binding, port):
                return port
        raise NetError(ADDRESS_IN_USE)

    def _may_take(self, binding: Binding, port: int) -> bool:
        for other in self.bindings.get(port, []):
            # Nobody asked for this very port: sharing it would be a surprise.
            if binding.overlaps(other):
                return False
        return True

    def _range(self) -> tuple[int, int]:
        low = self.settings.ip_local_port_low
        return low, max(1, self.settings.ip_local_port_high - low + 1)
