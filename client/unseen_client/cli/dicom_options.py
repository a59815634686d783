"""The options that say how DICOM objects are de-identified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unseen_client.deid.dicom_file import DicomSettings


@dataclass(frozen=True)
class DicomOptions:
    """What a person may choose about DICOM objects: nothing yet."""

    def settings(self) -> DicomSettings:
        """The choices, checked; InvalidInput."""
        from unseen_client.deid.dicom_file import DicomSettings

        return DicomSettings()
