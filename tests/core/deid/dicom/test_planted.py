"""Nothing that is planted comes out: the promise of the package, on generated objects of ten modalities."""

from __future__ import annotations

import os
from io import BytesIO

import pydicom
import pytest

from tests.core.deid.dicom.planting import CLASSES, dictionary_in_turn, planted
from unseen.deid.dicom.deidentify import deidentify
from unseen.deid.dicom.element import LONG_VRS, SHORT_VRS
from unseen.deid.dicom.options import Option

OBJECTS = int(os.environ.get("UNSEEN_DICOM_OBJECTS", "240"))
"""1,200 of them take about two minutes: UNSEEN_DICOM_OBJECTS=1200."""
EVERY_VR = (SHORT_VRS | LONG_VRS) - {"UN"}
"""UN is planted in a private attribute: the dictionary has none."""
ALL_CLEANING = frozenset({Option.CLEAN_DESCRIPTORS, Option.CLEAN_GRAPHICS, Option.CLEAN_STRUCTURED_CONTENT})


@pytest.mark.parametrize("modality", CLASSES)
def test_no_planted_identifier_is_left(modality: str, site_key: bytes) -> None:
    for seed in range(OBJECTS // len(CLASSES)):
        source = planted(modality, seed)
        assert len(source.fragments) >= 100
        result = deidentify(source.data, site_key=site_key)
        assert source.left_in(result.data) == []
        assert pydicom.dcmread(BytesIO(result.data)).PixelData == source.dataset.PixelData


def test_the_planting_reaches_every_value_representation() -> None:
    vrs = {place.split()[-1] for place, _ in planted("CT", 0).fragments}
    assert vrs >= EVERY_VR


def test_every_planted_identifier_is_in_the_file_before() -> None:
    source = planted("MR", 1)
    assert len(source.left_in(source.data)) == len(source.fragments)


@pytest.mark.parametrize(
    ("depth", "within"),
    [(0, None), (1, "SharedFunctionalGroupsSequence"), (3, "PerFrameFunctionalGroupsSequence"), (1, "ContentSequence")],
)
def test_no_attribute_of_the_whole_dictionary_lets_an_identifier_through(
    depth: int, within: str | None, site_key: bytes
) -> None:
    options = ALL_CLEANING | {Option.RETAIN_SAFE_PRIVATE} if depth == 1 else ALL_CLEANING
    for source in dictionary_in_turn("CT", 150, depth, within):
        assert source.left_in(deidentify(source.data, site_key=site_key, options=options).data) == []


@pytest.mark.parametrize("modality", ["MR", "US"])
def test_safe_private_and_cleaning_options_leave_nothing_planted(modality: str, site_key: bytes) -> None:
    options = ALL_CLEANING | {Option.RETAIN_SAFE_PRIVATE}
    for seed in range(10):
        source = planted(modality, 1000 + seed)
        assert source.left_in(deidentify(source.data, site_key=site_key, options=options).data) == []


def test_a_data_set_gives_the_same_as_its_file_and_is_not_changed(site_key: bytes) -> None:
    source = planted("CT", 7, "1.2.840.10008.1.2.1")
    before = repr(source.dataset)
    result = deidentify(source.dataset, site_key=site_key)
    assert result.data == deidentify(source.data, site_key=site_key).data
    assert repr(source.dataset) == before
