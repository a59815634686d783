"""The standard's dictionary (PS3.6), asked through pydicom. Public knowledge; holds nothing of any object."""

from __future__ import annotations

from functools import cache

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.uid import UID

REGISTERED_ROOT = "1.2.840.10008."
"""UIDs below it name things of the standard, never a person's."""
STORAGE_ROOT = "1.2.840.10008.5.1.4."
"""Storage SOP classes; the media directory, which is none of them, lies elsewhere."""

REPORT_ROOT = "1.2.840.10008.5.1.4.1.1.88."
"""Structured reports, key object selections among them."""


@cache
def vrs(tag: int) -> tuple[str, ...]:
    """The value representations that the standard allows for a tag; empty when it does not know the tag."""
    return tuple(dictionary_VR(tag).split(" or ")) if dictionary_has_tag(tag) else ()


def keyword(tag: int) -> str:
    """The keyword of a tag, or an empty string."""
    return keyword_for_tag(tag)


@cache
def tag_of(name: str) -> int:
    """The tag of a keyword; KeyError when there is none."""
    tag = tag_for_keyword(name)
    if tag is None:
        raise KeyError(name)
    return int(tag)


def is_registered_uid(uid: str) -> bool:
    """Whether the standard itself assigned this UID, so that it says nothing about a person."""
    return uid.startswith(REGISTERED_ROOT) and bool(UID(uid, IGNORE).type)


def is_storage_class(uid: str) -> bool:
    """Whether a UID names a storage SOP class of the standard."""
    known = UID(uid, IGNORE)
    return uid.startswith(STORAGE_ROOT) and known.type == "SOP Class" and "Storage" in known.name


def is_report_class(uid: str) -> bool:
    """Whether a storage SOP class of the standard is one of structured reports (PS3.4 section B.5)."""
    return is_storage_class(uid) and uid.startswith(REPORT_ROOT)


def is_image_class(uid: str) -> bool:
    """Whether a storage SOP class of the standard is one of images, which have pixels (PS3.4 section B.5)."""
    return is_storage_class(uid) and "Image Storage" in UID(uid, IGNORE).name
