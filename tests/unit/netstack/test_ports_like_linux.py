"""The port table's verdict on every pair of bindings is that of the host's kernel."""

import itertools
import socket

import pytest

from netstack.errors import NetError
from netstack.ports import ANY_BOTH, ANY_IPV4, ANY_IPV6, Binding, PortTable
from netstack.settings import Settings
from tests.unit.netstack.harness import VirtualEnvironment

# Family, address, IPV6_V6ONLY.
PLACES = (
    (socket.AF_INET, "0.0.0.0", False),
    (socket.AF_INET, "127.0.0.1", False),
    (socket.AF_INET, "127.0.0.2", False),
    (socket.AF_INET6, "::", False),
    (socket.AF_INET6, "::", True),
    (socket.AF_INET6, "::1", False),
    (socket.AF_INET6, "::ffff:127.0.0.1", False),
)
NOTHING, REUSE_ADDRESS, REUSE_PORT, BOTH = range(4)


def real(kind, place, reuse, port, listens):
    """Return a bound socket of the host's kernel, or None."""
    family, host, only_v6 = place
    made = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse & REUSE_ADDRESS)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(reuse & REUSE_PORT != 0))
        made.bind((host, port))
        if listens:
            made.listen(1)
    except OSError:
        made.close()
        return None
    return made


def ours(table, place, reuse, port):
    """Return a binding of our table, or None."""
    family, host, only_v6 = place
    if family == socket.AF_INET:
        versions, address = ANY_IPV4, socket.inet_pton(family, host)
    elif host.startswith("::ffff:"):
        versions, address = ANY_IPV4, socket.inet_pton(family, host)[12:]
    else:
        address = socket.inet_pton(family, host)
        versions = ANY_IPV6 if only_v6 or any(address) else ANY_BOTH
    made = Binding(address if any(address) else b"", port, versions)
    made.reuse_address = reuse & REUSE_ADDRESS != 0
    made.reuse_port = reuse & REUSE_PORT != 0
    try:
        table.bind(made)
    except NetError:
        return None
    return made


@pytest.mark.parametrize(
    ("kind", "listens"),
    [(socket.SOCK_DGRAM, False), (socket.SOCK_STREAM, False), (socket.SOCK_STREAM, True)],
)
def test_pairs(kind, listens):
    differ = []
    for first, second in itertools.product(PLACES, repeat=2):
        for one, two in itertools.product((NOTHING, REUSE_ADDRESS, REUSE_PORT, BOTH), repeat=2):
            holder = real(kind, first, one, 0, listens)
            port = holder.getsockname()[1]
            rival = real(kind, second, two, port, False)
            table = PortTable(VirtualEnvironment(), Settings())
            held = ours(table, first, one, port)
            held.is_listening = listens
            allowed = ours(table, second, two, port) is not None
            if allowed != (rival is not None):
                differ.append((first, one, second, two, "kernel allows", rival is not None))
            holder.close()
            if rival is not None:
                rival.close()
    assert differ == []
