"""Requests of ioctl(2) about interfaces, addresses and routes (netdevice(7))."""

from struct import Struct
from typing import Final

from netstack.errors import NetError
from netstack.interface import IFF_UP, Interface, InterfaceAddress
from netstack.route import SCOPE_HOST
from sentry.abi import ioctl as abi
from sentry.abi.capability import CAP_NET_ADMIN
from sentry.abi.errno import EADDRNOTAVAIL, EFAULT, EINVAL, ENODEV, ENOTTY, EOPNOTSUPP, EPERM
from sentry.abi.socket import AF_INET, pack_sockaddr_in, unpack_sockaddr_in
from sentry.errors import SysError
from sentry.mm.user import write_u32
from sentry.socket.interface_numbers import hardware_type, linux_flags
from sentry.socket.net_errors import as_sys_error
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.prefixes import class_prefix, mask_length
from sentry.socket.route_requests import ARP_REQUESTS, ROUTE_REQUESTS, arp_ioctl, route_ioctl
from sentry.vfs.caller import Caller

IFNAMSIZ: Final = 16
IFREQ_SIZE: Final = 40
SIOCGIFMAP: Final = 0x8970
SIOCSIFNETMASK: Final = 0x891C
SIOCSIFBRDADDR: Final = 0x891A
SIOCSIFTXQLEN: Final = 0x8943
_IFCONF: Final = Struct("<i4xQ")
_INT: Final = Struct("<i")
_SHORT: Final = Struct("<H")

READS: Final = (
    abi.SIOCGIFFLAGS,
    abi.SIOCGIFADDR,
    abi.SIOCGIFDSTADDR,
    abi.SIOCGIFBRDADDR,
    abi.SIOCGIFNETMASK,
    abi.SIOCGIFMETRIC,
    abi.SIOCGIFMTU,
    abi.SIOCGIFHWADDR,
    abi.SIOCGIFINDEX,
    abi.SIOCGIFTXQLEN,
    SIOCGIFMAP,
)
WRITES: Final = (
    abi.SIOCSIFFLAGS,
    abi.SIOCSIFADDR,
    abi.SIOCSIFMTU,
    SIOCSIFNETMASK,
    SIOCSIFBRDADDR,
    SIOCSIFTXQLEN,
)


def ioctl(namespace: NetworkNamespace, caller: Caller, request: int, argument: int) -> int:
    """Do a request; SysError(ENOTTY) if it is none of these."""
    if request == abi.SIOCGIFCONF:
        return _configurations(namespace, caller, argument)
    if request == abi.SIOCGIFNAME:
        return _name_of(namespace, caller, argument)
    if request in ROUTE_REQUESTS:
        return route_ioctl(namespace, caller, request, argument)
    if request in ARP_REQUESTS:
        return arp_ioctl(namespace, caller, request, argument)
    if request not in READS and request not in WRITES:
        raise SysError(EOPNOTSUPP if request == abi.SIOCETHTOOL else ENOTTY)
    raw = caller.memory.read(argument, IFREQ_SIZE)
    name = raw[:IFNAMSIZ].split(b"\0")[0].split(b":")[0]
    interface = namespace.stack.find_interface(name.decode("ascii", "replace"))
    if interface is None:
        raise SysError(ENODEV)
    if request in WRITES:
        if not caller.creds.has_capability(CAP_NET_ADMIN):
            raise SysError(EPERM)
        try:
            _write(namespace, interface, request, raw[IFNAMSIZ:])
        except NetError as error:
            raise as_sys_error(error) from None
        return 0
    value = _read(interface, request)
    caller.memory.write(argument + IFNAMSIZ, value)
    return 0


def _read(interface: Interface, request: int) -> bytes:
    """Return what goes behind the name of the struct ifreq."""
    if request == abi.SIOCGIFFLAGS:
        return _SHORT.pack(linux_flags(interface) & 0xFFFF)
    if request == abi.SIOCGIFINDEX:
        return _INT.pack(interface.index)
    if request == abi.SIOCGIFMTU:
        return _INT.pack(interface.mtu)
    if request == abi.SIOCGIFMETRIC:
        return _INT.pack(0)
    if request == abi.SIOCGIFTXQLEN:
        return _INT.pack(interface.tx_queue_length)
    if request == SIOCGIFMAP:
        return bytes(24)
    if request == abi.SIOCGIFHWADDR:
        return _SHORT.pack(hardware_type(interface)) + interface.link.address.ljust(14, b"\0")
    return pack_sockaddr_in(_ipv4(interface, request), 0)


def _ipv4(interface: Interface, request: int) -> bytes:
    address = first_ipv4(interface)
    if address is None:
        raise SysError(EADDRNOTAVAIL)
    if request == abi.SIOCGIFNETMASK:
        mask = 0xFFFF_FFFF << (32 - address.prefix_length) & 0xFFFF_FFFF
        return mask.to_bytes(4, "big")
    if request == abi.SIOCGIFBRDADDR:
        return address.broadcast or bytes(4)
    if request == abi.SIOCGIFDSTADDR:
        return address.peer or address.host
    return address.host


def first_ipv4(interface: Interface) -> InterfaceAddress | None:
    """Return the first IPv4 address of an interface."""
    for address in interface.addresses:
        if len(address.host) == 4:
            return address
    return None


def _configurations(namespace: NetworkNamespace, caller: Caller, argument: int) -> int:
    """SIOCGIFCONF: name and address of every interface with an IPv4 address."""
    room, at = _IFCONF.unpack(caller.memory.read(argument, _IFCONF.size))
    found = bytearray()
    for interface in namespace.stack.interfaces.values():
        for address in interface.addresses:
            if len(address.host) == 4:
                name = (address.label or interface.name.encode())[: IFNAMSIZ - 1]
                sockaddr = pack_sockaddr_in(address.host, 0).ljust(24, b"\0")
                found += name.ljust(IFNAMSIZ, b"\0") + sockaddr
    if at:
        if room < 0:
            raise SysError(EINVAL)
        whole = min(room // IFREQ_SIZE * IFREQ_SIZE, len(found))
        caller.memory.write(at, bytes(found[:whole]))
        write_u32(caller.memory, argument, whole)
    else:
        write_u32(caller.memory, argument, len(found))
    return 0


def _name_of(namespace: NetworkNamespace, caller: Caller, argument: int) -> int:
    """SIOCGIFNAME: the name that belongs to an index."""
    raw = caller.memory.read(argument, IFREQ_SIZE)
    if len(raw) < IFREQ_SIZE:
        raise SysError(EFAULT)
    index: int = _INT.unpack_from(raw, IFNAMSIZ)[0]
    interface = namespace.stack.interfaces.get(index)
    if interface is None:
        raise SysError(ENODEV)
    caller.memory.write(argument, interface.name.encode().ljust(IFNAMSIZ, b"\0"))
    return 0


def _write(namespace: NetworkNamespace, interface: Interface, request: int, value: bytes) -> None:
    stack = namespace.stack
    if request == abi.SIOCSIFFLAGS:
        flags: int = _SHORT.unpack_from(value)[0]
        if flags & IFF_UP:
            stack.set_up(interface)
        else:
            stack.set_down(interface)
    elif request == abi.SIOCSIFMTU:
        number: int = _INT.unpack_from(value)[0]
        stack.set_mtu(interface, number)
    elif request == SIOCSIFTXQLEN:
        length: int = _INT.unpack_from(value)[0]
        if length < 0:
            raise SysError(EINVAL)
        interface.tx_queue_length = length
    else:
        if _SHORT.unpack_from(value)[0] != AF_INET:
            raise SysError(EINVAL)
        host, _ = unpack_sockaddr_in(value[:16])
        _change_address(namespace, interface, request, host)


def _change_address(
    namespace: NetworkNamespace, interface: Interface, request: int, host: bytes
) -> None:
    """Set address, mask or broadcast address: the address is removed and entered anew."""
    stack = namespace.stack
    old = first_ipv4(interface)
    if old is None and request != abi.SIOCSIFADDR:
        raise SysError(EADDRNOTAVAIL)
    made = InterfaceAddress(host, class_prefix(host))
    made.label = interface.name.encode()
    if old is not None:
        if request != abi.SIOCSIFADDR:
            made.host = old.host
            made.prefix_length = old.prefix_length
            made.broadcast = old.broadcast
        if request == SIOCSIFNETMASK:
            made.prefix_length = mask_length(host)
        elif request == SIOCSIFBRDADDR:
            made.broadcast = host
        stack.remove_address(interface, old)
    if not any(made.host):
        return
    if made.host[0] == 127:
        made.scope = SCOPE_HOST  # inet_set_ifa
    if request != SIOCSIFBRDADDR and not interface.link.is_loopback and made.prefix_length < 31:
        network = int.from_bytes(made.host, "big") | (1 << (32 - made.prefix_length)) - 1
        made.broadcast = network.to_bytes(4, "big")
    stack.add_address(interface, made)
    if not interface.is_up():
        stack.set_up(interface)  # as Linux: an address brings the interface up
