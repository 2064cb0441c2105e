"""Makes the network namespace of a sandbox, and fills /proc/net and /proc/sys/net."""

from netstack.interface import Interface
from netstack.stack import ChangeListener
from sentry.abi import socket as abi
from sentry.kernel.kernel import Kernel
from sentry.socket import (
    conntrack_text,
    netlink_route,
    nfnetlink,
    proc_net,
    proc_sockets,
    sock_diag,
    sysctl,
    tun,
)
from sentry.socket.host_network import HostNetwork, OwnText
from sentry.socket.net_namespace import NetText, NetworkNamespace

# Importing the modules registers the protocols.
DIAG = sock_diag.DiagResponder
NETFILTER = nfnetlink.NetfilterResponder
SOFTNET = b"00000000 " * 12 + b"00000000\n"


class InterfaceObserver(ChangeListener):
    """Keeps the settings of interfaces up to date."""

    def __init__(self, namespace: NetworkNamespace) -> None:
        self._namespace = namespace

    def on_link(self, interface: Interface, removed: bool) -> None:  # noqa: FBT001  netstack's
        if removed:
            sysctl.remove_interface(self._namespace, interface)
        else:
            sysctl.add_interface(self._namespace, interface)


def make_network(kernel: Kernel, *, allows_raw: bool) -> NetworkNamespace:
    """Give the kernel a network with nothing but `lo` in it."""
    namespace = NetworkNamespace(kernel, allows_raw=allows_raw)
    sysctl.add_settings(namespace)
    for interface in namespace.stack.interfaces.values():
        sysctl.add_interface(namespace, interface)
    namespace.stack.observers.append(InterfaceObserver(namespace))
    namespace.stack.observers.append(netlink_route.Announcer(namespace))
    namespace.texts = proc_files(namespace)
    tun.register_tun(namespace)
    kernel.network = namespace
    return namespace


class UnixSockets(OwnText):
    """/proc/net/unix of a container on the host's network: its sockets are the sentry's own."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def generate(self) -> bytes:
        return proc_sockets.unix_table(self._kernel)


def make_host_network(
    kernel: Kernel, settings: dict[bytes, bytes], *, allows_raw: bool
) -> HostNetwork:
    """Give the kernel the host's network; `settings` are what /proc/sys/net has in it."""
    network = HostNetwork(kernel, settings, allows_raw=allows_raw)
    network.own_texts[b"unix"] = UnixSockets(kernel)
    kernel.network = network
    return network


def proc_files(namespace: NetworkNamespace) -> dict[bytes, NetText]:
    """Return the files of /proc/net."""
    tcp, message = proc_sockets.TcpText, proc_sockets.MessageText
    four, six = abi.AF_INET, abi.AF_INET6
    udp, raw = abi.IPPROTO_UDP, abi.IPPROTO_RAW
    dgram = abi.SOCK_DGRAM
    return {
        b"arp": proc_net.ArpText(namespace),
        b"dev": proc_net.DevText(namespace),
        b"icmp": message(namespace, four, dgram, abi.IPPROTO_ICMP),
        b"icmp6": message(namespace, six, dgram, abi.IPPROTO_ICMPV6),
        b"if_inet6": proc_net.IfInet6Text(namespace),
        b"igmp": proc_net.IgmpText(namespace),
        b"ip6_tables_matches": proc_net.TableMatchesText(namespace, namespace.ip6tables),
        b"ip_tables_matches": proc_net.TableMatchesText(namespace, namespace.iptables),
        b"ip6_tables_names": proc_net.TableNamesText(namespace, namespace.ip6tables),
        b"ip_tables_names": proc_net.TableNamesText(namespace, namespace.iptables),
        b"ip6_tables_targets": proc_net.TableTargetsText(namespace, namespace.ip6tables),
        b"ip_tables_targets": proc_net.TableTargetsText(namespace, namespace.iptables),
        b"ipv6_route": proc_net.Ipv6RouteText(namespace),
        b"netstat": proc_net.NetstatText(namespace),
        b"nf_conntrack": conntrack_text.ConntrackText(namespace),
        b"packet": proc_sockets.PacketText(namespace),
        b"protocols": proc_sockets.ProtocolsText(namespace),
        b"psched": proc_net.FixedText(namespace, b"000003e8 00000040 000f4240 3b9aca00\n"),
        b"ptype": proc_net.PtypeText(namespace),
        b"raw": message(namespace, four, abi.SOCK_RAW, raw),
        b"raw6": message(namespace, six, abi.SOCK_RAW, raw),
        b"route": proc_net.RouteText(namespace),
        b"snmp": proc_net.SnmpText(namespace),
        b"snmp6": proc_net.Snmp6Text(namespace),
        b"sockstat": proc_sockets.SockstatText(namespace, four),
        b"sockstat6": proc_sockets.SockstatText(namespace, six),
        b"softnet_stat": proc_net.FixedText(namespace, SOFTNET),
        b"tcp": tcp(namespace, four),
        b"tcp6": tcp(namespace, six),
        b"udp": message(namespace, four, dgram, udp),
        b"udp6": message(namespace, six, dgram, udp),
        b"unix": proc_sockets.UnixText(namespace),
    }
