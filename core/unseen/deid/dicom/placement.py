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

MOST_FRAMES: Final = 999_999
MOST_INSTANCE_NUMBER: Final = 1 << 31
UID: Final = re.compile(r"[!-~]{0,64}")
WORD: Final = re.compile(r"[A-Z0-9_ ]{0,32}")
_PSEUDONYM: Final = re.compile(r"[0-9A-F]{16}")


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
    is_report: bool = False
    """Whether it is words, a structured report or a text, and no picture."""

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Placement:
        """The inverse of ``as_dict``, for what a child says; raises ValueError, TypeError or KeyError for all else."""
        if set(given) != {field.name for field in fields(Placement)}:
            raise ValueError("another set of fields")
        names = {name: _matching(UID, given[name]) for name in ("study", "series", "instance")}
        if not all(names.values()):
            raise ValueError("a pseudonym is missing")
        normal, distance = given["normal"], given["distance_mm"]
        return Placement(
            origin=Origin(**{name: _matching(UID, given["origin"][name]) for name in names}),
            **names,
            patient=_matching(_PSEUDONYM, given["patient"]),
            modality=_matching(WORD, given["modality"]),
            body_part=_matching(WORD, given["body_part"]),
            frames=_whole(given["frames"], 1, MOST_FRAMES),
            instance_number=_instance_number(given["instance_number"]),
            normal=None if normal is None else _three(normal),
            distance_mm=None if distance is None else _finite(distance),
            is_report=_yes_or_no(given["is_report"]),
        )


def _matching(form: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ValueError("a value of another form")
    return value


def _whole(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError("a number out of range")
    return value


def _yes_or_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("neither true nor false")


def _instance_number(value: object) -> int | None:
    return None if value is None else _whole(value, 0, MOST_INSTANCE_NUMBER)


def _finite(value: object) -> float:
    if not isinstance(value, float) or not math.isfinite(value):
        raise ValueError("no finite number")
    return value


def _three(value: Any) -> tuple[float, float, float]:
    x, y, z = map(_finite, value)
    return x, y, z
