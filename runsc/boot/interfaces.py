"""Gives the network stack the interfaces that the host side has handed over."""

import _socket
import os
from typing import Final

from config.flags import Config
from config.network import (
    FOREVER,
    AddressSettings,
    InterfaceSettings,
    NetworkSettings,
    RouteSettings,
)
from netstack.errors import EXISTS, NetError
from netstack.interface import Interface, InterfaceAddress
from netstack.ip.config6 import ADDR_GEN_NONE, IFA_F_NODAD, IFA_F_TENTATIVE
from netstack.ip.ipv6 import Ipv6
from netstack.link.pcap import Capture, CaptureSink
from netstack.link.qdisc import Fifo, NoQueue, TokenBucket, tbf_error
from netstack.route import RouteEntry
from netstack.stack import Stack
from runsc.boot.resolver import Resolver
from runsc.errors import RunscError
from sentry.log import Log
from sentry.platform.hostnet import PacketSocket
from sentry.platform.interface import Platform
from sentry.socket.hostlink import ETHERNET_HEADER, HostLink, Offloads

NS_PER_S: Final = 1_000_000_000


class CaptureFile(CaptureSink):
    """The file of --pcap-log."""

    def __init__(self, host_fd: int) -> None:
        self._host_fd = host_fd

    def write(self, data: bytes) -> bool:
        """Append a block; a disk that is full ends the capture."""
        try:
            return os.write(self._host_fd, data) == len(data)
        except OSError:
            return False


class Interfaces:
    """Makes interfaces of a stack."""

    def __init__(self, stack: Stack, platform: Platform, log: Log, config: Config) -> None:
        self._stack = stack
        self._platform = platform
        self._log = log
        self._config = config
        self._capture: Capture | None = None
        self._links: list[HostLink] = []
        self._resolver: Resolver | None = None

    def note(self) -> str:
        """Return what an operator may be wrong about, in a line; empty if there is nothing."""
        config = self._config
        if config.qdisc == "tbf" or not (config.qdisc_tbf_rate or config.qdisc_tbf_burst):
            return ""
        return (
            "nothing is limited: without --qdisc=tbf, "
            f"--qdisc-tbf-rate ({config.qdisc_tbf_rate}) and "
            f"--qdisc-tbf-burst ({config.qdisc_tbf_burst}) are only ceilings for annotations"
        )

    def capture_to(self, host_fd: int) -> None:
        """Have the frames of all interfaces written to a file."""
        self._capture = Capture(CaptureFile(host_fd), "runsc")

    def add(self, settings: NetworkSettings, host_fds: list[int]) -> None:
        """Add what was handed over; the descriptors become ours.  RunscError: nothing is added."""
        try:
            if len(host_fds) != len(settings.interfaces) + settings.has_resolver:
                raise RunscError("the descriptors of the network's interfaces are missing")
            for one in settings.interfaces:
                self._add_interface(one, host_fds.pop(0))
            for address in settings.loopback:
                self._add_loopback(address)
            # First the networks, then what lies behind a gateway in them.
            for route in sorted(settings.routes, key=lambda one: one.gateway != ""):
                self._add_route(route)
            if settings.has_resolver:
                self._resolver = Resolver(self._platform, self._log, self._stack, host_fds.pop())
        except (NetError, OSError, ValueError) as error:
            self._remove_all()
            raise RunscError(f"network: {error}") from None
        except RunscError:
            self._remove_all()
            raise
        finally:
            for host_fd in host_fds:
                os.close(host_fd)
        for link in self._links:
            link.start()
        if self._links and self.note():
            self._log.info("network: " + self.note())

    def close(self) -> None:
        """Close the links, at the end of the sandbox."""
        for link in self._links:
            link.close()
        self._links = []
        if self._resolver is not None:
            self._resolver.close()
            self._resolver = None

    def _remove_all(self) -> None:
        for link in self._links:
            if link.interface is not None:
                self._stack.remove_interface(link.interface)
        self.close()

    def _add_interface(self, settings: InterfaceSettings, host_fd: int) -> None:
        config = self._config
        offloads = Offloads()
        offloads.segments = config.gso and settings.segments
        offloads.software_segments = config.software_gso and not offloads.segments
        offloads.sends_checksums = config.tx_checksum_offload
        offloads.trusts_checksums = config.rx_checksum_offload
        if settings.gso_max:
            offloads.gso_max = settings.gso_max
        socket = PacketSocket(host_fd, settings.index, has_vnet=True)
        address = bytes.fromhex(settings.mac)
        link = HostLink(self._platform, self._log, socket, settings.mtu, address, offloads)
        link.resolves = settings.resolves
        link.sends_to_itself = settings.sends_to_itself
        self._links.append(link)
        if self._capture is not None:
            link.capture(self._capture, settings.name)
        interface = self._stack.add_interface(settings.name, link, settings.index)
        self._set_queue(interface, link)
        self._configure(interface, settings)

    def _set_queue(self, interface: Interface, link: HostLink) -> None:
        config = self._config
        if config.qdisc == "fifo":
            interface.set_queue(Fifo(link))
        elif config.qdisc == "none":
            interface.set_queue(NoQueue(link))
        else:
            rate, burst = config.qdisc_tbf_rate, config.qdisc_tbf_burst
            frame_size = link.mtu + (ETHERNET_HEADER if link.has_header else 0)
            problem = tbf_error(rate, burst, frame_size)
            if problem:
                hint = "; see --qdisc-tbf-rate and --qdisc-tbf-burst"
                raise RunscError(f'interface "{interface.name}": qdisc tbf: {problem}{hint}')
            environment = self._stack.environment
            interface.set_queue(TokenBucket(link, environment, rate, burst))

    def _configure(self, interface: Interface, settings: InterfaceSettings) -> None:
        """Bring an interface up with the host's addresses, and none of the stack's own making."""
        ipv6 = self._stack.networks.get(6)
        assert isinstance(ipv6, Ipv6)
        own = ipv6.state_of(interface).config
        own.disable_ipv6 = not settings.has_ipv6
        own.accept_ra = settings.accept_ra
        own.autoconf = settings.autoconf
        own.addr_gen_mode = ADDR_GEN_NONE
        self._stack.set_up(interface)
        # Should the guest take it down and up again.
        own.addr_gen_mode = settings.address_generation
        for address in settings.addresses:
            self._add_address(interface, address)
        for neighbour in settings.neighbours:
            host = address_bytes(neighbour.address)
            table = self._stack.network_of(host).neighbours
            table.add_permanent(interface, host, bytes.fromhex(neighbour.mac))

    def _add_loopback(self, settings: AddressSettings) -> None:
        if self._stack.loopback is not None:
            self._add_address(self._stack.loopback, settings)

    def _add_address(self, interface: Interface, settings: AddressSettings) -> None:
        made = InterfaceAddress(address_bytes(settings.host), settings.prefix_length)
        made.peer = address_bytes(settings.peer)
        made.broadcast = address_bytes(settings.broadcast)
        made.label = settings.label.encode()
        made.scope = settings.scope
        made.flags = settings.flags & ~IFA_F_TENTATIVE
        now = self._stack.environment.now_ns()
        if settings.valid_s != FOREVER:
            made.valid_until_ns = now + settings.valid_s * NS_PER_S
        if settings.preferred_s != FOREVER:
            made.preferred_until_ns = now + settings.preferred_s * NS_PER_S
        is_ipv6 = len(made.host) == 16
        if is_ipv6:
            made.flags |= IFA_F_NODAD  # the host has found it to be unique
        self._stack.add_address(interface, made)
        if is_ipv6 and not settings.flags & IFA_F_NODAD:
            made.flags &= ~IFA_F_NODAD

    def _add_route(self, settings: RouteSettings) -> None:
        interface = self._stack.interfaces.get(settings.index)
        prefix = address_bytes(settings.prefix)
        entry = RouteEntry(
            prefix, settings.prefix_length, interface, address_bytes(settings.gateway)
        )
        entry.kind = settings.kind
        entry.source = address_bytes(settings.source)
        entry.metric = settings.metric
        entry.mtu = settings.mtu
        entry.scope = settings.scope
        entry.protocol = settings.protocol
        try:
            self._stack.add_route(entry)
        except NetError as error:
            # The route of an address's own network comes with the address.
            if error.code != EXISTS:
                raise


def address_bytes(text: str) -> bytes:
    """Return the bytes of an address, empty for an empty text; OSError if it is none."""
    if not text:
        return b""
    return _socket.inet_pton(_socket.AF_INET6 if ":" in text else _socket.AF_INET, text)
