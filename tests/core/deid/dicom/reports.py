"""Structured reports for tests, generated and nobody's: content trees with known words in known places."""

from __future__ import annotations

import random

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.core.deid.dicom.planting import SYNTAXES, Planted, base_object, finish, private, secret

BASIC_TEXT = "1.2.840.10008.5.1.4.1.1.88.11"
REPEATED = {
    "PatientName": "PN",
    "PatientID": "LO",
    "PatientBirthDate": "DA",
    "OtherPatientNames": "PN",
    "PatientAddress": "LO",
    "AccessionNumber": "SH",
    "StudyDate": "DA",
    "StudyID": "SH",
    "ReferringPhysicianName": "PN",
    "InstitutionName": "LO",
}
"""Attributes whose identifiers the words of a planted report repeat, with their VRs."""


def code(value: str, scheme: str, meaning: str) -> Sequence:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def content(value_type: str, concept: str, *inner: Dataset, **attributes: object) -> Dataset:
    """One content item with what stands below it."""
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", value_type
    item.ConceptNameCodeSequence = code("121071", "DCM", concept)
    for name, value in attributes.items():
        setattr(item, name, value)
    if inner:
        item.ContentSequence = Sequence(inner)
    return item


def text(words: str, concept: str = "Finding", *inner: Dataset) -> Dataset:
    """A content item of words."""
    return content("TEXT", concept, *inner, TextValue=words)


def measured(number: str, unit: str, concept: str) -> Dataset:
    """A content item of a number."""
    value = Dataset()
    value.NumericValue, value.MeasurementUnitsCodeSequence = number, code(unit, "UCUM", unit)
    return content("NUM", concept, MeasuredValueSequence=Sequence([value]))


def report(study: int, *items: Dataset, patient: str = "DOE^JANE", title: str = "Chest Report") -> Dataset:
    """A Basic Text SR of a study that ``base_object`` numbers so, with UTF-8 texts."""
    dataset = base_object("CT", study)
    for name in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
                 "SamplesPerPixel", "PhotometricInterpretation", "PixelSpacing", "ImageType"):  # fmt: skip
        del dataset[name]
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.Modality = BASIC_TEXT, "SR"
    dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.10.511.3.{study}.8.1"
    dataset.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.511.3.{study}.8"
    dataset.PatientID, dataset.PatientName = f"4711-{study}", patient
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.ConceptNameCodeSequence = code("18782-3", "LN", title)
    dataset.ContentSequence = Sequence(items)
    return dataset


def nested(depth: int, words: str) -> Dataset:
    """Containers within containers, and words in the innermost."""
    item = text(words)
    for _ in range(depth):
        item = content("CONTAINER", "Findings", item, ContinuityOfContent="SEPARATE")
    return item


def wide(count: int) -> list[Dataset]:
    """So many small items."""
    return [text(f"item {at}") for at in range(count)]


def planted_report(seed: int) -> Planted:
    """A report of the study of that seed's object; its words repeat its identifiers, in small letters too."""
    chance = random.Random(seed)
    found = {keyword: secret(vr, chance) for keyword, vr in REPEATED.items()}
    words = [str(value).replace("^", ", ") for value, _ in found.values()]
    dataset = report(seed, text("; ".join(words)), nested(4, "No nodule. " + " and ".join(words).lower()))
    for keyword, (value, _) in found.items():
        setattr(dataset, keyword, value)
    fragments = [(f"{keyword}, its words", form) for keyword, (_, one) in found.items() for form in {one, one.lower()}]
    return finish(dataset, [*fragments, *private(dataset, chance)], chance, SYNTAXES[0])
