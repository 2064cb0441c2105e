"""What Linux calls things of an interface: flags, hardware types, operational states."""

from typing import Final

from netstack.interface import IFF_RUNNING, IFF_UP, Interface

ARPHRD_ETHER: Final = 1
ARPHRD_LOOPBACK: Final = 772
ARPHRD_NONE: Final = 0xFFFE
IFF_LOWER_UP: Final = 1 << 16
OPER_UNKNOWN: Final = 0
OPER_DOWN: Final = 2
OPER_UP: Final = 6


def hardware_type(interface: Interface) -> int:
    """Return the ARPHRD_ number of an interface (linux/if_arp.h)."""
    if interface.link.is_loopback:
        return ARPHRD_LOOPBACK
    return ARPHRD_ETHER if interface.link.address else ARPHRD_NONE


def linux_flags(interface: Interface) -> int:
    """Return the IFF_ flags with those that follow from others (dev_get_flags)."""
    flags = interface.flags
    if flags & IFF_UP:
        return flags | IFF_RUNNING | IFF_LOWER_UP
    return flags & ~IFF_RUNNING


def oper_state(interface: Interface) -> int:
    """Return the IF_OPER_ state (RFC 2863); loopback does not know."""
    if interface.link.is_loopback:
        return OPER_UNKNOWN if interface.is_up() else OPER_DOWN
    return OPER_UP if interface.is_up() else OPER_DOWN
