# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One text for each value, whatever column and encoding it had."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.values import (
    BrokenValueError,
    normalise,
    stringified,
)
from tests.support.session_values import ENCODINGS, IDS, plain, spelt, value_of

# Not none at all: as an Uint8Array that is {}, which nobody can tell from an empty object.
BYTES = st.binary(min_size=1, max_size=300)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**53), max_value=2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    # What looks like bytes, inside a string.
    | st.sampled_from(['{"0": 5}', '{"0":5,"1":6}', '{"data": [1, 2], "type": "Buffer"}', '", "0": {', "{", "\\"])
)
NAMES = st.text(max_size=4) | st.sampled_from(["0", "1", "2", "10", "data", "type", "messageKeys"])


def _is_unambiguous(value):
    """Whether no part of it is taken for bytes that is none."""
    return plain(spelt(value, "base64")) == value


VALUES = st.recursive(
    SCALARS | BYTES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
).filter(_is_unambiguous)


def jsonb(value):
    """The text PostgreSQL has for a value of the type jsonb (but for floats)."""
    return json.dumps(_in_order(value), ensure_ascii=False)


def _in_order(value):
    if isinstance(value, dict):
        names = sorted(
            value, key=lambda name: (len(name.encode("utf-8", "surrogatepass")), name.encode("utf-8", "surrogatepass"))
        )
        return {name: _in_order(value[name]) for name in names}
    return [_in_order(item) for item in value] if isinstance(value, list) else value


def has_floats(value):
    if isinstance(value, dict):
        return any(map(has_floats, value.values()))
    return any(map(has_floats, value)) if isinstance(value, list) else isinstance(value, float)


@given(VALUES, st.sampled_from([*ENCODINGS, "mixed"]))
def test_bytes_in_any_encoding_and_everything_else_survive(value, encoding):
    text = normalise(json.dumps(spelt(value, encoding)))
    assert plain(json.loads(text)) == value
    assert json.loads(text) == spelt(value, "base64")


@given(VALUES, st.sampled_from([*ENCODINGS, "mixed"]))
def test_normalising_again_changes_nothing(value, encoding):
    text = normalise(json.dumps(spelt(value, encoding)))
    assert normalise(text) == text


@given(VALUES.filter(lambda value: not has_floats(value)), st.sampled_from([*ENCODINGS, "mixed"]))
def test_the_text_of_jsonb_needs_no_parsing_to_come_out_the_same(value, encoding):
    held = spelt(value, encoding)
    assert normalise(jsonb(held), jsonb=True) == normalise(json.dumps(held)) == normalise(json.dumps(held, indent=2))


@given(VALUES)
def test_the_order_of_members_does_not_matter(value):
    def shuffled(part):
        if isinstance(part, dict):
            names = list(part)
            random.Random(1).shuffle(names)
            return {name: shuffled(part[name]) for name in names}
        return [shuffled(item) for item in part] if isinstance(part, list) else part

    held = spelt(value, "base64")
    assert normalise(json.dumps(shuffled(held))) == normalise(json.dumps(held))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("key_type", IDS)
def test_every_type_of_key(key_type, encoding):
    value = value_of(key_type, random.Random(3))
    held = spelt(value, encoding)
    for text in (normalise(json.dumps(held)), normalise(jsonb(held), jsonb=True)):
        assert json.loads(text) == spelt(value, "base64")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"0": 256},
        {"0": -1},
        {"0": True},
        {"0": "5"},
        {"0": 5.5},
        {"1": 5},
        {"0": 5, "2": 6},
        {"00": 5},
        {"0": 5, "1": "a}b"},
        {"0": 5, "01": 6},
        # The keys of messages that were skipped: a map, though numbered as bytes would be.
        {"messageKeys": {"0": "c2VlZA==", "1": "c2VlZA=="}},
        {"type": "Buffer", "data": [256]},
        {"type": "Buffer", "data": [1.5]},
        {"type": "Buffer", "data": ["1"]},
        {"type": "Buffer", "data": [1], "more": 1},
        {"type": "Blob", "data": [1]},
        '{"0": 5, "1": 6}',
        ['{"data": [1], "type": "Buffer"}'],
        # A string that ends with what bytes begin with.
        ["{", "0", 5],
    ],
)
def test_what_is_not_bytes_stays(value):
    for text in (normalise(json.dumps(value)), normalise(jsonb(value), jsonb=True)):
        assert json.loads(text) == value


def test_bytes_beside_and_inside_what_only_looks_like_them():
    value = {"data": ["x", {"type": "Buffer", "data": [1, 2]}], "type": "Buffer", "0": {"0": 7}}
    expected = {"data": ["x", b"\1\2"], "type": "Buffer", "0": b"\7"}
    for text in (normalise(json.dumps(value)), normalise(jsonb(value), jsonb=True)):
        assert json.loads(text) == spelt(expected, "base64")


def test_bytes_inside_what_begins_as_bytes_do():
    value = {"data": ["x", {"data": [1, 2], "type": "Buffer"}, 3], "type": "Buffer"}
    assert json.loads(normalise(jsonb(value), jsonb=True))["data"][1] == spelt(b"\1\2", "base64")


def test_bytes_of_every_length_and_value():
    for size in (0, 1, 9, 10, 11, 100, 1000, 2049):
        data = bytes(number % 256 for number in range(size))
        for encoding in ENCODINGS:
            if size or encoding != "indexed":
                held = spelt({"key": data}, encoding)
                assert json.loads(normalise(jsonb(held), jsonb=True)) == spelt({"key": data}, "base64")


def test_numbers_are_those_of_javascript():
    assert normalise("[5.0, 1e3, 1.10, 0.1]") == "[5, 1000, 1.1, 0.1]"
    assert normalise('{"a": 5.0, "b": "v1.0"}', jsonb=True) == '{"a": 5, "b": "v1.0"}'


def test_half_a_character_survives():
    text = normalise(r'"\ud83d"')
    assert text == r'"\ud83d"'
    assert text.encode() == rb'"\ud83d"'


@pytest.mark.parametrize("value", [{"a": b"x"}, "4915112345678", '{"a":', ["0"], "lid:1", "12.50"])
def test_double_stringified_values(value):
    text = normalise(json.dumps(spelt(value, "base64")))
    assert normalise(stringified(text), double_stringified=True) == text
    # One that was written plainly, in a table of the other kind.
    assert normalise(text, double_stringified=True) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no JSON (at character 0)"),
        ("[1,", "is no JSON (at character 3)"),
        ("{'a': 1}", "is no JSON (at character 1)"),
        ("NaN", "is no JSON (NaN is no JSON)"),
        ("1e999", "is no JSON (a number is out of range)"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_what_is_no_json(text, why):
    with pytest.raises(BrokenValueError) as caught:
        normalise(text)
    assert caught.value.message == why
    # The decoder's own error holds the whole text.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
