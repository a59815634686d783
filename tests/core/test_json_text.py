"""JSON from somewhere else: it is read as Python reads it, or it is a ValueError."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.json_text import read_json

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(TREES)
def test_what_is_written_is_read_again(tree: object) -> None:
    assert read_json(json.dumps(tree)) == read_json(json.dumps(tree).encode()) == tree


@pytest.mark.parametrize("text", ["", "{", "[1,]", "nul", b"\xff\xfe", "1" * 5000])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        read_json(text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_the_deepest_nesting_is_a_value_error_too(text: str) -> None:
    with pytest.raises(ValueError):
        read_json(text)
