"""The table of global flags, `Config`, and what annotations may change."""

import pytest

from config.flags import ANNOTATION_PREFIX, FLAGS, Config, FlagError, apply_annotations, parse_bool


def test_the_attributes_of_a_config_are_the_flags_with_their_defaults():
    assert vars(Config()) == {flag.attribute: flag.default for flag in FLAGS}


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_is_described(flag):
    assert flag.help_text.endswith(".")
    assert flag.rule in ("never", "any", "tighten-only", "last-only", "lower-only")
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


def test_an_annotation_can_only_tighten():
    config = Config()
    key = ANNOTATION_PREFIX + "overlay2"
    assert apply_annotations(config, {key: "root:memory", "other": "x"}) == []
    assert config.overlay2 == "root:memory"
    assert len(apply_annotations(config, {key: "none"})) == 1
    assert config.overlay2 == "root:memory"


@pytest.mark.parametrize(("name", "value"), [("debug", "true"), ("root", "/x"), ("nosuch", "1")])
def test_an_annotation_that_is_not_allowed_is_ignored_with_a_warning(name, value):
    config = Config()
    assert len(apply_annotations(config, {ANNOTATION_PREFIX + name: value})) == 1
    assert config.changed() == {}


TBF = {
    ANNOTATION_PREFIX + "qdisc": "tbf",
    ANNOTATION_PREFIX + "qdisc-tbf-rate": "1000000",
    ANNOTATION_PREFIX + "qdisc-tbf-burst": "0x20000",
}


def test_a_pod_may_limit_its_own_rate():
    config = Config()
    assert apply_annotations(config, TBF) == []
    config.check()
    assert (config.qdisc, config.qdisc_tbf_rate, config.qdisc_tbf_burst) == ("tbf", 10**6, 1 << 17)


def test_a_pod_may_lower_the_rate_but_not_raise_it():
    config = Config()
    config.set("qdisc", "tbf")
    config.set("qdisc-tbf-rate", "2000000")
    config.set("qdisc-tbf-burst", "131072")
    assert apply_annotations(config, TBF) == []
    assert config.qdisc_tbf_rate == 10**6
    with pytest.raises(FlagError, match="not allowed to set it to '1000001'"):
        apply_annotations(config, {ANNOTATION_PREFIX + "qdisc-tbf-rate": "1000001"})


@pytest.mark.parametrize("value", ["fifo", "none", "x"])
def test_a_pod_may_not_choose_another_queue(value):
    config = Config()
    config.set("qdisc", "tbf")
    with pytest.raises(FlagError, match="qdisc"):
        apply_annotations(config, {ANNOTATION_PREFIX + "qdisc": value})


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
