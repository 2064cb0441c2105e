"""The relay of Docker's resolver, in a namespace of its own; the test is resolver and sandbox."""

import _socket
import errno
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import relay as wire
from config.relay import RESOLVER, TCP, UDP, RelayMessage
from runsc.boot import relay
from runsc.errors import RunscError
from runsc.sandbox import resolver
from runsc.sandbox.resolver import Handed
from runsc.sandbox.rtnetlink import Netlink
from runsc.sandbox.state import Container
from tests.harness.netns import Namespace, namespaces

pytestmark = pytest.mark.root

QUERY = b"\x12\x34" + bytes(10) + b"query"
ANSWER = b"\x12\x34" + bytes(10) + b"answer"
SERVERS = ["192.0.2.9", "2001:db8::9"]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with namespaces(1) as (made,):
        yield made


def with_netlink(namespace: Namespace, do: Callable[[Netlink], None]) -> None:
    with namespace.entered():
        netlink = Netlink()
        try:
            do(netlink)
        finally:
            netlink.close()


def test_a_container_that_has_ended_gets_no_relay(namespace: Namespace, tmp_path: Path) -> None:
    container = Container(str(tmp_path), "box")
    container.pid, container.started_at = os.getpid(), 1  # another process has its number
    with namespace.entered(), pytest.raises(RunscError, match="cannot start the relay"):
        resolver.start_relay(container)


class RunningRelay:
    """A relay in a process of its own."""

    def __init__(self, namespace: Namespace, *, outside: bool) -> None:
        self.link, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK
        )
        self.link.setblocking(True)
        self.link.settimeout(5)
        handed = Handed(theirs)
        told_read, told_write = os.pipe()
        with namespace.entered():
            if outside:
                resolver._open_sockets(handed)
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    self.link.close()
                    relay.run(handed, told_write)
                finally:
                    os._exit(0)
        os.close(told_write)
        handed.close()
        assert os.read(told_read, 1) == b"g"
        os.close(told_read)

    def take(self) -> RelayMessage:
        return wire.parse(self.link.recv(wire.MAX_MESSAGE))

    def give(self, kind: int, protocol: int, tag: int, dns: bytes) -> None:
        self.link.send(RelayMessage(kind, protocol, tag, dns).pack())

    def status(self) -> int:
        """Close the link, and return how the process ends."""
        self.link.close()
        deadline = time.monotonic() + 5
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)


@pytest.fixture
def outside(namespace: Namespace) -> Iterator[RunningRelay]:
    """A relay to which queries to servers outside come."""
    with_netlink(namespace, resolver.catch_queries)
    made = RunningRelay(namespace, outside=True)
    yield made
    assert made.status() == 0


@pytest.fixture
def inside(namespace: Namespace) -> Iterator[RunningRelay]:
    made = RunningRelay(namespace, outside=False)
    yield made
    assert made.status() == 0


def new_socket(namespace: Namespace, kind: int, family: int = socket.AF_INET) -> socket.socket:
    with namespace.entered():
        made = socket.socket(family, kind)
    made.settimeout(5)
    return made


def test_queries_are_caught_and_released_without_a_trace(namespace: Namespace) -> None:
    before = namespace.snapshot()
    for _ in range(2):
        with_netlink(namespace, resolver.catch_queries)
    assert namespace.snapshot() != before
    for _ in range(2):
        with_netlink(namespace, resolver.release_queries)
    assert namespace.snapshot() == before


def test_nothing_but_queries_is_caught(namespace: Namespace) -> None:
    with_netlink(namespace, resolver.catch_queries)
    found = {}
    for kind, port in ((socket.SOCK_DGRAM, 53), (socket.SOCK_DGRAM, 54), (socket.SOCK_STREAM, 80)):
        with new_socket(namespace, kind) as sock:
            found[port] = sock.connect_ex(("192.0.2.9", port))
    assert found == {53: 0, 54: errno.ENETUNREACH, 80: errno.ENETUNREACH}


def test_the_resolver_is_noticed(namespace: Namespace) -> None:
    with namespace.entered():
        assert not resolver.is_present()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
            listening.bind((RESOLVER, 0))
            assert resolver.is_present()
        assert not resolver.is_present()


@pytest.mark.parametrize("server", SERVERS)
def test_a_datagram_to_a_server_is_answered_from_there(
    namespace: Namespace, outside: RunningRelay, server: str
) -> None:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    asking = new_socket(namespace, socket.SOCK_DGRAM, family)
    with asking:
        asking.connect((server, 53))
        asking.send(QUERY)
        query = outside.take()
        assert (query.kind, query.protocol, query.dns) == (wire.OUTSIDE_QUERY, UDP, QUERY)
        assert query.server == socket.inet_pton(family, server)
        outside.give(wire.OUTSIDE_ANSWER, UDP, query.tag + 1, b"of another query")
        outside.give(wire.OUTSIDE_ANSWER, UDP, query.tag, ANSWER)
        # Connected: only what comes from the server is received.
        assert asking.recv(100) == ANSWER


@pytest.mark.parametrize("server", SERVERS)
def test_a_connection_to_a_server_is_answered(
    namespace: Namespace, outside: RunningRelay, server: str
) -> None:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    long = bytes(range(256)) * 255
    with new_socket(namespace, socket.SOCK_STREAM, family) as asking:
        asking.connect((server, 53))
        for _ in range(2):
            whole = wire.prefix_length(QUERY)
            asking.sendall(whole[:5])
            time.sleep(0.05)
            asking.sendall(whole[5:])
            query = outside.take()
            assert (query.protocol, query.dns) == (TCP, QUERY)
            assert query.server == socket.inet_pton(family, server)
            outside.give(wire.OUTSIDE_ANSWER, TCP, query.tag, long)
            with asking.makefile("rb") as file:
                assert file.read(len(long) + 2) == wire.prefix_length(long)


def test_a_connection_without_an_answer_ends(namespace: Namespace, outside: RunningRelay) -> None:
    with new_socket(namespace, socket.SOCK_STREAM) as asking:
        asking.connect(("192.0.2.9", 53))
        asking.sendall(wire.prefix_length(QUERY))
        outside.give(wire.OUTSIDE_ANSWER, TCP, outside.take().tag, b"")
        assert asking.recv(10) == b""


def test_what_is_meant_for_the_resolver_itself_does_not_come_back(
    namespace: Namespace, outside: RunningRelay
) -> None:
    with new_socket(namespace, socket.SOCK_DGRAM) as asking:
        asking.sendto(QUERY, (RESOLVER, 53))
        asking.sendto(QUERY + b"2", ("192.0.2.9", 53))
        assert outside.take().dns == QUERY + b"2"


class FakeResolver:
    """Answers with the query in capitals, by UDP and by TCP."""

    def __init__(self, namespace: Namespace) -> None:
        self.udp = new_socket(namespace, socket.SOCK_DGRAM)
        self.udp.bind((RESOLVER, 53))
        self.tcp = new_socket(namespace, socket.SOCK_STREAM)
        self.tcp.bind((RESOLVER, 53))
        self.tcp.listen()

    def answer_datagram(self) -> None:
        data, peer = self.udp.recvfrom(65535)
        self.udp.sendto(data.upper(), peer)

    def answer_connection(self) -> None:
        connection, _ = self.tcp.accept()
        with connection, connection.makefile("rb") as file:
            data = file.read(int.from_bytes(file.read(2), "big"))
            connection.sendall(wire.prefix_length(data.upper()))

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()


@pytest.fixture
def resolving(namespace: Namespace) -> Iterator[FakeResolver]:
    made = FakeResolver(namespace)
    yield made
    made.close()


@pytest.mark.parametrize("protocol", [UDP, TCP])
def test_the_guests_queries_reach_the_resolver(
    inside: RunningRelay, resolving: FakeResolver, protocol: int
) -> None:
    query = QUERY + (b"x" * 60000 if protocol == TCP else b"")
    inside.give(wire.INSIDE_QUERY, protocol, 5, query)
    (resolving.answer_datagram if protocol == UDP else resolving.answer_connection)()
    got = inside.take()
    assert (got.kind, got.protocol, got.tag) == (wire.INSIDE_ANSWER, protocol, 5)
    assert got.dns == query.upper()


@pytest.mark.parametrize("protocol", [UDP, TCP])
def test_without_a_resolver_there_is_no_answer(inside: RunningRelay, protocol: int) -> None:
    inside.give(wire.INSIDE_QUERY, protocol, 6, QUERY)
    got = inside.take()
    assert (got.kind, got.tag, got.dns) == (wire.INSIDE_ANSWER, 6, b"")


def test_a_flood_of_queries_is_cut_off(inside: RunningRelay, resolving: FakeResolver) -> None:
    count = relay.MAX_PARTIES + 100
    sending = threading.Thread(
        target=lambda: [inside.give(wire.INSIDE_QUERY, UDP, tag, QUERY) for tag in range(count)]
    )
    sending.start()
    refused = [inside.take() for _ in range(100)]
    sending.join()
    assert {got.dns for got in refused} == {b""}
    assert [got.tag for got in refused] == list(range(relay.MAX_PARTIES, count))


def test_a_rate_has_a_limit() -> None:
    bucket = relay.Bucket()
    taken = sum(bucket.take() for _ in range(10 * int(relay.BURST)))
    assert relay.BURST <= taken < 2 * relay.BURST


def confined(do: Callable[[], object]) -> int:
    """Return how a process ends that is confined as the relay is, and then does something."""
    pid = os.fork()
    if pid == 0:
        try:
            relay.confine()
            do()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("name", "status"),
    [("inet", 0), ("open", -31), ("inet6", -31), ("unix", -31), ("packet", -31), ("fork", -31)],
)
def test_the_relay_can_make_ipv4_sockets_and_nothing_else(name: str, status: int) -> None:
    dgram = socket.SOCK_DGRAM
    what: dict[str, Callable[[], object]] = {
        "inet": lambda: _socket.socket(socket.AF_INET, dgram).close(),
        "open": lambda: os.open("/dev/null", os.O_RDONLY),
        "inet6": lambda: _socket.socket(socket.AF_INET6, dgram),
        "unix": lambda: _socket.socket(socket.AF_UNIX, dgram),
        "packet": lambda: _socket.socket(socket.AF_PACKET, dgram),
        "fork": os.fork,
    }
    assert confined(what[name]) == status
