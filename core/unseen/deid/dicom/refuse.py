"""Objects that are refused as a whole, because a step that they need cannot be done here. For the device only."""

from __future__ import annotations

from typing import Final

from unseen.deid.dicom.dictionary import is_image_class, is_report_class, is_storage_class, tag_of
from unseen.deid.dicom.element import DataSet
from unseen.deid.dicom.options import Option
from unseen.deid.dicom.report import DicomReport
from unseen.errors import ImageRefused

MOST_UID_CHARACTERS: Final = 64
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
REFUSED_CLASSES: Final = {
    f"{_STORAGE}104.": "a document (PDF, CDA or a model) whose text cannot be cleaned here",
    f"{_STORAGE}9.": "a waveform, which is no image and holds annotations",
    f"{_STORAGE}66": "raw data or a registration, of which nothing would be left",
    f"{_STORAGE}4.2": "spectroscopy, which is no image",
}


def refuse_what_cannot_be_done(dataset: DataSet, options: frozenset[Option]) -> str:
    """SOP class of an object that may be worked on.

    Raises:
        ImageRefused: no or no standard storage class, no instance UID, a class or content that is not handled.
    """
    sop_class, instance = (_uid(dataset, name) for name in ("SOPClassUID", "SOPInstanceUID"))
    if not is_storage_class(sop_class):
        raise ImageRefused(
            "the object is of no storage SOP class of the standard, so nothing is known of its attributes"
        )
    if not 0 < len(instance) <= MOST_UID_CHARACTERS:
        raise ImageRefused("the object has no SOP Instance UID of 1 to 64 characters")
    for prefix, reason in REFUSED_CLASSES.items():
        if sop_class == prefix or (prefix.endswith(".") and sop_class.startswith(prefix)):
            raise ImageRefused(f"the object is {reason}")
    if is_report_class(sop_class) and Option.CLEAN_STRUCTURED_CONTENT not in options:
        raise ImageRefused("the object is a structured report; ask for Clean Structured Content, or leave it out")
    _refuse_graphics_within_pixels(dataset)
    return sop_class


def refuse_image_without_pixels(report: DicomReport) -> None:
    """Refuse a file of an image class that holds none: cut between two elements it parses, and is no picture.

    Raises:
        ImageRefused: it is one.
    """
    if is_image_class(report.sop_class) and not report.has_pixels:
        raise ImageRefused("the object is an image and holds no pixels, as a file does that was cut; get it again")


def _refuse_graphics_within_pixels(dataset: DataSet) -> None:
    """An overlay without data of its own lives in unused bits of the pixels (retired; PS3.3 2004 section C.9.2)."""
    for tag, element in dataset.items():
        if tag & 0xFF00FFFF == 0x60000102 and element.value.strip(b"\0") and (tag & 0xFFFF0000 | 0x3000) not in dataset:
            raise ImageRefused("an overlay is drawn into unused bits of the pixels; render it out, then try again")


def _uid(dataset: DataSet, name: str) -> str:
    element = dataset.get(tag_of(name))
    return element.value.strip(b" \0").decode("ascii", "replace") if element else ""
