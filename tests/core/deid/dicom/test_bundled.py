"""The files that pydicom ships, from a dozen makers: each passes with the same pixels, or is refused with a reason."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest

from unseen.deid.dicom.deidentify import deidentify
from unseen.deid.dicom.element import DataSet
from unseen.deid.dicom.read import read_part10
from unseen.errors import ImageRefused

FOLDER = Path(pydicom.__file__).parent / "data/test_files"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file() and b"DICM" in path.read_bytes()[:132])
REFUSED = {
    "GDCMJ2K_TextGBR.dcm": "no JPEG stream",
    "MR_truncated.dcm": "cut short",
    "SC_rgb_jpeg.dcm": "value representation",
    "badVR.dcm": "one frame",
    "UN_sequence.dcm": "no storage SOP class",
    "DICOMDIR": "no storage SOP class",
    "DICOMDIR-bigEnd": "no storage SOP class",
    "DICOMDIR-empty.dcm": "no storage SOP class",
    "DICOMDIR-implicit": "no storage SOP class",
    "DICOMDIR-nooffset": "cut short",
    "DICOMDIR-nopatient": "no storage SOP class",
    "DICOMDIR-reordered": "no storage SOP class",
    "empty_charset_LEI.dcm": "no storage SOP class",
    "meta_missing_tsyntax.dcm": "no transfer syntax",
    "nested_priv_SQ.dcm": "no storage SOP class",
    "no_meta_group_length.dcm": "no storage SOP class",
    "priv_SQ.dcm": "no storage SOP class",
    "reportsi.dcm": "structured report",
    "reportsi_with_empty_number_tags.dcm": "structured report",
    "rtplan_truncated.dcm": "cut short",
    "test-SR.dcm": "structured report",
    "waveform_ecg.dcm": "waveform",
}
COMMENTS = {"SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm"}
"""Files whose compressed pixels hold comments or application segments, so that these bytes differ."""
TRAILING = {"MR_small_padded.dcm"}


def pixel_array(dataset: pydicom.Dataset) -> np.ndarray | None:
    """What decodes here; None where no decoder is installed or the file is broken on purpose."""
    try:
        return dataset.pixel_array
    except (RuntimeError, ValueError, AttributeError, NotImplementedError, KeyError):
        return None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_bundled_file_passes_with_equal_pixels_or_is_refused_with_a_reason(path: Path, site_key: bytes) -> None:
    if path.name in REFUSED:
        with pytest.raises(ImageRefused, match=REFUSED[path.name]):
            deidentify(path.read_bytes(), site_key=site_key)
        return
    result = deidentify(path.read_bytes(), site_key=site_key)
    before, after = pydicom.dcmread(path), pydicom.dcmread(io.BytesIO(result.data))
    assert after.PatientIdentityRemoved == "YES"
    if "PixelData" in before:
        assert (after.PixelData == before.PixelData) is (path.name not in COMMENTS | TRAILING)
        decoded = pixel_array(before)
        if decoded is not None:
            np.testing.assert_array_equal(pixel_array(after), decoded)


def plain(dataset: pydicom.Dataset) -> dict[int, object]:
    """A data set of pydicom's in the form of ours: tags to bytes or to lists of the same."""
    found: dict[int, object] = {}
    for tag in dataset:
        element = tag
        found[int(element.tag)] = [plain(item) for item in element.value] if element.VR == "SQ" else None
    return found


def ours(dataset: DataSet) -> dict[int, object]:
    return {tag: [ours(item) for item in e.items] if e.items is not None else None for tag, e in dataset.items()}


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small_implicit.dcm",
        "ExplVR_BigEnd.dcm",
        "rtplan.dcm",
        "reportsi.dcm",
        "liver_1frame.dcm",
        "rtdose.dcm",
        "image_dfl.dcm",
        "examples_overlay.dcm",
    ],
)
def test_the_parser_sees_the_structure_that_pydicom_sees(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = plain(pydicom.dcmread(FOLDER / name))
    assert ours(read_part10((FOLDER / name).read_bytes()).dataset) == theirs


def test_the_bundled_files_are_many() -> None:
    assert len(FILES) >= 150


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_person_named_in_a_bundled_file_is_named_in_what_comes_out(site_key: bytes) -> None:
    for path in FILES:
        if path.name in REFUSED:
            continue
        before = pydicom.dcmread(path, stop_before_pixels=True)
        values = {
            str(before.get(name, ""))
            for name in ("PatientName", "PatientID", "AccessionNumber", "InstitutionName", "StudyInstanceUID")
        }
        result = deidentify(path.read_bytes(), site_key=site_key)
        end = len(result.data) - len(pydicom.dcmread(io.BytesIO(result.data)).get("PixelData", b""))
        assert [
            v
            for v in values
            if len(v) >= 5 and v not in str(before.get("Manufacturer", "")) and v.encode("utf-8") in result.data[:end]
        ] == []


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name not in REFUSED | {"image_dfl.dcm": ""}], ids=lambda path: path.name
)
def test_a_data_set_that_pydicom_read_gives_the_same_picture_as_its_file(path: Path, site_key: bytes) -> None:
    dataset = pydicom.dcmread(path)
    from_dataset, from_file = deidentify(dataset, site_key=site_key), deidentify(path.read_bytes(), site_key=site_key)
    one, two = (pydicom.dcmread(io.BytesIO(result.data)) for result in (from_dataset, from_file))
    assert one == two
