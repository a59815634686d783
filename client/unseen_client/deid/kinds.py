"""Which pipeline a file belongs to, told by its first bytes and never by its name.

Runs where the images are. Looks at 132 bytes; opens nothing.
"""

from __future__ import annotations

from enum import StrEnum

HEAD_BYTES = 132
"""DICOM has four letters behind 128 bytes of anything (PS3.10 section 7.1); photographs show themselves sooner."""

_PHOTOGRAPHS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")


class Kind(StrEnum):
    """What a file is, as far as de-identification goes."""

    PHOTO = "photo"
    DICOM = "dicom"
    OTHER = "other"


def kind_of(head: bytes) -> Kind:
    """Return the kind of a file from its first HEAD_BYTES bytes.

    DICOM first: its first 128 bytes may look like anything, a TIFF among them (PS3.10 Annex A, dual-personality files).
    """
    if head[128:132] == b"DICM":
        return Kind.DICOM
    if head.startswith(_PHOTOGRAPHS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return Kind.PHOTO
    return Kind.OTHER
