"""Finding where an object stands, from its elements before and after de-identification. For the device only."""

from __future__ import annotations

import math
from typing import Final

from unseen.deid.dicom.dictionary import is_report_class, tag_of
from unseen.deid.dicom.element import DataSet
from unseen.deid.dicom.pixels import frame_count
from unseen.deid.dicom.placement import UID, WORD, Origin, Placement

DECIMALS: Final = 2
"""Of directions: slices of one stack differ in the last digits that a scanner writes."""


def placement_of(source: DataSet, cleaned: DataSet, patient: str) -> Placement:
    """Where an object stands, from its elements before and after de-identification."""
    instance = _text(cleaned, "SOPInstanceUID")
    normal, distance = _in_space(cleaned)
    number = _text(cleaned, "InstanceNumber")
    return Placement(
        origin=Origin(
            _uid(source, "StudyInstanceUID"), _uid(source, "SeriesInstanceUID"), _uid(source, "SOPInstanceUID")
        ),
        study=_text(cleaned, "StudyInstanceUID") or instance,
        series=_text(cleaned, "SeriesInstanceUID") or instance,
        instance=instance,
        patient=patient,
        modality=_word(cleaned, "Modality"),
        body_part=_word(cleaned, "BodyPartExamined"),
        frames=frame_count(cleaned),
        instance_number=int(number) if number.isdigit() and len(number) < 10 else None,
        normal=normal,
        distance_mm=distance,
        is_report=is_report_class(_text(source, "SOPClassUID")),
    )


def _in_space(dataset: DataSet) -> tuple[tuple[float, float, float] | None, float | None]:
    """The normal of a slice's plane and the slice's place on it (PS3.3 section C.7.6.2.1.1)."""
    along, place = _numbers(dataset, "ImageOrientationPatient", 6), _numbers(dataset, "ImagePositionPatient", 3)
    if along is None or place is None:
        return None, None
    row, column = along[:3], along[3:]
    exact = tuple(row[i - 2] * column[i - 1] - row[i - 1] * column[i - 2] for i in range(3))
    distance = sum(one * other for one, other in zip(exact, place, strict=True))
    if not all(map(math.isfinite, (*exact, distance))):  # of numbers so large that they are a mistake
        return None, None
    x, y, z = (round(one, DECIMALS) + 0.0 for one in exact)
    return (x, y, z), round(distance, 4)


def _numbers(dataset: DataSet, name: str, count: int) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(part) for part in _text(dataset, name).split("\\"))
    except ValueError:
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _uid(dataset: DataSet, name: str) -> str:
    """A real UID as it stands, or nothing where it is none that could be asked for."""
    text = _text(dataset, name)
    return text if UID.fullmatch(text) else ""


def _word(dataset: DataSet, name: str) -> str:
    text = _text(dataset, name).split("\\")[0]
    return text if WORD.fullmatch(text) else ""


def _text(dataset: DataSet, name: str) -> str:
    element = dataset.get(tag_of(name))
    return element.value.strip(b" \0").decode("ascii", "replace") if element else ""
