"""BurnedInAnnotation says NO through one call only, and clean pixels take the place of the old ones."""

from __future__ import annotations

import io
import random

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from tests.core.deid.dicom.planting import as_file, base_object, finish
from unseen.deid.dicom.cleaned import pixels_cleaned
from unseen.deid.dicom.deidentify import deidentify
from unseen.deid.dicom.options import Option
from unseen.deid.dicom.report import DeidentifiedDicom
from unseen.errors import ImageRefused


def ultrasound(site_key: bytes, syntax: str = "1.2.840.10008.1.2.1", flag: str | None = "YES") -> DeidentifiedDicom:
    dataset = base_object("US")
    if flag:
        dataset.BurnedInAnnotation = flag
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    source = as_file(finish(dataset, [], random.Random(0), syntax).dataset)
    return deidentify(source, site_key=site_key, options=frozenset({Option.CLEAN_GRAPHICS}))


def read(result: DeidentifiedDicom) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(result.data))


@pytest.mark.parametrize("flag", ["YES", "NO", None])
def test_deidentify_leaves_the_flag_as_it_was(flag: str | None, site_key: bytes) -> None:
    result = ultrasound(site_key, flag=flag)
    assert read(result).get("BurnedInAnnotation") == flag
    assert result.report.burned_in_annotation == (flag or "")
    assert not result.report.pixels_cleaned


def test_a_flag_that_is_no_flag_counts_as_yes(site_key: bytes) -> None:
    assert read(ultrasound(site_key, flag="MAYBE")).BurnedInAnnotation == "YES"


def test_declaring_clean_sets_the_flag_and_records_the_option(site_key: bytes) -> None:
    before = ultrasound(site_key)
    result = pixels_cleaned(before, faces_covered=True)
    dataset = read(result)
    assert (dataset.BurnedInAnnotation, dataset.RecognizableVisualFeatures) == ("NO", "NO")
    assert [code.CodeValue for code in dataset.DeidentificationMethodCodeSequence] == [
        "113100",
        "113101",
        "113102",
        "113103",
    ]
    assert dataset.PixelData == read(before).PixelData
    assert result.report.pixels_cleaned
    assert result.report.as_dict()["burned_in_annotation"] == "NO"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", RLELossless])
def test_clean_pixels_take_the_place_of_the_old_ones(syntax: str, site_key: bytes) -> None:
    clean = np.full((16, 16), 300, dtype="<u2")
    result = pixels_cleaned(ultrasound(site_key, syntax), pixels=clean.tobytes(), photometric="MONOCHROME2")
    np.testing.assert_array_equal(read(result).pixel_array, clean)


def test_pixels_of_another_size_are_refused(site_key: bytes) -> None:
    with pytest.raises(ImageRefused, match="got 7 bytes of clean pixels, expected 512"):
        pixels_cleaned(ultrasound(site_key), pixels=b"1234567")


def test_big_endian_pixels_are_not_replaced(site_key: bytes) -> None:
    with pytest.raises(ImageRefused, match="big endian"):
        pixels_cleaned(ultrasound(site_key, "1.2.840.10008.1.2.2"), pixels=bytes(512))


def test_an_object_without_pixels_cannot_be_declared_clean(site_key: bytes) -> None:
    dataset = base_object("CT")
    del dataset.PixelData
    source = deidentify(
        as_file(finish(dataset, [], random.Random(0), "1.2.840.10008.1.2.1").dataset), site_key=site_key
    )
    with pytest.raises(ImageRefused, match="no pixels"):
        pixels_cleaned(source)
