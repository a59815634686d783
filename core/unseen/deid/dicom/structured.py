"""Structured content without its text: numbers and coded concepts stay, everything a person wrote goes (PS3.15 E.3.4).

The walk has already removed texts, names, dates and local codes from an item; here an item is dropped that lost what
it was about. For the device only.
"""

from __future__ import annotations

from typing import Final

from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.element import DataSet

CARRIES: Final = {
    b"CONTAINER": "ContinuityOfContent",
    b"CODE": "ConceptCodeSequence",
    b"NUM": "MeasuredValueSequence",
    b"IMAGE": "ReferencedSOPSequence",
    b"COMPOSITE": "ReferencedSOPSequence",
    b"UIDREF": "UID",
}
"""The attribute without which an item of a value type says nothing (PS3.3 section C.17.3)."""


def is_clean_item(item: DataSet) -> bool:
    """Whether a content item that went through the walk still says something and still has a name."""
    value_type = item.get(tag_of("ValueType"))
    carried = CARRIES.get(value_type.value.strip(b" \0")) if value_type else None
    is_named = tag_of("ConceptNameCodeSequence") in item or tag_of("ReferencedSOPSequence") in item
    return carried is not None and tag_of(carried) in item and is_named
