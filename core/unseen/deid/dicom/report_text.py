"""What a structured report says, as plain text in the order in which it is read (PS3.3 section C.17.3).

    Chest report                        the title
    Findings                            a container, and what it holds
      Finding: Nodule in the left lung
        Length: 12.5 mm                 what says more of an item stands below it

For the device only. Content that is a name, a day, a time or a UID by its type is written as such at once. Numbers,
codes and texts are given as they stand: the text is cleaned behind this, ``words.without``. References to pictures and
places in them say nothing in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from unseen.deid.dicom.charset import Charsets, charsets_of, decoded
from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.element import DataSet
from unseen.deid.words.span import Category
from unseen.deid.words.without import MOST_CHARACTERS
from unseen.errors import ImageRefused

MOST_ITEMS: Final = 20_000
INDENT: Final = "  "
NO_UNITS: Final = frozenset({"1", "{no units}"})
"""Of a number that only counts (UCUM)."""
_BY_TYPE: Final = {
    "PNAME": Category.NAME,
    "DATE": Category.DATE,
    "DATETIME": Category.DATE,
    "TIME": Category.TIME,
    "UIDREF": Category.ID,
}
_SILENT: Final = frozenset({"IMAGE", "COMPOSITE", "WAVEFORM", "SCOORD", "SCOORD3D", "TCOORD", "TABLE", ""})


def report_text(dataset: DataSet) -> str:
    """The text of a report; ImageRefused when it cannot be read, says nothing, or is longer than any report."""
    lines: list[str] = []
    characters = 0
    for at, line in enumerate(_lines(dataset, charsets_of(dataset), 0)):
        characters += len(line) + 1
        if at >= MOST_ITEMS or characters > MOST_CHARACTERS:
            raise ImageRefused(
                f"the report has more than {MOST_ITEMS} items or {MOST_CHARACTERS} characters; leave it out"
            )
        if line.strip():
            lines.append(line)
    if len(lines) < 2:
        raise ImageRefused("the report says nothing in words, so there is nothing to search; leave it out")
    return "\n".join(lines)


def _lines(item: DataSet, charsets: Charsets, depth: int) -> Iterator[str]:
    said = _said(item, charsets)
    yield "\n".join(INDENT * (depth - 1) + line for line in said.splitlines()) if said else ""
    content = item.get(tag_of("ContentSequence"))
    for inner in (content.items if content else None) or ():
        # What belongs to an item that says nothing in words, such as a picture, stands where that would.
        yield from _lines(inner, charsets_of(inner, charsets), depth + bool(said or not depth))


def _said(item: DataSet, charsets: Charsets) -> str:
    """What one content item says: its concept and its value."""
    kind = _text(item, charsets, "ValueType").upper()
    concept = _meaning(item, charsets, "ConceptNameCodeSequence")
    if kind == "CONTAINER":
        return concept
    value = f"[{_BY_TYPE[kind]}]" if kind in _BY_TYPE else _value(item, kind, charsets)
    return f"{concept}: {value}" if concept and value else value


def _value(item: DataSet, kind: str, charsets: Charsets) -> str:
    if kind == "TEXT":
        return _text(item, charsets, "TextValue")
    if kind == "CODE":
        return _meaning(item, charsets, "ConceptCodeSequence")
    if kind == "NUM":
        measured, inner = _first(item, charsets, "MeasuredValueSequence")
        symbol = _text(*_first(measured, inner, "MeasurementUnitsCodeSequence"), "CodeValue")
        return " ".join(filter(None, [_text(measured, inner, "NumericValue"), "" if symbol in NO_UNITS else symbol]))
    if kind in _SILENT:
        return ""
    raise ImageRefused("the report holds content of a type that is not known, so it cannot be read whole; leave it out")


def _meaning(item: DataSet, charsets: Charsets, name: str) -> str:
    return _text(*_first(item, charsets, name), "CodeMeaning")


def _first(item: DataSet, charsets: Charsets, name: str) -> tuple[DataSet, Charsets]:
    """The first item of a sequence and the character sets that hold in it; an empty one where there is none."""
    element = item.get(tag_of(name))
    first = element.items[0] if element and element.items else {}
    return first, charsets_of(first, charsets)


def _text(item: DataSet, charsets: Charsets, name: str) -> str:
    element = item.get(tag_of(name))
    return decoded(element.value, charsets) if element else ""
