"""The IPv6 header and its extension headers (RFC 8200)."""

from struct import Struct
from typing import Final

from netstack.wire.address6 import is_multicast

HEADER_SIZE: Final = 40
FRAGMENT_HEADER_SIZE: Final = 8
MINIMUM_MTU: Final = 1280  # section 5
MAX_PAYLOAD: Final = 65535

# IANA "Assigned Internet Protocol Numbers".
HOP_BY_HOP: Final = 0
ROUTING: Final = 43
FRAGMENT: Final = 44
ICMPV6: Final = 58
NO_NEXT_HEADER: Final = 59
DESTINATION_OPTIONS: Final = 60

EXTENSION_HEADERS: Final = (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS)

# Codes of ICMPv6 "parameter problem", RFC 4443, 3.4.
PROBLEM_FIELD: Final = 0
PROBLEM_NEXT_HEADER: Final = 1
PROBLEM_OPTION: Final = 2

OPTION_PAD1: Final = 0
OPTION_PADN: Final = 1
OPTION_ROUTER_ALERT: Final = 5  # RFC 2711

# Bounds on what one packet can make us do.  The options and padding are those of Linux
# (IP6_DEFAULT_MAX_*_OPTS_CNT; net/ipv6/exthdrs.c); RFC 8504, 5.3, allows them and ours.
MAX_OPTIONS: Final = 8
MAX_PADDING: Final = 7
MAX_EXTENSION_HEADERS: Final = 16

HEADER: Final = Struct(">IHBB16s16s")
FRAGMENT_HEADER: Final = Struct(">BBHI")
PSEUDO_HEADER: Final = Struct(">16s16sII")


def build_header(
    source: bytes,
    destination: bytes,
    next_header: int,
    hop_limit: int,
    payload_length: int,
    traffic_class: int = 0,
    flow_label: int = 0,
) -> bytes:
    """Return an IPv6 header."""
    first = 0x60000000 | traffic_class << 20 | flow_label & 0xFFFFF
    return HEADER.pack(first, payload_length, next_header, hop_limit, source, destination)


def build_fragment_header(next_header: int, offset: int, identification: int, more: int) -> bytes:
    """Return a fragment header; `offset` in bytes, a multiple of 8; `more` 1: not the last."""
    return FRAGMENT_HEADER.pack(next_header, 0, offset | more, identification)


def pseudo_header(source: bytes, destination: bytes, length: int, protocol: int) -> bytes:
    """Return what the checksums of upper layers cover besides their own bytes, section 8.1."""
    return PSEUDO_HEADER.pack(source, destination, length, protocol)


def is_well_formed(data: bytes, offset: int, end: int) -> bool:
    """Return whether an IPv6 header is at `offset` and its payload ends at or before `end`."""
    if end - offset < HEADER_SIZE or data[offset] >> 4 != 6:
        return False
    return offset + HEADER_SIZE + payload_length(data, offset) <= end


def payload_length(data: bytes, offset: int) -> int:
    """Return the payload length of the header at `offset`."""
    return data[offset + 4] << 8 | data[offset + 5]


def traffic_class(data: bytes, offset: int) -> int:
    """Return the traffic class of the header at `offset`."""
    return (data[offset] & 0x0F) << 4 | data[offset + 1] >> 4


def flow_label(data: bytes, offset: int) -> int:
    """Return the flow label of the header at `offset`."""
    return (data[offset + 1] & 0x0F) << 16 | data[offset + 2] << 8 | data[offset + 3]


class HeaderChain:
    """What `walk` found behind an IPv6 header.  Offsets are into the frame."""

    def __init__(self) -> None:
        self.protocol = 0  # the first header that is no extension header, or FRAGMENT
        self.transport = 0  # where it begins
        self.next_header_at = 0  # the byte that names it: where "unknown next header" points
        self.is_malformed = False  # drop the packet; `problem` says whether to answer
        self.problem = -1  # a PROBLEM_ code; -1: none
        self.problem_at = 0
        self.router_alert = -1  # its value, if there is one
        # Of a fragment header, which ends the walk.
        self.fragment_offset = 0  # bytes
        self.has_more_fragments = False
        self.identification = 0

    def fail(self, problem: int = -1, problem_at: int = 0) -> None:
        """End the walk: the packet is to be dropped."""
        self.is_malformed = True
        self.problem = problem
        self.problem_at = problem_at


def walk(data: bytes, network: int, end: int) -> HeaderChain:
    """Follow the extension headers of the packet whose IPv6 header is at `network`.

    Section 4: in the order in which they stand.  The walk ends at a fragment
    header, unless it is "atomic" (RFC 6946), and at the transport header.
    """
    chain = HeaderChain()
    protocol = data[network + 6]
    chain.next_header_at = network + 6
    at = network + HEADER_SIZE
    if protocol == HOP_BY_HOP:
        at = _skip_options(chain, data, network, at, end)
        protocol = data[chain.next_header_at]
    seen = 0
    while not chain.is_malformed:
        if protocol == ROUTING:
            at = _skip_routing(chain, data, at, end)
        elif protocol == DESTINATION_OPTIONS:
            at = _skip_options(chain, data, network, at, end)
        elif protocol == FRAGMENT:
            if not _read_fragment(chain, data, network, at, end):
                break
            at += FRAGMENT_HEADER_SIZE
        else:
            # A hop-by-hop header that is not the first ends here too: nobody is
            # registered for it, which is answered as section 4 wants it.
            break
        protocol = data[chain.next_header_at]
        seen += 1
        if seen > MAX_EXTENSION_HEADERS:
            chain.fail()
    chain.protocol = protocol
    chain.transport = at
    return chain


def _header_end(chain: HeaderChain, data: bytes, at: int, end: int) -> int:
    """Return where the extension header at `at` ends, or 0 if it does not fit."""
    if end - at >= 8:
        behind = at + 8 + data[at + 1] * 8
        if behind <= end:
            chain.next_header_at = at
            return behind
    chain.fail()
    return 0


def _skip_routing(chain: HeaderChain, data: bytes, at: int, end: int) -> int:
    """Section 4.4: no type of routing is done here (type 0 by RFC 5095); empty ones are skipped."""
    behind = _header_end(chain, data, at, end)
    if behind and data[at + 3] != 0:
        chain.fail(PROBLEM_FIELD, at + 2)
    return behind


def _read_fragment(chain: HeaderChain, data: bytes, network: int, at: int, end: int) -> bool:
    """Note a fragment header; return whether it is atomic, that is, nothing was cut."""
    if end - at < FRAGMENT_HEADER_SIZE:
        chain.fail()
        return False
    bits = data[at + 2] << 8 | data[at + 3]
    chain.fragment_offset = bits & 0xFFF8
    chain.has_more_fragments = bool(bits & 1)
    chain.identification = int.from_bytes(data[at + 4 : at + 8], "big")
    if bits & 0xFFF9 == 0:
        chain.next_header_at = at
        return True
    # Section 4.5: only the last fragment may have a length that is no multiple of 8,
    # and the whole must fit into a packet.
    size = end - at - FRAGMENT_HEADER_SIZE
    if chain.has_more_fragments and size & 7:
        chain.fail(PROBLEM_FIELD, network + 4)
    elif at - network - HEADER_SIZE + chain.fragment_offset + size > MAX_PAYLOAD:
        chain.fail(PROBLEM_FIELD, at + 2)
    return False


def _skip_options(chain: HeaderChain, data: bytes, network: int, at: int, end: int) -> int:
    """Check the options of a hop-by-hop or destination options header, section 4.2."""
    behind = _header_end(chain, data, at, end)
    count = 0
    padding = 0
    option = at + 2
    while option < behind:
        kind = data[option]
        if kind == OPTION_PAD1:
            option += 1
            padding += 1
            if padding > MAX_PADDING:
                chain.fail()
                break
            continue
        if option + 2 > behind or option + 2 + data[option + 1] > behind:
            chain.fail()
            break
        size = 2 + data[option + 1]
        if kind == OPTION_PADN:
            padding += size
            if padding > MAX_PADDING or any(data[option + 2 : option + size]):
                chain.fail()
                break
        else:
            padding = 0
            count += 1
            if count > MAX_OPTIONS or not _read_option(chain, data, network, at, option):
                chain.is_malformed = True
                break
        option += size
    return behind


def _read_option(chain: HeaderChain, data: bytes, network: int, at: int, option: int) -> bool:
    """Return whether the packet may go on; the type's two upper bits say what else (4.2)."""
    kind = data[option]
    if kind == OPTION_ROUTER_ALERT and at == network + HEADER_SIZE and data[option + 1] == 2:
        chain.router_alert = data[option + 2] << 8 | data[option + 3]
        return True
    action = kind >> 6
    if action == 0:
        return True
    if action == 2 or action == 3 and not is_multicast(data[network + 24 : network + 40]):
        chain.problem = PROBLEM_OPTION
        chain.problem_at = option
    return False


def find_upper(data: bytes, network: int, end: int) -> tuple[int, int]:
    """Return the protocol behind all extension headers, and where it begins.

    Nothing is checked: this is to tell what a packet was that cannot be processed.
    Behind a later fragment nothing is known: the protocol is then FRAGMENT.
    """
    protocol = data[network + 6]
    at = network + HEADER_SIZE
    for _ in range(MAX_EXTENSION_HEADERS):
        if protocol not in EXTENSION_HEADERS or end - at < 8:
            break
        size = 8 + data[at + 1] * 8
        if protocol == FRAGMENT:
            if data[at + 2] or data[at + 3] & 0xF8:
                break
            size = FRAGMENT_HEADER_SIZE
        protocol = data[at]
        at += size
    return protocol, at


def unfragmentable_length(data: bytes, network: int, end: int) -> int:
    """Return the bytes of a packet that each of its fragments must repeat, section 4.5.

    That is the IPv6 header and hop-by-hop options; what this host itself sends has no more.
    """
    if data[network + 6] != HOP_BY_HOP or end - network < HEADER_SIZE + 8:
        return HEADER_SIZE
    return min(HEADER_SIZE + 8 + data[network + 41] * 8, end - network)
