"""Who may bind what, as Linux says."""

import pytest

from netstack import errors
from netstack.errors import NetError
from netstack.ports import ANY_BOTH, ANY_IPV4, ANY_IPV6, Binding, PortFilter, PortTable
from netstack.settings import Settings
from tests.unit.netstack.harness import VirtualEnvironment, ip


def table():
    return PortTable(VirtualEnvironment(), Settings())


def binding(host="", port=80, versions=ANY_IPV4, **fields):
    made = Binding(ip(host) if host else b"", port, versions)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


A, B = "10.0.0.1", "10.0.0.2"
REUSE = {"reuse_address": True}
SHARE = {"reuse_port": True}


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        (binding(A), binding(A), True),
        (binding(A), binding(B), False),
        (binding(), binding(A), True),
        (binding(A), binding(), True),
        (binding(A), binding(A, 81), False),
        (binding(**REUSE), binding(**REUSE), False),
        (binding(**REUSE), binding(), True),
        (binding(**REUSE, is_listening=True), binding(**REUSE), True),
        (binding(A, **REUSE), binding(B, **REUSE, is_listening=True), False),
        (binding(**SHARE, is_listening=True), binding(**SHARE, is_listening=True), False),
        (binding(**SHARE), binding(**SHARE, user=1000), True),
        (binding(**SHARE), binding(**REUSE), True),
        (binding(versions=ANY_BOTH), binding(), True),
        (binding(versions=ANY_BOTH), binding(A), True),
        (binding(versions=ANY_IPV6), binding(), False),
        (binding(versions=ANY_IPV6), binding(versions=ANY_BOTH), True),
        (binding(interface_index=1), binding(interface_index=2), False),
        (binding(interface_index=1), binding(), True),
    ],
)
def test_conflicts(first, second, conflict):
    ports = table()
    ports.bind(first)
    if conflict:
        with pytest.raises(NetError) as caught:
            ports.bind(second)
        assert caught.value.code == errors.ADDRESS_IN_USE
        ports.release(first)
    ports.bind(second)
    ports.release(second)


def test_a_binding_is_held_until_nobody_uses_it():
    ports = table()
    first = binding(A)
    ports.bind(first)
    ports.hold(first)
    ports.release(first)
    assert ports.conflicts(binding(A))
    ports.release(first)
    assert not ports.conflicts(binding(A))
    assert ports.bindings == {}


def test_ephemeral_ports_are_in_the_range_unreserved_and_run_out():
    ports = table()
    ports.settings.ip_local_port_low, ports.settings.ip_local_port_high = 40000, 40009
    ports.settings.ip_local_reserved_ports = frozenset((40003,))
    seen = []
    for _ in range(9):
        made = binding(port=0)
        ports.bind(made)
        seen.append(made.port)
    assert sorted(seen) == [n for n in range(40000, 40010) if n != 40003]
    assert seen != sorted(seen)
    with pytest.raises(NetError):
        ports.bind(binding(port=0))
    # Ports are shared by addresses that do not overlap, but not by SO_REUSEADDR.
    with pytest.raises(NetError):
        ports.bind(binding(port=0, **REUSE))
    ports.bind(binding(port=0, versions=ANY_IPV6))


class OnlyOdd(PortFilter):
    def is_usable(self, port, bindings):
        return port & 1 == 1


def test_connections_get_ports_by_hash():
    ports = table()
    first = ports.find_ephemeral(ip(A), ip(B), 80, PortFilter())
    second = ports.find_ephemeral(ip(A), ip(B), 80, PortFilter())
    low, high = ports.settings.ip_local_port_low, ports.settings.ip_local_port_high
    assert first != second
    assert low <= first <= high
    assert ports.find_ephemeral(ip(A), ip(B), 80, OnlyOdd()) & 1
    spread = {ports.find_ephemeral(ip(A), bytes((1, 2, 3, n)), 80, PortFilter()) for n in range(50)}
    assert len(spread) > 45
    ports.settings.ip_local_port_high = low
    ports.bind(binding(port=low))
    assert ports.find_ephemeral(ip(A), ip(B), 80, PortFilter()) == 0
