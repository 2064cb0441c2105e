"""What annotations may change of the flags, and what not."""

import pytest

from config.annotations import PREFIXES, apply_annotations
from config.flags import Config, FlagError

BOTH = pytest.mark.parametrize("prefix", PREFIXES)


def config_of(**values):
    config = Config()
    for name, value in values.items():
        config.set(name.replace("_", "-"), value)
    return config


def apply(config, prefix=PREFIXES[0], /, **values):
    """Apply annotations; return the warnings."""
    named = {prefix + name.replace("_", "-"): value for name, value in values.items()}
    return apply_annotations(config, named)


@BOTH
def test_a_pod_may_limit_its_own_rate(prefix):
    config = Config()
    values = {"qdisc": "tbf", "qdisc_tbf_rate": "1000000", "qdisc_tbf_burst": "0x20000"}
    assert apply(config, prefix, **values) == []
    config.check()
    assert (config.qdisc, config.qdisc_tbf_rate, config.qdisc_tbf_burst) == ("tbf", 10**6, 1 << 17)


def test_other_annotations_are_none_of_ours():
    config = Config()
    assert apply_annotations(config, {"debug": "true", "dev.gvisor.spec.debug": "true"}) == []
    assert config.changed() == {}


@pytest.mark.parametrize("qdisc", ["tbf", "fifo", "none"])
@pytest.mark.parametrize("name", ["qdisc_tbf_rate", "qdisc_tbf_burst"])
def test_a_pod_may_lower_a_number_or_match_it_but_not_raise_it(qdisc, name):
    operator = {"qdisc_tbf_rate": "200000", "qdisc_tbf_burst": "200000"}
    for value in ("100000", "200000"):
        config = config_of(qdisc=qdisc, **operator)
        assert apply(config, qdisc="tbf", **{name: value}) == []
        assert config.get(name) == int(value)
    with pytest.raises(
        FlagError, match="not allowed to set it to '200001', more than the operator's 200000"
    ):
        apply(config_of(qdisc=qdisc, **operator), **{name: "200001"})


@BOTH
@pytest.mark.parametrize("before", ["none", "fifo", "tbf"])
@pytest.mark.parametrize("value", ["fifo", "none"])
def test_a_pod_may_not_choose_another_queue(prefix, before, value):
    """Not even the one that it has."""
    words = f"annotation {prefix}qdisc: not allowed to set it to '{value}', only to tbf"
    with pytest.raises(FlagError, match=words):
        apply(config_of(qdisc=before), prefix, qdisc=value)


@pytest.mark.parametrize("before", ["0", "5000"])
@pytest.mark.parametrize("name", ["qdisc_tbf_rate", "qdisc_tbf_burst"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0", "0 is no limit"),
        ("-1", "no whole number of bytes"),
        ("", "no whole number of bytes"),
        ("ten", "no whole number of bytes"),
        ("1e3", "no whole number of bytes"),
        ("1.5", "no whole number of bytes"),
        (str(1 << 64), "more than the largest"),
        ("9" * 40, "no whole number of bytes"),
    ],
)
def test_what_is_no_limit_is_refused(before, name, value, words):
    config = config_of(**{name: before})
    with pytest.raises(FlagError, match=f"annotation dev.gvisor.flag.qdisc-tbf-.*: .*{words}"):
        apply(config, **{name: value})


def test_a_pod_that_contradicts_itself():
    rates = {prefix + "qdisc-tbf-rate": str(1000 + i) for i, prefix in enumerate(PREFIXES)}
    with pytest.raises(FlagError, match="'1001' contradicts '1000'"):
        apply_annotations(Config(), rates)
    assert apply_annotations(Config(), dict.fromkeys(rates, "5")) == []


@pytest.mark.parametrize("is_allowed", [False, True])
def test_what_widens_can_only_be_tightened(is_allowed):
    """With --allow-flag-override, too."""
    tight = {"overlay2": "all:memory", "network": "none", "net_raw": "false"}
    wide = {"overlay2": "root:memory", "network": "sandbox", "net_raw": "true"}
    config = config_of(allow_flag_override=is_allowed, **wide)
    assert apply(config, **tight) == []
    before = config.changed()
    assert len(apply(config, **wide)) == 3
    assert config.changed() == before


@pytest.mark.parametrize(("name", "value"), [("debug", "true"), ("pcap_log", "/x"), ("gso", "0")])
def test_flags_without_a_rule_need_the_operators_word(name, value):
    config = Config()
    warnings = apply(config, **{name: value})
    assert "without --allow-flag-override, ignored" in warnings[0]
    assert config.changed() == {}
    config.set("allow-flag-override", True)
    assert apply(config, **{name: value}) == []
    assert config.get(name) == {"0": False, "true": True}.get(value, value)


def test_a_flag_may_be_given_the_value_that_it_has():
    assert apply(Config(), debug="false", platform="ptrace", network="none") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("root", "/x"), ("log", "/x"), ("config", "/x"), ("allow_flag_override", ""), ("no", "1")],
)
@pytest.mark.parametrize("is_allowed", [False, True])
def test_what_no_annotation_can_change(is_allowed, name, value):
    config = config_of(allow_flag_override=is_allowed)
    before = config.changed()
    assert len(apply(config, **{name: value or str(not is_allowed).lower()})) == 1
    assert config.changed() == before


def test_an_annotation_cannot_permit_the_next_one():
    config = Config()
    assert len(apply(config, allow_flag_override="true", debug="true")) == 2
    assert config.changed() == {}
