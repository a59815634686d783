"""The text of a report without identifiers: of a structured report, or of a plain text beside the objects of a study.

    object -> PS3.15 Annex E as for every object (pseudonyms, where it stands)
           -> its content in words -> without what its own tags say and what rules know

For the device only. Holds an object for the length of a call.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from unseen.deid.dicom.deidentify import deidentify
from unseen.deid.dicom.dictionary import is_report_class
from unseen.deid.dicom.identifying import known_of, require_patient
from unseen.deid.dicom.options import Option
from unseen.deid.dicom.placement import Origin, Placement
from unseen.deid.dicom.pseudonym import Pseudonyms
from unseen.deid.dicom.read import read_part10
from unseen.deid.dicom.report import DeidentifiedDicom, DicomReport
from unseen.deid.dicom.report_text import report_text
from unseen.deid.words.without import without_identifiers
from unseen.errors import ImageRefused

OPTIONS: Final = frozenset({Option.CLEAN_STRUCTURED_CONTENT})


def enrollable(
    data: bytes, *, site_key: bytes, options: frozenset[Option], this_year: int
) -> tuple[DeidentifiedDicom, str | None]:
    """An object as ``deidentify`` gives it and, where it is a structured report, its text without identifiers.

    this_year: by the device's clock. Raises ImageRefused.
    """
    result = deidentify(data, site_key=site_key, options=options | OPTIONS)
    if not is_report_class(result.report.sop_class):
        return result, None
    source = read_part10(data).dataset
    require_patient(source)
    return result, without_identifiers(report_text(source), known_of(source), this_year=this_year)


def words_beside(text: bytes, data: bytes, *, site_key: bytes, this_year: int) -> tuple[DicomReport, Placement, str]:
    """A plain text (UTF-8) beside an object of its study, without what that object's tags say and what rules know.

    Returns what was done to the object; where the text stands, under a pseudonym that is computed from the study's and
    its bytes; and its words. this_year: by the device's clock. Raises ImageRefused.
    """
    result = deidentify(data, site_key=site_key, options=OPTIONS)
    if result.placement is None:
        raise ImageRefused("the object beside the text does not say where it stands; take it as the PACS holds it")
    try:
        said = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ImageRefused("the text is not in UTF-8; convert it first") from None
    if not said.strip():
        raise ImageRefused("the text is empty; leave it out")
    source = read_part10(data).dataset
    require_patient(source)
    study = result.placement.study
    instance = Pseudonyms(site_key).uid(f"text {study} {hashlib.sha256(text).hexdigest()}")
    placement = replace(
        result.placement, origin=Origin(study=result.placement.origin.study), series=instance, instance=instance,
        modality="", frames=1, instance_number=None, normal=None, distance_mm=None, is_report=True,
    )  # fmt: skip
    return result.report, placement, without_identifiers(said, known_of(source), this_year=this_year)
