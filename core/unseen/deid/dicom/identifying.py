"""Everything in an object's tags, at any depth, that says who, where and when: what a report's text is searched for.

For the device only. Holds the names of a patient as long as one report is worked on. Descriptions and comments are left
out: their words are those of reports. Codes are, too, but for those of people and institutions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from unseen.deid.dicom.charset import Charsets, charsets_of, decoded
from unseen.deid.dicom.dictionary import tag_of, vrs
from unseen.deid.dicom.element import DataSet, Element
from unseen.deid.dicom.table import identifying
from unseen.deid.words.known import Known
from unseen.deid.words.letters import folded, normalised, spellings, words
from unseen.deid.words.lists import word_list
from unseen.errors import ImageRefused

_BIRTH: Final = tag_of("PatientBirthDate")
_DATE: Final = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
LEAST_NAME_LETTERS: Final = 2
"""Different ones: XXXX is no name."""
NOBODY: Final = word_list("nobody")


def known_of(dataset: DataSet) -> Known:
    """What an object's tags say of people and places; ImageRefused when a value does not decode."""
    kept: dict[str, set[str]] = {"names": set(), "numbers": set(), "places": set(), "days": set(), "births": set()}
    for kind, value in _values(dataset, charsets_of(dataset)):
        kept[kind].add(value)
    return Known(**{kind: frozenset(values) for kind, values in kept.items()})


def require_patient(dataset: DataSet) -> None:
    """Refuse an object that does not say whose it is: then nobody knows which name to look for in its text.

    Raises ImageRefused; also where another name or a word such as Anonymous was put in the place of the patient's.
    """
    element, removed = dataset.get(tag_of("PatientName")), dataset.get(tag_of("PatientIdentityRemoved"))
    name = decoded(element.value, charsets_of(dataset)) if element else ""
    telling = [word.text for word in words(normalised(name)) if not spellings(word.text) & NOBODY]
    letters = set(filter(str.isalpha, folded("".join(telling))))
    is_removed = removed is not None and removed.value.strip(b" \0").upper() == b"YES"
    if is_removed or len(letters) < LEAST_NAME_LETTERS:
        raise ImageRefused(
            "the object does not name its patient, so nobody can tell which name to look for in the text; take the "
            "object as the PACS holds it, with its Patient's Name"
        )


def _values(dataset: DataSet, charsets: Charsets) -> Iterator[tuple[str, str]]:
    for element in dataset.values():
        if element.items is not None:
            for item in element.items:
                inner = charsets_of(item, charsets)
                yield from _values(item, inner)
                yield from _of_code(item, identifying().get(element.tag, ""), inner)
        else:
            yield from _of(element, charsets)


def _of_code(item: DataSet, kind: str, charsets: Charsets) -> Iterator[tuple[str, str]]:
    """What a code says of whom or what it stands for; nothing where it stands for neither."""
    meaning = {tag_of("CodeMeaning"): kind}
    value = dict.fromkeys(map(tag_of, ("CodeValue", "LongCodeValue", "URNCodeValue")), "numbers")
    for tag, kind_of_value in (meaning | value if kind else {}).items():
        if element := item.get(tag):
            yield from _texts(element, kind_of_value, charsets)


def _of(element: Element, charsets: Charsets) -> Iterator[tuple[str, str]]:
    """What an element says by its tag or, whatever the file calls its value, by the standard's type for it."""
    if not element.value.strip(b" \0"):
        return
    types = {element.vr, *vrs(element.tag)}
    if kind := "names" if "PN" in types else identifying().get(element.tag, ""):
        yield from _texts(element, kind, charsets)
    elif types & {"DA", "DT"}:
        for part in element.value.decode("ascii", "replace").split("\\"):
            if day := _DATE.match(part.strip()):
                yield "days", "".join(day.groups())
                if element.tag == _BIRTH:
                    yield "births", "".join(day.groups())


def _texts(element: Element, kind: str, charsets: Charsets) -> Iterator[tuple[str, str]]:
    whole = decoded(element.value, charsets)
    parts = [whole] if element.vr in {"ST", "LT", "UT"} else whole.split("\\")
    yield from ((kind, part.strip()) for part in parts if part.strip())
