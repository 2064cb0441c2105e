"""Our stack on taken interfaces, talking to the host's kernel at the other end of the wire."""

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from config.flags import Config
from netstack.endpoint import Address
from netstack.link.pcap import BLOCK_SECTION
from netstack.route import MAIN_TABLE
from netstack.tcp.endpoint import TcpEndpoint
from runsc.errors import RunscError
from sentry.socket.hostlink import HostLink
from tests.harness.netns import Namespace, namespaces
from tests.harness.taken_stack import TakenStack

OUR = {4: "10.9.0.2", 6: "fd09::2"}
LINUX = {4: "10.9.0.1", 6: "fd09::1"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
BOTH = pytest.mark.parametrize("version", [4, 6])

pytestmark = pytest.mark.root


def packed(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def configure(inner: Namespace, outer: Namespace) -> None:
    outer.ip("link set wire up")
    outer.ip("addr add 10.9.0.1/24 dev wire")
    outer.ip("-6 addr add fd09::1/64 dev wire nodad")
    inner.ip("link set eth0 up")
    inner.ip("addr add 10.9.0.2/24 dev eth0")
    inner.ip("-6 addr add fd09::2/64 dev eth0 nodad")
    inner.ip("route add default via 10.9.0.1 metric 50 mtu 1300")


@pytest.fixture
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    """A veth between two namespaces: `eth0` in ours, `wire` in Linux's."""
    with namespaces(2) as (inner, outer):
        inner.ip(f"link add eth0 type veth peer name wire netns {outer.name}")
        configure(inner, outer)
        yield inner, outer


@contextlib.contextmanager
def taken(namespace: Namespace, config: Config | None = None) -> Iterator[TakenStack]:
    world = TakenStack(namespace, config)
    try:
        yield world
    finally:
        world.close()


def linux_socket(outer: Namespace, version: int, kind: int) -> socket.socket:
    with outer.entered():
        made = socket.socket(FAMILY[version], kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((LINUX[version], 0))
    made.setblocking(False)
    return made


def try_receive(sock: socket.socket) -> tuple[bytes, tuple[str, int]] | None:
    try:
        data, sender = sock.recvfrom(1 << 17)
    except BlockingIOError:
        return None
    return data, (sender or ("", 0))[:2]


def test_interfaces_have_what_the_host_gave_them(pair: tuple[Namespace, Namespace]) -> None:
    inner, _ = pair
    inner.ip("neigh add 10.9.0.7 lladdr 02:00:00:00:00:07 dev eth0 nud permanent")
    inner.ip("route add 10.2.0.0/16 dev eth0 scope link metric 9")
    inner.ip("route add unreachable 10.3.0.0/16")
    link_local = next(
        info["local"]
        for info in inner.ip_json("-6 addr show eth0")[0]["addr_info"]
        if info["scope"] == "link"
    )
    index = inner.ip_json("link show eth0")[0]["ifindex"]
    with taken(inner) as world:
        interface = world.stack.interfaces[index]
        assert (interface.name, interface.mtu) == ("eth0", 1500)
        assert {(a.host, a.prefix_length) for a in interface.addresses} == {
            (packed("10.9.0.2"), 24),
            (packed("fd09::2"), 64),
            (packed(link_local), 64),
        }
        assert not any(a.is_tentative for a in interface.addresses)
        table = world.stack.networks[4].routing.tables[MAIN_TABLE]
        routes = {
            (e.prefix, e.prefix_length, e.gateway, e.metric, e.mtu, e.kind, e.interface)
            for e in table.entries()
        }
        assert routes == {
            (packed("0.0.0.0"), 0, packed("10.9.0.1"), 50, 1300, 1, interface),
            (packed("10.9.0.0"), 24, b"", 0, 0, 1, interface),
            (packed("10.2.0.0"), 16, b"", 9, 0, 1, interface),
            (packed("10.3.0.0"), 16, b"", 0, 0, 7, None),
        }
        neighbour = world.stack.networks[4].neighbours.find(interface, packed("10.9.0.7"))
        assert neighbour is not None
        assert neighbour.link_address == bytes.fromhex("020000000007")


def test_an_interface_without_ipv6_says_nothing_of_it(
    pair: tuple[Namespace, Namespace],
) -> None:
    inner, outer = pair
    inner.sysctl("ipv6/conf/eth0/disable_ipv6", "1")
    with outer.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind(("wire", 0x86DD))
        wire.setblocking(False)
        with taken(inner) as world:
            assert [len(a.host) for a in world.stack.interfaces[2].addresses] == [4]
            for _ in range(20):
                world.platform.poll(10)
                world.environment.fire_due()
            mac = world.stack.interfaces[2].link.address
            frames = iter(lambda: try_receive(wire), None)
            assert [data for data, _ in frames if data[6:12] == mac] == []


def test_an_address_that_expires(pair: tuple[Namespace, Namespace]) -> None:
    inner, _ = pair
    inner.ip("-6 addr add fd08::2/64 dev eth0 nodad valid_lft 1000 preferred_lft 500")
    with taken(inner) as world:
        now = world.environment.now_ns()
        found = {a.host: a for a in world.stack.interfaces[2].addresses}
        expiring = found[packed("fd08::2")]
        assert 990e9 < expiring.valid_until_ns - now <= 1000e9
        assert 490e9 < expiring.preferred_until_ns - now <= 500e9
        assert found[packed("fd09::2")].valid_until_ns == 0


def test_several_default_routes(pair: tuple[Namespace, Namespace]) -> None:
    """The one of the lowest metric counts, and a gateway is not needed."""
    inner, _ = pair
    inner.ip("route add default via 10.9.0.5 metric 60")
    inner.ip("route add default dev eth0 scope link metric 40")
    with taken(inner) as world:
        assert world.stack.find_route(packed("8.8.8.8")).next_hop == packed("8.8.8.8")
        table = world.stack.networks[4].routing.tables[MAIN_TABLE]
        metrics = [e.metric for e in table.entries() if e.prefix_length == 0]
        assert metrics == [40, 50, 60]


@BOTH
def test_datagrams_both_ways(pair: tuple[Namespace, Namespace], version: int) -> None:
    inner, outer = pair
    with taken(inner) as world, linux_socket(outer, version, socket.SOCK_DGRAM) as peer:
        endpoint = world.udp.new_endpoint(version)
        endpoint.bind(Address(packed(OUR[version]), 6000))
        there = Address(packed(LINUX[version]), peer.getsockname()[1])
        for size in (0, 1, 1400, 5000, 60000):
            data = os.urandom(size)
            endpoint.send(data, there)
            found = world.run(lambda: try_receive(peer))
            assert found == (data, (OUR[version], 6000))
            peer.sendto(data, (OUR[version], 6000))
            datagram = world.run(endpoint.receive)
            assert datagram is not None
            assert datagram.payload == data
        endpoint.close()


def test_a_flood_that_nobody_reads_is_left_to_the_host_for_a_moment(
    pair: tuple[Namespace, Namespace],
) -> None:
    inner, outer = pair
    with taken(inner) as world, linux_socket(outer, 4, socket.SOCK_DGRAM) as peer:
        full, other = (world.udp.new_endpoint(4) for _ in range(2))
        for port, endpoint in ((6000, full), (6001, other)):
            endpoint.bind(Address(packed(OUR[4]), port))
        peer.sendto(b"first", (OUR[4], 6001))
        assert world.run(other.receive).payload == b"first"
        full.receive_limit = 10_000
        for _ in range(300):
            peer.sendto(bytes(1000), (OUR[4], 6000))
        peer.sendto(b"last", (OUR[4], 6001))
        link = next(i.link for i in world.stack.interfaces.values() if i.name == "eth0")
        assert isinstance(link, HostLink)
        began = world.environment.now_ns()
        rests = 0
        while world.environment.now_ns() - began < 10**9:
            world.platform.poll(1)
            rests += world.platform.watched[link.socket.host_fd][0] == 0
            world.environment.fire_due()
            if (found := other.receive()) is not None:
                break
        assert found is not None
        assert found.payload == b"last"
        assert rests > 2
        full.close()
        other.close()


@BOTH
def test_linux_gets_answers_to_echo_requests(
    pair: tuple[Namespace, Namespace], version: int
) -> None:
    inner, outer = pair
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    # Type, code, checksum, identifier, sequence number; Linux makes ICMPv6's checksum.
    request = bytes.fromhex("0800f7fa00020003" if version == 4 else "8000000000020003")
    reply = bytes.fromhex("0000fffa00020003") if version == 4 else b"\x81\x00"

    def is_answered() -> bool:
        found = try_receive(peer)
        return found is not None and reply in found[0]

    with taken(inner) as world, contextlib.ExitStack() as stack:
        with outer.entered():
            peer = stack.enter_context(socket.socket(FAMILY[version], socket.SOCK_RAW, protocol))
        peer.setblocking(False)
        peer.sendto(request, (OUR[version], 0))
        assert world.run(is_answered)


def stream(world: TakenStack, peer: socket.socket, version: int, size: int) -> None:
    """Send `size` bytes each way over one TCP connection, and compare them."""
    peer.listen(1)
    endpoint = TcpEndpoint(world.tcp, version)
    endpoint.connect(Address(packed(LINUX[version]), peer.getsockname()[1]))

    def accept() -> socket.socket | None:
        try:
            return peer.accept()[0]
        except BlockingIOError:
            return None

    connection = world.run(accept)
    with connection:
        connection.setblocking(False)
        data = os.urandom(size)
        sent, received = 0, b""
        back, returned = memoryview(data), b""

        def is_done() -> bool:
            nonlocal sent, received, back, returned
            if sent < size:
                sent += endpoint.write(data[sent : sent + 300_000]) or 0
            found = try_receive(connection)
            received += found[0] if found else b""
            if back:
                with contextlib.suppress(BlockingIOError):
                    back = back[connection.send(back) :]
            returned += endpoint.read(1 << 20) or b""
            return len(received) >= size and len(returned) >= size

        assert world.run(is_done, 20)
        assert received == data
        assert returned == data
    endpoint.close()


def settings_of(**values: object) -> Config:
    config = Config()
    for name, value in values.items():
        setattr(config, name, value)
    return config


CONFIGS = {
    "default": {},
    "checksums-by-host": {"tx_checksum_offload": True},
    "checksums-all-ours": {"rx_checksum_offload": False},
    "software-gso": {"gso": False},
    "no-gso": {"gso": False, "software_gso": False},
    "no-queue": {"qdisc": "none"},
    "tbf": {"qdisc": "tbf", "qdisc_tbf_rate": 20_000_000, "qdisc_tbf_burst": 100_000},
    "tbf-small-burst": {"qdisc": "tbf", "qdisc_tbf_rate": 20_000_000, "qdisc_tbf_burst": 10_000},
}


@BOTH
@pytest.mark.parametrize("name", list(CONFIGS))
def test_streams_both_ways(pair: tuple[Namespace, Namespace], version: int, name: str) -> None:
    inner, outer = pair
    with taken(inner, settings_of(**CONFIGS[name])) as world:
        with linux_socket(outer, version, socket.SOCK_STREAM) as peer:
            stream(world, peer, version, 2_000_000)
        counters = next(i.counters for i in world.stack.interfaces.values() if i.name == "eth0")
        # 1400 segments of 1448 bytes: large frames are fewer by far.
        large = CONFIGS[name].get("gso", True) or CONFIGS[name].get("software_gso", True)
        assert (counters.tx_packets < 1400) == bool(large)
        assert counters.rx_errors == 0


def test_without_offloads_of_the_peer(pair: tuple[Namespace, Namespace]) -> None:
    """Linux segments and sums itself: what comes in has the size of the wire."""
    inner, outer = pair
    outer.ip("link set wire gso_max_segs 1")
    with taken(inner) as world, linux_socket(outer, 4, socket.SOCK_STREAM) as peer:
        stream(world, peer, 4, 300_000)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"qdisc_tbf_rate": 10**6, "qdisc_tbf_burst": 1513}, "1513 bytes holds no frame of 1514"),
        ({"qdisc_tbf_rate": 1 << 62, "qdisc_tbf_burst": 2000}, "the rate is too high"),
    ],
)
def test_a_burst_that_no_frame_fits_is_refused(
    pair: tuple[Namespace, Namespace], config: dict[str, object], words: str
) -> None:
    inner, _ = pair
    inner.settle()
    before = inner.snapshot()
    with pytest.raises(RunscError, match=f'interface "eth0": qdisc tbf: .*{words}'):
        TakenStack(inner, settings_of(qdisc="tbf", **config))
    assert inner.snapshot() == before


def test_a_token_bucket_keeps_its_rate(pair: tuple[Namespace, Namespace]) -> None:
    inner, outer = pair
    rate, burst = 400_000, 70_000
    config = settings_of(qdisc="tbf", qdisc_tbf_rate=rate, qdisc_tbf_burst=burst)
    with taken(inner, config) as world, linux_socket(outer, 4, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        endpoint = world.udp.new_endpoint(4)
        there = Address(packed(LINUX[4]), peer.getsockname()[1])
        endpoint.send(b"", there)  # after which the neighbour is known
        world.run(lambda: try_receive(peer))
        # 200 datagrams of 1000 bytes are 208 400 on the wire.
        began = world.environment.now_ns()
        for _ in range(200):
            endpoint.send(bytes(1000), there)
        arrived = 0

        def is_done() -> bool:
            nonlocal arrived
            while try_receive(peer) is not None:
                arrived += 1
            return arrived == 200

        world.run(is_done)
        seconds = (world.environment.now_ns() - began) / 1e9
        expected = (200 * 1042 - burst) / rate
        assert expected * 0.95 < seconds < expected * 1.5 + 0.2
        endpoint.close()


def test_a_capture_has_both_directions(pair: tuple[Namespace, Namespace]) -> None:
    inner, outer = pair
    host_fd = os.memfd_create("capture")
    world = TakenStack(inner, capture_fd=host_fd)
    try:
        with linux_socket(outer, 4, socket.SOCK_DGRAM) as peer:
            endpoint = world.udp.new_endpoint(4)
            endpoint.send(b"to Linux", Address(packed(LINUX[4]), peer.getsockname()[1]))
            _, sender = world.run(lambda: try_receive(peer))
            peer.sendto(b"from Linux", sender)
            world.run(endpoint.receive)
            endpoint.close()
        data = os.pread(host_fd, 1 << 20, 0)
    finally:
        world.close()
        os.close(host_fd)
    assert int.from_bytes(data[:4], "little") == BLOCK_SECTION
    assert b"eth0" in data
    assert data.index(b"to Linux") < data.index(b"from Linux")


@pytest.mark.parametrize("mode", ["bridge", "private", "vepa", "passthru"])
def test_a_macvlan_is_found_by_its_neighbours(mode: str) -> None:
    """ARP and neighbour discovery, the latter by groups that the host has not joined."""
    with namespaces(2) as (inner, outer):
        inner.ip(f"link add parent type veth peer name wire netns {outer.name}")
        inner.ip("link set parent addrgenmode none up")
        inner.ip(f"link add eth0 link parent type macvlan mode {mode}")
        configure(inner, outer)
        with taken(inner) as world:
            for version in (4, 6):
                with linux_socket(outer, version, socket.SOCK_DGRAM) as peer:
                    endpoint = world.udp.new_endpoint(version)
                    endpoint.bind(Address(packed(OUR[version]), 6000))
                    # Linux is the one that asks for the address.
                    peer.sendto(b"hello", (OUR[version], 6000))
                    datagram = world.run(endpoint.receive)
                    assert datagram is not None
                    assert datagram.payload == b"hello"
                    endpoint.close()


def test_tagged_frames_are_of_another_network(pair: tuple[Namespace, Namespace]) -> None:
    inner, outer = pair
    mac = bytes.fromhex(inner.ip_json("link show eth0")[0]["address"].replace(":", ""))
    head = b"\xff" * 6 + b"\2\0\0\0\0\7"
    arp = bytes.fromhex("08060001080006040001") + b"\2\0\0\0\0\7" + packed("10.9.0.9")
    arp += bytes(6) + packed("10.9.0.2")

    def is_answered() -> bool:
        found = try_receive(wire)
        return found is not None and found[0][6:12] == mac and found[0][12:14] == b"\x08\x06"

    with taken(inner) as world, contextlib.ExitStack() as stack:
        with outer.entered():
            wire = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
        wire.setblocking(False)
        outer_bind(outer, wire)
        wire.send(head + bytes.fromhex("81000007") + arp)
        for _ in range(20):
            world.platform.poll(10)
        assert not is_answered()
        # VLAN 0 is a priority and nothing else.
        wire.send(head + bytes.fromhex("81006000") + arp)
        assert world.run(is_answered)


def outer_bind(outer: Namespace, wire: socket.socket) -> None:
    with outer.entered():
        wire.bind(("wire", 0x0806))


def test_descriptors_that_do_not_fit_are_refused(pair: tuple[Namespace, Namespace]) -> None:
    inner, _ = pair
    with taken(inner) as world:
        read_fd, write_fd = os.pipe()
        os.close(write_fd)
        world.settings.interfaces = []
        with pytest.raises(RunscError, match="descriptors"):
            world.interfaces.add(world.settings, [read_fd])
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(read_fd)
