"""Where an object stands: pseudonyms as in the written file, real names kept apart, nothing believed of a child."""

from __future__ import annotations

import json
from io import BytesIO

import pydicom
import pytest

from tests.core.deid.dicom.planting import as_file, base_object, planted
from unseen.deid.dicom.deidentify import deidentify
from unseen.deid.dicom.placement import Placement


def placed(dataset: pydicom.Dataset, site_key: bytes) -> tuple[Placement, pydicom.Dataset]:
    result = deidentify(as_file(dataset), site_key=site_key)
    assert result.placement is not None
    return result.placement, pydicom.dcmread(BytesIO(result.data))


def test_pseudonyms_are_those_of_the_written_file_and_real_names_those_of_the_source(site_key: bytes) -> None:
    source = base_object("CT")
    source.PatientID, source.BodyPartExamined = "4711", "CHEST"
    placement, written = placed(source, site_key)
    assert (placement.study, placement.series) == (written.StudyInstanceUID, written.SeriesInstanceUID)
    assert (placement.instance, placement.patient) == (written.SOPInstanceUID, written.PatientID)
    assert (placement.origin.study, placement.origin.series) == (source.StudyInstanceUID, source.SeriesInstanceUID)
    assert placement.origin.instance == source.SOPInstanceUID
    assert (placement.modality, placement.body_part, placement.frames) == ("CT", "CHEST", 1)


def test_nothing_but_the_origin_holds_what_was_planted(site_key: bytes) -> None:
    for modality in ("CT", "US", "MR"):
        source = planted(modality, 5)
        result = deidentify(source.data, site_key=site_key)
        assert result.placement is not None
        beside = {name: value for name, value in result.placement.as_dict().items() if name != "origin"}
        assert source.left_in(json.dumps(beside).encode()) == []
        assert source.left_in(repr(result.placement).encode()) == []


def test_slices_lie_along_the_normal_of_their_plane(site_key: bytes) -> None:
    source = base_object("MR")
    source.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]  # sagittal: its normal is -x
    source.ImagePositionPatient = [12.5, 80, 90]
    placement, _ = placed(source, site_key)
    assert (placement.normal, placement.distance_mm) == ((-1.0, 0.0, 0.0), -12.5)
    for wrong in (None, [1, 0, 0], ["1e200", 0, 0, 0, "1e200", 0]):
        source.ImageOrientationPatient = wrong
        placement, _ = placed(source, site_key)
        assert (placement.normal, placement.distance_mm) == (None, None)


def test_an_object_without_study_and_series_is_its_own(site_key: bytes) -> None:
    source = base_object("CT")
    del source.StudyInstanceUID, source.SeriesInstanceUID
    placement, _ = placed(source, site_key)
    assert placement.study == placement.series == placement.instance
    assert (placement.origin.study, placement.origin.series) == ("", "")


WRONG: dict[str, list[object]] = {
    "origin": [
        None,
        {},
        {"study": "1\n2", "series": "", "instance": ""},
        {"study": "1" * 65, "series": "", "instance": ""},
    ],
    "study": ["", 7, "1 2", "é"],
    "instance": [""],
    "patient": ["", "4711", "d68c5340fb445e14"],
    "modality": ["ct", "X" * 33, None],
    "body_part": ["DOE^JANE"],
    "frames": [0, -1, 1.0, True, "1", 1_000_000],
    "instance_number": [-1, "1", 1 << 32],
    "normal": [[1, 0], [1, 0, "0"], [1, 0, float("nan")], "abc"],
    "distance_mm": ["1", float("inf"), True, 10**400],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_what_a_child_makes_up_is_refused(site_key: bytes, name: str, value: object) -> None:
    placement, _ = placed(base_object("CT"), site_key)
    sound = json.loads(json.dumps(placement.as_dict()))
    assert Placement.from_dict(sound) == placement
    with pytest.raises((ValueError, TypeError, KeyError)):
        Placement.from_dict({**sound, name: value})
    with pytest.raises((ValueError, TypeError, KeyError)):
        Placement.from_dict({**sound, "more": 1})
