"""A dummy is valid for its VR, says nothing of the value it replaces, and is the same every time."""

from __future__ import annotations

import struct

import pytest
from pydicom.config import RAISE
from pydicom.valuerep import validate_value

from unseen.deid.dicom.dummy import dummy
from unseen.deid.dicom.element import LONG_VRS, SHORT_VRS
from unseen.deid.dicom.write import padded

NUMBERS = {"FL": "f", "FD": "d", "SL": "i", "SS": "h", "UL": "I", "US": "H", "SV": "q", "UV": "Q", "AT": "HH"}
TEXT = sorted((SHORT_VRS | LONG_VRS) - set(NUMBERS) - {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN", "UI"})


@pytest.mark.parametrize("vr", TEXT)
def test_a_dummy_of_text_is_valid(vr: str) -> None:
    value = dummy(0x00100010, vr, is_code=False).value
    assert value
    validate_value(vr, value.decode("ascii"), RAISE)


@pytest.mark.parametrize("vr", sorted(NUMBERS))
def test_a_dummy_of_a_number_is_one_zero(vr: str) -> None:
    assert set(struct.unpack("<" + NUMBERS[vr], dummy(0x00100010, vr, is_code=False).value)) == {0}


def test_a_dummy_sequence_is_empty_and_a_dummy_code_names_no_code() -> None:
    assert dummy(0x00081140, "SQ", is_code=False).items == ()
    (item,) = dummy(0x00401101, "SQ", is_code=True).items or ()
    assert [element.value for element in item.values()] == [b"REMOVED", b"99UNSEEN", b"REMOVED"]


@pytest.mark.parametrize(("vr", "end"), [("LO", b"A "), ("UI", b"A\0"), ("OB", b"A\0"), ("UN", b"A\0")])
def test_values_are_padded_to_even_length(vr: str, end: bytes) -> None:
    assert padded(b"A", vr) == end
    assert padded(b"AB", vr) == b"AB"
