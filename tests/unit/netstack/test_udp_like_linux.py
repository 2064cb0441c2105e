"""Which endpoint gets a datagram, and what errors calls give: as the host's kernel has it."""

import errno
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack import errors
from netstack.datagram import PMTUDISC_DO
from netstack.endpoint import Address
from netstack.errors import NetError
from tests.unit.netstack.harness import CaptureLink, Host, VirtualEnvironment, ip

HOSTS = ("0.0.0.0", "127.0.0.1", "127.0.0.2", "::", "::ffff:127.0.0.1")
CLIENTS = ("127.0.0.1", "127.0.0.3")
NUMBERS = {
    errors.ADDRESS_IN_USE: errno.EADDRINUSE,
    errors.ADDRESS_NOT_AVAILABLE: errno.EADDRNOTAVAIL,
    errors.NOT_CONNECTED: errno.EDESTADDRREQ,
    errors.INVALID: errno.EINVAL,
    errors.ACCESS: errno.EACCES,
    errors.MESSAGE_TOO_LONG: errno.EMSGSIZE,
    errors.CONNECTION_REFUSED: errno.ECONNREFUSED,
    errors.FAMILY: errno.EAFNOSUPPORT,
    errors.BROKEN_PIPE: errno.EPIPE,
}

# Address, which client it is connected to (none: 2), bound to the loopback device.
SERVER = st.tuples(st.sampled_from(HOSTS), st.integers(0, 2))


def kernel_receiver(servers, destination, sender):
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in CLIENTS]
    opened = []
    try:
        for client, host in zip(clients, CLIENTS, strict=True):
            client.bind((host, 0))
        port = 0
        for host, peer in servers:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            made = socket.socket(family, socket.SOCK_DGRAM)
            opened.append(made)
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((host, port))
            port = made.getsockname()[1]
            if peer < 2:
                name = clients[peer].getsockname()
                made.connect(("::ffff:" + name[0], name[1]) if family == socket.AF_INET6 else name)
        clients[sender].sendto(b"x", (destination, port))
        return [index for index, made in enumerate(opened) if readable(made)]
    finally:
        for made in (*clients, *opened):
            made.close()


def readable(made):
    try:
        return made.recv(10) == b"x"
    except BlockingIOError:
        return False


def our_receiver(servers, destination, sender):
    host = Host(VirtualEnvironment(), CaptureLink())
    clients = []
    for text in CLIENTS:
        client = host.udp.new_endpoint(4)
        client.bind(Address(ip(text), 0))
        clients.append(client)
    opened, port = [], 0
    for text, peer in servers:
        made = host.udp.new_endpoint(6 if ":" in text else 4)
        made.reuse_address = True
        address = b"" if text == "::" else ip(text.removeprefix("::ffff:"))
        made.bind(Address(address, port))
        port = made.local_address().port
        if peer < 2:
            made.connect(clients[peer].local_address())
        opened.append(made)
    clients[sender].send(b"x", Address(ip(destination), port))
    host.stack.flush()
    return [index for index, made in enumerate(opened) if made.receive() is not None]


@given(
    st.lists(SERVER, min_size=1, max_size=5),
    st.sampled_from(("127.0.0.1", "127.0.0.2", "127.0.0.9")),
    st.integers(0, 1),
)
@settings(max_examples=150, deadline=None)
def test_the_same_endpoint_gets_the_datagram(servers, destination, sender):
    ours = our_receiver(servers, destination, sender)
    assert ours == kernel_receiver(servers, destination, sender)


def kernel_number(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return 0


def our_number(call, *arguments):
    try:
        call(*arguments)
    except NetError as error:
        return NUMBERS[error.code]
    return 0


def test_calls_fail_alike():
    host = Host(VirtualEnvironment(), CaptureLink())
    theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours = host.udp.new_endpoint(4)
    here = ip("127.0.0.1")
    theirs.bind(("127.0.0.1", 0))
    ours.bind(Address(here, 0))
    steps = (
        ("bind", lambda: theirs.bind(("", 0)), lambda: ours.bind(Address(b"", 0))),
        ("send", lambda: theirs.send(b"x"), lambda: ours.send(b"x")),
        (
            "broadcast",
            lambda: theirs.sendto(b"x", ("127.255.255.255", 9)),
            lambda: ours.send(b"x", Address(ip("127.255.255.255"), 9)),
        ),
        (
            "port 0",
            lambda: theirs.sendto(b"x", ("127.0.0.1", 0)),
            lambda: ours.send(b"x", Address(here, 0)),
        ),
        (
            "long",
            lambda: theirs.sendto(bytes(65508), ("127.0.0.1", 9)),
            lambda: ours.send(bytes(65508), Address(here, 9)),
        ),
        (
            "connect",
            lambda: theirs.connect(("127.0.0.1", 1)),
            lambda: ours.connect(Address(here, 1)),
        ),
        ("send", lambda: theirs.send(b"x"), lambda: (ours.send(b"x"), host.stack.flush())),
        ("refused", lambda: theirs.send(b"x"), lambda: ours.send(b"x")),
        (
            "do not fragment",
            lambda: (
                theirs.setsockopt(socket.IPPROTO_IP, 10, PMTUDISC_DO),
                theirs.sendto(bytes(65507), ("127.0.0.1", 9)),
            ),
            lambda: ours.send(bytes(65507), Address(here, 9)),
        ),
        ("shut", lambda: theirs.shutdown(socket.SHUT_WR), lambda: ours.shutdown(2)),
        ("send", lambda: theirs.send(b"x"), lambda: ours.send(b"x")),
    )
    for name, native, own in steps:
        assert our_number(own) == kernel_number(native), name
    theirs.close()
