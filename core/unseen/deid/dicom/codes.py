"""Coded concepts: kept when the standard's own dictionary holds the code, with the meaning from there.

A code sequence carries a free-text meaning beside the code. Only the code is believed, and only if pydicom's copy of
the standard's vocabularies (DCM, SCT, LN, UCUM, ...) knows it; the meaning is written anew. Local codes are removed.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from pydicom.sr.codedict import Collection

from unseen.deid.dicom.element import DataSet, Element

CODE_VALUE, SCHEME, MEANING = 0x00080100, 0x00080102, 0x00080104
SCHEMES: Final = frozenset({"DCM", "SCT", "LN", "UCUM", "RADLEX", "FMA", "NCIt"})


@cache
def _meanings(scheme: str) -> dict[str, str]:
    return {code.value: code.meaning for code in Collection(scheme).concepts.values()}


def known_code(item: DataSet) -> DataSet | None:
    """The item with nothing but value, scheme and the dictionary's meaning; None when the code is not known."""
    scheme, value = _text(item, SCHEME), _text(item, CODE_VALUE)
    if scheme not in SCHEMES:
        return None
    meaning = _meanings(scheme).get(value)
    if meaning is None or not meaning.isascii():
        return None
    return {
        CODE_VALUE: Element(CODE_VALUE, "SH", value.encode()),
        SCHEME: Element(SCHEME, "SH", scheme.encode()),
        MEANING: Element(MEANING, "LO", meaning[:64].rstrip().encode()),
    }


def _text(item: DataSet, tag: int) -> str:
    element = item.get(tag)
    return element.value.strip(b" \0").decode("ascii", "replace") if element else ""
