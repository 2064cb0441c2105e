"""Puts a stack together from its parts."""

from netstack.environment import Environment
from netstack.interface import Interface, InterfaceAddress
from netstack.ip.arp import Arp, ArpFrames
from netstack.ip.ipv4 import Ipv4
from netstack.ip.ipv6 import Ipv6
from netstack.link.loopback import Loopback
from netstack.packet import ETHERTYPE_ARP
from netstack.ping import PingTable
from netstack.route import SCOPE_HOST
from netstack.stack import Stack
from netstack.udp import UdpTransport
from netstack.wire import ipv4 as wire4
from netstack.wire import ipv6 as wire6


def add_ipv4(stack: Stack) -> Ipv4:
    """Register IPv4 with ICMP, IGMP and ARP."""
    arp = Arp(stack)
    network = Ipv4(stack, arp)
    stack.register_network(network)
    stack.register_handler(ETHERTYPE_ARP, ArpFrames(arp))
    stack.register_transport(wire4.ICMP, network.icmp)
    stack.register_transport(wire4.IGMP, network.igmp)
    PingTable(stack, 4)
    return network


def add_ipv6(stack: Stack) -> Ipv6:
    """Register IPv6 with ICMPv6, neighbour discovery, SLAAC and MLD."""
    network = Ipv6(stack)
    stack.register_network(network)
    stack.register_transport(wire6.ICMPV6, network.icmp)
    PingTable(stack, 6)
    return network


def add_loopback(stack: Stack) -> Interface:
    """Add the interface `lo`, up, with the addresses that Linux gives it (::1 is IPv6's own)."""
    interface = stack.add_interface("lo", Loopback())
    stack.set_up(interface)
    if 4 in stack.networks:
        address = InterfaceAddress(wire4.LOOPBACK, 8)
        address.scope = SCOPE_HOST
        address.label = b"lo"
        stack.add_address(interface, address)
    return interface


def new_stack(environment: Environment, *, ipv6: bool = True) -> tuple[Stack, UdpTransport]:
    """Return a stack with all protocols but TCP, and its UDP; `ipv6` false: a kernel without it."""
    stack = Stack(environment)
    add_ipv4(stack)
    if ipv6:
        add_ipv6(stack)
    transport = UdpTransport(stack)
    add_loopback(stack)
    return stack, transport
