"""One form of bytes for one document."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.errors import InvalidDocument
from unseen.governance.canonical import MOST_DOCUMENT_BYTES, canonical_bytes, digest, parse_canonical, parse_object

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53) + 1, (1 << 53) - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=6), documents, max_size=5)


def test_the_example_of_rfc_8785_sorts_as_the_rfc_says() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    written = canonical_bytes(dict.fromkeys(names, 0))
    assert list(json.loads(written)) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(objects)
def test_canonical_bytes_are_those_of_a_plainer_twin(document: dict[str, object]) -> None:
    ordered = _sorted(document)
    expected = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).replace("\x7f", "\x7f").encode()
    assert canonical_bytes(document) == expected  # type: ignore[arg-type]
    assert parse_canonical(expected) == document
    assert digest(expected) == hashlib.sha256(expected).hexdigest()


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda name: name.encode("utf-16-be"))}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"a":"\\u0041"}',
        b'{"a":01}',
        b'{"a":1,"a":1}',
        b'{"a":1.5}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":9007199254740993}',
        b'["a"]',
        b'"a"',
        b"",
        b"\xff",
        b'{"a":"\\ud800"}',
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":"' + b"a" * MOST_DOCUMENT_BYTES + b'"}',
    ],
)
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidDocument):
        parse_canonical(data)


def test_what_people_write_may_be_laid_out_as_they_like() -> None:
    assert parse_object('{\n "b": 1,\n "a": [true, null]\n}') == {"b": 1, "a": [True, None]}


def test_a_refusal_never_repeats_the_document() -> None:
    for text in ('{"secret-name": secret-value}', '{"secret": 1, "secret": 2}', '{"secret": 1.5}'):
        with pytest.raises(InvalidDocument) as refused:
            parse_object(text)
        assert "secret" not in str(refused.value)
