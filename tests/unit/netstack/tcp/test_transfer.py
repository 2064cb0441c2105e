"""Streams arrive intact, whatever the wire does."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.packets.wire import MS, Pair, Transfer


def exchange(pair: Pair, size: int, limit_s: int = 600) -> float:
    """Send `size` bytes in both directions; return the seconds that took."""
    server = pair.connect()
    source = random.Random(size)
    up = Transfer(pair.client, server, source.randbytes(size))
    down = Transfer(server, pair.client, source.randbytes(size))
    begun = pair.environment.now
    while not (up.is_done and down.is_done):
        up.step()
        down.step()
        pair.environment.advance(5 * MS)
        assert pair.environment.now - begun < limit_s * 1000 * MS, (
            pair.client.connection,
            server.connection,
            up.at,
            down.at,
            sum(map(len, up.got)),
            sum(map(len, down.got)),
        )
    assert up.result() == up.data
    assert down.result() == down.data
    taken = (pair.environment.now - begun) / 1e9
    pair.client.close()
    server.close()
    pair.listening.close()
    pair.environment.advance(200_000 * MS)
    assert pair.left.tcp.flows == {}
    assert pair.right.tcp.flows == {}
    assert pair.left.tcp.ports.bindings == {}
    assert pair.right.tcp.ports.bindings == {}
    assert pair.left.tcp.orphans == pair.right.tcp.orphans == 0
    assert pair.left.tcp.counters.CurrEstab == 0
    assert pair.environment.armed() == 0
    return taken


def test_perfect_wire() -> None:
    exchange(Pair(), 200_000, 60)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("sack", [True, False])
@pytest.mark.parametrize("timestamps", [True, False])
def test_bad_wire(seed: int, sack: bool, timestamps: bool) -> None:
    pair = Pair(seed + 1, gso=65536 if seed % 2 else 0)
    for stack in (pair.left, pair.right):
        stack.tcp.settings.sack = sack
        stack.tcp.settings.timestamps = timestamps
        stack.tcp.settings.recovery = seed % 3 != 0
        stack.tcp.settings.congestion_control = "reno" if seed % 4 == 3 else "cubic"
        stack.path.loss = (0.0, 0.01, 0.05, 0.1)[seed % 4]
        stack.path.duplicate = (0.0, 0.02, 0.1)[seed % 3]
        stack.path.reorder = (0.0, 0.05, 0.2, 0.0, 0.1)[seed % 5]
        stack.path.jitter = seed % 3 * MS
    exchange(pair, 60_000 + seed * 1000, 1200)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    loss=st.floats(0, 0.2),
    duplicate=st.floats(0, 0.2),
    reorder=st.floats(0, 0.3),
    delay=st.integers(0, 100),
    mtu=st.integers(300, 9000),
)
def test_any_wire(
    seed: int, loss: float, duplicate: float, reorder: float, delay: int, mtu: int
) -> None:
    pair = Pair(seed, mtu, gso=65536 if seed % 2 else 0)
    for path in pair.paths():
        path.loss, path.duplicate, path.reorder = loss, duplicate, reorder
        path.delay = delay * MS
    exchange(pair, 20_000, 3600)
