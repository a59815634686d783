"""Leaves: one form, nothing but what Details names, and a known example byte for byte."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.audit.leaf import Details, Leaf, canonical, leaf_fields, text_of_time
from unseen.errors import MalformedMessage

SALT = bytes(range(16))


def test_leaf_format_has_not_changed() -> None:
    details = Details(bytes(16), bytes(range(16)), "7", "research", b"s" * 16, b"d" * 32, 3, 4, 5, "0.1.0")
    assert Leaf("EraseRows", "Zoë", 1_764_158_860_123, "OK", details).to_bytes(SALT) == (
        '{"act":"EraseRows","asked":5,"collection":"00000000000000000000000000000000","count":4,'
        '"document":"6464646464646464646464646464646464646464646464646464646464646464","note":"0.1.0","outcome":"OK",'
        '"policy":"7","purpose":"research","request":"000102030405060708090a0b0c0d0e0f","rows":3,'
        '"salt":"000102030405060708090a0b0c0d0e0f","subject":"73737373737373737373737373737373",'
        '"time":"2025-11-26T12:07:40.123Z","version":1,"who":"Zoë"}'
    ).encode()  # fmt: skip


def test_texts_that_are_too_long_are_cut_and_say_so_so_that_every_leaf_can_be_read() -> None:
    long = '\x01ö☺\U0001f600,"' * 200
    said = leaf_fields(Leaf("Search", long, 0, "OK", Details(policy=long, purpose=long, note=long)).to_bytes(SALT))
    for name in ("who", "policy", "purpose", "note"):
        assert said[name] == long[:799] + "…"


def test_what_is_not_said_is_left_out() -> None:
    said = leaf_fields(Leaf("Search", "a", 0, "OK").to_bytes(SALT))
    assert set(said) == {"act", "outcome", "salt", "time", "version", "who"}
    assert said["time"] == "1970-01-01T00:00:00.000Z"


def test_zero_is_said_and_is_not_nothing() -> None:
    said = leaf_fields(Leaf("EraseRows", "a", 0, "OK", Details(rows=0, asked=0)).to_bytes(SALT))
    assert (said["rows"], said["asked"]) == (0, 0)


@given(who=st.text(min_size=1, max_size=128), time_ms=st.integers(0, 253_402_300_799_999))
def test_any_name_and_time_come_back(who: str, time_ms: int) -> None:
    try:
        who.encode()
    except UnicodeEncodeError:
        return
    said = leaf_fields(Leaf("Search", who, time_ms, "OK").to_bytes(SALT))
    assert said["who"] == who
    assert said["time"] == text_of_time(time_ms)


@given(st.lists(st.integers(0, 253_402_300_799_999), min_size=2, max_size=2))
def test_earlier_times_come_first_as_texts(times: list[int]) -> None:
    assert (times[0] < times[1]) == (text_of_time(times[0]) < text_of_time(times[1]))


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b'{"version":2}', b'{ "version":1}', b'{"who":"a","version":1}', b"\xff", b"[" * 9999,
     canonical({"version": 1, "who": "a" * 20000}), b'{"version":1,"version":1}', b'{"version":1,"x":NaN}'],
)  # fmt: skip
def test_what_is_no_leaf_in_the_one_form_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        leaf_fields(data)


def test_later_details_win_and_the_others_stay() -> None:
    merged = Details(collection=b"c", rows=1, policy="1").merged(Details(policy="2", purpose="care", rows=0))
    assert merged == Details(collection=b"c", rows=0, policy="2", purpose="care")


def test_details_have_no_place_for_content() -> None:
    """Whoever adds a field decides here, with open eyes, that it is not content."""
    assert [field.name for field in fields(Details)] == [
        "collection", "request_id", "policy", "purpose", "subject", "document", "rows", "count", "asked", "note"
    ]  # fmt: skip


def test_leaves_are_what_any_json_reader_reads() -> None:
    assert json.loads(Leaf("Search", 'a"\\\n', 0, "OK").to_bytes(SALT))["who"] == 'a"\\\n'
