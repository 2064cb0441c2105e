"""Source address selection: the examples of RFC 6724, 10.1, and Linux's view of interfaces."""

import ipaddress

import pytest

from netstack.interface import InterfaceAddress
from netstack.ip.config6 import IFA_F_DEPRECATED, IFA_F_NODAD
from netstack.ip.select6 import label_of, select_source
from tests.unit.netstack.harness import CaptureLink
from tests.unit.netstack.world6 import one_host


def ip6(text):
    return ipaddress.IPv6Address(text).packed


def choose(destination, *candidates, elsewhere=(), deprecated=()):
    _environment, host = one_host()
    for address in list(host.eth.addresses):
        host.stack.remove_address(host.eth, address)
    other = host.stack.add_interface("eth1", CaptureLink(1500, b"\x02\0\0\0\0\x77"))
    host.ip.state_of(other).config.addr_gen_mode = 1
    host.stack.set_up(other)
    for interface, texts in ((host.eth, candidates), (other, elsewhere)):
        for text in texts:
            address = InterfaceAddress(ip6(text), 64)
            address.flags = IFA_F_NODAD | (IFA_F_DEPRECATED if text in deprecated else 0)
            host.stack.add_address(interface, address)
    found = select_source(list(host.stack.interfaces.values()), host.eth, ip6(destination))
    return str(ipaddress.IPv6Address(found)) if found else ""


@pytest.mark.parametrize(
    ("destination", "candidates", "expected"),
    [
        # RFC 6724, 10.1, the cases without temporary and home addresses.
        ("2001:db8:1::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"),
        ("ff05::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"),
        ("2001:db8:1::1", ["2001:db8:1::1", "2001:db8:2::1"], "2001:db8:1::1"),
        ("fe80::1", ["fe80::2", "2001:db8:1::1"], "fe80::2"),
        ("2001:db8:1::1", ["2001:db8:1::2", "2001:db8:3::2"], "2001:db8:1::2"),
        ("2002:c633:6401::1", ["2002:c633:6401:0:d5e3:7953:13eb:22e8", "2001:db8:1::2"],
         "2002:c633:6401:0:d5e3:7953:13eb:22e8"),
        # Rule 6: a unique local address answers to its like.
        ("fd00:1::1", ["2001:db8::1", "fd00:2::1"], "fd00:2::1"),
        ("2001:db8::2", ["fd00:2::1", "2400::1"], "2400::1"),
        # And it is asked before the longest prefix: 2001::/32 has a label of its own.
        ("2001:db8::2", ["2001::5", "2400::1"], "2400::1"),
    ],
)  # fmt: skip
def test_examples(destination, candidates, expected):
    assert choose(destination, *candidates) == expected
    assert choose(destination, *reversed(candidates)) == expected


def test_deprecated_addresses_are_the_last_resort():
    both = ["2001:db8:1::2", "2001:db8:3::2"]
    assert choose("2001:db8:1::1", *both, deprecated=both[:1]) == both[1]
    assert choose("2001:db8:1::1", both[0], deprecated=both[:1]) == both[0]


def test_the_outgoing_interface_comes_first_but_not_before_scope():
    assert choose("2001:db8:1::1", "2001:db8:9::1", elsewhere=["2001:db8:1::2"]) == "2001:db8:9::1"
    assert choose("2001:db8:1::1", "fe80::1", elsewhere=["2001:db8:1::2"]) == "2001:db8:1::2"
    assert choose("fe80::9", "2001:db8::1", elsewhere=["fe80::1"]) == "2001:db8::1"
    assert choose("ff02::1", elsewhere=["2001:db8:1::2"]) == ""


def test_tentative_addresses_are_no_sources():
    environment, host = one_host()
    host.stack.add_address(host.eth, InterfaceAddress(ip6("2001:db8::1"), 64))
    everywhere = list(host.stack.interfaces.values())
    assert select_source(everywhere, host.eth, ip6("2001:db8::2"))[:2] == b"\xfe\x80"
    environment.advance(3_000_000_000)
    assert select_source(everywhere, host.eth, ip6("2001:db8::2")) == ip6("2001:db8::1")


@pytest.mark.parametrize(
    ("address", "label"),
    [
        ("::1", 0),
        ("2400::1", 1),
        ("2002::1", 2),
        ("::1.2.3.4", 3),
        ("::ffff:1.2.3.4", 4),
        ("2001::1", 5),
        ("2001:1::1", 1),
        ("fec0::1", 11),
        ("3ffe::1", 12),
        ("fd12::1", 13),
    ],
)
def test_labels(address, label):
    assert label_of(ip6(address)) == label
