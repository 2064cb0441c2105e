"""The network that the host side hands to the sandbox: interfaces, addresses, routes.

`runsc/sandbox/network.py` collects it in the container's network namespace and
sends it with the `start` request; each interface comes with the descriptor of
a packet socket, and the relay of Docker's resolver follows if there is one.
Addresses are text (inet_ntop(3)), hardware addresses hex.
"""

from config.decode import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json

_MAX_INDEX = (1 << 31) - 1
_MAX_U32 = (1 << 32) - 1
FOREVER = _MAX_U32  # a lifetime without end (INFINITY_LIFE_TIME, linux/if_addr.h)


class AddressSettings:
    """An address of an interface (ip-address(8))."""

    def __init__(self, host: str, prefix_length: int) -> None:
        self.host = host
        self.prefix_length = prefix_length
        self.peer = ""  # the other end of a point-to-point link
        self.broadcast = ""
        self.label = ""
        self.scope = 0
        self.flags = 0  # IFA_F_
        self.preferred_s = FOREVER
        self.valid_s = FOREVER

    def to_json(self) -> "dict[str, Json]":
        """Return the object that `read_address` reads."""
        return {
            "host": self.host,
            "prefixLength": self.prefix_length,
            "peer": self.peer,
            "broadcast": self.broadcast,
            "label": self.label,
            "scope": self.scope,
            "flags": self.flags,
            "preferred": self.preferred_s,
            "valid": self.valid_s,
        }


def read_address(fields: Fields) -> AddressSettings:
    """Read what `AddressSettings.to_json` wrote; FieldError."""
    made = AddressSettings(fields.text("host"), fields.number("prefixLength", 0, 0, 128))
    made.peer = fields.text("peer", "")
    made.broadcast = fields.text("broadcast", "")
    made.label = fields.text("label", "")
    made.scope = fields.number("scope", 0, 0, 255)
    made.flags = fields.number("flags", 0, 0, _MAX_U32)
    made.preferred_s = fields.number("preferred", FOREVER, 0, _MAX_U32)
    made.valid_s = fields.number("valid", FOREVER, 0, _MAX_U32)
    return made


class NeighbourSettings:
    """A permanent entry of the neighbour cache (ip-neighbour(8))."""

    def __init__(self, address: str, mac: str) -> None:
        self.address = address
        self.mac = mac

    def to_json(self) -> "dict[str, Json]":
        """Return the object that is read as a neighbour."""
        return {"address": self.address, "mac": self.mac}


class InterfaceSettings:
    """An interface, and how its packet socket is to be used."""

    def __init__(self, index: int, name: str) -> None:
        self.index = index  # on the host, and in the sandbox
        self.name = name
        self.mac = ""
        self.mtu = 1500
        self.has_ipv6 = True
        self.accept_ra = 1  # router advertisements: never, unless forwarding, always
        self.autoconf = True  # addresses are made of their prefixes
        self.address_generation = 0  # net.ipv6.conf.X.addr_gen_mode
        self.resolves = True  # next hops have hardware addresses (no IFF_NOARP)
        # The host routes by IP address: every frame goes to the interface's own hardware address.
        self.sends_to_itself = False
        self.segments = False  # the host takes frames that stand for several segments
        self.gso_max = 0
        self.addresses: list[AddressSettings] = []
        self.neighbours: list[NeighbourSettings] = []

    def to_json(self) -> "dict[str, Json]":
        """Return the object that `read_interface` reads."""
        return {
            "index": self.index,
            "name": self.name,
            "mac": self.mac,
            "mtu": self.mtu,
            "hasIpv6": self.has_ipv6,
            "acceptRa": self.accept_ra,
            "autoconf": self.autoconf,
            "addressGeneration": self.address_generation,
            "resolves": self.resolves,
            "sendsToItself": self.sends_to_itself,
            "segments": self.segments,
            "gsoMax": self.gso_max,
            "addresses": [address.to_json() for address in self.addresses],
            "neighbours": [neighbour.to_json() for neighbour in self.neighbours],
        }


def read_interface(fields: Fields) -> InterfaceSettings:
    """Read what `InterfaceSettings.to_json` wrote; FieldError."""
    made = InterfaceSettings(fields.number("index", 0, 1, _MAX_INDEX), fields.text("name"))
    made.mac = fields.text("mac")
    made.mtu = fields.number("mtu", 1500, 68, 1 << 16)
    made.has_ipv6 = fields.flag("hasIpv6")
    made.accept_ra = fields.number("acceptRa", 1, 0, 255)
    made.autoconf = fields.flag("autoconf")
    made.address_generation = fields.number("addressGeneration", 0, 0, 3)
    made.resolves = fields.flag("resolves")
    made.sends_to_itself = fields.flag("sendsToItself")
    made.segments = fields.flag("segments")
    made.gso_max = fields.number("gsoMax", 0, 0, _MAX_U32)
    made.addresses = [read_address(item) for item in fields.objects("addresses")]
    made.neighbours = [
        NeighbourSettings(item.text("address"), item.text("mac"))
        for item in fields.objects("neighbours")
    ]
    return made


class RouteSettings:
    """A route of the main table (ip-route(8))."""

    def __init__(self, prefix: str, prefix_length: int, index: int) -> None:
        self.prefix = prefix
        self.prefix_length = prefix_length
        self.index = index  # of the interface; 0: none (blackhole, ...)
        self.gateway = ""
        self.source = ""
        self.metric = 0
        self.mtu = 0
        self.scope = 0
        self.kind = 1  # RTN_UNICAST
        self.protocol = 0  # RTPROT_

    def to_json(self) -> "dict[str, Json]":
        """Return the object that `read_route` reads."""
        return {
            "prefix": self.prefix,
            "prefixLength": self.prefix_length,
            "index": self.index,
            "gateway": self.gateway,
            "source": self.source,
            "metric": self.metric,
            "mtu": self.mtu,
            "scope": self.scope,
            "kind": self.kind,
            "protocol": self.protocol,
        }


def read_route(fields: Fields) -> RouteSettings:
    """Read what `RouteSettings.to_json` wrote; FieldError."""
    made = RouteSettings(
        fields.text("prefix"),
        fields.number("prefixLength", 0, 0, 128),
        fields.number("index", 0, 0, _MAX_INDEX),
    )
    made.gateway = fields.text("gateway", "")
    made.source = fields.text("source", "")
    made.metric = fields.number("metric", 0, 0, _MAX_U32)
    made.mtu = fields.number("mtu", 0, 0, _MAX_U32)
    made.scope = fields.number("scope", 0, 0, 255)
    made.kind = fields.number("kind", 1, 0, 255)
    made.protocol = fields.number("protocol", 0, 0, 255)
    return made


class NetworkSettings:
    """Everything that is handed over; descriptor number N belongs to interface number N."""

    def __init__(self) -> None:
        self.interfaces: list[InterfaceSettings] = []
        self.loopback: list[AddressSettings] = []  # of `lo`, besides 127.0.0.1 and ::1
        self.routes: list[RouteSettings] = []
        # Docker's resolver is there: the last descriptor leads to its relay (config/relay.py).
        self.has_resolver = False

    def to_json(self) -> "dict[str, Json]":
        """Return the object that `read_network` reads."""
        return {
            "interfaces": [interface.to_json() for interface in self.interfaces],
            "loopback": [address.to_json() for address in self.loopback],
            "routes": [route.to_json() for route in self.routes],
            "hasResolver": self.has_resolver,
        }


def read_network(fields: Fields) -> NetworkSettings:
    """Read what `NetworkSettings.to_json` wrote; FieldError."""
    made = NetworkSettings()
    made.interfaces = [read_interface(item) for item in fields.objects("interfaces")]
    made.loopback = [read_address(item) for item in fields.objects("loopback")]
    made.routes = [read_route(item) for item in fields.objects("routes")]
    made.has_resolver = fields.flag("hasResolver")
    return made
