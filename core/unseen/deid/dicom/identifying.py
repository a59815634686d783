"""Everything in an object's tags, at any depth, that says who, where and when: what a report's text is searched for.

For the device only. Holds the names of a patient as long as one report is worked on. Descriptions and comments are left
out: their words are those of reports. Codes are, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from unseen.deid.dicom.charset import Charsets, charsets_of, decoded
from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.element import DataSet, Element
from unseen.deid.dicom.table import identifying
from unseen.deid.dicom.values import standard_vr
from unseen.deid.words.known import Known
from unseen.errors import ImageRefused

_BIRTH: Final = tag_of("PatientBirthDate")
_DATE: Final = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_CHARACTERS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "DA", "DT"})
LEAST_NAME_LETTERS: Final = 2


def known_of(dataset: DataSet) -> Known:
    """What an object's tags say of people and places; ImageRefused when a value does not decode."""
    kept: dict[str, set[str]] = {"names": set(), "numbers": set(), "places": set(), "days": set(), "births": set()}
    for kind, value in _values(dataset, charsets_of(dataset)):
        kept[kind].add(value)
    return Known(**{kind: frozenset(values) for kind, values in kept.items()})


def require_patient(dataset: DataSet) -> None:
    """Refuse an object that does not say whose it is: then nobody knows which name to look for in its text.

    Raises ImageRefused.
    """
    element = dataset.get(tag_of("PatientName"))
    name = decoded(element.value, charsets_of(dataset)) if element else ""
    if sum(map(str.isalpha, name)) < LEAST_NAME_LETTERS:
        raise ImageRefused(
            "the object does not name its patient, so nobody can tell which name to look for in the text; take the "
            "object as the PACS holds it, with its Patient's Name"
        )


def _values(dataset: DataSet, charsets: Charsets) -> Iterator[tuple[str, str]]:
    for element in dataset.values():
        if element.items is not None:
            for item in element.items:
                yield from _values(item, charsets_of(item, charsets))
        else:
            yield from _of(element, charsets)


def _of(element: Element, charsets: Charsets) -> Iterator[tuple[str, str]]:
    vr = standard_vr(element) if element.vr == "UN" else element.vr
    if vr not in _CHARACTERS or not element.value.strip(b" \0"):
        return
    if vr in {"DA", "DT"}:
        for part in element.value.decode("ascii", "replace").split("\\"):
            if day := _DATE.match(part.strip()):
                yield "days", "".join(day.groups())
                if element.tag == _BIRTH:
                    yield "births", "".join(day.groups())
        return
    kind = "names" if vr == "PN" else identifying().get(element.tag, "")
    if kind:
        whole = decoded(element.value, charsets)
        parts = [whole] if vr in {"ST", "LT", "UT"} else whole.split("\\")
        yield from ((kind, part.strip()) for part in parts if part.strip())
