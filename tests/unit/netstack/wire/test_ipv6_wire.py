"""The formats of IPv6 and its extension headers, byte by byte."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.wire import address6, ipv6

SOURCE = ipaddress.IPv6Address("2001:db8::1").packed
DESTINATION = ipaddress.IPv6Address("2001:db8::2").packed


def packet(first, payload, destination=DESTINATION):
    return ipv6.build_header(SOURCE, destination, first, 64, len(payload)) + payload


def walked(first, payload, destination=DESTINATION):
    data = packet(first, payload, destination)
    return ipv6.walk(data, 0, len(data))


def test_a_header():
    header = ipv6.build_header(SOURCE, DESTINATION, 58, 255, 0x1234, 0xB8, 0xABCDE)
    assert header.hex() == (
        "6b8abcde12343aff20010db800000000000000000000000120010db8000000000000000000000002"
    )
    assert ipv6.traffic_class(header, 0) == 0xB8
    assert ipv6.flow_label(header, 0) == 0xABCDE
    assert ipv6.payload_length(header, 0) == 0x1234


def test_a_fragment_header():
    assert ipv6.build_fragment_header(17, 1448, 0x01020304, 1).hex() == "110005a901020304"


def test_the_pseudo_header():
    made = ipv6.pseudo_header(SOURCE, DESTINATION, 0x10203, 58)
    assert made == SOURCE + DESTINATION + bytes((0, 1, 2, 3, 0, 0, 0, 58))


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (packet(58, b"abc"), True),
        (packet(58, b"abc") + b"padding", True),
        (packet(58, b"abc")[:-1], False),
        (packet(58, b"")[:39], False),
        (b"\x40" + packet(58, b"")[1:], False),
    ],
)
def test_well_formed(data, good):
    assert ipv6.is_well_formed(data, 0, len(data)) is good


def test_a_chain_of_headers():
    chain = walked(
        0,
        bytes.fromhex("3c00 05020000 0100")  # hop-by-hop: router alert, padding
        + bytes.fromhex("2b01 1e050000000000 01050000000000")  # an option that may be skipped
        + bytes.fromhex("3a00 0400 00000000"),  # routing with nothing left
    )
    assert (chain.is_malformed, chain.protocol, chain.transport) == (False, 58, 40 + 8 + 16 + 8)
    assert (chain.router_alert, chain.next_header_at) == (0, 40 + 8 + 16)


def test_fragments():
    chain = walked(44, bytes.fromhex("110005a9 01020304") + bytes(16))
    assert (chain.protocol, chain.transport) == (44, 40)
    assert (chain.fragment_offset, chain.has_more_fragments) == (1448, True)
    assert chain.identification == 0x01020304
    # Atomic (RFC 6946): nothing was cut, so it is no fragment.
    chain = walked(44, bytes.fromhex("11000000 01020304") + bytes(16))
    assert (chain.protocol, chain.transport, chain.is_malformed) == (17, 48, False)


@pytest.mark.parametrize(
    ("first", "payload", "problem", "at"),
    [
        (44, "11000001 00000000 000000", 0, 4),  # not the last, and no multiple of 8
        (44, "1100fff8 00000000 0000000000000000", 0, 42),  # beyond 65535
        (43, "3a00 0001 00000000", 0, 42),  # a route of type 0
        (60, "3a00 8004 00000000", 2, 42),
        (60, "3a00 c004 00000000", 2, 42),
        (60, "3a00 4004 00000000", -1, 0),
        (60, "3a00 0109 00000000", -1, 0),  # an option longer than its header
        (60, "3a01 0000 00000000", -1, 0),  # a header longer than the packet
        (60, "3a01 0106000000000000 010400000000", -1, 0),  # padding of 14 bytes
        (60, "3a00 0104 00000001", -1, 0),  # padding that is not zero
        (60, "3a02 0500" + "1e00" * 10 + "0100", -1, 0),  # too many options
        (60, "3a", -1, 0),
    ],
)
def test_malformed_chains(first, payload, problem, at):
    chain = walked(first, bytes.fromhex(payload))
    assert chain.is_malformed
    assert chain.problem == problem
    if problem >= 0:
        assert chain.problem_at == at


def test_unknown_options_to_groups():
    group = address6.ALL_NODES
    assert walked(60, bytes.fromhex("3a00c00400000000"), group).problem == -1
    assert walked(60, bytes.fromhex("3a00800400000000"), group).problem == 2
    assert not walked(60, bytes.fromhex("3a003e0400000000"), group).is_malformed


def test_headers_without_end_are_cut_short():
    chain = walked(60, bytes.fromhex("3c00010400000000") * 100)
    assert chain.is_malformed
    assert ipv6.find_upper(packet(60, bytes.fromhex("3c00010400000000") * 100), 0, 840)[0] == 60


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([0, 43, 44, 58, 60]), st.binary(max_size=100))
def test_walking_stays_inside(first, payload):
    data = packet(first, payload)
    chain = ipv6.walk(data, 0, len(data))
    if not chain.is_malformed:
        assert 40 <= chain.transport <= len(data)
        if chain.protocol not in (0, 44):
            assert ipv6.find_upper(data, 0, len(data)) == (chain.protocol, chain.transport)
    ipv6.unfragmentable_length(data, 0, len(data))


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("2001:db8::1", 14),
        ("fe80::1", 2),
        ("fec0::1", 5),
        ("::1", 2),
        ("::ffff:127.0.0.1", 2),
        ("::ffff:169.254.1.1", 2),
        ("::ffff:10.0.0.1", 14),
        ("ff02::1", 2),
        ("ff05::2", 5),
        ("fc00::1", 14),
    ],
)
def test_scopes(text, scope):
    assert address6.scope_of(ipaddress.IPv6Address(text).packed) == scope


def test_addresses():
    host = ipaddress.IPv6Address("2001:db8::1234:5678").packed
    assert str(ipaddress.IPv6Address(address6.solicited_node(host))) == "ff02::1:ff34:5678"
    assert address6.multicast_link_address(address6.solicited_node(host)).hex() == "3333ff345678"
    # RFC 4291, appendix A.
    made = address6.modified_eui64(bytes.fromhex("3456789abcde"))
    assert made.hex() == "365678fffe9abcde"
    assert address6.common_prefix_length(SOURCE, DESTINATION) == 126
    joined = address6.with_prefix(SOURCE, 64, bytes(8) + made)
    assert joined == SOURCE[:8] + made
    assert address6.is_reserved_identifier(bytes(8))
    assert address6.is_reserved_identifier(bytes.fromhex("fdffffffffffff80"))
    assert not address6.is_reserved_identifier(made)
