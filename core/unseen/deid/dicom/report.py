"""What was done to one DICOM object: counts and names of the standard, never a value. Stays on the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from unseen.deid.dicom.placement import Placement


@dataclass(frozen=True)
class DicomReport:
    """One object's de-identification."""

    edition: str
    """Edition of PS3.15 whose Table E.1-1 was applied."""
    options: tuple[str, ...]
    """Names of the options, sorted."""
    sop_class: str
    transfer_syntax: str
    """Of the output; a deflated object comes out as Explicit VR Little Endian."""
    actions: Mapping[str, int]
    """How many attributes, nested ones included: ``removed``, ``emptied``, ``replaced`` (a dummy), ``uid`` (hashed),
    ``date_moved``, ``kept``, ``private_removed``, ``private_kept``, ``unlisted_removed``, ``graphics_removed``."""
    pixel_comments_blanked: int
    """Comment and application segments inside compressed pixels that were filled with zeros."""
    trailing_pixel_bytes_removed: int
    """Bytes behind the last frame."""
    burned_in_annotation: str
    """What the object says of its pixels: YES, NO or nothing. NO from the source is a claim, not a finding."""
    has_pixels: bool = False
    """Whether there is a picture of whole numbers; others are never looked at for text."""
    reasons_to_look: tuple[str, ...] = ()
    """Why somebody may have drawn text into the pixels, in words of our own; empty for what a scanner computed."""
    may_show_faces: bool = False
    """Whether the pixels may be a photograph of a person."""
    pixels_cleaned: bool = False
    """Whether someone declared the pixels clean through ``pixels_cleaned``."""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain numbers, strings and dictionaries, ready for JSON."""
        lists = {"options": list(self.options), "reasons_to_look": list(self.reasons_to_look)}
        return {**asdict(self), **lists, "actions": dict(self.actions)}

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> DicomReport:
        """The inverse of ``as_dict``."""
        tuples = {name: tuple(fields[name]) for name in ("options", "reasons_to_look")}
        return DicomReport(**{**fields, **tuples})


@dataclass(frozen=True, repr=False)
class DeidentifiedDicom:
    """A whole DICOM file without identifiers, and the report."""

    data: bytes
    report: DicomReport
    placement: Placement | None = None
    """Where the object stands, its real UIDs among it; None where the caller made this from less."""
