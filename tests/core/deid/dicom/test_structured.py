"""Structured reports under their option: numbers and the standard's codes stay, whatever a person wrote goes."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.core.deid.dicom.planting import as_file, base_object, finish
from unseen.deid.dicom.deidentify import deidentify
from unseen.deid.dicom.options import Option

FOLDER = Path(pydicom.__file__).parent / "data/test_files"
CLEAN = frozenset({Option.CLEAN_STRUCTURED_CONTENT})


def code(value: str, scheme: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def content(value_type: str, concept: Sequence, **attributes: object) -> Dataset:
    item = Dataset()
    item.ValueType, item.RelationshipType, item.ConceptNameCodeSequence = value_type, "CONTAINS", concept
    for name, value in attributes.items():
        setattr(item, name, value)
    return item


def report() -> bytes:
    """A report with a measurement, a finding, a text, a name, a date, a local code and one of them nested."""
    measured = Dataset()
    measured.NumericValue = "12.5"
    measured.MeasurementUnitsCodeSequence = code("mm", "UCUM", "mm of Doe")
    length = content("NUM", code("410668003", "SCT", "Length Doe"), MeasuredValueSequence=Sequence([measured]))
    text = content("TEXT", code("121071", "DCM", "Finding"), TextValue="Doe has a tumour")
    name = content("PNAME", code("121008", "DCM", "Person Observer Name"), PersonName="Doe^Jane")
    day = content("DATE", code("121069", "DCM", "Previous Finding"), Date="20200101")
    local = content("CODE", code("DOE", "99X", "Doe"), ConceptCodeSequence=code("DOE", "99X", "Doe"))
    finding = content("CODE", code("121071", "DCM", "Doe"), ConceptCodeSequence=code("108369006", "SCT", "Doe"))
    group = content("CONTAINER", code("125007", "DCM", "Doe"), ContinuityOfContent="SEPARATE")
    group.ContentSequence = Sequence([length, text, name])
    dataset = base_object("CT")
    del dataset.PixelData
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.88.33", "SR"
    dataset.ValueType, dataset.ConceptNameCodeSequence = "CONTAINER", code("126000", "DCM", "Doe")
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.PatientName = "Doe^Jane"
    dataset.ContentSequence = Sequence([group, text, name, day, local, finding])
    return as_file(finish(dataset, [], random.Random(0), "1.2.840.10008.1.2.1").dataset)


def test_a_report_keeps_numbers_and_known_codes_only(site_key: bytes) -> None:
    result = deidentify(report(), site_key=site_key, options=CLEAN)
    assert b"Doe" not in result.data
    assert b"tumour" not in result.data
    dataset = pydicom.dcmread(io.BytesIO(result.data))
    assert [item.ValueType for item in dataset.ContentSequence] == ["CONTAINER", "CODE"]
    (length,) = dataset.ContentSequence[0].ContentSequence
    assert length.MeasuredValueSequence[0].NumericValue == 12.5
    assert length.ConceptNameCodeSequence[0].CodeMeaning == "Length property (qualifier value)"
    assert dataset.ContentSequence[1].ConceptCodeSequence[0].CodeMeaning != "Doe"
    assert [code.CodeValue for code in dataset.DeidentificationMethodCodeSequence] == ["113100", "113104"]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["reportsi.dcm", "test-SR.dcm"])
def test_a_bundled_report_loses_every_text(name: str, site_key: bytes) -> None:
    before = pydicom.dcmread(FOLDER / name)
    texts = [str(e.value) for e in before.iterall() if e.VR in {"PN", "UT", "LO", "ST"} and len(str(e.value)) > 6]
    result = deidentify((FOLDER / name).read_bytes(), site_key=site_key, options=CLEAN)
    meanings = {str(e.value) for e in pydicom.dcmread(io.BytesIO(result.data)).iterall() if e.keyword == "CodeMeaning"}
    left = [text for text in texts if text.encode() in result.data and text not in meanings]
    assert [text for text in left if text not in {"DICOM", "REMOVED"}] == []


def test_content_of_other_objects_is_emptied_without_the_option(site_key: bytes) -> None:
    dataset = base_object("CT")
    dataset.ContentSequence = Sequence([content("TEXT", code("121071", "DCM", "Finding"), TextValue="Doe")])
    source = as_file(finish(dataset, [], random.Random(0), "1.2.840.10008.1.2.1").dataset)
    assert len(pydicom.dcmread(io.BytesIO(deidentify(source, site_key=site_key).data)).ContentSequence) == 0
