"""The table of global flags, and `Config`."""

import pytest

from config.flags import FLAGS, Config, FlagError, parse_bool


def test_the_attributes_of_a_config_are_the_flags_with_their_defaults():
    assert vars(Config()) == {flag.attribute: flag.default for flag in FLAGS}


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_is_described(flag):
    assert flag.help_text.endswith(".")
    assert flag.rule in ("never", "override", "any", "tighten-only", "last-only", "lower-only")
    if flag.kind == "choice":
        assert flag.default in flag.choices


def test_values_are_checked():
    config = Config()
    config.set("debug", "T")
    config.set("network", "none")
    assert config.debug
    for name, value in (("debug", "yes"), ("network", "x"), ("log", "a\0"), ("nosuch", "1")):
        with pytest.raises(FlagError):
            config.set(name, value)
    assert config.changed() == {"debug": True, "network": "none"}


def test_go_reads_these_as_truth():
    assert [parse_bool(text) for text in ("1", "true", "F", "no")] == [True, True, False, None]


@pytest.mark.parametrize(("rate", "burst"), [("0", "1"), ("1", "0")])
def test_a_token_bucket_needs_its_numbers(rate, burst):
    config = Config()
    config.set("qdisc-tbf-rate", rate)
    config.set("qdisc-tbf-burst", burst)
    config.check()
    config.set("qdisc", "tbf")
    with pytest.raises(FlagError, match="must not be 0"):
        config.check()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("qdisc-tbf-rate", "1mbit", "no whole number of bytes per second; 1mbit would be 125000"),
        ("qdisc-tbf-rate", "2 Mbps", "2 Mbps would be 2000000"),
        ("qdisc-tbf-rate", "fast", "'fast' is no whole number of bytes per second$"),
        ("qdisc-tbf-rate", "-1", "no whole number"),
        ("qdisc-tbf-rate", "1.5", "no whole number"),
        ("qdisc-tbf-rate", str(1 << 64), "more than the largest"),
        ("qdisc-tbf-burst", "64kb", "no whole number of bytes; 64kb would be 65536"),
        ("qdisc-tbf-burst", str(1 << 32), "more than the largest, 4294967295"),
    ],
)
def test_a_rate_is_a_plain_number(name, value, words):
    with pytest.raises(FlagError, match=words):
        Config().set(name, value)


def test_numbers_as_go_reads_them():
    config = Config()
    for text, number in (("0x10", 16), ("010", 8), ("0b11", 3), ("1_000", None), ("0", 0)):
        if number is None:
            with pytest.raises(FlagError):
                config.set("qdisc-tbf-rate", text)
        else:
            config.set("qdisc-tbf-rate", text)
            assert config.qdisc_tbf_rate == number


def test_numbers_without_a_bucket_shape_nothing_and_that_is_said():
    config = Config()
    assert config.ceilings() == ""
    config.set("qdisc-tbf-rate", "1000000")
    assert config.ceilings() == (
        "qdisc fifo: nothing is shaped; a rate of 1000000 bytes per second and a burst of any "
        "bytes are only the most that annotations may ask for with qdisc=tbf"
    )
    config.set("qdisc-tbf-burst", "2000")
    config.set("qdisc", "tbf")
    assert config.ceilings() == ""
