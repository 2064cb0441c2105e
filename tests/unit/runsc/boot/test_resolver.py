"""The sandbox's end of the relay of Docker's resolver; the test is the relay."""

import os
import socket
from collections.abc import Iterator

import pytest

from config import relay
from config.relay import TCP, UDP, RelayMessage
from netstack.endpoint import Address
from netstack.errors import NetError
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.protocol import TcpProtocol
from netstack.udp import UdpEndpoint
from runsc.boot import resolver
from runsc.boot.resolver import Resolver
from sentry.log import Log
from tests.fake_task import FakePlatform
from tests.unit.netstack.harness import SECOND, Host, Pair, ip

SERVER = Address(ip("127.0.0.11"), 53)
OUTSIDE = ip("10.0.0.2")
QUERY = b"\x12\x34" + bytes(10) + b"query"
ANSWER = b"\x12\x34" + bytes(10) + b"answer"
FAILURE = b"\x12\x34\x80\x82" + bytes(8) + b"query"


class World:
    """The host on the left has the resolver; the one on the right is outside."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.stack = self.pair.left.stack
        self.tcp = TcpProtocol(self.stack)
        self.outside_tcp = TcpProtocol(self.pair.right.stack)
        kind = socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK
        self.relay, theirs = socket.socketpair(socket.AF_UNIX, kind)
        self.platform = FakePlatform()
        self.resolver = Resolver(self.platform, Log(), self.stack, theirs.detach())

    def close(self) -> None:
        self.resolver.close()
        self.relay.close()

    def run(self) -> None:
        """Let the resolver see what the relay has sent, and packets arrive."""
        for _, watcher in list(self.platform.watched.values()):
            watcher.on_host_ready(1)
        self.stack.flush()
        self.pair.run()

    def take(self) -> RelayMessage:
        """Return what the relay is sent."""
        self.run()
        return relay.parse(self.relay.recv(relay.MAX_MESSAGE))

    def is_quiet(self) -> bool:
        """Return whether the relay is sent nothing."""
        self.run()
        try:
            self.relay.recv(relay.MAX_MESSAGE)
        except BlockingIOError:
            return True
        return False

    def give(self, kind: int, protocol: int, tag: int, dns: bytes, server: bytes = b"") -> None:
        """Have the relay send a message."""
        message = RelayMessage(kind, protocol, tag, dns)
        message.server = server
        self.relay.send(message.pack())
        self.run()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def new_udp(host: Host) -> UdpEndpoint:
    return host.udp.new_endpoint(4)


def ask_by_udp(world: World) -> UdpEndpoint:
    endpoint = new_udp(world.pair.left)
    endpoint.connect(SERVER)
    endpoint.send(QUERY)
    return endpoint


def connect(world: World) -> TcpEndpoint:
    endpoint = TcpEndpoint(world.tcp, 4)
    endpoint.connect(SERVER)
    world.run()
    return endpoint


def read(endpoint: TcpEndpoint) -> bytes | None:
    return endpoint.read(1 << 20)


def test_a_datagram_of_the_guest_is_answered(world: World) -> None:
    endpoint = ask_by_udp(world)
    query = world.take()
    assert (query.kind, query.protocol, query.dns) == (relay.INSIDE_QUERY, UDP, QUERY)
    world.give(relay.INSIDE_ANSWER, UDP, query.tag, ANSWER)
    datagram = endpoint.receive()
    assert datagram is not None
    assert datagram.payload == ANSWER


def test_each_socket_gets_its_own_answer(world: World) -> None:
    asking = [ask_by_udp(world) for _ in range(5)]
    tags = [world.take().tag for _ in asking]
    for tag in reversed(tags):
        world.give(relay.INSIDE_ANSWER, UDP, tag, b"%d" % tag)
    found = [endpoint.receive() for endpoint in asking]
    assert [one.payload for one in found if one is not None] == [b"%d" % tag for tag in tags]


def test_answers_that_nobody_waits_for_are_dropped(world: World) -> None:
    endpoint = ask_by_udp(world)
    tag = world.take().tag
    world.give(relay.INSIDE_ANSWER, UDP, tag + 1, ANSWER)
    world.give(relay.INSIDE_ANSWER, UDP, tag, b"")
    world.give(relay.INSIDE_ANSWER, UDP, tag, ANSWER)
    world.give(99, UDP, tag, ANSWER)
    assert endpoint.receive() is None


def test_datagrams_that_are_no_queries_go_nowhere(world: World) -> None:
    endpoint = new_udp(world.pair.left)
    endpoint.send(b"short", SERVER)
    assert world.is_quiet()


def test_port_53_stays_free_for_the_guest(world: World) -> None:
    udp, tcp = new_udp(world.pair.left), TcpEndpoint(world.tcp, 4)
    udp.bind(Address(b"", 53))
    tcp.bind(Address(b"", 53))
    tcp.listen(1)
    ask_by_udp(world)
    assert world.take().dns == QUERY
    connect(world)
    assert udp.receive() is None
    assert tcp.accept() is None
    asking = new_udp(world.pair.left)
    asking.send(QUERY, Address(ip("127.0.0.1"), 53))
    world.run()
    assert udp.receive() is not None


def test_several_queries_on_one_connection(world: World) -> None:
    endpoint = connect(world)
    endpoint.write(relay.prefix_length(QUERY) + relay.prefix_length(QUERY + b"2"))
    first, second = world.take(), world.take()
    assert (first.protocol, first.dns, second.dns) == (TCP, QUERY, QUERY + b"2")
    long = bytes(60000)
    world.give(relay.INSIDE_ANSWER, TCP, second.tag, long)
    got = read(endpoint) or b""
    world.run()
    got += read(endpoint) or b""
    assert got == relay.prefix_length(long)
    world.give(relay.INSIDE_ANSWER, TCP, first.tag, ANSWER)
    assert read(endpoint) == relay.prefix_length(ANSWER)


def test_a_query_without_an_answer_ends_its_connection(world: World) -> None:
    endpoint = connect(world)
    endpoint.write(relay.prefix_length(QUERY))
    world.give(relay.INSIDE_ANSWER, TCP, world.take().tag, b"")
    assert read(endpoint) == b""


def test_a_guest_that_asks_more_than_it_may(world: World) -> None:
    asked = 0
    for _ in range(resolver.MAX_ASKED + 10):
        ask_by_udp(world)
        asked += not world.is_quiet()
    assert asked == resolver.MAX_ASKED
    world.pair.run(resolver.TIMEOUT_NS + 2 * SECOND)
    ask_by_udp(world)
    assert not world.is_quiet()


def test_connections_are_limited_and_end(world: World) -> None:
    made = [connect(world) for _ in range(resolver.MAX_CLIENTS + 1)]
    assert read(made[-1]) == b""
    assert read(made[0]) is None
    world.pair.run(resolver.TIMEOUT_NS + 2 * SECOND)
    assert read(made[0]) == b""
    assert not world.resolver.clients


def test_one_connection_may_not_ask_without_end(world: World) -> None:
    endpoint = connect(world)
    endpoint.write(relay.prefix_length(QUERY) * 100)
    tags = []
    while len(tags) <= resolver.MAX_PIPELINED:
        try:
            tags.append(world.take().tag)
        except BlockingIOError:
            break
    assert len(tags) == resolver.MAX_PIPELINED
    world.give(relay.INSIDE_ANSWER, TCP, tags[0], ANSWER)
    assert not world.is_quiet()


def serve_udp(world: World) -> UdpEndpoint:
    endpoint = new_udp(world.pair.right)
    endpoint.bind(Address(b"", 53))
    return endpoint


def test_a_server_outside_is_asked_by_udp(world: World) -> None:
    server = serve_udp(world)
    world.give(relay.OUTSIDE_QUERY, UDP, 77, QUERY, OUTSIDE)
    datagram = server.receive()
    assert datagram is not None
    assert (datagram.payload, datagram.source.host) == (QUERY, ip("10.0.0.1"))
    server.send(b"\0\0 another number, so no answer", datagram.source)
    assert world.is_quiet()
    server.send(ANSWER, datagram.source)
    got = world.take()
    assert (got.kind, got.protocol, got.tag, got.dns) == (relay.OUTSIDE_ANSWER, UDP, 77, ANSWER)
    # The port is given back.
    assert [port for port in world.pair.left.udp.by_port if port != 53] == []


def test_a_server_that_refuses_or_is_silent_gives_no_answer(world: World) -> None:
    world.give(relay.OUTSIDE_QUERY, UDP, 1, QUERY, OUTSIDE)
    assert (world.take().dns, world.is_quiet()) == (FAILURE, True)
    world.give(relay.OUTSIDE_QUERY, TCP, 2, QUERY, OUTSIDE)
    assert (world.take().dns, world.is_quiet()) == (b"", True)
    world.give(relay.OUTSIDE_QUERY, TCP, 3, QUERY, ip("192.0.2.1"))  # no route
    assert (world.take().dns, world.is_quiet()) == (b"", True)
    world.give(relay.OUTSIDE_QUERY, UDP, 3, QUERY, ip("192.0.2.1"))
    assert (world.take().dns, world.is_quiet()) == (FAILURE, True)
    server = serve_udp(world)
    world.give(relay.OUTSIDE_QUERY, UDP, 4, QUERY, OUTSIDE)
    assert server.receive() is not None
    assert world.is_quiet()
    world.pair.run(resolver.TIMEOUT_NS + 2 * SECOND)
    got = world.take()
    assert (got.tag, got.dns) == (4, FAILURE)


def test_a_server_outside_is_asked_by_tcp(world: World) -> None:
    server = TcpEndpoint(world.outside_tcp, 4)
    server.bind(Address(b"", 53))
    server.listen(1)
    world.give(relay.OUTSIDE_QUERY, TCP, 78, QUERY, OUTSIDE)
    world.run()
    connection = server.accept()
    assert connection is not None
    assert read(connection) == relay.prefix_length(QUERY)
    long = bytes(range(256)) * 250
    whole = relay.prefix_length(long)
    while whole:
        done = connection.write(whole)
        whole = whole[done or 0 :]
        world.run()
    got = world.take()
    assert (got.tag, got.dns) == (78, long)
    world.run()
    assert read(connection) == b""


def test_queries_to_servers_are_limited(world: World) -> None:
    serve_udp(world)
    for tag in range(resolver.MAX_FORWARDED):
        world.give(relay.OUTSIDE_QUERY, UDP, tag, QUERY, OUTSIDE)
    assert world.is_quiet()
    world.give(relay.OUTSIDE_QUERY, UDP, 9999, QUERY, OUTSIDE)
    got = world.take()
    assert (got.tag, got.dns) == (9999, FAILURE)


def test_without_the_relay_nobody_answers(world: World) -> None:
    endpoint = connect(world)
    world.relay.close()
    world.run()
    assert not world.platform.watched
    assert read(endpoint) == b""
    asking = ask_by_udp(world)
    world.run()
    with pytest.raises(NetError):
        asking.receive()


def test_nonsense_of_the_relay_is_passed_over(world: World) -> None:
    for data in (b"x", os.urandom(5), bytes(8)):
        world.relay.send(data)
    ask_by_udp(world)
    assert world.take().dns == QUERY
