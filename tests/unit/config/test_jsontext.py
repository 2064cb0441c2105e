"""The strict JSON reader and its writer, beside the standard library's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.jsontext import MAX_DEPTH, JsonError, dumps, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_back_by_both(value):
    for text in (dumps(value), dumps(value, indent=2)):
        assert json.loads(text) == value
        assert loads(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no value at line 1 column 1"),
        (b"{", "expecting property name"),
        (b'{"a":1,"a":2}', "duplicate key 'a'"),
        (b"[1] x", "extra text at line 1 column 4"),
        (b"NaN", "NaN is not JSON"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{\n "a" 1}', "expecting ':' delimiter at line 2 column 6"),
        (b'"a\nb"', "invalid control character"),
        (b"9" * 30, "too large"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested too deeply"),
    ],
)
def test_what_is_not_strict_json_is_refused_in_one_line(text, words):
    with pytest.raises(JsonError, match=words.replace("(", r"\(")) as caught:
        loads(text)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=40) | st.text('[]{}",:0123456789.eE+-truefalsn \\u', max_size=40))
def test_arbitrary_text_is_read_as_the_standard_library_reads_it_or_refused(text):
    data = text if isinstance(text, bytes) else text.encode()
    try:
        mine = loads(data)
    except JsonError:
        return
    assert json.loads(data) == mine
