"""DICOM objects in `unseen deid`: the pipeline for files that say DICM.

Runs where the images are. Today every DICOM object is refused here and nothing is written: the attributes can be
de-identified from Python (docs/dicom.md), the text in the pixels not yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from unseen.errors import ImageRefused
from unseen_client.deid.pipeline import Cleaned, Facts

LARGEST_FILE_BYTES = 512 << 20


@dataclass(frozen=True)
class DicomSettings:
    """How DICOM objects are de-identified."""


class DicomPipeline:
    """One DICOM object in, a de-identified one out, or ImageRefused."""

    largest_file_bytes = LARGEST_FILE_BYTES

    def __init__(self, settings: DicomSettings) -> None:
        self._settings = settings

    def description(self) -> Facts:
        """Return versions and settings that decide the output."""
        return {"pipeline": "dicom"}

    def clean(self, data: bytes) -> Cleaned:
        """Return the de-identified object; ImageRefused."""
        return deidentify_dicom_file(data, self._settings)

    def preview(self, data: bytes) -> Cleaned:
        """Return a picture of what would be covered; ImageRefused."""
        return deidentify_dicom_file(data, self._settings)

    def close(self) -> None:
        """Let go of models."""


def deidentify_dicom_file(data: bytes, settings: DicomSettings) -> Cleaned:
    """Return one DICOM object without identifiers in attributes and pixels; ImageRefused when a step cannot do it."""
    raise ImageRefused(
        "got a DICOM object, expected a photograph; de-identify its attributes from Python (docs/dicom.md)"
    )
