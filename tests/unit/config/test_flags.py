"""The table of global flags, `Config`, and what annotations may change."""

import pytest

from config.flags import ANNOTATION_PREFIX, FLAGS, Config, FlagError, apply_annotations, parse_bool


def test_the_attributes_of_a_config_are_the_flags_with_their_defaults():
    assert vars(Config()) == {flag.attribute: flag.default for flag in FLAGS}


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_is_described(flag):
    assert flag.help_text.endswith(".")
    assert flag.rule in ("never", "any", "tighten-only")
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
    assert config.changed() == {"debug": True}


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
