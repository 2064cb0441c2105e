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


def interface_texts(interface: Interface) -> dict[bytes, bytes]:
    """Return the attributes of /sys/class/net/NAME."""
    link = interface.link
    states = "unknown" if link.is_loopback else "up"
    kind = hardware_type(interface)
    c = interface.counters
    texts: dict[str, object] = {
        "address": (link.address or bytes(6)).hex(":"),
        "addr_assign_type": 0,
        "addr_len": len(link.address),
        "broadcast": (bytes(6) if link.is_loopback else link.broadcast).hex(":"),
        "carrier": int(interface.is_up()),
        "dev_id": "0x0",
        "dev_port": 0,
        "dormant": 0,
        "flags": f"0x{interface.flags & ~0x40 & 0xFFFF:x}",
        "ifalias": "",
        "ifindex": interface.index,
        "iflink": interface.index,
        "link_mode": 0,
        "mtu": interface.mtu,
        "netdev_group": 0,
        "operstate": states if interface.is_up() else "down",
        "tx_queue_len": interface.tx_queue_length,
        "type": kind,
        "uevent": f"INTERFACE={interface.name}\nIFINDEX={interface.index}",
        "statistics/rx_bytes": c.rx_bytes,
        "statistics/rx_packets": c.rx_packets,
        "statistics/rx_errors": c.rx_errors,
        "statistics/rx_dropped": c.rx_dropped,
        "statistics/tx_bytes": c.tx_bytes,
        "statistics/tx_packets": c.tx_packets,
        "statistics/tx_errors": c.tx_errors,
        "statistics/tx_dropped": c.tx_dropped,
        "statistics/multicast": c.multicast,
        "statistics/collisions": c.collisions,
    }
    return {name.encode(): f"{value}\n".encode() for name, value in texts.items()}
