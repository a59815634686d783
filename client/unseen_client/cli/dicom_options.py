"""The options that say how DICOM objects are de-identified, and where text is covered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from unseen.deid.dicom.options import Option
from unseen_client.deid.dicom_settings import DicomSettings, LookForText


@dataclass(frozen=True)
class DicomOptions:
    """What a person may choose about DICOM objects."""

    dicom_option: Annotated[
        list[Option] | None,
        typer.Option(help="DICOM: what may stay, or is cleaned, beside the Basic Profile; may be repeated."),
    ] = None
    text: Annotated[
        LookForText,
        typer.Option(help="Cover text in risky DICOM objects, in all of them and in photographs, or nowhere."),
    ] = LookForText.RISKY
    keep_marks: Annotated[
        bool, typer.Option("--keep-marks", help="Leave text that is a technical mark, such as 2.5 cm or MI 0.8.")
    ] = False
    home: Annotated[
        Path | None, typer.Option(envvar="UNSEEN_HOME", help="DICOM: folder of this device's keys; pseudonyms need it.")
    ] = None

    @property
    def text_in_photographs(self) -> bool:
        """Whether text is covered in photographs as well."""
        return self.text is LookForText.ALWAYS

    def settings(self) -> DicomSettings:
        """The choices, checked; InvalidConfiguration."""
        return DicomSettings(
            options=frozenset(self.dicom_option or ()),
            text=self.text,
            keep_marks=self.keep_marks,
            home=self.home,
        )
