"""Handing a network namespace to the sandbox: what is in it, and packet sockets for it.

Everything is read when the container is started, not when it is created: some
engines configure the namespace in between.  The process enters the namespace
for that time.
"""

import _socket
import fcntl
import posix
from struct import Struct

from config.network import (
    AddressSettings,
    InterfaceSettings,
    NeighbourSettings,
    NetworkSettings,
    RouteSettings,
)
from runsc.errors import RunscError, describe
from runsc.log import LOG
from runsc.sandbox import hostcalls, resolver, rtnetlink, takeover
from runsc.sandbox.rtnetlink import AF_INET, AF_INET6, Address, Link, Netlink, Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_LOOPBACK = ("127.0.0.1", "::1")
_ARPHRD_NONE = 0xFFFE  # tun and others without a link header
_ROUTE_KINDS = (1, 6, 7, 8)  # RTN_UNICAST, BLACKHOLE, UNREACHABLE, PROHIBIT
_UNICAST = 1

# packet(7), linux/if_packet.h
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP = 1
_PACKET_AUXDATA = 8
_PACKET_VNET_HDR = 15
_PACKET_IGNORE_OUTGOING = 23
_PACKET_MR_ALLMULTI = 2
_ETH_P_ALL = 3
_PACKET_MREQ = Struct("=iHH8s")
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_BUFFER_SIZE = 4 << 20


class Entered:
    """A network namespace that this process is in for the length of a `with`."""

    def __init__(self, path: str) -> None:
        try:
            self._own_fd = posix.open("/proc/self/ns/net", posix.O_RDONLY | posix.O_CLOEXEC)
            self._namespace_fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError as error:
            raise RunscError(f"cannot open the network namespace: {describe(error)}") from None
        self.inode = posix.fstat(self._namespace_fd).st_ino

    def lock(self) -> None:
        """Have others wait in here until this one has left (flock(2))."""
        fcntl.flock(self._namespace_fd, fcntl.LOCK_EX)

    def __enter__(self) -> "Entered":
        hostcalls.setns(self._namespace_fd, hostcalls.CLONE_NEWNET)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        hostcalls.setns(self._own_fd, hostcalls.CLONE_NEWNET)
        self.close()

    def close(self) -> None:
        """Forget the namespace."""
        posix.close(self._own_fd)
        posix.close(self._namespace_fd)


class Collected:
    """What was found in a namespace."""

    def __init__(self) -> None:
        self.settings = NetworkSettings()
        self.links: list[Link] = []  # of settings.interfaces
        self.taken: list[Link] = []  # those that the host's stack is to lose


def collect(netlink: Netlink, kept: list[str]) -> Collected:
    """Return what the sandbox is to have; RunscError for an interface that cannot be taken.

    `kept` names the interfaces that the host's stack goes on using, too.
    """
    made = Collected()
    addresses = [a for a in netlink.addresses() if not a.flags & rtnetlink.IFA_F_DADFAILED]
    for link in netlink.links():
        own = [a for a in addresses if a.index == link.index]
        if link.flags & rtnetlink.IFF_LOOPBACK:
            settings = [_address(a) for a in own]
            made.settings.loopback += [a for a in settings if a.host not in _LOOPBACK]
            continue
        own = [a for a in own if a.family == AF_INET or link.has_ipv6]
        if not _is_usable(link, own):
            continue
        made.links.append(link)
        if link.name not in kept:
            made.taken.append(link)
        made.settings.interfaces.append(_interface(link, own))
    unknown = set(kept) - {link.name for link in made.links}
    if unknown:
        LOG.warning(
            f"--keep-host-addresses: no such interface in use: {', '.join(sorted(unknown))}"
        )
    _add_neighbours(netlink, made.settings)
    for family in (AF_INET, AF_INET6):
        _add_routes(netlink, made.settings, family)
    return made


def _is_usable(link: Link, addresses: list[Address]) -> bool:
    """Return whether the sandbox gets an interface; RunscError where it would not work."""
    if not link.flags & rtnetlink.IFF_UP:
        return False
    if link.is_ipvlan and link.mode == rtnetlink.IPVLAN_L3S:
        raise RunscError(
            f'interface "{link.name}": ipvlan mode l3s is not supported: packets from the master '
            "never reach a packet socket on the slave; use ipvlan l2 or l3, macvlan, veth, or "
            "host networking"
        )
    if link.is_ipvlan and not addresses:
        raise RunscError(
            f'interface "{link.name}": ipvlan slave has no address; '
            "ipvlan delivers only to configured addresses"
        )
    if not addresses:
        LOG.warning(f"interface {link.name} has no address, so the container does not get it")
        return False
    if link.hardware_type == rtnetlink.ARPHRD_ETHER and len(link.mac) == 6:
        return True
    if link.hardware_type == _ARPHRD_NONE:
        return True
    LOG.warning(f"interface {link.name} is no Ethernet, so the container does not get it")
    return False


def _text(family: int, address: bytes) -> str:
    return _socket.inet_ntop(family, address) if address else ""


def _address(address: Address) -> AddressSettings:
    made = AddressSettings(_text(address.family, address.host), address.prefix_length)
    made.peer = _text(address.family, address.peer)
    made.broadcast = _text(address.family, address.broadcast)
    made.label = address.label
    made.scope = address.scope
    made.flags = address.flags
    made.preferred_s = address.preferred_s
    made.valid_s = address.valid_s
    return made


def _interface(link: Link, addresses: list[Address]) -> InterfaceSettings:
    made = InterfaceSettings(link.index, link.name)
    if link.hardware_type == rtnetlink.ARPHRD_ETHER:
        made.mac = link.mac.hex()
    made.mtu = link.mtu
    made.has_ipv6 = link.has_ipv6
    made.accept_ra = link.accept_ra
    # An ipvlan is given nothing for addresses that the kernel does not know.
    made.autoconf = link.autoconf and not link.is_ipvlan
    made.address_generation = link.address_generation
    if link.is_ipvlan:
        made.address_generation = rtnetlink.IN6_ADDR_GEN_MODE_NONE
    made.resolves = bool(made.mac) and not link.flags & rtnetlink.IFF_NOARP
    made.sends_to_itself = link.is_ipvlan and link.mode == rtnetlink.IPVLAN_L3
    made.gso_max = link.gso_max_size
    made.segments = _segments(link.name)
    made.addresses = [_address(address) for address in addresses]
    return made


def _segments(name: str) -> bool:
    """Return whether the interface takes frames that are to be segmented (ethtool -k)."""
    query = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        return hostcalls.ethtool_value(query.fileno(), name, hostcalls.ETHTOOL_GGSO) != 0
    except OSError as error:
        LOG.debug(f"interface {name}: SIOCETHTOOL: {describe(error)}")
        return False
    finally:
        query.close()


def _add_neighbours(netlink: Netlink, settings: NetworkSettings) -> None:
    by_index = {interface.index: interface for interface in settings.interfaces}
    for neighbour in netlink.neighbours():
        interface = by_index.get(neighbour.index)
        if interface is None or not neighbour.state & rtnetlink.NUD_PERMANENT:
            continue
        size = 4 if neighbour.family == AF_INET else 16
        if len(neighbour.address) == size and len(neighbour.mac) == 6:
            address = _text(neighbour.family, neighbour.address)
            interface.neighbours.append(NeighbourSettings(address, neighbour.mac.hex()))


def _add_routes(netlink: Netlink, settings: NetworkSettings, family: int) -> None:
    """Add the main table, as far as it leads through the sandbox's interfaces or nowhere."""
    indexes = {
        interface.index
        for interface in settings.interfaces
        if family == AF_INET or interface.has_ipv6
    }
    for route in netlink.routes(family):
        if route.table != rtnetlink.RT_TABLE_MAIN or route.kind not in _ROUTE_KINDS:
            continue
        if route.tos or route.source_length:
            continue  # chosen by more than the destination
        if route.kind == _UNICAST and not _choose_hop(route, indexes):
            continue
        settings.routes.append(_route(route))


def _choose_hop(route: Route, indexes: set[int]) -> bool:
    """Return whether a route leads through one of the interfaces; of several ways, take one."""
    for index, gateway in route.hops:
        if index in indexes:
            route.index, route.gateway = index, gateway
            return True
    return route.index in indexes


def _route(route: Route) -> RouteSettings:
    # IPv6 has routes that lead nowhere go through `lo`.
    index = route.index if route.kind == _UNICAST else 0
    made = RouteSettings(_text(route.family, route.prefix), route.prefix_length, index)
    made.gateway = _text(route.family, route.gateway)
    made.source = _text(route.family, route.source)
    made.metric = route.metric
    made.mtu = route.mtu
    made.scope = route.scope
    made.kind = route.kind
    made.protocol = route.protocol
    return made


def open_packet_socket(link: Link) -> int:
    """Return the descriptor of a packet socket for all frames of an interface."""
    kind = _socket.SOCK_RAW | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
    # Protocol 0: it hears nothing before it is bound.
    made = _socket.socket(_socket.AF_PACKET, kind, 0)
    try:
        made.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        made.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        made.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        made.setsockopt(_socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_SIZE)
        made.setsockopt(_socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER_SIZE)
        # The host joins no groups for the sandbox: macvlan and ipvlan would filter them, and
        # with them IPv6's neighbour discovery.  Ends with the socket.
        membership = _PACKET_MREQ.pack(link.index, _PACKET_MR_ALLMULTI, 0, bytes(8))
        made.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        made.bind((link.name, _ETH_P_ALL))
    except OSError as error:
        made.close()
        raise RunscError(f'interface "{link.name}": packet socket: {describe(error)}') from None
    return made.detach()


def open_packet_sockets(links: list[Link]) -> list[int]:
    """Return a packet socket for each interface."""
    made: list[int] = []
    try:
        for link in links:
            made.append(open_packet_socket(link))  # noqa: PERF401 - those before must be closed
    except BaseException:
        for host_fd in made:
            posix.close(host_fd)
        raise
    return made


def take(
    namespace: Entered, kept: list[str], remember: "Callable[[takeover.Record], None]"
) -> tuple[NetworkSettings, list[int]]:
    """Take the interfaces of the namespace that this process is in.

    `remember` is called before anything is changed: to undo it is the caller's
    affair (`give_back`).  The descriptors are packet sockets, in the order of the
    settings' interfaces.
    """
    netlink = Netlink()
    try:
        found = collect(netlink, kept)
        record = takeover.make_record(netlink, found.taken)
        record.inode = namespace.inode
        record.has_resolver = resolver.is_present()
        remember(record)
        takeover.silence(netlink, record)
        if record.has_resolver:
            found.settings.has_resolver = True
            resolver.catch_queries(netlink)
        return found.settings, open_packet_sockets(found.links)
    except OSError as error:
        raise RunscError(f"network: {describe(error)}") from None
    finally:
        netlink.close()


def give_back(path: str, record: takeover.Record) -> None:
    """Undo a take-over in the namespace at `path`, if it is still the same one."""
    if not record.interfaces and not record.has_resolver:
        return
    try:
        namespace = Entered(path)
    except RunscError as error:
        LOG.debug(f"the network is gone: {error}")
        return
    if namespace.inode != record.inode:
        namespace.close()
        return
    with namespace:
        netlink = Netlink()
        try:
            takeover.undo(netlink, record)
            if record.has_resolver:
                resolver.release_queries(netlink)
        finally:
            netlink.close()
