"""The messages of neighbour discovery and multicast listener discovery, byte by byte."""

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.wire import icmp6, mld, ndp

TARGET = bytes.fromhex("fe800000000000000000000000000001")
DESTINATION = bytes.fromhex("20010db8000000000000000000000001")
LINK = bytes.fromhex("020000000001")
GROUP = bytes.fromhex("ff020000000000000000000000001234")


def test_a_neighbour_solicitation():
    message = ndp.build_neighbour_solicitation(TARGET, ndp.link_address_option(1, LINK))
    assert message.hex() == (
        "8700000000000000" "fe800000000000000000000000000001" "0101020000000001"
    )  # fmt: skip
    parsed = ndp.parse_neighbour_solicitation(message)
    assert (parsed.target, parsed.options.source_link_address) == (TARGET, LINK)


def test_a_neighbour_advertisement():
    flags = ndp.FLAG_SOLICITED | ndp.FLAG_OVERRIDE
    message = ndp.build_neighbour_advertisement(TARGET, flags, ndp.link_address_option(2, LINK))
    assert message.hex() == (
        "8800000060000000" "fe800000000000000000000000000001" "0201020000000001"
    )  # fmt: skip
    parsed = ndp.parse_neighbour_advertisement(message)
    assert (parsed.target, parsed.flags) == (TARGET, flags)
    assert parsed.options.target_link_address == LINK


def test_a_router_advertisement_with_everything():
    message = bytes.fromhex(
        "86000000 40c8 0708 00007530 000003e8"
        "0101020000000001"  # source link-layer address
        "0501000000000578"  # MTU 1400
        "030440c0 00015180 00003840 00000000 20010db8000000000000000000000000"
        "18023018 00000e10 20010db800010000"  # a route, 48 bits, low preference
        "19030000 00000258 20010db8000000000000000000000053"  # a DNS server
        "fe01000000000000"  # nobody knows
    )
    parsed = ndp.parse_router_advertisement(message)
    assert (parsed.hop_limit, parsed.is_managed, parsed.has_other_configuration) == (64, True, True)
    assert (parsed.preference, parsed.lifetime_s) == (ndp.PREFERENCE_HIGH, 1800)
    assert (parsed.reachable_ms, parsed.retransmit_ms) == (30000, 1000)
    options = parsed.options
    assert (options.source_link_address, options.mtu) == (LINK, 1400)
    (prefix,) = options.prefixes
    assert (prefix.host.hex(), prefix.length) == ("20010db8" + "0" * 24, 64)
    assert (prefix.is_on_link, prefix.is_autonomous) == (True, True)
    assert (prefix.valid_s, prefix.preferred_s) == (86400, 14400)
    (route,) = options.routes
    assert (route.host.hex(), route.length) == ("20010db800010000" + "0" * 16, 48)
    assert (route.preference, route.lifetime_s) == (ndp.PREFERENCE_LOW, 3600)
    assert [server.hex()[-2:] for server in options.servers] == ["53"]
    assert options.servers_lifetime_s == 600
    again = ndp.build_router_advertisement(parsed, message[16:])
    assert again == message


def test_a_redirect():
    options = ndp.link_address_option(2, LINK) + ndp.redirected_option(bytes(range(19)))
    message = ndp.build_redirect(TARGET, DESTINATION, options)
    assert message[:8].hex() == "8900000000000000"
    assert message[40:].hex() == (
        "0201020000000001" "0403000000000000" "000102030405060708090a0b0c0d0e0f"
    )  # fmt: skip
    parsed = ndp.parse_redirect(message)
    assert (parsed.target, parsed.destination) == (TARGET, DESTINATION)
    assert parsed.options.redirected == bytes(range(16))
    # Through an address that is not link-local nobody is redirected.
    assert (
        ndp.parse_redirect(ndp.build_redirect(DESTINATION[:15] + b"\x02", DESTINATION, b"")) is None
    )


def test_options_of_no_length_or_beyond_the_end_are_invalid():
    good = ndp.build_neighbour_solicitation(TARGET, b"")
    assert ndp.parse_neighbour_solicitation(good) is not None
    for tail in (b"\x01\x00" + bytes(6), b"\x01\x02" + bytes(6), b"\x01", b"\x01\x01" + bytes(5)):
        assert ndp.parse_neighbour_solicitation(good + tail) is None
    assert ndp.parse_neighbour_solicitation(good[:-1]) is None
    assert ndp.parse_neighbour_solicitation(b"\x87\x01" + good[2:]) is None
    to_group = ndp.build_neighbour_solicitation(GROUP, b"")
    assert ndp.parse_neighbour_solicitation(to_group) is None


def test_queries_of_both_versions():
    query = mld.parse_query(bytes.fromhex("8200000003e80000") + GROUP)
    assert (query.version, query.group, query.max_response_ms) == (1, GROUP, 1000)
    query = mld.parse_query(
        bytes.fromhex("8200000003e80000") + GROUP + bytes.fromhex("0a7d0001") + DESTINATION
    )
    assert (query.version, query.robustness, query.interval_s) == (2, 2, 125)
    assert query.sources == [DESTINATION]
    for size in (23, 25, 27):
        assert mld.parse_query(bytes(size)) is None
    assert mld.parse_query(bytes(26) + b"\x00\x01") is None


def test_codes_with_an_exponent():
    assert [mld.response_delay(code) for code in (0, 0x7FFF, 0x8000, 0x8001, 0xFFFF)] == [
        0,
        32767,
        32768,
        32776,
        8387584,
    ]
    assert [mld.query_interval(code) for code in (0x7F, 0x80, 0x8F, 0xFF)] == [127, 128, 248, 31744]


def test_a_report():
    record = mld.Record(mld.ALLOW_NEW_SOURCES, GROUP, [DESTINATION])
    message = mld.build_report([record, mld.Record(mld.MODE_IS_EXCLUDE, GROUP, [])])
    assert message == (
        bytes.fromhex("8f00000000000002" "05000001") + GROUP + DESTINATION
        + bytes.fromhex("02000000") + GROUP
    )  # fmt: skip
    again = mld.parse_report(message)
    assert [(one.kind, one.group, one.sources) for one in again] == [
        (5, GROUP, [DESTINATION]),
        (2, GROUP, []),
    ]
    assert mld.parse_report(message[:-1]) is None


def test_version_1_messages():
    assert mld.build_version1(131, GROUP) == bytes.fromhex("8300000000000000") + GROUP
    assert mld.parse_version1(mld.build_version1(132, GROUP)) == GROUP
    assert mld.parse_version1(bytes(24)) == b""


def test_errors_and_echoes():
    assert icmp6.build_error(2, 0, 1280, b"quoted") == bytes.fromhex("0200000000000500") + b"quoted"
    assert icmp6.build_echo_header(128, 0x1234, 1).hex() == "8000000012340001"
    assert icmp6.is_error(127)
    assert not icmp6.is_error(128)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(data):
    for parse in (
        ndp.parse_neighbour_solicitation,
        ndp.parse_neighbour_advertisement,
        ndp.parse_router_solicitation,
        ndp.parse_router_advertisement,
        ndp.parse_redirect,
        mld.parse_query,
        mld.parse_report,
    ):
        parsed = parse(data)
        assert parsed is None or len(data) >= 8
    mld.parse_version1(data)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 5), st.binary(max_size=46)), max_size=4)
)
def test_options_that_fit_never_raise(parts):
    tail = b""
    for kind, size, body in parts:
        tail += bytes((kind, size)) + (body + bytes(46))[: max(size * 8 - 2, 0)]
    parsed = ndp.parse_options(tail, 0)
    assert (parsed is None) == any(size == 0 for _, size, _ in parts)
