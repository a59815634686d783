"""Which objects are looked at: everything but what a scanner computed and nothing in the object denies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.core.deid.dicom.planting import CLASSES, as_file, base_object
from unseen.deid.dicom.read import read_part10
from unseen.deid.dicom.risk import may_show_faces, reasons_to_look

CT, SECONDARY, PHOTOGRAPH = CLASSES["CT"], CLASSES["OT"], "1.2.840.10008.5.1.4.1.1.77.1.4"
FOLDER = Path(pydicom.__file__).parent / "data/test_files"


def parsed(modality: str = "CT", **changes: Any) -> dict[int, Any]:
    dataset = base_object(modality)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return read_part10(as_file(dataset)).dataset


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_what_a_scanner_computed_is_not_looked_at(modality: str) -> None:
    assert reasons_to_look(parsed(modality)) == ()


@pytest.mark.parametrize("modality", ["US", "XA", "CR", "DX", "MG", "NM", "OT"])
def test_every_other_modality_is(modality: str) -> None:
    assert reasons_to_look(parsed(modality))


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageType": ["DERIVED", "SECONDARY"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "CT_SOM5 PROT"]},
        {"ImageType": ["DERIVED", "PRIMARY", "SCREEN SAVE"]},
        {"ImageType": []},
        {"ConversionType": "WSD"},
        {"BurnedInAnnotation": "YES"},
        {"BurnedInAnnotation": "PERHAPS"},
        {"Modality": "US"},
        {"Modality": ""},
        {"SOPClassUID": SECONDARY},
        {"PhotometricInterpretation": "RGB"},
    ],
)
def test_one_word_against_it_and_a_ct_slice_is_looked_at(changes: dict[str, Any]) -> None:
    with pydicom.config.disable_value_validation():
        assert len(reasons_to_look(parsed("CT", **changes))) >= 1


def test_a_claim_of_the_source_that_nothing_is_burned_in_is_not_believed() -> None:
    assert reasons_to_look(parsed("US", BurnedInAnnotation="NO"))


def test_an_object_without_pixels_has_nothing_to_look_at() -> None:
    dataset = base_object("US")
    del dataset.PixelData
    assert reasons_to_look(read_part10(as_file(dataset)).dataset) == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"SOPClassUID": PHOTOGRAPH}, True),
        ({"Modality": "XC"}, True),
        ({"SOPClassUID": SECONDARY, "PhotometricInterpretation": "RGB", "Modality": "OT"}, True),
        ({"SOPClassUID": SECONDARY, "Modality": "OT"}, False),
        ({"SOPClassUID": SECONDARY, "PhotometricInterpretation": "RGB", "Modality": "CT"}, False),
        ({}, False),
    ],
)
def test_faces_are_looked_for_where_somebody_may_have_taken_a_photograph(
    changes: dict[str, Any], expected: bool
) -> None:
    assert may_show_faces(parsed("CT", **changes)) is expected


def test_reasons_quote_nothing_of_the_object() -> None:
    with pydicom.config.disable_value_validation():
        reasons = reasons_to_look(parsed("CT", ImageType=["JANEDOE", "JANEDOE"], ConversionType="JANEDOE"))
    assert reasons
    assert "JANEDOE" not in " ".join(reasons)
