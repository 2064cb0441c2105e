"""/proc/net/nf_conntrack: the connections, as a text (ct_seq_show of Linux)."""

from typing import Final

from netstack.filter.conntrack import Connection, Tuple
from netstack.filter.passage import ICMP, ICMPV6, TCP, UDP
from sentry.socket.net_namespace import NetText

PROTOCOLS: Final = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "icmpv6"}
TCP_STATES: Final = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
)


class ConntrackText(NetText):
    """The file."""

    def generate(self) -> bytes:
        table = self.namespace.iptables.rules.connections
        now_ns = self.namespace.environment.now_ns()
        lines = [line_of(one) for one in table.order if one.expires_ns > now_ns]
        return "".join(lines).encode()


def line_of(connection: Connection) -> str:
    """Return a connection's line."""
    protocol = connection.original[2]
    name = PROTOCOLS.get(protocol, "unknown")
    family = "ipv6     10" if len(connection.original[0]) == 16 else "ipv4     2"
    text = f"{family} {name:<8} {protocol} {connection.seconds_left()} "
    if protocol == TCP:
        text += f"{TCP_STATES[connection.tcp.state]} "
    text += tuple_text(connection.original)
    text += "" if connection.has_reply else "[UNREPLIED] "
    text += tuple_text(connection.reply)
    text += "[ASSURED] " if connection.is_assured else ""
    return f"{text}mark={connection.mark} zone=0 use=2\n"


def tuple_text(item: Tuple) -> str:
    """Return a tuple's words."""
    source, destination, protocol, first, second = item
    text = f"src={host_text(source)} dst={host_text(destination)} "
    if protocol in {TCP, UDP}:
        text += f"sport={first} dport={second} "
    elif protocol in {ICMP, ICMPV6}:
        text += f"type={second >> 8} code={second & 0xFF} id={first} "
    return text


def host_text(host: bytes) -> str:
    """Return an address, of IPv6 with all its digits."""
    if len(host) == 4:
        return ".".join(str(byte) for byte in host)
    return ":".join(host[at : at + 2].hex() for at in range(0, 16, 2))
