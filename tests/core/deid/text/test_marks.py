from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.deid.text.marks import SURE, is_technical_mark
from unseen.deid.text.reader import Reading

MARKS = ["5.0 cm", "16cm", "MI 0.8", "TIS: 0.5", "2.50 MHz", "19fps", "HR 72 bpm", "L", "RIGHT", "DR 60", "2D", "12 mm"]
IDENTIFIERS = ["DOE^JANE", "SMITH", "Jane", "4711", "47110815", "1970-01-02", "14:22:08", "12.03.58", "AC", "M 45Y"]
IDENTIFIERS += ["Dr. Max Cor", "0012 cm", "5.0 cm DOE", "L DOE", "MI 0.8 4711", "ID 5", "R. Lee", "1944", "max", ""]


@pytest.mark.parametrize("text", MARKS)
def test_marks_that_machines_write_may_stay(text: str) -> None:
    assert is_technical_mark(Reading(text, 0.99))


@pytest.mark.parametrize("text", IDENTIFIERS)
def test_what_may_say_who_somebody_is_never_stays(text: str) -> None:
    assert not is_technical_mark(Reading(text, 1.0))


def test_a_mark_that_is_not_read_with_certainty_does_not_stay() -> None:
    assert is_technical_mark(Reading("5.0 cm", SURE))
    assert not is_technical_mark(Reading("5.0 cm", SURE - 0.01))


@given(st.text(string.digits + ".-/: ", min_size=4))
def test_no_row_of_digits_without_a_unit_is_a_mark(text: str) -> None:
    assert not is_technical_mark(Reading(text, 1.0))


@given(st.text(string.digits, min_size=4), st.sampled_from(["cm", " mm", "fps", " bpm"]))
def test_no_number_of_four_digits_is_a_mark(number: str, unit: str) -> None:
    assert not is_technical_mark(Reading(number + unit, 1.0))
