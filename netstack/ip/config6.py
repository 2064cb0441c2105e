"""What IPv6 knows of each interface: net.ipv6.conf.NAME, and what routers told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.wire.ipv6 import MINIMUM_MTU

if TYPE_CHECKING:
    from netstack.interface import Interface, InterfaceAddress

# linux/if_addr.h
IFA_F_NODAD: Final = 0x02
IFA_F_DADFAILED: Final = 0x08
IFA_F_DEPRECATED: Final = 0x20
IFA_F_TENTATIVE: Final = 0x40
IFA_F_PERMANENT: Final = 0x80
IFA_F_NOPREFIXROUTE: Final = 0x200
IFA_F_STABLE_PRIVACY: Final = 0x800

# net.ipv6.conf.NAME.addr_gen_mode
ADDR_GEN_EUI64: Final = 0
ADDR_GEN_NONE: Final = 1
ADDR_GEN_STABLE_PRIVACY: Final = 2
ADDR_GEN_RANDOM: Final = 3  # as 2, with a secret of its own

SECOND_NS: Final = 1_000_000_000


class Ipv6Config:
    """The settings of one interface, with Linux's defaults (ip-sysctl.rst)."""

    def __init__(self) -> None:
        self.disable_ipv6 = False
        self.accept_ra = 1  # 0: never, 1: unless forwarding, 2: always
        self.accept_ra_defrtr = True
        self.accept_ra_pinfo = True
        self.accept_ra_mtu = True
        self.accept_redirects = True
        self.autoconf = True
        self.addr_gen_mode = ADDR_GEN_EUI64
        self.stable_secret = b""
        self.accept_dad = 1
        self.dad_transmits = 1
        self.router_solicitations = -1  # -1: without end (RFC 7559)
        self.router_solicitation_interval_ns = 4 * SECOND_NS
        self.router_solicitation_max_interval_ns = 3600 * SECOND_NS
        self.router_solicitation_delay_ns = SECOND_NS
        self.max_addresses = 16
        self.force_mld_version = 0
        self.idgen_retries = 3


class Ipv6Interface:
    """IPv6's own state of an interface."""

    def __init__(self, interface: Interface) -> None:
        self.interface = interface
        self.config = Ipv6Config()
        self.is_enabled = False  # up, and IPv6 is not disabled
        self.has_random_secret = False  # ADDR_GEN_RANDOM has drawn its secret
        # Addresses whose routes and groups are entered, or that are being probed.
        self.active: set[InterfaceAddress] = set()
        # From router advertisements; 0: nothing was said.
        self.hop_limit = 0
        self.mtu = 0
        self.is_managed = False
        self.has_other_configuration = False
        self.servers: list[bytes] = []  # recursive DNS servers (RFC 8106)

    def link_mtu(self) -> int:
        """Return the largest packet for this link."""
        mtu = self.interface.mtu
        if self.mtu:
            mtu = min(mtu, self.mtu)
        return max(mtu, MINIMUM_MTU)

    def link_local(self) -> bytes:
        """Return a link-local address that may be used; empty: there is none."""
        for address in self.interface.addresses:
            host = address.host
            if len(host) == 16 and host[0] == 0xFE and host[1] & 0xC0 == 0x80:
                if not address.is_tentative:
                    return host
        return b""

    def find(self, host: bytes) -> InterfaceAddress | None:
        """Return the interface's address, tentative or not."""
        for address in self.interface.addresses:
            if address.host == host:
                return address
        return None
