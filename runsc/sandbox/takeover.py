"""Taking interfaces away from the host's network stack, and giving them back.

A packet socket sees what an interface receives, and so does the host's own
stack, which would answer: with resets, since it knows none of the sandbox's
connections.  Where frames are delivered by hardware address (veth, macvlan, a
real card) the addresses are taken off, and with them the routes.  An ipvlan is
given frames by the addresses that the kernel knows, so there they stay, and
rules of policy routing make the kernel drop what comes in.  A kernel without
policy routing (IP_MULTIPLE_TABLES) loses the interface's routes instead: then it
does not take its own addresses for its own.

`Record` has all that is needed to put things back; it is kept in the state
directory, and undoing may be repeated.
"""

import posix
import time

from config.decode import Fields
from runsc.errors import RunscError
from runsc.log import LOG
from runsc.sandbox import rtnetlink
from runsc.sandbox.rtnetlink import AF_INET, AF_INET6, FOREVER, Address, Link, Netlink, Route, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from config.jsontext import Json

_FAMILIES = (AF_INET, AF_INET6)
_ARP_IGNORE_ALL = 8  # "do not reply for all local addresses", ip-sysctl.rst
_IFA_F_NODAD = 0x02
# The kernel's own rule "0: from all lookup local", and where it waits for its return.
_LOCAL_PRIORITY = 0
_MOVED_PRIORITY = 1
# What a kernel says to rules when it has none for a family, or for no family at all.
_NO_RULES = ("EAFNOSUPPORT", "EOPNOTSUPP")
_CREATE = rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_EXCL


class TakenInterface:
    """An interface as it was."""

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = name
        self.keeps_addresses = False  # is silenced by rules instead
        self.addresses: list[bytes] = []  # payloads of RTM_NEWADDR
        self.arp_ignore = 0
        self.address_generation = -1  # -1: it has no IPv6
        self.accept_ra = 0  # net.ipv6.conf.X.accept_ra

    def to_json(self) -> "dict[str, Json]":
        """Return what `read_interface` reads."""
        return {
            "index": self.index,
            "name": self.name,
            "keepsAddresses": self.keeps_addresses,
            "addresses": [payload.hex() for payload in self.addresses],
            "arpIgnore": self.arp_ignore,
            "addressGeneration": self.address_generation,
            "acceptRa": self.accept_ra,
        }


def read_interface(fields: Fields) -> TakenInterface:
    """Read what `TakenInterface.to_json` wrote."""
    made = TakenInterface(fields.number("index", 0, 1, 1 << 31), fields.text("name"))
    made.keeps_addresses = fields.flag("keepsAddresses")
    made.addresses = [bytes.fromhex(text) for text in fields.texts("addresses")]
    made.arp_ignore = fields.number("arpIgnore", 0, 0, 255)
    made.address_generation = fields.number("addressGeneration", -1, -1, 255)
    made.accept_ra = fields.number("acceptRa", 0, 0, 255)
    return made


class Record:
    """A namespace as it was before its interfaces were taken."""

    def __init__(self) -> None:
        self.inode = 0  # of the namespace
        self.monotonic_s = 0  # when it was made
        self.interfaces: list[TakenInterface] = []
        self.routes: list[bytes] = []  # requests that make them again
        self.local_routes: list[bytes] = []  # requests: of those that keep their addresses
        self.rules: list[bytes] = []  # payloads of RTM_NEWRULE: the local rules
        self.neighbours: list[bytes] = []  # requests that make the permanent ones again
        self.has_resolver = False  # queries to port 53 are caught (resolver.py)

    def to_json(self) -> "dict[str, Json]":
        """Return what `read_record` reads."""
        return {
            "inode": self.inode,
            "monotonic": self.monotonic_s,
            "interfaces": [interface.to_json() for interface in self.interfaces],
            "routes": [payload.hex() for payload in self.routes],
            "localRoutes": [payload.hex() for payload in self.local_routes],
            "rules": [payload.hex() for payload in self.rules],
            "neighbours": [payload.hex() for payload in self.neighbours],
            "hasResolver": self.has_resolver,
        }

    def indexes(self) -> set[int]:
        """Return the indexes of the interfaces."""
        return {interface.index for interface in self.interfaces}

    def silenced(self) -> list[TakenInterface]:
        """Return the interfaces that keep their addresses."""
        return [interface for interface in self.interfaces if interface.keeps_addresses]


def read_record(fields: Fields) -> Record:
    """Read what `Record.to_json` wrote; FieldError or ValueError."""
    made = Record()
    made.inode = fields.number("inode", 0, 0, 1 << 63)
    made.monotonic_s = fields.number("monotonic", 0, 0, 1 << 63)
    made.interfaces = [read_interface(item) for item in fields.objects("interfaces")]
    made.routes = [bytes.fromhex(text) for text in fields.texts("routes")]
    made.local_routes = [bytes.fromhex(text) for text in fields.texts("localRoutes")]
    made.rules = [bytes.fromhex(text) for text in fields.texts("rules")]
    made.neighbours = [bytes.fromhex(text) for text in fields.texts("neighbours")]
    made.has_resolver = fields.flag("hasResolver")
    return made


def make_record(netlink: Netlink, links: list[Link]) -> Record:
    """Return the present state of interfaces that are to be taken."""
    made = Record()
    made.monotonic_s = int(time.monotonic())
    addresses = netlink.addresses()
    for link in links:
        interface = TakenInterface(link.index, link.name)
        interface.keeps_addresses = link.is_ipvlan
        interface.addresses = [a.payload for a in addresses if a.index == link.index]
        interface.arp_ignore = link.arp_ignore
        if link.has_ipv6:
            interface.address_generation = link.address_generation
            interface.accept_ra = link.accept_ra
        made.interfaces.append(interface)
    made.neighbours = [
        neighbour.request()
        for neighbour in netlink.neighbours()
        if neighbour.index in made.indexes() and neighbour.state & rtnetlink.NUD_PERMANENT
    ]
    for family in _FAMILIES:
        made.routes += [route.request() for route in _routes(netlink, family, made.indexes())]
        if made.silenced():
            made.local_routes += _local_routes(netlink, family, made)
            made.rules += [
                rule.payload
                for rule in _rules(netlink, family)
                if _is_local(rule, _LOCAL_PRIORITY) or _is_local(rule, _MOVED_PRIORITY)
            ]
    return made


def _local_routes(netlink: Netlink, family: int, record: Record) -> list[bytes]:
    """Return the requests of what the kernel has for addresses that stay (and for groups)."""
    indexes = {interface.index for interface in record.silenced()}
    return [
        route.request()
        for route in netlink.routes(family)
        if route.index in indexes and route.table == rtnetlink.RT_TABLE_LOCAL
    ]


def _rules(netlink: Netlink, family: int) -> list[Rule]:
    """Return the rules of a family, none if the kernel knows no such thing."""
    try:
        return netlink.rules(family)
    except OSError as error:
        if _error_name(error) not in _NO_RULES:
            raise
        return []


def _routes(netlink: Netlink, family: int, indexes: set[int]) -> list[Route]:
    """Return the routes through interfaces, those to a gateway's own network first.

    Those of the local table are the kernel's own business.
    """
    found = [
        route
        for route in netlink.routes(family)
        if route.index in indexes and route.table != rtnetlink.RT_TABLE_LOCAL
    ]
    return [r for r in found if not r.gateway] + [r for r in found if r.gateway]


def _is_local(rule: Rule, priority: int) -> bool:
    is_lookup = rule.action == rtnetlink.FR_ACT_TO_TBL and rule.table == rtnetlink.RT_TABLE_LOCAL
    return is_lookup and rule.priority == priority and not rule.interface


def silence(netlink: Netlink, record: Record) -> None:
    """Make the host's stack deaf on the interfaces; RunscError or OSError, half done."""
    for interface in record.interfaces:
        if interface.keeps_addresses:
            continue
        if interface.address_generation >= 0:
            # Or the kernel makes a link-local address when the link comes up again, and
            # others out of router advertisements.
            _set_generation(netlink, interface.index, rtnetlink.IN6_ADDR_GEN_MODE_NONE)
            _set_accept_ra(interface, 0)
        # Backwards: with a primary address its secondary ones would go.
        for payload in reversed(interface.addresses):
            request(netlink, rtnetlink.RTM_DELADDR, payload, 0, "EADDRNOTAVAIL")
    silenced = record.silenced()
    if silenced:
        _keep_for_ever(netlink, silenced)
        for family in _FAMILIES:
            _ignore(netlink, silenced, family)
        for interface in silenced:
            # A probe for a duplicate address (RFC 5227) is looked up in the local table directly.
            netlink.request(
                rtnetlink.RTM_SETLINK,
                rtnetlink.arp_ignore_request(interface.index, _ARP_IGNORE_ALL),
            )
    _forget_neighbours(netlink, record.indexes())


def _keep_for_ever(netlink: Netlink, interfaces: list[TakenInterface]) -> None:
    """Let no address expire: its end would be the end of delivery."""
    for interface in interfaces:
        for payload in interface.addresses:
            address = Address(payload)
            if address.valid_s != FOREVER:
                forever = address.with_lifetimes(FOREVER, FOREVER)
                netlink.request(rtnetlink.RTM_NEWADDR, forever, rtnetlink.NLM_F_REPLACE)


def _ignore(netlink: Netlink, interfaces: list[TakenInterface], family: int) -> None:
    """Have the host drop what comes in at interfaces that keep their addresses."""
    try:
        try:
            _add_rules(netlink, interfaces, family)
        except OSError as error:
            if error.filename != "RTM_NEWRULE" or _error_name(error) not in _NO_RULES:
                raise
            _remove_routes(netlink, interfaces, family)
    except OSError as error:
        raise RunscError(
            f'interface "{interfaces[0].name}": cannot silence the host stack '
            f"({error.filename}: {_error_name(error)})"
        ) from None


def _add_rules(netlink: Netlink, interfaces: list[TakenInterface], family: int) -> None:
    """Put a blackhole for what comes from the interfaces before the table of local addresses.

    The look-up of that table moves from priority 0 to 1, so that everything else,
    such as the namespace's own loopback, goes on as before.
    """
    moved = rtnetlink.rule_request(family, _MOVED_PRIORITY, table=rtnetlink.RT_TABLE_LOCAL)
    request(netlink, rtnetlink.RTM_NEWRULE, moved, _CREATE, "EEXIST")
    for interface in interfaces:
        hole = rtnetlink.rule_request(family, _LOCAL_PRIORITY, interface=interface.name)
        request(netlink, rtnetlink.RTM_NEWRULE, hole, _CREATE, "EEXIST")
    for rule in netlink.rules(family):
        if _is_local(rule, _LOCAL_PRIORITY):
            netlink.request(rtnetlink.RTM_DELRULE, rule.payload)


def _remove_routes(netlink: Netlink, interfaces: list[TakenInterface], family: int) -> None:
    """Remove all routes of interfaces, first of all those that say which addresses are local.

    Not as good as a rule: with a further address some come back.
    """
    names = ", ".join(interface.name for interface in interfaces)
    LOG.warning(f"the host's kernel has no policy routing: it loses its routes by {names} instead")
    indexes = {interface.index for interface in interfaces}
    found = [route for route in netlink.routes(family) if route.index in indexes]
    found.sort(key=lambda route: route.table != rtnetlink.RT_TABLE_LOCAL)
    for route in found:
        request(netlink, rtnetlink.RTM_DELROUTE, route.request(), 0, "ESRCH")


def _forget_neighbours(netlink: Netlink, indexes: set[int]) -> None:
    """Remove what the host has learnt of neighbours: it would go on asking them."""
    for neighbour in netlink.neighbours():
        fixed = rtnetlink.NUD_PERMANENT | rtnetlink.NUD_NOARP
        if neighbour.index in indexes and not neighbour.state & fixed:
            request(netlink, rtnetlink.RTM_DELNEIGH, neighbour.payload, 0, "ENOENT")


def undo(netlink: Netlink, record: Record) -> None:
    """Put everything back that is not as it was; what cannot be is a warning.

    Interfaces that are gone meanwhile are left out.
    """
    present = {link.index: link.name for link in netlink.links()}
    found = [i for i in record.interfaces if present.get(i.index) == i.name]
    elapsed_s = max(0, int(time.monotonic()) - record.monotonic_s)
    _try("addresses", _renew_addresses, netlink, record, found)
    for interface in found:
        _try(interface.name, _restore_interface, netlink, interface, elapsed_s)
    indexes = {interface.index for interface in found}
    if record.silenced():
        for family in _FAMILIES:
            _try("rules", _restore_rules, netlink, record, family)
    _try("routes", _restore_group_routes, netlink, record, indexes)
    _try("neighbours", _restore_neighbours, netlink, record, indexes)
    for family in _FAMILIES:
        _try("routes", _restore_routes, netlink, record, family, indexes)


def _renew_addresses(netlink: Netlink, record: Record, found: list[TakenInterface]) -> None:
    """Take off addresses whose routes were removed: with them the kernel makes the routes again."""
    for family in _FAMILIES:
        present = _local_routes(netlink, family, record)
        recorded = [payload for payload in record.local_routes if Route(payload).family == family]
        lost = {Route(payload).index for payload in recorded if payload not in present}
        for interface in found:
            if not interface.keeps_addresses or interface.index not in lost:
                continue
            for payload in reversed(interface.addresses):
                if Address(payload).family == family:
                    request(netlink, rtnetlink.RTM_DELADDR, payload, 0, "EADDRNOTAVAIL")


def _restore_group_routes(netlink: Netlink, record: Record, indexes: set[int]) -> None:
    """Add what does not come with an address: the routes of IPv6's groups."""
    for payload in record.local_routes:
        route = Route(payload)
        if route.kind == rtnetlink.RTN_MULTICAST and route.index in indexes:
            request(netlink, rtnetlink.RTM_NEWROUTE, payload, _CREATE, "EEXIST")


def _try(what: str, restore: "Callable[..., None]", *arguments: object) -> None:
    try:
        restore(*arguments)
    except OSError as error:
        LOG.warning(f"giving {what} back to the host: {error.filename}: {_error_name(error)}")


def _restore_interface(netlink: Netlink, interface: TakenInterface, elapsed_s: int) -> None:
    if interface.keeps_addresses:
        netlink.request(
            rtnetlink.RTM_SETLINK,
            rtnetlink.arp_ignore_request(interface.index, interface.arp_ignore),
        )
    elif interface.address_generation >= 0:
        _set_generation(netlink, interface.index, interface.address_generation)
        _set_accept_ra(interface, interface.accept_ra)
    addresses = [Address(payload) for payload in interface.addresses]
    # New addresses come last among those of IPv4, and first among those of IPv6.
    ordered = [a for a in addresses if a.family == AF_INET]
    ordered += [a for a in reversed(addresses) if a.family == AF_INET6]
    for address in ordered:
        if not _has_expired(address, elapsed_s):
            _restore_address(netlink, address, elapsed_s)
        elif interface.keeps_addresses:
            # With the first one of a network its secondary ones go; they come next.
            request(netlink, rtnetlink.RTM_DELADDR, address.payload, 0, "EADDRNOTAVAIL")


def _has_expired(address: Address, elapsed_s: int) -> bool:
    return address.valid_s != FOREVER and address.valid_s <= elapsed_s


def _restore_address(netlink: Netlink, address: Address, elapsed_s: int) -> None:
    preferred_s, valid_s = address.preferred_s, address.valid_s
    if valid_s != FOREVER:
        valid_s -= elapsed_s
    if preferred_s != FOREVER:
        preferred_s = max(0, preferred_s - elapsed_s)
    restored = address.with_lifetimes(preferred_s, valid_s)
    if address.family == AF_INET6 and not address.flags & rtnetlink.IFA_F_TENTATIVE:
        # It has been ours all the time: no wait until it is found to be unique.
        at_once = address.with_flags(address.flags | _IFA_F_NODAD, preferred_s, valid_s)
        request(netlink, rtnetlink.RTM_NEWADDR, at_once, _CREATE, "EEXIST")
    request(
        netlink,
        rtnetlink.RTM_NEWADDR,
        restored,
        rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_REPLACE,
        "EEXIST",
    )


def _restore_rules(netlink: Netlink, record: Record, family: int) -> None:
    """Put the look-up of the local table back first, then take ours away: nobody is left without.

    All of it is as the kernel's own rule was, down to who made it (FRA_PROTOCOL).
    """
    recorded = [rule for rule in map(Rule, record.rules) if rule.family == family]
    for rule in recorded:
        request(netlink, rtnetlink.RTM_NEWRULE, rule.payload, _CREATE, "EEXIST")
    had_moved = any(_is_local(rule, _MOVED_PRIORITY) for rule in recorded)
    names = {interface.name for interface in record.silenced()}
    for rule in _rules(netlink, family):
        is_ours = (
            rule.action == rtnetlink.FR_ACT_BLACKHOLE
            and rule.priority == _LOCAL_PRIORITY
            and rule.interface in names
        )
        if is_ours or (_is_local(rule, _MOVED_PRIORITY) and not had_moved):
            netlink.request(rtnetlink.RTM_DELRULE, rule.payload)


def _restore_neighbours(netlink: Netlink, record: Record, indexes: set[int]) -> None:
    """Add the permanent neighbours, which went with the last address of IPv4."""
    for payload in record.neighbours:
        if rtnetlink.Neighbour(payload).index in indexes:
            request(netlink, rtnetlink.RTM_NEWNEIGH, payload, _CREATE, "EEXIST")


def _restore_routes(netlink: Netlink, record: Record, family: int, indexes: set[int]) -> None:
    """Add the routes that are missing, without what came of taking addresses and giving them back.

    With an address the kernel makes routes of its own, and without it IPv6 takes
    it out of the routes that prefer it as a source.
    """
    present = {route.request(): route for route in _routes(netlink, family, indexes)}
    recorded = [payload for payload in record.routes if Route(payload).family == family]
    sourceless = {_without_source(payload) for payload in recorded}
    addresses = [address for address in netlink.addresses() if address.family == family]
    wanted = [p for p in recorded if not _has_lost_its_address(Route(p), addresses)]
    # The network of an address that expired may be that of another one now.
    changed = {_destination(Route(payload)) for payload in recorded if payload not in wanted}
    for payload, route in present.items():
        if payload in wanted or _destination(route) in changed:
            continue
        if route.protocol == rtnetlink.RTPROT_KERNEL or payload in sourceless:
            request(netlink, rtnetlink.RTM_DELROUTE, payload, 0, "ESRCH")
    flags = rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_APPEND
    for payload in wanted:
        if payload not in present and Route(payload).index in indexes:
            _try("a route", request, netlink, rtnetlink.RTM_NEWROUTE, payload, flags, "EEXIST")


def _destination(route: Route) -> tuple[bytes, int]:
    return route.prefix, route.prefix_length


def _has_lost_its_address(route: Route, addresses: list[Address]) -> bool:
    """Return whether the kernel would have removed a route along with an address."""
    if route.source:
        return all(route.source != address.host for address in addresses)
    if route.family == AF_INET or route.protocol != rtnetlink.RTPROT_KERNEL:
        return False
    ends = [address.peer or address.host for address in addresses if address.index == route.index]
    return not any(_is_within(end, route) for end in ends)


def _is_within(address: bytes, route: Route) -> bool:
    shift = 8 * len(address) - route.prefix_length
    return int.from_bytes(address, "big") >> shift == int.from_bytes(route.prefix, "big") >> shift


def _without_source(payload: bytes) -> bytes:
    """Return the request of a route without its preferred source address."""
    route = Route(payload)
    return route.request(without=rtnetlink.RTA_PREFSRC) if route.source else b""


def _set_generation(netlink: Netlink, index: int, mode: int) -> None:
    netlink.request(rtnetlink.RTM_SETLINK, rtnetlink.address_generation_request(index, mode))


def request(netlink: Netlink, kind: int, payload: bytes, flags: int, harmless: str) -> None:
    """Make a request; an error of the name `harmless` says that it was so already."""
    try:
        netlink.request(kind, payload, flags)
    except OSError as error:
        if _error_name(error) != harmless:
            raise


def _error_name(error: OSError) -> str:
    from errno import errorcode

    name = errorcode.get(error.errno or 0, str(error.errno))
    return "EOPNOTSUPP" if name == "ENOTSUP" else name  # one number, two names


def _set_accept_ra(interface: TakenInterface, value: int) -> None:
    """Set net.ipv6.conf.X.accept_ra in this process's network namespace.

    Where /proc/sys is read-only, router advertisements go on being heard.
    """
    if not interface.accept_ra:
        return  # was off before, and stays so
    try:
        path = f"/proc/sys/net/ipv6/conf/{interface.name}/accept_ra"
        host_fd = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
        try:
            posix.write(host_fd, str(value).encode())
        finally:
            posix.close(host_fd)
    except OSError as error:
        LOG.warning(f"net.ipv6.conf.{interface.name}.accept_ra: {_error_name(error)}")
