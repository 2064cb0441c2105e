"""Settings below /proc/sys/net (ip-sysctl.rst, tcp(7), ip(7)): a table, and few kinds of values.

Most are attributes of the stack's settings.  Those that a stack of ours has no
use for, but programs set, are only remembered.
"""

from typing import Final

from netstack.interface import Interface
from netstack.ip.config6 import Ipv6Config
from netstack.ip.ipv6 import Ipv6
from netstack.tcp.cubic import ALGORITHMS
from netstack.tcp.fastopen import KEY_SIZE
from sentry.abi.errno import EINVAL, ENOENT
from sentry.errors import SysError
from sentry.socket.net_namespace import NetworkNamespace, Setting

INT_MAX: Final = (1 << 31) - 1
SECOND_NS: Final = 1_000_000_000
MS_NS: Final = 1_000_000

# File below net/ipv4: attribute of the stack's settings, lowest, highest, unit in that attribute.
STACK_ROWS: Final = (
    ("ipv4/ip_forward", "ip_forward", 0, 1, 1),
    ("ipv4/ip_default_ttl", "ip_default_ttl", 1, 255, 1),
    ("ipv4/ip_unprivileged_port_start", "ip_unprivileged_port_start", 0, 65535, 1),
    ("ipv4/ip_nonlocal_bind", "ip_nonlocal_bind", 0, 1, 1),
    ("ipv4/ip_no_pmtu_disc", "ip_no_pmtu_disc", 0, 3, 1),
    ("ipv4/icmp_echo_ignore_all", "icmp_echo_ignore_all", 0, 1, 1),
    ("ipv4/icmp_echo_ignore_broadcasts", "icmp_echo_ignore_broadcasts", 0, 1, 1),
    ("ipv4/icmp_ratelimit", "icmp_ratelimit_ms", 0, INT_MAX, 1),
    ("ipv4/icmp_ratemask", "icmp_ratemask", 0, INT_MAX, 1),
    ("ipv4/icmp_msgs_per_sec", "icmp_msgs_per_sec", 0, INT_MAX, 1),
    ("ipv4/icmp_msgs_burst", "icmp_msgs_burst", 0, INT_MAX, 1),
    ("ipv4/ipfrag_high_thresh", "ipfrag_high_thresh", 0, INT_MAX, 1),
    ("ipv4/ipfrag_time", "ipfrag_time_ns", 0, INT_MAX, SECOND_NS),
    ("ipv4/igmp_max_memberships", "igmp_max_memberships", 0, INT_MAX, 1),
    ("ipv4/igmp_max_msf", "igmp_max_msf", 0, INT_MAX, 1),
    ("ipv4/route/min_pmtu", "min_pmtu", 68, INT_MAX, 1),
    ("ipv4/route/mtu_expires", "mtu_expires_ns", 1, INT_MAX, SECOND_NS),
    ("ipv4/neigh/default/gc_thresh3", "gc_thresh3", 0, INT_MAX, 1),
    ("core/rmem_default", "rmem_default", 2304, INT_MAX, 1),
    ("core/rmem_max", "rmem_max", 2304, INT_MAX, 1),
    ("core/wmem_default", "wmem_default", 4608, INT_MAX, 1),
    ("core/wmem_max", "wmem_max", 4608, INT_MAX, 1),
)
# The same for TCP's own settings.
TCP_ROWS: Final = (
    ("core/somaxconn", "somaxconn", 0, INT_MAX, 1),
    ("ipv4/tcp_window_scaling", "window_scaling", 0, 1, 1),
    ("ipv4/tcp_sack", "sack", 0, 1, 1),
    ("ipv4/tcp_dsack", "dsack", 0, 1, 1),
    ("ipv4/tcp_timestamps", "timestamps", 0, 1, 1),
    ("ipv4/tcp_ecn", "ecn", 0, 2, 1),
    ("ipv4/tcp_recovery", "recovery", 0, 7, 1),
    ("ipv4/tcp_early_retrans", "early_retransmit", 0, 4, 1),
    ("ipv4/tcp_frto", "frto", 0, 2, 1),
    ("ipv4/tcp_slow_start_after_idle", "slow_start_after_idle", 0, 1, 1),
    ("ipv4/tcp_syn_retries", "syn_retries", 1, 127, 1),
    ("ipv4/tcp_synack_retries", "synack_retries", 0, 255, 1),
    ("ipv4/tcp_retries1", "retries1", 0, 255, 1),
    ("ipv4/tcp_retries2", "retries2", 0, 255, 1),
    ("ipv4/tcp_orphan_retries", "orphan_retries", 0, 255, 1),
    ("ipv4/tcp_max_orphans", "max_orphans", 0, INT_MAX, 1),
    ("ipv4/tcp_syncookies", "syncookies", 0, 2, 1),
    ("ipv4/tcp_max_syn_backlog", "max_syn_backlog", 0, INT_MAX, 1),
    ("ipv4/tcp_abort_on_overflow", "abort_on_overflow", 0, 1, 1),
    ("ipv4/tcp_max_tw_buckets", "max_tw_buckets", 0, INT_MAX, 1),
    ("ipv4/tcp_fastopen", "fastopen", 0, INT_MAX, 1),
    ("ipv4/tcp_tw_reuse", "tw_reuse", 0, 2, 1),
    ("ipv4/tcp_rfc1337", "rfc1337", 0, 1, 1),
    ("ipv4/tcp_fin_timeout", "fin_timeout", 1, INT_MAX, SECOND_NS),
    ("ipv4/tcp_keepalive_time", "keepalive_time", 1, INT_MAX, SECOND_NS),
    ("ipv4/tcp_keepalive_intvl", "keepalive_interval", 1, INT_MAX, SECOND_NS),
    ("ipv4/tcp_keepalive_probes", "keepalive_probes", 1, 255, 1),
    ("ipv4/tcp_mtu_probing", "mtu_probing", 0, 2, 1),
    ("ipv4/tcp_base_mss", "base_mss", 48, INT_MAX, 1),
    ("ipv4/tcp_mtu_probe_floor", "mtu_probe_floor", 48, INT_MAX, 1),
    ("ipv4/tcp_challenge_ack_limit", "challenge_ack_limit", 0, INT_MAX, 1),
    ("ipv4/tcp_invalid_ratelimit", "invalid_ratelimit", 0, INT_MAX, MS_NS),
    ("ipv4/tcp_moderate_rcvbuf", "moderate_receive_buffer", 0, 1, 1),
)
# Remembered, and nothing more: value, lowest, highest.
KEPT_ROWS: Final = (
    ("core/optmem_max", 131072, 0, INT_MAX),
    ("core/netdev_max_backlog", 1000, 0, INT_MAX),
    ("core/busy_poll", 0, 0, INT_MAX),
    ("core/busy_read", 0, 0, INT_MAX),
    ("ipv4/ip_dynaddr", 0, 0, 7),
    ("ipv4/ip_early_demux", 1, 0, 1),
    ("ipv4/tcp_fastopen_blackhole_timeout_sec", 0, 0, INT_MAX),
    ("ipv4/tcp_no_metrics_save", 0, 0, 1),
    ("ipv4/tcp_autocorking", 0, 0, 1),
    ("ipv4/tcp_adv_win_scale", 1, -31, 31),
    ("ipv4/tcp_app_win", 31, 0, 31),
    ("ipv4/tcp_reordering", 3, 1, INT_MAX),
    ("ipv4/tcp_notsent_lowat", 4294967295, 0, 4294967295),
    ("ipv4/tcp_stdurg", 0, 0, 1),
    ("ipv4/udp_rmem_min", 4096, 0, INT_MAX),
    ("ipv4/udp_wmem_min", 4096, 0, INT_MAX),
    ("ipv6/bindv6only", 0, 0, 1),
    ("ipv6/auto_flowlabels", 1, 0, 3),
    ("ipv6/ip_nonlocal_bind", 0, 0, 1),
    ("unix/max_dgram_qlen", 512, 0, INT_MAX),
)
CONF4_KEPT: Final = (
    ("accept_local", 0),
    ("accept_redirects", 1),
    ("accept_source_route", 0),
    ("arp_announce", 0),
    ("arp_filter", 0),
    ("arp_ignore", 0),
    ("arp_notify", 0),
    ("disable_policy", 0),
    ("disable_xfrm", 0),
    ("forwarding", 0),
    ("log_martians", 0),
    ("mc_forwarding", 0),
    ("promote_secondaries", 0),
    ("proxy_arp", 0),
    ("route_localnet", 0),
    ("rp_filter", 0),
    ("secure_redirects", 1),
    ("send_redirects", 1),
    ("src_valid_mark", 0),
)
# File below net/ipv6/conf/NAME: attribute of the interface's configuration.
CONF6_ROWS: Final = (
    ("disable_ipv6", "disable_ipv6", 0, 1),
    ("accept_ra", "accept_ra", 0, 2),
    ("accept_ra_defrtr", "accept_ra_defrtr", 0, 1),
    ("accept_ra_pinfo", "accept_ra_pinfo", 0, 1),
    ("accept_ra_mtu", "accept_ra_mtu", 0, 1),
    ("accept_redirects", "accept_redirects", 0, 1),
    ("autoconf", "autoconf", 0, 1),
    ("addr_gen_mode", "addr_gen_mode", 0, 3),
    ("accept_dad", "accept_dad", -1, 2),
    ("dad_transmits", "dad_transmits", 0, INT_MAX),
    ("router_solicitations", "router_solicitations", -1, INT_MAX),
    ("max_addresses", "max_addresses", 0, INT_MAX),
)


def parse_numbers(data: bytes, count: int) -> list[int]:
    """Return the numbers of a text; SysError(EINVAL) unless there are `count`."""
    words = data.split()
    if len(words) != count:
        raise SysError(EINVAL)
    numbers = []
    for word in words:
        if not word.lstrip(b"-").isdigit() or len(word) > 20:
            raise SysError(EINVAL)
        numbers.append(int(word))
    return numbers


class AttributeSetting(Setting):
    """A number or truth value that is an attribute of some object."""

    def __init__(self, target: object, name: str, low: int, high: int, unit: int) -> None:
        self._target = target
        self._name = name
        self._low = low
        self._high = high
        self._unit = unit
        self._is_bool = isinstance(getattr(target, name), bool)

    def read(self) -> bytes:
        value: int = getattr(self._target, self._name)
        return b"%d\n" % (value // self._unit)

    def write(self, data: bytes) -> None:
        number = parse_numbers(data, 1)[0]
        if not self._low <= number <= self._high:
            raise SysError(EINVAL)
        if self._is_bool:
            setattr(self._target, self._name, number != 0)
        else:
            setattr(self._target, self._name, number * self._unit)


class KeptSetting(Setting):
    """A number that is only remembered."""

    def __init__(self, value: int, low: int, high: int) -> None:
        self.value = value
        self._low = low
        self._high = high

    def read(self) -> bytes:
        return b"%d\n" % self.value

    def write(self, data: bytes) -> None:
        number = parse_numbers(data, 1)[0]
        if not self._low <= number <= self._high:
            raise SysError(EINVAL)
        self.value = number


class PairSetting(Setting):
    """Two or three numbers, each an attribute, lowest first."""

    def __init__(self, target: object, names: tuple[str, ...], low: int, high: int) -> None:
        self._target = target
        self._names = names
        self._low = low
        self._high = high

    def read(self) -> bytes:
        return "\t".join(str(getattr(self._target, name)) for name in self._names).encode() + b"\n"

    def write(self, data: bytes) -> None:
        numbers = parse_numbers(data, len(self._names))
        if any(not self._low <= number <= self._high for number in numbers):
            raise SysError(EINVAL)
        self.check(numbers)
        for name, number in zip(self._names, numbers, strict=True):
            setattr(self._target, name, number)

    def check(self, numbers: list[int]) -> None:
        """SysError(EINVAL) for numbers that do not go together."""


class PortRange(PairSetting):
    """net.ipv4.ip_local_port_range."""

    def check(self, numbers: list[int]) -> None:
        if numbers[0] > numbers[1]:
            raise SysError(EINVAL)


class PingGroupRange(PairSetting):
    """net.ipv4.ping_group_range: a low number above the high one is nobody (icmp(7))."""

    def write(self, data: bytes) -> None:
        low, high = parse_numbers(data, 2)
        if not 0 <= low <= 0xFFFF_FFFF or not 0 <= high <= 0xFFFF_FFFF:
            raise SysError(EINVAL)
        super().write(b"1 0" if high < low else data)


class CongestionControl(Setting):
    """net.ipv4.tcp_congestion_control, and the lists of what there is."""

    def __init__(self, namespace: NetworkNamespace, *, is_list: bool) -> None:
        self._settings = namespace.tcp.settings
        self._is_list = is_list

    def read(self) -> bytes:
        if self._is_list:
            return " ".join(sorted(ALGORITHMS, reverse=True)).encode() + b"\n"
        return self._settings.congestion_control.encode() + b"\n"

    def write(self, data: bytes) -> None:
        name = data.strip().decode("ascii", "replace")
        if self._is_list or name not in ALGORITHMS:
            raise SysError(EINVAL if self._is_list else ENOENT)
        self._settings.congestion_control = name


class ReservedPorts(Setting):
    """net.ipv4.ip_local_reserved_ports: numbers and ranges with commas between."""

    def __init__(self, namespace: NetworkNamespace) -> None:
        self._settings = namespace.stack.settings

    def read(self) -> bytes:
        parts: list[str] = []
        ports = sorted(self._settings.ip_local_reserved_ports)
        index = 0
        while index < len(ports):
            last = index
            while last + 1 < len(ports) and ports[last + 1] == ports[last] + 1:
                last += 1
            one = str(ports[index])
            parts.append(one if last == index else f"{one}-{ports[last]}")
            index = last + 1
        return ",".join(parts).encode() + b"\n"

    def write(self, data: bytes) -> None:
        ports: set[int] = set()
        for part in data.strip().split(b","):
            if not part:
                continue
            first, dash, last = part.partition(b"-")
            low = parse_numbers(first, 1)[0]
            high = parse_numbers(last, 1)[0] if dash else low
            if not 0 <= low <= high <= 65535:
                raise SysError(EINVAL)
            ports.update(range(low, high + 1))
        self._settings.ip_local_reserved_ports = frozenset(ports)


class Forwarding6(Setting):
    """net.ipv6.conf.all.forwarding."""

    def __init__(self, namespace: NetworkNamespace) -> None:
        self._settings = namespace.stack.settings

    def read(self) -> bytes:
        return b"%d\n" % self._settings.ipv6_forwarding

    def write(self, data: bytes) -> None:
        self._settings.ipv6_forwarding = parse_numbers(data, 1)[0] != 0


class DisableIpv6(AttributeSetting):
    """net.ipv6.conf.NAME.disable_ipv6: takes the addresses away, or brings them back."""

    def __init__(
        self, namespace: NetworkNamespace, config: Ipv6Config, interface: Interface
    ) -> None:
        super().__init__(config, "disable_ipv6", 0, 1, 1)
        self._namespace = namespace
        self._interface = interface

    def write(self, data: bytes) -> None:
        super().write(data)
        stack = self._namespace.stack
        network = stack.networks[6]
        if not self._interface.is_up():
            return
        if parse_numbers(data, 1)[0]:
            network.on_interface_down(self._interface)
            for address in list(self._interface.addresses):
                if len(address.host) == 16:
                    stack.remove_address(self._interface, address)
        else:
            network.on_interface_up(self._interface)
        stack.changed()


def add_settings(namespace: NetworkNamespace) -> None:
    """Register all settings that belong to no interface."""
    settings = namespace.settings
    stack, tcp = namespace.stack.settings, namespace.tcp.settings
    for path, name, low, high, unit in STACK_ROWS:
        settings[b"net/" + path.encode()] = AttributeSetting(stack, name, low, high, unit)
    for path, name, low, high, unit in TCP_ROWS:
        settings[b"net/" + path.encode()] = AttributeSetting(tcp, name, low, high, unit)
    for path, value, low, high in KEPT_ROWS:
        settings[b"net/" + path.encode()] = KeptSetting(value, low, high)
    ports = ("ip_local_port_low", "ip_local_port_high")
    settings[b"net/ipv4/ip_local_port_range"] = PortRange(stack, ports, 1, 65535)
    groups = ("ping_group_low", "ping_group_high")
    settings[b"net/ipv4/ping_group_range"] = PingGroupRange(stack, groups, 0, 0xFFFF_FFFF)
    memory = ("rmem_min", "rmem_default", "rmem_max")
    settings[b"net/ipv4/tcp_rmem"] = PairSetting(tcp, memory, 1, INT_MAX)
    memory = ("wmem_min", "wmem_default", "wmem_max")
    settings[b"net/ipv4/tcp_wmem"] = PairSetting(tcp, memory, 1, INT_MAX)
    settings[b"net/ipv4/ip_local_reserved_ports"] = ReservedPorts(namespace)
    settings[b"net/ipv4/tcp_congestion_control"] = CongestionControl(namespace, is_list=False)
    lists = CongestionControl(namespace, is_list=True)
    settings[b"net/ipv4/tcp_available_congestion_control"] = lists
    settings[b"net/ipv4/tcp_allowed_congestion_control"] = lists
    settings[b"net/ipv4/tcp_fastopen_key"] = FastOpenKey(namespace)
    settings[b"net/core/default_qdisc"] = DefaultQdisc()
    for where in ("all", "default"):
        _add_conf4(namespace, where)
        _add_conf6(namespace, where, Ipv6Config())
    settings[b"net/ipv6/conf/all/forwarding"] = Forwarding6(namespace)
    settings[b"net/ipv4/conf/all/forwarding"] = settings[b"net/ipv4/ip_forward"]
    settings[b"net/ipv4/conf/all/rp_filter"] = AttributeSetting(stack, "rp_filter", 0, 2, 1)


class FastOpenKey(Setting):
    """net.ipv4.tcp_fastopen_key: one or two keys, each as four hexadecimal words."""

    def __init__(self, namespace: NetworkNamespace) -> None:
        self._fast_open = namespace.tcp.fast_open

    def read(self) -> bytes:
        keys = self._fast_open.keys or [bytes(KEY_SIZE)]
        return b",".join(_key_text(key) for key in keys) + b"\n"

    def write(self, data: bytes) -> None:
        keys = []
        for text in data.strip().split(b","):
            words = text.split(b"-")
            if len(words) != 4 or not all(is_hexadecimal(word) for word in words):
                raise SysError(EINVAL)
            numbers = [int(word, 16) for word in words]
            keys.append(b"".join(number.to_bytes(4, "little") for number in numbers))
        if len(keys) > 2:
            raise SysError(EINVAL)
        self._fast_open.use_keys(keys)


def is_hexadecimal(word: bytes) -> bool:
    """Return whether a word is a number of 32 bits."""
    return 0 < len(word) <= 8 and all(byte in b"0123456789abcdefABCDEF" for byte in word)


def _key_text(key: bytes) -> bytes:
    words = [int.from_bytes(key[at : at + 4], "little") for at in range(0, KEY_SIZE, 4)]
    return b"-".join(b"%08x" % word for word in words)


class DefaultQdisc(Setting):
    """net.core.default_qdisc."""

    def read(self) -> bytes:
        return b"pfifo_fast\n"


def _add_conf4(namespace: NetworkNamespace, where: str) -> None:
    for name, value in CONF4_KEPT:
        path = f"net/ipv4/conf/{where}/{name}".encode()
        namespace.settings[path] = KeptSetting(value, 0, INT_MAX)


def _add_conf6(namespace: NetworkNamespace, where: str, config: Ipv6Config) -> None:
    for name, attribute, low, high in CONF6_ROWS:
        path = f"net/ipv6/conf/{where}/{name}".encode()
        namespace.settings[path] = AttributeSetting(config, attribute, low, high, 1)
    path = f"net/ipv6/conf/{where}/forwarding".encode()
    namespace.settings[path] = KeptSetting(0, 0, 1)


def add_interface(namespace: NetworkNamespace, interface: Interface) -> None:
    """Register the settings of an interface that came."""
    name = interface.name
    if f"net/ipv4/conf/{name}/forwarding".encode() in namespace.settings:
        return
    _add_conf4(namespace, name)
    forwarding = AttributeSetting(interface, "forwarding", 0, 1, 1)
    namespace.settings[f"net/ipv4/conf/{name}/forwarding".encode()] = forwarding
    network = namespace.stack.networks.get(6)
    if isinstance(network, Ipv6):
        config = network.state_of(interface).config
        _add_conf6(namespace, name, config)
        disable = DisableIpv6(namespace, config, interface)
        namespace.settings[f"net/ipv6/conf/{name}/disable_ipv6".encode()] = disable


def remove_interface(namespace: NetworkNamespace, interface: Interface) -> None:
    """Forget the settings of an interface that is gone."""
    prefixes = (
        f"net/ipv4/conf/{interface.name}/".encode(),
        f"net/ipv6/conf/{interface.name}/".encode(),
    )
    for path in list(namespace.settings):
        if path.startswith(prefixes):
            del namespace.settings[path]
