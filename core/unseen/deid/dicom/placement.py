"""Where an object stands: in which study and series, under its real names and its pseudonyms, and where in space.

For the device only. Holds the real UIDs: they go into the crosswalk of this device and nowhere else. What stands beside
them passed the same rules as what is written into a de-identified file (``data/retained.tsv``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.element import DataSet
from unseen.deid.dicom.pixels import frame_count

MOST_FRAMES: Final = 999_999
MOST_INSTANCE_NUMBER: Final = 1 << 31
_UID: Final = re.compile(r"[!-~]{0,64}")
_WORD: Final = re.compile(r"[A-Z0-9_ ]{0,32}")
_PSEUDONYM: Final = re.compile(r"[0-9A-F]{16}")
_DECIMALS: Final = 2
"""Of directions: slices of one stack differ in the last digits that a scanner writes."""


@dataclass(frozen=True)
class Origin:
    """The real names of an object. Never leaves the device."""

    study: str = ""
    series: str = ""
    instance: str = ""

    def __repr__(self) -> str:
        return "Origin(...)"


@dataclass(frozen=True)
class Placement:
    """One object among the others of an archive."""

    origin: Origin
    study: str
    """Pseudonymous Study Instance UID; of the object itself where it names no study. So for the series."""
    series: str
    instance: str
    patient: str
    """16 hexadecimal digits of a keyed hash, as in a de-identified file."""
    modality: str
    body_part: str
    frames: int
    instance_number: int | None
    normal: tuple[float, float, float] | None
    """Direction in which slices of its stack follow each other (PS3.3 section C.7.6.2); None where it has none."""
    distance_mm: float | None
    """How far along ``normal`` it lies."""

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Placement:
        """The inverse of ``as_dict``, for what a child says; raises ValueError, TypeError or KeyError for all else."""
        if set(given) != {field.name for field in fields(Placement)}:
            raise ValueError("another set of fields")
        names = {name: _matching(_UID, given[name]) for name in ("study", "series", "instance")}
        if not all(names.values()):
            raise ValueError("a pseudonym is missing")
        normal, distance = given["normal"], given["distance_mm"]
        return Placement(
            origin=Origin(**{name: _matching(_UID, given["origin"][name]) for name in names}),
            **names,
            patient=_matching(_PSEUDONYM, given["patient"]),
            modality=_matching(_WORD, given["modality"]),
            body_part=_matching(_WORD, given["body_part"]),
            frames=_whole(given["frames"], 1, MOST_FRAMES),
            instance_number=_instance_number(given["instance_number"]),
            normal=None if normal is None else _three(normal),
            distance_mm=None if distance is None else _finite(distance),
        )


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
    )


def _in_space(dataset: DataSet) -> tuple[tuple[float, float, float] | None, float | None]:
    """The normal of a slice's plane and the slice's place on it (PS3.3 section C.7.6.2.1.1)."""
    along, place = _numbers(dataset, "ImageOrientationPatient", 6), _numbers(dataset, "ImagePositionPatient", 3)
    if along is None or place is None:
        return None, None
    row, column = along[:3], along[3:]
    exact = tuple(row[i - 2] * column[i - 1] - row[i - 1] * column[i - 2] for i in range(3))
    distance = sum(one * other for one, other in zip(exact, place, strict=True))
    x, y, z = (round(one, _DECIMALS) + 0.0 for one in exact)
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
    return text if _UID.fullmatch(text) else ""


def _word(dataset: DataSet, name: str) -> str:
    text = _text(dataset, name).split("\\")[0]
    return text if _WORD.fullmatch(text) else ""


def _text(dataset: DataSet, name: str) -> str:
    element = dataset.get(tag_of(name))
    return element.value.strip(b" \0").decode("ascii", "replace") if element else ""


def _matching(form: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ValueError("a value of another form")
    return value


def _whole(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError("a number out of range")
    return value


def _instance_number(value: object) -> int | None:
    return None if value is None else _whole(value, 0, MOST_INSTANCE_NUMBER)


def _finite(value: object) -> float:
    if type(value) not in {int, float} or not math.isfinite(value):  # type: ignore[arg-type]  # mypy reads no set of types
        raise ValueError("no finite number")
    return float(value)  # type: ignore[arg-type]


def _three(value: Any) -> tuple[float, float, float]:
    x, y, z = map(_finite, value)
    return x, y, z
