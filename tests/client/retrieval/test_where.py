"""Conditions on records: what they mean, and that whatever is written ends in an answer or the declared error."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from unseen.errors import InvalidInput
from unseen_client import Record
from unseen_client.retrieval.where import MOST_CONDITIONS, fits_of

ROW = Record(
    id="007",
    name="zebra.jpg",
    caption="two zebras = a pair",
    tags=("Zoo", "black and white"),
    link="file:///zebra.jpg",
    extra={
        "price": "19.90",
        "taken": "2024-03-05T22:30:00+01:00",
        "exif": "2024:03:05 22:30:00",
        "StudyDate": "20240305",
        "maker": "Smith, Sons",
        "name": "shadowed",
        "lens mm": "50",
    },
)


@pytest.mark.parametrize(
    "written",
    [
        "tag = zoo",
        "tags=Zoo",
        "tag == 'black and white'",
        "tag in dog, zoo",
        "tag not in dog, cat",
        "tag != dog",
        "name = ZEBRA.jpg",
        "extra.name = shadowed",
        "id = 007",
        'caption = "two zebras = a pair"',
        "price < 20",
        "price >= 19.9",
        "price = 19.9",
        "price in 1, 19.90",
        "lens mm > 5.0e0",
        "taken = 2024-03-05",
        "taken = 2024",
        "taken in 2023, 2024",
        "taken > 2023",
        "taken = 2024-03",
        "taken < 2024-04",
        "taken <= 2024-03-05",
        "taken > 2024-03-04",
        "taken > 2024-03-05T21:29:59Z",
        "taken < 2024-03-05T22:00:00",
        "exif = 2024-03-05",
        "exif >= 2024-03-05T22:30",
        "StudyDate >= 2024-01-01",
        "StudyDate < 20240306",
        "StudyDate < 2024-04",
        'maker in "Smith, Sons", Acme',
        "maker > a",
        "nothing != here",
        "nothing not in a, b",
        "name < zf",
    ],
)
def test_conditions_that_hold(written):
    assert fits_of(written)(ROW)


@pytest.mark.parametrize(
    "written",
    [
        "tag = dog",
        "tag != zoo",
        "tag in dog, cat",
        "tag not in zoo, cat",
        "tag = black",
        "name = shadowed",
        "id = 7",
        "price < 5",
        "price > 100",
        "price = 2024-01-01",
        "price > cheap",
        "maker < 100",
        "taken = 2024-03-06",
        "taken > 2024",
        "taken < 2024-03",
        "maker < 2024-03",
        "price = 2024-03",
        "StudyDate = 2024",
        "taken < 2024-03-05",
        "taken > 2024-03-05",
        "maker < 2024-01-01",
        "nothing = here",
        "nothing < 5",
        "nothing in a, b",
    ],
)
def test_conditions_that_do_not_hold(written):
    assert not fits_of(written)(ROW)


def test_all_conditions_must_hold():
    assert fits_of(["tag = zoo", "price < 20"])(ROW)
    assert not fits_of(["tag = zoo", "price < 5"])(ROW)


def test_a_function_of_the_callers_own_is_taken_as_it_is():
    assert fits_of(lambda record: len(record.tags) == 2)(ROW)


def test_nothing_asked_is_nothing_to_try():
    assert fits_of(None) is None
    assert fits_of([]) is None


@pytest.mark.parametrize(
    "written",
    ["", "tag", "= dog", "tag =", "tag is dog", " ", "x" * 5000 + " = 1", 'tag in "a', [5], [lambda record: True]],
)
def test_what_is_no_condition_is_refused(written):
    with pytest.raises(InvalidInput, match=r"condition|quote"):
        fits_of(written)


def test_runs_of_spaces_take_no_time_to_speak_of():
    """A pattern that tries every way to share them out would take years for these."""
    for written in (" " * 4000, "a" + " " * 4000, "a" + " not" * 1000, "a not" + " " * 4000):
        with pytest.raises(InvalidInput, match="condition"):
            fits_of(written)
    assert fits_of("tag" + " " * 2000 + "=" + " " * 2000 + "zoo")(ROW)


def test_too_many_conditions_are_refused():
    with pytest.raises(InvalidInput, match=f"at most {MOST_CONDITIONS}"):
        fits_of(["tag = a"] * (MOST_CONDITIONS + 1))


@given(st.text(max_size=60), st.text(max_size=40))
@example("", "0\x1f")  # white space to a text, none to a number
def test_anything_written_about_anything_is_answered_or_refused(written, value):
    with contextlib.suppress(InvalidInput):
        assert fits_of(written)(ROW) in (True, False)
    for condition in (f"field < {value}", f"field = {value}", f"field in {value}"):
        with contextlib.suppress(InvalidInput):
            assert fits_of(condition)(Record(id="a", extra={"field": value})) in (True, False)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_numbers_stand_in_the_order_of_numbers(one, other):
    record = Record(id="a", extra={"field": repr(one)})
    assert fits_of(f"field < {other!r}")(record) == (one < other)
    assert fits_of(f"field >= {other!r}")(record) == (one >= other)
